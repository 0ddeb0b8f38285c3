"""Exercises of lesson 02: attention, masks, heads, layer norm, positions, cross-attention."""

import math

import numpy as np
import torch
from torch import Tensor

from utils.lesson.exercise import Exercise, Mistake


def _random(rng: np.random.Generator, *shape: int) -> Tensor:
    return torch.tensor(rng.normal(size=shape)).float()


# --- 02.1 -----------------------------------------------------------------------------------------


def my_attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Scaled dot-product attention, (batch, queries, d)."""
    scores = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])
    return scores.softmax(dim=-1) @ value


def _attention_cases(rng: np.random.Generator) -> list[tuple]:
    # The first case is square, so that what is transposed gives numbers and not an error.
    shapes = [(1, 3, 3, 4), (2, 3, 5, 4), (3, 6, 2, 7)]
    return [
        (_random(rng, b, q, d), _random(rng, b, k, d), _random(rng, b, k, d))
        for b, q, k, d in shapes
    ]


def _scores(query: Tensor, key: Tensor) -> Tensor:
    return query @ key.transpose(-2, -1)


ATTENTION = Exercise(
    number="02.1",
    title="Attention",
    difficulty=1,
    minutes=10,
    prompt="""
Write `my_attention(query, key, value)`, equation 1 of Vaswani et al. (2017), without a mask.

| symbol | variable | shape |
|---|---|---|
| $Q$ | `query` | (batch, queries, d) |
| $K$ | `key` | (batch, keys, d) |
| $V$ | `value` | (batch, keys, d) |
| $\\mathrm{softmax}(QK^\\top / \\sqrt{d})\\,V$ | result | (batch, queries, d) |
""",
    hints=(
        "Each query gets a score for each key. Which two axes must meet in the product?",
        "`key.transpose(-2, -1)` has the shape (batch, d, keys). Each *query's* weights sum to 1.",
        "Scores are `query @ key.transpose(-2, -1) / math.sqrt(d)`, softmax runs over the last "
        "axis, and the weights multiply `value`.",
    ),
    solution=my_attention,
    cases=_attention_cases,
    mistakes=(
        Mistake(
            "the scale is forgotten",
            "The scores are not divided by $\\sqrt{d}$. With wide vectors softmax then puts nearly "
            "all weight on one key.",
            lambda q, k, v: _scores(q, k).softmax(-1) @ v,
        ),
        Mistake(
            "divided by d, not by its root",
            "You divide by $d$. Section 2 of the lesson shows which power of $d$ keeps the "
            "variance at 1.",
            lambda q, k, v: (_scores(q, k) / q.shape[-1]).softmax(-1) @ v,
        ),
        Mistake(
            "multiplied by the root of d",
            "You multiply the scores by $\\sqrt{d}$ instead of dividing.",
            lambda q, k, v: (_scores(q, k) * math.sqrt(q.shape[-1])).softmax(-1) @ v,
        ),
        Mistake(
            "softmax over the queries",
            "Your softmax runs over the wrong axis: the weights that each *key* gives away sum to "
            "1. Those of each query should.",
            lambda q, k, v: (_scores(q, k) / math.sqrt(q.shape[-1])).softmax(-2) @ v,
        ),
        Mistake(
            "softmax over the batch",
            "Your softmax runs over the first axis, so that the examples of a batch share their "
            "weights.",
            lambda q, k, v: (_scores(q, k) / math.sqrt(q.shape[-1])).softmax(0) @ v,
        ),
        Mistake(
            "no softmax",
            "The scores multiply the values as they are. They have to be turned into weights that "
            "are positive and sum to 1.",
            lambda q, k, v: _scores(q, k) / math.sqrt(q.shape[-1]) @ v,
        ),
        Mistake(
            "keys mixed instead of values",
            "The weights multiply the keys. What is mixed are the values.",
            lambda q, k, v: (_scores(q, k) / math.sqrt(q.shape[-1])).softmax(-1) @ k,
        ),
        Mistake(
            "scaled after softmax",
            "You divide the *weights* by $\\sqrt{d}$, so they no longer sum to 1. The scale "
            "belongs inside softmax.",
            lambda q, k, v: _scores(q, k).softmax(-1) / math.sqrt(q.shape[-1]) @ v,
        ),
    ),
)

# --- 02.2 -----------------------------------------------------------------------------------------


def causal_weights(scores: Tensor) -> Tensor:
    """Attention weights of a decoder, (batch, length, length)."""
    length = scores.shape[-1]
    visible = torch.ones(length, length, dtype=torch.bool).tril()
    return scores.masked_fill(~visible, -torch.inf).softmax(dim=-1)


def _causal_cases(rng: np.random.Generator) -> list[tuple]:
    return [(_random(rng, *shape),) for shape in ((1, 3, 3), (2, 5, 5), (3, 1, 1), (1, 8, 8))]


def _masked(scores: Tensor, visible: Tensor) -> Tensor:
    return scores.masked_fill(~visible.bool(), -torch.inf).softmax(dim=-1)


def _ones(scores: Tensor) -> Tensor:
    return torch.ones_like(scores[0])


CAUSAL_WEIGHTS = Exercise(
    number="02.2",
    title="A mask for those who must not look ahead",
    difficulty=2,
    minutes=10,
    prompt="""
