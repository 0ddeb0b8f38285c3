"""Pre-training: what a model is asked to repair or to foretell in unlabelled text."""

from utils.pretraining.denoising import (
    delete_tokens,
    infill_text,
    mask_single_tokens,
    permute_sentences,
    span_corruption,
)
from utils.pretraining.masking import MaskedBatch, mask_tokens
from utils.pretraining.sentence_pairs import SentencePair, next_sentence_pairs

__all__ = [
    "MaskedBatch",
    "SentencePair",
    "delete_tokens",
    "infill_text",
    "mask_single_tokens",
    "mask_tokens",
    "next_sentence_pairs",
    "permute_sentences",
    "span_corruption",
]
