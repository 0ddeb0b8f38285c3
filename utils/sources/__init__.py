"""Where models and data sets come from: a mirror, the Hub at a pinned revision, or embedded ones.

A lesson asks for a Hub id and never for a path. Importing this package is cheap; the libraries are
imported when something is loaded.
"""

import os

from utils.sources.data import load_dataset
from utils.sources.doctor import Availability, available
from utils.sources.hub import hub_reachable
from utils.sources.models import (
    COURSE_BERT,
    MINILM,
    is_run_model,
    longest_text,
    model_path,
    n_layers,
    run_model,
    trained_here,
)
from utils.sources.pinning import pin
from utils.sources.revisions import pinned_revision
from utils.sources.source import Source

# The libraries read these when they are imported, which is later than this.
for _variable, _value in {
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    "TOKENIZERS_PARALLELISM": "false",
}.items():
    os.environ.setdefault(_variable, _value)

__all__ = [
    "COURSE_BERT",
    "MINILM",
    "Availability",
    "Source",
    "available",
    "hub_reachable",
    "is_run_model",
    "load_dataset",
    "longest_text",
    "model_path",
    "n_layers",
    "pin",
    "pinned_revision",
    "run_model",
    "trained_here",
]
