"""The cost of an update: formulas beside torch's own count of the real models."""

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from utils.errors import CourseError
from utils.pretraining import PackedText, Vocabulary
from utils.pretraining.autoencoder import Denoising, DenoisingAutoencoder
from utils.pretraining.causal import CausalLanguageModel, CausalLanguageModelling
from utils.pretraining.flops import causal_flops, masked_flops, training_flops
from utils.pretraining.model import BertForPretraining
from utils.pretraining.objectives import MaskedLanguageModelling, Objective
from utils.transformer import TransformerConfig

SIZE, LENGTH = 60, 24
# torch's counter does not know every fused kernel, so the formulas as written are counted.
CONFIG = TransformerConfig(
    vocab_size=SIZE, d_model=16, n_layers=3, n_heads=2, d_ff=40, max_length=32, fused=False
)


def vocabulary() -> Vocabulary:
    return Vocabulary(SIZE, 4, 2, 3, 5, torch.arange(SIZE) >= 5, torch.zeros(SIZE).bool())


def text() -> PackedText:
    torch.manual_seed(0)
    tokens = torch.randint(5, SIZE, (2000,), dtype=torch.int32)
    return PackedText(tokens, torch.tensor([0, 800, 2000]), torch.zeros(2).long())


def make(kind: str, config: TransformerConfig) -> tuple[Objective, nn.Module, TransformerConfig]:
    if kind == "masked":
        return (
            MaskedLanguageModelling(text(), vocabulary(), LENGTH),
            BertForPretraining(config),
            config,
        )
    if kind == "pairs":
        config = replace(config, n_segments=2)
        objective = MaskedLanguageModelling(
            text(), vocabulary(), LENGTH, negatives="other-document"
        )
        return objective, BertForPretraining(config, next_sentence=True), config
    if kind == "causal":
        return (
            CausalLanguageModelling(text(), vocabulary(), LENGTH),
            CausalLanguageModel(config),
            config,
        )
    denoising = Denoising(text(), vocabulary(), LENGTH, corruption=kind, sentence_ends=[5])
    config = replace(config, vocab_size=denoising.vocab_size)
    return denoising, DenoisingAutoencoder(config), config


@pytest.mark.parametrize("activation", ["gelu", "geglu"])
@pytest.mark.parametrize(
    "kind",
    ["masked", "pairs", "causal", "infilling", "spans", "deletion", "masking", "permutation"],
)
def test_an_update_costs_what_torch_counts(kind: str, activation: str) -> None:
    objective, model, config = make(kind, replace(CONFIG, activation=activation))
    with FlopCounterMode(display=False) as counter:
        objective.loss(model, objective.draw(6)).backward()
    assert training_flops(objective, config, 6) == counter.get_total_flops()


def test_by_hand() -> None:
    # One layer, H = 2, F = 8, V = 10, two sequences of 3 tokens, one hidden in each.
    config = TransformerConfig(vocab_size=10, d_model=2, n_layers=1, n_heads=1, d_ff=8)
    layers = 6 * (24 * 4 + 4 * 3 * 2)
    assert masked_flops(config, 2, 3, 1) == layers + 2 * (2 * 4 + 2 * 2 * 10)
    assert causal_flops(config, 2, 3) == layers + 6 * (2 * 2 * 10)


def test_an_unknown_objective_is_refused() -> None:
    class Other:
        length = 3

    with pytest.raises(CourseError, match="The cost of Other is not known"):
        training_flops(Other(), CONFIG, 1)
