"""Models of the course's own, pre-trained from random weights, and what counting alone gives."""

import hashlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from utils import runtime, sources
from utils.adaptation.method import Hyper, Outcome, Problem
from utils.errors import CourseError
from utils.pretraining import (
    PackedText,
    count_tokens,
    pack,
    token_vectors,
    unigram_log_probabilities,
)
from utils.pretraining.autoencoder import Denoising, DenoisingAutoencoder, sentence_end_ids
from utils.pretraining.causal import CausalLanguageModel, CausalLanguageModelling
from utils.pretraining.evaluation import HeldOut, held_out, judge, judge_sequences
from utils.pretraining.flops import training_flops
from utils.pretraining.loop import Progress, Settings, pretrain
from utils.pretraining.model import (
    BertForPretraining,
    save,
    save_encoder,
    start_from_vectors,
    start_looking_at_neighbours,
)
from utils.pretraining.objectives import MaskedLanguageModelling, Objective
from utils.pretraining.overlap import OverlapClassifier
from utils.pretraining.packing import Vocabulary, vocabulary_of
from utils.pretraining.sentence_pairs import Negatives
from utils.pretraining.wordpiece import make_tokenizer, train_tokenizer
from utils.tasks import language_modelling
from utils.tasks.language_modelling import TOKEN, Documents
from utils.transformer import Decoder, Encoder, TransformerConfig

if TYPE_CHECKING:
    from transformers import BertTokenizer

LanguageModel = BertForPretraining | CausalLanguageModel | DenoisingAutoencoder

KINDS_OF_PAIRS: tuple[Negatives, ...] = ("other-document", "same-document")

_CURVE_SEQUENCES, _FINAL_SEQUENCES = 256, 1024
"""Held-out sequences that a point of the curve, and the reported figures, are measured on; where
every token of a sequence is asked for, a quarter of them."""

Judge = Callable[[int], NDArray[np.float32]]
"""Number of held-out sequences → rows as `language_modelling.score` takes them."""


def masked_language_model(problem: Problem) -> Outcome:
    """Pre-train a BERT on the documents; `problem.hyper` says how (see `registry`).

    The weights are kept in the library's format (see `sources.trained_here`).
    """
    hyper, length = problem.hyper, problem.max_length
    corpus = _prepare(problem)
    model = BertForPretraining(
        _config(problem, corpus.vocabulary.size), next_sentence=bool(hyper["negatives"])
    )
    objective = MaskedLanguageModelling(
        corpus.train,
        corpus.vocabulary,
        length,
        rate=hyper["rate"],
        mask_share=hyper["mask_share"],
        random_share=hyper["random_share"],
        whole_words=hyper["whole_words"],
        negatives=hyper["negatives"] or None,
    )
    model.start_from_frequencies(corpus.log_probabilities)
    pairs = KINDS_OF_PAIRS if hyper["negatives"] else ()
    sizes = _CURVE_SEQUENCES, _FINAL_SEQUENCES
    asked = {n: corpus.questions(length, n, pairs) for n in sizes}

    def judged(n: int) -> NDArray[np.float32]:
        return judge(model, asked[n], corpus.log_probabilities)

    def keep(folder: Path) -> None:
        save(model, corpus.tokenizer, folder, dtype=torch.float16)

    return _pretrain(problem, corpus, model, [model.encoder], objective, judged, keep)


