"""How fast our pre-training loop is beside the library's `Trainer`, and what the masked head saves.

Both sides train the same model (shape, first weights, dropout, vocabulary) by fused AdamW with the
same schedule and gradient clipping, on batches of 32 pairs of 128 tokens from the same text, with
15 % of the tokens hidden. That is the length of nine tenths of BERT's pre-training (Devlin et al.,
2019, appendix A.2), in a batch that fits the memory of a laptop.
"""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from utils import runtime
from utils.experiments.speed import (
    N_PAIRS,
    N_WARM_UP,
    SpeedComparison,
    compare_speed,
    matrix_products,
)
from utils.pretraining import PackedText, PairSource, Vocabulary, pack, vocabulary_of
from utils.pretraining.corpora import load_corpus
from utils.pretraining.flops import training_flops
from utils.pretraining.loop import Progress, Settings, pretrain
from utils.pretraining.masking import IGNORED
from utils.pretraining.model import BertForPretraining, export
from utils.pretraining.objectives import MaskedLanguageModelling, MaskedSequences
from utils.pretraining.wordpiece import train_tokenizer
from utils.tasks.language_modelling import TEXTBOOKS
from utils.transformer.config import TransformerConfig

if TYPE_CHECKING:
    from transformers import BertTokenizer, Trainer

VOCAB_SIZE, LENGTH, BATCH_SIZE = 8192, 128, 32

SHAPES = ((2, 128), (4, 256))
"""Layers and widths; the heads are 64 wide as BERT's."""

_CHARACTERS = 3_000_000


@dataclass(frozen=True)
class Work:
    """What both sides do.

    Attributes:
        text, tokenizer: what is trained on.
        length: tokens of a sequence.
        batch_size: sequences of an update.
        chunk: updates that are timed as one.
        n_chunks: chunks of a training, those to warm up included.
        data: where the text came from.
    """

    text: PackedText
    tokenizer: "BertTokenizer"
    length: int = LENGTH
    batch_size: int = BATCH_SIZE
    chunk: int = 4
    n_chunks: int = N_PAIRS + N_WARM_UP
    data: str = ""

    @property
    def n_steps(self) -> int:
        """Updates of a training."""
        return self.chunk * self.n_chunks

    @property
    def vocabulary(self) -> Vocabulary:
        """That of the tokenizer, on the device."""
        return vocabulary_of(self.tokenizer)

    @property
    def settings(self) -> Settings:
        """Those of our loop: an evaluation, which is where it can pause, after each chunk."""
        return Settings(
            n_steps=self.n_steps,
            batch_size=self.batch_size,
            optimizer="adamw",
            learning_rate=1e-3,
            n_evaluations=self.n_chunks,
        )


def pretraining_speed(n_pairs: int = N_PAIRS) -> Iterator[SpeedComparison]:
    """Our loop beside `Trainer`, with dropout and without, and beside itself with a full head.

    On a GPU also beside bare matrix products: the ratio is then the share of the rate of the
    products that the training reaches.
    """
    work = prepare(n_pairs + N_WARM_UP)
    for each in _comparisons(work, n_pairs):
        yield replace(each, data=work.data)


def _comparisons(work: Work, n_pairs: int) -> Iterator[SpeedComparison]:
    for n_layers, d_model in SHAPES:
        name = f"pre-training, {n_layers}-layer/{d_model}"
        config = _config(n_layers, d_model)
        model = BertForPretraining(config, next_sentence=True)
        for dropout, described in ((0.1, "dropout 0.1"), (0.0, "no dropout")):
            with (
                training(copy_of(model, dropout), masked_objective(work), work) as ours,
                trainer(export(model, dropout), work) as theirs,
            ):
                yield compare_speed(f"{name}, {described}, ours : Trainer", ours, theirs, n_pairs)
        with (
            training(copy_of(model, 0.0), masked_objective(work), work) as ours,
            training(copy_of(model, 0.0, FullHead), full_objective(work), work) as full,
        ):
            yield compare_speed(f"{name}, masked-only head : full head", ours, full, n_pairs)
        if runtime.device().type == "cuda":
            n_sequences = work.chunk * work.batch_size
            flops = training_flops(masked_objective(work), config, n_sequences)
            products = matrix_products(flops)
            with training(copy_of(model, 0.0), masked_objective(work), work) as ours:
                yield compare_speed(f"{name}, ours : matrix products", ours, products, n_pairs)


def prepare(n_chunks: int) -> Work:
    """A part of the textbooks (offline the documentation that stands in for them), packed."""
    corpus = load_corpus(TEXTBOOKS, profile="quick", max_characters=_CHARACTERS)
    tokenizer = train_tokenizer(corpus.train.texts, VOCAB_SIZE)
    text = pack(corpus.train, tokenizer, runtime.runs_dir() / "cache" / "pretraining")
    # An update takes a GPU milliseconds: single ones could not be timed.
    chunk = 40 if runtime.device().type == "cuda" else 4
    return Work(text, tokenizer, chunk=chunk, n_chunks=n_chunks, data=corpus.source.location)


def _config(n_layers: int, d_model: int) -> TransformerConfig:
    return TransformerConfig(
        vocab_size=VOCAB_SIZE,
        d_model=d_model,
        n_layers=n_layers,
        n_heads=d_model // 64,
        d_ff=4 * d_model,
        max_length=LENGTH,
        n_segments=2,
    )


def copy_of(
    model: BertForPretraining, dropout: float, kind: type[BertForPretraining] = BertForPretraining
) -> BertForPretraining:
    """Another model with the same weights; `dropout` is a share of the activations."""
    copy = kind(replace(model.config, dropout=dropout), next_sentence=True)
    copy.load_state_dict(model.state_dict())
    return copy


