"""Question answering: find the words of a paragraph that answer a question.

The columns are those of SQuAD (Rajpurkar et al., 2016): `id`, `title`, `context`, `question` and
`answers`, which holds the reference answers (`text`) and the characters at which they begin
(`answer_start`). Without references, as in SQuAD 2.0 (Rajpurkar et al., 2018), the right answer is
none.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from utils import sources
from utils.errors import CourseError
from utils.squad_scores import exact_match, token_f1
from utils.tasks import own_data
from utils.tasks.distractors import with_distractor
from utils.tasks.splits import Splits, draw, held_out_groups, sample

if TYPE_CHECKING:
    from datasets import Dataset

NAME = "question-answering"

VERSION = 2
"""Raise by hand whenever a change of this file, or of those that it takes scores and distractors
from, changes splits, subsets or scores."""

METRIC = "answer_f1"

DATASETS = ("rajpurkar/squad", "rajpurkar/squad_v2")

OWN_COLUMNS = ("context", "question", "answer")

COLUMNS = ("id", "title", "context", "question", "answers")


@dataclass(frozen=True)
class Examples:
    """Questions, each with its context, its reference answers and where the first one begins.

    `starts` is -1 for a question that its context does not answer; its list of answers is empty.
    """

    ids: list[str]
    titles: list[str]
    contexts: list[str]
    questions: list[str]
    answers: list[list[str]]
    starts: list[int]

    def __len__(self) -> int:
        return len(self.questions)

    @property
    def spans(self) -> list[tuple[int, int] | None]:
        """First character of each first answer and the one after its last; None without answer."""
        return [
            (start, start + len(texts[0])) if texts else None
            for start, texts in zip(self.starts, self.answers, strict=True)
        ]

    def take(self, indices: NDArray[np.int64]) -> "Examples":
        """The questions at `indices`, in that order."""
        return Examples(
            ids=[self.ids[i] for i in indices],
            titles=[self.titles[i] for i in indices],
            contexts=[self.contexts[i] for i in indices],
            questions=[self.questions[i] for i in indices],
            answers=[self.answers[i] for i in indices],
            starts=[self.starts[i] for i in indices],
        )

    def distracted(self) -> "Examples":
        """The same questions, with a distracting sentence at the end of each context."""
        rows = zip(self.contexts, self.questions, self.answers, self.ids, strict=True)
        return replace(self, contexts=[with_distractor(*row) for row in rows])


def load(
    dataset_id: str,
    *,
    profile: str = "quick",
    validation_limit: int | None = 500,
    test_limit: int | None = None,
) -> Splits:
    """Load SQuAD or a set with its columns; its validation split is the one that is reported.

    A validation split of about `validation_limit` questions is cut from the train split by whole
    articles. With `test_limit`, a sample of the reported split, drawn with a fixed seed.
    `dataset_id` may also be a file of one's own, see `own_data`: with the column `answers` as in
    SQuAD or as a list of texts, or `answer` with one text, empty if there is no answer.

    Raises:
        CourseError: if the task does not know the data set, or a column, a split or an answer is
            not as it must be, or the limits do not fit.
    """
    if own_data.is_own(dataset_id):
        return own_data.load(
            dataset_id, _own, validation_limit=validation_limit, test_limit=test_limit
        )
    if dataset_id not in DATASETS:
        known = " and ".join(DATASETS)
        raise CourseError(f"Question answering does not know {dataset_id!r}. Known: {known}.")
    dataset, source = sources.load_dataset(dataset_id, profile=profile)
    if missing := {"train", "validation"} - set(dataset):
        raise CourseError(f"{dataset_id} has no split {' and '.join(sorted(missing))}.")
    train, test = (examples(dataset[split], dataset_id) for split in ("train", "validation"))
    is_held_out = held_out_groups(train.titles, validation_limit or 0)
    validation = train.take(np.flatnonzero(is_held_out)[: validation_limit or 0])
    train = train.take(np.flatnonzero(~is_held_out))
    return Splits(train, validation, sample(test, test_limit), [], source)


def subset(train: Examples, n: int | None, data_seed: int) -> Examples:
    """Draw `n` training questions, nested: a larger `n` with the same seed holds the smaller one's.

    `n=None` returns all of them in their own order.

    Raises:
        CourseError: if there are fewer than `n`.
    """
    return draw(train, n, data_seed, "questions")


def score(
    predictions: NDArray[np.str_], examples: Examples
) -> tuple[dict[str, float], dict[str, NDArray[np.generic]]]:
    """Exact match and F1 of answers, and both once more with a distracting sentence.

    Args:
        predictions: (n_questions, 2), the answer to each question in its own context and in that of
            `Examples.distracted`; the empty string for no answer. Without the second column,
            (n_questions,), the metrics with a distracting sentence are left out.
        examples: the questions.

    Returns:
        The metrics, means over questions, and for each question whether its answer matches exactly
        and its F1.
    """
    columns = np.atleast_2d(predictions.T)
    answers: dict[str, NDArray[np.generic]] = {}
    for column, suffix in zip(columns, ("", "_distracted"), strict=False):
        pairs = list(zip(column.tolist(), examples.answers, strict=True))
        answers[f"answer_f1{suffix}"] = np.array([token_f1(*pair) for pair in pairs], np.float32)
        answers[f"exact_match{suffix}"] = np.array([exact_match(*pair) for pair in pairs])
    return {name: float(each.mean(dtype=float)) for name, each in answers.items()}, answers


def examples(split: "Dataset", dataset_id: str) -> Examples:
    """Questions from a data set with the columns of SQuAD.

    An answer that does not stand where its offset says is looked for in the context.

    Raises:
        CourseError: if a column is missing, a context or a question is empty, or a reference answer
            does not stand in its context.
    """
    if missing := [name for name in COLUMNS if name not in split.column_names]:
        raise CourseError(
            f"{dataset_id} lacks the column {missing[0]!r}. Question answering needs "
            f"{', '.join(COLUMNS)}; there are: {', '.join(split.column_names)}."
        )
    found = Examples([], [], [], [], [], [])
    columns = split[:]  # much faster than column by column
    for row in zip(*(columns[name] for name in COLUMNS), strict=True):
        number, title, context, question, references = row
        texts = list(references["text"])
        if not (context or "").strip() or not (question or "").strip():
            raise CourseError(f"The question {number!r} of {dataset_id} or its context is empty.")
        start = -1
        if texts:
            start = _place(context, texts[0], references["answer_start"][0])
            if start < 0:
                raise CourseError(
                    f"The answer {texts[0]!r} to the question {number!r} of {dataset_id} does not "
                    "stand in its context. Answers must be copied from the context, letter by "
                    "letter."
                )
        for column, value in zip(
            vars(found).values(), (number, title, context, question, texts, start), strict=True
        ):
            column.append(value)
    return found


def _own(table: own_data.Table) -> own_data.Parsed:
    contexts, questions = (
        table.column("context", own_data.text_in, "a text"),
        table.texts("question"),
    )
    answers, starts = [], []
    for row, place, context in zip(table.rows, table.places, contexts, strict=True):
        texts, start = _references(row, place)
        answers.append(texts)
        starts.append(_place(context, texts[0], start) if texts else -1)
        if texts and starts[-1] < 0:
            raise CourseError(
                f"{place}: the answer {texts[0]!r} does not stand in the context. Answers must be "
                "copied from it, letter by letter."
            )
    found = Examples(table.places, contexts, contexts, questions, answers, starts)
    return own_data.Parsed(found, [], [[context] for context in contexts])


def _references(row: dict[str, Any], place: str) -> tuple[list[str], int]:
    """The answers of a row, and where the first begins; -1 if the row does not say."""
    if "answers" not in row and "answer" not in row:
        raise CourseError(
            f"{place}: there is no column 'answer'. Add it, empty where the context has no answer."
        )
    value = row.get("answers", row.get("answer"))
    starts = value.get("answer_start") if isinstance(value, dict) else None
    found = value.get("text") if isinstance(value, dict) else value
    texts = [] if found is None or found == "" else own_data.texts_in(found)
    if texts is None:
        raise CourseError(
            f"{place}: the column 'answer' holds {repr(value)[:60]}, not a text or a list of texts."
        )
    known = isinstance(starts, list) and bool(starts) and isinstance(starts[0], int)
    return texts, starts[0] if known and starts else -1


def _place(context: str, text: str, start: int) -> int:
    """Where `text` stands: at `start`, else at its first occurrence, else -1."""
    return start if context[start : start + len(text)] == text else context.find(text)
