"""Exercises of lesson 09: spans from offsets, windows, legal spans, F1 of words, a threshold."""

from collections import Counter
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from utils.lesson.exercise import Exercise, Mistake

Place = tuple[int, int]
Score = Callable[[float], float]

# --- 09.1 -----------------------------------------------------------------------------------------


def span_of(offsets: list[Place], start: int, end: int) -> Place:
    """First and last token that hold a character of the answer; (0, 0) if it is not all here."""
    inside = [i for i, (a, b) in enumerate(offsets) if a < end and b > start]
    if not inside or offsets[inside[0]][0] > start or offsets[inside[-1]][1] < end:
        return 0, 0
    return inside[0], inside[-1]


# [CLS] and the question are at (0, 0); the context of the first case is "in Oslo, since 1905".
_OSLO = [(0, 0), (0, 0), (0, 2), (3, 7), (7, 8), (9, 14), (15, 19)]


def _offset_cases(rng: np.random.Generator) -> list[tuple]:
    cases: list[tuple] = [
        (_OSLO, 3, 7),  # one token
        (_OSLO, 9, 19),  # two tokens, the last one included
        (_OSLO, 16, 18),  # inside one token
        (_OSLO, 12, 25),  # goes on behind the window
        (_OSLO, 30, 34),  # in another window
        (_OSLO, 3, 14),
        (_OSLO, 0, 2),  # at the very beginning, where (0, 0) may be mistaken for a token
    ]
    for _ in range(3):
        lengths, gaps = rng.integers(2, 6, size=9), rng.integers(1, 3, size=9)
        begins = 40 + np.cumsum(lengths + gaps) - lengths
        places = [(int(a), int(a + n)) for a, n in zip(begins, lengths, strict=True)]
        first, last = sorted(rng.integers(0, 9, size=2).tolist())
        cases.append(([(0, 0)] * 4 + places, places[first][0], places[last][1]))
        cases.append(([(0, 0)] * 4 + places, places[0][0] - 9, places[2][1]))  # began before
    return cases


def _span(
    offsets: list[Place], start: int, end: int, *, whole: bool = True, more: int = 0, skip: int = 0
) -> Place:
    inside = [i for i, (a, b) in enumerate(offsets) if a < end and b > start]
    if not inside:
        return 0, 0
    cut = offsets[inside[0]][0] > start or offsets[inside[-1]][1] < end
    if whole and cut:
        return 0, 0
    return inside[0] - skip, inside[-1] - skip + more


def _only_exact(offsets: list[Place], start: int, end: int) -> Place:
    begins = {a: i for i, (a, _) in enumerate(offsets)}  # of (0, 0) and (0, 2) the latter
    ends = {b: i for i, (_, b) in enumerate(offsets)}
    return (begins[start], ends[end]) if start in begins and end in ends else (0, 0)


def _touching(offsets: list[Place], start: int, end: int) -> Place:
    inside = [i for i, (a, b) in enumerate(offsets) if a <= end and b >= start and b > 0]
    if not inside or offsets[inside[0]][0] > start or offsets[inside[-1]][1] < end:
        return 0, 0
    return inside[0], inside[-1]


