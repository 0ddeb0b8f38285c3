"""Tagging: a tag for each word, of which entities are read (persons, places, organisations).

Tags are IOB2: `B-PER` begins a person, `I-PER` goes on with one, `O` is no part of an entity
(Tjong Kim Sang and De Meulder, 2003, CoNLL). What counts is whole entities.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from utils import sources
from utils.errors import CourseError
from utils.tasks import own_data
from utils.tasks.splits import Splits, draw, sample

if TYPE_CHECKING:
    from datasets import Dataset

NAME = "tagging"

VERSION = 1
"""Raise by hand whenever a change of this file changes splits, subsets or scores."""

METRIC = "f1"

OWN_COLUMNS = ("tokens", "tags")


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

    With limits, samples of its validation and test splits, drawn with a fixed seed. `dataset_id`
    may also be a file of one's own, see `own_data`: words and tags as lists, or with spaces
    between.

    Raises:
        CourseError: if the task does not know the data set, or it lacks a split.
    """
    if own_data.is_own(dataset_id):
        return own_data.load(
            dataset_id, _own, validation_limit=validation_limit, test_limit=test_limit
        )
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
        validation=sample(validation, validation_limit),
        test=sample(test, test_limit),
        label_names=train.tag_names,
        source=source,
    )


def subset(train: Examples, n: int | None, data_seed: int) -> Examples:
    """Draw `n` training sentences, nested: a larger `n` with the same seed holds the smaller one's.

    `n=None` returns all of them in their own order.

    Raises:
        CourseError: if there are fewer than `n` sentences.
    """
    return draw(train, n, data_seed, "sentences")


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
    metrics, answers = score_further(predictions, examples)
    return {**metrics, "accuracy": float((predictions == examples.labels).mean())}, answers


def _rows(predictions: NDArray[np.int64], examples: Examples) -> list[NDArray[np.int64]]:
    """The predicted tags of each sentence."""
    ends = np.cumsum([len(tags) for tags in examples.tags])
    if len(predictions) != ends[-1]:
        raise ValueError(f"{len(predictions)} tags predicted for {ends[-1]} words")
    return np.split(predictions, ends[:-1])


SHARED_TYPES = {
    **{"PER": "person", "person": "person"},
    **{"LOC": "location", "location": "location"},
    **{"ORG": "organisation", "corporation": "organisation", "group": "organisation"},
}
"""Types of CoNLL-2003 and WNUT-17 that mean the same, and what they are then called.

CoNLL's organisations are companies, but also teams, bands and institutions, which WNUT-17
(Derczynski et al., 2017, W-NUT) keeps apart as `group`. CoNLL's MISC and WNUT's `product` and
`creative-work` only overlap (MISC has nationalities and events, too): they are left out on both
sides."""


def joined(parts: Sequence[Examples]) -> Examples:
    """The sentences of all `parts`, one after the other, to be tagged in one go.

    Tags keep their numbers, which mean what those of the first part do only in parts of one set.
    """
    texts = [text for part in parts for text in part.texts]
    return Examples(texts, [tags for part in parts for tags in part.tags], parts[0].tag_names)


def parted(predictions: NDArray[np.int64], parts: Sequence[Examples]) -> list[NDArray[np.int64]]:
    """Tags of the sentences of `joined`, (n_words,), as those of each part."""
    return np.split(predictions, np.cumsum([len(part.labels) for part in parts])[:-1])


def score_further(
    predictions: NDArray[np.int64], examples: Examples, own_names: list[str] | None = None
) -> tuple[dict[str, float], dict[str, NDArray[np.int64]]]:
    """F1, precision and recall of entities, as `score` has them, where the model was not trained.

    Args:
        predictions: (n_words,) tag numbers, sentence after sentence.
        examples: the sentences.
        own_names: what the predicted numbers mean, to count only the types of `SHARED_TYPES`, under
            the name that both sets share; None where both sides have the same tags, to count all.
    """
    read, names = (_types, own_names) if own_names else (entities, examples.tag_names)
    counts = []
    for found, true in zip(_rows(predictions, examples), examples.tags, strict=True):
        predicted = read([names[tag] for tag in found])
        real = read([examples.tag_names[tag] for tag in true])
        counts.append((len(predicted & real), len(predicted), len(real)))
    table = np.array(counts)
    return entity_scores(table), {"entities": table}


def _types(tags: Sequence[str]) -> set[tuple[str, int, int]]:
    """Entities of shared types, under the shared name."""
    return {
        (SHARED_TYPES[kind], first, last)
        for kind, first, last in entities(tags)
        if kind in SHARED_TYPES
    }


def entity_scores(counts: NDArray[np.int64]) -> dict[str, float]:
    """F1, precision and recall from how many entities were right, predicted and there, (n, 3).

    Counts are added up before anything is divided: long sentences weigh more than short ones.
    """
    right, predicted, real = (int(total) for total in counts.sum(axis=0))
    return {
        "f1": 2 * right / max(predicted + real, 1),
        "precision": right / max(predicted, 1),
        "recall": right / max(real, 1),
    }


def entities(tags: Sequence[str]) -> set[tuple[str, int, int]]:
    """Type, first and last word of each entity of a sentence, as the CoNLL script reads tags.

    An `I-` that follows no tag of its type begins an entity.
    """
    from seqeval.metrics.sequence_labeling import get_entities

    return set(get_entities(list(tags)))


def _own(table: own_data.Table) -> own_data.Parsed:
    words = table.column("tokens", _words, "words")
    tags = table.column("tags", _words, "tags")
    for row, (mine, theirs) in enumerate(zip(words, tags, strict=True)):
        if len(mine) != len(theirs):
            raise CourseError(
                f"{table.places[row]}: there are {len(mine)} tokens and {len(theirs)} tags. Give "
                "each token one tag."
            )
        if wrong := [tag for tag in theirs if not _TAG.fullmatch(tag)]:
            raise CourseError(
                f"{table.places[row]}: {wrong[0]!r} is no tag. Tags are O, or a type after B- "
                "where it begins and I- where it goes on (IOB2)."
            )
    if all(tag == "O" for row in tags for tag in row):
        raise CourseError("All tags are O. Add sentences with entities.")
    names = ["O", *sorted({tag for row in tags for tag in row} - {"O"})]
    places = {name: place for place, name in enumerate(names)}
    numbers = [np.array([places[tag] for tag in row], dtype=np.int64) for row in tags]
    texts = [[" ".join(row)] for row in words]
    return own_data.Parsed(Examples(words, numbers, names), names, texts)


_TAG = re.compile(r"O|[BI]-\S+")


def _words(value: Any) -> list[str] | None:
    return own_data.texts_in(value.split() if isinstance(value, str) else value) or None


def _examples(split: "Dataset", layout: Layout) -> Examples:
    names = list(split.features[layout.tags].feature.names)
    words, numbers = split[layout.words], split[layout.tags]
    kept = [i for i in range(len(split)) if len(words[i])]
    return Examples(
        [list(words[i]) for i in kept],
        [np.asarray(numbers[i], dtype=np.int64) for i in kept],
        names,
    )
