"""What learners of lesson 02 might write, independently of the checker's own mutants."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F

# --- 02.1: attention


def attention_by_library(q, k, v):
    return F.scaled_dot_product_attention(q, k, v)


def attention_by_loops(query, key, value):
    rows = []
    for queries, keys, values in zip(query, key, value, strict=True):
        row = []
        for one in queries:
            exponentials = torch.exp(keys @ one / keys.shape[1] ** 0.5)
            row.append((exponentials / exponentials.sum()) @ values)
        rows.append(torch.stack(row))
    return torch.stack(rows)


def attention_by_einsum(q, k, v, axis=3, power=0.5, scale=True):
    scores = torch.einsum("bqd,bkd->bqk", q, k)
    if scale:
        scores = scores * q.size(2) ** (-power)
    weights = torch.exp(scores) / torch.exp(scores).sum(axis - 1, keepdim=True)
    return torch.einsum("bqk,bkd->bqd", weights, v)


def attention_of_the_first_key(q, k, v):
    return v[:, :1].expand(-1, q.shape[1], -1)


def attention_with_scaled_keys_of_all(q, k, v):
    return torch.softmax(q @ k.mT / np.sqrt(k.shape[1]), -1) @ v


def attention_with_keys_as_rows(q, k, v):
    return torch.softmax(q @ k / math.sqrt(q.shape[-1]), -1) @ v


# --- 02.2: causal weights


def causal_by_loop(scores, first_hidden=1):
    result = torch.zeros_like(scores)
    n = scores.shape[-1]
    for row in range(n):
        upto = min(n, row + first_hidden)
        result[:, row, :upto] = torch.softmax(scores[:, row, :upto], dim=-1)
    return result


def causal_by_addition(scores):
    n = scores.size(1)
    bias = torch.full((n, n), float("-inf")).triu(diagonal=1)
    return torch.softmax(scores + bias, dim=2)


def causal_renormalised(scores):
    weights = torch.softmax(scores, -1).tril()
    return weights / weights.sum(-1, keepdim=True)


def causal_zeroed_after(scores):
    weights = F.softmax(scores, dim=-1)
    for i in range(scores.shape[1]):
        weights[:, i, i + 1 :] = 0
    return weights


def causal_strict(scores):
    n = scores.shape[-1]
    hidden = torch.arange(n)[:, None] <= torch.arange(n)[None, :]
    return scores.masked_fill(hidden, float("-inf")).softmax(-1)


def causal_of_the_future(scores):
    past = torch.tril(torch.ones_like(scores), diagonal=-1) == 1
    return torch.where(past, torch.tensor(-1e30), scores).softmax(-1)


def causal_with_small_penalty(scores):
    return (scores - 5 * torch.ones_like(scores).triu(1)).softmax(-1)


def causal_times_mask(scores):
    return torch.softmax(torch.tril(scores), dim=-1)


def causal_of_columns(scores):
    return torch.softmax(causal_by_addition_of_scores(scores), dim=1)


def causal_by_addition_of_scores(scores):
    return scores + torch.full(scores.shape[1:], -torch.inf).triu(1)


# --- 02.3: heads


def heads_by_slices(x, n):
    d = x.shape[-1] // n
    return torch.stack([x[:, :, i * d : (i + 1) * d] for i in range(n)], dim=1)


def heads_by_chunk(x, n):
    return torch.stack(x.chunk(n, dim=-1), 1)


def heads_by_view(x, n):
    batch, length, width = x.size()
    return x.view(batch, n, length, width // n)


def heads_by_step(x, n):
    return torch.stack([x[:, :, i::n] for i in range(n)], dim=1)


def heads_last(x, n):
    return torch.stack(x.chunk(n, dim=-1), 2)


def heads_reversed(x, n):
    return heads_by_slices(x, n).flip(1)


# --- 02.4: layer norm


def norm_by_library(x, weight, bias, eps):
    return F.layer_norm(x, (x.shape[-1],), weight, bias, eps)


def norm_by_numpy(x, w, b, eps, ddof=0, outside=False):
    a = x.numpy()
    deviation = a.std(axis=2, ddof=ddof, keepdims=True)
    root = deviation + eps if outside else np.sqrt(deviation**2 + eps)
    return torch.from_numpy((a - a.mean(2, keepdims=True)) / root) * w + b


def norm_by_std(x, w, b, eps):
    return w * (x - x.mean(-1, True)) / (x.std(-1, keepdim=True) + eps) + b


def norm_of_batch(x, w, b, eps):
    return F.layer_norm(x.permute(1, 2, 0), (len(x),), None, None, eps).permute(2, 0, 1) * w + b


def norm_of_positions(x, w, b, eps):
    return F.layer_norm(x.transpose(1, 2), (x.shape[1],), None, None, eps).transpose(1, 2) * w + b


def norm_by_root_mean_square(x, w, b, eps):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps) * w


# --- 02.5: positions


def positions_by_outer(n, d):
    angles = torch.outer(torch.arange(n), torch.exp(-math.log(10000) * torch.arange(0, d, 2) / d))
    table = torch.empty(n, d)
    table[:, ::2], table[:, 1::2] = torch.sin(angles), torch.cos(angles)
    return table


def positions_in_halves(n, d):
    both = positions_by_outer(n, d)
    return torch.hstack([both[:, ::2], both[:, 1::2]])


def positions_in_degrees(n, d):
    return positions_by_outer(n, d) * 57.3


def positions_with_base_1000(n, d):
    angles = torch.outer(torch.arange(n), 1000.0 ** (-torch.arange(0, d, 2) / d))
    return torch.stack([angles.sin(), angles.cos()], -1).reshape(n, d)


def positions_from_one(n, d):
    return positions_by_outer(n + 1, d)[1:]


def positions_of_columns(n, d):
    table = torch.empty(n, d)
    for t in range(n):
        for column in range(d):
            angle = t / 10000 ** (column / d)
            table[t, column] = math.cos(angle) if column % 2 else math.sin(angle)
    return table


# --- 02.6: cross-attention


def cross_by_library(x, memory, mask, wq, wk, wv):
    allowed = mask.bool().unsqueeze(1)
    return F.scaled_dot_product_attention(x @ wq, memory @ wk, memory @ wv, attn_mask=allowed)


def cross_by_loop(x, memory, mask, wq, wk, wv):
    rows = []
    for target, source, real in zip(x, memory, mask, strict=True):
        kept = source[real == 1]
        scores = (target @ wq) @ (kept @ wk).T / wq.shape[1] ** 0.5
        rows.append(F.softmax(scores, dim=1) @ (kept @ wv))
    return torch.stack(rows)


def cross_swapped(x, memory, mask, wq, wk, wv):
    return cross_by_library(memory, x, mask, wq, wk, wv)


def cross_of_padding(x, memory, mask, wq, wk, wv):
    return cross_by_loop(x, memory, torch.ones_like(mask), wq, wk, wv)


def cross_zeroing_memory(x, memory, mask, wq, wk, wv):
    return cross_of_padding(x, memory * mask[..., None], mask, wq, wk, wv)


def cross_with_weights_exchanged(x, memory, mask, wq, wk, wv):
    return cross_by_library(x, memory, mask, wk, wq, wv)


def cross_of_target_values(x, memory, mask, wq, wk, wv):
    allowed = mask.bool().unsqueeze(1)
    return F.scaled_dot_product_attention(x @ wq, memory @ wk, x @ wv, attn_mask=allowed)


@pytest.mark.parametrize(
    ("number", "learner", "status", "mistake"),
    [
        ("02.1", attention_by_library, "correct", None),
        ("02.1", attention_by_loops, "correct", None),
        ("02.1", attention_by_einsum, "correct", None),
        ("02.1", lambda q, k, v: attention_by_einsum(q, k, v, scale=False), "mistake", "forgotten"),
        ("02.1", lambda q, k, v: attention_by_einsum(q, k, v, power=1), "mistake", "not by its"),
        ("02.1", lambda q, k, v: attention_by_einsum(q, k, v, axis=2), "mistake", "the queries"),
        ("02.1", lambda q, k, v: attention_by_einsum(q, k, v, axis=1), "mistake", "the batch"),
        ("02.1", lambda q, k, v: attention_by_library(q, k, k), "mistake", "keys mixed"),
        ("02.1", lambda q, k, v: attention_by_library(k, q, v), "wrong", None),
        ("02.1", attention_of_the_first_key, "wrong", None),
        ("02.1", attention_with_scaled_keys_of_all, "wrong", None),
        ("02.1", attention_with_keys_as_rows, "error", None),
        ("02.2", causal_by_loop, "correct", None),
        ("02.2", causal_by_addition, "correct", None),
        ("02.2", causal_renormalised, "correct", None),
        ("02.2", causal_zeroed_after, "mistake", "mask after softmax"),
        ("02.2", causal_strict, "mistake", "does not see itself"),
        ("02.2", lambda s: causal_by_loop(s, 0), "mistake", "zeros for the first"),
        ("02.2", lambda s: causal_by_loop(s, 2), "mistake", "next position is visible"),
        ("02.2", causal_of_the_future, "mistake", "transposed"),
        ("02.2", causal_times_mask, "mistake", "multiplied by the mask"),
        ("02.2", causal_of_columns, "mistake", "over the queries"),
        ("02.2", causal_with_small_penalty, "wrong", None),
        ("02.2", lambda s: causal_by_addition(s).mT, "wrong", None),
        ("02.3", heads_by_slices, "correct", None),
        ("02.3", heads_by_chunk, "correct", None),
        ("02.3", heads_by_view, "mistake", "reshape alone"),
        ("02.3", heads_by_step, "mistake", "interleaved"),
        ("02.3", heads_last, "mistake", "not swapped"),
        ("02.3", lambda x, n: heads_by_slices(x, n).mT, "mistake", "width and length"),
        ("02.3", lambda x, n: torch.cat(x.chunk(n, 2)), "wrong", None),
        ("02.3", heads_reversed, "wrong", None),
        ("02.4", norm_by_library, "correct", None),
        ("02.4", norm_by_numpy, "correct", None),
        ("02.4", lambda *a: norm_by_numpy(*a, outside=True), "mistake", "outside the root"),
        ("02.4", lambda *a: norm_by_numpy(*a, ddof=1), "mistake", "n - 1"),
        ("02.4", lambda x, w, b, e: norm_by_library(x, w, b, 0.0), "mistake", "forgotten"),
        ("02.4", lambda x, w, b, e: norm_by_library(x, w, b, e**2), "mistake", "squared"),
        ("02.4", norm_of_batch, "mistake", "over the batch"),
        ("02.4", norm_of_positions, "mistake", "over the positions"),
        ("02.4", lambda x, w, b, e: norm_by_library(x, None, None, e), "mistake", "left out"),
        ("02.4", norm_by_std, "wrong", None),
        ("02.4", norm_by_root_mean_square, "wrong", None),
        ("02.5", positions_by_outer, "correct", None),
        ("02.5", lambda n, d: positions_by_outer(n, d).T, "mistake", "transposed"),
        ("02.5", positions_in_halves, "mistake", "all sines"),
        ("02.5", positions_from_one, "mistake", "from 1"),
        ("02.5", positions_of_columns, "mistake", "its own for each column"),
        ("02.5", positions_in_degrees, "wrong", None),
        ("02.5", positions_with_base_1000, "wrong", None),
        ("02.6", cross_by_library, "correct", None),
        ("02.6", cross_by_loop, "correct", None),
        ("02.6", cross_swapped, "mistake", "inputs swapped"),
        ("02.6", cross_of_padding, "mistake", "padding of the source"),
        ("02.6", cross_of_target_values, "mistake", "values from the target"),
        ("02.6", lambda x, m, a, *w: cross_by_library(x, m, 1 - a, *w), "mistake", "wrong way"),
        ("02.6", lambda x, m, a, *w: cross_by_library(x, x, a, *w), "mistake", "self-attention"),
        ("02.6", cross_zeroing_memory, "wrong", None),
        ("02.6", cross_with_weights_exchanged, "wrong", None),
    ],
)
def test_what_learners_might_write(
    number: str, learner: Callable, status: str, mistake: str | None, diagnosed: Callable
) -> None:
    diagnosed(number, learner, status, mistake)
