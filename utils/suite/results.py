"""What came out of a run of the suite, for programs (JSON) and for exit codes."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from utils import runtime

Status = Literal["passed", "failed", "timeout", "interrupted"]


def shown(path: Path) -> str:
    """`path` relative to the project where it lies inside it, with forward slashes."""
    try:
        return path.resolve().relative_to(runtime.project_root()).as_posix()
    except ValueError:
        return str(path)


@dataclass(frozen=True)
class NotebookResult:
    """One notebook that was run (or was to be run) with one seed.

    Attributes:
        notebook: its name, such as "01_transfer_learning".
        seed: the value of its parameter SEED.
        status: "passed" only if the audit has passed too.
        seconds: wall time, start of the kernel included.
        output: the executed notebook; None if it was never written.
        records: records that it used; `records_run` of them were made by this run.
        failing_cell: number of the code cell to look at, as in `In[…]` after "run all".
        message: what went wrong, for people; "" if passed.
        skipped: reasons of the parts that the notebook left out.
        devices: where it ran models, such as ["cuda"].
    """

    notebook: str
    seed: int
    status: Status
    seconds: float
    output: Path | None = None
    records: int = 0
    records_run: int = 0
    optimiser_steps: int = 0
    figures: int = 0
    failing_cell: int | None = None
    message: str = ""
    skipped: list[str] = field(default_factory=list)
    devices: list[str] = field(default_factory=list)
    peak_memory_bytes: int = 0

    def as_json(self) -> dict[str, Any]:
        """The attributes as JSON values; `output` relative to the project where possible."""
        return {
            **self.__dict__,
            "seconds": round(self.seconds, 2),
            "output": None if self.output is None else shown(self.output),
        }


@dataclass(frozen=True)
class SuiteResult:
    """One run of the suite; `folder` holds the executed notebooks and `suite.json`."""

    profile: str
    started: str
    seconds: float
    folder: Path
    notebooks: list[NotebookResult]

    @property
    def ok(self) -> bool:
        """Whether every notebook passed."""
        return all(result.status == "passed" for result in self.notebooks)

    @property
    def interrupted(self) -> bool:
        """Whether the run was stopped by Ctrl-C or SIGTERM."""
        return any(result.status == "interrupted" for result in self.notebooks)

    @property
    def exit_code(self) -> int:
        """0 if all passed, 130 if interrupted (as shells have it), else 1."""
        return 130 if self.interrupted else int(not self.ok)

    def as_json(self) -> dict[str, Any]:
        """The stable form for `course run --json` and `suite.json`.

        Keys: profile, started (UTC, ISO 8601), seconds, ok, folder, notebooks: a list of objects
        with the attributes of `NotebookResult` as keys.
        """
        return {
            "profile": self.profile,
            "started": self.started,
            "seconds": round(self.seconds, 2),
            "ok": self.ok,
            "folder": shown(self.folder),
            "notebooks": [result.as_json() for result in self.notebooks],
        }
