"""The pinned revisions of everything that comes from the Hub, in one file."""

import tomllib
from pathlib import Path
from typing import Literal, cast

from utils.errors import CourseError

FILE = Path(__file__).parent / "revisions.toml"


def revisions() -> dict[str, tuple[Literal["datasets", "models"], str]]:
    """All entries of the file: id → (kind, commit or "")."""
    try:
        content = tomllib.loads(FILE.read_text("utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise CourseError(f"Cannot read the file of pinned revisions, {FILE}: {error}") from error
    return {
        repo_id: (cast(Literal["datasets", "models"], kind), revision)
        for kind in ("datasets", "models")
        for repo_id, revision in content.get(kind, {}).items()
    }


def pinned_revision(repo_id: str) -> str | None:
    """The commit at which `repo_id` is used; None while it is not pinned."""
    return revisions().get(repo_id, ("", ""))[1] or None
