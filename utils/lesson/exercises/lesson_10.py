"""Exercises of lesson 10: ROUGE-N, the longest common subsequence, MMR, unsupported numbers."""

import re
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from utils.lesson.exercise import Exercise, Mistake

# --- 10.1 -----------------------------------------------------------------------------------------


def _runs(words: list[str], n: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1))


def rouge_n(summary: list[str], reference: list[str], n: int) -> float:
    """F1 of common runs of n words."""
    ours = Counter(tuple(summary[i : i + n]) for i in range(len(summary) - n + 1))
    theirs = Counter(tuple(reference[i : i + n]) for i in range(len(reference) - n + 1))
    matches = (ours & theirs).total()
    total = ours.total() + theirs.total()
    return 2 * matches / total if total else 0.0


def _word_cases(rng: np.random.Generator) -> list[tuple]:
    cases: list[tuple] = [
        (["the", "cat", "sat"], ["the", "cat", "was", "sitting", "there"], 1),
        (["the", "the", "the", "the"], ["the", "cat", "the", "dog", "ran"], 1),
        (["a", "b", "c", "a", "b"], ["b", "c", "a", "b", "d", "a"], 2),
        (["a"], ["b", "c"], 2),  # no run in the summary
        (["a"], ["b"], 2),  # no run at all
    ]
    words = ["a", "b", "c", "d", "e"]
    for n in (1, 2, 3):
        texts = [rng.choice(words, size=size).tolist() for size in (9, 14)]
        cases.append((*texts, n))
    return cases


def _measured(
    of: Callable[[int, int, int], float],
) -> Callable[[list[str], list[str], int], float]:
    """A mutant: another number from clipped matches, runs of the summary, runs of the reference."""

    def mutant(summary: list[str], reference: list[str], n: int) -> float:
        ours, theirs = _runs(summary, n), _runs(reference, n)
        return of((ours & theirs).total(), ours.total(), theirs.total())

    return mutant


def _f1(matches: float, ours: int, theirs: int) -> float:
    return 2 * matches / (ours + theirs) if ours + theirs else 0.0


def _unclipped(summary: list[str], reference: list[str], n: int) -> float:
    ours, theirs = _runs(summary, n), _runs(reference, n)
    return _f1(sum(c for run, c in ours.items() if run in theirs), ours.total(), theirs.total())


def _of_sets(summary: list[str], reference: list[str], n: int) -> float:
    ours, theirs = set(_runs(summary, n)), set(_runs(reference, n))
    return _f1(len(ours & theirs), len(ours), len(theirs))


def _one_run_short(summary: list[str], reference: list[str], n: int) -> float:
    def runs(words: list[str]) -> Counter[tuple[str, ...]]:
        return Counter(tuple(words[i : i + n]) for i in range(max(len(words) - n, 0)))

    ours, theirs = runs(summary), runs(reference)
    return _f1((ours & theirs).total(), ours.total(), theirs.total())


