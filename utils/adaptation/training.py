"""The one training loop of the course, on Accelerate."""

import math
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from utils import runtime
from utils.errors import CourseError
from utils.pretraining.masking import IGNORED

if TYPE_CHECKING:
    from accelerate import Accelerator

CHECKPOINTED_UPDATES = 500
"""Trainings of at least so many updates leave a checkpoint after each evaluation."""

_UPDATES_BETWEEN_GIVING_BACK = 20
"""So that memory grows by what so few updates leave unused, and they are not slowed down."""


@dataclass(frozen=True)
class Settings:
    r"""How to train.

    The learning rate climbs linearly over the share `warmup` of the updates and then falls linearly
    to zero. `n_evaluations` times, at even distances, the model is validated; the weights that did
    best are kept. With `label_smoothing` $\varepsilon$, the wanted distribution is the label with
    $1 - \varepsilon$ and all classes evenly with the rest (Szegedy et al., 2016, CVPR, section 7).
    `mixed_precision` allows half precision where this device gains by it; very small
    models lose more by converting than they gain.
    """

    learning_rate: float
    n_updates: int
    warmup: float = 0.1
    weight_decay: float = 0.01
    max_grad_norm: float = 1.0
    n_evaluations: int = 5
    mixed_precision: bool = True
    label_smoothing: float = 0.0


@dataclass
class Progress:
    """How far a training is: updates done, seconds spent on them, and a point per evaluation."""

    n_updates: int = 0
    seconds: float = 0.0
    curve: list[dict[str, float]] = field(default_factory=list)


def count_updates(n_train: int, batch_size: int, epochs: float, min_updates: int) -> int:
    """Updates for `epochs` passes over `n_train` examples, but at least `min_updates`.

    With few examples a few passes are too few updates to learn anything (Mosbach et al., 2021,
    ICLR), and a comparison would measure just that.
    """
    return max(min_updates, math.ceil(epochs * n_train / batch_size))


Batch = tuple[dict[str, Tensor], Tensor]


@dataclass(frozen=True)
class Trainable:
    """A model with what it is trained on, as the loop needs it.

    `lengths` are the tokens of each training example, (n_examples,). `make_batch` and `validate`
    are those of `train`. `predict` gives what the task scores, of the examples that are evaluated.
    `cost_before` has `wall_seconds` and `flops` of what was computed before, if anything was.
    """

    model: nn.Module
    lengths: NDArray[np.int64]
    make_batch: Callable[[NDArray[np.int64]], Batch]
    validate: Callable[[nn.Module], float]
    predict: Callable[[], NDArray[Any]]
    cost_before: dict[str, float] = field(default_factory=dict)


