import json
from pathlib import Path

import matplotlib
import pytest

from utils import runtime
from utils.errors import CourseError
from utils.lesson import evidence, lesson_card, show_figure, show_source, show_table, skipped
from utils.lesson.card import duration
from utils.lesson.outputs import fenced
from utils.lesson.source_code import source_of
from utils.report.selection import select
from utils.runtime import Precision

matplotlib.use("agg")


def test_evidence_is_machine_readable_with_a_line_for_people(page) -> None:
    counts = {"records_run": 3, "device": "cpu", "peak_memory_bytes": 594_665_472}
    evidence(**counts)
    (output,) = page.outputs
    assert output["application/vnd.course.evidence+json"] == counts
    assert output["text/plain"] == "Evidence: records run 3, device cpu, peak memory 0.6 GB"


def test_evidence_that_cannot_be_stored_is_refused(page) -> None:
    with pytest.raises(TypeError):
        evidence(records={1, 2})
    assert page.outputs == []


def test_what_is_skipped_is_said(page) -> None:
    skipped("there is no GPU")
    (output,) = page.outputs
    assert output["application/vnd.course.skipped+json"] == {"reason": "there is no GPU"}
    assert output["text/plain"] == "Skipped: there is no GPU"


def test_a_figure_is_a_closed_png_with_alt_text(page) -> None:
    import matplotlib.pyplot as plt

    figure, _ = plt.subplots()
    show_figure(figure, alt="An empty plot.")
    assert page.outputs[0]["image/png"].startswith(b"\x89PNG")
    assert page.metadata[0] == {"image/png": {"alt": "An empty plot."}}
    assert not plt.fignum_exists(figure.number)


def test_a_figure_may_bring_its_own_alt_text_but_needs_one(page) -> None:
    import matplotlib.pyplot as plt

    figure, _ = plt.subplots()
    with pytest.raises(CourseError, match="alt="):
        show_figure(figure)
    figure.alt_text = "From the report."  # type: ignore[attr-defined]
    show_figure(figure)
    assert page.metadata[-1]["image/png"]["alt"] == "From the report."


def test_a_table_is_shown_as_markdown(page) -> None:
    class Table:
        def markdown(self) -> str:
            return "| a |\n|---|\n| 1 |"

    show_table(Table())
    assert page.outputs[0]["text/markdown"] == "| a |\n|---|\n| 1 |"


def test_without_a_notebook_everything_is_printed(capsys) -> None:
    import matplotlib.pyplot as plt

    evidence(records=1)
    skipped("no GPU")
    show_figure(plt.figure(), alt="Nothing.")
    show_source(select)
    printed = capsys.readouterr().out
    for expected in ("records 1", "Skipped: no GPU", "[Figure: Nothing.]", "def select("):
        assert expected in printed


def test_source_names_its_file_and_line(page) -> None:
    show_source(select)
    text = page.outputs[0]["text/markdown"]
    place, rest = text.split("\n", 1)
    file, line = place.strip("`").split(":")
    assert file == "utils/report/selection.py"
    lines = (runtime.project_root() / file).read_text().splitlines()
    assert lines[int(line) - 1].startswith("def select(")
    assert "\n```python\ndef select(" in rest


def test_methods_are_dedented_and_docstrings_can_be_left_out() -> None:
    source, _ = source_of(Precision, docstring=False)
    assert '"""' not in source
    assert "name: str" in source
    method = source_of(json.JSONEncoder.default)[0]
    assert method.startswith("def default(")
    compile(source_of(json.JSONEncoder, docstring=False)[0], "x", "exec")


def test_a_body_of_a_docstring_alone_is_kept() -> None:
    class Empty:
        """Only this."""

    compile(source_of(Empty, docstring=False)[0], "x", "exec")


def test_files_outside_the_project_are_named_without_their_folder() -> None:
    assert source_of(json.JSONEncoder)[1].split(":")[0] == "encoder.py"


@pytest.mark.parametrize("thing", [len, 3, "text"])
def test_what_has_no_source_is_explained(thing: object) -> None:
    with pytest.raises(CourseError, match="no Python source"):
        source_of(thing)


def test_code_with_backticks_stays_one_block() -> None:
    assert '\n````python\nx = "```"\n````\n' in fenced('x = "```"')


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COURSE_RESULTS", str(tmp_path))
    return tmp_path / "lessons.json"


def test_the_card_says_what_was_recorded_and_what_was_not(page, results: Path) -> None:
    run = {"seconds": 71.6, "peak_memory_bytes": 1_240_000_000, "hardware": "EPYC, 2 cores"}
    results.write_text(json.dumps({"01": {"quick": run}}))
    lesson_card("01")
    rows = page.outputs[0]["text/markdown"].splitlines()
    assert rows[2:] == [
        "| smoke | not recorded yet | | |",
        "| quick | 72 s | 1.2 GB | EPYC, 2 cores |",
        "| full | not recorded yet | | |",
    ]


def test_the_card_without_any_record(page, results: Path) -> None:
    lesson_card("01")
    assert page.outputs[0]["text/markdown"].count("not recorded yet") == 3


@pytest.mark.parametrize("content", ["{", "[]", '{"01": {"quick": {"seconds": 1}}}'])
def test_a_damaged_card_is_explained(results: Path, content: str) -> None:
    results.write_text(content)
    with pytest.raises(CourseError, match=r"lessons\.json"):
        lesson_card("01")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(3.4, "3 s"), (89, "89 s"), (90, "2 min"), (3600, "60 min"), (9000, "2.5 h")],
)
def test_durations_for_people(seconds: float, text: str) -> None:
    assert duration(seconds) == text
