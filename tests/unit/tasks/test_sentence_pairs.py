"""Pairs made from questions: who goes with whom, and how each method reads them."""

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoTokenizer

from utils import sources
from utils.adaptation import METHODS, Problem, get_method, methods_for
from utils.adaptation.batching import tokenise
from utils.adaptation.features import extract
from utils.errors import CourseError
from utils.tasks import get_task, question_answering, task_of
from utils.tasks.question_answering import Examples
from utils.tasks.sentence_pairs import NAME, _pairs, load, subset
from utils.tasks.sentence_pairs import Examples as Pairs

MODEL, _ = sources.model_path(sources.MINILM)
CONTEXT = "The river Aare is 288 km long. Bern lies on the river. Thun lies on a lake."


def questions(*rows: tuple[str, str, str]) -> Examples:
    asked, contexts, answers = zip(*rows, strict=True)
    starts = [c.index(a) if a else -1 for c, a in zip(contexts, answers, strict=True)]
    references = [[answer] if answer else [] for answer in answers]
    names = [str(number) for number in range(len(rows))]
    return Examples(names, names, list(contexts), list(asked), references, starts)


def test_one_gets_its_sentence_the_next_the_likeliest_other_one() -> None:
    found = _pairs(
        questions(
            ("Which town lies on the river?", CONTEXT, "Bern"),
            ("How long is the river Aare?", CONTEXT, "288 km"),
            ("Which town lies on the river?", CONTEXT, "Bern"),
            ("Which town lies on a lake?", CONTEXT, "Thun"),
        )
    )
    assert found.labels.tolist() == [0, 1, 0, 1]
    assert [sentence for _, sentence in found.texts] == [
        "Bern lies on the river.",
        "Bern lies on the river.",  # shares "the river" with the question, the third one nothing
        "Bern lies on the river.",
        "Bern lies on the river.",
    ]


def test_what_makes_no_pair_is_left_out() -> None:
    found = _pairs(
        questions(
            ("Who?", "One sentence only.", "One"),
            ("Who?", CONTEXT, ""),  # without an answer
            ("Which town lies on a lake?", CONTEXT, "Thun"),
        )
    )
    assert found.texts == [("Which town lies on a lake?", "Thun lies on a lake.")]


@pytest.fixture(scope="module")
def splits():
    return load("course/qnli", profile="smoke", validation_limit=20, test_limit=30)


def test_pairs_are_balanced_and_say_the_truth(splits) -> None:
    assert task_of("course/qnli") == NAME
    assert get_task(NAME).METRIC == "accuracy"
    assert len(splits.test) == 30
    assert abs(splits.train.labels.mean() - 0.5) < 0.01
    whole = question_answering.load("rajpurkar/squad", profile="smoke", validation_limit=20)
    rows = list(zip(whole.train.questions, whole.train.contexts, whole.train.answers, strict=True))
    for (question, sentence), label in zip(splits.train.texts, splits.train.labels, strict=True):
        of_question = [row for row in rows if row[0].strip() == question and sentence in row[1]]
        assert of_question
        if label == 0:
            assert any(answers[0].split()[0] in sentence for _, _, answers in of_question)


def test_no_article_stands_in_two_splits(splits) -> None:
    questions_of = [
        {question for question, _ in part.texts} for part in (splits.train, splits.validation)
    ]
    assert not set.intersection(*questions_of)


def test_an_unknown_set() -> None:
    with pytest.raises(CourseError, match=r"do not know 'x'. Known: course/qnli"):
        load("x")


def problem(splits, **hyper) -> Problem:
    return Problem(
        train=subset(splits.train, 24, 0), validation=splits.validation, evaluation=splits.test,
        n_classes=2, seed=0, max_length=64, hyper=hyper, model_path=MODEL, task=NAME,
    )  # fmt: skip


@torch.no_grad()
def test_features_are_those_of_the_library_with_its_segments(splits) -> None:
    texts = splits.test.texts[:3]
    found, _ = extract(problem(splits), texts)
    tokenizer, model = AutoTokenizer.from_pretrained(MODEL), AutoModel.from_pretrained(MODEL)
    for row, (question, sentence) in zip(found, texts, strict=True):
        encoded = tokenizer(question, sentence, return_tensors="pt")
        assert encoded["token_type_ids"].sum() > 0
        expected = model(**encoded).last_hidden_state[0].mean(dim=0)
        np.testing.assert_allclose(row, expected, atol=2e-5)


def test_a_pair_that_is_too_long_keeps_some_of_both(splits) -> None:
    long = [("word " * 5, "other " * 100)]
    tokenised = tokenise(long, MODEL, 32)
    assert len(tokenised.input_ids[0]) == 32
    assert sum(tokenised.segments[0]) == 32 - 7  # [CLS], five words, [SEP]
    batch = tokenise([*long, ("a", "b")], MODEL, 32).batch([0, 1])
    assert batch["token_type_ids"].shape == batch["input_ids"].shape
    assert batch["token_type_ids"][1].tolist() == [0, 0, 0, 1, 1] + 27 * [0]


def test_words_and_plain_texts_have_no_segments() -> None:
    for texts in (["one text", "two"], [["one", "text"], ["two"]]):
        assert "token_type_ids" not in tokenise(texts, MODEL, 32).batch([0, 1])


FAST = {"min_updates": 2, "epochs": 1, "batch_size": 8, "further_updates": 2}


@pytest.mark.parametrize(
    "name", [name for name in methods_for(NAME) if METHODS[name].defaults.get("layer", 0) <= 6]
)
def test_every_method_reads_pairs(splits, name: str) -> None:
    defaults = METHODS[name].defaults
    changes = {key: value for key, value in FAST.items() if key in defaults}
    outcome = get_method(name).fit(problem(splits, **{**defaults, **changes}))
    assert outcome.predictions.shape == (30, 2)
    np.testing.assert_allclose(outcome.predictions.sum(axis=1), 1, rtol=1e-5)


def test_tfidf_sees_that_words_are_shared() -> None:
    words = [f"word{i}" for i in range(40)]
    same = [(word, word) for word in words]
    different = [(word, other) for word, other in zip(words, words[1:] + words[:1], strict=True)]
    pairs = Pairs(same + different, np.repeat([0, 1], 40))
    outcome = get_method("tfidf").fit(
        Problem(pairs, pairs, pairs, 2, 0, 64, {"C": 10.0}, task=NAME)
    )
    assert (outcome.predictions.argmax(axis=1) == pairs.labels).mean() > 0.95
