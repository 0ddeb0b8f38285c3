"""What a lesson shows and asks: first cell, source, exercises, quiz, claims, evidence, figures.

Importing it needs nothing but Python itself (see `bootstrap`).
"""

from utils.lesson.attention_map import attention_figure, show_attention
from utils.lesson.bootstrap import setup
from utils.lesson.card import lesson_card
from utils.lesson.claims import Claim, claim, claims_in
from utils.lesson.exercise import Exercise, Mistake
from utils.lesson.first_cell import colab_badge, first_cell
from utils.lesson.live import run_experiments
from utils.lesson.outputs import evidence, show_figure, show_table, show_text, skipped
from utils.lesson.practice import check, hint, progress, show_exercise, solution
from utils.lesson.pretraining import pretrain_live
from utils.lesson.questions import answer, quiz
from utils.lesson.source_code import show_source
from utils.lesson.verdicts import Verdict, evaluate

__all__ = [
    "Claim",
    "Exercise",
    "Mistake",
    "Verdict",
    "answer",
    "attention_figure",
    "check",
    "claim",
    "claims_in",
    "colab_badge",
    "evaluate",
    "evidence",
    "first_cell",
    "hint",
    "lesson_card",
    "pretrain_live",
    "progress",
    "quiz",
    "run_experiments",
    "setup",
    "show_attention",
    "show_exercise",
    "show_figure",
    "show_source",
    "show_table",
    "show_text",
    "skipped",
    "solution",
]
