"""Exercises of lesson 04: answers of a causal model, infilling, spans, equal FLOPs, bits."""

import math
from collections.abc import Callable, Iterable

import numpy as np
import torch
from torch import Tensor

from utils.lesson.exercise import Exercise, Mistake

_CLS, _SEP, _MASK, _FIRST = 2, 3, 4, 5

Span = tuple[int, int]

# --- 04.1 -----------------------------------------------------------------------------------------


def next_tokens(window: Tensor, may_ask: Tensor) -> tuple[Tensor, Tensor]:
    """What the model sees, and what it is asked, both (batch, length)."""
    input_ids, following = window[:, :-1], window[:, 1:]
    labels = following.masked_fill(~may_ask[following], -100)
    return input_ids, labels


def _window_cases(rng: np.random.Generator) -> list[tuple]:
    small = torch.tensor([[_CLS, 11, 12, _SEP, 13], [_CLS, 14, 1, 15, 16]])
    cases = [(small, torch.arange(20) >= _FIRST)]
    for batch, length, size in ((2, 9, 30), (3, 12, 50)):
        window = torch.tensor(rng.integers(_FIRST, size, size=(batch, length + 1)))
        window[:, 0], window[0, 4], window[1, -2], window[0, -1] = _CLS, _SEP, 1, _SEP
        cases.append((window, torch.arange(size) >= _FIRST))
    cases[-1][1][10:20] = False  # so that nobody can ask by number alone
    return cases


def _ignoring(tokens: Tensor, ignored: Tensor, label: int = -100) -> Tensor:
    return torch.where(ignored, label, tokens)


def _overwritten(window: Tensor, may_ask: Tensor) -> tuple[Tensor, Tensor]:
    labels = _ignoring(window[:, 1:], ~may_ask[window[:, 1:]])
    return torch.cat([window[:, :1], labels], dim=1)[:, :-1], labels


NEXT_TOKENS = Exercise(
    number="04.1",
    title="What a causal model is asked",
    difficulty=1,
    minutes=8,
    prompt="""
Write `next_tokens(window, may_ask)`, which makes inputs and labels of a causal language model from
a piece of text. At each position, the model is asked for the token that **follows**. The last token
of the window is only asked for, and never seen.

| symbol | variable | shape |
|---|---|---|
| $x_0, …, x_q$, the text; $x_0$ is `[CLS]` | `window` | (batch, q + 1), integers |
| whether a token of the vocabulary may be asked for | `may_ask` | (V,), True or False |
| $x_0, …, x_{q-1}$ | first result | (batch, q), integers |
| $x_1, …, x_q$, what follows each of them | second result | (batch, q), integers |

`may_ask` is False for `[UNK]` and the special tokens. Where such a token follows, the label is
$-100$, which cross-entropy leaves out. The model sees these tokens all the same.
""",
    hints=(
        "Inputs and labels are the same text, one step apart. Which column of `window` is missing "
        "in the inputs, and which in the labels?",
        "`may_ask[labels]` looks up each label: the result has the shape of the labels.",
        "`following = window[:, 1:]`, and then `following.masked_fill(~may_ask[following], -100)`.",
    ),
    solution=next_tokens,
    cases=_window_cases,
    mistakes=(
        Mistake(
            "labels not shifted",
            "Each position is asked for its own token, which it sees. The loss goes to zero, and "
            "the model learns to copy.",
            lambda w, ok: (w[:, :-1], _ignoring(w[:, :-1], ~ok[w[:, :-1]])),
        ),
        Mistake(
            "shifted the wrong way",
            "Each position is asked for the token *before* it, which a causal model has seen.",
            lambda w, ok: (w[:, 1:], _ignoring(w[:, :-1], ~ok[w[:, :-1]])),
        ),
        Mistake(
            "special tokens asked for",
            "All tokens have a label. `[UNK]` and special tokens are to be left out: they are "
            "frequent and easy to guess, and flatter the loss.",
            lambda w, ok: (w[:, :-1], w[:, 1:]),
        ),
        Mistake(
            "left out where the model sees a special token",
            "You look up the inputs in `may_ask`. What counts is whether the token that *follows* "
            "may be asked for; after `[CLS]`, for example, the first word is asked for.",
            lambda w, ok: (w[:, :-1], _ignoring(w[:, 1:], ~ok[w[:, :-1]])),
        ),
        Mistake(
            "asked only for special tokens",
            "The look-up is the wrong way round: where `may_ask` is True, the label stays.",
            lambda w, ok: (w[:, :-1], _ignoring(w[:, 1:], ok[w[:, 1:]])),
        ),
        Mistake(
            "0 instead of -100",
            "Where nothing is asked, your label is 0. That is the number of `[PAD]`, and the model "
            "would be taught to write it.",
            lambda w, ok: (w[:, :-1], _ignoring(w[:, 1:], ~ok[w[:, 1:]], 0)),
        ),
        Mistake(
            "inputs overwritten",
            "The labels are right, but your inputs hold $-100$, too. This happens if the labels "
            "are written in place: `window[:, 1:]` is no copy, and shares its numbers with the "
            "inputs.",
            _overwritten,
        ),
        Mistake(
            "the last token kept in the inputs",
            "Your inputs have all tokens of the window. Nothing is known of what follows the last "
            "one, so the model need not process it. This also happens with `torch.roll`.",
            lambda w, ok: (
                w,
                _ignoring(w.roll(-1, dims=1), ~ok[w.roll(-1, dims=1)]),
            ),
        ),
    ),
)

