"""Tasks: from the columns of a data set to examples, labels and metrics."""

from utils.tasks.registry import (
    ALL_METRICS,
    METRIC_TITLES,
    PRETRAINING,
    TASKS,
    get_task,
    how_measured,
    task_of,
)
from utils.tasks.splits import Splits

__all__ = [
    "ALL_METRICS",
    "METRIC_TITLES",
    "PRETRAINING",
    "TASKS",
    "Splits",
    "get_task",
    "how_measured",
    "task_of",
]