A decoder writes from left to right: position $i$ may attend to the positions $1 … i$, itself
included, and to none after it. Write `causal_weights(scores)`: from the scaled scores
$S$ (batch, length, length), rows queries and columns keys, make the attention weights of a decoder.

| symbol | variable | shape |
|---|---|---|
| $S_{bij}$ | `scores` | (batch, length, length), floats |
| $A_{bij} = 0$ for $j > i$, $\\sum_j A_{bij} = 1$ | result | (batch, length, length), floats |
""",
    hints=(
        "A weight of exactly 0 comes out of softmax for one score only. Which?",
        "`torch.ones(length, length).tril()` is 1 on and below the diagonal: a row per query.",
        "`scores.masked_fill(~visible, -torch.inf)`, then softmax over the last axis.",
    ),
    solution=causal_weights,
    cases=_causal_cases,
    mistakes=(
        Mistake(
            "mask after softmax",
            "You set weights to zero *after* softmax. The rest of a row then no longer sums to 1: "
            "what the future would have got is lost.",
            lambda s: s.softmax(-1) * _ones(s).tril(),
        ),
        Mistake(
            "the mask is off by one: a position does not see itself",
            "Your mask also hides the diagonal. The first position is then left with nothing to "
            "attend to.",
            lambda s: _masked(s, _ones(s).tril(-1)),
        ),
        Mistake(
            "the mask is off by one: a position does not see itself (zeros for the first)",
            "Your mask also hides the diagonal: a position should attend to itself as well.",
            lambda s: _masked(s, _ones(s).tril(-1)).nan_to_num(0.0),
        ),
        Mistake(
            "the mask is off by one: the next position is visible",
            "Each position also sees the one after it, which is just the token that it is to "
            "predict.",
            lambda s: _masked(s, _ones(s).tril(1)),
        ),
        Mistake(
            "the mask is transposed",
            "Your mask lets each position see itself and the *future*. Rows are queries, columns "
            "are keys.",
            lambda s: _masked(s, _ones(s).triu()),
        ),
        Mistake(
            "scores multiplied by the mask",
            "Hidden scores become 0, and $e^0 = 1$: the future still gets weight.",
            lambda s: (s * _ones(s).tril()).softmax(-1),
        ),
        Mistake(
            "the mask added as ones and zeros",
            "You add 1 to what is visible and 0 to what is not. The future only gets less weight, "
            "not none.",
            lambda s: (s + _ones(s).tril()).softmax(-1),
        ),
        Mistake(
            "no mask",
            "Every position attends to all others, the future included.",
            lambda s: s.softmax(-1),
        ),
        Mistake(
            "softmax over the queries",
            "The mask is right, but your softmax runs over the queries. Each *row* should sum to "
            "1.",
            lambda s: s.masked_fill(_ones(s).triu(1).bool(), -torch.inf).softmax(-2),
        ),
    ),
)

# --- 02.3 -----------------------------------------------------------------------------------------


def my_split_heads(x: Tensor, n_heads: int) -> Tensor:
    """One slice of the width per head, (batch, n_heads, length, d_model / n_heads)."""
    batch, length, d_model = x.shape
    return x.reshape(batch, length, n_heads, d_model // n_heads).transpose(1, 2)


def _head_cases(rng: np.random.Generator) -> list[tuple]:
    counting = torch.arange(8.0).reshape(1, 2, 4)
    shapes = [((2, 3, 12), 4), ((3, 5, 6), 2), ((1, 4, 8), 4)]
    return [(counting, 2), *((_random(rng, *shape), heads) for shape, heads in shapes)]


SPLIT_HEADS = Exercise(
    number="02.3",
    title="Several heads are one reshape",
    difficulty=2,
    minutes=10,
    prompt="""
