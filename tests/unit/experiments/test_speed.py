"""Ratios of interleaved timings, on a clock that the test moves."""

import json
from dataclasses import asdict

import pytest
from torch.utils.flop_counter import FlopCounterMode
from typer.testing import CliRunner

from utils import runtime
from utils.cli.commands import app
from utils.experiments import speed
from utils.experiments.speed import SpeedComparison, compare_speed, matrix_products


class Machine:
    """Calls that take known times on a clock of their own, which slows down as a whole."""

    def __init__(self) -> None:
        self.now, self.calls = 0.0, []

    def call(self, name: str, seconds: float):
        def run() -> None:
            self.calls.append(name)
            # The machine gets slower and slower: only neighbours can be compared.
            self.now += seconds * 1.05 ** len(self.calls)

        return run


@pytest.mark.parametrize(("ours", "theirs"), [(1.0, 2.0), (2.0, 1.0)])
def test_ratio_is_above_one_when_ours_is_faster(ours: float, theirs: float) -> None:
    machine = Machine()
    found = compare_speed(
        "x", machine.call("ours", ours), machine.call("theirs", theirs), 20, lambda: machine.now
    )
    assert found.ratio == pytest.approx(theirs / ours, rel=0.06)
    assert found.low <= found.ratio <= found.high
    assert found.high < 1.2 * found.low
    assert found.their_seconds / found.seconds == pytest.approx(theirs / ours, rel=0.06)


def test_pairs_are_interleaved_and_each_goes_first_half_the_time() -> None:
    machine = Machine()
    compare_speed("x", machine.call("a", 1), machine.call("b", 1), 4, lambda: machine.now)
    assert machine.calls == ["a", "b"] * 2 + ["b", "a", "a", "b"] * 2


def test_the_command_prints_a_list_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [SpeedComparison(name, 2.0, 1.5, 2.5, 1.0, 2.0, 4) for name in ("encoder", "loop")]
    rows.append(SpeedComparison("tuning", 2.0, 1.5, 2.5, 11.0, 22.0, 3, 0.8, 0.79, -0.004))
    parts = {"encoder": lambda: rows[:1], "pretraining": lambda: rows[1:]}
    monkeypatch.setattr(speed, "speed_parts", lambda: parts)
    result = CliRunner().invoke(app, ["bench", "speed", "--json"])
    assert json.loads(result.stdout) == [asdict(row) for row in rows]
    written = [json.loads(f.read_text()) for f in (runtime.runs_dir() / "speed").iterdir()]
    found = {record["part"]: record["comparisons"] for record in written}
    assert found["encoder"] + found["pretraining"] == json.loads(result.stdout)
    result = CliRunner().invoke(app, ["bench", "speed", "--json", "--part", "encoder"])
    assert json.loads(result.stdout) == [asdict(rows[0])]
    result = CliRunner().invoke(app, ["bench", "speed", "--part", "loop"])
    assert "no part loop. Parts: encoder, pretraining" in str(result.exception)
    result = CliRunner().invoke(app, ["bench", "speed"])
    assert [line.split(":")[0] for line in result.stdout.splitlines()] == [
        "encoder",
        "loop",
        "tuning",
    ]
    assert "11.0 s against 22.0 s" in result.stdout
    assert "accuracy 80.00% against 79.00%, difference at least -0.40 points" in result.stdout


def test_the_matrix_product_has_as_many_flops() -> None:
    call = matrix_products(1e6, width=50)
    with FlopCounterMode(display=False) as counter:
        call()
    assert counter.get_total_flops() == 1e6
