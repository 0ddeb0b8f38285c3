"""Machine translation: a sentence in one language in, the same in another one out.

Judged by BLEU (Papineni et al., 2002) and chrF (Popović, 2015), both by sacrebleu (Post, 2018) on
text as people write it. Both are measures of a whole corpus. What decides, and what intervals and
tests are computed from, is the mean over sentences of chrF, which a single sentence has, too.
"""

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from utils import sources
from utils.errors import CourseError
from utils.metrics import ChrF, Sacrebleu
from utils.tasks import own_data
from utils.tasks.splits import Splits, draw, sample

if TYPE_CHECKING:
    from datasets import Dataset

NAME = "translation"

VERSION = 1
"""Raise by hand whenever a change of this file changes splits, subsets or scores."""

METRIC = "sentence_chrf"

OWN_COLUMNS = ("text", "translation")

CAPTIONS = "bentrevett/multi30k"
DATASETS = (CAPTIONS,)
SOURCE, TARGET = "en", "de"


@dataclass(frozen=True)
class Examples:
    """Sentences and their translations."""

    sources: list[str]
    targets: list[str]

    def __len__(self) -> int:
        return len(self.sources)

    @property
    def texts(self) -> list[str]:
        """Running text of both languages: what is left if nobody says what belongs together."""
        return [*self.sources, *self.targets]

    def take(self, indices: NDArray[np.int64]) -> "Examples":
        """The pairs at `indices`, in that order."""
        return Examples([self.sources[i] for i in indices], [self.targets[i] for i in indices])


def load(
    dataset_id: str,
    *,
    profile: str = "quick",
    validation_limit: int | None = 500,
    test_limit: int | None = None,
) -> Splits:
    """Load image captions, English to German (Multi30k; Elliott et al., 2016).

    With limits, samples of the validation and of the reported split, drawn with a fixed seed.
    `dataset_id` may also be a file of one's own, see `own_data`.

    Raises:
        CourseError: if the task does not know the data set, or it cannot be reached.
    """
    if own_data.is_own(dataset_id):
        return own_data.load(
            dataset_id, _own, validation_limit=validation_limit, test_limit=test_limit
        )
    if dataset_id not in DATASETS:
        known = " and ".join(DATASETS)
        raise CourseError(f"Translation does not know {dataset_id!r}. Known: {known}.")
    dataset, source = sources.load_dataset(dataset_id, profile=profile)
    train, validation, test = (_pairs(dataset[name]) for name in ("train", "validation", "test"))
    return Splits(train, sample(validation, validation_limit), sample(test, test_limit), [], source)


def subset(train: Examples, n: int | None, data_seed: int) -> Examples:
    """Draw `n` training pairs, nested: a larger `n` with the same seed holds the smaller one's.

    `n=None` returns all of them in their own order.

    Raises:
        CourseError: if there are fewer than `n`.
    """
    return draw(train, n, data_seed, "pairs")


def score(
    predictions: NDArray[np.str_], examples: Examples
) -> tuple[dict[str, float], dict[str, NDArray[np.float32]]]:
    """BLEU and chrF of all translations, in 0..100, and the mean of chrF of each, in 0..1.

    Args:
        predictions: (n_sentences,) translations.
        examples: the sentences.
    """
    if len(predictions) != len(examples):
        raise ValueError(f"{len(predictions)} translations for {len(examples)} sentences")
    pairs = {"predictions": predictions.tolist(), "references": examples.targets}
    each = sentence_chrf(*pairs.values())
    metrics = {
        "bleu": float(Sacrebleu().compute(**pairs)["score"]),
        "chrf": float(ChrF().compute(**pairs)["score"]),
        METRIC: float(each.mean(dtype=float)),
    }
    return metrics, {METRIC: each}


def sentence_chrf(written: list[str], wanted: list[str]) -> NDArray[np.float32]:
    """chrF of each sentence, (n_sentences,), in 0..1."""
    chrf = _chrf()
    rows = zip(written, wanted, strict=True)
    return np.array([chrf.sentence_score(a, [b]).score / 100 for a, b in rows], dtype=np.float32)


def signature() -> str:
    """How BLEU is computed here; two values can be compared only if their signatures are equal."""
    return str(Sacrebleu().compute(predictions=["a"], references=["a"])["signature"])


@cache
def _chrf() -> Any:
    from sacrebleu.metrics import CHRF

    return CHRF()


def _own(table: own_data.Table) -> own_data.Parsed:
    sources_, targets = table.texts("text"), table.texts("translation")
    return own_data.Parsed(Examples(sources_, targets), [], [[text] for text in sources_])


def _pairs(split: "Dataset") -> Examples:
    columns = split[:]
    return Examples(*([text.strip() for text in columns[name]] for name in (SOURCE, TARGET)))
