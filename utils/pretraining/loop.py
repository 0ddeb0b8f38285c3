"""The pre-training loop, on Accelerate: one process or many, with no other code."""

import math
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from utils import runtime
from utils.errors import CourseError
from utils.pretraining.objectives import Objective

if TYPE_CHECKING:
    from accelerate import Accelerator

_FEWEST_STEPS = 10
"""A time budget that allows fewer updates is refused: nothing would be learned in it."""

Point = dict[str, float]


@dataclass(frozen=True)
class Settings:
    """How to pre-train.

    Attributes:
        n_steps: updates; results can be repeated and compared.
        seconds: or a time budget. How many updates fit depends on the machine, so such runs are for
            looking on, and are never compared.
        batch_size: sequences of a batch, in each process.
        accumulation: batches of an update, whose gradients are averaged.
        optimizer: "adamw" (Loshchilov and Hutter, 2019, ICLR), or "muon" (Jordan et al., 2024) for
            the matrices of the layers, scaled to take steps as large as AdamW's (Liu et al., 2025),
            with AdamW for embeddings, heads, biases and norms.
        learning_rate, muon_learning_rate: peaks of AdamW and of Muon; both climb linearly for a
            share `warmup` of the training and fall linearly to zero.
        weight_decay: of the matrices.
        max_grad_norm: longer gradients are shortened to it.
        n_evaluations: how often the model is measured, at even distances, the end included.
        seed: of everything that is drawn.
        checkpoint_seconds: least time between two checkpoints.
    """

    n_steps: int | None = None
    seconds: float | None = None
    batch_size: int = 32
    accumulation: int = 1
    optimizer: Literal["adamw", "muon"] = "muon"
    learning_rate: float = 3e-3
    muon_learning_rate: float = 3e-3
    weight_decay: float = 0.01
    warmup: float = 0.2
    max_grad_norm: float = 1.0
    n_evaluations: int = 10
    seed: int = 0
    checkpoint_seconds: float = 300.0

    def __post_init__(self) -> None:
        if (self.n_steps is None) == (self.seconds is None):
            raise CourseError("Say either n_steps or seconds: how long to pre-train.")
        rates = ("learning_rate", "muon_learning_rate")
        counts = ("n_steps", "batch_size", "accumulation", "n_evaluations")
        for name in (*counts, "seconds", *rates):
            if (value := getattr(self, name)) is not None and value <= 0:
                raise CourseError(f"{name} is {value}; it must be above 0.")


@dataclass
class Progress:
    """How far a pre-training is: updates and tokens so far, seconds, and a point per evaluation.

    `seconds` leaves evaluations and checkpoints out.
    """

    n_steps: int = 0
    n_tokens: int = 0
    seconds: float = 0.0
    curve: list[Point] = field(default_factory=list)


def pretrain(
    model: nn.Module,
    objective: Objective,
    settings: Settings,
    *,
    evaluate: Callable[[nn.Module], Point] | None = None,
    checkpoint: Path | None = None,
    on_point: Callable[[Progress], None] | None = None,
) -> Progress:
    """Train `model` in place.

    What an update draws depends on the seed and its number alone, so that a run that was killed
    and goes on from its checkpoint ends with the same weights as an undisturbed one, bit for bit on
    one machine. Two processes with one batch each do what one process does with two.

    Args:
        model: on any device; it stays on the one where it was trained.
        objective: draws the batches and gives the loss.
        settings: see `Settings`.
        evaluate: model → numbers that are added to the curve.
        checkpoint: file that takes the state now and then and at the end, and from which a run goes
            on that finds it. Remove it when the model is safe.
        on_point: called after each evaluation, to show how it goes.

    Raises:
        CourseError: if the loss is no number any more, the checkpoint belongs to other settings or
            another model, the time budget allows hardly an update, or is given to several
            processes.
    """
    accelerator = runtime.accelerator()
    if settings.seconds is not None and accelerator.num_processes > 1:
        raise CourseError("Several processes need n_steps: each would fit another number of steps.")
    model.to(accelerator.device)
    if accelerator.device.type == "cuda":
        model.compile(dynamic=False)
    prepared = accelerator.prepare(model)
    optimizers = [accelerator.prepare(optimizer) for optimizer in make_optimizers(model, settings)]
    progress = Progress()
    state = _State(accelerator, model, optimizers, progress, settings, checkpoint)
    state.load()
    with torch.random.fork_rng(_cuda_devices(accelerator.device)):
        _train(prepared, objective, settings, state, evaluate, on_point)
    return progress


