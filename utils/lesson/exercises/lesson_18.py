"""Exercises of lesson 18: spread over seeds, a paired interval, and many tests at once."""

import numpy as np

from utils.lesson.exercise import Exercise, Mistake

# --- 18.1 -----------------------------------------------------------------------------------------


def standard_deviation(accuracies: np.ndarray) -> float:
    """Standard deviation of a sample: squared deviations divided by one less than their number."""
    deviations = accuracies - accuracies.mean()
    return float(np.sqrt((deviations**2).sum() / (len(accuracies) - 1)))


def _seed_cases(rng: np.random.Generator) -> list[tuple]:
    cases = [(np.array([0.7, 0.8, 0.9]),), (np.array([0.5, 0.5, 0.5, 0.9]),)]
    return cases + [(rng.normal(0.75, 0.04, size=n),) for n in (3, 5, 10)]


SPREAD = Exercise(
    number="18.1",
    title="What stands behind ±",
    difficulty=1,
    minutes=5,
    prompt="""
A table says 75.1 ± 1.7: mean and standard deviation over five seeds. The five are a *sample* of all
seeds that might have been used, so the sum of squared deviations is divided by $k - 1$:

$$ s = \\sqrt{\\frac{1}{k - 1} \\sum_{j=1}^{k} (a_j - \\bar a)^2}. $$

Write `standard_deviation(accuracies)` for a NumPy array of shape (seeds,). Return a float.
""",
    hints=(
        "The mean was computed from the same numbers. What does that do to the deviations from it?",
        "NumPy divides by $k$ unless told otherwise: look at the argument `ddof` of `np.std`.",
        "`np.std(accuracies, ddof=1)`, or the formula written out.",
    ),
    solution=standard_deviation,
    cases=_seed_cases,
    mistakes=(
        Mistake(
            "divided by k",
            "You divide by the number of seeds, as `np.std` does by default. That understates the "
            "spread, and the fewer the seeds the more.",
            lambda a: float(a.std()),
        ),
        Mistake(
            "the standard error",
            "You divide by the root of the number of seeds: that is how uncertain the *mean* is. "
            "Asked is how much single runs differ.",
            lambda a: float(a.std(ddof=1) / np.sqrt(len(a))),
        ),
        Mistake(
            "the variance",
            "You return the variance. Take its square root.",
            lambda a: float(a.var(ddof=1)),
        ),
        Mistake(
            "half the range",
            "You return half of the distance between best and worst seed, which grows with every "
            "seed that is added.",
            lambda a: float((a.max() - a.min()) / 2),
        ),
        Mistake(
            "the mean absolute deviation",
            "You average absolute deviations. They are squared first, and the root comes last.",
            lambda a: float(np.abs(a - a.mean()).mean()),
        ),
        Mistake(
            "half an interval of 95 %",
            "You multiply by 1.96. That is half the width of an interval; asked is the deviation.",
            lambda a: float(1.96 * a.std(ddof=1)),
        ),
    ),
)

# --- 18.2 -----------------------------------------------------------------------------------------


def paired_interval(
    ours: np.ndarray, theirs: np.ndarray, rows: np.ndarray, columns: np.ndarray
) -> tuple[float, float]:
    """Percentile interval of the difference of two accuracies, seeds and examples drawn alike."""
    differences = [
        ours[r][:, c].mean() - theirs[r][:, c].mean() for r, c in zip(rows, columns, strict=True)
    ]
    low, high = np.quantile(differences, [0.025, 0.975])
    return float(low), float(high)


def _paired_cases(rng: np.random.Generator) -> list[tuple]:
    cases = []
    for n_seeds, n_examples, n_draws in ((2, 6, 8), (3, 40, 60), (5, 30, 80)):
        ours = rng.random((n_seeds, n_examples)) < np.linspace(0.3, 0.95, n_examples)
        theirs = rng.random((n_seeds, n_examples)) < np.linspace(0.2, 0.85, n_examples)
        rows = rng.integers(n_seeds, size=(n_draws, n_seeds))
        columns = rng.integers(n_examples, size=(n_draws, n_examples))
        cases.append((ours.astype(float), theirs.astype(float), rows, columns))
    return cases


