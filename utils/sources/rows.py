"""Tables in files of the user: CSV and JSONL, read row by row."""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from utils.errors import CourseError

Row = dict[str, Any]
"""The cells of a row by the names of their columns: texts from a CSV, anything from a JSONL."""


def read_rows(file: Path) -> list[Row]:
    """Rows of a .csv with a line of column names, or of a .jsonl; at least one.

    Blank lines at the end of a CSV, and anywhere in a JSONL, are no rows.

    Raises:
        CourseError: if the file cannot be read, is not what its name says, or holds no rows. The
            message names the line.
    """
    read = _READERS[format_of(file)]
    rows = read(_text(file), file.name)
    if not rows:
        raise CourseError(f"{file.name} holds no rows. Give a file with at least one.")
    return rows


def format_of(file: Path) -> str:
    """`.csv` or `.jsonl`, by the end of the file's name.

    Raises:
        CourseError: if it ends otherwise.
    """
    ending = file.suffix.lower()
    if ending not in _READERS:
        raise CourseError(f"{file} ends neither in .csv nor in .jsonl. Convert it to one.")
    return ending


def _text(file: Path) -> str:
    try:
        if file.is_dir():
            raise CourseError(f"{file} is a folder. Give a file.")
        content = file.read_bytes()  # as text, the ends of lines within cells would be changed
        return content.decode("utf-8-sig")
    except FileNotFoundError:
        raise CourseError(f"There is no file {file}.") from None
    except OSError as error:
        raise CourseError(
            f"Cannot read {file} ({error.strerror}). Make it readable, or give another file."
        ) from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise CourseError(f"{file.name}, line {line}, is not UTF-8. Save it as UTF-8.") from error


def _from_csv(text: str, name: str) -> list[Row]:
    lines = list(_lines_of_cells(text, name))
    while lines and not lines[-1][1]:
        lines.pop()
    if not lines:
        return []
    (_, header), *body = lines
    _check_header(header, name)
    rows = []
    for line, cells in body:
        if not cells and len(header) == 1:
            cells = [""]
        if len(cells) != len(header):
            raise CourseError(
                f"{name}, line {line}, has not as many cells as there are columns ({len(cells)}, "
                f"not {len(header)}). Put texts with commas in quotation marks."
            )
        rows.append(dict(zip(header, cells, strict=True)))
    return rows


def _lines_of_cells(text: str, name: str) -> Iterator[tuple[int, list[str]]]:
    """The cells of each row, after the number of the line where it begins."""
    csv.field_size_limit(2**31 - 1)  # a long text is no error
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    start = 1
    try:
        for cells in reader:
            yield start, cells
            start = reader.line_num + 1
    except csv.Error as error:
        raise CourseError(
            f"{name}, line {start}, is no CSV: {error}. Close each quotation mark that begins a "
            "cell, and double those within the cell."
        ) from error


def _check_header(header: list[str], name: str) -> None:
    if not header:
        raise CourseError(f"{name}, line 1, is empty. Write the names of the columns there.")
    for mark, separator in ((";", "';'"), ("\t", "tabs")):
        if len(header) == 1 and mark in header[0]:
            raise CourseError(
                f"The cells of {name} seem to be separated by {separator}. Save it with commas."
            )
    if (twice := _repeated(header)) is not None:
        raise CourseError(f"{name} has more than one column {twice!r}. Rename all but one.")


def _repeated(names: list[str]) -> str | None:
    return next((name for name in names if names.count(name) > 1), None)


def _from_jsonl(text: str, name: str) -> list[Row]:
    rows = []
    for number, line in enumerate(text.split("\n"), start=1):  # U+2028 may stand in a text
        if line.strip():
            rows.append(_from_json(line, f"{name}, line {number},"))
    return rows


def _from_json(line: str, place: str) -> Row:
    try:
        row = json.loads(line, object_pairs_hook=_object)
        json.dumps(row, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        raise CourseError(
            f"{place} is no JSON: {error.msg} (character {error.colno}). Write one JSON object in "
            "each line."
        ) from error
    except UnicodeEncodeError as error:
        half = ascii(error.object[error.start])
        raise CourseError(
            f"{place} holds half a character ({half}). Write the whole one, or remove it."
        ) from error
    except (ValueError, RecursionError) as error:
        raise CourseError(f"{place} cannot be read: {error}. Correct or remove it.") from error
    if not isinstance(row, dict):
        raise CourseError(f"{place} is no JSON object with named values. Write one.")
    return row


def _object(pairs: list[tuple[str, Any]]) -> Row:
    """A JSON object; one that names a value twice would lose the first."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError(f"it has more than one value {_repeated([name for name, _ in pairs])!r}")
    return found


_READERS = {".csv": _from_csv, ".jsonl": _from_jsonl}
