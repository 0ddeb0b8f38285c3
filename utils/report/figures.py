"""Figures made from records, in one style: readable in grey, at half size and by a screen reader.

A figure has two steps. A `Plot` holds what is to be drawn, as plain numbers; `Plot.figure()` draws
it. The `Plot` can be compared and hashed (`digest`), which finds out whether a stored picture is
still up to date even where another version of Matplotlib would draw other bytes.
"""

import hashlib
import io
import json
import textwrap
from base64 import b64encode
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from utils.adaptation import METHODS, methods_for
from utils.errors import CourseError
from utils.experiments import Record
from utils.report import formatting
from utils.report.selection import Comparable, comparable, dataset_title, is_embedded, title
from utils.tasks import METRIC_TITLES, get_task

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STYLE_VERSION = 1
"""Raise by hand when figures should be drawn anew although their numbers are the same."""

_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
_DASHES = (":", "-.", "--", "-", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)), (0, (8, 3)))
_SIZE = (7.2, 4.8)
_DPI = 100


@dataclass(frozen=True)
class Series:
    """One line: its points, and a band from `low` to `high` if there is one.

    `style` numbers colour, marker and dashes: the same for a method in every figure.
    """

    label: str
    x: list[float]
    y: list[float]
    low: list[float] = field(default_factory=list)
    high: list[float] = field(default_factory=list)
    style: int = 0


@dataclass(frozen=True)
class Panel:
    """One pair of axes; `ticks` are (position, label) along x, where they are fixed.

    With `rows`, (position, label) along y, each point stands in a row of its own, and `low` and
    `high` of its series run along x.
    """

    title: str
    x_label: str
    y_label: str
    series: list[Series]
    log_x: bool = False
    log_y: bool = False
    ticks: list[tuple[float, str]] = field(default_factory=list)
    rows: list[tuple[float, str]] = field(default_factory=list)


@dataclass(frozen=True)
class Plot:
    """All that a figure shows: panels side by side, a note below, a description in words."""

    panels: list[Panel]
    note: str
    alt_text: str

    @property
    def drawable(self) -> bool:
        """Whether there is any line to draw."""
        return any(panel.series for panel in self.panels)

    def digest(self) -> str:
        """64 hex digits over everything that is drawn, rounded to six digits, and the style."""
        content = {"style": STYLE_VERSION, "plot": _rounded(asdict(self))}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def figure(self) -> "Figure":
        """Draw it: a Matplotlib figure with `alt_text`, which a notebook shows by itself."""
        return _draw(self)


def learning_curves(records: Sequence[Record]) -> "Figure":
    """Score against the number of labelled examples, a line per method; see the plot's note."""
    return learning_curve_plot(records).figure()


def cost_curves(records: Sequence[Record], cost: str = "wall_seconds") -> "Figure":
    """Score against what a run costs: `cost` is "wall_seconds", "flops" or "examples_seen"."""
    return cost_curve_plot(records, cost).figure()


def training_curves(records: Sequence[Record]) -> "Figure":
    """Training loss and validation score against updates, a line per record."""
    return training_curve_plot(records).figure()


def learning_curve_plot(records: Sequence[Record]) -> Plot:
    """Score (mean over seeds) by number of labels; bands are 95 % bootstrap intervals.

    Raises:
        CourseError: if the records must not stand in one figure; see `selection.comparable`.
    """
    chosen = comparable(records)
    series = []
    for method in chosen.methods:
        cells = [cell for cell in chosen.cells if cell.method == method]
        series.append(
            Series(
                title(method),
                [float(cell.n_labels) for cell in cells],
                [100 * cell.mean_and_sd[0] for cell in cells],
                [100 * cell.accuracy.low for cell in cells],
                [100 * cell.accuracy.high for cell in cells],
                style_of(method),
            )
        )
    ticks = {
        float(cell.n_labels): f"{cell.n_labels:,}" + "\n(all)" * (cell.n_train is None)
        for cell in chosen.cells
    }
    panel = Panel(
        heading(chosen),
        "Labelled training examples (log scale)",
        f"{formatting.in_title(chosen.measure)} in %",
        series,
        log_x=True,
        ticks=sorted(ticks.items()),
    )
    return Plot(
        [panel],
        f"Bands: 95 % bootstrap interval over {_resampled(chosen)}.",
        f"Line chart of {chosen.measure} against the number of labelled examples on "
        f"{heading(chosen)}. " + _in_words(series, "labels"),
    )