The projections of all heads are computed at once, by one matrix, and then cut apart: the first
$d_\\text{model} / h$ numbers of each position belong to the first head, the next to the second, and
so on. Write `my_split_heads(x, n_heads)`.

| symbol | variable | shape |
|---|---|---|
| | `x` | (batch, length, d_model) |
| $h$ | `n_heads` | a number that divides d_model |
| | result | (batch, n_heads, length, d_model / n_heads) |

Head `i` of the result at position `t` holds `x[b, t, i * d : (i + 1) * d]` with `d = d_model / h`.
""",
    hints=(
        "A reshape never moves a number in memory. Which axis must be cut in two, and where does "
        "the new one stand after the cut?",
        "Cutting d_model gives (batch, length, n_heads, d). The heads have to come before the "
        "length.",
        "`x.reshape(batch, length, n_heads, d)`, then `.transpose(1, 2)`.",
    ),
    solution=my_split_heads,
    cases=_head_cases,
    mistakes=(
        Mistake(
            "heads split by a reshape alone",
            "The shape is right, but a reshape reads on in memory: your heads mix numbers of "
            "different *positions*. Cut the width first, then swap two axes.",
            lambda x, h: x.reshape(x.shape[0], h, x.shape[1], x.shape[2] // h),
        ),
        Mistake(
            "heads interleaved",
            "Head $i$ got every $h$-th number of the width. It should get a slice of numbers that "
            "stand side by side.",
            lambda x, h: x.reshape(*x.shape[:2], x.shape[2] // h, h).permute(0, 3, 1, 2),
        ),
        Mistake(
            "heads and positions not swapped",
            "You return (batch, length, n_heads, d). Attention runs over the last two axes, so "
            "these must be length and width.",
            lambda x, h: x.reshape(*x.shape[:2], h, x.shape[2] // h),
        ),
        Mistake(
            "width and length swapped",
            "You return (batch, n_heads, d, length). The width comes last.",
            lambda x, h: x.reshape(*x.shape[:2], h, x.shape[2] // h).permute(0, 2, 3, 1),
        ),
        Mistake(
            "heads joined with the batch",
            "You return (batch · n_heads, length, d). The heads should have an axis of their own.",
            lambda x, h: x.reshape(*x.shape[:2], h, x.shape[2] // h).transpose(1, 2).flatten(0, 1),
        ),
    ),
)

# --- 02.4 -----------------------------------------------------------------------------------------


def my_layer_norm(x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    """Layer norm over the last axis, of the shape of x."""
    mean = x.mean(dim=-1, keepdim=True)
    variance = (x - mean).square().mean(dim=-1, keepdim=True)
    return weight * (x - mean) / torch.sqrt(variance + eps) + bias


def _norm_cases(rng: np.random.Generator) -> list[tuple]:
    small = torch.tensor([[[1.0, 5.0]]]), torch.tensor([1.0, 2.0]), torch.tensor([0.0, 1.0]), 0.5
    # A large epsilon, so that it shows where it stands; no two sizes are equal.
    shapes = ((2, 3, 4), (3, 5, 7), (4, 2, 6))
    cases = [(_random(rng, *s), _random(rng, s[2]), _random(rng, s[2]), 0.1) for s in shapes]
    return [small, *cases]


def _moments(x: Tensor, axis: int = -1) -> tuple[Tensor, Tensor]:
    return x.mean(axis, keepdim=True), x.var(axis, keepdim=True, correction=0)


LAYER_NORM = Exercise(
    number="02.4",
    title="Layer norm",
    difficulty=1,
    minutes=10,
    prompt="""
Write `my_layer_norm(x, weight, bias, eps)`, which normalises each position by itself.

