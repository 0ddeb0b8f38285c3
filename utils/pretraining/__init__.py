"""Pre-training: what a model is asked to repair or to foretell in unlabelled text."""

from utils.pretraining.counting import (
    count_tokens,
    token_vectors,
    unigram_log_probabilities,
)
from utils.pretraining.denoising import (
    delete_tokens,
    infill_text,
    mask_single_tokens,
    permute_sentences,
    span_corruption,
)
from utils.pretraining.masking import MaskedBatch, mask_tokens
from utils.pretraining.packing import (
    PackedText,
    Vocabulary,
    pack,
    vocabulary_of,
)
from utils.pretraining.sentence_pairs import PairSource, SentencePairs

__all__ = [
    "MaskedBatch",
    "PackedText",
    "PairSource",
    "SentencePairs",
    "Vocabulary",
    "count_tokens",
    "delete_tokens",
    "infill_text",
    "mask_single_tokens",
    "mask_tokens",
    "pack",
    "permute_sentences",
    "span_corruption",
    "token_vectors",
    "unigram_log_probabilities",
    "vocabulary_of",
]
