"""What is trained, what is added, and what it costs, on the packaged MiniLM."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from utils import sources
from utils.adaptation import METHODS, Problem, fine_tuning, get_method, lower_layers, parts
from utils.adaptation.batching import Tokenised, tokenise
from utils.adaptation.classifier import Classifier
from utils.adaptation.encoder import TextClassifier, WordClassifier, forward_flops, load_encoder
from utils.adaptation.training import Settings, _optimizer
from utils.errors import CourseError
from utils.tasks.text_classification import load, subset

MODEL, _ = sources.model_path(sources.MINILM)
D, LAYERS = 384, 6
LAYER = 12 * D * D + 13 * D  # matrices: four of attention, two of width 4 D; biases, layer norms
ALL = (30522 + 512 + 2 + 2) * D + LAYERS * LAYER + 2 * D + 2


@pytest.fixture(scope="module")
def splits():
    return load("stanfordnlp/sst2", profile="smoke", validation_limit=24, test_limit=100)


def problem(splits, method: str, n: int = 16, **hyper) -> Problem:
    small = {"batch_size": 8, "epochs": 1, "min_updates": 4}
    return Problem(
        train=subset(splits.train, n, 0), validation=splits.validation, evaluation=splits.test,
        n_classes=2, seed=0, max_length=64, model_path=MODEL,
        hyper={**METHODS[method].defaults, **small, **hyper},
    )  # fmt: skip


def test_what_the_trainings_cost(splits) -> None:
    names = ("full", "gradual-unfreezing", "top-layers", "bitfit", "lora")
    flops = {name: get_method(name).fit(problem(splits, name)).cost["flops"] for name in names}
    # A third of the layers forwards and backwards in each update, the others once for each text.
    lengths = tokenise(problem(splits, "top-layers").train.texts, MODEL, 64).lengths()
    once = forward_flops(load_encoder(MODEL).config, len(lengths), int(lengths.max()))
    assert flops["top-layers"] == pytest.approx(flops["full"] / 3 + once * 4 / 6)
    assert flops["top-layers"] < flops["gradual-unfreezing"] < flops["full"]
    assert flops["bitfit"] == pytest.approx(flops["full"] * 2 / 3)
    assert flops["lora"] == pytest.approx(flops["full"] * 2 / 3, rel=0.02)


def test_frozen_layers_are_computed_once_and_to_the_same_end(splits, monkeypatch) -> None:
    n_tokens: list[int] = []
    embeddings = type(load_encoder(MODEL).embeddings)
    forward = embeddings.forward

    def counted(self, input_ids, *args, **kwargs):
        n_tokens.append(input_ids.numel())
        return forward(self, input_ids, *args, **kwargs)

    monkeypatch.setattr(embeddings, "forward", counted)
    settings = {"learning_rate": 1e-3, "min_updates": 12}
    once = get_method("top-layers").fit(problem(splits, "top-layers", **settings))
    seen_once = sum(n_tokens)
    monkeypatch.setattr(lower_layers, "SHARED_BYTES", 0)
    n_tokens.clear()
    anew = get_method("top-layers").fit(problem(splits, "top-layers", **settings))
    np.testing.assert_allclose(once.predictions, anew.predictions, atol=1e-4)
    assert [point["validation"] for point in once.curve] == [
        point["validation"] for point in anew.curve
    ]
    assert seen_once < sum(n_tokens) / 2
    assert once.cost["flops"] < anew.cost["flops"]
    assert once.cost["parameters"] == anew.cost["parameters"] == ALL
    assert once.cost["trainable_parameters"] == anew.cost["trainable_parameters"]


@pytest.fixture(scope="module")
def distilbert(tmp_path_factory):
    """A small DistilBERT, whose parts have other names, with MiniLM's tokenizer."""
    from transformers import AutoTokenizer, DistilBertConfig, DistilBertModel

    folder = tmp_path_factory.mktemp("distilbert")
    torch.manual_seed(0)
    config = DistilBertConfig(dim=16, hidden_dim=32, n_heads=2, n_layers=4)
    DistilBertModel(config).save_pretrained(folder)
    AutoTokenizer.from_pretrained(MODEL).save_pretrained(folder)
    return folder


def test_frozen_layers_are_computed_once_for_words_too(distilbert) -> None:
    model = WordClassifier(load_encoder(distilbert), 3).eval()
    parts.top_layers(model.encoder, {"top_layers": 1})
    train = Tokenised([[2, 7, 8, 3], [2, 9, 3]], 0, [[1, 2], [1]])
    validation = Tokenised([[2, 5, 6, 7, 3]], 0, [[1, 3]])
    short = lower_layers.shorten(model, train, validation)
    assert len(parts.blocks(short.model.encoder)) == 2
    assert len(parts.blocks(model.encoder)) == 5
    for whole, numbered, rows in (
        (train, short.train, [1, 0]),
        (validation, short.validation, [0]),
    ):
        expected = model(**whole.batch(rows))
        torch.testing.assert_close(short.model.eval()(**numbered.batch(rows)), expected)
    model = WordClassifier(load_encoder(distilbert, dropout=0.1), 3)
    parts.top_layers(model.encoder, {"top_layers": 1})
    assert lower_layers.shorten(model, train, validation).model is model  # drawn anew each time