| symbol | variable | shape |
|---|---|---|
| $x$ | `x` | (batch, length, d_model) |
| $\\gamma, \\beta$ | `weight`, `bias` | (d_model,) |
| $\\epsilon$ | `eps` | a number; 0.1 in the check, so that its place shows |
| $\\mu, \\sigma^2$ | mean and mean squared deviation over d_model | (batch, length, 1) |
| $\\gamma\\,(x-\\mu)/\\sqrt{\\sigma^2+\\epsilon}+\\beta$ | result | (batch, length, d_model) |
""",
    hints=(
        "Mean and variance are taken over the numbers of one position, with `keepdim=True`.",
        "`x.var(...)` divides by n - 1 unless told otherwise. The formula divides by n.",
        "The epsilon is added to the variance before the root is taken.",
    ),
    solution=my_layer_norm,
    cases=_norm_cases,
    mistakes=(
        Mistake(
            "epsilon outside the root",
            "The epsilon is added to the standard deviation. It belongs under the root, beside the "
            "variance.",
            lambda x, w, b, e: w * (x - _moments(x)[0]) / (_moments(x)[1].sqrt() + e) + b,
        ),
        Mistake(
            "epsilon forgotten",
            "There is no epsilon. A position whose numbers are all equal would be divided by zero.",
            lambda x, w, b, e: w * (x - _moments(x)[0]) / _moments(x)[1].sqrt() + b,
        ),
        Mistake(
            "epsilon squared",
            "The square of epsilon stands under the root. The formula has epsilon itself.",
            lambda x, w, b, e: w * (x - _moments(x)[0]) / (_moments(x)[1] + e * e).sqrt() + b,
        ),
        Mistake(
            "variance divided by n - 1",
            "Your variance divides by n - 1, torch's default. Layer norm divides by n: "
            "`correction=0`.",
            lambda x, w, b, e: w * (x - _moments(x)[0]) / (x.var(-1, keepdim=True) + e).sqrt() + b,
        ),
        Mistake(
            "divided by the variance",
            "You divide by the variance. Divide by its root.",
            lambda x, w, b, e: w * (x - _moments(x)[0]) / (_moments(x)[1] + e) + b,
        ),
        Mistake(
            "normalised over the positions",
            "Mean and variance are taken over the *positions*, so that padding and other tokens "
            "change a token. Take them over d_model.",
            lambda x, w, b, e: w * (x - _moments(x, 1)[0]) / (_moments(x, 1)[1] + e).sqrt() + b,
        ),
        Mistake(
            "normalised over the batch",
            "Mean and variance are taken over the batch, as batch norm does. Take them over "
            "d_model.",
            lambda x, w, b, e: w * (x - _moments(x, 0)[0]) / (_moments(x, 0)[1] + e).sqrt() + b,
        ),
        Mistake(
            "the mean is not subtracted",
            "You scale, but do not centre: the mean is not subtracted from x.",
            lambda x, w, b, e: w * x / (_moments(x)[1] + e).sqrt() + b,
        ),
        Mistake(
            "weight and bias left out",
            "The normalised numbers are returned as they are. `weight` and `bias` are missing.",
            lambda x, w, b, e: (x - _moments(x)[0]) / (_moments(x)[1] + e).sqrt(),
        ),
        Mistake(
            "the bias is scaled too",
            "The bias is added before the multiplication by `weight`. It comes last.",
            lambda x, w, b, e: w * ((x - _moments(x)[0]) / (_moments(x)[1] + e).sqrt() + b),
        ),
    ),
)

# --- 02.5 -----------------------------------------------------------------------------------------


def my_positions(n_positions: int, d_model: int) -> Tensor:
    """Position vectors, (n_positions, d_model)."""
    vectors = torch.zeros(n_positions, d_model)
    for t in range(n_positions):
        for i in range(d_model // 2):
            angle = t / 10000 ** (2 * i / d_model)
            vectors[t, 2 * i] = math.sin(angle)
            vectors[t, 2 * i + 1] = math.cos(angle)
    return vectors


def _angles(n: int, d: int, power: float = 1.0, first: int = 0) -> Tensor:
    pairs = torch.arange(d // 2, dtype=torch.float64) * 2 * power / d
    return torch.outer(torch.arange(first, n + first, dtype=torch.float64), 10000.0**-pairs)


def _angle_per_column(n: int, d: int) -> Tensor:
    columns = torch.arange(d, dtype=torch.float64)
    angles = torch.outer(torch.arange(n, dtype=torch.float64), 10000.0 ** (-columns / d))
    return torch.where(columns % 2 == 0, angles.sin(), angles.cos()).float()


def _interleaved(even: Tensor, odd: Tensor) -> Tensor:
    return torch.stack([even, odd], dim=-1).flatten(1).float()


POSITIONS = Exercise(
    number="02.5",
    title="Where a token stands",
    difficulty=2,
    minutes=15,
    prompt="""
