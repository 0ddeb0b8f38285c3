"""The pages of results: all tables, figures and README blocks, rendered from records and checked.

`changes` renders everything and says what on disk differs from it; `check` is that, and `write`
carries it out. Tables and blocks are compared byte by byte. Figures are not: another version of
Matplotlib draws other bytes. `figures/figures.json` holds, for each figure, a hash of the numbers
drawn (`data`) and of the file as written (`file`); as long as both still agree with the records and
the file on disk, the figure counts as up to date and is not drawn again.
"""

import hashlib
import json
import os
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path
from typing import Literal

from utils import runtime
from utils.errors import CourseError
from utils.experiments import Record, Store, is_stale, published_records
from utils.report import facts, figures, formatting, prose, speed, tables
from utils.report.blocks import update_blocks
from utils.report.figures import Plot
from utils.report.ladder import is_probe, layer_plot, trained_weights_plot
from utils.report.objectives import belongs, objectives_table
from utils.report.pretraining import (
    pretraining_cost_table,
    pretraining_plot,
    pretraining_sentence,
    pretraining_table,
)
from utils.report.selection import dataset_title, is_embedded, latest, origin
from utils.report.tables import Table
from utils.tasks import ALL_METRICS, get_task, language_modelling

README_BLOCK = "results-at-a-glance"
RESULTS_BLOCK = "results"
NOTHING_YET = "Nothing has been published yet."

_NEW_PAGE = (
    "# Results\n\nAll tables and figures here are rendered from records by `course tables`; "
    f"nothing is typed by hand.\n\n<!-- course:begin {RESULTS_BLOCK} -->\n"
    f"<!-- course:end {RESULTS_BLOCK} -->\n"
)
_DATA = {
    "real": "real data",
    "embedded": "embedded stand-in",
    "generated": "generated data",
}
_GENERATED_FOLDERS = ("tables", "figures")


@dataclass(frozen=True)
class Change:
    """A file that is not what the records say: what happened (or has to happen) to it."""

    path: Path
    kind: Literal["added", "changed", "removed"]
    detail: str = ""


def render_all(
    directory: Path, readme: Path | None = None, *, newest_only: bool = False
) -> dict[Path, bytes]:
    """Every generated file of a folder of results, as it should be: path → content.

    Args:
        directory: holds `records/`; tables, figures and the page README.md belong beside it.
        readme: the project's README, if its block is to be rendered too.
        newest_only: where records cannot stand in one table, keep those that fit the newest; for
            the runs of one's own. Published records that do not fit are an error.

    Raises:
        CourseError: for records that cannot stand in one table, faulty markers in a page, or a
            faulty file of records.
    """
    return render(read_all(directory), directory, readme, newest_only=newest_only)


def check(directory: Path, readme: Path | None = None) -> list[Change]:
    """What `write` would change: empty if everything on disk is as the records say."""
    return _changes(render_all(directory, readme), directory, remove=True)


def write(
    directory: Path, readme: Path | None = None, *, newest_only: bool = False
) -> list[Change]:
    """Render and write everything that differs; see `render_all`. Returns what changed.

    Files in `tables/` and `figures/` that no record stands behind are removed, except with
    `newest_only`: a folder of runs may hold tables of other origin.
    """
    rendered = render_all(directory, readme, newest_only=newest_only)
    return apply(rendered, directory, remove=not newest_only)


def write_own(directory: Path | None = None) -> list[Path]:
    """Tables and figures of the runs made here, into `runs/`; returns their paths, page first."""
    directory = directory or runtime.runs_dir()
    rendered = render_all(directory, newest_only=True)
    apply(rendered, directory, remove=False)
    return sorted(rendered, key=lambda path: (path.name != "README.md", path))


def apply(rendered: dict[Path, bytes], directory: Path, *, remove: bool) -> list[Change]:
    """Write what differs from `rendered`, each file at once or not at all."""
    changes = _changes(rendered, directory, remove=remove)
    for change in changes:
        if change.kind == "removed":
            change.path.unlink()
        else:
            runtime.write_atomically(change.path, rendered[change.path])
    return changes


