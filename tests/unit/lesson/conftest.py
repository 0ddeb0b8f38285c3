"""A page that catches what a lesson displays, and records with a known result."""

from collections.abc import Callable
from typing import Any

import IPython.display
import numpy as np
import pytest

from utils.adaptation import METHODS
from utils.experiments import Record, Spec
from utils.experiments.record import current_versions, pack_answers
from utils.experiments.spec import key_of
from utils.lesson import outputs
from utils.lesson.practice import get_exercise

MINILM = "sentence-transformers/all-MiniLM-L6-v2"
MakeRecord = Callable[..., Record]


class Page:
    """Displayed bundles with their metadata, in order."""

    def __init__(self) -> None:
        self.outputs: list[dict[str, Any]] = []
        self.metadata: list[dict[str, Any]] = []

    def display(self, bundle: dict, *, raw: bool, metadata: dict | None = None, **_: Any) -> "Page":
        assert raw
        self.outputs.append(bundle)
        self.metadata.append(metadata or {})
        return self

    def update(self, bundle: dict, *, raw: bool) -> None:
        self.outputs[-1] = bundle


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> Page:
    """Pretend that a notebook is running and catch what it displays."""
    page = Page()
    for module in (outputs, "utils.lesson.live"):
        name = module if isinstance(module, str) else module.__name__
        monkeypatch.setattr(f"{name}.shell", lambda: object())
    monkeypatch.setattr(IPython.display, "display", page.display)
    return page


def build(
    method: str,
    seed: int,
    correct: Any,
    *,
    kind: str = "mirror",
    metrics: dict[str, float] | None = None,
    pairs: dict[str, Any] | None = None,
    **fields: Any,
) -> Record:
    """A sound record of `method` that was right on the examples in `correct`.

    `metrics` come on top; `pairs` are other shares with their single answers.
    """
    correct = np.asarray(correct, dtype=bool)
    model = MINILM if METHODS[method].needs_model else None
    defaults = {"dataset": "stanfordnlp/sst2", "model": model, "profile": "full", "n_train": 500}
    spec = Spec(**{"method": method, "seed": seed, "data_seed": seed, **defaults, **fields})
    versions = current_versions(spec)
    shares = {"accuracy": correct, **(pairs or {})}
    return Record(
        key=key_of(spec, "0" * 16, "1" * 16 if spec.model else None, versions),
        spec=spec,
        metrics={**{name: float(bits.mean()) for name, bits in shares.items()}, **(metrics or {})},
        statistics=pack_answers(shares),
        cost={"optimiser_steps": 7.0},
        provenance={
            "source": {"kind": kind, "location": kind, "fingerprint": "0" * 16},
            "model_source": {"fingerprint": "1" * 16} if spec.model else None,
            "versions_of": versions,
        },
    )


def assert_diagnosed(number: str, learner: Any, status: str, mistake: str | None) -> None:
    """The check gives this status, and names a mistake that holds these words, or none."""
    report = get_exercise(number).diagnose(learner)
    assert report.status == status, report
    assert (report.mistake is None) == (mistake is None)
    assert mistake is None or mistake in (report.mistake or "")


@pytest.fixture
def diagnosed() -> Callable[[str, Any, str, str | None], None]:
    """`assert_diagnosed(number, learner, status, mistake)`."""
    return assert_diagnosed


@pytest.fixture
def make_record() -> MakeRecord:
    """`build(method, seed, correct, **spec_fields)`."""
    return build


@pytest.fixture
def pretrained() -> Callable[..., list[Record]]:
    """Pre-trainings with these gains, right on `n_right` of 200 pairs if they are asked."""

    def make(method: str, gains: list[float], n_right: int | None = None) -> list[Record]:
        nsp = {} if n_right is None else {"nsp_accuracy_other_document": np.arange(200) < n_right}
        return [
            build(
                method, seed, np.arange(100) < 30, metrics={"gain": gain}, pairs=nsp,
                task="language-modelling", dataset="openstax/textbooks-en", n_train=None,
            )
            for seed, gain in enumerate(gains)
        ]  # fmt: skip

    return make


@pytest.fixture
def runs_of() -> Callable[..., list[Record]]:
    """Five seeds of a method on 400 examples, right on about a share `accuracy` of them."""

    def make(method: str, accuracy: float, seeds: int = 5, **fields: Any) -> list[Record]:
        # The same hard examples for all methods: example i is right below a difficulty of its own.
        difficulty = np.random.default_rng(0).permutation(400) / 400
        noise = np.random.default_rng(1)
        return [
            build(method, seed, difficulty < accuracy + noise.normal(0, 0.005), **fields)
            for seed in range(seeds)
        ]

    return make
