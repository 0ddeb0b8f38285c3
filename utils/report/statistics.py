"""Scores of records with their intervals, paired differences, and tests.

Dror et al. (2018, ACL) show which tests fit which metric in NLP; the intervals come from
`utils.resampling`.
"""

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from utils.adaptation import METHODS
from utils.errors import CourseError
from utils.experiments import Record
from utils.experiments.spec import Value
from utils.resampling import Bootstrap, ratio_bootstrap
from utils.tasks import PRETRAINING, get_task


def answers(records: Sequence[Record], metric: str | None = None) -> NDArray[np.float32]:
    """What each answer adds above and below the line of a metric under each seed, sorted by seed.

    `metric` is by default the one that decides in the task.

    Returns:
        (n_records, n_answers, 2), see `Record.fractions`.

    Raises:
        CourseError: without records, if they were not tested on the same examples, or if one keeps
            no single answers for this metric.
    """
    ordered = _by_seed(records, metric)
    metric = metric or main_metric(ordered)
    return np.stack([record.fractions(metric) for record in ordered])


def metric_values(records: Sequence[Record], metric: str) -> list[float]:
    """The metric of each record, sorted by seed.

    Raises:
        CourseError: without records, if they were not tested on the same examples, or if one was
            not measured by this metric.
    """
    for record in records:
        if metric not in record.metrics:
            raise CourseError(
                f"The record {record.key} ({record.spec.label()}) has no metric {metric!r}. "
                f"It has: {', '.join(record.metrics)}."
            )
    return [record.metrics[metric] for record in _by_seed(records, metric)]


def _by_seed(records: Sequence[Record], metric: str | None) -> list[Record]:
    if not records:
        raise CourseError("There are no records to compute an interval from. Select some first.")
    _check_same_examples(records, metric)
    return sorted(records, key=seeds_of)


def seeds_of(record: Record) -> tuple[int, int]:
    """What is varied between repetitions: the seed and the seed of the training subset."""
    return record.spec.seed, record.spec.data_seed


def score(
    records: Sequence[Record], *, metric: str | None = None, resample_seeds: bool = True
) -> Bootstrap:
    """Mean of a metric of `records`, one per seed of the same experiment, with its interval.

    See `hierarchical_bootstrap` for what the interval covers. `metric` is one that the records keep
    single answers of: a share of right answers, or F1, precision and recall of entities; by default
    the one that decides in their task.
    """
    table = answers(records, metric)
    return ratio_bootstrap(table, resample_seeds=resample_seeds)


def paired_difference(
    first: Sequence[Record], second: Sequence[Record], metric: str | None = None
) -> Bootstrap:
    """`score` of `first` minus that of `second`, paired by seed and by test example.

    Only seeds that both have are used. The interval covers seeds and test examples; it is narrower
    than that of two separate scores because both methods meet the same hard examples.

    Raises:
        CourseError: if they share no seed or were not tested on the same examples.
    """
    ours, theirs = ({seeds_of(record): record for record in side} for side in (first, second))
    shared = sorted(ours.keys() & theirs.keys())
    if not shared:
        raise CourseError(
            "A paired comparison needs runs with the same seeds, but these share none: "
            f"{sorted(ours)} against {sorted(theirs)}. Run both with the same seeds."
        )
    _check_same_examples([*first, *second], metric)
    one, other = (answers([side[s] for s in shared], metric) for side in (ours, theirs))
    return ratio_bootstrap(one, other)


def differences_by_seed(
    first: Sequence[Record], second: Sequence[Record], metric: str | None = None
) -> list[float]:
    """What `paired_difference` averages: first minus second for each seed that both have."""
    metric = metric or main_metric(first)
    ours, theirs = (
        {seeds_of(record): record.from_answers(metric) for record in side}
        for side in (first, second)
    )
    return [ours[seeds] - theirs[seeds] for seeds in sorted(ours.keys() & theirs.keys())]


def p_over_seeds(values: Sequence[float], null: float = 0.0) -> tuple[float, float] | None:
    """One-sided p-values by Student's t, against "the mean is at most `null`" and "at least".

    The bootstrap of three or five seeds takes them for more alike than they are. None for fewer
    than three values, or where all are equal: nothing was drawn at random.
    """
    from scipy.stats import t

    n = len(values)
    if n < 3 or np.ptp(values) < 1e-9:
        return None
    statistic = (np.mean(values) - null) / (np.std(values, ddof=1) / n**0.5)
    return float(t.sf(statistic, n - 1)), float(t.cdf(statistic, n - 1))


