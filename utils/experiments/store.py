"""Where records are kept: a JSON file each while running, a JSONL file a grid once published."""

import json
import time
import warnings
from functools import lru_cache
from pathlib import Path

from filelock import FileLock
from pydantic import ValidationError

from utils import runtime
from utils.errors import CourseError
from utils.experiments.record import Record


class Store:
    """A folder of records, safe to share between processes and to kill at any moment.

    A record appears under its key all at once. A file that is not the record it claims to be is
    reported, moved to `set-aside/` and never read; the experiment then counts as not run.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.set_aside: list[str] = []

    @classmethod
    def default(cls) -> "Store":
        """The store of this machine's own runs, `runs/records`."""
        return cls(runtime.runs_dir() / "records")

    def get(self, key: str) -> Record | None:
        """The record with this key, or None."""
        path = self._path(key)
        return self._read(path) if path.exists() else None

    def put(self, record: Record) -> None:
        """Store a record; raises `CourseError` if the disk is full or read-only."""
        text = json.dumps(record.model_dump(mode="json"), indent=1, sort_keys=True)
        runtime.write_atomically(self._path(record.key), text + "\n")

    def records(self) -> list[Record]:
        """All records, sorted by key."""
        found = (self._read(path) for path in sorted(self.directory.glob("*.json")))
        return [record for record in found if record is not None]

    def lock(self, key: str) -> FileLock:
        """A lock between processes on one key; the system frees it when its holder dies."""
        locks = self.directory / "locks"
        try:
            locks.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CourseError(
                f"Cannot write to the store of records, {self.directory} ({error.strerror}). "
                "Make it writable or set COURSE_RUNS to another folder."
            ) from error
        return FileLock(locks / f"{key}.lock")

    def clean(self, key: str) -> None:
        """Remove what a killed process may have left half written; call with the lock held."""
        for part in self.directory.glob(f".{key}.json.*.part"):
            part.unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        return self.directory / f"{key}.json"

    def _read(self, path: Path) -> Record | None:
        try:
            record = Record.model_validate_json(path.read_bytes())
            if record.key != path.stem:
                raise ValueError(f"it holds the record {record.key}")
            return record
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            self._put_aside(path, error)
            return None

    def _put_aside(self, path: Path, error: Exception) -> None:
        target = self.directory / "set-aside" / f"{path.name}.{time.time_ns()}"
        target.parent.mkdir(exist_ok=True)
        path.replace(target)
        self.set_aside.append(path.name)
        warnings.warn(
            f"The file {path.name} is not a sound record and was moved to "
            f"{target.parent.name}/{target.name} ({_reason(error)}). "
            "Its experiment counts as not run.",
            stacklevel=2,
        )


def read_records(path: Path) -> list[Record]:
    """Records of a `.jsonl` or `.json` file, or of a folder that holds such files.

    Raises:
        CourseError: if there is no such path, no record in it, or a faulty one.
    """
    if not path.exists():
        raise CourseError(f"There is no file or folder {path}. Give a folder or file of records.")
    if path.is_dir():
        files = sorted(path.glob("*.jsonl")) + sorted(path.glob("*.json"))
        records = [record for file in files for record in _read_file(file)]
    else:
        records = _read_file(path)
    if not records:
        raise CourseError(f"There are no records in {path}.")
    return records


def published_records(results: Path | None = None) -> list[Record]:
    """All records in `results/records`; an empty list if nothing has been published yet."""
    folder = (results or runtime.results_dir()) / "records"
    return [record for file in sorted(folder.glob("*.jsonl")) for record in _unchanged(file)]


def _unchanged(file: Path) -> tuple[Record, ...]:
    """The records of a file that is read once, and again when it has changed: lessons ask often."""
    state = file.stat()
    return _read_once(file, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=32)
def _read_once(file: Path, changed: int, size: int) -> tuple[Record, ...]:
    return tuple(_read_file(file))


def _read_file(file: Path) -> list[Record]:
    lines = file.read_text().splitlines() if file.suffix == ".jsonl" else [file.read_text()]
    records = []
    for number, line in enumerate(lines, start=1):
        try:
            records.append(Record.model_validate_json(line))
        except (ValueError, KeyError, TypeError) as error:
            raise CourseError(
                f"{file.name}, line {number}, is not a sound record ({_reason(error)}). "
                "Restore the file, for example from version control."
            ) from error
    return records


def _reason(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return ": ".join(filter(None, [".".join(map(str, first["loc"])), first["msg"]]))
    return f"{type(error).__name__}: {error}"
