from pathlib import Path

import pytest

import utils.lesson
from utils.errors import CourseError
from utils.lesson import practice
from utils.lesson.questions import answer, find_option, load_quiz, parse_quiz, quiz

QUIZZES = sorted((Path(utils.lesson.__file__).parent / "quizzes").glob("*.toml"))

QUESTION = """
[[question]]
id = "{id}"
text = "What?"
options = [
  {{ text = "this", right = true, explanation = "Because." }},
  {{ text = "that", explanation = "No." }},
]
"""
SOUND = "".join(QUESTION.format(id=f"q{i}") for i in range(4))


@pytest.mark.parametrize("path", QUIZZES, ids=lambda path: path.stem)
def test_every_quiz_is_sound(path: Path) -> None:
    for number, question in enumerate(load_quiz(path.stem), start=1):
        right = [find_option(path.stem, number, "abcdef"[i]).right
                 for i in range(len(question.options))]  # fmt: skip
        assert sum(right) == 1


def test_the_right_answers_do_not_all_have_the_same_letter() -> None:
    letters = {[o.right for o in question.options].index(True) for question in load_quiz("01")}
    assert len(letters) > 1


@pytest.mark.parametrize(
    ("text", "defect"),
    [
        (SOUND.replace(", right = true", "", 1), "q0: 0 options are right"),
        (SOUND.replace('"that",', '"that", right = true,', 1), "q0: 2 options are right"),
        (SOUND.replace('"No."', '" "', 1), "q0: option 'that' is not explained"),
        (SOUND.replace('"that"', '"this"', 1), "q0: two options are the same"),
        (SOUND.replace('"q1"', '"q0"'), "same id"),
        (SOUND.replace('"What?"', '""', 1), "q0: it has no text"),
        (SOUND + SOUND, "8 questions"),
        (QUESTION.format(id="q"), "1 questions"),
        (SOUND.replace("explanation", "reason", 1), "cannot be read"),
        (SOUND.replace("[[", "[", 1), "cannot be read"),
        ("", "cannot be read"),
    ],
)
def test_defects_are_named(text: str, defect: str) -> None:
    assert len(parse_quiz(SOUND)) == 4
    with pytest.raises(CourseError, match=r"sound quiz|cannot be read") as error:
        parse_quiz(text)
    assert defect in str(error.value)


def test_each_option_unfolds_to_its_explanation(page) -> None:
    quiz("01")
    (output,) = page.outputs
    questions = load_quiz("01")
    options = [option for question in questions for option in question.options]
    assert output["text/markdown"].count("<details>") == len(options)
    assert output["text/markdown"].count("✓ Right.") == len(questions)
    for option in options:
        assert option.explanation in output["text/markdown"]
        assert option.explanation not in output["text/plain"]
        assert option.text in output["text/plain"]


def test_an_answer_is_explained_and_counted(page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(practice, "_answers", {})
    options = load_quiz("01")[1].options
    right = [option.right for option in options].index(True)
    answer("01", question=2, choice="ABCD"[right])
    assert page.outputs[-1]["text/plain"] == f"✓ Right. {options[right].explanation}"
    wrong = (right + 1) % len(options)
    answer("01", question=2, choice="abcd"[wrong])
    assert page.outputs[-1]["text/plain"] == f"✗ No. {options[wrong].explanation}"
    assert "0 of 1 answers right" in practice.progress_text("01")


@pytest.mark.parametrize(("question", "choice"), [(0, "a"), (9, "a"), (1, "z"), (1, ""), (1, "ab")])
def test_an_answer_that_does_not_exist_is_explained(question: int, choice: str) -> None:
    with pytest.raises(CourseError, match="There is no"):
        answer("01", question=question, choice=choice)


def test_a_lesson_without_a_quiz_is_explained() -> None:
    with pytest.raises(CourseError, match="77"):
        quiz("77")
