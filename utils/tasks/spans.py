"""Answers as spans: windows over a long context, and the best legal span of scored positions.

A window is `[CLS] question [SEP] piece of the context [SEP]`; neighbouring windows overlap (Devlin
et al., 2019, section 4.2). Its answer is a first and a last position; where the answer is not in
the window, both are 0, the position of `[CLS]` (section 4.3).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAX_ANSWER_LENGTH = 30
"""Longest answer that is considered, in tokens."""

_LONGEST_QUESTION = 64
_AT_ONCE = 1000


@dataclass(frozen=True)
class Window:
    """One window over the context of one question.

    Attributes:
        example: number of the question.
        input_ids: (length,) tokens.
        token_type_ids: (length,) 0 for the question, 1 for the context.
        first: position of the first token of the context.
        offsets: (n, 2) where each of the n context tokens begins and ends, in characters of the
            whole context; token i stands at position first + i.
        start, end: positions of the first and the last token of the answer; 0 and 0 where it is
            not, or not as a whole, in this window.
    """

    example: int
    input_ids: NDArray[np.int64]
    token_type_ids: NDArray[np.int64]
    first: int
    offsets: NDArray[np.int64]
    start: int = 0
    end: int = 0

    def characters(self, start: int, end: int) -> tuple[int, int]:
        """Where the span from position `start` to `end` (included) stands in the context."""
        return int(self.offsets[start - self.first, 0]), int(self.offsets[end - self.first, 1])

    def may_answer(self) -> NDArray[np.bool_]:
        """Positions at which an answer may begin or end: the context, and `[CLS]` for none."""
        allowed = np.zeros(len(self.input_ids), dtype=bool)
        allowed[self.first : self.first + len(self.offsets)] = allowed[0] = True
        return allowed


@dataclass(frozen=True)
class Span:
    """A possible answer: characters of the context, its text, and how probable it is.

    `score` is the log-probability of its first and its last token, in the window that it is in.
    """

    start: int
    end: int
    text: str
    score: float


def make_windows(
    tokenizer: Any,
    questions: Sequence[str],
    contexts: Sequence[str],
    max_length: int,
    answers: Sequence[tuple[int, int] | None] | None = None,
) -> list[Window]:
    """Windows of at most `max_length` tokens over all contexts; neighbours share a third of that.

    So windows of 384 tokens share 128, the `doc_stride` of the library's examples. Questions are
    cut to 64 tokens, or to a third of the window if that is less.

    Args:
        tokenizer: a fast tokenizer of the library.
        questions: one for each context.
        contexts: of any length.
        max_length: tokens of a window, special ones included.
        answers: first character of each answer and the one after its last; None where there is no
            answer.
    """
    stride = max_length // 3
    windows: list[Window] = []
    for begin in range(0, len(questions), _AT_ONCE):
        part = slice(begin, begin + _AT_ONCE)
        encoded = tokenizer(
            _shortened(tokenizer, questions[part], longest_question(max_length)),
            list(contexts[part]),
            truncation="only_second",
            max_length=max_length,
            stride=stride,
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
            return_token_type_ids=True,
        )
        numbers = [begin + i for i in encoded["overflow_to_sample_mapping"]]
        for row, example in enumerate(numbers):
            answer = answers[example] if answers is not None else None
            is_last = row + 1 == len(numbers) or numbers[row + 1] != example
            is_first = row == 0 or numbers[row - 1] != example
            windows.append(_window(encoded, row, example, answer, is_first, is_last))
    return windows


def longest_question(max_length: int) -> int:
    """Tokens of a question at most, in windows of `max_length`."""
    return min(_LONGEST_QUESTION, max_length // 3)


def _shortened(tokenizer: Any, questions: Sequence[str], n_tokens: int) -> list[str]:
    """Questions without leading space, cut after `n_tokens` tokens."""
    stripped = [question.strip() for question in questions]
    encoded = tokenizer(
        stripped, add_special_tokens=False, return_offsets_mapping=True, verbose=False
    )
    return [
        text if len(offsets) <= n_tokens else text[: offsets[n_tokens - 1][1]]
        for text, offsets in zip(stripped, encoded["offset_mapping"], strict=True)
    ]


def _window(
    encoded: Any,
    row: int,
    example: int,
    answer: tuple[int, int] | None,
    is_first: bool,
    is_last: bool,
) -> Window:
    places = [i for i, part in enumerate(encoded.sequence_ids(row)) if part == 1]
    first = places[0] if places else 0
    offsets = np.array([encoded["offset_mapping"][row][i] for i in places], dtype=np.int64)
    offsets = offsets.reshape(-1, 2)
    start, end = 0, 0
    if answer is not None:
        inside = np.flatnonzero((offsets[:, 1] > answer[0]) & (offsets[:, 0] < answer[1]))
        # A window that begins or ends within the answer does not hold it.
        whole = len(inside) > 0
        whole = whole and (is_first or offsets[0, 0] <= answer[0])
        whole = whole and (is_last or offsets[-1, 1] >= answer[1])
        if whole:
            start, end = first + int(inside[0]), first + int(inside[-1])
    ids, types = (np.array(encoded[name][row]) for name in ("input_ids", "token_type_ids"))
    return Window(example, ids, types, first, offsets, start, end)


def best_positions(
    starts: NDArray[np.floating],
    ends: NDArray[np.floating],
    first: int,
    last: int,
    n_best: int = 20,
    max_answer_length: int = MAX_ANSWER_LENGTH,
) -> list[tuple[int, int, float]]:
    """The `n_best` legal spans of a window: first and last position, and the sum of their scores.

    Legal is what begins in the context (positions `first` to `last`), does not end before it begins
    and has at most `max_answer_length` tokens. All such spans are compared.

    Args:
        starts: (length,) score of each position as the first one of the answer.
        ends: (length,) the same as its last one.
    """
    n = last - first + 1
    width = min(max_answer_length, n)
    scores = np.full((width, n), -np.inf)
    for more in range(width):  # spans of 1 + more tokens
        scores[more, : n - more] = starts[first : last + 1 - more] + ends[first + more : last + 1]
    wanted = min(n_best, scores.size)
    chosen = np.argpartition(-scores.ravel(), wanted - 1)[:wanted]
    found = []
    for more, place in zip(*np.unravel_index(chosen, scores.shape), strict=True):
        if np.isfinite(score := scores[more, place]):
            found.append((first + int(place), first + int(place + more), float(score)))
    return sorted(found, key=lambda span: (-span[2], span[0], span[1]))


def log_softmax(scores: NDArray[np.floating], allowed: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Log-probabilities over the allowed positions, (length,); minus infinity elsewhere."""
    masked = np.where(allowed, scores.astype(np.float64), -np.inf)
    shifted = masked - masked.max()
    return shifted - np.log(np.exp(shifted).sum())


