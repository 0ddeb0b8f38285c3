"""Batches hold every example, once a pass, with little padding."""

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from utils import runtime, sources
from utils.adaptation.batching import (
    Tokenised,
    by_length,
    by_tokens,
    shorten,
    tokenise,
    training_batches,
)

MODEL, _ = sources.model_path(sources.MINILM)

lengths_strategy = st.lists(st.integers(1, 60), min_size=1, max_size=120).map(np.array)


@given(lengths=lengths_strategy, batch_size=st.integers(1, 40), seed=st.integers(0, 9))
def test_two_passes_hold_every_example_twice(lengths, batch_size, seed):
    per_pass = len(training_batches(lengths, batch_size, 1, seed)) and -(
        -len(lengths) // batch_size
    )
    batches = training_batches(lengths, batch_size, 2 * per_pass, seed)
    counts = Counter(int(i) for batch in batches for i in batch)
    assert set(counts) == set(range(len(lengths)))
    assert set(counts.values()) == {2}


@given(lengths=lengths_strategy, n_updates=st.integers(1, 30))
def test_as_many_batches_as_asked_for(lengths, n_updates):
    assert len(training_batches(lengths, 8, n_updates, seed=0)) == n_updates


def test_a_longer_plan_starts_with_the_shorter_one():
    lengths = np.arange(1, 50)
    short, long = (training_batches(lengths, 8, n, seed=1) for n in (5, 20))
    assert all((a == b).all() for a, b in zip(short, long, strict=False))


def test_bucketing_saves_padding():
    lengths = np.random.default_rng(0).integers(3, 60, size=640)
    batches = training_batches(lengths, 16, 40, seed=0)
    padded = sum(len(batch) * lengths[batch].max() for batch in batches)
    plain = sum(16 * lengths[i : i + 16].max() for i in range(0, 640, 16))
    assert padded < 0.7 * plain


def test_batches_differ_between_passes_and_seeds():
    lengths = np.full(64, 5)
    first, second = np.split(np.concatenate(training_batches(lengths, 16, 8, seed=0)), 2)
    assert (first != second).any()
    assert (np.concatenate(training_batches(lengths, 16, 4, seed=1)) != first).any()


@given(lengths=lengths_strategy, batch_size=st.integers(1, 40))
def test_ordering_by_length_keeps_every_example(lengths, batch_size):
    order = np.concatenate(list(by_length(lengths, batch_size)))
    assert sorted(order) == list(range(len(lengths)))
    assert (np.diff(lengths[order]) <= 0).all()


def test_few_widths_recur_on_a_gpu(monkeypatch):
    monkeypatch.setattr(runtime, "device", lambda: torch.device("cuda"))
    texts = [[list(range(n)), list(range(n // 2))] for n in range(1, 50)]
    tokenised = Tokenised([ids for ids, _ in texts], 0, [words for _, words in texts])
    widths = {tokenised.batch([i])["input_ids"].shape[1] for i in range(len(texts))}
    assert widths == {16, 32, 48, 64}
    batch = tokenised.batch([9, 19])
    assert batch["input_ids"].shape == batch["attention_mask"].shape == (2, 32)
    assert batch["words"].shape == (2, 16)
    assert batch["attention_mask"].sum(dim=1).tolist() == [10, 20]
    assert (batch["words"][0] >= 0).sum() == 5


@given(lengths=lengths_strategy, budget=st.integers(1, 200))
def test_batches_hold_as_many_texts_as_the_budget_allows(lengths, budget):
    batches = list(by_tokens(lengths, budget))
    order = np.concatenate(batches)
    assert sorted(order) == list(range(len(lengths)))
    assert (np.diff(lengths[order]) <= 0).all()
    for batch in batches:
        assert len(batch) == 1 or len(batch) * lengths[batch].max() <= budget
    for batch in batches[:-1]:  # one text more would have been too many
        assert (len(batch) + 1) * lengths[batch].max() > budget


def test_a_batch_is_padded_to_its_longest_text():
    batch = Tokenised([[5, 6, 7], [8], [9, 10]], pad_token_id=1).batch([1, 2])
    assert batch["input_ids"].tolist() == [[8, 1], [9, 10]]
    assert batch["attention_mask"].tolist() == [[1, 0], [1, 1]]


@pytest.mark.parametrize(
    ("cut", "expected"),
    [
        ("head", [101, 1, 2, 3, 4, 5, 6, 7, 8, 102]),
        ("tail", [101, 3, 4, 5, 6, 7, 8, 9, 10, 102]),
        ("head+tail", [101, 1, 2, 5, 6, 7, 8, 9, 10, 102]),
    ],
)
def test_what_is_kept_of_a_long_text(cut, expected) -> None:
    whole = [101, *range(1, 11), 102]
    assert shorten(whole, 10, cut) == expected
    assert shorten(whole, 12, cut) == whole
    assert shorten(whole[:5], 10, cut) == whole[:5]


def test_cuts_of_texts() -> None:
    text = " ".join(f"{number}" for number in range(10, 60))
    (head,), (tail,), (both,) = (
        tokenise([text], MODEL, 22, cut).input_ids for cut in ("head", "tail", "head+tail")
    )
    assert head == tokenise([text], MODEL, 22).input_ids[0]
    assert len(head) == len(tail) == len(both) == 22
    assert both[1:6] == head[1:6]
    assert both[6:] == tail[6:]
    with pytest.raises(ValueError, match="running text"):
        tokenise([("a", "b")], MODEL, 22, "tail")
