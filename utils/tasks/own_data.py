"""Data of one's own: a CSV or JSONL file, or a folder with one for each split.

From one file, a fifth of the rows is held out as the split that is reported. Validation rows are
cut from the rest. Rows that share their text (or the paragraph of a question) are never parted.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from utils.errors import CourseError
from utils.sources import Source, fingerprint
from utils.sources.rows import Row, read_rows
from utils.tasks.splits import Drawable, Splits, sample

REPORTED = 0.2
"""Share of the rows that is held out, if they all stand in one file."""

_SPLITS = {"train": ("train",), "validation": ("validation", "valid", "dev"), "test": ("test",)}
_ENDINGS = (".csv", ".jsonl")

E = TypeVar("E", bound=Drawable)


@dataclass(frozen=True)
class Table:
    """Rows of all files, the place of each (file and row), and the split that its file is for."""

    rows: list[Row]
    places: list[str]
    splits: list[str]

    def column(self, name: str, read: Callable[[Any], Any], wanted: str) -> list[Any]:
        """What `read` makes of each cell.

        Raises:
            CourseError: if there is no such column, or `read` gives None: `wanted` says what a cell
                must hold.
        """
        if not any(name in row for row in self.rows):
            there = sorted({name for row in self.rows for name in row})
            raise CourseError(
                f"There is no column {name!r}; there are: {', '.join(there)}. Rename one."
            )
        found = []
        for row, place in zip(self.rows, self.places, strict=True):
            value = read(row.get(name))
            if value is None:
                shown = repr(row[name])[:60] if name in row else "nothing"
                raise CourseError(f"{place}: the column {name!r} holds {shown}, not {wanted}.")
            found.append(value)
        return found

    def texts(self, name: str) -> list[str]:
        """A column of texts that are not empty, without space around them."""
        return [text.strip() for text in self.column(name, _text, "a text")]

    def classes(self, name: str) -> tuple[NDArray[np.int64], list[str]]:
        """A column of classes as numbers, and the names that these stand for, sorted."""
        found = self.column(name, _class, "the name or the number of a class")
        names = sorted(set(found))
        if len(names) < 2:
            raise CourseError(f"All rows have the same {name}, {names[0]!r}. Add rows of others.")
        return np.array([names.index(each) for each in found], dtype=np.int64), names


def texts_in(value: Any) -> list[str] | None:
    """A text, or a list of texts, as a list; None if it is neither, or one of them is empty."""
    found = [value] if isinstance(value, str) else value
    if not isinstance(found, list):
        return None
    return found if all(map(_text, found)) else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value.strip() else None


def _class(value: Any) -> str | None:
    if isinstance(value, bool | int):
        return str(value)
    return value.strip() if isinstance(value, str) and value.strip() else None


@dataclass(frozen=True)
class Parsed:
    """Examples of a table in its order, names of their classes, and what must not be parted."""

    examples: Any
    label_names: list[str]
    groups: Sequence[str]


def is_own(dataset_id: str) -> bool:
    """Whether this names a file or a folder of the user, and no data set of the Hub."""
    return dataset_id.lower().endswith(_ENDINGS) or bool(_files(Path(dataset_id)))


def columns(dataset_id: str) -> set[str]:
    """The names of the columns of all files."""
    return {name for row in _read(dataset_id).rows for name in row}


def load(
    dataset_id: str,
    parse: Callable[[Table], Parsed],
    *,
    validation_limit: int | None,
    test_limit: int | None,
) -> Splits:
    """Read the files of `dataset_id` and cut what splits are missing, always in the same way.

    Rows of other splits whose group is also in the reported split are left out.

    Raises:
        CourseError: if a file cannot be read or used, or there are too few rows.
    """
    table = _read(dataset_id)
    parsed = parse(table)
    splits = np.array(table.splits, dtype=object)
    _, groups = np.unique(np.array(parsed.groups, dtype=object).astype(str), return_inverse=True)
    if "test" not in splits:
        splits = _cut(splits, groups, "test", round(REPORTED * len(splits)))
    repeats = np.isin(groups, groups[splits == "test"]) & (splits != "test")
    splits[repeats] = "left out"
    limit = validation_limit or 0
    if limit and "validation" not in splits:
        splits = _cut(splits, groups, "validation", min(limit, int((splits == "train").sum()) // 2))
    splits[np.isin(groups, groups[splits == "validation"]) & (splits == "train")] = "left out"
    train, validation, test = (
        parsed.examples.take(np.flatnonzero(splits == name))
        for name in ("train", "validation", "test")
    )
    if min(len(train), len(test)) == 0 or (limit and len(validation) == 0):
        raise CourseError(
            f"{dataset_id} holds too few different rows for a split to train on, one to validate "
            f"on and one to report ({len(train)}, {len(validation)}, {len(test)}). Add rows."
        )
    return Splits(
        train,
        sample(validation, limit),
        sample(test, test_limit),
        parsed.label_names,
        _source(dataset_id, table, int((splits == "left out").sum())),
    )


def _read(dataset_id: str) -> Table:
    path = Path(dataset_id)
    files = _files(path) or {"train": path}
    table = Table([], [], [])
    for split, file in files.items():
        rows = read_rows(file)
        table.rows.extend(rows)
        table.places.extend(f"{file.name}, row {number}" for number in range(1, len(rows) + 1))
        table.splits.extend([split] * len(rows))
    return table


def _files(folder: Path) -> dict[str, Path]:
    """The file of each split of a folder; none without one to train on."""
    found = {
        split: folder / f"{name}{ending}"
        for split, names in _SPLITS.items()
        for name in reversed(names)
        for ending in reversed(_ENDINGS)
        if (folder / f"{name}{ending}").is_file()
    }
    return found if "train" in found else {}


def _cut(splits: NDArray[Any], groups: NDArray[Any], name: str, n: int) -> NDArray[Any]:
    """Whole groups of the training split, drawn with a fixed seed, that hold about `n` rows."""
    mine = np.flatnonzero(splits == "train")
    numbers, counts = np.unique(groups[mine], return_counts=True)
    order = np.random.default_rng(0).permutation(len(numbers))
    before = np.cumsum(counts[order]) - counts[order]
    chosen = numbers[order[before < n]]
    changed = splits.copy()
    changed[mine[np.isin(groups[mine], chosen)]] = name
    return changed


def _source(dataset_id: str, table: Table, n_left_out: int) -> Source:
    content = {
        f"{number}": f"{split} {sorted(row.items())!r}"
        for number, (split, row) in enumerate(zip(table.splits, table.rows, strict=True))
    }
    note = f"rows left out because their text stands in another split: {n_left_out}"
    return Source(
        kind="folder",
        id=dataset_id,
        revision=None,
        fingerprint=fingerprint.of_texts(content),
        location="own file",
        licence="your own",
        note=note if n_left_out else "",
    )
