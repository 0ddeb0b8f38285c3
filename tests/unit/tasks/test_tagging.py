"""Tagging: entities as seqeval and the CoNLL rules read them, splits, and bad input."""

from pathlib import Path

import numpy as np
import pytest
from datasets import ClassLabel, Dataset, Features, Sequence, Value
from seqeval.metrics import f1_score, precision_score, recall_score

from utils.errors import CourseError
from utils.metrics import Seqeval
from utils.tasks import tagging, task_of
from utils.tasks.tagging import Examples, entities, load, score, subset

NAMES = ["O", "B-PER", "I-PER", "B-ORG", "I-ORG"]


def examples(tags: list[list[int]]) -> Examples:
    rows = [np.array(row) for row in tags]
    return Examples([[f"w{i}" for i in range(len(row))] for row in tags], rows, NAMES)


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("B-PER I-PER O", {("PER", 0, 1)}),
        ("B-PER B-PER", {("PER", 0, 0), ("PER", 1, 1)}),  # two persons, not one
        ("O I-PER I-PER", {("PER", 1, 2)}),  # an I- after O begins an entity
        ("B-PER I-ORG", {("PER", 0, 0), ("ORG", 1, 1)}),  # and so does one of another type
        ("I-ORG B-ORG I-ORG", {("ORG", 0, 0), ("ORG", 1, 2)}),
        ("O O", set()),
    ],
)
def test_entities_by_the_rules_of_conll(tags: str, expected: set) -> None:
    assert entities(tags.split()) == expected


def test_scores_equal_those_of_seqeval_on_random_tags() -> None:
    rng = np.random.default_rng(0)
    for _ in range(2000):
        lengths = rng.integers(1, 9, size=rng.integers(1, 6))
        true = [rng.integers(0, 5, size=n) for n in lengths]
        found = [np.where(rng.random(len(t)) < 0.6, t, rng.integers(0, 5, len(t))) for t in true]
        metrics, answers = score(np.concatenate(found), examples([t.tolist() for t in true]))
        named = [[[NAMES[tag] for tag in row] for row in side] for side in (true, found)]
        for name, theirs in (
            ("f1", f1_score),
            ("precision", precision_score),
            ("recall", recall_score),
        ):
            assert metrics[name] == pytest.approx(theirs(*named, zero_division=0)), named
        assert answers["entities"].shape == (len(true), 3)
        assert metrics["accuracy"] == np.mean(np.concatenate(true) == np.concatenate(found))


ENDS = {("B", "B"), ("B", "O"), ("I", "B"), ("I", "O")}
STARTS = {("B", "B"), ("I", "B"), ("O", "B"), ("O", "I")}
"""Letters of two neighbours between which an entity ends or starts, by the script of CoNLL-2000
(Tjong Kim Sang and Buchholz, 2000); it also does where the type changes."""


def borders(before: str, now: str) -> tuple[bool, bool]:
    """Whether an entity ends before the word tagged `now`, and whether one starts with it."""
    (last, last_type), (letter, type_) = (tag.split("-", 1) for tag in (before + "-", now + "-"))
    changes = last_type != type_
    ends = (last, letter) in ENDS or (last != "O" and changes)
    return ends, (last, letter) in STARTS or (letter != "O" and changes)


def conlleval(true: list[str], found: list[str]) -> tuple[int, int, int]:
    """Entities of a sentence that are right, predicted and there, in one pass over its words.

    An entity is right if both sides start it at the same word with the same type and end it
    together. Nothing is listed and no entity is compared with another.
    """
    right = predicted = real = 0
    agree, before = False, ("O", "O")
    for now in [*zip(true, found, strict=True), ("O", "O")]:
        (ends, starts), (found_ends, found_starts) = map(borders, before, now)
        if ends or found_ends:
            right += agree and ends and found_ends
            agree = False
        if starts and found_starts:
            agree = now[0].partition("-")[2] == now[1].partition("-")[2]
        real, predicted, before = real + starts, predicted + found_starts, now
    return right, predicted, real


def test_entities_are_those_of_the_script_of_conll_in_illegal_tags_too() -> None:
    """By the task and by the metric, of tags drawn at random and of such with a few changes."""
    rng = np.random.default_rng(1)
    for _ in range(2000):  # of three sentences each
        lengths = rng.integers(1, 10, size=3)
        likely = rng.dirichlet(np.ones(len(SOCIAL)) / 2)
        true = [rng.choice(len(SOCIAL), size=n, p=likely) for n in lengths]
        kept = rng.random()
        found = [
            np.where(rng.random(len(row)) < kept, row, rng.choice(len(SOCIAL), len(row), p=likely))
            for row in true
        ]
        sides = [[[SOCIAL[tag] for tag in row] for row in side] for side in (true, found)]
        expected = [conlleval(*pair) for pair in zip(*sides, strict=True)]
        metrics, answers = score(np.concatenate(found), tagged(SOCIAL, *map(" ".join, sides[0])))
        assert answers["entities"].tolist() == [list(row) for row in expected], sides
        right, predicted, real = np.sum(expected, axis=0)
        scores = {
            "precision": right / predicted if predicted else 0,
            "recall": right / real if real else 0,
            "f1": 2 * right / (predicted + real) if predicted + real else 0,
        }
        theirs = Seqeval()._compute(predictions=sides[1], references=sides[0])
        for name, value in scores.items():
            assert metrics[name] == pytest.approx(value), sides
            assert theirs[f"overall_{name}"] == pytest.approx(value), sides


