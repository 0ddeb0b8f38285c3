"""New texts, as people give them to a model that was kept: checked, and cut into words."""

from collections.abc import Iterable, Sequence
from typing import Any

import regex

from utils.errors import CourseError

_VISIBLE = regex.compile(r"[^\p{C}\p{Z}]")

_IN_A_WORD = r"[\w\p{M}\p{Cf}]"
"""Accents that are characters of their own and joiners stay in the word that they stand in."""

WORD = regex.compile(
    r"(?:\p{L}\.){2,}(?![\w-])"  # U.S.
    r"|['’]s\b"  # the end of Anna's
    rf"|\w(?:(?:(?!['’]s\b)(?:{_IN_A_WORD}|[.,'’&-]))*[\w\p{{M}}])?"  # don't, 3,000, vice-president
    r"|[^\w\s\p{M}\p{Cf}]"
)
"""A word, cut about as in CoNLL-2003, or a mark."""


def checked(texts: Iterable[Any], name: str = "text") -> list[str]:
    """The texts as a list.

    Raises:
        CourseError: if one of them is no text or has nothing to read, with the number of its row.
    """
    if isinstance(texts, str):
        raise CourseError(f"Give a list of {name}s, not a single text: put it in square brackets.")
    found = list(texts)
    for number, text in enumerate(found, start=1):
        if not isinstance(text, str) or not _VISIBLE.search(text):
            raise CourseError(
                f"Row {number}: the {name} is empty or not a text ({_shown(text)}). Fill or remove "
                "the row."
            )
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise CourseError(
                f"Row {number}: the {name} holds half a character at place {error.start} (a lone "
                "surrogate). Repair or remove it."
            ) from error
    return found


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:59] + "…"


def runs(lengths: Sequence[int], room: int) -> list[tuple[slice, slice]]:
    """Cut words of `lengths` tokens into neighbouring parts, each to be read with its surroundings.

    What fits into `room` tokens stays whole. A part has half of the room, and on either side a
    quarter is left for the words before and after it, so that no word is judged without context.

    Returns:
        For each part its words, and the words that are read.
    """
    if sum(lengths) <= room:
        return [(slice(0, len(lengths)), slice(0, len(lengths)))]
    found = []
    start = 0
    while start < len(lengths):
        end = _reach(lengths, start, room // 2, 1)
        first = _reach(lengths, start - 1, room // 4, -1) + 1
        last = _reach(lengths, end, room // 4, 1)
        end = max(end, start + 1)  # a word that is too long for any part
        found.append((slice(start, end), slice(first, max(last, end))))
        start = end
    return found


def _reach(lengths: Sequence[int], place: int, room: int, step: int) -> int:
    """The first place from `place` on, in direction `step`, whose word does not fit any more."""
    while 0 <= place < len(lengths) and lengths[place] <= room:
        room -= lengths[place]
        place += step
    return place
