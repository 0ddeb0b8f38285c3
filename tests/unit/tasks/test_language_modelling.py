"""Running text as a task: which documents are in which split, and scores by hand."""

import math
from typing import Any

import datasets
import numpy as np
import pytest

from utils import sources
from utils.errors import CourseError
from utils.sources import Source
from utils.tasks.language_modelling import (
    NOVELS,
    OTHER_DOCUMENT,
    SAME_DOCUMENT,
    TEXTBOOKS,
    TOKEN,
    Documents,
    load,
    score,
    subset,
)
from utils.tasks.registry import get_task


def rows(*parts: tuple[int, float, float, int]) -> Any:
    return np.array(parts, dtype=np.float32)


def test_scores_by_hand() -> None:
    predictions = rows(
        (TOKEN, 1.0, 3.0, 1),
        (OTHER_DOCUMENT, 0.5, math.log(2), 1),
        (TOKEN, 2.0, 3.5, 0),
        (SAME_DOCUMENT, 0.75, math.log(2), 0),
        (TOKEN, 4.5, 4.0, 0),
        (OTHER_DOCUMENT, 1.5, math.log(2), 1),
        (TOKEN, 0.5, 1.5, 1),
        (OTHER_DOCUMENT, 1.0, math.log(2), 0),
    )
    metrics, correct = score(predictions)
    assert metrics == pytest.approx(
        {
            "mlm_loss": 2.0,
            "unigram_loss": 3.0,
            "gain": 1.0,
            "accuracy": 0.5,
            "nsp_loss_other_document": 1.0,
            "nsp_accuracy_other_document": 2 / 3,
            "nsp_loss_same_document": 0.75,
            "nsp_accuracy_same_document": 0.0,
        }
    )
    assert {name: bits.tolist() for name, bits in correct.items()} == {
        "accuracy": [True, False, False, True],
        "nsp_accuracy_other_document": [True, True, False],
        "nsp_accuracy_same_document": [False],
    }


def test_without_pairs_there_are_no_scores_of_pairs() -> None:
    metrics, correct = score(rows((TOKEN, 1.0, 3.0, 1)))
    assert set(metrics) == {"mlm_loss", "unigram_loss", "gain", "accuracy"}
    assert set(correct) == {"accuracy"}


def test_means_of_many_losses_are_exact() -> None:
    # float32 sums of a million numbers would be wrong in the fifth digit.
    metrics, _ = score(np.tile(rows((TOKEN, 0.1, 0.7, 1)), (1_000_000, 1)))
    assert metrics["mlm_loss"] == pytest.approx(float(np.float32(0.1)), rel=1e-9)


@pytest.fixture
def fakes(monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[datasets.DatasetDict, Source]]:
    """What `sources.load_dataset` gives, by id; tests add to it."""
    found: dict[str, tuple[datasets.DatasetDict, Source]] = {}

    def load_dataset(dataset_id: str, config: str | None, **_: Any) -> tuple:
        return found[dataset_id]

    monkeypatch.setattr(sources, "load_dataset", load_dataset)
    for letter, dataset_id, n in (("t", TEXTBOOKS, 30), ("n", NOVELS, 10)):
        found[dataset_id] = made(dataset_id, letter, n), source(dataset_id)
    return found


def made(dataset_id: str, letter: str, n: int, held_out: str = "validation") -> Any:
    def split(name: str, n: int) -> datasets.Dataset:
        return datasets.Dataset.from_dict({"text": [f" {letter} {name} {i}" for i in range(n)]})

    return datasets.DatasetDict({"train": split("train", n), held_out: split(held_out, 4)})


def source(dataset_id: str, kind: Any = "mirror", mark: str = "0") -> Source:
    return Source(kind, dataset_id, None, dataset_id[0] + mark * 15, kind, "CC BY 4.0")


def test_one_data_set_keeps_its_own_fingerprint(fakes: dict) -> None:
    splits = load(TEXTBOOKS)
    assert splits.source is fakes[TEXTBOOKS][1]
    assert splits.train.texts == [f"t train {i}" for i in range(30)]  # stripped, in their order
    assert splits.test.texts == [f"t validation {i}" for i in range(4)]
    assert (len(splits.validation), splits.label_names) == (0, [])
    assert get_task("language-modelling").load is load


