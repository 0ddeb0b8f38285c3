"""What is wrong with entities that were not found, or found where there are none."""

from collections import Counter
from collections.abc import Iterable

Entity = tuple[str, int, int]
"""Type, first and last word."""

KINDS = ("right", "boundary", "type", "boundary and type", "missed", "invented")


def kind_of(entity: Entity, others: Iterable[Entity], without: str = "missed") -> str:
    """How `entity` differs from the most like it of `others`; `without` if none shares a word.

    "boundary": the type is right, the words are others; "type": the words are right.
    """
    kind, first, last = entity
    overlapping = [each for each in others if each[1] <= last and each[2] >= first]
    if entity in overlapping:
        return "right"
    if any(each[1:] == (first, last) for each in overlapping):
        return "type"
    if any(each[0] == kind for each in overlapping):
        return "boundary"
    return "boundary and type" if overlapping else without


def error_counts(found: Iterable[set[Entity]], true: Iterable[set[Entity]]) -> Counter[str]:
    """How many true entities were found right, or wrong in which way, and how many were invented.

    `found` and `true` have the entities of each sentence. Each true one is counted once; of those
    found only the invented ones, which share no word with any true one.
    """
    counts: Counter[str] = Counter(dict.fromkeys(KINDS, 0))
    for predicted, real in zip(found, true, strict=True):
        counts.update(kind_of(entity, predicted) for entity in real)
        kinds = [kind_of(entity, real, without="invented") for entity in predicted]
        counts["invented"] += kinds.count("invented")
    return counts
