"""Counts by formula against the weights themselves and torch's own counter."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from utils.sources import MINILM
from utils.transformer import (
    Decoder,
    Encoder,
    TransformerConfig,
    decoder_flops,
    encoder_flops,
    encoder_parameters,
    load_bert,
)

VARIANTS = [
    {},
    {"norm": "pre"},
    {"activation": "geglu"},
    {"positions": "rotary", "norm": "pre"},
    {"positions": "sinusoidal", "n_segments": 2},
]


@pytest.mark.parametrize("changes", VARIANTS)
def test_parameters(changes: dict) -> None:
    config = TransformerConfig(vocab_size=31, d_model=24, n_layers=3, d_ff=40, **changes)
    counted = sum(parameter.numel() for parameter in Encoder(config).parameters())
    assert encoder_parameters(config) == counted


def test_parameters_of_minilm() -> None:
    # 22,713,216 with the pooler of 384² + 384 weights, which is left out here.
    assert encoder_parameters(load_bert(MINILM).config) == 22_713_216 - 147_840


@pytest.mark.parametrize("changes", VARIANTS)
def test_flops(changes: dict) -> None:
    # torch's counter does not know every fused kernel, so the formulas as written are counted.
    config = TransformerConfig(
        vocab_size=31, d_model=24, n_layers=3, d_ff=40, fused=False, **changes
    )
    encoder, input_ids = Encoder(config), torch.zeros(5, 7, dtype=torch.long)
    with FlopCounterMode(display=False) as counter:
        encoder(input_ids)
    n_matrices = 3 if config.activation == "geglu" else 2
    assert encoder_flops(24, 40, 3, 5, 7, n_matrices) == counter.get_total_flops()


def test_flops_of_a_decoder() -> None:
    config = TransformerConfig(vocab_size=31, d_model=24, n_layers=3, d_ff=40, fused=False)
    decoder, input_ids = Decoder(config), torch.zeros(5, 7, dtype=torch.long)
    memory = torch.zeros(5, 11, 24)
    with FlopCounterMode(display=False) as counter:
        decoder(input_ids, memory)
    assert decoder_flops(24, 40, 3, 5, 7, 11) == counter.get_total_flops()