def test_nothing_found_and_nothing_to_find() -> None:
    real, none = examples([[1, 2, 0], [0]]), examples([[0, 0], [0]])
    assert score(np.zeros(4, dtype=int), real)[0] == {
        "f1": 0, "precision": 0, "recall": 0, "accuracy": 0.5,
    }  # fmt: skip
    assert score(np.array([1, 0, 0]), none)[0]["f1"] == 0
    assert score(np.zeros(3, dtype=int), none)[0]["accuracy"] == 1
    with pytest.raises(ValueError, match="3 tags predicted for 4 words"):
        score(np.zeros(3, dtype=int), real)


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "datasets" / "eriktks" / "conll2003"
    folder.mkdir(parents=True)
    monkeypatch.setenv("COURSE_MIRROR", str(tmp_path))
    return folder


def write(folder: Path, split: str, rows: list[tuple[list[str], list[int]]], names=NAMES) -> None:
    features = Features(
        {"tokens": Sequence(Value("string")), "ner_tags": Sequence(ClassLabel(names=names))}
    )
    columns = {"tokens": [words for words, _ in rows], "ner_tags": [tags for _, tags in rows]}
    file = folder / f"{split}-00000-of-00001.parquet"
    Dataset.from_dict(columns, features=features).to_parquet(str(file))


ROWS = [([f"w{i}", "x"], [i % 5, 0]) for i in range(20)]


def test_splits_are_those_of_the_data_set(mirror: Path) -> None:
    write(mirror, "train", [*ROWS, ([], [])])
    write(mirror, "validation", ROWS[:9])
    write(mirror, "test", ROWS[:12])
    splits = load("eriktks/conll2003", validation_limit=4, test_limit=None)
    sizes = [len(split) for split in (splits.train, splits.validation, splits.test)]
    assert sizes == [20, 4, 12]  # a sentence without words is no example
    assert splits.label_names == NAMES
    assert splits.test.labels.tolist() == [tag for _, tags in ROWS[:12] for tag in tags]
    few, many = subset(splits.train, 5, 3), subset(splits.train, 8, 3)
    assert many.texts[:5] == few.texts
    assert subset(splits.train, 5, 4).texts != few.texts
    assert subset(splits.train, None, 3) is splits.train
    with pytest.raises(CourseError, match="21 training sentences were asked for, but there are 20"):
        subset(splits.train, 21, 0)


def test_data_that_does_not_fit_is_refused(mirror: Path) -> None:
    with pytest.raises(CourseError, match="no layout for the data set 'a/b'"):
        load("a/b")
    write(mirror, "train", ROWS)
    with pytest.raises(CourseError, match="has no split test and validation"):
        load("eriktks/conll2003")
    for split in ("validation", "test"):
        write(mirror, split, ROWS)
    write(mirror, "train", ROWS, names=["B-PER", "O", "I-PER", "B-ORG", "I-ORG"])
    with pytest.raises(CourseError, match="first tag of eriktks/conll2003 is 'B-PER'"):
        load("eriktks/conll2003")


def test_the_task_follows_from_the_data_set() -> None:
    assert task_of("leondz/wnut_17") == tagging.NAME
    assert task_of("stanfordnlp/sst2") == "text-classification"


NEWS = ["O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC", "B-MISC", "I-MISC"]
SOCIAL = ["O", "B-corporation", "I-corporation", "B-group", "I-group", "B-person", "I-person",
          "B-product", "I-product"]  # fmt: skip


def tagged(names: list[str], *sentences: str) -> Examples:
    rows = [np.array([names.index(tag) for tag in sentence.split()]) for sentence in sentences]
    return Examples([["word"] * len(row) for row in rows], rows, names)


def test_elsewhere_only_shared_types_count_and_under_shared_names() -> None:
    social = tagged(SOCIAL, "B-group I-group O B-product", "B-corporation O B-person", "O")
    news = tagged(NEWS, "B-ORG I-ORG O B-MISC", "B-ORG O B-ORG", "B-PER")
    metrics, answers = tagging.score_further(news.labels, social, NEWS)
    assert answers["entities"].tolist() == [[1, 1, 1], [1, 2, 2], [0, 1, 0]]
    assert metrics == {"f1": 4 / 7, "precision": 2 / 4, "recall": 2 / 3}


def test_a_change_between_types_that_are_one_elsewhere_is_still_a_border() -> None:
    social = tagged(SOCIAL, "B-corporation I-group")
    metrics, _ = tagging.score_further(np.array([3, 4]), social, NEWS)  # one organisation
    assert metrics["f1"] == 0


def test_sentences_that_are_joined_come_apart_again() -> None:
    parts = [tagged(NEWS, "B-PER", "O O"), tagged(SOCIAL, "O B-person"), tagged(NEWS, "O")]
    whole = tagging.joined(parts)
    assert [len(text) for text in whole.texts] == [1, 2, 2, 1]
    assert whole.tag_names == NEWS
    found = tagging.parted(np.arange(6), parts)
    assert [part.tolist() for part in found] == [[0, 1, 2], [3, 4], [5]]
