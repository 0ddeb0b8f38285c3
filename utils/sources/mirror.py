"""The mirror: local folders in the Hub's layout, named in the environment variable COURSE_MIRROR.

A mirror holds `datasets/<namespace>/<name>` and `models/<namespace>/<name>`.
"""

import os
from pathlib import Path
from typing import Literal

from utils.errors import CourseError
from utils.sources.source import NotHere

VARIABLE = "COURSE_MIRROR"
RepoKind = Literal["datasets", "models"]


def folders() -> list[Path]:
    """The folders named in `COURSE_MIRROR`, in order.

    Raises:
        CourseError: if one is missing, cannot be read, or is no mirror.
    """
    named = [part for part in os.environ.get(VARIABLE, "").split(os.pathsep) if part.strip()]
    return [_checked(Path(part).expanduser()) for part in named]


def find(kind: RepoKind, repo_id: str) -> Path:
    """The folder that holds `repo_id` in the first mirror that has it.

    Raises:
        NotHere: if no mirror is set or none holds it.
        CourseError: if a mirror cannot be read.
    """
    places = folders()
    if not places:
        raise NotHere(f"{VARIABLE} is not set")
    for place in places:
        folder = place / kind / repo_id
        if folder.is_dir():
            return folder
    raise NotHere(f"no {kind}/{repo_id} in {VARIABLE}")


def contents(kind: RepoKind) -> list[str]:
    """The ids of all data sets or models in the mirrors."""
    found = {
        f"{path.parent.name}/{path.name}"
        for place in folders()
        for path in (place / kind).glob("*/*")
        if path.is_dir()
    }
    return sorted(found)


def _checked(folder: Path) -> Path:
    try:
        inside = {path.name for path in folder.iterdir()}
    except OSError as error:
        raise CourseError(
            f"{VARIABLE} names {folder}, which cannot be read as a folder ({error.strerror}). "
            f"Correct {VARIABLE}, or unset it to go without a mirror."
        ) from error
    if not inside & {"datasets", "models"}:
        raise CourseError(
            f"{VARIABLE} names {folder}, which holds neither datasets/ nor models/. "
            "Name the folder above them: a mirror holds datasets/<namespace>/<name> and "
            "models/<namespace>/<name>."
        )
    return folder
