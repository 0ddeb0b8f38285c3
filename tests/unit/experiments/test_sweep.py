"""Sweeps: only what is missing is run; kills, corruption and company do no harm."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, List, Value

from utils import sources
from utils.errors import CourseError
from utils.experiments import Record, Store, get_grid, run_grid, sweep
from utils.experiments.run import prepare
from utils.report.statistics import paired_difference

CHEAP = ["majority", "tfidf"]

DRIVER = """
import sys
from utils.experiments import Store, get_grid, run_grid
from utils.experiments.run import prepare
from pathlib import Path

if __name__ == "__main__":
    grid = get_grid("learning-curves")("smoke", methods=["majority", "tfidf"], seeds=30)
    print("ready", flush=True)
    run_grid(grid, Store(Path(sys.argv[1])), progress=False,
             on_record=lambda record, fresh: print(record.key, fresh, flush=True))
"""


def cheap_grid(seeds: int = 3):
    return get_grid("learning-curves")("smoke", methods=CHEAP, seeds=seeds)


def results(records: list[Record]) -> dict[str, tuple]:
    return {record.key: (record.metrics, record.statistics) for record in records}


def test_a_second_sweep_runs_nothing(tmp_path):
    store = Store(tmp_path)
    first = run_grid(cheap_grid(), store, progress=False)
    again = run_grid(cheap_grid(), store, progress=False)
    assert (first.n_run, first.n_reused) == (12, 0)
    assert (again.n_run, again.n_reused, again.optimiser_steps) == (0, 12, 0)
    assert again.records == first.records
    assert [r.spec for r in first.records] == cheap_grid().resolve([])


def test_repeats_are_run_once_and_all_come_back(tmp_path):
    specs = cheap_grid(1).resolve([])[:2]
    result = sweep([*specs, specs[0]], Store(tmp_path), progress=False)
    assert result.n_run == 2
    assert [record.spec for record in result.records] == [*specs, specs[0]]


def test_retrain_replaces(tmp_path):
    specs = cheap_grid(1).resolve([])[:1]
    old = sweep(specs, Store(tmp_path), progress=False)
    new = sweep(specs, Store(tmp_path), progress=False, retrain=True)
    assert new.n_run == 1
    assert results(new.records) == results(old.records)


def test_a_corrupt_record_is_run_again(tmp_path):
    store = Store(tmp_path)
    first = run_grid(cheap_grid(), store, progress=False)
    path = tmp_path / f"{first.records[4].key}.json"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.warns(UserWarning, match="not a sound record"):
        again = run_grid(cheap_grid(), store, progress=False)
    assert again.n_run == 1
    assert results(again.records) == results(first.records)


def test_several_processes_give_the_same_results(tmp_path):
    grid = cheap_grid(2)
    alone = run_grid(grid, Store(tmp_path / "a"), progress=False)
    together = run_grid(grid, Store(tmp_path / "b"), jobs=2, progress=False)
    assert results(together.records) == results(alone.records)


def test_an_unreachable_data_set_leaves_what_is_done(tmp_path):
    good = cheap_grid(1).resolve([])[0]
    bad = good.model_copy(update={"dataset": "nobody/nothing"})
    with pytest.raises(CourseError, match="nobody/nothing"):
        sweep([good, bad], Store(tmp_path), progress=False)
    assert len(Store(tmp_path).records()) == 1


def start(store: Path) -> subprocess.Popen:
    process = subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(store)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert process.stdout is not None
    assert process.stdout.readline().strip() == "ready"
    return process


def test_killed_ten_times_it_ends_as_an_undisturbed_one(tmp_path):
    grid = cheap_grid(seeds=30)
    undisturbed = run_grid(grid, Store(tmp_path / "undisturbed"), progress=False)
    folder, rng = tmp_path / "killed", random.Random(0)
    seen: dict[str, bytes] = {}
    grown = 0
    for _ in range(10):
        process = start(folder)
        assert process.stdout is not None
        while not process.stdout.readline().endswith("True\n"):
            pass  # a record of this process is there, so it is in the middle of its work
        time.sleep(rng.uniform(0, 0.1))
        process.send_signal(signal.SIGKILL)
        process.wait()
        now = {path.stem: path.read_bytes() for path in folder.glob("*.json")}
        assert seen.items() <= now.items()  # nothing lost, nothing rewritten
        assert len(Store(folder).records()) == len(now)  # nothing corrupt
        grown += len(seen) < len(now) < len(grid.cells)
        seen = now
    assert grown == 10
    finished = run_grid(grid, Store(folder), progress=False)
    assert finished.n_run == len(grid.cells) - len(seen)
    assert results(finished.records) == results(undisturbed.records)
    assert len(list(folder.glob("*.json"))) == len(grid.cells)


def test_two_processes_on_one_store_share_the_work(tmp_path):
    pair = [start(tmp_path), start(tmp_path)]
    reports = [process.communicate(timeout=120)[0].split("\n") for process in pair]
    assert [process.returncode for process in pair] == [0, 0]
    fresh = [line.split()[0] for report in reports for line in report if line.endswith("True")]
    assert len(fresh) == len(set(fresh)) == len(cheap_grid(30).cells)


def test_one_training_is_tested_on_further_sets(tmp_path, monkeypatch):
    news, social = "eriktks/conll2003", "leondz/wnut_17"
    people = {news: "PER", social: "person"}
    monkeypatch.setattr(sources, "load_dataset", lambda name, **_: _people(name, people[name]))
    specs = get_grid("entities")("smoke", methods=["word-lookup"]).resolve([])
    specs = [spec.model_copy(update={"n_train": 2}) for spec in specs]
    first, second = sweep(specs, Store(tmp_path), progress=False).records
    for record in (first, second):
        assert record.metrics["f1@validation"] == 1
        assert record.metrics["f1"] == record.metrics[f"f1@{record.spec.dataset}"] == 1
    assert first.metrics[f"f1@{social}"] == second.metrics[f"f1@{news}"] == 0  # other names there
    assert first.provenance["also"].keys() == {social}
    assert len(first.fractions(f"f1@{social}")) == 1
    assert paired_difference([first], [second], f"f1@{news}").value == 1
    with pytest.raises(CourseError, match="different examples"):
        paired_difference([first], [second], "f1")


def _people(name: str, kind: str) -> tuple[DatasetDict, sources.Source]:
    tags = List(ClassLabel(names=["O", f"B-{kind}"]))
    features = Features({"tokens": List(Value("string")), "ner_tags": tags})
    row = {"tokens": [f"Ada-{kind}", "sings"], "ner_tags": [1, 0]}
    dataset = DatasetDict(
        {
            split: Dataset.from_list([row] * n, features=features)
            for split, n in {"train": 2, "validation": 1, "test": 1}.items()
        }
    )
    mark = sources.fingerprint.of_dataset(dataset)
    return dataset, sources.Source("generated", name, None, mark, "generated", "none")


def test_further_sets_are_for_tagging_only():
    spec = get_grid("learning-curves")("smoke", methods=["tfidf"]).resolve([])[0]
    with pytest.raises(CourseError, match="Only tagging"):
        prepare(spec.model_copy(update={"also": ("validation",)}))
