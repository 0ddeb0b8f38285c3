"""Tables, curves and a sentence from records of pre-training (task "language-modelling")."""

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from utils.errors import CourseError
from utils.experiments import Record
from utils.report import formatting, statistics
from utils.report.figures import Panel, Plot, Series, heading, style_of
from utils.report.formatting import MISSING
from utils.report.selection import Cell, Comparable, comparable, dataset_title, title
from utils.report.tables import (
    MEMORY_NOTE,
    Table,
    cost_row,
    identity,
    keys_of,
    origin_notes,
    seeds_note,
    time_notes,
    usual_seeds,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LOSSES = {"mlm_loss": "MLM loss", "unigram_loss": "Unigram loss", "gain": "Gain"}
_SHARES = {
    "accuracy": "Hidden tokens right in %",
    "nsp_accuracy_other_document": "Next sentence right in % (other document)",
    "nsp_accuracy_same_document": "Next sentence right in % (same document)",
}
_SIZES = {"optimiser_steps": "Updates", "tokens_seen": "Tokens seen", "parameters": "Parameters"}

_COLUMNS_NOTE = (
    "MLM loss: mean cross-entropy of hidden tokens. Unigram loss: the same if only the token "
    "frequencies of the training text are known. Gain: the second less the first. Hidden tokens "
    "right: how often the first guess is. Next sentence right: share of pairs of which it was "
    "judged rightly whether B follows A; half of them do, the other B comes from another place, in "
    f'another or in the same document ("{MISSING}": not asked). Tokens seen: all positions of the '
    "training sequences, special tokens included. Parameters: of the model with its heads."
)
_SAME_QUESTIONS_NOTE = (
    "All methods answer the same questions on documents held out as wholes: 15 % of the tokens are "
    "hidden as BERT does it, whatever a method was trained on."
)
_INTERVALS_NOTE = (
    "95 % intervals stand in the CSV: of losses and gain over seeds alone (Student's t, from three "
    "seeds on); of shares `_low`, `_high` by bootstrap over seeds and answers, `_low_examples`, "
    "`_high_examples` over answers only. Answers are drawn one by one, though neighbours in one "
    "document err alike: over other documents the shares vary more."
)
_COST_NOTE = (
    "Costs are those of one run, the mean over seeds (of seconds the median). Of a training, "
    "seconds leave out cutting the text into tokens, counting neighbours for the first token "
    "vectors and evaluations; of counting alone they are those of everything. FLOPs are those of "
    "the encoder and of the head for hidden tokens, computed from the shapes of all batches."
)


def pretraining_table(records: Sequence[Record]) -> Table:
    """How well each method (rows) fills in held-out text, beside token frequencies alone.

    Raises:
        CourseError: if the records must not stand in one table; see `selection.comparable`.
    """
    chosen = comparable(records)
    usual = usual_seeds(chosen.cells)
    return Table(
        "pretraining",
        f"{dataset_title(chosen.dataset)}: pre-training, loss and gain in nats per hidden token",
        ["Method", *_LOSSES.values(), *_SHARES.values(), *_SIZES.values()],
        [
            [
                _name(cell, usual),
                *(_shown(cell, metric, formatting.nats) for metric in _LOSSES),
                *(_shown(cell, metric, formatting.mean_and_sd) for metric in _SHARES),
                *(formatting.count(cell.cost(name)) for name in _SIZES),
            ]
            for cell in chosen.cells
        ],
        [
            _COLUMNS_NOTE,
            _SAME_QUESTIONS_NOTE,
            "Each cell: mean ± standard deviation over seeds, which initialise the model and draw "
            f"what it is trained on. {seeds_note(chosen.cells, usual)} {_INTERVALS_NOTE}",
            *_settings_notes(chosen),
            *origin_notes(chosen, "pretraining"),
        ],
        [_long_row(chosen, cell) for cell in chosen.cells],
    )


def pretraining_cost_table(records: Sequence[Record]) -> Table:
    """What one run of each method costs, and how fast it is.

    Raises:
        CourseError: if the records must not stand in one table; see `selection.comparable`.
    """
    chosen = comparable(records)
    usual = usual_seeds(chosen.cells)
    return Table(
        "costs",
        f"{dataset_title(chosen.dataset)}: cost of one run",
        [
            "Method",
            "Updates",
            "Gain in nats",
            "Seconds",
            "Tokens per second",
            "FLOPs",
            "Peak memory in MiB",
        ],
        [
            [
                _name(cell, usual),
                formatting.count(cell.cost("optimiser_steps")),
                _shown(cell, "gain", formatting.nats),
                formatting.quantity(chosen.cost(cell, "wall_seconds")),
                formatting.count(_tokens_per_second(chosen, cell)),
                formatting.power_of_ten(cell.cost("flops")),
                formatting.mebibytes(cell.cost("peak_memory_bytes")),
            ]
            for cell in chosen.cells
        ],
        [_COST_NOTE, MEMORY_NOTE, *time_notes(chosen), *origin_notes(chosen, "costs")],
        [_long_cost_row(chosen, cell) for cell in chosen.cells],
    )


def pretraining_curves(records: Sequence[Record]) -> "Figure":
    """Loss on held-out documents against updates, a line per method; see `pretraining_plot`.

    Raises:
        CourseError: if none of the records has a curve.
    """
    plot = pretraining_plot(records)
    if not plot.drawable:
        raise CourseError(
            "None of these records has a curve: only methods that train a model leave one. Select, "
            "for example, method='mlm'."
        )
    return plot.figure()


def pretraining_plot(records: Sequence[Record]) -> Plot:
    """Loss of hidden tokens beside the unigram entropy, and of sentence pairs beside ln 2.

    Lines are means over seeds, bands reach from the smallest to the largest. Of pairs, each method
    is shown on those that it was trained on. Not drawable if no method leaves a curve.

    Raises:
        CourseError: if the records must not stand in one figure; see `selection.comparable`.
    """
    chosen = comparable(records)
    tokens = _lines(_curves(chosen, dict.fromkeys(chosen.methods, "mlm_loss")))
    pairs = _lines(_curves(chosen, _pairs_trained_on(chosen)))
    panels = [
        _panel("Hidden tokens", "token", tokens, _unigram(chosen)),
        _panel("Next sentence", "pair", pairs, ("A coin (ln 2)", math.log(2))),
    ]
    panels = [panel for panel in panels if panel.series]
    where = heading(chosen)
    return Plot(
        panels,
        f"{where}. {_band_note(chosen)}Points are measured on fewer held-out sequences than the "
        "table." + " Of pairs, each method's own kind is shown." * (len(panels) > 1),
        f"Line chart of the loss on held-out documents against updates on {where}. "
        + " ".join(map(_in_words, panels)),
    )


def pretraining_sentence(records: Sequence[Record]) -> str:
    """The lowest loss of the trained methods, beside the unigram entropy."""
    chosen = comparable(records)
    trained = _trained(chosen)
    if not trained:
        return "Only token frequencies have been measured here, and no pre-trained model yet."
    best = min(trained, key=lambda cell: _mean(cell, "mlm_loss"))
    subject = f"the loss of {title(best.method)} is"
    if len(trained) > 1:
        subject = (
            f"the lowest loss of {len(trained)} ways to pre-train is that of {title(best.method)}:"
        )
    gain = _mean(best, "gain")
    return (
        f"After {formatting.count(best.cost('optimiser_steps'))} updates, {subject} "
        f"{formatting.nats(_mean(best, 'mlm_loss'))} nats per hidden token of held-out documents, "
        f"{formatting.nats(abs(gain))} {'below' if gain >= 0 else 'above'} the unigram entropy "
        f"({formatting.nats(_mean(best, 'unigram_loss'))}; "
        f"{formatting.plural(len(best.records), 'seed')})."
    )


# Tables -------------------------------------------------------------------------------------------


def _name(cell: Cell, usual: int) -> str:
    n_seeds = len(cell.records)
    return title(cell.method) + f" ({n_seeds})" * (n_seeds != usual)


def _shown(cell: Cell, metric: str, written: Callable[..., str]) -> str:
    measured = cell.metric(metric)
    return written(*measured) if measured else MISSING


def _mean(cell: Cell, metric: str) -> float:
    return statistics.mean_and_sd([record.metrics[metric] for record in cell.records])[0]


def _trained(chosen: Comparable) -> list[Cell]:
    """The experiments in which a model was trained."""
    return [cell for cell in chosen.cells if cell.cost("optimiser_steps")]


def _tokens_per_second(chosen: Comparable, cell: Cell) -> float | None:
    tokens, seconds = cell.cost("tokens_seen"), chosen.cost(cell, "wall_seconds")
    return tokens / seconds if tokens and seconds else None


def _settings_notes(chosen: Comparable) -> list[str]:
    """The settings that all trained methods share."""
    settings = [_settings(record) for cell in _trained(chosen) for record in cell.records]
    if not settings:
        return []
    shared = [
        f"{name} {value}"
        for name, value in settings[0].items()
        if value != "" and all(other.get(name) == value for other in settings)
    ]
    length = f"sequences of up to {chosen.records[0].spec.max_length} tokens"
    return [f"Settings that all trained methods share: {', '.join([length, *shared])}."]


def _settings(record: Record) -> dict[str, Any]:
    return dict(sorted(record.spec.hyper.items()))  # complete: today's defaults may be others


def _identity(chosen: Comparable, cell: Cell) -> dict[str, Any]:
    """Without labels, as there are none, but with the number of documents."""
    row = identity(chosen, cell)
    del row["n_train"]
    return row | {"n_documents": row.pop("n_labels")}


def _long_row(chosen: Comparable, cell: Cell) -> dict[str, Any]:
    row = _identity(chosen, cell)
    for metric in _LOSSES:
        row |= _loss_columns(cell, metric)
    for metric in _SHARES:
        row |= _share_columns(cell, metric)
    return row | {name: cell.cost(name) for name in _SIZES} | {"records": keys_of(cell)}


def _loss_columns(cell: Cell, metric: str) -> dict[str, float | None]:
    mean, sd = cell.metric(metric) or (None, None)
    values = statistics.metric_values(cell.records, metric)
    low, high = statistics.interval_over_seeds(values) or (None, None)
    return {metric: mean, f"{metric}_sd": sd, f"{metric}_low": low, f"{metric}_high": high}


def _share_columns(cell: Cell, metric: str) -> dict[str, float | None]:
    names = ("", "_sd", "_low", "_high", "_low_examples", "_high_examples", "_n")
    measured = cell.metric(metric)
    if measured is None:
        return {f"{metric}{name}": None for name in names}
    both = statistics.score(cell.records, metric=metric)
    answers = statistics.score(cell.records, metric=metric, resample_seeds=False)
    values = (*measured, both.low, both.high, answers.low, answers.high, both.n_examples)
    return {f"{metric}{name}": value for name, value in zip(names, values, strict=True)}


def _long_cost_row(chosen: Comparable, cell: Cell) -> dict[str, Any]:
    """All costs; what is measured stands in the other table."""
    costs = cost_row(chosen, cell)
    for name in (*identity(chosen, cell), "accuracy"):
        del costs[name]
    measured = {"gain": _mean(cell, "gain"), "tokens_per_second": _tokens_per_second(chosen, cell)}
    return _identity(chosen, cell) | measured | costs


# Curves -------------------------------------------------------------------------------------------

_Curves = dict[str, dict[float, list[float]]]
"""Method → update → the loss under each seed."""


def _curves(chosen: Comparable, metrics: dict[str, str]) -> _Curves:
    """For each method the curve of its metric, at the updates that all seeds have."""
    found: _Curves = {}
    for cell in chosen.cells:
        points: dict[float, list[float]] = {}
        for record in cell.records:
            for point in record.curve:
                if (metric := metrics.get(cell.method)) in point:
                    points.setdefault(float(point["step"]), []).append(point[metric])
        complete = {s: v for s, v in sorted(points.items()) if len(v) == len(cell.records)}
        if complete:
            found[cell.method] = complete
    return found


def _pairs_trained_on(chosen: Comparable) -> dict[str, str]:
    """The loss on pairs of the kind that each method draws in training."""
    kinds = {cell.method: _settings(cell.records[0])["negatives"] for cell in _trained(chosen)}
    return {m: f"nsp_loss_{kind.replace('-', '_')}" for m, kind in kinds.items() if kind}


def _lines(curves: _Curves) -> list[Series]:
    """Means over seeds; the band reaches from the smallest to the largest."""
    return [
        Series(
            title(method),
            list(points),
            [sum(values) / len(values) for values in points.values()],
            [min(values) for values in points.values()] if _has_seeds(points) else [],
            [max(values) for values in points.values()] if _has_seeds(points) else [],
            style_of(method),
        )
        for method, points in curves.items()
    ]


def _has_seeds(points: dict[float, list[float]]) -> bool:
    return all(len(values) > 1 for values in points.values())


def _unigram(chosen: Comparable) -> tuple[str, float]:
    """The loss of token frequencies on what curves are measured on: the same for all methods."""
    found = [p["unigram_loss"] for r in chosen.records for p in r.curve if "unigram_loss" in p]
    return "Unigram entropy (token frequencies)", sum(found) / len(found) if found else 0.0


def _panel(name: str, unit: str, lines: list[Series], level: tuple[str, float]) -> Panel:
    """Lines and, if there are any, a horizontal one for what needs no context."""
    if not lines:
        return Panel(name, "Updates", f"Loss in nats per {unit}", [])
    ends = [min(line.x[0] for line in lines), max(line.x[-1] for line in lines)]
    label, value = level
    horizontal = Series(label, ends, [value, value], style=style_of("token-counts"))
    return Panel(name, "Updates", f"Loss in nats per {unit}", [*lines, horizontal])


def _band_note(chosen: Comparable) -> str:
    numbers = sorted({len(cell.records) for cell in _trained(chosen)} - {1})
    if not numbers:
        return ""
    return f"Bands: smallest to largest of {' or '.join(map(str, numbers))} seeds. "


def _in_words(panel: Panel) -> str:
    *lines, level = panel.series
    ends = " ".join(
        f"{line.label}: from {line.y[0]:.3f} nats after {line.x[0]:,.0f} updates to "
        f"{line.y[-1]:.3f} after {line.x[-1]:,.0f}."
        for line in lines
    )
    return f"{panel.title}: {ends} {level.label}: {level.y[0]:.3f} nats."
