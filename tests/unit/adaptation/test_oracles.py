"""What holds for every method of three tasks, on very small BERTs and words that mean nothing."""

import functools
import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.stats import binom
from torch import nn
from transformers import BertConfig, BertModel

from utils.adaptation import (
    METHODS,
    Outcome,
    Problem,
    features,
    fine_tuning,
    get_method,
    methods_for,
)
from utils.adaptation.encoder import load_encoder
from utils.adaptation.features import extract
from utils.pretraining.wordpiece import SPECIAL_TOKENS, make_tokenizer
from utils.tasks import sentence_pairs, tagging, text_classification

TEXTS, PAIRS, TAGS = TASKS = (text_classification.NAME, sentence_pairs.NAME, tagging.NAME)
NAMES = ["O", "B-PER", "B-LOC"]
N_CLASSES = len(NAMES)

SYLLABLES = ["".join(letters) for letters in itertools.product("bdgkmnpt", "aeiou")]
STEMS = ["".join(pair) for pair in itertools.product(SYLLABLES, SYLLABLES)][::17][:90]
WORDS = [stem + "s" * (number % 2) for number, stem in enumerate(STEMS)]  # of one or two pieces
FILLERS = ["the", "of", "and", "in", "it", "was"]
PIECES = [*SPECIAL_TOKENS, *FILLERS, *STEMS, "##s"]

D, INNER, POSITIONS = 64, 96, 32
LAYERS, PROBED_LAYERS = 3, 12  # the deepest that the registry has a probe for


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """BERTs of random weights, `3` to be trained and `12` for features, named by their layers.

    Features are cached here too: all probes share one pass.
    """
    folder = tmp_path_factory.mktemp("oracles")
    for n_layers in (LAYERS, PROBED_LAYERS):
        torch.manual_seed(1)  # other weights than those that the methods draw with the seed 0
        config = BertConfig(
            vocab_size=len(PIECES), hidden_size=D, intermediate_size=INNER, num_attention_heads=2,
            num_hidden_layers=n_layers, max_position_embeddings=POSITIONS, initializer_range=0.1,
        )  # fmt: skip
        BertModel(config, add_pooling_layer=False).save_pretrained(folder / str(n_layers))
        make_tokenizer(PIECES).save_pretrained(folder / str(n_layers))
    return folder


