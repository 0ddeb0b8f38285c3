"""Decoding: from a model of the next token to a sequence.

Axes are named b (sources), beams, V (words). Sequences are lists of token numbers without the start
token, up to and with the end token.
"""

import torch
from torch import Tensor

from utils.transformer.layers import LayerCache
from utils.transformer.models import EncoderDecoder


@torch.inference_mode()
def greedy_search(
    model: EncoderDecoder,
    source_ids: Tensor,
    source_mask: Tensor,
    *,
    start_id: int,
    end_id: int,
    max_new_tokens: int,
    use_cache: bool = True,
) -> list[list[int]]:
    """Take the likeliest token at each step, until the end token or `max_new_tokens`.

    Args:
        model: in `eval` mode.
        source_ids: (b, k).
        source_mask: (b, k), 1 for real tokens.
        start_id: the token that every target begins with.
        end_id: the token that ends a target.
        max_new_tokens: how many to write at most.
        use_cache: keep the keys and values of earlier positions instead of computing them again.
    """
    memory = model.read(source_ids, source_mask)
    caches = [LayerCache() for _ in model.decoder.layers] if use_cache else None
    tokens = source_ids.new_full((len(source_ids), 1), start_id)
    ended = torch.zeros(len(source_ids), dtype=torch.bool, device=source_ids.device)
    for _ in range(max_new_tokens):
        new = tokens[:, -1:] if use_cache else tokens
        hidden_states = model.decoder(new, memory, source_mask, caches)
        chosen = model.head(hidden_states[:, -1]).argmax(dim=-1)
        tokens = torch.cat([tokens, chosen[:, None]], dim=1)
        ended |= chosen == end_id
        if ended.all():
            break
    return [_until_end(row, end_id) for row in tokens[:, 1:].tolist()]


@torch.inference_mode()
def beam_search(
    model: EncoderDecoder,
    source_ids: Tensor,
    source_mask: Tensor,
    *,
    start_id: int,
    end_id: int,
    max_new_tokens: int,
    n_beams: int,
    length_penalty: float = 1.0,
) -> list[list[int]]:
    r"""Follow the `n_beams` best beginnings of each target and return the best target found.

    A target $y$ scores $\log p(y \mid x) / |y|^\alpha$ with $\alpha$ the `length_penalty`; 0 ranks
    by probability alone, which favours short targets. One that has ended keeps its place among the
    beams as long as nothing better comes. With one beam this is `greedy_search`; with enough beams
    for all targets it finds the best one. The other arguments are those of `greedy_search`.
    """
    n_sources, device = len(source_ids), source_ids.device
    memory = model.read(source_ids, source_mask).repeat_interleave(n_beams, dim=0)
    memory_mask = source_mask.repeat_interleave(n_beams, dim=0)
    first_rows = n_beams * torch.arange(n_sources, device=device)[:, None]
    caches = [LayerCache() for _ in model.decoder.layers]
    tokens = source_ids.new_full((n_sources * n_beams, 1), start_id)
    # All beams of a source begin alike: only the first may go on from the start.
    total = torch.full((n_sources, n_beams), -torch.inf, device=device)
    total[:, 0] = 0.0
    lengths = torch.zeros(n_sources, n_beams, device=device)
    ended = torch.zeros(n_sources, n_beams, dtype=torch.bool, device=device)
    for _ in range(max_new_tokens):
        hidden_states = model.decoder(tokens[:, -1:], memory, memory_mask, caches)
        log_p = model.head(hidden_states[:, -1]).float().log_softmax(dim=-1)
        n_words = log_p.shape[-1]
        log_p = _only_end(log_p.view(n_sources, n_beams, n_words), ended, end_id)
        totals = total[..., None] + log_p  # (b, beams, V)
        new_lengths = lengths + ~ended
        scores = totals / new_lengths[..., None] ** length_penalty
        best = scores.flatten(start_dim=1).topk(n_beams, dim=1).indices  # (b, beams)
        beam, word = best // n_words, best % n_words
        total = totals.flatten(start_dim=1).gather(1, best)
        lengths, ended = new_lengths.gather(1, beam), ended.gather(1, beam) | (word == end_id)
        kept = (first_rows + beam).flatten()
        tokens = torch.cat([tokens[kept], word.view(-1, 1)], dim=1)
        for cache in caches:
            cache.select(kept)
        if ended.all():
            break
    best_rows = tokens.view(n_sources, n_beams, -1)[:, 0, 1:]  # topk sorts: the best comes first
    return [_until_end(row, end_id) for row in best_rows.tolist()]


def _only_end(log_p: Tensor, ended: Tensor, end_id: int) -> Tensor:
    """Let beams that have ended go on only by another end token, at no cost."""
    log_p = log_p.masked_fill(ended[..., None], -torch.inf)
    log_p[..., end_id] = log_p[..., end_id].masked_fill(ended, 0.0)
    return log_p


def _until_end(tokens: list[int], end_id: int) -> list[int]:
    return tokens[: tokens.index(end_id) + 1] if end_id in tokens else tokens
