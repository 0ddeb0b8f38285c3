"""Exact match and F1 of answers: by hand, and against an independent reading of the definition."""

import random
import re

import pytest

from utils.squad_scores import exact_match, normalise_answer, token_f1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The  Gulf Stream.", "gulf stream"),
        ("an apple a day", "apple day"),
        ("U.S.A.", "usa"),
        ("co-operate", "cooperate"),
        ("theatre", "theatre"),  # begins like an article
        ("“quoted”", "“quoted”"),  # only ASCII marks are taken away
        ("a", ""),
        ("\tNew\nYork ", "new york"),
    ],
)
def test_normalisation(text: str, expected: str) -> None:
    assert normalise_answer(text) == expected


@pytest.mark.parametrize(
    ("answer", "references", "em", "f1"),
    [
        ("the Gulf Stream", ["Gulf Stream"], True, 1.0),
        ("the warm Gulf Stream", ["Gulf Stream."], False, 0.8),  # c 2, p 3, r 2
        ("three", ["nine"], False, 0.0),
        ("no no no", ["no no way"], False, 4 / 6),
        ("1905", ["autumn of 1905", "in 1905", "1905"], True, 1.0),
        ("Stream Gulf", ["Gulf Stream"], False, 1.0),  # order does not count
        ("", [], True, 1.0),  # rightly silent
        ("Oslo", [], False, 0.0),
        ("", ["Oslo"], False, 0.0),
        ("the", [], True, 1.0),  # nothing is left of it
        ("Oslo", ["the", "Oslo"], True, 1.0),  # an empty reference is none
    ],
)
def test_scores_by_hand(answer: str, references: list[str], em: bool, f1: float) -> None:
    assert exact_match(answer, references) is em
    assert token_f1(answer, references) == pytest.approx(f1)


def other_normalisation(text: str) -> list[str]:
    """Character by character, and words afterwards."""
    kept = "".join(c for c in text.lower() if not re.match(r"[!-/:-@\[-`{-~]", c))
    return [word for word in re.split(r"\s+", kept) if word not in ("a", "an", "the", "")]


def other_f1(answer: str, references: list[str]) -> float:
    """Words crossed off one by one, precision and recall, then their harmonic mean."""
    best = 0.0
    given = other_normalisation(answer)
    for wanted in [w for text in references if (w := other_normalisation(text))] or [[]]:
        left, shared = list(wanted), 0
        for word in given:
            if word in left:
                left.remove(word)
                shared += 1
        if not given or not wanted:
            best = max(best, float(given == wanted))
        elif shared:
            precision, recall = shared / len(given), shared / len(wanted)
            best = max(best, 2 * precision * recall / (precision + recall))
    return best


def test_scores_equal_another_reading_of_the_definition_on_thousands_of_cases() -> None:
    rng = random.Random(0)
    words = ["the", "a", "An", "Gulf", "gulf", "stream,", "1905", "U.S.", "", "river", "(old)"]

    def text() -> str:
        return " ".join(rng.choices(words, k=rng.randint(0, 5)))

    for _ in range(5000):
        answer, references = text(), [text() for _ in range(rng.randint(0, 3))]
        assert token_f1(answer, references) == pytest.approx(other_f1(answer, references))
        normalised = [other_normalisation(each) for each in references]
        wanted = [each for each in normalised if each] or [[]]
        assert exact_match(answer, references) == (other_normalisation(answer) in wanted)
