"""Pairs of sentences: what is read, what is drawn, what is scored."""

import numpy as np
import pytest
from sacrebleu import corpus_bleu, corpus_chrf, sentence_chrf

from utils.errors import CourseError
from utils.tasks import get_task, task_of, translation
from utils.tasks.translation import CAPTIONS, Examples, load, score, signature, subset

PAIRS = Examples(
    ["A dog runs.", "Two men sit.", "It rains."],
    ["Ein Hund rennt.", "Zwei Männer sitzen auf einer Bank.", "Es regnet."],
)


def test_captions_are_pairs_that_stand_in_one_split_only() -> None:
    splits = load(CAPTIONS, profile="smoke", validation_limit=30, test_limit=40)
    assert task_of(CAPTIONS) == translation.NAME
    assert get_task(translation.NAME).METRIC == "sentence_chrf"
    assert (len(splits.validation), len(splits.test)) == (30, 40)
    assert len(splits.train) >= 1000
    parts = [set(part.sources) for part in (splits.train, splits.validation, splits.test)]
    assert not parts[0] & parts[1]
    assert not (parts[0] | parts[1]) & parts[2]
    assert all(text and text == text.strip() for text in splits.train.texts)


def test_another_data_set_is_refused_by_name() -> None:
    with pytest.raises(
        CourseError, match=r"does not know 'wmt/wmt14'\. Known: bentrevett/multi30k"
    ):
        load("wmt/wmt14")


def test_subsets_are_nested_and_no_larger_than_the_whole() -> None:
    two, all_three = subset(PAIRS, 2, 7), subset(PAIRS, 3, 7)
    assert all_three.sources[:2] == two.sources
    assert sorted(all_three.targets) == sorted(PAIRS.targets)
    assert subset(PAIRS, None, 0) is PAIRS
    with pytest.raises(CourseError, match=r"4 training pairs were asked for, but there are 3"):
        subset(PAIRS, 4, 0)


def test_texts_are_both_sides_without_saying_what_belongs_together() -> None:
    assert PAIRS.texts == [*PAIRS.sources, *PAIRS.targets]


def test_scores_are_those_of_the_package() -> None:
    written = ["Ein Hund läuft.", "Zwei Männer sitzen auf einer Mauer.", ""]
    metrics, answers = score(np.array(written), PAIRS)
    assert metrics["bleu"] == pytest.approx(corpus_bleu(written, [PAIRS.targets]).score)
    assert metrics["chrf"] == pytest.approx(corpus_chrf(written, [PAIRS.targets]).score)
    each = [sentence_chrf(a, [b]).score / 100 for a, b in zip(written, PAIRS.targets, strict=True)]
    np.testing.assert_allclose(answers["sentence_chrf"], each, rtol=1e-6)
    assert metrics["sentence_chrf"] == pytest.approx(np.mean(each), abs=1e-7)
    assert 0 < metrics["bleu"] < 100
    perfect, _ = score(np.array(PAIRS.targets), PAIRS)
    assert perfect["bleu"] == pytest.approx(100)
    assert perfect["sentence_chrf"] == pytest.approx(1)


def test_scores_need_a_translation_of_each_sentence() -> None:
    with pytest.raises(ValueError, match="2 translations for 3 sentences"):
        score(np.array(["a", "b"]), PAIRS)


def test_the_signature_names_what_changes_bleu() -> None:
    for part in ("case:mixed", "tok:13a", "smooth:exp", "version:"):
        assert part in signature()
