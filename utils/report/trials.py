"""The search for hyper-parameters, shown."""

from collections import defaultdict
from collections.abc import Iterable

from utils.errors import CourseError
from utils.experiments import Record
from utils.report import formatting
from utils.report.selection import size_label, title
from utils.report.tables import Table


def trials_table(records: Iterable[Record]) -> Table:
    """What was tried for each method and number of labels, and its score on validation rows.

    Args:
        records: with trials of one model; those that are not trials are left out.

    Raises:
        CourseError: if there is no trial, or if there are several models.
    """
    groups: dict[tuple[str, str, int], list[Record]] = defaultdict(list)
    models = set()
    for record in records:
        spec = record.spec
        if spec.split == "validation":
            models |= {spec.model} - {None}
            groups[spec.dataset, spec.method, spec.n_train or 0].append(record)
    if not groups:
        raise CourseError("Among these records are no trials (split validation).")
    if len(models) > 1:
        raise CourseError(f"There are trials of {len(models)} models. Select those of one.")
    rows = []
    for (dataset, method, n), trials in sorted(groups.items()):
        hypers = [record.spec.hyper for record in trials]
        differing = sorted(
            name for name in hypers[0] if len({str(hyper.get(name)) for hyper in hypers}) > 1
        )
        trials.sort(key=lambda each: [each.spec.hyper[name] for name in differing])
        for record in trials:
            tried = ", ".join(
                f"{name.replace('_', ' ')} {record.spec.hyper[name]:g}" for name in differing
            )
            score = formatting.percent(record.score)
            rows.append([dataset, title(method), size_label(n or None), tried, score])
    return Table(
        "trials",
        "Settings that were tried, with the score in % on validation rows",
        ["Data set", "Method", "Labels", "Tried", "Score"],
        rows,
        [
            "One run each, with seed 0. An experiment takes the winner of the smallest number of "
            "labels tried that is not below its own, or of the largest one."
        ],
    )