ROUGE_N = Exercise(
    number="10.1",
    title="ROUGE-N",
    difficulty=2,
    minutes=12,
    prompt="""
Write `rouge_n(summary, reference, n)`: F1 of the runs of `n` words that a summary and a reference
have in common (section 2). Each run counts as often as it stands in **both**. Where one of the
texts, or both, has no run of that length, the result is 0.

| variable | what |
|---|---|
| `summary`, `reference` | lists of words |
| `n` | length of a run |
| result | a number in 0..1 |
""",
    hints=(
        "Collect the runs of each text with how often they come: a `Counter` of tuples.",
        "`&` of two Counters takes the smaller count of each run. F1 is twice the matches over the "
        "runs of both texts together.",
        "`2 * (ours & theirs).total() / (ours.total() + theirs.total())`; mind texts without any "
        "run.",
    ),
    solution=rouge_n,
    cases=_word_cases,
    tolerance=1e-9,
    mistakes=(
        Mistake(
            "recall",
            "You divide by the runs of the reference alone. That is the recall which the first "
            "ROUGE reported: a longer summary can only gain. F1 is wanted.",
            _measured(lambda m, ours, theirs: m / theirs if theirs else 0.0),
        ),
        Mistake(
            "precision",
            "You divide by the runs of the summary alone. One right word would then be a perfect "
            "summary.",
            _measured(lambda m, ours, theirs: m / ours if ours else 0.0),
        ),
        Mistake(
            "not clipped",
            "A run of the summary counts in yours as often as it stands there, even if the "
            "reference has it once. Repeating a good word must not pay.",
            _unclipped,
        ),
        Mistake(
            "sets",
            "You compare sets, in which each run stands once. Runs count as often as they come.",
            _of_sets,
        ),
        Mistake(
            "Jaccard",
            "You divide by what is in either text. That is the Jaccard index; F1 divides twice the "
            "matches by the sum of both.",
            _measured(lambda m, a, b: m / (a + b - m) if a + b - m else 0.0),
        ),
        Mistake(
            "the 2 forgotten",
            "Your result is half as large. Of two equal texts, F1 is 1.",
            _measured(lambda m, a, b: m / (a + b) if a + b else 0.0),
        ),
        Mistake(
            "the last run is missing",
            "A text of k words has k - n + 1 runs. Yours stops one too early.",
            _one_run_short,
        ),
        Mistake(
            "single words",
            "You count words, whatever `n` is.",
            lambda s, r, n: rouge_n(s, r, 1),
        ),
    ),
)

# --- 10.2 -----------------------------------------------------------------------------------------


def common_subsequence(a: list[str], b: list[str]) -> int:
    """Length of the longest common subsequence, by dynamic programming."""
    lengths = np.zeros((len(a) + 1, len(b) + 1), dtype=int)
    for i, word in enumerate(a, start=1):
        for j, other in enumerate(b, start=1):
            if word == other:
                lengths[i, j] = lengths[i - 1, j - 1] + 1
            else:
                lengths[i, j] = max(lengths[i - 1, j], lengths[i, j - 1])
    return int(lengths[-1, -1])


def _sequence_cases(rng: np.random.Generator) -> list[tuple]:
    cases: list[tuple] = [
        (["the", "cat", "sat"], ["the", "big", "cat", "sat", "down"]),
        (["a", "b"], ["b", "a"]),
        (["a", "b", "c", "x", "d"], ["x", "a", "b", "c", "d"]),
        ([], ["a", "b"]),
        (["a", "a", "b"], ["a", "b", "b"]),
        (["a", "b", "k", "c", "d"], ["c", "d", "a", "x", "b", "y", "k"]),
        (["c", "d", "b"], ["b", "d", "b", "c"]),  # to match greedily fails from both sides
    ]
    for size in (6, 8, 9):
        cases.append(tuple(rng.choice(list("abcd"), size=size).tolist() for _ in "ab"))
    return cases


def _longest_run(a: list[str], b: list[str]) -> int:
    def runs(words: list[str]) -> set[tuple[str, ...]]:
        n = len(words)
        return {tuple(words[i:j]) for i in range(n) for j in range(i + 1, n + 1)}

    return max(map(len, runs(a) & runs(b)), default=0)


def _greedy(a: list[str], b: list[str]) -> int:
    place = matched = 0
    for word in a:
        if word in b[place:]:
            place = b.index(word, place) + 1
            matched += 1
    return matched


def _same_place(a: list[str], b: list[str]) -> int:
    return sum(x == y for x, y in zip(a, b, strict=False))


def _edit_distance(a: list[str], b: list[str]) -> int:
    table = np.zeros((len(a) + 1, len(b) + 1), dtype=int)
    table[:, 0], table[0] = range(len(a) + 1), range(len(b) + 1)
    for i, j in np.ndindex(len(a), len(b)):
        table[i + 1, j + 1] = min(
            table[i, j + 1] + 1, table[i + 1, j] + 1, table[i, j] + (a[i] != b[j])
        )
    return int(table[-1, -1])


def _every_pair(a: list[str], b: list[str]) -> int:
    """Adds one even where neither text moves on."""
    lengths = np.zeros((len(a) + 1, len(b) + 1), dtype=int)
    for i, word in enumerate(a, start=1):
        for j, other in enumerate(b, start=1):
            lengths[i, j] = max(lengths[i - 1, j], lengths[i, j - 1]) + (word == other)
    return int(lengths[-1, -1])


