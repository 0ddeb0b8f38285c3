"""What counting alone knows of tokens: how frequent each is, and which others stand near it."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from utils.errors import CourseError
from utils.pretraining.packing import PackedText, Vocabulary

WINDOW = 8
"""Two tokens are neighbours when at most so many places lie between them, in one document."""

N_CONTEXTS = 4096
"""Neighbours are counted if they are among the most frequent so many tokens."""

_SMOOTHING = 0.75
"""Exponent of the neighbours' counts, which keeps rare ones from looking telling."""


def count_tokens(text: PackedText, vocabulary: Vocabulary) -> Tensor:
    """How often each token occurs, (size,), on the CPU; 0 for those that are never masked."""
    counts = torch.bincount(text.tokens, minlength=vocabulary.size)
    return (counts * vocabulary.maskable).cpu()


def unigram_log_probabilities(counts: Tensor) -> Tensor:
    """Log-probability of each token whatever its context, (size,); every count is raised by one.

    The entropy of this distribution is what a model reaches that looks at nothing.
    """
    smoothed = counts.double() + 1
    return (smoothed / smoothed.sum()).log().float()


def count_neighbours(text: PackedText, vocabulary: Vocabulary) -> NDArray[np.float32]:
    """How often each of the most frequent tokens stands near each token, (size, n_contexts).

    Special tokens have no neighbours and are none.
    """
    tokens = text.tokens.cpu().numpy().astype(np.int64)
    contexts = count_tokens(text, vocabulary).argsort(descending=True, stable=True)[:N_CONTEXTS]
    is_word = vocabulary.maskable.cpu().numpy()
    n_contexts = len(contexts)
    column = np.full(vocabulary.size, n_contexts)  # one column for all that is not to be counted
    column[contexts] = np.arange(n_contexts)
    column[~is_word] = n_contexts
    columns = column[tokens]
    lengths = np.diff(text.starts.cpu().numpy())
    document = np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)
    counts = np.zeros(vocabulary.size * (n_contexts + 1), dtype=np.float32)
    for distance in range(1, WINDOW + 1):
        before, after = slice(None, -distance), slice(distance, None)
        together = document[before] == document[after]
        for centre, neighbour in ((before, after), (after, before)):
            cell = tokens[centre] * (n_contexts + 1)
            cell += np.where(together, columns[neighbour], n_contexts)
            counts += np.bincount(cell, minlength=len(counts))
    table = counts.reshape(vocabulary.size, n_contexts + 1)[:, :n_contexts]
    return table * is_word[:, None]


def positive_pmi(counts: NDArray[np.float32]) -> NDArray[np.float32]:
    r"""Positive pointwise mutual information of tokens and neighbours, of the shape of `counts`.

    $\max(0, \ln P(t, c) - \ln P(t) P(c))$ (Church and Hanks, 1990), with $P(c)$ proportional to
    the counts to the power of 0.75 (Levy, Goldberg and Dagan, 2015, section 3.2).
    """
    of_tokens, of_contexts = counts.sum(axis=1, keepdims=True), counts.sum(axis=0) ** _SMOOTHING
    expected = of_tokens * (of_contexts / of_contexts.sum())
    ratio = np.divide(counts, expected, out=np.zeros_like(counts), where=counts > 0)
    return np.log(np.maximum(ratio, 1.0))


def token_vectors(text: PackedText, vocabulary: Vocabulary, d_model: int) -> Tensor:
    """Vectors of tokens that are near each other if their neighbours are alike, (size, d_model).

    The left singular vectors of `positive_pmi`, times the roots of the singular values (Levy and
    Goldberg, 2014, NeurIPS, section 4.2), scaled to a mean length of 1. Such a factorisation is
    what word2vec approximates by gradient descent (same paper, section 3); it takes seconds. Tokens
    that never occur, and special ones, have the vector 0. The result is on the CPU.

    Raises:
        CourseError: if there are fewer tokens with neighbours than dimensions.
    """
    from sklearn.utils.extmath import randomized_svd

    information = positive_pmi(count_neighbours(text, vocabulary))
    known = information.any(axis=1)
    if known.sum() < d_model or information.shape[1] < d_model:
        raise CourseError(
            f"The text has {known.sum()} different tokens, too few for vectors of {d_model} "
            "numbers. Add text or make d_model smaller."
        )
    left, values, _ = randomized_svd(information, d_model, n_iter=2, random_state=0)
    vectors = torch.from_numpy(left * np.sqrt(values)).float()
    vectors[torch.from_numpy(~known)] = 0
    return vectors / vectors[torch.from_numpy(known)].norm(dim=1).mean()