SPAN_OF = Exercise(
    number="09.1",
    title="From characters to tokens",
    difficulty=2,
    minutes=12,
    prompt="""
A data set says at which *characters* of the context an answer stands; a model chooses *tokens*.
Write `span_of(offsets, start, end)`:

| argument | meaning |
|---|---|
| `offsets` | for each position of a window, (first character, one after its last) of its token |
| `start`, `end` | first character of the answer, and the one after its last |
| result | positions of the first and of the last token of the answer, both included |

`[CLS]` and the question have the offsets (0, 0), and so no characters. A token belongs to the
answer if it has at least one character of it. Where the window does not hold the **whole** answer,
the result is `(0, 0)`, the position of `[CLS]`. The answer may begin or end in the middle of a
token.
""",
    hints=(
        "When do two stretches of characters, `(a, b)` and `(start, end)`, share a character?",
        "They do if `a < end` and `b > start`. List the positions for which that is so.",
        "Take the first and the last of them. Compare where the one begins with `start` and "
        "where the other ends with `end`, to see whether the answer goes beyond the window.",
    ),
    solution=span_of,
    cases=_offset_cases,
    mistakes=(
        Mistake(
            "end not included",
            "Your last position is one too far. The characters are given with the one *after* the "
            "last; the positions asked for include the last token.",
            lambda o, a, b: (0, 0) if _span(o, a, b) == (0, 0) else _span(o, a, b, more=1),
        ),
        Mistake(
            "cut answers kept",
            "Where the answer goes on outside the window, you return the part that is inside. The "
            "model would learn to give half answers; such a window has no answer.",
            lambda o, a, b: _span(o, a, b, whole=False),
        ),
        Mistake(
            "tokens must fit exactly",
            "You look for a token that begins at `start` and one that ends at `end`. An answer "
            "such as *5* in *50* stands inside a token, and it has to be found as well.",
            _only_exact,
        ),
        Mistake(
            "neighbours that only touch",
            "A token that ends where the answer begins, or begins where it ends, shares no "
            "character with it: compare with `<` and `>`, not with `<=` and `>=`.",
            _touching,
        ),
        Mistake(
            "counted from the context",
            "Your positions count from the first token of the context. The logits of the model "
            "begin with `[CLS]`.",
            lambda o, a, b: (
                (0, 0)
                if _span(o, a, b) == (0, 0)
                else _span(o, a, b, skip=sum(place == (0, 0) for place in o))
            ),
        ),
    ),
)

# --- 09.2 -----------------------------------------------------------------------------------------


def windows_over(n_tokens: int, room: int, stride: int) -> list[Place]:
    """First token of each window and the one after its last."""
    windows, start = [], 0
    while True:
        windows.append((start, min(start + room, n_tokens)))
        if start + room >= n_tokens:
            return windows
        start += room - stride


