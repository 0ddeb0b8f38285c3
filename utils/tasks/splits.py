"""A data set, ready for a task."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

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
