"""Pre-training inside a lesson: a curve that grows while the model learns."""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from utils import runtime
from utils.lesson.outputs import evidence, shell

if TYPE_CHECKING:
    from torch import nn

    from utils.pretraining.evaluation import HeldOut, SequenceObjective
    from utils.pretraining.loop import Point, Progress, Settings
    from utils.pretraining.objectives import Objective
    from utils.report.figures import Plot

_SEQUENCES = 64
"""Held-out sequences for a point of the curve, where every token of a sequence is asked for."""


def pretrain_live(
    model: "nn.Module",
    objective: "Objective",
    settings: "Settings",
    questions: "list[HeldOut] | SequenceObjective",
    log_probabilities: Any,
    *,
    name: str,
    retrain: bool = False,
) -> "Progress":
    """Pre-train `model` in place, draw its curve as it learns, and leave evidence.

    The trained state is kept in `runs/checkpoints`: a second call with the same name, model,
    objective and settings takes it from there and trains nothing.

    Args:
        model, objective, settings: as in `utils.pretraining.loop.pretrain`.
        questions: for a `BertForPretraining`, what `utils.pretraining.evaluation.held_out` makes;
            for other models, their objective on held-out text.
        log_probabilities: (V,), of the tokens that are asked for, whatever their context, in the
            training text.
        name: of the text that the objective draws from.
        retrain: forget what is kept.
    """
    from utils.pretraining.loop import pretrain

    checkpoint = _checkpoint(name, model, objective, settings)
    if retrain:
        checkpoint.unlink(missing_ok=True)
    before = _steps_done(checkpoint)
    curve = LiveCurve()
    progress = pretrain(
        model,
        objective,
        settings,
        evaluate=lambda model: _evaluate(model, questions, log_probabilities),
        checkpoint=checkpoint,
        on_point=curve.update,
    )
    curve.update(progress)
    evidence(
        records=1,
        records_run=int(progress.n_steps > before),
        optimiser_steps=progress.n_steps - before,
        device=runtime.device().type,
        peak_memory_bytes=runtime.peak_memory_bytes(),
    )
    return progress


def _evaluate(
    model: "nn.Module", questions: "list[HeldOut] | SequenceObjective", log_probabilities: Any
) -> "Point":
    from utils.pretraining.evaluation import judge, judge_sequences
    from utils.tasks import language_modelling

    if isinstance(questions, list):
        answers = judge(model, questions, log_probabilities)
    else:
        answers = judge_sequences(model, questions, log_probabilities, _SEQUENCES)
    return language_modelling.score(answers)[0]


def _checkpoint(
    name: str, model: "nn.Module", objective: "Objective", settings: "Settings"
) -> Path:
    """The file that belongs to exactly this training."""
    plain = (bool, int, float, str, type(None))
    asked = {field: value for field, value in vars(objective).items() if isinstance(value, plain)}
    shapes = [(field, tuple(weights.shape)) for field, weights in model.named_parameters()]
    kinds = [type(model).__name__, type(objective).__name__]
    facts = repr([name, shapes, kinds, sorted(asked.items()), settings])
    digest = hashlib.sha256(facts.encode()).hexdigest()[:16]
    return runtime.runs_dir() / "checkpoints" / f"live-{digest}.pt"


def _steps_done(checkpoint: Path) -> int:
    import torch

    if not checkpoint.exists():
        return 0
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    return int(state["progress"]["n_steps"])


class LiveCurve:
    """Losses on held-out text by update; in a notebook the figure is replaced as it grows."""

    def __init__(self) -> None:
        self._handle: Any = None

    def update(self, progress: "Progress") -> None:
        """Show the curve as far as it has come."""
        if not progress.curve:
            return
        last = progress.curve[-1]
        line = (
            f"update {last['step']:,.0f}: {last['tokens_per_second']:,.0f} tokens per second, "
            f"gain {last['gain']:.2f} nats"
        )
        if shell() is None:
            print(line)
            return
        from IPython.display import display

        plot = pretraining_plot(progress, line)
        bundle, metadata = _image(plot)
        if self._handle is None:
            self._handle = display(bundle, raw=True, metadata=metadata, display_id=True)
        else:
            self._handle.update(bundle, raw=True, metadata=metadata)


def pretraining_plot(progress: "Progress", note: str) -> "Plot":
    """Loss of the tokens asked for beside that of token frequencies alone, as it fell."""
    from utils.report.figures import Panel, Plot, Series

    steps = [point["step"] for point in progress.curve]

    def line(label: str, values: list[float], style: int) -> Series:
        return Series(label, steps, values, style=style)

    def values(metric: str) -> list[float]:
        return [point[metric] for point in progress.curve]

    unigram = "token frequencies alone (unigram)"
    series = [line("the model", values("mlm_loss"), 3), line(unigram, values("unigram_loss"), 0)]
    return Plot(
        [Panel("Tokens asked for, held-out documents", "Updates", "Loss (nats per token)", series)],
        note,
        f"Line chart. Loss of the model on the tokens asked for: {series[0].y[0]:.2f} nats after "
        f"{steps[0]:.0f} updates, {series[0].y[-1]:.2f} after {steps[-1]:.0f}; token frequencies "
        f"alone: {series[1].y[-1]:.2f}.",
    )


def _image(plot: "Plot") -> tuple[dict[str, Any], dict[str, Any]]:
    import matplotlib.pyplot as plt

    from utils.report.figures import png

    figure = plot.figure()
    content = png(figure)
    plt.close(figure)
    bundle = {"image/png": content, "text/plain": f"[Figure: {plot.alt_text}]"}
    return bundle, {"image/png": {"alt": plot.alt_text}}
