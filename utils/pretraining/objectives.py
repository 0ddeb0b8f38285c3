"""What a model is asked in pre-training: an objective draws sequences and says how wrong it is."""

from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor, nn

from utils.errors import CourseError
from utils.pretraining.masking import IGNORED, mask_tokens
from utils.pretraining.packing import PackedText, Vocabulary
from utils.pretraining.sentence_pairs import Negatives, PairSource


class Objective(Protocol):
    """What the training loop needs; each objective has batches of its own.

    Both draw by torch's global random state.
    """

    length: int

    def draw(self, n: int) -> Any:
        """`n` sequences of `length` tokens, on the device of the text."""
        ...

    def loss(self, model: nn.Module, batch: Any) -> Tensor:
        """The mean loss of `model` on a batch, a number in nats with its gradient."""
        ...


@dataclass(frozen=True)
class MaskedSequences:
    """Sequences with hidden tokens, and the answers.

    Attributes:
        input_ids: (batch, length), corrupted.
        positions: (batch, n_masked), which positions are asked for.
        labels: (batch, n_masked), what stood there; `IGNORED` where nothing is asked.
        token_type_ids: (batch, length), 0 for A and 1 for B of a pair; None for single sequences.
        is_next: (batch,), 1 where B follows A; None for single sequences.
    """

    input_ids: Tensor
    positions: Tensor
    labels: Tensor
    token_type_ids: Tensor | None = None
    is_next: Tensor | None = None


class MaskedLanguageModelling:
    """BERT's objective: hidden tokens, and with `negatives` the next sentence too.

    Devlin et al., 2019, section 3.1. The loss is the mean over hidden tokens, plus the mean over
    pairs.
    """

    def __init__(
        self,
        text: PackedText,
        vocabulary: Vocabulary,
        length: int = 64,
        *,
        rate: float = 0.15,
        mask_share: float = 0.8,
        random_share: float = 0.1,
        whole_words: bool = False,
        negatives: Negatives | None = None,
    ) -> None:
        """Prepare drawing.

        Args:
            text: where sequences are cut from.
            vocabulary: of its tokenizer.
            length: of a sequence in tokens, [CLS] and [SEP] included.
            rate: share of the tokens that are hidden; each sequence has the same number of them.
            mask_share, random_share: shares of these that become [MASK], or a random token.
            whole_words: hide all pieces of a word or none.
            negatives: where the wrong second sentences come from; None for no pairs.

        Raises:
            CourseError: for a rate outside 0..1, sequences without room, or too little text.
        """
        if not 0 < rate < 1:
            raise CourseError(f"The masking rate is {rate}; it must lie between 0 and 1.")
        if length < 4:
            raise CourseError(f"Sequences of {length} tokens have no room to hide one.")
        self.text, self.vocabulary, self.length = text, vocabulary, length
        self.whole_words, self.negatives = whole_words, negatives
        self.mask_share, self.random_share = mask_share, random_share
        self.n_masked = max(1, round(rate * (length - (2 if negatives is None else 3))))
        self.pairs = None if negatives is None else PairSource(text, vocabulary, length)

    def draw(self, n: int) -> MaskedSequences:
        """`n` sequences, or pairs, of which every second one is a negative."""
        types, is_next = None, None
        if self.pairs is None or self.negatives is None:
            input_ids = self.text.windows(n, self.length, self.vocabulary)
        else:
            drawn = self.pairs.draw(n, self.negatives)
            input_ids, types, is_next = drawn.input_ids, drawn.token_type_ids, drawn.is_next
        masked = mask_tokens(
            input_ids,
            self.vocabulary.maskable[input_ids],
            n_masked=self.n_masked,
            mask_id=self.vocabulary.mask_id,
            first_word_id=self.vocabulary.first_word_id,
            vocab_size=self.vocabulary.size,
            mask_share=self.mask_share,
            random_share=self.random_share,
            words=self.vocabulary.words(input_ids) if self.whole_words else None,
        )
        return MaskedSequences(masked.input_ids, masked.positions, masked.labels, types, is_next)

    def loss(self, model: nn.Module, batch: MaskedSequences) -> Tensor:
        """Mean cross-entropy of the hidden tokens, plus that of the next sentence."""
        tokens, follows = model(batch.input_ids, batch.positions, batch.token_type_ids)
        loss = nn.functional.cross_entropy(
            tokens.flatten(0, 1).float(), batch.labels.flatten(), ignore_index=IGNORED
        )
        if batch.is_next is None:
            return loss
        if follows is None:
            raise CourseError(
                "The objective draws pairs, and the model has no next-sentence head. Make it with "
                "BertForPretraining(config, next_sentence=True)."
            )
        return loss + nn.functional.cross_entropy(follows.float(), 1 - batch.is_next)
