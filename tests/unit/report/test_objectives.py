"""Objectives beside each other: each result goes to the pre-training that its model comes from."""

import csv
import io

import numpy as np
import pytest

from utils.adaptation import METHODS
from utils.errors import CourseError
from utils.report import objectives_table, select
from utils.report.objectives import belongs
from utils.report.published import render

MLM, CAUSAL = "objective-mlm", "objective-causal"
SST2 = "stanfordnlp/sst2, fine-tuning, 2,000 labels"


@pytest.fixture
def trained(make_pretraining):
    """Two seeds of two objectives with equal FLOPs, and one seed of one with equal tokens."""

    def make(method, seed, **hyper):
        return make_pretraining(
            method, seed, task="pretraining-objectives",
            hyper={**METHODS[method].defaults, **hyper},
        )  # fmt: skip

    equal = [make(method, seed, flops=1e13) for method in (CAUSAL, MLM) for seed in (0, 1)]
    return [*equal, make(MLM, 0)]


@pytest.fixture
def records(trained, make_record):
    """Accuracies .60 and .62 of the causal model, .80 and .84 of MLM, .70 with equal tokens."""
    right = (120, 124, 160, 168, 140)
    measured = [
        make_record(
            "full", 2000, model.spec.seed, correct=np.arange(200) < n, model=f"run/{model.key}"
        )
        for model, n in zip(trained, right, strict=True)
    ]
    return [*measured, *trained]


def test_rows_are_objectives_and_budgets(records):
    table = objectives_table(records)
    assert table.columns == ["Budget", "Objective", "Updates", "Tokens", "FLOPs", SST2]
    assert [(row[0], row[1], row[-1]) for row in table.rows] == [
        ("equal FLOPs", "MLM", "82.0 ± 2.8"),
        ("equal FLOPs", "Causal LM", "61.0 ± 1.4"),
        ("equal tokens", "MLM", "70.0"),
    ]
    rows = list(csv.DictReader(io.StringIO(table.csv())))
    assert [float(row["score"]) for row in rows] == pytest.approx([0.82, 0.61, 0.70])
    assert [len(row["records"].split()) for row in rows] == [4, 4, 2]
    assert float(rows[0]["low"]) < 0.82 < float(rows[0]["high"])


def test_entities_are_shown_by_their_f1(records, make_record):
    counts = np.tile([[1, 1, 2]], (50, 1))  # all that is predicted is right, half of it is found
    tagged = make_record(
        "full", 2000, 0, model=records[0].spec.model, task="tagging", dataset="eriktks/conll2003",
        answers={"entities": counts}, metrics={"f1": 2 / 3, "precision": 1.0, "recall": 0.5},
    )  # fmt: skip
    table = objectives_table([*records, tagged])
    assert table.columns[5] == "eriktks/conll2003, fine-tuning, 2,000 sentences (F1)"
    assert [row[5] for row in table.rows] == ["–", "66.7", "–"]
    (row,) = (r for r in csv.DictReader(io.StringIO(table.csv())) if r["metric"] == "f1")
    assert float(row["score"]) == float(row["low"]) == pytest.approx(2 / 3)


def test_what_was_not_measured_is_left_open(records, make_record):
    model = records[0].spec.model
    table = objectives_table([*records, make_record("frozen", 2000, 0, model=model)])
    column = next(i for i, name in enumerate(table.columns) if "frozen" in name)
    assert [row[column] == "–" for row in table.rows] == [True, False, True]


def test_trials_and_models_from_elsewhere_do_not_count(records, make_record):
    trial = make_record("full", 500, 0, model=records[0].spec.model, split="validation")
    other = make_record("full", 2000, 3)
    assert objectives_table([*records, trial, other]).rows == objectives_table(records).rows
    assert [belongs(r) for r in (trial, other)] == [True, False]


def test_runs_are_selected_by_the_pretraining_of_their_model(records):
    found = select(records, pretraining="objective-mlm, equal FLOPs")
    assert [record.metrics["accuracy"] for record in found] == [0.80, 0.84]
    assert len(select(records, pretraining="objective-mlm, equal tokens", seed=0)) == 1
    assert not select(records[:5], pretraining="objective-mlm, equal FLOPs")


def test_pretraining_alone_shows_nothing(trained):
    with pytest.raises(CourseError, match="course bench objectives"):
        objectives_table(trained)


def test_the_page_has_one_section_for_all_of_them(records, make_record, make_pretraining, tmp_path):
    others = [make_record("full", 64, 0), make_pretraining("mlm", 0)]
    files = render([*records, *others], tmp_path, None)
    page = files[tmp_path / "README.md"].decode()
    headings = [line for line in page.splitlines() if line.startswith("## ")]
    assert len(headings) == 3
    assert headings[-1] == "## Pre-training objectives (real data, profile full)"
    assert SST2 in page
    assert tmp_path / "tables" / "objectives_pretraining.csv" in files
    assert not [path for path in files if "run-" in path.name]
    assert render([*trained_only(records), *others], tmp_path, None)


def trained_only(records):
    return [record for record in records if record.spec.task == "pretraining-objectives"]
