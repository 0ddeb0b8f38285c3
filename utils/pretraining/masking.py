"""Masked language modelling: hide some tokens, ask for them (Devlin et al., 2019, section 3.1).

Everything is drawn on the device of the tokens, and each sequence gets the same number of masked
positions: shapes never change, so nothing waits for the GPU and the head decodes only what counts.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from utils.errors import CourseError

IGNORED = -100
"""The label that cross-entropy leaves out."""


@dataclass(frozen=True)
class MaskedBatch:
    """What the model sees, and what it is asked.

    Attributes:
        input_ids: (batch, length), corrupted.
        positions: (batch, n_masked), which positions are asked for, in ascending order.
        labels: (batch, n_masked), the tokens that stood there; `IGNORED` where a sequence has fewer
            tokens that may be masked.
    """

    input_ids: Tensor
    positions: Tensor
    labels: Tensor


def mask_tokens(
    input_ids: Tensor,
    maskable: Tensor,
    *,
    n_masked: int,
    mask_id: int,
    first_word_id: int,
    vocab_size: int,
    mask_share: float = 0.8,
    random_share: float = 0.1,
    words: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> MaskedBatch:
    """Choose `n_masked` tokens of each sequence; of these, 80 % become [MASK], 10 % another token.

    The remaining 10 % stay as they are and are asked for all the same, so that the model cannot
    rely on [MASK] to know where it is asked.

    Args:
        input_ids: (batch, length).
        maskable: (batch, length) booleans; False for special tokens, [UNK], markup and padding.
        n_masked: positions asked for in each sequence.
        mask_id: number of [MASK].
        first_word_id, vocab_size: a random token is drawn evenly from `first_word_id` on.
        mask_share, random_share: shares of the chosen tokens.
        words: (batch, length), number of the word that a token belongs to. If given, words are
            masked whole; one that does not fit into `n_masked` any more is left out.
        generator: of the device of `input_ids`.

    Raises:
        CourseError: for shares outside 0..1, or more masked positions than the sequence has.
    """
    length = input_ids.shape[1]
    if not 0 < n_masked <= length:
        raise CourseError(f"{n_masked} of {length} tokens cannot be masked. Lower the rate.")
    if min(mask_share, random_share) < 0 or mask_share + random_share > 1:
        raise CourseError(
            f"The shares {mask_share} ([MASK]) and {random_share} (random) must lie between 0 and "
            "1 and sum to at most 1."
        )

    def uniform(shape: torch.Size) -> Tensor:
        return torch.rand(shape, device=input_ids.device, generator=generator)

    rank = uniform(input_ids.shape)
    if words is not None:
        rank = rank.gather(1, words.clamp(min=0))  # all tokens of a word get the same
    rank = rank.masked_fill(~maskable, -1.0)
    best = rank.topk(n_masked, dim=1)
    chosen = best.indices
    asked = best.values >= 0
    if words is not None:
        asked &= _whole(words, maskable, chosen)
    positions, order = chosen.sort(dim=1)
    asked = asked.gather(1, order)
    original = input_ids.gather(1, positions)
    fate = uniform(positions.shape)
    random = first_word_id + (uniform(positions.shape) * (vocab_size - first_word_id)).long().clamp(
        max=vocab_size - first_word_id - 1
    )
    new = torch.where(fate < mask_share, mask_id, original)
    swapped = (fate >= mask_share) & (fate < mask_share + random_share)
    new = torch.where(swapped, random, new)
    corrupted = input_ids.scatter(1, positions, torch.where(asked, new, original))
    return MaskedBatch(corrupted, positions, original.masked_fill(~asked, IGNORED))


def _whole(words: Tensor, maskable: Tensor, chosen: Tensor) -> Tensor:
    """For each chosen position, whether all maskable tokens of its word have been chosen."""
    slots = torch.zeros_like(words)
    index = words.clamp(min=0)
    total = slots.scatter_add(1, index, maskable.long())
    mine = index.gather(1, chosen)
    taken = slots.scatter_add(1, mine, maskable.gather(1, chosen).long())
    return (taken == total).gather(1, mine)
