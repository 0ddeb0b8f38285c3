"""What learners of lesson 04 might write, independently of the checker's own mutants."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from utils.lesson.practice import get_exercise
from utils.pretraining import PackedText, Vocabulary
from utils.pretraining.causal import CausalLanguageModelling
from utils.pretraining.flops import causal_flops

# --- 04.1: inputs and labels of a causal model


def next_by_loop(window, may_ask, *, step=1, ask=None, ignored=-100):
    ask = ask or (lambda seen, wanted: bool(may_ask[wanted]))
    inputs, labels = [], []
    for row in window.tolist():
        inputs.append(row[:-1])
        labels.append(
            [row[i + step] if ask(row[i], row[i + step]) else ignored for i in range(len(row) - 1)]
        )
    return torch.tensor(inputs), torch.tensor(labels)


def next_by_writing(window, may_ask):
    labels = window[:, 1:].clone()
    labels[~may_ask[labels]] = -100
    return window[:, :-1], labels


def next_in_place(window, may_ask):
    """The labels are a view of the window, so the inputs are overwritten as well."""
    labels = window[:, 1:]
    labels[~may_ask[labels]] = -100
    return window[:, :-1], labels


def next_backwards(window, may_ask):
    seen = window[:, :-1]
    return window[:, 1:], torch.where(may_ask[seen], seen, -100)


def next_with_roll(window, may_ask):
    labels = torch.roll(window, -1, 1)
    return window, torch.where(may_ask[labels], labels, -100)


def next_padded(window, may_ask):
    following = F.pad(window[:, 1:], (0, 1), value=0)
    return window, torch.where(may_ask[following], following, torch.tensor(-100))


# --- 04.2: infilling


def infill_from_the_right(tokens, spans, mask_id, *, lost=0, least=0):
    source = list(tokens)
    for start, length in reversed(spans):
        source[start : start + max(least, length) + lost] = [mask_id]
    return source


def infill_from_the_left(tokens, spans, mask_id):
    source = list(tokens)
    for start, length in spans:
        del source[start : start + length]
        source.insert(start, mask_id)
    return source


def infill_by_token(tokens, spans, mask_id, *, masks=lambda length: 1):
    """Asks for every place whether a span begins or covers it."""
    source = []
    for place in range(len(tokens) + 1):
        for start, length in spans:
            if start == place:
                source += [mask_id] * masks(length)
        covered = any(start <= place < start + length for start, length in spans)
        if place < len(tokens) and not covered:
            source.append(tokens[place])
    return source


def infill_without_repeats(tokens, spans, mask_id):
    source = []
    for token in infill_by_token(tokens, spans, mask_id):
        if not (source and token == source[-1] == mask_id):
            source.append(token)
    return source


def infill_until_the_last_span(tokens, spans, mask_id):
    source, done = [], 0
    for start, length in spans:
        source += tokens[done:start]
        source.append(mask_id)
        done = start + length
    return source


def infill_by_slice(tokens, spans, mask_id):
    source = list(tokens)
    for start, length in reversed(spans):
        source[start:length] = [mask_id]
    return source


def infill_after(tokens, spans, mask_id):
    """An empty span's mask comes behind the token at `start`."""
    moved = [(start + (length == 0), length) for start, length in spans]
    return infill_from_the_right(tokens, moved, mask_id)


# --- 04.3: span corruption


def spans_by_token(
    tokens, spans, first, sep, *, number=lambda i: i, head=True, mark=True, close=True, late=False
):
    source, target = [], []
    starts = {start: i for i, (start, _) in enumerate(spans)}
    hidden = {start + k for start, length in spans for k in range(length)}
    last = {start + length - 1: i for i, (start, length) in enumerate(spans)}
    for place, token in enumerate(tokens):
        if place in starts:
            sentinel = first + number(starts[place])
            source += [sentinel] if mark else []
            target += [sentinel] if head and not late else []
        (target if place in hidden else source).append(token)
        if late and place in last:
            target.append(first + number(last[place]))
    return source, target + [sep] * close


def spans_of_single_tokens(tokens, spans, first, sep):
    source, target, n = list(tokens), [], 0
    for start, length in spans:
        for place in range(start, start + length):
            source[place] = first + n
            target += [first + n, tokens[place]]
            n += 1
    return source, [*target, sep]


