"""Exercises of lesson 16: F1 from counts, macro F1, McNemar's test, Holm, a planned test set."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom, norm

from utils.lesson.exercise import Exercise, Mistake

Classes = NDArray[np.int64]
Scores = tuple[float, float, float]

# --- 16.1 -----------------------------------------------------------------------------------------


def scores_of(predictions: Classes, references: Classes) -> Scores:
    """Precision, recall and F1 of class 1; 0 where there is nothing to divide by."""
    tp = int(((predictions == 1) & (references == 1)).sum())
    n_predicted, n_real = int((predictions == 1).sum()), int((references == 1).sum())
    precision = tp / n_predicted if n_predicted else 0.0
    recall = tp / n_real if n_real else 0.0
    f1 = 2 * tp / (n_predicted + n_real) if n_predicted + n_real else 0.0
    return precision, recall, f1


def _counted(predictions: Classes, references: Classes) -> tuple[int, int, int, int]:
    """tp, fp, fn, tn."""
    p, r = np.asarray(predictions) == 1, np.asarray(references) == 1
    return int((p & r).sum()), int((p & ~r).sum()), int((~p & r).sum()), int((~p & ~r).sum())


def _share(above: float, below: float) -> float:
    return above / below if below else 0.0


def _with_accuracy(predictions: Classes, references: Classes) -> Scores:
    precision, recall, _ = scores_of(predictions, references)
    accuracy = float((predictions == references).mean())
    return precision, recall, _share(2 * accuracy * recall, accuracy + recall)


def _arithmetic(predictions: Classes, references: Classes) -> Scores:
    precision, recall, _ = scores_of(predictions, references)
    return precision, recall, (precision + recall) / 2


def _swapped(predictions: Classes, references: Classes) -> Scores:
    return scores_of(references, predictions)


def _class_0(predictions: Classes, references: Classes) -> Scores:
    return scores_of(1 - predictions, 1 - references)


def _not_a_number(predictions: Classes, references: Classes) -> Scores:
    tp, fp, fn, _ = _counted(predictions, references)
    nan = float("nan")
    precision = tp / (tp + fp) if tp + fp else nan
    recall = tp / (tp + fn) if tp + fn else nan
    total = precision + recall
    return precision, recall, 2 * precision * recall / total if total else nan


def _right_of_all(predictions: Classes, references: Classes) -> Scores:
    """Negatives that were recognised count as found."""
    tp, fp, fn, tn = _counted(predictions, references)
    precision, recall = _share(tp + tn, tp + tn + fp), _share(tp + tn, tp + tn + fn)
    return precision, recall, _share(2 * precision * recall, precision + recall)


def _class_cases(rng: np.random.Generator) -> list[tuple]:
    cases = [
        (np.array([1, 1, 1, 0, 0, 0, 0, 0]), np.array([1, 0, 0, 1, 0, 0, 0, 0])),
        (np.array([1, 1, 0, 0, 0]), np.array([1, 1, 1, 1, 0])),
        (np.array([0, 0, 0, 0]), np.array([0, 1, 0, 0])),  # nothing is predicted
        (np.array([1, 0, 0, 0]), np.array([0, 0, 0, 0])),  # there is nothing to find
        (np.array([0, 0, 0]), np.array([0, 0, 0])),
    ]
    for share in (0.1, 0.5, 0.8):
        cases.append(((rng.random(40) < share).astype(int), (rng.random(40) < 0.3).astype(int)))
    return cases


SCORES_OF = Exercise(
    number="16.1",
    title="Precision, recall, F1",
    difficulty=1,
    minutes=8,
    prompt="""
Write `scores_of(predictions, references)`:

| argument | meaning |
|---|---|
| `predictions`, `references` | (n,) arrays of 0 and 1 |
| result | precision, recall and F1 of class 1, three numbers |

