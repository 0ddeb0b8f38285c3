"""Real kernels: what goes wrong is noticed, the cell is named, and nothing is left behind."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import pytest

from utils import runtime
from utils.errors import CourseError
from utils.suite import NotebookResult, Progress, SuiteResult, run
from utils.suite.execution import _run_folder, kernel_environment

Result = Callable[[str], NotebookResult]


def streams(path: Path) -> str:
    """All that the cells of an executed notebook printed."""
    cells = json.loads(path.read_text())["cells"]
    printed = [o.get("text", "") for cell in cells for o in cell.get("outputs", [])]
    return "".join("".join(text) for text in printed)


def test_good_notebook_passes_beside_bad_ones(result_of: Result) -> None:
    result = result_of("04_good")
    assert (result.status, result.message, result.failing_cell) == ("passed", "", None)
    assert (result.records, result.records_run, result.optimiser_steps) == (2, 2, 3)
    assert result.skipped == ["no GPU"]
    assert result.devices == ["cpu"]


def test_kernel_gets_parameters_project_and_local_sockets(result_of: Result) -> None:
    output = result_of("04_good").output
    assert output is not None
    first, second = streams(output).splitlines()
    assert first == f"smoke smoke 0 {runtime.project_root() / 'utils' / '__init__.py'}"
    assert second == ("ipc" if os.name == "posix" else "tcp")


@pytest.mark.parametrize(
    ("name", "status", "words"),
    [
        ("01_error", "failed", ["`b = 2`", "| b / 0", "ZeroDivisionError", "1 code cell after it"]),
        ("02_system_exit", "failed", ["raise SystemExit", "left the notebook early"]),
        ("03_exit", "failed", ["exit()", "left the notebook early", "2 code cells after it"]),
        ("05_dies", "failed", ["os._exit(3)", "lost its kernel", "ended with status 3"]),
        ("06_dies_last", "failed", ["os.kill", "lost its kernel", "SIGKILL"]),
        ("07_hangs", "timeout", ["time.sleep(600)", "longer than 5 s", "KeyboardInterrupt"]),
        ("10_hangs_on", "timeout", ["while True:", "longer than 5 s", "except BaseException:"]),
        ("08_tag", "failed", ["| b / 0", "ZeroDivisionError"]),
    ],
)
def test_failure_names_the_cell(
    result_of: Result, name: str, status: str, words: list[str]
) -> None:
    result = result_of(name)
    assert (result.status, result.failing_cell) == (status, 3)
    assert "cell 3 (" in result.message.lower()
    assert [word for word in words if word not in result.message] == []
    assert "\x1b" not in result.message
    assert result.output is not None
    assert result.output.exists()


@pytest.mark.skipif(os.name != "posix", reason="process groups are POSIX")
def test_nothing_outlives_a_dead_kernel(result_of: Result) -> None:
    output = result_of("05_dies").output
    assert output is not None
    child = int(streams(output))
    until(lambda: not alive(child), seconds=10)


def test_swallowed_error_leaves_no_evidence(result_of: Result) -> None:
    result = result_of("09_swallows")
    assert result.status == "failed"
    assert "0 records; it promises at least 1" in result.message


def test_json_is_complete_and_kept_with_the_run(bad_suite: SuiteResult) -> None:
    content = json.loads((bad_suite.folder / "suite.json").read_text())
    assert content == json.loads(json.dumps(bad_suite.as_json()))
    assert set(content) == {"profile", "started", "seconds", "ok", "folder", "notebooks"}
    assert set(content["notebooks"][0]) == {
        *("notebook", "seed", "status", "seconds", "output", "records", "records_run"),
        *("optimiser_steps", "figures", "failing_cell", "message", "skipped"),
        *("devices", "peak_memory_bytes"),
    }
    assert content["ok"] is False
    assert bad_suite.exit_code == 1


def test_seeds_and_paths_with_spaces_and_braces(write: Any, tmp_path: Path) -> None:
    evidence = "display({'application/vnd.course.evidence+json': {'records': 1}}, raw=True)"
    notebook = write("print('seed', SEED)", evidence, name="02_a {b} {0} c")
    result = run([notebook], profile="smoke", seeds=2, jobs=2, out=tmp_path / "to {PROFILE} {} x")
    assert [(r.seed, r.status, r.message) for r in result.notebooks] == [
        (0, "passed", ""),
        (1, "passed", ""),
    ]
    outputs = [r.output for r in result.notebooks if r.output]
    assert [path.name for path in outputs] == [
        "02_a {b} {0} c.seed0.ipynb",
        "02_a {b} {0} c.seed1.ipynb",
    ]
    assert {path.parent for path in outputs} == {tmp_path / "to {PROFILE} {} x"}
    assert [streams(path) for path in outputs] == ["seed 0\n", "seed 1\n"]
    with pytest.raises(CourseError, match="exists already"):
        run([notebook], seeds=2, out=outputs[0].parent)


def test_timeout_of_the_whole_notebook(write: Any) -> None:
    notebook = write(*[f"import time; time.sleep(1)  # {i}" for i in range(30)])
    (result,) = run([notebook], profile="smoke", timeout=6).notebooks
    assert result.status == "timeout"
    assert "ran longer than 6 s" in result.message
    assert result.failing_cell is not None
    assert f"# {result.failing_cell - 2}`" in result.message
    assert 6 < result.seconds < 30


def test_two_suites_at_once(write: Any, runs: Path) -> None:
    notebook = write("import time; time.sleep(0.5)", evidence={"records": 0, "figures": 0})
    results: list[SuiteResult] = []
    threads = [
        threading.Thread(target=lambda: results.append(run([notebook], profile="smoke")))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    first, second = (result.notebooks[0] for result in results)
    assert first.output != second.output
    assert len(list(runs.glob("*-smoke-*/01_tiny.ipynb"))) == 2
    for result in (first, second):
        assert "declares no evidence" in result.message
        assert result.failing_cell is None


def test_runs_of_the_same_second_have_folders_of_their_own() -> None:
    now = datetime.now(UTC)
    folders = {_run_folder(None, "smoke", now, []) for _ in range(20)}
    assert len(folders) == 20


DRIVER = """
import sys
from pathlib import Path
from utils.suite import Notebook, run
result = run([Notebook(Path(path)) for path in sys.argv[1:]], profile="smoke")
sys.exit(result.exit_code)
"""


@pytest.mark.skipif(os.name != "posix", reason="sends POSIX signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_ends_kernels_and_keeps_the_notebook(
    write: Any, runs: Path, tmp_path: Path, number: signal.Signals
) -> None:
    told = tmp_path / "processes"
    busy = write(
        "print('before')",
        "import os, pathlib, subprocess, time\n"
        "child = subprocess.Popen(['sleep', '600'])\n"
        f"pathlib.Path({str(told)!r}).write_text(f'{{os.getpid()}} {{child.pid}}\\n')\n"
        "time.sleep(600)",
    )
    waiting = write("a = 1", name="02_waiting")
    command = [sys.executable, "-c", DRIVER, str(busy.path), str(waiting.path)]
    environment = {**os.environ, "PYTHONPATH": str(runtime.project_root())}
    with subprocess.Popen(command, env=environment, cwd=tmp_path) as suite:
        until(lambda: told.exists() and told.read_text().endswith("\n"))
        kernel, child = map(int, told.read_text().split())
        suite.send_signal(number)
        assert suite.wait(60) == 130
    until(lambda: not alive(kernel) and not alive(child))
    (folder,) = runs.glob("*-smoke-*")
    assert streams(folder / "01_tiny.ipynb").startswith("before\n")
    first, second = json.loads((folder / "suite.json").read_text())["notebooks"]
    assert (first["status"], first["failing_cell"]) == ("interrupted", 3)
    assert (second["status"], second["output"]) == ("interrupted", None)


def alive(process: int) -> bool:
    """Whether the process runs (one that has ended but was not yet waited for does not)."""
    try:
        return psutil.Process(process).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Wait for `condition`; fails if it does not come true."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def test_error_in_the_display_leaves_no_kernel(write: Any) -> None:
    notebook = write("import time; time.sleep(600)")

    def broken(progress: Progress) -> None:
        if progress.cell == 2:
            raise RuntimeError("broken display")

    with pytest.raises(RuntimeError, match="broken display"):
        run([notebook], profile="smoke", on_progress=broken)
    children = psutil.Process().children(recursive=True)
    assert not [c for c in children if "ipykernel_launcher" in " ".join(c.cmdline())]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"parameters": {"LEARNING_RATE": 0.1}}, "no parameter 'LEARNING_RATE'.*PROFILE, SEED"),
        ({"parameters": {"SEED": "one"}}, "SEED takes a int .* not 'one'"),
        ({"parameters": {"SEED": True}}, "SEED takes a int .* not True"),
        ({"parameters": {"PROFILE": "quick"}}, "set by --profile"),
        ({"parameters": {"SEED": 1}, "seeds": 2}, "set by --seeds"),
        ({"profile": "huge"}, "no profile 'huge'"),
        ({"jobs": 0}, "--jobs must be above 0"),
        ({"cell_timeout": -1}, "--cell-timeout must be above 0"),
    ],
)
def test_wrong_options_are_refused_before_anything_happens(
    write: Any, runs: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(CourseError, match=message):
        run([write("a = 1")], **options)
    assert not runs.exists()


def test_notebooks_that_lack_what_is_asked(write: Any) -> None:
    bare = write("a = 1", parameters=None)
    with pytest.raises(CourseError, match="no parameter SEED, so it has no 2 seeds"):
        run([bare], seeds=2)
    with pytest.raises(CourseError, match="no cell is tagged `parameters`"):
        run([bare], parameters={"SEED": 3})
    with pytest.raises(CourseError, match=r"Two notebooks would be written to 01_tiny\.ipynb"):
        run([bare, bare])


def test_folder_that_cannot_be_made(write: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CourseError, match=r"Cannot make the folder .* --out"):
        run([write("a = 1")], out=tmp_path / "file" / "folder")


def test_environment_of_kernels(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COURSE_MIRROR", os.pathsep.join(["here", "/there"]))
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    smoke, quick = kernel_environment("smoke"), kernel_environment("quick", jobs=3)
    assert smoke["HF_HUB_OFFLINE"] == "1"
    assert "HF_HUB_OFFLINE" not in quick
    assert "OMP_NUM_THREADS" not in smoke
    assert quick["OMP_NUM_THREADS"] == "2"
    assert quick["COURSE_PROFILE"] == "quick"
    assert quick["COURSE_MIRROR"] == os.pathsep.join([str(tmp_path / "here"), "/there"])
