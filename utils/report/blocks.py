"""Generated blocks in a hand-written page, between `<!-- course:begin NAME -->` and `… end …`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from utils.errors import CourseError

_MARKER = re.compile(r"<!--\s*course:(?P<kind>begin|end)\s+(?P<name>[\w-]+)\s*-->")


@dataclass(frozen=True)
class Block:
    """A block in a text: its name and where its content begins and ends (character positions)."""

    name: str
    start: int
    end: int


def find_blocks(text: str, page: str = "the page") -> list[Block]:
    """All blocks of `text`, in order. `page` is the name that errors call it by.

    Raises:
        CourseError: if a marker lacks its partner, blocks are nested, or a name occurs twice.
    """
    blocks: list[Block] = []
    begun: re.Match[str] | None = None
    for marker in _MARKER.finditer(text):
        name = marker["name"]
        where = f"{page}, line {text.count(chr(10), 0, marker.start()) + 1}"
        if marker["kind"] == "begin":
            if begun is not None:
                raise CourseError(
                    f"{where}: the block {name!r} begins inside the block {begun['name']!r}. "
                    "Close one before the next begins."
                )
            if name in {block.name for block in blocks}:
                raise CourseError(f"{where}: there is a second block {name!r}. Remove one.")
            begun = marker
        elif begun is None or begun["name"] != name:
            raise CourseError(
                f"{where}: the block {name!r} ends here but has not begun. "
                f"Put <!-- course:begin {name} --> before it."
            )
        else:
            blocks.append(Block(name, begun.end(), marker.start()))
            begun = None
    if begun is not None:
        raise CourseError(
            f"{page}: the block {begun['name']!r} never ends. "
            f"Put <!-- course:end {begun['name']} --> after it."
        )
    return blocks


def update_blocks(text: str, contents: Mapping[str, str], page: str = "the page") -> str:
    """Put the contents into the blocks of those names; other blocks and the rest stay as they are.

    Raises:
        CourseError: if a block is missing, or the markers are faulty (see `find_blocks`).
    """
    blocks = find_blocks(text, page)
    for name in contents:
        if name not in {block.name for block in blocks}:
            raise CourseError(
                f"{page} has no block {name!r}. Put <!-- course:begin {name} --> and "
                f"<!-- course:end {name} --> where its content belongs."
            )
    for block in reversed(blocks):
        if block.name in contents:
            content = contents[block.name].strip("\n")
            if _MARKER.search(content):
                raise CourseError(f"The content for the block {block.name!r} holds a marker.")
            text = f"{text[: block.start]}\n{content}\n{text[block.end :]}"
    return text