# --- 04.2 -----------------------------------------------------------------------------------------


def infill(tokens: list[int], spans: list[tuple[int, int]], mask_id: int) -> list[int]:
    """The tokens with each span replaced by one mask."""
    source: list[int] = []
    done = 0
    for start, length in spans:
        source += [*tokens[done:start], mask_id]
        done = start + length
    return source + tokens[done:]


def _span_cases(rng: np.random.Generator) -> list[tuple[list[int], list[Span]]]:
    cases: list[tuple[list[int], list[Span]]] = [
        ([11, 12, 13, 14, 15, 16], [(1, 2)]),
        ([11, 12, 13, 14, 15, 16, 17], [(1, 2), (5, 1)]),
        ([11, 12, 13, 14, 15, 16], [(0, 2), (2, 1), (5, 1)]),  # touching, and at both ends
    ]
    for n in (9, 12):
        starts = np.sort(rng.choice(np.arange(0, n, 3), size=3, replace=False))
        spans = [(int(start), int(rng.integers(1, 4))) for start in starts]
        cases.append((rng.integers(20, 60, size=n).tolist(), spans))
    return cases


def _infilling_cases(rng: np.random.Generator) -> list[tuple]:
    cases = _span_cases(rng)
    cases += [
        ([11, 12, 13, 14], [(2, 0)]),
        ([11, 12, 13, 14, 15, 16], [(0, 0), (1, 3), (5, 0)]),
        ([11, 12, 13, 14, 15], [(1, 1), (3, 0), (3, 2)]),
        ([11, 12, 13], []),
    ]
    return [(tokens, spans, _MASK) for tokens, spans in cases]


def _replaced(
    tokens: list[int],
    spans: list[Span],
    by: Callable[[int, list[int]], list[int]],
    extra: int = 0,
) -> list[int]:
    """Each span replaced by what `by` makes of its number and tokens, in the order of the text.

    `extra` tokens after each span are lost.
    """
    source: list[int] = []
    done = 0
    for number, (start, length) in enumerate(spans):
        source += [*tokens[done:start], *by(number, tokens[start : start + length])]
        done = start + length + extra
    return source + tokens[done:]


def _at_original_places(tokens: list[int], spans: list[Span], mask: int) -> list[int]:
    """Replaced one after the other in a list that shrinks meanwhile."""
    source = list(tokens)
    for start, length in spans:
        source[start : start + length] = [mask]
    return source


def _joined(tokens: list[int], spans: list[Span], mask: int) -> list[int]:
    source = _replaced(tokens, spans, lambda i, span: [mask])
    return [t for i, t in enumerate(source) if t != mask or i == 0 or source[i - 1] != mask]


