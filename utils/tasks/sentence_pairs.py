"""Sentence pairs: does the second sentence answer the question that is the first?

The pairs are made from SQuAD as GLUE made its QNLI (Wang et al., 2019, ICLR, section 2.3): a
question goes with a sentence of its paragraph, either the one that holds the answer or another one.
GLUE drops other sentences that share few words with the question; here the one that shares most is
taken, so that counting shared words does not give the answer away.
"""

import re
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from utils.errors import CourseError
from utils.tasks import own_data, question_answering
from utils.tasks.question_generation import sentence_cuts
from utils.tasks.splits import Splits, sample
from utils.tasks.text_classification import METRIC, score, subset

__all__ = ["METRIC", "NAME", "VERSION", "Examples", "load", "score", "subset"]

NAME = "sentence-pairs"

VERSION = 1
"""Raise by hand whenever a change of this file changes pairs, splits, subsets or scores."""

DATASETS = {"course/qnli": "rajpurkar/squad"}
"""Sets of pairs, and the questions that they are made from."""

OWN_COLUMNS = ("text", "text_pair", "label")

LABELS = ["answered", "not answered"]

_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class Examples:
    """Pairs of a question and a sentence, and their class numbers, `labels` (n_pairs,)."""

    texts: list[tuple[str, str]]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, indices: NDArray[np.int64]) -> "Examples":
        """The pairs at `indices`, in that order."""
        return Examples([self.texts[i] for i in indices], self.labels[indices])


def load(
    dataset_id: str,
    *,
    profile: str = "quick",
    validation_limit: int | None = 500,
    test_limit: int | None = None,
) -> Splits:
    """Make pairs from all questions whose paragraph has more than one sentence.

    Every second one gets the sentence that answers it. The reported split comes from SQuAD's
    validation split; about `validation_limit` pairs are cut from the train split by whole articles.
    With `test_limit`, a sample of the reported split, drawn with a fixed seed.

    `dataset_id` may also be a file of one's own, see `own_data`.

    Raises:
        CourseError: if the task does not know the data set, or the limits do not fit.
    """
    if own_data.is_own(dataset_id):
        return own_data.load(
            dataset_id, _own, validation_limit=validation_limit, test_limit=test_limit
        )
    if dataset_id not in DATASETS:
        known = " and ".join(DATASETS)
        raise CourseError(f"Sentence pairs do not know {dataset_id!r}. Known: {known}.")
    found = question_answering.load(
        DATASETS[dataset_id], profile=profile, validation_limit=validation_limit
    )
    train, validation, test = map(_pairs, (found.train, found.validation, found.test))
    return Splits(train, validation, sample(test, test_limit), LABELS, found.source)


def _own(table: own_data.Table) -> own_data.Parsed:
    firsts, seconds = table.texts("text"), table.texts("text_pair")
    labels, names = table.classes("label")
    pairs = list(zip(firsts, seconds, strict=True))
    return own_data.Parsed(Examples(pairs, labels), names, pairs)


def _pairs(questions: question_answering.Examples) -> Examples:
    texts: list[tuple[str, str]] = []
    labels: list[int] = []
    rows = zip(questions.questions, questions.contexts, questions.spans, strict=True)
    for question, context, span in rows:
        if span is None:
            continue
        cuts = sentence_cuts(context)
        holds = [a <= span[0] < b for a, b in pairwise(cuts)]
        sentences = [context[a:b].strip() for a, b in pairwise(cuts)]
        others = [s for s, holder in zip(sentences, holds, strict=True) if s and not holder]
        if not others:
            continue
        label = len(labels) % 2
        asked = set(_words(question))
        chosen = (
            max(others, key=lambda sentence: len(asked.intersection(_words(sentence))))
            if label
            else sentences[holds.index(True)]
        )
        texts.append((question.strip(), chosen))
        labels.append(label)
    return Examples(texts, np.array(labels, dtype=np.int64))


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())
