"""Exercises: what an instructor writes, and the check that tells a learner what went wrong.

A mistake is recognised by what the learner's code *does*, never by how it is written: each known
mistake comes with a function that makes it (a mutant), and it is named only if the learner's code
returns on all cases what that mutant returns. Anything else is called wrong, with an example and
without a guess.
"""

import inspect
import linecache
import re
import reprlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any, Literal

from utils.errors import CourseError
from utils.lesson.comparing import Raised, difference
from utils.lesson.outputs import fenced
from utils.lesson.source_code import source_of

if TYPE_CHECKING:
    import numpy as np

Status = Literal["correct", "mistake", "wrong", "error", "not attempted"]
Cases = Callable[["np.random.Generator"], list[tuple]]


@dataclass(frozen=True)
class Mistake:
    """A mistake that learners make.

    Attributes:
        name: a few words, such as "padding counted".
        explanation: what happened and where to look, without giving the solution away.
        mutant: a solution with this mistake in it.
    """

    name: str
    explanation: str
    mutant: Any


@dataclass(frozen=True)
class Exercise:
    """One exercise with everything that belongs to it.

    Attributes:
        number: lesson and exercise, such as "01.2".
        title: a few words.
        difficulty: 1 (easy), 2 or 3 (hard).
        minutes: how long it takes.
        prompt: the task, in Markdown.
        hints: three, of growing strength.
        solution: the function (or class, or value) asked for; its source is shown, folded.
        cases: makes the tuples of arguments that it is tried on, given a random generator with a
            fixed seed; called anew for each trial, so code that changes its arguments does no harm.
            The first cases should be small enough to follow by hand.
        mistakes: what is recognised.
        reference: gives the expected results; by default the solution does.
        call: how to use what the learner wrote, for example to build a module and then apply it.
        tolerance: absolute difference that is still right, if more than rounding.
    """

    number: str
    title: str
    difficulty: int
    minutes: int
    prompt: str
    hints: tuple[str, str, str]
    solution: Any
    cases: Cases = lambda rng: [()]
    mistakes: tuple[Mistake, ...] = ()
    reference: Any = None
    call: Callable[..., Any] = lambda submission, *arguments: submission(*arguments)
    tolerance: float = 0.0

    def __post_init__(self) -> None:
        if self.difficulty not in (1, 2, 3) or len(self.hints) != 3 or self.minutes <= 0:
            raise CourseError(
                f"Exercise {self.number} needs a difficulty of 1, 2 or 3, exactly three hints and "
                "the minutes that it takes."
            )

    def heading(self) -> str:
        """Number, title, difficulty and time in one line."""
        stars = "★" * self.difficulty + "☆" * (3 - self.difficulty)
        return f"{self.number} {self.title} · {stars} · {self.minutes} min"

    def solution_source(self) -> str:
        """Source of the solution."""
        return source_of(self.solution)[0]

    def outcomes(self, submission: Any) -> list[Any]:
        """What `submission` returns in each case, or the exception that it `Raised`."""
        return [outcome for _, outcome in self._trials(submission)]

    def _trials(self, submission: Any) -> Iterator[tuple[tuple, Any]]:
        import numpy as np

        use = submission if callable(submission) else lambda: submission
        for arguments in self.cases(np.random.default_rng(0)):
            shown = tuple(_short(argument) for argument in arguments)
            try:
                yield shown, self.call(use, *arguments)
            except (Exception, SystemExit) as error:
                yield shown, Raised(error)

    def expected(self) -> list[Any]:
        """The right result of each case."""
        return self.outcomes(self.solution if self.reference is None else self.reference)

    def same(self, first: list[Any], second: list[Any]) -> bool:
        """Whether two lists of outcomes are equal in every case."""
        pairs = zip(first, second, strict=True)
        return all(difference(a, b, self.tolerance) is None for a, b in pairs)

    def diagnose(self, submission: Any) -> "Report":
        """Try the learner's code on all cases; never raises what that code raises."""
        if submission is None or submission is ...:
            return self._report("not attempted")
        trials = list(self._trials(submission))
        got = [outcome for _, outcome in trials]
        if all(_is_untouched(outcome) for outcome in got):
            return self._report("not attempted")
        expected = self.expected()
        if self.same(expected, got):
            return self._report("correct")
        if all(outcome is None for outcome in got):
            return self._report("wrong", "Your function returns nothing. Is a `return` missing?")
        if mistake := self._recognise(expected, got):
            return self._report("mistake", mistake.explanation, mistake.name)
        (arguments, outcome), wanted, reason = next(
            (trial, wanted, reason)
            for trial, wanted in zip(trials, expected, strict=True)
            if (reason := difference(wanted, trial[1], self.tolerance)) is not None
        )
        if isinstance(outcome, Raised):
            return self._report("error", _describe_error(outcome.error, submission))
        example = self._example(arguments, wanted, outcome)
        return self._report("wrong", f"In the first case that fails, {reason}:\n\n{example}")

    def _recognise(self, expected: list[Any], got: list[Any]) -> Mistake | None:
        """The one mistake that explains every outcome; None if there is none, or more than one."""
        found = [
            mistake
            for mistake in self.mistakes
            if self.same(outcomes := self.outcomes(mistake.mutant), got)
            and not self.same(outcomes, expected)
        ]
        return found[0] if len(found) == 1 else None

    def ambiguities(self) -> list[tuple[str, str]]:
        """Pairs among solution and mistakes that the cases cannot tell apart; must be empty."""
        outcomes = {"solution": self.expected()}
        outcomes |= {m.name: self.outcomes(m.mutant) for m in self.mistakes}
        pairs = combinations(outcomes, 2)
        return [(a, b) for a, b in pairs if self.same(outcomes[a], outcomes[b])]

    def _example(self, arguments: tuple[str, ...], wanted: Any, got: Any) -> str:
        names: list[str] = []
        if arguments and callable(self.solution):
            names = list(inspect.signature(self.solution).parameters)
        lines = [f"{name} = {value}" for name, value in zip(names, arguments, strict=False)]
        return fenced("\n".join([*lines, f"expected: {_short(wanted)}", f"got: {_short(got)}"]), "")

    def _report(self, status: Status, message: str = "", mistake: str | None = None) -> "Report":
        return Report(self.number, self.title, status, message, mistake)