def _window_cases(rng: np.random.Generator) -> list[tuple]:
    cases: list[tuple] = [(10, 6, 2), (5, 6, 2), (6, 6, 2), (14, 6, 2), (7, 6, 5), (400, 365, 128)]
    cases.append((2, 6, 2))  # shorter than the overlap: still one window
    for _ in range(5):
        room = int(rng.integers(20, 80))
        cases.append((int(rng.integers(room, 6 * room)), room, int(rng.integers(3, room // 2))))
    return cases


def _every(n: int, room: int, step: int, *, last: int | None = None) -> list[Place]:
    return [(s, min(s + room, n)) for s in range(0, n if last is None else max(last, 1), step)]


def _pulled_back(n: int, room: int, stride: int) -> list[Place]:
    windows = windows_over(n, room, stride)
    return [*windows[:-1], (max(0, n - room), n)]


WINDOWS_OVER = Exercise(
    number="09.2",
    title="Windows over a long context",
    difficulty=1,
    minutes=8,
    prompt="""
Write `windows_over(n_tokens, room, stride)`: a context of `n_tokens` tokens is to be read in
windows with `room` for that many of its tokens. Neighbouring windows **share** `stride` tokens:
this is what the libraries call stride, though the word suggests the step. Return the list of
`(first token, one after the last)`.

The last window is the first one that reaches the end; it may be shorter than the others. For 10
tokens, room for 6 and stride 2: `[(0, 6), (4, 10)]`.
""",
    hints=(
        "If neighbours share `stride` tokens, how far apart do they begin?",
        "They begin `room - stride` apart. Stop after the first window that reaches `n_tokens`.",
        "`while True:` append `(start, min(start + room, n_tokens))`, return if "
        "`start + room >= n_tokens`, else `start += room - stride`.",
    ),
    solution=windows_over,
    cases=_window_cases,
    mistakes=(
        Mistake(
            "stride taken for the step",
            "Your windows begin `stride` tokens apart. In the tokenizers of the library, the "
            "stride is what neighbours *share*.",
            lambda n, room, stride: _every(n, room, stride, last=n - room + stride),
        ),
        Mistake(
            "no overlap",
            "Your windows share nothing. An answer that lies across a border is then in none of "
            "them.",
            lambda n, room, stride: _every(n, room, room),
        ),
        Mistake(
            "a window too many",
            "You go on after a window has reached the end. What follows holds nothing new.",
            lambda n, room, stride: _every(n, room, room - stride),
        ),
        Mistake(
            "the end left out",
            "You keep full windows only, so that the last tokens of the context are never read.",
            lambda n, room, stride: (
                [w for w in windows_over(n, room, stride) if w[1] - w[0] == room] or [(0, n)]
            ),
        ),
        Mistake(
            "last window pulled back",
            "Your last window is filled up from the left. That is a fair choice, but here it "
            "begins where the step puts it and may be shorter.",
            _pulled_back,
        ),
        Mistake(
            "ends beyond the context",
            "Your last window ends behind the last token of the context.",
            lambda n, room, stride: [(s, s + room) for s, _ in windows_over(n, room, stride)],
        ),
    ),
)

# --- 09.3 -----------------------------------------------------------------------------------------


def best_span(
    starts: NDArray[np.float64], ends: NDArray[np.float64], first: int, longest: int
) -> Place:
    """The legal span with the highest sum of scores."""
    legal = [
        (s, e) for s in range(first, len(starts)) for e in range(s, min(s + longest, len(ends)))
    ]
    return max(legal, key=lambda span: starts[span[0]] + ends[span[1]])


def _score_cases(rng: np.random.Generator) -> list[tuple]:
    cases: list[tuple] = [
        # The best start, 5, comes after the best end, 3.
        (np.array([0.0, 0, 1, 2, 0, 5]), np.array([0.0, 0, 1, 6, 2, 1]), 2, 4),
        # The best pair begins in the question.
        (np.array([0.0, 9, 1, 2, 0, 1]), np.array([0.0, 0, 1, 1, 7, 1]), 2, 4),
        # The best pair is too long by one token.
        (np.array([0.0, 0, 6, 1, 3, 0, 0]), np.array([0.0, 0, 1, 2, 1, 8, 0]), 2, 3),
        # Greedy from the start, and greedy from the end, both miss the best pair.
        (np.array([0.0, 0, 5, 4, 0, 0, 0]), np.array([0.0, 6, 0, 0, 0, 5, 0]), 2, 3),
        # Two very low scores have a high product.
        (np.array([0.0, 0, -5, 1, 2, 0]), np.array([0.0, 0, -6, 1, 1.5, 0.5]), 2, 4),
        # [CLS] has the highest score of all.
        (np.array([9.0, 0, 1, 3, 1]), np.array([9.0, 0, 1, 2, 4]), 2, 5),
        # Log-probabilities: all sums are negative.
        (np.array([-9.0, -9, -3, -1, -2.5, -4]), np.array([-9.0, -9, -2, -5, -1.6, -3]), 2, 3),
    ]
    for n in (12, 15, 18):
        cases.append((rng.normal(size=n).round(3), rng.normal(size=n).round(3), 4, 3))
    return cases


def _search(
    starts: NDArray[np.float64],
    ends: NDArray[np.float64],
    first: int,
    longest: int,
    *,
    ordered: bool = True,
    product: bool = False,
) -> Place:
    n = len(starts)
    spans = [
        (s, e) for s in range(first, n) for e in range(s if ordered else first, min(s + longest, n))
    ]
    if product:
        return max(spans, key=lambda span: starts[span[0]] * ends[span[1]])
    return max(spans, key=lambda span: starts[span[0]] + ends[span[1]])


def _end_after_start(
    starts: NDArray[np.float64], ends: NDArray[np.float64], first: int, longest: int
) -> Place:
    s = first + int(starts[first:].argmax())
    return s, s + int(ends[s : s + longest].argmax())


BEST_SPAN = Exercise(
    number="09.3",
    title="The best legal span",
    difficulty=2,
    minutes=12,
    prompt="""
The model scores each position as the first and as the last one of the answer. Write
`best_span(starts, ends, first, longest)`, which returns the legal span $(s, e)$ with the highest
$S_s + E_e$:

| symbol | variable | meaning |
|---|---|---|
| $S$ | `starts` | (length,) scores as first position |
| $E$ | `ends` | (length,) scores as last position |
| | `first` | where the context begins; `[CLS]` and the question stand before it |
| | `longest` | tokens that an answer may have |

Legal is $\\text{first} \\le s \\le e$, with at most `longest` tokens. In each case one span has the
highest score.
""",
    hints=(
        "The best start and the best end, each for itself, need not make a legal pair. Which "
        "pairs do you have to compare?",
        "For each `s` from `first` on, the ends are `s`, `s + 1`, …, `s + longest - 1`, as far "
        "as the window reaches.",
        "`max(pairs, key=lambda pair: starts[pair[0]] + ends[pair[1]])` over the list of legal "
        "pairs.",
    ),
    solution=best_span,
    cases=_score_cases,
    mistakes=(
        Mistake(
            "two separate maxima",
            "You take the best start and the best end of all, each for itself. They can lie in the "
            "wrong order, far apart or outside the context.",
            lambda s, e, first, longest: (int(s.argmax()), int(e.argmax())),
        ),
        Mistake(
            "two separate maxima in the context",
            "You take the best start and the best end in the context, each for itself. The end may "
            "come before the start.",
            lambda s, e, first, longest: (
                first + int(s[first:].argmax()),
                first + int(e[first:].argmax()),
            ),
        ),
        Mistake(
            "start first, then the end",
            "You choose the best start and then the best end for it. Another start, a little "
            "worse, may have a much better end: compare the sums.",
            _end_after_start,
        ),
        Mistake(
            "the question not excluded",
            "Your span may begin in the question or at `[CLS]`. Its words are no answer.",
            lambda s, e, first, longest: _search(s, e, 0, longest),
        ),
        Mistake(
            "no limit of length",
            "Your span may have any length. Sums of far-apart scores are often high by chance, and "
            "answers are short.",
            lambda s, e, first, longest: _search(s, e, first, len(s)),
        ),
        Mistake(
            "one token too long",
            "Your span may have `longest + 1` tokens. From $s$ to $e$, both included, there are "
            "$e - s + 1$.",
            lambda s, e, first, longest: _search(s, e, first, longest + 1),
        ),
        Mistake(
            "one token too short",
            "Your spans have at most `longest - 1` tokens. From $s$ to $e$, both included, there "
            "are $e - s + 1$.",
            lambda s, e, first, longest: _search(s, e, first, longest - 1),
        ),
        Mistake(
            "ends before starts allowed",
            "Your end may come before the start.",
            lambda s, e, first, longest: _search(s, e, first, longest, ordered=False),
        ),
        Mistake(
            "product of scores",
            "You multiply the scores. They are logits, which are added: probabilities would be "
            "multiplied, and two negative logits would make a high product.",
            lambda s, e, first, longest: _search(s, e, first, longest, product=True),
        ),
    ),
)

# --- 09.4 -----------------------------------------------------------------------------------------


def answer_f1(answer: list[str], references: list[list[str]]) -> float:
    """The best F1 of words over all references."""

    def f1(reference: list[str]) -> float:
        shared = sum((Counter(answer) & Counter(reference)).values())
        return 2 * shared / (len(answer) + len(reference))

    return max(map(f1, references))


def _word_cases(rng: np.random.Generator) -> list[tuple]:
    cases: list[tuple] = [
        (["gulf", "stream"], [["warm", "gulf", "stream"]]),
        (["three"], [["nine"]]),
        (["no", "no", "no"], [["no", "no", "way"]]),
        (["in", "1905"], [["autumn", "of", "1905"], ["1905"]]),
        (["stream", "gulf"], [["gulf", "stream"], ["warm", "stream"]]),
    ]
    vocabulary = np.array(["red", "old", "mill", "north", "river", "tax"])
    for _ in range(5):
        rows = [vocabulary[rng.integers(0, 6, size=rng.integers(2, 7))].tolist() for _ in range(3)]
        cases.append((rows[0], rows[1:]))
    return cases


def _shared(answer: list[str], reference: list[str]) -> int:
    return sum((Counter(answer) & Counter(reference)).values())


def _f1(shared: float, given: int, wanted: int) -> float:
    return 2 * shared / (given + wanted)


def _of_sets(answer: list[str], reference: list[str]) -> float:
    a, b = set(answer), set(reference)
    return _f1(len(a & b), len(a), len(b))


ANSWER_F1 = Exercise(
    number="09.4",
    title="F1 of an answer",
    difficulty=1,
    minutes=10,
    prompt="""
Write `answer_f1(answer, references)`: `answer` is the list of words that was given (normalised
already), and each of the `references` is such a list. With $c$ words shared, $p$ words given and
$r$ words in a reference,

$$ P = \\frac{c}{p}, \\quad R = \\frac{c}{r}, \\quad F_1 = \\frac{2PR}{P + R} = \\frac{2c}{p + r}.
$$

A word that stands twice in both is shared twice. Order does not count. The result is the **best**
F1 over the references, a number from 0 to 1. No list is empty.
""",
    hints=(
        "How often is a word shared that stands three times in the one list and twice in the "
        "other?",
        "`Counter(answer) & Counter(reference)` (from `collections`) keeps the smaller count of "
        "each word.",
        "`2 * sum(common.values()) / (len(answer) + len(reference))` for each reference, and then "
        "the maximum.",
    ),
    solution=answer_f1,
    cases=_word_cases,
    mistakes=(
        Mistake(
            "sets instead of counts",
            "You compare sets of words, so that a repeated word counts once. Count how often each "
            "word occurs.",
            lambda a, refs: max(_of_sets(a, r) for r in refs),
        ),
        Mistake(
            "each word of the answer looked up",
            "You count the words of the answer that stand in the reference. A word that is given "
            "three times but stands there twice is shared twice.",
            lambda a, refs: max(_f1(sum(w in r for w in a), len(a), len(r)) for r in refs),
        ),
        Mistake(
            "only the first reference",
            "You compare with the first reference only. Any of them is right, so the best one "
            "counts.",
            lambda a, refs: _f1(_shared(a, refs[0]), len(a), len(refs[0])),
        ),
        Mistake(
            "mean over references",
            "You average over the references. An answer need not agree with all of them; the best "
            "one counts.",
            lambda a, refs: float(np.mean([_f1(_shared(a, r), len(a), len(r)) for r in refs])),
        ),
        Mistake(
            "precision",
            "You divide by the words given only: that is the precision.",
            lambda a, refs: max(_shared(a, r) / len(a) for r in refs),
        ),
        Mistake(
            "recall",
            "You divide by the words of the reference only: that is the recall.",
            lambda a, refs: max(_shared(a, r) / len(r) for r in refs),
        ),
        Mistake(
            "arithmetic mean",
            "You take the arithmetic mean of precision and recall. F1 is their harmonic mean.",
            lambda a, refs: max(
                (_shared(a, r) / len(a) + _shared(a, r) / len(r)) / 2 for r in refs
            ),
        ),
        Mistake(
            "exact match",
            "Your result is 1 for equal lists and 0 otherwise: that is the exact match.",
            lambda a, refs: float(any(a == r for r in refs)),
        ),
        Mistake(
            "references joined",
            "You join all references to one. Then an answer is held against words of several "
            "answers at once.",
            lambda a, refs: answer_f1(a, [[word for row in refs for word in row]]),
        ),
    ),
)

# --- 09.5 -----------------------------------------------------------------------------------------


def best_threshold(
    margins: NDArray[np.float64], f1: NDArray[np.float64], answerable: NDArray[np.bool_]
) -> float:
    """The threshold with the highest mean F1; the lowest of them on a tie."""
    candidates = sorted(margins.tolist())

    def mean_f1(threshold: float) -> float:
        silent = margins > threshold
        return float(np.where(silent, ~answerable, f1).mean())

    return max(candidates, key=mean_f1)


def _margin_cases(rng: np.random.Generator) -> list[tuple]:
    cases: list[tuple] = [
        (
            np.array([-4.0, -2.0, -1.0, 1.0, 3.0]),
            np.array([1.0, 0.5, 0.0, 0.75, 0.0]),
            np.array([True, True, False, True, False]),
        ),
        (
            np.array([2.0, -3.0, 0.5, -1.0]),
            np.array([0.0, 1.0, 0.25, 0.0]),
            np.array([False, True, True, False]),
        ),
        # -1 and 0 are equally good.
        (np.array([0.0, -1.0, 1.0]), np.array([0.0, 1.0, 0.0]), np.array([True, True, False])),
    ]
    for n in (12, 20, 30, 40):
        answerable = rng.random(n) < 0.6
        margins = (rng.normal(size=n) * 2 + np.where(answerable, -1.0, 1.5)).round(2)
        f1 = np.where(answerable, rng.choice([0.0, 0.4, 0.67, 1.0], size=n), 0.0)
        cases.append((margins, f1, answerable))
    return cases


def _chosen(margins: NDArray[np.float64], value: Score, pick: Callable = max) -> float:
    return pick(sorted(margins.tolist()), key=value)


def _mean(
    margins: NDArray[np.float64],
    f1: NDArray[np.float64],
    answerable: NDArray[np.bool_],
    *,
    below: bool = False,
    credit: bool = True,
    at_equal: bool = False,
    only: str = "",
) -> Score:
    def value(threshold: float) -> float:
        silent = margins < threshold if below else margins > threshold
        silent = margins >= threshold if at_equal else silent
        scores = np.where(silent, ~answerable & credit, f1)
        if only == "answered":
            return float(scores[~silent].mean()) if (~silent).any() else 0.0
        return float(scores.mean())

    return value


BEST_THRESHOLD = Exercise(
    number="09.5",
    title="When to say nothing",
    difficulty=3,
    minutes=15,
    prompt="""
A reader gives for each question its best span, and a **margin**: by how much "no answer" is more
probable than that span. It stays silent where the margin is **greater** than a threshold $\\tau$.
Write `best_threshold(margins, f1, answerable)`, which chooses $\\tau$ on a validation split:

| variable | shape | meaning |
|---|---|---|
| `margins` | (n,) | margin of each question |
| `f1` | (n,) | F1 of its best span, if it is given; 0 where there is no answer |
| `answerable` | (n,) | whether the question has an answer |

Silence scores 1 on a question without an answer, and 0 on one that has one. Try the margins
themselves as thresholds, and return the one with the highest mean score over **all** questions; of
several equally good ones, the lowest.
""",
    hints=(
        "Write the mean score at one threshold first. What does each question score if the "
        "reader is silent on it, and what if it answers?",
        "`silent = margins > threshold`, and the scores are `np.where(silent, ~answerable, f1)`.",
        "`max(sorted(margins.tolist()), key=mean_score)`: of equally good ones `max` takes the "
        "first, here the lowest.",
    ),
    solution=best_threshold,
    cases=_margin_cases,
    mistakes=(
        Mistake(
            "silence turned round",
            "You are silent where the margin is *below* the threshold: just where the reader is "
            "surest of its answer.",
            lambda m, f, a: _chosen(m, _mean(m, f, a, below=True)),
        ),
        Mistake(
            "silence earns nothing",
            "Your threshold is the best one for questions that have an answer: silence earns "
            "nothing there, so that answering everything is always best. Average over *all* "
            "questions, and give silence 1 on a question without an answer.",
            lambda m, f, a: _chosen(m, _mean(m, f, a, credit=False)),
        ),
        Mistake(
            "silent at the threshold itself",
            "You are silent where the margin *equals* the threshold, too. Asked is: greater.",
            lambda m, f, a: _chosen(m, _mean(m, f, a, at_equal=True)),
        ),
        Mistake(
            "only what is answered counts",
            "You average over the questions that are answered. A reader that answers one easy "
            "question then looks perfect.",
            lambda m, f, a: _chosen(m, _mean(m, f, a, only="answered")),
        ),
        Mistake(
            "the worst threshold",
            "You take the threshold with the *lowest* mean.",
            lambda m, f, a: _chosen(m, _mean(m, f, a), min),
        ),
        Mistake(
            "the score returned",
            "You return the best score. Asked is the threshold that reaches it.",
            lambda m, f, a: max(_mean(m, f, a)(t) for t in m),
        ),
    ),
)

EXERCISES = (SPAN_OF, WINDOWS_OVER, BEST_SPAN, ANSWER_F1, BEST_THRESHOLD)