Write `my_positions(n_positions, d_model)` for an even `d_model`, a row per position.

| symbol | variable | shape |
|---|---|---|
| $t$ | position, from 0 on | 0 … n_positions - 1 |
| $i$ | number of the pair | 0 … d_model / 2 - 1 |
| $P_{t,2i} = \\sin(t / 10000^{2i/d_\\text{model}})$ | even columns of the result | |
| $P_{t,2i+1} = \\cos(t / 10000^{2i/d_\\text{model}})$ | odd columns of the result | |
| $P$ | result | (n_positions, d_model), floats |
""",
    hints=(
        "Sine and cosine of one angle stand side by side. How many different angles has a row?",
        "Two loops are fine: over positions and over pairs. For speed, `torch.outer` makes the "
        "table of all angles, (n_positions, d_model / 2).",
        "`P[:, 0::2] = angles.sin()` and `P[:, 1::2] = angles.cos()`.",
    ),
    solution=my_positions,
    cases=lambda rng: [(3, 4), (5, 4), (40, 10)],
    mistakes=(
        Mistake(
            "positions transposed",
            "You return (d_model, n_positions). A row per position is asked for.",
            lambda n, d: _interleaved(_angles(n, d).sin(), _angles(n, d).cos()).T,
        ),
        Mistake(
            "all sines, then all cosines",
            "The sines fill the first half of a row and the cosines the second. They should "
            "alternate. (Some libraries do it your way, with weights that fit it.)",
            lambda n, d: torch.cat([_angles(n, d).sin(), _angles(n, d).cos()], 1).float(),
        ),
        Mistake(
            "sine and cosine exchanged",
            "Even columns hold cosines and odd ones sines. It should be the other way round.",
            lambda n, d: _interleaved(_angles(n, d).cos(), _angles(n, d).sin()),
        ),
        Mistake(
            "exponent without the 2",
            "Your exponent is $i/d$ instead of $2i/d$, so the slowest waves are far too fast.",
            lambda n, d: _interleaved(_angles(n, d, 0.5).sin(), _angles(n, d, 0.5).cos()),
        ),
        Mistake(
            "positions counted from 1",
            "Your first position has the number 1. It should be 0: sines 0, cosines 1.",
            lambda n, d: _interleaved(_angles(n, d, first=1).sin(), _angles(n, d, first=1).cos()),
        ),
        Mistake(
            "multiplied instead of divided",
            "You multiply the position by $10000^{2i/d}$, so later pairs swing faster, not slower.",
            lambda n, d: _interleaved(_angles(n, d, -1.0).sin(), _angles(n, d, -1.0).cos()),
        ),
        Mistake(
            "an angle of its own for each column",
            "Each column has another angle: yours depends on the column $2i$ or $2i + 1$. The two "
            "columns of a pair share theirs.",
            _angle_per_column,
        ),
    ),
)  # fmt: skip

# --- 02.6 -----------------------------------------------------------------------------------------


def cross_attention(
    x: Tensor, memory: Tensor, memory_mask: Tensor, w_q: Tensor, w_k: Tensor, w_v: Tensor
) -> Tensor:
    """The decoder looks at the source, (batch, target, d)."""
    query, key, value = x @ w_q, memory @ w_k, memory @ w_v
    scores = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])
    hidden = memory_mask[:, None, :] == 0  # (batch, 1, source)
    return scores.masked_fill(hidden, -torch.inf).softmax(dim=-1) @ value


def _cross(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
    scores = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])
    if mask is not None:
        scores = scores.masked_fill(~mask.bool(), -torch.inf)
    return scores.softmax(dim=-1) @ value


def _cross_cases(rng: np.random.Generator) -> list[tuple]:
    cases = []
    # First as long as each other, so that what is swapped gives numbers.
    for batch, target, source, width in ((1, 3, 3, 2), (2, 4, 4, 3), (2, 3, 5, 4)):
        lengths = torch.arange(source - 1, source - 1 - batch, -1)[:, None]
        mask = (torch.arange(source) < lengths).long()
        shapes = [(batch, target, width), (batch, source, width)]
        x, memory = (_random(rng, *shape) for shape in shapes)
        cases.append((x, memory, mask, *(_random(rng, width, width) for _ in range(3))))
    return cases


CROSS_ATTENTION = Exercise(
    number="02.6",
    title="The decoder looks at the source",
    difficulty=3,
    minutes=15,
    prompt="""