COMMON_SUBSEQUENCE = Exercise(
    number="10.2",
    title="The longest common subsequence",
    difficulty=3,
    minutes=18,
    prompt="""
ROUGE-L needs the **length of the longest common subsequence** of two texts: the most words that
stand in both in the same order, with anything in between. Write `common_subsequence(a, b)`.

With $L_{ij}$ for the first $i$ words of one and the first $j$ of the other text,

$$ L_{ij} = \\begin{cases} L_{i-1,j-1} + 1 & a_i = b_j \\\\
\\max(L_{i-1,j}, L_{i,j-1}) & \\text{else} \\end{cases} \\qquad L_{i0} = L_{0j} = 0. $$

| variable | what |
|---|---|
| `a`, `b` | lists of words, possibly empty |
| result | a whole number |
""",
    hints=(
        "Make a table with one row and one column more than there are words: the first ones are 0.",
        "Fill it row by row. Where the words agree, look to the upper left, otherwise up and left.",
        "`lengths[i, j] = lengths[i - 1, j - 1] + 1` or the larger of `lengths[i - 1, j]` and "
        "`lengths[i, j - 1]`; the answer stands in the last cell.",
    ),
    solution=common_subsequence,
    cases=_sequence_cases,
    mistakes=(
        Mistake(
            "without gaps",
            "You look for the longest common *run*. In a subsequence other words may stand in "
            "between.",
            _longest_run,
        ),
        Mistake(
            "in any order",
            "You count common words in any order, which is ROUGE-1. The order has to be the same.",
            lambda a, b: (Counter(a) & Counter(b)).total(),
        ),
        Mistake(
            "greedy",
            "You take each word at its next place in the other text. An early match far to the "
            "right can cost many later ones: that is why a table is needed.",
            _greedy,
        ),
        Mistake(
            "same place",
            "You compare word by word at the same place. One word more at the beginning, and "
            "nothing agrees any longer.",
            _same_place,
        ),
        Mistake(
            "edit distance",
            "That is how many edits turn one text into the other. Wanted is what they share.",
            _edit_distance,
        ),
        Mistake(
            "one word matched twice",
            "You add 1 to the larger neighbour above or on the left. A word of one text can then "
            "be matched with several of the other: go on from the upper left.",
            _every_pair,
        ),
    ),
)

# --- 10.3 -----------------------------------------------------------------------------------------

Choose = Callable[[NDArray[np.float64], int, float], list[int]]


def mmr(vectors: NDArray[np.float64], n: int, relevance: float) -> list[int]:
    """Units near the centroid and unlike each other."""
    centre = vectors.mean(axis=0)
    to_centre = vectors @ centre / np.linalg.norm(centre)
    chosen: list[int] = []
    for _ in range(n):
        left = [i for i in range(len(vectors)) if i not in chosen]
        repeats = {i: max((vectors[i] @ vectors[j] for j in chosen), default=0.0) for i in left}
        worth = {i: relevance * to_centre[i] - (1 - relevance) * repeats[i] for i in left}
        chosen.append(max(left, key=worth.__getitem__))
    return chosen


def _vector_cases(rng: np.random.Generator) -> list[tuple]:
    def unit(rows: Any) -> NDArray[np.float64]:
        table = np.array(rows, dtype=float)
        return table / np.linalg.norm(table, axis=1, keepdims=True)

    cases: list[tuple] = [(unit([[1, 0.1], [1, 0.11], [0.2, 1]]), 2, 0.5)]
    for relevance in (0.3, 0.5, 0.7, 0.8, 1.0):
        for _ in range(3):
            cases.append((unit(rng.normal(size=(7, 3)) + 0.4), 4, relevance))
    return cases


def _as_list(submission: Choose, *arguments: Any) -> Any:
    """An array of numbers is as good as a list."""
    found = submission(*arguments)
    return [int(i) for i in found] if isinstance(found, list | tuple | np.ndarray) else found


