"""Sentences whose numbers come from records, so that a text cannot disagree with its tables."""

from collections.abc import Sequence
from typing import Any

from utils.errors import CourseError
from utils.experiments import Record, is_stale
from utils.report import formatting, statistics
from utils.report.selection import (
    Cell,
    Comparable,
    comparable,
    is_embedded,
    is_oracle,
    machine,
    size_key,
    title,
)
from utils.report.tables import first_to_reach
from utils.tasks import METRIC_TITLES, PRETRAINING

_NOTHING = "nothing has been measured for it yet"


def labels_in_words(n_train: int | None) -> str:
    """ "2,000 labels" or "all labels"."""
    return "all labels" if n_train is None else formatting.plural(n_train, "label")


def accuracy_sentence(
    records: Sequence[Record], method: str, n_train: int | None, against: str | None = None
) -> str:
    """What `method` reaches with `n_train` labels, and by how much it is above or below `against`.

    The interval of the difference is the paired one. Where there is no such run, the sentence says
    so: it never fails on a partial grid.
    """
    chosen = comparable(records)
    cell = chosen.cell(method, n_train)
    if cell is None:
        return f"{title(method)} with {labels_in_words(n_train)}: {_NOTHING}."
    sentence = f"With {labels_in_words(n_train)}, {_in_sentence(method)} reaches {_score(cell)}"
    other = chosen.cell(against, n_train) if against else None
    if other is not None:
        sentence += f", {_difference(cell, other)}"
    return sentence + "."


def labels_needed_sentence(records: Sequence[Record], method: str, accuracy: float) -> str:
    """How many labels `method` needed, of the numbers that were measured, to reach `accuracy`."""
    chosen = comparable(records)
    wanted = f"{formatting.percent(accuracy)} %"
    cells = [cell for cell in chosen.cells if cell.method == method]
    if not cells:
        return f"{title(method)}: {_NOTHING}."
    reached = first_to_reach(chosen, method, accuracy)
    if reached is None:
        best = max(cells, key=lambda cell: cell.mean_and_sd[0])
        return (
            f"{title(method)} does not reach {wanted} in these runs; its best is "
            f"{formatting.percent(best.mean_and_sd[0])} % with {labels_in_words(best.n_train)}."
        )
    return (
        f"{title(method)} reaches {wanted} with {labels_in_words(reached.n_train)}, the smallest "
        f"measured number that does ({formatting.percent(reached.mean_and_sd[0])} %)."
    )


def same_as_sentence(
    records: Sequence[Record], method: str, n_train: int | None, other: str
) -> str:
    """With how many labels `other` first reaches what `method` has with `n_train` labels."""
    chosen = comparable(records)
    cell = chosen.cell(method, n_train)
    if cell is None or other not in chosen.methods:
        return f"{title(method)} against {title(other)}: {_NOTHING}."
    mean = cell.mean_and_sd[0]
    reached = first_to_reach(chosen, other, mean)
    start = (
        f"What {_in_sentence(method)} reaches with {labels_in_words(n_train)} "
        f"({formatting.percent(mean)} %), {_in_sentence(other)} "
    )
    if reached is None:
        largest = max((c.n_train for c in chosen.cells if c.method == other), key=size_key)
        return start + f"does not reach with up to {labels_in_words(largest)}."
    return start + (
        f"reaches with {labels_in_words(reached.n_train)} "
        f"({formatting.percent(reached.mean_and_sd[0])} %)."
    )


def cost_sentence(records: Sequence[Record], method: str, n_train: int | None) -> str:
    """What one run of `method` with `n_train` labels took, and on which machine."""
    cell = comparable(records).cell(method, n_train)
    if cell is None:
        return f"{title(method)} with {labels_in_words(n_train)}: {_NOTHING}."
    machines = sorted({machine(record) for record in cell.records})
    seconds = cell.cost("wall_seconds")
    took = "times that differ by machine" if seconds is None else f"{_seconds(seconds)}"
    flops = cell.cost("flops")
    work = f" and {formatting.power_of_ten(flops)} FLOPs in the encoder" if flops else ""
    return (
        f"{title(method)} with {labels_in_words(n_train)} took {took}{work} per run "
        f"on {' and '.join(machines)}."
    )


def overview(records: Sequence[Record]) -> str:
    """Two or three sentences on one data set: the best result, and what few labels give.

    An oracle is not among the methods, unless there is nothing else.
    """
    usable = [record for record in records if not is_oracle(record.spec.method)]
    chosen = comparable(usable or records)
    best = max(chosen.cells, key=lambda cell: cell.mean_and_sd[0])
    where = f"On {chosen.dataset}{_stand_in(chosen)}"
    if len(chosen.cells) == 1:
        return (
            f"{where}, {_in_sentence(best.method)} with {labels_in_words(best.n_train)} "
            f"reaches {_score(best)}."
        )
    sentences = [
        f"{where}, the best of {len(chosen.methods)} methods is "
        f"{_in_sentence(best.method)} with {labels_in_words(best.n_train)}: {_score(best)}."
    ]
    fewest = [cell for cell in chosen.cells if cell.n_train == chosen.sizes[0]]
    if len(chosen.sizes) > 1 and len(fewest) > 1:
        first, second = sorted(fewest, key=lambda cell: -cell.mean_and_sd[0])[:2]
        sentences.append(
            f"With only {labels_in_words(chosen.sizes[0])}, {_in_sentence(first.method)} leads "
            f"with {_score(first)}, {_difference(first, second)}."
        )
    return " ".join(sentences)