_COSTS = {
    "wall_seconds": ("Seconds per run", "seconds"),
    "flops": ("FLOPs of the encoder per run", "FLOPs"),
    "examples_seen": ("Examples processed per run", "examples processed"),
}


def cost_curve_plot(records: Sequence[Record], cost: str = "wall_seconds") -> Plot:
    """Score by what a run costs, a line per method along growing numbers of labels.

    Points without that cost, or where it is 0, cannot stand on a log scale and are named in the
    note.

    Raises:
        CourseError: for an unknown cost, or records that must not stand in one figure.
    """
    if cost not in _COSTS:
        raise CourseError(f"There is no cost {cost!r} to plot. Choose: {', '.join(_COSTS)}.")
    chosen = comparable(records)
    axis, unit = _COSTS[cost]
    series, left_out = [], []
    for method in chosen.methods:
        cells = [cell for cell in chosen.cells if cell.method == method]
        shown = [(value, cell) for cell in cells if (value := chosen.cost(cell, cost))]
        if len(shown) < len(cells):
            left_out.append(f"{title(method)} ({len(cells) - len(shown)} of {len(cells)} points)")
        if not shown:
            continue
        series.append(
            Series(
                title(method),
                [value for value, _ in shown],
                [100 * cell.mean_and_sd[0] for _, cell in shown],
                [100 * cell.accuracy.low for _, cell in shown],
                [100 * cell.accuracy.high for _, cell in shown],
                style_of(method),
            )
        )
    note = f"Bands: 95 % bootstrap interval over {_resampled(chosen)}."
    if left_out:
        elsewhere = ", or on another machine" if cost == "wall_seconds" else ""
        note += f"\nNot shown ({unit} 0 or not measured{elsewhere}): {', '.join(left_out)}."
    y_label = f"{formatting.in_title(chosen.measure)} in %"
    panel = Panel(heading(chosen), f"{axis} (log scale)", y_label, series, log_x=True)
    return Plot(
        [panel],
        note,
        f"Line chart of {chosen.measure} against {unit} per run on {heading(chosen)}. "
        + _in_words(series, unit),
    )


def training_curve_plot(records: Sequence[Record]) -> Plot:
    """Training loss (in nats) and score on the validation split, along the updates.

    Raises:
        CourseError: if no record has a training curve, or if records mix tasks.
    """
    trained = [record for record in records if record.curve]
    if not trained:
        raise CourseError(
            "None of these records has a training curve: only methods trained by gradient descent "
            "leave one. Select, for example, method='full'."
        )
    measures = {METRIC_TITLES[get_task(record.spec.task).METRIC] for record in trained}
    if len(measures) > 1:
        raise CourseError("Records of several tasks have no scores in common. Select one task.")
    measure = measures.pop()
    panels = []
    for name, y_label, factor in (
        ("loss", "Training loss in nats", 1.0),
        ("validation", f"Validation {measure} in %", 100.0),
    ):
        series = [
            Series(
                _run_label(record, trained),
                [point["step"] for point in record.curve],
                [factor * point[name] for point in record.curve],
                style=index,
            )
            for index, record in enumerate(trained)
        ]
        panels.append(Panel(y_label.split(" in ")[0], "Updates", y_label, series))
    words = " ".join(
        f"{loss.label}: the loss goes from {loss.y[0]:.3f} to {loss.y[-1]:.3f}, validation "
        f"{measure} from {score.y[0]:.1f} to {score.y[-1]:.1f} %."
        for loss, score in zip(panels[0].series, panels[1].series, strict=True)
    )
    return Plot(
        panels,
        "Loss: mean over the updates since the point before.",
        f"Two line charts, training loss and validation {measure} against updates. {words}",
    )


