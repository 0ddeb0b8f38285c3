"""Running the lessons as a suite: each in a fresh kernel, watched, audited, reported."""

import json
import os
import secrets
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from utils import profiles, runtime
from utils.errors import CourseError
from utils.suite.audit import AuditResult, Evidence, Problem, audit, excerpt
from utils.suite.discovery import Cell, Notebook, code_cells
from utils.suite.parameters import check_parameters
from utils.suite.results import NotebookResult, Status, SuiteResult

TICK = 0.2  # seconds between two looks at the running notebooks


@dataclass(frozen=True)
class Progress:
    """Where one notebook is; `status` is "waiting", "running" or that of its result."""

    notebook: str
    seed: int
    status: str
    cell: int
    n_cells: int
    seconds: float
    message: str = ""


def run(
    notebooks: Sequence[Notebook],
    *,
    profile: str = "quick",
    parameters: Mapping[str, Any] | None = None,
    seeds: int = 1,
    jobs: int = 1,
    timeout: float | None = None,
    cell_timeout: float | None = None,
    out: Path | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> SuiteResult:
    """Execute notebooks with papermill, each in its own kernel, and audit what came out.

    A notebook that fails does not keep the others from running. Executed notebooks, also failed
    and interrupted ones, stay in the folder of the run beside `suite.json`. Ctrl-C and SIGTERM
    (if called in the main thread) end all kernels; the result then says "interrupted".

    Args:
        notebooks: what to run, from `discovery.find`.
        profile: "smoke", "quick" or "full": the parameter PROFILE. "smoke" goes without network.
        parameters: further parameters; every notebook must have them all.
        seeds: run each notebook with SEED = 0 … seeds - 1.
        jobs: kernels at a time; they share the CPU's threads.
        timeout: seconds for one notebook; default 300 (smoke), 1800 (quick), none (full).
        cell_timeout: seconds for one cell; default none.
        out: folder for the executed notebooks, default runs/<UTC time>-<profile>-<random>.
        on_progress: called in this thread, several times a second for every notebook.

    Raises:
        CourseError: before any kernel starts, for an unknown profile or parameter, a value of a
            wrong type, or a folder that cannot be written or holds a run already.
    """
    profiles.check(profile)
    _check_numbers(seeds=seeds, jobs=jobs, timeout=timeout, cell_timeout=cell_timeout)
    if timeout is None:
        timeout = profiles.pick(profile, smoke=300.0, quick=1800.0, full=None)
    plan = _plan(notebooks, profile, seeds, parameters or {})
    started = datetime.now(UTC)
    folder = _run_folder(out, profile, started, [job.file_name for job in plan])
    environment = kernel_environment(profile, jobs)
    tasks = [_Task(job, folder, environment, timeout, cell_timeout) for job in plan]
    clock = time.monotonic()
    results = _supervise(tasks, jobs, on_progress or (lambda progress: None))
    result = SuiteResult(
        profile, started.isoformat(timespec="seconds"), time.monotonic() - clock, folder, results
    )
    runtime.write_atomically(
        folder / "suite.json", json.dumps(result.as_json(), indent=2, ensure_ascii=False) + "\n"
    )
    return result


def _check_numbers(**numbers: float | None) -> None:
    for name, number in numbers.items():
        if number is not None and number <= 0:
            raise CourseError(f"--{name.replace('_', '-')} must be above 0, not {number}.")


@dataclass(frozen=True)
class _Job:
    """What one kernel shall do."""

    notebook: Notebook
    seed: int
    parameters: Mapping[str, Any]
    file_name: str


def _plan(
    notebooks: Sequence[Notebook], profile: str, seeds: int, parameters: Mapping[str, Any]
) -> list[_Job]:
    """Every notebook with every seed, all parameters checked."""
    plan = []
    for notebook in notebooks:
        for seed in range(seeds):
            values = _parameters(notebook, profile, seed, seeds, parameters)
            suffix = f".seed{seed}" if seeds > 1 else ""
            file_name = f"{notebook.name}{suffix}.ipynb"
            plan.append(_Job(notebook, values.get("SEED", seed), values, file_name))
    names = [job.file_name for job in plan]
    if twice := {name for name in names if names.count(name) > 1}:
        raise CourseError(f"Two notebooks would be written to {', '.join(sorted(twice))}.")
    return plan


def _parameters(
    notebook: Notebook, profile: str, seed: int, seeds: int, more: Mapping[str, Any]
) -> dict[str, Any]:
    """The values to inject; PROFILE and SEED only into notebooks that have them."""
    if "PROFILE" in more:
        raise CourseError("The parameter PROFILE is set by --profile.")
    if seeds > 1 and "SEED" in more:
        raise CourseError("The parameter SEED is set by --seeds; give one of the two.")
    if seeds > 1 and "SEED" not in notebook.parameters:
        raise CourseError(f"{notebook.name} has no parameter SEED, so it has no {seeds} seeds.")
    implied = {"PROFILE": profile, "SEED": seed}
    values = {name: value for name, value in implied.items() if name in notebook.parameters}
    values.update(more)
    check_parameters(notebook, values)
    return values


def _run_folder(out: Path | None, profile: str, started: datetime, names: list[str]) -> Path:
    """A folder that no other run uses, even one started in the same second."""
    stamp = started.strftime("%Y%m%dT%H%M%SZ")
    folder = out or runtime.runs_dir() / f"{stamp}-{profile}-{secrets.token_hex(3)}"
    try:
        folder.mkdir(parents=True, exist_ok=out is not None)
    except OSError as error:
        raise CourseError(
            f"Cannot make the folder {folder} ({error.strerror}). Choose another one with --out."
        ) from error
    if there := [name for name in names if (folder / name).exists()]:
        raise CourseError(
            f"{folder / there[0]} exists already and is not overwritten. "
            "Choose another folder with --out."
        )
    return folder.resolve()


def kernel_environment(profile: str, jobs: int = 1) -> dict[str, str]:
    """The environment of the kernels: that of this process, made reproducible and quiet.

    The project is importable whether it is installed or not, the course's folders do not depend on
    the kernel's working directory, and with several jobs the CPU's threads are divided.
    """
    environment = {
        **os.environ,
        "COURSE_PROFILE": profile,
        "COURSE_RUNS": str(runtime.runs_dir().resolve()),
        "COURSE_RESULTS": str(runtime.results_dir().resolve()),
        "PYTHONPATH": _joined(str(runtime.project_root()), os.environ.get("PYTHONPATH", "")),
        "PYTHONHASHSEED": "0",  # otherwise the order of sets changes from run to run
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }
    environment = runtime.SHORT_WAITS | environment
    if mirrors := os.environ.get("COURSE_MIRROR"):
        environment["COURSE_MIRROR"] = _joined(*map(os.path.abspath, mirrors.split(os.pathsep)))
    if profile == "smoke":
        environment["HF_HUB_OFFLINE"] = "1"
    if jobs > 1:
        environment.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // jobs)))
    return environment


def _joined(*paths: str) -> str:
    return os.pathsep.join(path for path in paths if path)


class _Task:
    """One notebook with one seed: executed in a worker thread, watched from the main thread."""

    def __init__(
        self,
        job: _Job,
        folder: Path,
        environment: Mapping[str, str],
        timeout: float | None,
        cell_timeout: float | None,
    ) -> None:
        from utils.suite.kernel import Session

        self.job = job
        self.notebook = job.notebook
        self.output = folder / job.file_name
        self.timeout = timeout
        self.cell_timeout = cell_timeout
        self.session = Session(environment, folder, self.output.with_suffix(".log"))
        self.result: NotebookResult | None = None
        self._started: float | None = None

    def execute(self) -> NotebookResult:
        """Run the notebook to its end, whatever this is, and audit it."""
        self._started = time.monotonic()
        trouble = self._trouble()
        seconds = time.monotonic() - self._started
        self.result = self._judge(trouble, seconds)
        return self.result

    def _trouble(self) -> str:
        """Execute; "" if papermill came to an end, else what kept it from that."""
        from nbclient.exceptions import DeadKernelError

        try:
            self.session.raise_if_stopped()
            self.session.execute(self.notebook.path, self.output, self.job.parameters)
        except DeadKernelError:
            return _death(self.session.exit_status)
        except Exception as error:  # whatever a library raises: it is reported, the others run
            return f"could not be run to its end ({type(error).__name__}: {error})."
        return ""

    def watch(self) -> None:
        """Stop the notebook if its time is over; to be called again and again."""
        if self._started is None or self.result is not None:
            return
        now = time.monotonic()
        if self.timeout is not None and now - self._started > self.timeout:
            self.session.stop("timeout")
        elif (
            self.cell_timeout is not None
            and self.session.cell is not None
            and now - self.session.cell_started > self.cell_timeout
        ):
            self.session.stop("cell timeout")
        self.session.insist()

    def progress(self) -> Progress:
        """Where it is now."""
        cell = self._running_cell()
        status, message = ("waiting" if self._started is None else "running"), ""
        seconds = 0.0 if self._started is None else time.monotonic() - self._started
        if self.result is not None:
            status, message, seconds = self.result.status, self.result.message, self.result.seconds
        return Progress(
            self.notebook.name,
            self.job.seed,
            status,
            0 if cell is None else cell.number,
            len(self.notebook.code_cells),
            seconds,
            message,
        )

    def _running_cell(self) -> Cell | None:
        """The cell that runs, or ran last, as it stands in the original notebook."""
        if self.session.cell is None:
            return None
        # Papermill has put one cell of parameters among them, right after the parameters cell.
        cells = self.notebook.document["cells"]
        position = self.session.cell
        if self.job.parameters and position > _parameters_position(cells):
            position -= 1
        return code_cells({"cells": cells[: position + 1]})[-1]

    def _judge(self, trouble: str, seconds: float) -> NotebookResult:
        audited = self._audit()
        problems, cell = list(audited.problems), self._running_cell()
        number = None if cell is None else cell.number
        status: Status = "failed"
        if reason := self._stopped(problems, trouble):
            status = "interrupted" if self.session.stopped == "interrupted" else "timeout"
        if reason or trouble:
            problems = [Problem(self._located(reason or trouble, cell), number)]
        evidence = audited.evidence
        return NotebookResult(
            notebook=self.notebook.name,
            seed=self.job.seed,
            status=status if problems else "passed",
            seconds=seconds,
            output=self.output if self.output.exists() else None,
            records=evidence.records,
            records_run=evidence.records_run,
            optimiser_steps=evidence.optimiser_steps,
            figures=evidence.figures,
            failing_cell=next((p.cell for p in problems if p.cell is not None), None),
            message="\n".join(map(str, problems)),
            skipped=audited.skipped,
            devices=evidence.devices,
            peak_memory_bytes=evidence.peak_memory_bytes,
        )

    def _audit(self) -> AuditResult:
        try:
            return audit(self.output, self.notebook.path)
        except CourseError as error:
            return AuditResult([Problem(str(error))], Evidence(), [])

    def _stopped(self, problems: list[Problem], trouble: str) -> str:
        """Why it was stopped; "" if it was not, or had come to its end just before."""
        if self.session.stopped is None or not (problems or trouble):
            return ""
        return {
            "interrupted": "was interrupted.",
            "timeout": f"ran longer than {self.timeout:g} s (--timeout) and was stopped.",
            "cell timeout": f"was stopped: one cell ran longer than {self.cell_timeout or 0:g} s "
            "(--cell-timeout).",
        }[self.session.stopped]

    def _located(self, reason: str, cell: Cell | None) -> str:
        """`reason`, the cell, its last lines and traceback, and the kernel's last words."""
        if cell is None:
            lines = [f"The notebook {reason} It had not begun its first cell."]
        else:
            cell = self._executed(cell)
            lines = [f"The notebook {reason} It was in {cell}.", excerpt(cell)]
        if self.session.log.exists():
            tail = self.session.log.read_text(errors="replace").rstrip().splitlines()[-4:]
            lines += [f"  kernel: {line}" for line in tail]
        return "\n".join(lines)

    def _executed(self, cell: Cell) -> Cell:
        """The cell with its outputs; without, if the executed notebook was not fully written."""
        try:
            return code_cells(Notebook(self.output).document)[cell.number - 1]
        except (CourseError, IndexError):
            return cell


def _parameters_position(cells: list[dict[str, Any]]) -> int:
    tagged = [i for i, c in enumerate(cells) if "parameters" in c["metadata"].get("tags", ())]
    return tagged[0] if tagged else -1


def _death(status: int | None) -> str:
    if status is None:
        return "lost its kernel."
    if status >= 0:
        return f"lost its kernel: the process ended with status {status}."
    name = signal.Signals(-status).name
    memory = ", most often for want of memory" if name == "SIGKILL" else ""
    return f"lost its kernel: the process was killed by {name}{memory}."


def _supervise(
    tasks: list[_Task], jobs: int, on_progress: Callable[[Progress], None]
) -> list[NotebookResult]:
    """Run all tasks in worker threads; returns when no kernel is left, however that came about."""
    with _stop_signals() as interrupted, ThreadPoolExecutor(max_workers=jobs) as pool:
        futures = [pool.submit(task.execute) for task in tasks]
        pending: set[Future[NotebookResult]] = set(futures)
        try:
            while pending:
                pending = wait(pending, timeout=TICK, return_when=FIRST_COMPLETED).not_done
                if interrupted.is_set():
                    _stop(tasks)
                for task in tasks:
                    task.watch()
                    on_progress(task.progress())
        finally:
            # Only reached with work left if `on_progress` raised: leave no kernel behind.
            _stop([task for task in tasks if task.result is None])
            while pending:
                pending = wait(pending, timeout=TICK).not_done
                for task in tasks:
                    task.watch()
    return [future.result() for future in futures]


def _stop(tasks: list[_Task]) -> None:
    for task in tasks:
        if task.result is None:
            task.session.stop("interrupted")


@contextmanager
def _stop_signals() -> Iterator[threading.Event]:
    """Turn SIGINT and SIGTERM into an event for the time of a run (in the main thread only)."""
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, lambda *_: event.set()) for number in numbers}
    try:
        yield event
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
