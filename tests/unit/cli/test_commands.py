"""The command as a user meets it: output, JSON, exit status, messages."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from utils import runtime
from utils.cli.commands import publishable
from utils.errors import CourseError
from utils.experiments import get_grid, published_records, run_grid
from utils.sources import is_run_model, run_model

ROOT = runtime.project_root()


def course(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "utils.cli", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, **environment},
    )


def assert_one_clear_message(result: subprocess.CompletedProcess[str], *words: str) -> None:
    assert result.returncode == 2, result.stderr
    assert "Traceback" not in result.stderr + result.stdout
    for word in words:
        assert word in result.stderr


def test_list_is_readable_by_programs_and_by_people():
    lessons = json.loads(course("list", "--json").stdout)
    assert [lesson["number"] for lesson in lessons] == sorted(n["number"] for n in lessons)
    assert {"00", "01", "18"} <= {lesson["number"] for lesson in lessons}
    assert set(lessons[0]) == {"number", "name", "title", "minutes", "parameters"}
    assert lessons[0]["parameters"]["PROFILE"] == "quick"
    assert "01" in course("list").stdout


def test_doctor_answers_without_a_network():
    result = course("doctor", "--json", HF_HUB_OFFLINE="", HF_ENDPOINT="http://127.0.0.1:9")
    facts = json.loads(result.stdout)
    assert result.returncode == 0, facts["problems"]
    assert facts["device"] in ("cpu", "cuda", "mps")
    assert facts["precision"]["reason"]
    assert {place["name"]: place["usable"] for place in facts["sources"]} == {
        "mirror": False,
        "Hub": False,
        "embedded": True,
    }
    assert facts["runs"]["free_bytes"] > 0
    assert set(facts["versions"]) == {"python", "lock", "differ", "missing"}
    assert "Ready." in course("doctor").stdout


def test_doctor_names_what_differs_from_the_lock(monkeypatch, tmp_path):
    from utils.cli import doctor

    (tmp_path / "requirements.lock").write_text("numpy==0.0.1\nno-such-thing==1.0\n")
    monkeypatch.setattr(runtime, "project_root", lambda: tmp_path)
    found = doctor.compare_with_lock()
    assert [entry["name"] for entry in found["differ"]] == ["numpy"]
    assert found["missing"] == ["no-such-thing"]


def test_check_lists_every_claim_in_a_fresh_clone(own_runs):
    result = course("check", "--json")
    assert result.returncode == 0, result.stderr
    claims = json.loads(result.stdout)
    assert {claim["lesson"] for claim in claims} >= {"01"}
    allowed = {"holds", "does not hold", "undecided", "no records yet"}
    assert {claim["verdict"] for claim in claims} <= allowed
    assert not own_runs.exists()


def test_published_pages_are_as_the_records_say():
    result = course("tables", "--check")
    assert result.returncode == 0, result.stdout + result.stderr


def test_show_traces_a_number_to_its_record():
    lines = (ROOT / "results/records/learning-curves.jsonl").read_text().splitlines()
    key = json.loads(lines[0])["key"]
    shown = course("show", key[:12])
    assert key in shown.stdout
    assert "Where it comes from" in shown.stdout
    assert json.loads(course("show", key, "--json").stdout)["key"] == key


def test_bench_runs_then_reuses(own_runs):
    arguments = ["bench", "learning-curves", "-p", "smoke", "--method", "tfidf", "--n", "16"]
    dry = course(*arguments, "--dry-run")
    assert "1 experiments and 0 trials, 0 of them recorded" in dry.stdout
    assert not list(own_runs.glob("records/*.json"))
    assert "1 run, 0 reused" in course(*arguments).stdout
    assert "0 run, 1 reused" in course(*arguments).stdout
    own = course("tables", "--own")
    assert own.returncode == 0, own.stderr
    assert (own_runs / "README.md").exists()


def test_compare_finds_nothing_between_a_set_and_itself(own_runs):
    run_grid(get_grid("learning-curves")("smoke", methods=["tfidf"]), progress=False)
    records = str(own_runs / "records")
    result = course("compare", records, records, "--json")
    assert result.returncode == 0
    assert {row["verdict"] for row in json.loads(result.stdout)["rows"]} == {"OK"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "77"], ["no lesson '77'", "01_transfer_learning"]),
        (["run", "01", "--profile", "huge"], ["no profile 'huge'", "smoke, quick, full"]),
        (["run", "01", "--parameter", "COLOUR=1"], ["COLOUR"]),
        (["run", "01", "--parameter", "SEED=blue"], ["SEED"]),
        (["bench", "ladder", "--dataset", "bentrevett/multi30k"], ["has no experiment with these"]),
        (["run", "--no-such-flag"], ["--no-such-flag"]),
        (["bench", "no-such-grid"], ["no grid 'no-such-grid'", "learning-curves"]),
        (["bench", "learning-curves", "--method", "magic"], ["no method 'magic'"]),
        (["bench", "learning-curves", "--n", "many"], ["'many'"]),
        (["show", "zzzz"], ["No record has the key 'zzzz'"]),
        (["compare", "nowhere", "nowhere"], ["no file or folder nowhere"]),
        (["record", "nowhere"], ["no executed notebooks in nowhere"]),
        (["pin"], ["offline mode", "Connect"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) and len(value) < 5 else None,
)
def test_wrong_calls_get_one_clear_message(arguments, words):
    assert_one_clear_message(course(*arguments), *words)


BENCH = ["bench", "learning-curves", "-p", "smoke", "--method", "tfidf"]


def test_unreadable_mirror(tmp_path):
    missing = str(tmp_path / "missing")
    quick = ["bench", "learning-curves", "-p", "quick", "--method", "tfidf"]
    assert_one_clear_message(course(*quick, COURSE_MIRROR=missing), "COURSE_MIRROR", missing)


def test_a_file_in_place_of_the_folder_of_runs(tmp_path):
    (tmp_path / "file").write_text("")
    result = course(*BENCH, COURSE_RUNS=str(tmp_path / "file"))
    assert_one_clear_message(result, "COURSE_RUNS")


@pytest.fixture
def mounted(tmp_path):
    """A way to mount a tiny file system on a folder, where this is allowed."""
    folder = tmp_path / "mounted"
    folder.mkdir()
    mounts = []

    def mount(*options: str) -> Path:
        command = ["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", str(folder)]
        if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
            pytest.skip("mounting a small file system is not allowed here")
        mounts.append(folder)
        return folder

    yield mount
    for place in mounts:
        subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_loses_nothing(mounted):
    folder = mounted("size=64k")
    result = course(*BENCH, "--seeds", "20", COURSE_RUNS=str(folder))
    assert_one_clear_message(result, "No space left")
    records = list((folder / "records").glob("*.json"))
    for path in records:
        assert json.loads(path.read_text())["key"] == path.stem
    assert not list(folder.rglob("*.part"))


def test_read_only_runs(mounted):
    folder = mounted("ro")
    assert_one_clear_message(course(*BENCH, COURSE_RUNS=str(folder)), "Read-only", "COURSE_RUNS")
    run = course("run", "01", "-p", "smoke", COURSE_RUNS=str(folder))
    assert_one_clear_message(run, "COURSE_RUNS")


def test_a_tampered_model_is_refused(monkeypatch, capsys, tmp_path):
    from utils import cli, sources
    from utils.sources import models

    real, _ = sources.model_path(sources.MINILM)
    fake = tmp_path / "model"
    shutil.copytree(real, fake, ignore=shutil.ignore_patterns("*.safetensors"))
    content = bytearray((real / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (fake / "model.safetensors").write_bytes(content)
    monkeypatch.setattr(models, "packaged_folder", lambda: fake)
    monkeypatch.setattr(sys, "argv", ["course", "bench", "learning-curves", "-p", "smoke",
                                      "--method", "frozen"])  # fmt: skip
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 2
    assert "model.safetensors" in capsys.readouterr().err


def test_a_grid_publishes_its_pretraining_and_the_uses_of_the_models():
    published = published_records()
    chosen = publishable("objectives", published)
    made = {run_model(r.key) for r in chosen if r.spec.task == "pretraining-objectives"}
    used = {r.spec.model for r in chosen if r.spec.task != "pretraining-objectives"}
    assert made == used != set()


def test_a_grid_publishes_only_records_of_its_own_task():
    published = published_records()
    longer = "openstax/textbooks-en+COST-ELTeC/ELTeC-eng"
    for grid, task, datasets in (
        ("learning-curves", "text-classification", {"stanfordnlp/sst2", "fancyzhx/ag_news"}),
        ("sequence-copying", "sequence-copying", {"course/copy", "course/reverse"}),
        ("course-bert", "language-modelling", {longer}),
    ):
        chosen = publishable(grid, published)
        of_its_own = [r for r in published if r.spec.task == task and r.spec.dataset in datasets]
        of_its_own = [r for r in of_its_own if not is_run_model(r.spec.model)]
        assert chosen == of_its_own != []
    with pytest.raises(CourseError, match="no grid"):
        publishable("sorting", [])


def test_models_that_are_tested_on_more_belong_to_another_grid():
    cells = {name: get_grid(name)("full").estimates() for name in ("ladder", "entities")}
    records = {
        name: [SimpleNamespace(spec=cell) for cell in of if cell.dataset == "eriktks/conll2003"]
        for name, of in cells.items()
    }
    everything = [record for of in records.values() for record in of]
    for name, mine in records.items():
        assert publishable(name, everything) == mine
