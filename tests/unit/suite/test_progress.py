"""What the terminal shows: changing lines on a terminal, few plain lines in a log."""

import io
from pathlib import Path

from rich.console import Console

from utils.suite import NotebookResult, Progress, SuiteResult
from utils.suite.progress import Display, report


def progress(status: str, cell: int, seconds: float, notebook: str = "01_a") -> Progress:
    return Progress(notebook, 0, status, cell, 9, seconds)


def test_log_gets_a_line_per_change_and_heartbeat() -> None:
    out = io.StringIO()
    with Display(Console(file=out, width=80)) as display:
        display(progress("waiting", 0, 0))
        display(progress("running", 0, 0.1))
        for second in range(62):
            display(progress("running", 1 + second // 10, second))
        display(progress("passed", 9, 65.4))
        display(progress("passed", 9, 65.4))
    assert out.getvalue().splitlines() == [
        "01_a: running, cell 0/9, 0 s",
        "01_a: running, cell 4/9, 31 s",
        "01_a: running, cell 7/9, 1 min 01 s",
        "01_a: passed, cell 9/9, 1 min 05 s",
    ]


def test_terminal_gets_one_line_per_notebook() -> None:
    out = io.StringIO()
    with Display(Console(file=out, width=80, force_terminal=True)) as display:
        display(progress("running", 3, 12.0))
        display(progress("waiting", 0, 0, "02_b"))
        display(progress("running", 4, 13.0))
    last_frame = out.getvalue().split("cell 3/9")[-1]
    assert "cell 4/9" in last_frame
    assert "02_b" in last_frame


def test_report_shows_failures_and_what_was_skipped(tmp_path: Path) -> None:
    results = [
        NotebookResult(
            "01_a", 0, "passed", 61.0, records=5, optimiser_steps=40, skipped=["no Hub"]
        ),
        NotebookResult("02_b", 1, "failed", 2.0, failing_cell=3, message="Cell 3 [red] broke."),
    ]
    out = io.StringIO()
    result = SuiteResult("smoke", "2026-01-01T00:00:00+00:00", 63.0, tmp_path, results)
    report(Console(file=out, width=100), result)
    text = out.getvalue()
    for words in ("1 min 01 s", "40", "01_a skipped: no Hub", "02_b (seed 1) failed"):
        assert words in text
    assert "Cell 3 [red] broke." in text
