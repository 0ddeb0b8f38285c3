"""Figures: the right numbers, readable without colour, the same bytes each time."""

import io

import numpy as np
import pytest
from PIL import Image

from utils.errors import CourseError
from utils.report import figures


@pytest.fixture(scope="module")
def plot(grid):
    return figures.learning_curve_plot(grid)


@pytest.fixture(scope="module")
def figure(plot):
    return plot.figure()


def test_lines_hold_the_means_at_the_numbers_of_labels(plot, grid):
    series = {s.label: s for s in plot.panels[0].series}["Fine-tuning"]
    assert series.x == [16, 64, 250, 5000]
    accuracies = [
        r.metrics["accuracy"] for r in grid if r.spec.method == "full" and r.spec.n_train == 64
    ]
    assert series.y[1] == pytest.approx(100 * np.mean(accuracies))
    assert all(
        low < y < high for low, y, high in zip(series.low, series.y, series.high, strict=True)
    )
    assert plot.panels[0].ticks[-1] == (5000, "5,000\n(all)")


def test_a_method_that_came_later_leaves_the_styles_of_the_others(plot):
    styles = {series.label: series.style for series in plot.panels[0].series}
    assert (styles["Fine-tuning"], styles["Random initialisation"]) == (3, 4)
    assert styles["Frozen random features + logistic regression"] == 5


def test_description_and_note_come_from_the_numbers(plot, figure):
    first = plot.panels[0].series[0]
    assert f"{first.label}: from {first.y[0]:.1f} % at 16 labels" in plot.alt_text
    assert "2 or 3 seeds and 200 test examples" in plot.note
    assert figure.alt_text == plot.alt_text


def test_axes_are_labelled_and_lines_differ_without_colour(figure):
    (ax,) = figure.axes
    assert ax.get_ylabel() == "Accuracy in %"
    assert "examples" in ax.get_xlabel()
    assert ax.get_xscale() == "log"
    styles = {(line.get_marker(), str(line._dash_pattern)) for line in ax.get_lines()}
    assert len({marker for marker, _ in styles}) == 6
    assert len({dashes for _, dashes in styles}) == 6


def test_bytes_are_the_same_each_time_and_small(plot, figure):
    png, svg = figures.png(figure), figures.svg(figure)
    assert figures.png(figure) == png
    assert figures.png(plot.figure()) == png
    assert figures.svg(plot.figure()) == svg
    assert len(png) <= 60_000
    assert b"dc:date" not in svg
    assert plot.alt_text[:40].encode() in svg


def test_a_notebook_gets_a_png_with_its_description(figure):
    data, metadata = figure._repr_mimebundle_()
    assert data["text/plain"] == figure.alt_text
    assert metadata["image/png"]["alt"] == figure.alt_text
    import base64

    assert Image.open(io.BytesIO(base64.b64decode(data["image/png"]))).size == (720, 480)


def test_digest_follows_the_numbers_and_nothing_else(plot, grid, make_record):
    assert figures.learning_curve_plot(list(reversed(grid))).digest() == plot.digest()
    other = [*grid[:-1], make_record("full", None, 1, correct=~grid[-1].correct())]
    assert figures.learning_curve_plot(other).digest() != plot.digest()


def test_cost_curves_name_what_they_cannot_show(grid):
    plot = figures.cost_curve_plot(grid, "flops")
    assert {s.label for s in plot.panels[0].series} == {
        "Frozen features + logistic regression", "Frozen random features + logistic regression",
        "Fine-tuning", "Random initialisation",
    }  # fmt: skip
    assert "Majority class (3 of 3 points)" in plot.note
    assert "TF-IDF + logistic regression (3 of 3 points)" in plot.note
    full = next(s for s in plot.panels[0].series if s.label == "Fine-tuning")
    assert full.x[0] == pytest.approx(2e9 * 16)
    with pytest.raises(CourseError, match="no cost 'money'"):
        figures.cost_curve_plot(grid, "money")


def test_training_curves(make_record):
    records = [make_record(seed=s) for s in (0, 1)] + [make_record("tfidf")]
    plot = figures.training_curve_plot(records)
    loss, score = plot.panels
    assert [s.label for s in loss.series] == ["Fine-tuning, seed 0", "Fine-tuning, seed 1"]
    assert loss.series[0].x == [40, 80, 120]
    assert score.series[0].y == pytest.approx([60, 70, 80])
    assert "from 0.700 to 0.233" in plot.alt_text
    figure = plot.figure()
    assert [ax.get_ylabel() for ax in figure.axes] == [
        "Training loss in nats", "Validation accuracy in %",
    ]  # fmt: skip
    with pytest.raises(CourseError, match="training curve"):
        figures.training_curves([make_record("tfidf")])


def test_one_seed_says_that_bands_cover_test_examples_only(make_record):
    plot = figures.learning_curve_plot([make_record(n_train=n) for n in (16, 64)])
    assert "test examples (one seed)" in plot.note


def test_style_leaves_other_figures_alone(plot):
    import matplotlib

    before = dict(matplotlib.rcParams)
    plot.figure()
    assert dict(matplotlib.rcParams) == before