def spans_closed_by_a_sentinel(tokens, spans, first, sep):
    source, target = spans_by_token(tokens, spans, first, sep)
    return source, [*target[:-1], first + len(spans)]


def spans_as_masks(tokens, spans, first, sep):
    """A sentinel stands for each hidden token, the same within a span."""
    source, target = list(tokens), []
    for i, (start, length) in enumerate(spans):
        source[start : start + length] = [first + i] * length
        target += [first + i, *tokens[start : start + length]]
    return source, [*target, sep]


# --- 04.4: equal FLOPs


def updates_by_parts(
    budget, n, s, a, h, layers, v, *, passes=3.0, nearest=lambda x: int(x + 0.5), factor=1.0,
    head=True, attention=True,
):  # fmt: skip
    projections = 4 * 2 * h * h
    network = 2 * 2 * h * 4 * h
    looking = 2 * 2 * s * h if attention else 0
    stack = layers * (projections + network + looking) * n * s
    scores = n * a * 2 * h * v if head else 0
    return nearest(budget / (factor * passes * (stack + scores)))


def updates_of_an_unfused_network(budget, n, s, a, h, layers, v):
    return updates_by_parts(budget, n, s, a, h, layers, v) // 2


# --- 04.5: bits


def bits_by_loop(losses, labels, n_characters, *, ignored=-100, base=2.0):
    total = 0.0
    for loss, label in zip(losses.flatten().tolist(), labels.flatten().tolist(), strict=True):
        if label != ignored:
            total += loss / math.log(base)
    return total / n_characters


def bits_by_logarithm(losses, labels, n_characters):
    kept = losses.double()[labels >= 0]
    return -torch.log2(torch.exp(-kept)).sum().item() / n_characters


def bits_by_rows(losses, labels, n_characters):
    rows = [row[asked >= 0].mean() for row, asked in zip(losses, labels, strict=True)]
    return float(torch.stack(rows).sum() / math.log(2) / n_characters)


