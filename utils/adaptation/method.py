"""What every way of adapting a model takes and gives back."""

import pkgutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

Hyper = dict[str, Any]


@dataclass(frozen=True)
class Problem:
    """One experiment, as a method sees it.

    `evaluation` is what predictions are wanted for; its labels are never looked at. `validation`
    serves to choose the best point of a training run. All three hold what the task's `load` gives.
    `unlabelled` are all texts of the training split, however few are labelled, without labels.
    `n_classes` is the number of labels, or of tokens where tokens are predicted; `label_names` says
    what they are, for a model that is kept. `checkpoint` is a
    file in which a long training may leave its state, to be resumed; `keep` a folder in which the
    adapted model is to be saved, by methods that can.
    """

    train: Any
    validation: Any
    evaluation: Any
    n_classes: int
    seed: int
    max_length: int
    hyper: Hyper
    model_path: Path | None = None
    model_fingerprint: str = ""
    cache: Path | None = None
    checkpoint: Path | None = None
    keep: Path | None = None
    label_names: tuple[str, ...] = ()
    unlabelled: Sequence[Any] = ()
    task: str = "text-classification"


@dataclass(frozen=True)
class Outcome:
    """What came out: predictions, costs and the training curve.

    `predictions` is what the task's `score` takes: class probabilities (n_evaluation, n_classes) in
    text classification, tags (n_words,) in tagging, tokens (n_evaluation, length) where sequences
    are written, answers (n_evaluation, 2) in question answering.
    `cost` has `wall_seconds` (all that adapting takes, tokenising included; predicting excluded),
    `optimiser_steps`, `examples_seen`, `tokens_seen` (padding included), `flops` (of the encoder),
    `parameters` and `trainable_parameters`.
    """

    predictions: NDArray[Any]
    cost: dict[str, float]
    curve: list[dict[str, float]] = field(default_factory=list)


_LEAVING = tuple(
    f"utils.adaptation.{module}" for module in ("fine_tuning", "further_pretraining", "translation")
)


_OF_OTHER_SHAPE = "adapters"
"""The library cannot load an encoder that has these between its layers."""


@dataclass(frozen=True)
class Method:
    """A way to solve `tasks`, with `defaults` of its hyper-parameters, tuned over `candidates_for`.

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
    tasks: tuple[str, ...] = ("text-classification",)

    @property
    def leaves_model(self) -> bool:
        """Whether it saves what it has trained in the problem's folder `keep`."""
        module, _, _ = self.implementation.partition(":")
        writes_summaries = self.implementation.endswith(":warm_start")
        return (module in _LEAVING and self.name != _OF_OTHER_SHAPE) or writes_summaries

    @property
    def is_oracle(self) -> bool:
        """Whether it sees what it is scored against: a ceiling, nothing to choose."""
        return self.implementation.endswith(":oracle")

    def candidates_for(self, task: str) -> list[Hyper]:
        """What is tried in `task`: for tags of words, `candidates` with twice the learning rates.

        With 64 and 500 sentences of CoNLL-2003 and WNUT-17, fine-tuning (always) and LoRA (on
        CoNLL-2003) did best with the highest of the rates for texts. What does not learn by
        gradients is tried alike everywhere.
        """
        if task != "tagging":
            return self.candidates
        return [
            {name: 2 * value if name == "learning_rate" else value for name, value in each.items()}
            for each in self.candidates
        ]

    def fit(self, problem: Problem) -> Outcome:
        """Adapt to `problem` and predict its evaluation examples."""
        function: Callable[[Problem], Outcome] = pkgutil.resolve_name(self.implementation)
        return function(problem)
