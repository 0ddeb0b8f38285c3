"""Denoising auto-encoders: an encoder reads a corrupted text, a decoder writes what it was.

BART (Lewis et al., 2020, ACL) writes the whole text, T5 (Raffel et al., 2020, JMLR) only what is
missing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn

from utils.errors import CourseError
from utils.pretraining.denoising_batches import (
    PAD,
    choose_tokens,
    fitting,
    noise_spans,
    permute_sentences,
    poisson_spans,
    write,
)
from utils.pretraining.masking import IGNORED
from utils.pretraining.packing import PackedText, Vocabulary
from utils.transformer.config import TransformerConfig
from utils.transformer.models import EncoderDecoder

if TYPE_CHECKING:
    from transformers import BertTokenizer

Corruption = Literal["infilling", "spans", "deletion", "masking", "permutation"]

_RATES: dict[Corruption, float] = {
    "infilling": 0.30,
    "spans": 0.15,
    "deletion": 0.15,
    "masking": 0.15,
    "permutation": 0.0,
}
"""Shares of hidden tokens: those of BART and T5; BART does not say that of deletion and masking."""

_RARE = 1e-4
"""Share of sequences in which the Poisson spans need more slots than there are."""


def sentence_end_ids(tokenizer: "BertTokenizer") -> list[int]:
    """Numbers of the tokens that end a sentence."""
    numbers = tokenizer.get_vocab()
    return [numbers[token] for token in (".", "!", "?") if token in numbers]


class DenoisingAutoencoder(nn.Module):
    """The Transformer with encoder and decoder, which is given the true tokens before each one.

    Teacher forcing (Williams and Zipser, 1989): all positions of a target are learned at once.
    """

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.config = config
        self.model = EncoderDecoder(config)

    def forward(self, source_ids: Tensor, source_mask: Tensor, target_ids: Tensor) -> Tensor:
        """Logits (b, q, V) of what follows each position of `target_ids` (b, q).

        `source_ids` and `source_mask` are (b, k), the mask 1 for real tokens.
        """
        return self.model(source_ids, source_mask, target_ids)

    def start_from_frequencies(self, log_probabilities: Tensor) -> None:
        """Set the output bias to the log-probabilities (V,), see `Denoising.frequencies`."""
        with torch.no_grad():
            self.model.head.bias.copy_(log_probabilities)


@dataclass(frozen=True)
class CorruptedSequences:
    """Corrupted text, and what the decoder is to write.

    Attributes:
        windows: (batch, length), the text before it was corrupted.
        source_ids: (batch, k), with padding at the end.
        source_mask: (batch, k), 1 for real tokens.
        target_ids: (batch, q), what the decoder sees: [CLS], and the target but for its last token.
        labels: (batch, q), what it is asked: the token that follows; `IGNORED` in the padding, and
            for [UNK] and for [SEP] between documents.
    """

    windows: Tensor
    source_ids: Tensor
    source_mask: Tensor
    target_ids: Tensor
    labels: Tensor


class Denoising:
    """Undo a corruption; the loss is the mean over the tokens that the decoder is asked for.

    Attributes:
        vocab_size: of the model; sentinels are numbered behind the tokens of the vocabulary.
        source_length, target_length: positions that encoder and decoder process, padding included.
        n_hidden: tokens of a sequence that are hidden.
        n_spans: spans of a sequence, for "spans"; for "infilling" the most that fit.
    """

    def __init__(
        self,
        text: PackedText,
        vocabulary: Vocabulary,
        length: int = 64,
        *,
        corruption: Corruption = "infilling",
        rate: float | None = None,
        mean_span: float = 3.0,
        sentence_ends: Sequence[int] = (),
    ) -> None:
        """Prepare drawing.

        Args:
            text: where sequences are cut from.
            vocabulary: of its tokenizer.
            length: of a window in tokens, [CLS] and [SEP] included.
            corruption: "infilling": spans with lengths from a Poisson distribution become one
                [MASK] each. "spans": spans become a sentinel each, and the target holds only the
                sentinels and what they stand for. "deletion": tokens are left out. "masking":
                tokens become a [MASK] each. "permutation": sentences change places.
            rate: share of the tokens that are hidden, the same number in each sequence; None for
                30 % ("infilling") or 15 %.
            mean_span: mean length of spans.
            sentence_ends: for "permutation", from `sentence_end_ids`.

        Raises:
            CourseError: for an unknown corruption, a rate outside 0..1, sequences without room,
                spans of mean length below 1, or a permutation without ends of sentences.
        """
        _check(corruption, rate, length, mean_span, sentence_ends)
        rate = _RATES[corruption] if rate is None else rate
        self.text, self.vocabulary, self.length = text, vocabulary, length
        self.corruption, self.mean_span = corruption, mean_span
        self.n_hidden = max(1, round(rate * (length - 2)))
        self.n_spans, self.n_sentinels = 0, 0
        self.source_length, self.target_length = length, length - 1
        self._set_sizes()
        self.vocab_size = vocabulary.size + self.n_sentinels
        self._ends_sentence = torch.zeros_like(vocabulary.maskable)
        self._ends_sentence[list(sentence_ends)] = True

    def _set_sizes(self) -> None:
        """Shapes of the batches, as narrow as the corruption allows."""
        if self.corruption == "deletion":
            self.source_length = self.length - self.n_hidden
        if self.corruption == "infilling":
            self.n_spans = _enough_spans(self.n_hidden, self.mean_span)
            self.source_length = min(self.length, self.length - self.n_hidden + self.n_spans)
        if self.corruption == "spans":
            self.n_spans = max(1, round(self.n_hidden / self.mean_span))
            self.source_length = self.length - self.n_hidden + self.n_spans
            self.target_length = self.n_hidden + self.n_spans + 1  # and the closing [SEP]
            # Special tokens may cut spans in two, but no more fit into the target, a word in each.
            self.n_sentinels = self.target_length // 2

    def draw(self, n: int) -> CorruptedSequences:
        """`n` windows of text, corrupted by torch's global random state."""
        windows = self.text.windows(n, self.length, self.vocabulary)
        return self.corrupt(windows)

    def corrupt(self, windows: Tensor) -> CorruptedSequences:
        """Corrupt windows (n, length), each from [CLS] to [SEP]."""
        maskable = self.vocabulary.maskable[windows]
        if self.corruption == "permutation":
            ends = self._ends_sentence[windows]
            source_ids = permute_sentences(windows, ends, self.vocabulary.sep_id)
            return self._whole_text(windows, source_ids, torch.ones_like(maskable))
        if self.corruption == "masking":
            hidden = choose_tokens(maskable, self.n_hidden)
            source_ids = windows.masked_fill(hidden, self.vocabulary.mask_id)
            return self._whole_text(windows, source_ids, torch.ones_like(maskable))
        if self.corruption == "deletion":
            hidden = choose_tokens(maskable, self.n_hidden)
            return self._write_source(windows, torch.zeros_like(windows), ~hidden)
        if self.corruption == "infilling":
            spans = poisson_spans(maskable, self.n_hidden, self.mean_span, self.n_spans)
            return self._write_source(windows, spans.marks, ~spans.hidden)
        return self._corrupt_spans(windows, maskable)

    def _write_source(self, windows: Tensor, marks: Tensor, kept: Tensor) -> CorruptedSequences:
        """The corruptions of BART that change the length: marks become [MASK]."""
        fits = fitting(marks, kept, self.source_length)
        source = write(windows, marks, kept, fits, self.source_length)
        source_ids = source.ids.masked_fill(source.is_mark, self.vocabulary.mask_id)
        return self._whole_text(windows, source_ids, source.is_real, fits)

    def _whole_text(
        self, windows: Tensor, source_ids: Tensor, is_real: Tensor, fits: Tensor | None = None
    ) -> CorruptedSequences:
        """The target of BART: the text as it was, as far as it is in the source."""
        asked = self.vocabulary.maskable[windows]
        asked[:, -1] = True
        if fits is not None:
            asked &= fits
        labels = windows.masked_fill(~asked, IGNORED)
        return CorruptedSequences(
            windows, source_ids, is_real.long(), windows[:, :-1], labels[:, 1:]
        )

    def _corrupt_spans(self, windows: Tensor, maskable: Tensor) -> CorruptedSequences:
        """Source and target of T5: each holds what the other has sentinels for."""
        spans = noise_spans(maskable, self.n_hidden, self.n_spans)
        in_target = spans.hidden.clone()
        in_target[:, 0] = in_target[:, -1] = True  # [CLS] and [SEP] stand in both
        fits = fitting(spans.marks, ~spans.hidden, self.source_length)
        fits &= fitting(spans.marks, in_target, self.target_length + 1)
        source = write(windows, spans.marks, ~spans.hidden, fits, self.source_length)
        target = write(windows, spans.marks, in_target, fits, self.target_length + 1)
        source_ids, target_ids = (
            torch.where(
                part.is_mark, self.vocabulary.size - 1 + part.is_mark.long().cumsum(1), part.ids
            )
            for part in (source, target)
        )
        labels = target_ids.masked_fill(target_ids == PAD, IGNORED)
        return CorruptedSequences(
            windows, source_ids, source.is_real.long(), target_ids[:, :-1], labels[:, 1:]
        )

    def loss(self, model: nn.Module, batch: CorruptedSequences) -> Tensor:
        """Mean cross-entropy of the tokens that the decoder is asked for."""
        return nn.functional.cross_entropy(
            self.logits(model, batch).flatten(0, 1).float(),
            batch.labels.flatten(),
            ignore_index=IGNORED,
        )

    def logits(self, model: nn.Module, batch: CorruptedSequences) -> Tensor:
        """(batch, q, V), of what the decoder is to write at each position."""
        logits: Tensor = model(batch.source_ids, batch.source_mask, batch.target_ids)
        return logits

    def frequencies(self, log_probabilities: Tensor) -> Tensor:
        """Log-probability of each token among the labels whatever its context, (vocab_size,).

        Args:
            log_probabilities: (V,) of the text, from `unigram_log_probabilities`.
        """
        n_words = self.n_hidden if self.corruption == "spans" else self.length - 2
        expected = torch.full((self.vocab_size,), 1e-3, device=log_probabilities.device)
        expected[: self.vocabulary.size] = n_words * log_probabilities.exp()
        expected[self.vocabulary.sep_id] = 1.0
        if self.corruption == "spans":
            expected[self.vocabulary.size :][: self.n_spans] = 1.0
        return (expected / expected.sum()).log()


def _check(
    corruption: Corruption,
    rate: float | None,
    length: int,
    mean_span: float,
    sentence_ends: Sequence[int],
) -> None:
    if corruption not in _RATES:
        raise CourseError(
            f"There is no corruption {corruption!r}. Choose one of {', '.join(_RATES)}."
        )
    if rate is not None and not 0 < rate < 1:
        raise CourseError(f"The rate of corruption is {rate}; it must lie between 0 and 1.")
    if length < 4:
        raise CourseError(f"Sequences of {length} tokens have no room to hide one.")
    if mean_span < 1:
        raise CourseError(f"The mean length of spans is {mean_span}; it must be 1 or more.")
    if corruption == "permutation" and not sentence_ends:
        raise CourseError(
            "To permute sentences, say which tokens end one: "
            "sentence_ends=sentence_end_ids(tokenizer)."
        )


def _enough_spans(n_hidden: int, mean_span: float) -> int:
    """How many spans hide `n_hidden` tokens, in all but a share `_RARE` of the sequences."""
    from scipy.stats import poisson

    return next(n for n in count(1) if poisson.cdf(n_hidden - 1, n * mean_span) < _RARE)