def read_all(directory: Path) -> list[Record]:
    """Records published (JSONL) or run (JSON) below `directory`; none is an empty list."""
    return [*published_records(directory), *Store(directory / "records").records()]


def render(
    records: Iterable[Record], directory: Path, readme: Path | None, *, newest_only: bool = False
) -> dict[Path, bytes]:
    """Like `render_all`, from the records given."""
    records = list(records)
    compared = [record for record in records if belongs(record)]
    others = [record for record in records if not belongs(record)]
    groups = [
        _Group.of(name, model, latest(group) if newest_only else group, len(group))
        for name, (model, group) in _grouped(others).items()
    ]
    groups += _objectives(compared)
    groups += _speed(directory)
    files = {directory / "tables" / name: text.encode() for g in groups for name, text in g.files()}
    files |= _figures({name: plot for g in groups for name, plot in g.plots.items()}, directory)
    page = directory / "README.md"
    text = page.read_text(encoding="utf-8") if page.exists() else _NEW_PAGE
    content = "\n\n".join(group.page() for group in groups) or NOTHING_YET
    files[page] = update_blocks(text, {RESULTS_BLOCK: content}, page.name).encode()
    if readme is not None:
        files[readme] = _readme(groups, directory, readme)
    return files


def _readme(groups: list["_Group"], directory: Path, readme: Path) -> bytes:
    if not readme.exists():
        raise CourseError(f"There is no file {readme.name} to put results into.")
    folder = Path(os.path.relpath(directory, readme.parent)).as_posix()
    parts = [group.at_a_glance(folder) for group in groups if group.plots or not group.tables]
    closing = (
        "Each cell is the mean ± standard deviation over seeds, whose number follows in brackets "
        "where it is not the usual one. All tables, with costs, sources and what each number rests "
        f"on: [{folder}/README.md]({folder}/README.md)."
    )
    content = "\n\n".join([*parts, closing]) if parts else NOTHING_YET
    text = readme.read_text(encoding="utf-8")
    return update_blocks(text, {README_BLOCK: content}, readme.name).encode()


@dataclass(frozen=True)
class _Group:
    """What is shown of one data set and model: tables and plots by file name, sentences."""

    name: str
    heading: str
    summary: str
    tables: list[Table]
    plots: dict[str, Plot]

    @classmethod
    def of(cls, name: str, model: str | None, records: list[Record], n_before: int) -> "_Group":
        """The contents; `model` is named in all of them if it is given."""
        first = records[0]
        dataset = dataset_title(first.spec.dataset)
        subject = dataset + (f" with {model}" if model else "")
        heading = f"{subject} ({_DATA[origin(first)]}, profile {first.spec.profile})"
        if all(is_stale(record) for record in records):
            stale = formatting.plural(len(records), "record")
            return cls(
                name, heading, f"Of {subject} there are only stale records ({stale}).", [], {}
            )
        summary, shown, plots = _contents(records)
        if n_before > len(records):
            summary += (
                f" {formatting.plural(n_before - len(records), 'record')} with older settings or "
                "data left out."
            )
        if model:
            shown = [_table_about(model, table) for table in shown]
            plots = {kind: _plot_about(model, plot) for kind, plot in plots.items()}
        if facts.references(first.spec.dataset):
            shown.append(tables.reference_table(first.spec.dataset))
        files = {f"{kind}_{name}.svg": plot for kind, plot in plots.items() if plot.drawable}
        return cls(name, heading, summary, shown, files)

    def files(self) -> Iterable[tuple[str, str]]:
        """Names and texts of the tables' files."""
        for table in self.tables:
            yield f"{table.name}_{self.name}.md", table.markdown()
            yield f"{table.name}_{self.name}.csv", table.csv()

    def page(self) -> str:
        """The section on the page of results."""
        images = [_image(plot, f"figures/{name}") for name, plot in self.plots.items()]
        sections = [table.markdown() + self._csv_link(table, ".") for table in self.tables]
        return "\n\n".join([f"## {self.heading}", self.summary, *images, *sections])

    def at_a_glance(self, folder: str) -> str:
        """The section in the project's README: one sentence, one table, one figure."""
        page = f"{folder}/README.md#{_anchor(self.heading)}"
        more = f"[Costs, sources, seeds and records]({page})."
        parts = [f"### {self.heading}", f"{self.summary} {more}"]
        if self.tables:
            parts.append(replace(self.tables[0], notes=[]).markdown().rstrip())
            name, plot = next(iter(self.plots.items()))
            parts.append(_image(plot, f"{folder}/figures/{name}"))
        return "\n\n".join(parts)

    def _csv_link(self, table: Table, folder: str) -> str:
        name = f"{table.name}_{self.name}.csv"
        return f"- As CSV: [{name}]({folder}/tables/{name})"