Write `cross_attention(x, memory, memory_mask, w_q, w_k, w_v)`, one head of a decoder's
cross-attention: the target asks, the source answers. There is no causal mask, since the whole
source is known; its padding must get no weight.

| symbol | variable | shape |
|---|---|---|
| $Y$ | `x`, hidden states of the target | (batch, target, d) |
| $M$ | `memory`, the encoder's output | (batch, source, d) |
| $m$ | `memory_mask`, 1 for real tokens of the source, 0 for padding | (batch, source) |
| $W^Q, W^K, W^V$ | `w_q`, `w_k`, `w_v`; multiply them from the right | (d, d) |
| $\\mathrm{softmax}(QK^\\top / \\sqrt{d})\\,V$ over real tokens | result | (batch, target, d) |
""",
    hints=(
        "Queries come from the side that wants to know something, keys and values from the side "
        "that knows.",
        "`query = x @ w_q`, `key = memory @ w_k`, `value = memory @ w_v`; the scores have the "
        "shape (batch, target, source).",
        "`memory_mask[:, None, :]` has the shape (batch, 1, source) and fits the scores.",
    ),
    solution=cross_attention,
    cases=_cross_cases,
    mistakes=(
        Mistake(
            "inputs swapped",
            "Your queries come from the source, and keys and values from the target. It is the "
            "other way round.",
            lambda x, m, a, q, k, v: _cross(m @ q, x @ k, x @ v, a[:, None]),
        ),
        Mistake(
            "inputs swapped, without the mask",
            "Your queries come from the source, and keys and values from the target; and padding "
            "is not masked.",
            lambda x, m, a, q, k, v: _cross(m @ q, x @ k, x @ v),
        ),
        Mistake(
            "values from the target",
            "Keys come from the source, but values from the target: the decoder finds the place "
            "and then reads its own states.",
            lambda x, m, a, q, k, v: _cross(x @ q, m @ k, x @ v, a[:, None]),
        ),
        Mistake(
            "keys from the target",
            "Values come from the source, but the keys from the target, so the scores do not know "
            "what the source says.",
            lambda x, m, a, q, k, v: _cross(x @ q, x @ k, m @ v, a[:, None]),
        ),
        Mistake(
            "self-attention of the target",
            "Queries, keys and values all come from the target: the source has no say.",
            lambda x, m, a, q, k, v: _cross(x @ q, x @ k, x @ v, a[:, None]),
        ),
        Mistake(
            "padding of the source attended",
            "Padding gets weight. Use `memory_mask`.",
            lambda x, m, a, q, k, v: _cross(x @ q, m @ k, m @ v),
        ),
        Mistake(
            "the mask is the wrong way round",
            "Only padding is attended to. In `memory_mask`, 1 marks a real token.",
            lambda x, m, a, q, k, v: _cross(x @ q, m @ k, m @ v, 1 - a[:, None]),
        ),
        Mistake(
            "a causal mask where none belongs",
            "You mask the future of the source. The decoder may look at all of it.",
            lambda x, m, a, q, k, v: _cross(
                x @ q, m @ k, m @ v,
                a[:, None] * torch.ones(x.shape[1], m.shape[1]).tril().long(),
            ),
        ),
        Mistake(
            "the scale is forgotten",
            "The scores are not divided by $\\sqrt{d}$.",
            lambda x, m, a, q, k, v: _cross(
                x @ q * math.sqrt(x.shape[-1]), m @ k, m @ v, a[:, None]
            ),
        ),
        Mistake(
            "mask after softmax",
            "Weights on padding are set to zero after softmax, so the others do not sum to 1.",
            lambda x, m, a, q, k, v: (
                (x @ q @ (m @ k).transpose(-2, -1) / math.sqrt(x.shape[-1])).softmax(-1)
                * a[:, None]
            ) @ (m @ v),
        ),
    ),
)  # fmt: skip

EXERCISES = (ATTENTION, CAUSAL_WEIGHTS, SPLIT_HEADS, LAYER_NORM, POSITIONS, CROSS_ATTENTION)
