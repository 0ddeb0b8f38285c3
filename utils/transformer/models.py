"""Whole models: embeddings, encoder, decoder, and the two joined.

Axes are named b (batch), q (positions), k (positions of the source), d_model (width), V (words).
"""

import torch
from torch import Tensor, nn

from utils.errors import CourseError
from utils.transformer.attention import causal_mask, padding_mask
from utils.transformer.config import TransformerConfig
from utils.transformer.layers import DecoderLayer, EncoderLayer, LayerCache, LayerNorm
from utils.transformer.positions import sinusoidal_positions


class Embeddings(nn.Module):
    """Token numbers → vectors: the token's own, plus its position's, plus its segment's.

    As in BERT, layer norm follows in post-LN models. Sinusoidal positions are added to token
    vectors times √d_model (Vaswani et al., 2017, section 3.4).
    """

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.config = config
        self.tokens = nn.Embedding(config.vocab_size, config.d_model)
        if config.positions == "learned":
            self.positions = nn.Parameter(torch.empty(config.max_length, config.d_model))
        elif config.positions == "sinusoidal":
            vectors = sinusoidal_positions(config.max_length, config.d_model)
            self.register_buffer("positions", vectors, persistent=False)
        self.segments = (
            nn.Embedding(config.n_segments, config.d_model) if config.n_segments else None
        )
        self.norm = LayerNorm(config) if config.norm == "post" else None
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self, input_ids: Tensor, token_type_ids: Tensor | None = None, first_position: int = 0
    ) -> Tensor:
        """(b, q) → (b, q, d_model); raises `CourseError` if a sequence is too long."""
        end = first_position + input_ids.shape[1]
        if end > self.config.max_length:
            raise CourseError(
                f"A sequence has {end} tokens, but the model takes {self.config.max_length} at "
                "most (max_length). Cut it, or configure a longer model."
            )
        x = self.tokens(input_ids)
        if self.config.positions == "sinusoidal":
            x = x * self.config.d_model**0.5
        if self.config.positions in ("learned", "sinusoidal"):
            x = x + self.positions[first_position:end]
        if self.segments is not None:
            types = torch.zeros_like(input_ids) if token_type_ids is None else token_type_ids
            x = x + self.segments(types)
        return self.dropout(x if self.norm is None else self.norm(x))


class Encoder(nn.Module):
    """Embeddings and a stack of encoder layers: BERT without its heads (Devlin et al., 2019).

    Pre-LN models end with one more layer norm, since their last sum has had none.
    """

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.config = config
        self.embeddings = Embeddings(config)
        self.layers = nn.ModuleList(EncoderLayer(config) for _ in range(config.n_layers))
        self.norm = LayerNorm(config) if config.norm == "pre" else nn.Identity()
        initialise(self)

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
    ) -> Tensor:
        """(b, q) numbers, and masks of the same shape → hidden states (b, q, d_model)."""
        x = self.embeddings(input_ids, token_type_ids)
        mask = None if attention_mask is None else padding_mask(attention_mask)
        return self.encode(x, mask)

    def encode(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """The stack alone: (b, q, d_model) → (b, q, d_model)."""
        for layer in self.layers:
            x = layer(x, mask)
        return self.norm(x)


class Decoder(nn.Module):
    """Embeddings and a stack of decoder layers, which look at the encoder's output."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.config = config
        self.embeddings = Embeddings(config)
        self.layers = nn.ModuleList(DecoderLayer(config) for _ in range(config.n_layers))
        self.norm = LayerNorm(config) if config.norm == "pre" else nn.Identity()
        initialise(self)

    def forward(
        self,
        input_ids: Tensor,
        memory: Tensor,
        memory_mask: Tensor | None = None,
        caches: list[LayerCache] | None = None,
    ) -> Tensor:
        """(b, q) numbers and `memory` (b, k, d_model) → hidden states (b, q, d_model).

        `memory_mask` (b, k) is 1 for the real tokens of the source. With `caches` (one a layer),
        `input_ids` holds only the new positions.
        """
        first = caches[0].length if caches else 0
        x = self.embeddings(input_ids, first_position=first)
        seen = None if memory_mask is None else padding_mask(memory_mask)
        return self.decode(x, memory, seen, caches)

    def decode(
        self,
        x: Tensor,
        memory: Tensor,
        memory_mask: Tensor | None = None,
        caches: list[LayerCache] | None = None,
    ) -> Tensor:
        """The stack alone: (b, q, d_model) → (b, q, d_model); `memory_mask` is (b, 1, 1, k)."""
        caches = caches or [LayerCache() for _ in self.layers]
        length = x.shape[1]
        mask = causal_mask(length, caches[0].length + length, x.device)
        for layer, cache in zip(self.layers, caches, strict=True):
            x = layer(x, memory, mask, memory_mask, cache)
        return self.norm(x)


class LanguageModelHead(nn.Module):
    """Hidden states → a score for each token of the vocabulary, with the embedding as its weight.

    Tied weights save V · d_model parameters (Press and Wolf, 2017, EACL).
    """

    def __init__(self, embedding: nn.Embedding) -> None:
        super().__init__()
        self.embedding = embedding
        self.bias = nn.Parameter(torch.zeros(embedding.num_embeddings))

    def forward(self, x: Tensor) -> Tensor:
        """(b, q, d_model) → logits (b, q, V)."""
        return nn.functional.linear(x, self.embedding.weight, self.bias)


class EncoderDecoder(nn.Module):
    """The Transformer of Vaswani et al., 2017: the decoder writes while it looks at the source.

    Encoder, decoder and head share one table of token vectors. With `causal`, each position of the
    source is read without those after it.
    """

    def __init__(self, config: TransformerConfig, *, causal: bool = False) -> None:
        super().__init__()
        self.config = config
        self.causal = causal
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        self.decoder.embeddings.tokens = self.encoder.embeddings.tokens
        self.head = LanguageModelHead(self.encoder.embeddings.tokens)

    def forward(self, source_ids: Tensor, source_mask: Tensor, target_ids: Tensor) -> Tensor:
        """Logits (b, q, V) of the token that follows each position of `target_ids` (b, q).

        `source_ids` and `source_mask` are (b, k).
        """
        memory = self.read(source_ids, source_mask)
        return self.head(self.decoder(target_ids, memory, source_mask))

    def read(self, source_ids: Tensor, source_mask: Tensor) -> Tensor:
        """What the decoder looks at: (b, k) → (b, k, d_model)."""
        if not self.causal:
            return self.encoder(source_ids, source_mask)
        # Padding stands on the right, where no real token looks.
        k = source_ids.shape[1]
        mask = causal_mask(k, k, source_ids.device)
        return self.encoder.encode(self.encoder.embeddings(source_ids), mask)


def initialise(model: nn.Module) -> None:
    """Draw weights as BERT does: normal with standard deviation 0.02, biases zero."""
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, std=0.02)
        if isinstance(module, nn.Linear):
            nn.init.zeros_(module.bias)
        if isinstance(module, Embeddings) and module.config.positions == "learned":
            nn.init.normal_(module.positions, std=0.02)
