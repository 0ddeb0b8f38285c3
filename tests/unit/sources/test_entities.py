"""The embedded entities: tags, splits, no repetition, and how many names are new in the test."""

import re
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from utils import sources
from utils.sources import embedded
from utils.tasks.tagging import entities

NEWS, SOCIAL = "eriktks/conll2003", "leondz/wnut_17"
TYPES = {
    NEWS: ["PER", "ORG", "LOC", "MISC"],
    SOCIAL: ["corporation", "creative-work", "group", "location", "person", "product"],
}
SIZES = {NEWS: (300, 90, 150), SOCIAL: (160, 60, 110)}
SPLITS = ("train", "validation", "test")

both = pytest.mark.parametrize("dataset_id", [NEWS, SOCIAL])


@cache
def load(dataset_id: str) -> Any:
    return sources.load_dataset(dataset_id, profile="smoke")[0]


def rows(dataset_id: str, *splits: str) -> list[dict[str, Any]]:
    return [row for split in splits or SPLITS for row in load(dataset_id)[split]]


def tags(dataset_id: str, row: dict[str, Any]) -> list[str]:
    names: list[str] = load(dataset_id)["train"].features["ner_tags"].feature.names
    return [names[number] for number in row["ner_tags"]]


def names_in(dataset_id: str, *splits: str) -> list[tuple[str, str]]:
    """Type and words of each entity, in lower case."""
    return [
        (kind, " ".join(row["tokens"][first : last + 1]).lower())
        for row in rows(dataset_id, *splits)
        for kind, first, last in sorted(entities(tags(dataset_id, row)))
    ]


@both
def test_tags_are_those_of_the_real_set_in_its_order(dataset_id: str) -> None:
    expected = ["O", *(f"{place}-{kind}" for kind in TYPES[dataset_id] for place in "BI")]
    for split in SPLITS:
        features = load(dataset_id)[split].features
        assert list(features) == ["id", "tokens", "ner_tags"]
        assert features["ner_tags"].feature.names == expected


@both
def test_every_word_has_a_tag_and_tags_are_legal(dataset_id: str) -> None:
    for row in rows(dataset_id):
        found = tags(dataset_id, row)
        assert len(found) == len(row["tokens"]) > 0
        assert all(token and not re.search(r"[\s\[\]]", token) for token in row["tokens"])
        for before, tag in zip(["O", *found], found, strict=False):
            assert not tag.startswith("I-") or before[1:] == tag[1:], row


@both
def test_sizes(dataset_id: str) -> None:
    for split, least in zip(SPLITS, SIZES[dataset_id], strict=True):
        assert len(load(dataset_id)[split]) >= least
        ids = load(dataset_id)[split]["id"]
        assert list(ids) == [str(number) for number in range(len(ids))]


@both
def test_no_sentence_comes_twice_or_nearly(dataset_id: str) -> None:
    texts = [" ".join(row["tokens"]).lower() for row in rows(dataset_id)]
    assert [text for text, n in Counter(texts).items() if n > 1] == []
    sets = [set(text.split()) for text in texts]
    closest = max(len(a & b) / len(a | b) for i, a in enumerate(sets) for b in sets[i + 1 :])
    assert closest < 0.5


@both
def test_sentences_open_and_run_in_many_ways(dataset_id: str) -> None:
    """No frame that names are put into: with names masked, sentences still differ."""
    openings: Counter[str] = Counter()
    frames: Counter[str] = Counter()
    for row in rows(dataset_id):
        openings[" ".join(row["tokens"][:2]).lower()] += 1
        marked = zip(row["tokens"], tags(dataset_id, row), strict=True)
        frame = [word.lower() if tag == "O" else tag for word, tag in marked]
        if sum(word.isalpha() for word in frame) >= 5:
            frames[" ".join(frame)] += 1
    assert openings.most_common(1)[0][1] <= 0.04 * openings.total()
    assert frames.most_common(1)[0][1] == 1


@pytest.mark.parametrize(
    ("dataset_id", "per_sentence", "without"),
    [(NEWS, (1.4, 1.9), (0.12, 0.22)), (SOCIAL, (0.5, 0.9), (0.35, 0.55))],
)
def test_density(
    dataset_id: str, per_sentence: tuple[float, float], without: tuple[float, float]
) -> None:
    for split in SPLITS:
        counts = np.array([len(entities(tags(dataset_id, row))) for row in rows(dataset_id, split)])
        assert per_sentence[0] <= counts.mean() <= per_sentence[1], split
        assert without[0] <= (counts == 0).mean() <= without[1], split


@both
def test_every_type_has_its_share(dataset_id: str) -> None:
    for split in SPLITS:
        counts = Counter(kind for kind, _ in names_in(dataset_id, split))
        assert set(counts) == set(TYPES[dataset_id])
        assert min(counts.values()) >= 0.07 * counts.total()
        assert max(counts.values()) <= 0.45 * counts.total()


@pytest.mark.parametrize(("dataset_id", "low", "high"), [(NEWS, 0.5, 0.7), (SOCIAL, 0.9, 1)])
def test_most_names_of_the_test_split_are_new(dataset_id: str, low: float, high: float) -> None:
    known = {name for _, name in names_in(dataset_id, "train")}
    new = np.mean([name not in known for _, name in names_in(dataset_id, "test")])
    assert low <= new <= high


def test_some_names_have_several_types() -> None:
    """A place that is also a club, a surname that is also a firm: the word alone does not say."""
    types: dict[str, set[str]] = {}
    for kind, name in names_in(NEWS):
        types.setdefault(name, set()).add(kind)
    assert sum(len(found) > 1 for found in types.values()) >= 8


@both
def test_the_data_sheet_says_what_a_user_has_to_know(dataset_id: str) -> None:
    folder = embedded.CORPORA / embedded.REGISTRY[dataset_id].name
    sheet = Path(folder / "README.md").read_text("utf-8")
    for word in ("Licence: CC BY 4.0", "Known limits", "How it was written", "Measured difficulty"):
        assert word in sheet
    for split in SPLITS:
        n = len(rows(dataset_id, split))
        n_entities = len(names_in(dataset_id, split))
        assert f"| `{split}.jsonl` | {n} | {n_entities} |" in sheet, (split, n, n_entities)
    _, source = sources.load_dataset(dataset_id, profile="smoke")
    assert source.licence == "CC BY 4.0, the authors of this course."
