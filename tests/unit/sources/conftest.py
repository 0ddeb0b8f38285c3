"""A network that refuses, small corpora, and a small server that speaks the Hub's API."""

import hashlib
import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from utils.sources import embedded, hub

CARD = """---
license: cc-by-4.0
configs:
- config_name: default
  data_files:
  - split: train
    path: data/train-*
  - split: test
    path: data/test-*
---

# A small data set

- Licence: CC BY 4.0, for tests
"""


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No mirror, no offline switch, no Hub that could answer, and nothing remembered."""
    for name in ("COURSE_MIRROR", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    # The library reads the variable once, when another test may have imported it already.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    hub._probe.cache_clear()


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Refuses every connection and lists the addresses that were asked for."""
    asked: list[Any] = []

    def refuse(self: socket.socket, address: Any) -> None:
        asked.append(address)
        raise OSError("no network in this test")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    return asked


@pytest.fixture
def small_corpora(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two embedded corpora of a few rows in place of the real ones."""
    rows = {
        "sentiment": [
            {"idx": 0, "sentence": "A joy.", "label": 1},
            {"idx": 1, "sentence": "A bore.", "label": 0},
        ],
        "topics": [{"text": "The match ended in a draw.", "label": 1}],
    }
    splits = {"sentiment": ("train", "validation"), "topics": ("train", "test")}
    for name, lines in rows.items():
        folder = tmp_path / "corpora" / name
        folder.mkdir(parents=True)
        (folder / "README.md").write_text(f"# {name}\n\n- Licence: CC0, for tests\n")
        text = "".join(json.dumps(line) + "\n" for line in lines)
        for split in splits[name]:
            (folder / f"{split}.jsonl").write_text(text)
    monkeypatch.setattr(embedded, "CORPORA", tmp_path / "corpora")
    registry = {name: corpus for name, corpus in embedded.REGISTRY.items() if corpus.name in rows}
    monkeypatch.setattr(embedded, "REGISTRY", registry)
    return tmp_path / "corpora"


def features_metadata(columns: dict[str, dict[str, Any]]) -> dict[bytes, bytes]:
    """The schema metadata in which `datasets` keeps features inside a Parquet file."""
    return {b"huggingface": json.dumps({"info": {"features": columns}}).encode()}


def table(texts: list[str], labels: list[int]) -> pa.Table:
    """Columns `text` and `label`, the latter a class label with the names no and yes."""
    schema = pa.schema(
        [("text", pa.string()), ("label", pa.int64())],
        metadata=features_metadata(
            {
                "text": {"dtype": "string", "_type": "Value"},
                "label": {"names": ["no", "yes"], "_type": "ClassLabel"},
            }
        ),
    )
    return pa.table({"text": texts, "label": labels}, schema=schema)


def write_dataset(folder: Path, texts: list[str], labels: list[int], card: str = CARD) -> None:
    """A data set in the Hub's layout: train is all rows, test the first one."""
    (folder / "data").mkdir(parents=True)
    if card:
        (folder / "README.md").write_text(card)
    rows = table(texts, labels)
    parquet.write_table(rows, folder / "data" / "train-00000-of-00001.parquet")
    parquet.write_table(rows.slice(0, 1), folder / "data" / "test-00000-of-00001.parquet")


@pytest.fixture
def make_dataset() -> Any:
    """`write_dataset`, for the test modules."""
    return write_dataset


@pytest.fixture
def make_table() -> Any:
    """`table`, for the test modules."""
    return table


@dataclass
class FakeHub:
    """Repositories as (kind, id) → commit → path → content; the newest commit comes last."""

    address: str = ""
    repositories: dict[tuple[str, str], dict[str, dict[str, bytes]]] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)

    def commit(self, kind: str, repo_id: str, folder: Path) -> str:
        """Add the files of `folder` as the newest commit; returns its hash."""
        files = {
            str(path.relative_to(folder)): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }
        contents = b"".join(name.encode() + data for name, data in files.items())
        sha = hashlib.sha1(contents).hexdigest()
        self.repositories.setdefault((kind, repo_id), {})[sha] = files
        return sha

    def answer(self, path: str) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body for the request of `path`."""
        self.requests.append(path)
        path = path.partition("?")[0]
        parts = path.strip("/").split("/")
        if path == "/api/models":
            return self._json([])
        if parts[0] == "api":
            commits = self.repositories.get((parts[1], "/".join(parts[2:4])))
            if commits is None:
                return 401, {"X-Error-Code": "RepoNotFound"}, b""
            sha = list(commits)[-1]
            if len(parts) == 4 or parts[4] == "revision":
                siblings = [{"rfilename": name} for name in commits[sha]]
                return self._json(
                    {"id": "/".join(parts[2:4]), "sha": sha, "siblings": siblings, "tags": []}
                )
            return self._json(
                [
                    {"type": "file", "path": name, "size": len(data), "oid": _blob(data)}
                    for name, data in commits[parts[5]].items()
                ]
            )
        if parts[0] != "datasets":
            parts.insert(0, "models")
        kind, repo_id, sha, name = parts[0], "/".join(parts[1:3]), parts[4], "/".join(parts[5:])
        data = self.repositories[kind, repo_id][sha].get(name)
        if data is None:
            return 404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": sha}, b""
        return 200, {"ETag": f'"{_blob(data)}"', "X-Repo-Commit": sha}, data

    @staticmethod
    def _json(content: Any) -> tuple[int, dict[str, str], bytes]:
        return 200, {"Content-Type": "application/json"}, json.dumps(content).encode()


def _blob(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


@pytest.fixture
def fake_hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    """A server on this machine, named in `HF_ENDPOINT`."""
    content = FakeHub()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            status, headers, body = content.answer(self.path)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        do_HEAD = do_GET

        def log_message(self, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    content.address = f"http://127.0.0.1:{server.server_address[1]}"
    monkeypatch.setenv("HF_ENDPOINT", content.address)
    yield content
    server.shutdown()
    server.server_close()
    thread.join()
