"""Exercises of lesson 00: how alike two texts are, counting updates, and padding a batch."""

import math

import numpy as np

from utils.lesson.exercise import Exercise, Mistake

# --- 00.1 -----------------------------------------------------------------------------------------


def cosine_similarity(a: np.ndarray, b: np.ndarray) -> float:
    """Cosine of the angle between two vectors, in -1..1."""
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))


def _vector_cases(rng: np.random.Generator) -> list[tuple]:
    cases = [(np.array([3.0, 4.0]), np.array([4.0, 3.0])), (np.array([1.0, 2.0]), -np.ones(2))]
    return cases + [(rng.normal(size=n), rng.normal(size=n)) for n in (3, 5, 8)]


COSINE = Exercise(
    number="00.1",
    title="How alike are two texts?",
    difficulty=1,
    minutes=5,
    prompt="""
Two texts are compared by the angle between their vectors, whatever their lengths:

$$ \\cos(a, b) = \\frac{\\sum_i a_i b_i}{\\lVert a \\rVert \\, \\lVert b \\rVert},
\\qquad \\lVert a \\rVert = \\sqrt{\\textstyle\\sum_i a_i^2}. $$

Write `cosine_similarity(a, b)` for two NumPy arrays of shape (d_model,). Return a float.
""",
    hints=(
        "Three numbers are needed: one product of both vectors, and one length of each.",
        "`a @ b` is the sum of the products. `np.linalg.norm(a)` is the length of `a`.",
        "Divide `a @ b` by the product of the two lengths, and wrap it in `float(...)`.",
    ),
    solution=cosine_similarity,
    cases=_vector_cases,
    mistakes=(
        Mistake(
            "lengths left out",
            "You return the product of the vectors without dividing. Long vectors then look alike "
            "because they are long.",
            lambda a, b: float(a @ b),
        ),
        Mistake(
            "divided by one length only",
            "You divide by the length of the first vector. Both lengths have to go.",
            lambda a, b: float(a @ b / np.linalg.norm(a)),
        ),
        Mistake(
            "lengths not square-rooted",
            "You divide by sums of squares. The length of a vector is the *square root* of that "
            "sum.",
            lambda a, b: float(a @ b / ((a @ a) * (b @ b))),
        ),
        Mistake(
            "a distance instead of a similarity",
            "You return one minus the cosine, which is small for like texts. Asked is the cosine.",
            lambda a, b: 1 - cosine_similarity(a, b),
        ),
        Mistake(
            "divided by the number of entries",
            "You return the mean of the products. The cosine divides by both lengths.",
            lambda a, b: float((a * b).mean()),
        ),
        Mistake(
            "the sign is lost",
            "You take the absolute value. Vectors that point in opposite directions have a "
            "negative cosine.",
            lambda a, b: abs(cosine_similarity(a, b)),
        ),
        Mistake(
            "divided by the sum of the lengths",
            "You add the two lengths. They are multiplied.",
            lambda a, b: float(a @ b / (np.linalg.norm(a) + np.linalg.norm(b))),
        ),
    ),
)

# --- 00.2 -----------------------------------------------------------------------------------------


def n_updates(n_examples: int, batch_size: int, n_epochs: int) -> int:
    """Updates of `n_epochs` passes when the last batch of a pass may be smaller."""
    return n_epochs * math.ceil(n_examples / batch_size)


