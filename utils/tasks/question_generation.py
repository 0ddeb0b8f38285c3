"""Question generation: given a sentence and an answer that stands in it, write the question.

The task of Du et al. (2017, ACL, *Learning to Ask*) on SQuAD (Rajpurkar et al., 2016). Models are
scored by how well they foretell each token of the true question, given those before it, as Lewis
et al. (2020, ACL, table 1) compare pre-training objectives on generation by their perplexity.
"""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from utils import sources
from utils.errors import CourseError
from utils.tasks.splits import Splits, draw, held_out_groups, sample

if TYPE_CHECKING:
    from datasets import Dataset

NAME = "question-generation"

VERSION = 1
"""Raise by hand whenever a change of this file changes splits, subsets or scores."""

METRIC = "accuracy"

DATASETS = ("rajpurkar/squad",)

_SENTENCE_END = re.compile(r"(?<=[.!?])[\"')\]]*\s+(?=[\"'(\[]*[A-Z0-9])")


@dataclass(frozen=True)
class Examples:
    """An answer, the sentence (or sentences) around it, and the question that it answers."""

    answers: list[str]
    sentences: list[str]
    questions: list[str]

    def __len__(self) -> int:
        return len(self.questions)

    def take(self, indices: NDArray[np.int64]) -> "Examples":
        """The examples at `indices`, in that order."""
        columns = (self.answers, self.sentences, self.questions)
        return Examples(*([column[i] for i in indices] for column in columns))


def load(
    dataset_id: str,
    *,
    profile: str = "quick",
    validation_limit: int | None = 500,
    test_limit: int | None = None,
) -> Splits:
    """Load SQuAD; its validation split is the one that is reported.

    A validation split of about `validation_limit` questions is cut from the train split by whole
    articles, so that no paragraph stands in both. With `test_limit`, a sample of the reported
    split, drawn with a fixed seed.

    Raises:
        CourseError: if the task does not know the data set, or the limits do not fit.
    """
    if dataset_id not in DATASETS:
        known = " and ".join(DATASETS)
        raise CourseError(f"Question generation does not know {dataset_id!r}. Known: {known}.")
    dataset, source = sources.load_dataset(dataset_id, profile=profile)
    is_held_out = held_out_groups(dataset["train"]["title"], validation_limit or 0)
    train, test = _examples(dataset["train"]), _examples(dataset["validation"])
    validation = train.take(np.flatnonzero(is_held_out)[: validation_limit or 0])
    train = train.take(np.flatnonzero(~is_held_out))
    return Splits(train, validation, sample(test, test_limit), [], source)


def subset(train: Examples, n: int | None, data_seed: int) -> Examples:
    """Draw `n` training examples, nested: a larger `n` with the same seed holds the smaller one's.

    `n=None` returns all of them in their own order.

    Raises:
        CourseError: if there are fewer than `n`.
    """
    return draw(train, n, data_seed, "questions")


def score(
    predictions: NDArray[np.float32], examples: Examples | None = None
) -> tuple[dict[str, float], dict[str, NDArray[np.bool_]]]:
    """Share of tokens foretold right, and the mean loss of a token in nats.

    Args:
        predictions: (n_tokens, 2), the loss of each token of the questions and of their ends, and
            whether the first guess is right.
        examples: not needed.
    """
    loss, right = predictions.T
    correct = right == 1
    metrics = {"accuracy": float(correct.mean()), "loss": float(loss.mean(dtype=float))}
    return metrics, {"accuracy": correct}


def sentence_around(context: str, start: int, end: int) -> str:
    """The sentence of `context` that holds the characters from `start` to `end`.

    More than one, if they reach beyond its end. Where sentences end is told by punctuation alone.
    """
    cuts = sentence_cuts(context)
    first = max(cut for cut in cuts[:-1] if cut <= start)
    last = min(cut for cut in cuts[1:] if cut >= end)
    return context[first:last].strip()


def sentence_cuts(context: str) -> list[int]:
    """Where sentences begin, and the end of the last one, as punctuation tells."""
    return [0, *(match.end() for match in _SENTENCE_END.finditer(context)), len(context)]


def _examples(split: "Dataset") -> Examples:
    answers, sentences = [], []
    for context, given in zip(split["context"], split["answers"], strict=True):
        text, start = given["text"][0], given["answer_start"][0]
        answers.append(text)
        sentences.append(sentence_around(context, start, start + len(text)))
    return Examples(answers, sentences, [question.strip() for question in split["question"]])
