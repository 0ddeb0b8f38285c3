"""Claims: sentences about results that are computed from published records and can fail.

A claim is written in a lesson before the `full` run, with literal arguments only, so that it can be
read without running the notebook. How it is decided stands in `verdicts`.
"""

import ast
from dataclasses import asdict, dataclass
from itertools import product
from typing import TYPE_CHECKING, Any, Literal

from utils import runtime
from utils.errors import CourseError
from utils.lesson.outputs import show

if TYPE_CHECKING:
    from utils.experiments import Record
    from utils.lesson.verdicts import Verdict

Kind = Literal["better", "not worse", "at least"]

GAIN = "gain"
"""Nats per hidden token; of it there are no single answers, but only a mean for each seed."""


def answered_metrics() -> dict[str, str]:
    """Metrics of which records keep single answers, and what people call them."""
    from utils.tasks import METRIC_TITLES  # needs NumPy, which the first cell must do without

    return {
        **METRIC_TITLES,
        "exact_match": "exact match",
        "rouge_1": "ROUGE-1",
        "rouge_2": "ROUGE-2",
        "answer_f1_distracted": "F1 with a distracting sentence",
        "f1@validation": "F1 of entities, development split",
        "f1@eriktks/conll2003": "F1 of entities in news",
        "f1@leondz/wnut_17": "F1 of entities in social media",
        "nsp_accuracy_other_document": "next sentence right (other document)",
        "nsp_accuracy_same_document": "next sentence right (same document)",
    }


@dataclass(frozen=True)
class Claim:
    """A claim as it is written in a lesson; see `claim` for the meaning of the arguments."""

    text: str
    better: dict[str, Any]
    on: dict[str, Any]
    worse: dict[str, Any] | None = None
    kind: Kind = "better"
    margin: float = 0.0
    at_least: float | None = None
    metric: str = "accuracy"
    lesson: str = ""

    def __post_init__(self) -> None:
        if problem := self._problem():
            raise CourseError(f"The claim “{self.text}” cannot be tested: {problem}.")

    def _problem(self) -> str | None:
        known_metrics = (*answered_metrics(), GAIN)
        if self.metric not in known_metrics:
            return f"the metric is {self.metric!r}; choose one of {', '.join(known_metrics)}"
        if self.metric == GAIN and self.kind != "at least":
            return (
                "records keep no single answers for the gain, so it can only be at_least a number"
            )
        if self.kind == "at least":
            known = self.at_least is not None and self.worse is None
            return None if known else "with at_least it needs a number and no `worse`"
        if self.kind not in ("better", "not worse"):
            return f"its kind is {self.kind!r}; choose better or not worse"
        if self.worse is None:
            return "it needs `worse`, the side that is compared with, or a threshold `at_least`"
        if self.margin < 0 or (self.kind == "not worse" and self.margin == 0):
            return "its margin must be positive (0.01 is one point of accuracy)"
        return None

    @property
    def threshold(self) -> float:
        """What the difference, or the mean of an "at least", is tested against."""
        if self.at_least is not None:
            return self.at_least
        return -self.margin if self.kind == "not worse" else self.margin

    def conditions(self) -> list[dict[str, Any]]:
        """One set of values for each condition: every combination of the lists in `on`."""
        values = [v if isinstance(v, list | tuple) else [v] for v in self.on.values()]
        return [dict(zip(self.on, combination, strict=True)) for combination in product(*values)]


