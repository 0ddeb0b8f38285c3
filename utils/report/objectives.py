"""Pre-training objectives beside each other, by what their models are good for afterwards."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from utils.adaptation import METHODS
from utils.errors import CourseError
from utils.experiments import Record, is_stale
from utils.report import formatting, statistics
from utils.report.formatting import MISSING
from utils.report.selection import budget, machine, seed_list, size_label, title
from utils.report.tables import Table
from utils.sources import is_run_model, run_model
from utils.tasks import get_task, question_generation, tagging, task_of
from utils.tasks.pretraining_objectives import NAME

_COSTS = {"optimiser_steps": "Updates", "tokens_seen": "Tokens", "flops": "FLOPs"}
_WRITTEN = {"flops": formatting.power_of_ten}

_NOTE = (
    "Each cell: mean ± standard deviation over seeds, each with its own pre-training, training "
    "subset and initialisation. Learning rate and regularisation were chosen for each pre-trained "
    "model on a validation split, with the same number of trials. Losses in pre-training are left "
    "out: each objective asks another question. Tokens: positions of the sequences, padding "
    "included; of encoder and decoder those of the source."
)


def belongs(record: Record) -> bool:
    """Whether a record is a pre-training of lesson 04, or was made with the model of one."""
    return record.spec.task == NAME or is_run_model(record.spec.model)


def objectives_table(records: Iterable[Record]) -> Table:
    """Accuracy or F1 on each task (columns) of the models of each objective and budget (rows).

    Args:
        records: pre-trainings, and runs with the models that they have left.

    Raises:
        CourseError: if there is no pre-training among them that something was measured with.
    """
    rows = _rows([r for r in records if r.spec.split == "test" and not is_stale(r)])
    measured = sorted({column for row in rows for column in row.scores})
    if not measured:
        raise CourseError(
            "There are no records of pre-training objectives to show. Run "
            "`course bench objectives`."
        )
    return Table(
        "objectives",
        "What each pre-training objective transfers to: accuracy, or what the column says, in %",
        ["Budget", "Objective", *_COSTS.values(), *map(_heading, measured)],
        [
            [
                row.budget,
                title(row.method),
                *(_WRITTEN.get(name, formatting.count)(row.cost(name)) for name in _COSTS),
                *(row.shown(column) for column in measured),
            ]
            for row in rows
        ],
        [_NOTE, *_origins(rows)],
        [row.long(column) for row in rows for column in measured],
    )


_Column = tuple[str, str, int | None]
"""Data set, method of adapting, number of labels."""


@dataclass
class _Row:
    """One objective with one budget: its pre-trainings, and what their models reached."""

    method: str
    budget: str
    trained: list[Record] = field(default_factory=list)
    scores: dict[_Column, list[Record]] = field(default_factory=lambda: defaultdict(list))

    def cost(self, name: str) -> float:
        return statistics.mean_and_sd([record.cost[name] for record in self.trained])[0]

    def shown(self, column: _Column) -> str:
        found = self.scores.get(column)
        if not found:
            return MISSING
        values = [record.score for record in found]
        return formatting.mean_and_sd(*statistics.mean_and_sd(values))

    def long(self, column: _Column) -> dict[str, Any]:
        found = self.scores.get(column, [])
        score = statistics.score(found) if found else None
        return {
            "budget": self.budget,
            "objective": self.method,
            **{name: self.cost(name) for name in _COSTS},
            "dataset": column[0],
            "method": column[1],
            "n_train": column[2],
            "n_seeds": len(found),
            "metric": get_task(found[0].spec.task).METRIC if found else None,
            "score": score.value if score else None,
            "low": score.low if score else None,
            "high": score.high if score else None,
            "records": " ".join(record.key for record in [*self.trained, *found]),
        }


def _rows(records: Sequence[Record]) -> list[_Row]:
    """In the order of budgets, then of `METHODS`."""
    rows: dict[tuple[str, str], _Row] = {}
    by_model: dict[str, _Row] = {}
    pretrainings = [record for record in records if record.spec.task == NAME]
    for record in sorted(pretrainings, key=statistics.seeds_of):
        name = budget(record), record.spec.method
        row = rows.setdefault(name, _Row(record.spec.method, budget(record)))
        row.trained.append(record)
        by_model[run_model(record.key)] = row
    for record in sorted(records, key=statistics.seeds_of):
        model = record.spec.model
        if model in by_model:
            column = record.spec.dataset, record.spec.method, record.spec.n_train
            by_model[model].scores[column].append(record)
    order = list(METHODS)
    return sorted(rows.values(), key=lambda row: (row.budget, order.index(row.method)))


def _heading(column: _Column) -> str:
    dataset, method, n = column
    task = task_of(dataset)
    kind = {tagging.NAME: "sentences (F1)", question_generation.NAME: "questions (tokens right)"}
    return f"{dataset}, {title(method).lower()}, {size_label(n)} {kind.get(task, 'labels')}"


def _origins(rows: list[_Row]) -> list[str]:
    records = [record for row in rows for record in row.trained]
    where = sorted({record.provenance["source"]["location"] for record in records})
    machines = "; ".join(sorted({machine(record) for record in records}))
    return [
        f"Pre-trained on {records[0].spec.dataset} ({' and '.join(where)}), profile "
        f"{records[0].spec.profile}; seeds {seed_list(records)}; run on {machines}.",
        "Every number traces to records: the CSV lists their keys, and `course show KEY` prints "
        "one.",
    ]
