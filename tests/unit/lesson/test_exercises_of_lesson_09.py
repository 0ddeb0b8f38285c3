"""What learners of lesson 09 might write, independently of the checker's own mutants."""

from collections.abc import Callable

import numpy as np
import pytest
from transformers import AutoTokenizer

from utils import sources
from utils.lesson.practice import get_exercise
from utils.lesson.threshold import threshold_curve
from utils.squad_scores import token_f1
from utils.tasks.spans import best_positions, make_windows

# --- 09.1: from characters to tokens


def span_by_characters(offsets, start, end, *, last_of=max, require=True, shift=0):
    """Looks up the token of each character of the answer."""
    owner = {c: i for i, (a, b) in enumerate(offsets) for c in range(a, b)}
    found = [owner[c] for c in range(start, end) if c in owner]
    complete = start in owner and end - 1 in owner
    if not found or (require and not complete):
        return (0, 0)
    return min(found), last_of(found) + shift


def span_by_loops(offsets, start, end):
    """Walks from the left and from the right, as the documentation of the library shows it."""
    i = next((i for i, (a, b) in enumerate(offsets) if b > a), 0)
    if offsets[i][0] > start or offsets[-1][1] < end:
        return 0, 0
    first = i
    while first < len(offsets) and offsets[first][1] <= start:
        first += 1
    last = len(offsets) - 1
    while last >= i and offsets[last][0] >= end:
        last -= 1
    return (first, last) if first <= last else (0, 0)


def span_at_borders(offsets, start, end):
    starts, ends = {a: i for i, (a, _) in enumerate(offsets)}, {}
    for i, (_, b) in enumerate(offsets):
        ends[b] = i
    return (starts[start], ends[end]) if start in starts and end in ends else (0, 0)


def span_in_context(offsets, start, end):
    question = offsets.count((0, 0))
    first, last = span_by_characters(offsets, start, end)
    return (first - question, last - question) if last else (0, 0)


# --- 09.2: windows


