"""What learners of lesson 06 might write, independently of the checker's own mutants."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score
from torch.nn.utils.rnn import pad_sequence

from utils.adaptation.batching import shorten
from utils.adaptation.calibration import reliability
from utils.lesson.practice import get_exercise

# --- 06.1: padding


def padded_by_torch(rows, pad_id):
    tensors = [torch.tensor(row) for row in rows]
    ids = pad_sequence(tensors, batch_first=True, padding_value=pad_id)
    mask = pad_sequence([torch.ones_like(t) for t in tensors], batch_first=True)
    return ids.numpy(), mask.numpy()


def padded_by_lists(rows, pad_id, to=None, before=False):
    n = to or max(map(len, rows))
    fill = [[pad_id] * (n - len(row)) for row in rows]
    ids = [f + r if before else r + f for r, f in zip(rows, fill, strict=True)]
    marks = [[0] * len(f) + [1] * len(r) if before else [1] * len(r) + [0] * len(f)
             for r, f in zip(rows, fill, strict=True)]  # fmt: skip
    return np.array(ids), np.array(marks)


def only_ids(rows, pad_id):
    return padded_by_lists(rows, pad_id)[0]


# --- 06.2: macro F1


def f1_by_loop(confusion):
    scores = []
    for i in range(len(confusion)):
        right = confusion[i, i]
        wrongly = confusion[:, i].sum() - right
        missed = confusion[i].sum() - right
        scores.append(right / (right + (wrongly + missed) / 2) if right else 0.0)
    return sum(scores) / len(scores)


def f1_by_library(confusion):
    true, predicted = np.indices(confusion.shape)
    pairs = np.repeat(true, confusion.ravel()), np.repeat(predicted, confusion.ravel())
    return f1_score(*pairs, average="macro")


def f1_median(confusion):
    right = np.diag(confusion)
    return float(np.median(2 * right / (confusion.sum(0) + confusion.sum(1))))


# --- 06.3: calibration


def ece_by_digitize(confidence, right, n_bins):
    edges = np.linspace(0, 1, n_bins + 1)[1:-1]
    where = np.digitize(confidence, edges)
    total = 0.0
    for b in range(n_bins):
        if (where == b).any():
            total += abs(right[where == b].sum() - confidence[where == b].sum())
    return total / len(right)


def ece_of_the_course(confidence, right, n_bins):
    probabilities = np.stack([confidence, 1 - confidence], axis=1)
    return reliability(probabilities, np.where(right, 0, 1), n_bins).error


def ece_with_bins_of_equal_size(confidence, right, n_bins):
    order = np.argsort(confidence)
    parts = np.array_split(order, n_bins)
    gaps = [len(p) * abs(right[p].mean() - confidence[p].mean()) for p in parts if len(p)]
    return sum(gaps) / len(right)


def without_the_last(confidence, right, n_bins):
    """A confidence of 1 gets a bin of its own."""
    bins = (confidence * n_bins).astype(int)
    gaps = [(bins == b).mean() * abs(right[bins == b].mean() - confidence[bins == b].mean())
            for b in set(bins)]  # fmt: skip
    return float(sum(gaps))


# --- 06.4: head and tail


def cut_without_asking(ids, max_length, n_head):
    first, *inside, last = ids
    n_tail = max_length - 2 - n_head
    return [first, *inside[:n_head], *inside[len(inside) - n_tail :], last]


def both_by_slices(input_ids, max_length, n_head):
    extra = len(input_ids) - max_length
    if extra <= 0:
        return input_ids
    return input_ids[: 1 + n_head] + input_ids[1 + n_head + extra :]


def both_by_deleting(input_ids, max_length, n_head):
    ids = list(input_ids)
    while len(ids) > max_length:
        del ids[1 + n_head]
    return ids


def middle(input_ids, max_length, n_head):
    start = (len(input_ids) - max_length) // 2
    return input_ids if start <= 0 else input_ids[start : start + max_length]


@pytest.mark.parametrize(
    ("number", "learner", "status", "mistake"),
    [
        ("06.1", padded_by_torch, "correct", None),
        ("06.1", padded_by_lists, "correct", None),
        ("06.1", lambda r, p: padded_by_lists(r, 0), "mistake", "padding is 0"),
        ("06.1", lambda r, p: padded_by_lists(r, p, to=128), "mistake", "padded to 128"),
        ("06.1", lambda r, p: padded_by_lists(r, p, before=True), "mistake", "padding first"),
        ("06.1", lambda r, p: padded_by_lists(r, p, to=16), "wrong", None),
        (
            "06.1",
            lambda r, p: (only_ids(r, p), 1 * (only_ids(r, p) != p)),
            "mistake",
            "mask from the values",
        ),
        (
            "06.1",
            lambda r, p: (only_ids(r, p), 1 - padded_by_torch(r, p)[1]),
            "mistake",
            "mask upside down",
        ),
        ("06.1", only_ids, "wrong", None),
        ("06.1", lambda r, p: np.array(r), "error", None),
        ("06.2", f1_by_loop, "correct", None),
        ("06.2", f1_by_library, "correct", None),
        ("06.2", lambda c: f1_by_loop(c.T), "correct", None),
        ("06.2", lambda c: c.diagonal().sum() / c.sum(), "mistake", "accuracy"),
        ("06.2", f1_median, "wrong", None),
        ("06.2", lambda c: (c.diagonal() / c.sum(1)).mean(), "mistake", "recall only"),
        ("06.2", lambda c: c.f1, "error", None),
        ("06.3", ece_by_digitize, "correct", None),
        ("06.3", ece_of_the_course, "correct", None),
        ("06.3", ece_with_bins_of_equal_size, "wrong", None),
        ("06.3", without_the_last, "mistake", "bin of its own"),
        ("06.3", lambda c, r, n: abs(c.mean() - r.mean()), "mistake", "signs cancel"),
        ("06.3", lambda c, r, n: ece_by_digitize(c, r, n) * len(r), "wrong", None),
        ("06.3", lambda c, r, n: ece_by_digitize(c, r, 2 * n), "wrong", None),
        ("06.4", both_by_slices, "correct", None),
        ("06.4", both_by_deleting, "correct", None),
        ("06.4", lambda i, m, n: both_by_slices(i, m, m - 2 - n), "mistake", "swapped"),
        ("06.4", lambda i, m, n: both_by_slices(i, m, m - 2), "mistake", "head only"),
        ("06.4", lambda i, m, n: both_by_slices(i, m + 2, n), "mistake", "two too long"),
        ("06.4", lambda i, m, n: both_by_slices(i, m, 0), "wrong", None),
        ("06.4", lambda i, m, n: both_by_slices(i, m, n)[1:-1], "mistake", "special tokens lost"),
        ("06.4", middle, "wrong", None),
        ("06.4", cut_without_asking, "mistake", "not asked"),
        ("06.4", lambda i, m, n: i[n + 99], "error", None),
    ],
)
def test_what_learners_might_write(
    number: str, learner: Callable, status: str, mistake: str | None, diagnosed: Callable
) -> None:
    diagnosed(number, learner, status, mistake)


def test_the_last_exercise_is_what_the_course_does() -> None:
    ids = [101, *range(1, 60), 102]
    assert get_exercise("06.4").solution(ids, 18, 4) == shorten(ids, 18, "head+tail")
