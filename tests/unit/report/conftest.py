"""Hand-made records: real `Record`s whose results are simulated with known accuracies."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from utils.adaptation import METHODS
from utils.experiments import Record, Spec
from utils.experiments.record import current_versions, pack_correct
from utils.experiments.spec import key_of

MODEL = "sentence-transformers/all-MiniLM-L6-v2"
N_TEST = 200
ACCURACY = {"majority": 0.5, "tfidf": 0.62, "frozen": 0.74, "full": 0.80, "random-init": 0.55}

MakeRecord = Callable[..., Record]


def simulated(method: str, n_train: int | None, seed: int, accuracy: float | None) -> np.ndarray:
    """Correctness of N_TEST examples: more labels help, seeds differ; (N_TEST,)."""
    if accuracy is None:
        n = 5000 if n_train is None else n_train
        slope = 0.0 if method == "majority" else 0.03
        accuracy = ACCURACY[method] + slope * np.log10(n / 16)
    rng = np.random.default_rng([list(METHODS).index(method), n_train or 0, seed])
    return rng.random(N_TEST) < accuracy


def build(
    method: str = "full",
    n_train: int | None = 64,
    seed: int = 0,
    *,
    correct: np.ndarray | None = None,
    accuracy: float | None = None,
    kind: str = "mirror",
    fingerprint: str = "1111222233334444",
    versions: dict[str, int] | None = None,
    cost: dict[str, float] | None = None,
    cpu: str = "Test CPU",
    created: str = "2026-01-01T00:00:00+00:00",
    **spec_fields: Any,
) -> Record:
    """A sound record; everything that is not said has a plain default."""
    if correct is None:
        correct = simulated(method, n_train, seed, accuracy)
    needs_model = METHODS[method].needs_model
    fields: dict[str, Any] = {
        "dataset": "stanfordnlp/sst2",
        "model": MODEL if needs_model else None,
        "profile": "full",
        "data_seed": seed,
        "hyper": dict(METHODS[method].defaults),
        **spec_fields,
    }
    spec = Spec(method=method, n_train=n_train, seed=seed, **fields)
    versions = versions or current_versions(spec)
    model_source = {"kind": "embedded", "fingerprint": "aaaabbbbccccdddd"} if needs_model else None
    location = "embedded (sentiment)" if kind == "embedded" else kind
    n = 5000 if n_train is None else n_train
    costs = {"wall_seconds": 0.05 * n, "examples_seen": 3.0 * n, "parameters": 100.0}
    if needs_model:
        costs |= {"flops": 2e9 * n, "trainable_parameters": 22.7e6, "optimiser_steps": 120.0}
    if method == "majority":
        costs = {"wall_seconds": 0.0, "examples_seen": float(n)}
    trained = "learning_rate" in METHODS[method].defaults
    return Record(
        key=key_of(
            spec, fingerprint, model_source["fingerprint"] if model_source else None, versions
        ),
        spec=spec,
        metrics={"accuracy": float(np.mean(correct)), "f1_macro": float(np.mean(correct)) - 0.01},
        statistics=pack_correct({"accuracy": correct}),
        cost={**costs, "peak_memory_bytes": 2.0**30 + n} if cost is None else cost,
        provenance={
            "commit": "0" * 40,
            "dirty": False,
            "versions": {"torch": "2.13.0"},
            "hardware": {"cpu": cpu, "cores": 2, "gpu": None},
            "device": "cpu",
            "threads": 2,
            "precision": "no",
            "source": {
                "kind": kind,
                "id": spec.dataset,
                "revision": None,
                "fingerprint": fingerprint,
                "location": location,
                "licence": "unknown",
            },
            "model_source": model_source,
            "versions_of": versions,
            "n_train_available": 5000,
            "created": created,
        },
        curve=[{"step": 40.0 * i, "loss": 0.7 / i, "validation": 0.5 + 0.1 * i} for i in (1, 2, 3)]
        if trained
        else [],
    )


@pytest.fixture(scope="session")
def make_record() -> MakeRecord:
    """`build` as a fixture."""
    return build


@pytest.fixture(scope="session")
def grid() -> list[Record]:
    """Five methods at 16, 64 and 250 labels with three seeds; two of them at all, two seeds."""
    records = [
        build(method, n, seed) for method in ACCURACY for n in (16, 64, 250) for seed in range(3)
    ]
    records += [build(method, None, seed) for method in ("frozen", "full") for seed in range(2)]
    return records
