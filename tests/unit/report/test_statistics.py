"""Intervals and p-values against formulas, a slow bootstrap and hand-computed values."""

import math
import statistics as stdlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from utils.errors import CourseError
from utils.report.statistics import (
    holm,
    interval_over_seeds,
    mean_and_sd,
    metric_values,
    paired_difference,
    score,
    unpaired_difference,
)
from utils.resampling import hierarchical_bootstrap, ratio_bootstrap


def test_one_seed_agrees_with_the_binomial_standard_error():
    correct = np.random.default_rng(0).random((1, 2000)) < 0.8
    share = correct.mean()
    standard_error = math.sqrt(share * (1 - share) / 2000)
    result = hierarchical_bootstrap(correct)
    assert result.value == pytest.approx(share)
    assert result.draws.std() == pytest.approx(standard_error, rel=0.03)
    assert result.high - result.low == pytest.approx(2 * 1.96 * standard_error, rel=0.05)


def test_seeds_alone_agree_with_the_formula_for_their_mean():
    values = np.array([[0.70], [0.74], [0.80], [0.71], [0.78]])
    result = hierarchical_bootstrap(values, resample_examples=False)
    expected = values.std(ddof=0) / math.sqrt(5)  # ddof=0: the known understatement by (k - 1)/k
    assert result.draws.std() == pytest.approx(expected, rel=0.03)


def test_examples_alone_ignore_how_seeds_differ():
    values = np.repeat([[0.2], [0.9]], 50, axis=1)
    result = hierarchical_bootstrap(values, resample_seeds=False)
    assert result.low == pytest.approx(0.55, abs=1e-6)
    assert result.high == pytest.approx(0.55, abs=1e-6)


def test_agrees_with_a_bootstrap_that_gathers_rows_and_columns():
    rng = np.random.default_rng(1)
    hard = rng.normal(size=300)
    skill = np.array([0.2, 0.9, 1.4, 0.6])[:, np.newaxis]
    values = (skill - hard + rng.normal(size=(4, 300))) > 0
    slow = [
        values[np.ix_(rng.integers(4, size=4), rng.integers(300, size=300))].mean()
        for _ in range(4000)
    ]
    fast = hierarchical_bootstrap(values)
    assert fast.draws.std() == pytest.approx(np.std(slow), rel=0.06)
    assert fast.low == pytest.approx(np.quantile(slow, 0.025), abs=0.01)
    assert fast.high == pytest.approx(np.quantile(slow, 0.975), abs=0.01)


def test_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(2)
    covered = 0
    for _ in range(200):
        # Some examples are hard for all seeds, and some seeds are better on all: mean 0.75.
        example = np.where(rng.random(150) < 0.2, 0.15, 0.90)
        seed = rng.uniform(-0.08, 0.08, size=(12, 1))
        result = hierarchical_bootstrap(rng.random((12, 150)) < example + seed, n_draws=1000)
        covered += result.low <= 0.75 <= result.high
    assert 0.90 <= covered / 200 <= 0.99


@settings(max_examples=25, deadline=None)
@given(arrays(np.int8, (3, 20), elements=st.integers(-1, 1)))
def test_turning_a_difference_round_mirrors_everything(difference):
    one = hierarchical_bootstrap(difference, n_draws=500)
    other = hierarchical_bootstrap(-difference, n_draws=500)
    assert one.low == pytest.approx(-other.high)
    assert one.p_greater() == other.p_less()
    assert one.p_two_sided() == other.p_two_sided()
    assert 0 < one.p_two_sided() <= 1


def test_p_values_have_one_added():
    all_better = hierarchical_bootstrap(np.ones((5, 40)), n_draws=999)
    assert all_better.p_greater() == 1 / 1000
    assert all_better.p_two_sided() == 2 / 1000
    assert all_better.p_less() == 1
    assert all_better.p_greater(null=1.0) == 1


def test_equal_methods_tie_in_every_draw():
    # Seed 0 gains what seed 1 loses: a draw with both must be exactly 0, not 1e-18.
    difference = np.zeros((2, 7))
    difference[0, 0], difference[1, 0] = 1, -1
    result = hierarchical_bootstrap(difference)
    assert result.value == 0
    assert (result.draws == 0).mean() > 0.5
    assert result.p_greater() > 0.5
    assert result.p_two_sided() == 1


