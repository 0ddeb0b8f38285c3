"""Verdicts of a comparison."""

import numpy as np
import pytest

from utils.errors import CourseError
from utils.report.compare import compare


def right(n: int, of: int = 200) -> np.ndarray:
    """`n` correct answers of `of`."""
    return np.arange(of) < n


def accuracy_row(result):
    (row,) = [row for row in result.rows if row.metric == "accuracy"]
    return row


def test_equal_is_ok(grid):
    result = compare(grid, list(reversed(grid)))
    assert {row.verdict for row in result.rows} == {"OK"}
    assert not result.is_worse
    assert result.summary() == "40 rows: 40 OK."


@pytest.mark.parametrize(
    ("n_right", "verdict"), [(190, "better"), (120, "worse"), (159, "within noise")]
)
def test_verdicts(make_record, n_right, verdict):
    a = [make_record(seed=s, correct=right(160)) for s in range(3)]
    b = [make_record(seed=s, correct=right(n_right)) for s in range(3)]
    row = accuracy_row(result := compare(a, b))
    assert row.verdict == verdict
    assert row.difference == pytest.approx((n_right - 160) / 200)
    assert row.low <= row.difference <= row.high
    assert result.is_worse == (verdict == "worse")


def test_a_difference_that_is_only_one_of_many_is_noise(make_record):
    # Gains on 12 examples, losses on 3: p is about .02 alone, but not among ten experiments.
    better = right(160)
    better[160:172], better[:3] = True, False
    alone = compare([make_record(correct=right(160))], [make_record(correct=better)])
    assert accuracy_row(alone).verdict == "better"
    sizes = (16, 64, 250, 500, 1000, 1500, 2000, 3000, 4000, 5000)
    a = [make_record(n_train=n, correct=right(160)) for n in sizes]
    b = [make_record(n_train=n, correct=better if n == 64 else right(160)) for n in sizes]
    row = next(r for r in compare(a, b).rows if r.n_train == 64 and r.metric == "accuracy")
    assert row.low > 0
    assert row.verdict == "within noise"


def test_losses_are_shown_in_nats(make_pretraining):
    table = compare([make_pretraining(loss=4.0)], [make_pretraining(loss=4.25)]).table()
    shown = {row[3]: row[4:7] for row in table.rows}
    assert shown["mlm_loss"] == ["4.000 nats", "4.250 nats", "+0.250 nats"]
    assert shown["gain"] == ["2.500 nats", "2.250 nats", "−0.250 nats"]
    assert shown["accuracy"] == ["30.0", "30.0", "+0.0 (0.0–0.0)"]


def test_only_accuracy_is_tested(make_record):
    result = compare([make_record(correct=right(160))], [make_record(correct=right(120))])
    f1 = next(row for row in result.rows if row.metric == "f1_macro")
    assert f1.verdict == "not tested"
    assert f1.low is None
    assert f1.difference == pytest.approx(-0.2)


def test_means_and_difference_are_over_the_shared_seeds(make_record):
    a = [make_record(seed=s, correct=right(160 + 10 * s)) for s in range(3)]
    b = [make_record(seed=s, correct=right(150)) for s in (0, 1, 7)]
    row = accuracy_row(compare(a, b))
    assert (row.a, row.b) == pytest.approx((0.825, 0.75))
    assert row.difference == pytest.approx(-0.075)
    assert row.note == "2 seeds"


def test_other_test_examples_are_not_paired(make_record):
    a = [make_record(correct=right(160))]
    b = [make_record(correct=right(70, 100), test_limit=100, profile="quick")]
    row = accuracy_row(compare(a, b))
    assert row.note == "unpaired; 1 seed; other profile, test_limit"
    assert row.difference == pytest.approx(-0.1)


def test_no_seed_in_common_is_not_paired(make_record):
    row = accuracy_row(compare([make_record(seed=0)], [make_record(seed=1)]))
    assert row.note.startswith("unpaired")


def test_one_sided_experiments_are_listed(make_record):
    result = compare([make_record(), make_record("tfidf")], [make_record(), make_record("frozen")])
    assert result.only_in_a == ["stanfordnlp/sst2, tfidf, n = 64"]
    assert result.only_in_b == ["stanfordnlp/sst2, frozen, n = 64"]
    assert "2 experiments only on one side" in result.summary()
    assert "Only in A: stanfordnlp/sst2, tfidf, n = 64." in result.table().markdown()


def test_the_stand_in_is_never_compared_with_real_data(make_record):
    with pytest.raises(CourseError, match=r"no experiment in common: .*\(embedded\)"):
        compare([make_record(kind="embedded")], [make_record()])


def test_two_runs_of_one_seed_are_refused(make_record):
    with pytest.raises(CourseError, match="B holds two runs"):
        compare([make_record()], [make_record(), make_record(profile="quick")])


def test_table_shows_signed_differences(make_record):
    a, b = [make_record(correct=right(160))], [make_record(correct=right(120))]
    markdown = compare(a, b).table().markdown()
    assert "| 80.0 | 60.0 | −20.0 (−25" in markdown
    assert "worse" in markdown