def _draws(ours, theirs, rows, columns):  # type: ignore[no-untyped-def]
    return np.array(
        [ours[r][:, c].mean() - theirs[r][:, c].mean() for r, c in zip(rows, columns, strict=True)]
    )


def _percentiles(values, low=0.025, high=0.975):  # type: ignore[no-untyped-def]
    return float(np.quantile(values, low)), float(np.quantile(values, high))


def _unpaired(ours, theirs, rows, columns):  # type: ignore[no-untyped-def]
    first = [ours[r][:, c].mean() for r, c in zip(rows, columns, strict=True)]
    second = [theirs[r][:, c].mean() for r, c in zip(rows[::-1], columns[::-1], strict=True)]
    return _percentiles(np.subtract(first, second))


def _normal(ours, theirs, rows, columns):  # type: ignore[no-untyped-def]
    spread = 1.96 * _draws(ours, theirs, rows, columns).std(ddof=1)
    value = ours.mean() - theirs.mean()
    return float(value - spread), float(value + spread)


PAIRED = Exercise(
    number="18.2",
    title="Is the difference more than chance?",
    difficulty=3,
    minutes=15,
    prompt="""
Two methods were run with the same seeds and tested on the same examples. `ours` and `theirs` are
arrays of shape (seeds, examples), 1 where a prediction was right. Each draw of the bootstrap takes
seeds and examples with replacement, **the same ones for both methods**. To keep it repeatable the
draws are given: `rows` of shape (draws, seeds) and `columns` of shape (draws, examples) hold the
indices.

Write `paired_interval(ours, theirs, rows, columns)`. For each draw compute the difference of the
two mean accuracies, `ours` minus `theirs`. Return its 2.5 % and 97.5 % quantiles as a tuple of two
floats (`np.quantile`).
""",
    hints=(
        "One draw: pick rows, then columns of what is left, average, and subtract.",
        "`ours[r][:, c]` picks first the seeds `r`, then the examples `c`.",
        "Collect `ours[r][:, c].mean() - theirs[r][:, c].mean()` over "
        "`zip(rows, columns)`, then `np.quantile(differences, [0.025, 0.975])`.",
    ),
    solution=paired_interval,
    cases=_paired_cases,
    mistakes=(
        Mistake(
            "not paired",
            "The second method gets other draws than the first. What makes some examples hard for "
            "both then no longer cancels, and the interval is too wide.",
            _unpaired,
        ),
        Mistake(
            "an interval of 90 %",
            "You take the 5 % and 95 % quantiles. Five per cent in *all* are left out: 2.5 on "
            "either side.",
            lambda o, t, r, c: _percentiles(_draws(o, t, r, c), 0.05, 0.95),
        ),
        Mistake(
            "the wrong way round",
            "You subtract `ours` from `theirs`.",
            lambda o, t, r, c: _percentiles(_draws(t, o, r, c)),
        ),
        Mistake(
            "seeds not drawn",
            "You draw examples only. With other seeds the difference would change too.",
            lambda o, t, r, c: _percentiles([(o - t)[:, i].mean() for i in c]),
        ),
        Mistake(
            "examples not drawn",
            "You draw seeds only. With other test examples the difference would change too.",
            lambda o, t, r, c: _percentiles([(o - t)[i].mean() for i in r]),
        ),
        Mistake(
            "the whole range",
            "You return the smallest and the largest difference, which grow apart with every draw.",
            lambda o, t, r, c: _percentiles(_draws(o, t, r, c), 0.0, 1.0),
        ),
        Mistake(
            "a normal distribution assumed",
            "You take 1.96 standard deviations on either side. That is often close; asked are the "
            "quantiles of the draws, which need no such assumption.",
            _normal,
        ),
        Mistake(
            "the interval of one method",
            "You return the interval of the first method's accuracy and leave the second out.",
            lambda o, t, r, c: _percentiles(_draws(o, np.zeros_like(t), r, c)),
        ),
    ),
)

