"""How fast our code is beside the library's: pairs of timings, interleaved in one run.

Machines are shared and their clocks change, so only ratios of neighbouring timings are compared.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from utils import runtime

N_PAIRS = 20
N_WARM_UP = 2
"""Calls of each side before the first pair."""


@dataclass(frozen=True)
class SpeedComparison:
    """Ours beside theirs on the same work.

    Attributes:
        comparison: what was timed.
        ratio: ours over theirs in examples or tokens per second (above 1 is faster), median over
            pairs.
        low, high: 95 % bootstrap interval of that median.
        seconds, their_seconds: median time of one call.
        n_pairs: pairs of timings.
        score, their_score: accuracy of what was trained, mean over pairs, where there is one.
        score_low: lower end of the 95 % interval of the difference of both, over pairs (seeds) and
            test examples.
        data: where the texts came from: "mirror", "hub", or which embedded ones; empty without any.
    """

    comparison: str
    ratio: float
    low: float
    high: float
    seconds: float
    their_seconds: float
    n_pairs: int
    score: float | None = None
    their_score: float | None = None
    score_low: float | None = None
    data: str = ""

    def __str__(self) -> str:
        said = (
            f"{self.comparison}: {self.ratio:.3f} times as fast (95 % interval {self.low:.3f} to "
            f"{self.high:.3f}; {_time(self.seconds)} against {_time(self.their_seconds)}, "
            f"{self.n_pairs} pairs)"
        )
        if self.score is None or self.their_score is None or self.score_low is None:
            return said
        return (
            f"{said}; accuracy {self.score:.2%} against {self.their_score:.2%}, difference at "
            f"least {100 * self.score_low:+.2f} points"
        )


def _time(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds >= 10 else f"{1e3 * seconds:.0f} ms"


def compare_speed(
    comparison: str,
    ours: Callable[[], Any],
    theirs: Callable[[], Any],
    n_pairs: int = N_PAIRS,
    clock: Callable[[], float] = time.perf_counter,
    n_warm_up: int = N_WARM_UP,
) -> SpeedComparison:
    """Time both in turn, `n_pairs` times, the first one changing from pair to pair."""
    from scipy.stats import bootstrap

    def timed(call: Callable[[], Any]) -> float:
        runtime.synchronise()
        start = clock()
        call()
        runtime.synchronise()
        return clock() - start

    for call in (ours, theirs) * n_warm_up:
        call()
    pairs = np.empty((n_pairs, 2))
    for number in range(n_pairs):
        for side in (0, 1) if number % 2 else (1, 0):
            pairs[number, side] = timed((ours, theirs)[side])
    ratios = pairs[:, 1] / pairs[:, 0]
    interval = bootstrap(
        (ratios,), np.median, method="percentile", rng=np.random.default_rng(0)
    ).confidence_interval
    return SpeedComparison(
        comparison,
        ratio=float(np.median(ratios)),
        low=float(interval.low),
        high=float(interval.high),
        seconds=float(np.median(pairs[:, 0])),
        their_seconds=float(np.median(pairs[:, 1])),
        n_pairs=n_pairs,
    )


def matrix_products(flops: float, width: int = 4096) -> Callable[[], Any]:
    """One matrix product of `flops` operations, in the precision of the training."""
    import torch

    names = {"no": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
    where, dtype = runtime.device(), names[runtime.precision().name]
    n_rows = round(flops / (2 * width * width))
    left = torch.randn(n_rows, width, device=where).to(dtype)
    right = torch.randn(width, width, device=where).to(dtype)
    return lambda: left @ right


def encoder_speed(n_pairs: int = N_PAIRS) -> Iterator[SpeedComparison]:
    """Our `Encoder` beside transformers' `BertModel`: forward pass, and a step of training.

    Both have MiniLM's weights, no dropout, fused AdamW, and the same batch of 32 sequences of 8 to
    32 tokens.
    """
    import torch

    from utils.adaptation.encoder import load_encoder
    from utils.sources import MINILM, model_path
    from utils.transformer import load_bert

    device = runtime.device()
    ours, theirs = load_bert(MINILM).to(device), load_encoder(model_path(MINILM)[0]).to(device)
    generator = torch.Generator().manual_seed(0)
    input_ids = torch.randint(30522, (32, 32), generator=generator).to(device)
    lengths = torch.randint(8, 33, (32, 1), generator=generator)
    mask = (torch.arange(32) < lengths).long().to(device)

    def forward(model: Any) -> Any:
        with torch.inference_mode():
            return model(input_ids, mask)

    def training_step(model: Any) -> Callable[[], None]:
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, fused=True)

        def step() -> None:
            output = model(input_ids, mask)
            hidden_states = output if isinstance(output, torch.Tensor) else output[0]
            hidden_states.square().mean().backward()
            optimizer.step()
            optimizer.zero_grad()

        return step

    ours.eval(), theirs.eval()
    yield compare_speed(
        "encoder forward, ours : transformers",
        lambda: forward(ours),
        lambda: forward(theirs),
        n_pairs,
    )
    ours.train(), theirs.train()
    yield compare_speed(
        "encoder training step, ours : transformers",
        training_step(ours),
        training_step(theirs),
        n_pairs,
    )


def speed_parts() -> dict[str, Callable[[], Iterable[SpeedComparison]]]:
    """What `course bench speed` times, part by part."""
    from utils.experiments.adaptation_speed import features_speed, tuning_speed
    from utils.experiments.pretraining_speed import pretraining_speed

    return {
        "encoder": encoder_speed,
        "pretraining": pretraining_speed,
        "fine-tuning": tuning_speed,
        "features": features_speed,
    }


def speed_record(part: str, found: list[SpeedComparison]) -> dict[str, Any]:
    """The comparisons with what they were measured on, as it is written to `runs/speed/`."""
    return {
        "part": part,
        "comparisons": [asdict(each) for each in found],
        "provenance": runtime.circumstances(),
    }
