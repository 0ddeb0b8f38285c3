"""The corruptions of `denoising`, for whole batches at once on the device of the tokens.

Nothing here waits for the GPU: shapes are fixed beforehand, and what varies between sequences is a
mask. A window is a batch (b, length) of [CLS] … [SEP]; only its `maskable` tokens are hidden, so
that special tokens and [UNK] stay. A span that would run across one of these is cut in two there.

A corruption is described by two tensors: which tokens are kept, and how many marks ([MASK], or a
sentinel) are written before each token. `write` turns them into sequences with the padding at the
end.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from utils.pretraining.wordpiece import SPECIAL_TOKENS

PAD = SPECIAL_TOKENS.index("[PAD]")


@dataclass(frozen=True)
class Spans:
    """Hidden tokens of a window.

    Attributes:
        hidden: (b, length), booleans.
        marks: (b, length), how many spans begin before a token, those of length 0 included.
    """

    hidden: Tensor
    marks: Tensor


@dataclass(frozen=True)
class Written:
    """Sequences made of kept tokens and marks.

    Attributes:
        ids: (b, width), the kept tokens; `PAD` at marks and in the padding.
        is_mark: (b, width), booleans.
        is_real: (b, width), booleans, False in the padding at the end.
    """

    ids: Tensor
    is_mark: Tensor
    is_real: Tensor


def choose_tokens(maskable: Tensor, n_hidden: int) -> Tensor:
    """`n_hidden` maskable tokens of each sequence, or all if it has fewer: booleans (b, length)."""
    rank = torch.rand(maskable.shape, device=maskable.device).masked_fill(~maskable, -1.0)
    places = rank.topk(n_hidden, dim=1).indices
    return torch.zeros_like(maskable).scatter(1, places, True) & maskable


def poisson_spans(maskable: Tensor, n_hidden: int, mean_span: float, n_slots: int) -> Spans:
    """Spans with lengths from a Poisson distribution, `n_hidden` tokens in all.

    Lewis et al., 2020, section 2.2, text infilling. Spans are drawn until they reach `n_hidden`,
    and the last one is shortened to it. If `n_slots` of them do not, the last takes the rest.
    """
    n_noise = maskable.sum(dim=1, keepdim=True).clamp(max=n_hidden)
    mean = torch.full((len(maskable), n_slots), mean_span, device=maskable.device)
    drawn = torch.poisson(mean).long()
    before = drawn.cumsum(dim=1) - drawn
    is_used = before < n_noise
    lengths = torch.minimum(drawn, n_noise - before).clamp(min=0)
    lengths[:, -1] += n_noise[:, 0] - lengths.sum(dim=1)
    return _place(maskable, lengths, is_used, apart=False)


def noise_spans(maskable: Tensor, n_hidden: int, n_spans: int) -> Spans:
    """`n_hidden` tokens in `n_spans` spans of at least one token, cut at random places.

    Raffel et al., 2020, section 3.1.4. At least one kept token stands between two spans, as far as
    there are enough.
    """
    n_noise = maskable.sum(dim=1, keepdim=True).clamp(max=n_hidden)
    n_used = n_noise.clamp(max=n_spans)
    noise = torch.arange(n_hidden, device=maskable.device)  # the hidden tokens, in their order
    exists = noise < n_noise
    rank = torch.rand(exists.shape, device=maskable.device).masked_fill(~exists, -1.0)
    rank[:, 0] = 2.0  # the first one always begins a span
    order = rank.argsort(dim=1, descending=True).argsort(dim=1)
    span = ((order < n_used) & exists).long().cumsum(dim=1) - 1
    lengths = torch.zeros(len(maskable), n_spans, dtype=torch.long, device=maskable.device)
    lengths = lengths.scatter_add(1, span.clamp(min=0), exists.long())
    return _place(maskable, lengths, lengths > 0, apart=True)


def _place(maskable: Tensor, lengths: Tensor, is_used: Tensor, *, apart: bool) -> Spans:
    """Put spans of the given lengths (b, n_spans) at random places among the maskable tokens.

    Those that are used come first. The kept tokens fall into the gaps at random: before, between
    and after the spans; with `apart`, one of them stands in each gap between two spans beforehand.
    """
    n_kept = maskable.sum(dim=1, keepdim=True) - lengths.sum(dim=1, keepdim=True)
    n_between = (is_used.sum(dim=1, keepdim=True) - 1).clamp(min=0)
    between = n_between * (n_kept >= n_between) * apart
    n_free = n_kept - between
    uniform = torch.rand(lengths.shape, device=lengths.device)
    gaps = torch.minimum((uniform * (n_free + 1)).long(), n_free)  # rounding may reach n_free + 1
    gaps = gaps.masked_fill(~is_used, maskable.shape[1]).sort(dim=1).values
    number = torch.arange(lengths.shape[1], device=lengths.device)
    starts = gaps + number * (between > 0) + lengths.cumsum(dim=1) - lengths
    return _spread(maskable, starts, lengths, is_used)


def _spread(maskable: Tensor, starts: Tensor, lengths: Tensor, is_used: Tensor) -> Spans:
    """From numbers among the maskable tokens (b, n_spans) to places in the window."""
    length = maskable.shape[1]
    begins = torch.zeros(len(maskable), length + 1, dtype=torch.long, device=maskable.device)
    ends = begins.scatter_add(1, (starts + lengths).clamp(max=length), is_used.long())
    begins = begins.scatter_add(1, starts.clamp(max=length), is_used.long())
    is_inside = (begins - ends).cumsum(dim=1) > 0
    number = maskable.long().cumsum(dim=1) - maskable.long()
    hidden = is_inside.gather(1, number) & maskable
    # The last span is never of length 0, so that each begins before a maskable token.
    marks = begins.gather(1, number) * maskable
    follows_special = ~maskable.roll(1, dims=1)
    return Spans(hidden, torch.where(hidden & follows_special, marks.clamp(min=1), marks))


def fitting(marks: Tensor, kept: Tensor, width: int) -> Tensor:
    """Which tokens (b, length) come before the end of a sequence of `width`: all, as a rule.

    A window with unusually many special tokens, which cut spans in two or leave too few tokens to
    hide, can be longer than the width that fits all others. It is cut at its end.
    """
    return (marks + kept).cumsum(dim=1) <= width


def write(input_ids: Tensor, marks: Tensor, kept: Tensor, fits: Tensor, width: int) -> Written:
    """Write kept tokens and marks one after the other, as far as they fit, padding at the end.

    Args:
        input_ids: (b, length).
        marks: (b, length), how many marks come before each token.
        kept: (b, length), booleans.
        fits: (b, length), from `fitting`.
        width: of the result.
    """
    ends = (marks + kept).cumsum(dim=1)
    n_written = (ends * fits).amax(dim=1, keepdim=True)
    # What is not written goes into one more column, which is cut off.
    place = torch.where(kept & fits, ends - 1, width)
    ids = input_ids.new_full((len(input_ids), width + 1), PAD).scatter(1, place, input_ids)
    is_token = torch.zeros_like(ids, dtype=torch.bool).scatter(1, place, True)
    is_real = torch.arange(width, device=input_ids.device) < n_written
    return Written(ids[:, :-1], is_real & ~is_token[:, :-1], is_real)


def permute_sentences(input_ids: Tensor, is_end: Tensor, sep_id: int) -> Tensor:
    """Put the sentences of each document of a window (b, length) into a random order.

    Lewis et al., 2020, section 2.2. A sentence ends after a token for which `is_end` (b, length) is
    True; pieces of sentences at the edges of a window or a document count as such. [CLS] and [SEP]
    stay where they are.
    """
    is_sep = input_ids == sep_id
    is_end = (is_end | is_sep).long()
    sentence = is_end.cumsum(dim=1) - is_end
    document = is_sep.long().cumsum(dim=1) - is_sep.long()
    rank = torch.rand(input_ids.shape, device=input_ids.device).gather(1, sentence)
    # Sentences of a document get keys from 2d to 2d + 1, and the [SEP] behind them 2d + 1.5.
    key = 2 * document + torch.where(is_sep, 1.5, rank)
    key[:, 0] = -1.0  # [CLS]
    # A stable sort leaves the tokens of a sentence in their order.
    return input_ids.gather(1, key.argsort(dim=1, stable=True))
