"""Exercises of lesson 03: word pieces, masking, the gain over frequencies, sentence pairs."""

import math
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import chain, pairwise

import numpy as np
import torch
from torch import Tensor

from utils.lesson.exercise import Exercise, Mistake

# --- 03.1 -----------------------------------------------------------------------------------------


def next_piece(words: dict[str, int], spelled: dict[str, list[str]]) -> tuple[str, str, str]:
    """The pair to join, left and right, and the piece that it becomes."""
    counts: Counter[tuple[str, str]] = Counter()
    for word, pieces in spelled.items():
        for pair in pairwise(pieces):
            counts[pair] += words[word]
    left, right = min(counts, key=lambda pair: (-counts[pair], pair))
    return left, right, left + right.removeprefix("##")


Words = dict[str, int]
Spelled = dict[str, list[str]]
Pair = tuple[str, str]


def _letters(word: str) -> list[str]:
    return [word[0], *(f"##{letter}" for letter in word[1:])]


def _merge_cases(rng: np.random.Generator) -> list[tuple]:
    by_letters: list[Words] = [
        {"sun": 4, "sunny": 2, "runs": 3},
        {"at": 9, "bee": 1, "been": 1},
        {"at": 7, "bee": 2, "been": 2, "beet": 2},
        {"of": 5, "on": 3, "one": 3},
        {"banana": 3, "bag": 2},
        {"me": 3, "be": 3, "to": 3, "he": 3},
        {"a": 6, "by": 2},
    ]
    later = {
        "under": ["u", "##n", "##de", "##r"],
        "undo": ["u", "##n", "##d", "##o"],
        "wonder": ["w", "##o", "##n", "##de", "##r"],
    }
    drawn: Words = {}
    while len(drawn) < 9:
        word = "".join(rng.choice(list("aent"), size=rng.integers(1, 6)))
        drawn[word] = int(rng.integers(1, 9))
    cases = [(words, {word: _letters(word) for word in words}) for words in [*by_letters, drawn]]
    return [*cases, ({"under": 4, "undo": 3, "wonder": 3}, later)]


def _pairs(words: Words, spelled: Spelled, once: bool = False) -> Counter[Pair]:
    counts: Counter[Pair] = Counter()
    for word, pieces in spelled.items():
        pairs: Iterable[Pair] = pairwise(pieces)
        for pair in dict.fromkeys(pairs) if once else pairs:
            counts[pair] += words[word]
    return counts


def _across(words: Words, spelled: Spelled) -> Counter[Pair]:
    return Counter(pairwise(chain.from_iterable(spelled[w] * words[w] for w in spelled)))


def _unweighted(words: Words) -> Words:
    return dict.fromkeys(words, 1)


def _relative(words: Words, spelled: Spelled) -> dict[Pair, float]:
    single: Counter[str] = Counter()
    for word, pieces in spelled.items():
        for piece in pieces:
            single[piece] += words[word]
    pairs = _pairs(words, spelled)
    return {pair: n / (single[pair[0]] * single[pair[1]]) for pair, n in pairs.items()}


def _best(counts: Counter[Pair] | dict[Pair, float]) -> Pair:
    return min(counts, key=lambda pair: (-counts[pair], pair))


def _joined(pair: Pair) -> tuple[str, str, str]:
    return *pair, pair[0] + pair[1].removeprefix("##")


