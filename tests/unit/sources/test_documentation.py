"""The documentation installed here, as text to train on."""

import textwrap
from pathlib import Path

import pytest

from utils import sources
from utils.errors import CourseError
from utils.sources import documentation

TEXTBOOKS = "openstax/textbooks-en"


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A library of sixty modules, in the place of all others; and a store of its own."""
    folder = tmp_path / "library"
    (folder / "tests").mkdir(parents=True)
    for number in range(60):
        (folder / f"module_{number:02}.py").write_text(f'"""Module {number} is too short."""')
    long = "Long enough to be a paragraph of its own, and so it is one of them. " * 5
    (folder / "tests" / "module.py").write_text(f'"""Tests are left out. {long}"""\n')
    (folder / "broken.py").write_text('def x(: """')
    monkeypatch.setattr(documentation, "_folders", lambda: {"library": folder})
    monkeypatch.setenv("COURSE_RUNS", str(tmp_path / "runs"))
    return folder


def test_prose_is_told_from_code_and_tables() -> None:
    docstring = textwrap.dedent("""\
        Return the mean of ``values``, weighted by :func:`weights <module.w>` if these are given.

        >>> mean([1, 2]) and this is not a sentence that anybody would want to read.

        Parameters
        ----------
        values : list of float
            Numbers whose mean is wanted. All of them have to be finite, or the mean is not [1]_.

        too short. Begins with a small letter, and so it is the middle of something else here.

        ==== ==== This looks like a table of something, and it ends in a full stop all the same.
        """)
    assert documentation.prose(docstring) == [
        "Return the mean of values, weighted by weights if these are given.",
        "Numbers whose mean is wanted. All of them have to be finite, or the mean is not.",
    ]


def test_documents_are_split_whole_and_paragraphs_kept_once(library: Path) -> None:
    for number in range(60):  # long enough to be documents
        file = library / f"module_{number:02}.py"
        words = f"In module {number} there is more to be said about things that nobody asked for. "
        file.write_text(
            f'"""{words * 4}\n\nThis very paragraph stands in all of the sixty modules of it."""'
        )
    dataset, source = documentation.load(TEXTBOOKS)
    train, held_out = (dataset[name]["id"] for name in ("train", "validation"))
    assert len(train) + len(held_out) == 60
    assert not set(train) & set(held_out)
    everything = "\n".join([*dataset["train"]["text"], *dataset["validation"]["text"]])
    assert everything.count("This very paragraph") == 1
    assert "Tests are left out" not in everything
    assert source.location == "embedded (installed documentation)"
    assert documentation.load(TEXTBOOKS)[1].fingerprint == source.fingerprint  # from the cache


def test_too_little_documentation_is_refused(library: Path) -> None:
    with pytest.raises(CourseError, match="Reinstall them with their source files"):
        documentation.load(TEXTBOOKS)


def test_it_stands_in_for_the_textbooks_where_nothing_else_is() -> None:
    dataset, source = sources.load_dataset(TEXTBOOKS, profile="smoke")
    n_characters = sum(len(text) for text in dataset["train"]["text"])
    assert n_characters > 1_000_000
    assert set(dataset["train"]["book"]) == {"numpy", "scikit-learn"}
    assert source.kind == "embedded"
    with pytest.raises(CourseError, match="stand-ins are not used"):
        sources.load_dataset(TEXTBOOKS, require="real")
