"""Experiments: a `Spec` says what to run, a `Record` holds what came out, a `Store` keeps it."""

from utils.experiments.grids import GRIDS, Grid, get_grid
from utils.experiments.record import Record, is_stale
from utils.experiments.run import adapt_and_keep
from utils.experiments.spec import Spec
from utils.experiments.store import Store, published_records, read_records
from utils.experiments.sweep import SweepResult, predicted_seconds, run_grid, sweep

__all__ = [
    "GRIDS",
    "Grid",
    "Record",
    "Spec",
    "Store",
    "SweepResult",
    "adapt_and_keep",
    "get_grid",
    "is_stale",
    "predicted_seconds",
    "published_records",
    "read_records",
    "run_grid",
    "sweep",
]