NEXT_PIECE = Exercise(
    number="03.1",
    title="One step of learning word pieces",
    difficulty=2,
    minutes=15,
    prompt="""
Write `next_piece(words, spelled)`, one step of the training of a vocabulary: find the pair of
neighbouring pieces that is most frequent in the text, and the piece that it becomes when joined.
Of equally frequent pairs, take the alphabetically first (Python's order of tuples of strings).

| symbol | variable | type |
|---|---|---|
| $n_w$, how often the word $w$ occurs in the text | `words` | word → count |
| $s_w$, the pieces that $w$ consists of so far | `spelled` | word → list of pieces |
| $N(a, b) = \\sum_w n_w \\cdot \\#\\{i : s_{w,i} = a,\\ s_{w,i+1} = b\\}$ | frequency of a pair | |
| the pair with the largest $N$, and its joined piece | result | tuple `(left, right, joined)` |

A piece that continues a word carries `##`. Joined, `"##u"` and `"##n"` become `"##un"`; `"s"` and
`"##u"` become `"su"`. At least one word has two pieces.
""",
    hints=(
        "Two loops: over the words, and over the neighbours within each word. What must be added "
        "to the count of a pair when its word stands in the text four times?",
        "`pairwise(pieces)` from `itertools` gives the neighbours. For the ties, note that "
        "`min` compares tuples entry by entry, so a key may hold the negative count first and then "
        "the pair.",
        "`min(counts, key=lambda pair: (-counts[pair], pair))` finds the pair. For the new piece, "
        'take `right.removeprefix("##")`.',
    ),
    solution=next_piece,
    cases=_merge_cases,
    mistakes=(
        Mistake(
            "words not weighted",
            "Each word of the list counts once, however often it stands in the text. A pair in one "
            "frequent word can be more frequent than a pair in many rare ones.",
            lambda w, s: _joined(_best(_pairs(_unweighted(w), s))),
        ),
        Mistake(
            "a pair counted once a word",
            "A pair that stands twice in a word, like *an* in *banana*, occurs twice each time the "
            "word is written.",
            lambda w, s: _joined(_best(_pairs(w, s, once=True))),
        ),
        Mistake(
            "pairs across words",
            "You also count the last piece of a word with the first of the next. Pieces are only "
            "joined within words.",
            lambda w, s: _joined(_best(_across(w, s))),
        ),
        Mistake(
            "pairs across words, and words not weighted",
            "You count neighbours in one long row of all pieces: the end of a word forms pairs "
            "with the beginning of the next, and frequent words count as much as rare ones.",
            lambda w, s: _joined(_best(_across(_unweighted(w), s))),
        ),
        Mistake(
            "ties go to the alphabetically last",
            "The counts are right, but of equally frequent pairs you take the alphabetically last. "
            "This happens with `max` over (count, pair).",
            lambda w, s: _joined(max((n, pair) for pair, n in _pairs(w, s).items())[1]),
        ),
        Mistake(
            "ties go to the pair seen first",
            "The counts are right, but of equally frequent pairs you take the one that was met "
            "first, as `max` and `most_common` do. The vocabulary would then depend on the order "
            "of the words.",
            lambda w, s: _joined(_pairs(w, s).most_common(1)[0][0]),
        ),
        Mistake(
            "frequencies divided by those of the pieces",
            "You divide the frequency of a pair by those of its two pieces, a score that is often "
            "described for WordPiece and favours pairs of rare pieces. Asked is the frequency "
            "itself, by which the `tokenizers` library also goes.",
            lambda w, s: _joined(_best(_relative(w, s))),
        ),
        Mistake(
            "a mark left in the middle",
            "The pair is right. In the new piece, the `##` of the right part still stands between "
            "the two: no word is spelled like that.",
            lambda w, s: (*_best(_pairs(w, s)), "".join(_best(_pairs(w, s)))),
        ),
        Mistake(
            "all marks removed",
            "The pair is right, but the new piece has lost its `##` where the left part continues "
            "a word.",
            lambda w, s: (
                *_best(_pairs(w, s)),
                "".join(_best(_pairs(w, s))).replace("##", ""),
            ),
        ),
        Mistake(
            "a mark where a word begins",
            "The pair is right, but your new piece always carries `##`, even if the left part "
            "begins a word.",
            lambda w, s: (
                *_best(_pairs(w, s)),
                "##" + "".join(_best(_pairs(w, s))).replace("##", ""),
            ),
        ),
    ),
)

# --- 03.2 -----------------------------------------------------------------------------------------


def my_split_word(word: str, vocabulary: set[str]) -> list[str]:
    """The longest pieces from the left; ["[UNK]"] if the word cannot be cut like that."""
    pieces = []
    start = 0
    while start < len(word):
        prefix = "##" if start > 0 else ""
        for end in range(len(word), start, -1):
            if prefix + word[start:end] in vocabulary:
                break
        else:  # not even one character was found
            return ["[UNK]"]
        pieces.append(prefix + word[start:end])
        start = end
    return pieces


def _split_cases(rng: np.random.Generator) -> list[tuple]:
    # At most six pieces each, so that a case can be shown in full.
    return [
        ("playing", {"play", "##ing", "##in", "##g", "p"}),
        ("noon", {"n", "no", "##o", "##on", "##n"}),
        ("word", {"word", "wor", "##d"}),
        ("today", {"to", "day", "##day", "##d"}),
        ("daybed", {"day", "bed", "##d"}),
        ("runner", {"run", "##n", "##ers"}),
        ("cat7s", {"cat", "##s", "##t"}),
        ("therein", {"there", "the", "##rein", "##r"}),
        ("superbly", {"superb", "##ly", "##bly", "su", "##per"}),
        ("forecasts", {"for", "fore", "##ecasts", "##cast", "##s"}),
        ("xylem", {"##y", "##lem", "y"}),
        ("a", {"a", "##a"}),
    ]


def _cut(
    word: str,
    vocabulary: set[str],
    *,
    looked_up: str = "##",
    written: str = "##",
    ends: Callable[[int, int], Iterable[int]] = lambda start, stop: range(stop, start, -1),
    otherwise: Callable[[list[str]], list[str]] = lambda found: ["[UNK]"],
    skip: bool = False,
) -> list[str]:
    """The algorithm with some of its parts exchanged."""
    found: list[str] = []
    start = 0
    while start < len(word):
        mark = looked_up if start else ""
        tried = ends(start, len(word))
        end = next((e for e in tried if mark + word[start:e] in vocabulary), None)
        if end is None and not skip:
            return otherwise(found)
        if end is None:
            found.append("[UNK]")
            start += 1
        else:
            found.append((written if start else "") + word[start:end])
            start = end
    return found


def _from_the_right(word: str, vocabulary: set[str]) -> list[str]:
    found: list[str] = []
    stop = len(word)
    while stop > 0:
        pieces = (("##" if start else "") + word[start:stop] for start in range(stop))
        piece = next((piece for piece in pieces if piece in vocabulary), None)
        if piece is None:
            return ["[UNK]"]
        found.insert(0, piece)
        stop -= len(piece.removeprefix("##"))
    return found


