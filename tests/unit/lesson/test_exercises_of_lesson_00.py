"""What learners of lesson 00 might write, independently of the checker's own mutants."""

import math

import numpy as np
import pytest

from utils.lesson.practice import get_exercise


def cosine_by_normalising(a, b):
    return float(np.dot(a / np.linalg.norm(a), b / np.linalg.norm(b)))


def cosine_by_loop(a, b):
    product = sum(x * y for x, y in zip(a, b, strict=True))
    return product / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))


def cosine_without_lengths(a, b):
    return float(np.sum(a * b))


def cosine_with_squares(a, b):
    return float(np.inner(a, b) / (np.sum(a**2) * np.sum(b**2)))


def cosine_of_absolute_values(a, b):
    return cosine_by_normalising(np.abs(a), np.abs(b))


def updates_by_loop(n_examples, batch_size, n_epochs):
    count = 0
    for _ in range(n_epochs):
        count += len(range(0, n_examples, batch_size))
    return count


def updates_by_negative_floor(n_examples, batch_size, n_epochs):
    return -(-n_examples // batch_size) * n_epochs


def updates_of_full_batches(n_examples, batch_size, n_epochs):
    return int(n_examples / batch_size) * n_epochs


def updates_of_one_stream(n_examples, batch_size, n_epochs):
    return -(-(n_examples * n_epochs) // batch_size)


def updates_rounded(n_examples, batch_size, n_epochs):
    return n_epochs * round(n_examples / batch_size)


def padding_by_loop(token_ids, pad_id):
    width = 0
    for ids in token_ids:
        width = max(width, len(ids))
    rows, mask = [], []
    for ids in token_ids:
        row, ones = list(ids), [1 for _ in ids]
        while len(row) < width:
            row.append(pad_id)
            ones.append(0)
        rows.append(row)
        mask.append(ones)
    return rows, mask


def padding_with_mask_from_numbers(token_ids, pad_id):
    rows, _ = padding_by_loop(token_ids, pad_id)
    return rows, [[0 if number == pad_id else 1 for number in row] for row in rows]


def padding_in_front(token_ids, pad_id):
    width = len(max(token_ids, key=len))
    rows = [[pad_id] * (width - len(ids)) + ids for ids in token_ids]
    return rows, [[0] * (width - len(ids)) + [1] * len(ids) for ids in token_ids]


def padding_with_inverted_mask(token_ids, pad_id):
    rows, mask = padding_by_loop(token_ids, pad_id)
    return rows, [[0 if one else 1 for one in row] for row in mask]


def padding_without_mask(token_ids, pad_id):
    return padding_by_loop(token_ids, pad_id)[0]


@pytest.mark.parametrize(
    ("number", "submission"),
    [
        ("00.1", cosine_by_normalising),
        ("00.1", cosine_by_loop),
        ("00.2", updates_by_loop),
        ("00.2", updates_by_negative_floor),
        ("00.3", padding_by_loop),
    ],
)
def test_other_ways_to_be_right(number, submission):
    assert get_exercise(number).diagnose(submission).status == "correct"


@pytest.mark.parametrize(
    ("number", "submission", "mistake"),
    [
        ("00.1", cosine_without_lengths, "lengths left out"),
        ("00.1", cosine_with_squares, "lengths not square-rooted"),
        ("00.2", updates_of_full_batches, "the last batch dropped"),
        ("00.2", updates_of_one_stream, "passes joined"),
        ("00.3", padding_with_mask_from_numbers, "the mask is read off the numbers"),
        ("00.3", padding_in_front, "padded on the left"),
        ("00.3", padding_with_inverted_mask, "mask the wrong way round"),
    ],
)
def test_known_mistakes_are_named(number, submission, mistake):
    assert get_exercise(number).diagnose(submission).mistake == mistake


@pytest.mark.parametrize(
    ("number", "submission"),
    [
        ("00.1", cosine_of_absolute_values),
        ("00.2", updates_rounded),
        ("00.3", padding_without_mask),
    ],
)
def test_unknown_mistakes_get_no_false_name(number, submission):
    report = get_exercise(number).diagnose(submission)
    assert report.status == "wrong"
    assert report.mistake is None
