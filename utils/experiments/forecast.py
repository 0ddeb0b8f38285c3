"""How long experiments will take, from records of earlier ones."""

from collections import defaultdict

import numpy as np

from utils.experiments.record import Record
from utils.experiments.spec import Spec

UNKNOWN_SECONDS = 30.0
"""Assumed for a method that has never been run here."""


def predicted_seconds(specs: list[Spec], records: list[Record]) -> dict[str, float]:
    """Seconds that each experiment will take, by `spec.identity()`; 0 if it is recorded.

    Taken from records of the same method, on the same data set if there are any: the median of
    seconds per update (or per example, without updates), times the planned number of those.
    """
    recorded = {record.spec.identity() for record in records}
    rates: dict[tuple[str, str | None], list[float]] = defaultdict(list)
    for record in records:
        rate = record.cost.get("wall_seconds", 0.0) / _work(record.spec)
        rates[record.spec.method, record.spec.dataset].append(rate)
        rates[record.spec.method, None].append(rate)
    seconds = {}
    for spec in specs:
        known = rates.get((spec.method, spec.dataset)) or rates.get((spec.method, None))
        guess = float(np.median(known)) * _work(spec) if known else _first_guess(spec)
        name = spec.identity()
        seconds[name] = 0.0 if name in recorded else max(guess, 0.1)
    return seconds


_UNKNOWN_RATE = 1e11
"""Operations per second assumed for pre-training: a small model on two cores."""


def _first_guess(spec: Spec) -> float:
    return _work(spec) / _UNKNOWN_RATE if _is_pretraining(spec) else UNKNOWN_SECONDS


def _is_pretraining(spec: Spec) -> bool:
    return not spec.hyper.keys().isdisjoint({"n_steps", "flops"})


_ALL = 50_000
"""Stands for "all examples" where the data set has not been opened yet."""


def _work(spec: Spec) -> float:
    """Operations of pre-training, updates of another trained method, examples of any other."""
    if _is_pretraining(spec):
        return _operations(spec)
    n = spec.n_train or _ALL
    if "epochs" not in spec.hyper:
        return float(n)
    from utils.adaptation.training import count_updates

    hyper = {name: float(spec.hyper[name]) for name in ("batch_size", "epochs", "min_updates")}
    return float(
        count_updates(n, int(hyper["batch_size"]), hyper["epochs"], int(hyper["min_updates"]))
    )


def _operations(spec: Spec) -> float:
    """Six for each token and weight (Kaplan et al., 2020), with the head at a few positions."""
    hyper = {name: float(value) for name, value in spec.hyper.items() if not isinstance(value, str)}
    if "flops" in hyper:
        return hyper["flops"]
    tokens = hyper["n_steps"] * hyper["batch_size"] * spec.max_length
    head = 0.25 * hyper["vocab_size"] * hyper["d_model"]
    return 6 * tokens * (12 * hyper["n_layers"] * hyper["d_model"] ** 2 + head)