def _all_splits(word: str, vocabulary: set[str], start: int = 0) -> Iterable[list[str]]:
    """Every way to cut the word, those with a long first piece first."""
    if start == len(word):
        yield []
    for end in range(len(word), start, -1):
        if (piece := ("##" if start else "") + word[start:end]) in vocabulary:
            yield from ([piece, *rest] for rest in _all_splits(word, vocabulary, end))


SPLIT_WORD = Exercise(
    number="03.2",
    title="Cutting a word into pieces",
    difficulty=2,
    minutes=10,
    prompt="""
Write `my_split_word(word, vocabulary)`, which cuts a word as BERT's tokenizer does: take the
**longest** piece of the vocabulary that the word begins with, then the longest that the rest begins
with, and so on. Pieces after the first are written, and stand in the vocabulary, with `##`.

| | variable | type |
|---|---|---|
| the word, of at least one character | `word` | string |
| all pieces | `vocabulary` | set of strings |
| its pieces, from left to right | result | list of strings |

If at some place no piece fits, not even one of a single character, the **whole** word becomes
`["[UNK]"]`. What was chosen is never taken back.
""",
    hints=(
        "Keep in mind where the rest begins. From there, which ends do you try, and in which "
        "order?",
        "`range(len(word), start, -1)` runs through the ends from the longest piece to the "
        'shortest. Look up `word[start:end]` as it is at the start, and with `"##"` elsewhere.',
        'When an end fits, append the piece, marks included, and set `start = end`. `["[UNK]"]` is '
        "returned from inside the outer loop, as soon as no end fits.",
    ),
    solution=my_split_word,
    cases=_split_cases,
    mistakes=(
        Mistake(
            "the shortest piece first",
            "You take the first piece that fits, from short to long. Words then fall apart into "
            "single characters.",
            lambda w, v: _cut(w, v, ends=lambda start, stop: range(start + 1, stop + 1)),
        ),
        Mistake(
            "## forgotten",
            "You look up later pieces without `##`. A piece that begins a word and one that "
            "continues it are different entries of the vocabulary, with different vectors.",
            lambda w, v: _cut(w, v, looked_up="", written=""),
        ),
        Mistake(
            "## not looked up",
            "You add `##` only to the result. It belongs to the piece when you look it up, too: "
            "otherwise you return pieces that are not in the vocabulary.",
            lambda w, v: _cut(w, v, looked_up=""),
        ),
        Mistake(
            "## missing in the result",
            "You look pieces up correctly and then return them without their `##`.",
            lambda w, v: _cut(w, v, written=""),
        ),
        Mistake(
            "pieces kept before [UNK]",
            "Where nothing fits any more, you return the pieces found so far and `[UNK]` for the "
            "rest. The whole word is unknown.",
            lambda w, v: _cut(w, v, otherwise=lambda found: [*found, "[UNK]"]),
        ),
        Mistake(
            "the rest is dropped",
            "Where nothing fits any more, you return the pieces found so far, as if the word ended "
            "there. Nobody will notice that a part is missing.",
            lambda w, v: _cut(w, v, otherwise=lambda found: found),
        ),
        Mistake(
            "[UNK] for single characters",
            "You put `[UNK]` for a character that no piece covers and go on after it. In BERT the "
            "whole word becomes one `[UNK]`.",
            lambda w, v: _cut(w, v, skip=True),
        ),
        Mistake(
            "single characters never tried",
            "The shortest piece that you try has two characters. Look at where your range of ends "
            "stops.",
            lambda w, v: _cut(w, v, ends=lambda start, stop: range(stop, start + 1, -1)),
        ),
        Mistake(
            "cut from the right",
            "You take the longest piece at the *end* of the word first. Begin at the left.",
            _from_the_right,
        ),
        Mistake(
            "a choice taken back",
            "Where the longest piece leads nowhere, you go back and try a shorter one. That finds "
            "more words, but it is not what BERT's tokenizer does.",
            lambda w, v: next(iter(_all_splits(w, v)), ["[UNK]"]),
        ),
        Mistake(
            "the fewest pieces",
            "You search for the split with the fewest pieces. The greedy one takes the longest "
            "piece at each place, even if more pieces are needed in the end.",
            lambda w, v: min(_all_splits(w, v), key=len, default=["[UNK]"]),
        ),
        Mistake(
            "whole words only",
            "A word that is not in the vocabulary becomes `[UNK]` at once. It should first be cut "
            "into pieces.",
            lambda w, v: [w] if w in v else ["[UNK]"],
        ),
    ),
)

# --- 03.3 -----------------------------------------------------------------------------------------


