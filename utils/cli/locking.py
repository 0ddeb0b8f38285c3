"""`course lock`: the exact versions of an environment, for pip and for conda."""

from importlib import metadata
from pathlib import Path

from utils import runtime

_NOT_PINNED = {"pip", "setuptools", "wheel", "transfer-learning-course"}

_LOCK_HEAD = """\
# Exact versions of a tested environment (Python 3.11), written by `make lock`.
"""

_CONDA_HEAD = """\
# Conda environment with the pins of requirements.lock, written by `make lock`.
# Conda itself was not run when this file was made: the tests only compare it with the lock.
name: transfer-learning-course
channels:
  - conda-forge
dependencies:
  - python=3.11
  - pip
  - pip:
"""


def pins() -> list[str]:
    """What is installed here as name==version, without local labels such as +cpu."""
    found = {
        _normalised(distribution.metadata["Name"]): distribution.version.split("+")[0]
        for distribution in metadata.distributions()
    }
    return [f"{name}=={found[name]}" for name in sorted(found) if name not in _NOT_PINNED]


def write() -> list[Path]:
    """Write requirements.lock and environment.yml; returns their paths."""
    root, lines = runtime.project_root(), pins()
    lock, conda = root / "requirements.lock", root / "environment.yml"
    runtime.write_atomically(lock, _LOCK_HEAD + "".join(f"{line}\n" for line in lines))
    runtime.write_atomically(conda, _CONDA_HEAD + "".join(f"      - {line}\n" for line in lines))
    return [lock, conda]


def _normalised(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")
