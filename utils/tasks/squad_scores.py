"""Exact match and F1 of answers, under the name by which the task knows them.

They are defined in `utils.squad_scores`, on a floor where `utils.metrics` can reach them as well.
"""

from utils.squad_scores import exact_match, normalise_answer, token_f1

__all__ = ["exact_match", "normalise_answer", "token_f1"]
