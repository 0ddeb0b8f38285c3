"""Readers of a lesson: trained once, kept, and trained again only if asked."""

from pathlib import Path

import pytest

from utils.experiments import Store, get_grid
from utils.lesson.kept import model_folder
from utils.lesson.reading import train_reader
from utils.lesson.threshold import threshold_curve, threshold_figure, threshold_html


@pytest.fixture(autouse=True)
def own_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COURSE_RUNS", str(tmp_path / "runs"))
    monkeypatch.delenv("COURSE_MIRROR", raising=False)


def test_a_reader_is_trained_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = Store(tmp_path / "records")
    (spec,) = get_grid("questions")("smoke", methods=["full"]).resolve([])
    spec = spec.model_copy(update={"n_train": 8, "test_limit": 4, "validation_limit": 1})
    record, reader = train_reader(spec, store=store)
    assert "optimiser steps 4" in capsys.readouterr().out
    again, same = train_reader(spec, store=store)
    assert "optimiser steps 0" in capsys.readouterr().out
    assert again.metrics == record.metrics
    question, context = ["Who?"], ["Ada built the mill."]
    assert reader.read(question, context)[0] == same.read(question, context)[0]
    # Where the model is gone, the record alone is not enough.
    (model_folder(record.key) / "reader.json").unlink()
    train_reader(spec, store=store)
    assert "optimiser steps 4" in capsys.readouterr().out


def test_the_figure_says_in_words_what_it_shows() -> None:
    import numpy as np

    points = threshold_curve(
        np.array([-2.0, -1.0, 1.0]), np.array([1.0, 0.0, 0.5]), np.array([True, False, True])
    )
    alt = threshold_figure(points).alt_text
    assert "0.67 where 33% of the questions are answered" in alt
    assert "0.33 if none is and 0.50 if all are" in alt
    page = threshold_html(points)
    assert page.count("&quot;threshold&quot;") == 4
    assert "max=3 " in page
