"""Are the probabilities of a classifier worth their name? And how to mend them.

A classifier is calibrated if, of all texts to which it gives the probability p, the share p is
right (Guo et al., 2017, ICML, *On Calibration of Modern Neural Networks*).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from utils.errors import CourseError


def at_temperature(probabilities: NDArray[np.floating], temperature: float) -> NDArray[np.float64]:
    r"""$\operatorname{softmax}(z / T)$ of probabilities $\operatorname{softmax}(z)$.

    The logits themselves are not needed: they are the logarithms, up to a constant in each row,
    which the softmax takes out.

    Args:
        probabilities: (n_texts, n_classes).
        temperature: above 1 makes them more even, below 1 more extreme.
    """
    from scipy.special import log_softmax, softmax

    if temperature <= 0:
        raise CourseError(f"A temperature is above 0; this one is {temperature}.")
    smallest = np.finfo(np.float64).tiny
    logits = log_softmax(np.log(np.maximum(np.asarray(probabilities, float), smallest)), axis=1)
    return np.asarray(softmax(logits / temperature, axis=1))


def negative_log_likelihood(
    probabilities: NDArray[np.floating], labels: NDArray[np.integer]
) -> float:
    """Mean of -log p(true class), in nats."""
    chosen = np.asarray(probabilities, float)[np.arange(len(labels)), labels]
    return float(-np.log(np.maximum(chosen, np.finfo(np.float64).tiny)).mean())


def fit_temperature(probabilities: NDArray[np.floating], labels: NDArray[np.integer]) -> float:
    """The temperature with the least negative log-likelihood (Guo et al., 2017, section 4.2).

    Fit it on examples that the classifier was not trained on. It does not change which class is the
    likeliest, so the accuracy stays as it is. Between 1/20 and 20.
    """
    from scipy.optimize import minimize_scalar

    if len(labels) == 0:
        raise CourseError("A temperature needs examples with labels to be fitted on.")
    found = minimize_scalar(
        lambda log_t: negative_log_likelihood(at_temperature(probabilities, np.exp(log_t)), labels),
        bounds=(-np.log(20), np.log(20)),
        method="bounded",
    )
    return float(np.exp(found.x))


@dataclass(frozen=True)
class Reliability:
    """Texts sorted into bins by how sure the classifier is of them.

    Attributes:
        confidence: mean probability of the likeliest class in each bin, (n_bins,).
        accuracy: share of right answers in each bin.
        size: texts in each bin. Empty bins are left out.
    """

    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    size: NDArray[np.int64]

    @property
    def error(self) -> float:
        """Expected calibration error: |accuracy - confidence|, averaged over texts."""
        gaps = np.abs(self.accuracy - self.confidence)
        return float((gaps * self.size).sum() / self.size.sum())


def reliability(
    probabilities: NDArray[np.floating], labels: NDArray[np.integer], n_bins: int = 10
) -> Reliability:
    """Confidence and accuracy in `n_bins` bins of equal width (Guo et al., 2017, equation 3)."""
    sure = np.asarray(probabilities, float).max(axis=1)
    right = np.asarray(probabilities).argmax(axis=1) == labels
    bins = np.minimum((sure * n_bins).astype(int), n_bins - 1)
    used = np.unique(bins)
    return Reliability(
        np.array([sure[bins == b].mean() for b in used]),
        np.array([right[bins == b].mean() for b in used]),
        np.array([(bins == b).sum() for b in used]),
    )
