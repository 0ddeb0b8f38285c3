"""Blocks between markers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from utils.errors import CourseError
from utils.report.blocks import find_blocks, update_blocks

PAGE = """Before.
<!-- course:begin one -->
old
<!-- course:end one -->
Between.
<!-- course:begin two --><!-- course:end two -->
After.
"""


def test_only_the_named_block_changes():
    text = update_blocks(PAGE, {"two": "new\nlines\n"})
    assert text == PAGE.replace(
        "<!-- course:begin two --><!--", "<!-- course:begin two -->\nnew\nlines\n<!--"
    )
    assert [block.name for block in find_blocks(text)] == ["one", "two"]


@given(st.text(alphabet="ab|\n -<>!", max_size=40), st.text(alphabet="xyz\\1\n", max_size=20))
def test_updating_twice_is_updating_once(one, two):
    contents = {"one": one, "two": two}
    once = update_blocks(PAGE, contents)
    assert update_blocks(once, contents) == once
    found = {b.name: once[b.start : b.end] for b in find_blocks(once)}
    assert found == {name: f"\n{content.strip(chr(10))}\n" for name, content in contents.items()}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<!-- course:begin a -->", "'a' never ends"),
        ("x\n<!-- course:end a -->", r"line 2: the block 'a' ends here but has not begun"),
        ("<!-- course:begin a --><!-- course:end b -->", "'b' ends here but has not begun"),
        (
            "<!-- course:begin a --><!-- course:begin b --><!-- course:end b -->",
            "'b' begins inside the block 'a'",
        ),
        (2 * "<!-- course:begin a --><!-- course:end a -->", "second block 'a'"),
    ],
)
def test_faulty_markers(text, message):
    with pytest.raises(CourseError, match=message):
        find_blocks(text, "README.md")


def test_a_missing_block_and_markers_in_the_content():
    with pytest.raises(CourseError, match="README has no block 'three'"):
        update_blocks(PAGE, {"three": "x"}, "README")
    with pytest.raises(CourseError, match="holds a marker"):
        update_blocks(PAGE, {"one": "<!-- course:end one -->"})
