"""Loading data sets by their Hub id."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from utils import profiles
from utils.errors import CourseError
from utils.sources import embedded, hub, layout, mirror
from utils.sources.source import NotHere, Source, check_id

if TYPE_CHECKING:
    from datasets import DatasetDict

    Place = Callable[[str, str | None], tuple[DatasetDict, Source]]


def load_dataset(
    dataset_id: str,
    config: str | None = None,
    *,
    profile: str = "quick",
    require: str = "any",
) -> "tuple[DatasetDict, Source]":
    """Load a data set: from the mirror, else the Hub at its pinned revision, else embedded.

    Profile `smoke` takes the embedded corpus only; `require="real"` (the default is "any") and
    profile `full` never take it. The data set is read into memory.

    Raises:
        CourseError: if no place has it (the message says why for each), if the configuration does
            not exist, or if a place that has it cannot be read.
    """
    profiles.check(profile)
    check_id(dataset_id)
    if require not in ("any", "real"):
        raise CourseError(f'require={require!r} is unknown: use "any" or "real".')
    real = require == "real" or profile == "full"
    if real and profile == "smoke":
        raise CourseError(
            "Profile smoke uses embedded corpora only, so it cannot have real data. "
            'Choose profile quick or full, or leave out require="real".'
        )
    tried: list[str] = []
    for name, place in _places(profile, real).items():
        try:
            dataset, source = place(dataset_id, config)
        except NotHere as reason:
            tried.append(f"{name}: {reason}")
        else:
            return dataset, replace(source, note="; ".join(tried))
    raise CourseError(_nowhere(dataset_id, profile, real, tried))


def _places(profile: str, real: bool) -> "dict[str, Place]":
    if profile == "smoke":
        return {"embedded": partial(embedded.load, few=True)}
    places: dict[str, Place] = {"mirror": _from_mirror, "Hub": _from_hub}
    return places if real else places | {"embedded": embedded.load}


def _from_mirror(dataset_id: str, config: str | None) -> "tuple[DatasetDict, Source]":
    folder = mirror.find("datasets", dataset_id)
    dataset, fingerprint = layout.read(folder, dataset_id, config)
    licence = layout.licence(folder)
    return dataset, Source("mirror", dataset_id, None, fingerprint, "mirror", licence)


def _from_hub(dataset_id: str, config: str | None) -> "tuple[DatasetDict, Source]":
    folder, revision = hub.dataset_folder(dataset_id, config)
    dataset, fingerprint = layout.read(folder, dataset_id, config)
    licence = layout.licence(folder)
    return dataset, Source("hub", dataset_id, revision, fingerprint, "Hub", licence)


def _nowhere(dataset_id: str, profile: str, real: bool, tried: list[str]) -> str:
    lines = [f"The data set {dataset_id} was not found:", *(f"- {line}" for line in tried)]
    if real:
        why = "profile full" if profile == "full" else 'require="real"'
        lines.append(f"Embedded stand-ins are not used here ({why}).")
    if profile != "smoke":
        lines.append(
            f"Set {mirror.VARIABLE} to a folder with datasets/{dataset_id}, "
            f"or connect to the Hub after `course pin {dataset_id}`."
        )
    return "\n".join(lines)
