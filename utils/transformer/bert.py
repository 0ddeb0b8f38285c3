"""Real weights in our own code."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from utils import sources
from utils.errors import CourseError
from utils.transformer.config import TransformerConfig
from utils.transformer.models import Encoder

_IN_LAYER = {
    "attention.self.query": "attention.query",
    "attention.self.key": "attention.key",
    "attention.self.value": "attention.value",
    "attention.output.dense": "attention.output",
    "attention.output.LayerNorm": "around_attention.norm",
    "intermediate.dense": "feed_forward.inner",
    "output.dense": "feed_forward.outer",
    "output.LayerNorm": "around_feed_forward.norm",
}
"""The library's names of the parts of a layer → ours."""

_OUTSIDE = {
    "embeddings.word_embeddings.weight": "embeddings.tokens.weight",
    "embeddings.position_embeddings.weight": "embeddings.positions",
    "embeddings.token_type_embeddings.weight": "embeddings.segments.weight",
    "embeddings.LayerNorm.weight": "embeddings.norm.weight",
    "embeddings.LayerNorm.bias": "embeddings.norm.bias",
}


def load_bert(model_id: str, *, fused: bool = True, dtype: torch.dtype = torch.float32) -> Encoder:
    """Our `Encoder` with the weights of a BERT checkpoint, in `eval` mode and without dropout.

    Args:
        model_id: Hub id of any model of type "bert", found as all models of the course are.
        fused: see `TransformerConfig`.
        dtype: of the weights.

    Raises:
        CourseError: if the model cannot be reached or is not a BERT.
    """
    folder, _ = sources.model_path(model_id)
    config = bert_config(folder, fused=fused)
    encoder = Encoder(config).to(dtype).eval()
    names = bert_names(config.n_layers)
    weights = read_weights(folder)
    if missing := sorted(set(names) - set(weights)):
        raise CourseError(f"{model_id} lacks {len(missing)} weights of a BERT, first {missing[0]}.")
    encoder.load_state_dict({our_name: weights[name] for name, our_name in names.items()})
    return encoder


def bert_config(folder: Path, **changes: Any) -> TransformerConfig:
    """Our configuration of the BERT in `folder`, with `changes` to it, for example `fused`.

    Raises:
        CourseError: if it is another model.
    """
    described = json.loads((folder / "config.json").read_text())
    wanted = {"model_type": "bert", "hidden_act": "gelu", "position_embedding_type": "absolute"}
    for field, value in wanted.items():
        if (found := described.get(field, value)) != value:
            raise CourseError(
                f"The model in {folder.name} has {field} = {found!r}; load_bert can only load "
                f"models with {value!r}. Use transformers.AutoModel for others."
            )
    config = TransformerConfig(
        vocab_size=described["vocab_size"],
        d_model=described["hidden_size"],
        n_layers=described["num_hidden_layers"],
        n_heads=described["num_attention_heads"],
        d_ff=described["intermediate_size"],
        max_length=described["max_position_embeddings"],
        n_segments=described["type_vocab_size"],
        layer_norm_eps=described["layer_norm_eps"],
    )
    return replace(config, **changes)


def bert_names(n_layers: int) -> dict[str, str]:
    """The library's name of each weight of the encoder → our name."""
    names = dict(_OUTSIDE)
    for layer in range(n_layers):
        for theirs, ours in _IN_LAYER.items():
            for kind in ("weight", "bias"):
                name = f"encoder.layer.{layer}.{theirs}.{kind}"
                names[name] = f"layers.{layer}.{ours}.{kind}"
    return names


def read_weights(folder: Path) -> dict[str, Tensor]:
    """The weights in `folder` by the names of `bert_names`; those of heads begin with "cls.".

    Some checkpoints begin all other names with "bert.", and old ones call layer norm's γ and β so.
    """
    from safetensors.torch import load_file

    found: dict[str, Tensor] = {}
    for stored, weights in load_file(folder / "model.safetensors").items():
        name = stored.removeprefix("bert.")
        name = name.replace("LayerNorm.gamma", "LayerNorm.weight")
        found[name.replace("LayerNorm.beta", "LayerNorm.bias")] = weights
    return found