def hide_tokens(
    input_ids: Tensor, chosen: Tensor, fate: Tensor, draw: Tensor, vocab_size: int
) -> tuple[Tensor, Tensor]:
    """What the model sees, and what it is asked, both (batch, length)."""
    mask_id, first_word_id = 4, 5
    asked = chosen & (input_ids >= first_word_id)
    random_ids = first_word_id + (draw * (vocab_size - first_word_id)).long()
    corrupted = input_ids.clone()
    corrupted[asked & (fate < 0.8)] = mask_id
    swapped = asked & (fate >= 0.8) & (fate < 0.9)
    corrupted[swapped] = random_ids[swapped]
    labels = input_ids.masked_fill(~asked, -100)
    return corrupted, labels


_MASK, _FIRST = 4, 5


def _hiding_cases(rng: np.random.Generator) -> list[tuple]:
    small = (
        torch.tensor([[2, 11, 12, 13, 14, 3]]),
        torch.tensor([[True, True, True, True, False, False]]),
        torch.tensor([[0.45, 0.35, 0.85, 0.95, 0.25, 0.65]]),
        torch.tensor([[0.01, 0.52, 0.02, 0.75, 0.33, 0.91]]),
        25,
    )
    cases: list[tuple] = [small]
    for batch, length, vocab_size in ((2, 8, 30), (4, 40, 90)):
        input_ids = torch.tensor(rng.integers(_FIRST, vocab_size, size=(batch, length)))
        input_ids[:, 0], input_ids[:, -1] = 2, 3
        input_ids[0, -3:] = torch.tensor([3, 0, 0])  # the first sequence is padded
        uniform = [torch.tensor(rng.random((batch, length))).float() for _ in range(3)]
        cases.append((input_ids, uniform[0] < 0.6, uniform[1], uniform[2], vocab_size))
    return cases


def _corrupt(
    ids: Tensor,
    chosen: Tensor,
    fate: Tensor,
    draw: Tensor,
    size: int,
    *,
    masked: tuple[float, float] = (0.0, 0.8),
    swapped: tuple[float, float] = (0.8, 0.9),
    first: int = _FIRST,
) -> Tensor:
    """The corrupted tokens: `fate` in which interval, from where on tokens are drawn."""
    random_ids = first + (draw * (size - first)).long()
    new = torch.where((fate >= masked[0]) & (fate < masked[1]), _MASK, ids)
    new = torch.where((fate >= swapped[0]) & (fate < swapped[1]), random_ids, new)
    return torch.where(chosen, new, ids)


def _asked(ids: Tensor, chosen: Tensor) -> Tensor:
    return chosen & (ids >= _FIRST)


def _labels(ids: Tensor, asked: Tensor, ignored: int = -100) -> Tensor:
    return torch.where(asked, ids, ignored)


def _hidden(
    ids: Tensor, chosen: Tensor, fate: Tensor, draw: Tensor, size: int, **parts: object
) -> tuple[Tensor, Tensor]:
    """Right but for the shares or for the tokens that are drawn."""
    asked = _asked(ids, chosen)
    return _corrupt(ids, asked, fate, draw, size, **parts), _labels(ids, asked)  # type: ignore[arg-type]


