"""Errors by kind, counted by hand."""

from utils.tasks.entity_errors import error_counts, kind_of


def test_kinds_by_hand() -> None:
    true = ("PER", 3, 4)
    assert kind_of(true, {("PER", 3, 4), ("LOC", 6, 6)}) == "right"
    assert kind_of(true, {("PER", 4, 4)}) == "boundary"
    assert kind_of(true, {("ORG", 3, 4)}) == "type"
    assert kind_of(true, {("ORG", 4, 5)}) == "boundary and type"
    assert kind_of(true, {("PER", 5, 5), ("PER", 2, 2)}) == "missed"
    assert kind_of(true, set()) == "missed"


def test_each_true_entity_counts_once_and_invented_ones_besides() -> None:
    true = [{("PER", 0, 1), ("LOC", 3, 3)}, set(), {("ORG", 2, 4)}]
    found = [{("PER", 0, 0), ("PER", 1, 1), ("LOC", 3, 3)}, {("LOC", 0, 0)}, set()]
    counts = error_counts(found, true)
    assert {kind: n for kind, n in counts.items() if n} == {
        "right": 1, "boundary": 1, "missed": 1, "invented": 1,
    }  # fmt: skip
