"""Text to pre-train on, read once for all tests."""

import pytest

from utils.pretraining.corpora import Corpus, load_corpus
from utils.tasks.language_modelling import TEXTBOOKS


@pytest.fixture(scope="session")
def documentation(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """The installed documentation, which stands in for the textbooks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COURSE_RUNS", str(tmp_path_factory.mktemp("documentation")))
        return load_corpus(TEXTBOOKS, profile="smoke")