def test_is_reproducible():
    values = np.random.default_rng(3).random((5, 100)) < 0.7
    assert np.array_equal(
        hierarchical_bootstrap(values).draws, hierarchical_bootstrap(values).draws
    )
    # Published intervals must not move with the version of NumPy: the legacy stream is frozen.
    drawn = np.random.RandomState(7).randint(4, size=(8, 4), dtype=np.int32)
    gathered = sorted(np.array([0.0, 1.0, 1.0, 1.0])[drawn].mean(axis=1))
    found = hierarchical_bootstrap([[0.0, 1.0, 1.0, 1.0]], n_draws=8, seed=7).draws.tolist()
    assert found == gathered == [0.5, 0.5, 0.75, 0.75, 0.75, 0.75, 0.75, 1.0]


@pytest.mark.parametrize("values", [[], [0.5, 0.7], np.zeros((0, 3)), np.zeros((2, 0))])
def test_refuses_what_is_not_a_table(values):
    with pytest.raises(CourseError, match="n_seeds, n_examples"):
        hierarchical_bootstrap(values)


def test_holm_by_hand():
    # Sorted .005 .01 .03 .04, times 4 3 2 1: .02 .03 .06 .04, the last raised to .06.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_lies_between_nothing_and_bonferroni_and_keeps_the_order(p_values):
    adjusted = holm(p_values)
    for p, q in zip(p_values, adjusted, strict=True):
        assert p <= q <= min(1.0, len(p_values) * p) + 1e-12
    by_p = [q for _, q in sorted(zip(p_values, adjusted, strict=True))]
    assert by_p == sorted(by_p)


def test_mean_and_standard_deviation():
    values = [0.81, 0.83, 0.86]
    assert mean_and_sd(values) == pytest.approx((stdlib.mean(values), stdlib.stdev(values)))
    assert mean_and_sd([0.5]) == (0.5, None)


def test_records_are_paired_by_seed_whatever_their_order(make_record):
    first = [make_record("full", seed=s) for s in (0, 1, 2)]
    second = [make_record("tfidf", seed=s) for s in (2, 0, 3)]
    expected = np.mean(
        [first[0].correct().astype(int) - second[1].correct(),
         first[2].correct().astype(int) - second[0].correct()]
    )  # fmt: skip
    result = paired_difference(first, second)
    assert result.n_seeds == 2
    assert result.value == pytest.approx(expected)


def test_pairing_narrows_the_interval_where_methods_fail_on_the_same_examples(make_record):
    rng = np.random.default_rng(4)
    easy = rng.random(400) < 0.7
    first = [make_record("full", seed=s, correct=easy | (rng.random(400) < 0.1)) for s in range(3)]
    second = [make_record("tfidf", seed=s, correct=easy) for s in range(3)]
    paired, unpaired = paired_difference(first, second), unpaired_difference(first, second)
    assert paired.value == pytest.approx(unpaired.value)
    assert paired.high - paired.low < 0.7 * (unpaired.high - unpaired.low)


def test_unpaired_spread_is_that_of_two_independent_means(make_record):
    first, second = [make_record("full")], [make_record("tfidf")]
    spread = math.hypot(score(first).draws.std(), score(second).draws.std())
    assert unpaired_difference(first, second).draws.std() == pytest.approx(spread, rel=0.05)


def test_refuses_to_pair_what_does_not_belong_together(make_record):
    one = [make_record("full", seed=0)]
    with pytest.raises(CourseError, match="different examples"):
        paired_difference(one, [make_record("tfidf", fingerprint="9" * 16)])
    with pytest.raises(CourseError, match="different examples"):
        paired_difference(one, [make_record("tfidf", test_limit=100)])
    with pytest.raises(CourseError, match="share none"):
        paired_difference(one, [make_record("tfidf", seed=1)])
    with pytest.raises(CourseError, match="no records"):
        score([])


