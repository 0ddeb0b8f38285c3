"""Pre-training objectives beside each other: the documents and scores of language modelling.

But each model is asked the question that it was trained on, so that losses are not compared with
each other: what counts is what the models are good for afterwards.
"""

from utils.tasks.language_modelling import METRIC, VERSION, load, score, subset

__all__ = ["METRIC", "NAME", "VERSION", "load", "score", "subset"]

NAME = "pretraining-objectives"
