"""Subwords that two languages share: byte pair encoding of words with their capitals and accents.

Sennrich et al., 2016, ACL. Spaces are part of the text, as in SentencePiece (Kudo and Richardson,
2018, EMNLP), so that a text can be put together again as it was.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from utils.adaptation.batching import fill

if TYPE_CHECKING:
    from tokenizers import Tokenizer

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[START]", "[END]", "[MASK]")
PAD, UNKNOWN, START, END, MASK = range(len(SPECIAL_TOKENS))


def learn_subwords(texts: Iterable[str], vocab_size: int) -> "Tokenizer":
    """At most `vocab_size` subwords, each of which stands in `texts` at least twice.

    The numbers of `SPECIAL_TOKENS` are 0 to 4.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Metaspace(),
            pre_tokenizers.Split(Regex(r"[^\w\s▁]"), behavior="isolated"),
        ]
    )
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=2,
        special_tokens=list(SPECIAL_TOKENS),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def encode(tokenizer: "Tokenizer", texts: Sequence[str], max_length: int) -> list[list[int]]:
    """The subwords of each text and `END`, at most `max_length` numbers in all."""
    rows = tokenizer.encode_batch(list(texts), add_special_tokens=False)
    return [[*row.ids[: max_length - 1], END] for row in rows]


def table(rows: Sequence[Sequence[int]]) -> NDArray[np.int64]:
    """Ragged rows as one array (n_rows, longest row), filled up with `PAD`."""
    return fill(rows, PAD).numpy()
