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
from collections.abc import Callable, Container, Iterable, Iterator
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

SUMMARIES = "course/docstrings"
"""Id of the docstrings whose first line sums up the rest; see `load_summaries`."""

_SUMMARISED = ("numpy", "pandas", "scikit-learn", "scipy")

PACKAGES = {
    "numpy": "numpy",
    "scipy": "scipy",
    "scikit-learn": "sklearn",
    "pandas": "pandas",
    "matplotlib": "matplotlib",
}
"""Distribution → package; all come with the course. Python's own library is read besides."""

_FEW = ("numpy", "scikit-learn")
"""What is read in the profile smoke, in a quarter of the time."""

_VERSION = 1
"""Raise by hand whenever a change of this file changes the text."""

_EVERY = 40
"""Every 40th module is held out, as in the textbooks."""

_SHORTEST_PARAGRAPH, _SHORTEST_DOCUMENT = 60, 200


def load(dataset_id: str, *, few: bool = False) -> "tuple[DatasetDict, Source]":
    """The documentation as splits `train` and `validation`, cut by modules.

    With `few`, of two packages only.

    Columns are `id`, `book` (the package), `author`, `year`, `section` (the module) and `text`,
    whose paragraphs are separated by a line feed.

    Raises:
        CourseError: if none of the packages is installed with its source files.
    """
    from datasets import DatasetDict

    rows = _cached(lambda: _rows(_FEW), "few") if few else _cached(_rows, "documentation")
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


def load_summaries() -> "tuple[DatasetDict, Source]":
    """Docstrings of functions and classes: their first paragraph, and the prose that follows it.

    Columns are `id` (package, module and name), `text` (paragraphs separated by a line feed) and
    `summary`. By modules, a fifth is `test` and a tenth `validation`.

    Raises:
        CourseError: if too few are installed.
    """
    from datasets import Dataset, DatasetDict

    rows = _cached(_summary_rows, "docstrings")
    if len(rows) < 200:
        raise CourseError(
            f"Only {len(rows)} docstrings with a summary and a text are installed here. Reinstall "
            f"{', '.join(_SUMMARISED)} with their source files."
        )
    modules = {module: n for n, module in enumerate(sorted({row["module"] for row in rows}))}
    parts: dict[str, list[dict[str, str]]] = {"train": [], "validation": [], "test": []}
    for row in rows:
        place = modules[row["module"]] % 10
        parts["test" if place < 2 else "validation" if place == 2 else "train"].append(row)
    columns = ("id", "text", "summary")
    dataset = DatasetDict(
        {
            name: Dataset.from_dict({column: [row[column] for row in part] for column in columns})
            for name, part in parts.items()
        }
    )
    source = Source(
        kind="embedded",
        id=SUMMARIES,
        revision=None,
        fingerprint=fingerprint.of_dataset(dataset),
        location=f"embedded ({NAME})",
        licence="BSD-3-Clause (NumPy, pandas, SciPy, scikit-learn)",
    )
    return dataset, source


def _summary_rows() -> Iterator[dict[str, str]]:
    """A row for each docstring with a summary in one sentence and a text of three or more."""
    seen: set[str] = set()
    folders = _folders()
    for book in _SUMMARISED:
        for file in _files(folders[book]) if book in folders else ():
            module = f"{book}/{'.'.join(file.relative_to(folders[book]).with_suffix('').parts)}"
            for name, docstring in _docstrings(file):
                first, _, rest = docstring.partition("\n\n")
                # Sections with a ruled heading list parameters, examples and the like.
                rest = re.split(r"\n[^\n]+\n-{3,}", f"\n{rest}")[0]
                text = "\n".join(prose(rest))
                summary = _without_markup(" ".join(first.split()))
                n_sentences = len(re.findall(r"[.!?](?=\s|$)", text))
                fits = 20 <= len(summary) <= 160 and n_sentences >= 3 and summary not in seen
                if fits and summary[0].isupper() and not _NOT_PROSE.search(summary):
                    seen.add(summary)
                    yield {
                        "id": f"{module}.{name}",
                        "module": module,
                        "text": text,
                        "summary": summary,
                    }


def _cached(read: Callable[[], Iterable[dict[str, str]]], name: str) -> list[dict[str, str]]:
    """What `read` gives, kept in `runs/cache` for these versions: reading files takes 15 s."""
    versions = {book: str(folder) for book, folder in _folders().items()}
    versions |= {name: metadata.version(name) for name in PACKAGES if name in versions}
    content = json.dumps([platform.python_version(), _VERSION, versions])
    name = f"{name}-{hashlib.sha256(content.encode()).hexdigest()[:16]}.json"
    file = runtime.runs_dir() / "cache" / name
    if file.is_file():
        with contextlib.suppress(OSError, ValueError):
            return list(json.loads(file.read_text("utf-8")))
    rows = list(read())
    runtime.write_atomically(file, json.dumps(rows))
    return rows


def _rows(packages: Container[str] | None = None) -> Iterator[dict[str, str]]:
    """A row for each module with enough prose, in alphabetical order of packages and modules."""
    seen: set[str] = set()
    for book, folder in sorted(_folders().items()):
        if packages is not None and book not in packages:
            continue
        for file in _files(folder):
            inside = file.relative_to(folder)
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


def _files(folder: Path) -> Iterator[Path]:
    """Source files of a package, without its tests and what it has copied from others."""
    for file in sorted(folder.rglob("*.py")):
        left_out = {"test", "tests", "idlelib", "site-packages", "_vendor"}
        if not left_out & set(file.relative_to(folder).parts):
            yield file


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
    for _, docstring in _docstrings(file):
        yield from prose(docstring)


def _docstrings(file: Path) -> Iterator[tuple[str, str]]:
    """Name and text of each docstring; that of the module has no name."""
    try:
        code = file.read_text("utf-8")
        tree = ast.parse(code) if '"""' in code else ast.Module([], [])
    except (OSError, UnicodeDecodeError, SyntaxError, ValueError):
        return  # not every file of a package is meant for this version of Python
    for node in _statements(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield getattr(node, "name", ""), ast.get_docstring(node) or ""


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
