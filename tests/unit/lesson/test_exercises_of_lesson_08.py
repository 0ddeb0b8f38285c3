"""What learners of lesson 08 might write, independently of the checker's own mutants."""

import heapq
import math
from collections import Counter
from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
import torch
from sacrebleu.metrics import BLEU, CHRF
from torch import nn
from torch.nn import functional

from utils.lesson.practice import get_exercise
from utils.transformer import EncoderDecoder, TransformerConfig, beam_search

# --- 08.1: BLEU


def measured(hypotheses, references, smooth="none", **options):
    metric = BLEU(tokenize="none", smooth_method=smooth, **options)
    texts, others = ([" ".join(words) for words in side] for side in (hypotheses, references))
    return metric.corpus_score(texts, [others])


def bleu_by_package(hypotheses, references):
    return measured(hypotheses, references).score


def bleu_by_arrays(hypotheses, references):
    """Matches and totals of all sentences as (sentences, 4)."""
    matches, totals = [], []
    for ours, theirs in zip(hypotheses, references, strict=True):
        for n in (1, 2, 3, 4):
            left = [theirs[i : i + n] for i in range(len(theirs) - n + 1)]
            found, runs = 0, [ours[i : i + n] for i in range(len(ours) - n + 1)]
            for run in runs:
                if run in left:
                    left.remove(run)
                    found += 1
            matches.append(found)
            totals.append(len(runs))
    p = np.reshape(matches, (-1, 4)).sum(0) / np.maximum(np.reshape(totals, (-1, 4)).sum(0), 1)
    c, r = (sum(map(len, side)) for side in (hypotheses, references))
    return float(100 * min(1, np.exp(1 - r / c)) * np.prod(p) ** 0.25)


def bleu_of_sentences(hypotheses, references):
    pairs = zip(hypotheses, references, strict=True)
    return sum(bleu_by_package([a], [b]) for a, b in pairs) / len(references)


def bleu_of_mean_precisions(hypotheses, references):
    pairs = zip(hypotheses, references, strict=True)
    table = np.array([measured([a], [b]).precisions for a, b in pairs])
    return measured(hypotheses, references).bp * table.mean(axis=0).prod() ** 0.25


def bleu_unclipped(hypotheses, references):
    log_p = []
    for n in (1, 2, 3, 4):
        hits = []
        for ours, theirs in zip(hypotheses, references, strict=True):
            known = {tuple(theirs[i : i + n]) for i in range(len(theirs))}
            runs = [tuple(ours[i : i + n]) for i in range(len(ours) - n + 1)]
            hits += [run in known for run in runs]
        if not any(hits):
            return 0
        log_p.append(math.log(sum(hits) / len(hits)))
    return 100 * measured(hypotheses, references).bp * math.exp(sum(log_p) / 4)


def bleu_with_penalty(penalty):
    def bleu(hypotheses, references):
        found = measured(hypotheses, references)
        return penalty(found.sys_len, found.ref_len) * np.prod(found.precisions) ** 0.25

    return bleu


def bleu_by_recall(hypotheses, references):
    recalls = measured(references, hypotheses).precisions
    return measured(hypotheses, references).bp * float(np.prod(recalls)) ** (1 / 4)


def bleu_arithmetic(hypotheses, references):
    found = measured(hypotheses, references)
    return found.bp * sum(found.precisions) / len(found.precisions)


def bleu_without_care(hypotheses, references):
    """Takes the logarithm of zero."""
    found = measured(hypotheses, references)
    return found.bp * math.exp(sum(math.log(p) for p in found.precisions) / 4)


def bleu_of_positive_precisions(hypotheses, references):
    found = measured(hypotheses, references)
    logs = [math.log(p) for p in found.precisions if p > 0]
    return found.bp * math.exp(sum(logs) / max(len(logs), 1))


# --- 08.2: label smoothing


def loss_by_torch(logits, labels, epsilon):
    return functional.cross_entropy(logits, labels, label_smoothing=epsilon)


def against(make_target):
    """Cross-entropy of targets made from one-hot rows, epsilon and V, position by position."""

    def loss(logits, labels, epsilon):
        losses = []
        for z, y in zip(logits, labels.tolist(), strict=True):
            if y != -100:
                hot = torch.eye(len(z))[y]
                log_p = z - torch.logsumexp(z, 0)
                losses.append(-(make_target(hot, epsilon, len(z)) * log_p).sum())
        return torch.stack(losses).mean()

    return loss


smoothed_by_targets = against(lambda hot, e, v: (1 - e) * hot + e / v)


