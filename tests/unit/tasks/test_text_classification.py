"""Splits and subsets: nested, stratified, without leakage."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from utils import sources
from utils.errors import CourseError
from utils.tasks import text_classification
from utils.tasks.text_classification import Examples, _cut_validation, load, subset


def examples(labels: list[int]) -> Examples:
    return Examples([f"text number {i}" for i in range(len(labels))], np.array(labels))


@given(
    labels=st.lists(st.integers(0, 3), min_size=2, max_size=80),
    seed=st.integers(0, 1000),
    data=st.data(),
)
def test_subsets_are_nested_and_repeatable(labels, seed, data):
    train = examples(labels)
    large = data.draw(st.integers(1, len(labels)))
    small = data.draw(st.integers(1, large))
    assert subset(train, large, seed).texts[:small] == subset(train, small, seed).texts
    assert len(set(subset(train, large, seed).texts)) == large


@given(labels=st.lists(st.integers(0, 2), min_size=6, max_size=90), seed=st.integers(0, 99))
def test_every_prefix_keeps_the_class_shares(labels, seed):
    train = examples(labels)
    drawn = subset(train, len(labels) // 2, seed).labels
    for label in set(labels):
        expected = labels.count(label) / len(labels) * len(drawn)
        assert abs((drawn == label).sum() - expected) <= 1.5


def test_texts_keep_their_labels():
    train = examples([0, 1] * 20)
    original = dict(zip(train.texts, train.labels, strict=True))
    drawn = subset(train, 17, data_seed=3)
    assert all(
        original[text] == label for text, label in zip(drawn.texts, drawn.labels, strict=True)
    )


def test_different_data_seeds_draw_different_subsets():
    train = examples([0, 1] * 50)
    assert subset(train, 20, 0).texts != subset(train, 20, 1).texts


def test_all_means_all_rows_in_their_own_order():
    train = examples([0, 1, 1, 0])
    assert subset(train, None, 5).texts == train.texts


def test_too_many_examples_asked_for():
    with pytest.raises(CourseError, match="only 4 are left"):
        subset(examples([0, 1, 0, 1]), 5, 0)


def test_validation_takes_whole_sentences_and_their_pieces_leave_the_training_rows():
    sentences = [f"sentence {w} is about one thing only" for w in ("a", "b", "c", "d", "e", "f")]
    pieces = [f"sentence {w} is about" for w in "abcdef"] + ["one thing only", "is", "a", "b"]
    texts = sentences + pieces + [sentences[0]]
    labels = np.array(([0, 1] * len(texts))[: len(texts)])
    train, validation = _cut_validation(Examples(texts, labels), 2, phrases=True)
    assert len(validation) == 2
    assert set(validation.texts) <= set(sentences)
    for text in train.texts:
        assert not any(f" {text} " in f" {held_out} " for held_out in validation.texts)
        assert not any(f" {held_out} " in f" {text} " for held_out in validation.texts)
    assert len(train) > 0


def test_rows_inside_other_rows_are_never_taken_for_validation():
    texts = [
        "the film is a quiet triumph of nerve",
        "film is a quiet triumph",
        "an honest and dull story",
    ]
    _, validation = _cut_validation(Examples(texts, np.array([1, 1, 0])), 2, phrases=True)
    assert "film is a quiet triumph" not in validation.texts


def test_a_validation_split_that_does_not_fit():
    with pytest.raises(CourseError, match="Lower validation_limit"):
        _cut_validation(examples([0, 1]), 2, phrases=False)


def test_embedded_data_is_ready_for_a_model():
    splits = load("stanfordnlp/sst2", profile="smoke", validation_limit=48, test_limit=100)
    assert splits.source.kind == "embedded"
    assert splits.label_names == ["negative", "positive"]
    assert (len(splits.validation), len(splits.test)) == (48, 100)
    assert not set(splits.train.texts) & set(splits.test.texts)
    assert not set(splits.train.texts) & set(splits.validation.texts)
    assert splits.train.labels.mean() == pytest.approx(0.5, abs=0.05)


def test_a_limited_test_split_is_the_same_sample_every_time():
    first = load("fancyzhx/ag_news", profile="smoke", validation_limit=20, test_limit=50)
    again = load("fancyzhx/ag_news", profile="smoke", validation_limit=40, test_limit=50)
    assert first.test.texts == again.test.texts
    assert set(first.test.labels) == {0, 1, 2, 3}


def test_unknown_data_set():
    with pytest.raises(CourseError, match="no layout for the data set 'nobody/nothing'"):
        load("nobody/nothing", profile="smoke")


def test_every_layout_has_an_embedded_stand_in():
    for dataset_id, layout in text_classification.LAYOUTS.items():
        dataset, _ = sources.load_dataset(dataset_id, profile="smoke")
        assert {layout.text, layout.label} <= set(dataset["train"].column_names)
        assert layout.reported in dataset
