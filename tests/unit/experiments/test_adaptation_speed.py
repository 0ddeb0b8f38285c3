"""That both sides do the same work, and that what is compared is what is said; in miniature."""

import numpy as np
import pytest
import torch
import transformers
from torch.utils.flop_counter import FlopCounterMode

from utils.adaptation.batching import tokenise
from utils.experiments import adaptation_speed
from utils.experiments.adaptation_speed import (
    Trainings,
    Work,
    feature_speed,
    fine_tuning_speed,
    ladder_speed,
    matrix_rate,
    prepare,
    with_scores,
)
from utils.experiments.speed import SpeedComparison
from utils.tasks.text_classification import load


@pytest.fixture(scope="module")
def work() -> Work:
    splits = load("stanfordnlp/sst2", profile="smoke", validation_limit=20, test_limit=12)
    return Work(splits, n_train=20, epochs=2)


def test_the_work_holds_out_what_is_tested() -> None:
    work = prepare()
    assert len(work.examples(0)) == work.n_train
    assert not set(work.splits.train.texts) & set(work.splits.validation.texts)
    assert len(work.test) == len(work.splits.validation) + len(work.splits.test)


@pytest.mark.parametrize("padding", ["longest", "max_length"])
def test_both_sides_make_the_same_updates(work, padding, monkeypatch) -> None:
    ours, theirs, widths = [], [], set()

    def counted(model, batches, make_batch, validate, settings):
        ours.append(([len(batch) for batch in batches], settings))
        return train(model, batches, make_batch, validate, settings)

    train = adaptation_speed.train
    monkeypatch.setattr(adaptation_speed, "train", counted)

    def counted_step(self, model, inputs, *others):
        theirs.append(len(inputs["labels"]))
        widths.add(inputs["input_ids"].shape[1])
        return step(self, model, inputs, *others)

    step = transformers.Trainer.training_step
    monkeypatch.setattr(transformers.Trainer, "training_step", counted_step)
    found = fine_tuning_speed("x", work, 8, padding, n_seeds=2)
    # First the few of the warm-up, then two trainings of two passes over 20 examples.
    (few, _), *whole = ours
    assert few == [8, 8] == theirs[:2]
    assert [sorted(sizes) for sizes, _ in whole] == [[4, 4, 8, 8, 8, 8]] * 2
    assert sorted(theirs[2:]) == sorted(whole[0][0] * 2)
    assert (widths == {128}) == (padding == "max_length")
    assert found.n_pairs == 2
    assert 0 <= found.score <= 1
    assert 0 <= found.their_score <= 1


def test_settings_are_those_of_the_library(work) -> None:
    defaults = transformers.TrainingArguments(output_dir="unused")
    assert defaults.learning_rate == adaptation_speed.LEARNING_RATE
    assert defaults.optim == "adamw_torch_fused"
    assert (defaults.warmup_steps, defaults.weight_decay, defaults.max_grad_norm) == (0, 0, 1)
    assert defaults.lr_scheduler_type == "linear"
    config = transformers.AutoConfig.from_pretrained(work.path)
    assert config.hidden_dropout_prob == adaptation_speed.DROPOUT
    assert config.attention_probs_dropout_prob == adaptation_speed.DROPOUT


def test_each_training_has_a_seed_of_its_own() -> None:
    seeds = []

    def run(seed: int):
        seeds.append(seed)
        return lambda: np.array([True, seed > 0])

    trainings = Trainings(run)
    trainings(), trainings()
    assert seeds == [0, 1]
    assert trainings.table().tolist() == [[1, 0], [1, 1]]


def test_scores_go_with_the_ratio() -> None:
    timed = SpeedComparison("x", 2.0, 1.5, 2.5, 1.0, 2.0, 3)
    ours, theirs = np.ones((3, 50)), np.ones((3, 50))
    theirs[:, :5] = 0
    found = with_scores(timed, ours, theirs)
    assert (found.score, found.their_score) == pytest.approx((1.0, 0.9))
    assert 0 < found.score_low < 0.1


def test_all_sides_extract_the_same_features(work, monkeypatch) -> None:
    extracted = []

    def kept(extract, examples, test):
        extracted.append(extract(test.texts))
        return np.ones((1, len(test)))

    monkeypatch.setattr(adaptation_speed, "_right", kept)
    comparisons = list(feature_speed(work, n_pairs=2))
    assert [each.comparison.split(" : ")[1] for each in comparisons] == [
        "encode in float32", "encode in float32", "feature-extraction pipeline in float32",
    ]  # fmt: skip
    ours, encode, int8, _, _, piped = (
        each / np.linalg.norm(each, axis=1, keepdims=True) for each in extracted
    )
    np.testing.assert_allclose(ours, encode, atol=1e-5)  # which gives unit vectors
    np.testing.assert_allclose(ours, piped, atol=1e-5)
    assert 0.9 < (ours * int8).sum(axis=1).mean() < 0.9999


def test_the_whole_ladder_shares_a_cache_that_is_empty_at_first(work, monkeypatch) -> None:
    fitted = []

    class Fake:
        def __init__(self, name: str) -> None:
            self.name, self.defaults = name, {}

        def fit(self, problem) -> None:
            fitted.append((self.name, len(list(problem.cache.iterdir()))))
            (problem.cache / self.name).touch()

    monkeypatch.setattr(adaptation_speed, "get_method", Fake)
    found = ladder_speed(work, n_pairs=2)
    assert found.comparison.startswith("14 frozen-feature methods and probes together")
    tuned = [("full", 0)]
    frozen = fitted[1:15]
    assert fitted == [*tuned, *frozen, *frozen, *tuned]
    assert [found for _, found in frozen] == list(range(14))
    assert {"frozen", "frozen-mixture", "probe-0", "probe-6"} < {name for name, _ in frozen}


def test_the_products_have_the_flops_of_the_real_tokens(work, monkeypatch) -> None:
    """Those of a forward pass over each text alone, as torch counts them, three times each."""
    config = transformers.BertConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64,
        attn_implementation="eager",
    )  # fmt: skip
    asked, done = [], []

    def counted(flops: float):
        asked.append(flops)
        return lambda: done.append(flops)

    monkeypatch.setattr(adaptation_speed, "matrix_products", counted)
    found = matrix_rate(work, config, batch_size=8, n_pairs=2)
    assert found.comparison == "fine-tuning, 2-layer/32, batch 8, ours : matrix products"
    assert len(asked) == 1
    assert len(done) == 3 * 6  # a warm-up and two pairs, two passes over 20 examples each
    encoder = transformers.AutoModel.from_config(config, add_pooling_layer=False)
    tokenised = tokenise(work.examples(0).texts, work.path, adaptation_speed.MAX_LENGTH)
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        for number in range(len(tokenised.input_ids)):
            encoder(**tokenised.batch([number]))
    assert 6 * asked[0] == pytest.approx(2 * 3 * counter.get_total_flops())
