"""Which records may stand in one table, and the experiments (cells) that they form."""

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from statistics import median
from typing import Any

from utils.adaptation import METHODS
from utils.errors import CourseError
from utils.experiments import Record, Spec, is_stale
from utils.report import statistics
from utils.resampling import Bootstrap
from utils.sources import run_model
from utils.tasks import METRIC_TITLES, language_modelling, pretraining_objectives


def select(records: Iterable[Record], **conditions: Any) -> list[Record]:
    """The records whose spec has these values, for example `method="full", n_train=[16, 64]`.

    A list, tuple or set stands for any of its members. `source` ("mirror", "hub", "embedded") asks
    for the place that the data came from, which is not part of a spec. `pretraining`, for example
    "objective-mlm, equal FLOPs", asks for runs with the models that this pre-training has left; its
    own records must be among the `records`.

    Raises:
        CourseError: for a condition on something that a spec does not have.
    """
    records = list(records)
    known = {*Spec.model_fields, "source", "pretraining"}
    if unknown := sorted(conditions.keys() - known):
        raise CourseError(
            f"Records cannot be selected by {', '.join(unknown)}. Use: {', '.join(sorted(known))}."
        )

    behind = {
        run_model(record.key): f"{record.spec.method}, {budget(record)}"
        for record in records
        if record.spec.task == pretraining_objectives.NAME
    }

    def value_of(record: Record, name: str) -> Any:
        if name == "source":
            return record.provenance["source"]["kind"]
        if name == "pretraining":
            return behind.get(record.spec.model or "")
        return getattr(record.spec, name)

    def matches(record: Record, name: str, wanted: Any) -> bool:
        value = value_of(record, name)
        return value in wanted if isinstance(wanted, list | tuple | set) else value == wanted

    return [
        record
        for record in records
        if all(matches(record, name, wanted) for name, wanted in conditions.items())
    ]


def budget(record: Record) -> str:
    """What a pre-training has in common with those of other objectives."""
    return "equal FLOPs" if "flops" in record.spec.hyper else "equal tokens"


@dataclass(frozen=True)
class Cell:
    """One experiment with all its seeds: what a cell of a table shows."""

    records: tuple[Record, ...]

    @property
    def method(self) -> str:
        """Name of the method."""
        return self.records[0].spec.method

    @property
    def n_train(self) -> int | None:
        """Number of labelled examples that were asked for; None for all."""
        return self.records[0].spec.n_train

    @property
    def n_labels(self) -> int:
        """Number of labelled examples that were there to train on."""
        available = self.records[0].provenance.get("n_train_available", 0)
        return self.n_train if self.n_train is not None else int(available)

    @cached_property
    def accuracy(self) -> Bootstrap:
        """Mean of the task's metric with the interval over seeds and test examples."""
        return statistics.score(self.records)

    @cached_property
    def mean_and_sd(self) -> tuple[float, float | None]:
        """Mean and standard deviation over seeds of the task's metric."""
        return statistics.mean_and_sd([record.score for record in self.records])

    def metric(self, name: str) -> tuple[float, float | None] | None:
        """Mean and standard deviation over seeds of a metric; None where it was not measured."""
        values = [record.metrics.get(name) for record in self.records]
        present = [value for value in values if value is not None]
        return statistics.mean_and_sd(present) if len(present) == len(values) else None

    @cached_property
    def machines(self) -> set[str]:
        """The processors that its runs took place on."""
        return {machine(record) for record in self.records}

    def cost(self, name: str) -> float | None:
        """A cost over seeds; None if a record lacks it, and for seconds of different machines.

        The mean; but of `wall_seconds` the median, as whatever else a machine does only ever makes
        a run longer, and of `peak_memory_bytes` the largest.
        """
        values = [record.cost.get(name) for record in self.records]
        present = [value for value in values if value is not None]
        if len(present) < len(values):
            return None
        if name == "wall_seconds":
            return median(present) if len(self.machines) == 1 else None
        if name == "peak_memory_bytes":
            return max(present)
        return sum(present) / len(present)


