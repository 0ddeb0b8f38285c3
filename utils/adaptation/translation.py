"""Translation by an encoder–decoder of our own: from nothing, from denoising, from an encoder."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
    search,
    start_with_frequencies,
    train_on_pairs,
    work_of,
)
from utils.adaptation.training import Settings, train
from utils.errors import CourseError
from utils.pretraining import infill_text
from utils.pretraining.model import load_encoder_decoder
from utils.tasks import translation
from utils.tasks.sequence_copying import SequencePairs
from utils.tasks.translation import Examples
from utils.transformer import Encoder, EncoderDecoder, TransformerConfig

if TYPE_CHECKING:
    from tokenizers import Tokenizer

SETTINGS, _WEIGHTS, _SUBWORDS = "translator.json", "translator.safetensors", "subwords.json"

NOISE, MEAN_SPAN = 0.35, 3.5
"""Share of tokens that denoising hides, and the mean length of what one mask stands for: those of
mBART (Liu et al., 2020, TACL, section 2.2)."""


@dataclass(frozen=True)
class Translator:
    """A model with the subwords that it writes, and reads where it has no `reader`.

    `reader` is a folder with the tokenizer of the encoder that the model began with. Targets are
    searched for with `n_beams` beams and `length_penalty`, see `beam_search`.
    """

    model: EncoderDecoder
    subwords: "Tokenizer"
    max_length: int
    reader: Path | None = None
    n_beams: int = 5
    length_penalty: float = 1.0

    def read(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """Token numbers of sources, (n_texts, longest), 0 after the end."""
        if self.reader is None:
            return subwords.table(subwords.encode(self.subwords, texts, self.max_length))
        from transformers import AutoTokenizer

        tokenizer: Any = AutoTokenizer.from_pretrained(self.reader)
        rows = tokenizer(list(texts), truncation=True, max_length=self.max_length)["input_ids"]
        return subwords.table(rows)

    def pairs(self, examples: Examples) -> SequencePairs:
        """Examples as the model trains on them."""
        targets = subwords.encode(self.subwords, examples.targets, self.max_length)
        return SequencePairs(self.read(examples.sources), subwords.table(targets))

    def translate(
        self,
        texts: Sequence[str],
        *,
        n_beams: int | None = None,
        length_penalty: float | None = None,
    ) -> list[str]:
        """Translate each text, as far as the model can read it."""
        if not texts:
            return []
        written = search(
            self.model,
            self.read(texts),
            start_id=subwords.START,
            end_id=subwords.END,
            n_tokens=self.max_length,
            n_beams=n_beams or self.n_beams,
            length_penalty=self.length_penalty if length_penalty is None else length_penalty,
        )
        return [text.strip() for text in self.subwords.decode_batch(written)]

    def save(self, folder: Path) -> None:
        """Write weights, subwords and settings to `folder`, which `load` reads."""
        from safetensors.torch import save_model
        from transformers import AutoTokenizer

        folder.mkdir(parents=True, exist_ok=True)
        save_model(self.model, str(folder / _WEIGHTS))
        self.subwords.save(str(folder / _SUBWORDS))
        if self.reader is not None:
            AutoTokenizer.from_pretrained(self.reader).save_pretrained(folder)
        settings = {
            "task": translation.NAME,
            "model": asdict(self.model.config),
            "encoder": asdict(self.model.encoder.config) if self.reader else None,
            "max_length": self.max_length,
            "n_beams": self.n_beams,
            "length_penalty": self.length_penalty,
        }
        runtime.write_atomically(folder / SETTINGS, json.dumps(settings, indent=1) + "\n")

    @classmethod
    def load(cls, folder: Path) -> "Translator":
        """A translator that was saved.

        Raises:
            CourseError: if there is none in `folder`.
        """
        from safetensors.torch import load_model
        from tokenizers import Tokenizer

        # The settings are written last, so where they are everything is.
        if not (folder / SETTINGS).is_file():
            raise CourseError(
                f"There is no translator in {folder}. Give a folder that Translator.save wrote; it "
                f"holds a file {SETTINGS}."
            )
        settings = json.loads((folder / SETTINGS).read_text())
        model = EncoderDecoder(TransformerConfig(**settings["model"]))
        if settings["encoder"]:
            model.encoder = Encoder(TransformerConfig(**settings["encoder"]))
        load_model(model, str(folder / _WEIGHTS))
        return cls(
            model.to(runtime.device()).eval(),
            Tokenizer.from_file(str(folder / _SUBWORDS)),
            settings["max_length"],
            folder if settings["encoder"] else None,
            settings["n_beams"],
            settings["length_penalty"],
        )


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


def _new(problem: Problem, texts: Sequence[str], **shape: int) -> Translator:
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
    return Translator(
        EncoderDecoder(config).to(runtime.device()),
        pieces,
        problem.max_length,
        n_beams=hyper["n_beams"],
        length_penalty=hyper["length_penalty"],
    )


def _fit(
    problem: Problem,
    translator: Translator,
    before: dict[str, float] | None = None,
    rates: list[tuple[list[nn.Parameter], float]] | None = None,
) -> Outcome:
    """Train on the pairs, translate the evaluation sentences; `before` is what it cost so far."""
    model = translator.model
    pairs, validation = map(translator.pairs, (problem.train, problem.validation))
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
    written = translator.translate(problem.evaluation.sources)
    return Outcome(np.array(written, dtype=np.str_), cost, progress.curve)


def _denoise(problem: Problem, translator: Translator) -> dict[str, float]:
    """Train the model to restore the unlabelled texts; what that cost."""
    hyper, model = problem.hyper, translator.model
    rows = subwords.encode(translator.subwords, problem.unlabelled, problem.max_length)
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
