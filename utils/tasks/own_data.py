"""Data of one's own: a CSV or JSONL file, or a folder with one for each split.

From one file, about a fifth of the rows is held out as the split that is reported. Validation rows
are cut from the rest. Rows that share a text (or the paragraph of a question), but for capitals and
spaces, are never parted.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
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

_SPLITS = {
    "train": ("train",),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test",),
}
_ENDINGS = (".csv", ".jsonl")

E = TypeVar("E", bound=Drawable)


@dataclass(frozen=True)
class Table:
    """Rows of all files, the place of each (file and row), and the split that its file is for."""

    rows: list[Row]
    places: list[str]
    splits: list[str]

    @cached_property
    def names(self) -> set[str]:
        """The names of all columns."""
        return {name for row in self.rows for name in row}

    def column(self, name: str, read: Callable[[Any], Any], wanted: str) -> list[Any]:
        """What `read` makes of each cell.

        Raises:
            CourseError: if there is no such column, or `read` gives None: `wanted` says what a cell
                must hold.
        """
        if name not in self.names:
            there = ", ".join(sorted(self.names))
            raise CourseError(f"There is no column {name!r}; there are: {there}. Rename one.")
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
        return [text.strip() for text in self.column(name, text_in, "a text")]

    def classes(self, name: str) -> tuple[NDArray[np.int64], list[str]]:
        """A column of classes as numbers, and the names that these stand for, sorted."""
        found = self.column(name, _class, "the name or the number of a class")
        names = sorted(set(found))
        if len(names) < 2:
            raise CourseError(f"All rows have the same {name}, {names[0]!r}. Add rows of others.")
        numbers = {name: number for number, name in enumerate(names)}
        return np.array([numbers[each] for each in found], dtype=np.int64), names


def texts_in(value: Any) -> list[str] | None:
    """A text, or a list of texts, as a list; None if it is neither, or one of them is empty."""
    found = [value] if isinstance(value, str) else value
    if not isinstance(found, list):
        return None
    return found if all(map(text_in, found)) else None


def text_in(value: Any) -> str | None:
    """A text that is not empty; None if it is none."""
    return value if isinstance(value, str) and value.strip() else None


def _class(value: Any) -> str | None:
    if isinstance(value, bool | int):
        return str(value)
    name = value.strip() if isinstance(value, str) else ""
    return None if not name or _FRACTION.fullmatch(name) else name


_FRACTION = re.compile(r"[+-]?\d*\.\d+")
"""A measured value and no class."""


@dataclass(frozen=True)
class Parsed:
    """Examples of a table in its order, names of their classes, and the texts of each.

    Examples that share one of their `texts` are not parted.
    """

    examples: Any
    label_names: list[str]
    texts: Sequence[Sequence[str]]


def is_own(dataset_id: str) -> bool:
    """Whether this names a file or a folder of the user, and no data set of the Hub."""
    path = Path(dataset_id)
    inside = path.iterdir() if path.is_dir() else ()
    names = [dataset_id, *(each.name for each in inside)]
    return path.is_file() or any(name.lower().endswith(_ENDINGS) for name in names)


State = tuple[tuple[str, Path, int, int], ...]


def state(dataset_id: str) -> State:
    """Split, path, size and time of change of each file; nothing for a data set of the Hub."""
    if not is_own(dataset_id):
        return ()
    found = []
    for split, file in _files(Path(dataset_id)).items():
        facts = file.stat() if file.exists() else None
        found.append((split, file, *((facts.st_size, facts.st_mtime_ns) if facts else (0, 0))))
    return tuple(found)


def columns(dataset_id: str) -> set[str]:
    """The names of the columns of all files."""
    return set(_read(state(dataset_id)).names)


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
    table = _read(state(dataset_id))
    parsed = parse(table)
    splits, groups = np.array(table.splits, dtype=object), _groups(parsed.texts)
    if "test" not in splits:
        splits = _cut(splits, groups, "test", round(REPORTED * int((splits == "train").sum())))
    splits[np.isin(groups, groups[splits == "test"]) & (splits != "test")] = "left out"
    if validation_limit and "validation" not in splits:
        most = int((splits == "train").sum()) // 2
        splits = _cut(splits, groups, "validation", min(validation_limit, most))
    splits[np.isin(groups, groups[splits == "validation"]) & (splits == "train")] = "left out"
    train, validation, test = (
        parsed.examples.take(np.flatnonzero(splits == name))
        for name in ("train", "validation", "test")
    )
    if min(len(train), len(test)) == 0 or (validation_limit and len(validation) == 0):
        raise CourseError(
            f"{dataset_id} holds too few different rows for a split to train on, one to validate "
            f"on and one to report ({len(train)}, {len(validation)}, {len(test)}). Add rows."
        )
    return Splits(
        train,
        sample(validation, validation_limit),
        sample(test, test_limit),
        parsed.label_names,
        _source(dataset_id, table, int((splits == "left out").sum())),
    )


@lru_cache(maxsize=2)
def _read(files: State) -> Table:
    table = Table([], [], [])
    for split, file, *_ in files:
        rows = read_rows(file)
        table.rows.extend(rows)
        table.places.extend(f"{file.name}, row {number}" for number in range(1, len(rows) + 1))
        table.splits.extend([split] * len(rows))
    return table


def _files(path: Path) -> dict[str, Path]:
    """The file of each split: those of a folder, or one file with all rows."""
    if not path.is_dir():
        return {"train": path}
    files: dict[str, Path] = {}
    for split, names in _SPLITS.items():
        there = [f"{name}{ending}" for name in names for ending in _ENDINGS]
        found = [path / name for name in there if (path / name).is_file()]
        if len(found) > 1:
            raise CourseError(
                f"{path} has more than one file for the split {split!r}: "
                f"{', '.join(file.name for file in found)}. Keep one."
            )
        if found:
            files[split] = found[0]
    if "train" not in files:
        raise CourseError(
            f"{path} has no train.csv and no train.jsonl. Give the rows to learn from that name; "
            "validation and test may stand beside it."
        )
    return files


def _groups(texts: Sequence[Sequence[str]]) -> NDArray[np.int64]:
    """A number for each row, the same for rows that share a text, if by way of others."""
    above: dict[str, str] = {}

    def first(text: str) -> str:
        while above[text] != text:
            above[text] = above[above[text]]
            text = above[text]
        return text

    keys = [[" ".join(text.casefold().split()) for text in row] for row in texts]
    for row in keys:
        for key in row:
            above.setdefault(key, key)
            above[first(key)] = first(row[0])
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(first(row[0]), len(numbers)) for row in keys])


def _cut(splits: NDArray[Any], groups: NDArray[np.int64], name: str, n: int) -> NDArray[Any]:
    """Whole groups of the training split, drawn with a fixed seed, that hold about `n` rows.

    A group that would make it more than half as many again is passed over; if all would, the
    smallest is taken.
    """
    mine = np.flatnonzero(splits == "train")
    numbers, counts = np.unique(groups[mine], return_counts=True)
    chosen, size = [], 0
    for place in np.random.default_rng(0).permutation(len(numbers)):
        if size < n and size + counts[place] <= max(1.5 * n, counts.min()):
            chosen.append(numbers[place])
            size += counts[place]
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
