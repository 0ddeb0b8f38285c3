"""Paired tests: by hand, against full enumeration, and at their nominal level."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from utils.errors import CourseError
from utils.significance import approximate_randomisation, examples_needed, mcnemar

pairs = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=40)


def sides(rows: list[tuple[bool, bool]]) -> tuple[np.ndarray, np.ndarray]:
    table = np.array(rows)
    return table[:, 0], table[:, 1]


def test_mcnemar_by_hand() -> None:
    first = [1, 1, 1, 1, 1, 0, 1, 0]  # 5 wins, 1 loss
    second = [0, 0, 0, 0, 0, 1, 1, 0]
    assert mcnemar(first, second) == pytest.approx(2 * 7 / 64)


@given(pairs)
def test_mcnemar_counts_flips_of_a_coin(rows: list[tuple[bool, bool]]) -> None:
    first, second = sides(rows)
    b, c = int((first & ~second).sum()), int((~first & second).sum())
    expected = min(1.0, 2 * float(binom.cdf(min(b, c), b + c, 0.5)))
    assert mcnemar(first, second) == pytest.approx(expected)
    assert mcnemar(second, first) == pytest.approx(expected)


def test_mcnemar_never_calls_more_than_its_level() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.random((2, 600, 60)) < 0.7
    called = np.mean([mcnemar(a, b) <= 0.05 for a, b in zip(first, second, strict=True)])
    assert called < 0.06


@pytest.mark.parametrize("seed", range(5))
def test_randomisation_approaches_all_ways_to_swap(seed: int) -> None:
    rng = np.random.default_rng(seed)
    first, second = rng.random((2, 10)).round(1)
    difference = first - second
    ways = np.array(list(product([1, -1], repeat=10))) @ difference
    exact = float((np.abs(ways) >= abs(difference.sum()) - 1e-9).mean())
    assert approximate_randomisation(first, second) == pytest.approx(exact, abs=0.02)


def test_randomisation_agrees_with_mcnemar_on_right_and_wrong() -> None:
    rng = np.random.default_rng(1)
    first, second = rng.random(300) < 0.8, rng.random(300) < 0.7
    expected = mcnemar(first, second)
    assert approximate_randomisation(first, second) == pytest.approx(expected, abs=0.01)


def test_equal_answers_differ_by_nothing() -> None:
    same = np.array([True, False, True])
    assert mcnemar(same, same) == 1
    assert approximate_randomisation(same, same) == 1


@pytest.mark.parametrize("test", [mcnemar, approximate_randomisation])
@pytest.mark.parametrize(("first", "second"), [([], []), ([1], [1, 0]), ([[1]], [[0]])])
def test_what_cannot_be_paired_is_refused(test, first: list, second: list) -> None:
    with pytest.raises(CourseError, match="one score of each model for each example"):
        test(first, second)


def test_mcnemar_refuses_scores_in_between() -> None:
    with pytest.raises(CourseError, match="approximate_randomisation"):
        mcnemar([0.5, 1], [0, 1])


@pytest.mark.parametrize(("difference", "discordant"), [(0.03, 0.1), (0.02, 0.05), (0.05, 0.3)])
def test_as_many_examples_as_needed_give_the_power(difference: float, discordant: float) -> None:
    n = examples_needed(difference, discordant, power=0.8)
    wins, losses = (discordant + difference) / 2, (discordant - difference) / 2
    rng = np.random.default_rng(2)
    b, c, _ = rng.multinomial(n, [wins, losses, 1 - discordant], size=20_000).T
    p = np.minimum(1, 2 * binom.cdf(np.minimum(b, c), b + c, 0.5))
    assert 0.75 < (p < 0.05).mean() < 0.83


def test_examples_needed_by_hand() -> None:
    # (1.959964 · √0.1 + 0.841621 · √0.0991)² / 0.0009 = (0.619795 + 0.264942)² / 0.0009
    assert examples_needed(0.03, 0.1) == 870


@pytest.mark.parametrize(("difference", "discordant"), [(0.0, 0.1), (0.2, 0.1), (0.1, 1.2)])
def test_impossible_differences_are_refused(difference: float, discordant: float) -> None:
    with pytest.raises(CourseError, match="cannot differ by"):
        examples_needed(difference, discordant)
