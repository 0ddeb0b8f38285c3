"""Run what is missing of a list of experiments, in this process or in several."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

from filelock import Timeout

from utils.errors import CourseError
from utils.experiments.forecast import predicted_seconds
from utils.experiments.grids import Grid
from utils.experiments.record import Record
from utils.experiments.spec import Spec
from utils.experiments.store import Store

EXECUTORS = ("processes", "ray")

OnRecord = Callable[[Record, bool], None]
"""Called for each experiment that is done: its record, and whether it was run just now."""


@dataclass
class SweepResult:
    """Records in the order of the specs, and how much of it was work of this call."""

    records: list[Record] = field(default_factory=list)
    n_run: int = 0
    n_reused: int = 0
    optimiser_steps: int = 0
    seconds: float = 0.0

    def __add__(self, other: "SweepResult") -> "SweepResult":
        return SweepResult(
            self.records + other.records,
            self.n_run + other.n_run,
            self.n_reused + other.n_reused,
            self.optimiser_steps + other.optimiser_steps,
            self.seconds + other.seconds,
        )


def sweep(
    specs: list[Spec],
    store: Store | None = None,
    *,
    jobs: int = 1,
    executor: str = "processes",
    progress: bool = True,
    retrain: bool = False,
    on_record: OnRecord | None = None,
) -> SweepResult:
    """Run the experiments that the store does not hold yet; the others come from it.

    Several processes may sweep over one store, on one machine or a shared disk: each experiment is
    run by one of them. Killed at any moment, a sweep loses at most the experiments that were under
    way, and long ones resume from their checkpoint.

    Args:
        specs: what to run; repeats are run once.
        store: where records are kept; by default `runs/records`.
        jobs: processes; the threads of this machine are divided between them.
        executor: processes of this machine, or a Ray cluster, where `jobs` of the experiments share
            a GPU; see `on_ray`.
        progress: show a bar with the time that is left, estimated from earlier runs.
        retrain: run everything again, replacing what the store holds.
        on_record: called as each experiment is done.

    Raises:
        CourseError: data or model not reachable, disk full, an unknown executor and the like; what
            is done is kept.
    """
    if executor not in EXECUTORS:
        known = " and ".join(EXECUTORS)
        raise CourseError(f"There is no executor {executor!r}. There are {known}.")
    store = store or Store.default()
    started = time.perf_counter()
    result = SweepResult()
    found: dict[str, Record] = {}
    with _bar(specs, store, enabled=progress) as advance:
        for record, fresh in _execute(specs, store, jobs, executor, retrain):
            found[record.spec.identity()] = record
            result.n_run += fresh
            result.n_reused += not fresh
            result.optimiser_steps += int(record.cost.get("optimiser_steps", 0)) if fresh else 0
            advance(record)
            if on_record is not None:
                on_record(record, fresh)
    result.records = [found[spec.identity()] for spec in specs]
    result.seconds = time.perf_counter() - started
    return result


def run_grid(
    grid: Grid,
    store: Store | None = None,
    *,
    jobs: int = 1,
    executor: str = "processes",
    progress: bool = True,
    retrain: bool = False,
    on_record: OnRecord | None = None,
) -> SweepResult:
    """Run a grid: its pre-training if there is any, its trials, and the experiments with the
    hyper-parameters that won.
    """

    def run(specs: list[Spec]) -> SweepResult:
        return sweep(
            specs,
            store,
            jobs=jobs,
            executor=executor,
            progress=progress,
            retrain=retrain,
            on_record=on_record,
        )

    models = run(grid.pretraining)
    grid = grid.bind(models.records)
    trials = run(grid.trials())
    return models + trials + run(grid.resolve(trials.records))


def _execute(
    specs: list[Spec], store: Store, jobs: int, executor: str, retrain: bool
) -> Iterator[tuple[Record, bool]]:
    unique = list({spec.identity(): spec for spec in specs}.values())
    if executor == "ray":
        from utils.experiments.on_ray import run_on_ray

        elsewhere = yield from run_on_ray(unique, store, jobs, retrain)
        yield from _run_all(elsewhere, store, retrain)
        return
    if jobs <= 1:
        yield from _run_all(unique, store, retrain)
        return
    # Fork would copy torch's threads in an undefined state.
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        futures = [pool.submit(_run_one, spec, store.directory, jobs, retrain) for spec in unique]
        try:
            for future in as_completed(futures):
                yield future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _run_one(spec: Spec, directory: Path, jobs: int, retrain: bool) -> tuple[Record, bool]:
    """One experiment in a process of its own."""
    import torch

    from utils import runtime

    torch.set_num_threads(max(1, int(runtime.hardware()["cores"]) // jobs))
    return next(_run_all([spec], Store(directory), retrain))


def _run_all(specs: list[Spec], store: Store, retrain: bool) -> Iterator[tuple[Record, bool]]:
    """Run specs one after the other; one that another process is at is put off to the end."""
    from utils.experiments.run import prepare, run

    waiting = deque(specs)
    put_off: set[str] = set()
    while waiting:
        spec = waiting.popleft()
        prepared = prepare(spec)
        record = None if retrain else store.get(prepared.key)
        if record is not None:
            yield record, False
            continue
        try:
            with store.lock(prepared.key).acquire(timeout=5 if prepared.key in put_off else 0):
                store.clean(prepared.key)
                record = None if retrain else store.get(prepared.key)
                fresh = record is None
                if record is None:
                    record = run(prepared)
                    store.put(record)
        except Timeout:
            put_off.add(prepared.key)
            waiting.append(spec)
            continue
        yield record, fresh


@contextmanager
def _bar(specs: list[Spec], store: Store, *, enabled: bool) -> Iterator[Callable[[Record], None]]:
    """A bar measured in predicted seconds, so that the time left is meaningful."""
    if not enabled or not specs:
        yield lambda record: None
        return
    from rich.progress import (
        BarColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    seconds = predicted_seconds(specs, store.records())
    with Progress(
        TextColumn("{task.fields[done]}/{task.fields[n]} experiments"),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.description}"),
    ) as bar:
        task = bar.add_task("", total=sum(seconds.values()), done=0, n=len(seconds))
        done = 0

        def advance(record: Record) -> None:
            nonlocal done
            done += 1
            share = seconds.get(record.spec.identity(), 0.0)
            bar.update(task, advance=share, done=done, description=record.spec.label())

        yield advance