def _objectives(records: list[Record]) -> list[_Group]:
    """The section of lesson 04, a page for each profile and source of text."""
    found: dict[str, list[Record]] = defaultdict(list)
    for record in sorted(records, key=lambda record: record.key):
        suffix = _suffix(record.spec.profile, is_embedded(record))
        found[f"pretraining{suffix}"].append(record)
    groups = []
    for name, group in sorted(found.items()):
        try:
            table = objectives_table(group)
        except CourseError:  # pre-trained, and nothing measured yet
            continue
        where = f"{_DATA[origin(group[0])]}, profile {group[0].spec.profile}"
        heading = f"Pre-training objectives ({where})"
        summary = "Models of one shape, pre-trained on one text with different questions."
        groups.append(_Group(name, heading, summary, [table], {}))
    return groups


def _speed(directory: Path) -> list[_Group]:
    """The section of `course bench speed`, for each kind of device."""
    return [
        _Group(
            device,
            f"Speed ({device.upper()})",
            "The course's code beside the libraries', on the same work.",
            [speed.speed_table(parts)],
            {},
        )
        for device, parts in sorted(speed.read(directory).items())
    ]


def _contents(records: list[Record]) -> tuple[str, list[Table], dict[str, Plot]]:
    """A summary, tables and plots by kind; the first of each stands in the project's README."""
    if records[0].spec.task == language_modelling.NAME:
        shown = [pretraining_table(records), pretraining_cost_table(records)]
        return pretraining_sentence(records), shown, {"pretraining": pretraining_plot(records)}
    probes = [record for record in records if is_probe(record)]
    records = [record for record in records if not is_probe(record)]
    usual = [record for record in records if record.spec.method in _USUAL] or records
    shown = [tables.learning_curve_table(usual), tables.cost_table(records)]
    if records[0].spec.task in ALL_METRICS:
        shown.insert(1, tables.metrics_table(records))
    if len(usual) < len(records):
        shown.insert(1, replace(tables.learning_curve_table(records), name="ladder"))
    plots = {}
    # With one number of labels there is nothing to draw or to reach. Baselines may have more.
    adapted = [record for record in usual if record.spec.model] or usual
    several_sizes = len({record.spec.n_train for record in adapted}) > 1
    if several_sizes:
        metric = get_task(records[0].spec.task).METRIC
        shown.insert(1, tables.cost_to_reach_table(usual))
        plots = {
            "learning-curves": figures.learning_curve_plot(usual),
            f"{metric}-by-seconds": figures.cost_curve_plot(usual, "wall_seconds"),
            f"{metric}-by-flops": figures.cost_curve_plot(usual, "flops"),
        }
    several_methods = len({record.spec.method for record in records}) > 1
    if len(usual) < len(records) or (several_methods and not several_sizes):
        plots["trained-weights"] = trained_weights_plot(records)
    if probes:
        plots["layers"] = layer_plot(probes)
    return prose.overview(records), shown, plots


_USUAL = (
    *("majority", "word-lookup", "tfidf", "span-baseline"),
    *("frozen", "frozen-spans", "frozen-random", "lora", "full", "random-init", "encoder-decoder"),
)
"""Methods that stand in the first table and in learning curves; of more, no line can be told from
the next. All others are in the table of the ladder."""


def _table_about(model: str, table: Table) -> Table:
    return replace(table, caption=f"{table.caption}; model: {model}")


def _plot_about(model: str, plot: Plot) -> Plot:
    alt_text = f"{plot.alt_text} The model is {model}."
    return replace(plot, note=f"Model: {model}.\n{plot.note}", alt_text=alt_text)