def _mutant(
    to_centre: Callable[[NDArray], NDArray] | None = None,
    repeats: Callable[[NDArray], float] = lambda similar: float(similar.max()),
    worth: Callable[[float, float, float], float] = lambda r, near, b: r * near - (1 - r) * b,
) -> Choose:
    """MMR with another idea of nearness, of repeating, or of how the two are weighed."""

    def choose(vectors: NDArray, n: int, relevance: float) -> list[int]:
        centre = vectors.mean(axis=0)
        near = to_centre(vectors) if to_centre else vectors @ centre / np.linalg.norm(centre)
        chosen: list[int] = []
        for _ in range(n):
            left = [i for i in range(len(vectors)) if i not in chosen]
            again = {i: repeats(vectors[chosen] @ vectors[i]) if chosen else 0.0 for i in left}
            worths = {i: worth(relevance, near[i], again[i]) for i in left}
            chosen.append(max(left, key=worths.__getitem__))
        return chosen

    return choose


MMR = Exercise(
    number="10.3",
    title="Maximal marginal relevance",
    difficulty=2,
    minutes=15,
    prompt="""
Write `mmr(vectors, n, relevance)`: choose `n` sentences, one after the other, each time the one
that is not chosen yet with the most

$$ \\lambda \\cos(v_i, c) - (1 - \\lambda) \\max_{j \\in S} \\cos(v_i, v_j), $$

where $c$ is the mean of all vectors and $S$ what was chosen before; for the first sentence the
second term is 0.

| symbol | variable | shape |
|---|---|---|
| $v_i$, of length 1 | `vectors` | (n_sentences, d) |
| how many | `n` | number |
| $\\lambda$ | `relevance` | number in 0..1 |
| numbers of sentences, in the order of choice | result | list |
""",
    hints=(
        "The vectors have length 1, so their cosine is their product. The centroid has not: divide "
        "by its length.",
        "Keep a list of what was chosen. For each sentence that is left, compute both terms, and "
        "take the one with the largest difference.",
        "`max(left, key=lambda i: relevance * near[i] - (1 - relevance) * again[i])`, where "
        "`again[i]` is the largest `vectors[i] @ vectors[j]` over the chosen `j`.",
    ),
    solution=mmr,
    cases=_vector_cases,
    call=_as_list,
    mistakes=(
        Mistake(
            "repeating is not punished",
            "You take the nearest to the centroid. The second term is missing: what has been said "
            "already is worth less.",
            _mutant(worth=lambda r, near, again: near),
        ),
        Mistake(
            "repeating is rewarded",
            "You add the second term. It has to be subtracted.",
            _mutant(worth=lambda r, near, again: r * near + (1 - r) * again),
        ),
        Mistake(
            "weights swapped",
            "`relevance` weighs the nearness to the centroid, and 1 - `relevance` the repeating. "
            "Yours are swapped.",
            _mutant(worth=lambda r, near, again: (1 - r) * near - r * again),
        ),
        Mistake(
            "mean similarity",
            "You subtract the mean similarity to what was chosen. A sentence that repeats *one* of "
            "them is a repetition: take the largest.",
            _mutant(repeats=lambda similar: float(similar.mean())),
        ),
        Mistake(
            "least similarity",
            "You subtract the smallest similarity to what was chosen. Take the largest.",
            _mutant(repeats=lambda similar: float(similar.min())),
        ),
        Mistake(
            "sum of similarities",
            "You subtract the sum of the similarities, which grows with each choice. Take the "
            "largest.",
            _mutant(repeats=lambda similar: float(similar.sum())),
        ),
        Mistake(
            "centroid not of length 1",
            "You multiply with the mean as it is, which is shorter than 1. Its product is no "
            "cosine, and the first term weighs too little.",
            _mutant(to_centre=lambda v: v @ v.mean(axis=0)),
        ),
    ),
)

# --- 10.4 -----------------------------------------------------------------------------------------


