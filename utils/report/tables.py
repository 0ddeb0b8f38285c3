"""Tables from records (learning curves, costs, costs to reach an accuracy), and published ones."""

import csv
import html
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from utils.adaptation import METHODS
from utils.experiments import Record
from utils.report import facts, formatting, statistics
from utils.report.formatting import MISSING
from utils.report.selection import (
    Cell,
    Comparable,
    comparable,
    is_embedded,
    machine,
    origin,
    seed_list,
    size_label,
    title,
)
from utils.tasks import ALL_METRICS, PRETRAINING, get_task, how_measured


@dataclass(frozen=True, repr=False)
class Table:
    """A table for people, with the numbers behind it.

    Attributes:
        name: of its files, for example "learning-curves".
        caption: what it shows, with the unit.
        columns, rows: what is displayed.
        notes: sentences below the table: source, profile, seeds and the like.
        long: one dictionary per measured cell, unrounded, with the keys of its records: the CSV.
    """

    name: str
    caption: str
    columns: list[str]
    rows: list[list[str]]
    notes: list[str] = field(default_factory=list)
    long: list[dict[str, Any]] = field(default_factory=list)

    def markdown(self) -> str:
        """The table with caption and notes in GitHub's Markdown; ends with a newline."""
        alignment = [
            "---:" if _is_numeric(column) else "---" for column in zip(*self.rows, strict=True)
        ]
        lines = [self.columns, alignment or ["---"] * len(self.columns), *self.rows]
        grid = "\n".join(f"| {' | '.join(map(_escape, line))} |" for line in lines)
        notes = "".join(f"- {note}\n" for note in self.notes)
        return f"**{self.caption}**\n\n{grid}\n" + (f"\n{notes}" if notes else "")

    def csv(self) -> str:
        """One row per measured cell with unrounded numbers and record keys (or what is shown)."""
        rows = self.long or [dict(zip(self.columns, row, strict=True)) for row in self.rows]
        buffer = io.StringIO()
        writer = csv.DictWriter(
            buffer, list(rows[0]) if rows else self.columns, lineterminator="\n"
        )
        writer.writeheader()
        for row in rows:
            writer.writerow({name: _plain(value) for name, value in row.items()})
        return buffer.getvalue()

    def __repr__(self) -> str:
        return self.markdown()  # what a terminal and a plain-text front end show

    def _repr_markdown_(self) -> str:
        return self.markdown()

    def _repr_html_(self) -> str:
        head = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in self.columns)
        body = "".join(
            f'<tr><th scope="row">{html.escape(row[0])}</th>'
            + "".join(f"<td>{html.escape(value)}</td>" for value in row[1:])
            + "</tr>"
            for row in self.rows
        )
        notes = "".join(f"<li>{html.escape(note)}</li>" for note in self.notes)
        return (
            f"<table><caption>{html.escape(self.caption)}</caption>"
            f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
            f"<ul><small>{notes}</small></ul>"
        )


def learning_curve_table(records: Sequence[Record]) -> Table:
    """Score of each method (rows) by number of labelled examples (columns).

    Raises:
        CourseError: if the records must not stand in one table; see `selection.comparable`.
    """
    chosen = comparable(records)
    usual = usual_seeds(chosen.cells)
    rows = [
        [
            title(method),
            *(_score(chosen.cell(method, n), usual) for n in chosen.sizes),
            facts.seen_before(_model_of(chosen, method), method, chosen.dataset),
        ]
        for method in chosen.methods
    ]
    columns = ["Method", *(_size_heading(chosen, n) for n in chosen.sizes), "Seen before"]
    return Table(
        "learning-curves",
        f"{chosen.dataset}: {chosen.measure} in %, by number of labelled examples",
        columns,
        rows,
        [
            "Each cell: mean ± standard deviation over seeds, each with its own training subset "
            f"and initialisation. {seeds_note(chosen.cells, usual)} 95 % bootstrap intervals "
            "stand in the CSV: `low`, `high` over seeds and test examples, `low_examples`, "
            "`high_examples` over test examples only.",
            *_seen_notes(chosen),
            *origin_notes(chosen, "learning-curves"),
        ],
        [_score_row(chosen, cell) for cell in chosen.cells],
    )


