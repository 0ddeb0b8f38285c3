"""The lessons on disk: finding them, and reading what they declare without running them."""

import ast
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from utils import runtime
from utils.errors import CourseError
from utils.lesson.claims import Claim, claims_in

PATTERN = "[0-9][0-9]_*.ipynb"


@dataclass(frozen=True)
class Cell:
    """A code cell that runs: `number` counts them from 1, as In[number] after "run all"."""

    number: int
    source: str
    tags: tuple[str, ...]
    raw: dict[str, Any]

    @property
    def first_line(self) -> str:
        """The first line that is not blank, shortened to fit into a message."""
        line = next(line.strip() for line in self.source.splitlines() if line.strip())
        return line if len(line) <= 60 else line[:59] + "…"

    def __str__(self) -> str:
        # The injected parameters are a cell of the executed copy, which shifts its numbers by one.
        count = self.raw.get("execution_count")
        copy = f", In[{count}] of the executed copy" if count not in (None, self.number) else ""
        return f"cell {self.number} (`{self.first_line}`{copy})"


@dataclass(frozen=True)
class Parameter:
    """A knob of a notebook; `default` is the literal in its cell tagged `parameters`."""

    name: str
    default: Any

    @property
    def type(self) -> type:
        """The type that a value must have."""
        return type(self.default)


@dataclass(frozen=True)
class Notebook:
    """One notebook of the course; everything but its path is read from the file when asked for.

    Each property raises `CourseError` if the file is not a readable notebook.
    """

    path: Path

    @property
    def name(self) -> str:
        """The file name without ".ipynb", such as "01_transfer_learning"."""
        return self.path.stem

    @property
    def number(self) -> str:
        """The two digits that the name begins with, or "" if it does not."""
        return self.name[:2] if re.match(r"\d\d_", self.name) else ""

    @cached_property
    def document(self) -> dict[str, Any]:
        """The JSON of the file, every cell's source joined to one string."""
        return read_document(self.path)

    @cached_property
    def code_cells(self) -> list[Cell]:
        """The code cells that run (blank ones do not), in order."""
        return code_cells(self.document)

    @cached_property
    def course(self) -> dict[str, Any]:
        """The notebook metadata under `course`."""
        course = self.document["metadata"].get("course", {})
        return course if isinstance(course, dict) else {}

    @cached_property
    def title(self) -> str:
        """The first heading of level one, else the name."""
        for cell in self.document["cells"]:
            if cell["cell_type"] == "markdown":
                for line in cell["source"].splitlines():
                    if line.startswith("# "):
                        return line[2:].strip()
        return self.name

    @property
    def minutes(self) -> int | None:
        """Minutes of reading that the lesson declares."""
        minutes = self.course.get("minutes")
        return minutes if isinstance(minutes, int) else None

    @property
    def evidence(self) -> dict[str, Any]:
        """The least that a run must leave behind: name → minimum (see `utils.suite.audit`)."""
        evidence = self.course.get("evidence", {})
        return evidence if isinstance(evidence, dict) else {}

    @property
    def uses_device(self) -> bool:
        """Whether it runs models; a lesson that only reads records says `uses_device: false`."""
        return self.course.get("uses_device", True) is not False

    @cached_property
    def parameters(self) -> dict[str, Parameter]:
        """The parameters by name; empty if no cell is tagged `parameters`.

        Raises:
            CourseError: if that cell holds anything but assignments of literals. Papermill injects
                values *after* this cell, so what it computes would keep the old value.
        """
        tagged = [cell for cell in self.code_cells if "parameters" in cell.tags]
        if not tagged:
            return {}
        if len(tagged) > 1:
            raise CourseError(f"{self.name}: {tagged[1]} is a second cell tagged `parameters`.")
        return {name: Parameter(name, value) for name, value in _assignments(self.name, tagged[0])}


def discover(root: Path | None = None) -> list[Notebook]:
    """The lessons in `root`/notebooks (default: this project), ordered by name."""
    folder = (root or runtime.project_root()) / "notebooks"
    return [Notebook(path) for path in sorted(folder.glob(PATTERN))]