def unsupported_numbers(summary: str, text: str) -> list[str]:
    """Numbers of the summary that the text does not have, in their order."""
    pattern = re.compile(r"\d+(?:\.\d+)?")
    known = set(pattern.findall(text.replace(",", "")))
    return [number for number in pattern.findall(summary.replace(",", "")) if number not in known]


def _number_cases(rng: np.random.Generator) -> list[tuple]:
    return [
        ("It took 15 minutes.", "We waited for 5 minutes."),
        ("It cost 1,200 francs in 2021.", "In 2021 it cost 1200 francs."),
        ("A growth of 2.5 percent.", "Growth was 2.5 percent, after 3.1."),
        ("A growth of 2.5 percent.", "Growth was 25 percent."),
        ("7 of 9, then 7 again.", "There were 9."),
        ("It took 5 days.", "It took 2.5 days."),
        ("No numbers.", "There were 9."),
        ("12 came, 120 left.", "112 stayed, 1,120 wrote."),
    ]


def _by_inside(summary: str, text: str) -> list[str]:
    pattern = re.compile(r"\d+(?:\.\d+)?")
    text = text.replace(",", "")
    return [number for number in pattern.findall(summary.replace(",", "")) if number not in text]


def _with_commas(summary: str, text: str) -> list[str]:
    pattern = re.compile(r"\d+(?:\.\d+)?")
    known = set(pattern.findall(text))
    return [number for number in pattern.findall(summary) if number not in known]


def _whole_numbers(summary: str, text: str) -> list[str]:
    known = set(re.findall(r"\d+", text.replace(",", "")))
    return [n for n in re.findall(r"\d+", summary.replace(",", "")) if n not in known]


def _other_way(summary: str, text: str) -> list[str]:
    return unsupported_numbers(text, summary)


def _supported(summary: str, text: str) -> list[str]:
    lost = unsupported_numbers(summary, text)
    every = re.findall(r"\d+(?:\.\d+)?", summary.replace(",", ""))
    return [number for number in every if number not in lost]


def _once(summary: str, text: str) -> list[str]:
    return list(dict.fromkeys(unsupported_numbers(summary, text)))


UNSUPPORTED_NUMBERS = Exercise(
    number="10.4",
    title="Numbers without support",
    difficulty=2,
    minutes=12,
    prompt="""
Write `unsupported_numbers(summary, text)`: the numbers of a summary that do not stand in the text,
in the order of the summary, each as often as it comes.

| variable | what |
|---|---|
| `summary`, `text` | strings |
| result | list of strings, without commas: `"1200"`, `"2.5"` |

A number is a run of digits, perhaps with a point and more digits. Commas group thousands: 1,200 and
1200 are one number, while 5 and 15 are two.
""",
    hints=(
        "Remove the commas of both texts first. Then collect the numbers of each with a regular "
        "expression.",
        "Compare number with number. Whether the characters of one stand somewhere in the text is "
        "another question: `'5' in '15'` is true.",
        "`pattern = re.compile(r'\\d+(?:\\.\\d+)?')`, the set of `pattern.findall(text)`, and "
        "those of the summary that are not in it.",
    ),
    solution=unsupported_numbers,
    cases=_number_cases,
    mistakes=(
        Mistake(
            "part of another number",
            "You look for the characters in the text, so that 12 is found in 112. Compare whole "
            "numbers.",
            _by_inside,
        ),
        Mistake(
            "commas kept",
            "1,200 falls into two numbers in yours. Remove commas before you look.",
            _with_commas,
        ),
        Mistake(
            "points split numbers",
            "2.5 becomes 2 and 5 in yours. A point between digits belongs to the number.",
            _whole_numbers,
        ),
        Mistake(
            "the other way round",
            "You list numbers of the *text* that the summary leaves out. A summary may leave out; "
            "it must not add.",
            _other_way,
        ),
        Mistake(
            "the supported ones",
            "You list the numbers that do stand in the text.",
            _supported,
        ),
        Mistake(
            "each only once",
            "A number that comes twice has to stand in the list twice.",
            _once,
        ),
    ),
)

EXERCISES = [ROUGE_N, COMMON_SUBSEQUENCE, MMR, UNSUPPORTED_NUMBERS]
