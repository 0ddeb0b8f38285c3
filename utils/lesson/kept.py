"""Train in a lesson and keep the model: a record holds results, and here the model is wanted."""

from pathlib import Path
from typing import TYPE_CHECKING

from utils import runtime
from utils.lesson.outputs import evidence

if TYPE_CHECKING:
    from utils.experiments import Record, Spec, Store


def train_and_keep(
    spec: "Spec", *, retrain: bool = False, store: "Store | None" = None
) -> "tuple[Record, Path]":
    """The record of a training, and the folder with the model that it left.

    Both are read where they are there already, from `runs/records` and `runs/models`.

    Args:
        spec: what to train, by a method that leaves a model.
        retrain: train again.
        store: where records are kept; by default `runs/records`.
    """
    from utils.adaptation.saved import has_model
    from utils.experiments import Store
    from utils.experiments.run import prepare, run

    store = store or Store.default()
    prepared = prepare(spec)
    folder = model_folder(prepared.key)
    record = None if retrain else store.get(prepared.key)
    fresh = record is None or not has_model(folder)
    if record is None or fresh:
        record = run(prepared, keep=folder)
        store.put(record)
    evidence(
        records=1,
        records_run=int(fresh),
        optimiser_steps=int(record.cost["optimiser_steps"]) if fresh else 0,
        sources=[record.provenance["source"]["location"]],
        device=runtime.device().type,
        peak_memory_bytes=runtime.peak_memory_bytes(),
    )
    return record, folder


def model_folder(key: str) -> Path:
    """Where the model of the record with this key is kept."""
    return runtime.runs_dir() / "models" / key
