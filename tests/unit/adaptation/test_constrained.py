"""Constrained decoding against all sequences there are."""

from itertools import product

import numpy as np
import pytest

from utils import runtime, sources
from utils.adaptation import fine_tuning
from utils.adaptation.batching import by_tokens
from utils.adaptation.classifier import Classifier
from utils.adaptation.constrained import (
    best_legal_tags,
    is_legal,
    legal_starts,
    legal_steps,
    tag_scores,
)
from utils.adaptation.encoder import WordClassifier, load_encoder

NAMES = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]


def legal_by_the_rule(tags: tuple[str, ...]) -> bool:
    before = ("O", *tags)
    return all(
        not tag.startswith("I-") or last in (f"B-{tag[2:]}", tag)
        for last, tag in zip(before, tags, strict=False)
    )


@pytest.mark.parametrize("n_words", [1, 2, 3, 4])
def test_legal_sequences_are_those_of_the_rule(n_words: int) -> None:
    for numbers in product(range(len(NAMES)), repeat=n_words):
        expected = legal_by_the_rule(tuple(NAMES[i] for i in numbers))
        assert is_legal(np.array(numbers), NAMES) == expected


def test_the_best_legal_sequence_is_that_of_a_full_search() -> None:
    rng = np.random.default_rng(0)
    changed = 0
    for _ in range(60):
        n_words = int(rng.integers(1, 6))
        scores = np.log(rng.dirichlet(np.full(len(NAMES), 0.5), size=n_words))
        found = best_legal_tags(scores, legal_steps(NAMES), legal_starts(NAMES))
        every = [
            np.array(numbers)
            for numbers in product(range(len(NAMES)), repeat=n_words)
            if legal_by_the_rule(tuple(NAMES[i] for i in numbers))
        ]
        totals = [scores[np.arange(n_words), numbers].sum() for numbers in every]
        assert found.tolist() == every[int(np.argmax(totals))].tolist()
        changed += found.tolist() != scores.argmax(axis=1).tolist()
    assert changed > 10  # else nothing was tested


def test_a_legal_argmax_stays_as_it_is() -> None:
    tags = np.array([0, 1, 2, 2, 3, 0])
    scores = np.full((6, 5), -5.0)
    scores[np.arange(6), tags] = -0.1
    assert best_legal_tags(scores, legal_steps(NAMES), legal_starts(NAMES)).tolist() == [
        0, 1, 2, 2, 3, 0,
    ]  # fmt: skip


def test_scores_of_tags_agree_with_predict(monkeypatch) -> None:
    runtime.seed_everything(0)
    folder, _ = sources.model_path(sources.MINILM)
    model = WordClassifier(load_encoder(folder), len(NAMES)).to(runtime.device()).eval()
    classifier = Classifier(model, folder, "tagging", NAMES, 8)
    texts = [["Ada", "sings"], ["Zürich", "unaffordably", "far", "off", "and", "cold"], ["x"]]
    with monkeypatch.context() as patch:  # the longest sentence alone, then both others
        patch.setattr(fine_tuning, "by_tokens", lambda lengths: by_tokens(lengths, 10))
        scores = tag_scores(classifier, texts)
    assert [row.shape for row in scores] == [(len(text), len(NAMES)) for text in texts]
    tags, in_full = classifier.predict(texts)
    assert np.concatenate([row.argmax(axis=1) for row in scores]).tolist() == tags.tolist()
    assert in_full.tolist() == [True, False, True]
    for row in scores:
        np.testing.assert_allclose(np.exp(row).sum(axis=1), 1, rtol=1e-5)
    assert scores[1][-1].tolist() == [0, *[-np.inf] * 4]  # beyond the longest length
    legal = best_legal_tags(scores[1], legal_steps(NAMES), legal_starts(NAMES))
    assert is_legal(legal, NAMES)