@dataclass(frozen=True)
class Report:
    """What a check found. `mistake` is the name of the mistake, if it was recognised."""

    number: str
    title: str
    status: Status
    message: str = ""
    mistake: str | None = None

    def markdown(self) -> str:
        """The verdict for the learner."""
        heading = {
            "correct": "✓ correct",
            "mistake": f"✗ not yet: {self.mistake}",
            "wrong": "✗ not yet",
            "error": "✗ it stops with an error",
            "not attempted": "○ not attempted yet",
        }[self.status]
        help_line = f'\n\nFor a hint run `lesson.hint("{self.number}", 1)`.'
        wants_help = self.status not in ("correct", "not attempted")
        text = f"**{self.number} {self.title}: {heading}.**"
        return text + (f"\n\n{self.message}" if self.message else "") + help_line * wants_help

    def plain(self) -> str:
        """The same without the marks of Markdown."""
        markup = r"\*\*|```\n?|</?div[^>]*>\n*"
        return re.sub(markup, "", self.markdown()).strip()


def _is_untouched(outcome: Any) -> bool:
    if isinstance(outcome, Raised):
        return isinstance(outcome.error, NotImplementedError)
    return outcome is ...


def _describe_error(error: BaseException, submission: Any) -> str:
    """The exception and the line of the learner's code that it came from."""
    text = f"`{type(error).__name__}: {error}`"
    code = getattr(inspect.unwrap(submission), "__code__", None) if callable(submission) else None
    file = code.co_filename if code else _file_of_class(submission)
    line, frame = None, error.__traceback__
    while frame is not None:
        if frame.tb_frame.f_code.co_filename == file:
            line = frame.tb_lineno
        frame = frame.tb_next
    if file is None or line is None:
        return f"Calling it fails: {text}. Does it take the arguments that the task names?"
    return f"{text} in line {line} of your cell: `{linecache.getline(file, line).strip()}`"


def _file_of_class(submission: Any) -> str | None:
    if not isinstance(submission, type):
        return None
    codes = (getattr(value, "__code__", None) for value in vars(submission).values())
    return next((code.co_filename for code in codes if code), None)


class _Short(reprlib.Repr):
    """Short forms of values; arrays and tensors in full if they are small."""

    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxother = 200
        self.maxlist = self.maxtuple = self.maxdict = 12

    def repr_ndarray(self, x: Any, level: int) -> str:
        import numpy as np

        if x.size > 60:
            return f"array of shape {x.shape}, {x.dtype}"
        return np.array_repr(x, precision=4, max_line_width=90)

    def repr_Tensor(self, x: Any, level: int) -> str:
        return repr(x) if x.numel() <= 60 else f"tensor of shape {tuple(x.shape)}, {x.dtype}"


def _short(value: Any) -> str:
    import numpy as np

    return _Short().repr(value.item() if isinstance(value, np.generic) else value)