Where there is nothing to divide by, the score is 0. Use no library of metrics.
""",
    hints=(
        "Three numbers are enough: how many 1s are predicted, how many there are, and at how many "
        "places both are 1.",
        "Precision divides the last of them by the first, recall by the second. True negatives "
        "appear nowhere.",
        "F1 is twice the shared ones over the sum of the other two. Guard each division with "
        "`if` for the case that its lower part is 0.",
    ),
    solution=scores_of,
    cases=_class_cases,
    mistakes=(
        Mistake(
            "accuracy in place of precision",
            "Your F1 combines recall with *accuracy*. Accuracy counts true negatives, so with a "
            "rare class nearly anything scores well. F1 is the harmonic mean of precision and "
            "recall.",
            _with_accuracy,
        ),
        Mistake(
            "arithmetic mean",
            "Your F1 is (precision + recall) / 2. Calling everything positive then scores at least "
            "½. The harmonic mean stays close to the smaller of the two.",
            _arithmetic,
        ),
        Mistake(
            "precision and recall swapped",
            "Precision and recall have changed places: precision divides by what was *predicted* "
            "as class 1, recall by what *is* of class 1. F1 does not notice.",
            _swapped,
        ),
        Mistake(
            "the other class",
            "These are the scores of class 0. With two classes each has a precision, recall and "
            "F1 of its own.",
            _class_0,
        ),
        Mistake(
            "division by nothing",
            "Where nothing is predicted, or nothing is there, you return nan. One nan makes every "
            "mean that it enters nan as well; here 0 was asked for.",
            _not_a_number,
        ),
        Mistake(
            "true negatives counted",
            "You count the examples that are rightly called 0 as found. Precision and recall of "
            "class 1 speak only of those that are predicted as 1, or are 1.",
            _right_of_all,
        ),
    ),
)

# --- 16.2 -----------------------------------------------------------------------------------------


def macro_f1(predictions: Classes, references: Classes) -> float:
    """Mean of the classes' F1 over the classes that occur among labels or predictions."""
    present = sorted({*predictions.tolist(), *references.tolist()})
    scores = []
    for k in present:
        tp = ((predictions == k) & (references == k)).sum()
        scores.append(2 * tp / ((predictions == k).sum() + (references == k).sum()))
    return float(np.mean(scores))


def _f1_of(predictions: Classes, references: Classes, k: int) -> float:
    return scores_of((predictions == k).astype(int), (references == k).astype(int))[2]


def _over(classes: set[int], predictions: Classes, references: Classes) -> float:
    return float(np.mean([_f1_of(predictions, references, k) for k in sorted(classes)]))


def _micro(predictions: Classes, references: Classes) -> float:
    return float((predictions == references).mean())


def _weighted(predictions: Classes, references: Classes) -> float:
    classes, counts = np.unique(references, return_counts=True)
    scores = [_f1_of(predictions, references, k) for k in classes]
    return float(np.average(scores, weights=counts))


def _f1_of_means(predictions: Classes, references: Classes) -> float:
    present = sorted({*predictions.tolist(), *references.tolist()})
    pairs = [scores_of((predictions == k) * 1, (references == k) * 1)[:2] for k in present]
    precision, recall = np.mean(pairs, axis=0)
    return float(_share(2 * precision * recall, precision + recall))


def _only_references(predictions: Classes, references: Classes) -> float:
    return _over(set(references.tolist()), predictions, references)


def _up_to_largest(predictions: Classes, references: Classes) -> float:
    highest = max(*predictions.tolist(), *references.tolist())
    return _over(set(range(highest + 1)), predictions, references)