@pytest.mark.parametrize(
    ("number", "learner", "status", "mistake"),
    [
        ("04.1", next_by_loop, "correct", None),
        ("04.1", next_by_writing, "correct", None),
        ("04.1", lambda w, ok: next_by_loop(w, ok, step=0), "mistake", "not shifted"),
        ("04.1", next_backwards, "mistake", "wrong way"),
        ("04.1", lambda w, ok: next_by_loop(w, ok, ask=lambda a, b: True), "mistake", "asked for"),
        (
            "04.1",
            lambda w, ok: next_by_loop(w, ok, ask=lambda a, b: ok[a]),
            "mistake",
            "where the model sees",
        ),
        ("04.1", lambda w, ok: next_by_loop(w, ~ok), "mistake", "only for special"),
        ("04.1", lambda w, ok: next_by_loop(w, ok, ignored=0), "mistake", "0 instead"),
        ("04.1", next_in_place, "mistake", "inputs overwritten"),
        ("04.1", next_with_roll, "mistake", "last token kept"),
        ("04.1", next_padded, "mistake", "last token kept"),
        ("04.1", lambda w, ok: next_by_writing(w, ok)[::-1], "wrong", None),
        ("04.1", lambda w, ok: next_by_writing(w, ok)[1], "wrong", None),
        ("04.1", lambda w, ok: next_by_loop(w, ok, ignored=-1), "wrong", None),
        ("04.1", lambda w, ok: next_by_loop(w, ok, ask=lambda a, b: b != 3), "wrong", None),
        ("04.1", lambda w, ok: (w[:-1], w[1:]), "wrong", None),
        ("04.1", lambda w, ok: w[:, 1:][:, ok], "error", None),
        ("04.2", infill_from_the_right, "correct", None),
        ("04.2", infill_by_token, "correct", None),
        ("04.2", lambda *a: infill_by_token(*a, masks=int), "mistake", "one mask for each token"),
        (
            "04.2",
            lambda *a: infill_by_token(*a, masks=lambda n: n or 1),
            "mistake",
            "and one for an empty",
        ),
        ("04.2", lambda *a: infill_by_token(*a, masks=bool), "mistake", "empty spans left out"),
        ("04.2", lambda *a: infill_by_token(*a, masks=lambda n: 0), "mistake", "no masks"),
        ("04.2", infill_from_the_left, "mistake", "shortened list"),
        ("04.2", infill_without_repeats, "mistake", "touching spans joined"),
        ("04.2", infill_until_the_last_span, "mistake", "the rest is missing"),
        ("04.2", infill_after, "wrong", None),
        ("04.2", infill_by_slice, "mistake", "read as the end"),
        ("04.2", lambda t, s, m: infill_from_the_right(t, s[:1], m), "wrong", None),
        ("04.2", lambda t, s, m: infill_from_the_right(t, s, 0), "wrong", None),
        ("04.2", lambda t, s, m: np.array(infill_by_token(t, s, m)), "wrong", None),
        ("04.2", lambda t, s, m: t[s], "error", None),
        ("04.3", spans_by_token, "correct", None),
        ("04.3", lambda *a: spans_by_token(*a, number=lambda i: 0), "mistake", "same sentinel"),
        ("04.3", spans_of_single_tokens, "mistake", "sentinel for each token"),
        ("04.3", lambda *a: spans_by_token(*a, number=lambda i: -i), "mistake", "downwards"),
        ("04.3", lambda *a: spans_by_token(*a, number=lambda i: i + 1), "mistake", "from one"),
        (
            "04.3",
            lambda t, s, f, e: (spans_by_token(t, s, f, e)[0], [*t, e]),
            "mistake",
            "whole text",
        ),
        ("04.3", lambda *a: spans_by_token(*a, head=False), "mistake", "no sentinels in the tar"),
        ("04.3", lambda *a: spans_by_token(*a, mark=False), "mistake", "no sentinels in the sou"),
        ("04.3", lambda *a: spans_by_token(*a, late=True), "mistake", "behind their tokens"),
        ("04.3", lambda *a: spans_by_token(*a, close=False), "mistake", "[SEP] missing"),
        (
            "04.3",
            lambda *a: (spans_by_token(*a)[0] + [a[3]], spans_by_token(*a)[1]),
            "mistake",
            "end of the source",
        ),
        ("04.3", lambda *a: spans_by_token(*a)[::-1], "mistake", "exchanged"),
        ("04.3", spans_closed_by_a_sentinel, "wrong", None),
        ("04.3", spans_as_masks, "wrong", None),
        ("04.3", lambda *a: spans_by_token(*a, number=lambda i: 2 * i), "wrong", None),
        ("04.3", lambda *a: spans_by_token(*a)[0], "wrong", None),
        ("04.3", lambda t, s, f, e: t[len(t)], "error", None),
        ("04.4", updates_by_parts, "correct", None),
        ("04.4", lambda *a: updates_by_parts(*a, passes=1), "mistake", "pass forgotten"),
        ("04.4", lambda *a: updates_by_parts(*a, passes=2), "mistake", "pass counted once"),
        ("04.4", lambda *a: updates_by_parts(*a[:3], a[2], *a[4:]), "mistake", "at every pos"),
        ("04.4", lambda *a: updates_by_parts(*a, head=False), "mistake", "head forgotten"),
        ("04.4", lambda *a: updates_by_parts(*a, attention=False), "mistake", "attention forg"),
        ("04.4", lambda *a: updates_by_parts(a[0], 1, *a[2:]), "mistake", "of the batch"),
        ("04.4", lambda *a: updates_by_parts(*a[:5], 1, a[6]), "mistake", "only one layer"),
        ("04.4", lambda *a: updates_by_parts(*a, nearest=int), "mistake", "rounded down"),
        ("04.4", lambda *a: updates_by_parts(*a, nearest=lambda x: -int(-x // 1)), "mistake", "up"),
        ("04.4", lambda *a: updates_by_parts(*a, factor=0.5), "wrong", None),
        ("04.4", lambda *a: updates_by_parts(*a, nearest=float), "wrong", None),
        ("04.4", updates_of_an_unfused_network, "wrong", None),
        ("04.4", lambda *a: updates_by_parts(*a, passes=4), "wrong", None),
        ("04.4", lambda *a: updates_by_parts(*a, passes=0), "error", None),
        ("04.5", bits_by_loop, "correct", None),
        ("04.5", bits_by_logarithm, "correct", None),
        ("04.5", lambda *a: bits_by_loop(*a, base=math.e), "mistake", "nats instead"),
        ("04.5", lambda *a: bits_by_loop(*a, base=math.e) * math.log(2), "mistake", "multiplied"),
        ("04.5", lambda e, y, n: bits_by_loop(e, y, int((y > 0).sum())), "mistake", "per token"),
        (
            "04.5",
            lambda e, y, n: bits_by_loop(e, y, n * int((y > 0).sum())),
            "mistake",
            "divided by the characters",
        ),
        ("04.5", lambda *a: bits_by_loop(*a, ignored=None), "mistake", "that are not asked for"),
        ("04.5", lambda e, y, n: bits_by_loop(e, y, 1), "mistake", "whole text"),
        (
            "04.5",
            lambda e, y, n: 2 ** bits_by_loop(e, y, int((y > 0).sum())),
            "mistake",
            "perplexity",
        ),
        ("04.5", bits_by_rows, "wrong", None),
        ("04.5", lambda *a: bits_by_loop(*a, base=10), "wrong", None),
        ("04.5", lambda e, y, n: bits_by_loop(e, y, y.numel()), "wrong", None),
        ("04.5", lambda *a: torch.tensor(bits_by_loop(*a)), "wrong", None),
        ("04.5", lambda e, y, n: bits_by_loop(e, y, 0), "error", None),
    ],
)  # fmt: skip
def test_what_learners_might_write(
    number: str, learner: Callable, status: str, mistake: str | None, diagnosed: Callable
) -> None:
    diagnosed(number, learner, status, mistake)


def test_the_answers_are_those_of_the_lessons_own_objective() -> None:
    maskable = torch.arange(30) >= 5
    vocabulary = Vocabulary(30, 4, 2, 3, 5, maskable, torch.zeros(30).bool())
    torch.manual_seed(0)
    tokens = torch.randint(1, 30, (9,), dtype=torch.int32)
    text = PackedText(tokens, torch.tensor([0, 9]), torch.zeros(1).long())
    drawn = CausalLanguageModelling(text, vocabulary, 9).draw(1)  # only one place fits
    window = torch.cat([torch.tensor([[2]]), tokens[None].long()], dim=1)
    input_ids, labels = get_exercise("04.1").solution(window, maskable)
    assert input_ids.equal(drawn.input_ids)
    assert labels.equal(drawn.labels)


def test_infilling_and_spans_on_the_examples_of_their_tasks() -> None:
    infill = get_exercise("04.2").solution
    assert infill([10, 11, 12, 13, 14, 15], [(2, 3)], 4) == [10, 11, 4, 15]
    assert infill([10, 11, 12], [(2, 0)], 4) == [10, 11, 4, 12]
    thank, you, for_, inviting, me = range(10, 15)
    source, target = get_exercise("04.3").solution(
        [thank, you, for_, inviting, me], [(2, 2)], 90, 3
    )
    assert source == [thank, you, 90, me]
    assert target == [90, for_, inviting, 3]


def test_arguments_are_left_as_they_are() -> None:
    for number in ("04.2", "04.3"):
        exercise = get_exercise(number)
        for arguments in exercise.cases(np.random.default_rng(0)):
            before = repr(arguments)
            exercise.solution(*arguments)
            assert repr(arguments) == before


def test_updates_by_the_lessons_own_formula() -> None:
    from utils.transformer import TransformerConfig

    exercise = get_exercise("04.4")
    for budget, n, length, _, h, n_layers, size in exercise.cases(np.random.default_rng(0)):
        config = TransformerConfig(vocab_size=size, d_model=h, n_layers=n_layers, d_ff=4 * h)
        cost = 3 * causal_flops(config, n, length)
        found = exercise.solution(budget, n, length, length, h, n_layers, size)
        assert abs(found * cost - budget) <= cost / 2


def test_bits_that_can_be_followed_by_hand() -> None:
    exercise = get_exercise("04.5")
    arguments = exercise.cases(np.random.default_rng(0))[0]
    # Asked for: 0.5, 1.0, 3.0 and 0.25, together 4.75 nats for ten characters.
    assert exercise.solution(*arguments) == pytest.approx(4.75 / 0.693147 / 10, abs=1e-5)


@pytest.mark.parametrize("number", [f"04.{i}" for i in range(1, 6)])
def test_what_stands_in_the_notebook_untouched_counts_as_not_attempted(
    number: str, diagnosed: Callable
) -> None:
    def untouched(*arguments):
        return ...

    diagnosed(number, untouched, "not attempted", None)
