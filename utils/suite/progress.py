"""A live line per notebook while the suite runs, and the summary at its end.

console = Console(stderr=json)        # with --json nothing but JSON goes to stdout
with Display(console) as display:
    result = run(notebooks, on_progress=display)
console.print(summary(result))
"""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.table import Table

from utils.suite.execution import Progress
from utils.suite.results import SuiteResult, shown

_MARKS = {
    "waiting": "[dim]·[/]",
    "running": "[cyan]▶[/]",
    "passed": "[green]✓[/]",
    "failed": "[red]✗[/]",
    "timeout": "[red]✗[/]",
    "interrupted": "[yellow]■[/]",
}
_HEARTBEAT = 30.0  # seconds between two plain lines about one notebook


class Display:
    """Shows `Progress`: lines that change on a terminal, a few plain lines anywhere else."""

    def __init__(self, console: Console) -> None:
        """Show on `console`; a context manager."""
        self.console = console
        self._latest: dict[tuple[str, int], Progress] = {}
        self._live = Live(console=console, auto_refresh=False) if console.is_terminal else None

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._live:
            self._live.stop()

    def __call__(self, progress: Progress) -> None:
        """Take note of where a notebook is."""
        before = self._latest.get((progress.notebook, progress.seed))
        if self._live:
            self._latest[progress.notebook, progress.seed] = progress
            self._live.update(self._table(), refresh=True)
        elif before is None or self._worth_a_line(before, progress):
            self._latest[progress.notebook, progress.seed] = progress
            if progress.status != "waiting":
                self.console.print(_plain(progress), markup=False, highlight=False, soft_wrap=True)

    @staticmethod
    def _worth_a_line(before: Progress, now: Progress) -> bool:
        return before.status != now.status or now.seconds - before.seconds >= _HEARTBEAT

    def _table(self) -> Table:
        table = Table.grid(padding=(0, 2))
        for progress in self._latest.values():
            table.add_row(
                f"{_MARKS[progress.status]} {_label(progress.notebook, progress.seed)}",
                progress.status,
                f"cell {progress.cell}/{progress.n_cells}",
                _time(progress.seconds),
            )
        return table


def _label(notebook: str, seed: int) -> str:
    return f"{notebook} (seed {seed})" if seed else notebook


def _plain(progress: Progress) -> str:
    label = _label(progress.notebook, progress.seed)
    cells = f"cell {progress.cell}/{progress.n_cells}"
    return f"{label}: {progress.status}, {cells}, {_time(progress.seconds)}"


def _time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def summary(result: SuiteResult) -> Table:
    """A table of all notebooks: status, time, records, optimiser steps, and where they are."""
    table = Table(title=f"Profile {result.profile}: {shown(result.folder)}", title_justify="left")
    for column in ("notebook", "status", "time", "records", "new", "optimiser steps", "figures"):
        table.add_column(column, justify="left" if column in ("notebook", "status") else "right")
    for notebook in result.notebooks:
        table.add_row(
            f"{_MARKS[notebook.status]} {_label(notebook.notebook, notebook.seed)}",
            notebook.status,
            _time(notebook.seconds),
            str(notebook.records),
            str(notebook.records_run),
            str(notebook.optimiser_steps),
            str(notebook.figures),
        )
    steps = sum(notebook.optimiser_steps for notebook in result.notebooks)
    table.add_section()
    table.add_row("all", "", _time(result.seconds), "", "", str(steps), "")
    return table


def report(console: Console, result: SuiteResult) -> None:
    """Print the summary, then notebook by notebook what was skipped and what went wrong."""
    console.print(summary(result))
    for notebook in result.notebooks:
        label = _label(notebook.notebook, notebook.seed)
        lines = [f"{label} skipped: {reason}" for reason in notebook.skipped]
        if notebook.message:
            where = f" ({shown(notebook.output)})" if notebook.output else ""
            lines += [f"\n{label} {notebook.status}{where}", notebook.message]
        for line in lines:
            console.print(line, markup=False, highlight=False, soft_wrap=True)
