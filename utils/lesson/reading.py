"""Train a reader in a lesson and keep it: a record holds results, and here the model is wanted."""

from pathlib import Path
from typing import TYPE_CHECKING

from utils import runtime
from utils.lesson.outputs import evidence

if TYPE_CHECKING:
    from utils.adaptation.span_extraction import Reader
    from utils.experiments import Record, Spec, Store


def train_reader(
    spec: "Spec", *, retrain: bool = False, store: "Store | None" = None
) -> "tuple[Record, Reader]":
    """The record of a fine-tuning for question answering, and the reader that it left.

    Both are read where they are there already, from `runs/records` and `runs/models`.

    Args:
        spec: what to train.
        retrain: train again.
        store: where records are kept; by default `runs/records`.
    """
    from utils.adaptation.span_extraction import Reader
    from utils.experiments import Store
    from utils.experiments.run import prepare, run

    store = store or Store.default()
    prepared = prepare(spec)
    folder = model_folder(prepared.key)
    record = None if retrain else store.get(prepared.key)
    fresh = record is None or not (folder / "reader.json").is_file()
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
    return record, Reader.load(folder)


def model_folder(key: str) -> Path:
    """Where the model of the record with this key is kept."""
    return runtime.runs_dir() / "models" / key
