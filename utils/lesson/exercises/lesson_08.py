"""Exercises of lesson 08: BLEU, label smoothing, a step of beam search, IBM Model 1."""

import math
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from utils.lesson.exercise import Exercise, Mistake

# --- 08.1 -----------------------------------------------------------------------------------------

Corpus = list[list[str]]


def bleu(hypotheses: Corpus, references: Corpus) -> float:
    """BLEU-4 of a corpus with one reference each, in 0..100."""
    log_mean = 0.0
    for n in range(1, 5):
        matches = total = 0
        for hypothesis, reference in zip(hypotheses, references, strict=True):
            ours = Counter(tuple(hypothesis[i : i + n]) for i in range(len(hypothesis) - n + 1))
            theirs = Counter(tuple(reference[i : i + n]) for i in range(len(reference) - n + 1))
            matches += (ours & theirs).total()
            total += ours.total()
        if matches == 0:
            return 0.0
        log_mean += math.log(matches / total) / 4
    c, r = sum(map(len, hypotheses)), sum(map(len, references))
    return 100 * math.exp(log_mean + min(0.0, 1 - r / c))


def _words(text: str) -> list[str]:
    return text.split()


def _corpus_cases(rng: np.random.Generator) -> list[tuple]:
    cat = _words("the cat sat on the mat today")
    day = _words("it was a cold day in the north")
    cases: list[tuple] = [
        ([_words("the cat sat on the mat")], [_words("the cat sat on a mat")]),
        ([cat[:5]], [cat]),
        ([[*cat, "at", "noon"]], [cat]),
        ([_words("the the the the the"), day], [_words("the cat and the dog"), day]),
        ([_words("in town a day cold"), day], [_words("a cold day in town"), day]),
        ([cat, day], [cat, day]),
        ([["a", "b", "c", "d"]], [["a", "b", "c", "e"]]),  # no run of four words in common
        ([["yes"], day], [["yes"], day]),  # one without any run of two words
        ([["yes", "it", "is"]], [["yes", "it", "is"]]),  # no run of four words at all
        ([[], day], [["no"], day]),
    ]
    for shortened in (0.0, 0.1, 0.2, 0.0):
        references = [rng.choice(list("abcdefg"), size=n).tolist() for n in (8, 15, 11, 20)]
        cases.append(([_garbled(rng, words, shortened) for words in references], references))
    return cases


def _garbled(rng: np.random.Generator, words: list[str], shortened: float) -> list[str]:
    """A copy with some words left out, some replaced and some written twice."""
    garbled = []
    for word in words:
        left_out, replaced, twice = rng.random(3) < (shortened, 0.1, 0.1)
        if not left_out:
            garbled += [rng.choice(list("abc")).item() if replaced else word] * (1 + twice)
    return garbled


def _runs(words: list[str], n: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1))


def _clipped(hypotheses: Corpus, references: Corpus, n: int) -> int:
    pairs = zip(hypotheses, references, strict=True)
    return sum((_runs(a, n) & _runs(b, n)).total() for a, b in pairs)


def _precision(hypotheses: Corpus, references: Corpus, n: int) -> float:
    total = sum(_runs(words, n).total() for words in hypotheses)
    return _clipped(hypotheses, references, n) / total if total else 0.0


def _recall(hypotheses: Corpus, references: Corpus, n: int) -> float:
    return _precision(references, hypotheses, n)


def _unclipped(hypotheses: Corpus, references: Corpus, n: int) -> float:
    total = sum(_runs(words, n).total() for words in hypotheses)
    found = sum(
        count
        for ours, theirs in zip(hypotheses, references, strict=True)
        for run, count in _runs(ours, n).items()
        if run in _runs(theirs, n)
    )
    return found / total if total else 0.0


def _mean_precision(hypotheses: Corpus, references: Corpus, n: int) -> float:
    pairs = zip(hypotheses, references, strict=True)
    return float(np.mean([_precision([ours], [theirs], n) for ours, theirs in pairs]))


def _geometric(precisions: list[float]) -> float:
    return math.prod(precisions) ** (1 / len(precisions))


