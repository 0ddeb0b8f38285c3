"""What learners of lesson 16 might write, independently of the checker's own mutants."""

import math
from collections.abc import Callable
from fractions import Fraction
from math import comb

import numpy as np
import pytest
from scipy.stats import binomtest, chi2, false_discovery_control, norm
from sklearn.metrics import f1_score, precision_recall_fscore_support

from utils.lesson.practice import get_exercise
from utils.report.statistics import holm
from utils.significance import examples_needed, mcnemar

# --- 16.1: precision, recall, F1


def scores_by_loop(predictions, references, *, f1=None, positive=1, empty=0.0):
    tp = fp = fn = 0
    for p, r in zip(predictions, references, strict=True):
        tp += p == positive and r == positive
        fp += p == positive and r != positive
        fn += p != positive and r == positive
    precision = tp / (tp + fp) if tp + fp else empty
    recall = tp / (tp + fn) if tp + fn else empty
    if f1 is not None:
        return precision, recall, f1(precision, recall, np.mean(predictions == references))
    both = precision + recall
    return precision, recall, 2 * precision * recall / both if both else empty


def scores_by_library(predictions, references):
    return precision_recall_fscore_support(
        references, predictions, labels=[1], average="macro", zero_division=0
    )[:3]


def harmonic(a, b):
    return 2 * a * b / (a + b) if a + b else 0.0


# --- 16.2: macro F1


def macro_by_table(predictions, references, *, classes=None, weights=None):
    """From the confusion matrix."""
    table = np.zeros((10, 10))
    np.add.at(table, (references, predictions), 1)
    rows, columns, hits = table.sum(axis=1), table.sum(axis=0), np.diag(table)
    chosen = (rows + columns > 0) if classes is None else classes(rows, columns)
    scores = 2 * hits[chosen] / np.maximum(rows + columns, 1)[chosen]
    return float(np.average(scores, weights=None if weights is None else rows[chosen]))


def macro_of_means(predictions, references):
    p, r, _, _ = precision_recall_fscore_support(
        references, predictions, average="macro", zero_division=0
    )
    return harmonic(p, r)


# --- 16.3: McNemar


def mcnemar_by_fractions(first, second, *, tails=2, n=None, cap=True, below=0):
    wins = sum(bool(a) and not b for a, b in zip(first, second, strict=True))
    losses = sum(bool(b) and not a for a, b in zip(first, second, strict=True))
    flips = wins + losses if n is None else n(first)
    lower = sum(comb(flips, k) for k in range(min(wins, losses) + 1 - below))
    p = float(Fraction(tails * lower, 2**flips))
    return min(1.0, p) if cap else p


def mcnemar_by_scipy(first, second):
    wins, losses = np.sum(first > second), np.sum(first < second)
    return binomtest(int(wins), int(wins + losses)).pvalue if wins + losses else 1.0


def mcnemar_by_chi2(first, second):
    b, c = np.sum(first > second), np.sum(first < second)
    return float(chi2.sf((b - c) ** 2 / (b + c), 1)) if b + c else 1.0


def unpaired_z(first, second):
    n, p = len(first), np.concatenate([first, second]).mean()
    return float(2 * norm.sf(abs(first.sum() - second.sum()) / np.sqrt(2 * n * p * (1 - p))))


# --- 16.4: Holm


