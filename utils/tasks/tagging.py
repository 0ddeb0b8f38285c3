"""Tagging: a tag for each word, of which entities are read (persons, places, organisations).

Tags are IOB2: `B-PER` begins a person, `I-PER` goes on with one, `O` is no part of an entity
(Tjong Kim Sang and De Meulder, 2003, CoNLL). What counts is whole entities.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from utils import sources
from utils.errors import CourseError
from utils.tasks.splits import Splits

if TYPE_CHECKING:
    from datasets import Dataset

NAME = "tagging"

VERSION = 1
"""Raise by hand whenever a change of this file changes splits, subsets or scores."""

METRIC = "f1"


@dataclass(frozen=True)
class Layout:
    """Columns of a data set: words, and the number of each word's tag."""

    words: str = "tokens"
    tags: str = "ner_tags"


LAYOUTS = {"eriktks/conll2003": Layout(), "leondz/wnut_17": Layout()}


@dataclass(frozen=True)
class Examples:
    """Sentences as lists of words, a tag number for each word, and what the numbers mean.

    0 means `O`.
    """

    texts: list[list[str]]
    tags: list[NDArray[np.int64]]
    tag_names: list[str]

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def labels(self) -> NDArray[np.int64]:
        """All tag numbers, sentence after sentence, (n_words,)."""
        return np.concatenate([*self.tags, np.zeros(0, dtype=np.int64)])

    def take(self, indices: NDArray[np.int64]) -> "Examples":
        """The sentences at `indices`, in that order."""
        texts, tags = [self.texts[i] for i in indices], [self.tags[i] for i in indices]
        return Examples(texts, tags, self.tag_names)


def load(
    dataset_id: str,
    *,
    profile: str = "quick",
    validation_limit: int | None = 500,
    test_limit: int | None = None,
) -> Splits:
    """Load `dataset_id` with its own three splits.

    With limits, samples of its validation and test splits, drawn with a fixed seed.

    Raises:
        CourseError: if the task does not know the data set, or it lacks a split.
    """
    if dataset_id not in LAYOUTS:
        raise CourseError(
            f"Tagging has no layout for the data set {dataset_id!r}. Known: "
            f"{', '.join(sorted(LAYOUTS))}. Add a line to LAYOUTS in {__name__}."
        )
    dataset, source = sources.load_dataset(dataset_id, profile=profile)
    if missing := {"train", "validation", "test"} - set(dataset):
        raise CourseError(f"{dataset_id} has no split {' and '.join(sorted(missing))}.")
    layout = LAYOUTS[dataset_id]
    names = dataset["train"].features[layout.tags].feature.names
    if names[0] != "O":
        raise CourseError(f"The first tag of {dataset_id} is {names[0]!r}; it must be 'O'.")
    train, validation, test = (
        _examples(dataset[split], layout) for split in ("train", "validation", "test")
    )
    return Splits(
        train=train,
        validation=_sample(validation, validation_limit),
        test=_sample(test, test_limit),
        label_names=train.tag_names,
        source=source,
    )


def subset(train: Examples, n: int | None, data_seed: int) -> Examples:
    """Draw `n` training sentences, nested: a larger `n` with the same seed holds the smaller one's.

    `n=None` returns all of them in their own order.

    Raises:
        CourseError: if there are fewer than `n` sentences.
    """
    if n is None:
        return train
    if n > len(train):
        raise CourseError(
            f"{n} training sentences were asked for, but there are {len(train)}. Ask for fewer, "
            "or for all (n_train=None)."
        )
    return train.take(np.random.default_rng(data_seed).permutation(len(train))[:n])


def score(
    predictions: NDArray[np.int64], examples: Examples
) -> tuple[dict[str, float], dict[str, NDArray[np.int64]]]:
    """F1, precision and recall of entities, and the share of words with the right tag.

    An entity is right if its words and its type are. Where no entity is predicted, precision is 0;
    where there is none, recall is 0, as seqeval has it.

    Args:
        predictions: (n_words,) tag numbers, sentence after sentence.
        examples: the sentences.

    Returns:
        The metrics, and as "entities" for each sentence how many were right, how many predicted and
        how many there are, (n_sentences, 3).
    """
    ends = np.cumsum([len(tags) for tags in examples.tags])
    if len(predictions) != ends[-1]:
        raise ValueError(f"{len(predictions)} tags predicted for {ends[-1]} words")
    rows = zip(np.split(predictions, ends[:-1]), examples.tags, strict=True)
    counts = np.array([_count(found, true, examples.tag_names) for found, true in rows])
    right, predicted, real = counts.sum(axis=0)
    metrics = {
        "f1": 2 * right / max(predicted + real, 1),
        "precision": right / max(predicted, 1),
        "recall": right / max(real, 1),
        "accuracy": (predictions == examples.labels).mean(),
    }
    return {name: float(value) for name, value in metrics.items()}, {"entities": counts}


def entities(tags: Sequence[str]) -> set[tuple[str, int, int]]:
    """Type, first and last word of each entity of a sentence, as the CoNLL script reads tags.

    An `I-` that follows no tag of its type begins an entity.
    """
    from seqeval.metrics.sequence_labeling import get_entities

    return set(get_entities(list(tags)))


def _count(
    found: NDArray[np.int64], true: NDArray[np.int64], names: list[str]
) -> tuple[int, int, int]:
    predicted, real = (entities([names[tag] for tag in tags]) for tags in (found, true))
    return len(predicted & real), len(predicted), len(real)


def _examples(split: "Dataset", layout: Layout) -> Examples:
    names = list(split.features[layout.tags].feature.names)
    words, numbers = split[layout.words], split[layout.tags]
    kept = [i for i in range(len(split)) if len(words[i])]
    return Examples(
        [list(words[i]) for i in kept],
        [np.asarray(numbers[i], dtype=np.int64) for i in kept],
        names,
    )


def _sample(examples: Examples, limit: int | None) -> Examples:
    if limit is None or limit >= len(examples):
        return examples
    drawn = np.random.default_rng(0).permutation(len(examples))[:limit]
    return examples.take(np.sort(drawn))
