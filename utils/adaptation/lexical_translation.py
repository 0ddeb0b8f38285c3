"""Translation without a neural network: nothing at all, and word by word.

The probabilities of words are those of IBM Model 1 (Brown et al., 1993, Computational Linguistics
19, section 4.1), in which every word of the source is equally likely to have made each word of the
target.
"""

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from utils.adaptation.method import Outcome, Problem

N_ROUNDS = 5

_WORD = re.compile(r"\w+|[^\w\s]")


def copy_source(problem: Problem) -> Outcome:
    """Leave every sentence as it is: names, numbers and marks are right in both languages."""
    copied = np.array(problem.evaluation.sources, dtype=np.str_)
    return Outcome(copied, {"wall_seconds": 0.0, "examples_seen": 0.0})


def word_by_word(problem: Problem) -> Outcome:
    """Put the likeliest word of the target language in the place of every word of the source."""
    start = time.perf_counter()
    lexicon = learn_lexicon(problem.train.sources, problem.train.targets)
    cost = {
        "wall_seconds": time.perf_counter() - start,
        "examples_seen": float(len(problem.train)),
        "parameters": float(len(lexicon.probabilities)),
        "trainable_parameters": float(len(lexicon.probabilities)),
    }
    best = lexicon.best()
    written = [
        join([best.get(word, word) for word in words(text)]) for text in problem.evaluation.sources
    ]
    return Outcome(np.array(written, dtype=np.str_), cost)


@dataclass(frozen=True)
class Lexicon:
    """Probabilities of target words given a source word.

    The i-th entry says that the source word `sources[i]` becomes the target word `targets[i]` with
    `probabilities[i]`; those of a source word sum to 1.
    """

    sources: list[str]
    targets: list[str]
    probabilities: NDArray[np.float64]

    def best(self) -> dict[str, str]:
        """The likeliest translation of each source word."""
        order = np.argsort(self.probabilities, kind="stable")
        return {self.sources[i]: self.targets[i] for i in order}

    def of(self, source: str) -> dict[str, float]:
        """All translations of a word, the likeliest first."""
        rows = [i for i, word in enumerate(self.sources) if word == source]
        rows.sort(key=lambda i: -self.probabilities[i])
        return {self.targets[i]: float(self.probabilities[i]) for i in rows}


def learn_lexicon(
    sources: Sequence[str], targets: Sequence[str], n_rounds: int = N_ROUNDS
) -> Lexicon:
    r"""IBM Model 1 by expectation–maximisation, from even probabilities, without an empty word.

    In each round, every word $f$ of a target is shared out among the words $e$ of its source in
    proportion to $t(f \mid e)$; the shares, summed over all pairs, are the counts from which
    $t(f \mid e)$ is computed anew.
    """
    source_words, source_rows = _numbered([words(text) for text in sources])
    target_words, target_rows = _numbered([words(text) for text in targets])
    e, f, position = _links(source_rows, target_rows)
    pairs, pair = np.unique(e * len(target_words) + f, return_inverse=True)
    source_of = pairs // len(target_words)
    probabilities = np.ones(len(pairs))
    for _ in range(n_rounds):
        weight = probabilities[pair]
        share = weight / np.bincount(position, weight)[position]
        counts = np.bincount(pair, share)
        probabilities = counts / np.bincount(source_of, counts)[source_of]
    return Lexicon(
        [source_words[i] for i in source_of],
        [target_words[i] for i in pairs % len(target_words)],
        probabilities,
    )


def _links(
    sources: list[NDArray[np.int64]], targets: list[NDArray[np.int64]]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Every word of a source with every word of its target, and the place of the latter in all."""
    n_words = [len(row) for row in sources]
    e = [np.tile(source, len(target)) for source, target in zip(sources, targets, strict=True)]
    f = [np.repeat(target, n) for target, n in zip(targets, n_words, strict=True)]
    repeats = [np.full(len(target), n) for target, n in zip(targets, n_words, strict=True)]
    places = np.repeat(np.arange(sum(map(len, targets))), np.concatenate(repeats))
    return np.concatenate(e), np.concatenate(f), places


def _numbered(rows: list[list[str]]) -> tuple[list[str], list[NDArray[np.int64]]]:
    """All different words in the order in which they come, and rows of their numbers."""
    numbers: dict[str, int] = {}
    found = [[numbers.setdefault(word, len(numbers)) for word in row] for row in rows]
    return list(numbers), [np.array(row, dtype=np.int64) for row in found]


def words(text: str) -> list[str]:
    """Words and marks; the first word in lower case, since it is large only by its place."""
    found = _WORD.findall(text)
    return [found[0].lower(), *found[1:]] if found else []


def join(translated: Sequence[str]) -> str:
    """Words to a sentence: it begins with a capital, and no mark has a space before it."""
    text = re.sub(r" (?=[.,;:!?])", "", " ".join(translated))
    return text[:1].upper() + text[1:]
