"""The committed notebooks are in sync with their sources and fit to be shown anywhere."""

import pytest

from utils.suite import Notebook, claims_of, discover
from utils.suite.hygiene import check

LESSONS = discover()


def test_committed_notebooks_are_clean() -> None:
    assert "\n".join(map(str, check())) == ""


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.name)
def test_lesson_declares_what_the_suite_reads(lesson: Notebook) -> None:
    assert lesson.title != lesson.name
    assert lesson.minutes is not None
    assert any(minimum > 0 for minimum in lesson.evidence.values())
    assert all(claim.text for claim in claims_of(lesson))
