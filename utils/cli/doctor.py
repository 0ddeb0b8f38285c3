"""`course doctor`: is this machine ready, and what will be used on it?"""

import re
import shutil
from importlib import metadata
from typing import Any

from utils import runtime
from utils.errors import CourseError
from utils.sources import available

ENOUGH_DISK = 2e9
"""Bytes that a `quick` run of all lessons may take, with room to spare."""


def examine() -> dict[str, Any]:
    """Facts about this machine, as `course doctor --json` prints them.

    Keys: ok, problems (list of sentences), device, precision {name, reason}, hardware, sources
    (list of {name, usable, detail}), runs {folder, free_bytes}, versions {python, lock, differ:
    [{name, installed, locked}], missing: [name]}.
    """
    hardware, precision = runtime.hardware(), runtime.precision()
    sources = [vars(place) for place in available()]
    disk, problem = _disk()
    versions = compare_with_lock()
    problems = [problem] if problem else []
    if disk is not None and disk["free_bytes"] < ENOUGH_DISK:
        problems.append(
            f"Only {disk['free_bytes'] / 1e9:.1f} GB are free; lessons need about 2 GB."
        )
    if versions["missing"]:
        problems.append(
            f"Not installed: {', '.join(versions['missing'])}. `make run` installs everything."
        )
    if not any(place["usable"] for place in sources):
        problems.append("No source of data is usable: not even the embedded corpora are there.")
    return {
        "ok": not problems,
        "problems": problems,
        "device": str(runtime.device()),
        "precision": {"name": precision.name, "reason": precision.reason},
        "hardware": hardware,
        "sources": sources,
        "runs": disk,
        "versions": versions,
    }


def _disk() -> tuple[dict[str, Any] | None, str]:
    try:
        folder = runtime.runs_dir()
    except CourseError as error:
        return None, str(error)
    return {"folder": folder.name, "free_bytes": shutil.disk_usage(folder).free}, ""


def compare_with_lock() -> dict[str, Any]:
    """Installed versions against `requirements.lock`; local labels such as +cpu do not count."""
    installed_python = runtime.library_versions()["python"]
    lock = runtime.project_root() / "requirements.lock"
    if not lock.exists():
        return {"python": installed_python, "lock": False, "differ": [], "missing": []}
    differ, missing = [], []
    for name, locked in re.findall(r"^([\w.-]+)==(\S+)", lock.read_text(), re.MULTILINE):
        try:
            installed = metadata.version(name).split("+")[0]
        except metadata.PackageNotFoundError:
            missing.append(name)
            continue
        if installed != locked:
            differ.append({"name": name, "installed": installed, "locked": locked})
    return {"python": installed_python, "lock": True, "differ": differ, "missing": missing}


def in_words(facts: dict[str, Any]) -> str:
    """The same facts for people."""
    hardware, versions = facts["hardware"], facts["versions"]
    gpu = hardware["gpu"] or "no GPU"
    memory = hardware["memory_bytes"] / 1e9
    lines = [
        f"device     {facts['device']} ({hardware['cpu']}, {hardware['cores']} cores, "
        f"{memory:.0f} GB, {gpu})",
        f"precision  {_PRECISIONS[facts['precision']['name']]}: {facts['precision']['reason']}",
    ]
    for place in facts["sources"]:
        state = "yes" if place["usable"] else "no "
        lines.append(f"{place['name']:10} {state} {place['detail']}")
    if facts["runs"]:
        lines.append(f"disk       {facts['runs']['free_bytes'] / 1e9:.0f} GB free for runs")
    lines.append(f"versions   Python {versions['python']}; {_against_lock(versions)}")
    lines += [
        f"  {d['name']} {d['installed']}, in the lock {d['locked']}" for d in versions["differ"]
    ]
    lines += [f"Problem: {problem}" for problem in facts["problems"]]
    lines.append("Ready." if facts["ok"] else "Not ready.")
    return "\n".join(lines)


_PRECISIONS = {"no": "float32", "bf16": "bfloat16", "fp16": "float16 with loss scaling"}


def _against_lock(versions: dict[str, Any]) -> str:
    if not versions["lock"]:
        return "there is no requirements.lock to compare with"
    if not versions["differ"]:
        return "all libraries as in requirements.lock"
    return f"{len(versions['differ'])} differ from requirements.lock (results may differ a little):"
