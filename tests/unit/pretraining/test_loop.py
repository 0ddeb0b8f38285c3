"""The training loop: killed and resumed to the last digit, over several processes, and by hand.

Run as a script, it pre-trains the tiny model of these tests: FOLDER [N_PROCESSES [SECONDS]].
"""

import json
import math
import os
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from utils import runtime
from utils.errors import CourseError
from utils.pretraining import PackedText, Vocabulary
from utils.pretraining.loop import Progress, Settings, learning_rate_factor, pretrain
from utils.pretraining.model import BertForPretraining, start_looking_at_neighbours
from utils.pretraining.objectives import MaskedLanguageModelling, MaskedSequences
from utils.transformer import TransformerConfig

SIZE, LENGTH, FIRST = 50, 12, 5
CONFIG = TransformerConfig(
    vocab_size=SIZE, d_model=16, n_layers=2, n_heads=2, d_ff=32, max_length=LENGTH, n_segments=2,
    dropout=0.1,
)  # fmt: skip
SETTINGS = Settings(
    n_steps=12, batch_size=4, learning_rate=3e-3, n_evaluations=3, seed=3, checkpoint_seconds=0
)
SCRIPT = replace(SETTINGS, n_steps=30, optimizer="muon")
SHARED = replace(SETTINGS, n_steps=6, optimizer="adamw", learning_rate=1e-3)


class Slow(MaskedLanguageModelling):
    """Waits before each batch, so that there is time to be killed."""

    seconds = 0.0

    def draw(self, n: int) -> MaskedSequences:
        time.sleep(self.seconds)
        return super().draw(n)


def objective() -> Slow:
    device = runtime.device()
    numbers = torch.arange(SIZE, device=device)
    vocabulary = Vocabulary(SIZE, 4, 2, 3, FIRST, numbers >= FIRST, numbers < 0)
    tokens = torch.randint(FIRST, SIZE, (400,), generator=torch.Generator().manual_seed(0))
    starts, origins = torch.tensor([0, 400], device=device), torch.zeros(1, device=device).long()
    return Slow(PackedText(tokens.int().to(device), starts, origins), vocabulary, LENGTH)


def model(**changes: Any) -> BertForPretraining:
    torch.manual_seed(0)
    made = BertForPretraining(replace(CONFIG, **changes))
    start_looking_at_neighbours(made.encoder)
    return made.to(runtime.device())


def losses(progress: Progress) -> list[tuple[float, float]]:
    return [(point["step"], point["loss"]) for point in progress.curve]


def equal(first: nn.Module, second: nn.Module) -> bool:
    theirs = second.state_dict()
    return all(weights.equal(theirs[name]) for name, weights in first.state_dict().items())


class Killed(Exception):
    pass


def kill_at(step: int) -> Any:
    def on_point(progress: Progress) -> None:
        if progress.n_steps == step:
            raise Killed

    return on_point


@pytest.mark.parametrize("accumulation", [1, 2])
@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_resumed_it_ends_as_if_undisturbed(
    optimizer: str, accumulation: int, tmp_path: Path
) -> None:
    settings = replace(SETTINGS, optimizer=optimizer, accumulation=accumulation)
    undisturbed, resumed, checkpoint = model(), model(), tmp_path / "state.pt"
    expected = pretrain(undisturbed, objective(), settings)
    for step in (4, 8):
        killed = model()
        with pytest.raises(Killed):
            pretrain(killed, objective(), settings, checkpoint=checkpoint, on_point=kill_at(step))
        assert torch.load(checkpoint)["progress"]["n_steps"] == step - 1  # between two evaluations
    torch.manual_seed(99)  # what was drawn before does not matter
    progress = pretrain(resumed, objective(), settings, checkpoint=checkpoint)
    assert equal(resumed, undisturbed)
    assert losses(progress) == losses(expected)  # to the last digit
    assert [step for step, _ in losses(progress)] == [4, 8, 12]
    assert progress.n_tokens == expected.n_tokens == 12 * 4 * accumulation * LENGTH


def test_evaluations_and_a_caller_that_draws_change_nothing(tmp_path: Path) -> None:
    def evaluate(model: nn.Module) -> dict[str, float]:
        model.eval()
        return {"drawn": float(torch.rand(1))}

    quiet, watched = model(), model()
    pretrain(quiet, objective(), replace(SETTINGS, n_evaluations=1))
    torch.manual_seed(5)
    before = torch.get_rng_state()
    progress = pretrain(
        watched, objective(), replace(SETTINGS, n_evaluations=12), evaluate=evaluate
    )
    assert equal(quiet, watched)
    assert all(0 <= point["drawn"] < 1 for point in progress.curve)
    assert torch.get_rng_state().equal(before)


