"""Tables, curves and sentence of pre-training, against numbers computed by hand."""

import csv
import io
import math

import pytest

from utils.errors import CourseError
from utils.report.pretraining import (
    pretraining_cost_table,
    pretraining_curves,
    pretraining_plot,
    pretraining_sentence,
    pretraining_table,
)


def row_of(table, method):
    rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    return next(row for row in rows if row["Method"] == method)


def read_csv(table):
    return {row["method"]: row for row in csv.DictReader(io.StringIO(table.csv()))}


def test_cells_are_means_and_deviations(pretraining_records):
    table = pretraining_table(pretraining_records)
    assert [row[0] for row in table.rows] == [
        "Token counts, no Transformer", "MLM, 15 % hidden", "MLM + NSP",
    ]  # fmt: skip
    # Losses 4.0, 4.1, 4.2: mean 4.1, sd 0.1.
    assert row_of(table, "MLM, 15 % hidden") == {
        "Method": "MLM, 15 % hidden",
        "MLM loss": "4.100 ± 0.100",
        "Unigram loss": "6.500 ± 0.000",
        "Gain": "2.400 ± 0.100",
        "Hidden tokens right in %": "30.0 ± 0.0",
        "Next sentence right in % (other document)": "–",
        "Next sentence right in % (same document)": "–",
        "Updates": "1,500",
        "Tokens seen": "3,030,000",
        "Parameters": "1,500,000",
    }
    # 160, 162, 164 of 200: mean 81 %, sd 1 point.
    pairs = row_of(table, "MLM + NSP")
    assert pairs["Next sentence right in % (other document)"] == "81.0 ± 1.0"
    assert pairs["Next sentence right in % (same document)"] == "52.0 ± 0.0"
    counts = row_of(table, "Token counts, no Transformer")
    assert counts["Gain"] == "0.000 ± 0.000"
    assert (counts["Updates"], counts["Tokens seen"], counts["Parameters"]) == ("–", "–", "–")


def test_notes_say_what_is_measured_and_where_it_comes_from(pretraining_records):
    table = pretraining_table(pretraining_records)
    notes = "\n".join(table.notes)
    for wanted in (
        "mirror, content `1111222233334444`",
        "profile full",
        "200 hidden tokens in held-out documents",
        "seeds 0, 1, 2",
        "3 seeds per cell",
        "Test CPU",
        "sequences of up to 64 tokens, batch_size 32, d_model 128",
        "vocab_size 8192",
        f"course show {pretraining_records[0].key}",
    ):
        assert wanted in notes
    assert "negatives" not in notes  # in which the methods differ
    assert table.caption.startswith("openstax/textbooks-en: pre-training")


def test_a_joined_data_set_and_another_number_of_seeds_are_told(make_pretraining):
    joined = {"dataset": "openstax/textbooks-en+COST-ELTeC/ELTeC-eng"}
    records = [make_pretraining("mlm", s, **joined) for s in range(3)]
    table = pretraining_table([*records, make_pretraining("mlm-nsp", **joined)])
    assert table.caption.startswith("openstax/textbooks-en + COST-ELTeC/ELTeC-eng: ")
    assert table.rows[1][0] == "MLM + NSP (1)"
    assert "in brackets" in "".join(table.notes)


def test_the_csv_has_intervals_and_keys(pretraining_records):
    table = pretraining_table(pretraining_records)
    row = read_csv(table)["mlm"]
    half = 4.30265 * 0.1 / 3**0.5
    assert float(row["mlm_loss"]) == pytest.approx(4.1)
    assert float(row["mlm_loss_low"]) == pytest.approx(4.1 - half, abs=1e-4)
    assert float(row["gain_high"]) == pytest.approx(2.4 + half, abs=1e-4)
    assert float(row["accuracy_low"]) < 0.3 < float(row["accuracy_high"])
    assert row["nsp_accuracy_other_document"] == ""
    assert (row["n_documents"], row["accuracy_n"], row["n_seeds"]) == ("5000", "200", "3")
    keys = {r.key for r in pretraining_records if r.spec.method == "mlm"}
    assert set(row["records"].split()) == keys
    pairs = read_csv(table)["mlm-nsp"]
    assert float(pairs["nsp_accuracy_other_document_sd"]) == pytest.approx(0.01)
    assert pairs["nsp_accuracy_other_document_low"] < "0.81"