@dataclass(frozen=True)
class Comparable:
    """Records of one data set and one model that may stand in one table.

    `stale` are the records that were left out because the code of their task or method has changed
    since; `cells` are sorted by method, then by number of labels.
    """

    records: list[Record]
    stale: list[Record] = field(default_factory=list)

    @cached_property
    def cells(self) -> list[Cell]:
        """The experiments, in the order of `METHODS` and of growing training sets."""
        groups: dict[tuple[str, int | None], list[Record]] = defaultdict(list)
        for record in sorted(self.records, key=statistics.seeds_of):
            groups[record.spec.method, record.spec.n_train].append(record)
        order = list(METHODS)
        cells = (Cell(tuple(group)) for group in groups.values())
        return sorted(cells, key=lambda c: (order.index(c.method), size_key(c.n_train)))

    @property
    def methods(self) -> list[str]:
        """Names of the methods, in the order of `METHODS`."""
        return list(dict.fromkeys(cell.method for cell in self.cells))

    @property
    def sizes(self) -> list[int | None]:
        """Numbers of training examples, growing; None for all comes last."""
        return sorted({cell.n_train for cell in self.cells}, key=size_key)

    @property
    def metric(self) -> str:
        """The metric that decides in the task."""
        return statistics.main_metric(self.records)

    @property
    def measure(self) -> str:
        """That metric, for people."""
        return METRIC_TITLES.get(self.metric, self.metric)

    def cell(self, method: str, n_train: int | None) -> Cell | None:
        """The experiment with this method and number of examples, or None."""
        found = [c for c in self.cells if c.method == method and c.n_train == n_train]
        return found[0] if found else None

    @cached_property
    def machine(self) -> str:
        """The machine of most experiments: only its seconds stand side by side."""
        found = [name for cell in self.cells for name in sorted(cell.machines)]
        return max(sorted(set(found)), key=found.count)

    def cost(self, cell: Cell, name: str) -> float | None:
        """`Cell.cost`; None for seconds on another machine than `machine`."""
        if name == "wall_seconds" and cell.machines != {self.machine}:
            return None
        return cell.cost(name)

    @property
    def dataset(self) -> str:
        """Hub id of the data set."""
        return self.records[0].spec.dataset

    @property
    def model(self) -> str | None:
        """Hub id of the pre-trained model, or None if no method uses one."""
        models = {record.spec.model for record in self.records} - {None}
        return models.pop() if models else None


def comparable(records: Sequence[Record]) -> Comparable:
    """Check that `records` may stand in one table and leave out the stale ones.

    Only runs that were tested on the reported split count: trials of hyper-parameters are dropped.

    Raises:
        CourseError: if nothing is left, or if records mix data sets, models, profiles, sources,
            test examples or other settings that must be equal, or two have the same seed.
    """
    reported = [record for record in records if record.spec.split == "test"]
    current = [record for record in reported if not is_stale(record)]
    stale = [record for record in reported if is_stale(record)]
    if not current:
        left_out = f" ({len(stale)} of an older version were left out)" if stale else ""
        raise CourseError(f"There are no records to show{left_out}. Run the experiments first.")
    for what, how, value_of in _MUST_BE_EQUAL:
        _check_equal(current, what, how, value_of)
    for n in {record.spec.n_train for record in current}:
        _check_equal([record for record in current if record.spec.n_train == n], *_IN_A_COLUMN)
    _check_one_run_per_seed(current)
    return Comparable(current, stale)


def size_key(n_train: int | None) -> float:
    """Sorts numbers of training examples; None, which means all, comes last."""
    return float("inf") if n_train is None else n_train


def size_label(n_train: int | None) -> str:
    """A number of training examples for people."""
    return "all" if n_train is None else f"{n_train:,}"


def title(method: str) -> str:
    """Display name of a method (its own name if the code no longer knows it)."""
    return METHODS[method].title if method in METHODS else method


def is_oracle(method: str) -> bool:
    """Whether a method sees what it is scored against (no, if the code no longer knows it)."""
    return method in METHODS and METHODS[method].is_oracle


def dataset_title(dataset: str) -> str:
    """The id of a data set, or of several that are read as one, for people."""
    return dataset.replace(language_modelling.JOIN, f" {language_modelling.JOIN} ")


def seed_list(records: Iterable[Record]) -> str:
    """The seeds of the records, for people."""
    return ", ".join(map(str, sorted({record.spec.seed for record in records})))


def machine(record: Record) -> str:
    """The processor that a run took place on, for people."""
    return machine_of(record.provenance)


def machine_of(provenance: dict[str, Any]) -> str:
    """The same of anything that keeps `runtime.circumstances`."""
    hardware = provenance.get("hardware", {})
    if provenance.get("device") == "cuda" and hardware.get("gpu"):
        return str(hardware["gpu"])
    threads = provenance.get("threads", hardware.get("cores", "?"))
    precision = provenance.get("precision", "no")
    half = "" if precision == "no" else f", {precision}"
    return f"{hardware.get('cpu', 'unknown CPU')} ({threads} thread{'s' * (threads != 1)}{half})"


