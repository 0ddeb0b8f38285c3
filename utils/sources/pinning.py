"""Pinning: asking the Hub for the commits at which sources are used from now on."""

import re
from collections.abc import Iterable

from utils import runtime
from utils.errors import CourseError
from utils.sources import hub, revisions


def pin(ids: Iterable[str]) -> dict[str, str]:
    """Ask the Hub for the newest commit of each id and write it into the file of revisions.

    Returns id → commit. All or nothing: the file changes only when every id was answered.

    Raises:
        CourseError: if the Hub cannot be reached, or an id is not in the file or not on the Hub.
    """
    known = revisions.revisions()
    wanted = list(dict.fromkeys(ids))
    if missing := [repo_id for repo_id in wanted if repo_id not in known]:
        raise CourseError(
            f"Not in {revisions.FILE.name}: {', '.join(missing)}. Add a line with an empty "
            "revision under [datasets] or [models] there, then pin it."
        )
    found = {repo_id: hub.newest_revision(known[repo_id][0], repo_id) for repo_id in wanted}
    text = revisions.FILE.read_text("utf-8")
    for repo_id, revision in found.items():
        line = re.compile(rf'^("{re.escape(repo_id)}"\s*=\s*)"[^"]*"', re.MULTILINE)
        text = line.sub(rf'\g<1>"{revision}"', text)
    runtime.write_atomically(revisions.FILE, text)
    return found
