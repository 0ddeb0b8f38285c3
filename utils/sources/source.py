"""Where a model or a data set came from, as records, tables and lessons name it."""

import re
from dataclasses import dataclass
from typing import Literal

from utils.errors import CourseError

Kind = Literal["mirror", "hub", "embedded", "generated", "folder", "course", "run"]


@dataclass(frozen=True)
class Source:
    """The origin of something that was loaded.

    Attributes:
        kind: "mirror" (a folder named in `COURSE_MIRROR`), "hub", "embedded", "generated" (drawn
            by a program of the course), "folder" (the user's own), or "course" (a model that the
            course has trained and ships).
        id: the Hub id that was asked for.
        revision: the commit on the Hub, where it is known; else None.
        fingerprint: 16 hex digits of a SHA-256: over all rows, columns and features of a data set,
            or over the weights of a model. The same content has the same fingerprint wherever it
            lies.
        location: for people: "mirror", "Hub", "embedded (sentiment)"; never a path.
        licence: licence of the content, in a few words.
        note: why the places before this one in the order were passed over; "" if there were none.
    """

    kind: Kind
    id: str
    revision: str | None
    fingerprint: str
    location: str
    licence: str
    note: str = ""


class NotHere(Exception):
    """A place does not hold what was asked for: the next one is tried. The message says why."""


def check_id(repo_id: str) -> None:
    """Refuse what is no id of the Hub.

    Raises:
        CourseError: unless `repo_id` reads namespace/name.
    """
    if not re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", repo_id):
        raise CourseError(
            f"{repo_id!r} is not an id of the Hub. Expected namespace/name, such as "
            "stanfordnlp/sst2 (not sst2); a local folder is found through COURSE_MIRROR."
        )
