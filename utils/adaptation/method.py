"""What every way of adapting a model takes and gives back."""

import pkgutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from utils.tasks.text_classification import Examples

Hyper = dict[str, Any]


@dataclass(frozen=True)
class Problem:
    """One experiment, as a method sees it.

    `evaluation` is what predictions are wanted for; its labels are never looked at. `validation`
    serves to choose the best point of a training run. `checkpoint` is a file in which a long
    training may leave its state, to be resumed.
    """

    train: Examples
    validation: Examples
    evaluation: Examples
    n_classes: int
    seed: int
    max_length: int
    hyper: Hyper
    model_path: Path | None = None
    model_fingerprint: str = ""
    cache: Path | None = None
    checkpoint: Path | None = None


@dataclass(frozen=True)
class Outcome:
    """What came out: class probabilities (n_evaluation, n_classes), costs and the training curve.

    `cost` has `wall_seconds` (all that adapting takes, tokenising included; predicting excluded),
    `optimiser_steps`, `examples_seen`, `tokens_seen` (padding included), `flops` (of the encoder),
    `parameters` and `trainable_parameters`.
    """

    probabilities: NDArray[np.float32]
    cost: dict[str, float]
    curve: list[dict[str, float]] = field(default_factory=list)


@dataclass(frozen=True)
class Method:
    """A way of adapting, with `defaults` of its hyper-parameters, tuned over `candidates`.

    All methods that can be tuned have the same number of candidates. `version` is raised by hand
    whenever results change; records of an older version are then stale. `implementation` names the
    function as "module:function", imported when it is needed: torch takes seconds.
    """

    name: str
    title: str
    version: int
    needs_model: bool
    defaults: Hyper
    candidates: list[Hyper]
    implementation: str

    def fit(self, problem: Problem) -> Outcome:
        """Adapt to `problem` and predict its evaluation examples."""
        function: Callable[[Problem], Outcome] = pkgutil.resolve_name(self.implementation)
        return function(problem)
