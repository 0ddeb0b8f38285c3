"""Folders of adapted models: files, and settings that say what each of them must hold."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

from utils import runtime
from utils.errors import CourseError
from utils.sources import fingerprint

_DIGESTS, _OWN = "sha256", "settings"


def claim(folder: Path) -> None:
    """Make `folder`, before anything is computed that is to be saved there.

    Raises:
        CourseError: if it holds something already, or nothing can be written there.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CourseError(f"{folder} is not an empty folder. Give another one or remove it.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        runtime.write_atomically(folder / "probe", "")
        (folder / "probe").unlink()
    except OSError as error:
        raise CourseError(
            f"Nothing can be written to {folder} ({error.strerror}). Give another folder."
        ) from error


def seal(folder: Path, name: str, settings: dict[str, Any]) -> None:
    """Write `settings` to the file `name`, with the SHA-256 of every other file of the folder.

    It is the last to be written: where it is, everything is.
    """
    digests = {
        path.name: fingerprint.of_weights(path)
        for path in sorted(folder.iterdir())
        if path.is_file() and path.name != name
    }
    whole = {**settings, _DIGESTS: {**digests, _OWN: _digest(settings)}}
    runtime.write_atomically(folder / name, json.dumps(whole, indent=1) + "\n")


def unseal(folder: Path, name: str) -> dict[str, Any]:
    """The settings that `seal` wrote, if all files of the folder are as they were.

    Raises:
        CourseError: if they are not, or there are no such settings.
    """
    if not (folder / name).is_file():
        raise CourseError(
            f"There is no {name} in {folder}. Give the folder that was --out of `course adapt`."
        )
    try:
        settings = json.loads((folder / name).read_text("utf-8"))
        digests = settings.pop(_DIGESTS)
        own = digests.pop(_OWN)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _damaged(folder, name) from error
    if own != _digest(settings):
        raise _damaged(folder, name)
    for other, digest in digests.items():
        path = folder / other
        if not path.is_file() or fingerprint.of_weights(path) != digest:
            raise _damaged(folder, other)
    return dict(settings)


def _digest(settings: dict[str, Any]) -> str:
    return sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def _damaged(folder: Path, name: str) -> CourseError:
    state = "is not as it was saved" if (folder / name).is_file() else "is missing"
    return CourseError(
        f"The model in {folder} is damaged, or older than this version of the course: {name} "
        f"{state}. Copy the whole folder again, or adapt the model anew with `course adapt`."
    )
