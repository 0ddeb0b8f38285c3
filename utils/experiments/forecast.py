"""How long experiments will take, from records of earlier ones."""

from collections import defaultdict

import numpy as np

from utils.adaptation import METHODS
from utils.experiments.record import Record, is_stale
from utils.experiments.spec import Spec
from utils.tasks import question_answering, summarisation, tagging, translation

UNKNOWN_SECONDS = 30.0
"""Assumed for a method that has never been run here."""


def predicted_seconds(specs: list[Spec], records: list[Record]) -> dict[str, float]:
    """Seconds that each experiment will take, by `spec.identity()`; 0 if it is recorded.

    Taken from records of the same method and task, on the same data set if there are any: the
    median of seconds per update (or per example, without updates), times the planned number.
    """
    recorded = {record.spec.identity() for record in records if not is_stale(record)}
    rates: dict[tuple[str, str, str | None], list[float]] = defaultdict(list)
    for record in records:
        rate = record.cost.get("wall_seconds", 0.0) / _work(record.spec)
        method, task = record.spec.method, record.spec.task
        rates[method, task, record.spec.dataset].append(rate)
        rates[method, task, None].append(rate)
    seconds = {}
    for spec in specs:
        name = spec.method, spec.task
        known = rates.get((*name, spec.dataset)) or rates.get((*name, None))
        guess = float(np.median(known)) * _work(spec) if known else _first_guess(spec)
        identity = spec.identity()
        seconds[identity] = 0.0 if identity in recorded else max(guess, 0.1)
    return seconds


_UNKNOWN_RATE = 1e11
"""Operations per second assumed for pre-training: a small model on two cores."""


_TOKENS_A_SECOND = 2500
"""Assumed for training MiniLM on two cores."""

_SECONDS_OF_A_TRANSLATION_UPDATE = 0.15
"""Assumed for 64 captions on two cores, with 3 layers of 256."""

_TOKENS_OF_A_TEXT, _TOKENS_OF = 40, {question_answering.NAME: 175, summarisation.NAME: 200}
"""Mean length of an example: tweets, reviews, news; a question with its paragraph; a dialogue."""


def _first_guess(spec: Spec) -> float:
    if _is_pretraining(spec):
        return _work(spec) / _UNKNOWN_RATE
    if spec.task == translation.NAME and "batch_size" in spec.hyper:
        return _work(spec) * _SECONDS_OF_A_TRANSLATION_UPDATE
    if "batch_size" in spec.hyper:
        n_tokens = min(spec.max_length, _TOKENS_OF.get(spec.task, _TOKENS_OF_A_TEXT))
        return _work(spec) * float(spec.hyper["batch_size"]) * n_tokens / _TOKENS_A_SECOND
    return UNKNOWN_SECONDS


def _is_pretraining(spec: Spec) -> bool:
    return not spec.hyper.keys().isdisjoint({"n_steps", "flops"})


_ALL = 50_000
"""Stands for "all examples" where the data set has not been opened yet."""


_ALL_OF = {
    question_answering.NAME: 88_000,
    translation.NAME: 29_000,
    tagging.NAME: 14_000,
    summarisation.NAME: 12_460,
}
"""The same for single tasks."""


def _work(spec: Spec) -> float:
    """Operations of pre-training, updates of another trained method, examples of any other."""
    if _is_pretraining(spec):
        return _operations(spec)
    n = spec.n_train or _ALL_OF.get(spec.task, _ALL)
    if "epochs" not in spec.hyper:
        return float(n)
    from utils.adaptation.training import count_updates

    given = {**METHODS[spec.method].defaults, **spec.hyper}
    hyper = {name: float(given[name]) for name in ("batch_size", "epochs", "min_updates")}
    before = float(given.get("further_updates", 0)) + float(given.get("denoising_updates", 0))
    return before + float(
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
