"""Tasks: from the columns of a data set to examples, labels and metrics."""

from utils.tasks.registry import TASKS, get_task
from utils.tasks.splits import Splits

__all__ = ["TASKS", "Splits", "get_task"]
