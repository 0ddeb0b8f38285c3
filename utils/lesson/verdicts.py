"""Deciding claims: does a claim hold on the records, and how sure is that?

A claim speaks of each of its conditions (such as each number of labels) and holds only if it holds
at every one: an intersection-union test, whose p-value is the largest (Berger, 1982, Technometrics
24). It fails if it fails at any of them, corrected by Bonferroni for their number. Its p-value is
twice the smaller of these two. Each p-value is the larger of two: by the bootstrap over seeds and
test examples, which takes few seeds for more alike than they are, and by Student's t over seeds
alone; likewise the interval is the wider one. The claims of one lesson are corrected together by
Holm's method; those without records count with p = 1, so that a verdict does not come and go with
the records of others.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from utils.errors import CourseError
from utils.lesson.claims import GAIN, Claim, answered_metrics
from utils.sources import is_run_model

if TYPE_CHECKING:
    from utils.experiments import Record
    from utils.resampling import Bootstrap

MIN_SEEDS = 3
"""Fewer seeds than this say nothing about seeds."""

ALPHA = 0.05

Decision = Literal["holds", "does not hold", "undecided", "no records yet"]

_MARKS = {"holds": "✓", "does not hold": "✗", "undecided": "?", "no records yet": "○"}


@dataclass(frozen=True)
class Measured:
    """What the records say under one condition.

    Attributes:
        better, worse: mean of the claim's metric on either side over the seeds that both have;
            `worse` is None where there is a threshold instead.
        difference: better minus worse, or minus the threshold.
        low, high: its 95 % interval, the wider of two (see above); of the gain over seeds only.
        p_holds: one-sided p-value against "the claim does not hold here"; of the gain None.
        p_fails: one-sided p-value against "the claim holds here"; of the gain None.
        n_seeds: number of seeds.
    """

    better: float
    worse: float | None
    difference: float
    low: float
    high: float
    p_holds: float | None
    p_fails: float | None
    n_seeds: int


@dataclass(frozen=True)
class Condition:
    """One condition of a claim: what was measured, or the reason why there is nothing.

    Attributes:
        on: the values that make the condition.
        records: keys of the records of both sides.
        missing: whether one side has no records.
    """

    on: dict[str, Any]
    records: list[str]
    measured: Measured | None = None
    reason: str = ""
    missing: bool = False

    @property
    def label(self) -> str:
        """The condition for people."""
        return ", ".join(_condition_name(name, value) for name, value in self.on.items())


def _condition_name(name: str, value: Any) -> str:
    if name != "n_train":
        return str(value)
    return "all labels" if value is None else f"{value:,} labels"


@dataclass(frozen=True)
class Verdict:
    """Whether a claim holds on the records, with the numbers behind it.

    `p` is the p-value of this claim alone, `p_holm` that after Holm's correction; both are None
    where nothing was tested.
    """

    claim: Claim
    verdict: Decision
    conditions: list[Condition]
    model: str
    p: float | None = None
    p_holm: float | None = None

    @property
    def measured(self) -> list[Measured]:
        """Results of the conditions that have one."""
        return [c.measured for c in self.conditions if c.measured is not None]

    @property
    def reasons(self) -> list[str]:
        """Why conditions have no result."""
        return [f"{c.label}: {c.reason}" for c in self.conditions if c.reason]

    def as_dict(self) -> dict[str, Any]:
        """Stable form for JSON; difference and interval are those of the weakest condition."""
        weakest = min(self.measured, key=lambda m: m.difference, default=None)
        return {
            "lesson": self.claim.lesson,
            "text": self.claim.text,
            "kind": self.claim.kind,
            "metric": self.claim.metric,
            "threshold": self.claim.threshold,
            "model": self.model,
            "verdict": self.verdict,
            "difference": weakest.difference if weakest else None,
            "low": weakest.low if weakest else None,
            "high": weakest.high if weakest else None,
            "p": self.p,
            "p_holm": self.p_holm,
            "n_seeds": min((m.n_seeds for m in self.measured), default=0),
            "records": sorted({key for c in self.conditions for key in c.records}),
            "conditions": [asdict(condition) for condition in self.conditions],
        }

    def markdown(self) -> str:
        """The claim, its verdict and the numbers, for a lesson."""
        verdict = f"**{_MARKS[self.verdict]} {self.verdict}**"
        if self.model:
            verdict += f" · {self.model}"
        if self.p_holm is not None:
            verdict += f" · p {'<' if self.p_holm < 0.001 else '='} {max(self.p_holm, 0.001):.3f}"
            verdict += " after Holm's correction"
        parts = [f"**Claim:** {self.claim.text}", verdict]
        if rows := [
            _row(c.label, c.measured, self.claim.metric) for c in self.conditions if c.measured
        ]:
            parts.append("\n".join([*_header(self.claim), *rows]))
        return "\n\n".join([*parts, *self.reasons])

    def plain(self) -> str:
        """The same in plain text."""
        return self.markdown().replace("**", "")


def _header(claim: Claim) -> list[str]:
    metric, unit = answered_metrics().get(claim.metric, "gain in nats"), _unit(claim.metric)
    columns = ["on", f"{_side(claim.better)}, {metric}"]
    if claim.worse is None:
        columns.append(f"minus {claim.threshold:g}, in {unit}")
    else:
        columns += [f"{_side(claim.worse)}, {metric}", f"difference in {unit}"]
    columns += ["95 % interval", "seeds"]
    return [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]


def _unit(metric: str) -> str:
    return "nats" if metric == GAIN else "points"


def _row(label: str, m: Measured, metric: str) -> str:
    def signed(value: float) -> str:
        return f"{value:+.3f}" if metric == GAIN else f"{100 * value:+.1f}"

    cells = [label, f"{m.better:.3f}"]
    if m.worse is not None:
        cells.append(f"{m.worse:.3f}")
    cells += [signed(m.difference), f"{signed(m.low)} to {signed(m.high)}"]
    return f"| {' | '.join([*cells, str(m.n_seeds)])} |"


def _side(side: dict[str, Any]) -> str:
    """One side of a claim in words; the model is named beside the verdict."""
    from utils.report.selection import title

    others = [_condition_name(name, v) for name, v in side.items() if name not in _NAMED_ELSEWHERE]
    return ", ".join(([title(side["method"])] if "method" in side else []) + others)


_NAMED_ELSEWHERE = ("method", "model")


def evaluate(claims: Sequence[Claim], records: "Iterable[Record]") -> list[Verdict]:
    """Decide on claims; records of other profiles, embedded data and old versions do not count.

    Args:
        claims: of one or of several lessons; each lesson is corrected by itself.
        records: such as `published_records()`.

    Raises:
        CourseError: if a claim speaks of something that a spec does not have.
    """
    from utils.report.statistics import holm

    usable = _usable(records)
    verdicts = [_test(claim, usable) for claim in claims]
    for lesson in {claim.lesson for claim in claims}:
        tested = [i for i, c in enumerate(claims) if c.lesson == lesson and c.kind != "at least"]
        p_values = [1.0 if (p := verdicts[i].p) is None else p for i in tested]
        for i, p_holm in zip(tested, holm(p_values), strict=True):
            verdicts[i] = _decide(verdicts[i], p_holm)
    return verdicts


def _usable(records: "Iterable[Record]") -> "list[Record]":
    from utils.experiments import is_stale

    return [
        record
        for record in records
        if record.spec.profile == "full"
        and record.spec.split == "test"
        and record.provenance["source"]["kind"] != "embedded"
        and not is_stale(record)
    ]


def _test(claim: Claim, records: "list[Record]") -> Verdict:
    """Conditions and p-value; the verdict too where it needs no correction."""
    conditions = [_measure(claim, on, records) for on in claim.conditions()]
    verdict = Verdict(claim, "undecided", conditions, _models(claim, conditions, records))
    if any(condition.missing for condition in conditions):
        return replace(verdict, verdict="no records yet")
    if verdict.reasons:
        return verdict
    if claim.kind == "at least":
        reached = all(m.difference >= 0 for m in verdict.measured)
        return replace(verdict, verdict="holds" if reached else "does not hold")
    return replace(verdict, p=min(1.0, 2 * min(_p_values(verdict.measured))))


def _p_values(measured: list[Measured]) -> tuple[float, float]:
    """One-sided p-values that the claim holds at every condition, and that it fails at some."""
    p_fails = min(m.p_fails for m in measured if m.p_fails is not None)
    p_holds = max(m.p_holds for m in measured if m.p_holds is not None)
    return p_holds, min(1.0, len(measured) * p_fails)


def _decide(verdict: Verdict, p_holm: float) -> Verdict:
    if verdict.p is None:
        return verdict
    if p_holm > ALPHA:
        return replace(verdict, p_holm=p_holm)
    p_holds, p_fails = _p_values(verdict.measured)
    return replace(
        verdict, verdict="holds" if p_holds < p_fails else "does not hold", p_holm=p_holm
    )


def _measure(claim: Claim, on: dict[str, Any], records: "list[Record]") -> Condition:
    """Compare the two sides under one condition."""
    from utils.report.selection import select

    sides = [select(records, **{**on, **side}) for side in (claim.better, claim.worse) if side]
    found = Condition(on, [record.key for side in sides for record in side])
    if not all(sides):
        return replace(found, reason="no published records yet", missing=True)
    for side in sides:
        if differing := _ambiguity(side):
            return replace(found, reason=f"the records of one side differ in {differing}")
    try:
        return replace(found, measured=_compare(claim, sides))
    except CourseError as error:
        return replace(found, reason=str(error))


def _compare(claim: Claim, sides: "list[list[Record]]") -> Measured:
    from utils.report import statistics

    metric = claim.metric
    if metric == GAIN:
        return _over_seeds(claim, sides[0])
    if claim.worse is not None:
        difference = statistics.paired_difference(sides[0], sides[1], metric)
        by_seed = statistics.differences_by_seed(sides[0], sides[1], metric)
        return _measured(claim, difference, by_seed, _shared_means(sides, metric), shift=0.0)
    result = statistics.score(sides[0], metric=metric)
    by_seed = [record.from_answers(metric) for record in sides[0]]
    return _measured(claim, result, by_seed, [], shift=claim.threshold)


def _over_seeds(claim: Claim, records: "list[Record]") -> Measured:
    """Of a metric without single answers: an interval over seeds, and no test."""
    from utils.report import statistics

    values = statistics.metric_values(records, claim.metric)
    _check_seeds(len(values))
    mean = statistics.mean_and_sd(values)[0]
    low, high = statistics.interval_over_seeds(values) or (mean, mean)
    return Measured(
        better=mean,
        worse=None,
        difference=mean - claim.threshold,
        low=low - claim.threshold,
        high=high - claim.threshold,
        p_holds=None,
        p_fails=None,
        n_seeds=len(values),
    )


def _check_seeds(n: int) -> None:
    if n < MIN_SEEDS:
        raise CourseError(f"{n} of the {MIN_SEEDS} seeds that a verdict needs at least")


def _measured(
    claim: Claim, result: "Bootstrap", by_seed: list[float], means: list[float], shift: float
) -> Measured:
    """`by_seed` are the values that `result` averages; `means` those of both sides, if there are
    two; `shift` is what is taken off the value.
    """
    from utils.report import statistics

    _check_seeds(result.n_seeds)
    low, high = result.low, result.high
    p_holds, p_fails = result.p_greater(claim.threshold), result.p_less(claim.threshold)
    over_seeds = statistics.p_over_seeds(by_seed, claim.threshold)
    interval = statistics.interval_over_seeds(by_seed)
    if over_seeds and interval:
        p_holds, p_fails = max(p_holds, over_seeds[0]), max(p_fails, over_seeds[1])
        low, high = min(low, interval[0]), max(high, interval[1])
    return Measured(
        better=means[0] if means else result.value,
        worse=means[1] if means else None,
        difference=result.value - shift,
        low=low - shift,
        high=high - shift,
        p_holds=p_holds,
        p_fails=p_fails,
        n_seeds=result.n_seeds,
    )


def _shared_means(sides: "list[list[Record]]", metric: str) -> list[float]:
    """Mean of the metric on both sides over the seeds that both have."""
    from utils.report.statistics import seeds_of

    shared = set.intersection(*({seeds_of(record) for record in side} for side in sides))
    return [
        float(sum(r.from_answers(metric) for r in side if seeds_of(r) in shared) / len(shared))
        for side in sides
    ]


def _ambiguity(records: "list[Record]") -> str | None:
    """Fields, other than seeds, in which records of one side differ: they must not be mixed."""
    first = records[0].spec
    fields = set(type(first).model_fields) - {"seed", "data_seed"}
    if is_run_model(first.model):
        fields -= {"model", "hyper"}  # each seed has a model of its own, tuned by itself
    differing = sorted(
        name
        for name in fields
        if any(getattr(r.spec, name) != getattr(first, name) for r in records)
    )
    if differing:
        return f"{', '.join(differing)}: say in the claim which are meant"
    seeds = {(record.spec.seed, record.spec.data_seed) for record in records}
    return "their data or model, for the same seed" if len(seeds) < len(records) else None


def _models(claim: Claim, conditions: list[Condition], records: "list[Record]") -> str:
    """The models that the claim speaks of, by name."""
    keys = {key for condition in conditions for key in condition.records}
    sides = (claim.better, claim.worse or {}, claim.on)
    if trained := [side["pretraining"] for side in sides if "pretraining" in side]:
        return " and ".join(f"those of {name}" for name in trained)
    used = [r.spec.model for r in records if r.key in keys and r.spec.model]
    stated = [side.get("model") for side in sides]
    return ", ".join(dict.fromkeys(used or [name for name in stated if isinstance(name, str)]))