def find(selectors: Sequence[str] = (), root: Path | None = None) -> list[Notebook]:
    """The lessons named by `selectors`, all of them if there is no selector.

    A selector is a number ("01" or "1"), a name ("01_transfer_learning") or the path of any
    notebook file.

    Raises:
        CourseError: for a selector that fits nothing; the message lists the lessons.
    """
    lessons = discover(root)
    if not selectors:
        if not lessons:
            raise CourseError("There are no lessons: no file matches notebooks/NN_name.ipynb.")
        return lessons
    chosen = [notebook for selector in selectors for notebook in _matches(selector, lessons)]
    return list(dict.fromkeys(chosen))


def _matches(selector: str, lessons: list[Notebook]) -> list[Notebook]:
    wanted = selector.zfill(2) if selector.isdecimal() else selector
    if found := [n for n in lessons if wanted in (n.number, n.name, n.path.name)]:
        return found
    path = Path(selector)
    if path.suffix == ".ipynb" and path.is_file():
        return [Notebook(path.resolve())]
    known = "\n".join(f"  {n.name}" for n in lessons) or "  (none)"
    raise CourseError(
        f"There is no lesson {selector!r}. Give a number, a name or the path of a notebook file. "
        f"The lessons are:\n{known}"
    )


def read_document(path: Path) -> dict[str, Any]:
    """Read a notebook file as plain JSON, the source of every cell joined to one string.

    (nbformat takes a second to import; `course list` shall not wait for it.)

    Raises:
        CourseError: if the file cannot be read or is not a notebook of format 4.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CourseError(f"Cannot read the notebook {path} ({error.strerror}).") from error
    except ValueError as error:
        raise CourseError(f"{path} is not a notebook: it holds no valid JSON ({error}).") from error
    if not _is_notebook(document):
        raise CourseError(f"{path} is not a notebook of format 4, or it is damaged.")
    document.setdefault("metadata", {})
    for cell in document["cells"]:
        cell["source"] = "".join(cell.get("source", ""))
    return dict(document)


def _is_notebook(document: Any) -> bool:
    return (
        isinstance(document, dict)
        and document.get("nbformat") == 4
        and isinstance(document.get("cells"), list)
        and all(isinstance(cell, dict) and "cell_type" in cell for cell in document["cells"])
    )


def code_cells(document: dict[str, Any]) -> list[Cell]:
    """The code cells of a notebook that run, without the parameters that papermill injected."""
    cells = [
        (cell, tuple(cell.get("metadata", {}).get("tags", ())))
        for cell in document["cells"]
        if cell["cell_type"] == "code" and cell["source"].strip()
    ]
    own = [(cell, tags) for cell, tags in cells if "injected-parameters" not in tags]
    return [Cell(i, cell["source"], tags, cell) for i, (cell, tags) in enumerate(own, start=1)]


def without_magics(source: str) -> str:
    """The cell as plain Python: lines for IPython (`%…`, `!…`) become `pass`."""
    return re.sub(r"^([ \t]*)[%!].*$", r"\1pass", source, flags=re.MULTILINE)


def parse(name: str, cell: Cell) -> ast.Module:
    """The syntax tree of a cell; raises `CourseError` naming notebook `name` and the cell."""
    try:
        return ast.parse(without_magics(cell.source))
    except SyntaxError as error:
        raise CourseError(f"{name}, {cell}: not valid Python ({error}).") from error


def _assignments(name: str, cell: Cell) -> Iterator[tuple[str, Any]]:
    """The (name, literal value) pairs of a parameters cell."""
    for statement in parse(name, cell).body:
        if isinstance(statement, ast.Assign):
            targets: list[ast.expr] = statement.targets
        elif isinstance(statement, ast.AnnAssign):
            targets = [statement.target]
        else:
            targets = []
        try:
            value = ast.literal_eval(statement.value)  # type: ignore[attr-defined]
        except (AttributeError, ValueError, TypeError):
            targets = []
        if not targets or not all(isinstance(target, ast.Name) for target in targets):
            raise CourseError(
                f"{name}, {cell}: the cell tagged `parameters` may only assign literal values, "
                f"but holds `{ast.unparse(statement)}`. Move it into a later cell."
            )
        for target in targets:
            yield ast.unparse(target), value


def claims_of(notebook: Notebook) -> list[Claim]:
    """The claims of a notebook, in order, read without running it.

    Raises:
        CourseError: if an argument of a claim is not a literal, or the claim cannot be tested.
    """
    source = "\n".join(without_magics(cell.source) for cell in notebook.code_cells)
    return claims_in(source, notebook.number)
