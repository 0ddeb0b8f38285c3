"""Keys depend on all that determines a result and on nothing else; records hold together."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from utils.errors import CourseError
from utils.experiments import Record, Spec, is_stale
from utils.experiments.record import pack_answers
from utils.experiments.spec import key_of

BASE = Spec(
    dataset="stanfordnlp/sst2",
    model="some/model",
    method="full",
    n_train=64,
    hyper={"learning_rate": 1e-4, "epochs": 3},
)
VERSIONS = {"task": 1, "method": 1}


def key(spec: Spec, data: str = "d", model: str | None = "m", versions: dict | None = None) -> str:
    return key_of(spec, data, model, versions or VERSIONS)


@pytest.mark.parametrize(
    "change",
    [
        {"dataset": "fancyzhx/ag_news"},
        {"model": "another/model"},
        {"method": "frozen"},
        {"n_train": 65},
        {"n_train": None},
        {"seed": 1},
        {"data_seed": 1},
        {"profile": "full"},
        {"split": "validation"},
        {"validation_limit": 499},
        {"test_limit": 100},
        {"max_length": 32},
        {"hyper": {"learning_rate": 1e-4, "epochs": 4}},
        {"also": ("validation",)},
    ],
)
def test_each_field_changes_the_key(change):
    assert key(BASE.model_copy(update=change)) != key(BASE)


def test_every_field_is_covered_above():
    assert set(Spec.model_fields) - {"task"} == {
        "dataset", "model", "method", "n_train", "seed", "data_seed", "profile", "split",
        "validation_limit", "test_limit", "max_length", "hyper", "also",
    }  # fmt: skip


def test_data_model_and_versions_change_the_key():
    others = [
        key(BASE, data="e"),
        key(BASE, model="n"),
        key(BASE, versions={"task": 2, "method": 1}),
        key(BASE, versions={"task": 1, "method": 2}),
    ]
    assert len({key(BASE), *others}) == 5


def test_the_order_of_hyper_parameters_does_not_matter():
    turned = BASE.model_copy(update={"hyper": {"epochs": 3, "learning_rate": 1e-4}})
    assert key(turned) == key(BASE)
    assert turned.identity() == BASE.identity()


def test_the_key_is_that_of_published_records():
    # Computed once; if it moves, every published record is orphaned.
    assert key(BASE) == "ea12920d27aeb962"


@pytest.mark.parametrize(
    "fault", [{"n_train": 0}, {"seed": -1}, {"profile": "huge"}, {"split": "train"}, {"colour": 1}]
)
def test_faulty_specs_are_refused(fault):
    with pytest.raises(ValidationError):
        Spec(**{"dataset": "d", "method": "full", **fault})


@given(st.lists(st.booleans(), min_size=1, max_size=70))
def test_packed_examples_come_back(correct):
    statistics = pack_answers({"accuracy": np.array(correct)})
    blank = Record.model_construct(statistics=statistics)
    assert blank.correct().tolist() == correct


def test_a_record_survives_the_disk(make_record):
    record = make_record()
    assert Record.model_validate_json(record.model_dump_json()) == record
    assert {"spec", "metrics", "cost", "provenance"} <= set(json.loads(record.model_dump_json()))


def tampered(record: Record, path: str, value: object) -> str:
    content = json.loads(record.model_dump_json())
    *parents, last = path.split(".")
    place = content
    for name in parents:
        place = place[name]
    place[last] = value
    return json.dumps(content)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metrics.accuracy", 0.76),
        ("spec.n_train", 32),
        ("spec.seed", 3),
        ("provenance.source.fingerprint", "0" * 16),
        ("provenance.versions_of", {"task": 1, "method": 9}),
        ("schema_version", 2),
        ("statistics.n", "3"),
    ],
)
def test_a_tampered_record_is_refused(make_record, path, value):
    with pytest.raises(ValidationError):
        Record.model_validate_json(tampered(make_record(), path, value))


PAIRS = "nsp_accuracy_other_document"


def with_pairs(record: Record, share: float) -> str:
    """The record as JSON, with four answers on pairs, and `share` of them said to be right."""
    content = json.loads(record.model_dump_json())
    content["metrics"][PAIRS] = share
    content["statistics"] |= pack_answers({PAIRS: np.array([True, False, True, True, False])})
    return json.dumps(content)


def test_answers_of_several_kinds_are_kept_apart(make_record):
    record = Record.model_validate_json(with_pairs(make_record(correct=[1, 0, 1, 1]), 0.6))
    assert record.correct().tolist() == [True, False, True, True]
    assert record.correct("accuracy").tolist() == record.correct().tolist()
    assert record.correct(PAIRS).tolist() == [True, False, True, True, False]
    assert set(record.statistics) == {"correct", "n", f"correct:{PAIRS}", f"n:{PAIRS}"}


@pytest.mark.parametrize("share", [0.59, 0.75])
def test_a_record_that_contradicts_its_answers_on_pairs_is_refused(make_record, share):
    with pytest.raises(ValidationError, match=f"its {PAIRS} is {share}, its examples say 0.6"):
        Record.model_validate_json(with_pairs(make_record(), share))


@pytest.mark.parametrize("metric", [PAIRS, "gain"])
def test_a_metric_without_single_answers_is_refused_in_words(make_record, metric):
    with pytest.raises(CourseError, match=rf"keeps no single answers for '{metric}': no interval"):
        make_record().correct(metric)


def test_records_of_older_versions_are_stale(make_record, monkeypatch):
    record = make_record()
    assert not is_stale(record)
    monkeypatch.setattr("utils.tasks.text_classification.VERSION", 2)
    assert is_stale(record)


def with_scores(record: Record, mean: float) -> str:
    """The record as JSON, with the F1 of three answers, and their mean as it is said to be."""
    content = json.loads(record.model_dump_json())
    content["metrics"]["answer_f1"] = mean
    f1 = np.array([1, 0.5, 0.25], dtype=np.float32)
    content["statistics"] |= pack_answers({"answer_f1": f1})
    return json.dumps(content)


def test_scores_of_single_answers_are_kept(make_record):
    record = Record.model_validate_json(with_scores(make_record(), 1.75 / 3))
    assert record.keeps_answers("answer_f1")
    assert not record.keeps_answers("exact_match")
    assert record.fractions("answer_f1").tolist() == [[1, 1], [0.5, 1], [0.25, 1]]
    assert record.from_answers("answer_f1") == pytest.approx(1.75 / 3)
    with pytest.raises(ValidationError, match=r"its answer_f1 is 0\.6"):
        Record.model_validate_json(with_scores(make_record(), 0.6))


def test_a_spec_without_further_evaluations_is_written_as_before_there_were_any():
    assert "also" not in BASE.model_dump(mode="json")
    assert "also" not in json.loads(BASE.model_dump_json())
    more = BASE.model_copy(update={"also": ("validation",)})
    assert Spec.model_validate_json(more.model_dump_json()) == more
    assert key_of(more, "d", None, VERSIONS, {"a/b": "e"}) != key_of(more, "d", None, VERSIONS)


def test_a_further_evaluation_keeps_its_entities_under_its_own_name(make_record):
    record = make_record()
    here, there = np.array([[1, 2, 2], [0, 0, 1]]), np.array([[1, 1, 1]])
    packed = pack_answers({"entities": here, "entities@validation": there})
    changes = {"statistics": {**record.statistics, **packed}}
    metrics = {"f1": 2 / 5, "f1@validation": 1.0, "recall@validation": 1.0}
    content = record.model_dump() | changes | {"metrics": {**record.metrics, **metrics}}
    found = Record.model_validate(content)
    assert found.from_answers("f1") == pytest.approx(2 / 5)
    assert found.fractions("f1@validation").tolist() == [[2, 2]]
    assert not found.keeps_answers("f1@a/b")
    with pytest.raises(CourseError, match="keeps no entities@a/b"):
        found.fractions("f1@a/b")
    content["metrics"]["f1@validation"] = 0.9
    with pytest.raises(ValidationError, match="its examples say 1"):
        Record.model_validate(content)
