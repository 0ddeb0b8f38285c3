"""The sizes and variants of a Transformer."""

from dataclasses import dataclass
from typing import Literal

from utils.errors import CourseError


@dataclass(frozen=True)
class TransformerConfig:
    r"""Everything that fixes a Transformer but its weights.

    Attributes:
        vocab_size: number of tokens in the vocabulary, $V$.
        d_model: width of the hidden states, $d_\text{model}$.
        n_layers: layers of the encoder, and as many of the decoder.
        n_heads: attention heads $h$; each has the width $d_k = d_\text{model} / h$.
        d_ff: inner width of the feed-forward network.
        max_length: longest sequence, in tokens.
        positions: "learned" (BERT), "sinusoidal" (Vaswani et al., 2017), "rotary" (Su et al., 2021,
            RoFormer) or "none".
        norm: where layer norm stands: "post" (after each residual sum, as in BERT) or "pre" (before
            each sublayer; Xiong et al., 2020, ICML).
        activation: of the feed-forward network: "gelu", "relu" or "geglu" (Shazeer, 2020).
        n_segments: number of token types, 0 for none; BERT has 2.
        dropout: share of activations that training sets to zero.
        layer_norm_eps: the epsilon inside the root of layer norm.
        fused: use torch's fused kernels for attention and layer norm; otherwise the formulas as
            written out here. Both are tested to give the same.
    """

    vocab_size: int
    d_model: int = 128
    n_layers: int = 2
    n_heads: int = 4
    d_ff: int = 512
    max_length: int = 512
    positions: Literal["learned", "sinusoidal", "rotary", "none"] = "learned"
    norm: Literal["post", "pre"] = "post"
    activation: Literal["gelu", "relu", "geglu"] = "gelu"
    n_segments: int = 0
    dropout: float = 0.0
    layer_norm_eps: float = 1e-12
    fused: bool = True

    def __post_init__(self) -> None:
        if self.d_model % self.n_heads:
            raise CourseError(
                f"d_model = {self.d_model} cannot be split into {self.n_heads} heads of equal "
                "width. Choose n_heads so that it divides d_model."
            )
        if self.positions == "rotary" and self.d_head % 2:
            raise CourseError(
                f"Rotary positions turn pairs of numbers, but a head has {self.d_head}. Choose "
                "d_model and n_heads so that d_model / n_heads is even."
            )

    @property
    def d_head(self) -> int:
        """Width of one head, $d_k = d_v$."""
        return self.d_model // self.n_heads
