"""What tables show, and that every number leads back to its records."""

import csv
import io

import numpy as np
import pytest

from utils.errors import CourseError
from utils.report import tables
from utils.report.tables import (
    Table,
    cost_table,
    cost_to_reach_table,
    learning_curve_table,
    metrics_table,
    reference_table,
)


def right(n: int, of: int = 200) -> np.ndarray:
    """`n` correct answers of `of`."""
    return np.arange(of) < n


def row_of(table: Table, method: str) -> dict[str, str]:
    rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    return next(row for row in rows if row["Method"] == method)


def read_csv(table: Table) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(table.csv())))


def test_cells_are_mean_and_deviation_of_the_records(make_record):
    records = [make_record(seed=s, correct=right(n)) for s, n in enumerate((160, 164, 171))]
    records += [make_record("tfidf", n_train=16, seed=s, correct=right(120)) for s in range(3)]
    table = learning_curve_table(records)
    # 80.0, 82.0, 85.5: mean 82.5, squared deviations 6.25 + 0.25 + 9 = 15.5, sd = sqrt(7.75).
    assert row_of(table, "Fine-tuning") == {
        "Method": "Fine-tuning",
        "n = 16": "–",
        "n = 64": "82.5 ± 2.8",
        "Seen before": "not listed",
    }
    assert row_of(table, "TF-IDF + logistic regression")["n = 16"] == "60.0 ± 0.0"
    assert row_of(table, "TF-IDF + logistic regression")["Seen before"] == "no"


def test_a_different_number_of_seeds_is_noted(grid):
    table = learning_curve_table(grid)
    assert table.columns[4] == "all (5,000)"
    assert row_of(table, "Fine-tuning")["all (5,000)"].endswith(" (2)")
    assert not row_of(table, "Fine-tuning")["n = 64"].endswith(")")
    assert "3 seeds per cell; where it is another number" in table.notes[0]


def test_one_seed_has_no_deviation(make_record):
    table = learning_curve_table([make_record(correct=right(150))])
    assert row_of(table, "Fine-tuning")["n = 64"] == "75.0"
    assert "no standard deviation" in table.notes[0]


def test_notes_say_where_the_numbers_come_from(make_record):
    records = [
        make_record(kind="embedded", profile="quick"),
        make_record("tfidf", kind="embedded", profile="quick"),
    ]
    records.append(make_record(seed=7, versions={"task": 0, "method": 1}))
    notes = "\n".join(learning_curve_table(records).notes)
    for wanted in (
        "embedded (sentiment) in place of the real data set",
        "profile quick",
        "200 test examples",
        "seeds 0",
        "Test CPU",
        "1.17 billion",
        f"course show {records[0].key}",
        records[2].key,
    ):
        assert wanted in notes
    assert "stale" in notes


def test_every_cell_of_the_csv_names_its_records(grid):
    by_key = {record.key: record for record in grid}
    rows = read_csv(learning_curve_table(grid))
    assert len(rows) == 20
    for row in rows:
        records = [by_key[key] for key in row["records"].split()]
        assert len(records) == int(row["n_seeds"])
        assert {r.spec.method for r in records} == {row["method"]}
        assert float(row["accuracy"]) == pytest.approx(
            np.mean([r.metrics["accuracy"] for r in records]), abs=1e-6
        )
        assert float(row["low"]) <= float(row["low_examples"]) + 0.01
        assert float(row["low_examples"]) < float(row["accuracy"]) < float(row["high_examples"])


@pytest.mark.parametrize("build_table", [learning_curve_table, cost_table, cost_to_reach_table])
def test_tables_refuse_to_mix(make_record, build_table):
    with pytest.raises(CourseError, match="mix profiles"):
        build_table([make_record(), make_record(profile="quick")])
    with pytest.raises(CourseError, match="no records"):
        build_table([])


def test_costs(make_record):
    cost = {"wall_seconds": 10.0, "flops": 2.5e12, "examples_seen": 1920.0,
            "peak_memory_bytes": 2.0**30, "trainable_parameters": 22.7e6}  # fmt: skip
    more = {**cost, "wall_seconds": 14.0, "peak_memory_bytes": 2.0**31}
    slow = {**cost, "wall_seconds": 900.0}  # another program was running: the median is kept
    records = [make_record(seed=s, cost=c) for s, c in enumerate((cost, more, slow))]
    row = row_of(cost_table([*records, make_record("majority")]), "Fine-tuning")
    assert row["Seconds"] == "14"
    assert row["FLOPs"] == "2.5 × 10¹²"
    assert row["Examples seen"] == "1,920"
    assert row["Peak memory in MiB"] == "2,048"
    assert row["Trained parameters"] == "22,700,000"
    assert row_of(cost_table([make_record("majority")]), "Majority class")["FLOPs"] == "–"


def test_seconds_of_different_machines_are_not_averaged(make_record):
    table = cost_table([make_record(seed=0), make_record(seed=1, cpu="Faster CPU")])
    assert row_of(table, "Fine-tuning")["Seconds"] == "–"
    assert row_of(table, "Fine-tuning")["Examples seen"] == "192"
    assert any("on other machines cannot be compared" in note for note in table.notes)
    assert any("Faster CPU" in note and "Test CPU" in note for note in table.notes)


