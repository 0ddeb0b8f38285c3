"""Packed text: nothing lost, nothing drawn more often than the rest."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from utils import runtime
from utils.errors import CourseError
from utils.pretraining import (
    PackedText,
    Vocabulary,
    pack,
    vocabulary_of,
)
from utils.pretraining.corpora import Corpus
from utils.pretraining.wordpiece import train_tokenizer
from utils.tasks.language_modelling import Documents


@pytest.fixture(scope="module")
def tokenizer(documentation: Corpus):
    return train_tokenizer(documentation.train.texts, 4096)


def packed(documentation: Corpus, tokenizer, n: int = 50) -> PackedText:
    documents = documentation.train.take(np.arange(n))
    return pack(documents, tokenizer, runtime.runs_dir() / "cache")


def test_the_text_comes_back_whole(documentation: Corpus, tokenizer) -> None:
    text = packed(documentation, tokenizer)
    assert text.tokens.dtype == torch.int32
    for i in (0, 17, 49):
        row = text.tokens[text.starts[i] : text.starts[i + 1]].tolist()
        expected = tokenizer(documentation.train.texts[i], add_special_tokens=False)["input_ids"]
        assert row == [*expected, tokenizer.sep_token_id]
    assert text.starts[-1] == len(text.tokens)


def test_origins_are_numbered_in_their_order(tokenizer, tmp_path: Path) -> None:
    documents = Documents(["An array.", "Arrays.", "A function."], ["z", "z", "a"])
    text = pack(documents, tokenizer, tmp_path)
    assert text.origins.tolist() == [0, 0, 1]
    assert pack(documents.take(np.array([0, 1])), tokenizer, tmp_path).origins.tolist() == [0, 0]


def test_packed_text_is_reopened_and_told_apart(
    documentation: Corpus, tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = packed(documentation, tokenizer)
    assert len(packed(documentation, tokenizer, n=49).tokens) < len(first.tokens)
    monkeypatch.setattr("utils.pretraining.packing._tokenise", None)  # would fail if called
    assert packed(documentation, tokenizer).tokens.equal(first.tokens)


def test_windows_are_framed_and_cut_at_every_place_alike() -> None:
    vocabulary = Vocabulary(200, 4, 2, 3, 5, torch.ones(200).bool(), torch.zeros(200).bool())
    tokens = torch.arange(100, 140, dtype=torch.int32)
    text = PackedText(tokens, torch.tensor([0, 40]), torch.zeros(1, dtype=torch.long))
    torch.manual_seed(0)
    windows = text.windows(6000, 12, vocabulary)
    assert windows.shape == (6000, 12)
    assert (windows[:, 0] == 2).all()
    assert (windows[:, -1] == 3).all()
    assert (windows[:, 1:-1].diff(dim=1) == 1).all()
    counts = torch.bincount(windows[:, 1] - 100)
    assert len(counts) == 31  # the last window ends with the last token
    assert chisquare(counts.numpy()).pvalue > 0.001
    with pytest.raises(CourseError, match="40 tokens, fewer than one sequence of 64"):
        text.windows(2, 64, vocabulary)


def test_what_may_be_masked_and_what_a_word_is(tokenizer) -> None:
    facts = vocabulary_of(tokenizer)
    assert facts.maskable.sum() == len(tokenizer) - 5
    assert not facts.maskable[torch.tensor(tokenizer.all_special_ids)].any()
    pieces = tokenizer.tokenize("parameters of estimators")
    ids = torch.tensor([tokenizer.convert_tokens_to_ids(pieces)])
    starts = [not piece.startswith("##") for piece in pieces]
    assert facts.words(ids)[0].tolist() == [sum(starts[: i + 1]) - 1 for i in range(len(pieces))]


def test_nothing_to_pack_is_refused(tokenizer, tmp_path: Path) -> None:
    with pytest.raises(CourseError, match="no document to pack"):
        pack(Documents([], []), tokenizer, tmp_path)