def metrics_table(records: Sequence[Record]) -> Table:
    """All metrics of a task that people report, with the largest number of labels there is.

    A metric that no record holds has no column.

    Raises:
        CourseError: if the records must not stand in one table; see `selection.comparable`.
    """
    chosen = comparable(records)
    task, size = chosen.records[0].spec.task, chosen.sizes[-1]
    chosen = replace(chosen, records=[r for r in chosen.records if r.spec.n_train == size])
    titles = {
        name: heading
        for name, heading in ALL_METRICS[task].items()
        if any(cell.metric(name) for cell in chosen.cells)
    }
    how = how_measured(task)
    return Table(
        "metrics",
        f"{chosen.dataset}: all metrics in %, with {size_label(size)} labels",
        ["Method", *titles.values(), "Seeds"],
        [
            [
                title(cell.method),
                *(_in_percent(name, cell.metric(name)) for name in titles),
                str(len(cell.records)),
            ]
            for cell in chosen.cells
        ],
        [
            "Each cell: mean ± standard deviation over seeds; one seed alone has none.",
            *([how] if how else []),
            *origin_notes(chosen, "metrics"),
        ],
        [
            {
                **identity(chosen, cell),
                **{name: (cell.metric(name) or (None, None))[0] for name in titles},
                **{f"{name}_sd": (cell.metric(name) or (None, None))[1] for name in titles},
                "records": keys_of(cell),
            }
            for cell in chosen.cells
        ],
    )


_OUT_OF_100 = ("bleu", "chrf")
"""Metrics whose records hold percent; all others are shares."""


def _in_percent(name: str, value: tuple[float, float | None] | None) -> str:
    if value is None:
        return MISSING
    unit = 100 if name in _OUT_OF_100 else 1
    mean, sd = value
    return formatting.mean_and_sd(mean / unit, None if sd is None else sd / unit)


def cost_table(records: Sequence[Record]) -> Table:
    """What one run of each method costs at each number of labelled examples.

    Raises:
        CourseError: if the records must not stand in one table; see `selection.comparable`.
    """
    chosen = comparable(records)
    rows = [
        [
            title(cell.method),
            size_label(cell.n_train),
            formatting.percent(cell.mean_and_sd[0]),
            *_cost_cells(chosen, cell),
            formatting.mebibytes(cell.cost("peak_memory_bytes")),
            formatting.count(cell.cost("trainable_parameters")),
        ]
        for cell in chosen.cells
    ]
    return Table(
        "costs",
        f"{chosen.dataset}: cost of one run",
        [
            "Method",
            "Labels",
            f"{formatting.in_title(chosen.measure)} in %",
            *_COST_COLUMNS,
            "Peak memory in MiB",
            "Trained parameters",
        ],
        rows,
        [_COST_NOTE, MEMORY_NOTE, *time_notes(chosen), *origin_notes(chosen, "costs")],
        [cost_row(chosen, cell) for cell in chosen.cells],
    )


