"""Tiny notebooks that import nothing, so that a test costs little more than a kernel's start."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest

from utils.suite import Notebook, NotebookResult, SuiteResult, run

EVIDENCE = "application/vnd.course.evidence+json"
SKIPPED = "application/vnd.course.skipped+json"
PARAMETERS = 'PROFILE = "quick"\nSEED = 0'

Write = Callable[..., Notebook]


def shows(mime: str, content: Any) -> str:
    """Source of a cell that displays `content` under a MIME type."""
    bundle = {mime: content, "text/plain": "shown"}
    return f"from IPython.display import display\ndisplay({bundle!r}, raw=True)"


def write_notebook(
    folder: Path,
    *codes: str | tuple[str, str],
    name: str = "01_tiny",
    parameters: str | None = PARAMETERS,
    evidence: dict[str, Any] | None = None,
) -> Notebook:
    """Write a notebook of a parameters cell and code cells (a text, or a tag and a text)."""
    cells = [nbformat.v4.new_markdown_cell("# Tiny lesson\n\nText.")]
    if parameters is not None:
        codes = (("parameters", parameters), *codes)
    for code in codes:
        tags, source = ([code[0]], code[1]) if isinstance(code, tuple) else ([], code)
        cells.append(nbformat.v4.new_code_cell(source, metadata={"tags": tags}))
        cells.append(nbformat.v4.new_markdown_cell("Between."))
    metadata = {
        "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
        "course": {"minutes": 5, "evidence": {"records": 1} if evidence is None else evidence},
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=metadata), path)
    return Notebook(path)


@pytest.fixture(autouse=True)
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Everything that a test runs goes to its own folder."""
    monkeypatch.setenv("COURSE_RUNS", str(tmp_path / "runs"))
    return tmp_path / "runs"


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """`write_notebook` into the notebooks folder of this test."""
    return lambda *codes, **more: write_notebook(tmp_path / "notebooks", *codes, **more)


GOOD = shows(EVIDENCE, {"records": 2, "records_run": 2, "optimiser_steps": 3, "device": "cpu"})

# Ways to go wrong, each in its third code cell (the parameters are the first), and a good
# one between them. A cell that must not run any more leaves the evidence.
NOTEBOOKS: dict[str, tuple[str | tuple[str, str], ...]] = {
    "01_error": ("a = 1", "b = 2\nb / 0", GOOD),
    "02_system_exit": ("a = 1", "raise SystemExit", GOOD),
    "03_exit": ("a = 1", "exit()", "a = 2", GOOD),
    "04_good": (
        "import os, utils\nprint(os.environ['COURSE_PROFILE'], PROFILE, SEED, utils.__file__)",
        "import json, ipykernel.connect\n"
        "print(json.loads(ipykernel.connect.get_connection_info())['transport'])",
        GOOD,
        shows(SKIPPED, {"reason": "no GPU"}),
    ),
    "05_dies": (
        "import subprocess\nprint(subprocess.Popen(['sleep', '600']).pid)",
        "import os\nos._exit(3)",
        GOOD,
    ),
    "06_dies_last": (GOOD, "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)"),
    "07_hangs": ("a = 1", "import time\ntime.sleep(600)", GOOD),
    "08_tag": ("a = 1", ("raises-exception", "b = 2\nb / 0"), GOOD),
    "10_hangs_on": (
        "import time",
        "while True:\n    try:\n        time.sleep(600)\n    except BaseException:\n        pass",
        GOOD,
    ),
    "09_swallows": ("a = 1", "try:\n    a / 0\nexcept Exception:\n    pass"),
}


@pytest.fixture(scope="session")
def bad_suite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SuiteResult]:
    """One run of all `NOTEBOOKS`, two at a time, with at most five seconds for a cell."""
    folder = tmp_path_factory.mktemp("bad suite {x}")
    notebooks = [
        write_notebook(folder / "notebooks", *codes, name=name) for name, codes in NOTEBOOKS.items()
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COURSE_RUNS", str(folder / "runs"))
        yield run(notebooks, profile="smoke", cell_timeout=5, jobs=2)


@pytest.fixture
def result_of(bad_suite: SuiteResult) -> Callable[[str], NotebookResult]:
    """The result of one of `NOTEBOOKS` by its name."""
    return {result.notebook: result for result in bad_suite.notebooks}.__getitem__


@pytest.fixture
def good_run(result_of: Callable[[str], NotebookResult], tmp_path: Path) -> tuple[Path, Path]:
    """Own copies of the executed good notebook and of its original."""
    result = result_of("04_good")
    assert result.output is not None
    executed, original = tmp_path / "executed.ipynb", tmp_path / "04_good.ipynb"
    executed.write_bytes(result.output.read_bytes())
    source = result.output.parents[2] / "notebooks" / "04_good.ipynb"
    original.write_bytes(source.read_bytes())
    return executed, original
