"""Copy or reverse a sequence: small tasks that only attention between positions can solve.

Sequences of 8 to 16 tokens, drawn evenly from 32, as in the tests of the Neural Turing Machine
(Graves et al., 2014). A sequence counts as right only if every token and its end are.
"""

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from utils.errors import CourseError
from utils.sources import Source
from utils.tasks.splits import Splits

NAME = "sequence-copying"

VERSION = 1
"""Raise by hand whenever a change of this file changes sequences or scores."""

METRIC = "accuracy"

PAD, START, END = 0, 1, 2
TOKENS = (
    "[PAD]",
    "[START]",
    "[END]",
    *(f"{letter}{digit}" for letter in "abcd" for digit in range(8)),
)
SHORTEST, LONGEST = 8, 16

DATASETS = {"course/copy": False, "course/reverse": True}
"""Id of each data set → whether its targets are reversed."""

_N_TRAIN, _N_VALIDATION, _N_TEST = 100_000, 500, 1000


@dataclass(frozen=True)
class SequencePairs:
    """Sources (n, 16) and targets (n, 17), the latter with the end token; PAD fills up."""

    source_ids: NDArray[np.int64]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.source_ids)

    def take(self, rows: slice | NDArray[np.int64]) -> "SequencePairs":
        """The pairs in `rows`."""
        return SequencePairs(self.source_ids[rows], self.labels[rows])


def load(
    dataset_id: str,
    *,
    profile: str = "quick",
    validation_limit: int = _N_VALIDATION,
    test_limit: int | None = None,
) -> Splits:
    """Draw all sequences of "course/copy" or "course/reverse", always the same ones.

    Raises:
        CourseError: for another id, or limits beyond 500 validation and 1,000 test sequences.
    """
    if dataset_id not in DATASETS:
        known = " and ".join(DATASETS)
        raise CourseError(f"There are no sequences called {dataset_id!r}. Known: {known}.")
    n_test = test_limit or _N_TEST
    if validation_limit > _N_VALIDATION or n_test > _N_TEST:
        raise CourseError(
            f"There are {_N_VALIDATION} validation and {_N_TEST} test sequences; "
            f"{validation_limit} and {n_test} were asked for."
        )
    pairs = _draw(_N_TRAIN + _N_VALIDATION + _N_TEST, DATASETS[dataset_id])
    digest = hashlib.sha256(pairs.source_ids.tobytes() + pairs.labels.tobytes()).hexdigest()
    source = Source(
        kind="generated",
        id=dataset_id,
        revision=None,
        fingerprint=digest[:16],
        location="generated",
        licence="Apache-2.0, as the course",
    )
    first = _N_TRAIN + _N_VALIDATION
    return Splits(
        train=pairs.take(slice(_N_TRAIN)),
        validation=pairs.take(slice(_N_TRAIN, _N_TRAIN + validation_limit)),
        test=pairs.take(slice(first, first + n_test)),
        label_names=list(TOKENS),
        source=source,
    )


def subset(train: SequencePairs, n: int | None, data_seed: int) -> SequencePairs:
    """`n` training pairs: from place 7919 · `data_seed` on, round the end to the beginning.

    Raises:
        CourseError: if there are fewer than `n`.
    """
    if n is not None and n > len(train):
        raise CourseError(f"There are {len(train)} training sequences; {n} were asked for.")
    rows = np.roll(np.arange(len(train)), -7919 * data_seed)[:n]
    return SequencePairs(train.source_ids[rows], train.labels[rows])


def score(
    predictions: NDArray[np.int64], examples: SequencePairs
) -> tuple[dict[str, float], dict[str, NDArray[np.bool_]]]:
    """Shares of sequences and of tokens that are right.

    `predictions` (n, 17) holds tokens, PAD after the end. "accuracy" is the share of exact
    sequences; a token is compared with the one at its place in the target, end included.
    """
    equal = predictions == examples.labels
    exact, real = equal.all(axis=1), examples.labels != PAD
    metrics = {"accuracy": float(exact.mean()), "token_accuracy": float(equal[real].mean())}
    return metrics, {"accuracy": exact}


def _draw(n: int, reverse: bool) -> SequencePairs:
    rng = np.random.default_rng(0)
    lengths = rng.integers(SHORTEST, LONGEST + 1, size=(n, 1))
    places = np.arange(LONGEST)
    words = rng.integers(END + 1, len(TOKENS), size=(n, LONGEST))
    source_ids = np.where(places < lengths, words, PAD)
    targets = source_ids
    if reverse:
        mirrored = np.clip(lengths - 1 - places, 0, None)
        targets = np.where(places < lengths, np.take_along_axis(words, mirrored, axis=1), PAD)
    labels = np.concatenate([targets, np.full((n, 1), PAD)], axis=1)
    np.put_along_axis(labels, lengths, END, axis=1)
    return SequencePairs(source_ids, labels)
