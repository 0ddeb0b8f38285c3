"""Times and memory of lessons, published from a run of the suite for their cards."""

import json
from pathlib import Path

from utils import runtime
from utils.errors import CourseError
from utils.lesson.card import FILE


def publish_timings(folder: Path) -> Path:
    """Enter what `folder`/suite.json measured into the published file; returns its path.

    Only first runs count, that is, notebooks that reused no record; a lesson without records
    always counts.

    Raises:
        CourseError: if the folder holds no complete run in which every notebook passed.
    """
    try:
        run = json.loads((folder / "suite.json").read_text())
    except (OSError, ValueError) as error:
        raise CourseError(f"{folder} holds no finished run of the suite (suite.json).") from error
    if not run["ok"]:
        raise CourseError(f"Not every notebook passed in {folder}; only a sound run is published.")
    path = runtime.results_dir() / FILE
    cards = json.loads(path.read_text()) if path.exists() else {}
    hardware = runtime.hardware()
    name = f"{hardware['gpu'] or hardware['cpu']}, {hardware['cores']} cores"
    for notebook in run["notebooks"]:
        if notebook["records"] == notebook["records_run"] or not notebook["optimiser_steps"]:
            cards.setdefault(notebook["notebook"][:2], {})[run["profile"]] = {
                "seconds": notebook["seconds"],
                "peak_memory_bytes": notebook["peak_memory_bytes"],
                "hardware": name,
            }
    runtime.write_atomically(path, json.dumps(cards, indent=1, sort_keys=True) + "\n")
    return path
