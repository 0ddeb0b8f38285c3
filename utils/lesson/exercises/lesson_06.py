"""Exercises of lesson 06: padding, macro F1, calibration error, head and tail."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from utils.lesson.exercise import Exercise, Mistake

# --- 06.1 -----------------------------------------------------------------------------------------

Padded = tuple[NDArray[np.int64], NDArray[np.int64]]


def pad_batch(rows: list[list[int]], pad_id: int) -> Padded:
    """Rows filled up to the longest, and 1 where a token is real, both (n_rows, longest)."""
    longest = max(len(row) for row in rows)
    input_ids = np.full((len(rows), longest), pad_id)
    attention_mask = np.zeros((len(rows), longest), dtype=int)
    for i, row in enumerate(rows):
        input_ids[i, : len(row)] = row
        attention_mask[i, : len(row)] = 1
    return input_ids, attention_mask


def _row_cases(rng: np.random.Generator) -> list[tuple]:
    cases: list[tuple] = [([[101, 7, 102], [101, 102]], 0), ([[101, 0, 8, 102], [101, 102]], 0)]
    for pad_id in (0, 1):
        lengths = rng.integers(2, 9, size=4)
        cases.append(([rng.integers(5, 50, size=n).tolist() for n in lengths], pad_id))
    return cases


def _changed(rows: list[list[int]], pad_id: int, ids: bool = False, mask: bool = False) -> Padded:
    """The solution, with one half turned around: padding first, or the mask inverted."""
    input_ids, attention_mask = pad_batch(rows, pad_id)
    if ids:
        for i, row in enumerate(rows):
            input_ids[i] = [pad_id] * (input_ids.shape[1] - len(row)) + row
            attention_mask[i] = [0] * (input_ids.shape[1] - len(row)) + [1] * len(row)
    return input_ids, 1 - attention_mask if mask else attention_mask


def _to_length(rows: list[list[int]], pad_id: int, length: int) -> Padded:
    cut = [row[:length] for row in rows]
    ids = np.array([row + [pad_id] * (length - len(row)) for row in cut])
    mask = np.array([[1] * len(row) + [0] * (length - len(row)) for row in cut])
    return ids, mask


PAD_BATCH = Exercise(
    number="06.1",
    title="A collator",
    difficulty=1,
    minutes=8,
    prompt="""
Write `pad_batch(rows, pad_id)`, what a collator does with the texts of a batch: fill them up at the
end to the length of the **longest of them**, and mark what is real.

| variable | what | shape |
|---|---|---|
| `rows` | lists of token numbers, of different lengths | ragged |
| `pad_id` | number of the padding token | – |
| first result | `input_ids`, filled up with `pad_id` | (n_rows, longest) |
| second result | `attention_mask`, 1 for a real token, 0 for padding | (n_rows, longest) |

