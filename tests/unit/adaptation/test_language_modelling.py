"""Pre-training as an experiment: a record that holds together, and a model that others can load."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import binom
from transformers import (
    AutoModel,
    AutoModelForMaskedLM,
    AutoModelForPreTraining,
    AutoTokenizer,
    BertForMaskedLM,
    BertForPreTraining,
)

from utils import sources
from utils.adaptation import METHODS
from utils.errors import CourseError
from utils.experiments import Record, Spec
from utils.experiments.run import prepare, run
from utils.pretraining import (
    Vocabulary,
    count_tokens,
    pack,
    unigram_log_probabilities,
    vocabulary_of,
)
from utils.pretraining.evaluation import HeldOut, evaluate, held_out
from utils.pretraining.masking import IGNORED
from utils.pretraining.model import load
from utils.tasks.language_modelling import (
    OTHER_DOCUMENT,
    SAME_DOCUMENT,
    TEXTBOOKS,
    TOKEN,
    Documents,
)

N_STEPS, BATCH, LENGTH, VOCABULARY, WIDTH = 20, 16, 64, 4096, 32
N_ASKED = 1024
"""Pairs of each kind behind a reported accuracy."""

SHAPE = {"d_model": WIDTH, "n_layers": 2, "n_heads": 2, "batch_size": BATCH, "n_evaluations": 4}
METRICS = {"mlm_loss", "unigram_loss", "gain", "accuracy"}
NSP = {"nsp_accuracy_other_document", "nsp_accuracy_same_document"}


OTHERS = ("objective-causal", "objective-infilling", "objective-spans")


class Runs:
    """Records by method, with the folder that they were made in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.records: dict[str, Record] = {}
        self.splits: Any = None

    def make(self, method: str, **hyper: Any) -> None:
        prepared = prepare(
            Spec(
                task=METHODS[method].tasks[0], dataset=TEXTBOOKS, method=method, profile="smoke",
                n_train=300, validation_limit=0, seed=1, data_seed=1, max_length=LENGTH,
                hyper={**METHODS[method].defaults, "vocab_size": VOCABULARY, **hyper},
            )
        )  # fmt: skip
        self.splits = prepared.splits
        self.records[method] = run(prepared)

    def predictions(self, method: str) -> Any:
        file = self.folder / "predictions" / f"{self.records[method].key}.npz"
        return np.load(file)["predictions"]

    def model(self, method: str) -> Path:
        return self.folder / "models" / self.records[method].key


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    """All that this module looks at, run once."""
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COURSE_RUNS", str(folder))
        made = Runs(folder)
        made.make("mlm-nsp", n_steps=N_STEPS, **SHAPE)
        made.make("mlm-5", n_steps=2, **SHAPE)
        made.make("mlm-40", n_steps=2, **SHAPE)
        made.make("token-counts")
        for method in OTHERS:
            made.make(method, flops=1e10, **SHAPE)
        yield made


@pytest.mark.parametrize("method", ["mlm-nsp", "mlm-5", "mlm-40", "token-counts"])
def test_the_record_says_what_its_answers_say(runs: Runs, method: str) -> None:
    record, predictions = runs.records[method], runs.predictions(method)
    pairs = NSP if method in ("mlm-nsp", "token-counts") else set()
    losses = {name.replace("accuracy", "loss") for name in pairs}
    assert set(record.metrics) == METRICS | pairs | losses
    kinds = {"accuracy": TOKEN, "nsp_accuracy_other_document": OTHER_DOCUMENT}
    kinds["nsp_accuracy_same_document"] = SAME_DOCUMENT
    for name in {"accuracy"} | pairs:
        right = predictions[predictions[:, 0] == kinds[name], 3] == 1
        assert (record.correct(name) == right).all()
        assert record.correct(name).mean() == pytest.approx(record.metrics[name], abs=1e-12)
        assert len(right) == N_ASKED or (name == "accuracy" and len(right) > 8 * N_ASKED)
    assert Record.model_validate_json(record.model_dump_json()) == record


