"""WordPiece: our thirty lines beside the library."""

import re
from collections import Counter

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from utils.errors import CourseError
from utils.pretraining.corpora import Corpus
from utils.pretraining.wordpiece import (
    SPECIAL_TOKENS,
    learn_wordpieces,
    split_word,
    train_tokenizer,
)

# The words of Sennrich et al., 2016, algorithm 1. "es" occurs 9 times, and so does "est"; of the
# two next, "ow" and "lo" with 7 each, the alphabetically first is taken.
SENNRICH = {"low": 5, "lower": 2, "newest": 6, "widest": 3}


def library_pieces(words: dict[str, int], vocab_size: int) -> set[str]:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocab_size, min_frequency=1, special_tokens=["[UNK]"], show_progress=False
    )
    tokenizer.train_from_iterator((f"{word} " * n for word, n in words.items()), trainer)
    return set(tokenizer.get_vocab()) - {"[UNK]"}


def test_the_published_example() -> None:
    pieces = learn_wordpieces(SENNRICH, 3)
    assert pieces[-3:] == ["##es", "##est", "##ow"]


@pytest.mark.parametrize("seed", range(5))
def test_we_find_the_pieces_that_the_library_finds(seed: int) -> None:
    rng = np.random.default_rng(seed)
    letters = np.array(list("abcde"))
    # Every pair stands in many words, and every word has another count, so that no two pairs are
    # equally frequent: the library breaks ties by numbers that it gives anew in each run.
    words = {
        "".join(rng.choice(letters, rng.integers(2, 8))): int(rng.integers(1, 10_000))
        for _ in range(400)
    }
    pieces = learn_wordpieces(words, 30)
    assert set(pieces) == library_pieces(words, len(pieces) + 1)


def test_we_find_the_pieces_of_real_text_that_the_library_finds(documentation: Corpus) -> None:
    text = " ".join(documentation.train.texts[:20]).lower()
    words = Counter(re.findall("[a-z]+", text))
    pieces = learn_wordpieces(words, 150)
    theirs = library_pieces(words, len(pieces) + 1)
    assert len(set(pieces) ^ theirs) <= 2  # the last one may be one of several equally frequent


def test_words_are_cut_into_the_longest_pieces() -> None:
    vocabulary = {"un", "u", "##aff", "##able", "##a", "##ff"}
    assert split_word("unaffable", vocabulary) == ["un", "##aff", "##able"]
    assert split_word("unfair", vocabulary) == ["[UNK]"]


def test_the_tokenizer_is_the_same_every_time_and_cuts_as_we_do(documentation: Corpus) -> None:
    texts = documentation.train.texts
    tokenizer = train_tokenizer(texts, 4096)
    numbers = tokenizer.get_vocab()
    assert numbers == train_tokenizer(texts, 4096).get_vocab()
    assert [numbers[token] for token in SPECIAL_TOKENS] == [0, 1, 2, 3, 4]
    assert len(tokenizer) == 4096
    assert tokenizer.tokenize("Estimators!") == [*split_word("estimators", set(numbers)), "!"]
    encoded = tokenizer("An estimator.", "[UNK]")
    assert encoded["input_ids"][0] == numbers["[CLS]"]
    assert encoded["input_ids"][-2:] == [numbers["[UNK]"], numbers["[SEP]"]]
    assert encoded["token_type_ids"][-1] == 1


def test_what_a_text_does_not_support_is_refused() -> None:
    with pytest.raises(CourseError, match=r"supports a vocabulary of .* lower vocab_size"):
        train_tokenizer(["a few words, a few words"] * 3, 8192)
    with pytest.raises(CourseError, match="Raise vocab_size to at least"):
        train_tokenizer(["many different characters in a few words"] * 3, 10)
