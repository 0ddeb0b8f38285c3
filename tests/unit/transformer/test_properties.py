"""What must hold for every input: order, causality, padding."""

import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn

from utils.transformer import Decoder, Encoder, EncoderDecoder, TransformerConfig

VOCAB = 13
SEEDS = st.integers(0, 2**31 - 1)
NORMS = st.sampled_from(["pre", "post"])
POSITIONS = st.sampled_from(["learned", "sinusoidal", "rotary", "none"])
ACTIVATIONS = st.sampled_from(["gelu", "relu", "geglu"])
BOOLEANS = st.booleans()


def model(kind: type[nn.Module], seed: int, **changes: object) -> nn.Module:
    torch.manual_seed(seed)
    sizes = {"vocab_size": VOCAB, "d_model": 16, "n_layers": 2, "n_heads": 4, "d_ff": 24}
    made = kind(TransformerConfig(**{**sizes, "max_length": 12, **changes})).double().eval()
    for parameter in made.parameters():
        nn.init.normal_(parameter, mean=0.05, std=0.4)
    return made


@settings(deadline=None, max_examples=30)
@given(seed=SEEDS, norm=NORMS, fused=BOOLEANS, length=st.integers(1, 8))
def test_without_positions_order_does_not_matter(
    seed: int, norm: str, fused: bool, length: int
) -> None:
    encoder = model(Encoder, seed, positions="none", norm=norm, fused=fused)
    input_ids = torch.randint(VOCAB, (2, length))
    order = torch.randperm(length)
    torch.testing.assert_close(encoder(input_ids[:, order]), encoder(input_ids)[:, order])


@settings(deadline=None, max_examples=20)
@given(seed=SEEDS, norm=NORMS, positions=st.sampled_from(["learned", "sinusoidal", "rotary"]))
def test_with_positions_it_does(seed: int, norm: str, positions: str) -> None:
    encoder = model(Encoder, seed, positions=positions, norm=norm)
    input_ids = torch.tensor([[1, 2, 3]])
    swapped = encoder(input_ids.flip(1)).flip(1)
    assert (swapped - encoder(input_ids)).abs().max() > 1e-6


@settings(deadline=None, max_examples=30)
@given(
    seed=SEEDS, norm=NORMS, positions=POSITIONS, activation=ACTIVATIONS, fused=BOOLEANS,
    length=st.integers(2, 8), data=st.data(),
)  # fmt: skip
def test_the_future_does_not_leak(
    seed: int,
    norm: str,
    positions: str,
    activation: str,
    fused: bool,
    length: int,
    data: st.DataObject,
) -> None:
    decoder = model(
        Decoder, seed, norm=norm, positions=positions, activation=activation, fused=fused
    )
    memory = torch.randn(2, 5, 16, dtype=torch.float64)
    target = torch.randint(VOCAB, (2, length))
    now = data.draw(st.integers(0, length - 2))
    changed = target.clone()
    changed[:, now + 1 :] = (changed[:, now + 1 :] + 1) % VOCAB
    before, after = decoder(target, memory), decoder(changed, memory)
    torch.testing.assert_close(after[:, : now + 1], before[:, : now + 1], rtol=0, atol=0)
    assert (after[:, now + 1 :] != before[:, now + 1 :]).any()


@settings(deadline=None, max_examples=30)
@given(
    seed=SEEDS, norm=NORMS, positions=POSITIONS, fused=BOOLEANS,
    length=st.integers(1, 6), padding=st.integers(1, 5),
)  # fmt: skip
def test_padding_changes_nothing(
    seed: int, norm: str, positions: str, fused: bool, length: int, padding: int
) -> None:
    joined = model(EncoderDecoder, seed, norm=norm, positions=positions, fused=fused)
    source, target = torch.randint(VOCAB, (3, length)), torch.randint(VOCAB, (3, 4))
    alone = joined(source, torch.ones_like(source), target)
    filler = torch.randint(VOCAB, (3, padding))
    padded = torch.cat([source, filler], dim=1)
    mask = torch.cat([torch.ones_like(source), torch.zeros_like(filler)], dim=1)
    torch.testing.assert_close(joined(padded, mask, target), alone, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(
        joined.encoder(padded, mask)[:, :length],
        joined.encoder(source),
        rtol=1e-10,
        atol=1e-10,
    )


def test_a_source_that_is_all_padding_gives_no_nan() -> None:
    joined = model(EncoderDecoder, 0)
    source, target = torch.randint(VOCAB, (2, 4)), torch.randint(VOCAB, (2, 3))
    logits = joined(source, torch.zeros_like(source), target)
    logits.sum().backward()
    assert logits.isfinite().all()
    assert all(p.grad.isfinite().all() for p in joined.parameters() if p.grad is not None)


def test_dropout_acts_in_training_only() -> None:
    for fused in (True, False):
        encoder = model(Encoder, 0, dropout=0.5, fused=fused)
        input_ids = torch.randint(VOCAB, (2, 5))
        assert (encoder(input_ids) == encoder(input_ids)).all()
        encoder.train()
        assert (encoder(input_ids) != encoder(input_ids)).any()


@settings(deadline=None, max_examples=20)
@given(seed=SEEDS, norm=NORMS, positions=st.sampled_from(["learned", "sinusoidal", "rotary"]))
def test_source_and_target_interact(seed: int, norm: str, positions: str) -> None:
    """In a sum f(x) + g(y) the mixed difference vanishes; in an encoder–decoder it does not."""
    joined = model(EncoderDecoder, seed, norm=norm, positions=positions)
    (x, x2), (y, y2) = torch.randint(VOCAB, (2, 1, 5)), torch.randint(VOCAB, (2, 1, 4))
    assume((x != x2).any() and y[0, -1] != y2[0, -1])
    mask = torch.ones_like(x)

    def last(source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return joined.decoder(target, joined.encoder(source, mask), mask)[:, -1]

    delta = last(x, y) - last(x2, y) - last(x, y2) + last(x2, y2)
    assert delta.norm() > 1e-6
