"""Committed notebooks: made from their source, outputs of exactly their cells, fit to be shown."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from utils.errors import CourseError
from utils.suite import Notebook, run
from utils.suite.hygiene import check, long_functions
from utils.suite.pairing import record, sync

SOURCE = """\
# ---
# jupyter:
#   course:
#     evidence:
#       records: 1
#     minutes: 5
# ---

# %% [markdown]
# # A lesson
#
# ![a curve that rises](figure.png)

# %% tags=["parameters"]
PROFILE = "quick"
SEED = 0

# %%
from IPython.display import display

print("first")

# %%
display({"application/vnd.course.evidence+json": {"records": 1, "source": "mirror"}}, raw=True)
display(
    {"image/png": "iVBORw0KGgo=", "text/plain": "figure"},
    metadata={"image/png": {"alt": "a curve"}},
    raw=True,
)

# %%
widget = {"application/vnd.jupyter.widget-view+json": {"model_id": "1"}, "text/plain": "Button()"}
display(widget, raw=True)
display({**widget, "text/markdown": "*pressed*"}, raw=True)
"shown"
"""

Change = Callable[[dict[str, Any]], object]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with one lesson, synced, run as `quick` and recorded; its run is in `run/`."""
    root = tmp_path_factory.mktemp("project")
    source = root / "notebooks" / "source" / "01_lesson.py"
    source.parent.mkdir(parents=True)
    source.write_text(SOURCE)
    path = root / "notebooks" / "01_lesson.ipynb"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COURSE_RUNS", str(root / "runs"))
        assert sync(root) == [path]
        result = run([Notebook(path)], profile="quick", out=root / "run")
        assert [r.message for r in result.notebooks] == [""]
        record(root / "run" / "01_lesson.ipynb", Notebook(path))
    return root


@pytest.fixture
def project(recorded: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(recorded, tmp_path / "project"))


def lesson(project: Path) -> Path:
    return project / "notebooks" / "01_lesson.ipynb"


def code_cells(path: Path) -> list[dict[str, Any]]:
    return [c for c in json.loads(path.read_text())["cells"] if c["cell_type"] == "code"]


def change(path: Path, edit: Change) -> None:
    """Edit the JSON of a notebook, keeping the layout that nbformat writes."""
    document = json.loads(path.read_text())
    edit(document)
    path.write_text(json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n")


def test_recorded_lesson_is_clean(project: Path) -> None:
    assert [str(problem) for problem in check(project)] == []
    assert sync(project) == []
    change(lesson(project), lambda document: None)
    assert sync(project) == []  # the layout of `change` is the one of the files


def test_recording_keeps_what_can_be_shown(project: Path) -> None:
    cells = code_cells(lesson(project))
    assert [cell["execution_count"] for cell in cells] == [1, 2, 3, 4]
    assert "".join(cells[1]["outputs"][0]["text"]) == "first\n"
    pressed, shown = cells[3]["outputs"]
    assert set(pressed["data"]) == {"text/markdown", "text/plain"}
    assert shown["execution_count"] == 4
    metadata = json.loads(lesson(project).read_text())["metadata"]
    assert set(metadata) == {"course", "kernelspec", "language_info"}
    assert metadata["course"]["recorded"] == {"profile": "quick", "sources": ["mirror"]}
    assert all(set(cell["metadata"]) <= {"tags"} for cell in cells)


def test_sync_keeps_outputs_of_unchanged_cells_only(project: Path) -> None:
    source = project / "notebooks" / "source" / "01_lesson.py"
    source.write_text(source.read_text().replace('print("first")', 'print("second")'))
    assert [p.text for p in check(project)] == [
        "01_lesson: differs from what notebooks/source/01_lesson.py says; edit the source and run "
        "`course sync`."
    ]
    assert sync(project) == [lesson(project)]
    assert [len(cell["outputs"]) for cell in code_cells(lesson(project))] == [0, 0, 2, 2]
    (problem,) = check(project)
    assert "were not recorded from exactly these code cells" in problem.text


def first_output(document: dict[str, Any]) -> dict[str, Any]:
    return next(c for c in document["cells"] if c.get("outputs"))["outputs"][0]


def figure(document: dict[str, Any]) -> dict[str, Any]:
    found = [o for c in document["cells"] for o in c.get("outputs", ()) if "metadata" in o]
    return next(o for o in found if "image/png" in o["data"])


ERROR = {"output_type": "error", "ename": "KeyError", "evalue": "", "traceback": []}


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda d: d["metadata"].update(widgets={}), "state of widgets"),
        (lambda d: d["metadata"]["kernelspec"].update(name="conda"), "kernel is 'conda'"),
        (lambda d: d["metadata"].update(papermill={}), "executed copy"),
        (lambda d: figure(d).update(metadata={}), "cell 3 .* figure without alt text"),
        (lambda d: figure(d).update(metadata={"image/png": {"alt": " "}}), "without alt text"),
        (lambda d: d["cells"][2]["outputs"].append(ERROR), "cell 2 .* an error, KeyError"),
        (lambda d: first_output(d).update(text="in /home/ada/x"), "cell 2 .* path .* /home/ada"),
        (lambda d: first_output(d).update(text="'/Users/ada/x'"), "path .* /Users/ada"),
        (lambda d: first_output(d).update(text="C:\\Users\\ada"), "path .* C:.*Users"),
        (
            lambda d: figure(d)["data"].update({"text/html": "<p>(/opt/conda/x)</p>"}),
            "cell 3 .* path .* /opt/conda",
        ),
        (
            lambda d: figure(d)["data"].update({"text/html": "<img src='a.png'>"}),
            "cell 3 .* image without alt text",
        ),
        (
            lambda d: figure(d)["data"].update({"application/vnd.jupyter.widget-view+json": {}}),
            "cell 3 .* holds a widget",
        ),
        (lambda d: d["cells"][0].update(source="# A\n![](a.png)"), "text cell .* without alt"),
        (lambda d: first_output(d).update(text="x" * 1_000_001), r"1,00\d,\d+ bytes"),
        (lambda d: d["cells"][2].update(source="print(2)"), "not recorded from exactly these"),
    ],
)
def test_each_rule(project: Path, edit: Change, words: str) -> None:
    change(lesson(project), edit)
    problems = [p.text for p in check(project)]
    assert [text for text in problems if re.search(words, text)], problems


