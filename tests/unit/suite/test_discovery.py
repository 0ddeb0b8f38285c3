"""Finding lessons, and reading parameters and claims without running anything."""

from pathlib import Path
from typing import Any

import pytest

from utils.errors import CourseError
from utils.suite import Notebook, claims_of, discover, find, parse_parameters
from utils.suite.parameters import check_parameters


@pytest.fixture
def lessons(write: Any, tmp_path: Path) -> Path:
    for name in ("00_start_here", "01_transfer_learning", "10_more"):
        write("a = 1", name=name)
    write("a = 1", name="scratch")
    (tmp_path / "notebooks" / "02_folder").mkdir()
    return tmp_path


def test_discovery_goes_by_name(lessons: Path) -> None:
    found = discover(lessons)
    assert [(n.number, n.name) for n in found] == [
        ("00", "00_start_here"),
        ("01", "01_transfer_learning"),
        ("10", "10_more"),
    ]
    assert (found[0].title, found[0].minutes, found[0].evidence) == (
        "Tiny lesson",
        5,
        {"records": 1},
    )


@pytest.mark.parametrize(
    ("selectors", "numbers"),
    [
        ([], ["00", "01", "10"]),
        (["1"], ["01"]),
        (["10", "01"], ["10", "01"]),
        (["01_transfer_learning", "01", "00_start_here.ipynb"], ["01", "00"]),
    ],
)
def test_find_by_number_and_name(lessons: Path, selectors: list[str], numbers: list[str]) -> None:
    assert [n.number for n in find(selectors, lessons)] == numbers


def test_find_by_path(lessons: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(lessons / "notebooks")
    (notebook,) = find(["scratch.ipynb"], lessons)
    assert (notebook.number, notebook.path) == ("", lessons / "notebooks" / "scratch.ipynb")


def test_unknown_lesson_lists_what_there_is(lessons: Path, tmp_path: Path) -> None:
    with pytest.raises(CourseError, match=r"no lesson '7'(.|\n)*00_start_here\n.*01_trans") as info:
        find(["7"], lessons)
    assert "scratch" not in str(info.value)
    with pytest.raises(CourseError, match="no lessons"):
        find([], tmp_path / "nowhere")


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"nbformat": 4, "cells": [{"a": 1}]}', "\xff"])
def test_damaged_notebook(tmp_path: Path, text: str) -> None:
    path = tmp_path / "01_x.ipynb"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(CourseError, match=r"01_x\.ipynb is not a notebook"):
        Notebook(path).title  # noqa: B018


def test_parameters_are_read_with_types(write: Any) -> None:
    notebook = write(
        parameters='PROFILE: str = "quick"  # size\nSEED = 0\nRATE = -0.5\nNAMES = ["a"]\nX = None'
    )
    defaults = {name: p.default for name, p in notebook.parameters.items()}
    assert defaults == {"PROFILE": "quick", "SEED": 0, "RATE": -0.5, "NAMES": ["a"], "X": None}
    assert notebook.parameters["RATE"].type is float
    check_parameters(notebook, {"RATE": 1, "NAMES": [], "X": 3, "SEED": 2})
    for wrong in ({"RATE": True}, {"NAMES": "a"}, {"SEED": 1.0}, {"X": Path("a")}):
        with pytest.raises(CourseError, match=next(iter(wrong))):
            check_parameters(notebook, wrong)


@pytest.mark.parametrize(
    "line", ["N = 10 if SEED else 5", "import os", "A, B = (1, 2)", "SEED += 1"]
)
def test_computed_parameters_are_refused(write: Any, line: str) -> None:
    notebook = write("a = 1", parameters=f"SEED = 0\n{line}")
    with pytest.raises(CourseError, match=r"cell 1 \(`SEED = 0`\).*literal") as info:
        notebook.parameters  # noqa: B018
    assert line in str(info.value)


def test_second_parameters_cell_is_refused(write: Any) -> None:
    notebook = write("a = 1", ("parameters", "B = 1"))
    with pytest.raises(CourseError, match=r"cell 3 \(`B = 1`\) is a second cell"):
        notebook.parameters  # noqa: B018


def test_parameters_from_the_command_line() -> None:
    pairs = ["RETRAIN=true", "N=64", "RATE=2e-5", "NAME=a=b", 'TEXT="1"', "X=null", "L=[1]"]
    assert parse_parameters(pairs) == {
        "RETRAIN": True,
        "N": 64,
        "RATE": 2e-5,
        "NAME": "a=b",
        "TEXT": "1",
        "X": None,
        "L": [1],
    }
    for wrong in ("SEED", "=1", "a b=1"):
        with pytest.raises(CourseError, match="NAME=VALUE"):
            parse_parameters([wrong])


def test_claims_are_read_in_order(write: Any) -> None:
    notebook = write(
        '%matplotlib inline\nclaim("first " "text", better={}, on={}, at_least=0.5); a = 1',
        'reclaim("no")\nlesson.claim(\n    "second", better={}, worse={}, on={"n_train": [1, 2]})',
    )
    assert [claim.text for claim in claims_of(notebook)] == ["first text", "second"]
    assert {claim.lesson for claim in claims_of(notebook)} == {notebook.number}


def test_a_claim_that_is_not_literal_is_refused(write: Any) -> None:
    with pytest.raises(CourseError, match="literal"):
        claims_of(write("a = 1", 'claim(f"{a}", better={}, worse={}, on={})'))
