"""Compare two sets of records: does the second do as well as the first, experiment by experiment?

For checking a reproduction on another machine, or a change of the code, against what is published.
"""

from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Literal

from utils.errors import CourseError
from utils.experiments import Record
from utils.report import formatting, statistics
from utils.report.selection import cell_and_seed, is_embedded, size_key, size_label, title
from utils.report.tables import Table
from utils.resampling import Bootstrap

Verdict = Literal["OK", "within noise", "better", "worse", "not tested"]

LEVEL = 0.05
"""Family-wise level at which a difference counts, after Holm's correction over all rows."""


@dataclass(frozen=True)
class Row:
    """One experiment and metric in both sets; `difference` is that of B minus A.

    `low`, `high` are the ends of its 95 % interval (not corrected) and `p` the corrected two-sided
    p-value: None where the difference cannot be tested.
    """

    dataset: str
    model: str | None
    method: str
    n_train: int | None
    metric: str
    a: float
    b: float
    difference: float
    low: float | None
    high: float | None
    p: float | None
    verdict: Verdict
    note: str


@dataclass(frozen=True)
class Comparison:
    """All rows, and the names of experiments that only one side has."""

    rows: list[Row]
    only_in_a: list[str]
    only_in_b: list[str]

    @property
    def is_worse(self) -> bool:
        """Whether any experiment is worse in B than in A: the exit status of `course compare`."""
        return any(row.verdict == "worse" for row in self.rows)

    def summary(self) -> str:
        """One line: how many rows have which verdict, and how much could not be compared."""
        verdicts = [row.verdict for row in self.rows]
        counts = [f"{verdicts.count(v)} {v}" for v in dict.fromkeys(verdicts)]
        missing = len(self.only_in_a) + len(self.only_in_b)
        left = f"; {formatting.plural(missing, 'experiment')} only on one side" if missing else ""
        return f"{formatting.plural(len(self.rows), 'row')}: {', '.join(counts)}{left}."

    def table(self) -> Table:
        """The rows as a table."""
        rows = [
            [
                row.dataset,
                title(row.method),
                size_label(row.n_train),
                row.metric,
                _value(row.metric, row.a),
                _value(row.metric, row.b),
                _interval(row),
                row.verdict,
                row.note,
            ]
            for row in self.rows
        ]
        columns = ["Data set", "Method", "Labels", "Metric", "A", "B", "B − A", "Verdict", "Note"]
        return Table("compare", "B against A, in %", columns, rows, [*_NOTES, *self._one_sided()])

    def _one_sided(self) -> list[str]:
        sides = (("A", self.only_in_a), ("B", self.only_in_b))
        return [f"Only in {side}: {'; '.join(names)}." for side, names in sides if names]


_NOTES = (
    '"OK": equal. "Better" and "worse": the difference is significant at 5 % over all rows '
    'together (bootstrap, Holm\'s correction). "Within noise": it is not, which does not prove it '
    "absent. "
    "Intervals are 95 % bootstrap intervals over seeds and test examples, not corrected.",
    'Only the accuracy is tested: for other metrics ("not tested") records keep no value per '
    "example.",
)


def compare(a: Sequence[Record], b: Sequence[Record]) -> Comparison:
    """Compare B with A by data set, model, method, number of labels and metric.

    Runs tested on the same examples are paired by example and by the seeds that both have. Where
    that is impossible (other test examples, no seed in common) each side is resampled by itself,
    and the note says so.

    Raises:
        CourseError: if both have nothing in common, or one holds two runs of the same experiment
            with the same seed.
    """
    ours, theirs = _cells(a, "A"), _cells(b, "B")
    shared = [key for key in ours if key in theirs]
    if not shared:
        raise CourseError(
            "The two sets of records have no experiment in common: "
            f"{_names(ours) or 'none'} against {_names(theirs) or 'none'}. "
            "Compare records of the same data set, source, method and number of labels."
        )
    matched = [_matched(ours[key], theirs[key]) for key in shared]
    pairs = [(one, other, m) for one, other in matched for m in _metrics(one, other)]
    estimates = [_estimate(*pair) for pair in pairs]
    tested = [index for index, estimate in enumerate(estimates) if estimate is not None]
    corrected = statistics.holm([e.p_two_sided() for e in estimates if e is not None])
    p_values: dict[int, float] = dict(zip(tested, corrected, strict=True))
    rows = [
        _row(pair, estimate, p_values.get(index))
        for index, (pair, estimate) in enumerate(zip(pairs, estimates, strict=True))
    ]
    return Comparison(
        rows,
        [_name(ours[key]) for key in ours if key not in theirs],
        [_name(theirs[key]) for key in theirs if key not in ours],
    )


Pair = tuple[list[Record], list[Record], str]