def _many_classes(rng: np.random.Generator) -> list[tuple]:
    cases = [
        (np.array([0, 0, 0, 0, 1, 0]), np.array([0, 0, 0, 0, 1, 1])),
        (np.array([0, 0, 2, 1]), np.array([0, 0, 0, 1])),  # 2 is predicted and never right
        (np.array([0, 3, 0, 3]), np.array([0, 3, 3, 0])),  # 1 and 2 do not occur
        (np.array([0, 1, 0, 0]), np.array([0, 1, 2, 0])),  # 2 is there and never predicted
        (np.array([1, 1, 1]), np.array([1, 1, 1])),
    ]
    for _ in range(3):
        references = rng.choice(5, size=50, p=[0.6, 0.2, 0.1, 0.06, 0.04])
        wrong = rng.random(50) < 0.3
        cases.append((np.where(wrong, rng.integers(5, size=50), references), references))
    return cases


MACRO_F1 = Exercise(
    number="16.2",
    title="Macro F1",
    difficulty=2,
    minutes=10,
    prompt="""
Write `macro_f1(predictions, references)` for two arrays (n,) of class numbers: the F1 of each class
by itself, then their plain mean. Average over the classes that occur among references *or*
predictions. A class that is predicted and never there has an F1 of 0, and so has one that is there
and never predicted. A class that occurs in neither is left out.
""",
    hints=(
        "First find which classes to average over: those in either array, as a set.",
        "For class k, `predictions == k` and `references == k` make it a problem with two classes, "
        "like 16.1.",
        "F1 of class k is twice the places where both are k, over the number of k in the one array "
        "plus that in the other. At the end, `np.mean` of the list.",
    ),
    solution=macro_f1,
    cases=_many_classes,
    mistakes=(
        Mistake(
            "micro F1",
            "You added the counts of all classes up before dividing. With one label for each "
            "example that is accuracy, and rare classes hardly count.",
            _micro,
        ),
        Mistake(
            "weighted by class size",
            "You weighted each class by how often it occurs. That is the weighted average; in the "
            "macro average the rarest class counts as much as the largest.",
            _weighted,
        ),
        Mistake(
            "F1 of the mean precision and recall",
            "You averaged precision and recall over the classes first and then made an F1 of the "
            "two means. Published under the same name, it is another number (Opitz and Burst, "
            "2019): compute F1 for each class, and average last.",
            _f1_of_means,
        ),
        Mistake(
            "predicted classes forgotten",
            "You average over the classes among the references only. A class that is predicted "
            "and never there is all false positives; its F1 of 0 belongs into the mean.",
            _only_references,
        ),
        Mistake(
            "absent classes counted",
            "You average over all numbers up to the largest. A class that occurs neither among "
            "references nor predictions has no F1, and must not pull the mean down.",
            _up_to_largest,
        ),
    ),
)

# --- 16.3 -----------------------------------------------------------------------------------------


