"""A good run is tampered with in every way that the audit must notice."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from utils.suite import audit

EVIDENCE = "application/vnd.course.evidence+json"
Run = tuple[Path, Path]
Edit = Callable[[list[dict[str, Any]]], object]


def edit(path: Path, change: Edit) -> None:
    """Change the code cells of a notebook file, the injected parameters left out."""
    document = json.loads(path.read_text())
    injected = [c for c in document["cells"] if "injected" in str(c["metadata"].get("tags"))]
    cells = [c for c in document["cells"] if c["cell_type"] == "code" and c not in injected]
    change(cells)
    document["cells"] = cells
    path.write_text(json.dumps(document))


def declare(path: Path, **evidence: Any) -> None:
    """Set what the original notebook promises."""
    document = json.loads(path.read_text())
    document["metadata"]["course"]["evidence"] = evidence
    path.write_text(json.dumps(document))


def test_good_run(good_run: Run) -> None:
    result = audit(*good_run)
    assert result.ok
    assert (result.evidence.records, result.evidence.optimiser_steps) == (2, 3)
    assert result.skipped == ["no GPU"]


@pytest.mark.parametrize(
    ("change", "cell", "words"),
    [
        (lambda c: c[2].update(source="a = 2"), 3, "is another one"),
        (lambda c: c.pop(), 5, "is missing"),
        (
            lambda c: c.append({**c[4], "source": "new", "execution_count": 7}),
            6,
            "not in the original",
        ),
        (lambda c: c[2].update(execution_count=None), 3, "did not run"),
        (lambda c: c[4]["metadata"].pop("execution"), 5, "started but did not finish"),
        (lambda c: c[3].update(execution_count=1), None, "In[1] after In[4]"),
    ],
)
def test_tampering_is_noticed(good_run: Run, change: Edit, cell: int | None, words: str) -> None:
    edit(good_run[0], change)
    (problem,) = audit(*good_run).problems
    assert words in problem.text
    assert problem.cell == cell


def test_error_counts_even_where_it_is_allowed(good_run: Run) -> None:
    error = {"output_type": "error", "ename": "KeyError", "evalue": "\x1b[31m'x'", "traceback": []}

    def allow(cells: list[dict[str, Any]]) -> None:
        cells[2]["metadata"]["tags"] = ["raises-exception"]
        cells[2]["outputs"].append(error)

    edit(good_run[0], allow)
    (problem,) = audit(*good_run).problems
    assert problem.cell == 3
    assert "raised KeyError: 'x'." in problem.text


@pytest.mark.parametrize(
    ("declared", "left", "words"),
    [
        ({}, {"records": 5}, "declares no evidence"),
        ({"records": 0}, {"records": 5}, "declares no evidence"),
        ({"records": 1, "figures": "many"}, {"records": 5}, "'many' is not a number"),
        ({"records": 3}, {"records": 2}, "left 2 records; it promises at least 3"),
        ({"figures": 1}, {"records": 2}, "left 0 figures; it promises at least 1"),
        ({"translations": 4}, {"translations": 3.5}, "left 3.5 translations"),
        (
            {"records": 1, "optimiser_steps": 9},
            {"records": 1, "records_run": 1, "optimiser_steps": 8},
            "left 8 optimiser steps; it promises at least 9",
        ),
        ({"records": 1}, {"records": 1, "optimiser_steps": 8}, "8 optimiser steps but made no new"),
        ({"records": 1}, {"records": -1}, "bad evidence: records = -1"),
        ({"records": 1}, {"records": True}, "bad evidence: records = True"),
        ({"records": 1}, [1], "bad evidence"),
    ],
)
def test_missing_evidence(good_run: Run, declared: Any, left: Any, words: str) -> None:
    edit(good_run[0], lambda cells: cells[3]["outputs"][0]["data"].update({EVIDENCE: left}))
    declare(good_run[1], **declared)
    assert words in audit(*good_run).problems[0].text


def test_second_run_needs_no_steps(good_run: Run) -> None:
    left = {"records": 7, "records_run": 0, "optimiser_steps": 0}
    edit(good_run[0], lambda cells: cells[3]["outputs"][0]["data"].update({EVIDENCE: left}))
    declare(good_run[1], records=7, optimiser_steps=100)
    assert audit(*good_run).ok


def test_evidence_is_added_up(good_run: Run) -> None:
    def leave(cells: list[dict[str, Any]]) -> None:
        def shown(device: str, peak: int, **more: Any) -> dict[str, Any]:
            counts = {"records": 4, "device": device, "peak_memory_bytes": peak, **more}
            data = {EVIDENCE: counts, "image/png": "abc"}
            return {"output_type": "display_data", "metadata": {}, "data": data}

        cells[1]["outputs"] = [shown("cuda", 10, source="Hub"), shown("cuda", 30, source="mirror")]
        cells[3]["outputs"] = [shown("cpu", 20, records_run=1, optimiser_steps=5)]

    edit(good_run[0], leave)
    evidence = audit(*good_run).evidence
    assert (evidence.records, evidence.records_run, evidence.optimiser_steps) == (12, 1, 5)
    assert (evidence.figures, evidence.peak_memory_bytes) == (3, 30)
    assert (evidence.devices, evidence.sources) == (["cuda", "cpu"], ["Hub", "mirror"])