def _run_label(record: Record, among: list[Record]) -> str:
    """Names what distinguishes the run from the others: method, number of labels, seed."""
    spec = record.spec
    parts = [title(spec.method)]
    if len({r.spec.dataset for r in among}) > 1:
        parts.append(spec.dataset)
    if len({r.spec.n_train for r in among}) > 1:
        parts.append("all labels" if spec.n_train is None else f"{spec.n_train:,} labels")
    if len({r.spec.seed for r in among}) > 1:
        parts.append(f"seed {spec.seed}")
    return ", ".join(parts)


_ADDED_LATER = (
    "frozen-random",
    "word-lookup",
    "frozen-cls",
    "frozen-second-to-last",
    "frozen-last-four",
    "frozen-mixture-last-four",
    "frozen-mixture",
    "full-long",
    "layer-decay",
    "gradual-unfreezing",
    "top-layers",
    "adapters",
    "lora",
    "bitfit",
    "mlm-drawn-vectors",
    *(name for name in METHODS if name.startswith("probe-")),
    "frozen-int8",
    "further-pretraining",
    "full-short",
    "seq2seq-unsmoothed",
)
"""Their styles come after those of the other methods, so that published figures keep theirs."""


def style_of(method: str) -> int:
    """Number of the style that a method has in every figure."""
    siblings = methods_for(METHODS[method].tasks[0])
    later = {name: number for number, name in enumerate(_ADDED_LATER, start=1)}
    return sorted(siblings, key=lambda name: later.get(name, 0)).index(method)


def heading(chosen: Comparable) -> str:
    """Data set and profile, for people."""
    stand_in = ", embedded stand-in" if is_embedded(chosen.records[0]) else ""
    return f"{dataset_title(chosen.dataset)} (profile {chosen.records[0].spec.profile}{stand_in})"


def _resampled(chosen: Comparable) -> str:
    numbers = sorted({len(cell.records) for cell in chosen.cells})
    if numbers == [1]:
        return "test examples (one seed)"
    seeds = " or ".join(map(str, numbers))
    return f"{seeds} seeds and {chosen.cells[0].accuracy.n_examples:,} test examples"


