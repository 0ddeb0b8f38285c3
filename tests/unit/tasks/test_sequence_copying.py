"""Sequences to copy and to reverse: what they are, that none repeats, and how they are scored."""

import numpy as np
import pytest

from utils.errors import CourseError
from utils.tasks.sequence_copying import END, LONGEST, PAD, SHORTEST, TOKENS, load, score, subset


@pytest.mark.parametrize(("dataset", "step"), [("course/copy", 1), ("course/reverse", -1)])
def test_targets_are_what_the_name_says(dataset: str, step: int) -> None:
    test = load(dataset).test
    assert len(test) == 1000
    lengths = set()
    for source, target in zip(test.source_ids.tolist(), test.labels.tolist(), strict=True):
        words = [word for word in source if word != PAD]
        lengths.add(len(words))
        assert target == words[::step] + [END] + [PAD] * (LONGEST - len(words))
        assert min(words) > END
        assert max(words) < len(TOKENS)
    assert lengths == set(range(SHORTEST, LONGEST + 1))
    assert len(TOKENS) - 3 >= 32


def test_no_sequence_is_in_two_splits_or_twice() -> None:
    splits = load("course/copy")
    rows = [tuple(r) for s in (splits.train, splits.validation, splits.test) for r in s.source_ids]
    assert len(set(rows)) == len(rows) == 101_500


def test_both_data_sets_are_named_and_others_refused() -> None:
    copy, reverse = load("course/copy"), load("course/reverse")
    assert copy.source.fingerprint != reverse.source.fingerprint
    assert (copy.source.kind, copy.source.location) == ("generated", "generated")
    with pytest.raises(CourseError, match="course/copy and course/reverse"):
        load("course/sort")
    with pytest.raises(CourseError, match="1000 test sequences"):
        load("course/copy", test_limit=1001)


def test_subsets_are_nested_and_differ_between_seeds() -> None:
    train = load("course/copy").train
    small, large, other = subset(train, 10, 1), subset(train, 99_999, 1), subset(train, 10, 2)
    assert (large.labels[:10] == small.labels).all()
    assert (other.source_ids != small.source_ids).any()
    assert len(subset(train, None, 3)) == len(train)
    with pytest.raises(CourseError, match="100001 were asked for"):
        subset(train, 100_001, 0)


def test_a_sequence_counts_only_if_all_of_it_is_right() -> None:
    test = load("course/reverse", test_limit=4).test
    written = test.labels.copy()
    metrics, exact = score(written, test)
    assert metrics == {"accuracy": 1.0, "token_accuracy": 1.0}
    end = int(np.argmax(written[1] == END))
    written[1, end] = 5  # goes on instead of ending
    written[2, 0] = PAD
    metrics, exact = score(written, test)
    assert exact["accuracy"].tolist() == [True, False, False, True]
    n_tokens = int((test.labels != PAD).sum())
    assert metrics == {"accuracy": 0.5, "token_accuracy": pytest.approx(1 - 2 / n_tokens)}