def describe(record: Record) -> str:
    """One record in Markdown: what was run, what came out, what it cost, where it comes from."""
    spec, provenance = record.spec, record.provenance
    stale = " (stale: the code of its task or method has changed since)" if is_stale(record) else ""
    trial = ", a trial of hyper-parameters" if spec.split == "validation" else ""
    trained_on, answer = "Labels", "example"
    if spec.task in PRETRAINING:
        trained_on, answer = "Documents", "hidden token"
    n_train = "all" if spec.n_train is None else f"{spec.n_train:,}"
    available = provenance.get("n_train_available")
    estimate = statistics.score([record])
    hyper = ", ".join(f"{name}={value}" for name, value in sorted(spec.hyper.items()))
    facts = {
        "What was run": {
            "Task": spec.task,
            "Data set": spec.dataset,
            "Model": spec.model or "none",
            "Method": f"{title(spec.method)} ({spec.method})",
            trained_on: n_train + (f" of {available:,}" if available else ""),
            "Seeds": f"seed {spec.seed}, training subset {spec.data_seed}",
            "Profile": spec.profile,
            "Evaluated on": f"{spec.split} split, "
            f"{formatting.plural(estimate.n_examples, answer)}{trial}",
            "Hyper-parameters": hyper or "none",
        },
        "What came out": {
            **{name: f"{value:.4f}" for name, value in sorted(record.metrics.items())},
            f"95 % interval of the {_measure(record)}": (
                f"{formatting.interval(estimate.low, estimate.high)} % (over test examples; one "
                "seed)"
            ),
        },
        "What it cost": {name: _cost(name, value) for name, value in sorted(record.cost.items())},
        "Where it comes from": _origin(provenance),
    }
    sections = [f"## {heading}\n\n{_listing(entries)}" for heading, entries in facts.items()]
    return "\n".join([f"# Record {record.key}{stale}\n", *sections])


def _origin(provenance: dict[str, Any]) -> dict[str, str]:
    source, model = provenance["source"], provenance.get("model_source")
    versions = provenance.get("versions", {})
    dirty = " with uncommitted changes" if provenance.get("dirty") else ""
    hardware = provenance.get("hardware", {})
    return {
        "Data": _source(source),
        "Model weights": _source(model) if model else "none",
        "Machine": f"{hardware.get('cpu', 'unknown')}, {hardware.get('cores', '?')} cores, "
        f"GPU: {hardware.get('gpu') or 'none'}",
        "Ran on": f"{provenance.get('device', 'unknown')}, {provenance.get('threads', '?')} "
        f"threads, precision {provenance.get('precision', 'unknown')}",
        "Code": f"commit {provenance.get('commit', 'unknown')}{dirty}; versions of "
        + ", ".join(f"{part} {number}" for part, number in provenance["versions_of"].items()),
        "Libraries": ", ".join(f"{name} {version}" for name, version in versions.items()),
        "Created": str(provenance.get("created", "unknown")),
    }


def _source(source: dict[str, Any]) -> str:
    revision = f", revision {source['revision']}" if source.get("revision") else ""
    licence = f", licence: {source['licence']}" if source.get("licence") else ""
    location = source.get("location", source["kind"])
    return f"{source.get('id', '')} from {location}{revision}, content {source['fingerprint']}" + (
        licence
    )


def _listing(entries: dict[str, str]) -> str:
    return "".join(f"- {name}: {value}\n" for name, value in entries.items())


def _cost(name: str, value: float) -> str:
    if name.endswith("bytes"):
        return f"{formatting.mebibytes(value)} MiB"
    if name == "flops":
        return formatting.power_of_ten(value)
    return formatting.quantity(value)


def _in_sentence(method: str) -> str:
    """A method's title inside a sentence: only names like LoRA keep their capital."""
    words = title(method)
    return words if _has_capital(words.split()[0][1:]) else words[0].lower() + words[1:]


def _has_capital(text: str) -> bool:
    return text != text.lower()


def _measure(record: Record) -> str:
    return METRIC_TITLES[statistics.main_metric([record])]


def _score(cell: Cell) -> str:
    estimate, measure = cell.accuracy, _measure(cell.records[0])
    return (
        f"{formatting.percent(estimate.value)} %{f' {measure}' * (measure != 'accuracy')} "
        f"(95 % interval "
        f"{formatting.interval(estimate.low, estimate.high)}, "
        f"{formatting.plural(estimate.n_seeds, 'seed')})"
    )


def _difference(cell: Cell, other: Cell) -> str:
    """ "5.6 points above TF-IDF (interval of the difference 3.1–8.0)", by the paired bootstrap."""
    try:
        difference = statistics.paired_difference(cell.records, other.records)
    except CourseError:  # no seed in common, as while a sweep is under way
        difference = statistics.unpaired_difference(cell.records, other.records)
    sign, relation = (1, "above") if difference.value >= 0 else (-1, "below")
    low, high = sorted((sign * difference.low, sign * difference.high))
    return (
        f"{formatting.points(difference.value)} points {relation} {_in_sentence(other.method)} "
        f"(interval of the difference {formatting.interval(low, high)})"
    )


def _seconds(seconds: float) -> str:
    if seconds < 120:
        return f"{formatting.quantity(seconds)} seconds"
    return f"{formatting.quantity(seconds / 60)} minutes"


def _stand_in(chosen: Comparable) -> str:
    return " (embedded stand-in)" if is_embedded(chosen.records[0]) else ""
