"""Further pre-training: what is hidden and learned, what it costs, what it does not look at."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoTokenizer, BertForMaskedLM

from utils import sources
from utils.adaptation import METHODS, Outcome, Problem, further_pretraining, get_method, methods_for
from utils.adaptation.batching import tokenise
from utils.adaptation.encoder import forward_flops, load_encoder, load_masked_language_model
from utils.adaptation.further_pretraining import Asked, HiddenTokens, mean_loss
from utils.errors import CourseError
from utils.experiments import Spec, get_grid
from utils.experiments.run import prepare, run
from utils.pretraining import model as pretraining_model
from utils.pretraining.packing import vocabulary_of
from utils.tasks import sentence_pairs, tagging, text_classification
from utils.tasks.splits import Splits

NAME = "further-pretraining"
MODEL, _ = sources.model_path(sources.MINILM)
MINI, _ = sources.model_path(sources.COURSE_BERT)
VOCABULARY = vocabulary_of(AutoTokenizer.from_pretrained(MODEL), torch.device("cpu"))
SMALL = {"batch_size": 8, "epochs": 1, "min_updates": 4, "further_updates": 3}


@pytest.fixture(scope="module")
def splits() -> Splits:
    return text_classification.load(
        "stanfordnlp/sst2", profile="smoke", validation_limit=24, test_limit=12
    )


def problem(splits: Splits, path: Path = MODEL, **hyper: Any) -> Problem:
    return Problem(
        train=text_classification.subset(splits.train, 16, 0), validation=splits.validation,
        evaluation=splits.test, n_classes=2, seed=0, max_length=64, model_path=path,
        unlabelled=splits.train.texts, hyper={**METHODS[NAME].defaults, **SMALL, **hyper},
    )  # fmt: skip


def fit(problem: Problem) -> Outcome:
    return get_method(NAME).fit(problem)


def weights(cache: Path) -> dict[str, torch.Tensor]:
    """Those of the one encoder that was kept."""
    (file,) = cache.glob("further-pretraining/*/model.safetensors")
    return load_file(file)


def test_it_solves_all_tasks_of_encoders() -> None:
    for task in ("text-classification", "sentence-pairs", "tagging"):
        assert NAME in methods_for(task)
    assert METHODS[NAME].candidates == METHODS["full"].candidates
    assert METHODS["full"].defaults.items() <= METHODS[NAME].defaults.items()


def test_without_further_updates_it_is_fine_tuning_bit_for_bit(splits) -> None:
    ours = fit(problem(splits, further_updates=0))
    plain = get_method("full").fit(problem(splits))
    np.testing.assert_array_equal(ours.predictions, plain.predictions)
    assert ours.curve == plain.curve
    assert {**ours.cost, "wall_seconds": 0} == {**plain.cost, "wall_seconds": 0}


def test_updates_that_change_nothing_change_nothing_afterwards(splits) -> None:
    """The fine-tuning begins with the same draws and reads the encoder that was written."""
    ours = fit(problem(splits, further_learning_rate=0.0))
    plain = get_method("full").fit(problem(splits))
    np.testing.assert_array_equal(ours.predictions, plain.predictions)


def test_hidden_tokens_are_told_better_and_better(splits) -> None:
    asked = Asked(tokenise(splits.validation.texts, MODEL, 64), VOCABULARY)
    seen: list[float] = []

    def measured(model: torch.nn.Module, other: Asked) -> float:
        assert other.tokenised.input_ids == asked.tokenised.input_ids
        seen.append(mean_loss(model, other))
        return seen[-1]

    before = mean_loss(HiddenTokens(load_masked_language_model(MODEL)), asked)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(further_pretraining, "mean_loss", measured)
        fit(problem(splits, further_updates=30, min_updates=1))
    assert len(seen) == 5
    assert seen == sorted(seen, reverse=True)
    assert seen[-1] < before - 1


def test_the_encoder_has_changed_before_it_is_fine_tuned(splits, tmp_path) -> None:
    fit(replace(problem(splits), cache=tmp_path))
    before = load_encoder(MODEL).state_dict()
    after = weights(tmp_path)
    assert after.keys() == before.keys() - {"embeddings.position_ids"}
    # Biases of keys change no attention weight; tokens of the second text do not occur.
    same = {name for name, t in after.items() if t.equal(before[name])}
    assert all(name.endswith("key.bias") for name in same), same


def test_labels_and_their_number_make_no_difference_to_it(splits, tmp_path) -> None:
    plain = replace(problem(splits), cache=tmp_path / "plain")
    other = text_classification.subset(splits.train, 24, 1)
    other = replace(other, labels=np.random.default_rng(0).permutation(other.labels))
    fit(plain)
    fit(replace(plain, train=other, cache=tmp_path / "other"))
    found = [weights(tmp_path / name) for name in ("plain", "other")]
    assert all(tensor.equal(found[1][name]) for name, tensor in found[0].items())


def test_what_was_kept_is_used_again_with_its_cost(splits, tmp_path, monkeypatch) -> None:
    first = fit(replace(problem(splits), cache=tmp_path))
    monkeypatch.setattr(further_pretraining, "_pretrain", None)
    again = fit(replace(problem(splits), cache=tmp_path))
    np.testing.assert_array_equal(first.predictions, again.predictions)
    rate = fit(replace(problem(splits, learning_rate=5e-5), cache=tmp_path))
    assert not np.array_equal(first.predictions, rate.predictions)
    for other in (again, rate):
        assert {**first.cost, "wall_seconds": 0} == {**other.cost, "wall_seconds": 0}
    without_cache = {"wall_seconds"} | {n for n in first.cost if first.cost[n] == again.cost[n]}
    assert without_cache == first.cost.keys()


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"max_length": 32},
        {"unlabelled": ["one text", "and one more"]},
        {"model_fingerprint": "another"},
        {"hyper": {"further_learning_rate": 3e-4}},
        {"hyper": {"further_updates": 4}},
        {"hyper": {"dropout": 0.1}},
    ],
)
def test_nothing_else_is_taken_for_it(splits, change: dict[str, Any]) -> None:
    plain = problem(splits)
    other = {**change, "hyper": plain.hyper | change.get("hyper", {})}
    key = further_pretraining._key
    assert key(plain) != key(replace(plain, **other))
    assert key(plain) == key(replace(plain, hyper=plain.hyper | {"epochs": 9, "min_updates": 7}))


def test_what_it_costs(splits) -> None:
    ours, plain = fit(problem(splits)), get_method("full").fit(problem(splits))
    for name in ("parameters", "trainable_parameters"):
        assert ours.cost[name] == plain.cost[name]
    assert ours.cost["optimiser_steps"] == plain.cost["optimiser_steps"] + 3
    assert ours.cost["examples_seen"] == plain.cost["examples_seen"] + 3 * 8
    assert ours.cost["wall_seconds"] > plain.cost["wall_seconds"]


def test_flops_equal_those_that_torch_counts(splits) -> None:
    """One text in one update: forward and backward pass of the encoder, and of the head."""
    from torch.utils.flop_counter import FlopCounterMode

    text = "a film that is as long as it is wide"
    one = replace(
        problem(splits, further_updates=1, batch_size=1), unlabelled=[text],
        train=splits.train.take(np.arange(1)),
    )  # fmt: skip
    plain = get_method("full").fit(one).cost["flops"]
    asked = Asked(tokenise([text], MODEL, 64), VOCABULARY)
    inputs, labels = asked.batch(np.array([0]))
    library = load_masked_language_model(MODEL)
    library.set_attn_implementation("eager")  # torch does not count its fused kernel on a CPU
    with FlopCounterMode(display=False) as counter:
        logits = HiddenTokens(library)(**inputs)
        torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten()).backward()
    found = fit(one).cost["flops"] - plain
    assert found == pytest.approx(counter.get_total_flops(), rel=1e-6)
    assert found > 3 * forward_flops(library.config, 1, inputs["input_ids"].shape[1])


TEXTS = ["a", "a good film", "word " * 60, "unaffordable housing in Zürich 😀 \u4e00", ""]


def test_special_tokens_are_never_asked_for_and_shares_are_kept() -> None:
    tokenised = tokenise(TEXTS, MODEL, 64)
    asked = Asked(tokenised, VOCABULARY)
    special = torch.tensor(AutoTokenizer.from_pretrained(MODEL).all_special_ids)
    asked_for = np.zeros(len(TEXTS))
    fates = {"mask": 0, "same": 0, "other": 0}
    torch.manual_seed(0)
    order = np.arange(len(TEXTS))
    original = tokenised.batch(order.tolist())["input_ids"]
    for _ in range(300):
        inputs, labels = asked.batch(order)
        there = labels != -100
        asked_for += there.sum(dim=1).numpy()
        assert not torch.isin(labels[there], special).any()
        assert labels[there].equal(original.gather(1, inputs["positions"])[there])
        shown = inputs["input_ids"].gather(1, inputs["positions"])[there]
        fates["mask"] += int((shown == VOCABULARY.mask_id).sum())
        fates["same"] += int((shown == labels[there]).sum())
        untouched = inputs["input_ids"].scatter(1, inputs["positions"], 0)
        assert untouched.equal(original.scatter(1, inputs["positions"], 0))
    assert (asked_for / 300).tolist() == [1, 1, 9, pytest.approx(asked.n_hidden[3]), 0]
    n = asked_for.sum()
    assert fates["mask"] / n == pytest.approx(0.8, abs=0.03)
    assert fates["same"] / n == pytest.approx(0.1, abs=0.03)
    assert asked.told.tolist() == [False, True, True, True, False]


def test_every_token_of_a_text_has_its_turn() -> None:
    asked = Asked(tokenise(["a good long film"], MODEL, 64), VOCABULARY)
    places = {int(asked.batch(np.array([0]))[0]["positions"][0, 0]) for _ in range(100)}
    assert places == {1, 2, 3, 4}


def test_questions_of_the_validation_are_the_same_each_time(splits) -> None:
    asked = Asked(tokenise(splits.validation.texts, MODEL, 64), VOCABULARY)
    model = HiddenTokens(load_masked_language_model(MODEL))
    first = mean_loss(model, asked)
    state = torch.get_rng_state()
    assert mean_loss(model, asked) == first
    assert torch.get_rng_state().equal(state)  # nor do they move what is drawn in the training


def test_a_head_of_the_checkpoint_is_used() -> None:
    library, ours = load_masked_language_model(MINI), pretraining_model.load(MINI)
    ids = torch.randint(200, 4000, (2, 9))
    positions = torch.tensor([[1, 4], [0, 8]])
    with torch.no_grad():
        found = HiddenTokens(library.eval())(ids, torch.ones_like(ids), positions)
        expected, _ = ours(ids, positions)
        whole = BertForMaskedLM.from_pretrained(MINI, dtype=torch.float32).eval()(ids).logits
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-3)
    index = positions[..., None].expand(-1, -1, whole.shape[-1])
    torch.testing.assert_close(found, whole.gather(1, index), atol=1e-4, rtol=1e-4)


def test_a_head_that_is_missing_compares_with_token_vectors() -> None:
    library = load_masked_language_model(MODEL).eval()
    hidden = torch.randn(3, 384)
    with torch.no_grad():
        found = library.cls(hidden)
        normed = torch.nn.functional.layer_norm(hidden, (384,), eps=1e-12)
        vectors = library.base_model.embeddings.word_embeddings.weight
    torch.testing.assert_close(found, normed @ vectors.T, atol=1e-3, rtol=1e-4)
    assert library.get_output_embeddings().weight is vectors


def test_another_kind_of_model_is_refused(tmp_path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "distilbert"}')
    with pytest.raises(CourseError, match=r"models like BERT only.*of the type distilbert"):
        load_masked_language_model(tmp_path)


def test_texts_without_words_are_refused(splits) -> None:
    with pytest.raises(CourseError, match="No text has two words"):
        fit(replace(problem(splits), unlabelled=["", "one"]))


def test_labelled_texts_are_read_where_no_others_are_given(splits, tmp_path) -> None:
    few = problem(splits)
    fit(replace(few, unlabelled=(), cache=tmp_path / "a"))
    fit(replace(few, unlabelled=few.train.texts, cache=tmp_path / "b"))
    one, other = weights(tmp_path / "a"), weights(tmp_path / "b")
    assert all(tensor.equal(other[name]) for name, tensor in one.items())


NAMES = ["O", "B-PER", "I-PER"]
WORDS = tagging.Examples(
    [["Ada", "Miller", "saw", "Oslo"], ["Rain", "fell", "on", "Kurt"]] * 6,
    [np.array([1, 2, 0, 0]), np.array([0, 0, 0, 1])] * 6,
    NAMES,
)
PAIRS = sentence_pairs.Examples(
    [("Who fell?", "Kurt fell here."), ("Who saw it?", "It rained.")] * 6, np.array([0, 1] * 6)
)


@pytest.mark.parametrize("path", [MODEL, MINI])
def test_words_and_pairs(path: Path, tmp_path: Path) -> None:
    hyper = METHODS[NAME].defaults | SMALL
    for task, examples, n in (("tagging", WORDS, 3), ("sentence-pairs", PAIRS, 2)):
        given = Problem(
            examples, examples, examples, n, 0, 32, hyper, path, task=task, cache=tmp_path / task,
            unlabelled=examples.texts,
        )  # fmt: skip
        outcome = fit(given)
        assert outcome.predictions.shape == ((48,) if task == "tagging" else (12, 2))
        assert np.isfinite(outcome.predictions).all()
        before = load_encoder(path).state_dict()
        kinds = "embeddings.token_type_embeddings.weight"
        # Weights without a gradient shrink by a few millionths: weight decay.
        changed = ((weights(tmp_path / task)[kinds] - before[kinds]).abs() > 1e-5).any(dim=1)
        assert changed.tolist() == [True, task == "sentence-pairs"]


def test_a_model_is_left(splits, tmp_path) -> None:
    from utils.adaptation.classifier import Classifier

    assert METHODS[NAME].leaves_model
    names = ("negative", "positive")
    outcome = fit(replace(problem(splits), keep=tmp_path / "m", label_names=names))
    found, _ = Classifier.load(tmp_path / "m").predict(splits.test.texts)
    np.testing.assert_allclose(found, outcome.predictions, atol=1e-6)


def test_an_interrupted_training_goes_on(splits, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(further_pretraining, "CHECKPOINTED_UPDATES", 1)
    given = replace(problem(splits, further_updates=10), checkpoint=tmp_path / "state.pt")
    fit(replace(given, cache=tmp_path / "whole"))
    calls = 0

    def interrupted(model: torch.nn.Module, asked: Asked) -> float:
        nonlocal calls
        calls += 1
        if calls == 4:
            raise KeyboardInterrupt
        return mean_loss(model, asked)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(further_pretraining, "mean_loss", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fit(replace(given, cache=tmp_path / "parts"))
    assert [file.name for file in tmp_path.glob("*.pt")] == ["state.further.pt"]
    fit(replace(given, cache=tmp_path / "parts"))
    whole, parts = weights(tmp_path / "whole"), weights(tmp_path / "parts")
    assert all(tensor.equal(parts[name]) for name, tensor in whole.items())
    assert not list(tmp_path.glob("*.pt"))


def test_a_run_hands_over_all_texts_of_the_training_split(monkeypatch) -> None:
    handed: list[Problem] = []

    def noted(problem: Problem) -> Outcome:
        handed.append(problem)
        raise InterruptedError

    monkeypatch.setattr(further_pretraining, "further_pretraining", noted)
    spec = Spec(
        dataset="stanfordnlp/sst2", method=NAME, model=sources.MINILM, n_train=16,
        profile="smoke", validation_limit=24, test_limit=24, hyper=METHODS[NAME].defaults,
    )  # fmt: skip
    prepared = prepare(spec)
    with pytest.raises(InterruptedError):
        run(prepared)
    (given,) = handed
    assert given.unlabelled == prepared.splits.train.texts
    reserved = {*prepared.splits.validation.texts, *prepared.splits.test.texts}
    assert not reserved & set(given.unlabelled)
    assert len(given.train) == 16 < len(given.unlabelled)


def test_the_ladder_has_it_at_two_sizes_in_the_full_profile_only() -> None:
    def sizes(profile: str, **changes: Any) -> set[int | None]:
        cells = get_grid("ladder")(profile, **changes).cells
        return {cell.n_train for cell in cells if cell.method == NAME}

    assert sizes("full") == {64, 2000}
    assert sizes("quick") == sizes("smoke") == set()
    (cell, *_) = get_grid("ladder")("smoke", methods=[NAME]).cells
    assert cell.hyper["further_updates"] == cell.hyper["min_updates"] == 8
