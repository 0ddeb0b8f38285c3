"""Causal language modelling: no look ahead, the loss by hand, and the library's GPT-2."""

import math
from dataclasses import replace

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from utils.errors import CourseError
from utils.pretraining import PackedText, Vocabulary, count_tokens, unigram_log_probabilities
from utils.pretraining.causal import CausalLanguageModel, CausalLanguageModelling, CausalSequences
from utils.pretraining.loop import Settings, pretrain
from utils.pretraining.masking import IGNORED
from utils.transformer import TransformerConfig

PAD, UNK, CLS, SEP, MASK, FIRST, SIZE = 0, 1, 2, 3, 4, 5, 40
CONFIG = TransformerConfig(
    vocab_size=SIZE, d_model=16, n_layers=2, n_heads=2, d_ff=32, max_length=12, norm="pre"
)


def vocabulary() -> Vocabulary:
    maskable = torch.arange(SIZE) >= FIRST
    return Vocabulary(SIZE, MASK, CLS, SEP, FIRST, maskable, torch.zeros(SIZE).bool())


def text(tokens: torch.Tensor) -> PackedText:
    return PackedText(tokens.int(), torch.tensor([0, len(tokens)]), torch.zeros(1).long())


def model(config: TransformerConfig = CONFIG) -> CausalLanguageModel:
    torch.manual_seed(0)
    made = CausalLanguageModel(config)
    with torch.no_grad():
        for weight in made.parameters():
            weight.add_(torch.randn_like(weight) * 0.1)
    return made.eval()


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("norm", ["pre", "post"])
@torch.no_grad()
def test_the_future_does_not_leak(fused: bool, norm: str) -> None:
    made = model(replace(CONFIG, fused=fused, norm=norm))
    torch.manual_seed(1)
    input_ids = torch.randint(FIRST, SIZE, (3, 12))
    logits = made(input_ids)
    for t in range(12):
        changed = input_ids.clone()
        changed[:, t:] = FIRST + (changed[:, t:] - FIRST + 1) % (SIZE - FIRST)
        found = made(changed)
        assert found[:, :t].equal(logits[:, :t])  # bit for bit
        assert (found[:, t] != logits[:, t]).any()


def test_what_is_drawn() -> None:
    torch.manual_seed(0)
    tokens = torch.randint(FIRST, SIZE, (200,))
    tokens[::7], tokens[::11] = UNK, SEP
    objective = CausalLanguageModelling(text(tokens), vocabulary(), 12)
    batch = objective.draw(500)
    assert batch.input_ids.shape == batch.labels.shape == (500, 12)
    assert (batch.input_ids[:, 0] == CLS).all()
    following = batch.input_ids[:, 1:]
    asked = batch.labels != IGNORED
    assert (batch.labels[asked] >= FIRST).all()
    assert (batch.labels[:, :-1] == following)[following >= FIRST].all()
    assert not asked[:, :-1][following < FIRST].any()
    assert not (batch.input_ids[:, 1:] == CLS).any()
    # The text continues beyond the input: the last label is the token that stands there.
    row = tokens.tolist()
    sequence = batch.input_ids[0, 1:].tolist()
    last = batch.labels[0, -1].item()
    continuations = {row[i + 11] for i in range(189) if row[i : i + 11] == sequence}
    assert (last if last != IGNORED else None) in {
        token if token >= FIRST else None for token in continuations
    }


def test_the_loss_by_hand() -> None:
    # Three words, to which the model always gives the probabilities 1/8, 2/8 and 5/8.
    class Known(torch.nn.Module):
        def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
            return torch.tensor([1.0, 2.0, 5.0]).log().expand(1, 3, 3)

    objective = CausalLanguageModelling(text(torch.arange(20)), vocabulary(), 3)
    batch = CausalSequences(torch.zeros(1, 3).long(), torch.tensor([[2, IGNORED, 0]]))
    expected = -(math.log(5 / 8) + math.log(1 / 8)) / 2
    assert objective.loss(Known(), batch).item() == pytest.approx(expected)


