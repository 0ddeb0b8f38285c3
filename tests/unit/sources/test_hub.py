"""The Hub path, against a small local server; in processes of their own, as a user has them."""

import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from utils import runtime, sources
from utils.errors import CourseError
from utils.sources import hub, revisions
from utils.sources.source import NotHere

DATA = "someone/reviews"
MODEL = "someone/tiny"
FILE = f'''# Pinned by hand? Never.
[datasets]
"{DATA}" = ""  # reviews

[models]
"{MODEL}" = ""
'''


@pytest.fixture
def revisions_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "revisions.toml"
    file.write_text(FILE)
    monkeypatch.setattr(revisions, "FILE", file)
    return file


def run(code: str, tmp_path: Path, **environment: str) -> Any:
    """Run `code` in a new process with a cache of its own; returns what it puts into `result`."""
    script = f"""
import json, sys
from dataclasses import asdict
from pathlib import Path
from utils import sources
from utils.errors import CourseError
from utils.sources import revisions
revisions.FILE = Path({str(tmp_path / "revisions.toml")!r})
{code}
print(json.dumps(result))
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | {"HF_HOME": str(tmp_path / "cache")} | environment,
        cwd=runtime.project_root(),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


LOAD = f"""
dataset, source = sources.load_dataset({DATA!r}, profile="full")
result = {{
    "texts": list(dataset["train"]["text"]),
    "names": dataset["train"].features["label"].names,
    "source": asdict(source),
}}
"""
MODEL_PATH = f"""
folder, source = sources.model_path({MODEL!r}, require_pinned=True)
files = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
result = {{"files": files, "source": asdict(source)}}
"""


def test_pin_load_and_read_again_offline(
    fake_hub: Any, make_dataset: Any, revisions_file: Path, tmp_path: Path
) -> None:
    make_dataset(tmp_path / "first", ["good", "bad"], [1, 0])
    (tmp_path / "first" / "reviews.py").write_text("raise SystemExit('never run')")
    first = fake_hub.commit("datasets", DATA, tmp_path / "first")

    refused = f"""
try:
    sources.load_dataset({DATA!r}, profile="full")
except CourseError as error:
    result = str(error)
"""
    assert f"course pin {DATA}" in run(refused, tmp_path)

    pinned = run(f"result = sources.pin([{DATA!r}])", tmp_path)
    assert pinned == {DATA: first}
    assert revisions_file.read_text() == FILE.replace(f'"{DATA}" = ""', f'"{DATA}" = "{first}"')

    loaded = run(LOAD, tmp_path)
    assert loaded["texts"] == ["good", "bad"]
    assert loaded["names"] == ["no", "yes"]
    assert loaded["source"]["kind"] == "hub"
    assert loaded["source"]["revision"] == first
    assert loaded["source"]["licence"] == "CC BY 4.0, for tests"
    assert not [path for path in fake_hub.requests if "reviews.py" in path]

    # A new commit on the Hub changes nothing until it is pinned, and the cache needs no network.
    make_dataset(tmp_path / "second", ["good", "bad", "new"], [1, 0, 1])
    second = fake_hub.commit("datasets", DATA, tmp_path / "second")
    asked = len(fake_hub.requests)
    assert run(LOAD, tmp_path, HF_HUB_OFFLINE="1") == loaded
    assert len(fake_hub.requests) == asked
    assert run(LOAD, tmp_path) == loaded

    run(f"result = sources.pin([{DATA!r}])", tmp_path)
    changed = run(LOAD, tmp_path)
    assert changed["texts"] == ["good", "bad", "new"]
    assert changed["source"]["revision"] == second
    assert changed["source"]["fingerprint"] != loaded["source"]["fingerprint"]


def test_model_from_the_hub_has_safetensors_only(
    fake_hub: Any, revisions_file: Path, tmp_path: Path
) -> None:
    repository = tmp_path / "model"
    repository.mkdir()
    for name in ("config.json", "vocab.txt", "model.safetensors", "pytorch_model.bin", "code.py"):
        (repository / name).write_text("{}")
    commit = fake_hub.commit("models", MODEL, repository)
    run(f"result = sources.pin([{MODEL!r}])", tmp_path)
    found = run(MODEL_PATH, tmp_path)
    assert found["files"] == ["config.json", "model.safetensors", "vocab.txt"]
    assert found["source"]["revision"] == commit
    # SHA-256 of the two characters {}, as coreutils' sha256sum gives it.
    assert found["source"]["fingerprint"] == "44136fa355b3678a"
    offline = run(MODEL_PATH, tmp_path, HF_HUB_OFFLINE="1")
    assert offline["source"] == found["source"]


def test_an_interrupted_download_is_not_taken_for_complete(
    fake_hub: Any, make_dataset: Any, revisions_file: Path, tmp_path: Path
) -> None:
    make_dataset(tmp_path / "first", ["good", "bad"], [1, 0])
    fake_hub.commit("datasets", DATA, tmp_path / "first")
    run(f"result = sources.pin([{DATA!r}])", tmp_path)
    run(LOAD, tmp_path)
    for path in (tmp_path / "cache").rglob("train-*.parquet"):
        path.unlink()
    code = f"""
