"""Models: the order of the places, and weights that are not what they claim to be."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from utils import sources
from utils.errors import CourseError
from utils.sources import models
from utils.sources.source import NotHere


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "mirror" / "models").mkdir(parents=True)
    monkeypatch.setenv("COURSE_MIRROR", str(tmp_path / "mirror"))
    return tmp_path / "mirror" / "models"


def write_model(folder: Path, weights: str = "model.safetensors") -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / weights).write_text("{}")
    return folder


def test_the_packaged_minilm_asks_no_network(network: list[Any]) -> None:
    folder, source = sources.model_path(sources.MINILM)
    assert (folder / "config.json").is_file()
    assert (source.kind, source.location) == ("embedded", "embedded (packaged)")
    assert source.revision == "1110a243fdf4706b3f48f1d95db1a4f5529b4d41"
    assert source.fingerprint == "53aa51172d142c89"
    assert source.licence == "Apache-2.0"
    assert network == []


def test_a_mirror_comes_before_the_package(mirror: Path) -> None:
    copy = mirror / sources.MINILM
    shutil.copytree(models.packaged_folder(), copy)
    folder, source = sources.model_path(sources.MINILM, require_pinned=True)
    assert folder == copy
    assert (source.kind, source.fingerprint) == ("mirror", "53aa51172d142c89")
    assert source.revision == "1110a243fdf4706b3f48f1d95db1a4f5529b4d41"


def test_a_tampered_package_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = tmp_path / "model"
    shutil.copytree(models.packaged_folder(), copy)
    weights = copy / "model.safetensors"
    with weights.open("r+b") as file:
        file.seek(1_000_000)
        byte = file.read(1)
        file.seek(1_000_000)
        file.write(bytes([byte[0] ^ 1]))
    monkeypatch.setattr(models, "packaged_folder", lambda: copy)
    with pytest.raises(CourseError) as caught:
        sources.model_path(sources.MINILM)
    assert "not the published ones" in str(caught.value)
    assert "pip install --force-reinstall" in str(caught.value)


def test_a_false_minilm_in_the_mirror_is_refused(mirror: Path) -> None:
    write_model(mirror / sources.MINILM)
    with pytest.raises(CourseError, match="not the published ones"):
        sources.model_path(sources.MINILM)


def test_any_other_model_from_the_mirror(mirror: Path) -> None:
    copy = write_model(mirror / "someone" / "tiny")
    folder, source = sources.model_path("someone/tiny")
    assert folder == copy
    # SHA-256 of the two characters {}, as coreutils' sha256sum gives it.
    assert source.fingerprint == "44136fa355b3678a"
    assert source.revision is None
    with pytest.raises(CourseError, match="revision of its copy is not known"):
        sources.model_path("someone/tiny", require_pinned=True)


def test_changed_weights_have_another_fingerprint(mirror: Path) -> None:
    copy = write_model(mirror / "someone" / "tiny")
    before = sources.model_path("someone/tiny")[1].fingerprint
    (copy / "model.safetensors").write_text("{ }")
    assert sources.model_path("someone/tiny")[1].fingerprint != before


def test_pickled_weights_are_refused(mirror: Path) -> None:
    write_model(mirror / "someone" / "tiny", weights="pytorch_model.bin")
    with pytest.raises(CourseError, match=r"no model\.safetensors[\s\S]*never pickled"):
        sources.model_path("someone/tiny")


def test_a_model_that_is_nowhere(mirror: Path) -> None:
    with pytest.raises(CourseError) as caught:
        sources.model_path("google-bert/bert-base-uncased")
    for line in ("- mirror: no models/google-bert", "- packaged: only", "- Hub: no revision"):
        assert line in str(caught.value)


def test_without_the_package_the_hub_is_next(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> Path:
        raise NotHere("the package is not installed")

    copy = models.packaged_folder()
    monkeypatch.setattr(models, "packaged_folder", missing)
    monkeypatch.setattr(models.hub, "model_folder", lambda model_id: (copy, "a" * 40))
    source = sources.model_path(sources.MINILM, require_pinned=True)[1]
    assert (source.kind, source.location, source.revision) == ("hub", "Hub", "a" * 40)
    assert "packaged: the package is not installed" in source.note


@pytest.mark.parametrize("name", ["all-MiniLM-L6-v2", "../outside/model", "/etc/model", "a/../b"])
def test_only_hub_ids_are_models(name: str, mirror: Path) -> None:
    with pytest.raises(CourseError, match="not an id of the Hub"):
        sources.model_path(name)
