"""What learners of lesson 18 might write, independently of the checker's own mutants."""

import math
import statistics

import numpy as np
import pytest

from utils.lesson.practice import get_exercise


def spread_by_library(accuracies):
    return statistics.stdev(accuracies.tolist())


def spread_of_population(accuracies):
    return statistics.pstdev(accuracies.tolist())


def spread_of_mean(accuracies):
    return statistics.stdev(accuracies.tolist()) / math.sqrt(len(accuracies))


def spread_around_median(accuracies):
    middle = np.median(accuracies)
    return float(np.sqrt(((accuracies - middle) ** 2).sum() / (len(accuracies) - 1)))


def interval_of_differences(ours, theirs, rows, columns):
    difference = ours - theirs
    draws = sorted(
        float(difference[np.ix_(r, c)].mean()) for r, c in zip(rows, columns, strict=True)
    )
    return tuple(np.percentile(draws, [2.5, 97.5]).tolist())


def interval_with_fixed_seeds(ours, theirs, rows, columns):
    draws = [np.mean(ours[:, c]) - np.mean(theirs[:, c]) for c in columns]
    return tuple(np.percentile(draws, [2.5, 97.5]).tolist())


def interval_of_theirs_minus_ours(ours, theirs, rows, columns):
    return interval_of_differences(theirs, ours, rows, columns)


def interval_at_one_side(ours, theirs, rows, columns):
    difference = ours - theirs
    draws = [difference[np.ix_(r, c)].mean() for r, c in zip(rows, columns, strict=True)]
    return float(np.percentile(draws, 5)), float(max(draws))


def holm_by_numpy(p_values):
    p = np.asarray(p_values)
    order = p.argsort()
    steps = np.arange(len(p), 0, -1) * p[order]
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return adjusted.tolist()


def holm_without_order(p_values):
    p = sorted(p_values)
    steps = np.arange(len(p), 0, -1) * p
    return np.minimum(np.maximum.accumulate(steps), 1).tolist()


def holm_without_maximum(p_values):
    p = np.asarray(p_values)
    order = p.argsort()
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(np.arange(len(p), 0, -1) * p[order], 1)
    return adjusted.tolist()


def benjamini_hochberg(p_values):
    p = np.asarray(p_values)
    order = p.argsort()[::-1]
    steps = len(p) / np.arange(len(p), 0, -1) * p[order]
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(np.minimum.accumulate(steps), 1)
    return adjusted.tolist()


@pytest.mark.parametrize(
    ("number", "submission"),
    [("18.1", spread_by_library), ("18.2", interval_of_differences), ("18.3", holm_by_numpy)],
)
def test_other_ways_to_be_right(number, submission):
    assert get_exercise(number).diagnose(submission).status == "correct"


@pytest.mark.parametrize(
    ("number", "submission", "mistake"),
    [
        ("18.1", spread_of_population, "divided by k"),
        ("18.1", spread_of_mean, "the standard error"),
        ("18.2", interval_with_fixed_seeds, "seeds not drawn"),
        ("18.2", interval_of_theirs_minus_ours, "the wrong way round"),
        ("18.3", holm_without_order, "returned in sorted order"),
        ("18.3", holm_without_maximum, "the running maximum left out"),
    ],
)
def test_known_mistakes_are_named(number, submission, mistake):
    assert get_exercise(number).diagnose(submission).mistake == mistake


@pytest.mark.parametrize(
    ("number", "submission"),
    [
        ("18.1", spread_around_median),
        ("18.2", interval_at_one_side),
        ("18.3", benjamini_hochberg),
    ],
)
def test_unknown_mistakes_get_no_false_name(number, submission):
    report = get_exercise(number).diagnose(submission)
    assert report.status == "wrong"
    assert report.mistake is None
