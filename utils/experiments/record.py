"""What came out of one experiment, as it is stored and published."""

import base64
import zlib
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, model_validator

from utils.adaptation import METHODS
from utils.errors import CourseError
from utils.experiments.spec import Spec, key_of
from utils.tasks import get_task

SCHEMA_VERSION = 1


class Record(BaseModel):
    """The result of one `Spec`.

    Attributes:
        metrics: name → number; shares in 0..1. Those of a further evaluation (see `Spec.also`) are
            called METRIC@PLACE, such as "f1@validation".
        statistics: what paired tests need of every example, packed; see `pack_answers`.
        cost: wall_seconds, optimiser_steps, examples_seen, tokens_seen, flops, parameters,
            trainable_parameters, peak_memory_bytes (on a CPU of the process, so far) and the like.
        provenance: commit and dirty flag, library versions, hardware, source of data and model,
            versions of task and method, UTC time.
        curve: points of the training curve (step, loss, validation accuracy).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    key: str
    schema_version: Literal[1] = 1
    spec: Spec
    metrics: dict[str, float]
    statistics: dict[str, str]
    cost: dict[str, float]
    provenance: dict[str, Any]
    curve: list[dict[str, float]] = []

    @model_validator(mode="after")
    def _belongs_to_its_key(self) -> "Record":
        source, model = self.provenance["source"], self.provenance.get("model_source")
        expected = key_of(
            self.spec,
            source["fingerprint"],
            model["fingerprint"] if model else None,
            self.provenance["versions_of"],
            {name: each["fingerprint"] for name, each in self.provenance.get("also", {}).items()},
        )
        if self.key != expected:
            raise ValueError(f"its key is {self.key}, but its content has the key {expected}")
        return self

    @model_validator(mode="after")
    def _agrees_with_its_examples(self) -> "Record":
        for name, value in self.metrics.items():
            if not self.keeps_answers(name):
                continue
            share = self.from_answers(name)
            if abs(value - share) > 1e-9:
                raise ValueError(f"its {name} is {value}, its examples say {share}")
        return self

    @property
    def score(self) -> float:
        """The metric that decides in the task: such as accuracy, or F1 of entities."""
        return self.metrics[get_task(self.spec.task).METRIC]

    def keeps_answers(self, metric: str) -> bool:
        """Whether intervals and tests can be computed for `metric`."""
        name, place = _place(metric)
        if name in OF_ENTITIES:
            return f"{_ENTITIES}{place}" in self.statistics
        if _scores(metric) in self.statistics:
            return True
        return _names(metric)[0] in self.statistics

    def from_answers(self, metric: str) -> float:
        """`metric` as the single answers give it; where there is nothing to divide by, 0."""
        above, below = self.fractions(metric).sum(axis=0, dtype=np.float64)
        return float(above / max(below, 1))

    def fractions(self, metric: str = "accuracy") -> NDArray[np.float32]:
        """What each answer adds above and below the line of `metric`, (n_answers, 2).

        The metric is the sum of the first column over the sum of the second. An answer is a test
        example, a sentence, or a hidden token.

        Raises:
            CourseError: if the record keeps no single answers for this metric.
        """
        name, place = _place(metric)
        if name in OF_ENTITIES:
            return self._entities(place) @ np.array(OF_ENTITIES[name], dtype=np.float32).T
        if (packed := self.statistics.get(_scores(metric))) is not None:
            right = np.frombuffer(zlib.decompress(base64.b64decode(packed)), dtype="<f4")
        else:
            right = self.correct(metric)
        return np.stack([right, np.ones(len(right))], axis=1).astype(np.float32)

    def _entities(self, place: str) -> NDArray[np.float32]:
        if (name := f"{_ENTITIES}{place}") not in self.statistics:
            raise CourseError(
                f"The record {self.key} ({self.spec.label()}) keeps no {name}: no interval or "
                "test can be computed from it."
            )
        packed = zlib.decompress(base64.b64decode(self.statistics[name]))
        return np.frombuffer(packed, dtype="<u2").reshape(-1, 3).astype(np.float32)

    def correct(self, metric: str = "accuracy") -> NDArray[np.bool_]:
        """Whether each answer that `metric` counts was right, (n_answers,).

        Raises:
            CourseError: if the record keeps no single answers for this metric.
        """
        bits, number = _names(metric)
        if bits not in self.statistics:
            raise CourseError(
                f"The record {self.key} ({self.spec.label()}) keeps no single answers for "
                f"{metric!r}: no interval or test can be computed from it."
            )
        packed = np.frombuffer(base64.b64decode(self.statistics[bits]), dtype=np.uint8)
        return np.unpackbits(packed, count=int(self.statistics[number])).astype(bool)


_ENTITIES = "entities"

OF_ENTITIES = {
    "f1": ((2, 0, 0), (0, 1, 1)),
    "precision": ((1, 0, 0), (0, 1, 0)),
    "recall": ((1, 0, 0), (0, 0, 1)),
}
"""Metrics of entities: weights, above and below the line, of how many of them were right, were
predicted, and are there."""


def pack_answers(answers: dict[str, NDArray[Any]]) -> dict[str, str]:
    """The `statistics` of a record, from what the score of a task returns beside the metrics.

    For each share of right answers (n_answers,) booleans, a bit each, as base64: those of
    "accuracy" are called `correct` and `n`, those of others `correct:METRIC`, `n:METRIC`. Numbers
    of "entities" (or "entities@PLACE"), (n_sentences, 3), take two bytes each and are compressed;
    so are scores in 0..1, (n_answers,), called `scores:METRIC`, of four bytes each.
    """
    packed: dict[str, str] = {}
    for metric, right in answers.items():
        if _place(metric)[0] == _ENTITIES:
            packed[metric] = base64.b64encode(zlib.compress(right.astype("<u2").tobytes())).decode()
            continue
        if np.issubdtype(right.dtype, np.floating):
            compressed = zlib.compress(right.astype("<f4").tobytes())
            packed[_scores(metric)] = base64.b64encode(compressed).decode()
            continue
        bits, number = _names(metric)
        packed[bits] = base64.b64encode(np.packbits(right).tobytes()).decode()
        packed[number] = str(len(right))
    return packed


def _place(metric: str) -> tuple[str, str]:
    """A metric and where it was measured: "f1@validation" → ("f1", "@validation")."""
    name, at, place = metric.partition("@")
    return name, at + place


def _scores(metric: str) -> str:
    return f"scores:{metric}"


def _names(metric: str) -> tuple[str, str]:
    suffix = "" if metric == "accuracy" else f":{metric}"
    return f"correct{suffix}", f"n{suffix}"


def current_versions(spec: Spec) -> dict[str, int]:
    """The code's version of the task and the method of `spec`."""
    return {"task": get_task(spec.task).VERSION, "method": METHODS[spec.method].version}


def is_stale(record: Record) -> bool:
    """Whether the record comes from an older version of its task or method (or a removed one)."""
    if record.spec.method not in METHODS:
        return True
    return bool(record.provenance["versions_of"] != current_versions(record.spec))
