"""The room in a real notebook: everything a lesson shows is saved with it, and nothing breaks."""

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat import NotebookNode

from utils.lesson import first_cell

CELLS = {
    "first": first_cell("ada/course"),
    "parameters": 'PROFILE = "smoke"\nSEED = 0',
    "again": "lesson.setup()",
    "exercise": 'lesson.show_exercise("01.1")',
    "untouched": 'def majority_accuracy(train, test):\n    return ...\n\n'
    'lesson.check("01.1", majority_accuracy)',
    "error": 'def majority_accuracy(train, test):\n    x = 1\n    return x / 0\n\n'
    'lesson.check("01.1", majority_accuracy)',
    "quiz": 'lesson.quiz("01")',
    "claim": 'lesson.claim("x", better={"method": "full"}, worse={"method": "frozen"}, on={})',
    "figure": "import matplotlib.pyplot as plt\n"
    'lesson.show_figure(plt.figure(), alt="Nothing at all.")',
    "live": "from utils.experiments import Spec\nfrom utils.lesson.live import LiveTable\n"
    'table = LiveTable([Spec(dataset="d", method="full")])\n'
    "table.start()\ntable.n_run = 1\ntable.finish()",
    "evidence": "lesson.evidence(records=2)",
}  # fmt: skip


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[NotebookNode]]:
    """What each cell left behind."""
    cells = [nbformat.v4.new_code_cell(source) for source in CELLS.values()]
    book = nbformat.v4.new_notebook(cells=cells)
    folder = tmp_path_factory.mktemp("kernel")
    patch = pytest.MonkeyPatch()
    patch.setenv("COURSE_RESULTS", str(folder))
    patch.setenv("HF_HUB_OFFLINE", "1")
    patch.delenv("COURSE_PROFILE", raising=False)
    NotebookClient(book, timeout=120, kernel_name="python3").execute()
    patch.undo()
    nbformat.validate(book)
    assert "widgets" not in book.metadata
    return {name: cell.outputs for name, cell in zip(CELLS, book.cells, strict=True)}


def text(outputs: list[NotebookNode]) -> str:
    """The Markdown of a cell with one output."""
    (output,) = outputs
    return output.data["text/markdown"]


def test_the_first_cell_reports_three_lines(outputs: dict) -> None:
    (stream,) = outputs["first"]
    assert [line.split(":")[0] for line in stream.text.splitlines()] == [
        "Device",
        "Sources",
        "Profile",
    ]
    assert "quick, unless" in stream.text
    assert "Profile: smoke\n" in outputs["again"][0].text


def test_an_untouched_exercise_breaks_nothing(outputs: dict) -> None:
    assert "<summary>Hint 1</summary>" in text(outputs["exercise"])
    assert "not attempted yet" in text(outputs["untouched"])


def test_an_error_names_the_line_of_the_cell(outputs: dict) -> None:
    assert "`ZeroDivisionError: division by zero` in line 3" in text(outputs["error"])
    assert "`return x / 0`" in text(outputs["error"])


def test_quiz_claim_and_evidence_are_saved(outputs: dict) -> None:
    assert "<summary>a) " in text(outputs["quiz"])
    assert "no records yet" in text(outputs["claim"])
    (proof,) = outputs["evidence"]
    assert proof.data["application/vnd.course.evidence+json"] == {"records": 2}


def test_a_figure_keeps_its_alt_text(outputs: dict) -> None:
    (figure,) = outputs["figure"]
    assert figure.metadata["image/png"]["alt"] == "Nothing at all."
    assert figure.data["image/png"]


def test_the_live_table_is_saved_once_in_its_last_state(outputs: dict) -> None:
    assert "1 run now" in text(outputs["live"])
