"""What `course doctor` is told about the places, and how light the package is to import."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from utils import runtime, sources


def details() -> dict[str, tuple[bool, str]]:
    return {place.name: (place.usable, place.detail) for place in sources.available()}


def test_without_network_and_mirror(small_corpora: Path) -> None:
    found = details()
    assert list(found) == ["mirror", "Hub", "embedded"]
    assert found["mirror"] == (False, "COURSE_MIRROR is not set")
    assert not found["Hub"][0]
    assert "http://127.0.0.1:9 cannot be reached" in found["Hub"][1]
    assert "course pin" in found["Hub"][1]
    assert found["embedded"][0]
    assert "sentiment for stanfordnlp/sst2" in found["embedded"][1]


def test_with_a_mirror_and_a_hub(
    tmp_path: Path, make_dataset: Any, fake_hub: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_dataset(tmp_path / "datasets" / "someone" / "reviews", ["good"], [1])
    monkeypatch.setenv("COURSE_MIRROR", str(tmp_path))
    found = details()
    assert found["mirror"] == (True, "1 data sets, 0 models")
    assert found["Hub"][0]


def test_a_broken_mirror_is_reported_and_does_not_raise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COURSE_MIRROR", "/nowhere/at/all")
    usable, detail = details()["mirror"]
    assert not usable
    assert "/nowhere/at/all" in detail


def test_missing_corpora_are_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("utils.sources.embedded.CORPORA", tmp_path)
    assert details()["embedded"] == (
        False,
        "missing corpora: sentiment, topics, questions, entities-news, entities-social",
    )


def test_importing_sources_imports_no_heavy_library() -> None:
    code = (
        "import sys, utils.sources\n"
        "heavy = {'torch', 'datasets', 'transformers', 'pyarrow', 'pandas', 'huggingface_hub'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=runtime.project_root(),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.strip() == "[]"
