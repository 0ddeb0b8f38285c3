"""Run experiments inside a lesson, with a table that fills as they are done."""

import time
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

from utils import runtime
from utils.lesson.card import duration
from utils.lesson.outputs import evidence, shell

if TYPE_CHECKING:
    from utils.experiments import Grid, Record, Spec, Store

_SECONDS_BETWEEN_UPDATES = 0.5


def run_experiments(
    work: "Grid | list[Spec]", *, retrain: bool = False, store: "Store | None" = None
) -> "list[Record]":
    """Run the experiments that have no record here yet, show results live, leave evidence.

    Args:
        work: a grid, whose hyper-parameters are tuned first where it says so, or a list of specs.
        retrain: run everything again.
        store: where records are kept; by default `runs/records`.

    Returns:
        Records in the order of the specs; those of a grid's trials come first.

    Raises:
        CourseError: data or model not reachable, disk full and the like; what is done is kept.
    """
    from utils.experiments import Grid, Store, predicted_seconds, run_grid, sweep

    store = store or Store.default()
    specs = [*work.trials(), *work.cells] if isinstance(work, Grid) else work
    table = LiveTable(specs)
    if isinstance(work, list):
        table.remaining = predicted_seconds(specs, [] if retrain else store.records())
    table.start()
    if isinstance(work, Grid):
        result = run_grid(work, store, progress=False, retrain=retrain, on_record=table.add)
    else:
        result = sweep(work, store, progress=False, retrain=retrain, on_record=table.add)
    table.finish()
    evidence(
        records=len(result.records),
        records_run=result.n_run,
        optimiser_steps=result.optimiser_steps,
        sources=sorted({record.provenance["source"]["location"] for record in result.records}),
        device=runtime.device().type,
        peak_memory_bytes=runtime.peak_memory_bytes(),
    )
    return result.records


class LiveTable:
    """Mean of the metric by method and number of labels; in a notebook it is replaced as it grows.

    The metric is the one that decides in the task; of pre-training, the gain in nats.

    Display updates are used and no widgets: they are part of a saved notebook like any output.

    Attributes:
        remaining: predicted seconds of experiments that are not done, by their spec as JSON.
    """

    def __init__(self, specs: "list[Spec]") -> None:
        self.specs = list({spec.identity(): spec for spec in specs}.values())
        self.remaining: dict[str, float] = {}
        self.records: list[Record] = []
        self.n_run = 0
        self._started = self._updated = time.monotonic()
        self._handle: Any = None

    def start(self) -> None:
        """Show the table while it is still empty."""
        if shell() is not None:
            from IPython.display import display

            self._handle = display(self._bundle(), raw=True, display_id=True)

    def add(self, record: "Record", fresh: bool) -> None:
        """Take a finished experiment in; `fresh` if it was run just now."""
        self.records.append(record)
        self.n_run += fresh
        self.remaining.pop(record.spec.identity(), None)
        now = time.monotonic()
        if self._handle is not None and now - self._updated >= _SECONDS_BETWEEN_UPDATES:
            self._updated = now
            self._handle.update(self._bundle(), raw=True)

    def finish(self) -> None:
        """Show the final table."""
        if self._handle is None:
            print(self.markdown())
        else:
            self._handle.update(self._bundle(), raw=True)

    def _bundle(self) -> dict[str, str]:
        return {"text/markdown": self.markdown(), "text/plain": self.markdown()}

    def markdown(self) -> str:
        """Progress in one line, then a table for each data set."""
        tables = [self._table(name) for name in dict.fromkeys(s.dataset for s in self.specs)]
        return "\n\n".join([self._progress(), *tables])

    def _progress(self) -> str:
        done, total = len(self.records), len(self.specs)
        line = f"{done} of {total} experiments: {self.n_run} run now, {done - self.n_run} recorded"
        if done >= total:
            return f"{line} earlier; {duration(time.monotonic() - self._started)}."
        left = f"; about {duration(sum(self.remaining.values()))} left" if self.remaining else ""
        return f"{line} earlier{left}."

    def _table(self, dataset: str) -> str:
        from utils.report.selection import dataset_title, size_key, size_label, title
        from utils.tasks import METRIC_TITLES, PRETRAINING, get_task

        mine = [s for s in self.specs if s.dataset == dataset and s.split == "test"]
        planned = Counter((s.method, s.n_train) for s in mine)
        pretrained = any(s.task in PRETRAINING for s in mine)
        metric = "gain" if pretrained else get_task(mine[0].task).METRIC if mine else "accuracy"
        found: dict[tuple[str, int | None], list[float]] = defaultdict(list)
        for record in self.records:
            if record.spec.dataset == dataset and record.spec.split == "test":
                cell = record.spec.method, record.spec.n_train
                found[cell].append(record.metrics[metric])
        sizes = sorted({n for _, n in planned}, key=size_key)
        if pretrained:
            columns = [dataset_title(dataset), *map(_gain_on, sizes)]
        else:
            columns = [
                f"{dataset}, {METRIC_TITLES[metric]}",
                *(f"{size_label(n)} examples" for n in sizes),
            ]
        lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
        for method in dict.fromkeys(method for method, _ in planned):
            cells = (_cell(found[method, n], planned[method, n]) for n in sizes)
            lines.append(f"| {title(method)} | {' | '.join(cells)} |")
        return "\n".join(lines)


def _gain_on(n_documents: int | None) -> str:
    return "gain in nats" if n_documents is None else f"gain in nats, {n_documents:,} documents"


def _cell(values: list[float], planned: int) -> str:
    """Mean of the seeds that are done, and how many they are while some are missing."""
    if not values:
        return "…" if planned else ""
    mean = f"{sum(values) / len(values):.3f}"
    return mean if len(values) >= planned else f"{mean} ({len(values)} of {planned} seeds)"
