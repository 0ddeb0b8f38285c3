"""From records to tables, figures, sentences and published pages: no number is typed by hand."""

from utils.report.blocks import find_blocks, update_blocks
from utils.report.compare import Comparison, compare
from utils.report.figures import cost_curves, learning_curves, training_curves
from utils.report.ladder import ladder_table, layer_curves, trained_weights
from utils.report.objectives import objectives_table
from utils.report.pretraining import pretraining_curves, pretraining_table
from utils.report.prose import describe
from utils.report.publish import Publication, publish, publish_speed
from utils.report.published import Change, check, render_all, write, write_own
from utils.report.selection import comparable, latest, select
from utils.report.shipping import ship
from utils.report.tables import (
    Table,
    cost_table,
    cost_to_reach_table,
    learning_curve_table,
    reference_table,
)
from utils.report.trials import trials_table

__all__ = [
    "Change",
    "Comparison",
    "Publication",
    "Table",
    "check",
    "comparable",
    "compare",
    "cost_curves",
    "cost_table",
    "cost_to_reach_table",
    "describe",
    "find_blocks",
    "ladder_table",
    "latest",
    "layer_curves",
    "learning_curve_table",
    "learning_curves",
    "objectives_table",
    "pretraining_curves",
    "pretraining_table",
    "publish",
    "publish_speed",
    "reference_table",
    "render_all",
    "select",
    "ship",
    "trained_weights",
    "training_curves",
    "trials_table",
    "update_blocks",
    "write",
    "write_own",
]