HIDE_TOKENS = Exercise(
    number="03.3",
    title="Hiding tokens, 80/10/10",
    difficulty=2,
    minutes=15,
    prompt="""
Write `hide_tokens(input_ids, chosen, fate, draw, vocab_size)`, the corruption of masked language
modelling. All random numbers are given, so the result is fixed. In our vocabulary the numbers 0–4
are `[PAD]`, `[UNK]`, `[CLS]`, `[SEP]` and `[MASK]`; words begin at 5.

| symbol | variable | shape |
|---|---|---|
| $x$, the tokens | `input_ids` | (batch, length), integers |
| where chance fell | `chosen` | (batch, length), True or False |
| $u$, evenly from $[0, 1)$ | `fate` | (batch, length), floats |
| $r$, evenly from $[0, 1)$ | `draw` | (batch, length), floats |
| $V$, size of the vocabulary | `vocab_size` | a number |
| $\\tilde x$, what the model sees | first result | (batch, length), integers |
| $y$, what it is asked | second result | (batch, length), integers |

A token is *asked for* if it is chosen and not special. Then it becomes `[MASK]` if $u < 0.8$, the
random word $5 + \\lfloor r\\,(V - 5) \\rfloor$ if $0.8 \\le u < 0.9$, and stays as it is otherwise.
All other tokens stay as they are. The label $y$ is the **original** token where one is asked for,
and $-100$, which cross-entropy leaves out, everywhere else. Return `(corrupted, labels)`.
""",
    hints=(
        "Make three masks of True and False: which tokens are asked for, which of these become "
        "`[MASK]`, which become a random word. Which of the three decides the labels?",
        "Write into `input_ids.clone()`, so that the originals are still there for the labels. "
        "`(draw * (vocab_size - 5)).long()` rounds down.",
        "`asked = chosen & (input_ids >= 5)`; `[MASK]` where `asked & (fate < 0.8)`; a random word "
        "where `asked & (fate >= 0.8) & (fate < 0.9)`; labels by `masked_fill(~asked, -100)`.",
    ),
    solution=hide_tokens,
    cases=_hiding_cases,
    mistakes=(
        Mistake(
            "labels everywhere",
            "Every position has a label. The loss would then mostly ask for tokens that stand in "
            "plain view.",
            lambda x, c, u, r, n: (_corrupt(x, _asked(x, c), u, r, n), x),
        ),
        Mistake(
            "labels from the corrupted tokens",
            "Your labels hold what the model *sees*, so it is asked to answer `[MASK]`. This also "
            "happens if `input_ids` is overwritten before the labels are made.",
            lambda x, c, u, r, n: (
                _corrupt(x, _asked(x, c), u, r, n),
                _labels(_corrupt(x, _asked(x, c), u, r, n), _asked(x, c)),
            ),
        ),
        Mistake(
            "kept tokens not asked for",
            "The chosen tokens that stay as they are have no label. They are asked for all the "
            "same; otherwise a token in plain view would always be right.",
            lambda x, c, u, r, n: (
                _corrupt(x, _asked(x, c), u, r, n),
                _labels(x, _asked(x, c) & (u < 0.9)),
            ),
        ),
        Mistake(
            "only [MASK] asked for",
            "Only the positions of `[MASK]` have a label. Swapped and kept tokens are asked for as "
            "well.",
            lambda x, c, u, r, n: (
                _corrupt(x, _asked(x, c), u, r, n),
                _labels(x, _asked(x, c) & (u < 0.8)),
            ),
        ),
        Mistake(
            "0 instead of -100",
            "Where nothing is asked, your label is 0. That is the number of `[PAD]`, and the model "
            "would be taught to predict it.",
            lambda x, c, u, r, n: (
                _corrupt(x, _asked(x, c), u, r, n),
                _labels(x, _asked(x, c), 0),
            ),
        ),
        Mistake(
            "always [MASK]",
            "All tokens that are asked for become `[MASK]`. In fine-tuning there is no `[MASK]`, "
            "and a model made like this has never needed to represent the words that it sees.",
            lambda *a: _hidden(*a, masked=(0.0, 1.0), swapped=(2.0, 2.0)),
        ),
        Mistake(
            "no random words",
            "No token becomes a random word: 80 % are masked, 20 % stay. If you first test for "
            "below 0.8 and then for below 0.1, the second test is never true.",
            lambda *a: _hidden(*a, swapped=(2.0, 2.0)),
        ),
        Mistake(
            "random words taken from the masked ones",
            "Tokens with a fate below 0.1 become random, which leaves 70 % for `[MASK]` and 20 % "
            "unchanged. The shares follow one another on the line from 0 to 1.",
            lambda *a: _hidden(*a, swapped=(0.0, 0.1)),
        ),
        Mistake(
            "no token kept",
            "Everything that does not become `[MASK]` becomes a random word. Half of that should "
            "stay as it is.",
            lambda *a: _hidden(*a, swapped=(0.8, 1.0)),
        ),
        Mistake(
            "swapped and kept exchanged",
            "The shares are right, but the tokens between 0.8 and 0.9 are kept and those above "
            "become random.",
            lambda *a: _hidden(*a, swapped=(0.9, 1.0)),
        ),
        Mistake(
            "random words from the whole vocabulary",
            "Your random tokens are drawn from 0 on, special tokens among them: a `[SEP]` or "
            "`[PAD]` may turn up in the middle of a sentence.",
            lambda *a: _hidden(*a, first=0),
        ),
        Mistake(
            "special tokens hidden",
            "Special tokens are masked and asked for when they are chosen. There is nothing to "
            "learn from guessing `[CLS]` in the first place or padding at the end.",
            lambda x, c, u, r, n: (_corrupt(x, c, u, r, n), _labels(x, c)),
        ),
        Mistake(
            "special tokens asked for",
            "The corrupted tokens are right, but special tokens that were chosen have a label.",
            lambda x, c, u, r, n: (_corrupt(x, _asked(x, c), u, r, n), _labels(x, c)),
        ),
        Mistake(
            "tokens corrupted that were not chosen",
            "The labels are right, but `fate` corrupts words everywhere, not only those that were "
            "chosen. Hardly any context is left.",
            lambda x, c, u, r, n: (
                _corrupt(x, x >= _FIRST, u, r, n),
                _labels(x, _asked(x, c)),
            ),
        ),
    ),
)

# --- 03.4 -----------------------------------------------------------------------------------------


def gain_in_nats(counts: Tensor, labels: Tensor, losses: Tensor) -> float:
    """Unigram loss less the model's loss, in nats per token that is asked for."""
    log_probabilities = torch.log((counts + 1) / (counts + 1).sum())
    asked = labels != -100
    unigram = -log_probabilities[labels[asked]]
    return float((unigram - losses[asked]).mean())


def _gain_cases(rng: np.random.Generator) -> list[tuple]:
    small = (
        torch.tensor([7, 3, 1, 1]),
        torch.tensor([[0, -100, 2], [-100, 1, -100]]),
        torch.tensor([[0.5, 0.1, 0.8], [0.2, 0.9, 0.4]]),
    )
    cases: list[tuple] = [small]
    # Rows with unequal numbers of labels; in the last case the training text lacks some tokens.
    for size, shape, share, least in (
        (12, (3, 5), 0.5, 1),
        (40, (4, 9), 0.4, 2),
        (30, (4, 8), 0.5, 0),
    ):
        counts = torch.tensor(rng.zipf(1.6, size=size).clip(1, 300) - 1 + least)
        ids = torch.tensor(rng.integers(size, size=shape))
        asked = torch.tensor(rng.random(shape) < share)
        asked[:, 0], asked[0] = True, torch.arange(shape[1]) < 1
        losses = torch.tensor(rng.gamma(2.0, 0.7, size=shape)).float()
        cases.append((counts, ids.masked_fill(~asked, -100), losses))
    return cases