def test_seconds_stand_side_by_side_on_one_machine_only(make_record):
    here = [make_record("full", seed=s) for s in range(2)] + [make_record("majority")]
    there = [make_record("tfidf", seed=s, cpu="Faster CPU") for s in range(2)]
    table = cost_table([*here, *there])
    assert row_of(table, "TF-IDF + logistic regression")["Seconds"] == "–"
    assert row_of(table, "Fine-tuning")["Seconds"] != "–"
    assert any("Seconds are those on Test CPU" in note for note in table.notes)
    assert not any("Seconds are those on" in note for note in cost_table(here).notes)


def test_settings_that_differ_in_a_row_are_named(make_record):
    few = make_record(n_train=64, hyper={"epochs": 3, "dropout": 0.0, "learning_rate": 1e-4})
    many = make_record(n_train=500, hyper={"epochs": 2, "dropout": 0.0, "learning_rate": 2e-4})
    notes = learning_curve_table([few, many]).notes
    assert (
        "The row of Fine-tuning holds different settings: epochs 3 with 64 labels; epochs 2 with "
        "500 labels."
    ) in notes


def test_cost_to_reach_takes_the_first_measured_size(make_record):
    # Accuracy falls again at 250 labels: still the first size that gets there counts.
    records = [
        make_record(n_train=n, correct=right(c))
        for n, c in ((16, 130), (64, 162), (250, 158), (500, 170))
    ]
    records += [make_record("tfidf", n_train=n, correct=right(120)) for n in (16, 500)]
    table = cost_to_reach_table(records, [0.8, 0.9])
    shown = {(row[0], row[1]): row[2:] for row in table.rows}
    assert shown["80.0 %", "Fine-tuning"] == ["64", "3.2", "192", "1.3 × 10¹¹"]
    assert shown["90.0 %", "Fine-tuning"] == ["not reached", "–", "–", "–"]
    assert shown["80.0 %", "TF-IDF + logistic regression"][0] == "not reached"
    reached = {(r["wanted_accuracy"], r["method"]): r for r in read_csv(table)}
    assert reached["0.800000", "full"]["records"] == records[1].key
    assert len(reached["0.900000", "full"]["records"].split()) == 4


def test_default_accuracies_are_those_that_separate(make_record):
    records = [make_record(n_train=n, correct=right(c)) for n, c in ((16, 120), (64, 165))]
    wanted = {row[0] for row in cost_to_reach_table(records).rows}
    assert wanted == {"65.0 %", "70.0 %", "75.0 %", "80.0 %"}


def test_all_metrics_of_the_largest_number_of_labels(make_record):
    def translated(n, seed, bleu):
        return make_record(
            "seq2seq", n, seed, task="translation", dataset="bentrevett/multi30k", correct=right(9),
            metrics={"bleu": bleu, "sentence_chrf": 0.5},
            answers={"sentence_chrf": np.full(200, 0.5)},
        )  # fmt: skip

    records = [translated(2000, 0, 9.0), translated(None, 0, 37.0), translated(None, 1, 39.0)]
    table = metrics_table(records)
    assert table.columns == ["Method", "BLEU", "Mean chrF of a sentence", "Seeds"]
    (row,) = table.rows
    assert row[1:] == ["38.0 ± 1.4", "50.0 ± 0.0", "2"]
    assert any("nrefs:1|case:mixed" in note for note in table.notes)
    (line,) = read_csv(table)
    assert float(line["bleu"]) == 38.0
    assert set(line["records"].split()) == {record.key for record in records[1:]}


def test_published_figures_stand_alone_with_their_source():
    table = reference_table("fancyzhx/ag_news")
    assert [
        "BERT-base, fine-tuned",
        "accuracy",
        "94.8",
        "test",
        "Sun et al., 2019, CCL",
    ] in table.rows
    assert "not measured here" in table.notes[0]
    for dataset in ("stanfordnlp/sst2", "fancyzhx/ag_news"):
        # Figures that have not been verified must not be printed.
        assert "Peters" not in reference_table(dataset).markdown()
        assert "TextFooler" not in reference_table(dataset).markdown()


def test_renderings_escape_what_would_break_them():
    table = Table("x", "A <b>", ["Method", "n"], [["a|b <i>", "1"]], ["note & more"])
    assert "| a\\|b <i> | 1 |" in table.markdown()
    assert "| --- | ---: |" in table.markdown()
    assert "a|b &lt;i&gt;" in table._repr_html_()
    assert "note &amp; more" in table._repr_html_()
    assert table.csv() == "Method,n\na|b <i>,1\n"


def test_seen_before_tells_apart_yes_no_and_not_listed():
    seen = tables.facts.seen_before
    minilm = "sentence-transformers/all-MiniLM-L6-v2"
    assert seen(minilm, "frozen", "rajpurkar/squad_v2") == "yes"
    assert seen(minilm, "random-init", "rajpurkar/squad_v2") == "no"
    assert seen(minilm, "frozen", "fancyzhx/ag_news") == "not listed"
    assert seen(minilm, "frozen-random", "rajpurkar/squad_v2") == "no"
    assert seen("course/course-bert-mini", "frozen", "fancyzhx/ag_news") == "not listed"
    assert seen("some/model", "frozen", "fancyzhx/ag_news") == "unknown"
