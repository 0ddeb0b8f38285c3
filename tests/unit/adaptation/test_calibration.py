"""Temperatures and calibration errors, by hand and where the truth is known."""

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics import log_loss

from utils.adaptation.calibration import (
    at_temperature,
    fit_temperature,
    negative_log_likelihood,
    reliability,
)
from utils.errors import CourseError


@pytest.fixture
def logits() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(4000, 3), scale=2)


def drawn(probabilities: np.ndarray) -> np.ndarray:
    """Labels that come as often as the probabilities say."""
    rng = np.random.default_rng(1)
    return np.array([rng.choice(len(row), p=row) for row in probabilities])


def test_logits_are_not_needed(logits) -> None:
    found = at_temperature(softmax(logits, axis=1), 2.5)
    np.testing.assert_allclose(found, softmax(logits / 2.5, axis=1), atol=1e-12)
    assert at_temperature(np.array([[1.0, 0.0]]), 1e3)[0, 0] < 0.7


@pytest.mark.parametrize("true", [0.5, 1.0, 3.0])
def test_the_temperature_of_the_truth_is_found(logits, true: float) -> None:
    labels = drawn(softmax(logits / true, axis=1))
    assert fit_temperature(softmax(logits, axis=1), labels) == pytest.approx(true, rel=0.08)


def test_the_likelihood_is_that_of_scikit_learn(logits) -> None:
    probabilities = softmax(logits, axis=1)
    labels = drawn(probabilities)
    assert negative_log_likelihood(probabilities, labels) == pytest.approx(
        log_loss(labels, probabilities)
    )


def test_the_error_by_hand() -> None:
    probabilities = np.array([[0.95, 0.05], [0.91, 0.09], [0.35, 0.65], [1.0, 0.0]])
    found = reliability(probabilities, np.array([0, 1, 1, 0]))
    assert found.size.tolist() == [1, 3]
    np.testing.assert_allclose(found.confidence, [0.65, (0.95 + 0.91 + 1) / 3])
    np.testing.assert_allclose(found.accuracy, [1, 2 / 3])
    assert found.error == pytest.approx((0.35 * 1 + abs(2 / 3 - 2.86 / 3) * 3) / 4)


def test_what_is_calibrated_has_little_error_and_what_is_too_sure_has_much(logits) -> None:
    probabilities = softmax(logits, axis=1)
    labels = drawn(probabilities)
    assert reliability(probabilities, labels).error < 0.02
    assert reliability(at_temperature(probabilities, 0.3), labels).error > 0.08


def test_wrong_input() -> None:
    with pytest.raises(CourseError, match="above 0"):
        at_temperature(np.array([[0.5, 0.5]]), 0)
    with pytest.raises(CourseError, match="needs examples"):
        fit_temperature(np.zeros((0, 2)), np.zeros(0, int))
