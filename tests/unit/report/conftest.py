"""Hand-made records: real `Record`s whose results are simulated with known accuracies."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from utils.adaptation import METHODS
from utils.experiments import Record, Spec
from utils.experiments.record import current_versions, pack_answers
from utils.experiments.spec import key_of

MODEL = "sentence-transformers/all-MiniLM-L6-v2"
N_TEST = 200
ACCURACY = {"majority": 0.5, "tfidf": 0.62, "frozen": 0.74, "full": 0.80, "random-init": 0.55}
ACCURACY["frozen-random"] = 0.6
_SIMULATED = ("majority", "tfidf", "frozen", "frozen-random", "full", "random-init")

MakeRecord = Callable[..., Record]


def simulated(method: str, n_train: int | None, seed: int, accuracy: float | None) -> np.ndarray:
    """Correctness of N_TEST examples: more labels help, seeds differ; (N_TEST,)."""
    if accuracy is None:
        n = 5000 if n_train is None else n_train
        slope = 0.0 if method == "majority" else 0.03
        accuracy = ACCURACY[method] + slope * np.log10(n / 16)
    rng = np.random.default_rng([_SIMULATED.index(method), n_train or 0, seed])
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
    metrics: dict[str, float] | None = None,
    answers: dict[str, np.ndarray] | None = None,
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
        metrics=metrics
        or {"accuracy": float(np.mean(correct)), "f1_macro": float(np.mean(correct)) - 0.01},
        statistics=pack_answers(answers or {"accuracy": correct}),
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


def build_pretraining(
    method: str = "mlm",
    seed: int = 0,
    *,
    loss: float = 4.0,
    unigram: float = 6.5,
    right: tuple[int, ...] = (60,),
    curve: list[dict[str, float]] | None = None,
    vocab_size: int = 8192,
    **fields: Any,
) -> Record:
    """A record of pre-training: losses as given, `right` answers of 200 for tokens, then pairs."""
    names = ("accuracy", "nsp_accuracy_other_document", "nsp_accuracy_same_document")
    correct = {
        name: np.arange(N_TEST) < n for name, n in zip(names[: len(right)], right, strict=True)
    }
    trained = "n_steps" in METHODS[method].defaults
    cost = {"wall_seconds": 2.0 + seed, "examples_seen": 40.0, "peak_memory_bytes": 2.0**30}
    if trained:
        cost |= {"wall_seconds": 100.0 + seed, "optimiser_steps": 1500.0, "tokens_seen": 3.03e6}
        cost |= {"parameters": 1.5e6, "trainable_parameters": 1.5e6, "flops": 4e12}
    plain = build(
        method, None, seed, correct=correct["accuracy"], cost=cost,
        **{
            "task": "language-modelling",
            "dataset": "openstax/textbooks-en",
            "validation_limit": 0,
            "hyper": {**METHODS[method].defaults, "vocab_size": vocab_size},
            **fields,
        },
    )  # fmt: skip
    metrics = {"mlm_loss": loss, "unigram_loss": unigram, "gain": unigram - loss}
    content = plain.model_dump() | {
        "metrics": metrics | {name: float(bits.mean()) for name, bits in correct.items()},
        "statistics": pack_answers(correct),
        "curve": curve or [],
    }
    return Record.model_validate(content)


def curve_of(*losses: float, **pairs: tuple[float, ...]) -> list[dict[str, float]]:
    """A point every 500 updates; `pairs` are losses on pairs, such as `nsp_loss_other_document`."""
    return [
        {"step": 500.0 * (i + 1), "mlm_loss": loss, "unigram_loss": 6.4}
        | {name: values[i] for name, values in pairs.items()}
        for i, loss in enumerate(losses)
    ]


@pytest.fixture(scope="session")
def make_pretraining() -> MakeRecord:
    """`build_pretraining` as a fixture."""
    return build_pretraining


@pytest.fixture(scope="session")
def pretraining_records() -> list[Record]:
    """Token counts, MLM, and MLM with next sentences, three seeds each."""
    records = []
    for seed in range(3):
        other = "nsp_loss_other_document"
        pairs = {other: (0.69, 0.6, 0.5 + 0.1 * seed), "nsp_loss_same_document": (0.7, 0.7, 0.7)}
        curve = curve_of(6.0, 5.0, 4.0 + 0.1 * seed)
        with_pairs = curve_of(6.1, 5.2, 4.5, **pairs)
        records += [
            build_pretraining("token-counts", seed, loss=6.5, right=(8, 140 + seed, 110)),
            build_pretraining("mlm", seed, loss=4.0 + 0.1 * seed, right=(60,), curve=curve),
            build_pretraining(
                "mlm-nsp", seed, loss=4.5, right=(50, 160 + 2 * seed, 104), curve=with_pairs
            ),
        ]
    return records


@pytest.fixture(scope="session")
def make_record() -> MakeRecord:
    """`build` as a fixture."""
    return build


@pytest.fixture(scope="session")
def grid() -> list[Record]:
    """Six methods at 16, 64 and 250 labels with three seeds; two of them at all, two seeds."""
    records = [
        build(method, n, seed) for method in ACCURACY for n in (16, 64, 250) for seed in range(3)
    ]
    records += [build(method, None, seed) for method in ("frozen", "full") for seed in range(2)]
    return records