@runtime.reused_memory()
def train(
    model: nn.Module,
    batches: list[NDArray[np.int64]],
    make_batch: Callable[[NDArray[np.int64]], Batch],
    validate: Callable[[nn.Module], float],
    settings: Settings,
    checkpoint: Path | None = None,
    *,
    rates: list[tuple[list[nn.Parameter], float]] | None = None,
    before_update: Callable[[int], None] | None = None,
) -> Progress:
    """Train `model` in place with cross-entropy; it ends with the weights that validated best.

    Args:
        model: maps the inputs of a batch to logits (batch, n_classes), or (batch, n_words,
            n_classes), or (batch, 2, length) where spans are chosen.
        batches: the examples of each update.
        make_batch: examples → (inputs of the model, labels (batch,) or (batch, n_words), where -100
            is not counted, or first and last position of the span, (batch, 2)).
        validate: model → score, the higher the better; called `settings.n_evaluations` times.
        settings: learning rate, schedule and the like.
        checkpoint: file for the state after each evaluation; a run that finds it goes on from
            there, and reaches the weights that it would have reached undisturbed.
        rates: weights whose learning rate is not `settings.learning_rate`, and its factor.
        before_update: called with the number of each update, from 0 on, before it is made.
    """
    accelerator = runtime.accelerator(mixed_precision=settings.mixed_precision)
    optimizer = _optimizer(model, settings, rates or [])
    model, optimizer = accelerator.prepare(model, optimizer)
    scheduler = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: learning_rate_factor(step, settings.n_updates, settings.warmup)
    )
    progress, best = Progress(), _Best()
    parts = {"model": model, "optimizer": optimizer, "scheduler": scheduler}
    gradients = _Gradients(accelerator, model, settings.label_smoothing)
    _resume(checkpoint, parts, progress, best)
    every = max(1, settings.n_updates // settings.n_evaluations)
    losses: list[Tensor] = []
    started = time.perf_counter()
    for update in range(progress.n_updates, settings.n_updates):
        model.train()
        if before_update is not None:
            before_update(update)
        inputs, labels = make_batch(batches[update])
        loss = gradients(inputs, labels)
        accelerator.clip_grad_norm_(model.parameters(), settings.max_grad_norm)
        optimizer.step()
        scheduler.step()
        optimizer.zero_grad()
        losses.append(loss)  # read only at an evaluation: reading waits for the GPU
        if (update + 1) % _UPDATES_BETWEEN_GIVING_BACK == 0:
            runtime.give_back_memory()
        if (update + 1) % every == 0 or update + 1 == settings.n_updates:
            mean_loss = float(torch.stack(losses).mean())
            progress.seconds += time.perf_counter() - started
            progress.n_updates = update + 1
            score = validate(model)
            best.offer(score, model)
            progress.curve.append({"step": update + 1, "loss": mean_loss, "validation": score})
            _save(checkpoint, parts, progress, best)
            losses.clear()
            started = time.perf_counter()
    model.load_state_dict(best.weights)
    if checkpoint is not None:
        checkpoint.unlink(missing_ok=True)
    return progress


class _Gradients:
    """Loss and gradients of a batch, in as many parts as memory asks for.

    When memory runs out, the batch is halved until it fits, and stays so for the rest of the
    training. The gradients of the parts add up to those of the whole batch.
    """

    def __init__(
        self, accelerator: "Accelerator", model: nn.Module, label_smoothing: float = 0.0
    ) -> None:
        self._accelerator, self._model = accelerator, model
        self._logits: Callable[..., Tensor] = torch.compile(model) if runtime.compiles() else model
        self._label_smoothing = label_smoothing
        self._n_parts = 1

    def __call__(self, inputs: dict[str, Tensor], labels: Tensor) -> Tensor:
        """Adds to the gradients of the model, and gives the loss of the batch.

        Raises:
            CourseError: if there is not even memory for one example.
        """
        from accelerate.utils.memory import clear_device_cache, should_reduce_batch_size

        while True:
            try:
                return self._of(inputs, labels)
            except RuntimeError as error:
                if not should_reduce_batch_size(error):
                    raise
                self._model.zero_grad()
                size = math.ceil(len(labels) / self._n_parts)
                if size == 1:
                    length = next(iter(inputs.values())).shape[1]
                    raise CourseError(
                        f"Memory does not suffice for training on one example of {length} tokens. "
                        "Take a smaller model, or a smaller max_length, or close other programs."
                    ) from error
            self._n_parts *= 2
            clear_device_cache(garbage_collection=True)
            warnings.warn(
                f"Memory does not suffice for {size} examples at a time. They now go in "
                f"{self._n_parts} parts whose gradients are added up: the result is the same, "
                "the training a little slower.",
                stacklevel=4,
            )

    def _of(self, inputs: dict[str, Tensor], labels: Tensor) -> Tensor:
        if self._n_parts == 1:
            loss = self._loss(inputs, labels, "mean")
            self._accelerator.backward(loss)
            return loss.detach()
        n_labels = (labels != IGNORED).sum()
        losses = []
        for rows in torch.arange(len(labels)).chunk(self._n_parts):
            part = {name: each[rows] for name, each in inputs.items()}
            loss = self._loss(part, labels[rows], "sum") / n_labels
            self._accelerator.backward(loss)
            losses.append(loss.detach())
        return torch.stack(losses).sum()

    def _loss(self, inputs: dict[str, Tensor], labels: Tensor, reduction: str) -> Tensor:
        with self._accelerator.autocast():
            logits = self._logits(**inputs)
        return nn.functional.cross_entropy(
            logits.float().flatten(0, -2),
            labels.flatten(),
            reduction=reduction,
            label_smoothing=self._label_smoothing,
        )


def learning_rate_factor(step: int, n_updates: int, warmup: float) -> float:
    """Factor of the learning rate at `step`: linear up, then linear down to zero."""
    climb = warmup * n_updates
    if step < climb:
        return (step + 1) / (climb + 1)
    return max(0.0, (n_updates - step) / max(1.0, n_updates - climb))


def _optimizer(
    model: nn.Module, settings: Settings, rates: list[tuple[list[nn.Parameter], float]]
) -> torch.optim.AdamW:
    """AdamW (Loshchilov and Hutter, 2019, ICLR); biases and layer norms are not decayed."""
    slower = {id(p) for parameters, _ in rates for p in parameters}
    others = [p for p in model.parameters() if id(p) not in slower]
    groups = []
    for parameters, factor in [(others, 1.0), *rates]:
        weights = [p for p in parameters if p.requires_grad]
        for is_matrix, decay in ((True, settings.weight_decay), (False, 0.0)):
            if chosen := [p for p in weights if (p.ndim > 1) == is_matrix]:
                rate = factor * settings.learning_rate
                groups.append({"params": chosen, "weight_decay": decay, "lr": rate})
    return torch.optim.AdamW(
        groups, lr=settings.learning_rate, fused=runtime.device().type in ("cpu", "cuda")
    )


@dataclass
class _Best:
    """The best score so far and a copy of the weights that reached it (the later on a tie)."""

    score: float = -math.inf
    weights: dict[str, Tensor] = field(default_factory=dict)

    def offer(self, score: float, model: nn.Module) -> None:
        if score >= self.score or math.isnan(self.score) or not self.weights:
            self.score = score
            self.weights = {name: t.detach().clone() for name, t in model.state_dict().items()}


def _save(checkpoint: Path | None, parts: dict[str, Any], progress: Progress, best: _Best) -> None:
    if checkpoint is None:
        return
    state = {name: part.state_dict() for name, part in parts.items()}
    state |= {"progress": vars(progress), "best": vars(best), "rng": torch.get_rng_state()}
    if torch.cuda.is_available():
        state["cuda_rng"] = torch.cuda.get_rng_state()
    with runtime.atomic_file(checkpoint) as file:
        torch.save(state, file)


def _resume(
    checkpoint: Path | None, parts: dict[str, Any], progress: Progress, best: _Best
) -> None:
    if checkpoint is None or not checkpoint.exists():
        return
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    for name, part in parts.items():
        part.load_state_dict(state[name])
    vars(progress).update(state["progress"])
    vars(best).update(state["best"])
    torch.set_rng_state(state["rng"])
    if "cuda_rng" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda_rng"])
