"""Next sentence prediction: what a pair is, and that nothing but the content tells the answer."""

import numpy as np
import pytest
from scipy.stats import ks_2samp

from utils.errors import CourseError
from utils.pretraining import SentencePair, next_sentence_pairs

LENGTH = 24


def documents() -> list[list[int]]:
    """Eight documents of consecutive numbers, so that a token tells its document and place."""
    sizes = (60, 90, 100, 140, 200, 250, 300, 47)  # the last one is too short
    return [list(range(1000 * i, 1000 * i + size)) for i, size in enumerate(sizes, start=1)]


def draw(n: int = 4000, seed: int = 0, **options) -> list[SentencePair]:
    return next_sentence_pairs(documents(), n, LENGTH, np.random.default_rng(seed), **options)


@pytest.mark.parametrize("same_document", [False, True])
def test_positives_follow_and_negatives_never_do(same_document: bool) -> None:
    pairs = draw(same_document=same_document)
    assert sum(pair.is_next for pair in pairs) == len(pairs) // 2
    for pair in pairs:
        assert len(pair.first) + len(pair.second) == LENGTH
        assert min(len(pair.first), len(pair.second)) >= LENGTH // 4
        for part in (pair.first, pair.second):
            assert np.all(np.diff(part) == 1)  # one run of one document
        follows = pair.second[0] == pair.first[-1] + 1
        assert follows == pair.is_next
        if not pair.is_next:
            same = pair.first[0] // 1000 == pair.second[0] // 1000
            assert same == same_document
            assert not set(range(pair.first[-1] + 1, pair.first[-1] + 1 + len(pair.second))) & set(
                pair.second
            )


def test_lengths_and_places_do_not_give_the_answer_away() -> None:
    sizes = {i: len(document) for i, document in enumerate(documents(), start=1)}
    pairs = draw()

    def place(pair: SentencePair) -> float:
        return pair.second[0] % 1000 / (sizes[pair.second[0] // 1000] - len(pair.second))

    for property_of in (lambda pair: len(pair.first), place):
        values = [[property_of(p) for p in pairs if p.is_next is label] for label in (True, False)]
        assert ks_2samp(*values).pvalue > 0.001


def test_short_documents_are_left_out_and_too_few_refused() -> None:
    assert all(token < 8000 for pair in draw(500) for token in pair.first + pair.second)
    with pytest.raises(CourseError, match="at least two documents of 300 tokens; 1 of 8"):
        next_sentence_pairs(documents(), 4, 150, np.random.default_rng(0))