Both as NumPy arrays of whole numbers. A real token may have the number `pad_id`.
""",
    hints=(
        "Find the longest row first. Then begin with arrays that are all padding.",
        "`np.full((n, longest), pad_id)` and `np.zeros((n, longest), dtype=int)`; the length of "
        "each row, and not the value of its tokens, says what is real.",
        "`input_ids[i, : len(row)] = row` and `attention_mask[i, : len(row)] = 1`.",
    ),
    solution=pad_batch,
    cases=_row_cases,
    mistakes=(
        Mistake(
            "mask from the values",
            "Your mask asks which tokens differ from `pad_id`. A real token may have that number, "
            "and in some models the padding is not 0: count the tokens of each row instead.",
            lambda rows, pad: (
                pad_batch(rows, pad)[0],
                (pad_batch(rows, pad)[0] != pad).astype(int),
            ),
        ),
        Mistake(
            "padding is 0",
            "You fill up with 0, whatever `pad_id` is. RoBERTa pads with 1.",
            lambda rows, pad: (pad_batch(rows, 0)[0], pad_batch(rows, pad)[1]),
        ),
        Mistake(
            "padded to 128",
            "You fill up to 128. That is what makes training slow: the longest text of *this* "
            "batch is enough.",
            lambda rows, pad: _to_length(rows, pad, 128),
        ),
        Mistake(
            "cut to the shortest",
            "You cut all rows to the shortest one. Nothing is padded then, but text is lost.",
            lambda rows, pad: _to_length(rows, pad, min(map(len, rows))),
        ),
        Mistake(
            "padding first",
            "Your padding stands before the text. BERT counts positions from the left, so that "
            "every token would get another position than in pre-training.",
            lambda rows, pad: _changed(rows, pad, ids=True),
        ),
        Mistake(
            "mask upside down",
            "Your mask is 1 for padding. The model attends to what has a 1.",
            lambda rows, pad: _changed(rows, pad, mask=True),
        ),
        Mistake(
            "everything is real",
            "Your mask is 1 everywhere. The model would attend to padding, and a text's result "
            "depend on what else is in its batch.",
            lambda rows, pad: (pad_batch(rows, pad)[0], np.ones_like(pad_batch(rows, pad)[0])),
        ),
    ),
)

# --- 06.2 -----------------------------------------------------------------------------------------


def macro_f1(confusion: NDArray[np.int64]) -> float:
    """Mean over classes of F1, from a table with true classes in rows."""
    right = np.diag(confusion)
    f1 = 2 * right / np.maximum(confusion.sum(axis=0) + confusion.sum(axis=1), 1)
    return float(f1.mean())


def _confusion_cases(rng: np.random.Generator) -> list[tuple]:
    cases: list[tuple] = [(np.array([[90, 0], [10, 0]]),), (np.array([[8, 2], [1, 9]]),)]
    for k in (3, 4, 5):
        table = rng.integers(0, 12, size=(k, k)) + np.diag(rng.integers(5, 90, size=k))
        cases.append((table,))
    return cases


def _parts(table: NDArray[np.int64]) -> tuple[NDArray, NDArray]:
    """Precision and recall of each class, 0 where there is nothing to divide by."""
    right = np.diag(table)
    return right / np.maximum(table.sum(axis=0), 1), right / np.maximum(table.sum(axis=1), 1)


def _harmonic(a: NDArray, b: NDArray) -> NDArray:
    return 2 * a * b / np.maximum(a + b, 1e-12)


MACRO_F1 = Exercise(
    number="06.2",
    title="One number of a confusion matrix",
    difficulty=2,
    minutes=12,
    prompt="""
Write `macro_f1(confusion)`: F1 of each class, averaged over classes, all classes alike. With true
classes in rows ($C_{ij}$ texts of class $i$ were taken for $j$),

$$ P_i = \\frac{C_{ii}}{\\sum_j C_{ji}}, \\qquad R_i = \\frac{C_{ii}}{\\sum_j C_{ij}}, \\qquad
F_i = \\frac{2 P_i R_i}{P_i + R_i}. $$

| variable | what | shape |
|---|---|---|
| `confusion` | counts | (k, k) |
| result | a number in 0..1 | – |

