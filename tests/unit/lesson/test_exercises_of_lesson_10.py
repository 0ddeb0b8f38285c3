"""What learners of lesson 10 might write, independently of the checker's own mutants."""

import difflib
import re
from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from rouge_score.rouge_scorer import RougeScorer

from utils.adaptation.extraction import maximal_marginal_relevance
from utils.lesson.practice import get_exercise

# --- 10.1: ROUGE-N


def rouge_by_package(summary, reference, n):
    scorer = RougeScorer([f"rouge{n}"])
    return scorer.score(" ".join(reference), " ".join(summary))[f"rouge{n}"].fmeasure


def rouge_by_lists(summary, reference, n, times=2.0):
    ours = [summary[i : i + n] for i in range(len(summary) - n + 1)]
    left = [reference[i : i + n] for i in range(len(reference) - n + 1)]
    total, matches = len(ours) + len(left), 0
    for run in ours:
        if run in left:
            left.remove(run)
            matches += 1
    return times * matches / total if total else 0.0


def rouge_by_precision_and_recall(summary, reference, n):
    """Divides by zero where nothing is in common."""
    f = rouge_by_lists(summary, reference, n, 1.0) * (len(summary) + len(reference) - 2 * n + 2)
    p, r = f / (len(summary) - n + 1), f / (len(reference) - n + 1)
    return 2 * p * r / (p + r)


# --- 10.2: the longest common subsequence


def lcs_by_greed(a, b):
    def one_way(words, others):
        place = found = 0
        for word in words:
            if word in others[place:]:
                place = others.index(word, place) + 1
                found += 1
        return found

    return max(one_way(a, b), one_way(b, a))


def lcs_by_recursion(a, b):
    @cache
    def length(i, j):
        if i == len(a) or j == len(b):
            return 0
        if a[i] == b[j]:
            return 1 + length(i + 1, j + 1)
        return max(length(i + 1, j), length(i, j + 1))

    return length(0, 0)


def lcs_by_one_row(a, b):
    row = [0] * (len(b) + 1)
    for word in a:
        before = 0
        for j, other in enumerate(b, start=1):
            before, row[j] = row[j], before + 1 if word == other else max(row[j], row[j - 1])
    return row[-1]


def lcs_of_difflib(a, b):
    """Longest runs first: not the longest subsequence."""
    matcher = difflib.SequenceMatcher(None, a, b, autojunk=False)
    return sum(block.size for block in matcher.get_matching_blocks())


# --- 10.3: MMR


def mmr_by_arrays(vectors, n, relevance):
    centre = vectors.mean(axis=0) / np.linalg.norm(vectors.mean(axis=0))
    chosen, near = [], vectors @ centre
    again = np.zeros(len(vectors))
    for step in range(n):
        worth = relevance * near - (1 - relevance) * again
        worth[chosen] = -np.inf
        best = int(np.argmax(worth))
        chosen.append(best)
        again = vectors @ vectors[best] if step == 0 else np.maximum(again, vectors @ vectors[best])
    return chosen


def mmr_sorted(vectors, n, relevance):
    return sorted(mmr_by_arrays(vectors, n, relevance))


def mmr_clipped(vectors, n, relevance):
    """Begins the maximum at 0, so that unlike sentences get no bonus."""
    centre = vectors.mean(axis=0) / np.linalg.norm(vectors.mean(axis=0))
    chosen, again = [], np.zeros(len(vectors))
    for _ in range(n):
        worth = relevance * (vectors @ centre) - (1 - relevance) * again
        worth[chosen] = -np.inf
        chosen.append(int(np.argmax(worth)))
        again = np.maximum(again, vectors @ vectors[chosen[-1]])
    return chosen


# --- 10.4: numbers


def numbers_at_borders(summary, text):
    """Finds the 5 in 2.5."""
    numbers = re.findall(r"\d+(?:\.\d+)?", summary.replace(",", ""))
    text = text.replace(",", "")
    return [n for n in numbers if not re.search(rf"\b{re.escape(n)}\b", text)]


