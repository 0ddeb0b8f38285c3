"""Tagging with an encoder: words and their pieces, what is cut off, what is learned."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from utils import sources
from utils.adaptation import Problem, get_method, methods_for
from utils.adaptation.batching import tokenise
from utils.adaptation.encoder import at_words
from utils.adaptation.features import extract
from utils.tasks.tagging import Examples, score

MODEL, _ = sources.model_path(sources.MINILM)
NAMES = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
PEOPLE = ["Ada", "Grace", "Alan", "Kurt", "Emmy", "Sofia", "Carl", "Paul"]
CITIES = ["Paris", "Göttingen", "Zagreb", "Oslo", "Turin", "Quito", "Hanoi", "Lima"]


def sentences(n: int, seed: int = 0) -> Examples:
    """ "<Person> <Surname> went to <City> today ." with names drawn at random."""
    rng = np.random.default_rng(seed)
    texts = [
        [str(rng.choice(PEOPLE)), "Miller", "went", "to", str(rng.choice(CITIES)), "today", "."]
        for _ in range(n)
    ]
    return Examples(texts, [np.array([1, 2, 0, 0, 3, 0, 0])] * n, NAMES)


def problem(train: Examples, evaluation: Examples, max_length: int = 64, **hyper) -> Problem:
    return Problem(
        train, evaluation, evaluation, len(NAMES), 0, max_length, hyper, MODEL, task="tagging"
    )


TRAINING = {
    "batch_size": 8, "min_updates": 60, "epochs": 1, "weight_decay": 0.01, "dropout": 0.0,
    "learning_rate": 3e-4,
}  # fmt: skip


def test_words_are_found_at_their_first_pieces() -> None:
    texts = [["unaffordable", "housing", "—", "in", "Zürich"], ["Ok"], ["a" * 90, "b", "c"]]
    found = tokenise(texts, MODEL, 64)
    alone = [[tokenise([[word]], MODEL, 64).input_ids[0][1:-1] for word in text] for text in texts]
    assert found.words is not None
    for ids, places, pieces in zip(found.input_ids, found.words, alone, strict=True):
        for place, of_word in zip(places, pieces, strict=True):
            assert ids[place : place + len(of_word)] == of_word
    assert max(len(of_word) for of_word in alone[0]) > 1
    batch = found.batch([0, 1])
    assert batch["words"][1].tolist() == [1, -1, -1, -1, -1]


def test_a_word_without_pieces_and_words_cut_off_have_no_place() -> None:
    found = tokenise([["one", "\u200b", "two", "three"]], MODEL, 4)
    assert found.words == [[1, -1, 2, -1]]


def test_vectors_at_words() -> None:
    hidden = torch.arange(12.0).reshape(1, 4, 3)
    found = at_words(hidden, torch.tensor([[2, -1]]))
    assert found.tolist() == [[[6, 7, 8], [0, 0, 0]]]


def test_features_of_words_equal_those_of_their_positions() -> None:
    data = sentences(3)
    features, _ = extract(problem(data, data), data.texts)
    assert features.shape == (21, 384)
    alone, _ = extract(problem(data, data), data.texts[1:2])
    np.testing.assert_allclose(features[7:14], alone, atol=1e-5)


@pytest.mark.parametrize("name", ["frozen", "full"])
def test_new_names_are_found(name: str) -> None:
    hyper = TRAINING if name == "full" else {"C": 0.1}
    train, test = sentences(40), sentences(30, seed=1)
    outcome = get_method(name).fit(problem(train, test, **hyper))
    assert outcome.predictions.shape == (210,)
    assert score(outcome.predictions, test)[0]["f1"] > 0.95


@pytest.mark.parametrize("name", ["frozen", "full"])
def test_words_beyond_the_longest_length_are_no_entities(name: str) -> None:
    hyper = TRAINING | {"min_updates": 2} if name == "full" else {"C": 0.1}
    train = sentences(16)
    long = replace(train, texts=[["Ada"] * 7 for _ in range(16)])
    outcome = get_method(name).fit(problem(train, long, max_length=5, **hyper))
    assert (outcome.predictions.reshape(16, 7)[:, 3:] == 0).all()


def test_shuffled_tags_teach_nothing() -> None:
    rng = np.random.default_rng(0)
    train, test = sentences(40), sentences(30, seed=1)
    shuffled = replace(train, tags=[rng.permutation(row) for row in train.tags])
    outcome = get_method("frozen").fit(problem(shuffled, test, C=0.1))
    assert score(outcome.predictions, test)[0]["f1"] < 0.2


def test_word_lookup_knows_what_it_has_seen() -> None:
    train = Examples([["Ada", "runs"], ["Ada", "Ada"]], [np.array([1, 0]), np.array([1, 0])], NAMES)
    test = Examples([["Ada", "runs", "Grace"]], [np.array([1, 0, 1])], NAMES)
    outcome = get_method("word-lookup").fit(problem(train, test))
    assert outcome.predictions.tolist() == [1, 0, 0]
    tied = replace(train, tags=[np.array([1, 0]), np.array([3, 3])])
    assert get_method("word-lookup").fit(problem(tied, test)).predictions[0] == 3


def test_which_methods_tag() -> None:
    named = methods_for("tagging")
    assert named[0] == "word-lookup"
    assert {"frozen", "full", "lora", "random-init"} < set(named)
    assert not {"majority", "tfidf", "warm-start"} & set(named)
