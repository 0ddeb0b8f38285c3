"""Summaries made of units of the text itself: its beginning, its centre, its centre twice over.

None of these learns from summaries; how many units to take may be tuned on some.
"""

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from utils.adaptation.features import extract
from utils.adaptation.method import Outcome, Problem
from utils.tasks.summarisation import Examples, rouge

Choice = list[int]
"""Numbers of the units that are taken."""


def lead(problem: Problem) -> Outcome:
    """The first units: the baseline that news articles are hard to beat by."""
    n = problem.hyper["n_units"]
    start = time.perf_counter()
    chosen = [list(range(min(n, len(units)))) for units in problem.evaluation.units]
    return _outcome(problem, chosen, {"wall_seconds": time.perf_counter() - start})


def oracle(problem: Problem) -> Outcome:
    """The units that agree best with the summaries, which it *sees*: a ceiling, no method.

    One unit after the other is added, as long as ROUGE-1 + ROUGE-2 grow (Nallapati et al., 2017,
    AAAI, section 3.1).
    """
    start = time.perf_counter()
    examples: Examples = problem.evaluation
    chosen = [
        greedy_oracle(units, summaries, problem.hyper["n_units"])
        for units, summaries in zip(examples.units, examples.summaries, strict=True)
    ]
    return _outcome(problem, chosen, {"wall_seconds": time.perf_counter() - start})


def greedy_oracle(units: list[str], summaries: list[str], n: int) -> Choice:
    """At most `n` units; see `oracle`."""
    chosen: Choice = []
    best = 0.0
    while len(chosen) < min(n, len(units)):
        scores = {}
        for unit in set(range(len(units))) - set(chosen):
            found = rouge(join(units, [*chosen, unit]), summaries)
            scores[unit] = found["rouge_1"] + found["rouge_2"]
        unit = max(sorted(scores), key=lambda unit: scores[unit])
        if scores[unit] <= best:
            break
        best = scores[unit]
        chosen.append(unit)
    return chosen


def centroid(problem: Problem) -> Outcome:
    """The units whose vectors are nearest to the mean of all (Rossiello et al., 2017, MultiLing).

    As Radev et al. (2004) with TF-IDF. Vectors are frozen features of length 1.
    """
    n = problem.hyper["n_units"]
    return _by_vectors(problem, lambda vectors: nearest_to_centroid(vectors, n))


def nearest_to_centroid(vectors: NDArray[np.float32], n: int) -> Choice:
    """Of vectors of length 1, (n_units, d)."""
    return list(np.argsort(-vectors @ vectors.mean(axis=0), kind="stable")[:n])


def mmr(problem: Problem) -> Outcome:
    """Units near the centroid and unlike each other; see `maximal_marginal_relevance`."""
    n, relevance = problem.hyper["n_units"], problem.hyper["relevance"]
    return _by_vectors(problem, lambda vectors: maximal_marginal_relevance(vectors, n, relevance))


def maximal_marginal_relevance(vectors: NDArray[np.float32], n: int, relevance: float) -> Choice:
    r"""Each time the unit $i$ with the most (Carbonell and Goldstein, 1998, SIGIR)

    $$ \lambda \cos(v_i, c) - (1 - \lambda) \max_{j \in S} \cos(v_i, v_j) $$

    with the centroid $c$ in place of a query and the units $S$ that were taken before.

    Args:
        vectors: (n_units, d), of length 1.
        n: units to take.
        relevance: $\lambda$, in 0..1. At 1 this is `nearest_to_centroid`.
    """
    centre = vectors.mean(axis=0)
    to_centre = vectors @ (centre / max(float(np.linalg.norm(centre)), 1e-12))
    similar = vectors @ vectors.T
    chosen: Choice = []
    while len(chosen) < min(n, len(vectors)):
        repeats = similar[:, chosen].max(axis=1) if chosen else np.zeros(len(vectors))
        worth = relevance * to_centre - (1 - relevance) * repeats
        worth[chosen] = -np.inf
        chosen.append(int(worth.argmax()))
    return chosen


def join(units: list[str], chosen: Choice) -> str:
    """The units that were taken, in the order of the text."""
    return " ".join(units[i] for i in sorted(chosen))


def _by_vectors(problem: Problem, choose: Callable[[NDArray[np.float32]], Choice]) -> Outcome:
    units = problem.evaluation.units
    features, cost = extract(problem, [unit for text in units for unit in text])
    vectors = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
    ends = np.cumsum([len(text) for text in units])
    start = time.perf_counter()
    chosen = [choose(part) for part in np.split(vectors, ends[:-1])]
    seconds = cost["wall_seconds"] + time.perf_counter() - start
    return _outcome(problem, chosen, {**cost, "wall_seconds": seconds})


def _outcome(problem: Problem, chosen: list[Choice], cost: dict[str, float]) -> Outcome:
    texts = zip(problem.evaluation.units, chosen, strict=True)
    written = np.array([join(units, choice) for units, choice in texts], dtype=np.str_)
    return Outcome(written, {"examples_seen": 0.0, "trainable_parameters": 0.0, **cost})
