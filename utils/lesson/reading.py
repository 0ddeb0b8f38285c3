"""Readers of a lesson: trained once and kept."""

from typing import TYPE_CHECKING

from utils.lesson.kept import train_and_keep

if TYPE_CHECKING:
    from utils.adaptation.span_extraction import Reader
    from utils.experiments import Record, Spec, Store


def train_reader(
    spec: "Spec", *, retrain: bool = False, store: "Store | None" = None
) -> "tuple[Record, Reader]":
    """The record of a fine-tuning for question answering, and the reader that it left.

    See `train_and_keep` for the arguments.
    """
    from utils.adaptation.span_extraction import Reader

    record, folder = train_and_keep(spec, retrain=retrain, store=store)
    return record, Reader.load(folder)
