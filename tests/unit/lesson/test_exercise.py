import re
from pathlib import Path

import numpy as np
import pytest
import torch

from utils.errors import CourseError
from utils.lesson import practice
from utils.lesson.exercise import Exercise, Mistake
from utils.lesson.practice import check, hint, progress_text, show_exercise, solution


def variance(values: np.ndarray) -> float:
    """Unbiased variance."""
    return float(values.var(ddof=1))


BIASED = Mistake("divided by n", "Divide by n - 1.", lambda v: float(v.var()))
SPREAD = Mistake("square root taken", "That is the deviation.", lambda v: float(v.std(ddof=1)))


def exercise(**changes) -> Exercise:
    plain = {
        "number": "99.1",
        "title": "Variance",
        "difficulty": 2,
        "minutes": 3,
        "prompt": "Write `variance(values)`.",
        "hints": ("one", "two", "three"),
        "solution": variance,
        "cases": lambda rng: [(np.array([1.0, 2.0, 4.0]),), (rng.normal(size=5),)],
        "mistakes": (BIASED, SPREAD),
    }
    return Exercise(**{**plain, **changes})


def by_hand(values: np.ndarray) -> float:
    return sum((x - sum(values) / len(values)) ** 2 for x in values) / (len(values) - 1)


def test_another_way_of_writing_the_solution_is_correct() -> None:
    assert exercise().diagnose(by_hand).status == "correct"


def test_a_known_mistake_is_named_however_it_is_written() -> None:
    def learner(values):
        total = 0.0
        for x in values:
            total += (x - values.mean()) ** 2
        return total / len(values)

    report = exercise().diagnose(learner)
    assert (report.status, report.mistake) == ("mistake", "divided by n")
    assert "Divide by n - 1." in report.markdown()
    assert 'hint("99.1", 1)' in report.markdown()


def test_an_unknown_mistake_gets_no_name_but_an_example() -> None:
    report = exercise().diagnose(lambda values: 2 * by_hand(values))
    assert (report.status, report.mistake) == ("wrong", None)
    # The variance of 1, 2, 4 is 7/3.
    assert "values = array([1., 2., 4.])" in report.message
    assert re.search(r"expected: 2\.333.*\ngot: 4\.666", report.message)


def test_a_mistake_that_shows_in_some_cases_only_gets_no_name() -> None:
    def learner(values):
        return by_hand(values) if len(values) > 3 else float(values.var())

    assert exercise().diagnose(learner).status == "wrong"


def test_a_mistake_that_two_mutants_explain_gets_no_name() -> None:
    twin = Mistake("the same mistake again", "?", lambda v: float(np.var(v)))
    ambiguous = exercise(mistakes=(BIASED, twin))
    assert ambiguous.diagnose(np.var).status == "wrong"
    assert ambiguous.ambiguities() == [("divided by n", "the same mistake again")]


def test_a_mutant_that_makes_no_mistake_is_an_ambiguity() -> None:
    harmless = exercise(mistakes=(Mistake("none", "?", by_hand),))
    assert harmless.ambiguities() == [("solution", "none")]
    assert exercise().ambiguities() == []


def not_implemented(values):
    raise NotImplementedError


@pytest.mark.parametrize("stub", [None, ..., lambda values: ..., not_implemented])
def test_untouched_is_not_attempted(stub: object) -> None:
    assert exercise().diagnose(stub).status == "not attempted"


def test_a_forgotten_return_is_named() -> None:
    def learner(values):
        values.var(ddof=1)

    report = exercise().diagnose(learner)
    assert report.status == "wrong"
    assert "Is a `return` missing?" in report.message


def test_an_exception_is_reported_with_the_learners_line(tmp_path) -> None:
    cell = tmp_path / "cell.py"
    cell.write_text("def variance(values):\n    mean = values.mean()\n    return mean / missing\n")
    namespace: dict = {}
    exec(compile(cell.read_text(), str(cell), "exec"), namespace)
    report = exercise().diagnose(namespace["variance"])
    assert report.status == "error"
    assert "NameError: name 'missing' is not defined" in report.message
    assert "line 3 of your cell: `return mean / missing`" in report.message


@pytest.mark.parametrize("error", [SystemExit(0), RecursionError("deep"), KeyError("x")])
def test_nothing_that_the_code_raises_gets_out(error: BaseException) -> None:
    def learner(values):
        raise error

    assert exercise().diagnose(learner).status == "error"


def test_the_wrong_number_of_arguments_is_explained() -> None:
    report = exercise().diagnose(lambda: 1.0)
    assert report.status == "error"
    assert "Does it take the arguments" in report.message


def test_an_interruption_is_not_swallowed() -> None:
    def learner(values):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        exercise().diagnose(learner)