# --- 18.3 -----------------------------------------------------------------------------------------


def holm(p_values: list[float]) -> list[float]:
    """Holm's adjusted p-values, in the order given."""
    m = len(p_values)
    order = sorted(range(m), key=lambda i: p_values[i])
    adjusted, largest = [0.0] * m, 0.0
    for rank, i in enumerate(order):
        largest = max(largest, (m - rank) * p_values[i])
        adjusted[i] = min(1.0, largest)
    return adjusted


def _stepped(p_values, factor, *, running=True, capped=True, ordered=True):  # type: ignore[no-untyped-def]
    """Adjusted values with one of Holm's steps changed or left out."""
    m = len(p_values)
    order = sorted(range(m), key=lambda i: p_values[i])
    adjusted, largest = [0.0] * m, 0.0
    for rank, i in enumerate(order):
        value = factor(m, rank) * p_values[i]
        largest = max(largest, value) if running else value
        adjusted[i if ordered else rank] = min(1.0, largest) if capped else largest
    return adjusted


HOLM = Exercise(
    number="18.3",
    title="Many claims, one error rate",
    difficulty=2,
    minutes=15,
    prompt="""
If each of many tests errs in 5 % of cases, some of them will. Holm's correction bounds the chance
that *any* does. Sort the $m$ p-values, $p_{(1)} \\le \\dots \\le p_{(m)}$. The adjusted value of
the $k$-th smallest is

$$ \\tilde p_{(k)} = \\min\\Big(1,\\; \\max_{j \\le k}\\, (m - j + 1)\\, p_{(j)}\\Big). $$

Write `holm(p_values)`. It gets a list of floats and returns a list of the same length, **in the
order in which the p-values came**.
""",
    hints=(
        "The smallest p-value is multiplied by the number of tests, the next by one less.",
        "An adjusted value is never below the one before it in sorted order, nor above 1.",
        "`order = sorted(range(m), key=lambda i: p_values[i])`; go through it with "
        "`largest = max(largest, (m - rank) * p_values[i])` and write to `adjusted[i]`.",
    ),
    solution=holm,
    cases=lambda rng: [
        ([0.04, 0.01],),
        ([0.7, 0.6],),
        ([0.03, 0.6, 0.01],),
        ([0.02, 0.021, 0.9, 0.019],),
        ([0.5, 0.001, 0.012, 0.013, 0.4],),
        (rng.uniform(0, 0.2, size=8).tolist(),),
    ],
    mistakes=(
        Mistake(
            "Bonferroni's correction",
            "You multiply every p-value by the number of tests. Holm does that for the smallest "
            "one only, so he rejects more and errs no more often.",
            lambda p: [min(1.0, len(p) * x) for x in p],
        ),
        Mistake(
            "the running maximum left out",
            "A larger p-value gets a smaller adjusted one in your result. Carry the largest value "
            "so far along.",
            lambda p: _stepped(p, lambda m, rank: m - rank, running=False),
        ),
        Mistake(
            "not capped at 1",
            "Some of your values are above 1, which no probability is.",
            lambda p: _stepped(p, lambda m, rank: m - rank, capped=False),
        ),
        Mistake(
            "returned in sorted order",
            "Your values are right but sorted. The first result must belong to the first p-value.",
            lambda p: _stepped(p, lambda m, rank: m - rank, ordered=False),
        ),
        Mistake(
            "factors in the wrong order",
            "You multiply the smallest p-value by 1 and the largest by their number. It is the "
            "other way round.",
            lambda p: _stepped(p, lambda m, rank: rank + 1),
        ),
        Mistake(
            "one factor too small",
            "You begin with one less than the number of tests. The smallest p-value is multiplied "
            "by their full number.",
            lambda p: _stepped(p, lambda m, rank: m - rank - 1),
        ),
        Mistake(
            "no correction",
            "You return the p-values as they came.",
            lambda p: list(p),
        ),
    ),
)

EXERCISES = (SPREAD, PAIRED, HOLM)
