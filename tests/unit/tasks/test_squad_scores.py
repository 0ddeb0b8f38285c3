"""Exact match and F1 of answers by hand; `test_metrics.py` has thousands of generated ones."""

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
