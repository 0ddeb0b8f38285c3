"""Text classification: one text in, one class out (sentiment, topic)."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from utils import sources
from utils.errors import CourseError
from utils.tasks import own_data
from utils.tasks.splits import Splits, sample

if TYPE_CHECKING:
    from datasets import Dataset

NAME = "text-classification"

VERSION = 1
"""Raise by hand whenever a change of this file changes splits, subsets or scores."""

METRIC = "accuracy"

OWN_COLUMNS = ("text", "label")


@dataclass(frozen=True)
class Layout:
    """Where a data set keeps what the task needs.

    `reported` is the split that results are reported on; it is read once per run. `phrases` says
    that rows of `train` are pieces of other rows, as in SST-2, so that cutting a validation split
    at random would leak.
    """

    text: str
    label: str
    reported: str
    phrases: bool = False


LAYOUTS = {
    # The labels of SST-2's own test split are hidden: its 872 validation rows are reported.
    "stanfordnlp/sst2": Layout("sentence", "label", reported="validation", phrases=True),
    "fancyzhx/ag_news": Layout("text", "label", reported="test"),
}


@dataclass(frozen=True)
class Examples:
    """Texts and their class numbers, `labels` of shape (n_examples,)."""

    texts: list[str]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, indices: NDArray[np.int64]) -> "Examples":
        """The examples at `indices`, in that order."""
        return Examples([self.texts[i] for i in indices], self.labels[indices])


def load(
    dataset_id: str,
    *,
    profile: str = "quick",
    validation_limit: int | None = 500,
    test_limit: int | None = None,
    require: str = "any",
) -> Splits:
    """Load `dataset_id` and cut a validation split of `validation_limit` rows from its train split.

    With `test_limit`, a sample of the reported split drawn with a fixed seed. The cut does not
    depend on any seed of the experiment: all runs choose on the same rows and none trains on them.

    `dataset_id` may also be a file of one's own, see `own_data`.

    Raises:
        CourseError: if the task does not know the data set, or it is too small for the limits.
    """
    if own_data.is_own(dataset_id):
        return own_data.load(
            dataset_id, _own, validation_limit=validation_limit, test_limit=test_limit
        )
    layout = _layout(dataset_id)
    dataset, source = sources.load_dataset(dataset_id, profile=profile, require=require)
    train = _examples(dataset["train"], layout)
    test = _examples(dataset[layout.reported], layout)
    test = sample(test, test_limit)
    train, validation = _cut_validation(train, validation_limit or 0, layout.phrases)
    names = list(dataset["train"].features[layout.label].names)
    return Splits(train, validation, test, names, source)


def subset(train: Examples, n: int | None, data_seed: int) -> Examples:
    """Draw `n` training examples, nested: a larger `n` with the same seed holds the smaller one's.

    The draw keeps the class shares of `train` as nearly as `n` allows. `n=None` returns all rows in
    their own order.

    Raises:
        CourseError: if there are fewer than `n` rows.
    """
    if n is None:
        return train
    if n > len(train):
        raise CourseError(
            f"{n} training examples were asked for, but only {len(train)} are left for training "
            "after the validation split is cut off. Ask for fewer, or for all (n_train=None)."
        )
    return train.take(_stratified_order(train.labels, data_seed)[:n])


def score(
    predictions: NDArray[np.float32], examples: Examples
) -> tuple[dict[str, float], dict[str, NDArray[np.bool_]]]:
    """Accuracy and F1 of class probabilities (n_examples, n_classes), and which are right."""
    from utils.metrics import classification_scores

    classes = predictions.argmax(axis=1)
    right = {"accuracy": classes == examples.labels}
    return classification_scores(classes, examples.labels), right


def _layout(dataset_id: str) -> Layout:
    if dataset_id not in LAYOUTS:
        raise CourseError(
            f"Text classification has no layout for the data set {dataset_id!r}. "
            f"Known: {', '.join(sorted(LAYOUTS))}. Add a line to LAYOUTS in {__name__}."
        )
    return LAYOUTS[dataset_id]


def _own(table: own_data.Table) -> own_data.Parsed:
    texts, (labels, names) = table.texts("text"), table.classes("label")
    return own_data.Parsed(Examples(texts, labels), names, [[text] for text in texts])


def _examples(split: "Dataset", layout: Layout) -> Examples:
    texts = [text.strip() for text in split[layout.text]]
    return Examples(texts, np.asarray(split[layout.label], dtype=np.int64))


def _stratified_order(labels: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """An order of all rows in which every prefix holds the classes in their overall shares.

    The k-th row of a class with m rows gets the place (k + ½) / m; sorting by place interleaves the
    classes evenly. Within a class the order is random.
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(labels))
    places = np.empty(len(labels))
    for label in np.unique(labels):
        rows = np.flatnonzero(labels[order] == label)
        places[rows] = (np.arange(len(rows)) + 0.5) / len(rows)
    return order[np.argsort(places, kind="stable")]


def _cut_validation(train: Examples, limit: int, phrases: bool) -> tuple[Examples, Examples]:
    """Split off `limit` rows; with `phrases`, drop every training row that overlaps with them."""
    if not limit:
        return train, train.take(np.array([], dtype=np.int64))
    if limit >= len(train):
        raise CourseError(
            f"A validation split of {limit} rows does not fit into {len(train)} training rows. "
            "Lower validation_limit."
        )
    order = _stratified_order(train.labels, seed=0)
    if not phrases:
        return train.take(np.sort(order[limit:])), train.take(order[:limit])
    tokens = [tuple(text.lower().split()) for text in train.texts]
    chosen = _whole_sentences(tokens, order, limit)
    # No row holds a chosen one, so what overlaps with them are their own pieces and repeats.
    pieces = {piece for row in chosen for piece in _pieces(tokens[row])}
    kept = [row for row, words in enumerate(tokens) if words not in pieces]
    return train.take(np.array(kept, dtype=np.int64)), train.take(np.array(chosen, dtype=np.int64))


_SHORTEST_SENTENCE = 4
"""Fewest words of a row that may stand for a whole sentence in the validation split."""


def _whole_sentences(
    tokens: list[tuple[str, ...]], order: NDArray[np.int64], limit: int
) -> list[int]:
    """The first `limit` rows in `order` that are not a piece of another row, each text once."""
    holders: dict[tuple[str, ...], set[tuple[str, ...]]] = defaultdict(set)
    for words in set(tokens):
        for opening in _runs(words, _SHORTEST_SENTENCE):
            holders[opening].add(words)
    chosen: list[int] = []
    seen: set[tuple[str, ...]] = set()
    for row in order:
        words = tokens[row]
        candidates = holders.get(words[:_SHORTEST_SENTENCE], set()) - {words}
        inside = any(words in _runs(other, len(words)) for other in candidates)
        if len(words) >= _SHORTEST_SENTENCE and not inside and words not in seen:
            chosen.append(int(row))
            seen.add(words)
        if len(chosen) == limit:
            return chosen
    raise CourseError(
        f"Only {len(chosen)} rows are whole sentences of at least {_SHORTEST_SENTENCE} words; "
        f"{limit} were asked for. Lower validation_limit."
    )


def _runs(words: tuple[str, ...], length: int) -> Iterator[tuple[str, ...]]:
    """All runs of `length` consecutive words."""
    return (words[start : start + length] for start in range(len(words) - length + 1))


def _pieces(words: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """All runs of consecutive words, the whole row included."""
    return (piece for length in range(1, len(words) + 1) for piece in _runs(words, length))
