"""The bootstrap: intervals for numbers that come from a few seeds and a few hundred test examples.

Two things move a measured accuracy: which training subset and initialisation the seed drew, and
which examples happen to be in the test set. All seeds are tested on the same examples, so rows
(seeds) and columns (examples) of one table are resampled: Efron and Tibshirani (1993, *An
Introduction to the Bootstrap*), for crossed designs Owen (2007, Annals of Applied Statistics 1(2)).
Bouthillier et al. (2021, MLSys) show why seeds must be resampled at all.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from utils.errors import CourseError

N_DRAWS = 10_000
"""Resampled data sets, for up to 6,000 examples."""

_MOST_DRAWN = 60_000_000
"""Examples drawn in all: the hidden tokens of a text are tens of thousands, and their intervals
narrow."""

_CHUNK = 1_000


@dataclass(frozen=True)
class Bootstrap:
    """A mean and its bootstrap distribution.

    Attributes:
        value: the mean over all seeds and examples.
        draws: the same mean in each resampled data set, (n_draws,), sorted.
        n_seeds, n_examples: the size of the table that was resampled.
    """

    value: float
    draws: NDArray[np.float64]
    n_seeds: int
    n_examples: int

    @property
    def low(self) -> float:
        """Lower end of the 95 % percentile interval."""
        return float(np.quantile(self.draws, 0.025))

    @property
    def high(self) -> float:
        """Upper end of the 95 % percentile interval."""
        return float(np.quantile(self.draws, 0.975))

    def p_greater(self, null: float = 0.0) -> float:
        """One-sided p-value against "the mean is at most `null`".

        The share of draws at or below `null`, with one added to both counts so that it is never 0
        (Davison and Hinkley, 1997, *Bootstrap Methods and their Application*, section 4.2).
        """
        at_most = int(np.searchsorted(self.draws, null, side="right"))
        return (at_most + 1) / (len(self.draws) + 1)

    def p_less(self, null: float = 0.0) -> float:
        """One-sided p-value against "the mean is at least `null`"; see `p_greater`."""
        below = int(np.searchsorted(self.draws, null, side="left"))
        return (len(self.draws) - below + 1) / (len(self.draws) + 1)

    def p_two_sided(self, null: float = 0.0) -> float:
        """Two-sided p-value against "the mean is `null`": twice the smaller one-sided one."""
        return min(1.0, 2 * min(self.p_greater(null), self.p_less(null)))


def hierarchical_bootstrap(
    values: ArrayLike,
    *,
    resample_seeds: bool = True,
    resample_examples: bool = True,
    n_draws: int | None = None,
    seed: int = 0,
) -> Bootstrap:
    """Bootstrap the mean of `values`, (n_seeds, n_examples): seeds, then test examples.

    Both are drawn with replacement; the drawn examples are the same for all drawn seeds, as the
    seeds share one test set. Give correctness (0 or 1) for the interval of an accuracy, or the
    difference in correctness of two methods for a paired comparison: each drawn seed and example
    then counts for both methods alike.

    The interval covers the choice of seeds *and* of test examples. Its limits: with k seeds,
    resampling understates their variance by the factor (k - 1)/k, and with one seed it says nothing
    about seeds at all and covers test examples only. On the other hand, noise that is independent
    between seeds and examples is counted up to three times (Owen, 2007), so where seeds err on
    unrelated examples the interval is wider than it need be. With `resample_seeds=False` it covers
    test examples only, given these very runs. Values that are all equal give an interval of width
    0.

    Args:
        values: numbers, one row per seed, one column per test example.
        resample_seeds: draw seeds anew; else all count once in each draw.
        resample_examples: draw test examples anew; else all count once in each draw.
        n_draws: number of resampled data sets; by default as many as `default_draws` says.
        seed: of the draws; the result depends on nothing else.

    Raises:
        CourseError: if `values` is not a non-empty table.
    """
    table = np.asarray(values, dtype=np.float32)
    if table.ndim != 2 or table.size == 0:
        raise CourseError(
            f"The bootstrap needs a table of shape (n_seeds, n_examples), not {table.shape}. "
            "Put the values of each seed into a row."
        )
    draws = _draws(
        table.tobytes(),
        table.shape,
        resample_seeds,
        resample_examples,
        n_draws or default_draws(table.shape[1]),
        seed,
    )
    return Bootstrap(float(table.mean(dtype=np.float64)), draws, *table.shape)


def default_draws(n_examples: int) -> int:
    """How many resampled data sets an interval rests on."""
    return min(N_DRAWS, max(1_000, _MOST_DRAWN // n_examples))


def ratio_bootstrap(
    table: NDArray[np.float32],
    minus: NDArray[np.float32] | None = None,
    *,
    resample_seeds: bool = True,
    seed: int = 0,
) -> Bootstrap:
    """The same for a metric that is a ratio of sums, averaged over seeds.

    F1 of entities is no mean over sentences, but twice the right entities over all predicted and
    all real ones. So in each draw both sums are taken anew for each seed. Where all answers have 1
    below the line this is `hierarchical_bootstrap`.

    Args:
        table: (n_seeds, n_examples, 2), what each adds above and below the line.
        minus: of the same shape; its ratio is subtracted, from the same draws.
        resample_seeds: draw seeds anew; else all count once in each draw.
        seed: of the draws.
    """
    tables = [table] if minus is None else [table, minus]
    if all((each[..., 1] == 1).all() for each in tables):
        values = tables[0][..., 0] - (0 if minus is None else minus[..., 0])
        return hierarchical_bootstrap(values, resample_seeds=resample_seeds, seed=seed)
    n_seeds, n_examples, _ = table.shape
    n_draws = default_draws(n_examples)
    value, ratios = 0.0, np.zeros((n_draws, n_seeds))
    for sign, each in zip((1, -1), tables, strict=False):
        above, below = (np.ascontiguousarray(each[..., i]) for i in (0, 1))
        value += sign * float(_ratio(above.sum(axis=1), below.sum(axis=1)).mean())
        ratios += sign * _ratio(
            *(_resampled_sums(side.tobytes(), side.shape, n_draws, seed) for side in (above, below))
        )
    if resample_seeds:
        ratios *= _counts(n_seeds, n_draws, seed + 1)
    return Bootstrap(value, np.sort(ratios.sum(axis=1) / n_seeds), n_seeds, n_examples)


def _ratio(above: NDArray[Any], below: NDArray[Any]) -> NDArray[np.float64]:
    """0 where there is nothing to divide by."""
    return above.astype(np.float64) / np.maximum(below, 1)


@lru_cache(maxsize=512)  # the same cells stand in tables, figures, sentences and claims
def _draws(
    content: bytes,
    shape: tuple[int, int],
    resample_seeds: bool,
    resample_examples: bool,
    n_draws: int,
    seed: int,
) -> NDArray[np.float64]:
    """Sorted means of the resampled tables, (n_draws,)."""
    if resample_examples:
        sums = _resampled_sums(content, shape, n_draws, seed)
    else:
        sums = np.tile(_table(content, shape).sum(axis=1, dtype=np.float64), (n_draws, 1))
    if resample_seeds:
        # Seeds get a stream of their own: as many seeds as examples must not be drawn alike.
        sums = sums * _counts(shape[0], n_draws, seed + 1)
    # Dividing last keeps the sums of whole numbers exact, so that a tie is a tie.
    draws = np.sort(sums.sum(axis=1) / (shape[0] * shape[1]))
    draws.flags.writeable = False
    return draws


def _table(content: bytes, shape: tuple[int, int]) -> NDArray[np.float32]:
    return np.frombuffer(content, dtype=np.float32).reshape(shape)


@lru_cache(maxsize=64)
def _resampled_sums(
    content: bytes, shape: tuple[int, int], n_draws: int, seed: int
) -> NDArray[np.float64]:
    """Sum of each seed's values in each draw of examples, (n_draws, n_seeds)."""
    table, counts = _table(content, shape), _counts(shape[1], n_draws, seed)
    # In float32, sums of products of small integers are exact whatever order BLAS adds them in.
    chunks = [
        counts[start : start + _CHUNK].astype(np.float32) @ table.T
        for start in range(0, n_draws, _CHUNK)
    ]
    return np.concatenate(chunks).astype(np.float64)


@lru_cache(maxsize=16)
def _counts(n: int, n_draws: int, seed: int) -> NDArray[np.uint8]:
    """How often each of `n` things is drawn when `n` are drawn with replacement, (n_draws, n).

    `RandomState` and not a `Generator`: its stream is frozen (NumPy's NEP 19), so a published
    interval comes out the same under every version of NumPy.
    """
    random = np.random.RandomState(seed)
    counts = np.empty((n_draws, n), dtype=np.uint8)
    for start in range(0, n_draws, _CHUNK):
        rows = min(_CHUNK, n_draws - start)
        drawn = random.randint(n, size=(rows, n), dtype=np.int32)
        drawn += np.arange(rows, dtype=np.int32)[:, np.newaxis] * n
        counts[start : start + rows] = np.bincount(drawn.ravel(), minlength=rows * n).reshape(
            rows, n
        )
    counts.flags.writeable = False
    return counts
