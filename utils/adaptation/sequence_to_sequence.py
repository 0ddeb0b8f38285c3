"""Encoder–decoders of our own Transformer, from random weights or from a pre-trained model."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from utils import runtime
from utils.adaptation.batching import training_batches
from utils.adaptation.method import Outcome, Problem
from utils.adaptation.training import (
    CHECKPOINTED_UPDATES,
    Batch,
    Progress,
    Settings,
    count_updates,
    train,
)
from utils.adaptation.writer import AT_ONCE, Writer
from utils.pretraining import unigram_log_probabilities
from utils.pretraining.masking import IGNORED
from utils.pretraining.model import load_encoder_decoder
from utils.tasks import summarisation
from utils.tasks.question_generation import Examples
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
        """(batch, k) and (batch, q) → logits (batch, q, n_tokens); 0 is padding."""
        return self.model(source_ids, (source_ids != PAD).long(), target_ids)


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

    def validate(_: nn.Module) -> float:
        written = write(model, problem.validation)
        return float((written == problem.validation.labels).all(axis=1).mean())

    progress, cost = train_on_pairs(problem, model, problem.train, validate, start_id=START)
    return Outcome(write(model, problem.evaluation), cost, progress.curve)


LONGEST_QUESTION, LONGEST_SUMMARY = 32, 64
"""Tokens of a question and of a summary at most, its end included."""


def warm_start(problem: Problem) -> Outcome:
    """Fine-tune an encoder–decoder that begins with a pre-trained model.

    It writes questions, or summaries by beam search with `n_beams`. See `load_encoder_decoder` for
    what it begins with. The output bias begins with the frequencies of tokens in the training
    targets.
    """
    from transformers import AutoTokenizer

    if problem.model_path is None:
        raise ValueError("a warm start needs a model")
    runtime.seed_everything(problem.seed)
    tokenizer = AutoTokenizer.from_pretrained(problem.model_path)
    model = load_encoder_decoder(problem.model_path).to(runtime.device())
    sums_up = problem.task == summarisation.NAME
    in_pieces = _summaries_in_pieces if sums_up else _in_pieces
    train_pairs, validation = (
        in_pieces(examples, tokenizer, problem.max_length)
        for examples in (problem.train, problem.validation)
    )
    start_with_frequencies(model, train_pairs.labels)
    start_id = tokenizer.cls_token_id

    def validate(_: nn.Module) -> float:
        return -float(foretell(model, validation, start_id)[:, 0].mean())

    progress, cost = train_on_pairs(
        problem, model, train_pairs, validate, start_id=start_id, trims=sums_up
    )
    if sums_up:
        return Outcome(_write_summaries(problem, model), cost, progress.curve)
    evaluation = in_pieces(problem.evaluation, tokenizer, problem.max_length)
    return Outcome(foretell(model, evaluation, start_id), cost, progress.curve)


def start_with_frequencies(model: EncoderDecoder, labels: NDArray[np.int64]) -> None:
    """Set the output bias to how frequent each token is among `labels`, padding left out."""
    counts = np.bincount(labels.flatten(), minlength=model.config.vocab_size)
    counts[PAD] = 0
    with torch.no_grad():
        model.head.bias.copy_(unigram_log_probabilities(torch.from_numpy(counts)))


def train_on_pairs(
    problem: Problem,
    model: EncoderDecoder,
    pairs: SequencePairs,
    validate: Callable[[nn.Module], float],
    start_id: int,
    *,
    trims: bool = False,
    rates: list[tuple[list[nn.Parameter], float]] | None = None,
) -> tuple[Progress, dict[str, float]]:
    """Train on `pairs` as `problem.hyper` says; how it went, and what it cost.

    With `trims`, batches hold sources of like length and no more padding than they need. `rates`
    are those of `train`.
    """
    hyper = problem.hyper
    n_updates = count_updates(
        len(pairs), hyper["batch_size"], hyper["epochs"], hyper["min_updates"]
    )
    lengths = np.full(len(pairs), pairs.labels.shape[1])
    if trims:
        lengths = (pairs.source_ids != PAD).sum(axis=1)
    batches = training_batches(lengths, hyper["batch_size"], n_updates, problem.seed)
    progress = train(
        TeacherForcing(model),
        batches,
        lambda rows: make_batch(trimmed(pairs.take(rows)) if trims else pairs.take(rows), start_id),
        validate,
        Settings(
            hyper["learning_rate"],
            n_updates,
            weight_decay=hyper["weight_decay"],
            mixed_precision=hyper.get("mixed_precision", False),
            label_smoothing=hyper.get("label_smoothing", 0.0),
        ),
        problem.checkpoint if n_updates >= CHECKPOINTED_UPDATES else None,
        rates=rates,
    )
    n_weights = float(sum(parameter.numel() for parameter in model.parameters()))
    n_examples = sum(len(batch) for batch in batches)
    shapes = [(n_examples, pairs.labels.shape[1], pairs.source_ids.shape[1])]
    if trims:
        written = (pairs.labels != PAD).sum(axis=1)
        shapes = [(len(b), int(written[b].max()), int(lengths[b].max())) for b in batches]
    return progress, {
        "wall_seconds": progress.seconds,
        "optimiser_steps": float(n_updates),
        "examples_seen": float(n_examples),
        **work_of(model, shapes),
        "parameters": n_weights,
        "trainable_parameters": n_weights,
    }


def work_of(model: EncoderDecoder, shapes: list[tuple[int, int, int]]) -> dict[str, float]:
    """Tokens and operations of training on batches of (n, target length, source length)."""
    reader, writer = model.encoder.config, model.config
    flops = tokens = 0.0
    for n, length, source_length in shapes:
        flops += encoder_flops(reader.d_model, reader.d_ff, reader.n_layers, n, source_length)
        flops += decoder_flops(
            writer.d_model, writer.d_ff, writer.n_layers, n, length, source_length
        )
        tokens += n * (length + source_length)
    return {"tokens_seen": tokens, "flops": 3 * flops}


def foretell(model: EncoderDecoder, pairs: SequencePairs, start_id: int) -> NDArray[np.float32]:
    """Loss of each token of the targets, given the true ones before it, and whether the first
    guess is right: (n_tokens, 2).

    Leaves the model in `eval` mode.
    """
    model.eval()
    teacher, rows = TeacherForcing(model), []
    with torch.inference_mode():
        for first in range(0, len(pairs), AT_ONCE):
            batch = trimmed(pairs.take(slice(first, first + AT_ONCE)))
            inputs, labels = make_batch(batch, start_id)
            logits, labels = teacher(**inputs).flatten(0, 1), labels.flatten()
            loss = nn.functional.cross_entropy(logits, labels, reduction="none")
            row = torch.stack([loss, (logits.argmax(dim=1) == labels).float()], dim=1)
            rows.append(row[labels != IGNORED].cpu().numpy())
    return np.concatenate(rows)


def _in_pieces(examples: Examples, tokenizer: Any, max_length: int) -> SequencePairs:
    """[CLS] answer [SEP] sentence [SEP] → question [SEP], in word pieces, PAD after the end."""
    sources = tokenizer(
        examples.answers,
        examples.sentences,
        truncation=True,
        max_length=max_length,
        padding="max_length",
        return_tensors="np",
    )["input_ids"]
    questions = tokenizer(
        examples.questions,
        truncation=True,
        max_length=LONGEST_QUESTION + 1,
        padding="max_length",
        return_tensors="np",
    )["input_ids"]
    return SequencePairs(sources, questions[:, 1:])


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


def _write_summaries(problem: Problem, model: EncoderDecoder) -> NDArray[np.str_]:
    """Summaries of the evaluation texts; the model is saved where it is to be kept."""
    writer = Writer(
        model,
        summarisation.NAME,
        problem.max_length,
        LONGEST_SUMMARY,
        reader=problem.model_path,
        n_beams=problem.hyper.get("n_beams", 1),
    )
    if problem.keep is not None:
        writer.save(problem.keep)
    texts = [summarisation.joined(units) for units in problem.evaluation.units]
    return np.array(writer.write(texts), dtype=np.str_)


def trimmed(pairs: SequencePairs) -> SequencePairs:
    """The same without the columns that are padding in all rows."""
    lengths = [int((ids != PAD).sum(axis=1).max()) for ids in (pairs.source_ids, pairs.labels)]
    return SequencePairs(pairs.source_ids[:, : lengths[0]], pairs.labels[:, : lengths[1]])


def _summaries_in_pieces(
    examples: summarisation.Examples, tokenizer: Any, max_length: int
) -> SequencePairs:
    """[CLS] text [SEP] → summary [SEP], in word pieces; of several summaries the first."""
    columns = (
        ([summarisation.joined(units) for units in examples.units], max_length),
        ([summaries[0] for summaries in examples.summaries], LONGEST_SUMMARY + 1),
    )
    sources, summaries = (
        tokenizer(
            texts,
            truncation=True,
            max_length=length,
            padding="max_length",
            return_tensors="np",
        )["input_ids"]
        for texts, length in columns
    )
    return SequencePairs(sources, summaries[:, 1:])


def make_batch(pairs: SequencePairs, start_id: int) -> Batch:
    """Sources, targets moved by one place, and targets as labels, on the device."""
    labels = pairs.labels
    starts = np.full((len(pairs), 1), start_id)
    target_ids = np.concatenate([starts, labels[:, :-1]], axis=1)
    wanted = _tensor(np.where(labels == PAD, IGNORED, labels))
    source_ids = _tensor(pairs.source_ids)
    return {"source_ids": source_ids, "target_ids": _tensor(target_ids)}, wanted


def _tensor(array: NDArray[np.int64]) -> Tensor:
    return torch.from_numpy(array).to(runtime.device())
