"""Promote records from `runs/` to `results/`: the only way in which published numbers change."""

import json
import re
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path

from utils import runtime
from utils.errors import CourseError
from utils.experiments import Record, is_stale, read_records
from utils.report import published, speed
from utils.report.published import Change
from utils.report.selection import budget, is_embedded
from utils.tasks import get_task


@dataclass(frozen=True)
class Publication:
    """What publishing did: keys of records, and the generated files that changed with them."""

    added: list[str]
    unchanged: list[str]
    superseded: list[str]
    changes: list[Change]


def publish(
    records: Sequence[Record], results: Path, *, name: str, readme: Path | None = None
) -> Publication:
    """Put `records` into `results/records/<name>.jsonl` and render all pages anew.

    A record that is published already stays as it is. One that has become stale makes way for a new
    record of the same spec, and so does the same experiment with other settings, or with an earlier
    version of a checkpoint of the course. Nothing is written unless everything can be: the pages
    are rendered before the first file changes.

    Args:
        records: of profile full, on real data; reported runs and the trials that tuned them.
        results: the folder of published results.
        name: of the file, as a rule that of the grid: lower-case letters, digits and hyphens.
        readme: the project's README, if its block is to be rendered too.

    Raises:
        CourseError: for records that must not be published, a key that is published with other
            results, or records that cannot stand in one table.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", name):
        raise CourseError(f"{name!r} cannot name a file: use lower-case letters, digits, hyphens.")
    if not records:
        raise CourseError("There are no records to publish. Run the grid with profile full first.")
    records = _newest(records)
    for record in records:
        _check_publishable(record)
    before = _published_files(results)
    old = {record.key: record for content in before.values() for record in content}
    new = {r.key: r for r in records if not _is_published(r, old)}
    superseded = _superseded(old, new)
    after = {
        file: [record for record in content if record.key not in superseded]
        for file, content in before.items()
    }
    target = results / "records" / f"{name}.jsonl"
    after[target] = sorted([*after.get(target, []), *new.values()], key=lambda r: r.key)
    everything = [record for content in after.values() for record in content]
    rendered = published.render(everything, results, readme)
    for file, content in after.items():
        if content != before.get(file):
            runtime.write_atomically(file, _json_lines(content))
    return Publication(
        added=sorted(new),
        unchanged=sorted({record.key for record in records} - set(new)),
        superseded=sorted(superseded),
        changes=published.apply(rendered, results, remove=True),
    )


def publish_speed(runs: Path, results: Path, readme: Path | None = None) -> list[Change]:
    """Put the newest records of `course bench speed`, part by part, into `results`/speed.

    Raises:
        CourseError: if there are none, or some on embedded stand-ins.
    """
    newest = {
        f"{device}-{found['part']}": found
        for device, parts in speed.read(runs).items()
        for found in parts
    }
    if not newest:
        raise CourseError("There is no run to publish. Run `course bench speed` first.")
    for name, found in newest.items():
        if any(row["data"].startswith("embedded") for row in found["comparisons"]):
            raise CourseError(
                f"The newest run of {name} read embedded stand-ins; only results on real data "
                "are published. Run it again with the Hub or a mirror (COURSE_MIRROR)."
            )
    for name, found in newest.items():
        text = json.dumps(found, indent=1) + "\n"
        runtime.write_atomically(results / speed.FOLDER / f"{name}.json", text)
    return published.write(results, readme)


def _check_publishable(record: Record) -> None:
    """Raise `CourseError` unless the record is of profile full, real, current and consistent."""
    problem = None
    if record.spec.profile != "full":
        problem = f"is of profile {record.spec.profile}; only profile full is published"
    elif is_embedded(record):
        problem = "comes from the embedded stand-in; only results on real data are published"
    elif record.provenance["source"]["kind"] == "folder":
        problem = "comes from a file of your own; only public data sets are published"
    elif is_stale(record):
        problem = "is stale: the code of its task or method has changed since; run it again"
    elif abs(record.from_answers(get_task(record.spec.task).METRIC) - record.score) > 1e-9:
        problem = "contradicts itself: its score is not that of its single answers"
    if problem:
        raise CourseError(
            f"The record {record.key} ({record.spec.label()}) {problem}. Nothing was published."
        )


def _is_published(record: Record, old: dict[str, Record]) -> bool:
    """Whether the very record is there; raises `CourseError` if its key has other results."""
    known = old.get(record.key)
    if known is None:
        return False
    if (known.metrics, known.statistics) != (record.metrics, record.statistics):
        raise CourseError(
            f"The record {record.key} ({record.spec.label()}) is published with other results: "
            f"{known.metrics} there, {record.metrics} here. The same key must mean the same "
            "result: compare both with `course compare`, and raise the version of the task or "
            "method if its code has changed. Nothing was published."
        )
    return True


def _superseded(old: dict[str, Record], new: dict[str, Record]) -> set[str]:
    """Keys of published records that make way for the new ones.

    Stale records of the same spec, the same experiments with other settings, and what was measured
    with a checkpoint of the course that has since been shipped anew under its name.
    """
    specs = [record.spec for record in new.values()]
    experiments = {_experiment(record) for record in new.values() if record.spec.split == "test"}
    shipped = {record.spec.model: _weights(record) for record in new.values() if _weights(record)}
    return {
        key
        for key, record in old.items()
        if key not in new
        and (
            (is_stale(record) and record.spec in specs)
            or (record.spec.split == "test" and _experiment(record) in experiments)
            or (
                _weights(record)
                and _weights(record) != shipped.get(record.spec.model, _weights(record))
            )
        )
    }


def _newest(records: Sequence[Record]) -> list[Record]:
    """The records without those that others among them have superseded."""
    kept: dict[Hashable, Record] = {}
    shipped: dict[str | None, str | None] = {}
    for record in sorted(records, key=lambda r: str(r.provenance["created"])):
        kept[_experiment(record) if record.spec.split == "test" else record.key] = record
        shipped[record.spec.model] = _weights(record)
    return [r for r in kept.values() if _weights(r) == shipped[r.spec.model]]


def _experiment(record: Record) -> tuple[str, str]:
    """What a table shows in one place: the spec without its settings, but with its budget."""
    return record.spec.model_copy(update={"hyper": {}}).identity(), budget(record)


def _weights(record: Record) -> str | None:
    """Fingerprint of the checkpoint of the course that was used, if one was."""
    source = record.provenance.get("model_source")
    return source["fingerprint"] if source and source["kind"] == "course" else None


def _published_files(results: Path) -> dict[Path, list[Record]]:
    files = sorted((results / "records").glob("*.jsonl"))
    return {file: read_records(file) for file in files if file.stat().st_size > 0}


def _json_lines(records: list[Record]) -> str:
    lines = (json.dumps(r.model_dump(mode="json"), sort_keys=True) for r in records)
    return "".join(f"{line}\n" for line in lines)
