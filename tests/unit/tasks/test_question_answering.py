"""Question answering: splits by article, scores, distractors, and data that is not in order."""

import re

import numpy as np
import pytest
from datasets import Dataset

from utils.errors import CourseError
from utils.tasks import distractors
from utils.tasks.distractors import distractor
from utils.tasks.question_answering import Examples, examples, load, score, subset


def row(**changes: object) -> dict[str, object]:
    return {
        "id": "q1",
        "title": "Mill",
        "context": "The mill at Tarnholt burned in 1802.",
        "question": "When did it burn?",
        "answers": {"text": ["1802"], "answer_start": [31]},
        **changes,
    }


def read(*rows: dict[str, object]) -> Examples:
    return examples(Dataset.from_list(list(rows)), "own/set")


def test_columns_are_read() -> None:
    found = read(row(), row(id="q2", answers={"text": [], "answer_start": []}))
    assert found.spans == [(31, 35), None]
    assert found.answers == [["1802"], []]
    assert len(found.take(np.array([1, 0, 1]))) == 3
    assert found.take(np.array([1])).ids == ["q2"]


def test_a_wrong_offset_is_put_right_and_a_wrong_answer_refused() -> None:
    assert read(row(answers={"text": ["1802"], "answer_start": [3]})).spans == [(31, 35)]
    with pytest.raises(CourseError, match=r"'1803' to the question 'q1' .* does not stand"):
        read(row(answers={"text": ["1803"], "answer_start": [31]}))


@pytest.mark.parametrize("column", ["context", "question"])
def test_empty_texts_are_refused(column: str) -> None:
    with pytest.raises(CourseError, match="'q1' of own/set or its context is empty"):
        read(row(**{column: "  "}))


def test_a_missing_column_is_named() -> None:
    bad = {("passage" if name == "context" else name): value for name, value in row().items()}
    with pytest.raises(CourseError, match=r"lacks the column 'context'.*there are: .*passage"):
        read(bad)


def test_an_unknown_set_is_refused() -> None:
    with pytest.raises(CourseError, match=r"does not know 'a/b'.*rajpurkar/squad_v2"):
        load("a/b")


def test_splits_of_the_embedded_set() -> None:
    splits = load("rajpurkar/squad", profile="smoke", validation_limit=20, test_limit=30)
    assert len(splits.validation) == 20
    assert len(splits.test) == 30
    titles = [set(part.titles) for part in (splits.train, splits.validation, splits.test)]
    assert len(set.union(*titles)) == sum(map(len, titles))
    small, large = (subset(splits.train, n, 3) for n in (10, 40))
    assert large.ids[:10] == small.ids
    with pytest.raises(CourseError, match="Ask for fewer"):
        subset(splits.train, 100_000, 0)


def test_scores_with_and_without_a_distractor() -> None:
    asked = read(row(), row(id="q2"), row(id="q3", answers={"text": [], "answer_start": []}))
    given = np.array([["in 1802", "1741"], ["1802", "1802"], ["", "Korvin"]])
    metrics, answers = score(given, asked)
    assert answers["answer_f1"] == pytest.approx([2 / 3, 1, 1])
    assert answers["exact_match_distracted"].tolist() == [False, True, False]
    assert metrics["answer_f1"] == pytest.approx(8 / 9)
    assert metrics["exact_match"] == pytest.approx(2 / 3)
    assert metrics["answer_f1_distracted"] == pytest.approx(1 / 3)
    assert set(score(given[:, 0], asked)[0]) == {"answer_f1", "exact_match"}


def test_distractors_share_the_words_of_the_question_and_not_the_answer() -> None:
    test = load("rajpurkar/squad_v2", profile="smoke", validation_limit=0).test
    distracted = test.distracted()
    assert distracted.spans == test.spans
    for i, (context, longer) in enumerate(zip(test.contexts, distracted.contexts, strict=True)):
        assert longer.startswith(context)
        added = longer[len(context) :]
        words = re.findall(r"\w+", test.questions[i].lower())
        assert set(words) <= set(re.findall(r"\w+", added.lower()))
        invented = added.split("would be ")[-1].rstrip(".")
        assert invented.lower() not in [text.lower() for text in test.answers[i]]


def test_distractors_speak_of_what_no_paragraph_of_the_corpus_names() -> None:
    splits = load("rajpurkar/squad_v2", profile="smoke", validation_limit=8)
    text = " ".join({*splits.train.contexts, *splits.validation.contexts, *splits.test.contexts})
    for invented in (*distractors._SUBJECTS, *distractors._NAMES, *distractors._THINGS):
        assert invented.removeprefix("the ").removeprefix("a ") not in text


def test_invented_answers_are_of_the_same_kind() -> None:
    for i in range(50):
        assert re.search(r"would be \d{4}\.", distractor("When?", ["in 1802"], f"q{i}"))
        assert "would be 1802." not in distractor("When?", ["1802"], f"q{i}")
        assert re.search(r"would be [A-Z]", distractor("Who?", ["Ada Kerr"], f"q{i}"))
        assert re.search(r"would be [a-z]", distractor("What?", ["candles"], f"q{i}"))
    assert distractor("Who?", ["Ada"], "q1") == distractor("Who?", ["Ada"], "q1")
