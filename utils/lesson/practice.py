"""What a learner calls: show an exercise, check it, ask for a hint, see the solution, progress."""

from importlib import import_module
from typing import Any

from utils.errors import CourseError
from utils.lesson.exercise import Exercise
from utils.lesson.outputs import fenced, folded, show

_MARKS = {"correct": "✓", "not attempted": "○"}

_results: dict[str, str] = {}
"""Status of each exercise in this session, by number."""

_answers: dict[str, dict[int, bool]] = {}
"""Whether each question was answered right, by lesson and number of the question."""


def exercises(lesson: str) -> dict[str, Exercise]:
    """The exercises of a lesson by number.

    Raises:
        CourseError: if the lesson has none.
    """
    try:
        module = import_module(f"utils.lesson.exercises.lesson_{lesson}")
    except ModuleNotFoundError as error:
        raise CourseError(f"Lesson {lesson!r} has no exercises.") from error
    return {exercise.number: exercise for exercise in module.EXERCISES}


def get_exercise(number: str) -> Exercise:
    """The exercise with this number, such as "01.2"; raises `CourseError` if there is none."""
    known = exercises(number.split(".")[0])
    if number not in known:
        raise CourseError(f"There is no exercise {number!r}. Choose one of: {', '.join(known)}.")
    return known[number]


def show_exercise(number: str) -> None:
    """Show the task, with three hints and the solution folded."""
    exercise = get_exercise(number)
    _results.setdefault(number, "not attempted")
    folds = [folded(f"Hint {i}", text) for i, text in enumerate(exercise.hints, start=1)]
    folds.append(folded("Solution", fenced(exercise.solution_source())))
    head = f"#### Exercise {exercise.heading()}\n\n{exercise.prompt.strip()}"
    more = f'Hints: lesson.hint("{number}", 1), 2, 3. Solution: lesson.solution("{number}").'
    plain = f"Exercise {exercise.heading()}\n\n{exercise.prompt.strip()}\n\n{more}"
    show("\n\n".join([head, *folds]), plain)


def check(number: str, submission: Any) -> None:
    """Check what the learner wrote and say what is wrong with it; never raises what it raises.

    Args:
        number: of the exercise, such as "01.2".
        submission: the function, class or value that the exercise asks for.
    """
    report = get_exercise(number).diagnose(submission)
    _results[number] = report.status
    show(report.markdown(), report.plain())


def hint(number: str, level: int = 1) -> None:
    """Show a hint: 1 points the way, 3 nearly gives it away."""
    hints = get_exercise(number).hints
    if level not in range(1, len(hints) + 1):
        raise CourseError(f"There is no hint {level!r}. Choose one of: 1, 2, 3.")
    text = hints[level - 1].strip()
    show(f"**Hint {level} of {len(hints)}.** {text}", f"Hint {level} of {len(hints)}. {text}")


def solution(number: str) -> None:
    """Show the solution of an exercise, folded."""
    source = get_exercise(number).solution_source()
    show(folded(f"Solution of exercise {number}", fenced(source)), source)


def record_answer(lesson: str, question: int, right: bool) -> None:
    """Remember for `progress` how a question of the quiz was answered last."""
    _answers.setdefault(lesson, {})[question] = right


def progress(lesson: str | None = None) -> None:
    """Show what was solved in this session, in one lesson or in all that were worked on."""
    text = progress_text(lesson)
    show(text, text)


def progress_text(lesson: str | None = None) -> str:
    """What `progress` shows, as a Markdown list."""
    lessons = {lesson} if lesson else {n.split(".")[0] for n in _results} | _answers.keys()
    lines = [line for each in sorted(lessons) for line in _progress_lines(each)]
    return "\n".join(lines) or "Nothing attempted in this session yet."


def _progress_lines(lesson: str) -> list[str]:
    lines = []
    for number, exercise in exercises(lesson).items():
        status = _results.get(number, "not attempted")
        lines.append(f"- {_MARKS.get(status, '✗')} {number} {exercise.title}: {status}")
    if answered := _answers.get(lesson):
        lines.append(f"- Quiz {lesson}: {sum(answered.values())} of {len(answered)} answers right")
    return lines
