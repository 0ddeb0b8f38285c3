"""Texts to padded batches: tokenised once, bucketed by length, padded to the batch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from utils import runtime

Cut = Literal["head", "tail", "head+tail"]
"""What is kept of a text that is too long."""

Texts = Sequence[str] | Sequence[tuple[str, str]] | Sequence[list[str]]
"""Running text, pairs of texts, or sentences that are cut into words already."""


@dataclass(frozen=True)
class Tokenised:
    """Word-piece numbers of each text (ragged), with the number that pads.

    Of sentences that came as words, `words` has for each text the position of each word's first
    piece, and -1 for words beyond the longest length. Of pairs, `segments` has for each piece
    whether it belongs to the second text, where the model tells the two apart.
    """

    input_ids: list[list[int]]
    pad_token_id: int
    words: list[list[int]] | None = None
    segments: list[list[int]] | None = None

    def lengths(self) -> NDArray[np.int64]:
        """Tokens per text, shape (n_texts,)."""
        return np.array([len(ids) for ids in self.input_ids], dtype=np.int64)

    def batch(
        self, indices: Sequence[int], device: torch.device | str = "cpu"
    ) -> dict[str, Tensor]:
        """`input_ids` and `attention_mask`, both (batch, longest text of the batch).

        Where there are words, also `words`, (batch, most words of a sentence), filled up with -1;
        where there are segments, also `token_type_ids`, shaped like `input_ids`.
        """
        rows = [self.input_ids[i] for i in indices]
        ones = [[1] * len(row) for row in rows]
        batch = {"input_ids": fill(rows, self.pad_token_id), "attention_mask": fill(ones, 0)}
        if self.words is not None:
            batch["words"] = fill([self.words[i] for i in indices], -1)
        if self.segments is not None:
            batch["token_type_ids"] = fill([self.segments[i] for i in indices], 0)
        return {name: tensor.to(device) for name, tensor in batch.items()}


def fill(rows: Sequence[Sequence[int]], value: int) -> Tensor:
    """Ragged rows as one tensor (n_rows, longest row), filled up with `value`.

    The longest row is rounded up to a multiple of `runtime.width_step`.
    """
    step = runtime.width_step()
    width = -(-max(map(len, rows), default=0) // step) * step
    table = torch.full((len(rows), width), value, dtype=torch.long)
    for place, row in enumerate(rows):
        table[place, : len(row)] = torch.as_tensor(row)
    return table


def tokenise(texts: Texts, model_path: Path, max_length: int, cut: Cut = "head") -> Tokenised:
    """Tokenise with the tokenizer at `model_path`, cut to `max_length` tokens.

    Of a pair, the longer text is cut first. Other cuts than "head" are for running text.
    """
    from transformers import AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(model_path)
    in_pairs = bool(texts) and isinstance(texts[0], tuple)
    in_words = bool(texts) and not in_pairs and not isinstance(texts[0], str)
    if cut != "head":
        if in_pairs or in_words:
            raise ValueError(f"the cut {cut!r} is for running text")
        whole = tokenizer(texts, truncation=False, verbose=False)["input_ids"]
        rows = [shorten(ids, max_length, cut) for ids in whole]
        return Tokenised(rows, tokenizer.pad_token_id)
    if in_pairs:
        return _of_pairs(tokenizer, texts, max_length)
    encoded = tokenizer(
        texts,
        truncation=True,
        max_length=max_length,
        add_special_tokens=True,
        is_split_into_words=in_words,
    )
    words = None
    if in_words:
        words = [_first_pieces(encoded.word_ids(i), len(text)) for i, text in enumerate(texts)]
    return Tokenised(encoded["input_ids"], tokenizer.pad_token_id, words)


def _of_pairs(tokenizer: Any, pairs: Sequence[Any], max_length: int) -> Tokenised:
    """Pairs, cut to what the library keeps of them with `truncation=True`.

    The library joins each piece that it cuts off the one text with each of the other, too: of two
    texts with 100,000 characters, more than the memory holds.
    """
    whole = tokenizer(*map(list, zip(*pairs, strict=True)), verbose=False)
    kept = [_kept(whole.sequence_ids(i), max_length) for i in range(len(pairs))]

    def cut(rows: list[list[int]]) -> list[list[int]]:
        return [[row[i] for i in places] for row, places in zip(rows, kept, strict=True)]

    segments = whole.get("token_type_ids")
    return Tokenised(
        cut(whole["input_ids"]), tokenizer.pad_token_id, segments=segments and cut(segments)
    )


def _kept(sides: list[int | None], max_length: int) -> list[int]:
    """Places of a pair's tokens that are kept; `sides` has the text of each, 0 or 1, or None."""
    special, first, second = (
        [place for place, its in enumerate(sides) if its == side] for side in (None, 0, 1)
    )
    room = max_length - len(special)
    if len(first) > len(second):
        second = second[: room // 2]
        first = first[: room - len(second)]
    else:
        first = first[: room // 2]
        second = second[: room - len(first)]
    return sorted([*special, *first, *second])


def shorten(input_ids: list[int], max_length: int, cut: Cut) -> list[int]:
    """At most `max_length` tokens of a text, its first and last special token among them.

    "head+tail" keeps a quarter from the beginning and three quarters from the end, as Sun et al.
    (2019, CCL, section 5.3.1) do with 128 and 382 of 510.
    """
    first, *inside, last = input_ids
    room = max_length - 2
    if len(inside) <= room:
        return input_ids
    n_head = {"head": room, "tail": 0, "head+tail": room // 4}[cut]
    return [first, *inside[:n_head], *inside[len(inside) - (room - n_head) :], last]


def _first_pieces(word_of_piece: list[int | None], n_words: int) -> list[int]:
    """Position of the first piece of each word; -1 for a word without any."""
    first = [-1] * n_words
    for position, word in reversed(list(enumerate(word_of_piece))):
        if word is not None:
            first[word] = position
    return first


def by_length(lengths: NDArray[np.int64], batch_size: int) -> Iterator[NDArray[np.int64]]:
    """Batches of texts of like length, longest first, for passes in which order does not matter."""
    order = np.argsort(-lengths, kind="stable")
    for start in range(0, len(order), batch_size):
        yield order[start : start + batch_size]


def by_tokens(lengths: NDArray[np.int64], budget: int | None = None) -> Iterator[NDArray[np.int64]]:
    """The same with as many texts at a time as have `budget` tokens, padding included, or with one.

    Without a budget that of the device. On a CPU 2,048: what a layer makes of so many tokens stays
    in the cache of a core. Texts of 141 tokens took MiniLM 1.47 times as long 64 at a time, those
    of 25 tokens 1.07 times (one thread, medians of interleaved runs).
    """
    if budget is None:
        budget = 2**11 if runtime.device().type == "cpu" else 2**15
    order = np.argsort(-lengths, kind="stable")
    start = 0
    while start < len(order):
        n = max(1, budget // max(1, int(lengths[order[start]])))
        yield order[start : start + n]
        start += n


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