def windows_by_range(n, room, stride, *, step=None):
    step = step or room - stride
    k = 0 if n <= room else -(-(n - room) // step)
    return [(i * step, min(i * step + room, n)) for i in range(k + 1)]


def windows_by_recursion(n, room, stride, start=0):
    if start + room >= n:
        return [(start, n)]
    return [(start, start + room), *windows_by_recursion(n, room, stride, start + room - stride)]


def windows_to_the_last_token(n, room, stride):
    return [(s, min(s + room, n)) for s in range(0, n, room - stride)]


# --- 09.3: the best legal span


def span_by_matrix(starts, ends, first, longest, *, low=0, more=0):
    table = starts[:, None] + ends[None, :]
    s, e = np.indices(table.shape)
    legal = (s >= first) & (e - s >= low) & (e - s < longest + more)
    flat = np.where(legal, table, -np.inf).argmax()
    return tuple(int(i) for i in np.unravel_index(flat, table.shape))


def span_from_the_end(starts, ends, first, longest):
    e = first + int(ends[first:].argmax())
    low = max(first, e - longest + 1)
    return low + int(starts[low : e + 1].argmax()), e


# --- 09.4: F1


def f1_by_crossing_off(answer, references, *, choose=max, mean=None):
    def one(reference):
        left, shared = list(reference), 0
        for word in answer:
            if word in left:
                left.remove(word)
                shared += 1
        p, r = shared / len(answer), shared / len(reference)
        if mean is not None:
            return mean(p, r)
        return 2 * p * r / (p + r) if shared else 0.0

    return choose([one(reference) for reference in references])


# --- 09.5: threshold


def threshold_for_answerable(margins, f1, answerable):
    def mean(threshold):
        scores = np.where(margins > threshold, ~answerable, f1)
        return scores[answerable].mean() if answerable.any() else 0.0

    return max(sorted(margins.tolist()), key=mean)


def threshold_by_loop(margins, f1, answerable, *, silent=lambda m, t: m > t, right=1.0, of=None):
    best, chosen = -1.0, None
    for t in sorted(margins):
        total, n = 0.0, 0
        for m, score, has in zip(margins, f1, answerable, strict=True):
            is_silent = silent(m, t)
            if of == "answered" and is_silent:
                continue
            total += (0.0 if has else right) if is_silent else score
            n += 1
        if n and total / n > best + 1e-12:
            best, chosen = total / n, t
    return float(chosen) if chosen is not None else float(min(margins))


def threshold_last_of_equals(margins, f1, answerable):
    points = threshold_curve(margins, f1, answerable)[1:]
    return max(reversed(points), key=lambda point: point["f1"])["threshold"]


def span_that_touches(offsets, start, end):
    """`[CLS]` at (0, 0) seems to share a character with an answer at the very beginning."""
    inside = [
        i
        for i, (a, b) in enumerate(offsets)
        if a <= start < b or a < end <= b or (start <= a and b <= end)
    ]
    if not inside or offsets[inside[0]][0] > start or offsets[inside[-1]][1] < end:
        return 0, 0
    return inside[0], inside[-1]


def windows_without_the_short(n_tokens, room, stride):
    """A context that is shorter than the overlap has no window at all."""
    starts = range(0, n_tokens - stride, room - stride)
    return [(start, min(start + room, n_tokens)) for start in starts]


def span_above_zero(starts, ends, first, longest):
    """Log-probabilities never rise above a best score that begins at 0."""
    best, span = 0.0, (first, first)
    for s in range(first, len(starts)):
        for e in range(s, min(s + longest, len(ends))):
            if starts[s] + ends[e] > best:
                best, span = starts[s] + ends[e], (s, e)
    return span


def first_best_threshold(margins, f1, answerable):
    """Of several equally good ones the one that comes first, and not the lowest."""
    scores = [np.where(margins > t, ~answerable, f1).mean() for t in margins]
    return float(margins[int(np.argmax(scores))])


@pytest.mark.parametrize(
    ("number", "learner", "status", "mistake"),
    [
        ("09.1", span_by_characters, "correct", None),
        ("09.1", span_by_loops, "correct", None),
        ("09.1", span_at_borders, "mistake", "fit exactly"),
        ("09.1", lambda *a: span_by_characters(*a, require=False), "mistake", "cut answers"),
        ("09.1", span_in_context, "mistake", "counted from the context"),
        (
            "09.1",
            lambda *a: (s := span_by_characters(*a)) and (s[0], s[1] + bool(s[1])),
            "mistake",
            "end not included",
        ),
        ("09.1", lambda *a: span_by_characters(*a, last_of=min), "wrong", None),
        ("09.1", lambda o, a, b: span_by_characters(o, a, b)[::-1], "wrong", None),
        ("09.1", lambda o, a, b: o[b], "error", None),
        ("09.1", span_that_touches, "wrong", None),
        ("09.2", windows_without_the_short, "wrong", None),
        ("09.3", span_above_zero, "wrong", None),
        ("09.5", first_best_threshold, "wrong", None),
        ("09.2", windows_by_range, "correct", None),
        ("09.2", windows_by_recursion, "correct", None),
        ("09.2", lambda n, room, stride: windows_by_range(n, room, 0), "mistake", "no overlap"),
        (
            "09.2",
            lambda n, room, stride: windows_by_range(n, room, stride, step=stride),
            "mistake",
            "stride taken",
        ),
        ("09.2", windows_to_the_last_token, "mistake", "too many"),
        (
            "09.2",
            lambda *a: [(s, s + a[1]) for s, _ in windows_by_recursion(*a)],
            "mistake",
            "beyond the context",
        ),
        (
            "09.2",
            lambda n, *a: [*windows_by_range(n, *a)[:-1], (max(0, n - a[0]), n)],
            "mistake",
            "pulled back",
        ),
        ("09.2", lambda *a: windows_by_range(*a)[:-1], "wrong", None),
        ("09.2", lambda *a: [(s, e - 1) for s, e in windows_by_range(*a)], "wrong", None),
        ("09.2", lambda n, room, stride: range(0, n, stride - stride), "error", None),
        ("09.3", span_by_matrix, "correct", None),
        ("09.3", lambda *a: best_positions(*a[:3], len(a[0]) - 1, 1, a[3])[0][:2], "correct", None),
        ("09.3", lambda s, e, f, n: span_by_matrix(s, e, 0, n), "mistake", "question not excl"),
        ("09.3", lambda s, e, f, n: span_by_matrix(s, e, f, 99), "mistake", "no limit"),
        ("09.3", lambda *a: span_by_matrix(*a, more=1), "mistake", "too long"),
        ("09.3", lambda *a: span_by_matrix(*a, more=-1), "mistake", "too short"),
        ("09.3", lambda s, e, f, n: (int(np.argmax(s)), int(np.argmax(e))), "mistake", "maxima"),
        ("09.3", span_from_the_end, "wrong", None),
        ("09.3", lambda *a: span_by_matrix(*a, low=1), "wrong", None),
        ("09.3", lambda s, e, f, n: s[e], "error", None),
        ("09.4", f1_by_crossing_off, "correct", None),
        ("09.4", lambda a, r: token_f1(" ".join(a), [" ".join(x) for x in r]), "correct", None),
        ("09.4", lambda a, r: f1_by_crossing_off(a, r, mean=lambda p, _: p), "mistake", "precis"),
        ("09.4", lambda a, r: f1_by_crossing_off(a, r, mean=lambda _, r: r), "mistake", "recall"),
        (
            "09.4",
            lambda a, r: f1_by_crossing_off(a, r, mean=lambda p, r: (p + r) / 2),
            "mistake",
            "arithmetic",
        ),
        ("09.4", lambda a, r: f1_by_crossing_off(a, r[:1]), "mistake", "first reference"),
        ("09.4", lambda a, r: f1_by_crossing_off(a, r, choose=np.mean), "mistake", "mean over"),
        (
            "09.4",
            lambda a, r: f1_by_crossing_off(list(set(a)), [list(set(x)) for x in r]),
            "mistake",
            "sets",
        ),
        ("09.4", lambda a, r: 1.0 if a in r else 0.0, "mistake", "exact"),
        ("09.4", lambda a, r: f1_by_crossing_off(a, r, choose=min), "wrong", None),
        ("09.4", lambda a, r: f1_by_crossing_off(a, r, mean=lambda p, q: p * q), "wrong", None),
        ("09.4", lambda a, r: a[len(a)], "error", None),
        ("09.5", threshold_by_loop, "correct", None),
        ("09.5", lambda *a: threshold_by_loop(*a, silent=lambda m, t: m < t), "mistake", "round"),
        ("09.5", lambda *a: threshold_by_loop(*a, right=0.0), "mistake", "earns nothing"),
        ("09.5", threshold_for_answerable, "mistake", "earns nothing"),
        ("09.5", lambda *a: threshold_by_loop(*a, of="answered"), "mistake", "only what is ans"),
        (
            "09.5",
            lambda *a: threshold_by_loop(*a, silent=lambda m, t: m >= t),
            "mistake",
            "threshold itself",
        ),
        (
            "09.5",
            lambda *a: max(p["f1"] for p in threshold_curve(*a)[1:]),
            "mistake",
            "score returned",
        ),
        ("09.5", lambda m, f, a: 0.0, "wrong", None),
        ("09.5", lambda m, f, a: float(np.median(m)), "wrong", None),
        ("09.5", lambda m, f, a: m[a.sum() + len(m)], "error", None),
    ],
)
def test_what_learners_might_write(
    number: str, learner: Callable, status: str, mistake: str | None, diagnosed: Callable
) -> None:
    diagnosed(number, learner, status, mistake)


def test_ties_go_to_the_lowest_threshold() -> None:
    solution = get_exercise("09.5").solution
    margins, f1 = np.array([-1.0, 0.0, 1.0]), np.array([1.0, 0.0, 0.0])
    answerable = np.array([True, True, True])  # silence on the last two loses nothing
    assert solution(margins, f1, answerable) == -1
    assert threshold_last_of_equals(margins, f1, answerable) == 1


def test_spans_and_windows_are_those_of_the_lessons_own_code() -> None:
    tokenizer = AutoTokenizer.from_pretrained(sources.model_path(sources.MINILM)[0])
    context = " ".join(f"In {year} the mill at Tarnholt burned." for year in range(1700, 1712))
    start = context.index("1707")
    found = make_windows(tokenizer, ["When?"], [context], 48, [(start, start + 4)])
    n_tokens = len(tokenizer(context, add_special_tokens=False)["input_ids"])
    room = 48 - 3 - len(tokenizer("When?", add_special_tokens=False)["input_ids"])
    windows = get_exercise("09.2").solution(n_tokens, room, 16)
    assert [len(window.offsets) for window in found] == [b - a for a, b in windows]
    span_of = get_exercise("09.1").solution
    for window in found:
        offsets = [(0, 0)] * window.first + [tuple(row) for row in window.offsets.tolist()]
        assert span_of(offsets, start, start + 4) == (window.start, window.end)


def test_the_curve_of_thresholds_by_hand() -> None:
    margins, f1 = np.array([-2.0, -1.0, 1.0]), np.array([1.0, 0.0, 0.5])
    points = threshold_curve(margins, f1, np.array([True, False, True]))
    assert [point["answered"] for point in points] == pytest.approx([0, 1 / 3, 2 / 3, 1])
    assert [point["precision"] for point in points] == pytest.approx([1, 1, 0.5, 0.5])
    assert [point["recall"] for point in points] == pytest.approx([0, 0.5, 0.5, 0.75])
    assert [point["f1"] for point in points] == pytest.approx([1 / 3, 2 / 3, 1 / 3, 0.5])


@pytest.mark.parametrize("number", [f"09.{i}" for i in range(1, 6)])
def test_what_stands_in_the_notebook_untouched_counts_as_not_attempted(
    number: str, diagnosed: Callable
) -> None:
    def untouched(*arguments):
        return ...

    diagnosed(number, untouched, "not attempted", None)