try:
    sources.load_dataset({DATA!r}, require="real")
except CourseError as error:
    result = str(error)
"""
    assert "not cached" in run(code, tmp_path, HF_HUB_OFFLINE="1")


def test_pin_is_all_or_nothing(fake_hub: Any, make_dataset: Any, revisions_file: Path) -> None:
    make_dataset(revisions_file.parent / "first", ["good"], [1])
    fake_hub.commit("datasets", DATA, revisions_file.parent / "first")
    with pytest.raises(CourseError, match="nothing of that name under models"):
        sources.pin([DATA, MODEL])
    assert revisions_file.read_text() == FILE


def test_pin_refuses_an_id_that_is_not_in_the_file(revisions_file: Path) -> None:
    with pytest.raises(CourseError, match=r"someone/else.*\[datasets\] or \[models\]"):
        sources.pin(["someone/else"])


def test_pin_says_so_when_the_hub_cannot_be_reached(revisions_file: Path) -> None:
    with pytest.raises(CourseError, match=r"http://127\.0\.0\.1:9 cannot be reached"):
        sources.pin([DATA])
    assert revisions_file.read_text() == FILE


def test_the_hub_is_asked_once(fake_hub: Any) -> None:
    assert sources.hub_reachable()
    assert sources.hub_reachable()
    assert len(fake_hub.requests) == 1


def test_offline_mode_asks_nothing(fake_hub: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert not sources.hub_reachable()
    assert fake_hub.requests == []


def test_a_server_that_is_not_the_hub_does_not_count(
    fake_hub: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fake_hub, "answer", lambda path: (403, {}, b"blocked by the proxy"))
    assert not sources.hub_reachable()


def test_a_silent_server_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{listener.getsockname()[1]}")
        monkeypatch.setattr(hub, "PROBE_SECONDS", 0.2)
        assert not sources.hub_reachable()


def test_a_name_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Resolving a name has no timeout; a Hub that answers after the limit counts as away."""

    class Reply:
        status_code = 200

        def json(self) -> list[Any]:
            return []

    class Slow:
        def get(self, *arguments: Any, **options: Any) -> Reply:
            answered.wait(10)
            return Reply()

    answered = threading.Event()
    monkeypatch.setattr("huggingface_hub.get_session", Slow)
    monkeypatch.setattr(hub, "PROBE_SECONDS", 0.1)
    assert not sources.hub_reachable()
    answered.set()


def test_only_the_cache_is_asked_when_the_hub_is_away(
    revisions_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library would spend some 24 seconds on retries."""
    asked: list[dict[str, Any]] = []

    def snapshot_download(repo_id: str, **options: Any) -> str:
        asked.append(options)
        return str(tmp_path)

    revisions_file.write_text(FILE.replace('""', f'"{"a" * 40}"'))
    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    with pytest.raises(NotHere, match="only a part of the pinned revision is cached"):
        hub.model_folder(MODEL)
    assert [options["local_files_only"] for options in asked] == [True]
    assert [options["revision"] for options in asked] == ["a" * 40]


def test_the_committed_file_pins_only_what_is_known() -> None:
    pinned = {name: sha for name, (_, sha) in revisions.revisions().items() if sha}
    assert pinned[sources.MINILM] == "1110a243fdf4706b3f48f1d95db1a4f5529b4d41"
    assert all(len(sha) == 40 and int(sha, 16) for sha in pinned.values())
