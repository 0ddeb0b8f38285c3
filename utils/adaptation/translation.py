"""Translation by an encoder–decoder of our own: from nothing, from denoising, from an encoder."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from torch import nn

from utils import runtime
from utils.adaptation import subwords
from utils.adaptation.batching import training_batches
from utils.adaptation.method import Outcome, Problem
from utils.adaptation.sequence_to_sequence import (
    TeacherForcing,
    foretell,
    make_batch,
    start_with_frequencies,
    train_on_pairs,
    work_of,
)
from utils.adaptation.training import Settings, train
from utils.adaptation.writer import Writer
from utils.pretraining import infill_text
from utils.pretraining.model import load_encoder_decoder
from utils.tasks import translation
from utils.tasks.sequence_copying import SequencePairs
from utils.tasks.translation import Examples
from utils.transformer import EncoderDecoder, TransformerConfig

NOISE, MEAN_SPAN = 0.35, 3.5
"""Share of tokens that denoising hides, and the mean length of what one mask stands for: those of
mBART (Liu et al., 2020, TACL, section 2.2)."""


def in_subwords(writer: Writer, examples: Examples) -> SequencePairs:
    """Examples as the model trains on them."""
    targets = subwords.encode(writer.pieces, examples.targets, writer.max_length)
    return SequencePairs(writer.read(examples.sources), subwords.table(targets))


def from_scratch(problem: Problem) -> Outcome:
    """Train an encoder–decoder from random weights; one table of subwords for both languages."""
    return _fit(problem, _new(problem, problem.train.texts))


def from_denoising(problem: Problem) -> Outcome:
    """First restore spoilt text of either language, of `problem.unlabelled`, then translate.

    Text infilling of BART and mBART (Lewis et al., 2020; Liu et al., 2020). Subwords are learned
    from all this text, too.
    """
    translator = _new(problem, problem.unlabelled)
    return _fit(problem, translator, _denoise(problem, translator))


def from_encoder(problem: Problem) -> Outcome:
    """Begin with a pre-trained encoder that reads the source; the decoder is drawn at random.

    BERT2RND of Rothe et al. (2020, TACL). The encoder learns `encoder_rate` times as fast.
    """
    if problem.model_path is None:
        raise ValueError("a warm start needs a model")
    runtime.seed_everything(problem.seed)
    encoder = load_encoder_decoder(problem.model_path).encoder
    encoder.embeddings.dropout.p = problem.hyper["dropout"]
    shape = {"d_model": encoder.config.d_model, "n_heads": encoder.config.n_heads}
    translator = _new(problem, problem.train.targets, **shape)
    translator.model.encoder = encoder.to(runtime.device())
    rates = [(list(encoder.parameters()), problem.hyper["encoder_rate"])]
    return _fit(problem, replace(translator, reader=problem.model_path), rates=rates)


def _new(problem: Problem, texts: Sequence[str], **shape: int) -> Writer:
    """An untrained translator with subwords learned from `texts`."""
    hyper = {**problem.hyper, **shape}
    runtime.seed_everything(problem.seed)
    pieces = subwords.learn_subwords(texts, hyper["vocab_size"])
    config = TransformerConfig(
        vocab_size=pieces.get_vocab_size(),
        d_model=hyper["d_model"],
        n_layers=hyper["n_layers"],
        n_heads=hyper["n_heads"],
        d_ff=4 * hyper["d_model"],
        max_length=problem.max_length,
        norm="pre",
        positions="sinusoidal",
        dropout=hyper["dropout"],
    )
    return Writer(
        EncoderDecoder(config).to(runtime.device()),
        translation.NAME,
        problem.max_length,
        problem.max_length,
        subwords=pieces,
        n_beams=hyper["n_beams"],
        length_penalty=hyper["length_penalty"],
    )


def _fit(
    problem: Problem,
    translator: Writer,
    before: dict[str, float] | None = None,
    rates: list[tuple[list[nn.Parameter], float]] | None = None,
) -> Outcome:
    """Train on the pairs, translate the evaluation sentences; `before` is what it cost so far."""
    model = translator.model
    pairs, validation = (
        in_subwords(translator, examples) for examples in (problem.train, problem.validation)
    )
    if before is None:
        start_with_frequencies(model, pairs.labels)

    def validate(_: nn.Module) -> float:
        return -float(foretell(model, validation, subwords.START)[:, 0].mean())

    progress, cost = train_on_pairs(
        problem, model, pairs, validate, start_id=subwords.START, trims=True, rates=rates
    )
    cost |= {name: cost[name] + value for name, value in (before or {}).items()}
    if problem.keep is not None:
        translator.save(problem.keep)
    written = translator.write(problem.evaluation.sources)
    return Outcome(np.array(written, dtype=np.str_), cost, progress.curve)


def _denoise(problem: Problem, translator: Writer) -> dict[str, float]:
    """Train the model to restore the unlabelled texts; what that cost."""
    hyper, model = problem.hyper, translator.model
    rows = subwords.encode(translator.pieces, problem.unlabelled, problem.max_length)
    targets = subwords.table(rows)
    start_with_frequencies(model, targets)
    rng = np.random.default_rng(problem.seed)
    lengths = np.array([len(row) for row in rows])
    n_updates = hyper["denoising_updates"]
    batches = training_batches(lengths, hyper["batch_size"], n_updates, problem.seed)
    shapes: list[tuple[int, int, int]] = []

    def spoilt(chosen: NDArray[np.int64]) -> SequencePairs:
        sources = [spoil(rows[i], rng) for i in chosen]
        pairs = SequencePairs(
            subwords.table(sources), targets[chosen, : int(lengths[chosen].max())]
        )
        shapes.append((len(chosen), pairs.labels.shape[1], pairs.source_ids.shape[1]))
        return pairs

    progress = train(
        TeacherForcing(model),
        batches,
        lambda chosen: make_batch(spoilt(chosen), subwords.START),
        lambda _: 0.0,  # of equal scores the last one counts
        Settings(
            hyper["learning_rate"],
            n_updates,
            weight_decay=hyper["weight_decay"],
            n_evaluations=1,
            mixed_precision=hyper.get("mixed_precision", False),
        ),
    )
    return {
        "wall_seconds": progress.seconds,
        "optimiser_steps": float(n_updates),
        "examples_seen": float(sum(len(batch) for batch in batches)),
        **work_of(model, shapes),
    }


def spoil(row: Sequence[int], rng: np.random.Generator) -> list[int]:
    """A text as denoising shows it: spans are hidden, its end stays."""
    *inside, end = row
    return [*infill_text(inside, NOISE, subwords.MASK, rng, MEAN_SPAN), end]
