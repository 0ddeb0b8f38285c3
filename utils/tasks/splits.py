"""A data set, ready for a task."""

from dataclasses import dataclass
from typing import Any

from utils.sources import Source


@dataclass(frozen=True)
class Splits:
    """Examples as the task has them: each split has a length and `labels`.

    `validation` is cut from the data set's train split, `test` is the split that is reported.
    `label_names` are the classes, or the tokens where tokens are predicted.
    """

    train: Any
    validation: Any
    test: Any
    label_names: list[str]
    source: Source
