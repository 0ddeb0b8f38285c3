"""All tasks by name. A new task is a module with the parts of `Task` and an entry here."""

from typing import Any, Protocol

from numpy.typing import NDArray

from utils.errors import CourseError
from utils.tasks import (
    language_modelling,
    own_data,
    pretraining_objectives,
    question_answering,
    question_generation,
    sentence_pairs,
    sequence_copying,
    summarisation,
    tagging,
    text_classification,
    translation,
)
from utils.tasks.splits import Splits


class Task(Protocol):
    """What a module of a task has.

    `VERSION` is raised by hand whenever results change; `METRIC` is the one that decides.
    """

    NAME: str
    VERSION: int
    METRIC: str

    def load(
        self, dataset_id: str, *, profile: str, validation_limit: int, test_limit: int | None
    ) -> Splits:
        """The data set, with splits of the sizes asked for."""
        ...

    def subset(self, train: Any, n: int | None, data_seed: int) -> Any:
        """`n` training examples, nested over n for the same seed."""
        ...

    def score(
        self, predictions: NDArray[Any], examples: Any
    ) -> tuple[dict[str, float], dict[str, NDArray[Any]]]:
        """Metrics; for those that are shares of right answers, whether each one is, (n_answers,).

        Or, as "entities", how many are right, predicted and there, (n_sentences, 3); or a score in
        0..1 of each answer, as numbers. The answers behind `METRIC` are always among them.
        """
        ...


TASKS: dict[str, Task] = {
    module.NAME: module
    for module in (
        text_classification,
        sentence_pairs,
        tagging,
        question_answering,
        question_generation,
        summarisation,
        translation,
        sequence_copying,
        language_modelling,
        pretraining_objectives,
    )
}


METRIC_TITLES = {
    "accuracy": "accuracy",
    "f1": "F1 of entities",
    "answer_f1": "F1 of answers",
    "rouge_l": "ROUGE-L",
    "sentence_chrf": "sentence chrF",
}
"""The metrics that decide in some task, and what people call them."""

ALL_METRICS: dict[str, dict[str, str]] = {
    tagging.NAME: {
        "f1": "F1",
        "precision": "Precision",
        "recall": "Recall",
        "f1@validation": "F1, validation split",
        "f1@eriktks/conll2003": "F1 of shared types on conll2003",
        "f1@leondz/wnut_17": "F1 of shared types on wnut_17",
    },
    question_answering.NAME: {
        "answer_f1": "F1",
        "exact_match": "Exact match",
        "answer_f1_distracted": "F1 with a distractor",
        "exact_match_distracted": "Exact match with a distractor",
    },
    summarisation.NAME: {"rouge_1": "ROUGE-1", "rouge_2": "ROUGE-2", "rouge_l": "ROUGE-L"},
    translation.NAME: {"bleu": "BLEU", "chrf": "chrF", "sentence_chrf": "Mean chrF of a sentence"},
}
"""All metrics of the tasks that people report several of, and how a table calls them."""


def how_measured(task: str) -> str:
    """What has to be said with the metrics of a task so that others can compare; else ""."""
    if task == translation.NAME:
        return f"BLEU and chrF by sacreBLEU, BLEU with the signature `{translation.signature()}`."
    if task == summarisation.NAME:
        return summarisation.HOW_MEASURED
    return ""


PRETRAINING = (language_modelling.NAME, pretraining_objectives.NAME)
"""Tasks without labels: a model is made from running text."""


def get_task(name: str) -> Task:
    """The task called `name`; raises `CourseError` with the known names for any other."""
    if name not in TASKS:
        raise CourseError(f"There is no task {name!r}. Choose one of: {', '.join(TASKS)}.")
    return TASKS[name]


def task_of(dataset_id: str) -> str:
    """Name of the task that the labels of a data set are for.

    Of a file of one's own, the columns tell.

    Raises:
        CourseError: if they do not.
    """
    if own_data.is_own(dataset_id):
        return _task_of_columns(dataset_id)
    if dataset_id in tagging.LAYOUTS:
        return tagging.NAME
    for task in (
        sentence_pairs,
        question_generation,
        question_answering,
        summarisation,
        translation,
    ):
        if dataset_id in task.DATASETS:
            return task.NAME
    return _DEFAULT


_WITH_OWN_DATA: dict[str, tuple[str, ...]] = {
    task.NAME: task.OWN_COLUMNS
    for task in (
        sentence_pairs,  # before what needs only some of its columns
        text_classification,
        tagging,
        question_answering,
        summarisation,
        translation,
    )
}


def _task_of_columns(dataset_id: str) -> str:
    names = own_data.columns(dataset_id)
    names |= {"answer"} & {name.removesuffix("s") for name in names}
    for task, needed in _WITH_OWN_DATA.items():
        if names.issuperset(needed):
            return task
    layouts = "; ".join(f"{', '.join(needed)} ({task})" for task, needed in _WITH_OWN_DATA.items())
    raise CourseError(
        f"The columns of {dataset_id} ({', '.join(sorted(names))}) are those of no task. Rename "
        f"them: {layouts}."
    )


_DEFAULT = text_classification.NAME