def examples(task: str, rows: NDArray[np.int64], labels: NDArray[np.int64], seed: int = 0) -> Any:
    """An example for each of `rows`, which alone tells it: the word with that number; or in pairs
    a word and the side it stands on; or in tagging a word of a sentence of such words.
    """
    rng = np.random.default_rng(seed)

    def among_fillers(*words: str) -> str:
        before, after = (rng.choice(FILLERS, rng.integers(1, 3)).tolist() for _ in range(2))
        return " ".join([*before, *words, *after])

    if task == TEXTS:
        texts = [among_fillers(WORDS[row]) for row in rows]
        return text_classification.Examples(texts, labels)
    if task == PAIRS:
        pairs = [(among_fillers(WORDS[row // 2]), among_fillers()) for row in rows]
        pairs = [pair[:: (-1) ** (row % 2)] for pair, row in zip(pairs, rows, strict=True)]
        return sentence_pairs.Examples(pairs, labels)
    cuts = np.cumsum(rng.integers(1, 7, size=len(rows)))
    cuts = cuts[cuts < len(rows)]
    sentences = [[WORDS[row] for row in part] for part in np.split(rows, cuts)]
    return tagging.Examples(sentences, np.split(labels, cuts), NAMES)


RATES = {"bitfit": 1e-2, "lora": 1e-2, "adapters": 1e-2, "top-layers": 1e-2}
"""As in the registry, what trains fewer weights learns faster."""

SLOW = ("bitfit", "adapters")  # need more updates where the encoder is random


def hyper_of(name: str, batch_size: int) -> dict[str, Any]:
    """What the method is defined by, but few and large updates of these small models."""
    changed = {
        "learning_rate": RATES.get(name, 3e-3), "min_updates": 100 if name in SLOW else 40,
        "batch_size": batch_size, "further_updates": 4, "dropout": 0.0, "C": 10.0,
    }  # fmt: skip
    return {key: changed.get(key, value) for key, value in METHODS[name].defaults.items()}


def problem(
    folder: Path, name: str, task: str, train: Any, evaluation: Any = None, batch_size: int = 9
) -> Problem:
    """`train` is also validated on, and evaluated if nothing else is."""
    of_features = METHODS[name].implementation.startswith(features.__name__)
    path = folder / str(PROBED_LAYERS if of_features else LAYERS)
    return Problem(
        train, train, train if evaluation is None else evaluation, N_CLASSES, 0, POSITIONS,
        hyper_of(name, batch_size), path, task=task, cache=folder if of_features else None,
    )  # fmt: skip


def right(outcome: Outcome, wanted: Any) -> NDArray[np.bool_]:
    """Whether each text, or each word, got its label."""
    found = outcome.predictions
    return (found if found.ndim == 1 else found.argmax(axis=1)) == wanted.labels


SET = np.arange(18)
"""Rows that are memorised; the two sides of a pair have different labels."""


def to_memorise(task: str) -> tuple[Any, Any]:
    """The set, and the same in another order, so that rows that are mixed up are found."""
    train = examples(task, SET, SET % N_CLASSES)
    return train, train.take(np.random.default_rng(0).permutation(len(train)))


@pytest.fixture(scope="module")
def memorised(folder: Path) -> Callable[[str, str], tuple[Outcome, nn.Module | None]]:
    """What each method makes of the set in a task, with the encoder that it has left, if any."""

    @functools.cache
    def fit(name: str, task: str) -> tuple[Outcome, nn.Module | None]:
        models: list[Any] = []
        predict = fine_tuning.predict

        def kept(model: nn.Module, tokenised: Any) -> Any:
            models.append(model)
            return predict(model, tokenised)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(fine_tuning, "predict", kept)
            outcome = get_method(name).fit(problem(folder, name, task, *to_memorise(task)))
        return outcome, models[-1].encoder if models else None

    return fit


EVERY = [(name, task) for task in TASKS for name in methods_for(task)]


@pytest.mark.parametrize(("name", "task"), [case for case in EVERY if case[0] != "majority"])
def test_a_set_that_can_be_memorised_is(memorised, name: str, task: str) -> None:
    outcome, _ = memorised(name, task)
    _, evaluation = to_memorise(task)
    assert right(outcome, evaluation).all()


@pytest.mark.parametrize(("name", "task"), EVERY)
def test_labels_that_mean_nothing_give_chance(folder, name: str, task: str) -> None:
    """All labels are drawn, those to learn and choose by (30 words) and those of the test set (90).

    Whatever was learned from the former, each answer is then right with the chance 1/3, and
    independently of the others. So the number of right ones is binomial: here within what it leaves
    once in a million times. Had a method learned from the test set, it would know more of it.
    """
    rng = np.random.default_rng(1)
    everything = np.arange(len(WORDS))
    train, test = (
        examples(task, rows, rng.integers(0, N_CLASSES, size=len(rows)), seed)
        for seed, rows in enumerate((rng.permutation(everything)[:30], everything))
    )
    given = problem(folder, name, task, train, test, batch_size=30)
    found = right(get_method(name).fit(given), test)
    lowest, highest = binom.interval(1 - 1e-6, len(WORDS), 1 / N_CLASSES)
    assert len(found) == len(WORDS)
    assert lowest <= found.sum() <= highest


VECTORS = 5 * D + INNER + 2 * D  # biases in a layer: of six matrices, two layer norms
LAYER = 4 * D * D + 2 * D * INNER + VECTORS + 2 * D
WHOLE = (len(PIECES) + POSITIONS + 2 + 2) * D + LAYERS * LAYER
HEAD = (D + 1) * N_CLASSES
COUNTS = {
    **dict.fromkeys(["full", "full-short", "full-long", "further-pretraining"], WHOLE + HEAD),
    **dict.fromkeys(["layer-decay", "gradual-unfreezing", "random-init"], WHOLE + HEAD),
    "top-layers": 2 * LAYER + HEAD,
    "bitfit": LAYERS * VECTORS + D + HEAD,
    "lora": LAYERS * 2 * (2 * 8 * D) + HEAD,
    "adapters": LAYERS * (2 * (2 * 48 * D + 48 + D) + 4 * D) + HEAD,
    "frozen-last-four": (4 * D + 1) * N_CLASSES,
    "frozen-mixture": HEAD + PROBED_LAYERS + 1,
    "frozen-mixture-last-four": HEAD + 4,
    "word-lookup": len(SET),
}
"""Weights that are trained; of the methods on other features, those of the linear classifier."""

UNCOUNTED = ("majority", "tfidf")  # nothing is trained, or as much as there are words


@pytest.mark.parametrize(("name", "task"), [case for case in EVERY if case[0] not in UNCOUNTED])
def test_trainable_weights_by_formula(memorised, name: str, task: str) -> None:
    outcome, _ = memorised(name, task)
    assert outcome.cost["trainable_parameters"] == COUNTS.get(name, HEAD)


IN_PART = ("top-layers", "bitfit", "lora", "adapters")


def is_trained(method: str, name: str) -> bool:
    if method == "top-layers":
        return name.startswith(("encoder.layer.1.", "encoder.layer.2."))
    if method == "bitfit":
        return name.endswith("bias")
    return method == "adapters" and "LayerNorm" in name and name.startswith("encoder.")


def original(name: str) -> str:
    """The name that a weight had before layers were put around it."""
    return name.replace("base_layer.", "").replace("dense.0.", "dense.")


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("name", IN_PART)
def test_what_is_frozen_stays_bit_for_bit(folder, memorised, name: str, task: str) -> None:
    before = dict(load_encoder(folder / str(LAYERS)).named_parameters())
    _, encoder = memorised(name, task)
    after = {original(n): weights for n, weights in encoder.named_parameters()}
    assert before.keys() <= after.keys()
    for weights_name, weights in before.items():
        # Biases of keys change no attention weight (the softmax takes off what all scores share).
        if is_trained(name, weights_name) and not weights_name.endswith("key.bias"):
            assert not weights.equal(after[weights_name]), weights_name
        elif not is_trained(name, weights_name):
            assert weights.equal(after[weights_name]), weights_name
    for added in after.keys() - before.keys():
        assert after[added].any(), added  # also of what begins at 0: B of LoRA, an adapter's biases


@pytest.mark.parametrize("task", TASKS)
def test_blocks_stay_bit_for_bit_until_they_are_unfrozen(folder, task: str, monkeypatch) -> None:
    seen: list[dict[str, torch.Tensor]] = []
    train = fine_tuning.train

    def watched(model, *others, before_update, **named):
        def noted(update: int) -> None:
            weights = model.encoder.named_parameters()
            seen.append({name: tensor.detach().clone() for name, tensor in weights})
            before_update(update)

        return train(model, *others, before_update=noted, **named)

    monkeypatch.setattr(fine_tuning, "train", watched)
    data, _ = to_memorise(task)
    get_method("gradual-unfreezing").fit(problem(folder, "gradual-unfreezing", task, data))
    assert len(seen) == 40
    # Four blocks join at even distances in the first half of 40 updates, the embeddings last.
    joins = {"encoder.layer.2.": 5, "encoder.layer.1.": 10, "encoder.layer.0.": 15}
    for block, joined in (joins | {"embeddings.": 20}).items():
        names = [name for name in seen[0] if name.startswith(block)]
        assert names
        for name in names:
            assert all(later[name].equal(seen[0][name]) for later in seen[: joined + 1]), name
        # `seen` has what an update found: the next one finds what it changed.
        assert not all(seen[joined + 1][name].equal(seen[0][name]) for name in names), block


WAYS = {"pretrained": {}, "random": {"pretrained": False}, "int8": {"int8": True}}


@pytest.mark.parametrize("task", TASKS)
def test_cached_features_equal_fresh_ones(folder, task: str, tmp_path: Path, monkeypatch) -> None:
    data, _ = to_memorise(task)
    texts = data.texts
    given = replace(problem(folder, "frozen", task, data), cache=tmp_path)
    uncached = replace(given, cache=None)
    fresh = {way: extract(uncached, texts, **named)[0] for way, named in WAYS.items()}
    first = {way: extract(given, texts, **named) for way, named in WAYS.items()}
    assert len(list(tmp_path.rglob("*.npy"))) == len(WAYS)  # none is taken for another
    with monkeypatch.context() as patch:
        patch.setattr(features, "compute", None)
        cached = {way: extract(given, texts, **named) for way, named in WAYS.items()}
    for way in WAYS:
        np.testing.assert_array_equal(cached[way][0], fresh[way], err_msg=way)
        assert cached[way][1] == first[way][1]
    for one, other in itertools.combinations(fresh.values(), 2):
        assert not np.array_equal(one, other)
    extract(given, texts[::-1])
    assert len(list(tmp_path.rglob("*.npy"))) == len(WAYS) + 1
