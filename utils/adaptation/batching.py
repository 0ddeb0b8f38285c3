"""Texts to padded batches: tokenised once, bucketed by length, padded to the batch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True)
class Tokenised:
    """Word-piece numbers of each text (ragged), with the number that pads."""

    input_ids: list[list[int]]
    pad_token_id: int

    def lengths(self) -> NDArray[np.int64]:
        """Tokens per text, shape (n_texts,)."""
        return np.array([len(ids) for ids in self.input_ids], dtype=np.int64)

    def batch(self, indices: Sequence[int]) -> dict[str, Tensor]:
        """`input_ids` and `attention_mask`, both (batch, longest text of the batch)."""
        rows = [self.input_ids[i] for i in indices]
        length = max(len(row) for row in rows)
        input_ids = torch.full((len(rows), length), self.pad_token_id, dtype=torch.long)
        attention_mask = torch.zeros((len(rows), length), dtype=torch.long)
        for place, row in enumerate(rows):
            input_ids[place, : len(row)] = torch.tensor(row)
            attention_mask[place, : len(row)] = 1
        return {"input_ids": input_ids, "attention_mask": attention_mask}


def tokenise(texts: list[str], model_path: Path, max_length: int) -> Tokenised:
    """Tokenise with the tokenizer at `model_path`, cut to `max_length` tokens."""
    from transformers import AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(model_path)
    encoded = tokenizer(texts, truncation=True, max_length=max_length, add_special_tokens=True)
    return Tokenised(encoded["input_ids"], tokenizer.pad_token_id)


def by_length(lengths: NDArray[np.int64], batch_size: int) -> Iterator[NDArray[np.int64]]:
    """Batches of texts of like length, longest first, for passes in which order does not matter."""
    order = np.argsort(-lengths, kind="stable")
    for start in range(0, len(order), batch_size):
        yield order[start : start + batch_size]


def training_batches(
    lengths: NDArray[np.int64], batch_size: int, n_updates: int, seed: int, pool: int = 32
) -> list[NDArray[np.int64]]:
    """`n_updates` batches from as many passes over the data as that takes.

    Each pass is shuffled, cut into pools of `pool` batches, sorted by length within a pool and cut
    into batches, whose order is shuffled again: batches stay random, yet hold little padding.
    The last batch of a pass may be smaller.
    """
    rng = np.random.default_rng(seed)
    batches: list[NDArray[np.int64]] = []
    while len(batches) < n_updates:
        order = rng.permutation(len(lengths))
        epoch = []
        for start in range(0, len(order), pool * batch_size):
            group = order[start : start + pool * batch_size]
            group = group[np.argsort(lengths[group], kind="stable")]
            epoch += [group[i : i + batch_size] for i in range(0, len(group), batch_size)]
        batches += [epoch[i] for i in rng.permutation(len(epoch))]
    return batches[:n_updates]