def numbers_by_float(summary, text):
    found = re.compile(r"\d[\d,]*(?:\.\d+)?")
    known = {float(x.replace(",", "")) for x in found.findall(text)}
    clean = [x.replace(",", "") for x in found.findall(summary)]
    return [x for x in clean if float(x) not in known]


def numbers_by_words(summary, text):
    """Splits at blanks: punctuation stays on the numbers."""
    known = text.replace(",", "").split()
    return [w for w in summary.replace(",", "").split() if w[0].isdigit() and w not in known]


@pytest.mark.parametrize(
    ("number", "learner", "status", "mistake"),
    [
        ("10.1", rouge_by_package, "correct", None),
        ("10.1", rouge_by_lists, "correct", None),
        ("10.1", lambda s, r, n: rouge_by_lists(s, r, n, 1.0), "mistake", "the 2 forgotten"),
        ("10.1", lambda s, r, n: rouge_by_package(s, r, 1), "mistake", "single words"),
        ("10.1", lambda s, r, n: rouge_by_package(s, r, 2), "wrong", None),
        ("10.1", rouge_by_precision_and_recall, "error", None),
        (
            "10.1",
            lambda s, r, n: (
                RougeScorer([f"rouge{n}"]).score(" ".join(r), " ".join(s))[f"rouge{n}"].recall
            ),
            "mistake",
            "recall",
        ),
        (
            "10.1",
            lambda s, r, n: (
                RougeScorer([f"rouge{n}"]).score(" ".join(r), " ".join(s))[f"rouge{n}"].precision
            ),
            "mistake",
            "precision",
        ),
        ("10.2", lcs_by_recursion, "correct", None),
        ("10.2", lcs_by_one_row, "correct", None),
        ("10.2", lcs_of_difflib, "wrong", None),
        ("10.2", lcs_by_greed, "wrong", None),
        ("10.2", lambda a, b: len([w for w in a if w in b]), "wrong", None),
        ("10.2", lambda a, b: sum(x == y for x, y in zip(a, b, strict=False)), "mistake", "same"),
        ("10.2", lambda a, b: lcs_by_recursion(a, b) / len(b), "wrong", None),
        ("10.3", mmr_by_arrays, "correct", None),
        ("10.3", lambda v, n, r: np.array(mmr_by_arrays(v, n, r)), "correct", None),
        ("10.3", maximal_marginal_relevance, "correct", None),
        ("10.3", mmr_sorted, "wrong", None),
        ("10.3", mmr_clipped, "wrong", None),
        ("10.3", lambda v, n, r: mmr_by_arrays(v, n, 1 - r), "mistake", "weights swapped"),
        ("10.3", lambda v, n, r: mmr_by_arrays(v, n, 1.0), "mistake", "not punished"),
        ("10.3", lambda v, n, r: mmr_by_arrays(v, n, 0.5), "wrong", None),
        ("10.4", numbers_by_float, "correct", None),
        ("10.4", numbers_by_words, "wrong", None),
        ("10.4", numbers_at_borders, "wrong", None),
        ("10.4", lambda s, t: numbers_by_float(t, s), "mistake", "the other way round"),
        ("10.4", lambda s, t: sorted(set(numbers_by_float(s, t))), "mistake", "each only once"),
        ("10.4", lambda s, t: len(numbers_by_float(s, t)), "wrong", None),
        ("10.4", lambda s, t: s - t, "error", None),
    ],
)
def test_what_learners_might_write(
    number: str, learner: Callable, status: str, mistake: str | None, diagnosed: Callable
) -> None:
    diagnosed(number, learner, status, mistake)


def test_the_solution_is_what_the_course_does() -> None:
    vectors = np.random.default_rng(5).normal(size=(9, 4))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    found = get_exercise("10.3").solution(vectors, 5, 0.7)
    assert found == maximal_marginal_relevance(vectors, 5, 0.7)
