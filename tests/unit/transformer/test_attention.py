"""Attention against values computed by hand, against the fused kernel, and its invariants."""

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from utils.transformer import (
    attention,
    causal_mask,
    fused_attention,
    merge_heads,
    padding_mask,
    split_heads,
)

SEEDS = st.integers(0, 2**31 - 1)


def random(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def test_by_hand() -> None:
    # d = 4, so √d = 2; the scores are 2 ln 3 / 2 = ln 3 and 0, the weights 3/4 and 1/4.
    query = torch.tensor([[2 * math.log(3), 0.0, 0.0, 0.0]])
    key = torch.tensor([[1.0, 5.0, 0.0, 0.0], [0.0, 7.0, 0.0, 0.0]])
    value = torch.tensor([[4.0, 0.0], [0.0, 8.0]])
    output, weights = attention(query, key, value)
    torch.testing.assert_close(weights, torch.tensor([[0.75, 0.25]]))
    torch.testing.assert_close(output, torch.tensor([[3.0, 2.0]]))


@settings(deadline=None, max_examples=50)
@given(
    seed=SEEDS,
    n_queries=st.integers(1, 6),
    n_keys=st.integers(1, 7),
    width=st.integers(1, 9),
    share=st.floats(0, 1),
)
def test_fused_equals_explicit(
    seed: int, n_queries: int, n_keys: int, width: int, share: float
) -> None:
    query, key, value = (
        random(2, 3, n, width, seed=seed + i).requires_grad_()
        for i, n in enumerate((n_queries, n_keys, n_keys))
    )
    generator = torch.Generator().manual_seed(seed)
    mask = torch.rand(2, 1, n_queries, n_keys, generator=generator) < share
    explicit, weights = attention(query, key, value, mask)
    fused = fused_attention(query, key, value, mask)
    torch.testing.assert_close(fused, explicit, rtol=0, atol=1e-12)
    wanted = torch.autograd.grad(explicit.square().sum(), (query, key, value))
    got = torch.autograd.grad(fused.square().sum(), (query, key, value))
    torch.testing.assert_close(got, wanted, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(weights.sum(-1), mask.any(-1).double().expand(2, 3, n_queries))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_a_query_that_sees_nothing_gets_zeros(dtype: torch.dtype) -> None:
    query, key, value = (random(1, 2, 3, 4, seed=i).to(dtype).requires_grad_() for i in range(3))
    mask = torch.ones(1, 1, 3, 3, dtype=torch.bool)
    mask[..., 1, :] = False
    for output in (attention(query, key, value, mask)[0], fused_attention(query, key, value, mask)):
        assert (output[:, :, 1] == 0).all()
        assert (output[:, :, 0] != 0).all()
        gradients = torch.autograd.grad(output.float().sum(), (query, key, value))
        assert all(gradient.isfinite().all() for gradient in gradients)
        assert (gradients[0][:, :, 1] == 0).all()


def test_without_a_mask_all_is_seen() -> None:
    query, key, value = (random(2, 3, 4, 5, seed=i) for i in range(3))
    everything = torch.ones(4, 4, dtype=torch.bool)
    wanted = attention(query, key, value, everything)[0]
    torch.testing.assert_close(attention(query, key, value)[0], wanted)
    torch.testing.assert_close(fused_attention(query, key, value), wanted)


def test_causal_mask() -> None:
    assert causal_mask(3, 3).tolist() == [
        [True, False, False],
        [True, True, False],
        [True, True, True],
    ]
    assert causal_mask(1, 3).tolist() == [[True, True, True]]
    assert causal_mask(2, 3).tolist() == [[True, True, False], [True, True, True]]


def test_padding_mask() -> None:
    mask = padding_mask(torch.tensor([[1, 1, 0], [1, 0, 0]]))
    assert mask.shape == (2, 1, 1, 3)
    assert mask[:, 0, 0].tolist() == [[True, True, False], [True, False, False]]


def test_heads_are_slices_of_the_width() -> None:
    x = random(2, 3, 8)
    heads = split_heads(x, 4)
    assert heads.shape == (2, 4, 3, 2)
    assert (heads[1, 2, 0] == x[1, 0, 4:6]).all()
    assert (merge_heads(heads) == x).all()


@pytest.mark.parametrize("width", [4, 64, 1024])
def test_variance_of_scores_is_the_width(width: int) -> None:
    query, key = random(20_000, width, seed=1), random(20_000, width, seed=2)
    scores = (query * key).sum(dim=-1)
    # The variance of a sample variance of n normal numbers is 2 / n, here with some excess.
    assert abs(scores.var() / width - 1) < 5 * math.sqrt(3 / len(scores))


def test_gradient_of_softmax() -> None:
    scores = random(7, seed=3)
    weights = scores.softmax(dim=-1)
    jacobian = torch.autograd.functional.jacobian(lambda s: s.softmax(dim=-1), scores)
    formula = torch.diag(weights) - torch.outer(weights, weights)  # a_i (δ_ij - a_j)
    torch.testing.assert_close(jacobian, formula)


@pytest.mark.parametrize("masked", [False, True])
def test_half_precision_is_computed_in_single_precision_on_a_cpu(
    masked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel = torch.nn.functional.scaled_dot_product_attention
    seen: list[torch.dtype] = []

    def recorded(query: Tensor, key: Tensor, value: Tensor, **named: Any) -> Tensor:
        output = kernel(query, key, value, **named)
        seen.extend(each.dtype for each in (query, key, value, output))
        return output

    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", recorded)
    inputs = [random(2, 3, 5, 4, seed=i).bfloat16().requires_grad_() for i in range(3)]
    mask = causal_mask(5, 5) if masked else None
    with torch.autocast("cpu", torch.bfloat16):
        output = fused_attention(*inputs, mask)
    assert seen == [torch.float32] * 4
    assert output.dtype == torch.bfloat16
    expected, _ = attention(*(each.detach().float() for each in inputs), mask)
    torch.testing.assert_close(output.float(), expected, rtol=0.01, atol=0.01)
    output.sum().backward()
    assert all(each.grad is not None and each.grad.dtype == torch.bfloat16 for each in inputs)
