"""A lesson is two files: notebooks/source/NN_name.py to edit, notebooks/NN_name.ipynb to read.

The text file (jupytext's py:percent) holds the cells and, in its header, the metadata `course`; the
notebook is made from it by `sync` and gets its outputs by `record`, from an executed `quick` run.
The notebook's metadata `course` then also holds

- `outputs_of`: a hash of the code cells that the outputs came from. When a cell is edited later,
  the hash of the present cells differs, and hygiene asks for a new recording.
- `recorded`: the profile of that run and the sources of its data.
"""

import hashlib
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

from utils import runtime
from utils.errors import CourseError
from utils.suite.audit import audit
from utils.suite.discovery import PATTERN, Notebook, code_cells, read_document

_KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
_WIDGET = "application/vnd.jupyter.widget-view+json"
_READABLE = ("text/markdown", "text/html", "image/png")


def pairs(root: Path | None = None) -> list[tuple[Path, Path]]:
    """(source, notebook) of every lesson that has a source file, whether the notebook exists."""
    folder = (root or runtime.project_root()) / "notebooks"
    sources = sorted((folder / "source").glob(PATTERN.replace(".ipynb", ".py")))
    return [(source, folder / f"{source.stem}.ipynb") for source in sources]


def sync(root: Path | None = None) -> list[Path]:
    """Write every notebook anew from its source, keeping the outputs of unchanged code cells.

    The source decides: what was typed into a notebook only is overwritten.

    Returns:
        The notebooks that changed.

    Raises:
        CourseError: for a source that jupytext cannot read, or a damaged notebook.
    """
    changed = []
    for source, notebook in pairs(root):
        text = render(source, notebook)
        if not notebook.exists() or notebook.read_text(encoding="utf-8") != text:
            runtime.write_atomically(notebook, text)
            changed.append(notebook)
    return changed


def render(source: Path, notebook: Path) -> str:
    """The text that `notebook` should have: the cells of `source` with the outputs it has now."""
    document = _read_source(source)
    before = read_document(notebook) if notebook.exists() else {"cells": [], "metadata": {}}
    kept = before["metadata"].get("course", {})
    document["metadata"] = {
        "course": {
            **document["metadata"].get("course", {}),
            **{key: kept[key] for key in ("outputs_of", "recorded") if key in kept},
        },
        "kernelspec": _KERNEL,
        "language_info": {"name": "python"},
    }
    _name_cells(document["cells"])
    _keep_outputs(document["cells"], before["cells"])
    return _written(document)


def _read_source(source: Path) -> dict[str, Any]:
    import jupytext

    try:
        read = jupytext.reads(source.read_text(encoding="utf-8"), fmt="py:percent")
    except Exception as error:  # jupytext and its parsers raise many kinds
        raise CourseError(f"Cannot read {source} as a jupytext script: {error}") from error
    return dict(json.loads(json.dumps(read)))


def _written(document: dict[str, Any]) -> str:
    import nbformat

    document.update(nbformat=4, nbformat_minor=5)
    return str(nbformat.writes(nbformat.from_dict(document)).rstrip("\n")) + "\n"


def _name_cells(cells: list[dict[str, Any]]) -> None:
    """Give cells ids that follow from their text, so that the file changes only where it must."""
    seen: dict[str, int] = defaultdict(int)
    for cell in cells:
        name = hashlib.sha256(f"{cell['cell_type']}\n{cell['source']}".encode()).hexdigest()[:12]
        seen[name] += 1
        cell["id"] = name if seen[name] == 1 else f"{name}-{seen[name]}"


def _keep_outputs(cells: list[dict[str, Any]], before: list[dict[str, Any]]) -> None:
    """Move the outputs of `before` to the code cells with exactly the same source."""
    known: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for cell in before:
        if cell["cell_type"] == "code":
            known[cell["source"]].append(cell)
    for cell in cells:
        if cell["cell_type"] == "code":
            old = known[cell["source"]].pop(0) if known[cell["source"]] else {}
            cell["outputs"] = old.get("outputs", [])
            cell["execution_count"] = old.get("execution_count")


def cells_hash(document: dict[str, Any]) -> str:
    """16 hex digits over the sources of the code cells that run, in order."""
    sources = [cell.source for cell in code_cells(document)]
    return hashlib.sha256(json.dumps(sources).encode()).hexdigest()[:16]


def record(executed: Path, notebook: Notebook) -> None:
    """Put the outputs of an executed `quick` run into the committed notebook.

    Left out: the injected parameters, timings, papermill's metadata and widgets (with their state,
    GitHub refuses to render a notebook). Cells are numbered from 1, as after "run all".

    Raises:
        CourseError: if the run fails the audit, had another profile, or its outputs would break a
            rule of `utils.suite.hygiene`; the notebook is then unchanged.
    """
    from utils.suite.hygiene import check_document

    document, run = read_document(notebook.path), read_document(executed)
    result = audit(executed, notebook.path)
    if not result.ok:
        raise CourseError(f"{executed} is no run to publish:\n" + _listed(result.problems))
    profile = run["metadata"].get("papermill", {}).get("parameters", {}).get("PROFILE")
    if profile != "quick":
        raise CourseError(
            f"{executed} is a run of profile {profile!r}; lessons are published with the outputs "
            f"of `course run {notebook.number} --profile quick`."
        )
    for cell, ran in zip(code_cells(document), code_cells(run), strict=True):
        cell.raw["execution_count"] = cell.number
        cell.raw["outputs"] = _publishable(ran.raw.get("outputs", []), cell.number)
    document["metadata"].setdefault("course", {}).update(
        outputs_of=cells_hash(document),
        recorded={"profile": profile, "sources": sorted(result.evidence.sources)},
    )
    document["metadata"].pop("widgets", None)
    text = _written(document)
    if problems := check_document(notebook.name, json.loads(text), len(text.encode())):
        raise CourseError(f"The outputs of {executed} cannot be published:\n" + _listed(problems))
    runtime.write_atomically(notebook.path, text)


def _listed(problems: list[Any]) -> str:
    return "\n".join(f"- {problem}" for problem in problems)


def _publishable(outputs: list[dict[str, Any]], number: int) -> list[dict[str, Any]]:
    """The outputs without widgets: what has no other readable form than a widget is left out."""
    published = []
    for output in outputs:
        data = output.get("data", {})
        if _WIDGET in data and not any(mime in data for mime in _READABLE):
            continue
        data.pop(_WIDGET, None)
        if "execution_count" in output:
            output["execution_count"] = number
        published.append(output)
    return published
