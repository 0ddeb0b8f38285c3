"""Every lesson executed on CUDA; leaves results/gpu/last-run.json, the record of the last such run.

The lessons run with profile `smoke`, from embedded data, so that a machine without network can
run them too.
"""

import json
from datetime import UTC, datetime

import pytest

from utils import runtime
from utils.suite import Notebook, NotebookResult, SuiteResult, discover, run

LESSONS = discover()

pytestmark = [pytest.mark.gpu, pytest.mark.timeout(3600)]


@pytest.fixture(scope="module")
def on_cuda(tmp_path_factory: pytest.TempPathFactory) -> dict[str, NotebookResult]:
    """All lessons, run once on the GPU from an empty `runs/`, by name."""
    import torch

    if not torch.cuda.is_available():
        pytest.skip("torch sees no CUDA device on this machine")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COURSE_RUNS", str(tmp_path_factory.mktemp("gpu runs")))
        patch.setenv("COURSE_DEVICE", "cuda")
        result = run(LESSONS, profile="smoke")
    leave_record(result)
    return {notebook.notebook: notebook for notebook in result.notebooks}


def leave_record(result: SuiteResult) -> None:
    """Write what ran where, for those who have no GPU to try it on."""
    commit, dirty = runtime.commit()
    record = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit,
        "dirty": dirty,
        "gpu": runtime.hardware()["gpu"],
        "versions": runtime.library_versions(),
        "profile": result.profile,
        "ok": result.ok,
        "notebooks": [
            {
                "notebook": notebook.notebook,
                "status": notebook.status,
                "seconds": round(notebook.seconds, 1),
                "devices": notebook.devices,
                "peak_memory_bytes": notebook.peak_memory_bytes,
            }
            for notebook in result.notebooks
        ],
    }
    path = runtime.results_dir() / "gpu" / "last-run.json"
    runtime.write_atomically(path, json.dumps(record, indent=2) + "\n")


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.name)
def test_lesson_runs_on_cuda(lesson: Notebook, on_cuda: dict[str, NotebookResult]) -> None:
    result = on_cuda[lesson.name]
    assert (result.status, result.message) == ("passed", "")
    if not lesson.uses_device:
        return
    assert any(device.startswith("cuda") for device in result.devices), result.devices
    assert result.peak_memory_bytes > 0
