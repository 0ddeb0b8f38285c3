"""Records made by hand, for tests that run nothing."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from utils.experiments import Record, Spec
from utils.experiments.record import current_versions, pack_answers
from utils.experiments.spec import key_of


@pytest.fixture
def make_record() -> Callable[..., Record]:
    def make(correct: list[int] | None = None, cost: dict | None = None, **spec: Any) -> Record:
        bits = np.array([1, 0, 1, 1] if correct is None else correct, dtype=bool)
        full = Spec(**{"dataset": "stanfordnlp/sst2", "method": "tfidf", "n_train": 16, **spec})
        versions = current_versions(full)
        return Record(
            key=key_of(full, "f" * 16, None, versions),
            spec=full,
            metrics={"accuracy": float(bits.mean())},
            statistics=pack_answers({"accuracy": bits}),
            cost=cost or {"wall_seconds": 1.0},
            provenance={"source": {"fingerprint": "f" * 16}, "versions_of": versions},
        )

    return make
