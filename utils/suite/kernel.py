"""One kernel for one notebook: papermill over local sockets, stoppable from another thread.

Papermill (through nbclient) knows a timeout for a cell but none for a notebook, and cannot be told
to stop. Here it runs in a worker thread with a kernel manager of ours, and whoever watches calls
`Session.stop`: the kernel gets an interrupt, so that the traceback of what hangs gets into the
notebook, and is killed if it has not ended after `GRACE` seconds. Papermill then finds its kernel
dead, saves the notebook as it is and returns.
"""

import contextlib
import logging
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import nbformat
import papermill
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbclient.exceptions import DeadKernelError
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NBClientEngine, papermill_engines
from papermill.exceptions import PapermillExecutionError

GRACE = 2.0  # seconds between the interrupt and the kill
_ENGINE = "course"
# A socket's path may have 107 bytes; the manager adds some to that of the folder.
_LONGEST_SOCKET_FOLDER = 80


class Stopped(Exception):
    """The session was told to stop between two cells."""


class LeftEarly(Exception):
    """A cell called `exit()`: the kernel goes on for a moment, then it is gone."""


class Session:
    """The kernel of one notebook and what it is doing; safe to watch and stop from any thread.

    Attributes:
        cell: position among the notebook's cells of the one running, None before the first.
        cell_started: `time.monotonic()` when that cell began.
        stopped: the reason given to `stop`, None if it was not called.
        exit_status: how the kernel's process ended if it died by itself (negative: by a signal).
    """

    def __init__(self, environment: Mapping[str, str], folder: Path, log: Path) -> None:
        """Prepare a session.

        Args:
            environment: all environment variables of the kernel.
            folder: the kernel's working directory.
            log: file for what the process writes outside of cells; removed if it stays empty.
        """
        self.environment = dict(environment)
        self.folder = folder
        self.log = log
        self.cell: int | None = None
        self.cell_started = 0.0
        self.stopped: str | None = None
        self.exit_status: int | None = None
        self._stopped_at = 0.0
        self._group: int | None = None
        self._lock = threading.Lock()

    def execute(self, notebook: Path, output: Path, parameters: Mapping[str, Any]) -> None:
        """Execute `notebook` with papermill; `output` is written after every cell.

        An exception raised by a cell is not raised here: the executed notebook holds it. So does it
        a `SystemExit`, also for a call of `exit()`, which IPython does not report as one.

        Raises:
            Stopped, DeadKernelError, OSError, RuntimeError: if it could not be executed to its end.
        """
        papermill_engines.register(_ENGINE, _Engine)
        _quiet_loggers()
        with contextlib.suppress(PapermillExecutionError, LeftEarly):
            papermill.execute_notebook(
                _literal(notebook),
                _literal(output),
                parameters=dict(parameters),
                engine_name=_ENGINE,
                kernel_name="python3",
                language="python",
                progress_bar=False,
                session=self,
            )

    @contextmanager
    def manager(self) -> Iterator[AsyncKernelManager]:
        """A manager for this session's kernel; afterwards no process and no socket is left."""
        sockets = Path(tempfile.mkdtemp(prefix="course-"))
        ipc = os.name == "posix" and len(bytes(sockets)) <= _LONGEST_SOCKET_FOLDER
        try:
            yield _Manager(
                transport="ipc" if ipc else "tcp", connection_file=str(sockets / "kernel.json")
            )
        finally:
            self._signal("SIGKILL")
            shutil.rmtree(sockets, ignore_errors=True)

    @contextmanager
    def open_log(self) -> Iterator[IO[bytes]]:
        """The log for the kernel's process; removed afterwards if nothing was written."""
        try:
            with self.log.open("wb") as file:
                yield file
        finally:
            if self.log.exists() and self.log.stat().st_size == 0:
                self.log.unlink()

    def started(self, manager: AsyncKernelManager) -> None:
        """Called when the kernel's process runs (it leads a process group of its own)."""
        self._group = manager.provisioner.pid  # type: ignore[union-attr]
        self.raise_if_stopped()

    def enter(self, cell: int) -> None:
        """Called before a cell runs."""
        self.raise_if_stopped()
        self.cell_started = time.monotonic()
        self.cell = cell

    def raise_if_stopped(self) -> None:
        """Raise `Stopped` after a call of `stop`."""
        if self.stopped is not None:
            raise Stopped(self.stopped)

    def stop(self, reason: str) -> None:
        """Interrupt the kernel; `insist` has to be called from time to time until it is gone."""
        with self._lock:
            if self.stopped is not None:
                return
            self.stopped = reason
            self._stopped_at = time.monotonic()
        self._signal("SIGINT")

    def insist(self) -> None:
        """Kill the kernel if `stop` was called more than `GRACE` seconds ago."""
        if self.stopped is not None and time.monotonic() - self._stopped_at > GRACE:
            self._signal("SIGKILL")

    def _signal(self, name: str) -> None:
        """Send a signal to the kernel and to all that it has started in its process group."""
        if self._group is None:
            return
        with contextlib.suppress(OSError):
            if hasattr(os, "killpg"):
                os.killpg(self._group, getattr(signal, name))
            else:
                os.kill(self._group, signal.SIGTERM)


