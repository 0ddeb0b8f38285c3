"""The Hugging Face Hub: is it there, and what it holds at a pinned revision.

Files go into the Hub's own cache (`HF_HOME`), from where they are used without a network too.
`HF_ENDPOINT` and `HF_HUB_OFFLINE` are read at every call.
"""

import os
import threading
from functools import cache
from pathlib import Path
from typing import Any, Literal

from utils.errors import CourseError
from utils.sources import layout, revisions
from utils.sources.source import NotHere

PROBE_SECONDS = 3.0
_MODEL_FILES = ["model.safetensors", "*.json", "*.txt", "README.md"]
_DATA_FILES = [f"*{suffix}" for suffix in layout.SUFFIXES]


def endpoint() -> str:
    """The address of the Hub (`HF_ENDPOINT`, else the public one)."""
    return (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")


def offline() -> bool:
    """Whether the environment forbids asking the Hub."""
    variables = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
    return any(os.environ.get(name, "").upper() in {"1", "ON", "YES", "TRUE"} for name in variables)


def hub_reachable() -> bool:
    """Whether the Hub answers: one question of at most 3 seconds, remembered in the process."""
    return not offline() and _probe(endpoint())


@cache
def _probe(address: str) -> bool:
    from huggingface_hub import get_session

    answers: list[bool] = []

    def ask() -> None:
        try:
            url = f"{address}/api/models?limit=1"
            reply = get_session().get(url, timeout=PROBE_SECONDS, follow_redirects=True)
            answers.append(reply.status_code == 200 and isinstance(reply.json(), list))
        except Exception:  # any failure means: not reachable
            answers.append(False)

    # Resolving a name has no timeout of its own, hence the thread.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(PROBE_SECONDS)
    return bool(answers) and answers[0]


def dataset_folder(dataset_id: str, config: str | None) -> tuple[Path, str]:
    """Local copy of a data set at its pinned revision (the files of one configuration), and that.

    Raises:
        NotHere: if no revision is pinned, or it is neither cached nor to be had.
        CourseError: if there is no such configuration.
    """
    revision = _pinned(dataset_id)
    folder = _snapshot("dataset", dataset_id, revision, ["README.md"])
    patterns = _DATA_FILES
    if layout.has_configs(folder):
        chosen = layout.choose(folder, dataset_id, config)
        patterns = [pattern for split in chosen.splits.values() for pattern in split]
    return _snapshot("dataset", dataset_id, revision, ["README.md", *patterns]), revision


def model_folder(model_id: str) -> tuple[Path, str]:
    """Local copy of a model at its pinned revision, and that revision.

    Raises:
        NotHere: if no revision is pinned, or it is neither cached nor to be had.
    """
    revision = _pinned(model_id)
    folder = _snapshot("model", model_id, revision, _MODEL_FILES)
    if not hub_reachable() and not (folder / _MODEL_FILES[0]).is_file():
        raise NotHere(f"{_unreachable()} and only a part of the pinned revision is cached")
    return folder, revision


def newest_revision(kind: Literal["datasets", "models"], repo_id: str) -> str:
    """The newest commit of a repository.

    Raises:
        CourseError: if the Hub cannot be reached or does not have the repository.
    """
    if not hub_reachable():
        raise CourseError(f"Cannot pin {repo_id}: {_unreachable()}. Connect, then try again.")
    from huggingface_hub import HfApi
    from huggingface_hub.errors import RepositoryNotFoundError

    try:
        api = HfApi(endpoint=endpoint())
        info: Any = api.repo_info(repo_id, repo_type=kind.removesuffix("s"), timeout=30)
    except RepositoryNotFoundError as error:
        raise CourseError(
            f"Cannot pin {repo_id}: the Hub has nothing of that name under {kind} "
            "(or it is private, or asks for a login)."
        ) from error
    except Exception as error:
        raise CourseError(f"Cannot pin {repo_id}: the Hub answered {_short(error)}.") from error
    return str(info.sha)


def _pinned(repo_id: str) -> str:
    revision = revisions.pinned_revision(repo_id)
    if revision is None:
        raise NotHere(f"no revision is pinned (run `course pin {repo_id}`)")
    return revision


def _snapshot(kind: str, repo_id: str, revision: str, patterns: list[str]) -> Path:
    """The files of a repository that match `patterns`: cached ones, else downloaded."""
    from huggingface_hub import snapshot_download

    reachable = hub_reachable()
    try:
        # With a commit and a complete cache, nothing is asked of the network even if reachable.
        folder = snapshot_download(
            repo_id,
            repo_type=kind,
            revision=revision,
            allow_patterns=patterns,
            endpoint=endpoint(),
            local_files_only=not reachable,
        )
    except Exception as error:  # anything between here and there
        if not reachable:
            raise NotHere(f"{_unreachable()} and the pinned revision is not cached") from error
        raise NotHere(f"the download failed ({_short(error)})") from error
    return Path(folder)


def _unreachable() -> str:
    if offline():
        return "offline mode is set (HF_HUB_OFFLINE)"
    return f"{endpoint()} cannot be reached"


def _short(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