def main_metric(records: Sequence[Record]) -> str:
    """The metric that decides in the task of `records`."""
    return get_task(records[0].spec.task).METRIC


def unpaired_difference(first: Sequence[Record], second: Sequence[Record]) -> Bootstrap:
    """`score` of `first` minus that of `second`, each resampled by itself.

    For runs that were tested on different examples. The interval covers seeds and test examples of
    both sides, but not that one test set may be harder than the other.
    """
    ours = ratio_bootstrap(answers(first), seed=0)
    theirs = ratio_bootstrap(answers(second), seed=2)
    # Sorted draws are paired at random again, or the smallest would always meet the smallest.
    n = min(len(ours.draws), len(theirs.draws))  # of a larger test set there are fewer
    shuffled = np.random.RandomState(4).permutation(_thinned(theirs.draws, n))
    return Bootstrap(
        ours.value - theirs.value,
        np.sort(_thinned(ours.draws, n) - shuffled),
        min(ours.n_seeds, theirs.n_seeds),
        min(ours.n_examples, theirs.n_examples),
    )


def _thinned(draws: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    """`n` of sorted draws, at even distances."""
    return draws[np.linspace(0, len(draws) - 1, n).round().astype(int)]


def same_examples(first: Record, second: Record, metric: str | None = None) -> bool:
    """Whether `metric` was measured on the same examples in the same order."""
    return evaluated_on(first, metric) == evaluated_on(second, metric)


def evaluated_on(record: Record, metric: str | None = None) -> tuple[Hashable, ...]:
    """What fixes the test examples: data, split, limit, and version of the task that cuts them.

    In language modelling also what cuts documents into tokens and sequences. Of a `metric` such as
    "f1@validation", those of that further evaluation.
    """
    provenance, place = record.provenance, (metric or "").partition("@")[2]
    split = place if place == "validation" else "test" if place else record.spec.split
    return (
        provenance.get("also", {}).get(place, provenance["source"])["fingerprint"],
        split,
        record.spec.test_limit if split == "test" else record.spec.validation_limit,
        provenance["versions_of"]["task"],
        *_cut_into(record),
    )


def _cut_into(record: Record) -> tuple[Hashable, ...]:
    if record.spec.task not in PRETRAINING:
        return ()
    return record.spec.max_length, vocabulary_size(record)


def vocabulary_size(record: Record) -> Value | None:
    """Number of tokens of a language model; None for methods without a vocabulary of their own.

    Losses per token compare only where it is the same. Scores of what was written do anyway.
    """
    if record.spec.task not in PRETRAINING:
        return None
    method = METHODS.get(record.spec.method)
    hyper = {**(method.defaults if method else {}), **record.spec.hyper}
    return hyper.get("vocab_size")


def _check_same_examples(records: Sequence[Record], metric: str | None = None) -> None:
    for record in records:
        if not same_examples(record, records[0], metric):
            raise CourseError(
                f"The records {records[0].key} and {record.key} were tested on different examples, "
                "so their results cannot be paired. Run both on the same data, split and limit."
            )


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's correction: adjusted p-values in the order given (Holm, 1979, Scand. J. Statist. 6).

    If each adjusted value up to 0.05 is called significant, the chance of any false call among all
    of them is at most 5 %, however the tests depend on each other.
    """
    order = np.argsort(p_values, kind="stable")
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(order):
        highest = max(highest, (len(p_values) - rank) * p_values[index])
        adjusted[index] = min(1.0, highest)
    return adjusted


def interval_over_seeds(values: Sequence[float]) -> tuple[float, float] | None:
    """95 % interval of the mean of `values`, one per seed, by Student's t.

    It says nothing about the choice of test examples: it stands alone only for metrics of which
    records keep no single answers. None for fewer than three values, which say next to nothing
    about seeds.
    """
    from scipy.stats import t

    n = len(values)
    if n < 3:
        return None
    half = float(t.ppf(0.975, n - 1)) * float(np.std(values, ddof=1)) / n**0.5
    mean = float(np.mean(values))
    return mean - half, mean + half


def mean_and_sd(values: ArrayLike) -> tuple[float, float | None]:
    """Mean and standard deviation (ddof = 1) of `values`; of one value the latter is None."""
    numbers = np.asarray(values, dtype=np.float64)
    return float(numbers.mean()), float(numbers.std(ddof=1)) if numbers.size > 1 else None
