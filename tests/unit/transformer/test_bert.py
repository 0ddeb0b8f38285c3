"""Loading BERT checkpoints: older names of weights, and what is refused."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from utils.errors import CourseError
from utils.sources import MINILM, Source, model_path
from utils.transformer import bert, load_bert


@pytest.fixture
def checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small BERT on disk, of one layer, which `load_bert` finds under any id."""
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=20, hidden_size=8, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=12, max_position_embeddings=9,
    )  # fmt: skip
    BertModel(config).eval().save_pretrained(tmp_path)
    source = Source("mirror", "a/b", None, "0" * 16, "mirror", "none")
    monkeypatch.setattr(bert.sources, "model_path", lambda name: (tmp_path, source))
    return tmp_path


def change_config(folder: Path, **changes: object) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def test_old_names_are_understood(checkpoint: Path) -> None:
    wanted = load_bert("a/b").state_dict()
    weights = load_file(checkpoint / "model.safetensors")
    renamed = {
        "bert."
        + name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
            "LayerNorm.bias", "LayerNorm.beta"
        ): tensor
        for name, tensor in weights.items()
    }
    assert renamed.keys() != weights.keys()
    save_file(renamed, checkpoint / "model.safetensors")
    found = load_bert("a/b").state_dict()
    assert found.keys() == wanted.keys()
    assert all((found[name] == wanted[name]).all() for name in wanted)


def test_another_kind_of_model_is_refused(checkpoint: Path) -> None:
    for field, value in (("model_type", "roberta"), ("hidden_act", "relu")):
        before = (checkpoint / "config.json").read_text()
        change_config(checkpoint, **{field: value})
        with pytest.raises(CourseError, match=f"{field} = '{value}'.*AutoModel"):
            load_bert("a/b")
        (checkpoint / "config.json").write_text(before)


def test_missing_weights_are_named(checkpoint: Path) -> None:
    weights = load_file(checkpoint / "model.safetensors")
    del weights["encoder.layer.0.output.dense.bias"]
    save_file(weights, checkpoint / "model.safetensors")
    with pytest.raises(CourseError, match=r"lacks 1 weights.*encoder\.layer\.0\.output\.dense"):
        load_bert("a/b")


def test_dropout_of_the_checkpoint_is_not_applied() -> None:
    encoder = load_bert(MINILM).train()
    assert model_path(MINILM)[1].id == MINILM
    input_ids = torch.tensor([[101, 2023, 102]])
    assert (encoder(input_ids) == encoder(input_ids)).all()
