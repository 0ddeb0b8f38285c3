"""Layers below the lowest that is trained: computed once for each text, not in every update."""

import copy
import time
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from utils.adaptation import parts
from utils.adaptation.batching import Tokenised, by_tokens
from utils.adaptation.encoder import forward_flops
from utils.adaptation.features import SHARED_BYTES


@dataclass(frozen=True)
class Shortened:
    """A model without its frozen layers, texts as it reads them, and what computing them cost.

    The model has its weights in common with the whole one. Where nothing could be left out, model
    and texts are those that were given, and `cost` is empty.
    """

    model: nn.Module
    train: Tokenised
    validation: Tokenised
    cost: dict[str, float] = field(default_factory=dict)


def shorten(model: Any, train: Tokenised, validation: Tokenised) -> Shortened:
    """Leave out the layers of `model.encoder` that are frozen, and keep what they make of texts.

    In place of numbers of word pieces, the model then takes numbers of tokens: rows of a table with
    the states of all of them. With dropout, which is drawn anew in each pass, and where the table
    would be larger than `SHARED_BYTES`, nothing is left out. Of the cost, `wall_seconds` and
    `flops` are those of the training texts.
    """
    encoder = model.encoder
    n_tokens = int(train.lengths().sum() + validation.lengths().sum())
    n_bytes = 4 * n_tokens * encoder.config.hidden_size
    varies = any(module.p for module in encoder.modules() if isinstance(module, nn.Dropout))
    if varies or n_bytes > SHARED_BYTES or not parts.frozen_share(encoder):
        return Shortened(model, train, validation)
    start = time.perf_counter()
    of_train, flops = _states(encoder, train)
    cost = {"wall_seconds": time.perf_counter() - start, "flops": flops}
    of_validation, _ = _states(encoder, validation)
    short = _view(model)
    layers = parts.blocks(encoder)[parts.n_frozen(encoder) :]
    short.encoder = _part(encoder, _Table(torch.cat([of_train, of_validation])), layers)
    numbered = _numbered(train, 0), _numbered(validation, len(of_train))
    return Shortened(short, *numbered, cost)


@torch.inference_mode()
def _states(encoder: Any, tokenised: Tokenised) -> tuple[Tensor, float]:
    """Outputs of the frozen layers, (n_tokens, d_model), text after text, and their FLOPs."""
    layers = parts.blocks(encoder)[1 : parts.n_frozen(encoder)]
    below = _part(encoder, encoder.embeddings, layers).eval()
    share, lengths = parts.frozen_share(encoder), tokenised.lengths()
    found: dict[int, Tensor] = {}
    flops = 0.0
    for indices in by_tokens(lengths):
        batch = tokenised.batch(indices.tolist(), encoder.device)
        batch.pop("words", None)
        hidden = below(**batch).last_hidden_state
        rows = zip(indices.tolist(), hidden, lengths[indices].tolist(), strict=True)
        found.update((index, row[:length].clone()) for index, row, length in rows)
        flops += share * forward_flops(encoder.config, *hidden.shape[:2])
    return torch.cat([found[i] for i in range(len(found))]), flops


def _numbered(tokenised: Tokenised, first: int) -> Tokenised:
    """The same texts with the number of each token, from `first` on, in place of its piece."""
    ends = first + np.cumsum(tokenised.lengths())
    starts = ends - tokenised.lengths()
    numbers = [list(range(*each)) for each in zip(starts, ends, strict=True)]
    return replace(tokenised, input_ids=numbers, pad_token_id=0)  # a real row, but masked out


class _Table(nn.Module):
    """Stands for the embeddings: gives rows of a table."""

    table: Tensor

    def __init__(self, table: Tensor) -> None:
        super().__init__()
        self.register_buffer("table", table, persistent=False)

    def forward(self, input_ids: Tensor, *others: Any, **named: Any) -> Tensor:
        """(batch, length) → (batch, length, d_model)."""
        return self.table[input_ids]


def _part(encoder: Any, embeddings: nn.Module, layers: list[nn.Module]) -> Any:
    """An encoder of some layers of another; both have the same weights."""
    part = _view(encoder)
    part.embeddings = embeddings
    name = "encoder" if hasattr(part, "encoder") else "transformer"
    stack = _view(getattr(part, name))
    stack.layer = nn.ModuleList(layers)
    setattr(part, name, stack)
    return part


def _view(module: Any) -> Any:
    """A module with the same modules and weights, in which others can take their place."""
    view = copy.copy(module)
    view._modules = dict(module._modules)
    return view