def _bleu(
    precision: Callable[[Corpus, Corpus, int], float] = _precision,
    mean: Callable[[list[float]], float] = _geometric,
    brevity: Callable[[int, int], float] = lambda c, r: min(1.0, math.exp(1 - r / c)),
    longest: int = 4,
    scale: float = 100.0,
) -> Callable[[Corpus, Corpus], float]:
    """A mutant: BLEU with another precision, mean, penalty, longest run or scale."""

    def mutant(hypotheses: Corpus, references: Corpus) -> float:
        precisions = [precision(hypotheses, references, n) for n in range(1, longest + 1)]
        c, r = sum(map(len, hypotheses)), sum(map(len, references))
        return scale * brevity(c, r) * mean(precisions)

    return mutant


def _mean_of_sentences(hypotheses: Corpus, references: Corpus) -> float:
    pairs = zip(hypotheses, references, strict=True)
    return float(np.mean([bleu([ours], [theirs]) for ours, theirs in pairs]))


BLEU = Exercise(
    number="08.1",
    title="BLEU",
    difficulty=2,
    minutes=20,
    prompt="""
Write `bleu(hypotheses, references)`, the BLEU of a corpus (Papineni et al., 2002, ACL) with one
reference for each sentence and without smoothing:

$$ \\text{BLEU} = 100 \\cdot \\text{BP} \\cdot (p_1\\,p_2\\,p_3\\,p_4)^{1/4}, \\qquad
\\text{BP} = \\begin{cases} \\exp(1 - r / c) & c < r \\\\ 1 & \\text{else} \\end{cases} $$

| symbol | variable or meaning | shape |
|---|---|---|
| hypotheses, the translations | `hypotheses` | list of lists of words |
| references, in the same order | `references` | list of lists of words |
| $p_n$ | clipped matches of runs of $n$ words, summed over the corpus, divided by the runs of $n$ \
words in all hypotheses | number in 0..1 |
| $c$, $r$ | words in all hypotheses, words in all references | numbers |
| BLEU | result | number in 0..100 |

Clipped means: a run counts as often as it stands in **both** the hypothesis and its reference. A
$p_n$ without any run is 0.
""",
    hints=(
        "Write the part for one `n` first. Which two numbers have to be summed over all sentences "
        "before you divide?",
        "A `Counter` of tuples holds the runs of a sentence; `&` of two Counters takes the smaller "
        "count of each run. The logarithm of the geometric mean is the mean of the logarithms; "
        "return 0 before you take the logarithm of 0.",
        "For each `n`, `matches += (ours & theirs).total()` and `total += ours.total()` over all "
        "sentences. At the end `100 * math.exp(log_mean + min(0.0, 1 - r / c))`, where `log_mean` "
        "is the sum of `math.log(matches / total) / 4`.",
    ),
    solution=bleu,
    cases=_corpus_cases,
    mistakes=(
        Mistake(
            "mean of sentences",
            "You compute BLEU for each sentence and average. A sentence without a common run of "
            "four words then counts 0, and short sentences weigh as much as long ones. Sum the "
            "counts over the corpus first.",
            _mean_of_sentences,
        ),
        Mistake(
            "precisions averaged over sentences",
            "You compute $p_n$ for each sentence and average. Sum matches and runs over the "
            "corpus, and divide once for each $n$.",
            _bleu(precision=_mean_precision),
        ),
        Mistake(
            "not clipped",
            "A run of the hypothesis counts in yours as often as it stands there, even if the "
            "reference has it once. *The the the the* would have a perfect $p_1$.",
            _bleu(precision=_unclipped),
        ),
        Mistake(
            "arithmetic mean",
            "You average the four precisions. Those of long runs are small and hardly count then. "
            "The geometric mean is wanted.",
            _bleu(mean=lambda precisions: float(np.mean(precisions))),
        ),
        Mistake(
            "no brevity penalty",
            "You return the mean of the precisions alone. Whoever writes only the words that are "
            "sure would win: BP stands in for the recall that BLEU lacks.",
            _bleu(brevity=lambda c, r: 1.0),
        ),
        Mistake(
            "long translations gain",
            "You take $\\exp(1 - r/c)$ for every length. With $c > r$ it is larger than 1, and "
            "rewards what is too long. BP is 1 there; precision has already paid for the words.",
            _bleu(brevity=lambda c, r: math.exp(1 - r / c)),
        ),
        Mistake(
            "length ratio upside down",
            "You penalise long translations and let short ones pass. Which of $r$ and $c$ is the "
            "length of the references?",
            _bleu(brevity=lambda c, r: min(1.0, math.exp(1 - c / r))),
        ),
        Mistake(
            "recall",
            "You divide by the runs of the references. BLEU divides by those of the hypotheses; "
            "what is left out is the business of BP.",
            _bleu(precision=_recall),
        ),
        Mistake(
            "in 0..1",
            "Your result is a hundredth of what is asked for. BLEU is reported in 0..100.",
            _bleu(scale=1.0),
        ),
        Mistake(
            "up to two words",
            "You use runs of one and of two words. BLEU-4 goes up to four; mind that `range` stops "
            "before its end.",
            _bleu(longest=2),
        ),
        Mistake(
            "up to three words",
            "You use runs of one to three words. BLEU-4 goes up to four; mind that `range` stops "
            "before its end.",
            _bleu(longest=3),
        ),
    ),
)