INFILL = Exercise(
    number="04.2",
    title="Text infilling",
    difficulty=2,
    minutes=10,
    prompt="""
Write `infill(tokens, spans, mask_id)`, BART's corruption once the spans are drawn: each span is
replaced by **one** mask, however long it is. A span of length 0 hides nothing and puts a mask in.

| | variable | type |
|---|---|---|
| the text | `tokens` | list of integers |
| where a span begins, and how many tokens it hides | `spans` | list of pairs `(start, length)` |
| the number of `[MASK]` | `mask_id` | integer |
| what the encoder sees | result | list of integers |

`start` counts in the text as it was, from 0: the span `(2, 3)` hides `tokens[2:5]`, and `(2, 0)`
puts a mask between `tokens[1]` and `tokens[2]`. Spans are given from left to right and do not
overlap; they may touch, and then each keeps its own mask.
""",
    hints=(
        "Walk through the text from left to right. Keep in mind up to where you have copied it.",
        "For each span: copy what stands between the last span and this one, write one mask, and "
        "go to the end of the span.",
        "`source += [*tokens[done:start], mask_id]`, then `done = start + length`. After the last "
        "span, the rest `tokens[done:]` is still missing.",
    ),
    solution=infill,
    cases=_infilling_cases,
    mistakes=(
        Mistake(
            "one mask for each token",
            "Each hidden token has a mask of its own, as in BERT. The model could count how many "
            "are missing; in infilling it has to find that out.",
            lambda t, s, m: _replaced(t, s, lambda i, span: [m] * len(span)),
        ),
        Mistake(
            "one mask for each token, and one for an empty span",
            "Empty spans are right, but longer ones get a mask for each token. The model could "
            "count how many are missing.",
            lambda t, s, m: _replaced(t, s, lambda i, span: [m] * max(1, len(span))),
        ),
        Mistake(
            "empty spans left out",
            "A span of length 0 puts in a mask where nothing is missing. It teaches the model that "
            "a mask may stand for nothing.",
            lambda t, s, m: _replaced(t, s, lambda i, span: [m] * bool(span)),
        ),
        Mistake(
            "an empty span hides a token",
            "A span of length 0 hides no token: it puts a mask *between* two of them.",
            lambda t, s, m: infill(t, [(a, max(1, n)) for a, n in s], m),
        ),
        Mistake(
            "no masks",
            "The spans are left out and nothing shows where. That is token deletion, another of "
            "BART's corruptions.",
            lambda t, s, m: _replaced(t, s, lambda i, span: []),
        ),
        Mistake(
            "places counted in the shortened list",
            "After the first span, the list is shorter than the text, and the next `start` points "
            "too far. `start` counts in the text as it was.",
            _at_original_places,
        ),
        Mistake(
            "touching spans joined",
            "Where two spans touch, you write one mask for both. Each span has its own.",
            _joined,
        ),
        Mistake(
            "one token too many hidden",
            "The token after each span is missing too. The span `(2, 3)` hides the tokens 2, 3 and "
            "4, and 5 stays.",
            lambda t, s, m: _replaced(t, s, lambda i, span: [m], extra=1),
        ),
        Mistake(
            "the rest is missing",
            "What stands after the last span is lost.",
            lambda t, s, m: infill(t[: s[-1][0] + s[-1][1]] if s else [], s, m),
        ),
        Mistake(
            "length read as the end",
            "You hide `tokens[start:length]`. The second number is how many tokens are hidden, not "
            "where the span ends.",
            lambda t, s, m: infill(t, [(a, max(0, n - a)) for a, n in s], m),
        ),
    ),
)

# --- 04.3 -----------------------------------------------------------------------------------------


def corrupt_spans(
    tokens: list[int], spans: list[tuple[int, int]], first_sentinel: int, sep_id: int
) -> tuple[list[int], list[int]]:
    """What the encoder sees, and what the decoder is to write."""
    source: list[int] = []
    target: list[int] = []
    done = 0
    for number, (start, length) in enumerate(spans):
        sentinel = first_sentinel + number
        source += [*tokens[done:start], sentinel]
        target += [sentinel, *tokens[start : start + length]]
        done = start + length
    return source + tokens[done:], [*target, sep_id]


