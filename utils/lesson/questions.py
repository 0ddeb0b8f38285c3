"""The quiz at the end of a lesson: questions with options, each of which is explained.

A quiz is shown as plain folds: a click on an option opens its verdict and explanation. That needs
neither widgets nor a kernel, so it works in JupyterLab, in Colab and on GitHub alike. `answer` does
the same in a terminal, and counts for `progress`.
"""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from string import ascii_lowercase

from utils.errors import CourseError
from utils.lesson.outputs import folded, show
from utils.lesson.practice import record_answer

_FOLDER = Path(__file__).parent / "quizzes"


@dataclass(frozen=True)
class Option:
    """One possible answer; the explanation says why it is right or wrong."""

    text: str
    explanation: str
    right: bool = False

    @property
    def reply(self) -> str:
        """Verdict and explanation."""
        return f"{'✓ Right.' if self.right else '✗ No.'} {self.explanation}"


@dataclass(frozen=True)
class Question:
    """A question; `id` names it for good, even if questions are reordered."""

    id: str
    text: str
    options: tuple[Option, ...]


def load_quiz(lesson: str) -> list[Question]:
    """The questions of a lesson, from `quizzes/NN.toml`.

    Raises:
        CourseError: if there is no such file, or if it is not a sound quiz.
    """
    path = _FOLDER / f"{lesson}.toml"
    if not path.is_file():
        raise CourseError(f"Lesson {lesson!r} has no quiz.")
    return parse_quiz(path.read_text(), path.name)


def parse_quiz(text: str, name: str = "quiz") -> list[Question]:
    """Questions from the text of a TOML file.

    Raises:
        CourseError: listing everything that is wrong with it (see `defects`).
    """
    try:
        questions = [
            Question(q["id"], q["text"], tuple(Option(**option) for option in q["options"]))
            for q in tomllib.loads(text)["question"]
        ]
    except (tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise CourseError(
            f"{name} cannot be read ({error}). Each [[question]] needs id, text and options, each "
            "option text, explanation and, if it is the right one, right = true."
        ) from error
    if found := defects(questions):
        raise CourseError(f"{name} is not a sound quiz: {'; '.join(found)}.")
    return questions


def defects(questions: Sequence[Question]) -> list[str]:
    """What is wrong with a quiz: 4 to 6 questions, unique ids, one right option, all explained."""
    found = []
    if not 4 <= len(questions) <= 6:
        found.append(f"it has {len(questions)} questions and should have 4 to 6")
    if len({question.id for question in questions}) < len(questions):
        found.append("two questions have the same id")
    for question in questions:
        found += [f"question {question.id}: {defect}" for defect in _defects_of(question)]
    return found


def _defects_of(question: Question) -> list[str]:
    options = question.options
    found = []
    if not question.text.strip():
        found.append("it has no text")
    if len(options) < 2:
        found.append("it needs two options at least")
    if (right := sum(option.right for option in options)) != 1:
        found.append(f"{right} options are right and one should be")
    if len({option.text.strip() for option in options}) < len(options):
        found.append("two options are the same")
    found += [f"option {o.text!r} is not explained" for o in options if not o.explanation.strip()]
    return found


def quiz(lesson: str) -> None:
    """Show the quiz of a lesson; a click on an option opens its explanation."""
    markdown, plain = [], []
    for number, question in enumerate(load_quiz(lesson), start=1):
        lettered = list(zip(ascii_lowercase, question.options, strict=False))
        folds = [folded(f"{letter}) {o.text}", o.reply) for letter, o in lettered]
        markdown.append(f"##### **{number}. {question.text}**\n\n" + "\n".join(folds))
        lines = [f"   {letter}) {option.text}" for letter, option in lettered]
        plain.append("\n".join([f"{number}. {question.text}", *lines]))
    plain.append(f'Answer with lesson.answer("{lesson}", question=1, choice="a").')
    show("\n\n".join(markdown), "\n\n".join(plain))


def answer(lesson: str, question: int, choice: str) -> None:
    """Say whether an answer is right, and why.

    Args:
        lesson: such as "01".
        question: number of the question, from 1.
        choice: letter of the option.
    """
    option = find_option(lesson, question, choice)
    record_answer(lesson, question, option.right)
    show(option.reply, option.reply)


def find_option(lesson: str, question: int, choice: str) -> Option:
    """The option that was chosen; raises `CourseError` if there is none."""
    questions = load_quiz(lesson)
    if question not in range(1, len(questions) + 1):
        raise CourseError(f"There is no question {question!r}. There are 1 to {len(questions)}.")
    options = questions[question - 1].options
    letters = ascii_lowercase[: len(options)]
    if len(choice) != 1 or choice.lower() not in letters:
        raise CourseError(f"There is no option {choice!r}. Choose one of: {', '.join(letters)}.")
    return options[letters.index(choice.lower())]