def test_costs_tell_the_speed_and_no_labels(pretraining_records):
    table = pretraining_cost_table(pretraining_records)
    row = row_of(table, "MLM, 15 % hidden")
    # 3.03 million tokens in the median of 100, 101 and 102 seconds.
    assert row["Tokens per second"] == "30,000"
    assert (row["Seconds"], row["Updates"], row["FLOPs"]) == (
        "101",
        "1,500",
        "4.0\N{NO-BREAK SPACE}×\N{NO-BREAK SPACE}10¹²",
    )
    assert row_of(table, "Token counts, no Transformer")["Tokens per second"] == "–"
    assert "Labels" not in table.columns
    long = read_csv(table)["mlm"]
    assert float(long["tokens_per_second"]) == pytest.approx(30_000)
    assert "n_train" not in long


def test_lines_are_means_with_bands_beside_what_needs_no_context(pretraining_records):
    plot = pretraining_plot(pretraining_records)
    tokens, pairs = plot.panels
    mlm, with_pairs, unigram = tokens.series
    assert (mlm.label, with_pairs.label) == ("MLM, 15 % hidden", "MLM + NSP")
    assert mlm.x == [500, 1000, 1500]
    assert mlm.y == pytest.approx([6.0, 5.0, 4.1])
    assert (mlm.low[-1], mlm.high[-1]) == pytest.approx((4.0, 4.2))
    assert (unigram.x, unigram.y) == ([500, 1500], pytest.approx([6.4, 6.4]))
    assert "Unigram entropy" in unigram.label
    # Of pairs, the kind that it was trained on: mean of 0.5, 0.6, 0.7.
    own, coin = pairs.series
    assert own.y == pytest.approx([0.69, 0.6, 0.6])
    assert coin.y == pytest.approx([math.log(2)] * 2)
    assert own.style == with_pairs.style
    assert "smallest to largest of 3 seeds" in plot.note
    assert "MLM, 15 % hidden: from 6.000 nats after 500 updates to 4.100 after 1,500" in (
        plot.alt_text
    )
    assert "A coin (ln 2): 0.693 nats" in plot.alt_text


def test_harder_pairs_are_shown_on_their_own_kind(make_pretraining):
    curve = [
        {"step": 10.0 * i, "mlm_loss": 5.0, "unigram_loss": 6.0,
         "nsp_loss_other_document": 0.5, "nsp_loss_same_document": 0.68}
        for i in (1, 2)
    ]  # fmt: skip
    hard = make_pretraining("mlm-nsp-hard", right=(50, 120, 110), curve=curve)
    plot = pretraining_plot([hard])
    assert plot.panels[1].series[0].y == [0.68, 0.68]
    assert plot.panels[0].series[0].low == []
    assert "Bands" not in plot.note


def test_without_pairs_there_is_one_panel_and_without_training_none(pretraining_records):
    only = [r for r in pretraining_records if r.spec.method in ("mlm", "token-counts")]
    assert [panel.title for panel in pretraining_plot(only).panels] == ["Hidden tokens"]
    counts = [r for r in only if r.spec.method == "token-counts"]
    assert not pretraining_plot(counts).drawable
    with pytest.raises(CourseError, match="has a curve"):
        pretraining_curves(counts)


def test_the_figure_has_labelled_axes_and_a_legend_for_both_panels(pretraining_records):
    figure = pretraining_curves(pretraining_records)
    assert [ax.get_ylabel() for ax in figure.axes] == [
        "Loss in nats per token", "Loss in nats per pair",
    ]  # fmt: skip
    assert [ax.get_xlabel() for ax in figure.axes] == ["Updates", "Updates"]
    (legend,) = figure.legends
    labels = [text.get_text() for text in legend.get_texts()]
    assert len(labels) == len(set(labels))
    assert {"MLM + NSP", "A coin (ln 2)"} < set(labels)


def test_one_sentence_says_what_came_out(pretraining_records):
    assert pretraining_sentence(pretraining_records) == (
        "After 1,500 updates, the lowest loss of 2 ways to pre-train is that of MLM, 15 % hidden: "
        "4.100 nats per hidden token of held-out documents, 2.400 below the unigram entropy "
        "(6.500; 3 seeds)."
    )
    one = [r for r in pretraining_records if r.spec.method == "mlm-nsp"][:1]
    assert pretraining_sentence(one).startswith(
        "After 1,500 updates, the loss of MLM + NSP is 4.500 nats per hidden token"
    )
    counts = [r for r in pretraining_records if r.spec.method == "token-counts"]
    assert "Only token frequencies" in pretraining_sentence(counts)
