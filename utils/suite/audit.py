"""Did a notebook really run? Read from the executed notebook itself.

Papermill reports success after a bare `SystemExit` and writes "completed" over cells that were cut
off, so nothing but the cells, their outputs and their evidence is trusted here.

**Evidence.** A lesson leaves outputs of MIME type `application/vnd.course.evidence+json`, JSON
objects such as `{"records": 12, "records_run": 12, "optimiser_steps": 340, "device": "cpu",
"peak_memory_bytes": 0}`. Numbers are added up over the notebook (peak memory: the maximum). The
notebook declares its minimum in the metadata `course.evidence`, such as
`{"records": 10, "figures": 3, "optimiser_steps": 1}`; figures are counted as PNG outputs, and a
minimum of optimiser steps holds for runs that made new records (`records_run` > 0): a run that made
none must not train at all.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from utils.lesson.outputs import EVIDENCE, SKIPPED
from utils.suite.discovery import Cell, Notebook, code_cells

_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_TRACEBACK_LINES = 8
_SOURCE_LINES = 5


@dataclass(frozen=True)
class Problem:
    """One reason why a run does not count; `cell` is its number where it lies in a cell."""

    text: str
    cell: int | None = None

    def __str__(self) -> str:
        return self.text


@dataclass
class Evidence:
    """What a notebook left behind, added up."""

    records: int = 0
    records_run: int = 0
    optimiser_steps: int = 0
    figures: int = 0
    peak_memory_bytes: int = 0
    devices: list[str] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    other: dict[str, float] = field(default_factory=dict)

    def amount(self, name: str) -> float:
        """The total under `name`, 0 if the notebook never named it."""
        value = getattr(self, name, None)
        return value if isinstance(value, int) else self.other.get(name, 0)

    def add(self, found: dict[str, Any]) -> None:
        """Add one evidence output; raises ValueError if it is malformed."""
        for name, value in found.items():
            if name in ("device", "source", "sources"):
                self._note(self.devices if name == "device" else self.sources, value)
            elif type(value) not in (int, float) or value < 0:
                raise ValueError(f"{name} = {value!r} is not a count")
            elif name == "peak_memory_bytes":
                self.peak_memory_bytes = max(self.peak_memory_bytes, int(value))
            elif name in ("records", "records_run", "optimiser_steps"):
                setattr(self, name, getattr(self, name) + int(value))
            else:
                self.other[name] = self.other.get(name, 0) + value

    @staticmethod
    def _note(names: list[str], value: Any) -> None:
        for name in value if isinstance(value, list) else [value]:
            if str(name) not in names:
                names.append(str(name))


@dataclass(frozen=True)
class AuditResult:
    """What the audit found; `ok` if there is no problem."""

    problems: list[Problem]
    evidence: Evidence
    skipped: list[str]

    @property
    def ok(self) -> bool:
        """Whether the run counts."""
        return not self.problems


def audit(executed: Path, expected: Path) -> AuditResult:
    """Check the notebook `executed` against the one that it was made from.

    Checked: every code cell of `expected` is there unchanged (but for the injected parameters),
    finished, in order, without an error (a cell tagged `raises-exception` is no exception), and the
    evidence that `expected` declares is there. The evidence is only looked at if all cells ran,
    since otherwise its absence is a consequence.

    Raises:
        CourseError: if one of the two files is not a readable notebook.
    """
    original = Notebook(expected)
    document = Notebook(executed).document
    cells = code_cells(document)
    evidence, skipped, malformed = _collect(cells)
    problems = list(_errors(cells)) or [*_changes(original.code_cells, cells), *_unfinished(cells)]
    if not problems:
        problems = [*malformed, *_missing_evidence(original.evidence, evidence)]
    return AuditResult(problems, evidence, skipped)


def outputs(cell: Cell) -> Iterator[dict[str, Any]]:
    """The outputs of a cell that show something (display data and results)."""
    for output in cell.raw.get("outputs", ()):
        if output.get("output_type") in ("display_data", "execute_result"):
            yield output


def _collect(cells: list[Cell]) -> tuple[Evidence, list[str], list[Problem]]:
    evidence, skipped, malformed = Evidence(), [], []
    for cell in cells:
        for output in outputs(cell):
            data = output.get("data", {})
            evidence.figures += "image/png" in data
            if SKIPPED in data:
                skipped.append(str(data[SKIPPED].get("reason", "no reason given")))
            try:
                evidence.add(data.get(EVIDENCE, {}))
            except (ValueError, AttributeError) as error:
                malformed.append(Problem(f"{_name(cell)} left bad evidence: {error}.", cell.number))
    return evidence, skipped, malformed


def _name(cell: Cell) -> str:
    text = str(cell)
    return text[0].upper() + text[1:]


def _errors(cells: list[Cell]) -> Iterator[Problem]:
    """The cells with an error output, and how many cells were left after the last of them."""
    failed = [(cell, error) for cell in cells for error in _error_outputs(cell)]
    for cell, error in failed:
        left = sum(1 for later in cells[cell.number :] if not _finished(later))
        text = f"{_name(cell)} raised {error.get('ename')}: {plain(error.get('evalue', ''))}"
        if error.get("ename") == "SystemExit":
            text = f"{_name(cell)} left the notebook early (SystemExit)"
        if left:
            text += f"; {left} code cell{'s' * (left > 1)} after it did not run"
        yield Problem(f"{text}.\n{excerpt(cell)}", cell.number)


def _error_outputs(cell: Cell) -> list[dict[str, Any]]:
    return [o for o in cell.raw.get("outputs", ()) if o.get("output_type") == "error"]


def excerpt(cell: Cell) -> str:
    """The last lines of a cell's source, and of its traceback if it raised."""
    lines = [f"  | {line}" for line in cell.source.rstrip().splitlines()[-_SOURCE_LINES:]]
    for error in _error_outputs(cell):
        traceback = plain("\n".join(error.get("traceback", ()))).rstrip().splitlines()
        lines += [f"  > {line}" for line in traceback[-_TRACEBACK_LINES:]]
    return "\n".join(lines)