A class of which no text was right has $F_i = 0$, even where it was never predicted.
""",
    hints=(
        "`np.diag(confusion)` has the right ones of each class. What do the sums of rows and of "
        "columns count?",
        "$2PR/(P+R)$ is the same as $2 C_{ii}$ over the sum of the row plus the sum of the column, "
        "which needs no division by zero as long as the class occurs at all.",
        "`f1 = 2 * right / np.maximum(confusion.sum(axis=0) + confusion.sum(axis=1), 1)`, then the "
        "mean.",
    ),
    solution=macro_f1,
    cases=_confusion_cases,
    tolerance=1e-9,
    mistakes=(
        Mistake(
            "accuracy",
            "You return the share of right answers: in single-label classification that is also "
            "the *micro* average of F1. The rare classes then hardly count.",
            lambda c: float(np.trace(c) / c.sum()),
        ),
        Mistake(
            "weighted by size",
            "You weigh each class by its number of texts. Macro counts all classes alike.",
            lambda c: float(np.average(_harmonic(*_parts(c)), weights=c.sum(axis=1))),
        ),
        Mistake(
            "F1 of the means",
            "You average precision and recall over classes first and take F1 of the two means. "
            "Macro F1 is the mean of the F1 of each class.",
            lambda c: float(_harmonic(*(part.mean(keepdims=True) for part in _parts(c)))[0]),
        ),
        Mistake(
            "recall only",
            "That is the mean recall, also called balanced accuracy. Precision is missing.",
            lambda c: float(_parts(c)[1].mean()),
        ),
        Mistake(
            "precision only",
            "That is the mean precision. Recall is missing.",
            lambda c: float(_parts(c)[0].mean()),
        ),
        Mistake(
            "arithmetic mean",
            "You take (P + R) / 2. The harmonic mean is small as soon as one of the two is.",
            lambda c: float(np.mean(sum(_parts(c))) / 2),
        ),
        Mistake(
            "accuracy instead of precision",
            "You take the harmonic mean of *accuracy* and recall, as some articles have it. A "
            "class with few texts then looks good because all others are right.",
            lambda c: float(_harmonic(np.full(len(c), np.trace(c) / c.sum()), _parts(c)[1]).mean()),
        ),
        Mistake(
            "classes without a right answer left out",
            "You average only over classes of which something was right. The others count, with 0.",
            lambda c: float(_harmonic(*_parts(c))[np.diag(c) > 0].mean()),
        ),
    ),
)

# --- 06.3 -----------------------------------------------------------------------------------------


def calibration_error(
    confidence: NDArray[np.float64], right: NDArray[np.bool_], n_bins: int
) -> float:
    """Mean gap between accuracy and confidence in bins, weighted by texts."""
    bins = np.minimum((confidence * n_bins).astype(int), n_bins - 1)
    error = 0.0
    for b in np.unique(bins):
        inside = bins == b
        error += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    return float(error)


def _calibration_cases(rng: np.random.Generator) -> list[tuple]:
    small = (np.array([0.95, 0.91, 0.65, 1.0]), np.array([True, True, True, False]), 10)
    cases: list[tuple] = [small]
    on_edges = (np.array([0.5, 0.75, 0.6, 0.9]), np.array([True, False, True, True]), 4)
    cases.append(on_edges)
    for n, n_bins in ((40, 5), (90, 10), (200, 10)):
        confidence = rng.uniform(0.5, 1, size=n)
        cases.append((confidence, rng.uniform(size=n) < confidence**2, n_bins))
    return cases


def _binned(confidence: NDArray, right: NDArray, n_bins: int) -> NDArray:
    """Share of texts, accuracy and confidence of each bin that is not empty, (bins, 3)."""
    bins = np.minimum((confidence * n_bins).astype(int), n_bins - 1)
    rows = [(bins == b) for b in np.unique(bins)]
    return np.array([(r.mean(), right[r].mean(), confidence[r].mean()) for r in rows])


def _of_bins(
    gap: Callable[[NDArray, NDArray], NDArray], average: Callable[[NDArray, NDArray], float]
) -> Callable[[NDArray, NDArray, int], float]:
    """A mutant: another gap in each bin, or another average over bins."""

    def mutant(confidence: NDArray, right: NDArray, n_bins: int) -> float:
        share, accuracy, sure = _binned(confidence, right, n_bins).T
        return float(average(gap(accuracy, sure), share))

    return mutant


def _weighted(gaps: NDArray, share: NDArray) -> float:
    return float((gaps * share).sum())


def _centres(confidence: NDArray, right: NDArray, n_bins: int) -> float:
    bins = np.minimum((confidence * n_bins).astype(int), n_bins - 1)
    gaps = [
        (bins == b).mean() * abs(right[bins == b].mean() - (b + 0.5) / n_bins)
        for b in np.unique(bins)
    ]
    return float(sum(gaps))


def _binned_by(
    bin_of: Callable[[NDArray, int], NDArray],
) -> Callable[[NDArray, NDArray, int], float]:
    """A mutant with other bins; a text in bin -1 is in none."""

    def mutant(confidence: NDArray, right: NDArray, n_bins: int) -> float:
        bins = bin_of(confidence * n_bins, n_bins)
        gaps = [
            (bins == b).mean() * abs(right[bins == b].mean() - confidence[bins == b].mean())
            for b in np.unique(bins)
            if b >= 0
        ]
        return float(sum(gaps))

    return mutant


CALIBRATION_ERROR = Exercise(
    number="06.3",
    title="Expected calibration error",
    difficulty=2,
    minutes=12,
    prompt="""