UPDATES = Exercise(
    number="00.2",
    title="How often is the model updated?",
    difficulty=1,
    minutes=5,
    prompt="""
Training goes `n_epochs` times over `n_examples` examples, in batches of `batch_size`; after each
batch the weights are updated. The last batch of a pass holds what is left, so it may be smaller.
Write `n_updates(n_examples, batch_size, n_epochs)`, which returns the number of updates, an `int`.
""",
    hints=(
        "Count the batches of one pass first. What about examples that do not fill a batch?",
        "10 examples in batches of 4 make 3 batches: 4, 4 and 2.",
        "`math.ceil(n_examples / batch_size)` batches a pass, times the number of passes.",
    ),
    solution=n_updates,
    cases=lambda rng: [
        (10, 4, 1),
        (10, 4, 3),
        (11, 4, 2),
        (64, 32, 3),
        (16, 32, 5),
        (100, 32, 2),
        (33, 8, 4),
    ],
    mistakes=(
        Mistake(
            "the last batch dropped",
            "You count full batches only. The examples that are left make a smaller batch, with an "
            "update of its own.",
            lambda n, batch, epochs: epochs * (n // batch),
        ),
        Mistake(
            "one pass only",
            "You count the batches of a single pass. There are `n_epochs` of them.",
            lambda n, batch, epochs: math.ceil(n / batch),
        ),
        Mistake(
            "passes joined",
            "You divide all examples of all passes by the batch size, as if a batch could begin in "
            "one pass and end in the next. Here each pass ends with its own, smaller batch.",
            lambda n, batch, epochs: math.ceil(n * epochs / batch),
        ),
        Mistake(
            "one batch too many",
            "You always add one batch. Where the batch size divides the number of examples, none "
            "is left over.",
            lambda n, batch, epochs: epochs * (n // batch + 1),
        ),
        Mistake(
            "examples instead of updates",
            "You return the number of examples that are processed. There is one update per batch.",
            lambda n, batch, epochs: n * epochs,
        ),
        Mistake(
            "a fraction of an update",
            "You return a number that is not whole. A batch that is not full still makes one whole "
            "update.",
            lambda n, batch, epochs: n * epochs / batch,
        ),
    ),
)

# --- 00.3 -----------------------------------------------------------------------------------------


def pad_batch(token_ids: list[list[int]], pad_id: int) -> tuple[list[list[int]], list[list[int]]]:
    """Texts of one length, filled up on the right, and a mask with 1 for every real token."""
    longest = max(len(ids) for ids in token_ids)
    input_ids = [ids + [pad_id] * (longest - len(ids)) for ids in token_ids]
    attention_mask = [[1] * len(ids) + [0] * (longest - len(ids)) for ids in token_ids]
    return input_ids, attention_mask


def _batch_cases(rng: np.random.Generator) -> list[tuple]:
    cases: list[tuple] = [([[5, 6, 7], [8]], 0), ([[1, 0, 2], [3, 0]], 0), ([[4], [9, 1, 9]], 1)]
    for pad_id in (0, 1, 3):
        lengths = rng.permutation([2, 6, 4])
        cases.append(([rng.integers(0, 5, size=n).tolist() for n in lengths], pad_id))
    return cases


def _with_mask(build, mask):  # type: ignore[no-untyped-def]
    def mutant(token_ids: list[list[int]], pad_id: int) -> tuple:
        input_ids = build(token_ids, pad_id)
        return input_ids, mask(token_ids, input_ids, pad_id)

    return mutant


def _right(token_ids: list[list[int]], pad_id: int) -> list[list[int]]:
    return pad_batch(token_ids, pad_id)[0]


def _true_mask(token_ids: list[list[int]], input_ids: list[list[int]], pad_id: int) -> list:
    return pad_batch(token_ids, pad_id)[1]


def _left(token_ids: list[list[int]], pad_id: int) -> list[list[int]]:
    longest = max(map(len, token_ids))
    return [[pad_id] * (longest - len(ids)) + ids for ids in token_ids]


def _left_mask(token_ids: list[list[int]], input_ids: list[list[int]], pad_id: int) -> list:
    longest = max(map(len, token_ids))
    return [[0] * (longest - len(ids)) + [1] * len(ids) for ids in token_ids]


PADDING = Exercise(
    number="00.3",
    title="Texts of different lengths in one batch",
    difficulty=2,
    minutes=10,
    prompt="""
A batch is a table of numbers, so its texts must have one length. Write `pad_batch(token_ids,
pad_id)`. `token_ids` is a list of lists of token numbers. Fill each list up *on the right* with
`pad_id` until all are as long as the longest. Return two lists of lists of that shape: `input_ids`,
and `attention_mask`, which is 1 for every real token and 0 for padding.

A real token may have the same number as the padding: a model's padding number is not always 0, and
nothing forbids the number elsewhere in a text.
""",
    hints=(
        "What does the mask depend on: on the numbers, or on how long each text was?",
        "For a text of length `n` in a batch whose longest has `longest` tokens, `longest - n` "
        "positions have to be filled.",
        "With `gap = longest - len(ids)`, a row is `ids + [pad_id] * gap` and its mask is "
        "`[1] * len(ids) + [0] * gap`.",
    ),
    solution=pad_batch,
    cases=_batch_cases,
    mistakes=(
        Mistake(
            "the mask is read off the numbers",
            "Your mask is 0 wherever the *number* is that of the padding, and so hides real tokens "
            "that have the same number. Build it from the lengths.",
            _with_mask(_right, lambda t, i, p: [[int(x != p) for x in row] for row in i]),
        ),
        Mistake(
            "the padding number taken to be 0",
            "Your mask is 0 wherever the number is 0. Padding has the number `pad_id`, and even "
            "that may occur in a text: build the mask from the lengths.",
            _with_mask(_right, lambda t, i, p: [[int(x != 0) for x in row] for row in i]),
        ),
        Mistake(
            "filled with 0 instead of the padding number",
            "You fill up with 0 whatever `pad_id` says.",
            _with_mask(lambda t, p: _right(t, 0), _true_mask),
        ),
        Mistake(
            "padded on the left",
            "You fill up on the left. Decoders are often fed like that; here it is the right.",
            _with_mask(_left, _left_mask),
        ),
        Mistake(
            "padded on the left with a mask for the right",
            "You fill up on the left, but your mask says that the padding is on the right.",
            _with_mask(_left, _true_mask),
        ),
        Mistake(
            "mask the wrong way round",
            "Your mask is 1 for padding and 0 for the text.",
            _with_mask(
                _right, lambda t, i, p: [[1 - m for m in row] for row in _true_mask(t, i, p)]
            ),
        ),
        Mistake(
            "a mask of ones",
            "Your mask is 1 everywhere: the model would read the padding as text.",
            _with_mask(_right, lambda t, i, p: [[1] * len(row) for row in i]),
        ),
        Mistake(
            "cut to the shortest",
            "You cut all texts to the length of the shortest. Nothing may get lost: fill up to the "
            "longest.",
            lambda t, p: (
                [ids[: min(map(len, t))] for ids in t],
                [[1] * min(map(len, t)) for _ in t],
            ),
        ),
    ),
)

EXERCISES = (COSINE, UPDATES, PADDING)
