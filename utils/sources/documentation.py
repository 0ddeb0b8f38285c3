"""Real English on every machine: the documentation installed with Python and the dependencies.

Docstrings are read from the source files (nothing is imported), cleaned of code, tables and markup,
and each paragraph is kept once. One row a module, with the columns of the textbooks and novels that
it stands in for.
"""

import ast
import contextlib
import hashlib
import json
import platform
import re
import sysconfig
import textwrap
from collections import deque
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from utils import runtime
from utils.errors import CourseError
from utils.sources import fingerprint
from utils.sources.source import Source

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

NAME = "installed documentation"

STANDS_FOR = ("openstax/textbooks-en",)
"""Ids of the running-text corpora that it stands in for."""

PACKAGES = {
    "numpy": "numpy",
    "scipy": "scipy",
    "scikit-learn": "sklearn",
    "pandas": "pandas",
    "matplotlib": "matplotlib",
}
"""Distribution → package; all come with the course. Python's own library is read besides."""

_VERSION = 1
"""Raise by hand whenever a change of this file changes the text."""

_EVERY = 40
"""Every 40th module is held out, as in the textbooks."""

_SHORTEST_PARAGRAPH, _SHORTEST_DOCUMENT = 60, 200


def load(dataset_id: str) -> "tuple[DatasetDict, Source]":
    """The documentation as splits `train` and `validation`, cut by modules.

    Columns are `id`, `book` (the package), `author`, `year`, `section` (the module) and `text`,
    whose paragraphs are separated by a line feed.

    Raises:
        CourseError: if none of the packages is installed with its source files.
    """
    from datasets import DatasetDict

    rows = _cached_rows()
    if len(rows) < _EVERY:
        raise CourseError(
            f"Only {len(rows)} modules with documentation are installed here; the packages "
            f"{', '.join(PACKAGES)} should hold hundreds. Reinstall them with their source files, "
            "or name a folder of text."
        )
    held_out = rows[::_EVERY]
    train = [row for place, row in enumerate(rows) if place % _EVERY]
    dataset = DatasetDict({"train": _dataset(train), "validation": _dataset(held_out)})
    source = Source(
        kind="embedded",
        id=dataset_id,
        revision=None,
        fingerprint=fingerprint.of_dataset(dataset),
        location=f"embedded ({NAME})",
        licence="PSF-2.0 (Python), BSD-3-Clause (NumPy, SciPy, scikit-learn, pandas), Matplotlib",
    )
    return dataset, source


def _dataset(rows: list[dict[str, str]]) -> "Dataset":
    from datasets import Dataset, Features, Value

    names = ("id", "book", "author", "year", "section", "text")
    features = Features({n: Value("int32" if n == "year" else "string") for n in names})
    columns: dict[str, list[str | None]] = {name: [row.get(name) for row in rows] for name in names}
    return Dataset.from_dict(columns, features=features)


def _cached_rows() -> list[dict[str, str]]:
    """`_rows`, kept in `runs/cache` for these versions: reading the source files takes 15 s."""
    versions = {book: str(folder) for book, folder in _folders().items()}
    versions |= {name: metadata.version(name) for name in PACKAGES if name in versions}
    content = json.dumps([platform.python_version(), _VERSION, versions])
    name = f"documentation-{hashlib.sha256(content.encode()).hexdigest()[:16]}.json"
    file = runtime.runs_dir() / "cache" / name
    if file.is_file():
        with contextlib.suppress(OSError, ValueError):
            return list(json.loads(file.read_text("utf-8")))
    rows = list(_rows())
    runtime.write_atomically(file, json.dumps(rows))
    return rows


def _rows() -> Iterator[dict[str, str]]:
    """A row for each module with enough prose, in alphabetical order of packages and modules."""
    seen: set[str] = set()
    for book, folder in sorted(_folders().items()):
        for file in sorted(folder.rglob("*.py")):
            inside = file.relative_to(folder)
            if {"test", "tests", "idlelib", "site-packages", "_vendor"} & set(inside.parts):
                continue
            paragraphs = []
            for paragraph in _paragraphs(file):
                if paragraph not in seen:
                    seen.add(paragraph)
                    paragraphs.append(paragraph)
            text = "\n".join(paragraphs)
            if len(text) >= _SHORTEST_DOCUMENT:
                module = ".".join(inside.with_suffix("").parts)
                yield {
                    "id": f"{book}/{module}",
                    "book": book,
                    "author": f"the authors of {book}",
                    "section": module,
                    "text": text,
                }


def _folders() -> dict[str, Path]:
    paths = sysconfig.get_paths()
    found = {"Python": Path(paths["stdlib"])}
    for distribution, package in PACKAGES.items():
        try:
            found[distribution] = Path(
                str(metadata.distribution(distribution).locate_file(package))
            )
        except metadata.PackageNotFoundError:
            continue
    return {book: folder for book, folder in found.items() if folder.is_dir()}


def _paragraphs(file: Path) -> Iterator[str]:
    """The paragraphs of prose in the docstrings of a source file."""
    try:
        code = file.read_text("utf-8")
        tree = ast.parse(code) if '"""' in code else ast.Module([], [])
    except (OSError, UnicodeDecodeError, SyntaxError, ValueError):
        return  # not every file of a package is meant for this version of Python
    for node in _statements(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield from prose(ast.get_docstring(node) or "")


def _statements(tree: ast.Module) -> Iterator[ast.AST]:
    """`ast.walk` without expressions, of which there are ten times as many."""
    waiting: deque[ast.AST] = deque([tree])
    while waiting:
        node = waiting.popleft()
        yield node
        inside = ast.iter_child_nodes(node)
        waiting.extend(n for n in inside if isinstance(n, ast.stmt | _BLOCKS))


_BLOCKS = ast.excepthandler | ast.match_case


def prose(docstring: str) -> list[str]:
    """Paragraphs of running English in a docstring: no code, tables, signatures or markup.

    Each one begins with a capital letter, ends a sentence, and is at least 60 characters long.
    """
    found = []
    for block in re.split(r"\n\s*\n", docstring):
        # What is described stands indented under its name; the description is prose.
        lines = textwrap.dedent(block).splitlines()
        if lines and lines[-1][:1].isspace():
            lines = textwrap.dedent("\n".join(line for line in lines if line[:1].isspace())).split(
                "\n"
            )
        text = " ".join(line.strip() for line in lines)
        if len(text) >= _SHORTEST_PARAGRAPH and _is_prose(text := _without_markup(text)):
            found.append(text)
    return found


def _without_markup(text: str) -> str:
    text = re.sub(r":[\w:+-]+:`~?\.?([^`<]*?)(?:\s*<[^>]*>)?`", r"\1", text)  # :func:`name`
    text = re.sub(r"`+([^`]*)`+_?", r"\1", text)
    text = re.sub(r"\*{1,2}(\S[^*]*?)\*{1,2}", r"\1", text)
    text = re.sub(r"\s*\[[\w#]+\]_", "", text)  # footnotes
    return re.sub(r"\s+", " ", text).strip()


_NOT_PROSE = re.compile(r">>>|\.\. |::|---|===|https?:|\\[a-z]+\{|\|\s.*\||[{}<>^~]|\w\(.*\)\s*=")


def _is_prose(text: str) -> bool:
    if len(text) < _SHORTEST_PARAGRAPH or not text[0].isupper() or text[-1] not in ".!?":
        return False
    letters = sum(character.isalpha() or character == " " for character in text)
    return letters >= 0.9 * len(text) and not _NOT_PROSE.search(text)
