"""Lock, conda environment and declared ranges agree."""

import re
import tomllib
from importlib import metadata

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from utils import runtime

ROOT = runtime.project_root()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def locked() -> dict[str, str]:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    return dict(line.split("==") for line in lines if not line.startswith("#"))


def declared() -> list[Requirement]:
    """What every environment has. The extra `ray` is for those who have a cluster."""
    return [
        Requirement(text)
        for text in PROJECT["dependencies"] + PROJECT["optional-dependencies"]["dev"]
    ]


def test_every_line_of_the_lock_is_an_exact_pin():
    for line in (ROOT / "requirements.lock").read_text().splitlines():
        assert line.startswith("#") or re.fullmatch(r"[a-z0-9-]+==[\w.]+", line), line


def test_torch_is_pinned_without_a_local_label():
    # With "+cpu" or without a pin, pip fetches gigabytes of CUDA packages or finds nothing.
    assert locked()["torch"] == "2.13.0"


def test_conda_gets_the_same_pins():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    *conda, pip = environment["dependencies"]
    assert conda == ["python=3.11", "pip"]
    assert dict(pin.split("==") for pin in pip["pip"]) == locked()


@pytest.mark.parametrize("requirement", declared(), ids=lambda r: r.name)
def test_the_lock_lies_within_the_declared_ranges(requirement):
    assert locked()[requirement.name] in requirement.specifier


def test_every_pin_can_be_installed_on_the_oldest_python_that_is_promised():
    # Debian 12 has Python 3.11.2; releases that ask for 3.11.5 cannot be installed there.
    oldest = PROJECT["requires-python"].removeprefix(">=") + ".0"
    asked = {name: metadata.metadata(name).get("Requires-Python") or "" for name in locked()}
    assert [name for name, versions in asked.items() if oldest not in SpecifierSet(versions)] == []


def test_no_address_of_a_registry_is_committed():
    for name in ("requirements.lock", "environment.yml", "pyproject.toml", "Makefile"):
        assert not re.search(
            r"index-url|find-links|https?://[^ ]*(pypi|simple)", (ROOT / name).read_text()
        )


def test_ci_runs_the_test_command_of_the_readme():
    assert "make test" in (ROOT / ".ci" / "run").read_text()
    assert "make test" in (ROOT / "README.md").read_text()
