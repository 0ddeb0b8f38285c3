"""Question generation: sentences around answers, splits by article, scores by hand."""

from pathlib import Path

import numpy as np
import pytest
from datasets import Dataset

from utils.errors import CourseError
from utils.tasks import task_of
from utils.tasks.question_generation import load, score, sentence_around, subset

TEXT = 'It rains. "Ada (of 1815) wrote it." Then, at 3.5 miles, J. Doe left! No end'


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("rains", "It rains."),
        ("wrote", '"Ada (of 1815) wrote it."'),
        ("3.5 miles", "Then, at 3.5 miles, J."),  # an initial looks like an end; so be it
        ("end", "No end"),
        ("left! No", "Doe left! No end"),
        ("It", "It rains."),
    ],
)
def test_the_sentence_around_an_answer(answer: str, expected: str) -> None:
    start = TEXT.index(answer)
    assert sentence_around(TEXT, start, start + len(answer)) == expected


@pytest.fixture
def squad(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "datasets" / "rajpurkar" / "squad"
    folder.mkdir(parents=True)
    for split, n in (("train", 60), ("validation", 20)):
        rows = {
            "title": [f"article {i // 6}" for i in range(n)],
            "context": [f"First. The number is {i} here. Last." for i in range(n)],
            "question": [f" Which number has {split} {i}? " for i in range(n)],
            "answers": [{"text": [str(i)], "answer_start": [21]} for i in range(n)],
        }
        Dataset.from_dict(rows).to_parquet(str(folder / f"{split}-00000-of-00001.parquet"))
    monkeypatch.setenv("COURSE_MIRROR", str(tmp_path))
    return folder


def test_no_article_stands_in_two_splits(squad: Path) -> None:
    splits = load("rajpurkar/squad", validation_limit=8, test_limit=5)
    assert len(splits.validation) == 8
    assert len(splits.train) == 48  # two articles of six questions are held out
    assert len(splits.test) == 5
    assert splits.train.sentences[0] == f"The number is {splits.train.answers[0]} here."
    assert splits.train.questions[0].startswith("Which")
    numbers = [
        {int(answer) // 6 for answer in part.answers} for part in (splits.train, splits.validation)
    ]
    assert not numbers[0] & numbers[1]
    assert len(load("rajpurkar/squad", validation_limit=0).validation) == 0
    few, many = subset(splits.train, 5, 3), subset(splits.train, 9, 3)
    assert many.questions[:5] == few.questions
    assert subset(splits.train, 5, 4).questions != few.questions
    assert subset(splits.train, None, 0) is splits.train


def test_what_does_not_fit_is_refused(squad: Path) -> None:
    with pytest.raises(CourseError, match=r"does not know 'a/b'\. Known: rajpurkar/squad"):
        load("a/b")
    with pytest.raises(CourseError, match="60 questions does not fit into 60"):
        load("rajpurkar/squad", validation_limit=60)
    train = load("rajpurkar/squad", validation_limit=8).train
    with pytest.raises(CourseError, match="49 training questions were asked for, but there are 48"):
        subset(train, 49, 0)


def test_scores_by_hand() -> None:
    metrics, answers = score(np.array([[0.5, 1], [2.5, 0], [3.0, 0], [0.0, 1]], dtype=np.float32))
    assert metrics == {"accuracy": 0.5, "loss": 1.5}
    assert answers["accuracy"].tolist() == [True, False, False, True]


def test_the_task_follows_from_the_data_set() -> None:
    assert task_of("rajpurkar/squad") == "question-generation"