def _shares(counts: Tensor, added: float = 1.0) -> Tensor:
    return (counts + added) / (counts + added).sum()


def _at(probabilities: Tensor, labels: Tensor) -> Tensor:
    """Negative log-probability of each label, 1-d."""
    return -probabilities.double().log()[labels[labels != -100]]


def _own_shares(counts: Tensor, labels: Tensor, added: float) -> Tensor:
    seen = torch.bincount(labels[labels != -100], minlength=len(counts))
    return _shares(seen, added)


def _lost(labels: Tensor, losses: Tensor) -> Tensor:
    return losses[labels != -100].double()


def _entropy(probabilities: Tensor) -> Tensor:
    return -(probabilities * probabilities.log()).sum()


def _mean_of_rows(counts: Tensor, labels: Tensor, losses: Tensor) -> float:
    rows = [
        (_at(_shares(counts), row) - _lost(row, lost)).mean()
        for row, lost in zip(labels, losses, strict=True)
    ]
    return float(torch.stack(rows).mean())


GAIN = Exercise(
    number="03.4",
    title="What has the model learned?",
    difficulty=2,
    minutes=15,
    prompt="""
A loss in nats says little by itself. Compare it, at the same positions, with that of a guess that
looks at nothing and only knows how frequent each token is **in the training text**. Every count is
raised by one, so that no token is impossible:

$$ p_v = \\frac{c_v + 1}{\\sum_{w} (c_w + 1)}, \\qquad
\\text{gain} = \\frac{1}{|M|} \\sum_{i \\in M} \\bigl( -\\ln p_{y_i} - \\ell_i \\bigr). $$

Write `gain_in_nats(counts, labels, losses)`.

| symbol | variable | shape |
|---|---|---|
| $c_v$, how often token $v$ stands in the training text | `counts` | (vocabulary,), integers |
| $y$, held-out tokens that are asked for, else $-100$ | `labels` | (batch, length), integers |
| $\\ell$, the model's loss in nats, at every position | `losses` | (batch, length), floats |
| $M$, all positions of the batch that are asked for | `labels != -100` | |
| gain in nats per token, above 0 if the model knows more than frequencies | result | a float |
""",
    hints=(
        "First the table of $p$, one number for each token of the vocabulary; then look up those "
        "of the labels.",
        "`asked = labels != -100` picks the same positions from both: `labels[asked]` and "
        "`losses[asked]` are 1-d and equally long, whatever sequence they come from.",
        "`unigram = -torch.log((counts + 1) / (counts + 1).sum())[labels[asked]]`. Subtract "
        "`losses[asked]`, take the mean, and wrap it in `float(...)`.",
    ),
    solution=gain_in_nats,
    cases=_gain_cases,
    tolerance=1e-5,
    mistakes=(
        Mistake(
            "the wrong way round",
            "You subtract the unigram loss from the model's. A model that has learned something "
            "should have a gain above 0.",
            lambda c, y, e: float((_lost(y, e) - _at(_shares(c), y)).mean()),
        ),
        Mistake(
            "frequencies of the held-out text",
            "You count frequencies in the labels themselves. A baseline that has seen the answers "
            "is better than any that could be had; use `counts`.",
            lambda c, y, e: float((_at(_own_shares(c, y, 0), y) - _lost(y, e)).mean()),
        ),
        Mistake(
            "frequencies of the held-out text, smoothed",
            "You count frequencies in the labels themselves, and smooth them. They belong to the "
            "text that is measured on; use `counts`.",
            lambda c, y, e: float((_at(_own_shares(c, y, 1), y) - _lost(y, e)).mean()),
        ),
        Mistake(
            "the entropy of the training text",
            "You average over the frequencies of the *training* text. The tokens that are asked "
            "for here are others; look up the probability of each label.",
            lambda c, y, e: float(_entropy(_shares(c)) - _lost(y, e).mean()),
        ),
        Mistake(
            "compared with an even guess",
            "You compare with a guess that holds all tokens equally likely, $\\ln V$. That is "
            "beaten by knowing that some tokens are frequent, without any context.",
            lambda c, y, e: float(math.log(len(c)) - _lost(y, e).mean()),
        ),
        Mistake(
            "no smoothing",
            "The counts are not raised by one. A single token that the training text lacks makes "
            "the baseline infinitely bad.",
            lambda c, y, e: float((_at(_shares(c, 0), y) - _lost(y, e)).mean()),
        ),
        Mistake(
            "probabilities that do not sum to 1",
            "Each count is raised by one, but the sum that you divide by is not: it has to grow by "
            "one for each token of the vocabulary.",
            lambda c, y, e: float((_at((c + 1) / c.sum(), y) - _lost(y, e)).mean()),
        ),
        Mistake(
            "the baseline in bits",
            "Your unigram loss uses logarithms to base 2, and the model's is in nats. You subtract "
            "nats from bits.",
            lambda c, y, e: float((_at(_shares(c), y) / math.log(2) - _lost(y, e)).mean()),
        ),
        Mistake(
            "the gain in bits",
            "You return bits. That is the same up to a factor, $1/\\ln 2$; asked are nats.",
            lambda c, y, e: float((_at(_shares(c), y) - _lost(y, e)).mean() / math.log(2)),
        ),
        Mistake(
            "losses averaged over all positions",
            "The model's loss is averaged over all positions, also where nothing was asked and "
            "most tokens stand in plain view. Compare at the same positions.",
            lambda c, y, e: float(_at(_shares(c), y).mean() - e.double().mean()),
        ),
        Mistake(
            "divided by all positions",
            "The sum is right, but you divide by the number of all positions. Those where nothing "
            "is asked do not count.",
            lambda c, y, e: float((_at(_shares(c), y) - _lost(y, e)).sum() / y.numel()),
        ),
        Mistake(
            "a mean of means",
            "You average within each sequence and then over sequences. A token in a sequence with "
            "few hidden tokens then weighs more than others.",
            _mean_of_rows,
        ),
        Mistake(
            "a sum instead of a mean",
            "You add the gains of all tokens. Divide by their number.",
            lambda c, y, e: float((_at(_shares(c), y) - _lost(y, e)).sum()),
        ),
        Mistake(
            "a difference of perplexities",
            "You subtract perplexities, $e^{\\text{loss}}$. Asked is the difference of the losses.",
            lambda c, y, e: float(_at(_shares(c), y).mean().exp() - _lost(y, e).mean().exp()),
        ),
        Mistake(
            "a share instead of nats",
            "You divide the gain by the unigram loss. Asked are nats per token.",
            lambda c, y, e: float(1 - _lost(y, e).mean() / _at(_shares(c), y).mean()),
        ),
        Mistake(
            "the model left out",
            "You return the unigram loss alone. Subtract the model's loss from it.",
            lambda c, y, e: float(_at(_shares(c), y).mean()),
        ),
    ),
)

