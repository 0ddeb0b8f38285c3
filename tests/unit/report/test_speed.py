"""The table of `course bench speed`, and how it is published."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest
from typer.testing import CliRunner

from utils import runtime
from utils.cli.commands import app
from utils.errors import CourseError
from utils.experiments.speed import SpeedComparison
from utils.report import publish_speed
from utils.report.speed import read, speed_table

ROWS = [
    SpeedComparison("encoder forward", 1.04, 1.01, 1.071, 0.1, 0.104, 20),
    SpeedComparison("tuning", 2.25, 2.2, 2.3, 40.0, 90.0, 3, 0.8218, 0.8196, -0.0049, "mirror"),
]


@pytest.fixture
def runs(tmp_path: Path):
    """Writes a run of the benchmark."""

    def write(created: str, rows=ROWS, device: str = "cpu", part: str = "encoder") -> Path:
        provenance = {"created": created, "device": device, "threads": 2}
        provenance["hardware"] = {"cpu": "Test CPU", "cores": 2, "gpu": "Test GPU"}
        record = {
            "part": part,
            "comparisons": [asdict(row) for row in rows],
            "provenance": provenance,
        }
        (tmp_path / "speed").mkdir(exist_ok=True)
        name = f"{created.replace(':', '')}-{part}.json"
        (tmp_path / "speed" / name).write_text(json.dumps(record))
        return tmp_path

    return write


def test_a_row_for_each_comparison(runs) -> None:
    (found,) = read(runs("2026-01-01T00:00:00")).values()
    table = speed_table(found)
    assert table.rows == [
        ["encoder forward", "1.04", "1.01 to 1.07", "20", "–", "–", "–"],
        ["tuning", "2.25", "2.20 to 2.30", "3", "82.2", "82.0", "-0.5"],
    ]
    assert table.notes[-1] == "Data: mirror. Run on Test CPU (2 threads)."
    assert table.long[1]["their_seconds"] == 90.0


def test_the_newest_of_each_part_and_device_counts(runs) -> None:
    runs("2026-01-03T00:00:00", ROWS[1:], part="fine-tuning")
    runs("2026-01-02T00:00:00", ROWS[:1])
    runs("2026-01-01T00:00:00")
    found = read(runs("2025-01-01T00:00:00", device="cuda"))
    assert sorted(found) == ["cpu", "cuda"]
    assert [part["part"] for part in found["cpu"]] == ["encoder", "fine-tuning"]
    assert [len(part["comparisons"]) for part in found["cpu"]] == [1, 1]
    assert [row[0] for row in speed_table(found["cpu"]).rows] == ["encoder forward", "tuning"]


def test_it_is_published_with_its_page(runs, tmp_path: Path) -> None:
    results = tmp_path / "results"
    changes = publish_speed(runs("2026-01-01T00:00:00"), results)
    names = {change.path.relative_to(results).as_posix() for change in changes}
    assert names >= {"README.md", "tables/speed_cpu.md", "tables/speed_cpu.csv"}
    assert "## Speed (CPU)" in (results / "README.md").read_text()
    assert publish_speed(tmp_path, results) == []


def test_what_is_not_published(runs, tmp_path: Path) -> None:
    with pytest.raises(CourseError, match="no run to publish"):
        publish_speed(tmp_path, tmp_path / "results")
    made_up = SpeedComparison("tuning", 2.0, 1.9, 2.1, 1.0, 2.0, 3, data="embedded (sentiment)")
    with pytest.raises(CourseError, match="The newest run of cpu-encoder read embedded stand-ins"):
        publish_speed(runs("2026-01-01T00:00:00", [made_up]), tmp_path / "results")
    (tmp_path / "speed" / "x.json").write_text("{}")
    with pytest.raises(CourseError, match=r"x\.json is no record of `course bench speed`"):
        read(tmp_path)


def test_the_command(runs, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    root = tmp_path / "project"
    root.mkdir()
    block = "<!-- course:begin results-at-a-glance -->\n<!-- course:end results-at-a-glance -->\n"
    (root / "README.md").write_text(block)
    monkeypatch.setattr(runtime, "project_root", lambda: root)
    monkeypatch.setattr(runtime, "results_dir", lambda: root / "results")
    folder = runs("2026-01-01T00:00:00")
    result = CliRunner().invoke(app, ["publish", "speed", "--from", str(folder)])
    assert result.exit_code == 0, result.output
    assert (root / "results" / "speed" / "cpu-encoder.json").exists()
    assert "speed_cpu.md" in result.output
