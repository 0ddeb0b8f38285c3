"""Readers: an encoder that says for each token whether the answer begins or ends there."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from utils import runtime
from utils.adaptation.batching import by_tokens, fill
from utils.adaptation.encoder import load_encoder
from utils.adaptation.kept import seal, unseal
from utils.adaptation.method import Problem
from utils.adaptation.training import Batch, Trainable
from utils.tasks.question_answering import METRIC, Examples, score
from utils.tasks.spans import Span, Window, decode, longest_question, make_windows

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
    """A span model with its tokenizer, and the length of its windows in tokens.

    It says nothing where "no answer" is more probable than the best span by more than `threshold`,
    log-odds; with None it always says something.
    """

    model: SpanModel
    tokenizer: Any
    max_length: int
    threshold: float | None = None

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

    def reads_in_full(self, questions: Sequence[str]) -> list[bool]:
        """Whether all of each question is read, or only its beginning."""
        most = longest_question(self.max_length)
        encoded = self.tokenizer(list(questions), add_special_tokens=False, verbose=False)
        return [len(ids) <= most for ids in encoded["input_ids"]]

    def logits(self, windows: list[Window]) -> list[NDArray[np.float32]]:
        """Scores of the first and the last position, (2, length) for each window."""
        self.model.eval()
        found: dict[int, NDArray[np.float32]] = {}
        lengths = np.array([len(window.input_ids) for window in windows])
        with torch.inference_mode():
            for indices in by_tokens(lengths):
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
        seal(folder, SETTINGS, {"max_length": self.max_length, "threshold": self.threshold})

    @classmethod
    def load(cls, folder: Path) -> "Reader":
        """A reader that was saved.

        Raises:
            CourseError: if there is none in `folder`, or it is damaged.
        """
        from safetensors.torch import load_file
        from transformers import AutoTokenizer

        settings = unseal(folder, SETTINGS)
        model = SpanModel(load_encoder(folder))
        model.span_head.load_state_dict(load_file(folder / _HEAD))
        return cls(
            model.to(runtime.device()).eval(), AutoTokenizer.from_pretrained(folder), **settings
        )


def span_training(problem: Problem, encoder: Any) -> Trainable:
    """What the training loop needs to make a reader of `encoder`.

    Each window is an example of its own. Start and end are two answers to each, counted alike.
    """
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(problem.model_path)
    train: Examples = problem.train
    threshold = None if all(train.answers) else 0.0
    model = SpanModel(encoder).to(runtime.device())
    reader = Reader(model, tokenizer, problem.max_length, threshold)
    windows = make_windows(
        tokenizer, train.questions, train.contexts, problem.max_length, train.spans
    )

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
