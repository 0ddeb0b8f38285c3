"""Tasks: from the columns of a data set to examples, labels and metrics."""

from utils.tasks.registry import METRIC_TITLES, PRETRAINING, TASKS, get_task, task_of
from utils.tasks.splits import Splits

__all__ = ["METRIC_TITLES", "PRETRAINING", "TASKS", "Splits", "get_task", "task_of"]
