"""What a committed notebook must look like, so that it renders anywhere and says what it shows."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from utils.errors import CourseError
from utils.suite.audit import Problem, outputs
from utils.suite.discovery import Cell, Notebook, code_cells, discover, without_magics
from utils.suite.pairing import cells_hash, pairs, render

MAX_BYTES = 1_000_000
MAX_FUNCTION_LINES = 20

# Folders that differ from machine to machine, at the beginning of a path (not inside a URL).
_MACHINE_FOLDERS = "home|root|work|tmp|Users|var|mnt|opt|usr|content|private"
_ABSOLUTE = re.compile(rf"(?<![\w.:/~-])/(?:{_MACHINE_FOLDERS})/[\w.-]+|\b[A-Za-z]:\\+Users\b")
_MARKDOWN_IMAGE = re.compile(r"!\[\s*\]\(")
_HTML_IMAGE = re.compile(r"<img\b(?![^>]*\balt=[\"'][^\"'])[^>]*>", re.IGNORECASE)


def check(root: Path | None = None) -> list[Problem]:
    """Check all committed notebooks of a project; an empty list is what one wants.

    The rules: each notebook is exactly what `pairing.sync` makes from its source; its outputs were
    recorded from exactly these code cells and hold no error, no widget and no path of a machine;
    every figure says in words what it shows; the kernel is python3; there is one parameters cell
    with PROFILE = "quick" and SEED = 0; the file has at most 1 MB.
    """
    paired = {notebook: source for source, notebook in pairs(root)}
    problems = [
        Problem(f"{notebook.stem}: missing; run `course sync`.")
        for notebook in paired
        if not notebook.exists()
    ]
    for notebook in discover(root):
        problems += check_notebook(notebook, paired.get(notebook.path))
    return problems


def check_notebook(notebook: Notebook, source: Path | None) -> list[Problem]:
    """Check one committed notebook against the rules of `check`; `source` is its text file."""
    try:
        document = json.loads(json.dumps(notebook.document))
        problems = check_document(notebook.name, document, notebook.path.stat().st_size)
        problems += _check_pairing(notebook, source)
        problems += _check_parameters(notebook)
    except CourseError as error:
        return [Problem(str(error))]
    return problems


def check_document(name: str, document: dict[str, Any], size: int) -> list[Problem]:
    """The rules that need nothing but the notebook itself (JSON, and its size in bytes)."""
    for cell in document["cells"]:
        cell["source"] = "".join(cell["source"])
    found = [*_metadata(document, size), *_images_in_text(document)]
    for cell in code_cells(document):
        found += [Problem(f"{cell} {text}", cell.number) for text in _bad_outputs(cell)]
    return [Problem(f"{name}: {problem}", problem.cell) for problem in found]


def _metadata(document: dict[str, Any], size: int) -> Iterator[Problem]:
    metadata = document["metadata"]
    if size > MAX_BYTES:
        yield Problem(f"the file has {size:,} bytes; the limit is {MAX_BYTES:,}.")
    if (kernel := metadata.get("kernelspec", {}).get("name")) != "python3":
        yield Problem(f"the kernel is {kernel!r}; it must be 'python3'.")
    if "widgets" in metadata:
        yield Problem("holds the state of widgets, with which GitHub refuses to render it.")
    tags = [tag for cell in document["cells"] for tag in cell.get("metadata", {}).get("tags", ())]
    if "injected-parameters" in tags or "papermill" in metadata:
        yield Problem("is an executed copy; publish outputs with `course record`.")
    if metadata.get("course", {}).get("outputs_of") != cells_hash(document):
        yield Problem(
            "its outputs were not recorded from exactly these code cells; run it with "
            "`course run --profile quick` and publish the outputs with `course record`."
        )


def _images_in_text(document: dict[str, Any]) -> Iterator[Problem]:
    for cell in document["cells"]:
        if cell["cell_type"] == "markdown":
            for image in [*_MARKDOWN_IMAGE.findall(cell["source"]), *_images(cell["source"])]:
                yield Problem(f"a text cell shows an image without alt text: {image}")


def _images(html: str) -> list[str]:
    return _HTML_IMAGE.findall(html)


def _bad_outputs(cell: Cell) -> Iterator[str]:
    """What is wrong with the outputs of one cell.

    A figure's alt text stands in the output's own metadata: `{"image/png": {"alt": "…"}}`
    (`utils.lesson.show_figure` puts it there).
    """
    for output in outputs(cell):
        data, metadata = output.get("data", {}), output.get("metadata", {})
        alt = metadata.get("image/png", {}).get("alt") or metadata.get("alt")
        if "image/png" in data and not (isinstance(alt, str) and alt.strip()):
            yield "shows a figure without alt text; use show_figure(figure, alt=…)."
        if any(mime.startswith("application/vnd.jupyter.widget") for mime in data):
            yield "holds a widget, which shows nothing outside of a running notebook."
        if image := _images("".join(data.get("text/html", ""))):
            yield f"shows an image without alt text: {image[0][:80]}"
    for output in cell.raw.get("outputs", ()):
        if output.get("output_type") == "error":
            yield f"holds an error, {output.get('ename')}."
        if path := _ABSOLUTE.search(_text(output)):
            yield f"holds a path of the machine that it ran on: {path.group()}…"


def _text(output: dict[str, Any]) -> str:
    """All text of an output: streams, errors and displayed data, but not the bytes of images."""
    data = {k: v for k, v in output.get("data", {}).items() if not k.startswith("image/")}
    texts = [output.get("text", ""), output.get("traceback", ""), *data.values()]
    return "\n".join(
        "".join(text) if isinstance(text, (str, list)) else json.dumps(text, ensure_ascii=False)
        for text in texts
    )


def _check_pairing(notebook: Notebook, source: Path | None) -> Iterator[Problem]:
    if source is None:
        yield Problem(f"{notebook.name}: there is no notebooks/source/{notebook.name}.py.")
    elif render(source, notebook.path) != notebook.path.read_text(encoding="utf-8"):
        yield Problem(
            f"{notebook.name}: differs from what notebooks/source/{source.name} says; "
            "edit the source and run `course sync`."
        )


def _check_parameters(notebook: Notebook) -> Iterator[Problem]:
    defaults = {name: p.default for name, p in notebook.parameters.items()}
    for name, value in (("PROFILE", "quick"), ("SEED", 0)):
        if defaults.get(name) != value:
            yield Problem(f"{notebook.name}: the parameters cell must hold {name} = {value!r}.")


def long_functions(notebook: Notebook, limit: int = MAX_FUNCTION_LINES) -> list[str]:
    """Functions in the notebook with more than `limit` lines: a report, not a rule."""
    found = []
    for cell in notebook.code_cells:
        try:
            tree = ast.parse(without_magics(cell.source))
        except SyntaxError:
            continue
        for node in ast.walk(tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > limit:
                    found.append(f"{notebook.name}, {cell}: {node.name} has {lines} lines")
    return found
