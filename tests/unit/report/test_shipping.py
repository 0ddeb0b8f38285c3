"""Shipping a checkpoint: its files, its card, its name."""

import json
from pathlib import Path

import pytest
import torch

from utils import sources
from utils.errors import CourseError
from utils.experiments import Record, Spec
from utils.experiments.run import prepare, run
from utils.report import ship
from utils.sources.models import COURSE_BERT, WEIGHTS

SETTINGS = {
    "vocab_size": 4096,
    "d_model": 16,
    "n_layers": 1,
    "n_steps": 4,
    "batch_size": 4,
    "n_evaluations": 2,
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Record, Path]:
    """A real, tiny pre-training, and where its weights are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COURSE_RUNS", str(tmp_path_factory.mktemp("runs")))
        spec = Spec(
            task="language-modelling",
            dataset="openstax/textbooks-en",
            method="mlm-nsp",
            profile="smoke",
            validation_limit=0,
            max_length=32,
            hyper=SETTINGS,
        )
        record = run(prepare(spec))
        return record, sources.trained_here(record.key)


@pytest.fixture
def shipped(trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Record, Path]:
    """The same, called profile full, which alone may be shipped."""
    record, weights = trained
    monkeypatch.setenv("COURSE_RESULTS", str(tmp_path / "results"))
    monkeypatch.setattr("utils.report.shipping.trained_here", lambda key: weights)
    spec = record.spec.model_copy(
        update={"profile": "full", "hyper": {**_all_settings(), **record.spec.hyper}}
    )
    full = record.model_copy(update={"spec": spec})
    return full, ship(full, "course-bert-mini")


def _all_settings() -> dict:
    from utils.adaptation import get_method

    return get_method("mlm-nsp").defaults


def test_a_shipped_checkpoint_is_found_by_name_and_reads_like_any_bert(shipped) -> None:
    from transformers import AutoModelForPreTraining, AutoTokenizer

    from utils.pretraining.model import load

    _, folder = shipped
    path, source = sources.model_path(COURSE_BERT)
    assert path == folder
    assert (source.kind, source.licence) == ("course", "Apache-2.0")
    ids = AutoTokenizer.from_pretrained(path)("the value of [MASK] .", return_tensors="pt")
    theirs = AutoModelForPreTraining.from_pretrained(path, dtype=torch.float32).eval()
    with torch.inference_mode():
        expected = theirs(**ids).prediction_logits
        place = (ids["input_ids"] == 4).nonzero()[:, 1:]
        found, follows = load(path)(ids["input_ids"], place)
    torch.testing.assert_close(found[0, 0], expected[0, place[0, 0]], atol=1e-4, rtol=1e-4)
    assert follows.shape == (1, 2)


def test_the_card_says_what_the_record_says(shipped) -> None:
    record, folder = shipped
    card = (folder / "README.md").read_text()
    assert "OpenStax, Rice University" in card
    assert f"{record.metrics['gain']:.3f}" in card
    assert f"course show {record.key}" in card
    for point in record.curve:
        assert f"| {point['step']:,.0f} | {point['loss']:.3f} |" in card
    assert json.loads((folder / "checkpoint.json").read_text())["record"] == record.key


def test_changed_weights_are_refused(shipped) -> None:
    _, folder = shipped
    weights = bytearray((folder / WEIGHTS).read_bytes())
    weights[-1] ^= 1
    (folder / WEIGHTS).write_bytes(bytes(weights))
    with pytest.raises(CourseError, match="are not the published ones"):
        sources.model_path(COURSE_BERT)
    (folder / "checkpoint.json").write_text("{}")
    with pytest.raises(CourseError, match=r"checkpoint\.json cannot be read"):
        sources.model_path(COURSE_BERT)


def test_what_cannot_be_shipped_is_refused_in_words(
    shipped, trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full, _ = shipped
    with pytest.raises(CourseError, match="is no pre-training at profile full"):
        ship(trained[0], "course-bert-mini")
    monkeypatch.setattr("utils.report.shipping.LARGEST_BYTES", 1000)
    with pytest.raises(CourseError, match="are the limit"):
        ship(full, "course-bert-mini")
    monkeypatch.setattr("utils.report.shipping.trained_here", lambda key: tmp_path / "nothing")
    with pytest.raises(CourseError, match="are not here"):
        ship(full, "course-bert-mini")


def test_other_names_are_not_in_the_course(shipped) -> None:
    with pytest.raises(CourseError, match="the course ships no such checkpoint"):
        sources.model_path("course/no-such-model")
