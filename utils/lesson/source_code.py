"""Show in a lesson the code that it teaches, from its one definition in `utils`."""

import ast
import inspect
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

from utils import runtime
from utils.errors import CourseError
from utils.lesson.outputs import fenced, show


def show_source(thing: Callable[..., Any] | type, *, docstring: bool = True) -> None:
    """Show the source of a function or class, with its file and line.

    Args:
        thing: a function, method or class written in Python.
        docstring: whether to show docstrings.

    Raises:
        CourseError: if `thing` has no Python source.
    """
    source, place = source_of(thing, docstring=docstring)
    show(f"`{place}`\n\n{fenced(source)}", f"# {place}\n{source}")


def source_of(thing: Any, *, docstring: bool = True) -> tuple[str, str]:
    """Dedented source of `thing`, and its place as "file:line", the file relative to the project.

    Raises:
        CourseError: if `thing` has no Python source.
    """
    thing = inspect.unwrap(thing)
    try:
        lines, first = inspect.getsourcelines(thing)
        file = Path(inspect.getsourcefile(thing) or "")
    except (OSError, TypeError) as error:
        raise CourseError(
            f"{thing!r} has no Python source that could be shown. Give a function or class."
        ) from error
    source = textwrap.dedent("".join(lines))
    if file.is_relative_to(runtime.project_root()):
        file = file.relative_to(runtime.project_root())
    else:
        file = Path(file.name)
    shown = source if docstring else _without_docstrings(source)
    return shown.rstrip(), f"{file.as_posix()}:{first}"


def _without_docstrings(source: str) -> str:
    lines = source.splitlines()
    drop: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        body = node.body
        if ast.get_docstring(node) is None or len(body) == 1:
            continue
        end = body[0].end_lineno or body[0].lineno
        drop.update(range(body[0].lineno, end + 1))
        if end < len(lines) and not lines[end].strip():
            drop.add(end + 1)
    return "\n".join(line for number, line in enumerate(lines, start=1) if number not in drop)