def cost_to_reach_table(records: Sequence[Record], scores: Sequence[float] | None = None) -> Table:
    """What each method needs to reach a given score: labels, seconds, examples, FLOPs.

    The row is that of the smallest measured number of labels whose mean score reaches the wanted
    one. Nothing is interpolated: where none does, the method has not reached it in these runs.

    Args:
        records: of one data set.
        scores: wanted ones in 0..1; by default the four highest multiples of 0.05 that at
            least one method reaches and at least one fails to reach with its fewest labels.

    Raises:
        CourseError: if the records must not stand in one table; see `selection.comparable`.
    """
    chosen = comparable(records)
    wanted = _targets(chosen) if scores is None else list(scores)
    found = [
        (score, method, first_to_reach(chosen, method, score))
        for score in wanted
        for method in chosen.methods
    ]
    rows = [
        [
            f"{formatting.percent(score)} %",
            title(method),
            *(
                [size_label(cell.n_train), *_cost_cells(chosen, cell)]
                if cell
                else ["not reached", *[MISSING] * len(_COST_COLUMNS)]
            ),
        ]
        for score, method, cell in found
    ]
    return Table(
        "cost-to-reach",
        f"{chosen.dataset}: cost to reach a given {chosen.measure}",
        [formatting.in_title(chosen.measure), "Method", "Labels", *_COST_COLUMNS],
        rows,
        [
            f"The smallest measured number of labels whose mean {chosen.measure} over seeds "
            f"reaches the wanted one; measured were {', '.join(map(size_label, chosen.sizes))}. "
            'Nothing is interpolated, and "not reached" speaks of these runs only.',
            _COST_NOTE,
            *time_notes(chosen),
            *origin_notes(chosen, "cost-to-reach"),
        ],
        [
            {f"wanted_{chosen.metric}": score, "reached": cell is not None}
            | (cost_row(chosen, cell) if cell else _unreached_row(chosen, method))
            for score, method, cell in found
        ],
    )


def reference_table(dataset: str) -> Table:
    """Published results on `dataset`, which were not measured here, with their sources."""
    rows = [
        [
            entry.system,
            "accuracy" if entry.metric == "error" else entry.metric,
            f"{100 - entry.percent if entry.metric == 'error' else entry.percent:.1f}",
            entry.split,
            f"{entry.paper}, {entry.year}, {entry.venue}" + (entry.table and f", {entry.table}"),
        ]
        for entry in facts.references(dataset)
    ]
    return Table(
        "published-elsewhere",
        f"{dataset}: as published elsewhere, with all training examples",
        ["System", "Metric", "In %", "Split", "Source"],
        rows,
        [
            "These figures were published by others and not measured here: other models, recipes "
            "and numbers of runs. An error rate is shown as 100 minus itself. Never compare them "
            "with ours to the decimal."
        ],
    )


def first_to_reach(chosen: Comparable, method: str, score: float) -> Cell | None:
    """The cell of `method` with the fewest labels whose mean score is at least `score`."""
    cells = (cell for cell in chosen.cells if cell.method == method)
    return next((cell for cell in cells if cell.mean_and_sd[0] >= score), None)


def _targets(chosen: Comparable) -> list[float]:
    means = [cell.mean_and_sd[0] for cell in chosen.cells]
    multiples = [step / 20 for step in range(1, 21)]
    return [target for target in multiples if min(means) < target <= max(means)][-4:]


_COST_COLUMNS = ["Seconds", "Examples seen", "FLOPs"]

_COST_NOTE = (
    "Costs are those of one run with its hyper-parameters given, the mean over seeds (of seconds "
    "the median); the search for them, predicting, and the validations that choose the best point "
    "of a training are not included. FLOPs are those of the encoder, computed from the shapes of "
    "all batches, padding included; methods without an encoder have none."
)
MEMORY_NOTE = (
    "Peak memory is the largest over seeds: on a GPU what was allocated during the run, on a CPU "
    "the peak of the whole process up to then, libraries and earlier runs included."
)


def _cost_cells(chosen: Comparable, cell: Cell) -> list[str]:
    return [
        formatting.quantity(chosen.cost(cell, "wall_seconds")),
        formatting.count(cell.cost("examples_seen")),
        formatting.power_of_ten(cell.cost("flops")),
    ]


def _score(cell: Cell | None, usual: int) -> str:
    if cell is None:
        return MISSING
    n_seeds = len(cell.records)
    return formatting.mean_and_sd(*cell.mean_and_sd) + (f" ({n_seeds})" * (n_seeds != usual))


def usual_seeds(cells: list[Cell]) -> int:
    """The most frequent number of seeds of a cell (the largest on a tie)."""
    counts = Counter(len(cell.records) for cell in cells)
    return max(counts, key=lambda n: (counts[n], n))


