"""Counting: compared with loops over every pair, and with the textbook's formulas."""

import itertools

import numpy as np
import pytest
import torch

from utils.errors import CourseError
from utils.pretraining import PackedText, Vocabulary, counting
from utils.pretraining.counting import (
    count_neighbours,
    count_tokens,
    positive_pmi,
    token_vectors,
    unigram_log_probabilities,
)

SIZE, SEP = 40, 3


def vocabulary(size: int = SIZE) -> Vocabulary:
    """Numbers 0 to 4 are special, 3 is [SEP]."""
    maskable = torch.arange(size) > 4
    return Vocabulary(size, 4, 2, SEP, 5, maskable, torch.zeros(size).bool())


def packed(documents: list[list[int]]) -> PackedText:
    rows = [[*document, SEP] for document in documents]
    starts = torch.tensor([0, *map(len, rows)]).cumsum(0)
    tokens = torch.tensor(list(itertools.chain(*rows)), dtype=torch.int32)
    return PackedText(tokens, starts, torch.zeros(len(rows), dtype=torch.long))


def some_documents() -> list[list[int]]:
    rng = np.random.default_rng(0)
    # [UNK] (1) among the words; a document shorter than the window; one that is empty.
    drawn = [rng.choice([1, *range(5, SIZE - 1)], size=n).tolist() for n in (200, 3, 90)]
    return [*drawn, []]


def test_unigram_probabilities_by_hand() -> None:
    vocabulary = Vocabulary(
        4, 0, 1, 1, 2, torch.tensor([False, False, True, True]), torch.zeros(4).bool()
    )
    text = PackedText(
        torch.tensor([2, 2, 3, 0, 1], dtype=torch.int32), torch.tensor([0, 5]), torch.tensor([0])
    )
    counts = count_tokens(text, vocabulary)
    assert counts.tolist() == [0, 0, 2, 1]
    expected = torch.tensor([1 / 7, 1 / 7, 3 / 7, 2 / 7]).log()
    torch.testing.assert_close(unigram_log_probabilities(counts), expected)


def by_hand(documents: list[list[int]], window: int) -> np.ndarray:
    counts = np.zeros((SIZE, SIZE))
    for document in documents:
        row = [*document, SEP]
        for i, token in enumerate(row):
            for j in range(max(0, i - window), min(len(row), i + window + 1)):
                if i != j and token > 4 and row[j] > 4:
                    counts[token, row[j]] += 1
    return counts


def test_neighbours_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    documents, facts = some_documents(), vocabulary()
    text, expected = packed(documents), by_hand(some_documents(), counting.WINDOW)
    order = count_tokens(text, facts).argsort(descending=True, stable=True).numpy()
    assert np.array_equal(count_neighbours(text, facts), expected[:, order])
    assert expected.sum() > 3000
    monkeypatch.setattr(counting, "N_CONTEXTS", 7)
    few = count_neighbours(text, facts)
    assert few.shape == (SIZE, 7)
    assert np.array_equal(few, expected[:, order[:7]])


def test_positive_pmi_by_hand() -> None:
    counts = np.array([[4, 0, 1], [1, 1, 0], [0, 0, 0]], dtype=np.float32)
    found = positive_pmi(counts)
    smooth = np.array([5, 1, 1]) ** 0.75 / (5**0.75 + 2)
    assert found[0, 0] == pytest.approx(np.log(4 / (5 * smooth[0])), rel=1e-5)
    assert found[1, 1] == pytest.approx(np.log(1 / (2 * smooth[1])), rel=1e-5)
    assert found[1, 0] == 0  # rarer than chance
    assert found[0, 1] == found[2, 2] == 0  # never seen together


def test_tokens_used_alike_have_vectors_alike() -> None:
    """Twins take each other's place at random; all other tokens stand among their own."""
    rng = np.random.default_rng(0)
    groups = rng.permutation(np.arange(5, 605)).reshape(30, 20)
    documents = [rng.permutation(np.tile(group, 6)).tolist() for group in groups]
    text, facts = packed(documents), vocabulary(606)
    vectors = token_vectors(text, facts, 16)
    assert vectors.shape == (606, 16)
    assert vectors.dtype == torch.float32
    known = torch.tensor(groups.reshape(-1))
    assert vectors[known].norm(dim=1).mean() == pytest.approx(1.0)
    assert not vectors[[*range(5), 605]].any()  # special, never seen
    assert vectors.equal(token_vectors(text, facts, 16))
    alike = torch.nn.functional.normalize(token_vectors(text, facts, 30), dim=1)
    for group in groups:
        near = (alike @ alike[group[0]]).topk(20).indices
        assert set(near.tolist()) == set(group.tolist())


def test_too_little_text_for_the_vectors_is_refused() -> None:
    text = packed([[5, 6, 7, 8]])
    with pytest.raises(CourseError, match="4 different tokens, too few for vectors of 16 numbers"):
        token_vectors(text, vocabulary(), 16)
    assert token_vectors(text, vocabulary(), 3).any()
