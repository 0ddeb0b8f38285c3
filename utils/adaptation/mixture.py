"""A learned weighted sum of layers, with a linear classifier on it."""

import numpy as np
import torch
from numpy.typing import NDArray


class LayerMixture:
    r"""Logistic regression on $\gamma \sum_k s_k h_k$ with $s = \mathrm{softmax}(w)$.

    The scalar mixture of ELMo (Peters et al., 2018, NAACL, equation 1). All $h_k$ are standardised,
    so that no layer counts for more because its numbers are larger. $\gamma$ gives the mixture the
    mean square 1 on the training examples: layers that differ cancel out in part, and without it
    the penalty on $W$ would favour a single layer over any mixture. Minimised is
    $C \sum \mathrm{loss} + \frac{1}{2} \lVert W \rVert^2$, as by scikit-learn's
    `LogisticRegression`, over $W$, its bias and $w$ at once, by L-BFGS from $w = 0$.

    Attributes:
        classes_: classes seen in training, ascending.
        coef_: (n_classes, d) and `intercept_` (n_classes,).
        weights_: $s$, (n_layers,), positive with the sum 1.
        scale_: $\gamma$.
    """

    def __init__(self, C: float) -> None:
        self.C = C

    def fit(self, features: NDArray[np.float32], labels: NDArray[np.int64]) -> "LayerMixture":
        """Learn from `features` (n, n_layers, d) and class numbers (n,)."""
        self.classes_, targets = np.unique(labels, return_inverse=True)
        self._mean = features.mean(axis=0)
        deviation = features.std(axis=0)
        self._scale = np.where(deviation > 0, deviation, 1.0)
        y = torch.from_numpy(targets)
        n, n_layers, d = features.shape
        # A row for each layer: to mix them is then one product of a vector with a matrix.
        layers = torch.from_numpy(self._standardised(features).swapaxes(0, 1).reshape(n_layers, -1))
        products = layers @ layers.T / (n * d)
        mixture = torch.zeros(n_layers, dtype=torch.float64, requires_grad=True)
        matrix = torch.zeros(len(self.classes_), d, dtype=torch.float64, requires_grad=True)
        bias = torch.zeros(len(self.classes_), dtype=torch.float64, requires_grad=True)
        # Of two classes, the library has one row, the difference of our two.
        strength = (2 if len(self.classes_) == 2 else 1) / (2 * self.C * n)
        optimizer = torch.optim.LBFGS(
            [mixture, matrix, bias],
            max_iter=500,
            tolerance_grad=1e-8,
            tolerance_change=1e-13,
            line_search_fn="strong_wolfe",
        )

        def closure() -> torch.Tensor:
            optimizer.zero_grad()
            weights = mixture.softmax(0)
            mixed = ((_scale(weights, products) * weights) @ layers).view(n, d)
            loss = torch.nn.functional.cross_entropy(mixed @ matrix.T + bias, y)
            penalty = strength * matrix.square().sum()
            total = loss + penalty
            total.backward()
            return total

        optimizer.step(closure)
        weights = mixture.detach().softmax(0)
        self.weights_, self.scale_ = weights.numpy(), float(_scale(weights, products))
        self.coef_, self.intercept_ = matrix.detach().numpy(), bias.detach().numpy()
        return self

    def predict_proba(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """Class probabilities, (n, n_classes), of `features` (n, n_layers, d)."""
        mixed = np.einsum("k,nkd->nd", self.scale_ * self.weights_, self._standardised(features))
        logits = torch.from_numpy(mixed @ self.coef_.T + self.intercept_)
        return logits.softmax(dim=1).numpy()

    def _standardised(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        return (features.astype(np.float64) - self._mean) / self._scale


def _scale(weights: torch.Tensor, products: torch.Tensor) -> torch.Tensor:
    """1 over the root mean square of the mixture, from the mean products of layers with layers."""
    mean_square = weights @ products @ weights
    return torch.where(mean_square > 0, mean_square, 1.0).rsqrt()