def holm_by_accumulate(p_values):
    p = np.array(p_values)
    order = np.argsort(p)
    steps = np.minimum(1, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
    return steps[np.argsort(order)]


def holm_without_memory(p_values):
    """The factor is the number of p-values that are not smaller."""
    return [min(1.0, p * sum(q >= p for q in p_values)) for p in p_values]


# --- 16.5: planning


def plan(difference, discordant, power, *, tail=0.025, rounded=math.ceil, spread=None, z=None):
    z_power = norm.isf(1 - power) if z is None else z
    inner = discordant - difference**2 if spread is None else spread
    root = norm.isf(tail) * discordant**0.5 + z_power * inner**0.5
    return rounded(root**2 / difference**2)


@pytest.mark.parametrize(
    ("number", "learner", "status", "mistake"),
    [
        ("16.1", scores_by_loop, "correct", None),
        ("16.1", scores_by_library, "correct", None),
        (
            "16.1",
            lambda p, r: scores_by_loop(p, r, f1=lambda _, rec, acc: harmonic(acc, rec)),
            "mistake",
            "accuracy in place",
        ),
        (
            "16.1",
            lambda p, r: scores_by_loop(p, r, f1=lambda a, b, _: np.mean([a, b])),
            "mistake",
            "arithmetic",
        ),
        ("16.1", lambda p, r: scores_by_loop(r, p), "mistake", "swapped"),
        ("16.1", lambda p, r: scores_by_loop(p, r, positive=0), "mistake", "the other class"),
        ("16.1", lambda p, r: scores_by_loop(p, r, empty=math.nan), "mistake", "by nothing"),
        (
            "16.1",
            lambda p, r: scores_by_loop(p, r, f1=lambda a, b, _: math.sqrt(a * b)),
            "wrong",
            None,
        ),
        ("16.1", lambda p, r: scores_by_loop(p, r, empty=1.0), "wrong", None),
        ("16.1", lambda p, r: p.precision(r), "error", None),
        ("16.2", macro_by_table, "correct", None),
        (
            "16.2",
            lambda p, r: f1_score(r, p, average="macro", zero_division=0),
            "correct",
            None,
        ),
        ("16.2", lambda p, r: f1_score(r, p, average="micro"), "mistake", "micro"),
        (
            "16.2",
            lambda p, r: f1_score(r, p, average="weighted", zero_division=0),
            "mistake",
            "weighted",
        ),
        ("16.2", macro_of_means, "mistake", "mean precision"),
        (
            "16.2",
            lambda p, r: macro_by_table(p, r, classes=lambda rows, _: rows > 0),
            "mistake",
            "forgotten",
        ),
        (
            "16.2",
            lambda p, r: f1_score(
                r, p, average="macro", labels=range(max(p.max(), r.max()) + 1), zero_division=0
            ),
            "mistake",
            "absent",
        ),
        (
            "16.2",
            lambda p, r: macro_by_table(p, r, classes=lambda _, columns: columns > 0),
            "wrong",
            None,
        ),
        (
            "16.2",
            lambda p, r: f1_score(r, p, average="macro", labels=[9], zero_division=0),
            "wrong",
            None,
        ),
        ("16.2", lambda p, r: p @ r[:-1], "error", None),
        ("16.3", mcnemar_by_fractions, "correct", None),
        ("16.3", mcnemar_by_scipy, "correct", None),
        ("16.3", mcnemar, "correct", None),
        ("16.3", lambda a, b: mcnemar_by_fractions(a, b, tails=1), "mistake", "one-sided"),
        ("16.3", lambda a, b: mcnemar_by_fractions(a, b, cap=False), "mistake", "more than 1"),
        ("16.3", lambda a, b: mcnemar_by_fractions(a, b, below=1), "mistake", "left out"),
        ("16.3", lambda a, b: mcnemar_by_fractions(a, b, n=len), "mistake", "both agree"),
        ("16.3", mcnemar_by_chi2, "mistake", "normal"),
        ("16.3", unpaired_z, "mistake", "not paired"),
        ("16.3", lambda a, b: 1 - mcnemar_by_scipy(a, b), "wrong", None),
        ("16.3", lambda a, b: float((a != b).mean()), "wrong", None),
        ("16.3", lambda a, b: a[len(b)], "error", None),
        ("16.4", holm_by_accumulate, "correct", None),
        ("16.4", holm, "correct", None),
        ("16.4", lambda p: np.minimum(1, np.array(p) * len(p)).tolist(), "mistake", "Bonferroni"),
        ("16.4", lambda p: false_discovery_control(p).tolist(), "mistake", "Benjamini"),
        ("16.4", holm_without_memory, "mistake", "monotone"),
        ("16.4", lambda p: sorted(holm_by_accumulate(p).tolist()), "mistake", "sorted"),
        (
            "16.4",
            lambda p: [float(x) for x in 1 - (1 - np.array(p)) ** len(p)],  # Šidák
            "wrong",
            None,
        ),
        ("16.4", lambda p: p, "wrong", None),
        ("16.4", lambda p: p.sum(), "error", None),
        ("16.5", plan, "correct", None),
        ("16.5", examples_needed, "correct", None),
        ("16.5", lambda *a: plan(*a, tail=0.05), "mistake", "one-sided"),
        ("16.5", lambda *a: plan(*a, z=0), "mistake", "forgotten"),
        ("16.5", lambda d, e, power: plan(d, e, 1 - power), "mistake", "beta"),
        ("16.5", lambda *a: plan(*a, rounded=int), "mistake", "rounded down"),
        ("16.5", lambda d, e, p: plan(d, e, p, spread=e), "mistake", "same spread"),
        ("16.5", lambda *a: plan(*a, tail=0.005), "wrong", None),
        ("16.5", lambda *a: plan(*a) + 1, "wrong", None),
        ("16.5", lambda d, e, p: norm.ppf(p).missing, "error", None),
    ],
)
def test_what_learners_might_write(
    number: str, learner: Callable, status: str, mistake: str | None, diagnosed: Callable
) -> None:
    diagnosed(number, learner, status, mistake)


@pytest.mark.parametrize("number", [f"16.{i}" for i in range(1, 6)])
def test_what_stands_in_the_notebook_untouched_counts_as_not_attempted(
    number: str, diagnosed: Callable
) -> None:
    def untouched(*arguments):
        return ...

    diagnosed(number, untouched, "not attempted", None)


@pytest.mark.parametrize("number", [f"16.{i}" for i in range(1, 6)])
def test_no_two_mistakes_look_alike(number: str) -> None:
    assert get_exercise(number).ambiguities() == []
