"""Decoding: with and without a cache, greedy as a beam of one, wide beams as exhaustive search."""

from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from utils.transformer import (
    EncoderDecoder,
    LayerCache,
    TransformerConfig,
    beam_search,
    greedy_search,
)

START, END = 0, 1
SEEDS = st.integers(0, 2**31 - 1)
POSITIONS = st.sampled_from(["learned", "sinusoidal", "rotary", "none"])
NORMS = st.sampled_from(["pre", "post"])


def model(seed: int, vocab: int, **changes: object) -> EncoderDecoder:
    torch.manual_seed(seed)
    sizes = {"d_model": 16, "n_layers": 2, "n_heads": 2, "d_ff": 24, "max_length": 16}
    made = EncoderDecoder(TransformerConfig(vocab, **{**sizes, **changes})).double().eval()
    for parameter in made.parameters():
        nn.init.normal_(parameter, std=0.5)
    return made


def source(seed: int, vocab: int, rows: int = 3) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(vocab, (rows, 6), generator=generator)
    lengths = torch.randint(1, 7, (rows, 1), generator=generator)
    return ids, (torch.arange(6) < lengths).long()


@settings(deadline=None, max_examples=30)
@given(seed=SEEDS, positions=POSITIONS, norm=NORMS, fused=st.booleans())
def test_cached_logits_equal_uncached(seed: int, positions: str, norm: str, fused: bool) -> None:
    joined = model(seed, 9, positions=positions, norm=norm, fused=fused)
    ids, mask = source(seed, 9)
    target = torch.randint(9, (3, 7))
    memory = joined.encoder(ids, mask)
    at_once = joined.decoder(target, memory, mask)
    caches = [LayerCache() for _ in joined.decoder.layers]
    pieces = target[:, :2], target[:, 2:3], target[:, 3:]
    in_steps = torch.cat([joined.decoder(piece, memory, mask, caches) for piece in pieces], dim=1)
    torch.testing.assert_close(in_steps, at_once, rtol=1e-10, atol=1e-10)


@settings(deadline=None, max_examples=30)
@given(seed=SEEDS, positions=POSITIONS, norm=NORMS, alpha=st.sampled_from([0.0, 0.6, 1.0]))
def test_three_ways_to_be_greedy(seed: int, positions: str, norm: str, alpha: float) -> None:
    joined = model(seed, 9, positions=positions, norm=norm)
    ids, mask = source(seed, 9)
    options = {"start_id": START, "end_id": END, "max_new_tokens": 8}
    cached = greedy_search(joined, ids, mask, **options)
    assert greedy_search(joined, ids, mask, **options, use_cache=False) == cached
    assert beam_search(joined, ids, mask, **options, n_beams=1, length_penalty=alpha) == cached


def log_probability(joined: EncoderDecoder, ids: Tensor, mask: Tensor, target: list[int]) -> float:
    inputs = torch.tensor([[START, *target[:-1]]])
    log_p = joined(ids, mask, inputs).log_softmax(dim=-1)
    return float(log_p[0, range(len(target)), target].sum().detach())


def all_targets(vocab: int, length: int) -> list[list[int]]:
    """Every target that ends with the end token, and every unfinished one of full length."""
    words = [word for word in range(vocab) if word != END]
    ended = [[*body, END] for n in range(length) for body in product(words, repeat=n)]
    return ended + [list(body) for body in product(words, repeat=length)]


@settings(deadline=None, max_examples=12)
@given(seed=SEEDS, alpha=st.sampled_from([0.0, 0.6, 1.0, 2.0]))
def test_a_wide_beam_finds_the_best_of_all(seed: int, alpha: float) -> None:
    vocab, length = 4, 3
    joined = model(seed, vocab)
    ids, mask = source(seed, vocab, rows=2)
    found = beam_search(
        joined, ids, mask, start_id=START, end_id=END, max_new_tokens=length,
        n_beams=vocab**length, length_penalty=alpha,
    )  # fmt: skip
    for row in range(2):
        one = ids[row : row + 1], mask[row : row + 1]

        def score(target: list[int], one: tuple[Tensor, Tensor] = one) -> float:
            return log_probability(joined, *one, target) / len(target) ** alpha

        best = max(score(target) for target in all_targets(vocab, length))
        assert score(found[row]) == pytest.approx(best, abs=1e-9)


def test_a_wider_beam_can_beat_greedy() -> None:
    better = 0
    for seed in range(20):
        joined = model(seed, 9)
        ids, mask = source(seed, 9, rows=1)
        options = {"start_id": START, "end_id": END, "max_new_tokens": 5}
        greedy = greedy_search(joined, ids, mask, **options)[0]
        beam = beam_search(joined, ids, mask, **options, n_beams=4, length_penalty=0.0)[0]
        gain = log_probability(joined, ids, mask, beam) - log_probability(joined, ids, mask, greedy)
        better += gain > 1e-9
    assert better >= 2


def test_the_end_token_ends_a_target() -> None:
    joined = model(0, 9)
    with torch.no_grad():
        joined.head.bias[END] = 100.0
    ids, mask = source(0, 9)
    options = {"start_id": START, "end_id": END, "max_new_tokens": 8}
    assert greedy_search(joined, ids, mask, **options) == [[END]] * 3
    assert beam_search(joined, ids, mask, **options, n_beams=3) == [[END]] * 3
    with torch.no_grad():
        joined.head.bias[END] = -100.0
    assert {len(row) for row in greedy_search(joined, ids, mask, **options)} == {8}