def decode(
    windows: Sequence[Window],
    logits: Sequence[NDArray[np.floating]],
    context: str,
    n_best: int = 20,
) -> tuple[list[Span], float]:
    """The best spans of a context, best first, and the log-probability that there is no answer.

    All windows over the context are compared by log-probability. A span that two windows share
    counts with its better score. That nothing answers has the lowest score of `[CLS]` in any
    window: all windows must agree on it.

    Args:
        windows: all windows over the context.
        logits: for each of them (2, length), of first and last positions.
        context: the text.
        n_best: how many spans to return, at most.
    """
    found: dict[tuple[int, int], float] = {}
    no_answer = np.inf
    for window, (starts, ends) in zip(windows, logits, strict=True):
        allowed = window.may_answer()
        starts, ends = log_softmax(starts, allowed), log_softmax(ends, allowed)
        no_answer = min(no_answer, float(starts[0] + ends[0]))
        if not len(window.offsets):
            continue
        last = window.first + len(window.offsets) - 1
        for start, end, score in best_positions(starts, ends, window.first, last, n_best):
            place = window.characters(start, end)
            found[place] = max(score, found.get(place, -np.inf))
    best = sorted(found.items(), key=lambda item: (-item[1], item[0]))[:n_best]
    spans = [Span(a, b, context[a:b], score) for (a, b), score in best]
    return spans, no_answer