def plain(text: str) -> str:
    """`text` without terminal colours."""
    return _ANSI.sub("", text)


def _finished(cell: Cell) -> bool:
    """Whether the kernel replied that the cell is done (an execution count comes at its start)."""
    timing = cell.raw.get("metadata", {}).get("execution", {})
    return cell.raw.get("execution_count") is not None and "shell.execute_reply" in timing


def _changes(expected: list[Cell], cells: list[Cell]) -> Iterator[Problem]:
    for before, after in zip(expected, cells, strict=False):
        if before.source != after.source:
            yield Problem(
                f"{_name(before)} is another one in the executed notebook.", before.number
            )
            return
    if len(cells) < len(expected):
        missing = expected[len(cells)]
        yield Problem(f"{_name(missing)} is missing in the executed notebook.", missing.number)
    elif len(cells) > len(expected):
        extra = cells[len(expected)]
        yield Problem(f"{_name(extra)} is not in the original notebook.", extra.number)


def _unfinished(cells: list[Cell]) -> Iterator[Problem]:
    unfinished = [cell for cell in cells if not _finished(cell)]
    if unfinished:
        cell = unfinished[0]
        started = cell.raw.get("execution_count") is not None
        text = f"{_name(cell)} {'started but did not finish' if started else 'did not run'}"
        if len(unfinished) > 1:
            text += f"; nor did {len(unfinished) - 1} after it"
        yield Problem(f"{text}.\n{excerpt(cell)}", cell.number)
        return
    counts = [int(cell.raw["execution_count"]) for cell in cells]
    for cell, before, count in zip(cells[1:], counts, counts[1:], strict=False):
        if count <= before:
            yield Problem(f"{_name(cell)} ran out of order (In[{count}] after In[{before}]).")
            return


def _missing_evidence(declared: dict[str, Any], found: Evidence) -> Iterator[Problem]:
    if not any(type(minimum) in (int, float) and minimum > 0 for minimum in declared.values()):
        yield Problem(
            "The notebook declares no evidence. Say in its metadata what a run must leave behind, "
            'for example "course": {"evidence": {"records": 10, "figures": 2}}.'
        )
    for name, minimum in declared.items():
        if type(minimum) not in (int, float):
            yield Problem(f"The declared evidence {name} = {minimum!r} is not a number.")
        elif name == "optimiser_steps" and not found.records_run:
            continue
        elif found.amount(name) < minimum:
            yield Problem(
                f"All cells ran, but the notebook left {found.amount(name):g} {_words(name)}; "
                f"it promises at least {minimum:g}."
            )
    if found.optimiser_steps and not found.records_run:
        yield Problem(
            f"The notebook took {found.optimiser_steps} optimiser steps but made no new record: "
            "a second run shall reload what the first one trained."
        )


def _words(name: str) -> str:
    return name.replace("_", " ")
