"""The Transformer from scratch: small, readable, and equal to the library (see the tests)."""

from utils.transformer.attention import (
    MultiHeadAttention,
    attention,
    causal_mask,
    fused_attention,
    merge_heads,
    padding_mask,
    split_heads,
)
from utils.transformer.bert import load_bert
from utils.transformer.config import TransformerConfig
from utils.transformer.counting import decoder_flops, encoder_flops, encoder_parameters
from utils.transformer.generation import beam_search, greedy_search
from utils.transformer.layers import (
    DecoderLayer,
    EncoderLayer,
    FeedForward,
    LayerCache,
    LayerNorm,
    Residual,
    layer_norm,
)
from utils.transformer.models import (
    Decoder,
    Embeddings,
    Encoder,
    EncoderDecoder,
    LanguageModelHead,
)
from utils.transformer.positions import rotate, sinusoidal_positions

__all__ = [
    "Decoder",
    "DecoderLayer",
    "Embeddings",
    "Encoder",
    "EncoderDecoder",
    "EncoderLayer",
    "FeedForward",
    "LanguageModelHead",
    "LayerCache",
    "LayerNorm",
    "MultiHeadAttention",
    "Residual",
    "TransformerConfig",
    "attention",
    "beam_search",
    "causal_mask",
    "decoder_flops",
    "encoder_flops",
    "encoder_parameters",
    "fused_attention",
    "greedy_search",
    "layer_norm",
    "load_bert",
    "merge_heads",
    "padding_mask",
    "rotate",
    "sinusoidal_positions",
    "split_heads",
]