# --- 08.2 -----------------------------------------------------------------------------------------

Loss = Callable[[Tensor, Tensor, float], Tensor]


def smoothed_loss(logits: Tensor, labels: Tensor, epsilon: float) -> Tensor:
    """Cross-entropy with label smoothing, mean over labels that are not -100."""
    kept = labels != -100
    log_p = logits[kept].log_softmax(dim=-1)  # (kept, V)
    of_label = -log_p.gather(1, labels[kept, None]).squeeze(1)
    of_all = -log_p.mean(dim=-1)
    return ((1 - epsilon) * of_label + epsilon * of_all).mean()


def _logits_cases(rng: np.random.Generator) -> list[tuple]:
    p = torch.tensor([[0.5, 0.25, 0.25], [0.125, 0.75, 0.125]])
    cases: list[tuple] = [
        (p[:1].log(), torch.tensor([0]), 0.1),
        (p.log(), torch.tensor([1, -100]), 0.1),
    ]
    for n, n_words, epsilon in ((4, 5, 0.0), (4, 5, 0.2), (7, 4, 0.1), (6, 11, 0.3)):
        logits = torch.tensor(rng.normal(scale=2, size=(n, n_words))).float()
        labels = torch.tensor(rng.integers(n_words, size=n))
        labels[rng.permutation(n)[: n // 3]] = -100
        cases.append((logits, labels, epsilon))
    # A probability here is 0 in 32 bits; its logarithm is about -200.
    logits = torch.tensor([[-170.0, 30.0, 25.0], [1.0, 0.0, 2.0]])
    cases.append((logits, torch.tensor([1, 2]), 0.1))
    return cases


def _loss(
    weigh: Callable[[Tensor, Tensor, float, int], Tensor],
    log_p_of: Callable[[Tensor], Tensor] = lambda logits: logits.log_softmax(dim=-1),
) -> Loss:
    """A mutant from losses of the label, mean losses over all words, epsilon and V."""

    def mutant(logits: Tensor, labels: Tensor, epsilon: float) -> Tensor:
        losses = -log_p_of(logits[labels != -100])
        of_label = losses[torch.arange(len(losses)), labels[labels != -100]]
        return weigh(of_label, losses.mean(dim=-1), epsilon, logits.shape[-1]).mean()

    return mutant


def _smoothed(of_label: Tensor, of_all: Tensor, epsilon: float, n_words: int) -> Tensor:
    return (1 - epsilon) * of_label + epsilon * of_all


def _others_only(of_label: Tensor, of_all: Tensor, epsilon: float, n_words: int) -> Tensor:
    of_others = (n_words * of_all - of_label) / (n_words - 1)
    return (1 - epsilon) * of_label + epsilon * of_others


def _by_all_positions(logits: Tensor, labels: Tensor, epsilon: float) -> Tensor:
    return smoothed_loss(logits, labels, epsilon) * (labels != -100).float().mean()


def _ignored_smoothed(logits: Tensor, labels: Tensor, epsilon: float) -> Tensor:
    of_label = smoothed_loss(logits, labels, 0.0)
    return (1 - epsilon) * of_label - epsilon * logits.log_softmax(dim=-1).mean()


LABEL_SMOOTHING = Exercise(
    number="08.2",
    title="Label smoothing",
    difficulty=2,
    minutes=15,
    prompt="""
Write `smoothed_loss(logits, labels, epsilon)`: the cross-entropy with label smoothing (Szegedy et
al., 2016, CVPR). Of the target's weight, $1 - \\varepsilon$ stays with the right word, and
$\\varepsilon$ is spread evenly over **all** $V$ words, the right one included:

$$ L = \\frac{1}{|K|} \\sum_{i \\in K} \\Big[ -(1 - \\varepsilon) \\log p_{i, y_i} -
\\frac{\\varepsilon}{V} \\sum_{v=1}^{V} \\log p_{iv} \\Big], \\qquad
p_i = \\mathrm{softmax}(z_i). $$

| symbol | variable | shape |
|---|---|---|
| $z$ | `logits`, 32-bit floats | (n, V) |
| $y$ | `labels`, whole numbers; -100 marks a position to ignore | (n,) |
| $\\varepsilon$ | `epsilon` | number in 0..1 |
| $K$ | the positions whose label is not -100; there is at least one | |
| $L$ | result, a tensor with one number | () |

Do not use `cross_entropy` of PyTorch; your result has to agree with it.
""",
    hints=(
        "Remove the ignored positions from `logits` and `labels` first. What is left is a mean "
        "over positions.",
        "`log_p = logits[kept].log_softmax(dim=-1)` stays finite where `softmax` rounds to 0. You "
        "need its entry at the label, and its mean over the words.",
        "`log_p.gather(1, labels[kept, None]).squeeze(1)` picks the entries of the labels. Weigh "
        "them with `1 - epsilon`, `log_p.mean(dim=-1)` with `epsilon`, take the mean, and change "
        "the sign.",
    ),
    solution=smoothed_loss,
    cases=_logits_cases,
    mistakes=(
        Mistake(
            "divided by all positions",
            "You sum over the positions that count, but divide by all of them. With more padding "
            "in the batch, the loss and its gradient would shrink.",
            _by_all_positions,
        ),
        Mistake(
            "ignored positions are smoothed",
            "The term with the right word leaves out ignored positions, but the smoothing term "
            "does not: padding is trained to be uniform.",
            _ignored_smoothed,
        ),
        Mistake(
            "spread over the other words only",
            "You spread ε over the V - 1 wrong words. Some programs do, but here the right word "
            "gets its share as well: 1 - ε + ε/V in all.",
            _loss(_others_only),
        ),
        Mistake(
            "each word gets all of ε",
            "You sum over the words where a mean is wanted. The target then weighs 1 - ε + Vε "
            "instead of 1.",
            _loss(lambda label, all_, e, v: (1 - e) * label + e * v * all_),
        ),
        Mistake(
            "no smoothing",
            "That is the plain cross-entropy: `epsilon` plays no part in it.",
            _loss(lambda label, all_, e, v: label),
        ),
        Mistake(
            "the right word keeps all its weight",
            "You add the smoothing term without taking ε from the right word. The target then "
            "weighs 1 + ε instead of 1.",
            _loss(lambda label, all_, e, v: label + e * all_),
        ),
        Mistake(
            "weights swapped",
            "You weigh the right word with ε and the uniform part with 1 - ε.",
            _loss(lambda label, all_, e, v: e * label + (1 - e) * all_),
        ),
        Mistake(
            "softmax taken twice",
            "`log_softmax` is applied to what already went through softmax. It wants the logits "
            "themselves. Such a model still learns, but slowly.",
            _loss(_smoothed, lambda logits: logits.softmax(dim=-1).log_softmax(dim=-1)),
        ),
        Mistake(
            "the logarithm of 0",
            "Your formula is right, but softmax rounds a very small probability to 0, whose "
            "logarithm is infinite. There is a function that does both at once.",
            _loss(_smoothed, lambda logits: logits.softmax(dim=-1).log()),
        ),
    ),
)

# --- 08.3 -----------------------------------------------------------------------------------------

Steps = list[tuple[int, int, float]]


def beam_step(
    totals: NDArray[np.float64], log_p: NDArray[np.float64], n_beams: int
) -> list[tuple[int, int, float]]:
    """The best continuations of all beams, as (beam, word, new total)."""
    scores = totals[:, None] + log_p  # (beams, V)
    best = np.argsort(-scores, axis=None, kind="stable")[:n_beams]
    beams, words = np.unravel_index(best, scores.shape)
    return [(int(b), int(w), float(scores[b, w])) for b, w in zip(beams, words, strict=True)]


def _beam_cases(rng: np.random.Generator) -> list[tuple]:
    two = np.log([[0.5, 0.3, 0.2], [0.9, 0.06, 0.04]])
    cases: list[tuple] = [
        (np.log([0.6, 0.4]), two, 2),
        (np.log([0.9, 0.1]), two, 2),  # both from the first beam
        (np.array([0.0, -np.inf]), two, 2),  # the first step: only one beam has begun
        (np.array([-1.0, -1.0]), np.array([[-2.0, -1.0, -1.0], [-1.0, -3.0, -1.0]]), 2),  # ties
    ]
    for beams, n_words, n_beams in ((3, 5, 3), (4, 6, 4), (3, 4, 3), (5, 7, 5), (4, 3, 2)):
        p = rng.dirichlet(np.full(n_words, 0.7), size=beams)
        cases.append((-rng.gamma(3.0, 0.4, size=beams), np.log(p), n_beams))
    return cases


def _as_rows(submission: Callable[..., Any], *arguments: Any) -> Any:
    """The rows of an array are as good as tuples."""
    found = submission(*arguments)
    return found.tolist() if isinstance(found, np.ndarray) else found


def _chosen(
    score: Callable[[NDArray, NDArray], NDArray] = lambda totals, log_p: totals[:, None] + log_p,
    choose: Callable[[Steps, int], Steps] = lambda ranked, n: ranked[:n],
) -> Callable[[NDArray, NDArray, int], Steps]:
    """A mutant: other scores, or another choice from all continuations, best first."""

    def mutant(totals: NDArray, log_p: NDArray, n_beams: int) -> Steps:
        scores = score(totals, log_p)
        every = [(b, w, float(scores[b, w])) for b, w in np.ndindex(*scores.shape)]
        return choose(sorted(every, key=lambda step: -step[2]), n_beams)

    return mutant


def _each_beam(totals: NDArray, log_p: NDArray, n_beams: int) -> Steps:
    words = log_p.argmax(axis=1)
    pairs = list(enumerate(words.tolist()))[:n_beams]
    return [(b, w, float(totals[b] + log_p[b, w])) for b, w in pairs]


def _each_beam_ranked(totals: NDArray, log_p: NDArray, n_beams: int) -> Steps:
    kept = _each_beam(totals, log_p, len(totals))
    return sorted(kept, key=lambda step: -step[2])[:n_beams]


def _best_beam_only(totals: NDArray, log_p: NDArray, n_beams: int) -> Steps:
    b = int(totals.argmax())
    words = np.argsort(-log_p[b], kind="stable")[:n_beams]
    return [(b, int(w), float(totals[b] + log_p[b, w])) for w in words]


def _products(totals: NDArray, log_p: NDArray) -> NDArray:
    with np.errstate(invalid="ignore"):
        return totals[:, None] * log_p


def _exchanged(ranked: Steps, n: int) -> Steps:
    """What `index // V` and `index % V` give, taken for one another."""
    return [(word, beam, total) for beam, word, total in ranked[:n]]


def _upwards(ranked: Steps, n: int) -> Steps:
    """The end of a list that is sorted upwards; so equal ones are cut at the other side."""
    return sorted(ranked, key=lambda step: (step[2], step[0], step[1]))[-n:]


def _ties_reversed(ranked: Steps, n: int) -> Steps:
    return sorted(ranked, reverse=True, key=lambda step: (step[2], step[0], step[1]))[:n]


BEAM_STEP = Exercise(
    number="08.3",
    title="One step of beam search",
    difficulty=2,
    minutes=15,
    prompt="""
Write `beam_step(totals, log_p, n_beams)`: of **all** continuations of all beams by one word, the
`n_beams` with the highest total log-probability, best first. Of equal ones, that of the lower beam
comes first, then that of the lower word. The length penalty and the end of a sentence are left out
here.

| symbol | variable | shape |
|---|---|---|
| $s_b$, log-probability of what beam $b$ has written so far | `totals` | (beams,) |
| $\\log p(w \\mid x, \\text{beam } b)$ | `log_p` | (beams, V) |
| how many to keep, perhaps not as many as there were | `n_beams` | number |
| $(b, w, s_b + \\log p(w \\mid x, b))$ | result | list of `n_beams` tuples |

In the first step all beams are alike: there `totals` is 0 for one and $-\\infty$ for the others.
""",
    hints=(
        "One table of shape (beams, V) holds the new total of each continuation. The best ones may "
        "all come from one beam.",
        "`totals[:, None] + log_p` is that table. Flattened, entry `i` belongs to beam `i // V` "
        "and word `i % V`.",
        "`np.argsort(-scores, axis=None, kind='stable')[:n_beams]` sorts the flattened table and "
        "keeps the order of equal entries; `np.unravel_index(best, scores.shape)` gives beams and "
        "words.",
    ),
    solution=beam_step,
    cases=_beam_cases,
    call=_as_rows,
    mistakes=(
        Mistake(
            "one continuation of each beam",
            "You go on with the likeliest word of each beam. That is as many greedy searches side "
            "by side: a good beam can never take the place of a bad one.",
            _each_beam_ranked,
        ),
        Mistake(
            "one continuation of each beam, not ranked",
            "You go on with the likeliest word of each beam, in the order of the beams. All "
            "continuations of all beams compete for the places.",
            _each_beam,
        ),
        Mistake(
            "only the best beam goes on",
            "All your continuations come from the beam with the highest total so far. Another one "
            "may overtake it with its next word: that is what beams are kept for.",
            _best_beam_only,
        ),
        Mistake(
            "logarithms multiplied",
            "Probabilities are multiplied, and so their logarithms are added. The product of two "
            "negative numbers is large where both are bad.",
            _chosen(score=_products),
        ),
        Mistake(
            "the totals are forgotten",
            "You rank by the probability of the new word alone. What the beam has written before "
            "counts as well.",
            _chosen(score=lambda totals, log_p: log_p),
        ),
        Mistake(
            "best last",
            "These are the right ones in the wrong order. The best has to come first.",
            _chosen(choose=_upwards),
        ),
        Mistake(
            "the worst",
            "You take the lowest totals. `argsort` sorts upwards, and a logarithm near 0 is good.",
            _chosen(choose=lambda ranked, n: sorted(ranked, key=lambda step: step[2])[:n]),
        ),
        Mistake(
            "beam and word exchanged",
            "You give (word, beam, total). In a flattened table of shape (beams, V), `i // V` is "
            "the beam and `i % V` the word.",
            _chosen(choose=_exchanged),
        ),
        Mistake(
            "ties the wrong way round",
            "Of equal totals, you put the higher beam and word first. That happens if what was "
            "sorted upwards is then reversed: sort the negative numbers instead.",
            _chosen(choose=_ties_reversed),
        ),
    ),
)

# --- 08.4 -----------------------------------------------------------------------------------------

Pairs = list[tuple[list[str], list[str]]]
Table = dict[tuple[str, str], float]


def em_step(
    pairs: list[tuple[list[str], list[str]]], table: dict[tuple[str, str], float]
) -> dict[tuple[str, str], float]:
    """One step of expectation and maximisation of IBM Model 1, without the NULL word."""
    counts: dict[tuple[str, str], float] = defaultdict(float)
    totals: dict[str, float] = defaultdict(float)
    for source, target in pairs:
        for f in target:
            norm = sum(table[e, f] for e in source)
            for e in source:
                share = table[e, f] / norm
                counts[e, f] += share
                totals[e] += share
    return {(e, f): count / totals[e] for (e, f), count in counts.items()}


def _pair_cases(rng: np.random.Generator) -> list[tuple]:
    def split(*pairs: tuple[str, str]) -> Pairs:
        return [(source.split(), target.split()) for source, target in pairs]

    house = split(("the house", "das haus"), ("the", "das"))
    books = split(("the house", "das haus"), ("the book", "das buch"), ("a book", "ein buch"))
    # Words that come twice in a sentence, sentences of unequal length.
    twice = split(
        ("a dog and a cat", "ein hund und eine katze"),
        ("the dog sees the dog", "der hund sieht den hund"),
        ("a cat", "eine katze"),
        ("the cat sees", "die katze sieht ihn"),
    )
    cases: list[tuple] = [(house, _uniform(house)), (books, _uniform(books))]
    cases += [(pairs, _random_table(rng, pairs)) for pairs in (house, books, twice, twice)]
    # The table may know pairs of words that do not stand together here.
    cases.append((books[:2], _random_table(rng, books)))
    return cases


def _met(pairs: Pairs) -> list[tuple[str, str]]:
    """Pairs of words that stand together in some pair of sentences, each once."""
    return sorted({(e, f) for source, target in pairs for e in source for f in target})


def _uniform(pairs: Pairs) -> Table:
    met = _met(pairs)
    return dict.fromkeys(met, 1 / len({f for _, f in met}))


def _random_table(rng: np.random.Generator, pairs: Pairs) -> Table:
    raw = {pair: float(rng.uniform(0.1, 1.0)) for pair in _met(pairs)}
    sums = _summed(raw, by=0)
    return {(e, f): t / sums[e] for (e, f), t in raw.items()}


def _summed(table: Table, by: int) -> dict[str, float]:
    """Sums of the entries per source word (by = 0) or per target word (by = 1)."""
    sums: dict[str, float] = defaultdict(float)
    for pair, value in table.items():
        sums[pair[by]] += value
    return sums


def _as_dict(submission: Callable[..., Any], *arguments: Any) -> Any:
    """A defaultdict or a Counter is as good as a dictionary."""
    found = submission(*arguments)
    return dict(found) if isinstance(found, dict) else found


Shares = Callable[[list[str], list[str], Table], list[tuple[str, str, float]]]


def _posterior(source: list[str], target: list[str], table: Table) -> list[tuple[str, str, float]]:
    return [
        (e, f, table[e, f] / sum(table[other, f] for other in source))
        for f in target
        for e in source
    ]


def _undivided(source: list[str], target: list[str], table: Table) -> list[tuple[str, str, float]]:
    return [(e, f, table[e, f]) for f in target for e in source]


def _over_target(
    source: list[str], target: list[str], table: Table
) -> list[tuple[str, str, float]]:
    return [
        (e, f, table[e, f] / sum(table[e, other] for other in target))
        for f in target
        for e in source
    ]


def _likeliest(source: list[str], target: list[str], table: Table) -> list[tuple[str, str, float]]:
    def writer(f: str) -> str:
        return max(source, key=lambda e: table[e, f])

    return [(writer(f), f, 1.0) for f in target]


def _of_sets(source: list[str], target: list[str], table: Table) -> list[tuple[str, str, float]]:
    return _posterior(sorted(set(source)), sorted(set(target)), table)


def _without_table(
    source: list[str], target: list[str], table: Table
) -> list[tuple[str, str, float]]:
    return [(e, f, 1.0) for f in target for e in source]


def _per_source(counts: Table) -> Table:
    sums = _summed(counts, by=0)
    return {(e, f): count / sums[e] for (e, f), count in counts.items()}


def _per_target(counts: Table) -> Table:
    sums = _summed(counts, by=1)
    return {(e, f): count / sums[f] for (e, f), count in counts.items()}


def _over_all(counts: Table) -> Table:
    return {pair: count / sum(counts.values()) for pair, count in counts.items()}


def _em(
    shares: Shares = _posterior, normalise: Callable[[Table], Table] = _per_source
) -> Callable[[Pairs, Table], Table]:
    """A mutant: other shares in the expectation, or another sum to divide by."""

    def mutant(pairs: Pairs, table: Table) -> Table:
        counts: Table = defaultdict(float)
        for source, target in pairs:
            for e, f, share in shares(source, target, table):
                counts[e, f] += share
        return normalise(counts)

    return mutant


IBM_MODEL_1 = Exercise(
    number="08.4",
    title="IBM Model 1",
    difficulty=3,
    minutes=20,
    prompt="""
Write `em_step(pairs, table)`, one step of EM for IBM Model 1 (Brown et al., 1993, Computational
Linguistics), here without its NULL word. Each word of the target was written by one word of the
source, and nobody knows by which.

*Expectation*: in each pair of sentences, each word $f$ of the target is shared out among the words
$e$ of the source, $\\dfrac{t(f \\mid e)}{\\sum_{e'} t(f \\mid e')}$ to each, where $e'$ runs over
the source words of this sentence. $c(e, f)$ is the sum of these shares over all pairs.

*Maximisation*: $\\quad t_\\text{new}(f \\mid e) = c(e, f) \\,/\\, \\sum_{f'} c(e, f')$.

| symbol | variable | shape |
|---|---|---|
| pairs of sentences | `pairs` | list of (source words, target words) |
| $t(f \\mid e)$ | `table[e, f]`, above 0 for all words that stand together in a pair | dictionary |
| $t_\\text{new}$ | result, an entry for each $(e, f)$ that got a count | dictionary |

A word that stands twice in a sentence counts twice, in the source and in the target.
""",
    hints=(
        "Two passes: first collect the counts over all pairs of sentences, then divide them. The "
        "old table is used in the first pass only.",
        "For each word `f` of a target, the shares of the words of its source sum to 1. Add each "
        "share to `counts[e, f]` and to `totals[e]`.",
        "`share = table[e, f] / sum(table[other, f] for other in source)`; at the end "
        "`{(e, f): count / totals[e] for (e, f), count in counts.items()}`.",
    ),
    solution=em_step,
    cases=_pair_cases,
    call=_as_dict,
    mistakes=(
        Mistake(
            "normalised per target word",
            "Your entries sum to 1 over the source words of each target word. $t(f \\mid e)$ is a "
            "distribution over *target* words: it sums to 1 for each source word.",
            _em(normalise=_per_target),
        ),
        Mistake(
            "words are not shared out",
            "You add $t(f \\mid e)$ itself to the counts. Divide it by the sum over the source "
            "words of the sentence, so that each target word gives away exactly 1.",
            _em(shares=_undivided),
        ),
        Mistake(
            "counts instead of probabilities",
            "You return the expected counts. The maximisation is missing: divide by the total of "
            "each source word.",
            _em(normalise=dict),
        ),
        Mistake(
            "only the likeliest source word",
            "You give each target word whole to its likeliest source word. EM shares it out in "
            "proportion: what is unlikely now may turn out right later.",
            _em(shares=_likeliest),
        ),
        Mistake(
            "normalised over the whole table",
            "All your entries together sum to 1. For *each* source word they should.",
            _em(normalise=_over_all),
        ),
        Mistake(
            "shared out among target words",
            "Your denominator runs over the target words of the sentence, so that each source word "
            "gives away 1. It is each target word that was written by one source word: the sum "
            "runs over the source.",
            _em(shares=_over_target),
        ),
        Mistake(
            "repeated words counted once",
            "A word that stands twice in a sentence counts once in yours, as in a set. Each place "
            "counts.",
            _em(shares=_of_sets),
        ),
        Mistake(
            "the table plays no part",
            "You count how often two words stand together. That is the same at every step: the "
            "old table has to weigh the shares.",
            _em(shares=_without_table),
        ),
        Mistake(
            "keys turned round",
            "The numbers are right, but the keys are (target, source). They should be (source, "
            "target), as in `table`.",
            lambda pairs, table: {(f, e): t for (e, f), t in em_step(pairs, table).items()},
        ),
    ),
)

EXERCISES = [BLEU, LABEL_SMOOTHING, BEAM_STEP, IBM_MODEL_1]