def _grouped(records: Iterable[Record]) -> dict[str, tuple[str | None, list[Record]]]:
    """Records of the reported split by data set, model, profile and source; key: end of file names.

    Records of methods without a model go with each model of the data set. The model comes with its
    records where there are several. Within a group they are sorted by key, so that pages do not
    depend on which file a record lies in.
    """
    by_data: dict[tuple[str, str, bool], list[Record]] = defaultdict(list)
    for record in sorted(records, key=lambda record: record.key):
        if record.spec.split == "test":
            key = (record.spec.dataset, record.spec.profile, is_embedded(record))
            by_data[key].append(record)
    groups: dict[str, tuple[str | None, list[Record]]] = {}
    for (dataset, profile, embedded), group in sorted(by_data.items()):
        suffix = _suffix(profile, embedded)
        models = sorted({r.spec.model for r in group if r.spec.model is not None})
        choices: list[str | None] = [*models] or [None]
        for model in choices:
            named = model if len(models) > 1 else None
            name = _slug(dataset) + (f"_{_slug(named)}" if named else "")
            groups[name + suffix] = (named, [r for r in group if r.spec.model in (None, model)])
    return groups


def _suffix(profile: str, embedded: bool) -> str:
    """Of a file's name; the published case, real data in full, needs no word in it."""
    return f"_{profile}" * (profile != "full") + "_embedded" * embedded


def _figures(plots: dict[str, Plot], directory: Path) -> dict[Path, bytes]:
    """The figures' files and the list of their hashes; what is up to date on disk is kept."""
    folder = directory / "figures"
    listing = folder / "figures.json"
    known = _known_hashes(listing)
    files: dict[Path, bytes] = {}
    hashes: dict[str, dict[str, str]] = {}
    for name, plot in sorted(plots.items()):
        content = _up_to_date(folder / name, known.get(name, {}), plot.digest())
        if content is None:
            content = figures.svg(plot.figure())
        files[folder / name] = content
        hashes[name] = {"data": plot.digest(), "file": hashlib.sha256(content).hexdigest()}
    files[listing] = (json.dumps(hashes, indent=1, sort_keys=True) + "\n").encode()
    return files


def _known_hashes(listing: Path) -> dict[str, dict[str, str]]:
    try:
        found = json.loads(listing.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # missing or spoilt: everything is drawn anew
        return {}
    return found if isinstance(found, dict) else {}


def _up_to_date(path: Path, known: dict[str, str], digest: str) -> bytes | None:
    if known.get("data") != digest or not path.exists():
        return None
    content = path.read_bytes()
    return content if hashlib.sha256(content).hexdigest() == known.get("file") else None


def _changes(rendered: dict[Path, bytes], directory: Path, *, remove: bool) -> list[Change]:
    changes = [
        Change(path, "changed" if path.exists() else "added", _first_difference(path, content))
        for path, content in rendered.items()
        if not path.exists() or path.read_bytes() != content
    ]
    on_disk = [path for name in _GENERATED_FOLDERS for path in (directory / name).glob("*")]
    if remove:
        changes += [
            Change(path, "removed", "no record stands behind it")
            for path in on_disk
            if path.is_file() and path not in rendered
        ]
    return sorted(changes, key=lambda change: change.path)


def _first_difference(path: Path, content: bytes) -> str:
    """Which line differs first and how, for text files."""
    if not path.exists():
        return "it does not exist"
    if path.suffix == ".svg":
        return "it is not the figure that was written for these numbers"
    now = path.read_text(encoding="utf-8", errors="replace").splitlines()
    lines = zip_longest(now, content.decode().splitlines(), fillvalue="")
    for number, (found, expected) in enumerate(lines, start=1):
        if found != expected:
            return (
                f"line {number} is {_shortened(found)}, but the records say {_shortened(expected)}"
            )
    return "line ends differ"


def _shortened(line: str) -> str:
    return repr(line if len(line) <= 120 else line[:119] + "…")


def _image(plot: Plot, path: str) -> str:
    description = plot.alt_text.translate(str.maketrans("", "", "[]"))
    return f"![{description}]({path})"


def _anchor(heading: str) -> str:
    """The fragment that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