# --- 03.5 -----------------------------------------------------------------------------------------


def make_pairs(
    documents: list[list[str]],
    origins: list[str],
    places: list[tuple[int, int]],
    draws: list[float],
) -> list[tuple[str, str, int]]:
    """Sentence A, sentence B, and 1 if B follows A, else 0: a triple for each place."""
    pairs = []
    for number, ((document, sentence), draw) in enumerate(zip(places, draws, strict=True)):
        first, successor = documents[document][sentence : sentence + 2]
        if number % 2 == 0:
            pairs.append((first, successor, 1))
            continue
        candidates = [
            candidate
            for other, sentences in enumerate(documents)
            if other != document and origins[other] == origins[document]
            for candidate in sentences
            if candidate != successor
        ]
        pairs.append((first, candidates[int(draw * len(candidates))], 0))
    return pairs


Documents = list[list[str]]
Places = list[tuple[int, int]]
Triple = tuple[str, str, int]


def _pair_cases(rng: np.random.Generator) -> list[tuple]:
    short: Documents = [
        ["It rained.", "We stayed in.", "It stopped."],
        ["A cell divides.", "Both halves grow."],
        ["She knocked.", "Nobody came.", "She left."],
        ["Water boils.", "Steam rises.", "It cools."],
    ]
    stock: Documents = [
        ["Open the lid.", "Wait.", "Close it.", "Wait."],
        ["Wait.", "Turn it off.", "Wait."],
        ["Stir.", "Wait.", "Serve."],
    ]
    kinds = ["novel", "textbook"]
    drawn: Documents = [
        [f"{document}.{sentence}" for sentence in range(rng.integers(3, 7))]
        for document in range(8)
    ]
    places = [(int(d), int(rng.integers(len(drawn[d]) - 1))) for d in rng.integers(8, size=12)]
    return [
        (short, kinds * 2, [(0, 0), (0, 1), (3, 0), (3, 1)], [0.7, 0.4, 0.2, 0.9]),
        (stock, ["manual"] * 3, [(1, 0), (0, 0), (2, 1), (2, 1)], [0.3, 0.1, 0.8, 0.2]),
        (drawn, kinds * 4, places, [float(u) for u in rng.random(12)]),
    ]


Allowed = Callable[[int, int, list[str]], bool]
"""Whether document `other` may give a wrong B for A in `document`, given the origins."""


def _another(other: int, document: int, origins: list[str]) -> bool:
    return other != document and origins[other] == origins[document]


def _same_origin(other: int, document: int, origins: list[str]) -> bool:
    return origins[other] == origins[document]