def _sentinel_cases(rng: np.random.Generator) -> list[tuple]:
    return [(tokens, spans, 100, _SEP) for tokens, spans in _span_cases(rng)]


Parts = Callable[[int, list[int]], list[int]]


def _by_parts(
    tokens: list[int], spans: list[Span], sep: int, in_source: Parts, in_target: Parts
) -> tuple[list[int], list[int]]:
    """Source and target with what two functions make of the number and tokens of each span."""
    hidden = [tokens[start : start + length] for start, length in spans]
    target = _flat(in_target(number, span) for number, span in enumerate(hidden))
    return _replaced(tokens, spans, in_source), [*target, sep]


def _flat(parts: Iterable[list[int]]) -> list[int]:
    return [token for part in parts for token in part]


def _sentinels(
    tokens: list[int], spans: list[Span], sep: int, number_of: Callable[[int], int]
) -> tuple[list[int], list[int]]:
    """Right but for the numbers of the sentinels."""
    return _by_parts(
        tokens, spans, sep, lambda i, span: [number_of(i)], lambda i, span: [number_of(i), *span]
    )


def _one_each(
    tokens: list[int], spans: list[Span], first: int, sep: int
) -> tuple[list[int], list[int]]:
    """Every hidden token is a span of its own."""
    single = [(start + i, 1) for start, length in spans for i in range(length)]
    return corrupt_spans(tokens, single, first, sep)


CORRUPT_SPANS = Exercise(
    number="04.3",
    title="Span corruption, source and target",
    difficulty=2,
    minutes=15,
    prompt="""
Write `corrupt_spans(tokens, spans, first_sentinel, sep_id)`, T5's corruption once the spans are
drawn. In the **source**, each span is replaced by a sentinel of its own. The **target** holds only
what is missing: each sentinel, followed by the tokens that it stands for, and `[SEP]` at the end.

| | variable | type |
|---|---|---|
| the text | `tokens` | list of integers |
| where a span begins, and how many tokens it hides | `spans` | list of pairs `(start, length)` |
| the sentinel of the first span; the next has the next number | `first_sentinel` | integer |
| the number of `[SEP]` | `sep_id` | integer |
| source and target | result | two lists of integers |

`start` counts in the text as it was. Spans are given from left to right, hide at least one token
and do not overlap. For *thank you for inviting me*, with *for inviting* hidden, the source is
*thank you ⟨0⟩ me* and the target *⟨0⟩ for inviting* `[SEP]`.
""",
    hints=(
        "One walk through the text fills both lists. What goes into the one goes not into the "
        "other; only the sentinels stand in both.",
        "`enumerate(spans)` gives the number of each span, and with it the sentinel "
        "`first_sentinel + number`.",
        "`source += [*tokens[done:start], sentinel]` and "
        "`target += [sentinel, *tokens[start : start + length]]`. In the end, the source lacks "
        "the rest of the text, and the target `[SEP]`.",
    ),
    solution=corrupt_spans,
    cases=_sentinel_cases,
    mistakes=(
        Mistake(
            "the same sentinel for all spans",
            "All spans have the same sentinel, so the decoder cannot say which one it is filling.",
            lambda t, s, f, e: _sentinels(t, s, e, lambda i: f),
        ),
        Mistake(
            "a sentinel for each token",
            "Every hidden token has a sentinel of its own. One for each *span* makes source and "
            "target shorter, and hides how long the span is.",
            _one_each,
        ),
        Mistake(
            "sentinels counted downwards",
            "Your sentinels fall by one with each span. In T5's own vocabulary they do; here they "
            "rise.",
            lambda t, s, f, e: _sentinels(t, s, e, lambda i: f - i),
        ),
        Mistake(
            "sentinels counted from one",
            "The first span has the number `first_sentinel + 1`. The first sentinel itself is not "
            "used.",
            lambda t, s, f, e: _sentinels(t, s, e, lambda i: f + 1 + i),
        ),
        Mistake(
            "the whole text as target",
            "The target is the whole text, as BART has it. T5 asks only for what is missing.",
            lambda t, s, f, e: (corrupt_spans(t, s, f, e)[0], [*t, e]),
        ),
        Mistake(
            "no sentinels in the target",
            "The target holds the hidden tokens, but not which sentinel they belong to.",
            lambda t, s, f, e: _by_parts(t, s, e, lambda i, span: [f + i], lambda i, span: span),
        ),
        Mistake(
            "no sentinels in the source",
            "The target is right, but the source does not show where something is missing.",
            lambda t, s, f, e: _by_parts(
                t, s, e, lambda i, span: [], lambda i, span: [f + i, *span]
            ),
        ),
        Mistake(
            "sentinels behind their tokens",
            "In your target each sentinel comes after the tokens that it stands for. A decoder "
            "that writes from left to right must know first which gap it is filling.",
            lambda t, s, f, e: _by_parts(
                t, s, e, lambda i, span: [f + i], lambda i, span: [*span, f + i]
            ),
        ),
        Mistake(
            "[SEP] missing",
            "The target does not end with `[SEP]`. Without it the decoder never learns to stop.",
            lambda t, s, f, e: (corrupt_spans(t, s, f, e)[0], corrupt_spans(t, s, f, e)[1][:-1]),
        ),
        Mistake(
            "[SEP] at the end of the source",
            "`[SEP]` closes the target only.",
            lambda t, s, f, e: (
                [*corrupt_spans(t, s, f, e)[0], e],
                corrupt_spans(t, s, f, e)[1],
            ),
        ),
        Mistake(
            "source and target exchanged",
            "Both lists are right, but the target comes first. Return `(source, target)`.",
            lambda t, s, f, e: corrupt_spans(t, s, f, e)[::-1],
        ),
    ),
)

