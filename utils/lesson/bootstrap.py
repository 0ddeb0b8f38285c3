"""What the first cell of a lesson does: make the course usable in Colab, then say what is here.

This module, and everything that `import utils.lesson` loads, needs nothing but Python itself: in
Colab it runs before the course's dependencies are installed.
"""

import importlib
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from utils import runtime
from utils.errors import CourseError

NEVER_REPLACED = ("torch", "numpy")
"""Colab's own builds fit its GPU driver and everything else there: they are left alone."""

NOT_FOR_COLAB = ("jupyterlab", "jupytext", "papermill", "nbconvert")
"""Front end and command line: in Colab the notebook is open already."""


def setup() -> None:
    """Install in Colab what the course lacks, then report device, sources and profile.

    Outside Colab nothing is ever installed; what is missing is named. Safe to run again.

    Raises:
        CourseError: if the installation in Colab fails.
    """
    os.environ.update(runtime.SHORT_WAITS | os.environ)
    if in_colab():
        install_missing()
    elif missing := [name for name in map(_name, declared()) if installed_version(name) is None]:
        print(f"Not installed: {', '.join(missing)}. Run `make lab` in the folder of the course.")
    print(f"Device:  {_device()}\nSources: {_sources()}\nProfile: {_profile()}")


def in_colab() -> bool:
    """Whether this runs in Google Colab."""
    return find_spec("google") is not None and find_spec("google.colab") is not None


def declared() -> list[str]:
    """The dependencies that `pyproject.toml` declares, such as "numpy>=2"."""
    path = runtime.project_root() / "pyproject.toml"
    return list(tomllib.loads(path.read_text())["project"]["dependencies"]) if path.exists() else []


def _name(requirement: str) -> str:
    """Name in a requirement; `packaging` may be missing too where nothing is installed."""
    return re.split(r"[^\w.-]", requirement, maxsplit=1)[0]


def installed_version(distribution: str) -> str | None:
    """The installed version of a distribution, or None."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def install_missing() -> None:
    """Install what is missing or outside the declared range, except torch and numpy.

    Asks for a restart only if a module that this process has imported was replaced.

    Raises:
        CourseError: if pip fails.
    """
    wanted = _wanted()
    if not wanted:
        return
    print(f"Installing {', '.join(_name(requirement) for requirement in wanted)} …")
    before, owners = _versions(), metadata.packages_distributions()
    _pip_install(wanted)
    importlib.invalidate_caches()
    replaced = {n for n, version in _versions().items() if before.get(n, version) != version}
    in_use = [
        module
        for module, names in owners.items()
        if module in sys.modules and replaced & set(map(_normalised, names))
    ]
    if in_use:
        print(
            f"Restart the runtime (menu Runtime), then run this cell again: {', '.join(in_use)} "
            "was in use and has been replaced."
        )


def _wanted() -> list[str]:
    """Requirements that are not met and may be installed in Colab."""
    from packaging.requirements import Requirement

    wanted = []
    for requirement in map(Requirement, declared()):
        version = installed_version(requirement.name)
        if version is not None and requirement.specifier.contains(version, prereleases=True):
            continue
        if requirement.name in NEVER_REPLACED:
            print(
                f"{requirement.name} {version or 'is missing'} is left as it is; the course asks "
                f"for {requirement.specifier}."
            )
        elif requirement.name not in NOT_FOR_COLAB:
            wanted.append(str(requirement))
    return wanted


def _pip_install(packages: list[str]) -> None:
    """Run pip with torch and numpy held at their installed versions."""
    held = {name: installed_version(name) for name in NEVER_REPLACED}
    with tempfile.TemporaryDirectory() as folder:
        constraints = Path(folder) / "constraints.txt"
        constraints.write_text("".join(f"{name}=={v}\n" for name, v in held.items() if v))
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--constraint"]
        done = subprocess.run(
            [*command, str(constraints), *packages], capture_output=True, text=True
        )
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise CourseError(
            f"Installing {', '.join(packages)} failed: {reason}. "
            "Check the network connection and run this cell again."
        )


def _versions() -> dict[str, str]:
    """Versions of all installed distributions, by normalised name."""
    found = ((d.metadata["Name"], d.version) for d in metadata.distributions())
    return {_normalised(name): version for name, version in found if name}


def _normalised(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")


def _device() -> str:
    try:
        where, hardware = runtime.device().type, runtime.hardware()
    except ImportError as error:
        return f"unknown, because {error.name} is not installed"
    if where == "cuda":
        return f"GPU, {hardware['gpu']}"
    return f"{where.upper()}, {hardware['cpu']}, {hardware['cores']} cores"


def _sources() -> str:
    if _profile_name() == "smoke":
        return "embedded data and model only"
    try:
        from utils.sources import available

        places = [place.name for place in available() if place.usable]
    except (ImportError, CourseError) as error:
        return f"unknown ({error})"
    if not places:
        return "none can be used; run `course doctor` to see why"
    return f"{', '.join(places)} (asked in this order)"


def _profile() -> str:
    known = _profile_name()
    return known or "quick, unless PROFILE in the next cell says smoke or full"


def _profile_name() -> str | None:
    """The profile, if the suite has set it or the parameters cell has been run already."""
    if name := os.environ.get("COURSE_PROFILE"):
        return name
    # Without IPython there is no parameters cell either.
    interactive = sys.modules.get("IPython")
    shell = interactive.get_ipython() if interactive else None
    return shell.user_ns.get("PROFILE") if shell else None