def _pairs_by(
    documents: Documents,
    origins: list[str],
    places: Places,
    draws: list[float],
    *,
    allowed: Allowed = _another,
    refused: Callable[[str, str, str], bool] = lambda b, first, successor: b == successor,
    positive: Callable[[int, float], bool] = lambda number, draw: number % 2 == 0,
) -> list[Triple]:
    """Pairs by other rules: from which documents, which sentences not, and which pairs follow."""
    pairs: list[Triple] = []
    for number, ((document, sentence), draw) in enumerate(zip(places, draws, strict=True)):
        first, successor = documents[document][sentence : sentence + 2]
        others = (other for other in range(len(documents)) if allowed(other, document, origins))
        pool = chain.from_iterable(documents[other] for other in others)
        candidates = [b for b in pool if not refused(b, first, successor)]
        right = positive(number, draw)
        second = successor if right else candidates[int(draw * len(candidates))]
        pairs.append((first, second, int(right)))
    return pairs


MAKE_PAIRS = Exercise(
    number="03.5",
    title="Pairs for next sentence prediction",
    difficulty=3,
    minutes=20,
    prompt="""
Write `make_pairs(documents, origins, places, draws)`. Each entry of `places` names a sentence A,
never the last of its document. If the number of the entry, counted from 0, is even, B is the
sentence after A and the pair a positive one. If it is odd, B is a wrong sentence from **another
document of the same origin**: with another origin, style alone would give the answer away.

| symbol | variable | type |
|---|---|---|
| documents, each a list of sentences | `documents` | list of lists of strings |
| where each document comes from | `origins` | list of strings, as long |
| (document, sentence) of each A, both counted from 0 | `places` | list of pairs of integers |
| $u$, evenly from $[0, 1)$, one for each place | `draws` | list of floats |
| (A, B, 1 if B is the sentence after A, else 0) | result | list of tuples |

For a wrong B, make the list of all $n$ candidates: the sentences of all other documents of A's
origin, in their order, without any that reads exactly like the true successor of A. Take number
$\\lfloor u \\cdot n \\rfloor$, counted from 0. There is always a candidate.
""",
    hints=(
        "Write the candidates first, for one place. Which documents give some, and which of their "
        "sentences must not be taken?",
        "A document `other` gives candidates if `other != document` and "
        "`origins[other] == origins[document]`. Compare each sentence of it with the successor.",
        "Positive pairs are those with `number % 2 == 0` from `enumerate`. A wrong B is "
        "`candidates[int(u * len(candidates))]`.",
    ),
    solution=make_pairs,
    cases=_pair_cases,
    mistakes=(
        Mistake(
            "negatives from any origin",
            "A wrong B may come from another origin. A novel beside a textbook is told apart by "
            "its style, and nothing has to be understood.",
            lambda *a: _pairs_by(*a, allowed=lambda other, document, origins: other != document),
        ),
        Mistake(
            "the own document not left out",
            "The candidates include sentences of A's own document. They were to come from another "
            "one.",
            lambda *a: _pairs_by(*a, allowed=_same_origin),
        ),
        Mistake(
            "the own document not left out, nor the true successor",
            "You draw from all documents of the origin, A's own included, so that even the true "
            "successor can be called a wrong one.",
            lambda *a: _pairs_by(*a, allowed=_same_origin, refused=lambda b, first, after: False),
        ),
        Mistake(
            "negatives from the own document",
            "A wrong B comes from A's own document. That is a harder question, which the lesson "
            "also asks; here, it should come from another document.",
            lambda *a: _pairs_by(
                *a,
                allowed=lambda other, document, origins: other == document,
                refused=lambda b, first, after: b in (first, after),
            ),
        ),
        Mistake(
            "the true successor as a negative",
            "Another document may hold a sentence that reads exactly like the true successor. You "
            "take it and call the pair wrong, so that the same pair has both answers.",
            lambda *a: _pairs_by(*a, refused=lambda b, first, after: False),
        ),
        Mistake(
            "the sentence A left out instead of its successor",
            "You leave out sentences that read like A. It is the true *successor* of A that must "
            "not be drawn as a wrong B.",
            lambda *a: _pairs_by(*a, refused=lambda b, first, after: b == first),
        ),
        Mistake(
            "answers exchanged",
            "The pairs are right, but 1 and 0 are exchanged. (In the `transformers` library, class "
            "0 stands for *follows*; here, 1 was asked for.)",
            lambda *a: [(first, second, 1 - answer) for first, second, answer in _pairs_by(*a)],
        ),
        Mistake(
            "even and odd exchanged",
            "The pairs with an odd number follow, and those with an even number do not. Entries "
            "are counted from 0.",
            lambda *a: _pairs_by(*a, positive=lambda number, draw: number % 2 == 1),
        ),
        Mistake(
            "a coin is tossed",
            "You let the random number decide whether B follows. Every second pair should; and a "
            "number that was used for this can no longer choose evenly among the candidates.",
            lambda *a: _pairs_by(*a, positive=lambda number, draw: draw < 0.5),
        ),
        Mistake(
            "no negatives",
            "Every pair follows. A model that always says yes would have no loss.",
            lambda *a: _pairs_by(*a, positive=lambda number, draw: True),
        ),
        Mistake(
            "no positives",
            "No pair follows. Every second one should.",
            lambda *a: _pairs_by(*a, positive=lambda number, draw: False),
        ),
    ),
)

EXERCISES = (NEXT_PIECE, SPLIT_WORD, HIDE_TOKENS, GAIN, MAKE_PAIRS)