@pytest.mark.parametrize(
    "text", ["https://example.org/home/page", "a/tmp/b", "see ~/home/x", "1 /work 2", "</tmp/>"]
)
def test_harmless_text_is_no_path(project: Path, text: str) -> None:
    change(lesson(project), lambda d: first_output(d).update(text=[text]))
    assert check(project) == []


def test_files_without_their_partner(project: Path) -> None:
    lesson(project).rename(lesson(project).with_name("02_other.ipynb"))
    texts = [p.text for p in check(project)]
    assert any("01_lesson: missing" in text for text in texts)
    assert any("there is no notebooks/source/02_other.py" in text for text in texts)


def test_parameters_every_lesson_has(project: Path) -> None:
    source = project / "notebooks" / "source" / "01_lesson.py"
    source.write_text(source.read_text().replace('PROFILE = "quick"', 'PROFILE = "full"'))
    sync(project)
    assert any("must hold PROFILE = 'quick'" in p.text for p in check(project))


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda d: d["metadata"]["papermill"]["parameters"].update(PROFILE="smoke"), "'smoke'"),
        (lambda d: d["cells"].pop(), "no run to publish(.|\n)*is missing"),
        (lambda d: first_output(d).update(text="/home/ada"), "cannot be published(.|\n)*/home/ada"),
    ],
)
def test_recording_refuses_other_runs(project: Path, edit: Change, words: str) -> None:
    before = lesson(project).read_text()
    executed = project / "run" / "01_lesson.ipynb"
    change(executed, edit)
    with pytest.raises(CourseError, match=words):
        record(executed, Notebook(lesson(project)))
    assert lesson(project).read_text() == before


def test_unreadable_source(project: Path) -> None:
    (project / "notebooks" / "source" / "01_lesson.py").write_bytes(b"\xff = 1")
    with pytest.raises(CourseError, match=r"Cannot read .*01_lesson\.py as a jupytext script"):
        sync(project)


def test_long_functions_are_reported(write: Any) -> None:
    body = "\n".join(f"    x = {i}" for i in range(20))
    notebook = write(f"%time\ndef long():\n{body}", f"def short():\n{body[:-11]}")
    (line,) = long_functions(notebook)
    assert "cell 2" in line
    assert "long has 21 lines" in line