def test_all_methods_are_asked_the_same(runs: Runs) -> None:
    methods = ("mlm-nsp", "mlm-5", "mlm-40", "token-counts")
    asked = [p[p[:, 0] == TOKEN, 2] for p in map(runs.predictions, methods)]
    assert all((losses == asked[0]).all() for losses in asked)
    assert len({runs.records[method].metrics["unigram_loss"] for method in methods}) == 1


def test_the_curve_and_the_cost(runs: Runs) -> None:
    record = runs.records["mlm-nsp"]
    assert [point["step"] for point in record.curve] == [5, 10, 15, 20]
    for point in record.curve:
        assert {"loss", "mlm_loss", "gain", "seconds", "tokens_per_second"} | NSP <= set(point)
        assert point["gain"] == pytest.approx(point["unigram_loss"] - point["mlm_loss"])
    assert len({point["mlm_loss"] for point in record.curve}) == 4  # 20 updates move, not more
    # The curve's questions are the first of those that the record is measured on.
    assert record.curve[-1]["mlm_loss"] == pytest.approx(record.metrics["mlm_loss"], abs=0.15)
    n_sequences = N_STEPS * BATCH
    assert record.cost["optimiser_steps"] == N_STEPS
    assert record.cost["examples_seen"] == n_sequences
    assert record.cost["tokens_seen"] == n_sequences * LENGTH


def test_floating_point_operations_by_formula(runs: Runs) -> None:
    """A product of (m × k) and (k × n) takes 2mkn; backward twice what forward does."""

    def expected(n_steps: int, n_masked: int, pairs: bool) -> float:
        s, h, f, v = LENGTH, WIDTH, 4 * WIDTH, VOCABULARY
        projections = 4 * 2 * s * h * h
        attention = 2 * 2 * s * s * h
        network = 2 * 2 * s * h * f
        head = n_masked * (2 * h * h + 2 * h * v)
        if pairs:
            head += 2 * h * h + 2 * h * 2
        return 3 * n_steps * BATCH * (2 * (projections + attention + network) + head)

    for method, n_steps, share, n_special in (
        ("mlm-nsp", N_STEPS, 0.15, 3), ("mlm-5", 2, 0.05, 2), ("mlm-40", 2, 0.4, 2)
    ):  # fmt: skip
        n_masked = round(share * (LENGTH - n_special))
        assert runs.records[method].cost["flops"] == expected(n_steps, n_masked, n_special == 3)


def test_the_parameters_are_those_of_the_library(runs: Runs) -> None:
    cost, theirs = runs.records["mlm-nsp"].cost, AutoModelForPreTraining.from_pretrained(
        runs.model("mlm-nsp")
    )  # fmt: skip
    assert cost["parameters"] == cost["trainable_parameters"] == theirs.num_parameters()


def questions(runs: Runs, method: str) -> tuple[list[HeldOut], Any, Vocabulary]:
    """What the record was measured on, made again with the stored tokenizer."""
    tokenizer = AutoTokenizer.from_pretrained(runs.model(method))
    vocabulary = vocabulary_of(tokenizer)
    cache = runs.folder / "again"
    drawn = np.sort(np.random.default_rng(1).permutation(len(runs.splits.train))[:300])
    train: Documents = runs.splits.train.take(drawn)
    counts = count_tokens(pack(train, tokenizer, cache), vocabulary)
    text = pack(runs.splits.test, tokenizer, cache)
    kinds = (None, "other-document", "same-document")[: 3 if method == "mlm-nsp" else 1]
    asked = [held_out(text, vocabulary, LENGTH, kind, N_ASKED) for kind in kinds]
    return asked, unigram_log_probabilities(counts), vocabulary


def test_the_saved_model_answers_as_the_record_says(runs: Runs) -> None:
    asked, log_probabilities, vocabulary = questions(runs, "mlm-nsp")
    assert vocabulary.size == VOCABULARY
    found = evaluate(load(runs.model("mlm-nsp")), asked, log_probabilities)
    metrics = runs.records["mlm-nsp"].metrics
    assert found["unigram_loss"] == pytest.approx(metrics["unigram_loss"], abs=1e-6)
    for name in ("mlm_loss", "gain", "nsp_loss_other_document", "nsp_loss_same_document"):
        assert found[name] == pytest.approx(metrics[name], abs=1e-2)  # half precision
    for name in ("accuracy", *NSP):
        assert found[name] == pytest.approx(metrics[name], abs=2e-2)