# --- 04.4 -----------------------------------------------------------------------------------------


def updates_for(
    budget: float,
    n_sequences: int,
    length: int,
    n_answers: int,
    d_model: int,
    n_layers: int,
    vocab_size: int,
) -> int:
    """How many updates cost as many operations as `budget`, to the nearest."""
    per_position = n_layers * (24 * d_model**2 + 4 * length * d_model)
    per_answer = 2 * d_model * vocab_size
    forward = n_sequences * (length * per_position + n_answers * per_answer)
    return round(budget / (3 * forward))


def _budget_cases(rng: np.random.Generator) -> list[tuple]:
    cases: list[tuple] = [
        (1.77e6, 1, 4, 4, 8, 1, 100),
        (1e12, 32, 64, 9, 128, 2, 8192),
        (1e12, 32, 64, 64, 128, 2, 8192),
    ]
    for _ in range(4):
        length = int(rng.integers(16, 128))
        sizes = (length, int(rng.integers(4, length)), 64 * int(rng.integers(1, 5)))
        vocab_size, n_layers = 1024 * int(rng.integers(2, 16)), int(rng.integers(1, 6))
        budget = float(rng.uniform(2e12, 9e12))
        cases.append((budget, int(rng.integers(8, 33)), *sizes, n_layers, vocab_size))
    return cases


def _counted(
    budget: float,
    n: int,
    length: int,
    answers: int,
    h: int,
    layers: int,
    size: int,
    *,
    passes: float = 3,
    layer: float = 24,
    pairs: float = 4,
    rounding: Callable[[float], int] = round,
) -> int:
    """The count with some of its parts exchanged; `pairs` is the factor of attention."""
    layered = n * length * layers * (layer * h**2 + pairs * length * h)
    return rounding(budget / (passes * (layered + n * answers * 2 * h * size)))