def loss_by_label_smoother(logits, labels, epsilon):
    """As in older training loops: sums over the kept, divided by all."""
    log_p = functional.log_softmax(logits, dim=1)
    padding = labels.eq(-100)
    nll = -log_p.gather(1, labels.clamp(min=0).unsqueeze(1)).squeeze(1).masked_fill(padding, 0.0)
    uniform = -log_p.mean(dim=1).masked_fill(padding, 0.0)
    return ((1 - epsilon) * nll + epsilon * uniform).sum() / labels.numel()


def loss_with_uniform_padding(logits, labels, epsilon):
    nll = functional.cross_entropy(logits, labels, ignore_index=-100)
    uniform = torch.full_like(logits, 1 / logits.shape[1])
    return (1 - epsilon) * nll + epsilon * functional.cross_entropy(logits, uniform)


def loss_with_padding_as_a_word(logits, labels, epsilon):
    return functional.cross_entropy(logits, labels.clamp(min=0), label_smoothing=epsilon)


def loss_by_naive_logarithm(logits, labels, epsilon):
    kept = [i for i, y in enumerate(labels) if y >= 0]
    p = logits[kept].exp() / logits[kept].exp().sum(dim=1, keepdim=True)
    nll = -torch.log(p)[range(len(kept)), labels[kept]]
    return ((1 - epsilon) * nll - epsilon * torch.log(p).mean(dim=1)).mean()


def loss_by_softmax_and_log(logits, labels, epsilon):
    target = torch.zeros_like(logits).scatter(1, labels.clamp(min=0)[:, None], 1 - epsilon)
    target = target + epsilon / logits.shape[1]
    each = -(target * torch.log(torch.softmax(logits, dim=1))).sum(dim=1)
    return each[labels >= 0].mean()


def loss_with_labels_as_they_are(logits, labels, epsilon):
    log_p = logits.log_softmax(-1)
    nll = -log_p.gather(1, labels[:, None])
    return ((1 - epsilon) * nll - epsilon * log_p.mean(-1, keepdim=True)).mean()


# --- 08.3: a step of beam search


def steps_by_force(totals, log_p, n_beams):
    every = [
        (-(totals[b] + log_p[b][w]), b, w)
        for b, w in product(range(len(totals)), range(len(log_p[0])))
    ]
    return [(b, w, -cost) for cost, b, w in sorted(every)[:n_beams]]


def steps_by_heap(totals, log_p, n_beams):
    table = {(b, w): totals[b] + log_p[b, w] for b, w in np.ndindex(log_p.shape)}
    return [[*key, table[key]] for key in heapq.nlargest(n_beams, table, key=table.get)]


def by_order(order, score=np.add, split=divmod):
    """What many write: flatten, sort, divide."""

    def steps(totals, log_p, n_beams):
        flat = score(totals.reshape(-1, 1), log_p).ravel()
        upwards = np.argsort(flat, kind="stable")
        downwards = np.argsort(-flat, kind="stable")
        chosen = order(upwards, downwards, n_beams)
        return [(*split(int(i), log_p.shape[1]), flat[i]) for i in chosen]

    return steps


def best(upwards, downwards, n):
    return downwards[:n]


def steps_of_each_beam(totals, log_p, n_beams):
    steps = []
    for b in range(n_beams):
        word = max(range(len(log_p[b])), key=lambda w, b=b: log_p[b][w])
        steps.append((b, word, totals[b] + log_p[b][word]))
    return steps


def steps_of_each_beam_sorted(totals, log_p, n_beams):
    tops = totals + log_p.max(axis=1)
    order = np.argsort(-tops, kind="stable")[:n_beams]
    return [(b, log_p[b].argmax(), tops[b]) for b in order]


def steps_of_the_best_beam(totals, log_p, n_beams):
    winner = max(range(len(totals)), key=lambda b: totals[b])
    found = steps_by_force(totals[winner : winner + 1], log_p[winner : winner + 1], n_beams)
    return [(winner, word, total) for _, word, total in found]


def steps_ranked_by_the_last_word(totals, log_p, n_beams):
    return [
        (b, w, totals[b] + log_p[b, w])
        for b, w, _ in steps_by_force(np.zeros(len(totals)), log_p, n_beams)
    ]


# --- 08.4: IBM Model 1


def em_by_alignments(pairs, table):
    """Every alignment of every pair with its probability, as the model defines it."""
    counts = Counter()
    for source, target in pairs:
        alignments = list(product(source, repeat=len(target)))
        p = [math.prod(map(table.get, zip(a, target, strict=True))) for a in alignments]
        for alignment, weight in zip(alignments, p, strict=True):
            for pair in zip(alignment, target, strict=True):
                counts[pair] += weight / sum(p)
    return {k: c / sum(x for (e, _), x in counts.items() if e == k[0]) for k, c in counts.items()}


