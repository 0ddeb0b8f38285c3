"""Texts and their summaries: what is read, what is scored, what is taken."""

from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from utils import sources
from utils.adaptation import Problem, get_method, methods_for
from utils.adaptation.extraction import (
    greedy_oracle,
    maximal_marginal_relevance,
    nearest_to_centroid,
)
from utils.adaptation.sequence_to_sequence import trimmed
from utils.errors import CourseError
from utils.metrics import Rouge
from utils.tasks import get_task, summarisation, task_of
from utils.tasks.sequence_copying import SequencePairs
from utils.tasks.summarisation import DIALOGUES, DOCSTRINGS, Examples, load, rouge, score

MODEL, _ = sources.model_path(sources.MINILM)
SMALL, _ = sources.model_path(sources.COURSE_BERT)

EXTRACTIVE = [
    name
    for name in methods_for(summarisation.NAME)
    if name not in ("warm-start", "one-summary-for-all")
]
VOCABULARY = ["the", "cat", "cats", "sat", "on", "a", "mat", "dogs", "running", "ran"]
WORDS = st.lists(st.sampled_from(VOCABULARY), max_size=9)


@pytest.fixture(scope="module")
def splits():
    return load(DOCSTRINGS, profile="smoke", validation_limit=10, test_limit=30)


def test_docstrings_are_texts_with_a_summary_in_one_line(splits) -> None:
    assert task_of(DOCSTRINGS) == summarisation.NAME
    assert len(splits.test) == 30
    whole = load(DOCSTRINGS, profile="quick", validation_limit=None)
    assert len(whole.train) > 300
    assert len(whole.test) > 100
    for units, (summary,) in zip(whole.test.units, whole.test.summaries, strict=True):
        assert len(units) >= 2
        assert 20 <= len(summary) <= 160
        assert summary not in units
    modules = [
        {name.rpartition(".")[0] for name in part.names}
        for part in (whole.train, whole.validation, whole.test)
    ]
    assert not modules[0] & modules[1]
    assert not modules[0] & modules[2]


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    folder = tmp_path / "datasets" / DIALOGUES
    folder.mkdir(parents=True)
    names = ("train", "validation", "test")
    card = "".join(f"  - split: {n}\n    path: {n}.parquet\n" for n in names)
    (folder / "README.md").write_text(
        f"---\nconfigs:\n- config_name: default\n  default: true\n  data_files:\n{card}---\n"
    )
    for name in names:
        n = 3 if name == "test" else 1
        table = {
            "id": [f"{name}_0_{i}" for i in range(n)],
            "dialogue": ["#Person1#: Is it far?\n#Person2#: Two miles. "] * n,
            "summary": [f"They talk about the way {i}." for i in range(n)],
            "topic": ["way"] * n,
        }
        parquet.write_table(pa.table(table), folder / f"{name}.parquet")
    monkeypatch.setenv("COURSE_MIRROR", str(tmp_path))


def test_a_dialogue_comes_once_with_all_its_summaries(mirror) -> None:
    test = load(DIALOGUES, validation_limit=None).test
    assert test.units == [["#Person1#: Is it far?", "#Person2#: Two miles."]]
    assert test.summaries == [[f"They talk about the way {i}." for i in range(3)]]


def test_rouge_by_hand() -> None:
    found = rouge("the cat sat", ["the cat was sitting there"])
    assert found["rouge_1"] == pytest.approx(2 * 2 / (3 + 5))
    assert found["rouge_2"] == pytest.approx(2 * 1 / (2 + 4))
    assert found["rouge_l"] == pytest.approx(2 * 2 / (3 + 5))
    assert rouge("cats", ["cat"])["rouge_1"] == 1  # stemmed
    assert rouge("a", ["a", "b"])["rouge_1"] == 0.5  # the mean over references
    assert rouge("", ["a"]) == {"rouge_1": 0, "rouge_2": 0, "rouge_l": 0}


@settings(max_examples=200, deadline=None)
@given(first=WORDS, second=WORDS)
def test_rouge_is_that_of_the_metric(first, second) -> None:
    given_text, wanted = " ".join(first), " ".join(second)
    theirs = Rouge().compute(predictions=[given_text], references=[wanted], use_stemmer=True)
    ours = rouge(given_text, [wanted])
    assert ours["rouge_1"] == pytest.approx(theirs["rouge1"])
    assert ours["rouge_l"] == pytest.approx(theirs["rougeL"])


def test_scores_are_means_of_those_of_the_texts() -> None:
    examples = Examples([["a b", "c"]] * 2, [["a b"], ["x"]], ["1", "2"])
    metrics, answers = score(np.array(["a b", "c"]), examples)
    assert metrics == {"rouge_1": 0.5, "rouge_2": 0.5, "rouge_l": 0.5}
    assert answers["rouge_2"].tolist() == [1, 0]
    with pytest.raises(ValueError, match="1 summaries for 2 texts"):
        score(np.array(["a"]), examples)


