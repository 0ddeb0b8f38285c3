"""The ladder of lesson 05: ways of adapting beside each other, by score and by cost."""

from collections.abc import Iterable, Sequence
from statistics import median
from typing import TYPE_CHECKING, Any

from utils.errors import CourseError
from utils.experiments import Record
from utils.report import formatting, statistics
from utils.report.figures import Panel, Plot, Series, heading
from utils.report.formatting import MISSING
from utils.report.selection import (
    Cell,
    Comparable,
    comparable,
    machine,
    seed_list,
    size_key,
    size_label,
    title,
)
from utils.report.tables import Table, cost_row

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_PROBE = "probe-"
_REFERENCE = "full"
"""The method that costs are divided by."""

_COSTS = {"flops": "FLOPs", "wall_seconds": "Seconds"}

_NOTE = (
    "Each score: mean ± standard deviation over seeds, each with its own training subset and "
    "initialisation. Trained weights: those that the labels change, the classifier's included; the "
    "largest number over the data sets. FLOPs and seconds: of one run, divided by those of "
    "fine-tuning on the same data and machine; the median over the data sets. Features that "
    "several methods share are counted for each."
)


def is_probe(record: Record) -> bool:
    """Whether a run tells what one layer knows."""
    return record.spec.method.startswith(_PROBE)


def ladder_table(records: Iterable[Record], n_train: int | None) -> Table:
    """Scores of all methods (rows) on all data sets (columns) with one number of labels.

    Args:
        records: of one model and profile; probes of single layers are left out.
        n_train: number of training examples, None for all.

    Raises:
        CourseError: if there are none, or records that must not be compared; see
            `selection.comparable`.
    """
    chosen = _by_dataset(r for r in records if r.spec.n_train == n_train and not is_probe(r))
    order = {cell.method: None for each in chosen for cell in each.cells}
    methods = sorted(order, key=lambda method: _trained(chosen, method) or 0)
    rows = [
        [
            title(method),
            formatting.count(_trained(chosen, method)),
            *(_times(_relative(chosen, method, cost)) for cost in _COSTS),
            *(_score(each.cell(method, n_train)) for each in chosen),
        ]
        for method in methods
    ]
    first = chosen[0].records[0]
    labels = "all labels" if n_train is None else f"{size_label(n_train)} labels"
    return Table(
        f"ladder-{'all' if n_train is None else n_train}",
        f"Ways of adapting {chosen[0].model}, {labels}: score in %",
        [
            "Method",
            "Trained weights",
            *(f"{name} (fine-tuning: 1)" for name in _COSTS.values()),
            *(f"{each.dataset} ({each.measure})" for each in chosen),
        ],
        rows,
        [_NOTE, _origin(chosen, first.spec.profile)],
        [cost_row(each, cell) | _scores(cell) for each in chosen for cell in each.cells],
    )


def trained_weights(records: Sequence[Record]) -> "Figure":
    """Scores of all methods, sorted by how many weights the labels change; see the plot's note."""
    return trained_weights_plot(records).figure()


def trained_weights_plot(records: Sequence[Record]) -> Plot:
    """A row for each method and a mark for each number of labels, on one data set.

    Raises:
        CourseError: if the records must not stand in one figure; see `selection.comparable`.
    """
    chosen = comparable([record for record in records if not is_probe(record)])
    sizes: list[int | None] = [n for n in chosen.sizes if n is not None] or [None]
    shown = sizes[1::3] if len(sizes) > 3 else sizes  # of five, the second and the last
    methods = sorted(
        (method for method in chosen.methods if any(chosen.cell(method, n) for n in shown)),
        key=lambda method: _trained([chosen], method) or 0,
    )
    places = {method: float(place) for place, method in enumerate(methods)}
    series = []
    for style, n in enumerate(shown):
        cells = [cell for method in methods if (cell := chosen.cell(method, n))]
        series.append(
            Series(
                f"{size_label(n)} labels",
                [100 * cell.mean_and_sd[0] for cell in cells],
                [places[cell.method] for cell in cells],
                [100 * cell.accuracy.low for cell in cells],
                [100 * cell.accuracy.high for cell in cells],
                style,
            )
        )
    rows = [
        (places[method], f"{title(method)} · {formatting.count(_trained([chosen], method) or 0)}")
        for method in methods
    ]
    words = " ".join(
        f"{title(method)}: "
        + ", ".join(
            f"{formatting.percent(cell.mean_and_sd[0])} % with {size_label(n)} labels"
            for n in shown
            if (cell := chosen.cell(method, n))
        )
        + "."
        for method in methods
    )
    return Plot(
        [
            Panel(
                heading(chosen),
                f"{formatting.in_title(chosen.measure)} in %",
                "Method · weights that the labels change",
                series,
                rows=rows,
            )
        ],
        "Lines: 95 % bootstrap intervals over seeds and test examples.",
        f"Dot chart of {chosen.measure} on {heading(chosen)}, by method. {words}",
    )