def causal_language_model(problem: Problem) -> Outcome:
    """Pre-train a decoder-only model, of the same shape, to foretell the next token.

    Its stack is kept in the library's format, as a BERT with `is_decoder`.
    """
    corpus = _prepare(problem)
    model = CausalLanguageModel(_config(problem, corpus.vocabulary.size))
    model.start_from_frequencies(corpus.log_probabilities)
    objective, asked = (
        CausalLanguageModelling(text, corpus.vocabulary, problem.max_length)
        for text in (corpus.train, corpus.evaluation)
    )

    def judged(n: int) -> NDArray[np.float32]:
        return judge_sequences(model, asked, corpus.log_probabilities, n // 4)

    def keep(folder: Path) -> None:
        save_encoder(model.encoder, corpus.tokenizer, folder, causal=True)

    return _pretrain(problem, corpus, model, [model.encoder], objective, judged, keep)


def denoising_autoencoder(problem: Problem) -> Outcome:
    """Pre-train an encoder and a decoder, of as many layers each, to undo a corruption.

    Of this model, the encoder is kept in the library's format, with the decoder beside it.
    """
    corpus, hyper = _prepare(problem), problem.hyper
    objective, asked = (
        Denoising(
            text,
            corpus.vocabulary,
            problem.max_length,
            corruption=hyper["corruption"],
            sentence_ends=sentence_end_ids(corpus.tokenizer),
        )
        for text in (corpus.train, corpus.evaluation)
    )
    model = DenoisingAutoencoder(_config(problem, objective.vocab_size))
    model.start_from_frequencies(objective.frequencies(corpus.log_probabilities))

    def judged(n: int) -> NDArray[np.float32]:
        return judge_sequences(model, asked, corpus.log_probabilities, n // 4)

    def keep(folder: Path) -> None:
        save_encoder(model.model.encoder, corpus.tokenizer, folder, decoder=model.model.decoder)

    stacks: list[Encoder | Decoder] = [model.model.encoder, model.model.decoder]
    return _pretrain(problem, corpus, model, stacks, objective, judged, keep)


def _config(problem: Problem, vocab_size: int) -> TransformerConfig:
    """The shape of the model; seeds everything, since weights are drawn next."""
    hyper = problem.hyper
    runtime.seed_everything(problem.seed)
    return TransformerConfig(
        vocab_size=vocab_size,
        d_model=hyper["d_model"],
        n_layers=hyper["n_layers"],
        n_heads=hyper["n_heads"],
        d_ff=4 * hyper["d_model"],
        max_length=problem.max_length,
        n_segments=2,
    )


def _pretrain(
    problem: Problem,
    corpus: "_Corpus",
    model: LanguageModel,
    stacks: list[Encoder | Decoder],
    objective: Objective,
    judged: Judge,
    keep: Callable[[Path], None],
) -> Outcome:
    """Train, judge, and `keep` the weights in a folder; `stacks` are the parts of the model."""
    hyper = problem.hyper
    if hyper["start"] != "bert":
        for stack in stacks:
            start_looking_at_neighbours(stack)
    if hyper["start"] == "counts":
        vectors = token_vectors(corpus.train, corpus.vocabulary, hyper["d_model"])
        start_from_vectors(stacks[0], vectors)  # all stacks share one table
    model.to(runtime.device())
    progress = pretrain(
        model,
        objective,
        Settings(
            n_steps=_n_updates(hyper, objective, model.config),
            batch_size=hyper["batch_size"],
            optimizer=hyper["optimizer"],
            learning_rate=hyper["learning_rate"],
            muon_learning_rate=hyper["muon_learning_rate"],
            warmup=hyper["warmup"],
            n_evaluations=hyper["n_evaluations"],
            seed=problem.seed,
        ),
        evaluate=lambda _: language_modelling.score(judged(_CURVE_SEQUENCES))[0],
        checkpoint=problem.checkpoint,
    )
    predictions = judged(_FINAL_SEQUENCES)
    if problem.checkpoint is not None:
        keep(sources.trained_here(problem.checkpoint.stem))
        problem.checkpoint.unlink(missing_ok=True)
    return Outcome(predictions, _cost(model, objective, hyper, progress), progress.curve)


def _n_updates(hyper: Hyper, objective: Objective, config: TransformerConfig) -> int:
    """`n_steps`, or as many updates as come nearest to `flops`, if these are given."""
    if "flops" not in hyper:
        return int(hyper["n_steps"])
    return max(1, round(hyper["flops"] / training_flops(objective, config, hyper["batch_size"])))


def token_counts(problem: Problem) -> Outcome:
    """No Transformer: token frequencies for hidden tokens, bags of words for sentence pairs.

    Guesses the most frequent token everywhere, and takes B for A's successor by how many words they
    share (see `OverlapClassifier`).
    """
    start = time.perf_counter()
    corpus = _prepare(problem)
    kinds = KINDS_OF_PAIRS if problem.hyper["pairs"] else ()
    tokens, *pairs = corpus.questions(problem.max_length, _FINAL_SEQUENCES, kinds)
    rows = [_most_frequent(tokens, corpus.log_probabilities)]
    for kind, asked in zip(kinds, pairs, strict=True):
        classifier = OverlapClassifier(
            corpus.train, corpus.vocabulary, problem.max_length, kind, problem.seed
        )
        rows += [classifier.judge(batch, asked.kind) for batch in asked.batches]
    cost = {"wall_seconds": time.perf_counter() - start, "examples_seen": len(problem.train)}
    return Outcome(np.concatenate(rows), cost)


class _Corpus:
    """The text of a problem as token numbers, with its tokenizer and its frequencies."""

    def __init__(
        self, tokenizer: "BertTokenizer", train: PackedText, evaluation: PackedText
    ) -> None:
        self.tokenizer, self.train, self.evaluation = tokenizer, train, evaluation
        self.vocabulary: Vocabulary = vocabulary_of(tokenizer)
        counts = count_tokens(train, self.vocabulary)
        self.log_probabilities = unigram_log_probabilities(counts)

    def questions(self, length: int, n: int, pairs: tuple[Negatives, ...]) -> list[HeldOut]:
        """Hidden tokens in `n` held-out sequences, then as many pairs of each kind."""
        kinds: tuple[Negatives | None, ...] = (None, *pairs)
        return [held_out(self.evaluation, self.vocabulary, length, kind, n) for kind in kinds]


def _prepare(problem: Problem) -> _Corpus:
    if problem.cache is None:
        raise CourseError("Pre-training needs a folder to keep its packed text in (`cache`).")
    cache = problem.cache / "pretraining"
    tokenizer = _tokenizer(problem.train, problem.hyper["vocab_size"], cache)
    return _Corpus(
        tokenizer,
        pack(problem.train, tokenizer, cache),
        pack(problem.evaluation, tokenizer, cache),
    )


def _tokenizer(documents: Documents, vocab_size: int, cache: Path) -> "BertTokenizer":
    """Trained on the documents, or read again if that was done before."""
    digest = hashlib.sha256(str(vocab_size).encode())
    for text in documents.texts:
        digest.update(text.encode() + b"\0")
    file = cache / f"vocabulary-{digest.hexdigest()[:16]}.txt"
    if file.exists():
        return make_tokenizer(file.read_text("utf-8").split("\n"))
    tokenizer = train_tokenizer(documents.texts, vocab_size)
    pieces = tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))
    runtime.write_atomically(file, "\n".join(pieces))
    return tokenizer


def _most_frequent(asked: HeldOut, log_probabilities: torch.Tensor) -> NDArray[np.float32]:
    labels = torch.cat([batch.labels[batch.labels >= 0] for batch in asked.batches]).cpu()
    loss = -log_probabilities[labels]
    right = labels == log_probabilities.argmax()
    return torch.stack([torch.full_like(loss, TOKEN), loss, loss, right.float()], dim=1).numpy()


def _cost(
    model: LanguageModel, objective: Objective, hyper: Hyper, progress: Progress
) -> dict[str, float]:
    n_sequences = progress.n_steps * hyper["batch_size"]
    n_weights = float(sum(parameter.numel() for parameter in model.parameters()))
    return {
        "wall_seconds": progress.seconds,
        "optimiser_steps": float(progress.n_steps),
        "examples_seen": float(n_sequences),
        "tokens_seen": float(progress.n_tokens),
        "flops": training_flops(objective, model.config, n_sequences),
        "parameters": n_weights,
        "trainable_parameters": n_weights,
    }