def fit(splits, name: str, **hyper) -> list[str]:
    method = get_method(name)
    problem = Problem(
        splits.train, splits.validation, splits.test, 0, 0, 64, {**method.defaults, **hyper},
        SMALL if name == "warm-start" else MODEL,
        task=summarisation.NAME,
    )  # fmt: skip
    return method.fit(problem).predictions.tolist()


def test_every_method_takes_units_in_their_order(splits) -> None:
    for name in EXTRACTIVE:
        for written, units in zip(fit(splits, name), splits.test.units, strict=True):
            choices = (c for n in range(4) for c in combinations(range(len(units)), n))
            assert written in {" ".join(units[i] for i in choice) for choice in choices}


def test_the_oracle_is_the_ceiling_and_sees_the_summary(splits) -> None:
    task = get_task(summarisation.NAME)
    scores = {name: task.score(np.array(fit(splits, name)), splits.test)[0] for name in EXTRACTIVE}
    for name, metrics in scores.items():
        ceiling = scores["oracle-extractive"]
        total = metrics["rouge_1"] + metrics["rouge_2"]
        assert total <= ceiling["rouge_1"] + ceiling["rouge_2"], name
    assert greedy_oracle(["x y", "a b c", "a"], ["a b c"], 3) == [1]


def test_one_summary_for_all_is_the_one_most_like_the_others(splits) -> None:
    wanted = ["a cat sat", "the mat", "a cat sat here", "a cat", "dogs ran"]
    train = Examples([["x"]] * 5, [[summary, "dogs"] for summary in wanted], [*"12345"])
    method = get_method("one-summary-for-all")
    problem = Problem(
        train, splits.validation, splits.test, 0, 0, 64, {}, None, task=summarisation.NAME
    )
    assert set(method.fit(problem).predictions.tolist()) == {"a cat sat"}
    found = {seed: method.fit(replace(problem, train=splits.train, seed=seed)) for seed in (0, 1)}
    assert all(len(set(each.predictions.tolist())) == 1 for each in found.values())
    known = {summaries[0] for summaries in splits.train.summaries}
    assert known.issuperset(found[0].predictions.tolist())


def test_lead_takes_the_first(splits) -> None:
    found = fit(splits, "lead", n_units=2)
    assert found == [" ".join(units[:2]) for units in splits.test.units]


def unit(rows) -> np.ndarray:
    table = np.array(rows, dtype=np.float32)
    return table / np.linalg.norm(table, axis=1, keepdims=True)


def test_the_centroid_takes_what_is_near_to_all() -> None:
    assert nearest_to_centroid(unit([[1, 0], [1, 1], [0, 1]]), 1) == [1]


def test_mmr_takes_no_unit_twice_over() -> None:
    vectors = unit([[1, 0.1], [1, 0.11], [0.2, 1]])
    assert set(nearest_to_centroid(vectors, 2)) == {0, 1}
    assert maximal_marginal_relevance(vectors, 2, 0.5) == [1, 2]
    assert maximal_marginal_relevance(vectors, 2, 1.0) == nearest_to_centroid(vectors, 2)
    assert len(maximal_marginal_relevance(vectors, 9, 0.5)) == 3


def test_mmr_against_a_full_search() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        vectors = unit(rng.normal(size=(6, 4)))
        centre = vectors.mean(axis=0) / np.linalg.norm(vectors.mean(axis=0))
        chosen: list[int] = []
        for _ in range(3):
            worth = {
                i: 0.6 * vectors[i] @ centre
                - 0.4 * max((vectors[i] @ vectors[j] for j in chosen), default=0)
                for i in range(6)
                if i not in chosen
            }
            chosen.append(max(worth, key=worth.get))
        assert maximal_marginal_relevance(vectors, 3, 0.6) == chosen


def test_summaries_are_written(splits) -> None:
    short = replace(splits, train=splits.train.take(np.arange(16)))
    settings_ = {"batch_size": 8, "epochs": 1, "min_updates": 2}
    first = fit(short, "warm-start", **settings_)
    assert first == fit(short, "warm-start", **settings_)
    assert len(first) == 30
    assert all(isinstance(text, str) and "[" not in text for text in first)
    assert len(fit(short, "warm-start", **settings_, n_beams=2)) == 30


def test_a_memorised_summary_is_written(splits) -> None:
    few = splits.train.take(np.arange(4))
    memorised = replace(splits, train=few, validation=few, test=few)
    written = fit(memorised, "warm-start", batch_size=4, epochs=1, min_updates=80)
    metrics, _ = score(np.array(written), few)
    assert metrics["rouge_l"] > 0.9


def test_batches_are_cut_to_their_longest() -> None:
    pairs = SequencePairs(np.array([[5, 6, 0, 0], [5, 0, 0, 0]]), np.array([[7, 0], [7, 0]]))
    found = trimmed(pairs)
    assert found.source_ids.tolist() == [[5, 6], [5, 0]]
    assert found.labels.tolist() == [[7], [7]]


def test_wrong_input() -> None:
    with pytest.raises(CourseError, match=r"does not know 'x'. Known: knkarthick/dialogsum and"):
        load("x")
    with pytest.raises(CourseError, match="profile full takes real data sets only"):
        load(DOCSTRINGS, profile="full")
