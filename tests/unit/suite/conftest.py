"""Tiny notebooks that import nothing, so that a test costs little more than a kernel's start."""

from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest

from utils.suite import Notebook

EVIDENCE = "application/vnd.course.evidence+json"

Write = Callable[..., Notebook]


def leaves(**counts: object) -> str:
    """Source of a cell that leaves evidence."""
    bundle = {EVIDENCE: counts, "text/plain": "evidence"}
    return f"from IPython.display import display\ndisplay({bundle!r}, raw=True)"


@pytest.fixture(autouse=True)
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Everything that a test runs goes to its own folder."""
    folder = tmp_path / "runs"
    monkeypatch.setenv("COURSE_RUNS", str(folder))
    return folder


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a notebook: text before the parameters cell, then code cells (or (tag, code) pairs)."""

    def _write(
        *codes: str | tuple[str, str],
        name: str = "01_tiny",
        parameters: str | None = 'PROFILE = "quick"\nSEED = 0',
        evidence: dict[str, object] | None = None,
        folder: Path | None = None,
    ) -> Notebook:
        cells = [nbformat.v4.new_markdown_cell("# Tiny lesson\n\nText.")]
        if parameters is not None:
            cell = nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]})
            cells.append(cell)
        for code in codes:
            tag, source = code if isinstance(code, tuple) else (None, code)
            cells.append(nbformat.v4.new_code_cell(source))
            if tag:
                cells[-1].metadata["tags"] = [tag]
            cells.append(nbformat.v4.new_markdown_cell("Between."))
        course = {"minutes": 5, "evidence": {"records": 1} if evidence is None else evidence}
        metadata = {
            "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
            "course": course,
        }
        path = (folder or tmp_path / "notebooks") / f"{name}.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=metadata), path)
        return Notebook(path)

    return _write
