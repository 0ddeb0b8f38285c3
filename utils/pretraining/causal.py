"""Causal language modelling: foretell each token from those before it (Radford et al., 2018, GPT).

A decoder-only model is an encoder stack whose attention may not look ahead.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from utils.errors import CourseError
from utils.pretraining.masking import IGNORED
from utils.pretraining.packing import PackedText, Vocabulary
from utils.transformer.attention import causal_mask
from utils.transformer.config import TransformerConfig
from utils.transformer.models import Encoder, LanguageModelHead


class CausalLanguageModel(nn.Module):
    """GPT: the stack of an encoder with a causal mask, and the token vectors as output weights.

    With `norm="pre"` it is GPT-2 (Radford et al., 2019, section 2.3), with "post" the first GPT.
    """

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.head = LanguageModelHead(self.encoder.embeddings.tokens)

    def forward(self, input_ids: Tensor) -> Tensor:
        """Logits (b, q, V) of the token that follows each position of `input_ids` (b, q)."""
        return self.head(self.hidden_states(input_ids))

    def hidden_states(self, input_ids: Tensor) -> Tensor:
        """(b, q) → (b, q, d_model); each position knows itself and those before it.

        Padding on the right needs no mask of its own: it comes after all real tokens.
        """
        length = input_ids.shape[1]
        mask = causal_mask(length, length, input_ids.device)
        return self.encoder.encode(self.encoder.embeddings(input_ids), mask)

    def start_from_frequencies(self, log_probabilities: Tensor) -> None:
        """Set the output bias to the tokens' log-probabilities (V,), as for BERT."""
        with torch.no_grad():
            self.head.bias.copy_(log_probabilities)


@dataclass(frozen=True)
class CausalSequences:
    """Sequences, and the token that follows each position.

    Attributes:
        input_ids: (batch, length).
        labels: (batch, length); `IGNORED` where [UNK] or a special token follows.
    """

    input_ids: Tensor
    labels: Tensor


class CausalLanguageModelling:
    """The next token at every position: the loss is the mean over all that may be asked for."""

    def __init__(self, text: PackedText, vocabulary: Vocabulary, length: int = 64) -> None:
        """`length` counts the positions that the model processes, [CLS] included.

        Raises:
            CourseError: if that is no position.
        """
        if length < 1:
            raise CourseError(f"Sequences of {length} tokens have nothing to foretell.")
        self.text, self.vocabulary, self.length = text, vocabulary, length

    def draw(self, n: int) -> CausalSequences:
        """`n` times [CLS] and `length` tokens of text, of which the last is only asked for."""
        # The closing [SEP] of a window marks no end of a text, so it is not asked for.
        window = self.text.windows(n, self.length + 2, self.vocabulary)[:, :-1]
        following = window[:, 1:]
        labels = following.masked_fill(~self.vocabulary.maskable[following], IGNORED)
        return CausalSequences(window[:, :-1], labels)

    def loss(self, model: nn.Module, batch: CausalSequences) -> Tensor:
        """Mean cross-entropy of the tokens that follow."""
        return nn.functional.cross_entropy(
            self.logits(model, batch).flatten(0, 1).float(),
            batch.labels.flatten(),
            ignore_index=IGNORED,
        )

    def logits(self, model: nn.Module, batch: CausalSequences) -> Tensor:
        """(batch, length, V), of the token that follows each position."""
        logits: Tensor = model(batch.input_ids)
        return logits
