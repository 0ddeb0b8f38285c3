"""Next sentence prediction: what a pair is, and that nothing but the content tells the answer."""

import pytest
import torch
from scipy.stats import chisquare, ks_2samp

from utils.errors import CourseError
from utils.pretraining import PackedText, PairSource, SentencePairs, Vocabulary

LENGTH = 27  # with three special tokens
N_TOKENS = LENGTH - 3
SIZES = (80, 90, 100, 140, 200, 250, 300, 47)  # the last one is too short
ORIGINS = (0, 0, 0, 1, 1, 1, 2, 2)  # which leaves the seventh without a partner
CLS, SEP = 9998, 9999


def vocabulary() -> Vocabulary:
    pieces = torch.ones(10_000, dtype=torch.bool)
    return Vocabulary(10_000, 9997, CLS, SEP, 0, maskable=pieces, continues=~pieces)


def text() -> PackedText:
    """Documents of consecutive numbers, so that a token tells its document and place."""
    rows = [[*range(1000 * i, 1000 * i + size), SEP] for i, size in enumerate(SIZES)]
    return PackedText(
        tokens=torch.tensor([token for row in rows for token in row], dtype=torch.int32),
        starts=torch.tensor([0, *map(len, rows)]).cumsum(0),
        origins=torch.tensor(ORIGINS),
    )


def draw(n: int = 6000, negatives: str = "other-document", length: int = LENGTH) -> SentencePairs:
    torch.manual_seed(0)
    return PairSource(text(), vocabulary(), length).draw(n, negatives)


def halves(pairs: SentencePairs, row: int) -> tuple[list[int], list[int]]:
    """A and B of one pair, by its token types."""
    ids, types = pairs.input_ids[row].tolist(), pairs.token_type_ids[row].tolist()
    n_first = types.index(1)
    assert types == [0] * n_first + [1] * (LENGTH - n_first)
    assert [ids[0], ids[n_first - 1], ids[-1]] == [CLS, SEP, SEP]
    return ids[1 : n_first - 1], ids[n_first:-1]


@pytest.mark.parametrize("negatives", ["other-document", "same-document"])
def test_positives_follow_and_negatives_never_do(negatives: str) -> None:
    pairs = draw(negatives=negatives)
    assert pairs.is_next.sum() * 2 == len(pairs.is_next)
    for row, is_next in enumerate(pairs.is_next.tolist()):
        first, second = halves(pairs, row)
        assert len(first) + len(second) == N_TOKENS
        assert min(len(first), len(second)) >= N_TOKENS // 4
        for part in (first, second):
            assert part == list(range(part[0], part[0] + len(part)))  # one run of one document
        documents = first[0] // 1000, second[0] // 1000
        assert pairs.documents[row].tolist() == list(documents)
        assert (second[0] == first[-1] + 1) == is_next
        if is_next:
            continue
        assert (documents[0] == documents[1]) == (negatives == "same-document")
        assert ORIGINS[documents[0]] == ORIGINS[documents[1]]
        successor = range(first[-1] + 1, first[-1] + 1 + len(second))
        assert not (set(first) | set(successor)) & set(second)


def test_nothing_but_the_content_gives_the_answer_away() -> None:
    pairs = draw(20_000)
    n_second = pairs.token_type_ids.sum(1) - 1
    document = pairs.documents[:, 1]
    place = (pairs.input_ids.gather(1, (LENGTH - 1 - n_second)[:, None])[:, 0] % 1000).double()
    share = place / (torch.tensor(SIZES)[document] - n_second)
    for values in (n_second, share):
        right, wrong = (values[pairs.is_next == answer].numpy() for answer in (1, 0))
        assert ks_2samp(right, wrong).pvalue > 0.001
    # Within an origin, a long document gives B as often for either answer, but for the shift that
    # comes from never taking the document of A.
    for first, second in ((0, 1), (1, 2), (0, 2)):
        mine = (pairs.is_next == 0) & (pairs.documents[:, 0] == first)
        others = [d for d in (0, 1, 2) if d != first]
        counts = [int((mine & (document == d)).sum()) for d in others]
        places = [SIZES[d] - N_TOKENS + 1 for d in others]
        expected = [sum(counts) * n / sum(places) for n in places]
        assert chisquare(counts, expected).pvalue > 0.001
        assert second in others


def test_every_place_is_drawn_as_often_as_any_other() -> None:
    pairs = draw(20_000)
    counts = torch.bincount(pairs.documents[:, 0], minlength=len(SIZES))[:6]
    places = torch.tensor(SIZES[:6]) - N_TOKENS + 1
    expected = counts.sum() * places / places.sum()
    assert chisquare(counts.numpy(), expected.numpy()).pvalue > 0.001


def test_short_documents_and_those_without_a_partner_are_left_out() -> None:
    assert set(draw().documents.flatten().tolist()) == set(range(6))


def test_a_text_without_room_for_pairs_is_refused() -> None:
    with pytest.raises(CourseError, match=r"at least two documents of 600 tokens .* 0 of 8"):
        draw(length=203)
    with pytest.raises(CourseError, match="no room for two sentences"):
        draw(length=6)
