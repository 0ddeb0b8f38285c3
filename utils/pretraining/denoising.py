"""Denoising: spoil a text, ask for the whole of it, or for what is missing.

The corruptions of BART (Lewis et al., 2020, ACL, section 2.2) and of T5 (Raffel et al., 2020, JMLR,
section 3.1.4), one sequence at a time. All take and give lists of token numbers.
"""

import numpy as np

from utils.errors import CourseError


def mask_single_tokens(
    tokens: list[int], rate: float, mask_id: int, rng: np.random.Generator
) -> list[int]:
    """Replace round(rate · n) tokens, each by a mask of its own."""
    chosen = set(_choose(tokens, rate, rng))
    return [mask_id if place in chosen else token for place, token in enumerate(tokens)]


def delete_tokens(tokens: list[int], rate: float, rng: np.random.Generator) -> list[int]:
    """Leave out round(rate · n) tokens; the model has to find out where."""
    chosen = set(_choose(tokens, rate, rng))
    return [token for place, token in enumerate(tokens) if place not in chosen]


def infill_text(
    tokens: list[int], rate: float, mask_id: int, rng: np.random.Generator, mean_span: float = 3.0
) -> list[int]:
    """Replace spans by one mask each, round(rate · n) tokens in all; the model has to find out
    how many are missing.

    The lengths of spans are drawn from a Poisson distribution with mean `mean_span`; a span of
    length 0 puts in a mask where nothing is missing.
    """
    _check_rate(rate)
    left = round(rate * len(tokens))
    lengths: list[int] = []
    while left > 0:
        lengths.append(min(int(rng.poisson(mean_span)), left))
        left -= lengths[-1]
    result: list[int] = []
    for kept, span in _interleave(tokens, lengths, rng):
        result += kept
        if span is not None:
            result.append(mask_id)
    return result


def span_corruption(
    tokens: list[int],
    rate: float,
    sentinel_ids: list[int],
    rng: np.random.Generator,
    mean_span: float = 3.0,
) -> tuple[list[int], list[int]]:
    """Replace spans by sentinels; the target is the sentinels, each followed by what it stands for.

    round(rate · n) tokens in round(that / mean_span) spans, at least one, cut at random places.

    Raises:
        CourseError: if there are fewer sentinels than spans.
    """
    _check_rate(rate)
    n_noise = round(rate * len(tokens))
    if n_noise == 0:
        return list(tokens), []
    n_spans = max(1, round(n_noise / mean_span))
    if n_spans > len(sentinel_ids):
        raise CourseError(
            f"{n_spans} spans need as many sentinels, and there are {len(sentinel_ids)}. Add "
            "sentinels to the vocabulary, shorten the sequences, or lengthen the spans."
        )
    cuts = np.sort(rng.choice(n_noise - 1, n_spans - 1, replace=False)) + 1
    lengths = np.diff([0, *cuts, n_noise]).tolist()
    source: list[int] = []
    target: list[int] = []
    sentinels = iter(sentinel_ids)
    for kept, span in _interleave(tokens, lengths, rng, apart=True):
        source += kept
        if span is not None:
            sentinel = next(sentinels)
            source.append(sentinel)
            target += [sentinel, *span]
    return source, target


def permute_sentences(tokens: list[int], end_ids: set[int], rng: np.random.Generator) -> list[int]:
    """Put the sentences into a random order; one ends with any token of `end_ids`."""
    sentences: list[list[int]] = [[]]
    for token in tokens:
        sentences[-1].append(token)
        if token in end_ids:
            sentences.append([])
    sentences = [sentence for sentence in sentences if sentence]
    return [token for i in rng.permutation(len(sentences)) for token in sentences[i]]


def _check_rate(rate: float) -> None:
    if not 0 <= rate < 1:
        raise CourseError(f"The rate of corruption is {rate}; it must lie between 0 and 1.")


def _choose(tokens: list[int], rate: float, rng: np.random.Generator) -> list[int]:
    _check_rate(rate)
    return rng.choice(len(tokens), round(rate * len(tokens)), replace=False).tolist()


def _interleave(
    tokens: list[int], lengths: list[int], rng: np.random.Generator, apart: bool = False
) -> list[tuple[list[int], list[int] | None]]:
    """Cut `tokens` into kept runs, each followed by a span of the given lengths in random places.

    The last kept run is followed by None. With `apart`, at least one kept token stands between two
    spans, as far as there are enough.
    """
    n_kept = len(tokens) - sum(lengths)
    between = len(lengths) - 1 if apart and n_kept >= len(lengths) - 1 else 0
    # Kept tokens fall into the gaps at random: before, between and after the spans.
    cuts = np.sort(rng.integers(0, n_kept - between + 1, size=len(lengths)))
    runs = np.diff([0, *cuts, n_kept - between])
    if between:
        runs[1:-1] += 1
    pieces: list[tuple[list[int], list[int] | None]] = []
    place = 0
    for run, span in zip(runs, [*lengths, None], strict=True):
        kept = tokens[place : place + run]
        place += int(run)
        pieces.append((kept, None if span is None else tokens[place : place + span]))
        place += span or 0
    return pieces