Write `calibration_error(confidence, right, n_bins)`. Bin $m$ of $M$ holds the texts with confidence
in $[\\frac{m-1}{M}, \\frac{m}{M})$; a confidence of exactly 1 belongs to the last bin. Then

$$ \\text{ECE} = \\sum_{m} \\frac{|B_m|}{n} \\left| \\operatorname{acc}(B_m) -
\\operatorname{conf}(B_m) \\right|, $$

with the share of right answers and the mean confidence of each bin that is not empty.

| symbol | variable | shape |
|---|---|---|
| probability of the likeliest class | `confidence` | (n,) |
| whether it was right | `right` | (n,), booleans |
| $M$ | `n_bins` | number |
| ECE | result | number |
""",
    hints=(
        "The number of a text's bin is `(confidence * n_bins)`, rounded down. What happens at 1?",
        "For each bin: a boolean array of its texts; its mean is $|B_m| / n$.",
        "`error += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())`.",
    ),
    solution=calibration_error,
    cases=_calibration_cases,
    tolerance=1e-9,
    mistakes=(
        Mistake(
            "bins count alike",
            "You average over bins. A bin with two texts then counts as much as one with two "
            "hundred: weigh by $|B_m| / n$.",
            _of_bins(lambda a, c: np.abs(a - c), lambda gaps, share: gaps.mean()),
        ),
        Mistake(
            "signs cancel",
            "You add the gaps with their signs (or use one bin, which is the same). Too sure here "
            "and too timid there then cancel: take the absolute value in each bin.",
            _of_bins(lambda a, c: a - c, lambda gaps, share: abs(_weighted(gaps, share))),
        ),
        Mistake(
            "gap without absolute value",
            "Accuracy minus confidence may be negative. An error is not: take the absolute value.",
            _of_bins(lambda a, c: a - c, _weighted),
        ),
        Mistake(
            "largest gap",
            "You return the largest gap, which is the *maximum* calibration error. Here the mean "
            "is wanted.",
            _of_bins(lambda a, c: np.abs(a - c), lambda gaps, share: gaps.max()),
        ),
        Mistake(
            "squared",
            "You square the gaps. ECE takes absolute values.",
            _of_bins(lambda a, c: (a - c) ** 2, _weighted),
        ),
        Mistake(
            "a confidence of 1 lost",
            "A confidence of exactly 1 is in none of your bins. It belongs to the last one.",
            _binned_by(lambda x, n: np.where(x < n, x.astype(int), -1)),
        ),
        Mistake(
            "a bin of its own for 1",
            "A confidence of exactly 1 gets a bin of its own in yours. It belongs to the last one.",
            _binned_by(lambda x, n: x.astype(int)),
        ),
        Mistake(
            "the upper edge belongs to the bin",
            "A confidence on the border of two bins belongs to the upper one here.",
            _binned_by(lambda x, n: np.ceil(x).astype(int) - 1),
        ),
        Mistake(
            "middle of the bin",
            "You compare with the middle of each bin. `conf` is the mean confidence of its texts.",
            _centres,
        ),
    ),
)

# --- 06.4 -----------------------------------------------------------------------------------------


def head_and_tail(input_ids: list[int], max_length: int, n_head: int) -> list[int]:
    """Special tokens, `n_head` tokens from the beginning, and the rest from the end."""
    first, *inside, last = input_ids
    room = max_length - 2
    if len(inside) <= room:
        return input_ids
    return [first, *inside[:n_head], *inside[len(inside) - (room - n_head) :], last]


def _long_cases(rng: np.random.Generator) -> list[tuple]:
    def text(n: int) -> list[int]:
        return [101, *range(1, n + 1), 102]

    return [
        (text(10), 8, 2),
        (text(10), 12, 3),  # fits exactly
        (text(4), 10, 2),
        (text(20), 10, 8),  # all of the room for the head
        (text(20), 9, 0),
        (text(30), 16, 5),
        (text(5), 10, 2),  # fits, but has fewer tokens than head and tail together
    ]


def _no_special(ids: list[int], max_length: int, n_head: int) -> list[int]:
    if len(ids) <= max_length:
        return ids
    return ids[:n_head] + ids[len(ids) - (max_length - n_head) :]


def _inside_only(ids: list[int], max_length: int, n_head: int) -> list[int]:
    return head_and_tail(ids, max_length, n_head)[1:-1]


def _too_long(ids: list[int], max_length: int, n_head: int) -> list[int]:
    first, *inside, last = ids
    if len(inside) <= max_length:
        return ids
    return [first, *inside[:n_head], *inside[len(inside) - (max_length - n_head) :], last]


def _always_cut(ids: list[int], max_length: int, n_head: int) -> list[int]:
    first, *inside, last = ids
    n_tail = max_length - 2 - n_head
    return [first, *inside[:n_head], *(inside[-n_tail:] if n_tail else []), last]


def _never_asked(ids: list[int], max_length: int, n_head: int) -> list[int]:
    first, *inside, last = ids
    return [first, *inside[:n_head], *inside[len(inside) - (max_length - 2 - n_head) :], last]


def _minus_zero(ids: list[int], max_length: int, n_head: int) -> list[int]:
    first, *inside, last = ids
    room = max_length - 2
    if len(inside) <= room:
        return ids
    return [first, *inside[:n_head], *inside[-(room - n_head) :], last]


def _head(ids: list[int], max_length: int, n_head: int) -> list[int]:
    return ids if len(ids) <= max_length else [*ids[: max_length - 1], ids[-1]]


def _tail_first(ids: list[int], max_length: int, n_head: int) -> list[int]:
    first, *inside, last = ids
    room = max_length - 2
    if len(inside) <= room:
        return ids
    return [first, *inside[len(inside) - (room - n_head) :], *inside[:n_head], last]


def _swapped(ids: list[int], max_length: int, n_head: int) -> list[int]:
    return head_and_tail(ids, max_length, max_length - 2 - n_head)


HEAD_AND_TAIL = Exercise(
    number="06.4",
    title="Both ends of a long text",
    difficulty=2,
    minutes=12,
    prompt="""
