"""Baselines without pre-training: majority class, one summary for all, word lookup, TF-IDF."""

import itertools
import time
from collections import Counter, defaultdict
from typing import Any

import numpy as np
import scipy.sparse
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from utils.adaptation.batching import Texts
from utils.adaptation.method import Outcome, Problem
from utils.tasks.summarisation import rouge


def majority(problem: Problem) -> Outcome:
    """Always predict the most frequent class of the training examples (the lowest one on a tie)."""
    counts = np.bincount(problem.train.labels, minlength=problem.n_classes)
    shares = (counts / counts.sum()).astype(np.float32)
    probabilities = np.tile(shares, (len(problem.evaluation), 1))
    return Outcome(probabilities, {"wall_seconds": 0.0, "examples_seen": len(problem.train)})


COMPARED_SUMMARIES = 100
"""Training summaries at most that `one_summary_for_all` compares with each other."""


def one_summary_for_all(problem: Problem) -> Outcome:
    """Give every text the training summary that is most like the others: what style alone earns.

    Most like them by mean ROUGE-L, among some that are drawn. No text is read.
    """
    start = time.perf_counter()
    n = min(COMPARED_SUMMARIES, len(problem.train))
    drawn = np.random.default_rng(problem.seed).choice(len(problem.train), n, replace=False)
    summaries = [problem.train.summaries[i][0] for i in drawn]
    likeness = [rouge(one, summaries)["rouge_l"] for one in summaries]
    summary = summaries[int(np.argmax(likeness))]
    cost = {
        "wall_seconds": time.perf_counter() - start,
        "examples_seen": float(n),
        "trainable_parameters": 0.0,
    }
    return Outcome(np.array([summary] * len(problem.evaluation), dtype=np.str_), cost)


def word_lookup(problem: Problem) -> Outcome:
    """Give each word the tag that it has most often in the training sentences, `O` if it has none.

    The baseline of CoNLL-2003 looks up whole entities; this one looks up words.
    """
    start = time.perf_counter()
    counts: dict[str, Counter[int]] = defaultdict(Counter)
    words = itertools.chain.from_iterable(problem.train.texts)
    for word, tag in zip(words, problem.train.labels.tolist(), strict=True):
        counts[word][tag] += 1
    best = {word: max(tags, key=lambda tag: (tags[tag], -tag)) for word, tags in counts.items()}
    cost = {
        "wall_seconds": time.perf_counter() - start,
        "examples_seen": len(problem.train),
        "parameters": float(len(best)),
        "trainable_parameters": float(len(best)),
    }
    asked = itertools.chain.from_iterable(problem.evaluation.texts)
    return Outcome(np.array([best.get(word, 0) for word in asked]), cost)


def tfidf(problem: Problem) -> Outcome:
    """TF-IDF of words and word pairs, then logistic regression (`C` from `hyper`).

    A word is a run of letters and digits, single ones included; `!` and `?` count as words too. A
    pair of texts has the features of both, and their cosine.

    TF-IDF weighs how often a word occurs in a text against how many texts it occurs in (Spärck
    Jones, 1972, Journal of Documentation).
    """
    start = time.perf_counter()
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"\w+|[!?]")
    vectorizer.fit([part for text in problem.train.texts for part in _parts(text)])
    classifier = logistic_regression(problem)
    classifier.fit(_weighed(vectorizer, problem.train.texts), problem.train.labels)
    seconds = time.perf_counter() - start
    n_weights = classifier.coef_.size + classifier.intercept_.size
    cost = {
        "wall_seconds": seconds,
        "examples_seen": len(problem.train),
        "parameters": n_weights,
        "trainable_parameters": n_weights,
    }
    fitted = classifier.predict_proba(_weighed(vectorizer, problem.evaluation.texts))
    return Outcome(all_classes(fitted, classifier.classes_, problem.n_classes), cost)


def _parts(text: str | tuple[str, str]) -> tuple[str, ...]:
    return (text,) if isinstance(text, str) else text


def _weighed(vectorizer: TfidfVectorizer, texts: Texts) -> Any:
    """(n_texts, n_words), of pairs (n_pairs, 2 n_words + 1)."""
    if not texts or isinstance(texts[0], str):
        return vectorizer.transform(texts)
    first, second = (vectorizer.transform(side) for side in zip(*texts, strict=True))
    cosine = first.multiply(second).sum(axis=1)  # TF-IDF has unit length
    return scipy.sparse.hstack([first, second, scipy.sparse.csr_matrix(cosine)], format="csr")


def logistic_regression(problem: Problem) -> LogisticRegression:
    """The linear classifier that all methods without back-propagation end in."""
    return LogisticRegression(C=problem.hyper["C"], max_iter=3000, random_state=problem.seed)


def all_classes(probabilities: np.ndarray, classes: np.ndarray, n_classes: int) -> np.ndarray:
    """Spread columns for the `classes` seen in training over all `n_classes`; the rest get 0."""
    spread = np.zeros((len(probabilities), n_classes), dtype=np.float32)
    spread[:, classes] = probabilities
    return spread