@pytest.mark.parametrize(
    ("learner", "reason"),
    [
        (lambda v: str(by_hand(v)), "should be a number, but is a string"),
        (lambda v: np.array([by_hand(v)]), "should be a number, but is a NumPy array"),
        (lambda v: float("nan"), "NaN"),
    ],
)
def test_the_wrong_kind_of_result_is_said(learner, reason: str) -> None:
    report = exercise().diagnose(learner)
    assert report.status == "wrong"
    assert reason in report.message


def test_code_that_changes_its_arguments_is_tried_on_fresh_ones() -> None:
    def learner(values):
        result = by_hand(values)
        values *= 0
        return result

    assert exercise().diagnose(learner).status == "correct"


def test_an_exercise_may_ask_for_a_value() -> None:
    def weights() -> int:
        return 3 * 4 + 4

    forgotten = Mistake("bias forgotten", "The bias counts too.", 12)
    asked = exercise(solution=weights, cases=lambda rng: [()], mistakes=(forgotten,))
    assert asked.diagnose(16).status == "correct"
    assert asked.diagnose(12).mistake == "bias forgotten"
    assert asked.diagnose(17).status == "wrong"
    assert asked.diagnose(...).status == "not attempted"


def test_an_exercise_may_ask_for_a_class() -> None:
    class Scale(torch.nn.Module):
        def __init__(self, factor: float) -> None:
            super().__init__()
            self.factor = factor

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * self.factor

    class Broken(Scale):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x @ x

    asked = exercise(
        solution=Scale,
        cases=lambda rng: [(2.0, torch.tensor([[1.0, 2.0]]))],
        call=lambda module, factor, x: module(factor)(x),
        mistakes=(Mistake("divided", "Multiply.", lambda f: lambda x: x / f),),
    )
    assert asked.diagnose(Scale).status == "correct"
    assert asked.diagnose(lambda factor: lambda x: x / factor).mistake == "divided"
    report = asked.diagnose(Broken)
    assert report.status == "error"
    assert "`return x @ x`" in report.message


@pytest.mark.parametrize("changes", [{"difficulty": 4}, {"hints": ("one",)}, {"minutes": 0}])
def test_an_incomplete_exercise_is_refused(changes: dict) -> None:
    with pytest.raises(CourseError, match=r"99\.1"):
        exercise(**changes)


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> Exercise:
    one = exercise()
    monkeypatch.setattr(practice, "exercises", lambda lesson: {one.number: one})
    monkeypatch.setattr(practice, "_results", {})
    monkeypatch.setattr(practice, "_answers", {})
    return one


def test_it_is_shown_with_folded_hints_and_solution(page, known: Exercise) -> None:
    show_exercise("99.1")
    (output,) = page.outputs
    markdown = output["text/markdown"]
    assert "99.1 Variance · ★★☆ · 3 min" in markdown
    assert markdown.count("<details>") == markdown.count("</details>") == 4
    visible = re.sub("<details>.*?</details>", "", markdown, flags=re.DOTALL)
    assert "ddof" not in visible
    assert "ddof=1" in markdown
    assert 'hint("99.1", 1)' in output["text/plain"]
    assert "ddof" not in output["text/plain"]


def test_checks_and_progress(page, known: Exercise) -> None:
    assert progress_text() == "Nothing attempted in this session yet."
    check("99.1", lambda values: ...)
    assert "not attempted yet" in page.outputs[-1]["text/plain"]
    assert "○ 99.1 Variance: not attempted" in progress_text()
    check("99.1", np.var)
    assert "divided by n" in page.outputs[-1]["text/plain"]
    assert "✗ 99.1 Variance: mistake" in progress_text()
    check("99.1", by_hand)
    practice.record_answer("99", 1, True)
    practice.record_answer("99", 2, False)
    assert progress_text() == "- ✓ 99.1 Variance: correct\n- Quiz 99: 1 of 2 answers right"


def test_hints_and_solution_in_a_terminal(known: Exercise, capsys) -> None:
    hint("99.1", 2)
    solution("99.1")
    printed = capsys.readouterr().out
    assert "Hint 2 of 3. two" in printed
    assert "return float(values.var(ddof=1))" in printed
    with pytest.raises(CourseError, match="1, 2, 3"):
        hint("99.1", 4)


def test_unknown_numbers_are_explained() -> None:
    with pytest.raises(CourseError, match=r"Choose one of: 01\.1"):
        check("01.99", None)
    with pytest.raises(CourseError, match="no exercises"):
        check("77.1", None)


def test_lessons_name_help_as_a_learner_can_call_it() -> None:
    from utils import lesson  # as the first cell of every lesson has it

    named = set()
    for source in sorted(Path("notebooks/source").glob("*.py")):
        for prefix, name in re.findall(r"`(\w+\.)?(hint|solution)\(", source.read_text()):
            assert prefix == "lesson.", source.name
            named.add(name)
    assert named == {"hint", "solution"}
    assert callable(lesson.hint)
    assert callable(lesson.solution)
    assert callable(lesson.answer)
