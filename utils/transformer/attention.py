"""Attention: the formula, its fused kernel, masks, and several heads side by side.

Axes are named b (batch), h (heads), q (query positions), k (key positions), d (width).
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from utils.transformer.config import TransformerConfig
from utils.transformer.positions import rotate


def attention(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    r"""Scaled dot-product attention, $\mathrm{softmax}(QK^\top / \sqrt{d_k})\,V$.

    Vaswani et al., 2017, NeurIPS, equation 1. A query that may attend to nothing gets zeros.

    Args:
        query: (…, q, d).
        key: (…, k, d).
        value: (…, k, d).
        mask: booleans that broadcast to (…, q, k); True where a query may attend to a key.

    Returns:
        The output (…, q, d) and the weights (…, q, k), whose rows sum to 1.
    """
    scores = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])
    if mask is None:
        weights = scores.softmax(dim=-1)
    else:
        # The smallest number instead of -inf: a row of -inf would become NaN, gradient included.
        scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
        weights = scores.softmax(dim=-1).masked_fill(~mask, 0.0)
    return weights @ value, weights


def fused_attention(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None, dropout: float = 0.0
) -> Tensor:
    """The output of `attention` by torch's fused kernel, which never stores the (q, k) weights.

    FlashAttention (Dao et al., 2022, NeurIPS) and the like; the arguments are those of `attention`,
    and `dropout` is the share of weights that is set to zero.
    """
    kernel = nn.functional.scaled_dot_product_attention
    with single_precision_on_cpu(query, key, value) as (q, k, v):
        if mask is None:
            return kernel(q, k, v, dropout_p=dropout).to(value.dtype)
        sees_something = mask.any(dim=-1, keepdim=True)
        output = kernel(q, k, v, attn_mask=mask | ~sees_something, dropout_p=dropout)
    return output.to(value.dtype).masked_fill(~sees_something, 0.0)


@contextmanager
def single_precision_on_cpu(*inputs: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """On a CPU, inputs in half precision as float32, and no autocast while something is computed.

    Torch's fused attention on CPUs, 2.13, takes much longer for gradients in bfloat16 than in
    float32: 16 ms instead of 2 for a layer of MiniLM and 32 sentences of 26 tokens, on one core of
    an AMD EPYC, which was a third of all time in training; with 384 tokens about as long. Elsewhere
    the inputs stay as they are.
    """
    if any(each.device.type != "cpu" for each in inputs):
        yield inputs
        return
    half = (torch.bfloat16, torch.float16)
    with torch.autocast("cpu", enabled=False):
        yield tuple(each.float() if each.dtype in half else each for each in inputs)


def padding_mask(attention_mask: Tensor) -> Tensor:
    """From (b, k), 1 for real tokens, to booleans (b, 1, 1, k): no query attends to padding."""
    return attention_mask.bool()[:, None, None, :]


def causal_mask(n_queries: int, n_keys: int, device: torch.device | None = None) -> Tensor:
    """Booleans (q, k): a position attends to itself and to those before it.

    With more keys than queries, the queries are the last positions, as in decoding with a cache.
    """
    every = torch.ones(n_queries, n_keys, dtype=torch.bool, device=device)
    return every.tril(diagonal=n_keys - n_queries)


def split_heads(x: Tensor, n_heads: int) -> Tensor:
    """(b, length, h·d) → (b, h, length, d): each head takes its own slice of the width."""
    batch, length, width = x.shape
    return x.view(batch, length, n_heads, width // n_heads).transpose(1, 2)


def merge_heads(x: Tensor) -> Tensor:
    """(b, h, length, d) → (b, length, h·d): the inverse of `split_heads`."""
    return x.transpose(1, 2).flatten(start_dim=2)


class MultiHeadAttention(nn.Module):
    r"""$h$ attentions side by side, each on its own projections of width $d_k$.

    $\mathrm{MultiHead}(Q, K, V) = \mathrm{Concat}(\mathrm{head}_1, …, \mathrm{head}_h)\,W^O$
    (Vaswani et al., 2017, section 3.2.2). Set `keep_weights` to find the attention weights
    (b, h, q, k) of the last call in `weights`.
    """

    def __init__(self, config: TransformerConfig, rotary: bool = False) -> None:
        super().__init__()
        self.n_heads, self.rotary, self.fused = config.n_heads, rotary, config.fused
        self.dropout = config.dropout
        self.query = nn.Linear(config.d_model, config.d_model)
        self.key = nn.Linear(config.d_model, config.d_model)
        self.value = nn.Linear(config.d_model, config.d_model)
        self.output = nn.Linear(config.d_model, config.d_model)
        self.keep_weights = False
        self.weights: Tensor | None = None

    def forward(self, x: Tensor, source: Tensor, mask: Tensor | None = None) -> Tensor:
        """Each position of `x` (b, q, d_model) looks at `source` (b, k, d_model) → as `x`.

        Self-attention gives `x` for both, cross-attention the encoder's output as `source`.
        """
        keys, values = self.keys_and_values(source)
        return self.attend(x, keys, values, mask)

    def keys_and_values(self, source: Tensor, first_position: int = 0) -> tuple[Tensor, Tensor]:
        """Project (b, k, d_model) to the keys and values of each head, (b, h, k, d) each."""
        keys = split_heads(self.key(source), self.n_heads)
        if self.rotary:
            keys = rotate(keys, first_position)
        return keys, split_heads(self.value(source), self.n_heads)

    def attend(
        self,
        x: Tensor,
        keys: Tensor,
        values: Tensor,
        mask: Tensor | None = None,
        first_position: int = 0,
    ) -> Tensor:
        """Attend from (b, q, d_model) to keys and values (b, h, k, d) → (b, q, d_model)."""
        queries = split_heads(self.query(x), self.n_heads)
        if self.rotary:
            queries = rotate(queries, first_position)
        dropout = self.dropout if self.training else 0.0
        if self.fused and not self.keep_weights:
            mixed = fused_attention(queries, keys, values, mask, dropout)
        else:
            mixed, weights = attention(queries, keys, values, mask)
            # Half precision is of no use to a reader; double precision stays.
            wide = torch.promote_types(weights.dtype, torch.float32)
            self.weights = weights.detach().to(wide) if self.keep_weights else None
            if dropout:
                mixed = nn.functional.dropout(weights, dropout) @ values
        return self.output(merge_heads(mixed))
