"""Layer norm, feed-forward, positions and configuration against torch and by hand."""

import math

import pytest
import torch
from torch import nn

from utils.errors import CourseError
from utils.transformer import (
    Embeddings,
    FeedForward,
    LayerNorm,
    TransformerConfig,
    layer_norm,
    rotate,
    sinusoidal_positions,
)


def test_layer_norm_by_hand() -> None:
    # Mean 3, mean squared deviation 4; with epsilon 12 the root is 4.
    x = torch.tensor([1.0, 5.0])
    result = layer_norm(x, torch.tensor([1.0, 2.0]), torch.tensor([0.0, 1.0]), eps=12.0)
    torch.testing.assert_close(result, torch.tensor([-0.5, 2.0]))


@pytest.mark.parametrize("eps", [1e-12, 1e-5, 0.1])
def test_layer_norm_equals_torch(eps: float) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(4, 5, 6, generator=generator, dtype=torch.float64, requires_grad=True)
    weight, bias = torch.randn(2, 6, generator=generator, dtype=torch.float64)
    ours = layer_norm(x, weight, bias, eps)
    theirs = nn.functional.layer_norm(x, (6,), weight, bias, eps)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-13)
    gradients = [torch.autograd.grad(y.pow(3).sum(), x)[0] for y in (ours, theirs)]
    torch.testing.assert_close(*gradients, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("fused", [True, False])
def test_module_uses_its_parameters(fused: bool) -> None:
    module = LayerNorm(TransformerConfig(vocab_size=3, d_model=4, layer_norm_eps=0.3, fused=fused))
    nn.init.normal_(module.weight)
    nn.init.normal_(module.bias)
    x = torch.randn(2, 4)
    wanted = nn.functional.layer_norm(x, (4,), module.weight, module.bias, 0.3)
    torch.testing.assert_close(module(x), wanted)


def test_feed_forward_variants() -> None:
    x = torch.randn(2, 3, 4)
    for activation, function in (("gelu", nn.GELU()), ("relu", nn.ReLU())):
        config = TransformerConfig(vocab_size=3, d_model=4, d_ff=6, activation=activation)
        module = FeedForward(config)
        reference = nn.Sequential(module.inner, function, module.outer)
        torch.testing.assert_close(module(x), reference(x))
    module = FeedForward(TransformerConfig(vocab_size=3, d_model=4, d_ff=6, activation="geglu"))
    assert module.gate is not None
    u = x @ module.inner.weight.T + module.inner.bias
    gelu = u * (1 + torch.erf(u / math.sqrt(2))) / 2
    v = x @ module.gate.weight.T + module.gate.bias
    torch.testing.assert_close(module(x), (gelu * v) @ module.outer.weight.T + module.outer.bias)


def test_sinusoidal_positions_by_formula() -> None:
    vectors = sinusoidal_positions(50, 6)
    assert vectors.shape == (50, 6)
    for t, i in ((0, 0), (7, 1), (49, 2)):
        angle = t / 10000 ** (2 * i / 6)
        assert vectors[t, 2 * i].item() == pytest.approx(math.sin(angle), abs=1e-6)
        assert vectors[t, 2 * i + 1].item() == pytest.approx(math.cos(angle), abs=1e-6)


def test_rotation_keeps_lengths_and_sees_only_distances() -> None:
    generator = torch.Generator().manual_seed(0)
    query, key = torch.randn(2, 1, 8, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(rotate(query, 11).norm(), query.norm())
    assert (rotate(query, 0) == query).all()
    near = (rotate(query, 5) * rotate(key, 2)).sum()
    far = (rotate(query, 105) * rotate(key, 102)).sum()
    other = (rotate(query, 5) * rotate(key, 3)).sum()
    torch.testing.assert_close(near, far, rtol=1e-10, atol=1e-10)
    assert abs(near - other) > 1e-3


def test_rotation_by_hand() -> None:
    # A quarter turn of the first pair takes (1, 0) to (0, 1).
    x = torch.zeros(1, 4, dtype=torch.float64)
    x[0, 0] = 1.0
    turned = rotate(x.expand(3, 4), 0)[2]
    torch.testing.assert_close(turned[:2], torch.tensor([math.cos(2), math.sin(2)]).double())


def test_bad_sizes_are_refused() -> None:
    with pytest.raises(CourseError, match="cannot be split into 3 heads"):
        TransformerConfig(vocab_size=5, d_model=8, n_heads=3)
    with pytest.raises(CourseError, match="Rotary"):
        TransformerConfig(vocab_size=5, d_model=6, n_heads=2, positions="rotary")
    embeddings = Embeddings(TransformerConfig(vocab_size=5, d_model=8, max_length=4))
    with pytest.raises(CourseError, match="5 tokens, but the model takes 4"):
        embeddings(torch.zeros(1, 5, dtype=torch.long))
