"""Fine-tuning: all weights are trained, from pre-trained or from random ones."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from utils import runtime
from utils.adaptation.batching import Tokenised, by_length, tokenise, training_batches
from utils.adaptation.encoder import TextClassifier, forward_flops, load_encoder
from utils.adaptation.method import Outcome, Problem
from utils.adaptation.training import Batch, Settings, count_updates, train

CHECKPOINTED_UPDATES = 1000
"""Trainings of at least so many updates leave a checkpoint after each evaluation."""

_PREDICTION_BATCH = 64


def full(problem: Problem) -> Outcome:
    """Train encoder and classifier together, from the pre-trained weights (Devlin et al., 2019)."""
    return _fit(problem, pretrained=True)


def random_init(problem: Problem) -> Outcome:
    """Train the same architecture from random weights: what is left without pre-training."""
    return _fit(problem, pretrained=False)


def _fit(problem: Problem, *, pretrained: bool) -> Outcome:
    if problem.model_path is None:
        raise ValueError("fine-tuning needs a model")
    hyper = problem.hyper
    runtime.seed_everything(problem.seed)
    encoder = load_encoder(problem.model_path, pretrained=pretrained, dropout=hyper["dropout"])
    model = TextClassifier(encoder, problem.n_classes).to(runtime.device())
    tokenised = tokenise(problem.train.texts, problem.model_path, problem.max_length)
    n_updates = count_updates(
        len(problem.train), hyper["batch_size"], hyper["epochs"], hyper["min_updates"]
    )
    lengths = tokenised.lengths()
    batches = training_batches(lengths, hyper["batch_size"], n_updates, problem.seed)
    validation = tokenise(problem.validation.texts, problem.model_path, problem.max_length)

    def make_batch(indices: NDArray[np.int64]) -> Batch:
        labels = torch.from_numpy(problem.train.labels[indices])
        return _inputs(tokenised, indices), labels.to(runtime.device())

    def validate(model: nn.Module) -> float:
        predictions = predict(model, validation).argmax(axis=1)
        return float((predictions == problem.validation.labels).mean())

    progress = train(
        model,
        batches,
        make_batch,
        validate,
        Settings(hyper["learning_rate"], n_updates, weight_decay=hyper["weight_decay"]),
        problem.checkpoint if n_updates >= CHECKPOINTED_UPDATES else None,
    )
    shapes = [(len(batch), int(lengths[batch].max())) for batch in batches]
    n_weights = float(sum(p.numel() for p in model.parameters()))
    cost = {
        "wall_seconds": progress.seconds,
        "optimiser_steps": float(n_updates),
        "examples_seen": float(sum(size for size, _ in shapes)),
        "tokens_seen": float(sum(size * length for size, length in shapes)),
        "flops": 3 * sum(forward_flops(encoder.config, *shape) for shape in shapes),
        "parameters": n_weights,
        "trainable_parameters": n_weights,
    }
    wanted = tokenise(problem.evaluation.texts, problem.model_path, problem.max_length)
    return Outcome(predict(model, wanted), cost, progress.curve)


def predict(model: nn.Module, tokenised: Tokenised) -> NDArray[np.float32]:
    """Class probabilities of each text, (n_texts, n_classes); leaves the model in `eval` mode."""
    model.eval()
    found: list[torch.Tensor] = []
    order = list(by_length(tokenised.lengths(), _PREDICTION_BATCH))
    with torch.inference_mode():
        for indices in order:
            found.append(model(**_inputs(tokenised, indices)).float().softmax(dim=-1))
    probabilities = torch.cat(found).cpu().numpy()
    unsorted = np.empty_like(probabilities)
    unsorted[np.concatenate(order)] = probabilities
    return unsorted


def _inputs(tokenised: Tokenised, indices: NDArray[np.int64]) -> dict[str, torch.Tensor]:
    batch = tokenised.batch(indices.tolist())
    return {name: tensor.to(runtime.device()) for name, tensor in batch.items()}
