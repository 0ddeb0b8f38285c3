"""Classifiers of texts, pairs and words, with all that is needed to use them on new ones."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from utils import runtime
from utils.adaptation.batching import Cut, Texts, tokenise
from utils.adaptation.encoder import TextClassifier, WordClassifier, load_encoder, weight_names
from utils.adaptation.kept import seal, unseal
from utils.errors import CourseError
from utils.tasks import tagging

SETTINGS, _HEAD = "classifier.json", "classifier.safetensors"


@dataclass(frozen=True)
class Classifier:
    """A model of `task` with its classes or tags, and the most tokens that it reads of a text.

    `path` is a folder with its tokenizer.
    """

    model: TextClassifier
    path: Path
    task: str
    labels: list[str]
    max_length: int

    def save(self, folder: Path) -> None:
        """Write weights, tokenizer and settings to `folder`, which `load` reads.

        The encoder is merged with what LoRA has added to it.

        Raises:
            CourseError: if the encoder has parts that the library does not know (adapters).
        """
        from safetensors.torch import save_file
        from transformers import AutoTokenizer

        encoder = self.model.encoder
        check_savable(encoder)
        folder.mkdir(parents=True, exist_ok=True)
        encoder.save_pretrained(folder, state_dict=_merged(encoder))
        AutoTokenizer.from_pretrained(self.path).save_pretrained(folder)
        head = self.model.classifier.state_dict()
        save_file({name: t.detach().cpu() for name, t in head.items()}, folder / _HEAD)
        settings = {"task": self.task, "labels": self.labels, "max_length": self.max_length}
        seal(folder, SETTINGS, settings)

    @classmethod
    def load(cls, folder: Path) -> "Classifier":
        """A classifier that was saved.

        Raises:
            CourseError: if there is none in `folder`, or it is damaged.
        """
        from safetensors.torch import load_file

        settings = unseal(folder, SETTINGS)
        kind = WordClassifier if settings["task"] == tagging.NAME else TextClassifier
        model = kind(load_encoder(folder), len(settings["labels"]))
        model.classifier.load_state_dict(load_file(folder / _HEAD))
        return cls(model.to(runtime.device()).eval(), folder, **settings)

    def predict(self, texts: Texts, cut: Cut = "head") -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """What `fine_tuning.predict` gives for the texts, and which of them were read in full.

        `cut` says which part is read of those that are too long.
        """
        from utils.adaptation.fine_tuning import predict

        in_full = tokenise(texts, self.path, self.max_length + 1).lengths() <= self.max_length
        return predict(self.model, tokenise(texts, self.path, self.max_length, cut)), in_full


def check_savable(encoder: Any) -> None:
    """Raise `CourseError` if the library could not load the encoder once it is saved."""
    if _merged(encoder).keys() != weight_names(encoder.config):
        raise CourseError(
            "A model with adapters between its layers cannot be kept as a model of the library. "
            "Choose another method: full, or lora, whose updates are merged."
        )


def _merged(encoder: Any) -> dict[str, Any]:
    """The weights of an encoder, with updates of LoRA added to the matrices that they change."""
    from peft.tuners.lora import LoraLayer

    updated: dict[str, Any] = {
        name: module for name, module in encoder.named_modules() if isinstance(module, LoraLayer)
    }
    weights = {name: t for name, t in encoder.state_dict().items() if ".lora_" not in name}
    for name, module in updated.items():
        base = f"{name}.base_layer"
        weights[f"{name}.bias"] = weights.pop(f"{base}.bias")
        weights[f"{name}.weight"] = weights.pop(f"{base}.weight") + module.get_delta_weight(
            "default"
        )
    return weights