@pytest.mark.parametrize(
    ("method", "family", "expected"),
    [
        ("mlm-nsp", AutoModelForPreTraining, BertForPreTraining),
        ("mlm-40", AutoModelForMaskedLM, BertForMaskedLM),
    ],
)
@torch.no_grad()
def test_the_library_finds_the_same_loss(
    runs: Runs, method: str, family: Any, expected: type
) -> None:
    theirs, report = family.from_pretrained(
        runs.model(method), dtype=torch.float32, output_loading_info=True
    )
    assert type(theirs) is expected
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]
    (tokens, *_), _, _ = questions(runs, method)
    losses = []
    for batch in tokens.batches:
        result = theirs.eval()(batch.input_ids.cpu())
        logits = result.prediction_logits if method == "mlm-nsp" else result.logits
        labels = torch.full_like(batch.input_ids, IGNORED).scatter(1, batch.positions, batch.labels)
        kept = labels.cpu() != IGNORED
        losses.append(
            torch.nn.functional.cross_entropy(logits[kept], labels.cpu()[kept], reduction="none")
        )
    loss = float(torch.cat(losses).mean())
    assert loss == pytest.approx(runs.records[method].metrics["mlm_loss"], abs=1e-2)


def test_nothing_is_left_to_be_resumed(runs: Runs) -> None:
    assert not list((runs.folder / "checkpoints").glob("*.pt"))


def test_counting_gains_nothing_and_sees_which_document_follows(runs: Runs) -> None:
    metrics = runs.records["token-counts"].metrics
    assert metrics["gain"] == 0
    assert metrics["mlm_loss"] == metrics["unigram_loss"]
    chance = binom.ppf(0.999, N_ASKED, 0.5) / N_ASKED
    assert metrics["nsp_accuracy_other_document"] > chance
    assert metrics["nsp_accuracy_same_document"] > chance
    # The most frequent token of the training text, guessed everywhere.
    (tokens, *_), log_probabilities, _ = questions(runs, "mlm-40")
    labels = torch.cat([batch.labels[batch.labels != IGNORED] for batch in tokens.batches])
    guess = int(log_probabilities.argmax())
    expected = float((labels == guess).double().mean())
    assert metrics["accuracy"] == pytest.approx(expected, abs=1e-9)
    assert runs.records["token-counts"].curve == []


@pytest.mark.parametrize("method", OTHERS)
def test_other_objectives_spend_what_they_are_given(runs: Runs, method: str) -> None:
    record, predictions = runs.records[method], runs.predictions(method)
    update = record.cost["flops"] / record.cost["optimiser_steps"]
    assert abs(record.cost["flops"] - 1e10) <= update / 2
    assert record.cost["optimiser_steps"] == round(1e10 / update) > 1
    assert set(record.metrics) == METRICS
    assert (predictions[:, 0] == TOKEN).all()
    assert record.metrics["mlm_loss"] == pytest.approx(predictions[:, 1].mean(), rel=1e-4)


@pytest.mark.parametrize("method", OTHERS)
@torch.no_grad()
def test_other_objectives_leave_an_encoder(
    runs: Runs, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COURSE_RUNS", str(runs.folder))
    folder, source = sources.model_path(f"run/{runs.records[method].key}")
    assert source.kind == "run"
    model = AutoModel.from_pretrained(folder, dtype=torch.float32)
    assert model.config.is_decoder == (method == "objective-causal")
    ids = torch.tensor([[2, 10, 11, 12, 3]])
    before = model(ids).last_hidden_state
    ids[0, 3] = 13
    moved = (model(ids).last_hidden_state - before).abs().sum(dim=-1)[0] > 1e-6
    assert moved.tolist() == [method != "objective-causal"] * 3 + [True] * 2


def test_a_run_that_is_not_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COURSE_RUNS", str(tmp_path))
    with pytest.raises(CourseError, match="runs: no run of this machine has left it"):
        sources.model_path("run/0123456789abcdef")