def make_optimizers(model: nn.Module, settings: Settings) -> list[torch.optim.Optimizer]:
    """The optimisers of `settings`: biases and layer norms are not decayed."""
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    by_muon = settings.optimizer == "muon"
    matrices = [p for name, p in named if by_muon and p.ndim == 2 and ".layers." in name]
    taken = set(map(id, matrices))
    others = [p for _, p in named if id(p) not in taken]
    adamw = torch.optim.AdamW(
        [
            {"params": [p for p in others if p.ndim > 1], "weight_decay": settings.weight_decay},
            {"params": [p for p in others if p.ndim <= 1], "weight_decay": 0.0},
        ],
        lr=settings.learning_rate,
        betas=(0.9, 0.98),
        fused=runtime.device().type in ("cpu", "cuda"),
    )
    if not matrices:
        return [_with_peaks(adamw)]
    muon = torch.optim.Muon(
        matrices,
        lr=settings.muon_learning_rate,
        weight_decay=settings.weight_decay,
        adjust_lr_fn="match_rms_adamw",
    )
    return [_with_peaks(adamw), _with_peaks(muon)]


def _with_peaks(optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
    """Note the peak of each group's learning rate, which the schedule scales."""
    for group in optimizer.param_groups:
        group["initial_lr"] = group["lr"]
    return optimizer


def learning_rate_factor(fraction: float, warmup: float) -> float:
    """Share of the peak learning rate when `fraction` (0..1) of the training is done."""
    if fraction < warmup:
        return fraction / warmup
    return max(0.0, (1 - fraction) / (1 - warmup))


def _train(
    model: nn.Module,
    objective: Objective,
    settings: Settings,
    state: "_State",
    evaluate: Callable[[nn.Module], Point] | None,
    on_point: Callable[[Progress], None] | None,
) -> None:
    accelerator, progress = state.accelerator, state.progress
    tokens_per_step = (
        settings.batch_size * settings.accumulation * accelerator.num_processes * objective.length
    )
    before, started = progress.seconds, time.perf_counter()
    while (fraction := _done(progress, settings)) < 1:
        # Half a step ahead, so that the first update is not made with a learning rate of zero.
        ahead = 0.5 / settings.n_steps if settings.n_steps else 0.0
        factor = learning_rate_factor(max(fraction + ahead, 1e-3), settings.warmup)
        for optimizer in state.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["initial_lr"] * factor
        state.losses.append(_step(model, objective, settings, state))
        progress.n_steps += 1
        progress.n_tokens += tokens_per_step
        progress.seconds = before + time.perf_counter() - started
        if not _is_due(progress, settings):
            if state.is_due():
                state.save()
                before, started = progress.seconds, time.perf_counter()
            continue
        loss = float(torch.stack(state.losses).mean())  # waits for the GPU
        state.losses.clear()
        progress.seconds = before + time.perf_counter() - started
        _check(loss, progress, settings)
        measured = {} if evaluate is None else evaluate(state.model)
        model.train()
        progress.curve.append(
            {
                "step": progress.n_steps,
                "seconds": progress.seconds,
                "tokens_per_second": progress.n_tokens / progress.seconds,
                "loss": loss,
                **measured,
            }
        )
        if on_point is not None and accelerator.is_main_process:
            on_point(progress)
        if state.is_due() or _done(progress, settings) >= 1:
            state.save()
        before, started = progress.seconds, time.perf_counter()


def _step(model: nn.Module, objective: Objective, settings: Settings, state: "_State") -> Tensor:
    """One update; returns its loss, which has not been waited for."""
    accelerator = state.accelerator
    model.train()
    losses = []
    for part in range(settings.accumulation):
        number = accelerator.process_index * settings.accumulation + part
        seeds = np.random.SeedSequence([settings.seed, state.progress.n_steps, number])
        torch.manual_seed(int(seeds.generate_state(1)[0]))
        batch = objective.draw(settings.batch_size)
        last = part == settings.accumulation - 1
        # Only the last part of an update makes the processes exchange their gradients.
        with nullcontext() if last else accelerator.no_sync(model):
            with accelerator.autocast():
                loss = objective.loss(model, batch)
            accelerator.backward(loss / settings.accumulation)
        losses.append(loss.detach())
    accelerator.clip_grad_norm_(model.parameters(), settings.max_grad_norm)
    for optimizer in state.optimizers:
        optimizer.step()
        optimizer.zero_grad()
    return torch.stack(losses).mean()


def _done(progress: Progress, settings: Settings) -> float:
    """Share of the training that is done."""
    if settings.n_steps is not None:
        return progress.n_steps / settings.n_steps
    return progress.seconds / (settings.seconds or math.inf)


def _is_due(progress: Progress, settings: Settings) -> bool:
    """Whether the next evaluation has been reached."""
    wanted = math.floor(_done(progress, settings) * settings.n_evaluations + 1e-9)
    return min(wanted, settings.n_evaluations) > len(progress.curve)


def _check(loss: float, progress: Progress, settings: Settings) -> None:
    if not math.isfinite(loss):
        raise CourseError(
            f"The loss is {loss} after {progress.n_steps} updates: training has diverged. Lower "
            f"the learning rate (it is {settings.learning_rate}) or raise `warmup`."
        )
    over = _done(progress, settings) >= 1
    if settings.seconds is not None and over and progress.n_steps < _FEWEST_STEPS:
        raise CourseError(
            f"{settings.seconds} s allow {progress.n_steps} updates on this machine, and at least "
            f"{_FEWEST_STEPS} are needed. Raise `seconds` or make model and batch smaller."
        )


def _cuda_devices(device: torch.device) -> list[int]:
    return [device.index or 0] if device.type == "cuda" else []


@dataclass
class _State:
    """Everything that a checkpoint holds; `losses` are those since the last evaluation."""

    accelerator: "Accelerator"
    model: nn.Module
    optimizers: list[Any]
    progress: Progress
    settings: Settings
    file: Path | None
    losses: list[Tensor] = field(default_factory=list)
    saved: float = field(default_factory=time.monotonic)

    def is_due(self) -> bool:
        return time.monotonic() - self.saved >= self.settings.checkpoint_seconds

    def save(self) -> None:
        self.saved = time.monotonic()
        if self.file is None or not self.accelerator.is_main_process:
            return
        state = {
            "model": self.model.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "progress": asdict(self.progress),
            "losses": torch.stack(self.losses).tolist() if self.losses else [],
            "settings": asdict(self.settings),
        }
        if self.accelerator.scaler is not None:
            state["scaler"] = self.accelerator.scaler.state_dict()
        with runtime.atomic_file(self.file) as file:
            torch.save(state, file)

    def load(self) -> None:
        if self.file is None or not self.file.exists():
            return
        state = torch.load(self.file, map_location="cpu", weights_only=True)
        if state["settings"] != asdict(self.settings):
            raise CourseError(
                f"The checkpoint {self.file.name} was made with other settings. Remove it to begin "
                "anew, or go on with the settings that it was made with."
            )
        try:
            self.model.load_state_dict(state["model"])
        except RuntimeError as error:
            raise CourseError(
                f"The checkpoint {self.file.name} holds another model. Remove it to begin anew, or "
                "go on with the model that it was made with."
            ) from error
        for optimizer, stored in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(stored)
        if self.accelerator.scaler is not None and "scaler" in state:
            self.accelerator.scaler.load_state_dict(state["scaler"])
        vars(self.progress).update(state["progress"])
        # A checkpoint of before this was kept has none.
        self.losses += torch.tensor(state.get("losses", []), device=self.accelerator.device)