@pytest.mark.parametrize(
    "name",
    [
        *("frozen", "frozen-cls", "frozen-mixture", "frozen-int8", "probe-2", "random-init"),
        *("full", "layer-decay", "gradual-unfreezing", "top-layers", "bitfit", "lora"),
    ],
)
def test_distilbert_is_adapted_like_bert(splits, distilbert, name: str) -> None:
    given = problem(splits, name)
    if "min_updates" not in METHODS[name].defaults:
        given = replace(given, hyper=METHODS[name].defaults)
    outcome = get_method(name).fit(replace(given, model_path=distilbert))
    assert outcome.predictions.shape == (100, 2)
    assert outcome.cost["flops"] > 0


@pytest.mark.parametrize("name", ["full", "lora"])
def test_a_distilbert_can_be_kept(splits, distilbert, name: str, tmp_path: Path) -> None:
    given = replace(
        problem(splits, name),
        model_path=distilbert,
        keep=tmp_path / "kept",
        label_names=("no", "yes"),
    )
    outcome = get_method(name).fit(given)
    found, _ = Classifier.load(tmp_path / "kept").predict(given.evaluation.texts)
    np.testing.assert_allclose(found, outcome.predictions, atol=1e-5)


def test_lora_begins_as_nothing_and_can_be_merged() -> None:
    torch.manual_seed(0)
    ids = torch.randint(1000, 2000, (2, 12))
    plain, low_rank = load_encoder(MODEL).eval(), load_encoder(MODEL).eval()
    parts.lora(low_rank, {"rank": 4, "alpha": 8})
    with torch.no_grad():
        expected = plain(input_ids=ids).last_hidden_state
        torch.testing.assert_close(low_rank(input_ids=ids).last_hidden_state, expected)
        for name, weights in low_rank.named_parameters():
            if "lora_B" in name:
                weights.normal_(std=0.02)
        unmerged = low_rank(input_ids=ids).last_hidden_state
        assert (unmerged - expected).abs().max() > 0.01
        layers = [module for module in low_rank.modules() if hasattr(module, "lora_A")]
        assert len(layers) == 2 * LAYERS
        for layer in layers:
            layer.merge()
        merged = low_rank(input_ids=ids).last_hidden_state
    torch.testing.assert_close(merged, unmerged, atol=1e-4, rtol=1e-4)


def test_adapters_begin_as_nearly_nothing() -> None:
    ids = torch.randint(1000, 2000, (2, 12))
    plain, adapted = load_encoder(MODEL).eval(), load_encoder(MODEL).eval()
    parts.adapters(adapted, {"bottleneck": 16})
    with torch.no_grad():
        expected = plain(input_ids=ids).last_hidden_state
        found = adapted(input_ids=ids).last_hidden_state
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-3)


def test_blocks_are_unfrozen_from_the_top() -> None:
    counts = [parts.unfrozen_blocks(update, 100, 7, 0.5) for update in range(100)]
    assert counts[0] == 0
    assert counts[49] == 6
    assert counts[50:] == [7] * 50
    assert sorted(counts) == counts
    assert set(counts) == set(range(8))
    encoder = load_encoder(MODEL)
    unfreeze = fine_tuning._unfreezing(encoder, 100, 0.5)
    assert unfreeze is not None
    unfreeze(20)  # two of seven blocks
    trained = [next(block.parameters()).requires_grad for block in parts.blocks(encoder)]
    assert trained == [False] * 5 + [True] * 2


def test_the_backward_share_of_each_part() -> None:
    encoder = load_encoder(MODEL)
    assert parts.backward_share(encoder) == 2
    parts.biases(encoder, {})
    assert parts.backward_share(encoder) == 1
    encoder.requires_grad_(False)
    assert parts.backward_share(encoder) == 0


def test_lower_layers_learn_more_slowly() -> None:
    model = TextClassifier(load_encoder(MODEL), 2)
    optimizer = _optimizer(model, Settings(1e-3, 10), parts.decayed_rates(model.encoder, 0.5))
    found = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    assert len(found) == len(list(model.parameters()))
    for number, block in enumerate(parts.blocks(model.encoder)):
        assert {found[id(p)] for p in block.parameters()} == {1e-3 * 0.5 ** (LAYERS - number)}
    assert {found[id(p)] for p in model.classifier.parameters()} == {1e-3}


def test_what_cannot_be_done_is_said() -> None:
    encoder = load_encoder(MODEL)
    with pytest.raises(CourseError, match="has 6 layers; top_layers is 7"):
        parts.top_layers(encoder, {"top_layers": 7})
    with pytest.raises(CourseError, match="layers of a Linear are is not known"):
        parts.blocks(nn.Linear(2, 2))


def test_parts_change_nothing_before_the_first_update(splits) -> None:
    hyper = {"min_updates": 1, "learning_rate": 1e-12}
    found = [
        get_method(name).fit(problem(splits, name, n=4, **hyper)).predictions
        for name in ("full", "bitfit", "top-layers")
    ]
    for other in found[1:]:
        np.testing.assert_allclose(other, found[0], atol=1e-5)
