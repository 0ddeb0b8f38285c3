"""Every lesson runs from end to end, offline, and trains nothing a second time."""

from pathlib import Path

import pytest

from utils.suite import Notebook, NotebookResult, discover, run

LESSONS = discover()


def test_there_are_lessons() -> None:
    assert LESSONS, "no notebook was found, so nothing below would be tested"


@pytest.fixture(autouse=True)
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Empty `runs/`, no mirror, no Hub, and a working directory that is not the project's."""
    monkeypatch.setenv("COURSE_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.delenv("COURSE_MIRROR", raising=False)
    monkeypatch.chdir(tmp_path)


def smoke(lesson: Notebook) -> NotebookResult:
    (result,) = run([lesson], profile="smoke").notebooks
    assert (result.status, result.message) == ("passed", "")
    return result


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.name)
def test_lesson_runs_and_reloads(lesson: Notebook) -> None:
    first = smoke(lesson)
    assert first.optimiser_steps >= lesson.evidence.get("optimiser_steps", 0)
    second = smoke(lesson)
    assert (second.records_run, second.optimiser_steps) == (0, 0)
    assert second.records == first.records
