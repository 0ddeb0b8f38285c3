"""Badges, first cells and the lesson table come from one place."""

import shutil

import pytest

from utils import runtime
from utils.errors import CourseError
from utils.suite.stamping import stamp

ROOT = runtime.project_root()


def test_everything_is_stamped():
    assert stamp(check=True) == []


@pytest.fixture
def copy(tmp_path):
    for name in ("README.md", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "notebooks", tmp_path / "notebooks")
    return tmp_path


def test_another_repository_reaches_every_file(copy):
    config = copy / "pyproject.toml"
    old = "transfer-learning-course/transfer-learning-course"
    config.write_text(config.read_text().replace(old, "ada/course"))
    changed = stamp(copy)
    assert {path.suffix for path in changed} == {".py", ".ipynb", ".md"}
    for path in changed:
        assert f"github.com/{old}" not in path.read_text()
        assert "ada/course" in path.read_text()
    assert stamp(copy) == []


def test_checking_changes_nothing(copy):
    readme = copy / "README.md"
    readme.write_text(readme.read_text().replace("| 01 |", "| 99 |"))
    before = readme.read_text()
    assert stamp(copy, check=True) == [readme]
    assert readme.read_text() == before


def test_a_missing_repository_is_named(copy):
    (copy / "pyproject.toml").write_text("[project]\n")
    with pytest.raises(CourseError, match="repository"):
        stamp(copy)
