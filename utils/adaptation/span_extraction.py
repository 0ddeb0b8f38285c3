"""Readers: an encoder that says for each token whether the answer begins or ends there."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from utils import runtime
from utils.adaptation.batching import by_length, fill
from utils.adaptation.encoder import load_encoder
from utils.adaptation.method import Problem
from utils.adaptation.training import Batch, Trainable
from utils.errors import CourseError
from utils.tasks.question_answering import METRIC, Examples, score
from utils.tasks.spans import Span, Window, decode, make_windows

_BATCH_SIZE = 32
SETTINGS, _HEAD = "reader.json", "span_head.safetensors"


class SpanModel(nn.Module):
    """Encoder → a linear layer with two outputs for each token: begins here, ends here.

    As in Devlin et al. (2019, section 4.2), where the two rows of the layer are called S and E.
    """

    def __init__(self, encoder: Any) -> None:
        super().__init__()
        self.encoder = encoder
        self.span_head = nn.Linear(encoder.config.hidden_size, 2)
        nn.init.normal_(self.span_head.weight, std=encoder.config.initializer_range)
        nn.init.zeros_(self.span_head.bias)

    def forward(self, may_answer: Tensor, **inputs: Tensor) -> Tensor:
        """Logits (batch, 2, length) of first and last positions.

        Args:
            may_answer: (batch, length) whether an answer may begin or end there; other positions
                get the lowest number there is.
            inputs: what the encoder takes, each (batch, length).
        """
        hidden_states = self.encoder(**inputs).last_hidden_state
        logits = self.span_head(hidden_states).transpose(1, 2)
        return logits.masked_fill(~may_answer[:, None], torch.finfo(logits.dtype).min)


@dataclass(frozen=True)
class Reading:
    """What a reader makes of one question: spans, best first, and how probable no answer is.

    Both are log-probabilities, see `utils.tasks.spans.decode`.
    """

    spans: list[Span]
    no_answer: float

    @property
    def margin(self) -> float:
        """By how much "no answer" is more probable than the best span."""
        return self.no_answer - self.spans[0].score if self.spans else float("inf")

    def text(self, threshold: float | None = None) -> str:
        """The best span; with a threshold, the empty string where `margin` is greater."""
        if not self.spans or (threshold is not None and self.margin > threshold):
            return ""
        return self.spans[0].text


@dataclass(frozen=True)
class Reader:
    """A span model with its tokenizer, and the length of its windows in tokens."""

    model: SpanModel
    tokenizer: Any
    max_length: int

    def read(
        self, questions: Sequence[str], contexts: Sequence[str], n_best: int = 20
    ) -> list[Reading]:
        """Look for the answer to each question in the context beside it.

        Contexts may be of any length: they are read window by window. Leaves the model in `eval`.
        """
        windows = make_windows(self.tokenizer, questions, contexts, self.max_length)
        logits = self.logits(windows)
        readings = []
        for example, rows in groupby(range(len(windows)), lambda row: windows[row].example):
            numbers = list(rows)
            mine = [windows[row] for row in numbers]
            found = decode(mine, [logits[row] for row in numbers], contexts[example], n_best)
            readings.append(Reading(*found))
        return readings

    def logits(self, windows: list[Window]) -> list[NDArray[np.float32]]:
        """Scores of the first and the last position, (2, length) for each window."""
        self.model.eval()
        found: dict[int, NDArray[np.float32]] = {}
        lengths = np.array([len(window.input_ids) for window in windows])
        with torch.inference_mode():
            for indices in by_length(lengths, _BATCH_SIZE):
                inputs = self.inputs([windows[i] for i in indices])
                rows = self.model(**inputs).float().cpu().numpy()
                found |= {i: row[:, : lengths[i]] for i, row in zip(indices, rows, strict=True)}
        return [found[i] for i in range(len(windows))]

    def inputs(self, windows: Sequence[Window]) -> dict[str, Tensor]:
        """Padded tensors of some windows, on the device."""
        ids = [window.input_ids.tolist() for window in windows]
        tensors = {
            "input_ids": fill(ids, self.tokenizer.pad_token_id),
            "attention_mask": fill([[1] * len(row) for row in ids], 0),
            "may_answer": fill([w.may_answer().tolist() for w in windows], 0).bool(),
        }
        if getattr(self.model.encoder.config, "type_vocab_size", 0) > 1:
            tensors["token_type_ids"] = fill([w.token_type_ids.tolist() for w in windows], 0)
        return {name: tensor.to(runtime.device()) for name, tensor in tensors.items()}

    def save(self, folder: Path) -> None:
        """Write weights, tokenizer and settings to `folder`, which `load` reads."""
        from safetensors.torch import save_file

        folder.mkdir(parents=True, exist_ok=True)
        self.model.encoder.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
        head = {name: t.detach().cpu() for name, t in self.model.span_head.state_dict().items()}
        save_file(head, folder / _HEAD)
        runtime.write_atomically(folder / SETTINGS, json.dumps({"max_length": self.max_length}))

    @classmethod
    def load(cls, folder: Path) -> "Reader":
        """A reader that was saved.

        Raises:
            CourseError: if there is none in `folder`.
        """
        from safetensors.torch import load_file
        from transformers import AutoTokenizer

        # The settings are written last, so where they are everything is.
        if not (folder / SETTINGS).is_file():
            raise CourseError(
                f"There is no model for question answering in {folder}. Give the folder that "
                f"Reader.save wrote; it holds a file {SETTINGS}."
            )
        model = SpanModel(load_encoder(folder))
        model.span_head.load_state_dict(load_file(folder / _HEAD))
        settings = json.loads((folder / SETTINGS).read_text())
        tokenizer = AutoTokenizer.from_pretrained(folder)
        return cls(model.to(runtime.device()).eval(), tokenizer, settings["max_length"])


def span_training(problem: Problem, encoder: Any) -> Trainable:
    """What the training loop needs to make a reader of `encoder`.

    Each window is an example of its own. Start and end are two answers to each, counted alike.
    """
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(problem.model_path)
    reader = Reader(SpanModel(encoder).to(runtime.device()), tokenizer, problem.max_length)
    train: Examples = problem.train
    windows = make_windows(
        tokenizer, train.questions, train.contexts, problem.max_length, train.spans
    )
    threshold = None if all(train.answers) else 0.0

    def make_batch(indices: NDArray[np.int64]) -> Batch:
        chosen = [windows[i] for i in indices]
        labels = torch.tensor([[window.start, window.end] for window in chosen])
        return reader.inputs(chosen), labels.to(runtime.device())

    def texts(examples: Examples) -> list[str]:
        readings = reader.read(examples.questions, examples.contexts, n_best=1)
        return [reading.text(threshold) for reading in readings]

    def validate(model: nn.Module) -> float:
        metrics, _ = score(np.array(texts(problem.validation)), problem.validation)
        return metrics[METRIC]

    def predict() -> NDArray[np.str_]:
        if problem.keep is not None:
            reader.save(problem.keep)
        examples: Examples = problem.evaluation
        return np.array([texts(examples), texts(examples.distracted())]).T

    lengths = np.array([len(window.input_ids) for window in windows])
    return Trainable(reader.model, lengths, make_batch, validate, predict)


@dataclass(frozen=True)
class Answer:
    """An answer: its text and the characters of the context that it stands at.

    Where the reader finds none, the text is empty and `start` and `end` are -1. `probability` is
    that of the best span: of its first and its last token together, in its window.
    """

    text: str
    start: int
    end: int
    probability: float


def answer(
    model_path: Path | str,
    questions: Sequence[str],
    contexts: Sequence[str],
    *,
    threshold: float | None = None,
) -> list[Answer]:
    """Answer new questions with a saved reader, each from the context beside it.

    Args:
        model_path: folder that `Reader.save` wrote.
        questions: in plain text.
        contexts: as many, of any length.
        threshold: log-odds of "no answer" against the best span above which there is no answer; by
            default the best span is always given.

    Raises:
        CourseError: if there is no model, the lists differ in length, or a question or a context is
            empty or not a text.
    """
    _check("question", questions)
    _check("context", contexts)
    if len(questions) != len(contexts):
        raise CourseError(
            f"There are {len(questions)} questions and {len(contexts)} contexts. Give each "
            "question its own context, in the same order."
        )
    if not questions:
        return []
    readings = Reader.load(Path(model_path)).read(questions, contexts, n_best=1)
    return [_answer(reading, threshold) for reading in readings]


def answer_table(
    model_path: Path | str, table: Mapping[str, Sequence[str]], *, threshold: float | None = None
) -> list[Answer]:
    """`answer` for a table with the columns `question` and `context`, such as one read from a CSV.

    Raises:
        CourseError: as `answer` does, and for a missing column.
    """
    for name in ("question", "context"):
        if name not in table:
            raise CourseError(
                f"The column {name!r} is missing; there are: {', '.join(table) or 'none'}. Rename "
                "the columns to `question` and `context`."
            )
    return answer(model_path, list(table["question"]), list(table["context"]), threshold=threshold)


def _check(name: str, texts: Sequence[str]) -> None:
    if isinstance(texts, str):
        raise CourseError(f"Give a list of {name}s, not a single text: put it in square brackets.")
    for number, text in enumerate(texts, start=1):
        if not isinstance(text, str) or not text.strip():
            raise CourseError(
                f"The {name} in row {number} is empty or not a text ({text!r}). Each question "
                "needs a text in which to look for its answer."
            )


def _answer(reading: Reading, threshold: float | None) -> Answer:
    probability = float(np.exp(reading.spans[0].score)) if reading.spans else 0.0
    if not reading.text(threshold):
        return Answer("", -1, -1, probability)
    best = reading.spans[0]
    return Answer(best.text, best.start, best.end, probability)
