"""The table of what was tried."""

import numpy as np
import pytest

from utils.errors import CourseError
from utils.report import trials_table


def test_each_trial_is_a_row_with_the_settings_that_differ(make_record):
    trials = [
        make_record(
            correct=np.array([True, bool(right)]), split="validation", n_train=n,
            hyper={"learning_rate": rate, "epochs": 3},
        )
        for n, rate, right in ((500, 1e-4, 1), (500, 5e-5, 0), (64, 5e-5, 1))
    ]  # fmt: skip
    table = trials_table(
        [*trials, make_record(correct=np.array([False]), split="test", n_train=500)]
    )
    assert [row[2:] for row in table.rows] == [
        ["64", "", "100.0"],
        ["500", "learning rate 5e-05", "50.0"],
        ["500", "learning rate 0.0001", "100.0"],
    ]


def test_trials_of_one_model_only(make_record):
    trials = [
        make_record(correct=np.array([True]), split="validation", model=model, n_train=64)
        for model in ("sentence-transformers/all-MiniLM-L6-v2", "course/course-bert-mini")
    ]
    with pytest.raises(CourseError, match="trials of 2 models"):
        trials_table(trials)
    with pytest.raises(CourseError, match="no trials"):
        trials_table([make_record(correct=np.array([True]), split="test")])
