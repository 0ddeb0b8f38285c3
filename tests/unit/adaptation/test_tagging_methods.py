"""Tagging with an encoder: words and their pieces, what is cut off, what is learned."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from utils import sources
from utils.adaptation import Problem, fine_tuning, get_method, methods_for
from utils.adaptation.encoder import at_words, load_encoder
from utils.adaptation.features import extract
from utils.pretraining.masking import IGNORED
from utils.tasks.tagging import Examples, score

MODEL, _ = sources.model_path(sources.MINILM)
TOKENIZER = AutoTokenizer.from_pretrained(MODEL)
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


words = st.one_of(
    st.sampled_from(["unaffordable", "housing", "Zürich", "—", "don't", "第三", "\u200b", "", "a"]),
    st.text(max_size=8),
)
tagged_words = st.lists(st.tuples(words, st.integers(0, len(NAMES) - 1)), min_size=1, max_size=12)


@pytest.fixture(scope="module")
def encoder() -> Any:
    return load_encoder(MODEL)


@settings(max_examples=100, deadline=None)
@given(st.lists(tagged_words, min_size=1, max_size=5), st.integers(3, 24))
@example([[("one", 1), ("\u200b", 2), ("two", 3), ("three", 4)], [("one", 1)]], 4)
def test_each_tag_is_learned_at_the_first_piece_of_its_word(encoder, tagged, length: int) -> None:
    """Words are cut into pieces one by one here, and put together by hand."""
    texts = [[word for word, _ in sentence] for sentence in tagged]
    tags = [np.array([tag for _, tag in sentence]) for sentence in tagged]
    data = Examples(texts, tags, NAMES)
    with pytest.MonkeyPatch.context() as patch:  # loading it anew takes longer than all the rest
        patch.setattr(AutoTokenizer, "from_pretrained", lambda path: TOKENIZER)
        training = fine_tuning._label_training(problem(data, data, length), encoder)
    inputs, labels = training.make_batch(np.arange(len(data)))
    for i, sentence in enumerate(tagged):
        ids, places, learned = [TOKENIZER.cls_token_id], [], []
        for word, tag in sentence:
            pieces = TOKENIZER(word, add_special_tokens=False)["input_ids"]
            is_kept = bool(pieces) and len(ids) < length - 1
            places.append(len(ids) if is_kept else -1)
            learned.append(tag if is_kept else IGNORED)
            ids += pieces
        ids = [*ids[: length - 1], TOKENIZER.sep_token_id]
        assert inputs["input_ids"][i, inputs["attention_mask"][i] == 1].tolist() == ids
        n_added = labels.shape[1] - len(sentence)
        assert inputs["words"][i].tolist() == [*places, *[-1] * n_added]
        assert labels[i].tolist() == [*learned, *[IGNORED] * n_added]


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
