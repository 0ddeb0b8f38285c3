"""An encoder–decoder of our own Transformer, trained from random weights."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from utils import runtime
from utils.adaptation.batching import training_batches
from utils.adaptation.method import Outcome, Problem
from utils.adaptation.training import Batch, Settings, count_updates, train
from utils.pretraining.masking import IGNORED
from utils.tasks.sequence_copying import END, PAD, START, SequencePairs
from utils.transformer import (
    EncoderDecoder,
    TransformerConfig,
    decoder_flops,
    encoder_flops,
    greedy_search,
)


class TeacherForcing(nn.Module):
    """Scores every position of a target with the *true* tokens before it as input."""

    def __init__(self, model: EncoderDecoder) -> None:
        super().__init__()
        self.model = model

    def forward(self, source_ids: Tensor, target_ids: Tensor) -> Tensor:
        """(batch, k) and (batch, q) → logits (batch · q, n_tokens)."""
        logits = self.model(source_ids, (source_ids != PAD).long(), target_ids)
        return logits.flatten(0, 1)


def encoder_decoder(problem: Problem) -> Outcome:
    """Train on pairs of sequences, then write the targets of the evaluation pairs greedily."""
    hyper = problem.hyper
    runtime.seed_everything(problem.seed)
    model = EncoderDecoder(
        TransformerConfig(
            vocab_size=problem.n_classes,
            d_model=hyper["d_model"],
            n_layers=hyper["n_layers"],
            n_heads=hyper["n_heads"],
            d_ff=4 * hyper["d_model"],
            max_length=problem.max_length,
            norm="pre",
        )
    ).to(runtime.device())
    n_updates = count_updates(
        len(problem.train), hyper["batch_size"], hyper["epochs"], hyper["min_updates"]
    )
    lengths = np.full(len(problem.train), problem.train.labels.shape[1])
    batches = training_batches(lengths, hyper["batch_size"], n_updates, problem.seed)

    def validate(wrapped: nn.Module) -> float:
        written = write(model, problem.validation)
        return float((written == problem.validation.labels).all(axis=1).mean())

    progress = train(
        TeacherForcing(model),
        batches,
        lambda rows: _batch(problem.train, rows),
        validate,
        Settings(
            hyper["learning_rate"],
            n_updates,
            weight_decay=hyper["weight_decay"],
            mixed_precision=False,
        ),
    )
    n_weights = float(sum(parameter.numel() for parameter in model.parameters()))
    n_examples = sum(len(batch) for batch in batches)
    width, layers, length = hyper["d_model"], hyper["n_layers"], problem.train.labels.shape[1]
    source_length = problem.train.source_ids.shape[1]
    flops = encoder_flops(width, 4 * width, layers, n_examples, source_length)
    flops += decoder_flops(width, 4 * width, layers, n_examples, length, source_length)
    cost = {
        "wall_seconds": progress.seconds,
        "optimiser_steps": float(n_updates),
        "examples_seen": float(n_examples),
        "tokens_seen": float(n_examples * (length + source_length)),
        "flops": 3 * flops,
        "parameters": n_weights,
        "trainable_parameters": n_weights,
    }
    return Outcome(write(model, problem.evaluation), cost, progress.curve)


def write(model: EncoderDecoder, pairs: SequencePairs) -> NDArray[np.int64]:
    """The targets that the model writes, (n, longest target), PAD after the end."""
    model.eval()
    source_ids = _tensor(pairs.source_ids)
    width = pairs.labels.shape[1]
    found = greedy_search(
        model,
        source_ids,
        (source_ids != PAD).long(),
        start_id=START,
        end_id=END,
        max_new_tokens=width,
    )
    return np.array([row + [PAD] * (width - len(row)) for row in found], dtype=np.int64)


def _batch(pairs: SequencePairs, rows: NDArray[np.int64]) -> Batch:
    labels = pairs.labels[rows]
    starts = np.full((len(rows), 1), START)
    target_ids = np.concatenate([starts, labels[:, :-1]], axis=1)
    wanted = _tensor(np.where(labels == PAD, IGNORED, labels)).flatten()
    source_ids = _tensor(pairs.source_ids[rows])
    return {"source_ids": source_ids, "target_ids": _tensor(target_ids)}, wanted


def _tensor(array: NDArray[np.int64]) -> Tensor:
    return torch.from_numpy(array).to(runtime.device())
