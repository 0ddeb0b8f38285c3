r"""What an update of pre-training costs, in floating-point operations, by formula.

With $H$ = d_model, $V$ tokens in the vocabulary, and the formulas for layers of `encoder_flops` and
`decoder_flops`. Counted are the matrix products, with two operations for each multiplication and
addition; attention counts in full, its causal half included, as it is computed without a fused
kernel. Padding counts: it is computed like any token. Left out are the look-up of embeddings, layer
norm, softmax, activations, biases, the loss and the optimiser: below 1 % of a BERT-base, but for
Muon, whose products of matrices grow with the weights and not with the batch.
"""

from utils.errors import CourseError
from utils.pretraining.autoencoder import Denoising
from utils.pretraining.causal import CausalLanguageModelling
from utils.pretraining.objectives import MaskedLanguageModelling, Objective
from utils.transformer.config import TransformerConfig
from utils.transformer.counting import decoder_flops, encoder_flops


def training_flops(objective: Objective, config: TransformerConfig, n_sequences: int) -> float:
    """Operations of forward and backward pass on a batch of `n_sequences`.

    Three times those of the forward pass: each product has two more backward, for its two factors
    (Kaplan et al., 2020, section 2.1).

    Args:
        objective: its shapes are fixed, so that all its batches cost the same.
        config: of the model: `BertForPretraining`, `CausalLanguageModel` or `DenoisingAutoencoder`.
        n_sequences: sequences of an update, in all its batches and processes.

    Raises:
        CourseError: for an objective whose cost is not known here.
    """
    if isinstance(objective, MaskedLanguageModelling):
        pairs = objective.negatives is not None
        return 3 * masked_flops(config, n_sequences, objective.length, objective.n_masked, pairs)
    if isinstance(objective, CausalLanguageModelling):
        return 3 * causal_flops(config, n_sequences, objective.length)
    if isinstance(objective, Denoising):
        lengths = objective.source_length, objective.target_length
        return 3 * denoising_flops(config, n_sequences, *lengths)
    raise CourseError(
        f"The cost of {type(objective).__name__} is not known. Add its formula to "
        "utils/pretraining/flops.py."
    )


def masked_flops(
    config: TransformerConfig,
    n_sequences: int,
    length: int,
    n_masked: int,
    next_sentence: bool = False,
) -> float:
    r"""Forward pass of a `BertForPretraining`.

    To the layers come $2H^2 + 2HV$ for each hidden token, and with `next_sentence` $2H^2 + 4H$ for
    each sequence.
    """
    h = config.d_model
    transform = n_sequences * n_masked * 2 * h * h
    pairs = n_sequences * (2 * h * h + 4 * h) if next_sentence else 0
    head = _head_flops(config, n_sequences * n_masked)
    return _encoder_flops(config, n_sequences, length) + transform + head + pairs


def causal_flops(config: TransformerConfig, n_sequences: int, length: int) -> float:
    r"""Forward pass of a `CausalLanguageModel`: the layers, and $2HV$ for each token."""
    stack = _encoder_flops(config, n_sequences, length)
    return stack + _head_flops(config, n_sequences * length)


def denoising_flops(
    config: TransformerConfig, n_sequences: int, source_length: int, target_length: int
) -> float:
    r"""Forward pass of a `DenoisingAutoencoder`.

    Encoder and decoder have `config.n_layers` each. The encoder processes the tokens of the source,
    the decoder those of the target, with $2HV$ for each; each layer of the decoder projects the
    source once more, to keys and values.
    """
    decoder = decoder_flops(
        config.d_model,
        config.d_ff,
        config.n_layers,
        n_sequences,
        target_length,
        source_length,
        _n_matrices(config),
    )
    encoder = _encoder_flops(config, n_sequences, source_length)
    return encoder + decoder + _head_flops(config, n_sequences * target_length)


def _encoder_flops(config: TransformerConfig, n_sequences: int, length: int) -> float:
    return encoder_flops(
        config.d_model, config.d_ff, config.n_layers, n_sequences, length, _n_matrices(config)
    )


def _head_flops(config: TransformerConfig, n_predicted: int) -> float:
    return float(n_predicted * 2 * config.d_model * config.vocab_size)


def _n_matrices(config: TransformerConfig) -> int:
    """Matrices of the feed-forward network."""
    return 3 if config.activation == "geglu" else 2