def test_joined_data_sets_have_one_fingerprint_of_all(fakes: dict) -> None:
    both = load(f"{TEXTBOOKS}+{NOVELS}")
    assert both.train.origins == [TEXTBOOKS] * 30 + [NOVELS] * 10
    assert both.test.origins == [TEXTBOOKS] * 4 + [NOVELS] * 4
    assert both.train.texts[-1] == "n train 9"
    assert (both.source.id, both.source.kind) == (f"{TEXTBOOKS}+{NOVELS}", "mirror")
    assert both.source.location == "mirror"
    assert both.source.licence == f"{TEXTBOOKS}: CC BY 4.0; {NOVELS}: CC BY 4.0"
    marks = {load(name).source.fingerprint for name in (TEXTBOOKS, NOVELS)}
    assert len(both.source.fingerprint) == 16
    fakes[NOVELS] = fakes[NOVELS][0], source(NOVELS, mark="1")
    changed = load(f"{TEXTBOOKS}+{NOVELS}").source.fingerprint
    turned = load(f"{NOVELS}+{TEXTBOOKS}").source.fingerprint
    assert len({*marks, both.source.fingerprint, changed, turned}) == 5


def test_kinds_of_places_are_never_mixed(fakes: dict) -> None:
    fakes[NOVELS] = fakes[NOVELS][0], source(NOVELS, "embedded")
    with pytest.raises(CourseError, match=r"different kinds of places \(embedded, mirror\)"):
        load(f"{TEXTBOOKS}+{NOVELS}")


@pytest.mark.parametrize("n", [1, 7, 29])
def test_the_validation_cut_is_taken_from_the_training_documents(fakes: dict, n: int) -> None:
    splits, whole = load(TEXTBOOKS, validation_limit=n), load(TEXTBOOKS)
    train, validation = splits.train.texts, splits.validation.texts
    assert len(validation) == n
    assert not set(train) & set(validation)
    assert {*train, *validation} == set(whole.train.texts)
    assert train == [text for text in whole.train.texts if text in train]
    assert splits.test == whole.test
    assert load(TEXTBOOKS, validation_limit=n).validation == splits.validation


def test_the_reported_documents_can_be_limited(fakes: dict) -> None:
    assert load(TEXTBOOKS, test_limit=3).test.texts == load(TEXTBOOKS).test.texts[:3]
    assert len(load(TEXTBOOKS, test_limit=100).test) == 4


def test_subsets_are_nested_and_keep_the_order() -> None:
    train = Documents([str(i) for i in range(50)], ["a"] * 30 + ["b"] * 20)
    small, large, other = subset(train, 10, 1), subset(train, 30, 1), subset(train, 10, 2)
    assert set(small.texts) < set(large.texts)
    assert small.texts != other.texts
    for part in (small, large):
        assert part.texts == sorted(part.texts, key=int)
        assert part.origins == ["a" if int(text) < 30 else "b" for text in part.texts]
    assert subset(train, None, 1) is train
    assert subset(train, 50, 1) == train


def test_limits_and_names_that_cannot_be_met_are_refused_in_words(fakes: dict) -> None:
    with pytest.raises(CourseError, match="There are 30 training documents; 31 were asked for"):
        subset(load(TEXTBOOKS).train, 31, 0)
    with pytest.raises(CourseError, match="of 30 documents does not fit into 30 training"):
        load(TEXTBOOKS, validation_limit=30)
    for empty in ("", "+"):
        with pytest.raises(CourseError, match="Name at least one data set"):
            load(empty)
    fakes["own/columns"] = fakes[NOVELS][0].rename_column("text", "prose"), source(NOVELS)
    with pytest.raises(CourseError, match="own/columns has no column 'text' but prose"):
        load("own/columns")
    fakes["own/splits"] = made("own/splits", "s", 9, held_out="test"), source(NOVELS)
    with pytest.raises(CourseError, match="own/splits has no split 'validation' but train, test"):
        load("own/splits")


def test_documents_without_text_are_passed_over(fakes: dict) -> None:
    split = datasets.Dataset.from_dict({"text": ["one", " \n", "", "two"]})
    both = datasets.DatasetDict({"train": split, "validation": split})
    fakes["own/gaps"] = both, source(NOVELS)
    splits = load("own/gaps")
    assert splits.train == Documents(["one", "two"], ["own/gaps"] * 2)