def origin(record: Record) -> str:
    """What the data are: "real", the "embedded" stand-in, or "generated" by a program."""
    kind = record.provenance["source"]["kind"]
    return str(kind) if kind in ("embedded", "generated") else "real"


def is_embedded(record: Record) -> bool:
    """Whether the data are the embedded stand-in and not the real data set."""
    return origin(record) == "embedded"


def _data(record: Record) -> str:
    """Data as errors name them. Mirror and Hub are one if their content is the same."""
    source = record.provenance["source"]
    where = "real data" if origin(record) == "real" else source["location"]
    return f"{where}, content {source['fingerprint']}"


def _model_weights(record: Record) -> str | None:
    source = record.provenance.get("model_source")
    return source["fingerprint"] if source else None


_OF_MODELS = ("models", "weights of the model")
"""Methods without a model go with any."""

_MUST_BE_EQUAL = (
    ("tasks", "Select one with select(records, task=…).", lambda r: r.spec.task),
    ("data sets", "Select one with select(records, dataset=…).", lambda r: r.spec.dataset),
    ("profiles", "Select one with select(records, profile=…).", lambda r: r.spec.profile),
    ("sources of data", "Select one with select(records, source=…), or run again.", _data),
    ("models", "Select one with select(records, model=[None, …]).", lambda r: r.spec.model),
    ("weights of the model", "Run again with one of them.", _model_weights),
    (
        "numbers of test examples",
        "Select one with select(records, test_limit=…).",
        lambda r: r.spec.test_limit,
    ),
    (
        "maximal lengths of a text",
        "Select one with select(records, max_length=…).",
        lambda r: r.spec.max_length,
    ),
    (
        "sizes of the vocabulary",
        "Select those with one value of spec.hyper['vocab_size'].",
        statistics.vocabulary_size,
    ),
)

_IN_A_COLUMN = (
    "sizes of the validation split",
    "Select one with select(records, validation_limit=…).",
    lambda r: r.spec.validation_limit,
)
"""Must be equal among records with the same number of labels: who has more may hold out more."""


def latest(records: Sequence[Record]) -> list[Record]:
    """Of records that must not stand in one table, those that fit the newest one; in their order.

    For the runs of one's own, where settings and data change over time. Of two runs of the same
    experiment and seed the newer stays. Stale ones pass, as tables list them. Published
    records are never thinned out like this.
    """
    current = [record for record in records if not is_stale(record)]
    newest_first = sorted(current, key=lambda r: str(r.provenance.get("created", "")), reverse=True)
    kept: dict[Hashable, Record] = {}
    for record in newest_first:
        if all(_agree(record, other) for other in kept.values()):
            kept.setdefault(cell_and_seed(record), record)
    keys = {record.key for record in kept.values()}
    return [record for record in records if record.key in keys or is_stale(record)]


def _agree(first: Record, second: Record) -> bool:
    pairs = ((value_of(first), value_of(second)) for _, _, value_of in _MUST_BE_EQUAL)
    # Without a model there is nothing to agree on; no test limit, in turn, is a setting.
    both_models = first.spec.model is not None and second.spec.model is not None
    *_, held_out = _IN_A_COLUMN
    if first.spec.n_train == second.spec.n_train and held_out(first) != held_out(second):
        return False
    return all(
        one == other or (name in _OF_MODELS and not both_models)
        for (one, other), (name, _, _) in zip(pairs, _MUST_BE_EQUAL, strict=True)
    )


def _check_equal(records: list[Record], what: str, how: str, value_of: Any) -> None:
    relevant = [r for r in records if r.spec.model is not None or what not in _OF_MODELS]
    found: Counter[Hashable] = Counter(value_of(record) for record in relevant)
    if len(found) > 1:
        listing = "; ".join(f"{value} ({count} records)" for value, count in found.items())
        raise CourseError(f"These records mix {what}: {listing}. A table shows one of them. {how}")


def _check_one_run_per_seed(records: list[Record]) -> None:
    seen: dict[Hashable, Record] = {}
    for record in records:
        run = cell_and_seed(record)
        if run in seen:
            raise CourseError(
                f"The records {seen[run].key} and {record.key} are the same experiment with the "
                "same seed but different hyper-parameters, so their mean means nothing. "
                "Look at both with `course show` and select one."
            )
        seen[run] = record


def cell_and_seed(record: Record) -> Hashable:
    """What may occur once in a table: data set, model, method, number of examples, seeds."""
    spec = record.spec
    return spec.dataset, spec.model, spec.method, spec.n_train, spec.seed, spec.data_seed
