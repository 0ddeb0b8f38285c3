"""The ladder's table and plots, from records whose scores and costs are known."""

import numpy as np
import pytest

from utils.errors import CourseError
from utils.experiments import Record
from utils.report import ladder_table
from utils.report.ladder import is_probe, layer_plot, trained_weights_plot

SST2, AG_NEWS, CONLL = "stanfordnlp/sst2", "fancyzhx/ag_news", "eriktks/conll2003"
COST = {"wall_seconds": 10.0, "flops": 4e12, "trainable_parameters": 1000.0, "examples_seen": 1.0}


@pytest.fixture
def runs(make_record):
    """Three seeds, right on `n_right` of 200 examples; costs are `COST` with changes."""

    def make(
        method: str, n_right: int, dataset: str = SST2, n: int = 64, **changes
    ) -> list[Record]:
        cpu = changes.pop("cpu", "Test CPU")
        model = {"model": changes.pop("model")} if "model" in changes else {}
        return [
            make_record(
                method, n, seed, correct=np.arange(200) < n_right, dataset=dataset,
                cost={**COST, **changes}, cpu=cpu, **model,
            )
            for seed in range(3)
        ]  # fmt: skip

    return make


@pytest.fixture
def entities(make_record):
    def make(method: str, n_right: int) -> list[Record]:
        # Right, predicted, there: one entity in each sentence, found in some.
        counts = np.array([[1, 1, 1]] * n_right + [[0, 1, 1]] * (200 - n_right), dtype=np.int16)
        return [
            make_record(
                method, 64, seed, dataset=CONLL, task="tagging", cost=COST, correct=np.ones(1),
                metrics={"f1": n_right / 200}, answers={"entities": counts},
            )
            for seed in range(3)
        ]  # fmt: skip

    return make


def test_methods_stand_in_the_order_of_what_they_train(runs) -> None:
    records = runs("full", 160, trainable_parameters=9e6)
    records += runs("majority", 100, trainable_parameters=0.0)
    records += runs("frozen", 150, trainable_parameters=385.0)
    table = ladder_table(records, 64)
    assert [row[:2] for row in table.rows] == [
        ["Majority class", "0"],
        ["Frozen features + logistic regression", "385"],
        ["Fine-tuning", "9,000,000"],
    ]
    assert [row[-1] for row in table.rows] == ["50.0 ± 0.0 (3)", "75.0 ± 0.0 (3)", "80.0 ± 0.0 (3)"]


def test_costs_are_those_of_fine_tuning_on_the_same_data(runs) -> None:
    records = runs("full", 160) + runs("frozen", 150, wall_seconds=1.0, flops=1e12)
    records += runs("full", 170, AG_NEWS, wall_seconds=20.0)
    records += runs("frozen", 160, AG_NEWS, wall_seconds=10.0, flops=3e12)
    frozen, full = sorted(ladder_table(records, 64).rows, key=lambda row: row[0], reverse=True)
    assert full[0] == "Fine-tuning"
    assert full[2:4] == ["1.00", "1.00"]
    # FLOPs: a quarter and three quarters; seconds: a tenth and a half.
    assert frozen[2:4] == ["0.50", "0.30"]


def test_seconds_of_two_machines_are_not_divided(runs) -> None:
    records = runs("full", 160) + runs("frozen", 150, cpu="Another CPU")
    rows = {row[0]: row for row in ladder_table(records, 64).rows}
    flops, seconds = rows["Frozen features + logistic regression"][2:4]
    assert (flops, seconds) == ("1.00", "–")


def test_a_method_that_was_not_run_leaves_a_gap(runs) -> None:
    table = ladder_table(runs("full", 160) + runs("frozen", 150, AG_NEWS), 64)
    assert table.columns[-2:] == ["fancyzhx/ag_news (accuracy)", "stanfordnlp/sst2 (accuracy)"]
    rows = {row[0]: row[-2:] for row in table.rows}
    assert rows["Fine-tuning"] == ["–", "80.0 ± 0.0 (3)"]


def test_probes_and_other_numbers_of_labels_stay_out(runs) -> None:
    records = runs("full", 160) + runs("frozen", 100, n=500) + runs("probe-3", 120)
    assert [row[0] for row in ladder_table(records, 64).rows] == ["Fine-tuning"]
    assert [is_probe(record) for record in records[-4:]] == [False, True, True, True]


def test_what_must_not_be_mixed(runs) -> None:
    records = runs("full", 160) + runs("full", 160, AG_NEWS, model="course/course-bert-mini")
    with pytest.raises(CourseError, match="mix models: course/course-bert-mini, sentence"):
        ladder_table(records, 64)
    with pytest.raises(CourseError, match="no records of the ladder"):
        ladder_table(records, 2000)


def test_a_row_for_each_method_and_a_mark_for_each_number_of_labels(runs) -> None:
    records = [
        record
        for n in (16, 64, 250, 500, 2000)
        for method, weights in (("full", 9e6), ("frozen", 385.0))
        for record in runs(method, 100 + n // 40, n=n, trainable_parameters=weights)
    ]
    only_with_500 = runs("full-long", 140, n=500, trainable_parameters=9e6)
    (panel,) = trained_weights_plot([*records, *only_with_500]).panels
    assert [series.label for series in panel.series] == ["64 labels", "2,000 labels"]
    assert panel.series[1].x == [75.0, 75.0]
    assert panel.rows == [
        (0.0, "Frozen features + logistic regression · 385"),
        (1.0, "Fine-tuning · 9,000,000"),
    ]


def test_probes_by_their_layer_with_a_panel_for_each_measure(runs, entities) -> None:
    records = [
        record
        for layer, n_right in enumerate((100, 140, 120))
        for record in [*runs(f"probe-{layer}", n_right), *entities(f"probe-{layer}", n_right)]
    ]
    plot = layer_plot([*records[::-1], *runs("full", 160)])
    lines = {series.label: series for panel in plot.panels for series in panel.series}
    assert len(plot.panels) == 2
    assert lines[SST2].x == lines[CONLL].x == [0.0, 1.0, 2.0]
    for dataset in (SST2, CONLL):
        assert lines[dataset].y == pytest.approx([50.0, 70.0, 60.0])
    assert "to 60.0 % at layer 2, the best 70.0 % at layer 1." in plot.alt_text
