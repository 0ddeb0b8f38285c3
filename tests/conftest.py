"""What holds for all tests: no network, runs of their own, one thread."""

import os
from pathlib import Path

import pytest

from utils import runtime

# Set before any library is imported; child processes inherit them.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["COURSE_PRECISION"] = "no"
os.environ.setdefault("OMP_NUM_THREADS", "2")
os.environ.update(runtime.SHORT_WAITS | os.environ)
for variable in ("COURSE_MIRROR", "COURSE_RESULTS", "COURSE_DEVICE", "COURSE_PROFILE"):
    os.environ.pop(variable, None)


@pytest.fixture(autouse=True)
def own_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of runs for each test; nothing is read from or left in `runs/`."""
    folder = tmp_path / "own-runs"
    monkeypatch.setenv("COURSE_RUNS", str(folder))
    return folder