UPDATES_FOR = Exercise(
    number="04.4",
    title="Equal work for all",
    difficulty=2,
    minutes=12,
    prompt="""
Objectives differ in what an update costs. Write `updates_for(…)`: how many updates of an encoder
with a head may be made with a given number of floating-point operations?

| symbol | variable |
|---|---|
| $C$, operations for the whole training | `budget` |
| $B$, sequences in an update | `n_sequences` |
| $S$, positions of a sequence that the layers process | `length` |
| $A$, positions of a sequence that the head processes | `n_answers` |
| $H$, with $d_\\text{ff} = 4H$ | `d_model` |
| $L$ | `n_layers` |
| $V$ | `vocab_size` |

A multiplication and an addition are two operations. In the forward pass, the layers cost
$L\\,(24H^2 + 4SH)$ for each **position**, the second term being attention to all $S$ positions, and
the head costs $2HV$ for each **answer**. Forward and backward pass together cost three times the
forward pass. Return the number of updates whose cost comes nearest to the budget, an integer.
""",
    hints=(
        "What does one sequence cost forward? It has $S$ positions in the layers and $A$ in the "
        "head.",
        "Multiply by the number of sequences, and by three for both passes. That is one update.",
        "`forward = n_sequences * (length * per_position + n_answers * per_answer)`; then "
        "`round(budget / (3 * forward))`.",
    ),
    solution=updates_for,
    cases=_budget_cases,
    mistakes=(
        Mistake(
            "backward pass forgotten",
            "You count the forward pass only. The backward pass costs twice as much again: each "
            "product of matrices has a gradient for either factor.",
            lambda *a: _counted(*a, passes=1),
        ),
        Mistake(
            "backward pass counted once",
            "You count the backward pass as much as the forward pass. It costs twice that: each "
            "product of matrices has a gradient for either factor.",
            lambda *a: _counted(*a, passes=2),
        ),
        Mistake(
            "the head at every position",
            "You let the head process all positions. It processes those that are asked for; for "
            "masked language modelling that is a small part.",
            lambda c, n, s, a, h, k, v: _counted(c, n, s, s, h, k, v),
        ),
        Mistake(
            "the head forgotten",
            "You count the layers only. With a large vocabulary, the head of a small model costs "
            "more than all its layers.",
            lambda c, n, s, a, h, k, v: _counted(c, n, s, 0, h, k, v),
        ),
        Mistake(
            "the layers at the answers only",
            "You let the layers process only the positions that are asked for. All positions go "
            "through all layers: the answer comes from their context.",
            lambda c, n, s, a, h, k, v: round(
                c / (3 * n * a * (k * (24 * h**2 + 4 * s * h) + 2 * h * v))
            ),
        ),
        Mistake(
            "attention forgotten",
            "The term $4SH$ is missing: each position is compared with all $S$ positions.",
            lambda *a: _counted(*a, pairs=0),
        ),
        Mistake(
            "one position attended to",
            "Your attention term is $4H$ for each position. There are $S$ positions to attend to.",
            lambda c, n, s, a, h, k, v: _counted(c, n, s, a, h, k, v, pairs=4 / s),
        ),
        Mistake(
            "sequences of the batch forgotten",
            "You count one sequence. An update processes `n_sequences` of them.",
            lambda c, n, s, a, h, k, v: _counted(c, 1, s, a, h, k, v),
        ),
        Mistake(
            "only one layer",
            "`n_layers` has no influence on your count.",
            lambda c, n, s, a, h, k, v: _counted(c, n, s, a, h, 1, v),
        ),
        Mistake(
            "a head in every layer",
            "You multiply the cost of the head by the number of layers, too. There is one head, "
            "after the last layer.",
            lambda c, n, s, a, h, k, v: _counted(c, n, s, a * k, h, k, v),
        ),
        Mistake(
            "rounded down",
            "The cost is right, but you round down. Asked is the number that comes nearest.",
            lambda *a: _counted(*a, rounding=math.floor),
        ),
        Mistake(
            "rounded up",
            "The cost is right, but you round up. Asked is the number that comes nearest.",
            lambda *a: _counted(*a, rounding=math.ceil),
        ),
    ),
)

# --- 04.5 -----------------------------------------------------------------------------------------


def bits_per_character(losses: Tensor, labels: Tensor, n_characters: int) -> float:
    """What a causal model needs to write down the text, in bits for each of its characters."""
    nats = losses[labels != -100].sum()
    return float(nats / math.log(2) / n_characters)


def _bits_cases(rng: np.random.Generator) -> list[tuple]:
    small = (
        torch.tensor([[0.5, 2.0, 1.0], [3.0, 0.25, 0.75]]),
        torch.tensor([[7, -100, 9], [6, 8, -100]]),
        10,
    )
    cases: list[tuple] = [small]
    for shape in ((2, 7), (3, 9)):
        losses = torch.tensor(rng.gamma(2.0, 1.5, size=shape)).float()
        labels = torch.tensor(rng.integers(_FIRST, 50, size=shape))
        labels[torch.tensor(rng.random(shape) < 0.3)] = -100
        labels[0, :2] = -100  # rows with unequal numbers of answers
        cases.append((losses, labels, int(3.7 * labels.numel())))
    return cases


