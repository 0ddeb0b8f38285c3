"""Question answering without learning: the sentence most like the question, and a span of it."""

import math
import re
import time
from collections import Counter
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

from utils.adaptation.method import Outcome, Problem
from utils.tasks.question_answering import Examples

_WORD = re.compile(r"[\w'’%€$£-]*\w[%]?|[€$£]\d[\d.,]*")
_SENTENCE_END = re.compile(r"(?<=[.!?])[\"')\]]*\s+(?=[\"'(\[“]*[A-Z0-9])")
_ASKS_NUMBER = re.compile(r"\b(when|how (many|much|old|long|far|high|deep|large|big)|year)\b")
_ASKS_NAME = re.compile(r"\b(who|whose|whom|where|country|city|river|name)\b")
_LONGEST = 6


def span_baseline(problem: Problem) -> Outcome:
    """Answer with words next to those of the question; nothing is learned.

    The sentence that shares most with the question is taken, rare words of the context counting
    more (like the baseline of Richardson et al., 2013, EMNLP). Of it, the longest run of words that
    are neither in the question nor function words; runs with a number are preferred for *when* and
    *how many*, and runs with a capital letter for *who* and *where*.
    """
    started = time.perf_counter()
    plain, distracted = (
        [overlap_answer(q, c) for q, c in zip(part.questions, part.contexts, strict=True)]
        for part in _both(problem.evaluation)
    )
    predictions: NDArray[np.str_] = np.array([plain, distracted]).T
    return Outcome(predictions, {"wall_seconds": time.perf_counter() - started})


def _both(examples: Examples) -> tuple[Examples, Examples]:
    return examples, examples.distracted()


def overlap_answer(question: str, context: str) -> str:
    """The answer of `span_baseline` to one question, copied from `context`."""
    asked = {word.lower() for word in _WORD.findall(question)} - ENGLISH_STOP_WORDS
    sentences = _sentences(context)
    counts = Counter(word for text in sentences for word in {w.lower() for w in _words(text)})

    def overlap(text: str) -> float:
        shared = asked & {word.lower() for word in _words(text)}
        return sum(math.log(1 + len(sentences) / counts[word]) for word in shared)

    sentence = max(sentences, key=overlap)
    runs = _runs(sentence, asked)
    if not runs:
        return sentence.strip()
    return max(runs, key=lambda run: (_fits(question.lower(), run), len(run.split())))


def _sentences(context: str) -> list[str]:
    cuts = [0, *(match.end() for match in _SENTENCE_END.finditer(context)), len(context)]
    return [context[a:b] for a, b in pairwise(cuts) if context[a:b].strip()]


def _words(text: str) -> list[str]:
    return _WORD.findall(text)


def _runs(sentence: str, asked: set[str]) -> list[str]:
    """Runs of at most `_LONGEST` words that are not asked with and no function words."""
    runs: list[str] = []
    begin = end = -1
    n = 0
    for match in _WORD.finditer(sentence):
        word = match.group().lower()
        breaks = end >= 0 and re.search(r"[,;:.()]", sentence[end : match.start()])
        if word in asked or word in ENGLISH_STOP_WORDS or breaks or n == _LONGEST:
            if n:
                runs.append(sentence[begin:end])
            begin, n = -1, 0
            if word in asked or word in ENGLISH_STOP_WORDS:
                end = match.end()
                continue
        begin = match.start() if n == 0 else begin
        end, n = match.end(), n + 1
    if n:
        runs.append(sentence[begin:end])
    return runs


def _fits(question: str, run: str) -> bool:
    if _ASKS_NUMBER.search(question):
        return bool(re.search(r"\d", run))
    if _ASKS_NAME.search(question):
        return bool(re.search(r"\b[A-Z]", run))
    return False
