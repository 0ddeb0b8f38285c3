"""Every exercise of every lesson is sound; then what learners of lesson 01 might write."""

import pkgutil
from collections.abc import Callable

import numpy as np
import pytest
import torch

import utils.lesson.exercises
from utils.lesson.practice import exercises, get_exercise

LESSONS = [
    module.name.removeprefix("lesson_")
    for module in pkgutil.iter_modules(utils.lesson.exercises.__path__)
]
ALL = [number for lesson in LESSONS for number in exercises(lesson)]


@pytest.mark.parametrize("number", ALL)
def test_it_is_sound(number: str) -> None:
    exercise = get_exercise(number)
    assert exercise.diagnose(exercise.solution).status == "correct"
    assert exercise.ambiguities() == []
    assert len(exercise.mistakes) >= 3
    for mistake in exercise.mistakes:
        assert exercise.diagnose(mistake.mutant).mistake == mistake.name
    assert exercise.diagnose(lambda *arguments: ...).status == "not attempted"
    assert exercise.solution_source()


@pytest.mark.parametrize("lesson", LESSONS)
def test_numbers_are_the_lessons_own_and_counted(lesson: str) -> None:
    numbers = list(exercises(lesson))
    assert numbers == [f"{lesson}.{i}" for i in range(1, len(numbers) + 1)]


def majority_by_bincount(train_labels, test_labels):
    return float((test_labels == np.bincount(train_labels).argmax()).sum() / len(test_labels))


def pooling_by_loop(hidden_states, attention_mask):
    sentences = zip(hidden_states, attention_mask, strict=True)
    return torch.stack([states[mask.bool()].mean(dim=0) for states, mask in sentences])


def pooling_by_einsum_of_all(hidden_states, attention_mask):
    return torch.einsum("bth->bh", hidden_states) / hidden_states.shape[1]


def pooling_by_zeroing(hidden_states, attention_mask):
    states = hidden_states.masked_fill(attention_mask[..., None] == 0, 0.0)
    return torch.mean(states, 1)


def pooling_with_last_token(hidden_states, attention_mask):
    return hidden_states[:, -1]


def pooling_with_max(hidden_states, attention_mask):
    return hidden_states.max(dim=1).values


def labels_by_loop(sizes, accuracies, target):
    for n, row in zip(sizes, accuracies, strict=True):
        if sum(row) / len(row) >= target:
            return float(n)
    return float("inf")


def labels_by_any_seed(sizes, accuracies, target):
    for n, row in zip(sizes, accuracies, strict=True):
        if any(accuracy >= target for accuracy in row):
            return float(n)
    return float("inf")


def labels_by_median(sizes, accuracies, target):
    reached = np.median(accuracies, axis=1) >= target
    return float(sizes[reached.argmax()]) if reached.any() else float("inf")


def labels_without_infinity(sizes, accuracies, target):
    return float(np.array(sizes)[accuracies.mean(1) >= target][0])


@pytest.mark.parametrize(
    ("number", "learner", "status", "mistake"),
    [
        ("01.1", majority_by_bincount, "correct", None),
        ("01.1", lambda train, test: majority_by_bincount(test, test), "mistake", "test set"),
        ("01.1", lambda train, test: 1 - majority_by_bincount(train, test), "mistake", "error"),
        ("01.1", lambda train, test: float(np.mean(test == train[0])), "wrong", None),
        ("01.1", lambda train, test: 0.5, "wrong", None),
        ("01.1", lambda train, test: test == np.bincount(train).argmax(), "wrong", None),
        ("01.2", pooling_by_loop, "correct", None),
        ("01.2", pooling_by_einsum_of_all, "mistake", "padding counted"),
        ("01.2", pooling_by_zeroing, "mistake", "padded length"),
        ("01.2", lambda h, m: pooling_by_loop(h, 1 - m), "mistake", "wrong way round"),
        ("01.2", pooling_with_last_token, "wrong", None),
        ("01.2", pooling_with_max, "wrong", None),
        ("01.2", lambda h, m: h * m, "error", None),
        ("01.3", labels_by_loop, "correct", None),
        ("01.3", labels_by_any_seed, "mistake", "best seed"),
        ("01.3", labels_by_median, "mistake", "median"),
        ("01.3", lambda sizes, a, t: labels_by_loop(sizes, a, t + 0.05), "wrong", None),
        ("01.3", lambda sizes, a, t: labels_by_loop(sizes[::-1], a[::-1], t), "wrong", None),
        ("01.3", labels_without_infinity, "error", None),
    ],
)
def test_what_learners_might_write(
    number: str, learner: Callable, status: str, mistake: str | None, diagnosed: Callable
) -> None:
    diagnosed(number, learner, status, mistake)
