"""What depends on where the project is hosted: badges, first cells, the README's lesson table.

The repository stands in one place, `[tool.course] repository` of pyproject.toml.
"""

import re
import tomllib
from pathlib import Path

from utils import runtime
from utils.errors import CourseError
from utils.lesson import colab_badge, first_cell
from utils.report import update_blocks
from utils.suite.discovery import Notebook, discover
from utils.suite.pairing import pairs, render

LESSONS_BLOCK = "lessons"

_BADGE = re.compile(r"^# \[!\[Open in Colab\]\(.*$", re.MULTILINE)
_FIRST_CELL = re.compile(
    r"^# In Colab this fetches the course.*?^lesson\.setup\(\)$", re.MULTILINE | re.DOTALL
)


def repository(root: Path | None = None) -> str:
    """The repository as "owner/name"; raises `CourseError` if pyproject.toml does not say."""
    path = (root or runtime.project_root()) / "pyproject.toml"
    try:
        return str(tomllib.loads(path.read_text())["tool"]["course"]["repository"])
    except (OSError, KeyError, tomllib.TOMLDecodeError) as error:
        raise CourseError(f'{path.name} has no [tool.course] repository = "owner/name".') from error


def stamp(root: Path | None = None, *, check: bool = False) -> list[Path]:
    """Bring everything stamped up to date; with `check`, only say which files are not.

    Raises:
        CourseError: if a lesson lacks its badge or its first cell, or the README its block.
    """
    root = root or runtime.project_root()
    home = repository(root)
    changed = []
    for source, notebook in pairs(root):
        if _write(source, _stamped(source.read_text(), source, home), check):
            changed.append(source)
        if not check and _write(notebook, render(source, notebook), check):
            changed.append(notebook)
    readme = root / "README.md"
    table = lesson_table(discover(root), home)
    if _write(
        readme, update_blocks(readme.read_text(), {LESSONS_BLOCK: table}, readme.name), check
    ):
        changed.append(readme)
    return changed


def lesson_table(lessons: list[Notebook], home: str) -> str:
    """The README's table of lessons: number, title linked to the notebook, minutes, Colab badge."""
    lines = ["| | lesson | minutes | |", "|---|---|---:|---|"]
    for lesson in lessons:
        path = f"notebooks/{lesson.path.name}"
        title = re.sub(r"^(Lesson )?\d+\s*[·:.–-]*\s*", "", lesson.title)
        badge = colab_badge(home, path)
        lines.append(f"| {lesson.number} | [{title}]({path}) | {lesson.minutes} | {badge} |")
    return "\n".join(lines)


def _stamped(text: str, source: Path, home: str) -> str:
    badge = "# " + colab_badge(home, f"notebooks/{source.stem}.ipynb")
    for pattern, content, name in (
        (_BADGE, badge, "Colab badge"),
        (_FIRST_CELL, first_cell(home), "first cell"),
    ):
        text, n = pattern.subn(lambda match, content=content: content, text)  # type: ignore[misc]
        if n != 1:
            raise CourseError(f"{source.name} has {n} places for the {name}; it needs exactly one.")
    return text


def _write(path: Path, text: str, check: bool) -> bool:
    if path.exists() and path.read_text() == text:
        return False
    if not check:
        runtime.write_atomically(path, text)
    return True
