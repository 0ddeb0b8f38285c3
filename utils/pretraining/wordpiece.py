"""WordPiece: a vocabulary of word pieces, learned by joining what often stands side by side.

Schuster and Nakajima, 2012, ICASSP; Wu et al., 2016. BERT's own training code was never published;
like the `tokenizers` library, we join the most frequent pair (byte-pair encoding, Sennrich et al.,
2016, ACL) and mark pieces inside a word with ##.
"""

from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from typing import TYPE_CHECKING

from utils.errors import CourseError

if TYPE_CHECKING:
    from transformers import BertTokenizer

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def learn_wordpieces(words: dict[str, int], n_merges: int) -> list[str]:
    """The algorithm itself: the pieces of a vocabulary, in the order in which they are found.

    Starts from single characters. `n_merges` times, the pair of neighbouring pieces that is most
    frequent, counted over all words, is joined to a new piece; of equally frequent pairs the
    alphabetically first. Ends early when every word is a single piece.

    Args:
        words: each word, with how often it occurs.
        n_merges: how many pieces to add to the characters.
    """
    spelled = {word: [word[0], *(f"##{letter}" for letter in word[1:])] for word in words}
    pieces = sorted({piece for parts in spelled.values() for piece in parts})
    for _ in range(n_merges):
        pairs: Counter[tuple[str, str]] = Counter()
        for word, parts in spelled.items():
            for pair in pairwise(parts):
                pairs[pair] += words[word]
        if not pairs:
            break
        left, right = min(pairs, key=lambda pair: (-pairs[pair], pair))
        joined = left + right.removeprefix("##")
        pieces.append(joined)
        for word, parts in spelled.items():
            spelled[word] = _join(parts, left, right, joined)
    return list(dict.fromkeys(pieces))


def _join(parts: list[str], left: str, right: str, joined: str) -> list[str]:
    """`parts` with each `left` that `right` follows, from the left, replaced by `joined`."""
    result: list[str] = []
    place = 0
    while place < len(parts):
        found = parts[place : place + 2] == [left, right]
        result.append(joined if found else parts[place])
        place += 2 if found else 1
    return result


def split_word(word: str, vocabulary: set[str]) -> list[str]:
    """Cut a word into the longest pieces of `vocabulary` from the left; ["[UNK]"] if it cannot."""
    parts: list[str] = []
    start = 0
    while start < len(word):
        prefix = "##" if start else ""
        ends = range(len(word), start, -1)
        end = next((e for e in ends if prefix + word[start:e] in vocabulary), None)
        if end is None:
            return ["[UNK]"]
        parts.append(prefix + word[start:end])
        start = end
    return parts


def train_tokenizer(texts: Iterable[str], vocab_size: int = 8192) -> "BertTokenizer":
    """An uncased BERT tokenizer with a vocabulary learned from `texts` by the `tokenizers` library.

    The five special tokens come first, then the pieces in alphabetical order: the library numbers
    them anew in every run, ours have the same numbers every time.

    Raises:
        CourseError: if the texts do not support as large a vocabulary.
    """
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

    # A token that already stands for something unknown is no word.
    texts = [text.replace("[UNK]", " ") for text in texts]

    def learn(size: int, given: list[str]) -> "Tokenizer":
        tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        trainer = trainers.WordPieceTrainer(
            vocab_size=size,
            min_frequency=2,
            special_tokens=[*SPECIAL_TOKENS, *given],
            show_progress=False,
        )
        tokenizer.train_from_iterator(texts, trainer)
        return tokenizer

    # Of equally frequent pairs the library joins those with the lowest numbers, and it numbers
    # letters inside a word by chance unless they are given.
    letters = sorted(piece for piece in learn(0, []).get_vocab() if piece.startswith("##"))
    tokenizer = learn(vocab_size, letters)
    pieces = sorted(set(tokenizer.get_vocab()) - set(SPECIAL_TOKENS))
    found = len(SPECIAL_TOKENS) + len(pieces)
    if found < vocab_size:
        raise CourseError(
            f"The text supports a vocabulary of {found:,} pieces, and {vocab_size:,} were asked "
            f"for. Add text, or lower vocab_size to {found:,} or less."
        )
    if found > vocab_size:
        raise CourseError(
            f"The text has {found:,} different characters and pieces; {vocab_size:,} do not hold "
            f"even its alphabet. Raise vocab_size to at least {found:,}."
        )
    return make_tokenizer([*SPECIAL_TOKENS, *pieces])


def make_tokenizer(pieces: list[str]) -> "BertTokenizer":
    """An uncased BERT tokenizer with these pieces, numbered in their order."""
    from transformers import BertTokenizer

    numbers = {piece: number for number, piece in enumerate(pieces)}
    return BertTokenizer(vocab=numbers, do_lower_case=True)
