"""Masking: exact counts, and shares within binomial 99.9 % bounds."""

import pytest
import torch
from scipy.stats import binom
from torch import Tensor

from utils.errors import CourseError
from utils.pretraining import MaskedBatch, mask_tokens
from utils.pretraining.masking import IGNORED

BATCH, LENGTH, N_MASKED, MASK, FIRST, VOCAB = 400, 40, 6, 4, 5, 1005


def sequences(seed: int = 0) -> tuple[Tensor, Tensor]:
    """Tokens with a special one at both ends."""
    generator = torch.Generator().manual_seed(seed)
    input_ids = torch.randint(FIRST, VOCAB, (BATCH, LENGTH), generator=generator)
    maskable = torch.ones_like(input_ids, dtype=torch.bool)
    for place in (0, -1):
        input_ids[:, place], maskable[:, place] = 2, False
    return input_ids, maskable


def masked(input_ids: Tensor, maskable: Tensor, seed: int = 1, **changes) -> MaskedBatch:
    options = {"n_masked": N_MASKED, "mask_id": MASK, "first_word_id": FIRST, "vocab_size": VOCAB}
    generator = torch.Generator().manual_seed(seed)
    return mask_tokens(input_ids, maskable, **{**options, **changes}, generator=generator)


def within(successes: int, n: int, share: float) -> bool:
    low, high = binom.interval(0.999, n, share)
    return low <= successes <= high


def test_labels_are_what_stood_there_and_nothing_else_changes() -> None:
    input_ids, maskable = sequences()
    batch = masked(input_ids, maskable)
    assert batch.positions.shape == batch.labels.shape == (BATCH, N_MASKED)
    assert (batch.positions.diff(dim=1) > 0).all()  # ascending, none twice
    assert (batch.labels == input_ids.gather(1, batch.positions)).all()
    untouched = torch.ones_like(maskable).scatter(1, batch.positions, False)
    assert (batch.input_ids == input_ids)[untouched].all()


def test_80_10_10() -> None:
    input_ids, maskable = sequences()
    batch = masked(input_ids, maskable)
    now = batch.input_ids.gather(1, batch.positions)
    n = now.numel()
    assert within(int((now == MASK).sum()), n, 0.8)
    # A random token is the old one by chance in one of 1,000 cases.
    assert within(int((now == batch.labels).sum()), n, 0.1 + 0.1 / 1000)
    random = now[(now != MASK) & (now != batch.labels)]
    assert within(len(random), n, 0.1 * 0.999)
    assert random.min() >= FIRST
    assert random.max() < VOCAB
    assert within(int((random < FIRST + 500).sum()), len(random), 0.5)


@pytest.mark.parametrize(("mask", "random"), [(1.0, 0.0), (0.0, 1.0), (0.0, 0.0)])
def test_other_shares(mask: float, random: float) -> None:
    input_ids, maskable = sequences()
    batch = masked(input_ids, maskable, mask_share=mask, random_share=random)
    now = batch.input_ids.gather(1, batch.positions)
    assert bool((now == MASK).all()) == (mask == 1.0)
    assert bool((now == batch.labels).all()) == (mask == random == 0.0)


def test_every_position_is_as_likely_and_special_tokens_never() -> None:
    input_ids, maskable = sequences()
    counts = torch.zeros(LENGTH, dtype=torch.long)
    for seed in range(10):
        positions = masked(input_ids, maskable, seed).positions
        counts += torch.bincount(positions.flatten(), minlength=LENGTH)
    assert counts[0] == counts[-1] == 0
    share = N_MASKED / (LENGTH - 2)
    # 38 positions are looked at, so the bound is that much wider: Bonferroni.
    low, high = binom.interval(1 - 0.001 / 38, 10 * BATCH, share)
    assert ((counts[1:-1] >= low) & (counts[1:-1] <= high)).all()


def test_too_few_tokens_are_asked_for_once_and_the_rest_is_ignored() -> None:
    input_ids, maskable = sequences()
    maskable[0] = False
    maskable[1, 3:] = False
    batch = masked(input_ids, maskable)
    assert (batch.labels[0] == IGNORED).all()
    assert (batch.input_ids[0] == input_ids[0]).all()
    assert sorted((batch.labels[1] != IGNORED).tolist()) == [False] * 4 + [True] * 2
    asked = batch.positions[1][batch.labels[1] != IGNORED]
    assert asked.tolist() == [1, 2]


def test_the_same_seed_masks_the_same() -> None:
    input_ids, maskable = sequences()
    first, second, other = (masked(input_ids, maskable, seed) for seed in (7, 7, 8))
    assert (first.input_ids == second.input_ids).all()
    assert (first.positions != other.positions).any()


def test_whole_words_are_masked_or_not_at_all() -> None:
    input_ids, maskable = sequences()
    generator = torch.Generator().manual_seed(3)
    begins = torch.rand(BATCH, LENGTH, generator=generator) < 0.6
    words = begins.long().cumsum(dim=1)
    batch = masked(input_ids, maskable, words=words, mask_share=1.0, random_share=0.0)
    hidden = (batch.input_ids == MASK) & maskable
    for row in range(BATCH):
        for word in words[row, 1:-1].unique():
            tokens = hidden[row, 1:-1][words[row, 1:-1] == word]
            assert tokens.all() or not tokens.any()
    asked = (batch.labels != IGNORED).sum(dim=1)
    assert (asked == hidden.sum(dim=1)).all()
    assert asked.float().mean() > 0.8 * N_MASKED
    assert asked.max() == N_MASKED


def test_bad_sizes_are_refused() -> None:
    input_ids, maskable = sequences()
    with pytest.raises(CourseError, match="41 of 40 tokens"):
        masked(input_ids, maskable, n_masked=41)
    with pytest.raises(CourseError, match="sum to at most 1"):
        masked(input_ids, maskable, mask_share=0.9, random_share=0.2)
