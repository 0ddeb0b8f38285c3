"""Bags of words for sentence pairs: the numbers by hand, what they find, and what they cannot."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import binom

from utils.pretraining import PackedText, Vocabulary
from utils.pretraining.evaluation import held_out
from utils.pretraining.objectives import MaskedSequences
from utils.pretraining.overlap import OverlapClassifier
from utils.tasks.language_modelling import OTHER_DOCUMENT, SAME_DOCUMENT, score

CLS, SEP, MASK, FIRST, LENGTH = 2, 3, 4, 5, 64
KINDS = {"other-document": OTHER_DOCUMENT, "same-document": SAME_DOCUMENT}


def vocabulary(size: int) -> Vocabulary:
    numbers = torch.arange(size)
    return Vocabulary(size, MASK, CLS, SEP, FIRST, numbers >= FIRST, numbers < 0)


def text(n_words: int, *, own: bool, n_tokens: int = 1500, seed: int = 0) -> PackedText:
    """Ten documents, each with `n_words` words: of its own, or the same for all."""
    rng = np.random.default_rng(seed)
    rows = []
    for document in range(10):
        first = FIRST + (document * n_words if own else 0)
        rows += [*rng.integers(first, first + n_words, n_tokens).tolist(), SEP]
    starts = torch.arange(11) * (n_tokens + 1)
    return PackedText(torch.tensor(rows, dtype=torch.int32), starts, torch.zeros(10).long())


def pair(a: list[int], b: list[int]) -> MaskedSequences:
    ids = torch.tensor([[CLS, *a, SEP, *b, SEP]])
    types = torch.tensor([[0] * (len(a) + 2) + [1] * (len(b) + 1)])
    nothing = torch.zeros(1, 0).long()
    return MaskedSequences(ids, nothing, nothing, types, torch.ones(1).long())


@pytest.fixture
def few_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("utils.pretraining.overlap._N_PAIRS", 512)


def test_the_four_numbers_by_hand(few_pairs: None) -> None:
    # Four documents of 200 tokens: 5 stands in all, 6 in three, 7 in two, 8 in one, 9 in none.
    rows = [[5, 6, 7, 8], [5, 6, 7, 5], [5, 6, 5, 5], [5, 5, 5, 5]]
    tokens = torch.tensor([token for row in rows for token in [*row * 50, SEP]])
    places = PackedText(tokens.int(), torch.arange(5) * 201, torch.zeros(4).long())
    classifier = OverlapClassifier(places, vocabulary(10), LENGTH, "other-document")
    five, six, seven, eight, nine = (math.log(6 / (1 + n)) for n in (4, 3, 2, 1, 0))
    assert classifier.weights == pytest.approx([0] * 5 + [five, six, seven, eight, nine])
    found = classifier.features(pair([5, 5, 7, 8], [7, 7, 6, 8]))
    # Distinct: [CLS] [SEP] 5 7 8, and [SEP] 6 7 8; they have [SEP], 7 and 8 in common.
    lengths = math.hypot(2 * five, seven, eight) * math.hypot(2 * seven, six, eight)
    expected = [
        3 / 6,
        (seven + eight) / (five + six + seven + eight),
        (2 * seven**2 + eight**2) / lengths,
        eight,
    ]
    assert found.tolist() == [pytest.approx(expected)]


def test_the_same_words_and_no_common_ones(few_pairs: None) -> None:
    classifier = OverlapClassifier(text(30, own=True), vocabulary(305), LENGTH, "other-document")
    equal = classifier.features(pair([5, 6, 7, MASK], [7, 6, 5, MASK]))[0]
    assert equal[1:3].tolist() == pytest.approx([1, 1])
    assert equal[3] == classifier.weights[5:8].max() > 0
    apart = classifier.features(pair([5, 6, 7], [40, 41, 42]))[0]
    assert apart[1:].tolist() == [0, 0, 0]
    assert apart[0] < 0.2 < equal[0]
    alone = pair([5, 6], [7, 8])
    probabilities = classifier.classifier.predict_proba(np.stack([equal, apart]))
    assert probabilities[0, 1] > 0.9 > 0.1 > probabilities[1, 1]
    with pytest.raises(ValueError, match="single sequences have no overlap"):
        classifier.features(MaskedSequences(alone.input_ids, alone.positions, alone.labels))


def accuracy(train: PackedText, size: int, negatives: Any) -> tuple[float, int]:
    """Share of right answers on held-out pairs of the same documents' words, and their number."""
    classifier = OverlapClassifier(train, vocabulary(size), LENGTH, negatives)
    other = text((size - FIRST) // 10, own=True, seed=9) if size > 200 else text(40, own=False)
    asked = held_out(other, vocabulary(size), LENGTH, negatives, 2048)
    rows = np.concatenate([classifier.judge(batch, asked.kind) for batch in asked.batches])
    assert set(rows[:, 0]) == {KINDS[negatives]}
    assert rows[:, 2] == pytest.approx(math.log(2))
    assert ((rows[:, 1] < math.log(2)) == rows[:, 3]).all()  # right answers have more than half
    tokens = np.array([[0, 1, 1, 1]], dtype=np.float32)
    metrics, _ = score(np.concatenate([tokens, rows]))
    return metrics[f"nsp_accuracy_{negatives.replace('-', '_')}"], len(rows)


def test_documents_with_words_of_their_own_are_told_apart() -> None:
    found, _ = accuracy(text(30, own=True), 305, "other-document")
    assert found >= 0.95


@pytest.mark.parametrize(("own", "negatives"), [(False, "other-document"), (True, "same-document")])
def test_where_words_tell_nothing_it_guesses(own: bool, negatives: str) -> None:
    n_words = 30 if own else 40
    found, n = accuracy(text(n_words, own=own, seed=1), 305 if own else 45, negatives)
    low, high = binom.interval(0.999, n, 0.5)
    assert low / n <= found <= high / n


def test_the_seed_draws_the_pairs_and_nothing_else_is_drawn(few_pairs: None) -> None:
    before = torch.get_rng_state()
    words, facts = text(30, own=True), vocabulary(305)
    first, again, other = (
        OverlapClassifier(words, facts, LENGTH, "other-document", seed) for seed in (0, 0, 1)
    )
    assert torch.get_rng_state().equal(before)
    coefficients = [made.classifier[-1].coef_.tolist() for made in (first, again, other)]
    assert coefficients[0] == coefficients[1] != coefficients[2]