class Paced:
    """A training in a thread of its own, which goes on for one chunk each time it is called.

    Were it begun anew for each timing, everything that a training does once would be timed, too:
    preparing the model, filling the optimiser's state, on a GPU compiling.
    """

    def __init__(self, train: Callable[[Callable[[], None]], Any]) -> None:
        """`train` is given a function, and calls it at the end of each chunk."""
        self._train = train
        self._go, self._there = threading.Semaphore(0), threading.Semaphore(0)
        self._over = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Paced":
        self._thread.start()
        return self

    def __call__(self) -> None:
        """Train for one chunk; raises what the training raises."""
        if not self._over:
            self._go.release()
            self._there.acquire()
        if self._error is not None:
            raise self._error
        if self._over:
            raise RuntimeError("The training is over: it had no further chunk.")

    def __exit__(self, *exception: object) -> None:
        """Break the training off."""
        self._over = True
        self._go.release()
        self._thread.join()

    def _pause(self) -> None:
        self._there.release()
        self._wait()

    def _wait(self) -> None:
        self._go.acquire()
        if self._over:
            raise _BrokenOff

    def _run(self) -> None:
        try:
            self._wait()
            self._train(self._pause)
        except _BrokenOff:
            return
        except BaseException as error:
            self._error = error
        self._over = True
        self._there.release()


class _BrokenOff(BaseException):
    """Unwinds a training that nobody waits for."""


def masked_objective(work: Work) -> MaskedLanguageModelling:
    """Hidden tokens and next sentences, as lessons ask for them."""
    return MaskedLanguageModelling(
        work.text, work.vocabulary, work.length, negatives="other-document"
    )


def training(model: BertForPretraining, objective: MaskedLanguageModelling, work: Work) -> Paced:
    """Our own loop."""

    def train(pause: Callable[[], None]) -> None:
        def on_point(progress: Progress) -> None:
            pause()

        pretrain(model, objective, work.settings, on_point=on_point)

    return Paced(train)


def trainer(model: nn.Module, work: Work) -> Paced:
    """The library's loop on its own model, a `BertForPreTraining`, with its own collator."""

    def train(pause: Callable[[], None]) -> None:
        from transformers import TrainerCallback

        class Pause(TrainerCallback):
            def on_step_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:
                if state.global_step % work.chunk == 0:
                    pause()

        made.add_callback(Pause())
        made.train()

    made = _trainer(model, work)
    return Paced(train)


def _trainer(model: nn.Module, work: Work) -> "Trainer":
    """A `Trainer` set up as well as it can be for this work."""
    from transformers import (
        DataCollatorForLanguageModeling,
        PrinterCallback,
        Trainer,
        TrainingArguments,
    )

    ours, precision = work.settings, runtime.precision().name
    arguments = TrainingArguments(
        output_dir=str(runtime.runs_dir() / "cache" / "trainer"),
        max_steps=work.n_steps,
        per_device_train_batch_size=work.batch_size,
        learning_rate=ours.learning_rate,
        weight_decay=ours.weight_decay,
        adam_beta2=0.98,
        max_grad_norm=ours.max_grad_norm,
        warmup_steps=ours.warmup,
        optim="adamw_torch_fused",
        bf16=precision == "bf16",
        fp16=precision == "fp16",
        use_cpu=runtime.device().type == "cpu",
        # Without the special-tokens mask the collator asks the tokenizer for it, row by row.
        remove_unused_columns=False,
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
    )
    made = Trainer(
        model,
        arguments,
        train_dataset=trainer_rows(work),
        data_collator=DataCollatorForLanguageModeling(work.tokenizer, mlm_probability=0.15),
        processing_class=work.tokenizer,
    )
    made.remove_callback(PrinterCallback)
    return made


def trainer_rows(work: Work) -> list[dict[str, Any]]:
    """As many tokenised pairs as a training needs, drawn as ours are; masked by the collator."""
    source = PairSource(work.text, work.vocabulary, work.length)
    pairs = source.draw(work.n_steps * work.batch_size)
    special = ~work.vocabulary.maskable[pairs.input_ids]
    columns = {
        "input_ids": pairs.input_ids,
        "token_type_ids": pairs.token_type_ids,
        "special_tokens_mask": special.long(),
        "next_sentence_label": 1 - pairs.is_next,
    }
    lists = [column.tolist() for column in columns.values()]
    return [dict(zip(columns, row, strict=True)) for row in zip(*lists, strict=True)]


class FullHead(BertForPretraining):
    """The same model, but its head decodes every position, as the library's does."""

    def forward(
        self,
        input_ids: Tensor,
        positions: Tensor,
        token_type_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """Logits of all tokens (b, q, V), whatever `positions`, and of the pairs (b, 2)."""
        hidden = self.encoder(input_ids, attention_mask, token_type_ids)
        tokens = self.predict_tokens(hidden)
        if self.pooler is None or self.next_sentence is None:
            return tokens, None
        return tokens, self.next_sentence(torch.tanh(self.pooler(hidden[:, 0])))


class _EveryPosition(MaskedLanguageModelling):
    """Draws the same sequences, with labels for a full head."""

    def draw(self, n: int) -> MaskedSequences:
        batch = super().draw(n)
        return replace(batch, labels=labels_everywhere(batch))


def full_objective(work: Work) -> MaskedLanguageModelling:
    """What a `FullHead` is trained on."""
    return _EveryPosition(work.text, work.vocabulary, work.length, negatives="other-document")


def labels_everywhere(batch: MaskedSequences) -> Tensor:
    """The labels as the library has them: (b, q), `IGNORED` where nothing is asked."""
    everywhere = torch.full_like(batch.input_ids, IGNORED)
    return everywhere.scatter(1, batch.positions, batch.labels)
