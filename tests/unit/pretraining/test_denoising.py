"""Corruptions for denoising: exact counts, spans as specified, and nothing lost."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, poisson

from utils.errors import CourseError
from utils.pretraining import (
    delete_tokens,
    infill_text,
    mask_single_tokens,
    permute_sentences,
    span_corruption,
)

MASK = -1
SENTINELS = list(range(-100, -60))
TEXTS = st.lists(st.integers(0, 50), max_size=60)
RATES = st.floats(0, 0.9)
SEEDS = st.integers(0, 2**31)


def is_subsequence(short: list[int], long: list[int]) -> bool:
    rest = iter(long)
    return all(token in rest for token in short)


@given(tokens=TEXTS, rate=RATES, seed=SEEDS)
def test_single_tokens(tokens: list[int], rate: float, seed: int) -> None:
    n = round(rate * len(tokens))
    hidden = mask_single_tokens(tokens, rate, MASK, np.random.default_rng(seed))
    assert len(hidden) == len(tokens)
    assert hidden.count(MASK) == n
    assert all(new in (old, MASK) for new, old in zip(hidden, tokens, strict=True))
    left = delete_tokens(tokens, rate, np.random.default_rng(seed))
    assert len(left) == len(tokens) - n
    assert left == [token for token in hidden if token != MASK]  # the same seed, the same places


@given(tokens=TEXTS, rate=RATES, seed=SEEDS)
def test_infilling_hides_as_many_tokens_as_it_should(
    tokens: list[int], rate: float, seed: int
) -> None:
    spoilt = infill_text(tokens, rate, MASK, np.random.default_rng(seed))
    kept = [token for token in spoilt if token != MASK]
    assert len(kept) == len(tokens) - round(rate * len(tokens))
    assert is_subsequence(kept, tokens)


@given(tokens=TEXTS, rate=RATES, seed=SEEDS)
def test_span_corruption_can_be_undone(tokens: list[int], rate: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    source, target = span_corruption(tokens, rate, SENTINELS, rng)
    spans: dict[int, list[int]] = {}
    for token in target:
        if token in SENTINELS:
            spans[token] = current = []
        else:
            current.append(token)
    restored = [t for token in source for t in (spans[token] if token in SENTINELS else [token])]
    assert restored == tokens
    assert sum(map(len, spans.values())) == round(rate * len(tokens))
    assert all(spans.values())  # no span is empty
    assert list(spans) == SENTINELS[: len(spans)]
    assert [token for token in source if token in SENTINELS] == list(spans)


def test_lengths_of_spans_are_poisson() -> None:
    # Tokens are their own places, so a gap tells how many are missing.
    tokens = list(range(100_000))
    spoilt = infill_text(tokens, 0.3, MASK, np.random.default_rng(0))
    n_spans = spoilt.count(MASK)
    low, high = poisson.interval(0.999, 3.0 * n_spans)
    assert low <= 30_000 <= high
    lengths = [0] * 20
    before, masks = -1, 0
    for token in spoilt:
        if token == MASK:
            masks += 1
            continue
        if masks == 1:  # where spans touch, only their sum is known
            lengths[token - before - 1] += 1
        before, masks = token, 0
    seen = sum(lengths)
    for k in (0, 1, 2, 3, 4, 5):
        low, high = binom.interval(0.999, seen, poisson.pmf(k, 3.0))
        assert low <= lengths[k] <= high, k


def test_mean_span_of_t5() -> None:
    source, target = span_corruption(
        list(range(1000)), 0.15, list(range(-100, 0)), np.random.default_rng(0)
    )
    assert len(target) == 150 + 50
    assert len(source) == 850 + 50
    assert not any(a < 0 and b < 0 for a, b in pairwise(source))


@given(tokens=TEXTS, seed=SEEDS)
def test_sentences_move_as_a_whole(tokens: list[int], seed: int) -> None:
    ends = {0, 1}
    moved = permute_sentences(tokens, ends, np.random.default_rng(seed))
    assert sorted(moved) == sorted(tokens)

    def sentences(text: list[int]) -> list[tuple[int, ...]]:
        found, now = [], []
        for token in text:
            now.append(token)
            if token in ends:
                found.append(tuple(now))
                now = []
        return sorted([*found, tuple(now)]) if now else sorted(found)

    if not tokens or tokens[-1] in ends:
        assert sentences(moved) == sentences(tokens)


def test_all_orders_of_sentences_occur() -> None:
    text = [5, 0, 6, 0, 7, 0]
    orders = {tuple(permute_sentences(text, {0}, np.random.default_rng(s))) for s in range(60)}
    assert len(orders) == 6


def test_bad_rates_and_too_few_sentinels_are_refused() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(CourseError, match="must lie between 0 and 1"):
        delete_tokens([1, 2], 1.5, rng)
    with pytest.raises(CourseError, match="5 spans need as many sentinels, and there are 2"):
        span_corruption(list(range(100)), 0.15, [-1, -2], rng)