def gpt2(ours: CausalLanguageModel) -> GPT2LMHeadModel:
    """The library's GPT-2 with our weights. It fuses queries, keys and values, and its "Conv1D"
    stores matrices transposed; its head has no bias, so ours must be zero."""
    config = ours.config
    theirs = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=config.vocab_size,
            n_positions=config.max_length,
            n_embd=config.d_model,
            n_layer=config.n_layers,
            n_head=config.n_heads,
            n_inner=config.d_ff,
            activation_function="gelu",  # GPT-2 itself has an approximation of it
            layer_norm_epsilon=config.layer_norm_eps,
        )
    )
    weights = {
        "transformer.wte.weight": ours.encoder.embeddings.tokens.weight,
        "transformer.wpe.weight": ours.encoder.embeddings.positions,
        "lm_head.weight": ours.encoder.embeddings.tokens.weight,
    }
    norms = {"transformer.ln_f": ours.encoder.norm}
    for i, layer in enumerate(ours.encoder.layers):
        place = f"transformer.h.{i}"
        norms[f"{place}.ln_1"] = layer.around_attention.norm
        norms[f"{place}.ln_2"] = layer.around_feed_forward.norm
        attention = layer.attention
        linears = {
            "attn.c_attn": (attention.query, attention.key, attention.value),
            "attn.c_proj": (attention.output,),
            "mlp.c_fc": (layer.feed_forward.inner,),
            "mlp.c_proj": (layer.feed_forward.outer,),
        }
        for name, parts in linears.items():
            weights[f"{place}.{name}.weight"] = torch.cat([p.weight for p in parts]).T
            weights[f"{place}.{name}.bias"] = torch.cat([p.bias for p in parts])
    for name, norm in norms.items():
        weights[f"{name}.weight"], weights[f"{name}.bias"] = norm.weight, norm.bias
    theirs.load_state_dict(weights)
    return theirs.eval()


@pytest.mark.parametrize("fused", [True, False])
@torch.no_grad()
def test_gpt_2_of_the_library_computes_the_same(fused: bool) -> None:
    ours = model(replace(CONFIG, fused=fused, layer_norm_eps=1e-5))
    ours.head.bias.zero_()
    theirs = gpt2(ours)
    torch.manual_seed(2)
    window = torch.randint(FIRST, SIZE, (4, 12))
    torch.testing.assert_close(ours(window), theirs(window).logits)
    objective = CausalLanguageModelling(text(window.flatten()), vocabulary(), 11)
    found = objective.loss(ours, CausalSequences(window[:, :-1], window[:, 1:]))
    # The library shifts the labels itself.
    torch.testing.assert_close(found, theirs(window, labels=window).loss)


@torch.no_grad()
def test_starting_from_frequencies() -> None:
    torch.manual_seed(3)
    some = text(torch.randint(FIRST, SIZE, (500,)).clamp(max=20))
    log_probabilities = unigram_log_probabilities(count_tokens(some, vocabulary()))
    made = CausalLanguageModel(CONFIG).eval()
    made.start_from_frequencies(log_probabilities)
    predicted = made(torch.full((1, 5), 7)).log_softmax(-1)
    assert (predicted - log_probabilities).abs().mean() < 0.1


def test_training_lowers_the_loss() -> None:
    # Each word follows the one before it, with a few [UNK] in between.
    tokens = FIRST + torch.arange(2000) % (SIZE - FIRST)
    tokens[::50] = UNK
    objective = CausalLanguageModelling(text(tokens), vocabulary(), 12)
    made = CausalLanguageModel(CONFIG)
    settings = Settings(n_steps=30, batch_size=16, n_evaluations=30, learning_rate=1e-2)
    losses = [point["loss"] for point in pretrain(made, objective, settings).curve]
    assert losses[0] == pytest.approx(math.log(SIZE - FIRST), abs=0.5)
    assert losses[-1] < losses[0] - 1.0


def test_no_position_at_all_is_refused() -> None:
    with pytest.raises(CourseError, match="nothing to foretell"):
        CausalLanguageModelling(text(torch.arange(20)), vocabulary(), 0)
