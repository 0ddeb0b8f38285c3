"""`course predict`: a table of new texts in, the same table with what a saved model says out."""

import csv
import io
import json
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from utils.errors import CourseError
from utils.sources.rows import Row, format_of, read_rows

_AT_ONCE = 1000
"""Rows that are predicted before they are written: what an interruption can lose."""


def predict_file(model: Path, file: Path, out: Path | None) -> int:
    """Read `file`, predict, and write its rows with the new columns to `out` or to stdout.

    All that can be wrong with the call or with the rows is found before anything is predicted. What
    is interrupted leaves its finished rows beside `out`: of `reviews.csv`, in `reviews.part.csv`.

    Returns:
        The number of rows.

    Raises:
        CourseError: as `read_rows` and `utils.adaptation.saved.check_table`; if `out` cannot be
            written or is there already, or a result would take the place of a column.
    """
    if out is not None:
        _check_place(out, file)
    rows = read_rows(file)
    from utils.adaptation import saved

    columns = list(dict.fromkeys(name for row in rows for name in row))
    results = saved.result_columns(model)
    if taken := sorted(set(results) & set(columns)):
        raise CourseError(
            f"{file.name} has a column {taken[0]!r} already, which the results would replace. "
            "Rename it."
        )
    saved.check_table(model, _table(rows, columns))
    predicted = _predicted(model, rows, columns)
    if out is not None:
        _write(predicted, out, [*columns, *results], len(rows))
    else:
        for some in predicted:
            _print(_as_jsonl(some))
    return len(rows)


def _check_place(out: Path, file: Path) -> None:
    format_of(out)
    if os.path.exists(out) and os.path.exists(file) and os.path.samefile(out, file):
        raise CourseError(f"The results would replace {file}. Give --out another name.")
    if os.path.isdir(out):
        raise CourseError(f"{out} is a folder. Give --out the name of a file.")
    _check_free(out)
    if os.path.lexists(_part(out)):
        raise CourseError(
            f"{_part(out)} exists already; an interrupted call leaves its finished rows there. "
            "Rename or remove it."
        )


def _check_free(out: Path) -> None:
    if os.path.lexists(out):
        raise CourseError(f"{out} exists already. Give --out another name, or remove it.")


def _part(out: Path) -> Path:
    return out.with_stem(f"{out.stem}.part")


def _table(rows: list[Row], columns: list[str]) -> dict[str, list[Any]]:
    return {name: [row.get(name) for row in rows] for name in columns}


def _predicted(model: Path, rows: list[Row], columns: list[str]) -> Iterator[list[Row]]:
    """The rows with their results, some at a time."""
    from utils.adaptation import saved

    for start in range(0, len(rows), _AT_ONCE):
        some = rows[start : start + _AT_ONCE]
        results = saved.predict_table(model, _table(some, columns))
        yield [row | result for row, result in zip(some, results, strict=True)]


def _write(predicted: Iterable[list[Row]], out: Path, columns: list[str], n_rows: int) -> None:
    """Write to a file beside `out`, which becomes `out` when it is complete."""
    part, is_csv, done = _part(out), format_of(out) == ".csv", 0
    _create(part)
    try:
        if is_csv:
            _append(part, _as_csv([{name: name for name in columns}], columns))
        for rows in predicted:
            _append(part, _as_csv(rows, columns) if is_csv else _as_jsonl(rows))
            done += len(rows)
        _check_free(out)
        part.rename(out)
    except BaseException as error:
        if not done:
            part.unlink(missing_ok=True)
            raise
        kept = f"The first {done} of {n_rows} rows are kept, with their results, in {part}."
        if isinstance(error, CourseError):
            raise CourseError(f"{error} {kept}") from error
        print(kept, file=sys.stderr)
        raise


def _create(file: Path) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(exist_ok=False)
    except OSError as error:
        raise CourseError(
            f"Cannot write {file} ({error.strerror}). Make its folder writable, or give --out "
            "another place."
        ) from error


def _append(file: Path, text: str) -> None:
    """Add the text to the file, all of it or nothing."""
    size = file.stat().st_size
    try:
        with file.open("ab") as stream:
            stream.write(text.encode())
            stream.flush()
            os.fsync(stream.fileno())
    except BaseException as error:
        os.truncate(file, size)
        if isinstance(error, OSError):
            raise CourseError(
                f"Cannot write {file} ({error.strerror}). Free some space, then run the command "
                "again."
            ) from error
        raise


def _print(text: str) -> None:
    """Print in UTF-8, whatever the terminal is set to."""
    if hasattr(sys.stdout, "buffer"):
        sys.stdout.buffer.write(text.encode())
    else:  # in a notebook
        sys.stdout.write(text)
    sys.stdout.flush()


def _as_csv(rows: list[Row], columns: list[str]) -> str:
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, columns)
    for row in rows:
        writer.writerow({name: _cell(value) for name, value in row.items()})
    return file.getvalue()


def _cell(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else value


def _as_jsonl(rows: list[Row]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