def test_other_shares_have_intervals_and_differences_too(make_pretraining):
    nsp = "nsp_accuracy_other_document"
    first = [make_pretraining("mlm-nsp", s, right=(50, 160, 100)) for s in range(3)]
    second = [make_pretraining("token-counts", s, right=(50, 140, 100)) for s in range(3)]
    assert score(first, metric=nsp).value == pytest.approx(0.8)
    assert paired_difference(first, second, nsp).value == pytest.approx(0.1)
    assert paired_difference(first, second).value == 0
    with pytest.raises(CourseError, match="no single answers"):
        score([make_pretraining()], metric=nsp)


def test_other_vocabularies_and_lengths_are_other_questions(make_pretraining):
    one = [make_pretraining(max_length=64)]
    for other in (make_pretraining(vocab_size=4096), make_pretraining(max_length=128)):
        with pytest.raises(CourseError, match="different examples"):
            paired_difference(one, [other])


def test_interval_over_seeds_is_students():
    # Mean 2, sd 1; t of 2 degrees of freedom at 97.5 % is 4.30265 in any table.
    low, high = interval_over_seeds([1.0, 2.0, 3.0])
    assert (low, high) == pytest.approx((2 - 4.30265 / 3**0.5, 2 + 4.30265 / 3**0.5), abs=1e-5)
    assert interval_over_seeds([1.0, 2.0]) is None


def test_metric_values_come_by_seed(make_pretraining):
    records = [make_pretraining(seed=s, loss=4.0 + s) for s in (2, 0, 1)]
    assert metric_values(records, "gain") == pytest.approx([2.5, 1.5, 0.5])
    with pytest.raises(CourseError, match="no metric 'f1_macro'"):
        metric_values(records, "f1_macro")


def entity_counts(rng, n_seeds=3, n=120):
    """Right, predicted and real entities of each sentence, (n_seeds, n, 3)."""
    real = rng.integers(0, 4, size=n)
    right = rng.binomial(real, 0.7, size=(n_seeds, n))
    predicted = right + rng.integers(0, 2, size=(n_seeds, n))
    return np.stack([right, predicted, np.broadcast_to(real, right.shape)], axis=-1)


def f1(counts):
    right, predicted, real = (counts[..., i].sum(axis=-1) for i in range(3))
    return 2 * right / (predicted + real)


def fractions(counts):
    return np.stack([2 * counts[..., 0], counts[..., 1] + counts[..., 2]], axis=-1).astype(
        np.float32
    )


def test_the_bootstrap_of_f1_equals_a_slow_one():
    rng = np.random.default_rng(0)
    one, other = entity_counts(rng), entity_counts(rng)
    other[..., 2] = one[..., 2]
    slow = []
    for _ in range(4000):
        seeds, rows = rng.integers(0, 3, size=3), rng.integers(0, 120, size=120)
        slow.append((f1(one[seeds][:, rows]) - f1(other[seeds][:, rows])).mean())
    fast = ratio_bootstrap(fractions(one), fractions(other))
    assert fast.value == pytest.approx((f1(one) - f1(other)).mean())
    assert fast.draws.std() == pytest.approx(np.std(slow), rel=0.05)
    # Both quantiles are of some thousand draws: a standard error of about 0.004.
    assert fast.low == pytest.approx(np.quantile(slow, 0.025), abs=0.012)
    assert fast.high == pytest.approx(np.quantile(slow, 0.975), abs=0.012)
    alone = ratio_bootstrap(fractions(one), resample_seeds=False)
    assert alone.value == pytest.approx(f1(one).mean())
    assert alone.draws.std() < ratio_bootstrap(fractions(one)).draws.std() * 1.05


def test_shares_are_bootstrapped_as_ever():
    right = np.random.default_rng(0).random((2, 50)) < 0.6
    table = np.stack([right, np.ones_like(right)], axis=-1).astype(np.float32)
    np.testing.assert_array_equal(ratio_bootstrap(table).draws, hierarchical_bootstrap(right).draws)
    assert ratio_bootstrap(table, table).high == 0


def test_without_any_entity_f1_is_0():
    nothing = np.zeros((2, 5, 2), dtype=np.float32)
    assert ratio_bootstrap(nothing).value == ratio_bootstrap(nothing).high == 0