def seeds_note(cells: list[Cell], usual: int) -> str:
    """How many seeds stand behind a cell."""
    note = f"{formatting.plural(usual, 'seed')} per cell"
    if any(len(cell.records) != usual for cell in cells):
        note += "; where it is another number, it follows in brackets"
    if any(len(cell.records) == 1 for cell in cells):
        note += "; one seed alone has no standard deviation"
    return note + "."


def _size_heading(chosen: Comparable, n_train: int | None) -> str:
    if n_train is not None:
        return f"n = {n_train:,}"
    labels = {cell.n_labels for cell in chosen.cells if cell.n_train is None}
    return f"all ({max(labels):,})"


def _model_of(chosen: Comparable, method: str) -> str | None:
    return next(r.spec.model for r in chosen.records if r.spec.method == method)


def _seen_notes(chosen: Comparable) -> list[str]:
    about = facts.about_model(chosen.model)
    return [f'"Seen before" says whether the starting weights know this data set. {about}'.strip()]


def time_notes(chosen: Comparable) -> list[str]:
    """What to know about seconds, if they come from several machines."""
    if all(cell.machines == {chosen.machine} for cell in chosen.cells):
        return []
    return [
        f"Seconds are those on {chosen.machine}. Those on other machines cannot be compared with "
        "them and are left out."
    ]


def origin_notes(chosen: Comparable, name: str) -> list[str]:
    """Where the numbers come from: data, profile, test examples, machines, stale records, keys."""
    record = chosen.records[0]
    locations = sorted({r.provenance["source"]["location"] for r in chosen.records})
    stand_in = " in place of the real data set" if is_embedded(record) else ""
    machines = sorted({machine(r) for r in chosen.records})
    notes = [
        f"Data: {' and '.join(locations)}{stand_in}, content "
        f"`{record.provenance['source']['fingerprint']}`; profile {record.spec.profile}; "
        f"{_tested_on(record)}; "
        f"seeds {seed_list(chosen.records)}.",
        *_held_out_notes(chosen),
        *_settings_notes(chosen),
        f"Run on {'; '.join(machines)}.",
    ]
    if chosen.stale:
        keys = ", ".join(f"`{r.key}`" for r in chosen.stale[:5])
        more = f" and {len(chosen.stale) - 5} more" if len(chosen.stale) > 5 else ""
        notes.append(
            f"Left out as stale, because the code of their task or method has changed since: "
            f"{formatting.plural(len(chosen.stale), 'record')} ({keys}{more})."
        )
    notes.append(
        f"Every number traces to records: the CSV of this table ({name}) lists their keys, and "
        f"`course show KEY` prints one, for example `course show {record.key}`."
    )
    return notes


def _held_out_notes(chosen: Comparable) -> list[str]:
    """How many labelled examples decided on settings, besides those that are counted."""
    sizes: dict[int, list[int | None]] = {}
    for n in chosen.sizes:
        (record, *_) = [r for r in chosen.records if r.spec.n_train == n]
        sizes.setdefault(int(record.provenance.get("n_validation", 0)), []).append(n)
    if not any(sizes):
        return []
    if len(sizes) == 1:
        (n_held_out,) = sizes
        rows = f"{formatting.count(n_held_out)} validation rows"
        return [f"{_ALSO_LABELLED}: {rows}, none of them among the test examples."]
    parts = [
        f"{formatting.count(held_out)} with {', '.join(map(size_label, labels))} labels"
        for held_out, labels in sizes.items()
    ]
    rows = "validation rows that are not among the test examples"
    return [f"{_ALSO_LABELLED}, {rows}: {'; '.join(parts)}."]


_ALSO_LABELLED = (
    "Not counted as labels, though settings and the best point of a training may be chosen on them"
)


