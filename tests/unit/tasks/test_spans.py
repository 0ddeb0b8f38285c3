"""Spans: offsets proven on generated contexts, windows, and decoding against a full search."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from utils import sources
from utils.tasks.spans import Window, best_positions, decode, log_softmax, make_windows

TOKENIZER = AutoTokenizer.from_pretrained(sources.model_path(sources.MINILM)[0])

WORDS = ["Tarnholt", "1741", "the", "mill", "Zürich", "co-operate", "naïve", "unbelievably", "São",
         "a", "(north)", "€5.50", "don't", "第三", "🙂", "كتاب", "x"]  # fmt: skip
contexts = st.lists(st.sampled_from(WORDS), min_size=3, max_size=60)


@st.composite
def questions(draw: st.DrawFn) -> tuple[str, int, int]:
    """A context, and where an answer of whole words begins and ends in it."""
    words = draw(contexts)
    first = draw(st.integers(0, len(words) - 1))
    last = draw(st.integers(first, min(first + 4, len(words) - 1)))
    space = draw(st.sampled_from([" ", "  ", "\n"]))
    begins = np.cumsum([0, *(len(word) + len(space) for word in words)])
    return space.join(words), int(begins[first]), int(begins[last] + len(words[last]))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(questions(), st.integers(32, 96))
def test_the_span_of_an_answer_gives_back_its_text(case: tuple[str, int, int], length: int) -> None:
    context, start, end = case
    windows = make_windows(TOKENIZER, ["Which mill?"], [context], length, [(start, end)])
    held = [window for window in windows if window.start]
    answer = TOKENIZER(context[start:end], add_special_tokens=False)["input_ids"]
    if len(answer) <= length // 3:  # what windows share holds it
        assert held
    for window in held:
        a, b = window.characters(window.start, window.end)
        assert context[a:b] == context[start:end]
        assert window.input_ids[window.start : window.end + 1].tolist() == answer


@settings(max_examples=40, deadline=None)
@given(contexts, st.integers(30, 90))
def test_windows_cover_the_context_and_overlap_by_a_third(words: list[str], length: int) -> None:
    context = " ".join(words)
    whole = TOKENIZER(context, add_special_tokens=False, return_offsets_mapping=True)
    windows = make_windows(TOKENIZER, ["Who?"], [context], length)
    seen = [list(map(tuple, window.offsets.tolist())) for window in windows]
    together = list(seen[0])
    for before, after in pairwise(seen):
        assert before[-(length // 3) :] == after[: length // 3]
        together += after[length // 3 :]
    assert together == whole["offset_mapping"]
    assert all(len(window.input_ids) <= length for window in windows)


def test_an_answer_inside_a_token_is_found_and_one_that_is_cut_is_not() -> None:
    context = "He paid 50 crowns."
    (window,) = make_windows(TOKENIZER, ["How much?"], [context], 32, [(8, 9)])
    assert context[slice(*window.characters(window.start, window.end))] == "50"
    long = " ".join(["word"] * 60)
    windows = make_windows(TOKENIZER, ["What?"], [long], 30, [(0, 5 * 25)])
    assert [window.start for window in windows] == [0] * len(windows)
    assert len(windows) > 2


def test_a_long_question_leaves_room_for_the_context() -> None:
    windows = make_windows(TOKENIZER, ["why " * 500], ["The mill burned."], 48, [(4, 8)])
    assert len(windows) == 1
    assert windows[0].first == 1 + 16 + 1
    assert windows[0].start == windows[0].first + 1


def test_questions_without_an_answer_point_at_cls() -> None:
    (window,) = make_windows(TOKENIZER, ["Who?"], ["The mill burned."], 48, [None])
    assert (window.start, window.end) == (0, 0)
    allowed = np.flatnonzero(window.may_answer())
    assert allowed.tolist() == [0, *range(window.first, len(window.input_ids) - 1)]


def full_search(starts, ends, first, last, longest):
    """All legal spans, best first."""
    spans = [
        (starts[s] + ends[e], s, e)
        for s in range(first, last + 1)
        for e in range(s, last + 1)
        if e - s + 1 <= longest
    ]
    return [(s, e, score) for score, s, e in sorted(spans, key=lambda x: (-x[0], x[1], x[2]))]


@pytest.mark.parametrize("seed", range(30))
def test_best_positions_are_those_of_a_full_search(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(6, 25))
    starts, ends = rng.normal(size=(2, n))
    first = int(rng.integers(1, n - 1))
    last = int(rng.integers(first, n))
    longest, n_best = int(rng.integers(1, 8)), int(rng.integers(1, 12))
    found = best_positions(starts, ends, first, last, n_best, longest)
    expected = full_search(starts, ends, first, last, longest)[:n_best]
    assert [span[:2] for span in found] == [span[:2] for span in expected]
    np.testing.assert_allclose([x[2] for x in found], [x[2] for x in expected])


def window_at(offsets: list[tuple[int, int]]) -> Window:
    """Two tokens of question and marks, then tokens at these offsets, then one mark."""
    n = len(offsets) + 3
    return Window(0, np.zeros(n, int), np.zeros(n, int), 2, np.array(offsets))


def test_windows_are_compared_by_probability_and_shared_spans_count_once() -> None:
    context = "aa bb cc"
    one, two = window_at([(0, 2), (3, 5)]), window_at([(3, 5), (6, 8)])
    # The first window is all but sure of "bb"; the second has higher scores and is undecided.
    sure = np.array([[0, 0, 0, 9.0, 0], [0, 0, 0, 9.0, 0]])
    undecided = np.array([[20, 0, 20, 20.0, 0], [20, 0, 20, 20.0, 0]])
    spans, no_answer = decode([one, two], [sure, undecided], context)
    assert spans[0].text == "bb"
    assert (spans[0].start, spans[0].end) == (3, 5)
    assert spans[0].score > -0.01
    assert len({(span.start, span.end) for span in spans}) == len(spans)
    # All windows must agree that nothing answers: the sure one decides.
    allowed = one.may_answer()
    expected = sum(log_softmax(row, allowed)[0] for row in sure)
    assert no_answer == pytest.approx(expected)
    assert no_answer == pytest.approx(2 * -np.log(np.exp(9) + 2), abs=1e-6)


def test_a_context_without_tokens_has_no_span() -> None:
    (window,) = make_windows(TOKENIZER, ["Who?"], ["\u200b"], 32)
    spans, no_answer = decode([window], [np.zeros((2, len(window.input_ids)))], "\u200b")
    assert spans == []
    assert no_answer == 0
