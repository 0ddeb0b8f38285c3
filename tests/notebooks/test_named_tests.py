"""The tests that lessons name beside their equations exist, and assert something."""

import re

from utils import runtime

ROOT = runtime.project_root()


def test_every_test_that_a_lesson_names_exists() -> None:
    tests = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    defined = set(re.findall(r"^def (test_\w+)\(", tests, flags=re.MULTILINE))
    named = {
        name
        for path in (ROOT / "notebooks" / "source").glob("*.py")
        for name in re.findall(r"`(test_\w+)`", path.read_text())
    }
    assert len(named) > 20
    assert named <= defined, sorted(named - defined)
