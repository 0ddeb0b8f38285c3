"""The pre-trained encoder and what stands on it: mean pooling and a linear classifier."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from inspect import signature
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from utils.errors import CourseError
from utils.transformer.attention import single_precision_on_cpu
from utils.transformer.counting import encoder_flops

_DROPOUTS = (
    *("hidden_dropout_prob", "attention_probs_dropout_prob"),
    *("dropout", "attention_dropout"),  # DistilBERT's
)


def load_encoder(model_path: Path, *, pretrained: bool = True, dropout: float = 0.0) -> Any:
    """The encoder at `model_path` in float32; with `pretrained=False` its shape, random weights.

    `dropout` replaces the configuration's own rates. The pooler is left out: sentences are pooled
    by `mean_pool`.
    """
    from transformers import AutoConfig, AutoModel

    config = AutoConfig.from_pretrained(model_path)
    given: dict[str, Any] = {
        "dtype": torch.float32,
        "attn_implementation": _attention(),
        **_without_pooler(config),
    }
    for name in _DROPOUTS:
        if hasattr(config, name):
            setattr(config, name, dropout)
    if not pretrained:
        return AutoModel.from_config(config, **given)
    with quiet():
        return AutoModel.from_pretrained(model_path, config=config, **given)


def weight_names(config: Any) -> set[str]:
    """Names of the weights that the library looks for when it loads an encoder of this shape."""
    from transformers import AutoModel

    with torch.device("meta"):  # nothing is drawn, or what is drawn next would be something else
        return set(AutoModel.from_config(config, **_without_pooler(config)).state_dict())


def _without_pooler(config: Any) -> dict[str, bool]:
    from transformers import MODEL_MAPPING

    kind: Any = MODEL_MAPPING[type(config)]
    known = "add_pooling_layer" in signature(kind).parameters
    return {"add_pooling_layer": False} if known else {}


@cache
def _attention() -> str:
    """The library's fused attention, but as `single_precision_on_cpu` has it."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.integrations.sdpa_attention import sdpa_attention_forward
    from transformers.masking_utils import sdpa_mask

    def attend(
        module: nn.Module, query: Tensor, key: Tensor, value: Tensor, *others: Any, **named: Any
    ) -> tuple[Tensor, None]:
        with single_precision_on_cpu(query, key, value) as (q, k, v):
            output, weights = sdpa_attention_forward(module, q, k, v, *others, **named)
        return output.to(value.dtype), weights

    name = "sdpa_in_single_precision_on_cpu"
    AttentionInterface.register(name, attend)
    AttentionMaskInterface.register(name, sdpa_mask)
    return name


def load_masked_language_model(model_path: Path, *, dropout: float = 0.0) -> Any:
    """The BERT at `model_path` in float32, with the head that tells hidden tokens (its `cls`).

    The token vectors are the head's output weights. Where the checkpoint holds nothing else of it,
    as those of sentence encoders, its dense layer begins as the identity, without activation, and
    all biases at 0: the head then compares hidden states with token vectors.

    Raises:
        CourseError: if the model is built otherwise than BERT.
    """
    from transformers import AutoConfig, AutoModelForMaskedLM

    config = AutoConfig.from_pretrained(model_path)
    if config.model_type != "bert":
        raise CourseError(
            f"Masked language modelling can go on with models like BERT only, and the one in "
            f"{model_path.name} is of the type {config.model_type}. Choose another model."
        )
    config.hidden_dropout_prob = config.attention_probs_dropout_prob = dropout
    with quiet():
        model, found = AutoModelForMaskedLM.from_pretrained(
            model_path,
            config=config,
            dtype=torch.float32,
            attn_implementation=_attention(),
            output_loading_info=True,
        )
    if any(name.startswith("cls.predictions.transform") for name in found["missing_keys"]):
        transform = model.cls.predictions.transform
        transform.transform_act_fn = nn.Identity()
        nn.init.eye_(transform.dense.weight)
        nn.init.zeros_(transform.dense.bias)
    return model


@contextmanager
def quiet() -> Iterator[None]:
    """No load report, which would list the pooler that is left out, and no bar for 90 MB.

    Neither when a model is written.
    """
    from transformers.utils import logging

    verbosity, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bar:
            logging.enable_progress_bar()


def mean_pool(hidden_states: Tensor, attention_mask: Tensor) -> Tensor:
    """Mean over the real tokens: (batch, length, d_model), (batch, length) → (batch, d_model).

    The pooling of Sentence-BERT (Reimers and Gurevych, 2019, EMNLP).
    """
    mask = attention_mask.unsqueeze(-1).to(hidden_states.dtype)
    return (hidden_states * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)


def at_words(hidden_states: Tensor, words: Tensor) -> Tensor:
    """Vectors of first pieces: (batch, length, d), (batch, n_words) → (batch, n_words, d).

    So BERT is used for entities (Devlin et al., 2019, section 5.3). Words at -1 get the vector 0.
    """
    index = words.clamp(min=0).unsqueeze(-1).expand(-1, -1, hidden_states.shape[-1])
    return hidden_states.gather(1, index) * (words >= 0).unsqueeze(-1)


class TextClassifier(nn.Module):
    """Encoder → mean pooling → linear layer."""

    def __init__(self, encoder: Any, n_classes: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.classifier = nn.Linear(encoder.config.hidden_size, n_classes)
        nn.init.normal_(self.classifier.weight, std=encoder.config.initializer_range)
        nn.init.zeros_(self.classifier.bias)

    def forward(self, input_ids: Tensor, attention_mask: Tensor, **segments: Tensor) -> Tensor:
        """(batch, length) numbers and mask → logits (batch, n_classes).

        Of pairs also `token_type_ids`, where the model tells two texts apart.
        """
        output = self.encoder(input_ids=input_ids, attention_mask=attention_mask, **segments)
        return self.classifier(mean_pool(output.last_hidden_state, attention_mask))


class WordClassifier(TextClassifier):
    """Encoder → first piece of each word → linear layer."""

    def forward(self, input_ids: Tensor, attention_mask: Tensor, words: Tensor) -> Tensor:  # type: ignore[override]
        """(batch, length) numbers and mask, (batch, n_words) places → logits of each word."""
        output = self.encoder(input_ids=input_ids, attention_mask=attention_mask)
        return self.classifier(at_words(output.last_hidden_state, words))


def forward_flops(config: Any, n_sequences: int, length: int) -> float:
    """`encoder_flops` of a model of the library, from its configuration."""
    inner = config.hidden_dim if config.model_type == "distilbert" else config.intermediate_size
    return encoder_flops(
        config.hidden_size,
        inner,
        config.num_hidden_layers,
        n_sequences,
        length,
    )
