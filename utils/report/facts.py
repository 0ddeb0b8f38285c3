"""What is known from elsewhere: data that models have seen before, and published results."""

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

WITHOUT_PRETRAINED_WEIGHTS = ("random-init", "frozen-random")
"""Methods that take a model's shape but not its weights."""


@cache
def _read(name: str) -> dict[str, Any]:
    return tomllib.loads((Path(__file__).parent / name).read_text(encoding="utf-8"))


def seen_before(model: str | None, method: str, dataset: str) -> str:
    """Whether the weights that `method` starts from were trained on `dataset`, in one word or two.

    "no" where nothing is pre-trained; "not listed" if the publisher's list of training data does
    not name it, which is less than "no"; "unknown" for a model without an entry.
    """
    if model is None or method in WITHOUT_PRETRAINED_WEIGHTS:
        return "no"
    if model not in _read("models.toml"):
        return "unknown"
    return "yes" if dataset in _read("models.toml")[model]["seen"] else "not listed"


def about_model(model: str | None) -> str:
    """One sentence on what a pre-trained model has been trained on; "" without a model."""
    if model is None:
        return ""
    if model not in _read("models.toml"):
        return f"{model}: nothing is recorded here about its training data."
    facts = _read("models.toml")[model]
    return f"{model} is {facts['summary']}; known from {facts['source']}."


@dataclass(frozen=True)
class Reference:
    """A published result; `percent` as printed there, `table` "" where it is not known."""

    dataset: str
    system: str
    metric: str
    percent: float
    split: str
    paper: str
    year: int
    venue: str
    table: str = ""


def references(dataset: str) -> list[Reference]:
    """Published results on `dataset`, in the order of `references.toml`."""
    entries = (Reference(**entry) for entry in _read("references.toml")["reference"])
    return [entry for entry in entries if entry.dataset == dataset]
