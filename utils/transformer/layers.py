"""The blocks of a layer: layer norm, feed-forward network, and the layers made of them.

Axes are named b (batch), q (positions), k (positions of the encoder), d_model (width).
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from utils.transformer.attention import MultiHeadAttention
from utils.transformer.config import TransformerConfig


def layer_norm(x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    r"""$\gamma\,(x - \mu) / \sqrt{\sigma^2 + \epsilon} + \beta$ over the last axis.

    Ba et al., 2016, equation 3; $\sigma^2$ is the mean squared deviation (not divided by n - 1).

    Args:
        x: (…, d_model).
        weight: $\gamma$, (d_model,).
        bias: $\beta$, (d_model,).
        eps: $\epsilon$, keeps the root away from zero.
    """
    centred = x - x.mean(dim=-1, keepdim=True)
    variance = centred.square().mean(dim=-1, keepdim=True)
    return weight * centred / torch.sqrt(variance + eps) + bias


class LayerNorm(nn.Module):
    """`layer_norm` with its learned `weight` and `bias`, or the same by torch's fused kernel."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(config.d_model))
        self.bias = nn.Parameter(torch.zeros(config.d_model))
        self.eps, self.fused = config.layer_norm_eps, config.fused

    def forward(self, x: Tensor) -> Tensor:
        """(…, d_model) → (…, d_model)."""
        if self.fused:
            return nn.functional.layer_norm(x, x.shape[-1:], self.weight, self.bias, self.eps)
        return layer_norm(x, self.weight, self.bias, self.eps)


class FeedForward(nn.Module):
    r"""The same small network at each position: $W_2\,\phi(W_1 x + b_1) + b_2$.

    Vaswani et al., 2017, equation 2, with GELU (Hendrycks and Gimpel, 2016) or ReLU as $\phi$. The
    variant "geglu" multiplies a second projection: $W_2\,(\mathrm{GELU}(W_1 x) ⊙ W_3 x)$ (Shazeer,
    2020).
    """

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.inner = nn.Linear(config.d_model, config.d_ff)
        self.outer = nn.Linear(config.d_ff, config.d_model)
        gated = config.activation == "geglu"
        self.gate = nn.Linear(config.d_model, config.d_ff) if gated else None
        self.activation = nn.functional.relu if config.activation == "relu" else nn.functional.gelu

    def forward(self, x: Tensor) -> Tensor:
        """(…, d_model) → (…, d_model)."""
        inner = self.activation(self.inner(x))
        if self.gate is not None:
            inner = inner * self.gate(x)
        return self.outer(inner)


class Residual(nn.Module):
    r"""What stands around every sublayer $f$: a sum with its input, and layer norm.

    Post-LN: $\mathrm{LN}(x + f(x))$ (Vaswani et al., 2017). Pre-LN: $x + f(\mathrm{LN}(x))$ (Xiong
    et al., 2020). Use `enter` before the sublayer and `leave` after it.
    """

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.norm = LayerNorm(config)
        self.dropout = nn.Dropout(config.dropout)
        self.pre = config.norm == "pre"

    def enter(self, x: Tensor) -> Tensor:
        """What the sublayer sees."""
        return self.norm(x) if self.pre else x

    def leave(self, x: Tensor, result: Tensor) -> Tensor:
        """What goes on, from the input `x` and the sublayer's `result`."""
        total = x + self.dropout(result)
        return total if self.pre else self.norm(total)


class EncoderLayer(nn.Module):
    """Self-attention, then a feed-forward network, each with its residual connection."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.attention = MultiHeadAttention(config, rotary=config.positions == "rotary")
        self.around_attention = Residual(config)
        self.feed_forward = FeedForward(config)
        self.around_feed_forward = Residual(config)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """(b, q, d_model) → (b, q, d_model); `mask` broadcasts to (b, heads, q, q)."""
        inputs = self.around_attention.enter(x)
        x = self.around_attention.leave(x, self.attention(inputs, inputs, mask))
        inputs = self.around_feed_forward.enter(x)
        return self.around_feed_forward.leave(x, self.feed_forward(inputs))


@dataclass
class LayerCache:
    """Keys and values that a decoder layer need not compute again, (b, heads, positions, d) each.

    `keys` and `values` grow by a position a step; those of the encoder's output stay as they are.
    """

    keys: Tensor | None = None
    values: Tensor | None = None
    memory: tuple[Tensor, Tensor] | None = None

    @property
    def length(self) -> int:
        """Positions decoded so far."""
        return 0 if self.keys is None else self.keys.shape[-2]

    def append(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Add new positions; returns the keys and values of all."""
        if self.keys is not None and self.values is not None:
            keys = torch.cat([self.keys, keys], dim=-2)
            values = torch.cat([self.values, values], dim=-2)
        self.keys, self.values = keys, values
        return keys, values

    def select(self, rows: Tensor) -> None:
        """Keep `rows` of the batch, in that order: the beams that go on."""
        if self.keys is not None and self.values is not None:
            self.keys, self.values = self.keys[rows], self.values[rows]
        if self.memory is not None:
            self.memory = self.memory[0][rows], self.memory[1][rows]


class DecoderLayer(nn.Module):
    """Causal self-attention, cross-attention to the encoder's output, feed-forward network."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.attention = MultiHeadAttention(config, rotary=config.positions == "rotary")
        self.around_attention = Residual(config)
        self.cross_attention = MultiHeadAttention(config)
        self.around_cross_attention = Residual(config)
        self.feed_forward = FeedForward(config)
        self.around_feed_forward = Residual(config)

    def forward(
        self,
        x: Tensor,
        memory: Tensor,
        mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        cache: LayerCache | None = None,
    ) -> Tensor:
        """Decode (b, q, d_model) with the encoder's output `memory` (b, k, d_model).

        `mask` broadcasts to (b, heads, q, positions so far), `memory_mask` to (b, heads, q, k).
        With a `cache`, `x` holds only the new positions.
        """
        cache = cache or LayerCache()
        first = cache.length
        inputs = self.around_attention.enter(x)
        keys, values = cache.append(*self.attention.keys_and_values(inputs, first))
        attended = self.attention.attend(inputs, keys, values, mask, first)
        x = self.around_attention.leave(x, attended)

        inputs = self.around_cross_attention.enter(x)
        cache.memory = cache.memory or self.cross_attention.keys_and_values(memory)
        attended = self.cross_attention.attend(inputs, *cache.memory, memory_mask)
        x = self.around_cross_attention.leave(x, attended)

        inputs = self.around_feed_forward.enter(x)
        return self.around_feed_forward.leave(x, self.feed_forward(inputs))