def mcnemar_p(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    """Exact two-sided p-value: the fewer wins, or fewer still, of a fair coin, twice."""
    wins, losses = int((first & ~second).sum()), int((~first & second).sum())
    return float(min(1.0, 2 * binom.cdf(min(wins, losses), wins + losses, 0.5)))


def _wins(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> tuple[int, int]:
    return int((first & ~second).sum()), int((~first & second).sum())


def _one_sided(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    b, c = _wins(first, second)
    return float(binom.cdf(min(b, c), b + c, 0.5))


def _not_capped(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    return 2 * _one_sided(first, second)


def _without_equal(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    b, c = _wins(first, second)
    return float(2 * binom.cdf(min(b, c) - 1, b + c, 0.5))


def _all_examples(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    b, c = _wins(first, second)
    return float(min(1.0, 2 * binom.cdf(min(b, c), len(first), 0.5)))


def _chi_squared(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    b, c = _wins(first, second)
    return float(2 * norm.sf(abs(b - c) / math.sqrt(b + c))) if b + c else 1.0


def _continuity_corrected(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    b, c = _wins(first, second)
    return float(2 * norm.sf(max(abs(b - c) - 1, 0) / math.sqrt(b + c))) if b + c else 1.0


def _ignores_pairs(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    pooled, n = float(first.mean() + second.mean()) / 2, len(first)
    spread = math.sqrt(2 * pooled * (1 - pooled) / n)
    return float(2 * norm.sf(abs(first.mean() - second.mean()) / spread)) if spread else 1.0


def _answers(both: int, wins: int, losses: int, neither: int) -> tuple:
    first = [True] * (both + wins) + [False] * (losses + neither)
    second = [True] * both + [False] * wins + [True] * losses + [False] * neither
    return np.array(first), np.array(second)


def _paired_cases(rng: np.random.Generator) -> list[tuple]:
    cases = [
        _answers(3, 5, 1, 1),  # of 6 flips 1 or fewer: 7/64, twice
        _answers(10, 1, 9, 2),  # the other one is better
        _answers(4, 3, 3, 2),  # level
        _answers(6, 0, 0, 2),  # never apart
        _answers(40, 12, 3, 20),
    ]
    for _ in range(3):
        easy = rng.random(200)
        cases.append((easy < 0.8 - 0.2 * (rng.random(200) < 0.2), easy < 0.7))
    return cases


MCNEMAR_P = Exercise(
    number="16.3",
    title="McNemar's test",
    difficulty=2,
    minutes=12,
    prompt="""
Write `mcnemar_p(first, second)`, the exact two-sided p-value of McNemar's test:

| argument | meaning |
|---|---|
| `first`, `second` | (n,) boolean arrays: was each model right on each example? |
| result | a number in 0..1 |

Count the examples on which exactly one model is right. If both are equally good, each of them is
a flip of a fair coin. The two-sided p-value is twice the probability of the smaller of both counts,
or an even smaller one; never more than 1. `scipy.stats.binom` is allowed, and `mcnemar` of the
course is not.
""",
    hints=(
        "Two counts matter: `first & ~second` and `~first & second`. How many flips are that?",
        "`scipy.stats.binom.cdf(k, n, 0.5)` is the probability of k or fewer heads in n flips.",
        "With b and c: `2 * binom.cdf(min(b, c), b + c, 0.5)`, and `min(1.0, …)` around it, since "
        "where b and c are equal both tails hold the middle.",
    ),
    solution=mcnemar_p,
    cases=_paired_cases,
    mistakes=(
        Mistake(
            "one-sided",
            "Your p is half of what it should be: you counted one tail. Unless it was fixed "
            "beforehand which model is better, a surprise on the other side would have been "
            "reported as well.",
            _one_sided,
        ),
        Mistake(
            "more than 1",
            "Where both counts are equal you return more than 1, because the middle belongs to "
            "both tails. A probability ends at 1.",
            _not_capped,
        ),
        Mistake(
            "the observed count left out",
            "You count only results that are *more* extreme than the one that was observed. The "
            "observed one belongs to the tail: as extreme, or more.",
            _without_equal,
        ),
        Mistake(
            "examples counted on which both agree",
            "The number of flips is not the number of examples. Where both models are right, or "
            "both wrong, nothing was decided; counted in, they make anything significant.",
            _all_examples,
        ),
        Mistake(
            "normal distribution",
            "These are the p-values of the chi-squared version of the test, which is an "
            "approximation, and a poor one for few flips. The exact one was asked for.",
            _chi_squared,
        ),
        Mistake(
            "continuity correction",
            "This is the chi-squared version with a continuity correction: closer than without "
            "one, and still an approximation. The exact one was asked for.",
            _continuity_corrected,
        ),
        Mistake(
            "not paired",
            "This is a test of two independent samples. It does not know that both models met the "
            "same examples, and misses differences that McNemar's test finds.",
            _ignores_pairs,
        ),
    ),
)

# --- 16.4 -----------------------------------------------------------------------------------------


def holm_adjusted(p_values: list[float]) -> list[float]:
    """Holm's adjusted p-values in the order given."""
    m = len(p_values)
    adjusted, highest = [0.0] * m, 0.0
    for rank, i in enumerate(sorted(range(m), key=lambda i: p_values[i])):
        highest = max(highest, (m - rank) * p_values[i])
        adjusted[i] = min(1.0, highest)
    return adjusted


def _bonferroni(p_values: list[float]) -> list[float]:
    return [min(1.0, len(p_values) * p) for p in p_values]


def _benjamini_hochberg(p_values: list[float]) -> list[float]:
    m, order = len(p_values), sorted(range(len(p_values)), key=lambda i: -p_values[i])
    adjusted, lowest = [0.0] * m, 1.0
    for place, i in enumerate(order):
        lowest = min(lowest, p_values[i] * m / (m - place))
        adjusted[i] = lowest
    return adjusted


def _holm_steps(p_values: list[float], *, climb: bool = True, cap: bool = True) -> list[float]:
    m, highest = len(p_values), 0.0
    adjusted = [0.0] * m
    for rank, i in enumerate(sorted(range(m), key=lambda i: p_values[i])):
        value = (m - rank) * p_values[i]
        highest = max(highest, value) if climb else value
        adjusted[i] = min(1.0, highest) if cap else highest
    return adjusted


def _as_list(result: Any) -> Any:
    """An array of numbers is as good an answer as a list of them."""
    return result.tolist() if isinstance(result, np.ndarray) else result


def _p_cases(rng: np.random.Generator) -> list[tuple]:
    fixed = [[0.04, 0.01, 0.03], [0.5, 0.9, 0.7], [0.02], [0.013, 0.012, 0.011, 0.2], [0.3, 0.02]]
    drawn = [rng.random(6) ** 2, rng.random(9) ** 3]
    return [(list(values),) for values in fixed] + [(values.tolist(),) for values in drawn]


HOLM_ADJUSTED = Exercise(
    number="16.4",
    title="Many comparisons",
    difficulty=2,
    minutes=10,
    prompt="""
Write `holm_adjusted(p_values)`: from a list of $m$ p-values, Holm's adjusted ones, **in the order
given**. The smallest is multiplied by $m$, the next by $m - 1$, and so on down to 1. An adjusted
value is never smaller than that of a smaller p-value, and never above 1.
""",
    hints=(
        "Sort the *positions* by their p-value, so that you know where each result belongs.",
        "Walk through them from the smallest on, and remember the largest product so far.",
        "At rank r (from 0): `highest = max(highest, (m - r) * p)`; the adjusted value is "
        "`min(1.0, highest)`, stored at the position that the p-value had.",
    ),
    solution=holm_adjusted,
    cases=_p_cases,
    call=lambda submission, p_values: _as_list(submission(p_values)),
    mistakes=(
        Mistake(
            "Bonferroni",
            "You multiply every p-value by m. That is Bonferroni's correction: it is valid, too, "
            "and finds less. Holm's factor falls by one at each step.",
            _bonferroni,
        ),
        Mistake(
            "Benjamini and Hochberg",
            "These values control the *share* of false findings among the findings (the false "
            "discovery rate), not the chance of any. Holm walks from the smallest p-value upwards.",
            _benjamini_hochberg,
        ),
        Mistake(
            "not monotone",
            "Some p-value ends below a smaller one. A hypothesis must not be rejected while one "
            "with stronger evidence is kept: take the largest product so far.",
            lambda p: _holm_steps(p, climb=False),
        ),
        Mistake(
            "more than 1",
            "Some of your adjusted values are above 1. They stand for probabilities.",
            lambda p: _holm_steps(p, cap=False),
        ),
        Mistake(
            "sorted",
            "The values are right and in another order: each must stand where its p-value stood.",
            lambda p: sorted(_holm_steps(p)),
        ),
    ),
)

# --- 16.5 -----------------------------------------------------------------------------------------


def how_many(difference: float, discordant: float, power: float) -> int:
    """Test examples that a paired comparison needs (Connor, 1987)."""
    chance, truth = norm.ppf(0.975), norm.ppf(power)
    root = chance * math.sqrt(discordant) + truth * math.sqrt(discordant - difference**2)
    return math.ceil((root / difference) ** 2)


def _planned(
    difference: float, discordant: float, power: float, *, level: float = 0.975, use: bool = True
) -> float:
    truth = norm.ppf(power) if use else 0.0
    root = norm.ppf(level) * math.sqrt(discordant)
    root += truth * math.sqrt(discordant - difference**2)
    return float((root / difference) ** 2)


def _no_square(difference: float, discordant: float, power: float) -> int:
    return math.ceil(math.sqrt(_planned(difference, discordant, power)))


def _without_correction(difference: float, discordant: float, power: float) -> int:
    root = (norm.ppf(0.975) + norm.ppf(power)) * math.sqrt(discordant)
    return math.ceil((root / difference) ** 2)


def _beta_taken_for_power(difference: float, discordant: float, power: float) -> int:
    return math.ceil(_planned(difference, discordant, 1 - power))


HOW_MANY = Exercise(
    number="16.5",
    title="Plan a test set",
    difficulty=2,
    minutes=10,
    prompt=r"""
Write `how_many(difference, discordant, power)` by the formula of section 10,

$$ n = \left( z_{1-\alpha/2} \sqrt{d} + z_{1-\beta} \sqrt{d - \delta^2} \right)^2 / \delta^2, $$

for a two-sided test at $\alpha = 5\,\%$:

| argument | symbol | meaning |
|---|---|---|
| `difference` | $\delta$ | by which the two accuracies differ, as a share |
| `discordant` | $d$ | share of the examples on which exactly one model is right |
| `power` | $1 - \beta$ | chance to find the difference, more than ½ |
| result | $n$ | number of examples, a whole number that is **enough** |

$z_x$ is `scipy.stats.norm.ppf(x)`. Use `examples_needed` of the course only to compare.
""",
    hints=(
        "Which two quantiles does the formula ask for? The first belongs to 5 % in *two* tails.",
        "`norm.ppf(0.975)` and `norm.ppf(power)`. The square is around the whole bracket.",
        "With root = z₁·√d + z₂·√(d − δ²), n is `math.ceil((root / difference) ** 2)`: rounded up.",
    ),
    solution=how_many,
    cases=lambda rng: [
        (0.03, 0.1, 0.8),
        (0.01, 0.1, 0.8),
        (0.05, 0.2, 0.9),
        (0.1, 0.12, 0.8),
        (0.02, 0.05, 0.95),
    ],
    mistakes=(
        Mistake(
            "one-sided",
            "Your n belongs to a one-sided test. At 5 % in two tails, each of them gets 2.5 %.",
            lambda *a: math.ceil(_planned(*a, level=0.95)),
        ),
        Mistake(
            "power forgotten",
            "Your n does not depend on the power. With it, a true difference would be found about "
            "every second time: then the observed one lies above the limit in half of all cases.",
            lambda *a: math.ceil(_planned(*a, use=False)),
        ),
        Mistake(
            "beta taken for power",
            "You used the quantile of 1 − power, which is negative here: the more power is asked "
            "for, the fewer examples you plan.",
            _beta_taken_for_power,
        ),
        Mistake(
            "rounded down",
            "With one example less than the formula asks for, the power is not reached. Round up.",
            lambda *a: math.floor(_planned(*a)),
        ),
        Mistake(
            "the same spread twice",
            "In the second root d − δ² is needed: if the models do differ, their wins scatter "
            "around δ and not around 0.",
            _without_correction,
        ),
        Mistake(
            "the square forgotten",
            "Half the difference needs *four* times the examples. Check where your square stands.",
            _no_square,
        ),
    ),
)

EXERCISES = (SCORES_OF, MACRO_F1, MCNEMAR_P, HOLM_ADJUSTED, HOW_MANY)
