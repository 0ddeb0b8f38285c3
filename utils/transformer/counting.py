r"""How many parameters and floating-point operations, by formula.

With $H$ = d_model, $F$ = d_ff, $L$ layers, vocabulary $V$ and $S$ tokens in a sequence.
"""

from utils.transformer.config import TransformerConfig


def encoder_parameters(config: TransformerConfig) -> int:
    r"""Weights of an `Encoder`: embeddings and $L\,(4H^2 + 2HF + 9H + F)$ in the layers.

    A layer has four projections of $H^2 + H$, a feed-forward network of $2HF + F + H$ (GEGLU: a
    third matrix and bias, $HF + F$), and two layer norms of $2H$.
    """
    h, f = config.d_model, config.d_ff
    gate = h * f + f if config.activation == "geglu" else 0
    layer = 4 * h * h + 2 * h * f + 9 * h + f + gate
    positions = config.max_length * h if config.positions == "learned" else 0
    # Post-LN has a layer norm after the embeddings, pre-LN one at the end.
    outside = (config.vocab_size + config.n_segments) * h + positions + 2 * h
    return outside + config.n_layers * layer


def encoder_flops(
    d_model: int, d_ff: int, n_layers: int, n_sequences: int, length: int, n_matrices: int = 2
) -> float:
    r"""Floating-point operations of one forward pass through the layers of an encoder.

    A token costs $L\,(8H^2 + 2mHF + 4SH)$, where $m$ is `n_matrices`, the matrices of the
    feed-forward network (3 for GEGLU): four projections, the network, and the two products of
    attention. For $F = 4H$, $m = 2$ that is $L\,(24H^2 + 4SH)$ (Kaplan et al., 2020, table 1).
    Training costs three times as much: forward, and twice that backward.
    """
    h, f = d_model, d_ff
    per_token = n_layers * (8 * h * h + 2 * n_matrices * h * f + 4 * length * h)
    return float(n_sequences * length * per_token)


def decoder_flops(
    d_model: int,
    d_ff: int,
    n_layers: int,
    n_sequences: int,
    length: int,
    source_length: int,
    n_matrices: int = 2,
) -> float:
    r"""Floating-point operations of one forward pass through the layers of a decoder.

    Beside the work of an encoder of the same size, each layer has cross-attention: $4H^2$ per token
    of the target (query and output), $4H^2$ per token of the source (key and value), and $4H$ for
    each pair of both. `n_matrices` is that of `encoder_flops`.
    """
    h, pairs = d_model, length * source_length
    crossing = n_layers * (4 * h * h * (length + source_length) + 4 * h * pairs)
    own = encoder_flops(d_model, d_ff, n_layers, n_sequences, length, n_matrices)
    return own + float(n_sequences * crossing)
