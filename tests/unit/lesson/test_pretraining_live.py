"""Pre-training inside a lesson: kept, reloaded, and measured by the questions of its objective."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from utils.lesson.pretraining import pretrain_live, pretraining_plot
from utils.pretraining import PackedText, Vocabulary, count_tokens, unigram_log_probabilities
from utils.pretraining.autoencoder import Denoising, DenoisingAutoencoder
from utils.pretraining.causal import CausalLanguageModel, CausalLanguageModelling
from utils.pretraining.evaluation import evaluate, held_out, judge_sequences
from utils.pretraining.loop import Progress, Settings
from utils.pretraining.model import BertForPretraining
from utils.pretraining.objectives import MaskedLanguageModelling
from utils.tasks import language_modelling
from utils.transformer import TransformerConfig

SIZE, LENGTH = 40, 16
SETTINGS = Settings(n_steps=4, batch_size=4, n_evaluations=2)


def vocabulary() -> Vocabulary:
    return Vocabulary(SIZE, 4, 2, 3, 5, torch.arange(SIZE) >= 5, torch.zeros(SIZE).bool())


def text() -> PackedText:
    tokens = torch.from_numpy(np.random.default_rng(0).integers(5, SIZE, size=600)).int()
    return PackedText(tokens, torch.tensor([0, 300, 600]), torch.zeros(2).long())


def log_probabilities() -> torch.Tensor:
    return unigram_log_probabilities(count_tokens(text(), vocabulary()))


def config(size: int = SIZE) -> TransformerConfig:
    return TransformerConfig(vocab_size=size, d_model=16, n_layers=1, n_heads=2, d_ff=32)


@dataclass
class Training:
    """The arguments of `pretrain_live` for one kind of model, and what it should measure."""

    kind: str

    def __post_init__(self) -> None:
        torch.manual_seed(0)
        self.expected = log_probabilities()
        if self.kind == "masked":
            self.objective = MaskedLanguageModelling(text(), vocabulary(), LENGTH)
            self.model = BertForPretraining(config())
            self.questions = [held_out(text(), vocabulary(), LENGTH, n_sequences=64)]
        elif self.kind == "causal":
            self.objective = CausalLanguageModelling(text(), vocabulary(), LENGTH)
            self.model = CausalLanguageModel(config())
            self.questions = self.objective
        else:
            self.objective = Denoising(text(), vocabulary(), LENGTH, corruption="spans")
            self.model = DenoisingAutoencoder(config(self.objective.vocab_size))
            self.expected = self.objective.frequencies(log_probabilities())
            self.questions = self.objective

    def run(self, **options) -> Progress:
        options = {"name": "a text", **options}
        return pretrain_live(
            self.model, self.objective, SETTINGS, self.questions, self.expected, **options
        )

    def measured(self) -> dict[str, float]:
        if self.kind == "masked":
            return evaluate(self.model, self.questions, self.expected)
        rows = judge_sequences(self.model, self.questions, self.expected, 64)
        return language_modelling.score(rows)[0]


@pytest.fixture(autouse=True)
def runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("COURSE_RUNS", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("kind", ["masked", "causal", "denoising"])
def test_each_model_is_measured_by_its_own_questions(kind: str) -> None:
    training = Training(kind)
    progress = training.run()
    last = progress.curve[-1]
    for name, value in training.measured().items():
        assert last[name] == pytest.approx(value, abs=1e-5)
    assert [point["step"] for point in progress.curve] == [2, 4]


@pytest.mark.parametrize("kind", ["masked", "causal", "denoising"])
def test_a_second_run_trains_nothing_and_ends_with_the_same_model(kind: str, capsys) -> None:
    first = Training(kind)
    curve = first.run().curve
    assert "optimiser steps 4" in capsys.readouterr().out
    second = Training(kind)
    assert second.run().curve == curve
    assert "optimiser steps 0" in capsys.readouterr().out
    for name, weights in first.model.state_dict().items():
        assert weights.equal(second.model.state_dict()[name])
    Training(kind).run(retrain=True)
    assert "optimiser steps 4" in capsys.readouterr().out


def test_models_with_the_same_weights_that_compute_otherwise_are_told_apart(
    runs: Path, capsys
) -> None:
    class Other(CausalLanguageModel):
        """Without a mask it looks ahead."""

        def hidden_states(self, input_ids: torch.Tensor) -> torch.Tensor:
            return self.encoder(input_ids)

    Training("causal").run()
    other = Training("causal")
    other.model = Other(config())
    other.run()
    assert capsys.readouterr().out.count("optimiser steps 4") == 2
    assert len(list((runs / "checkpoints").glob("live-*.pt"))) == 2


def test_the_plot_shows_the_model_beside_the_frequencies() -> None:
    points = [
        {"step": 2.0, "mlm_loss": 6.0, "unigram_loss": 6.25, "gain": 0.25},
        {"step": 4.0, "mlm_loss": 5.0, "unigram_loss": 6.25, "gain": 1.25},
    ]
    plot = pretraining_plot(Progress(curve=points), "a note")
    model, unigram = plot.panels[0].series
    assert (model.x, model.y) == ([2.0, 4.0], [6.0, 5.0])
    assert unigram.y == [6.25, 6.25]
    assert "6.00 nats after 2 updates, 5.00 after 4" in plot.alt_text
