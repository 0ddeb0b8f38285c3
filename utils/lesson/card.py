"""How long a lesson takes and what memory it needs, from recorded runs of the suite."""

import json

from utils import runtime
from utils.errors import CourseError
from utils.lesson.outputs import show
from utils.profiles import PROFILES

FILE = "lessons.json"
"""In the folder of published results: {"01": {"quick": {"seconds": 71.5, "peak_memory_bytes":
1200000000, "hardware": "AMD EPYC, 2 cores"}}}, by lesson number and profile; the suite writes it.
"""


def lesson_card(number: str) -> None:
    """Show time and memory of a lesson for each profile, as they were measured."""
    card = card_markdown(number)
    show(card, card)


def card_markdown(number: str) -> str:
    """The table that `lesson_card` shows.

    Raises:
        CourseError: if the file of recorded runs cannot be read.
    """
    path = runtime.results_dir() / FILE
    try:
        runs = json.loads(path.read_text()).get(number, {}) if path.exists() else {}
        rows = [_row(profile, runs.get(profile)) for profile in PROFILES]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CourseError(
            f"{FILE} in the folder of results is damaged ({error}). Restore it, for example from "
            "version control."
        ) from error
    return "\n".join(["| profile | time | peak memory | measured on |", "|---|---|---|---|", *rows])


def _row(profile: str, run: dict | None) -> str:
    if run is None:
        return f"| {profile} | not recorded yet | | |"
    memory = f"{run['peak_memory_bytes'] / 1e9:.1f} GB"
    return f"| {profile} | {duration(run['seconds'])} | {memory} | {run['hardware']} |"


def duration(seconds: float) -> str:
    """A time span for people: "45 s", "3 min", "2.5 h"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
