"""What `course bench speed` measured, as a table."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from utils.errors import CourseError
from utils.experiments.speed import SpeedComparison, speed_parts
from utils.report.formatting import MISSING
from utils.report.selection import machine_of
from utils.report.tables import Table

FOLDER = "speed"
"""Of `runs/`, with a file for each run, and of `results/`, with one for each part and device."""

_NOTES = (
    "Ratios: ours over theirs in examples or tokens per second, above 1 is faster; the median over "
    "pairs of timings that follow each other, with its 95 % bootstrap interval.",
    "Accuracy: of what was trained in these very timings, each pair with a seed of its own; the "
    "difference is that of ours, and its lower bound the lower end of the 95 % bootstrap interval "
    "over seeds and test examples.",
)


def speed_table(parts: list[dict[str, Any]]) -> Table:
    """A row for each comparison in records of `course bench speed` on one device; see `read`."""
    comparisons = [SpeedComparison(**row) for part in parts for row in part["comparisons"]]
    machines = sorted({machine_of(part["provenance"]) for part in parts})
    rows = [
        [
            each.comparison,
            f"{each.ratio:.2f}",
            f"{each.low:.2f} to {each.high:.2f}",
            str(each.n_pairs),
            _percent(each.score),
            _percent(each.their_score),
            MISSING if each.score_low is None else f"{100 * each.score_low:+.1f}",
        ]
        for each in comparisons
    ]
    data = sorted({each.data for each in comparisons if each.data})
    return Table(
        "speed",
        "Speed beside the libraries, as ratios",
        [
            "Comparison",
            "Times as fast",
            "95 % interval",
            "Pairs",
            "Accuracy in %",
            "Their accuracy in %",
            "Difference, lower bound",
        ],
        rows,
        [*_NOTES, f"Data: {', '.join(data)}. Run on {'; '.join(machines)}."],
        [asdict(each) for each in comparisons],
    )


def read(directory: Path) -> dict[str, list[dict[str, Any]]]:
    """The newest record of each part in `directory`/speed, by kind of device ("cpu", "cuda").

    Raises:
        CourseError: if a file there is no record of the benchmark.
    """
    records = []
    for path in sorted((directory / FOLDER).glob("*.json")):
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            [SpeedComparison(**row) for row in found["comparisons"]]
            device, created = (found["provenance"][name] for name in ("device", "created"))
            records.append((created, device, list(speed_parts()).index(found["part"]), found))
        except (ValueError, KeyError, TypeError) as error:
            raise CourseError(
                f"{path.name} is no record of `course bench speed` ({error}). Remove or restore it."
            ) from error
    records.sort(key=lambda record: record[0])
    newest = {(device, part): found for _, device, part, found in records}
    by_device: dict[str, list[dict[str, Any]]] = {}
    for (device, _), found in sorted(newest.items()):
        by_device.setdefault(device, []).append(found)
    return by_device


def _percent(score: float | None) -> str:
    return MISSING if score is None else f"{100 * score:.1f}"