def em_by_matrices(pairs, table, axis_of_shares=0, axis_of_sums=1, of=lambda t: t):
    """Tables with a row per source word and a column per target word."""
    sources, targets = (sorted({w for pair in pairs for w in pair[i]}) for i in (0, 1))
    counts = np.zeros((len(sources), len(targets)))
    for source, target in pairs:
        t = of(np.array([[table[e, f] for f in target] for e in source]))
        shares = t if axis_of_shares is None else t / t.sum(axis_of_shares, keepdims=True)
        rows, columns = map(sources.index, source), list(map(targets.index, target))
        for row, values in zip(rows, shares, strict=True):
            np.add.at(counts[row], columns, values)
    sums = 1 if axis_of_sums is None else counts.sum(axis_of_sums, keepdims=True)
    found = counts / np.maximum(sums, 1e-9)
    return {(sources[i], targets[j]): found[i, j] for i, j in np.argwhere(counts)}


def em_with(**options):
    return lambda pairs, table: em_by_matrices(pairs, table, **options)


def one_hot(t):
    return np.eye(len(t))[t.argmax(axis=0)].T


def em_over_everything(pairs, table):
    counts = em_by_matrices(pairs, table, axis_of_sums=None)
    return {pair: count / sum(counts.values()) for pair, count in counts.items()}


def em_without_repetitions(pairs, table):
    unique = [(list(dict.fromkeys(s)), list(dict.fromkeys(t))) for s, t in pairs]
    return em_by_matrices(unique, table)


def em_in_nested_dictionaries(pairs, table):
    flat, nested = em_by_matrices(pairs, table), {}
    for (e, f), t in flat.items():
        nested.setdefault(e, {})[f] = t
    return nested


