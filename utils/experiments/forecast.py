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
        guess = float(np.median(known)) * _work(spec) if known else UNKNOWN_SECONDS
        name = spec.identity()
        seconds[name] = 0.0 if name in recorded else max(guess, 0.1)
    return seconds


_ALL = 50_000
"""Stands for "all examples" where the data set has not been opened yet."""


def _work(spec: Spec) -> float:
    """Updates of a trained method, examples of any other."""
    n = spec.n_train or _ALL
    if "epochs" not in spec.hyper:
        return float(n)
    from utils.adaptation.training import count_updates

    hyper = {name: float(spec.hyper[name]) for name in ("batch_size", "epochs", "min_updates")}
    return float(
        count_updates(n, int(hyper["batch_size"]), hyper["epochs"], int(hyper["min_updates"]))
    )