def _in_words(series: list[Series], unit: str) -> str:
    """The ends of each line in words, for the alt text."""

    def x(value: float) -> str:
        return formatting.quantity(value) if value < 1e7 else formatting.power_of_ten(value)

    def line(s: Series) -> str:
        if len(s.x) == 1:
            return f"{s.label}: {s.y[0]:.1f} % at {x(s.x[0])} {unit}."
        return (
            f"{s.label}: from {s.y[0]:.1f} % at {x(s.x[0])} {unit} "
            f"to {s.y[-1]:.1f} % at {x(s.x[-1])}."
        )

    return " ".join(map(line, series))


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {name: _rounded(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(part) for part in value]
    return value


# Drawing ------------------------------------------------------------------------------------------


def theme() -> Any:
    """The course's one figure style, as settings for `matplotlib.rc_context`."""
    import seaborn as sns

    return {
        **sns.axes_style("whitegrid"),
        **sns.plotting_context("notebook", font_scale=1.05),
        "font.family": ["DejaVu Sans"],  # ships with Matplotlib: the same on every machine
        "axes.spines.top": False,
        "axes.spines.right": False,
        "lines.linewidth": 2.0,
        "lines.markersize": 7.0,
        "figure.facecolor": "white",
        "svg.hashsalt": "course",
        "svg.fonttype": "path",
    }


@cache
def _figure_class() -> "type[Figure]":
    """A figure that a notebook shows as PNG with its description, made on first use."""
    from matplotlib.figure import Figure

    class CourseFigure(Figure):
        """A Matplotlib figure with `alt_text`."""

        alt_text: str = ""

        def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
            return (
                {"image/png": b64encode(png(self)).decode(), "text/plain": self.alt_text},
                {"image/png": {"alt": self.alt_text}},
            )

    return CourseFigure


def _draw(plot: Plot) -> "Figure":
    import matplotlib

    with matplotlib.rc_context(theme()):
        wide = len(plot.panels) > 1
        n_rows = max(len(panel.rows) for panel in plot.panels)
        size = _SIZE[0] * (1.3 if wide else 1), max(_SIZE[1], 1.6 + 0.27 * n_rows)
        figure = _figure_class()(figsize=size, dpi=_DPI, layout="constrained")
        axes = figure.subplots(1, len(plot.panels), squeeze=False)[0]
        for panel, ax in zip(plot.panels, axes, strict=True):
            _draw_panel(panel, ax)
        handles, labels = _legend(axes)
        columns = 2 if max(map(len, labels), default=0) > 24 or len(labels) < 5 else 3
        figure.legend(
            handles, labels, loc="outside upper center", ncols=columns, frameon=False,
            fontsize="small", handlelength=3.2,
        )  # fmt: skip
        note = "\n".join(textwrap.fill(line, 95 if wide else 80) for line in plot.note.split("\n"))
        figure.supxlabel(note, fontsize="small", color="0.25")
        # The layout is settled once: each further drawing would move things by a fraction of a dot.
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
    figure.alt_text = plot.alt_text  # type: ignore[attr-defined]
    return figure


def _legend(axes: Iterable["Axes"]) -> tuple[list[Any], list[str]]:
    """Handles and labels of all panels, each label once."""
    found: dict[str, Any] = {}
    for ax in axes:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    return list(found.values()), list(found)


def _draw_panel(panel: Panel, ax: "Axes") -> None:
    import seaborn as sns
    from matplotlib.ticker import LogLocator

    colours = sns.color_palette("colorblind", len(_MARKERS))
    for series in panel.series:
        is_filled, style = series.style < len(_MARKERS), series.style % len(_MARKERS)
        colour = colours[style]
        face, edge = (colour, "white") if is_filled else ("white", colour)
        if series.low and panel.rows:
            ax.hlines(series.y, series.low, series.high, color=colour, linewidth=1.2, zorder=1)
        elif series.low:
            ax.fill_between(
                series.x, series.low, series.high, color=colour, alpha=0.15, linewidth=0
            )
        ax.plot(
            series.x, series.y, label=series.label, color=colour, marker=_MARKERS[style],
            linestyle="none" if panel.rows else _DASHES[style], markerfacecolor=face,
            markeredgecolor=edge, markeredgewidth=0.7,
        )  # fmt: skip
    if panel.log_x:
        ax.set_xscale("log")
        if max((x for series in panel.series for x in series.x), default=0) < 1e6:
            ax.xaxis.set_major_formatter(lambda value, _: f"{value:,g}")
    if panel.log_y:
        ax.set_yscale("log")
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.yaxis.set_major_formatter(lambda value, _: f"{value:,g}")
        ax.yaxis.set_minor_formatter(lambda value, _: "")
    if panel.ticks:
        ax.set_xticks([position for position, _ in panel.ticks])
        ax.set_xticklabels([label for _, label in panel.ticks])
        ax.xaxis.minorticks_off()
    if panel.rows:
        ax.set_yticks([place for place, _ in panel.rows], [label for _, label in panel.rows])
        ax.tick_params(axis="y", labelsize="small")
        ax.invert_yaxis()
    ax.set_xlabel(panel.x_label)
    ax.set_ylabel(panel.y_label)
    ax.set_title(panel.title, fontsize="medium")


def png(figure: "Figure") -> bytes:
    """The figure as PNG with 256 colours: the same bytes as long as Matplotlib is the same."""
    import matplotlib
    from PIL import Image

    drawn, small = io.BytesIO(), io.BytesIO()
    with matplotlib.rc_context(theme()):
        figure.savefig(drawn, format="png", dpi=_DPI)
    Image.open(drawn).convert("RGB").quantize(256).save(small, format="png", optimize=True)
    return small.getvalue()


def svg(figure: "Figure") -> bytes:
    """The figure as SVG with title and description, without a date; deterministic like `png`."""
    import matplotlib

    buffer = io.BytesIO()
    description = getattr(figure, "alt_text", "")
    with matplotlib.rc_context(theme()):
        figure.savefig(
            buffer, format="svg", metadata={"Date": None, "Creator": None, "Title": description}
        )
    return buffer.getvalue()