@pytest.mark.parametrize(
    ("number", "learner", "status", "mistake"),
    [
        ("08.1", bleu_by_package, "correct", None),
        ("08.1", bleu_by_arrays, "correct", None),
        ("08.1", bleu_of_sentences, "mistake", "mean of sentences"),
        ("08.1", bleu_of_mean_precisions, "mistake", "averaged over sentences"),
        ("08.1", bleu_unclipped, "mistake", "not clipped"),
        ("08.1", bleu_arithmetic, "mistake", "arithmetic"),
        ("08.1", bleu_with_penalty(lambda c, r: 1), "mistake", "no brevity penalty"),
        ("08.1", bleu_with_penalty(lambda c, r: np.exp(1 - r / c)), "mistake", "long"),
        (
            "08.1",
            bleu_with_penalty(lambda c, r: np.exp(1 - c / r) if c > r else 1),
            "mistake",
            "upside down",
        ),
        ("08.1", bleu_with_penalty(lambda c, r: min(c / r, 1)), "wrong", None),
        ("08.1", bleu_by_recall, "mistake", "recall"),
        ("08.1", lambda h, r: bleu_by_arrays(h, r) / 100, "mistake", "0..1"),
        ("08.1", lambda h, r: measured(h, r, max_ngram_order=2).score, "mistake", "two words"),
        ("08.1", lambda h, r: measured(h, r, max_ngram_order=3).score, "mistake", "three words"),
        ("08.1", lambda h, r: measured(h, r, smooth="exp").score, "wrong", None),
        ("08.1", lambda h, r: measured(h, r, smooth="add-k").score, "wrong", None),
        ("08.1", bleu_of_positive_precisions, "wrong", None),
        ("08.1", lambda h, r: bleu_by_package(r, h), "wrong", None),
        (
            "08.1",
            lambda h, r: CHRF().corpus_score([" ".join(x) for x in h], [[" ".join(x) for x in r]]),
            "wrong",
            None,
        ),
        ("08.1", bleu_without_care, "error", None),
        ("08.2", loss_by_torch, "correct", None),
        ("08.2", smoothed_by_targets, "correct", None),
        ("08.2", loss_by_label_smoother, "mistake", "divided by all positions"),
        ("08.2", loss_with_uniform_padding, "mistake", "ignored positions are smoothed"),
        (
            "08.2",
            against(lambda hot, e, v: torch.where(hot > 0, 1 - e, e / (v - 1))),
            "mistake",
            "other words only",
        ),
        ("08.2", against(lambda hot, e, v: (1 - e) * hot + e), "mistake", "all of ε"),
        ("08.2", lambda z, y, e: functional.cross_entropy(z, y), "mistake", "no smoothing"),
        ("08.2", against(lambda hot, e, v: hot + e / v), "mistake", "keeps all its weight"),
        ("08.2", lambda z, y, e: loss_by_torch(z, y, 1 - e), "mistake", "swapped"),
        ("08.2", lambda z, y, e: loss_by_torch(z.softmax(1), y, e), "mistake", "taken twice"),
        ("08.2", loss_by_softmax_and_log, "mistake", "logarithm of 0"),
        ("08.2", loss_by_naive_logarithm, "mistake", "logarithm of 0"),
        ("08.2", loss_with_padding_as_a_word, "wrong", None),
        (
            "08.2",
            lambda z, y, e: functional.cross_entropy(z, y, label_smoothing=e, reduction="sum"),
            "wrong",
            None,
        ),
        ("08.2", lambda z, y, e: -loss_by_torch(z, y, e), "wrong", None),
        ("08.2", lambda z, y, e: loss_by_torch(z, y, e).item(), "wrong", None),
        ("08.2", lambda z, y, e: loss_by_torch(z, y, 0.1), "wrong", None),
        ("08.2", loss_with_labels_as_they_are, "error", None),
        ("08.3", steps_by_force, "correct", None),
        ("08.3", steps_by_heap, "correct", None),
        ("08.3", by_order(best), "correct", None),
        ("08.3", lambda *a: np.array(steps_by_force(*a)), "correct", None),
        ("08.3", steps_of_each_beam, "mistake", "each beam, not ranked"),
        ("08.3", steps_of_each_beam_sorted, "mistake", "one continuation of each beam"),
        ("08.3", steps_of_the_best_beam, "mistake", "only the best beam"),
        ("08.3", by_order(best, np.multiply), "mistake", "logarithms multiplied"),
        ("08.3", lambda t, p, n: steps_by_force(0 * p[:, 0], p, n), "mistake", "totals"),
        ("08.3", by_order(lambda up, down, n: up[-n:]), "mistake", "best last"),
        ("08.3", by_order(lambda up, down, n: up[:n]), "mistake", "the worst"),
        ("08.3", by_order(lambda up, down, n: up[::-1][:n]), "mistake", "ties"),
        (
            "08.3",
            by_order(best, split=lambda i, n_words: (i % n_words, i // n_words)),
            "mistake",
            "exchanged",
        ),
        ("08.3", by_order(best, lambda t, p: t + np.exp(p)), "wrong", None),
        ("08.3", steps_ranked_by_the_last_word, "wrong", None),
        ("08.3", lambda t, p, n: [step[:2] for step in steps_by_force(t, p, n)], "wrong", None),
        ("08.3", lambda t, p, n: steps_by_force(t, p, n + 1), "wrong", None),
        (
            "08.3",
            lambda t, p, n: [(b, w, np.exp(s)) for b, w, s in steps_by_force(t, p, n)],
            "wrong",
            None,
        ),
        ("08.3", lambda t, p, n: by_order(best)(t, (t + p.T).T, n), "wrong", None),
        ("08.3", lambda t, p, n: (t + p).argsort()[:n], "error", None),
        ("08.4", em_by_alignments, "correct", None),
        ("08.4", em_by_matrices, "correct", None),
        ("08.4", lambda p, t: Counter(em_by_matrices(p, t)), "correct", None),
        ("08.4", em_with(axis_of_sums=0), "mistake", "per target word"),
        ("08.4", em_with(axis_of_shares=None), "mistake", "not shared out"),
        ("08.4", em_with(axis_of_sums=None), "mistake", "counts instead"),
        ("08.4", em_with(of=one_hot), "mistake", "likeliest"),
        ("08.4", em_over_everything, "mistake", "whole table"),
        ("08.4", em_with(axis_of_shares=1), "mistake", "among target words"),
        ("08.4", em_without_repetitions, "mistake", "repeated words"),
        ("08.4", em_with(axis_of_shares=None, of=np.ones_like), "mistake", "no part"),
        (
            "08.4",
            lambda p, t: {key[::-1]: value for key, value in em_by_matrices(p, t).items()},
            "mistake",
            "turned round",
        ),
        ("08.4", em_with(of=np.ones_like), "wrong", None),
        ("08.4", em_with(of=np.sqrt), "wrong", None),
        ("08.4", lambda p, t: {**t, **em_by_matrices(p, t)}, "wrong", None),
        ("08.4", lambda p, t: em_by_matrices(p, em_by_matrices(p, t)), "wrong", None),
        ("08.4", em_in_nested_dictionaries, "wrong", None),
        ("08.4", lambda p, t: t, "wrong", None),
        ("08.4", lambda p, t: em_by_matrices([(b, a) for a, b in p], t), "error", None),
    ],
)
def test_what_learners_might_write(
    number: str, learner: Callable, status: str, mistake: str | None, diagnosed: Callable
) -> None:
    diagnosed(number, learner, status, mistake)


def test_bleu_by_hand() -> None:
    # 5 of 6 words, 3 of 5 pairs, 2 of 4 runs of three, 1 of 3 runs of four; as long as each other.
    hypothesis = ["the", "cat", "sat", "on", "the", "mat"]
    reference = ["the", "cat", "sat", "on", "a", "mat"]
    found = get_exercise("08.1").solution([hypothesis], [reference])
    assert found == pytest.approx(100 * (5 / 6 * 3 / 5 * 2 / 4 * 1 / 3) ** 0.25)


def test_cases_of_bleu_have_short_long_and_hopeless_translations() -> None:
    exercise = get_exercise("08.1")
    cases = exercise.cases(np.random.default_rng(0))
    longer = {np.sign(sum(map(len, h)) - sum(map(len, r))) for h, r in cases}
    assert longer == {-1, 0, 1}
    assert {0.0, 100.0} < set(np.round(exercise.expected(), 9))


def test_the_smoothed_loss_has_the_gradient_of_torch() -> None:
    labels = torch.tensor([3, -100, 0, 1])
    logits = torch.randn(4, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    gradients = []
    for loss in (get_exercise("08.2").solution, loss_by_torch):
        leaf = logits.clone().requires_grad_()
        loss(leaf, labels, 0.1).backward()
        gradients.append(leaf.grad)
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_steps_in_a_row_are_the_beam_search_of_the_course(seed: int) -> None:
    torch.manual_seed(seed)
    config = TransformerConfig(9, d_model=16, n_layers=1, n_heads=2, d_ff=24, max_length=16)
    model = EncoderDecoder(config).double().eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.5)
    source, n_beams, n_steps, never = torch.tensor([[3, 5, 2, 8]]), 3, 4, -1
    mask = torch.ones_like(source)
    step = get_exercise("08.3").solution

    written, totals = [[0]], np.zeros(1)
    for _ in range(n_steps):
        with torch.inference_mode():
            memory = model.read(source, mask).expand(len(written), -1, -1)
            states = model.decoder(torch.tensor(written), memory, mask.expand(len(written), -1))
            log_p = model.head(states[:, -1]).log_softmax(-1).numpy()
        chosen = step(totals, log_p, n_beams)
        written = [[*written[beam], word] for beam, word, _ in chosen]
        totals = np.array([total for *_, total in chosen])

    options = {"start_id": 0, "end_id": never, "max_new_tokens": n_steps, "length_penalty": 0.0}
    assert [written[0][1:]] == beam_search(model, source, mask, n_beams=n_beams, **options)


PAIRS = [
    (["the", "house"], ["das", "haus"]),
    (["the", "book"], ["das", "buch"]),
    (["a", "book"], ["ein", "buch"]),
]


def test_one_step_of_model_1_by_hand() -> None:
    """From a uniform table, each target word gives one half to each of its two source words."""
    table = {(e, f): 0.25 for source, target in PAIRS for e in source for f in target}
    assert get_exercise("08.4").solution(PAIRS, table) == {
        ("the", "das"): 1 / 2, ("the", "haus"): 1 / 4, ("the", "buch"): 1 / 4,
        ("house", "das"): 1 / 2, ("house", "haus"): 1 / 2,
        ("book", "das"): 1 / 4, ("book", "buch"): 1 / 2, ("book", "ein"): 1 / 4,
        ("a", "ein"): 1 / 2, ("a", "buch"): 1 / 2,
    }  # fmt: skip


def test_steps_of_em_never_make_the_targets_less_likely() -> None:
    step = get_exercise("08.4").solution
    table = {(e, f): 0.25 for source, target in PAIRS for e in source for f in target}
    likelihoods = []
    for _ in range(20):
        table = step(PAIRS, table)
        each = [sum(table[e, f] for e in s) / len(s) for s, t in PAIRS for f in t]
        likelihoods.append(sum(map(math.log, each)))
    assert np.all(np.diff(likelihoods) >= 0)
    for pair in (("the", "das"), ("house", "haus"), ("book", "buch"), ("a", "ein")):
        assert table[pair] > 0.9
