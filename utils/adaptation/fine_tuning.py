"""Fine-tuning: an encoder and a linear layer on it are trained, as a whole or in part."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from utils import runtime
from utils.adaptation import lower_layers, parts
from utils.adaptation.batching import Tokenised, by_tokens, fill, tokenise, training_batches
from utils.adaptation.classifier import Classifier, check_savable
from utils.adaptation.encoder import TextClassifier, WordClassifier, forward_flops, load_encoder
from utils.adaptation.method import Outcome, Problem
from utils.adaptation.span_extraction import span_training
from utils.adaptation.training import (
    CHECKPOINTED_UPDATES,
    Batch,
    Settings,
    Trainable,
    count_updates,
    train,
)
from utils.pretraining.masking import IGNORED
from utils.tasks import get_task, question_answering, tagging


def full(problem: Problem) -> Outcome:
    """Train encoder and classifier together, from the pre-trained weights (Devlin et al., 2019).

    With `layer_decay` below 1, lower layers learn more slowly, see `decayed_rates`.
    """
    return _fit(problem)


def random_init(problem: Problem) -> Outcome:
    """Train the same architecture from random weights: what is left without pre-training."""
    return _fit(problem, pretrained=False)


def top_layers(problem: Problem) -> Outcome:
    """Train the classifier and the highest layers; see `parts.top_layers`."""
    return _fit(problem, parts.top_layers)


def gradual_unfreezing(problem: Problem) -> Outcome:
    """Train the classifier first, then one layer more at a time; see `parts.unfrozen_blocks`."""
    return _fit(problem)


def bitfit(problem: Problem) -> Outcome:
    """Train the classifier and all biases; see `parts.biases`."""
    return _fit(problem, parts.biases)


def lora(problem: Problem) -> Outcome:
    """Train the classifier and updates of low rank; see `parts.lora`."""
    return _fit(problem, parts.lora)


def adapters(problem: Problem) -> Outcome:
    """Train the classifier and small layers put in between; see `parts.adapters`."""
    return _fit(problem, parts.adapters)


def head_only(problem: Problem) -> Outcome:
    """Train what stands on the encoder, which stays as it is."""
    return _fit(problem, parts.nothing)


def _fit(
    problem: Problem, part: parts.Part = parts.everything, *, pretrained: bool = True
) -> Outcome:
    if problem.model_path is None:
        raise ValueError("fine-tuning needs a model")
    hyper = problem.hyper
    runtime.seed_everything(problem.seed)
    encoder = load_encoder(problem.model_path, pretrained=pretrained, dropout=hyper["dropout"])
    part(encoder, hyper)
    reads = problem.task == question_answering.NAME
    work = (span_training if reads else _label_training)(problem, encoder)
    model, lengths = work.model, work.lengths
    n_updates = count_updates(
        len(lengths), hyper["batch_size"], hyper["epochs"], hyper["min_updates"]
    )
    batches = training_batches(lengths, hyper["batch_size"], n_updates, problem.seed)
    unfreeze = _unfreezing(encoder, n_updates, hyper.get("unfrozen_by", 0.0))
    decay = hyper.get("layer_decay", 1.0)
    n_trained = float(sum(p.numel() for p in model.parameters() if p.requires_grad))
    progress = train(
        model,
        batches,
        work.make_batch,
        work.validate,
        Settings(hyper["learning_rate"], n_updates, weight_decay=hyper["weight_decay"]),
        problem.checkpoint if n_updates >= CHECKPOINTED_UPDATES else None,
        rates=parts.decayed_rates(encoder, decay) if decay < 1 else None,
        before_update=unfreeze,
    )
    shapes = [(len(batch), int(lengths[batch].max())) for batch in batches]
    left_out = parts.frozen_share(encoder) if work.cost_before else 0.0
    flops = work.cost_before.get("flops", 0.0)
    for update, shape in enumerate(shapes):
        if unfreeze is not None:
            unfreeze(update)
        passes = 1 - left_out + parts.backward_share(encoder)
        flops += passes * forward_flops(encoder.config, *shape)
    whole = nn.ModuleList([encoder, model])  # what both have in common is counted once
    cost = {
        "wall_seconds": work.cost_before.get("wall_seconds", 0.0) + progress.seconds,
        "optimiser_steps": float(n_updates),
        "examples_seen": float(sum(size for size, _ in shapes)),
        "tokens_seen": float(sum(size * length for size, length in shapes)),
        "flops": flops,
        "parameters": float(sum(p.numel() for p in whole.parameters())),
        "trainable_parameters": n_trained,
    }
    return Outcome(work.predict(), cost, progress.curve)


def _label_training(problem: Problem, encoder: Any) -> Trainable:
    """What the loop needs to train a classifier of texts, or of words."""
    tags_words = problem.task == tagging.NAME
    classifier = WordClassifier if tags_words else TextClassifier
    if problem.keep is not None:
        check_savable(encoder)
    model = classifier(encoder, problem.n_classes).to(runtime.device())
    task, path = get_task(problem.task), problem.model_path
    if path is None:
        raise ValueError("fine-tuning needs a model")
    tokenised = tokenise(problem.train.texts, path, problem.max_length)
    validation = tokenise(problem.validation.texts, path, problem.max_length)
    short = lower_layers.shorten(model, tokenised, validation)

    def make_batch(indices: NDArray[np.int64]) -> Batch:
        inputs = short.train.batch(indices.tolist())  # on the CPU: nothing waits for the GPU
        if tags_words:
            tags = fill([problem.train.tags[i] for i in indices], IGNORED)
            labels = tags.masked_fill(inputs["words"] < 0, IGNORED)
        else:
            labels = torch.from_numpy(problem.train.labels[indices])
        device = runtime.device()
        return {name: each.to(device) for name, each in inputs.items()}, labels.to(device)

    def validate(model: nn.Module) -> float:
        metrics, _ = task.score(predict(model, short.validation), problem.validation)
        return metrics[task.METRIC]

    def predict_evaluation() -> NDArray[Any]:
        if problem.keep is not None:
            names = list(problem.label_names)
            Classifier(model, path, problem.task, names, problem.max_length).save(problem.keep)
        return predict(model, tokenise(problem.evaluation.texts, path, problem.max_length))

    lengths = tokenised.lengths()
    return Trainable(short.model, lengths, make_batch, validate, predict_evaluation, short.cost)


def _unfreezing(
    encoder: nn.Module, n_updates: int, unfrozen_by: float
) -> Callable[[int], None] | None:
    """Freezes and unfreezes blocks before each update; None where all are trained all the time."""
    if not unfrozen_by:
        return None
    stack = parts.blocks(encoder)

    def before_update(update: int) -> None:
        n = parts.unfrozen_blocks(update, n_updates, len(stack), unfrozen_by)
        for number, block in enumerate(reversed(stack)):
            block.requires_grad_(number < n)

    return before_update


def predict(model: nn.Module, tokenised: Tokenised) -> NDArray[Any]:
    """Class probabilities of each text, (n_texts, n_classes); of sentences that came as words, the
    tag of each word, (n_words,), `O` (0) beyond the longest length.

    Leaves the model in `eval` mode.
    """
    found: dict[int, NDArray[Any]] = {}
    for indices, inputs, logits in logits_of(model, tokenised):
        probabilities = logits.softmax(dim=-1)
        if "words" in inputs:
            probabilities = probabilities.argmax(dim=-1) * (inputs["words"] >= 0)
        found.update(zip(indices.tolist(), probabilities.cpu().numpy(), strict=True))
    if tokenised.words is None:
        return np.stack([found[i] for i in range(len(found))])
    return np.concatenate([found[i][: len(row)] for i, row in enumerate(tokenised.words)])


def logits_of(
    model: nn.Module, tokenised: Tokenised
) -> Iterator[tuple[NDArray[np.int64], dict[str, torch.Tensor], torch.Tensor]]:
    """Numbers of the texts of a batch, its inputs, and its logits in float32, on the device.

    Leaves the model in `eval` mode.
    """
    model.eval()
    for indices in by_tokens(tokenised.lengths()):
        inputs = tokenised.batch(indices.tolist(), runtime.device())
        with torch.inference_mode():
            logits = model(**inputs).float()
        yield indices, inputs, logits
