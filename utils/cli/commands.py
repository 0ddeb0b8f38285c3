"""The commands of `course`; each calls the room that does the work and shows what came out."""

import json
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from utils import runtime
from utils.errors import CourseError

if TYPE_CHECKING:
    from utils.experiments import Record

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Run the lessons, measure models, regenerate the tables.",
)

Json = Annotated[bool, typer.Option("--json", help="Print JSON to stdout and nothing else.")]
ProfileOption = Annotated[
    str, typer.Option("--profile", "-p", help="smoke (seconds), quick (minutes) or full (hours).")
]
Lessons = Annotated[
    list[str] | None, typer.Argument(help="Numbers, names or files of lessons; default: all.")
]


def _print_json(content: Any) -> None:
    print(json.dumps(content, indent=2, ensure_ascii=False))


@app.command()
def run(
    lessons: Lessons = None,
    profile: ProfileOption = "quick",
    seeds: Annotated[int, typer.Option(help="Run each lesson with SEED = 0 … SEEDS-1.")] = 1,
    jobs: Annotated[int, typer.Option(help="Lessons at a time.")] = 1,
    timeout: Annotated[float | None, typer.Option(help="Seconds for one lesson.")] = None,
    cell_timeout: Annotated[float | None, typer.Option(help="Seconds for one cell.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the executed notebooks.")] = None,
    parameter: Annotated[
        list[str] | None, typer.Option(help="NAME=VALUE for the parameters cell; repeatable.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Execute lessons as notebooks and check that each did what it promises.

    JSON: profile, started, seconds, ok, folder, notebooks [{notebook, seed, status, seconds,
    output, records, records_run, optimiser_steps, figures, failing_cell, message, skipped, devices,
    peak_memory_bytes}].
    """
    from utils import suite
    from utils.suite.progress import Display, report

    console = Console(stderr=as_json)
    with Display(console) as display:
        result = suite.run(
            suite.find(lessons or []),
            profile=profile,
            parameters=suite.parse_parameters(parameter or []),
            seeds=seeds,
            jobs=jobs,
            timeout=timeout,
            cell_timeout=cell_timeout,
            out=out,
            on_progress=display,
        )
    report(console, result)
    if as_json:
        _print_json(result.as_json())
    raise typer.Exit(result.exit_code)


@app.command(name="list")
def list_lessons(as_json: Json = False) -> None:
    """List the lessons.

    JSON: a list of {number, name, title, minutes, parameters: {name: default}}.
    """
    from utils.suite import discover

    lessons = discover()
    if as_json:
        _print_json(
            [
                {
                    "number": lesson.number,
                    "name": lesson.name,
                    "title": lesson.title,
                    "minutes": lesson.minutes,
                    "parameters": {n: p.default for n, p in lesson.parameters.items()},
                }
                for lesson in lessons
            ]
        )
        return
    for lesson in lessons:
        print(f"{lesson.number}  {lesson.title}  ({lesson.minutes} min)")


@app.command()
def bench(
    grid: Annotated[str, typer.Argument(help="A grid (an unknown name lists them), or speed.")],
    profile: ProfileOption = "quick",
    dataset: Annotated[list[str] | None, typer.Option(help="Hub id; repeatable.")] = None,
    method: Annotated[list[str] | None, typer.Option(help="Method; repeatable.")] = None,
    n: Annotated[
        list[str] | None, typer.Option(help="Training examples, or all; repeatable.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Hub id of a pre-trained encoder.")] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="Number of seeds.")] = None,
    jobs: Annotated[
        int, typer.Option(min=1, help="Processes at a time; on Ray, experiments that share a GPU.")
    ] = 1,
    executor: Annotated[
        str, typer.Option(help="processes of this machine, or ray: a running Ray cluster.")
    ] = "processes",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say how long it takes.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="With speed: print a list of comparisons.")
    ] = False,
    part: Annotated[
        list[str] | None,
        typer.Option(help="With speed: encoder, pretraining, fine-tuning, features; repeatable."),
    ] = None,
) -> None:
    """Run a grid of experiments; what is recorded already is not run again.

    `speed` times our code beside the library's instead, in interleaved pairs: the encoder, the
    pre-training loop, fine-tuning and feature extraction, or of these only some parts. It takes
    about an hour on two cores.
    """
    if grid == "speed":
        return _speed(part, as_json)
    if as_json or part:
        raise CourseError("--json and --part go with `course bench speed` only. Leave them out.")
    from utils.experiments import Store, get_grid, predicted_seconds, run_grid

    options: dict[str, Any] = {
        "datasets": dataset,
        "methods": method,
        "seeds": seeds,
        "model": model,
    }
    if n:
        options["n_train"] = [_size(value) for value in n]
    given = {name: value for name, value in options.items() if value is not None}
    make = get_grid(grid)
    if useless := sorted(given.keys() - signature(make).parameters.keys()):
        raise CourseError(f"The grid {grid} has no choice of {', '.join(useless)}. Leave it out.")
    wanted = make(profile, **given)
    if not wanted.cells:
        raise CourseError(
            f"The grid {grid} has no experiment with these choices. Leave some out, or take "
            "another grid: entities, questions, summaries, translations."
        )
    trials, store = wanted.trials(), Store.default()
    seconds = predicted_seconds([*trials, *wanted.estimates()], store.records())
    hours = sum(seconds.values()) / 3600 / jobs
    print(
        f"{len(wanted.cells)} experiments and {len(trials)} trials, "
        f"{sum(s == 0 for s in seconds.values())} of them recorded: about {hours:.2f} hours left."
    )
    if dry_run:
        return
    result = run_grid(wanted, store, jobs=jobs, executor=executor)
    print(
        f"{result.n_run} run, {result.n_reused} reused, {result.optimiser_steps} optimiser steps, "
        f"{result.seconds:.0f} s. `course tables --own` renders them."
    )


def _speed(wanted: list[str] | None, as_json: bool) -> None:
    """Time our code beside the library's; a ratio above 1 means that ours is faster."""
    from utils.experiments.speed import speed_parts, speed_record

    parts = speed_parts()
    if unknown := set(wanted or ()) - parts.keys():
        raise CourseError(
            f"There is no part {', '.join(sorted(unknown))}. Parts: {', '.join(parts)}."
        )
    rows: list[dict[str, Any]] = []
    for name in wanted or parts:
        found = []
        for each in parts[name]():
            found.append(each)
            if not as_json:
                print(each, flush=True)
        record = speed_record(name, found)
        rows += record["comparisons"]
        created = record["provenance"]["created"].replace(":", "")
        path = runtime.runs_dir() / "speed" / f"{created}-{name}.json"
        runtime.write_atomically(path, json.dumps(record, indent=1) + "\n")
    if as_json:
        print(json.dumps(rows, indent=1))


def _size(value: str) -> int | None:
    if value == "all":
        return None
    if not value.isdecimal() or int(value) == 0:
        raise CourseError(f"{value!r} is no number of training examples: give 16, 2000, … or all.")
    return int(value)


@app.command()
def adapt(
    dataset: Annotated[
        str, typer.Argument(help="Hub id of a data set, or a CSV, JSONL or folder of your own.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for the model.")],
    method: Annotated[str, typer.Option(help="Method, such as full or lora.")] = "full",
    n: Annotated[str, typer.Option(help="Training examples, or all.")] = "all",
    task: Annotated[
        str | None, typer.Option(help="For a data set of several tasks: question-answering.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Hub id of a pre-trained encoder.")] = None,
    profile: ProfileOption = "quick",
    max_length: Annotated[int, typer.Option(min=16, help="Tokens of a text that are read.")] = 128,
    validation: Annotated[
        int, typer.Option(min=1, help="Examples that choose the best point of the training.")
    ] = 100,
    seed: Annotated[int, typer.Option(min=0)] = 0,
) -> None:
    """Adapt a model to a task once and keep it, for `course predict`.

    Columns of a file of your own: text and label; text, text_pair and label; tokens and tags;
    context, question and answer; text and summary; text and translation. A fifth of its rows is
    held out and scored. A folder with train.csv, validation.csv and test.csv (or .jsonl) keeps its
    own splits.
    """
    from utils.experiments import adapt_and_keep

    record = adapt_and_keep(
        dataset, method, _size(n), out,
        task=task, model=model, profile=profile, max_length=max_length,
        validation_limit=validation, seed=seed,
    )  # fmt: skip
    scores = ", ".join(f"{name} {value:.3f}" for name, value in record.metrics.items())
    print(f"{out}: {scores} ({record.cost['wall_seconds']:.0f} s of training).")


@app.command()
def predict(
    model: Annotated[Path, typer.Argument(help="Folder of a model that was kept.")],
    file: Annotated[Path, typer.Argument(help="CSV or JSONL with the texts.")],
    out: Annotated[
        Path | None,
        typer.Option(help="New CSV or JSONL for the results; default: JSONL to stdout."),
    ] = None,
) -> None:
    """Let a saved model classify, translate or sum up texts, find entities or answer questions.

    Columns: text (classification, entities, translation, summaries), text and text_pair (sentence
    pairs), question and context (question answering). The columns of the file are kept. An
    interrupted call leaves what it has done beside OUT: of reviews.csv, in reviews.part.csv.
    """
    from utils.cli.predicting import predict_file

    n_rows = predict_file(model, file, out)
    if out:
        print(f"{out}: {n_rows} rows.")


@app.command()
def tables(
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; fail if a page differs.")
    ] = False,
    own: Annotated[
        bool, typer.Option("--own", help="Render this machine's own records into runs/.")
    ] = False,
) -> None:
    """Render tables, figures and README blocks from the published records (or from your own)."""
    from utils import report
    from utils.suite import shown

    if own:
        page, *_ = report.write_own()
        print(f"Tables and figures of your own runs: {shown(page)}")
        return
    results, readme = runtime.results_dir(), runtime.project_root() / "README.md"
    changes = report.check(results, readme) if check else report.write(results, readme)
    for change in changes:
        print(f"{change.kind:8} {shown(change.path)} {change.detail}".rstrip())
    if check and changes:
        print("These differ from the records. `course tables` renders them anew.")
        raise typer.Exit(1)
    print("Everything is as the records say." if not changes else f"{len(changes)} files written.")


@app.command(name="check")
def check_claims(as_json: Json = False) -> None:
    """List the claims of all lessons with their verdicts on the published records.

    A claim that fails is a result, not an error: the exit status is 0 unless a claim or a record
    cannot be read. JSON: a list of {lesson, text, kind, threshold, model, verdict, difference, low,
    high, p, p_holm, n_seeds, records, metric}.
    """
    from utils.experiments import published_records
    from utils.lesson import evaluate
    from utils.suite import claims_of, discover

    claims = [claim for lesson in discover() for claim in claims_of(lesson)]
    verdicts = evaluate(claims, published_records())
    if as_json:
        _print_json([verdict.as_dict() for verdict in verdicts])
        return
    for verdict in verdicts:
        print(f"{verdict.claim.lesson}  {verdict.plain()}\n")
    counts = {v.verdict: sum(w.verdict == v.verdict for w in verdicts) for v in verdicts}
    print(f"{len(verdicts)} claims: " + ", ".join(f"{n} {name}" for name, n in counts.items()))


@app.command()
def doctor(as_json: Json = False) -> None:
    """Say what this machine offers: device, precision, sources, disk, versions.

    JSON: ok, problems, device, precision, hardware, sources, runs, versions.
    """
    from utils.cli.doctor import examine, in_words

    facts = examine()
    if as_json:
        _print_json(facts)
    else:
        print(in_words(facts))
    raise typer.Exit(0 if facts["ok"] else 1)


@app.command()
def compare(
    a: Annotated[Path, typer.Argument(help="Records: a folder or a .jsonl file.")],
    b: Annotated[Path, typer.Argument(help="Records to compare with A.")],
    as_json: Json = False,
) -> None:
    """Compare two sets of records, metric by metric; exit status 1 if B is worse anywhere.

    JSON: {worse, rows [{dataset, model, method, n_train, metric, a, b, difference, low, high, p,
    verdict, note}], only_in_a, only_in_b}.
    """
    from utils import report
    from utils.experiments import read_records

    result = report.compare(read_records(a), read_records(b))
    if as_json:
        _print_json(
            {
                "worse": result.is_worse,
                "rows": [vars(row) for row in result.rows],
                "only_in_a": result.only_in_a,
                "only_in_b": result.only_in_b,
            }
        )
    else:
        print(result.table().markdown())
        print(f"\n{result.summary()}")
    raise typer.Exit(int(result.is_worse))


@app.command()
def show(
    record: Annotated[str, typer.Argument(help="Key of a record (or its start), or a file.")],
    as_json: Json = False,
) -> None:
    """Show one record: what was run, what came out, what it cost, where it comes from."""
    from utils.report import describe

    found = _find_record(record)
    if as_json:
        _print_json(found.model_dump(mode="json"))
    else:
        print(describe(found))


def _find_record(key: str) -> Any:
    from utils.experiments import Store, published_records, read_records

    if Path(key).is_file():
        (record,) = read_records(Path(key))[:1]
        return record
    known = {r.key: r for r in [*Store.default().records(), *published_records()]}
    found = [record for name, record in sorted(known.items()) if name.startswith(key)]
    if len(found) != 1:
        what = f"{len(found)} records start with" if found else "No record has the key"
        raise CourseError(
            f"{what} {key!r} among the {len(known)} published ones and your own. The tables in "
            "results/tables/*.csv list the keys behind every number."
        )
    return found[0]


@app.command()
def publish(
    grid: Annotated[str | None, typer.Argument(help="Name of the grid to publish.")] = None,
    source: Annotated[
        Path | None, typer.Option("--from", help="Folder of records; default: your own.")
    ] = None,
    timings: Annotated[
        Path | None, typer.Option(help="Folder of a suite run: publish times and memory instead.")
    ] = None,
) -> None:
    """Promote records of profile full on real data to results/, and render everything anew."""
    from utils import report
    from utils.experiments import Store, read_records
    from utils.suite import shown
    from utils.suite.timings import publish_timings

    if timings is not None:
        print(f"Published: {shown(publish_timings(timings))}")
        return
    if grid is None:
        raise CourseError("Say what to publish: the name of a grid, speed, or --timings FOLDER.")
    results, readme = runtime.results_dir(), runtime.project_root() / "README.md"
    if grid == "speed":
        changes = report.publish_speed(source or runtime.runs_dir(), results, readme)
    else:
        records = read_records(source) if source else Store.default().records()
        done = report.publish(publishable(grid, records), results, name=grid, readme=readme)
        print(
            f"{len(done.added)} records added, {len(done.unchanged)} published before, "
            f"{len(done.superseded)} superseded."
        )
        changes = done.changes
    for change in changes:
        print(f"{change.kind:8} {shown(change.path)}")


@app.command()
def ship(
    record: Annotated[str, typer.Argument(help="Key of a pre-training run (or its start).")],
    name: Annotated[str, typer.Argument(help="Name of the checkpoint.")] = "course-bert-mini",
) -> None:
    """Put a model that was pre-trained here into results/checkpoints, with a model card."""
    from utils.report import ship as ship_checkpoint
    from utils.suite import shown

    print(f"Shipped: {shown(ship_checkpoint(_find_record(record), name))}")


def publishable(grid: str, records: "list[Record]") -> "list[Record]":
    """Those of profile full that belong to the grid: its tasks, data sets and kind of model, and
    what else its models are tested on.

    Its pre-training is part of it, and only then are models that a run left behind.

    Raises:
        CourseError: for an unknown grid.
    """
    from utils.experiments import Spec, get_grid
    from utils.sources import is_run_model

    def kind(spec: Spec) -> tuple[str, str, bool, tuple[str, ...]]:
        return spec.task, spec.dataset, is_run_model(spec.model), tuple(spec.also)

    full_grid = get_grid(grid)("full")
    wanted = {kind(spec) for spec in [*full_grid.pretraining, *full_grid.cells]}
    return [
        record
        for record in records
        if record.spec.profile == "full" and kind(record.spec) in wanted
    ]


@app.command()
def pin(
    ids: Annotated[list[str] | None, typer.Argument(help="Hub ids; default: all known.")] = None,
) -> None:
    """Ask the Hub for the present revisions of data sets and models, and write them down."""
    from utils import sources
    from utils.sources.revisions import revisions

    for name, revision in sources.pin(ids or list(revisions())).items():
        print(f"{name}  {revision}")


@app.command()
def sync() -> None:
    """Write the notebooks from notebooks/source, keeping the outputs of unchanged cells."""
    from utils.suite import shown
    from utils.suite.pairing import sync as sync_all

    changed = sync_all()
    for path in changed:
        print(shown(path))
    print(f"{len(changed)} notebooks written." if changed else "All notebooks are in sync.")


@app.command()
def record(
    folder: Annotated[
        Path, typer.Argument(help="Folder of a quick run, such as runs/2026…-quick.")
    ],
) -> None:
    """Put the outputs of an executed quick run into the notebooks of the course."""
    from utils.suite import find
    from utils.suite.pairing import record as record_outputs

    executed = sorted(folder.glob("[0-9][0-9]_*.ipynb"))
    if not executed:
        raise CourseError(f"There are no executed notebooks in {folder}.")
    for path in executed:
        (notebook,) = find([path.stem])
        record_outputs(path, notebook)
        print(f"Recorded {notebook.name}")


@app.command()
def stamp(
    check: Annotated[bool, typer.Option("--check", help="Change nothing; fail if stale.")] = False,
) -> None:
    """Write badges, first cells and the lesson table, from the repository in pyproject.toml."""
    from utils.suite import shown
    from utils.suite.stamping import stamp as stamp_all

    changed = stamp_all(check=check)
    for path in changed:
        print(shown(path))
    if check and changed:
        print("These are not as `course stamp` writes them.")
        raise typer.Exit(1)
    print(f"{len(changed)} files {'differ' if check else 'written'}.")


@app.command(hidden=True)
def lock() -> None:
    """Write the versions that are installed here into requirements.lock and environment.yml."""
    from utils.cli.locking import write
    from utils.suite import shown

    for path in write():
        print(shown(path))