def _settings_notes(chosen: Comparable) -> list[str]:
    """Settings in which the cells of a row differ, other than those that were tuned."""
    found = []
    for method in chosen.methods:
        cells = [cell for cell in chosen.cells if cell.method == method]
        tuned = {name for candidate in METHODS[method].candidates for name in candidate}
        hypers = [cell.records[0].spec.hyper for cell in cells]
        names = sorted({name for hyper in hypers for name in hyper} - tuned)
        differing = [name for name in names if len({hyper.get(name) for hyper in hypers}) > 1]
        groups: dict[str, list[str]] = {}
        for cell, hyper in zip(cells, hypers, strict=True):
            settings = ", ".join(f"{name} {hyper.get(name, 'by default')}" for name in differing)
            groups.setdefault(settings, []).append(size_label(cell.n_train))
        if differing:
            parts = [f"{settings} with {', '.join(n)} labels" for settings, n in groups.items()]
            found.append(
                f"The row of {title(method)} holds different settings: {'; '.join(parts)}."
            )
    return found


def _tested_on(record: Record) -> str:
    n = len(record.fractions(get_task(record.spec.task).METRIC))
    if record.spec.task in PRETRAINING:
        return f"{formatting.plural(n, 'hidden token')} in held-out documents"
    return formatting.plural(n, "test example")


def identity(chosen: Comparable, cell: Cell) -> dict[str, Any]:
    """What an experiment is, for the CSV."""
    spec = cell.records[0].spec
    return {
        "task": spec.task,
        "dataset": spec.dataset,
        "model": spec.model,
        "method": spec.method,
        "n_train": size_label(spec.n_train).replace(",", ""),
        "n_labels": cell.n_labels,
        "profile": spec.profile,
        "source": origin(cell.records[0]),
        "n_seeds": len(cell.records),
    }


def _score_row(chosen: Comparable, cell: Cell) -> dict[str, Any]:
    mean, sd = cell.mean_and_sd
    examples = statistics.score(cell.records, resample_seeds=False)
    f1 = [record.metrics.get("f1_macro") for record in cell.records]
    known = [value for value in f1 if value is not None]
    return {
        **identity(chosen, cell),
        "n_test": cell.accuracy.n_examples,
        chosen.metric: mean,
        "sd": sd,
        "low": cell.accuracy.low,
        "high": cell.accuracy.high,
        "low_examples": examples.low,
        "high_examples": examples.high,
        "f1_macro": statistics.mean_and_sd(known)[0] if known else None,
        "records": keys_of(cell),
    }


_COSTS = (
    "wall_seconds",
    "optimiser_steps",
    "examples_seen",
    "tokens_seen",
    "flops",
    "peak_memory_bytes",
    "parameters",
    "trainable_parameters",
)


def cost_row(chosen: Comparable, cell: Cell) -> dict[str, Any]:
    """All costs of an experiment, for the CSV."""
    return {
        **identity(chosen, cell),
        chosen.metric: cell.mean_and_sd[0],
        **{name: cell.cost(name) for name in _COSTS},
        "machines": "; ".join(sorted({machine(record) for record in cell.records})),
        "records": keys_of(cell),
    }


def _unreached_row(chosen: Comparable, method: str) -> dict[str, Any]:
    """The row of a method that never gets there; its records are all that were tried."""
    cells = [cell for cell in chosen.cells if cell.method == method]
    row = dict.fromkeys(cost_row(chosen, cells[-1]))
    shared = ("task", "dataset", "model", "method", "profile", "source")
    row |= {name: identity(chosen, cells[-1])[name] for name in shared}
    return row | {"records": " ".join(map(keys_of, cells))}


def keys_of(cell: Cell) -> str:
    """Keys of its records, for the CSV."""
    return " ".join(record.key for record in cell.records)


def _plain(value: Any) -> Any:
    """Floats with six significant digits or six decimals: enough, and the same on every machine."""
    if isinstance(value, float):
        return f"{value:.6g}" if abs(value) >= 1 else f"{value:.6f}"
    return value


def _is_numeric(column: Sequence[str]) -> bool:
    """Whether a column shows numbers: at least one, and no more words than numbers."""
    n_numbers = sum(cell[:1].isdigit() for cell in column)
    n_words = sum(cell[:1].isalpha() for cell in column)
    return n_numbers > 0 and n_numbers >= n_words


def _escape(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
