"""Language modelling: running text in, hidden tokens (and next sentences) out.

Documents are held out as wholes. What is predicted, and how it is cut into tokens, is the affair of
the method: no two vocabularies hide the same tokens.
"""

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from utils import sources
from utils.errors import CourseError
from utils.sources import Source
from utils.tasks.splits import Splits

if TYPE_CHECKING:
    from datasets import Dataset

NAME = "language-modelling"

VERSION = 1
"""Raise by hand whenever a change of this file changes documents, splits or scores."""

METRIC = "accuracy"

TEXTBOOKS, NOVELS = "openstax/textbooks-en", "COST-ELTeC/ELTeC-eng"
WIKITEXT = "Salesforce/wikitext"

JOIN = "+"
"""Between the ids of data sets that are read as one."""

_CONFIGS = {WIKITEXT: "wikitext-2-v1"}

TOKEN, OTHER_DOCUMENT, SAME_DOCUMENT = 0, 1, 2
"""What a row of predictions speaks of: a hidden token, or a pair with a wrong B of this kind."""

_PAIRS = {OTHER_DOCUMENT: "other_document", SAME_DOCUMENT: "same_document"}


@dataclass(frozen=True)
class Documents:
    """Texts, and the id of the data set that each comes from."""

    texts: list[str]
    origins: list[str]

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, indices: NDArray[np.int64]) -> "Documents":
        """The documents at `indices`, in that order."""
        return Documents([self.texts[i] for i in indices], [self.origins[i] for i in indices])


def load(
    dataset_id: str,
    *,
    profile: str = "quick",
    validation_limit: int = 0,
    test_limit: int | None = None,
    require: str = "any",
) -> Splits:
    """Documents of one data set, or of several whose ids are joined by "+".

    Each needs a column `text`, a document a row; of Wikitext, whose rows are paragraphs, the
    articles are put together again. The reported split is that of the held-out documents
    ("validation" in the data sets), `test_limit` of them at most. `validation_limit` documents at
    even distances are cut from the training documents, to choose hyper-parameters on.

    Raises:
        CourseError: if a set cannot be reached, has no column `text`, not both splits, or too few
            documents.
    """
    found: list[Source] = []
    parts = {"train": Documents([], []), "validation": Documents([], [])}
    for part in filter(None, dataset_id.split(JOIN)):
        dataset, source = sources.load_dataset(
            part, _CONFIGS.get(part), profile=profile, require=require
        )
        found.append(source)
        for split, documents in parts.items():
            if split not in dataset:
                raise CourseError(
                    f"{part} has no split {split!r} but {', '.join(dataset)}. Pre-training needs "
                    "the splits train and validation."
                )
            new = _documents(dataset[split], part)
            documents.texts.extend(new)
            documents.origins.extend([part] * len(new))
    if not found:
        raise CourseError("Name at least one data set with running text.")
    train, validation = _cut(parts["train"], validation_limit)
    test = parts["validation"]
    if test_limit is not None:
        test = test.take(np.arange(min(test_limit, len(test))))
    return Splits(train, validation, test, [], _joined(found, dataset_id))


def subset(train: Documents, n: int | None, data_seed: int) -> Documents:
    """`n` documents drawn at random, nested over n for the same seed; all for None.

    Documents of one data set stay together.

    Raises:
        CourseError: if there are fewer than `n`.
    """
    if n is None:
        return train
    if n > len(train):
        raise CourseError(f"There are {len(train):,} training documents; {n:,} were asked for.")
    return train.take(np.sort(np.random.default_rng(data_seed).permutation(len(train))[:n]))


def score(
    predictions: NDArray[np.float32], examples: Documents | None = None
) -> tuple[dict[str, float], dict[str, NDArray[np.bool_]]]:
    """Losses in nats and shares that are right.

    `predictions` has a row for each hidden token, and for each sentence pair if the method judges
    pairs: (n, 4), what the row speaks of (`TOKEN`, `OTHER_DOCUMENT`, `SAME_DOCUMENT`), the model's
    loss, the loss of one that looks at nothing (unigram frequencies; a coin), and whether the
    model's first guess is right. "gain" is the second loss less the first. The `examples` have no
    labels: what was asked, the method drew.
    """
    kind, loss, baseline, right = predictions.T
    tokens = kind == TOKEN
    metrics = {
        "mlm_loss": float(loss[tokens].mean(dtype=float)),
        "unigram_loss": float(baseline[tokens].mean(dtype=float)),
    }
    metrics["gain"] = metrics["unigram_loss"] - metrics["mlm_loss"]
    correct = {"accuracy": right[tokens] == 1}
    for number, name in _PAIRS.items():
        if (pairs := kind == number).any():
            metrics[f"nsp_loss_{name}"] = float(loss[pairs].mean(dtype=float))
            correct[f"nsp_accuracy_{name}"] = right[pairs] == 1
    shares = {name: float(bits.mean()) for name, bits in correct.items()}
    return metrics | shares, correct


def _documents(split: "Dataset", dataset_id: str) -> list[str]:
    if "text" not in split.column_names:
        raise CourseError(
            f"{dataset_id} has no column 'text' but {', '.join(split.column_names)}. Pre-training "
            "needs running text, a document a row."
        )
    rows = list(split["text"])
    documents = _articles(rows) if dataset_id == WIKITEXT else rows
    return [text for document in documents if (text := document.strip())]


def _articles(rows: list[str]) -> list[str]:
    """Wikitext's paragraphs, joined to articles; `<unk>` becomes [UNK], ` @-@ ` a hyphen.

    A title stands between single equals signs, a heading between more of them.
    """
    articles: list[list[str]] = [[]]
    for row in rows:
        if re.fullmatch(r"\s= [^=].*[^=] =\s*", row):
            articles.append([])
        elif row.strip() and not row.startswith(" = ="):
            text = re.sub(r" @(\W)@ ", r"\1", row.strip())
            articles[-1].append(text.replace("<unk>", "[UNK]"))
    return ["\n".join(article) for article in articles]


def _cut(train: Documents, n: int) -> tuple[Documents, Documents]:
    if n >= len(train):
        raise CourseError(
            f"A validation split of {n} documents does not fit into {len(train)} training "
            "documents. Lower validation_limit."
        )
    chosen = np.unique(np.linspace(0, len(train) - 1, n).astype(np.int64))
    kept = np.setdiff1d(np.arange(len(train)), chosen)
    return train.take(kept), train.take(chosen)


def _joined(found: list[Source], dataset_id: str) -> Source:
    """One source for all data sets that were read."""
    if len(found) == 1:
        return found[0]
    kinds = {source.kind for source in found}
    if len(kinds) > 1:
        raise CourseError(
            f"{dataset_id}: the data sets come from different kinds of places "
            f"({', '.join(sorted(kinds))}), and results never mix them. Put all into one mirror."
        )
    marks = JOIN.join(source.fingerprint for source in found)

    def listed(values: list[str]) -> str:
        return "; ".join(dict.fromkeys(values))

    return Source(
        kind=found[0].kind,
        id=dataset_id,
        revision=None,
        fingerprint=hashlib.sha256(marks.encode()).hexdigest()[:16],
        location=listed([source.location for source in found]),
        licence=listed([f"{source.id}: {source.licence}" for source in found]),
        note=listed([source.note for source in found if source.note]),
    )
