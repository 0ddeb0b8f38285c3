"""`course predict`: a table of new texts in, the same table with what a saved model says out."""

import csv
import io
import json
import sys
from pathlib import Path
from typing import Any

from utils import runtime
from utils.errors import CourseError

Row = dict[str, Any]


def predict_file(model: Path, file: Path, out: Path | None) -> int:
    """Read `file`, predict, and write its rows with the new columns to `out` or to stdout.

    Returns:
        The number of rows.

    Raises:
        CourseError: as `utils.adaptation.saved.predict_table`; for a file that is no table of text;
            if `out` is the file itself, or a result would take the place of one of its columns.
    """
    if out is not None and out.resolve() == file.resolve():
        raise CourseError(f"The results would replace {file}. Give --out another name.")
    write = _WRITERS[_kind(out)] if out else _as_jsonl
    rows = read_rows(file)
    from utils.adaptation.saved import predict_table

    table = {name: [row.get(name, "") for row in rows] for name in (rows[0] if rows else ())}
    results = predict_table(model, table) if rows else []
    if results and (taken := results[0].keys() & rows[0].keys()):
        raise CourseError(
            f"{file.name} has a column {min(taken)!r} already, which the results would replace. "
            "Rename it."
        )
    text = write([row | result for row, result in zip(rows, results, strict=True)])
    if out:
        runtime.write_atomically(out, text)
    else:
        sys.stdout.write(text)
    return len(rows)


def read_rows(file: Path) -> list[Row]:
    """Rows of a .csv with a line of column names, or of a .jsonl.

    Raises:
        CourseError: if there is no such file, or it is not what its name says.
    """
    kind = _kind(file)
    try:
        text = file.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise CourseError(f"There is no file {file}.") from None
    except UnicodeDecodeError as error:
        raise CourseError(
            f"{file.name} is not UTF-8 (byte {error.start}). Save it as UTF-8."
        ) from error
    return _READERS[kind](text, file.name)


def _from_csv(text: str, name: str) -> list[Row]:
    csv.field_size_limit(sys.maxsize)  # a long text is no error
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    rows = []
    try:
        for row in reader:
            if None in row or None in row.values():
                raise CourseError(
                    f"{name}, line {reader.line_num}, has not as many cells as there are columns. "
                    "Put texts with commas in quotation marks."
                )
            rows.append(row)
    except csv.Error as error:
        raise CourseError(f"{name}, line {reader.line_num}, is no CSV: {error}.") from error
    return rows


def _from_jsonl(text: str, name: str) -> list[Row]:
    rows = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise CourseError(f"{name}, line {number}, is no JSON: {error}.") from error
        if not isinstance(row, dict):
            raise CourseError(f"{name}, line {number}, is no JSON object with named values.")
        rows.append(row)
    return rows


def _as_csv(rows: list[Row]) -> str:
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, list(rows[0]) if rows else [])
    writer.writeheader()
    for row in rows:
        writer.writerow({name: _cell(value) for name, value in row.items()})
    return file.getvalue()


def _cell(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list) else value


def _as_jsonl(rows: list[Row]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


_READERS = {".csv": _from_csv, ".jsonl": _from_jsonl}
_WRITERS = {".csv": _as_csv, ".jsonl": _as_jsonl}


def _kind(file: Path) -> str:
    if file.suffix not in _READERS:
        raise CourseError(f"{file.name} ends neither in .csv nor in .jsonl. Convert it to one.")
    return file.suffix