Write `head_and_tail(input_ids, max_length, n_head)`: shorten a text to exactly `max_length` tokens,
its first and its last special token among them. Between these, keep `n_head` tokens from the
beginning and fill the room that is left from the end. A text that fits stays as it is.

| variable | what |
|---|---|
| `input_ids` | list of token numbers, with one special token at each end |
| `max_length` | tokens of the result, special ones included |
| `n_head` | tokens from the beginning, at most `max_length - 2` |
| result | list of token numbers |
""",
    hints=(
        "Take the text apart first: `first, *inside, last = input_ids`. How much room is there for "
        "`inside`?",
        "The room is `max_length - 2`; `room - n_head` tokens come from the end. What does "
        "`inside[-0:]` give?",
        "`[first, *inside[:n_head], *inside[len(inside) - (room - n_head):], last]`.",
    ),
    solution=head_and_tail,
    cases=_long_cases,
    mistakes=(
        Mistake(
            "special tokens counted as text",
            "You cut the whole list, special tokens included. `[CLS]` then takes a place of the "
            "head, and one token of the text is missing there.",
            _no_special,
        ),
        Mistake(
            "special tokens lost",
            "The special tokens are missing from your result. The model expects them.",
            _inside_only,
        ),
        Mistake(
            "two too long",
            "Your result has two tokens more than `max_length`: the special ones need room, too.",
            _too_long,
        ),
        Mistake(
            "short texts are cut as well",
            "A text that fits should stay as it is. In yours, head and tail overlap and tokens "
            "come twice.",
            _always_cut,
        ),
        Mistake(
            "the length is not asked",
            "A text that fits should stay as it is. In yours the tail of a short text begins at a "
            "negative place, so that tokens are lost or come twice.",
            _never_asked,
        ),
        Mistake(
            "minus zero",
            "Where nothing is left for the tail, `inside[-0:]` is the whole text and not an empty "
            "one.",
            _minus_zero,
        ),
        Mistake(
            "head only",
            "You keep the beginning alone, as the tokenizer's truncation does.",
            _head,
        ),
        Mistake(
            "tail first",
            "The end of the text stands before its beginning in your result.",
            _tail_first,
        ),
        Mistake(
            "head and tail swapped",
            "You take `n_head` tokens from the end and the rest from the beginning.",
            _swapped,
        ),
    ),
)

EXERCISES = [PAD_BATCH, MACRO_F1, CALIBRATION_ERROR, HEAD_AND_TAIL]