def _answered(losses: Tensor, labels: Tensor) -> Tensor:
    return losses[labels != -100]


BITS = Exercise(
    number="04.5",
    title="Bits per character",
    difficulty=2,
    minutes=10,
    prompt="""
The loss of a causal model is a number per *token*, and tokens differ between vocabularies. By the
product rule, however, its losses add up to $-\\ln p(\\text{text})$, and the text is the same for
all. Write `bits_per_character(losses, labels, n_characters)`:

$$ \\frac{1}{N} \\sum_{i\\,:\\ y_i \\text{ asked for}} \\frac{-\\ln p(y_i \\mid y_{<i})}{\\ln 2}. $$

| symbol | variable | shape |
|---|---|---|
| $-\\ln p(y_i \\mid y_{<i})$, in nats | `losses` | (batch, length), floats |
| $y$, and $-100$ where nothing is asked | `labels` | (batch, length), integers |
| $N$, characters of the text that the labels spell | `n_characters` | a number |

Return a Python float. At positions that are not asked for, `losses` holds numbers without meaning.
""",
    hints=(
        "Which losses count? And by what is their sum divided: by the number of tokens, or by "
        "something else?",
        "`losses[labels != -100]` keeps those that count. A nat is $1 / \\ln 2 \\approx 1.44$ "
        "bits.",
        "`losses[labels != -100].sum() / math.log(2) / n_characters`, and `float(…)` around it.",
    ),
    solution=bits_per_character,
    cases=_bits_cases,
    mistakes=(
        Mistake(
            "nats instead of bits",
            "Your result is in nats. Divide by $\\ln 2$.",
            lambda e, y, n: float(_answered(e, y).sum() / n),
        ),
        Mistake(
            "multiplied by ln 2",
            "You multiply by $\\ln 2$. One bit is $\\ln 2$ nats, so the number of bits is the "
            "larger one.",
            lambda e, y, n: float(_answered(e, y).sum() * math.log(2) / n),
        ),
        Mistake(
            "bits per token",
            "You divide by the number of tokens. That cannot be compared with another vocabulary, "
            "whose tokens are longer or shorter.",
            lambda e, y, n: float(_answered(e, y).mean() / math.log(2)),
        ),
        Mistake(
            "mean over tokens divided by the characters",
            "You divide twice: by the number of tokens, as `mean` does, and by the number of "
            "characters. The losses are to be added up.",
            lambda e, y, n: float(_answered(e, y).mean() / math.log(2) / n),
        ),
        Mistake(
            "positions counted that are not asked for",
            "Your sum holds the losses of all positions. Where the label is $-100$, they mean "
            "nothing.",
            lambda e, y, n: float(e.sum() / math.log(2) / n),
        ),
        Mistake(
            "only positions counted that are not asked for",
            "The choice is the wrong way round: you add up the losses where the label is $-100$.",
            lambda e, y, n: float(e[y == -100].sum() / math.log(2) / n),
        ),
        Mistake(
            "bits of the whole text",
            "You have the bits of the whole text. Divide by the number of its characters.",
            lambda e, y, n: float(_answered(e, y).sum() / math.log(2)),
        ),
        Mistake(
            "perplexity",
            "Your result is the perplexity, $e$ to the mean loss: between how many equally likely "
            "tokens the model hesitates. It is a number per token, too.",
            lambda e, y, n: float(_answered(e, y).mean().exp()),
        ),
        Mistake(
            "probabilities added up",
            "You turn losses into probabilities before you add them up. Probabilities of a "
            "sequence are multiplied; their logarithms are added, and the losses are these.",
            lambda e, y, n: float(-torch.log2((-_answered(e, y)).exp().sum()) / n),
        ),
    ),
)

EXERCISES = (NEXT_TOKENS, INFILL, CORRUPT_SPANS, UPDATES_FOR, BITS)
