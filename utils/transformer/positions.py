"""Where a token stands: attention by itself does not know."""

import torch
from torch import Tensor


def sinusoidal_positions(n_positions: int, d_model: int) -> Tensor:
    r"""The fixed position vectors of the first Transformer, (n_positions, d_model).

    $P_{t,2i} = \sin(t / 10000^{2i/d})$ and $P_{t,2i+1} = \cos(t / 10000^{2i/d})$ (Vaswani et al.,
    2017, section 3.5). Computed in float64, given in torch's default type.
    """
    pairs = torch.arange(0, d_model, 2, dtype=torch.float64)
    steps = torch.arange(n_positions, dtype=torch.float64)
    angles = torch.outer(steps, 10000.0 ** (-pairs / d_model))  # (n_positions, d_model / 2)
    vectors = torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(start_dim=1)
    return vectors[:, :d_model].to(torch.get_default_dtype())


def rotate(x: Tensor, first_position: int = 0) -> Tensor:
    r"""Rotary positions: turn each pair of numbers in `x` (…, length, d) by its position.

    The pair $i$ at position $t$ is turned by the angle $t / 10000^{2i/d}$, so that the product of a
    query and a key depends on their distance alone (Su et al., 2021, RoFormer, equation 34).
    """
    length, d = x.shape[-2:]
    positions = torch.arange(first_position, first_position + length, device=x.device)
    pairs = torch.arange(0, d, 2, device=x.device)
    angles = torch.outer(positions.double(), 10000.0 ** (-pairs.double() / d))
    cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    even, odd = x[..., 0::2], x[..., 1::2]
    turned = torch.stack([even * cos - odd * sin, even * sin + odd * cos], dim=-1)
    return turned.flatten(start_dim=-2)
