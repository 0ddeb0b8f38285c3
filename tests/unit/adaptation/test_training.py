"""The training loop: schedule, best weights, resuming."""

import platform
import shutil
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from utils import runtime, sources
from utils.adaptation.training import (
    Settings,
    _Best,
    count_updates,
    learning_rate_factor,
    train,
)
from utils.errors import CourseError

POINTS = torch.randn(64, 4, generator=torch.Generator().manual_seed(0))
LABELS = (POINTS[:, 0] > POINTS[:, 1]).long()
BATCHES = [np.random.default_rng(i).permutation(64)[:16] for i in range(60)]


class Linear(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.layer = nn.Linear(4, 2)
        self.dropout = nn.Dropout(0.2)

    def forward(self, points: torch.Tensor) -> torch.Tensor:
        return self.layer(self.dropout(points))


def make_batch(indices: np.ndarray) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    return {"points": POINTS[indices]}, LABELS[indices]


def accuracy(model: nn.Module) -> float:
    model.eval()
    with torch.no_grad():
        return float((model(POINTS).argmax(dim=1) == LABELS).float().mean())


SETTINGS = Settings(learning_rate=0.1, n_updates=60, n_evaluations=6)


def test_it_learns_and_reports_its_curve():
    model = Linear()
    torch.manual_seed(0)
    progress = train(model, BATCHES, make_batch, accuracy, SETTINGS)
    assert accuracy(model) > 0.95
    assert [point["step"] for point in progress.curve] == [10, 20, 30, 40, 50, 60]
    assert progress.curve[-1]["loss"] < progress.curve[0]["loss"]
    assert progress.n_updates == 60


def test_it_ends_with_the_weights_that_validated_best():
    scores = iter([0.1, 0.9, 0.5, 0.4, 0.3, 0.2])
    seen = []

    def validate(model: nn.Module) -> float:
        seen.append(model.layer.weight.detach().clone())
        return next(scores)

    model = Linear()
    train(model, BATCHES, make_batch, validate, SETTINGS)
    torch.testing.assert_close(model.layer.weight.detach(), seen[1], rtol=0, atol=0)


@pytest.mark.parametrize("killed_at", [1, 3, 5])
def test_a_resumed_training_reaches_the_same_weights(tmp_path, killed_at):
    undisturbed = Linear()
    torch.manual_seed(7)
    expected = train(undisturbed, BATCHES, make_batch, accuracy, SETTINGS)

    calls = 0

    def killed(model: nn.Module) -> float:
        nonlocal calls
        calls += 1
        if calls > killed_at:
            raise KeyboardInterrupt
        return accuracy(model)

    checkpoint = tmp_path / "state.pt"
    interrupted = Linear()
    torch.manual_seed(7)
    with pytest.raises(KeyboardInterrupt):
        train(interrupted, BATCHES, make_batch, killed, SETTINGS, checkpoint)
    assert checkpoint.exists()
    resumed = Linear()
    torch.manual_seed(999)  # the state of the generator must come from the checkpoint
    progress = train(resumed, BATCHES, make_batch, accuracy, SETTINGS, checkpoint)
    assert progress.curve == expected.curve
    torch.testing.assert_close(resumed.state_dict(), undisturbed.state_dict(), rtol=0, atol=0)
    assert not checkpoint.exists()


def test_schedule_climbs_to_one_and_falls_to_zero():
    factors = [learning_rate_factor(step, 100, 0.1) for step in range(101)]
    assert max(factors) == factors[10] == 1.0
    assert factors[0] == pytest.approx(1 / 11)
    assert factors[55] == pytest.approx(0.5)
    assert factors[100] == 0.0
    assert all(a < b for a, b in pairwise(factors[:11]))
    assert all(a > b for a, b in pairwise(factors[10:]))


@pytest.mark.parametrize(
    ("n_train", "epochs", "expected"),
    [(16, 3, 150), (1600, 3, 150), (2000, 3, 188), (33, 100, 150)],
)
def test_updates_are_counted_with_a_minimum(n_train, epochs, expected):
    assert count_updates(n_train, batch_size=32, epochs=epochs, min_updates=150) == expected


def test_biases_are_not_decayed():
    model = Linear()
    train(
        model,
        BATCHES[:1],
        lambda indices: ({"points": torch.zeros(16, 4)}, torch.zeros(16, dtype=torch.long)),
        lambda model: 0.0,
        Settings(learning_rate=0.1, n_updates=1, warmup=0.0, weight_decay=0.5),
    )
    # With zero inputs the weights have no gradient: they only decay, by 1 - 0.1 * 0.5.
    torch.testing.assert_close(model.layer.weight, Linear().layer.weight * 0.95)


class Scarce(Linear):
    """Runs out of memory with more than `room` examples at a time, from the update `since` on."""

    def __init__(self, room: int, since: int = 0) -> None:
        super().__init__()
        self.dropout = nn.Identity()
        self.room, self.since, self.sizes = room, since, []

    def forward(self, points: torch.Tensor) -> torch.Tensor:
        if self.training:
            self.sizes.append(len(points))
            if len(points) > self.room and len(self.sizes) > self.since:
                raise RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB.")
        return super().forward(points)


def some_are_not_counted(indices: np.ndarray) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    labels = LABELS[indices].clone()
    labels[:5] = -100  # a whole part of four, and one of the next
    return {"points": POINTS[indices]}, labels


@pytest.mark.parametrize("since", [0, 30])
@pytest.mark.parametrize("batch", [make_batch, some_are_not_counted])
def test_out_of_memory_halves_the_batch_and_changes_nothing_else(batch, since: int) -> None:
    plenty, scarce = Scarce(room=16), Scarce(room=5, since=since)
    expected = train(plenty, BATCHES, batch, accuracy, SETTINGS)
    with pytest.warns(UserWarning, match="does not suffice for 8 examples at a time. They now go"):
        found = train(scarce, BATCHES, batch, accuracy, SETTINGS)
    torch.testing.assert_close(scarce.layer.weight, plenty.layer.weight)
    assert [p["loss"] for p in found.curve] == pytest.approx([p["loss"] for p in expected.curve])
    assert scarce.sizes == [16] * (since + 1) + [8] + [4] * 4 * (60 - since)


def test_where_not_even_one_example_fits() -> None:
    with (
        pytest.warns(UserWarning, match="Memory does not suffice"),
        pytest.raises(CourseError, match=r"training on one example of 4 tokens\. Take a smaller"),
    ):
        train(Scarce(room=0), BATCHES, make_batch, accuracy, SETTINGS)


def test_another_error_is_not_taken_for_want_of_memory() -> None:
    class Broken(Linear):
        def forward(self, points: torch.Tensor) -> torch.Tensor:
            raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        train(Broken(), BATCHES, make_batch, accuracy, SETTINGS)


def test_another_precision_than_that_of_a_trainer_before(monkeypatch: pytest.MonkeyPatch) -> None:
    from accelerate import Accelerator

    Accelerator(mixed_precision="no", cpu=True)
    monkeypatch.setattr(runtime, "precision", lambda: runtime.Precision("bf16", "for this test"))
    assert runtime.accelerator().mixed_precision == "bf16"
    assert runtime.accelerator(mixed_precision=False).mixed_precision == "no"


@pytest.mark.skipif(not shutil.which("g++"), reason="compiling for a CPU takes g++")
def test_a_compiled_model_learns_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    learned, compiled = [], []
    compile_model = torch.compile
    monkeypatch.setattr(
        torch, "compile", lambda model: compiled.append(model) or compile_model(model)
    )
    settings = replace(SETTINGS, n_updates=10, n_evaluations=2)
    for wanted in ("0", "1"):
        monkeypatch.setenv("COURSE_COMPILE", wanted)
        model = Linear()
        model.dropout.p = 0.0  # compiled code draws in another order
        train(model, BATCHES, make_batch, accuracy, settings)
        learned.append(model.state_dict())
    assert len(compiled) == 1
    torch.testing.assert_close(*learned)
    monkeypatch.setenv("COURSE_COMPILE", "yes")
    with pytest.raises(CourseError, match="COURSE_COMPILE is 'yes'"):
        train(Linear(), BATCHES, make_batch, accuracy, settings)


def test_formats_are_timed_by_one_thread() -> None:
    seen = []
    before = torch.get_num_threads()
    runtime._best_seconds(lambda: seen.append(torch.get_num_threads()))
    assert set(seen) == {1}
    assert torch.get_num_threads() == before


def test_what_is_timed_does_not_move_what_is_drawn() -> None:
    from utils.adaptation.encoder import load_encoder, weight_names

    model, _ = sources.model_path(sources.MINILM)
    config = load_encoder(model).config
    for call in (runtime.precision, runtime.onednn_pays, lambda: weight_names(config)):
        if hasattr(call, "cache_clear"):
            call.cache_clear()
        torch.manual_seed(3)
        call()
        drawn = torch.rand(2)
        torch.manual_seed(3)
        assert torch.equal(drawn, torch.rand(2)), call


@pytest.mark.parametrize(
    ("scores", "kept"),
    [([float("nan")] * 3, 2), ([float("nan"), 0.1, float("nan")], 1), ([0.2, 0.1, 0.2], 2)],
)
def test_the_best_weights_where_scores_are_no_numbers(scores: list[float], kept: int) -> None:
    best, model = _Best(), nn.Linear(1, 1, bias=False)
    for number, score in enumerate(scores):
        model.weight.data.fill_(number)
        best.offer(score, model)
    assert best.weights["weight"].item() == kept


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the memory of glibc")
def test_what_lies_unused_between_blocks_is_given_back_while_training() -> None:
    """In a process of its own, which holds nothing else."""
    seen = subprocess.run(
        [sys.executable, "-c", _MEMORY], capture_output=True, text=True, check=True, timeout=120
    )
    before, kept, after = map(int, seen.stdout.split())
    assert kept - before > 300, "the test needs memory that glibc keeps"
    assert after - before < 100


def test_it_gives_memory_back_every_few_updates(monkeypatch: pytest.MonkeyPatch) -> None:
    times = []
    monkeypatch.setattr(runtime, "give_back_memory", lambda: times.append(1))
    train(Linear(), BATCHES, make_batch, accuracy, SETTINGS)
    assert len(times) == 60 // 20 + 1  # and at the end


_MEMORY = """
from pathlib import Path
import torch
from utils import runtime

def mebibytes():
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) // 1024

with runtime.reused_memory():
    before = mebibytes()
    large, small = [], []
    for size in range(40, 60):
        large.append(torch.ones(size * 2**18))
        small.append(torch.ones(2**10))
    large.clear()
    kept = mebibytes()
    runtime.give_back_memory()
    print(before, kept, mebibytes())
"""
