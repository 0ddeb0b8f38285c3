"""What can be reached from here, for `course doctor`."""

from dataclasses import dataclass

from utils.errors import CourseError
from utils.sources import embedded, hub, mirror, models, revisions
from utils.sources.source import NotHere


@dataclass(frozen=True)
class Availability:
    """One place that sources come from: "mirror", "Hub" or "embedded"."""

    name: str
    usable: bool
    detail: str


def available() -> list[Availability]:
    """The three places in the order in which they are asked; takes at most some 4 seconds."""
    return [_mirror(), _hub(), _embedded()]


def _mirror() -> Availability:
    try:
        if not mirror.folders():
            return Availability("mirror", False, f"{mirror.VARIABLE} is not set")
        data_sets, weights = mirror.contents("datasets"), mirror.contents("models")
    except CourseError as error:
        return Availability("mirror", False, str(error))
    detail = f"{len(data_sets)} data sets, {len(weights)} models"
    return Availability("mirror", bool(data_sets or weights), detail)


def _hub() -> Availability:
    entries = revisions.revisions()
    pinned = sum(bool(revision) for _, revision in entries.values())
    detail = f"{pinned} of {len(entries)} sources have a pinned revision"
    if pinned < len(entries):
        detail += "; the others are not taken from the Hub until `course pin` has filled them in"
    if hub.offline():
        return Availability("Hub", False, f"offline mode is set (HF_HUB_OFFLINE); {detail}")
    if not hub.hub_reachable():
        return Availability("Hub", False, f"{hub.endpoint()} cannot be reached; {detail}")
    return Availability("Hub", True, f"{hub.endpoint()} answers; {detail}")


def _embedded() -> Availability:
    names = {dataset_id: corpus.name for dataset_id, corpus in embedded.REGISTRY.items()}
    for maker in embedded.MAKERS:
        names |= dict.fromkeys(maker.STANDS_FOR, maker.NAME)
    corpora = ", ".join(f"{name} for {dataset_id}" for dataset_id, name in names.items())
    corpora_names = dict.fromkeys(corpus.name for corpus in embedded.REGISTRY.values())
    lacking = [name for name in corpora_names if not (embedded.CORPORA / name).is_dir()]
    if lacking:
        return Availability("embedded", False, f"missing corpora: {', '.join(lacking)}")
    try:
        models.packaged()
    except (CourseError, NotHere) as error:
        return Availability("embedded", False, f"{error}")
    return Availability("embedded", True, f"{corpora}; {models.MINILM} from {models.PACKAGE}")