def test_a_finished_run_is_not_trained_further(tmp_path: Path) -> None:
    first, again, checkpoint = model(), model(), tmp_path / "state.pt"
    expected = pretrain(
        first, objective(), replace(SETTINGS, checkpoint_seconds=1e9), checkpoint=checkpoint
    )
    assert torch.load(checkpoint)["progress"]["n_steps"] == 12
    settings = replace(SETTINGS, checkpoint_seconds=1e9)
    assert pretrain(again, objective(), settings, checkpoint=checkpoint) == expected
    assert equal(first, again)


def script(folder: Path, *arguments: Any, launcher: tuple[str, ...] = ()) -> subprocess.Popen:
    """This file in a process of its own, on the CPU with one thread."""
    variables = {"COURSE_DEVICE": "cpu", "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, *launcher, __file__, str(folder), *map(str, arguments)],
        env=os.environ | variables,
        cwd=runtime.project_root(),
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(process: subprocess.Popen, folder: Path) -> tuple[dict[str, Tensor], Any]:
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    return torch.load(folder / "weights.pt"), json.loads((folder / "curve.json").read_text())


def test_killed_for_real_and_run_again(tmp_path: Path) -> None:
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    first, victim = script(undisturbed, 1), script(killed, 1, 0.1)
    checkpoint = killed / "state.pt"
    while not checkpoint.exists():
        assert victim.poll() is None, victim.communicate()[1]
        time.sleep(0.01)
    victim.kill()  # SIGKILL: nothing can be tidied up
    victim.communicate()
    assert victim.returncode < 0
    assert 0 < torch.load(checkpoint)["progress"]["n_steps"] < SCRIPT.n_steps
    assert not (killed / "weights.pt").exists()
    weights, curve = finished(script(killed, 1), killed)
    expected_weights, expected_curve = finished(first, undisturbed)
    assert curve == expected_curve
    assert len(curve) == 3
    assert weights.keys() == expected_weights.keys()
    assert all(weights[name].equal(expected_weights[name]) for name in weights)


def test_two_processes_do_what_one_does_with_two_batches(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    launcher = ("-m", "torch.distributed.run", "--nproc_per_node=2", f"--master_port={port}")
    one, two = tmp_path / "one", tmp_path / "two"
    processes = script(one, 2), script(two, 2, launcher=launcher)
    weights, _ = finished(processes[0], one)
    shared_weights, _ = finished(processes[1], two)
    start = model().state_dict()
    for name, expected in weights.items():
        torch.testing.assert_close(shared_weights[name], expected, rtol=0, atol=1e-5)
    moved = max(float((weights[name] - start[name].cpu()).abs().max()) for name in weights)
    assert moved > 1e-3  # a hundred times what is tolerated


def by_hand(settings: Settings, factors: list[float]) -> nn.Module:
    """The loop written out, with one gradient for each part and their mean."""
    trained, asked = model(dropout=0.0), objective()
    named = dict(trained.named_parameters())
    muon = settings.optimizer == "muon"
    matrices = [p for n, p in named.items() if muon and ".layers." in n and p.ndim == 2]
    others = {n: p for n, p in named.items() if not any(p is m for m in matrices)}
    optimizers: list[torch.optim.Optimizer] = [
        torch.optim.AdamW(
            [
                {"params": [p for p in others.values() if p.ndim == 2], "weight_decay": 0.01},
                {"params": [p for p in others.values() if p.ndim == 1], "weight_decay": 0.0},
            ],
            betas=(0.9, 0.98),
        )
    ]
    if muon:
        optimizers.append(
            torch.optim.Muon(matrices, weight_decay=0.01, adjust_lr_fn="match_rms_adamw")
        )
    for step, factor in enumerate(factors):
        parts = []
        for part in range(settings.accumulation):
            seed = np.random.SeedSequence([settings.seed, step, part]).generate_state(1)[0]
            torch.manual_seed(int(seed))
            loss = asked.loss(trained, asked.draw(settings.batch_size))
            parts.append(torch.autograd.grad(loss, list(named.values())))
        for parameter, *gradients in zip(named.values(), *parts, strict=True):
            parameter.grad = torch.stack(gradients).mean(0)
        norm = torch.stack([p.grad.norm() for p in named.values()]).norm()
        for parameter in named.values():
            parameter.grad *= min(1.0, settings.max_grad_norm / float(norm))
        peaks = settings.learning_rate, settings.muon_learning_rate
        for optimizer, peak in zip(optimizers, peaks, strict=False):
            for group in optimizer.param_groups:
                group["lr"] = peak * factor
            optimizer.step()
    return trained


@pytest.mark.parametrize("accumulation", [1, 2])
@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_the_loop_is_what_one_would_write_by_hand(optimizer: str, accumulation: int) -> None:
    settings = replace(
        SETTINGS, n_steps=5, optimizer=optimizer, accumulation=accumulation, warmup=0.2,
        max_grad_norm=0.5, learning_rate=1e-3, muon_learning_rate=2e-3,
    )  # fmt: skip
    trained = model(dropout=0.0)
    pretrain(trained, objective(), settings)
    # Updates begin at 0, 0.2, 0.4, … of the training and take the rate of their middle.
    expected = by_hand(settings, [0.1 / 0.2, 0.7 / 0.8, 0.5 / 0.8, 0.3 / 0.8, 0.1 / 0.8])
    # Muon computes in bfloat16, where the last digit of a gradient may show.
    tolerance = 1e-5 if optimizer == "adamw" else 1e-4
    for name, weights in expected.state_dict().items():
        if name.endswith("attention.key.bias"):
            continue  # its gradient is zero but for rounding, of which Adam makes whole steps
        torch.testing.assert_close(trained.state_dict()[name], weights, rtol=0, atol=tolerance)


def test_two_batches_are_those_of_two_processes() -> None:
    drawn: list[Tensor] = []

    class Watched(Slow):
        def draw(self, n: int) -> MaskedSequences:
            batch = super().draw(n)
            drawn.append(batch.input_ids)
            return batch

    plain = objective()
    watched = Watched(plain.text, plain.vocabulary, LENGTH)
    pretrain(model(), watched, replace(SETTINGS, n_steps=3, accumulation=2))
    assert len(drawn) == 6
    for place, batch in enumerate(drawn):
        # Of process 0 with one batch, then of process 1.
        seed = np.random.SeedSequence([SETTINGS.seed, place // 2, place % 2]).generate_state(1)[0]
        torch.manual_seed(int(seed))
        assert plain.draw(4).input_ids.equal(batch)
    assert len({tuple(batch.flatten().tolist()) for batch in drawn}) == 6


def test_the_learning_rate_climbs_and_falls_linearly(monkeypatch: pytest.MonkeyPatch) -> None:
    from utils.pretraining import loop

    made: list[torch.optim.Optimizer] = []
    make = loop.make_optimizers
    monkeypatch.setattr(loop, "make_optimizers", lambda *a: made.extend(make(*a)) or made)
    settings = replace(SETTINGS, n_steps=10, n_evaluations=10, warmup=0.2, learning_rate=0.8)
    settings = replace(settings, muon_learning_rate=1.6)

    def evaluate(_: nn.Module) -> dict[str, float]:
        adamw, muon = ({group["lr"] for group in each.param_groups} for each in made)
        (rate,) = adamw
        assert muon == {2 * rate}
        return {"rate": rate}

    curve = pretrain(model(), objective(), settings, evaluate=evaluate).curve
    expected = [0.2, 0.6, 0.75, 0.65, 0.55, 0.45, 0.35, 0.25, 0.15, 0.05]
    assert [point["rate"] for point in curve] == pytest.approx(expected)
    assert len(made) == 2


@pytest.mark.parametrize(
    ("fraction", "warmup", "expected"),
    [(0.0, 0.1, 0.0), (0.05, 0.1, 0.5), (0.1, 0.1, 1.0), (0.55, 0.1, 0.5), (1.0, 0.1, 0.0),
     (0.0, 0.0, 1.0), (0.25, 0.0, 0.75), (1.1, 0.1, 0.0)],
)  # fmt: skip
def test_the_schedule_by_hand(fraction: float, warmup: float, expected: float) -> None:
    assert learning_rate_factor(fraction, warmup) == pytest.approx(expected)


def test_what_is_decayed_and_what_muon_takes() -> None:
    from utils.pretraining.loop import make_optimizers

    trained = model()
    adamw, muon = make_optimizers(trained, replace(SETTINGS, optimizer="muon"))
    named = {id(p): name for name, p in trained.named_parameters()}
    (taken,) = [{named[id(p)] for p in group["params"]} for group in muon.param_groups]
    assert len(taken) == 2 * 6  # query, key, value, output and two of the feed-forward net
    assert all(".layers." in name and name.endswith("weight") for name in taken)
    decayed, spared = [{named[id(p)] for p in group["params"]} for group in adamw.param_groups]
    assert "encoder.embeddings.tokens.weight" in decayed
    assert all(name.endswith("bias") or "norm" in name for name in spared)
    assert taken | decayed | spared == set(named.values())
    assert len(taken) + len(decayed) + len(spared) == len(named)


def test_a_checkpoint_of_other_settings_is_refused(tmp_path: Path) -> None:
    checkpoint = tmp_path / "state.pt"
    pretrain(model(), objective(), SETTINGS, checkpoint=checkpoint)
    with pytest.raises(CourseError, match=r"state\.pt was made with other settings\. Remove it"):
        pretrain(model(), objective(), replace(SETTINGS, seed=4), checkpoint=checkpoint)


def test_a_checkpoint_of_another_model_is_refused(tmp_path: Path) -> None:
    checkpoint = tmp_path / "state.pt"
    pretrain(model(), objective(), SETTINGS, checkpoint=checkpoint)
    with pytest.raises(CourseError, match=r"state\.pt holds another model\. Remove it"):
        pretrain(model(d_model=8), objective(), SETTINGS, checkpoint=checkpoint)


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_a_training_that_diverges_is_stopped(optimizer: str) -> None:
    settings = replace(SETTINGS, learning_rate=1e30, optimizer=optimizer)
    with pytest.raises(CourseError, match=r"after 4 updates: training has diverged\. Lower the"):
        pretrain(model(), objective(), settings)


def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time that goes on by 10 ms whenever somebody looks."""
    now = iter(range(1_000_000))
    fake = SimpleNamespace(perf_counter=lambda: next(now) / 100, monotonic=lambda: 0.0)
    monkeypatch.setattr("utils.pretraining.loop.time", fake)


def test_a_time_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    clock(monkeypatch)
    settings = replace(SETTINGS, n_steps=None, seconds=0.4, n_evaluations=10)
    progress = pretrain(model(), objective(), settings)
    # The first points come long before ten updates, and the budget allows more of them.
    assert progress.curve[0]["step"] < 10 < progress.n_steps < 45
    assert len(progress.curve) == 10
    assert progress.seconds >= 0.4
    assert progress.curve[-1]["step"] == progress.n_steps


def test_a_time_budget_of_a_few_updates_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    clock(monkeypatch)
    settings = replace(SETTINGS, n_steps=None, seconds=0.05, n_evaluations=2)
    with pytest.raises(CourseError, match=r"0\.05 s allow \d updates on this .* Raise `seconds`"):
        pretrain(model(), objective(), settings)


@pytest.mark.parametrize("changes", [{"n_steps": None}, {"seconds": 3.0}])
def test_the_length_is_said_once(changes: dict[str, Any]) -> None:
    with pytest.raises(CourseError, match="either n_steps or seconds"):
        replace(SETTINGS, **changes)


@pytest.mark.parametrize(
    "name", ["n_steps", "batch_size", "accumulation", "learning_rate", "n_evaluations"]
)
def test_settings_that_train_nothing_are_refused(name: str) -> None:
    with pytest.raises(CourseError, match=f"{name} is 0; it must be above 0"):
        replace(SETTINGS, **{name: 0})


def test_the_points_of_the_curve() -> None:
    shown: list[int] = []
    progress = pretrain(
        model(), objective(), replace(SETTINGS, n_steps=7, n_evaluations=3),
        evaluate=lambda _: {"measured": 1.0}, on_point=lambda p: shown.append(p.n_steps),
    )  # fmt: skip
    assert shown == [3, 5, 7]
    assert [point["step"] for point in progress.curve] == shown
    assert all(point["measured"] == 1.0 for point in progress.curve)
    assert progress.n_tokens == 7 * 4 * LENGTH
    for point in progress.curve:
        assert 0 < point["loss"] < 2 * math.log(SIZE)
        tokens = point["step"] * 4 * LENGTH
        assert point["tokens_per_second"] == pytest.approx(tokens / point["seconds"])


def main(folder: Path, n_batches: int = 1, seconds: float = 0.0) -> None:
    """`n_batches` above one: share `SHARED` among processes, else go on from the checkpoint."""
    from accelerate import PartialState

    settings, checkpoint = SCRIPT, folder / "state.pt"
    Slow.seconds = seconds
    trained = model(dropout=0.1 if n_batches == 1 else 0.0)
    if n_batches > 1:
        n_processes = PartialState(cpu=True).num_processes
        assert n_processes == int(os.environ.get("WORLD_SIZE", "1"))
        settings, checkpoint = replace(SHARED, accumulation=n_batches // n_processes), None
    progress = pretrain(trained, objective(), settings, checkpoint=checkpoint)
    if PartialState().is_main_process:
        folder.mkdir(exist_ok=True)
        torch.save(trained.state_dict(), folder / "weights.pt")
        (folder / "curve.json").write_text(json.dumps(losses(progress)))
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:3]), *map(float, sys.argv[3:]))
