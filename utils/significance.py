"""Paired tests: are two models, tested on the same examples, equally good?

Both look only at where the two differ. Dror et al. (2018, ACL) say which test fits which metric.
And how many examples such a test needs.
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import binomtest, norm

from utils.errors import CourseError

_CHUNK = 1_000


def mcnemar(first: ArrayLike, second: ArrayLike) -> float:
    """Exact two-sided p-value of McNemar's test (McNemar, 1947, Psychometrika 12).

    If both models are equally good, each example on which exactly one is right is as likely to be
    won by either: their wins are flips of a fair coin. Examples on which both are right, or both
    wrong, tell nothing about which is better. Without any such example p is 1.

    Args:
        first, second: whether each model is right on each example, (n_examples,) booleans.

    Raises:
        CourseError: if they are empty, differ in shape, or are not right-or-wrong.
    """
    ours, theirs = _paired(first, second)
    if not np.isin(np.concatenate([ours, theirs]), (0, 1)).all():
        raise CourseError(
            "McNemar's test needs right or wrong for each example. For scores in between, such as "
            "F1 of an answer, use approximate_randomisation."
        )
    wins, losses = (
        int(((ours == 1) & (theirs == 0)).sum()),
        int(((ours == 0) & (theirs == 1)).sum()),
    )
    return float(binomtest(wins, wins + losses).pvalue) if wins + losses else 1.0


def approximate_randomisation(
    first: ArrayLike, second: ArrayLike, *, n_draws: int = 10_000, seed: int = 0
) -> float:
    """Two-sided p-value that two models have the same mean score (Noreen, 1989; Yeh, 2000, COLING).

    If it does not matter which model gave which answer, the two scores of any example may be
    swapped. p is the share of random swaps after which the means differ by as much as they really
    do, or more; one is added to both counts, since what was observed is one of the ways to swap.

    Args:
        first, second: the score of each model on each example, (n_examples,) numbers.
        n_draws: number of random ways to swap.
        seed: of the draws.

    Raises:
        CourseError: if the scores are empty or differ in shape.
    """
    ours, theirs = _paired(first, second)
    difference = ours - theirs
    observed = abs(difference.sum())
    random, as_large = np.random.default_rng(seed), 0
    for start in range(0, n_draws, _CHUNK):
        shape = min(_CHUNK, n_draws - start), len(difference)
        signs = random.integers(2, size=shape, dtype=np.int8) * 2 - 1
        # Sums of the same numbers in another order must count as equal.
        as_large += int((np.abs(signs @ difference) >= observed - 1e-9).sum())
    return (as_large + 1) / (n_draws + 1)


def examples_needed(
    difference: float, discordant: float, power: float = 0.8, alpha: float = 0.05
) -> int:
    """Test examples with which a paired test finds a difference (Connor, 1987, Biometrics 43).

    For right-or-wrong answers and the two-sided McNemar test, by the normal distribution.

    Args:
        difference: by which the accuracies truly differ, as a share.
        discordant: share of the examples on which exactly one model is right; at least as large.
        power: the chance to find the difference.
        alpha: the chance to find one where there is none.

    Raises:
        CourseError: if no two models can differ like that.
    """
    if not 0 < difference <= discordant <= 1:
        raise CourseError(
            f"Two models that disagree on {discordant:.1%} of the examples cannot differ by "
            f"{difference:.1%}: the difference must be above 0 and at most the share on which they "
            "disagree."
        )
    by_chance = float(norm.isf(alpha / 2)) * math.sqrt(discordant)
    in_truth = float(norm.ppf(power)) * math.sqrt(discordant - difference**2)
    return math.ceil(((by_chance + in_truth) / difference) ** 2)


def _paired(first: ArrayLike, second: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    ours, theirs = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    if ours.shape != theirs.shape or ours.ndim != 1 or not ours.size:
        raise CourseError(
            "A paired test needs one score of each model for each example, in the same order, but "
            f"the shapes are {ours.shape} and {theirs.shape}."
        )
    return ours, theirs