def claim(
    text: str,
    *,
    better: dict[str, Any],
    on: dict[str, Any],
    worse: dict[str, Any] | None = None,
    kind: str = "better",
    margin: float = 0.0,
    at_least: float | None = None,
    metric: str = "accuracy",
) -> None:
    """State a claim in a lesson and show whether the published records bear it out. Never raises.

    All arguments must be literals: no variables, no f-strings.

    Args:
        text: the claim in one sentence.
        better: fields of the spec of the side that is said to be better, such as
            `{"method": "full", "model": "sentence-transformers/all-MiniLM-L6-v2"}`.
        on: fields that both sides share; a list means that the claim holds at each of its values.
        worse: the other side.
        kind: "better": better by more than `margin`. "not worse": not worse by `margin` or more.
        margin: a difference in accuracy, as a share.
        at_least: instead of `worse`: the mean accuracy measured is at least this. It says what was
            measured and is no test, so it has an interval and no p-value.
        metric: "accuracy", another of `answered_metrics`, or with `at_least` also "gain", in nats.
    """
    try:
        wanted = make_claim(
            text=text, better=better, on=on, worse=worse, kind=kind, margin=margin,
            at_least=at_least, metric=metric,
        )  # fmt: skip
        verdict = _verdict_of(wanted)
    except (CourseError, OSError) as error:
        show(f"**Claim: {text}**\n\n*{error}*", f"Claim: {text}\n{error}")
        return
    show(verdict.markdown(), verdict.plain())


def make_claim(lesson: str = "", **arguments: Any) -> Claim:
    """A `Claim` from the arguments of `claim`; raises `CourseError` if it cannot be tested."""
    if arguments.get("at_least") is not None:
        arguments["kind"] = "at least"
    try:
        return Claim(**arguments, lesson=lesson)
    except TypeError as error:
        raise CourseError(f"A claim is not written correctly: {error}.") from error


def claims_in(source: str, lesson: str = "") -> list[Claim]:
    """The claims that a notebook makes, read from its source without running it.

    Args:
        source: Python source, such as that of a paired notebook.
        lesson: its number.

    Raises:
        CourseError: if a claim has arguments that are not literals, or cannot be tested.
    """
    try:
        nodes = list(ast.walk(ast.parse(source)))
    except SyntaxError as error:
        raise CourseError(f"The source of lesson {lesson} is not Python: {error}.") from error
    calls = [node for node in nodes if isinstance(node, ast.Call) and _is_claim(node.func)]
    return [_from_call(call, lesson) for call in sorted(calls, key=lambda call: call.lineno)]


def _is_claim(called: ast.expr) -> bool:
    """Whether `called` is `claim` or `something.claim`."""
    return getattr(called, "id", None) == "claim" or getattr(called, "attr", None) == "claim"


def _from_call(call: ast.Call, lesson: str) -> Claim:
    try:
        positional = dict(zip(["text"], map(ast.literal_eval, call.args), strict=False))
        named = {str(k.arg): ast.literal_eval(k.value) for k in call.keywords}
    except ValueError as error:
        raise CourseError(
            f"Lesson {lesson}, line {call.lineno}: a claim must have literal arguments only, so "
            "that it can be read without running the notebook. Write the values out."
        ) from error
    return make_claim(lesson, **positional, **named)


def _verdict_of(wanted: Claim) -> "Verdict":
    """The verdict on a claim, corrected for the other claims of its lesson."""
    from utils.experiments import published_records

    claims = _claims_of_lesson(wanted)
    records = published_records()
    verdicts = _evaluated(claims, records)
    return verdicts[[_without_lesson(each) for each in claims].index(_without_lesson(wanted))]


def _claims_of_lesson(wanted: Claim) -> list[Claim]:
    """All claims of the lesson that makes this one; only itself if no lesson does."""
    for path in sorted((runtime.project_root() / "notebooks" / "source").glob("*.py")):
        found = claims_in(path.read_text(), lesson=path.stem.split("_")[0])
        if _without_lesson(wanted) in map(_without_lesson, found):
            return found
    return [wanted]


def _without_lesson(each: Claim) -> dict[str, Any]:
    return {**asdict(each), "lesson": ""}


_cache: "dict[str, list[Verdict]]" = {}


def _evaluated(claims: list[Claim], records: "list[Record]") -> "list[Verdict]":
    """As `evaluate`; a lesson asks for each of its claims, and they are all computed at once."""
    from utils.lesson.verdicts import evaluate

    key = repr((claims, sorted(record.key for record in records)))
    if key not in _cache:
        _cache[key] = evaluate(claims, records)
    return _cache[key]
