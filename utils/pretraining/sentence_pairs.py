"""Next sentence prediction: does B follow A? (Devlin et al., 2019, section 3.1, task 2)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from utils.errors import CourseError


@dataclass(frozen=True)
class SentencePair:
    """Two runs of tokens, and whether the second one follows the first."""

    first: list[int]
    second: list[int]
    is_next: bool


def next_sentence_pairs(
    documents: Sequence[Sequence[int]],
    n_pairs: int,
    length: int,
    rng: np.random.Generator,
    *,
    same_document: bool = False,
) -> list[SentencePair]:
    """Draw `n_pairs` pairs of together `length` tokens, every second one a negative.

    A negative takes B from another document, at the same relative place as the true successor has
    in its own, or with `same_document` from elsewhere in the same one (the harder question).
    Lengths are drawn alike for both answers, so that nothing but the content gives them away. The
    B of a negative never is, nor overlaps, the true successor.

    Args:
        documents: token numbers; one source only, or the source would give negatives away.
        n_pairs: how many.
        length: tokens of A and B together; A takes between a quarter and three quarters.
        rng: draws everything.
        same_document: where negatives come from.

    Raises:
        CourseError: if fewer than two documents hold twice `length` tokens.
    """
    usable = [document for document in documents if len(document) >= 2 * length]
    if len(usable) < 2:
        raise CourseError(
            f"Pairs of {length} tokens need at least two documents of {2 * length} tokens; "
            f"{len(usable)} of {len(documents)} are as long. Shorten the pairs or add text."
        )
    weights = np.array([len(document) for document in usable], dtype=float)
    weights /= weights.sum()
    pairs = []
    for number in range(n_pairs):
        source = int(rng.choice(len(usable), p=weights))
        n_first = int(rng.integers(length // 4, length - length // 4 + 1))
        n_second = length - n_first
        start = int(rng.integers(0, len(usable[source]) - length + 1))
        place = start + n_first
        is_next = number % 2 == 0
        if is_next:
            document = usable[source]
        elif same_document:
            document, place = usable[source], _elsewhere(len(usable[source]), place, n_second, rng)
        else:
            other = int(rng.choice(len(usable) - 1))
            document = usable[other + (other >= source)]
            share = place / (len(usable[source]) - n_second or 1)
            place = round(share * (len(document) - n_second))
        first = usable[source][start : start + n_first]
        second = document[place : place + n_second]
        pairs.append(SentencePair(list(first), list(second), is_next))
    return pairs


def _elsewhere(n_tokens: int, place: int, n_second: int, rng: np.random.Generator) -> int:
    """A place for B at least its own length away from the true one."""
    places = np.arange(n_tokens - n_second + 1)
    return int(rng.choice(places[np.abs(places - place) >= n_second]))