def _row(pair: Pair, estimate: Bootstrap | None, p: float | None) -> Row:
    first, second, metric = pair
    spec = first[0].spec
    mean_a, mean_b = (
        statistics.mean_and_sd([record.metrics[metric] for record in side])[0]
        for side in (first, second)
    )
    difference = mean_b - mean_a if estimate is None else estimate.value
    return Row(
        spec.dataset,
        spec.model,
        spec.method,
        spec.n_train,
        metric,
        mean_a,
        mean_b,
        difference,
        estimate.low if estimate else None,
        estimate.high if estimate else None,
        p,
        _verdict(pair, difference, p),
        _note(first, second),
    )


def _verdict(pair: Pair, difference: float, p: float | None) -> Verdict:
    first, second, metric = pair
    values = [{statistics.seeds_of(r): r.metrics[metric] for r in side} for side in (first, second)]
    if values[0] == values[1]:
        return "OK"
    if p is None:
        return "not tested"
    if p > LEVEL:
        return "within noise"
    return "better" if difference > 0 else "worse"


def _estimate(first: list[Record], second: list[Record], metric: str) -> Bootstrap | None:
    """The difference B − A with its bootstrap; None for metrics without values per example."""
    if metric != statistics.main_metric(first):
        return None
    if _pairable(first, second):
        return statistics.paired_difference(second, first)
    return statistics.unpaired_difference(second, first)


def _matched(first: list[Record], second: list[Record]) -> tuple[list[Record], list[Record]]:
    """Only the seeds that both have, if the runs can be paired; else all."""
    if not _pairable(first, second):
        return first, second
    shared = _seeds(first) & _seeds(second)
    one, other = ([r for r in side if statistics.seeds_of(r) in shared] for side in (first, second))
    return one, other


def _pairable(first: list[Record], second: list[Record]) -> bool:
    same_test = statistics.same_examples(first[0], second[0])
    return same_test and bool(_seeds(first) & _seeds(second))


def _note(first: list[Record], second: list[Record]) -> str:
    """What to know about a row: unpaired or not, number of seeds, settings that differ."""
    notes = []
    if not _pairable(first, second):
        notes.append("unpaired")
    counts = sorted({len(first), len(second)})
    notes.append(f"{' and '.join(map(str, counts))} seed{'s' * (counts != [1])}")
    one, other = first[0].spec.model_dump(), second[0].spec.model_dump()
    differing = [name for name in one if one[name] != other[name] and name not in _SEEDS]
    if differing:
        notes.append(f"other {', '.join(differing)}")
    return "; ".join(notes)


_SEEDS = ("seed", "data_seed")


def _seeds(records: list[Record]) -> set[tuple[int, int]]:
    return {statistics.seeds_of(record) for record in records}


def _cells(records: Sequence[Record], side: str) -> dict[Hashable, list[Record]]:
    """Reported runs by experiment, sorted; embedded and real data are different experiments."""
    cells: dict[Hashable, list[Record]] = defaultdict(list)
    seen: set[Hashable] = set()
    for record in sorted((r for r in records if r.spec.split == "test"), key=_order):
        run = (cell_and_seed(record), is_embedded(record))
        if run in seen:
            raise CourseError(
                f"{side} holds two runs of the same experiment with the same seed "
                f"({record.spec.label()}). Select one profile and one setting."
            )
        seen.add(run)
        spec = record.spec
        key = (spec.task, spec.dataset, spec.model, spec.method, spec.n_train, is_embedded(record))
        cells[key].append(record)
    return dict(cells)


def _order(record: Record) -> tuple[str, str, float, tuple[int, int]]:
    spec = record.spec
    return spec.dataset, spec.method, size_key(spec.n_train), statistics.seeds_of(record)


def _metrics(first: list[Record], second: list[Record]) -> list[str]:
    return sorted(set.intersection(*(set(record.metrics) for record in [*first, *second])))


def _name(records: list[Record]) -> str:
    spec = records[0].spec
    stand_in = " (embedded)" if is_embedded(records[0]) else ""
    return f"{spec.dataset}{stand_in}, {spec.method}, n = {size_label(spec.n_train)}"


def _names(cells: dict[Hashable, list[Record]]) -> str:
    names = [_name(records) for records in cells.values()]
    return "; ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _value(metric: str, value: float) -> str:
    in_nats = formatting.is_in_nats(metric)
    return f"{formatting.nats(value)} nats" if in_nats else formatting.percent(value)


def _interval(row: Row) -> str:
    if formatting.is_in_nats(row.metric):
        return f"{row.difference:+.3f} nats".replace("-", "−")
    shown = f"{100 * row.difference:+.1f}".replace("-", "−")
    if row.low is None or row.high is None:
        return shown
    return f"{shown} ({formatting.interval(row.low, row.high)})"
