"""Marked entities: what stands where, escaped, and in plain text."""

import re

import pytest

from utils.lesson.highlight import entities_html, entities_text, show_entities

WORDS = ["Ada", "Lovelace", "met", "<b>Paris</b>", "&", "Rome"]
MARKED = [("LOC", 5, 5), ("PER", 0, 1), ("LOC", 3, 3)]


def test_plain_text_by_hand(capsys: pytest.CaptureFixture) -> None:
    line = "[Ada Lovelace: PER] met [<b>Paris</b>: LOC] & [Rome: LOC]"
    assert entities_text(WORDS, MARKED) == line
    show_entities([(WORDS, MARKED), (["none"], [])])
    assert capsys.readouterr().out == f"{line}\nnone\n"


def test_html_says_the_same_and_escapes_words_and_kinds() -> None:
    page = entities_html([*WORDS, "x"], [*MARKED, ("<i>", 6, 6)])
    assert "<b>Paris" not in page
    assert " &amp; " in page
    marks = re.findall(r"<mark [^>]*>(.*?) <small><b>(.*?)</b></small></mark>", page)
    assert marks == [
        ("Ada Lovelace", "PER"), ("&lt;b&gt;Paris&lt;/b&gt;", "LOC"), ("Rome", "LOC"),
        ("x", "&lt;i&gt;"),
    ]  # fmt: skip


def test_a_kind_has_the_same_colour_everywhere() -> None:
    kinds = ["LOC", "PER"]
    colours = [
        re.findall("solid (#.{6})", entities_html(["a"], [(kind, 0, 0)], kinds))[0]
        for kind in ("PER", "LOC", "PER")
    ]
    assert colours[0] == colours[2] != colours[1]


@pytest.mark.parametrize("marked", [[("A", 0, 1), ("B", 1, 2)], [("A", 5, 6)], [("A", 2, 1)]])
def test_what_overlaps_or_lies_outside_is_refused(marked: list) -> None:
    with pytest.raises(ValueError, match="overlaps another or is outside"):
        entities_html(WORDS, marked)