def layer_curves(records: Sequence[Record]) -> "Figure":
    """What each layer tells a linear classifier, a line for each data set; see the plot's note."""
    return layer_plot(records).figure()


def layer_plot(records: Sequence[Record]) -> Plot:
    """Score of a probe by its layer; a panel for each measure, a line for each data set.

    Raises:
        CourseError: if there is no probe, or records that must not be compared.
    """
    chosen = _by_dataset(filter(is_probe, records))
    panels: dict[str, Panel] = {}
    for style, each in enumerate(chosen):
        cells = sorted(each.cells, key=_layer)
        y_label = f"{formatting.in_title(each.measure)} in %"
        panel = panels.setdefault(each.measure, Panel("", "Layer (0: embeddings)", y_label, []))
        panel.series.append(
            Series(
                each.dataset,
                [float(_layer(cell)) for cell in cells],
                [100 * cell.mean_and_sd[0] for cell in cells],
                [100 * cell.accuracy.low for cell in cells],
                [100 * cell.accuracy.high for cell in cells],
                style,
            )
        )
    lines = [series for panel in panels.values() for series in panel.series]
    words = " ".join(
        f"{line.label}: from {line.y[0]:.1f} % at the embeddings to {line.y[-1]:.1f} % at layer "
        f"{line.x[-1]:.0f}, the best {max(line.y):.1f} % at layer "
        f"{line.x[line.y.index(max(line.y))]:.0f}."
        for line in lines
    )
    sizes = sorted({n for each in chosen for n in each.sizes}, key=size_key)
    labels = " or ".join(map(size_label, sizes))
    return Plot(
        list(panels.values()),
        f"Linear classifiers on the hidden states of one layer, {labels} labels. Bands: 95 % "
        "bootstrap intervals over seeds and test examples.",
        f"Line chart of scores of probes against the layer of {chosen[0].model}. {words}",
    )


def _by_dataset(records: Iterable[Record]) -> list[Comparable]:
    """In the order of their first letters, all of one model and profile."""
    records = [record for record in records if record.spec.split == "test"]
    datasets = sorted({record.spec.dataset for record in records})
    if not datasets:
        raise CourseError("There are no records of the ladder to show. Run `course bench ladder`.")
    chosen = [comparable([r for r in records if r.spec.dataset == name]) for name in datasets]
    for what, values in (
        ("models", {each.model for each in chosen} - {None}),
        ("profiles", {record.spec.profile for record in records}),
    ):
        if len(values) > 1:
            raise CourseError(
                f"These records mix {what}: {', '.join(sorted(map(str, values)))}. Select one."
            )
    return chosen


def _layer(cell: Cell) -> int:
    return int(cell.method.removeprefix(_PROBE))


def _trained(chosen: Sequence[Comparable], method: str) -> float | None:
    found = [
        value
        for each in chosen
        for cell in each.cells
        if cell.method == method and (value := cell.cost("trainable_parameters")) is not None
    ]
    return max(found, default=None)


def _relative(chosen: Sequence[Comparable], method: str, cost: str) -> float | None:
    """A cost divided by that of fine-tuning, the median over data sets; None where unknown."""
    ratios = []
    for each in chosen:
        for n in each.sizes:
            cell, whole = each.cell(method, n), each.cell(_REFERENCE, n)
            if cell is None or whole is None:
                continue
            if cost == "wall_seconds" and cell.machines != whole.machines:
                continue
            ours, theirs = cell.cost(cost), whole.cost(cost)
            if ours is not None and theirs:
                ratios.append(ours / theirs)
    return median(ratios) if ratios else None


def _times(ratio: float | None) -> str:
    return MISSING if ratio is None else f"{ratio:.2f}"


def _score(cell: Cell | None) -> str:
    if cell is None:
        return MISSING
    return formatting.mean_and_sd(*cell.mean_and_sd) + f" ({len(cell.records)})"


def _scores(cell: Cell) -> dict[str, Any]:
    return {
        "metric": statistics.main_metric(cell.records),
        "score": cell.accuracy.value,
        "low": cell.accuracy.low,
        "high": cell.accuracy.high,
    }


def _origin(chosen: Sequence[Comparable], profile: str) -> str:
    records = [record for each in chosen for record in each.records]
    machines = sorted({machine(record) for record in records})
    return (
        f"In brackets the number of seeds. Profile {profile}; seeds {seed_list(records)}; "
        f"run on {'; '.join(machines)}. The CSV lists the keys of all records."
    )
