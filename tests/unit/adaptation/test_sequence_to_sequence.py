"""Our encoder–decoder learns to copy and to reverse sequences that it has never seen."""

import numpy as np
import pytest
import torch

from utils.adaptation.sequence_to_sequence import write
from utils.errors import CourseError
from utils.experiments import Spec, Store, sweep
from utils.experiments.run import prepare
from utils.tasks.sequence_copying import END, PAD, load
from utils.transformer import EncoderDecoder, TransformerConfig


def spec(dataset: str, n_train: int) -> Spec:
    hyper = {"batch_size": 64, "learning_rate": 2e-3, "epochs": 1, "min_updates": 1}
    hyper |= {"weight_decay": 0.01, "d_model": 64, "n_layers": 2, "n_heads": 4}
    return Spec(
        task="sequence-copying", dataset=dataset, method="encoder-decoder", n_train=n_train,
        profile="smoke", hyper=hyper,
    )  # fmt: skip


@pytest.mark.parametrize(("dataset", "n_updates"), [("course/copy", 500), ("course/reverse", 700)])
def test_it_learns_exact_sequences(dataset: str, n_updates: int, tmp_path) -> None:
    (record,) = sweep([spec(dataset, 64 * n_updates)], Store(tmp_path), progress=False).records
    assert record.cost["optimiser_steps"] == n_updates
    assert record.correct().sum() > 990
    assert len(record.correct()) == 1000
    assert record.metrics["token_accuracy"] > 0.999


def test_untrained_it_writes_nothing_right() -> None:
    pairs = load("course/copy", test_limit=50).test
    torch.manual_seed(0)
    model = EncoderDecoder(TransformerConfig(vocab_size=35, d_model=32, max_length=20))
    written = write(model, pairs)
    assert written.shape == pairs.labels.shape
    assert not (written == pairs.labels).all(axis=1).any()
    for row in written:
        ends = np.flatnonzero(row == END)
        if len(ends):
            assert (row[ends[0] + 1 :] == PAD).all()


def test_a_method_is_not_run_on_a_task_that_it_does_not_solve() -> None:
    for changes in ({"task": "text-classification"}, {"method": "full"}):
        wrong = spec("course/copy", 64).model_copy(update=changes)
        with pytest.raises(CourseError, match="solves the task"):
            prepare(wrong)
