"""Text as one long row of token numbers: packed once, then resident on the device.

Documents stand one after the other, each closed by [SEP]. A sequence is a window of that row, cut
at any place, as RoBERTa's FULL-SENTENCES (Liu et al., 2019, section 4.2): nothing is padded, and
all sequences have the same length.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from utils import runtime
from utils.errors import CourseError
from utils.tasks.language_modelling import Documents

if TYPE_CHECKING:
    from transformers import BertTokenizer

_AT_ONCE = 256
"""Documents tokenised at once: the tokenizer needs 20 times the memory of what it returns."""


@dataclass(frozen=True)
class Vocabulary:
    """What pre-training has to know of a tokenizer.

    Attributes:
        size: number of tokens.
        mask_id, cls_id, sep_id: numbers of [MASK], [CLS] and [SEP].
        first_word_id: tokens from here on are pieces of words; those before are special.
        maskable: (size,), False for special tokens, [UNK] among them.
        continues: (size,), True for pieces inside a word (##…).
    """

    size: int
    mask_id: int
    cls_id: int
    sep_id: int
    first_word_id: int
    maskable: Tensor
    continues: Tensor

    def words(self, input_ids: Tensor) -> Tensor:
        """(batch, length) tokens → the number of the word that each belongs to, from 0 on."""
        return (~self.continues[input_ids]).long().cumsum(dim=1) - 1


def vocabulary_of(tokenizer: "BertTokenizer", device: torch.device | None = None) -> Vocabulary:
    """The facts of `tokenizer`, on the device where models run."""
    device = device or runtime.device()
    pieces = tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))
    special = set(tokenizer.all_special_tokens)
    return Vocabulary(
        size=len(pieces),
        mask_id=tokenizer.mask_token_id,
        cls_id=tokenizer.cls_token_id,
        sep_id=tokenizer.sep_token_id,
        first_word_id=max(tokenizer.all_special_ids) + 1,
        maskable=torch.tensor([piece not in special for piece in pieces], device=device),
        continues=torch.tensor([piece.startswith("##") for piece in pieces], device=device),
    )


@dataclass(frozen=True)
class PackedText:
    """Documents as token numbers.

    Attributes:
        tokens: (n_tokens,) int32, each document closed by [SEP].
        starts: (n_documents + 1,), where each document begins; the last entry is n_tokens.
        origins: (n_documents,), a number for where each comes from, ascending.
    """

    tokens: Tensor
    starts: Tensor
    origins: Tensor

    def windows(self, n: int, length: int, vocabulary: Vocabulary) -> Tensor:
        """`n` sequences [CLS] … [SEP] of `length` tokens, cut at random places, (n, length).

        Drawn on the device of the tokens, by torch's global random state.

        Raises:
            CourseError: if the whole text is shorter than one sequence.
        """
        n_places = len(self.tokens) - (length - 2) + 1
        if n_places < 1:
            raise CourseError(
                f"The text has {len(self.tokens)} tokens, fewer than one sequence of {length}. "
                "Add text or shorten the sequences."
            )
        device = self.tokens.device
        start = torch.randint(n_places, (n, 1), device=device)
        index = (start + torch.arange(-1, length - 1, device=device)).clamp(0, len(self.tokens) - 1)
        input_ids = self.tokens[index].long()
        input_ids[:, 0] = vocabulary.cls_id
        input_ids[:, -1] = vocabulary.sep_id
        return input_ids


def pack(documents: Documents, tokenizer: "BertTokenizer", cache: Path) -> PackedText:
    """Tokenise `documents`, or reopen what was packed before from the same text.

    Args:
        documents: those of one origin stand next to each other.
        tokenizer: cuts the words; at most 65,536 tokens, which two bytes hold.
        cache: folder of packed text; the row of tokens is memory-mapped from there.

    Raises:
        CourseError: for no documents, or a vocabulary that two bytes cannot number.
    """
    if not len(documents):
        raise CourseError("There is no document to pack. Add text.")
    if len(tokenizer) > 2**16:
        raise CourseError(
            f"The vocabulary has {len(tokenizer):,} tokens, and packed text holds 65,536 at most. "
            "Train a smaller one with train_tokenizer."
        )
    name = _name(documents.texts, tokenizer)
    tokens_file, starts_file = cache / f"packed-{name}.npy", cache / f"starts-{name}.npy"
    if not (tokens_file.exists() and starts_file.exists()):
        tokens, starts = _tokenise(documents.texts, tokenizer)
        for file, array in ((starts_file, starts), (tokens_file, tokens)):
            with runtime.atomic_file(file) as handle:
                np.save(handle, array)
    device = runtime.device()
    mapped = np.load(tokens_file, mmap_mode="r")
    numbers = {origin: number for number, origin in enumerate(dict.fromkeys(documents.origins))}
    return PackedText(
        tokens=torch.from_numpy(mapped.astype(np.int32)).to(device),
        starts=torch.from_numpy(np.load(starts_file)).to(device),
        origins=torch.tensor([numbers[origin] for origin in documents.origins], device=device),
    )


def _tokenise(
    documents: list[str], tokenizer: "BertTokenizer"
) -> tuple[NDArray[np.uint16], NDArray[np.int64]]:
    rows: list[NDArray[np.uint16]] = []
    for first in range(0, len(documents), _AT_ONCE):
        encoded = tokenizer(
            documents[first : first + _AT_ONCE],
            add_special_tokens=False,
            return_attention_mask=False,
            return_token_type_ids=False,
        )
        rows += [
            np.array([*ids, tokenizer.sep_token_id], dtype=np.uint16)
            for ids in encoded["input_ids"]
        ]
    starts = np.cumsum([0, *map(len, rows)], dtype=np.int64)
    return np.concatenate(rows), starts


def _name(documents: list[str], tokenizer: "BertTokenizer") -> str:
    """16 hex digits over the text and the tokenizer."""
    digest = hashlib.sha256(tokenizer.backend_tokenizer.to_str().encode())
    for document in documents:
        digest.update(document.encode() + b"\0")
    return digest.hexdigest()[:16]