class _Manager(AsyncKernelManager):
    """Starts this very Python, whatever a kernel of the name "python3" on the machine may be."""

    @property
    def kernel_spec(self) -> KernelSpec:
        return KernelSpec(
            argv=[sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
            display_name="Python 3",
            language="python",
        )


class _Client(PapermillNotebookClient):
    """Papermill's client, reporting to a session."""

    def __init__(self, managed: Any, session: Session, **options: Any) -> None:
        super().__init__(
            managed,
            # A lesson may not hide an error behind the tag `raises-exception`.
            force_raise_errors=True,
            # Records are written at once and whole; tidying up at the end would take seconds.
            shutdown_kernel="immediate",
            on_notebook_start=lambda **_: session.raise_if_stopped(),
            on_cell_execute=lambda cell_index, **_: session.enter(cell_index),
            on_cell_executed=_notice_exit,
            **options,
        )
        self.session = session

    def start_new_kernel(self, **options: Any) -> None:
        super().start_new_kernel(**options)
        self.session.started(self.km)

    def papermill_execute_cells(self) -> None:
        try:
            super().papermill_execute_cells()
        except DeadKernelError:
            process = getattr(self.km.provisioner, "process", None)
            self.session.exit_status = None if process is None else process.poll()
            raise


def _notice_exit(cell: Any, execute_reply: dict[str, Any], **_: Any) -> None:
    """Put a call of `exit()` into the notebook, and end there."""
    payload = execute_reply["content"].get("payload", ())
    if any(item.get("source") == "ask_exit" for item in payload):
        cell.outputs.append(nbformat.v4.new_output("error", ename="SystemExit", evalue="exit()"))
        raise LeftEarly


class _Engine(NBClientEngine):
    """A papermill engine whose kernel belongs to a `Session`."""

    @classmethod
    def execute_managed_notebook(
        cls, nb_man: Any, kernel_name: str, *, session: Session, **_: Any
    ) -> None:
        with session.manager() as manager, session.open_log() as log:
            client = _Client(nb_man, session, km=manager, kernel_name=kernel_name)
            client.execute(
                cleanup_kc=True,
                env=session.environment,
                cwd=str(session.folder),
                stdout=log,
                stderr=log,
            )


def _literal(path: Path) -> str:
    """`path` such that papermill, which fills in `{names}`, leaves its braces alone."""
    return str(path).replace("{", "{{").replace("}", "}}")


def _quiet_loggers() -> None:
    """Keep the libraries' own error lines out of the progress display; the result reports them."""
    for name in ("papermill", "traitlets", "jupyter_client"):
        logger = logging.getLogger(name)
        if not any(isinstance(handler, logging.NullHandler) for handler in logger.handlers):
            logger.addHandler(logging.NullHandler())
