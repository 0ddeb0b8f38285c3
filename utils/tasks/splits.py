"""A data set, ready for a task."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from utils.errors import CourseError
from utils.sources import Source


@dataclass(frozen=True)
class Splits:
    """Examples as the task has them: each split has a length and `labels`.

    `validation` is cut from the data set's train split, `test` is the split that is reported.
    `label_names` are the classes, or the tokens where tokens are predicted.
    """

    train: Any
    validation: Any
    test: Any
    label_names: list[str]
    source: Source


class Drawable(Protocol):
    """Examples of a task, of which some can be taken."""

    def __len__(self) -> int:
        """How many there are."""
        ...

    def take(self, indices: NDArray[np.int64]) -> Self:
        """The examples at `indices`, in that order."""
        ...


E = TypeVar("E", bound=Drawable)


def draw(train: E, n: int | None, data_seed: int, what: str) -> E:
    """Draw `n` training examples, nested: a larger `n` with the same seed holds the smaller one's.

    `n=None` returns all of them in their own order. `what` they are, in an error, is a plural.

    Raises:
        CourseError: if there are fewer than `n`.
    """
    if n is None:
        return train
    if n > len(train):
        raise CourseError(
            f"{n:,} training {what} were asked for, but there are {len(train):,}. Ask for fewer, "
            "or for all (n_train=None)."
        )
    return train.take(np.random.default_rng(data_seed).permutation(len(train))[:n])


def sample(examples: E, limit: int | None) -> E:
    """At most `limit` examples, always the same ones, in their own order; all of them for None."""
    if limit is None or limit >= len(examples):
        return examples
    drawn = np.random.default_rng(0).permutation(len(examples))[:limit]
    return examples.take(np.sort(drawn))


def held_out_groups(groups: Sequence[str], n_examples: int) -> NDArray[np.bool_]:
    """Which examples are of the groups, drawn with a fixed seed, that hold `n_examples` or more.

    Whole articles, for example, so that no paragraph stands in two splits.

    Raises:
        CourseError: if there are no more than `n_examples`.
    """
    names, numbers, counts = np.unique(groups, return_inverse=True, return_counts=True)
    if n_examples >= len(groups):
        raise CourseError(
            f"A validation split of {n_examples:,} questions does not fit into {len(groups):,}. "
            "Lower validation_limit."
        )
    order = np.random.default_rng(0).permutation(len(names))
    before = np.cumsum(counts[order]) - counts[order]
    return np.isin(numbers, order[before < n_examples])
