"""Metrics as `evaluate.Metric` classes that need no network, computed by scikit-learn."""

from typing import Any

import evaluate
from datasets import Features, Value
from sklearn.metrics import accuracy_score, f1_score

_CITATION = "Pedregosa et al., Scikit-learn: Machine Learning in Python, JMLR 12, 2011"


class _ClassificationMetric(evaluate.Metric):
    """A metric of predicted against true class numbers, both of shape (n_examples,)."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"keep_in_memory": True, **options})

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description=type(self).__doc__ or "",
            citation=_CITATION,
            inputs_description="predictions, references: class numbers, one per example",
            features=Features({"predictions": Value("int64"), "references": Value("int64")}),
        )


class Accuracy(_ClassificationMetric):
    """Share of predictions that equal the reference, in 0..1."""

    def _compute(self, predictions: list[int], references: list[int]) -> dict[str, float]:
        return {"accuracy": float(accuracy_score(references, predictions))}


class MacroF1(_ClassificationMetric):
    """Unweighted mean over classes of F1, the harmonic mean of precision and recall, in 0..1.

    A class that occurs neither among predictions nor references is left out; one that is never
    predicted or never right counts as 0.
    """

    def _compute(self, predictions: list[int], references: list[int]) -> dict[str, float]:
        score = f1_score(references, predictions, average="macro", zero_division=0.0)
        return {"f1_macro": float(score)}


def classification_scores(predictions: Any, references: Any) -> dict[str, float]:
    """Accuracy and macro F1 of predicted against true class numbers, each (n_examples,)."""
    scores: dict[str, float] = {}
    for metric in (Accuracy(), MacroF1()):
        scores.update(metric.compute(predictions=predictions, references=references))
    return scores
