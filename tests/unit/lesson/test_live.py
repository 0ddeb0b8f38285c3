import re
from collections.abc import Callable

import pytest

from utils.errors import CourseError
from utils.experiments import Record, Store, SweepResult
from utils.lesson import live
from utils.lesson.live import LiveTable, run_experiments

RunsOf = Callable[..., list[Record]]


@pytest.fixture
def records(runs_of: RunsOf) -> list[Record]:
    return runs_of("full", 0.8, seeds=2) + runs_of("majority", 0.5, seeds=2, n_train=None)


def test_the_table_fills_as_experiments_are_done(records: list[Record]) -> None:
    table = LiveTable([record.spec for record in records])
    table.remaining = {record.spec.identity(): 100.0 for record in records}
    assert "0 of 4 experiments" in table.markdown()
    assert "about 7 min left" in table.markdown()
    table.add(records[0], True)
    table.add(records[2], False)
    text = table.markdown()
    assert "2 of 4 experiments: 1 run now, 1 recorded earlier; about 3 min left." in text
    one = records[0].metrics["accuracy"]
    assert f"| Fine-tuning | {one:.3f} (1 of 2 seeds) |  |" in text
    assert "| stanfordnlp/sst2, accuracy | 500 examples | all examples |" in text
    table.add(records[1], True)
    mean = (one + records[1].metrics["accuracy"]) / 2
    assert f"| Fine-tuning | {mean:.3f} |  |" in table.markdown()


def test_what_is_not_done_yet_is_a_blank_to_come(records: list[Record]) -> None:
    table = LiveTable([record.spec for record in records])
    assert re.search(r"\| Majority class \|  \| … \|", table.markdown())


def test_of_pretraining_it_shows_the_gain(pretrained) -> None:
    records = pretrained("mlm", [2.4, 2.5]) + pretrained("token-counts", [0.0])
    table = LiveTable([record.spec for record in records])
    table.add(records[0], True)
    text = table.markdown()
    assert "| openstax/textbooks-en | gain in nats |\n|---|---|" in text
    assert "| MLM, 15 % hidden | 2.400 (1 of 2 seeds) |" in text
    assert "| Token counts, no Transformer | … |" in text
    assert "accuracy" not in text


def fake_sweep(records: list[Record]) -> Callable[..., SweepResult]:
    def sweep(specs, store, *, progress, retrain, on_record) -> SweepResult:
        assert progress is False  # its bar would leave widgets in the notebook
        for record in records:
            on_record(record, retrain)
        n = len(records) * retrain
        return SweepResult(records, n, len(records) - n, optimiser_steps=7 * n)

    return sweep


@pytest.mark.parametrize("retrain", [False, True])
def test_it_leaves_evidence_of_what_was_done(
    page, records: list[Record], monkeypatch: pytest.MonkeyPatch, tmp_path, retrain: bool
) -> None:
    monkeypatch.setattr("utils.experiments.sweep", fake_sweep(records))
    specs = [record.spec for record in records]
    assert run_experiments(specs, retrain=retrain, store=Store(tmp_path)) == records
    table, proof = page.outputs
    assert "4 of 4 experiments" in table["text/markdown"]
    counts = proof["application/vnd.course.evidence+json"]
    assert counts["records"] == 4
    assert counts["records_run"] == (4 if retrain else 0)
    assert counts["optimiser_steps"] == (28 if retrain else 0)
    assert counts["device"] in ("cpu", "cuda", "mps")
    assert counts["sources"] == [records[0].provenance["source"]["location"]]
    assert counts["peak_memory_bytes"] > 0


def test_updates_are_not_sent_faster_than_anyone_can_read(
    page, records: list[Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(live.time, "monotonic", lambda: now[0])
    table = LiveTable([record.spec for record in records])
    table.start()
    table.add(records[0], True)
    assert "0 of 4" in page.outputs[-1]["text/plain"]
    now[0] += 1
    table.add(records[1], True)
    assert "2 of 4" in page.outputs[-1]["text/plain"]


def test_in_a_terminal_the_table_is_printed_once(
    records: list[Record], monkeypatch: pytest.MonkeyPatch, tmp_path, capsys
) -> None:
    monkeypatch.setattr("utils.experiments.sweep", fake_sweep(records))
    run_experiments([record.spec for record in records], store=Store(tmp_path))
    printed = capsys.readouterr().out
    assert printed.count("4 of 4 experiments") == 1
    assert "Evidence: records 4" in printed


def test_errors_for_people_come_through(page, monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    def full_disk(*_: object, **__: object) -> SweepResult:
        raise CourseError("The disk is full.")

    monkeypatch.setattr("utils.experiments.sweep", full_disk)
    with pytest.raises(CourseError, match="disk is full"):
        run_experiments([], store=Store(tmp_path))
