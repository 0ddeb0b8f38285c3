"""Exercises of lesson 07: labels of word pieces, entities from tags, their F1, legal tags."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from utils.lesson.exercise import Exercise, Mistake

Entity = tuple[str, int, int]
Scores = NDArray[np.float64]
Allowed = NDArray[np.bool_]

# --- 07.1 -----------------------------------------------------------------------------------------


def align(word_ids: list[int | None], tags: list[int]) -> list[int]:
    """The tag of each word at its first piece, -100 at all other pieces."""
    labels, before = [], None
    for word in word_ids:
        is_first = word is not None and word != before
        labels.append(tags[word] if is_first and word is not None else -100)
        before = word
    return labels


def _piece_cases(rng: np.random.Generator) -> list[tuple]:
    cases: list[tuple] = [
        ([None, 0, 1, 1, 1, 2, None], [3, 4, 0]),
        ([None, 0, 0, 1, None], [1, 1]),  # neighbours with the same tag
        ([None, 0, 2, 2, None], [1, 7, 2]),  # word 1 has no pieces
        ([None, 0, 1, 1, None], [0, 5, 6, 6]),  # cut off: words 2 and 3 are gone
    ]
    for _ in range(4):
        n = int(rng.integers(3, 8))
        pieces = rng.integers(1, 4, size=n)
        word_ids = [None, *np.repeat(np.arange(n), pieces).tolist(), None]
        cases.append((word_ids, rng.integers(0, 9, size=n).tolist()))
    return cases


def _each_piece(word_ids: list[int | None], tags: list[int]) -> list[int]:
    return [-100 if word is None else tags[word] for word in word_ids]


def _last_piece(word_ids: list[int | None], tags: list[int]) -> list[int]:
    return align(word_ids[::-1], tags)[::-1]


def _where_tags_change(word_ids: list[int | None], tags: list[int]) -> list[int]:
    labels, before = [], -100
    for tag in _each_piece(word_ids, tags):
        labels.append(-100 if tag == before else tag)
        before = tag
    return labels


ALIGN = Exercise(
    number="07.1",
    title="Tags for word pieces",
    difficulty=1,
    minutes=8,
    prompt="""
The tokenizer cuts words into pieces. Write `align(word_ids, tags)`:

| argument | meaning |
|---|---|
| `word_ids` | for each position, the number of its word; `None` for `[CLS]` and `[SEP]` |
| `tags` | the tag number of each word |
| result | a list as long as `word_ids`: the tag at the **first** piece of a word, −100 elsewhere |

Words that were cut off have no position, and some (a stray control character) have no piece.
""",
    hints=(
        "Go through the positions and remember the word of the one before.",
        "A first piece belongs to a word, and to another one than the position before it.",
        "Look the tag up with the *number of the word*, `tags[word]`: positions and words do not "
        "run in step.",
    ),
    solution=align,
    cases=_piece_cases,
    mistakes=(
        Mistake(
            "every piece has the tag",
            "You label all pieces. A word of five pieces then counts five times in the loss, and a "
            "word with B- begins five entities.",
            _each_piece,
        ),
        Mistake(
            "the last piece",
            "You label the last piece of each word and not the first.",
            _last_piece,
        ),
        Mistake(
            "special positions as O",
            "Where there is no first piece, you write 0. That is the tag O: the model is then "
            "taught that `[SEP]` and the rest of a name are no part of one. Write −100.",
            lambda w, t: [max(label, 0) for label in align(w, t)],
        ),
        Mistake(
            "compared by tag",
            "You compare the tag with the one before. Two neighbouring words with the same tag "
            "then look like one word. Compare the numbers of the words.",
            _where_tags_change,
        ),
    ),
)

# --- 07.2 -----------------------------------------------------------------------------------------


def entities_of(tags: list[str]) -> set[Entity]:
    """Type, first and last word of each entity; an I- that follows none of its type begins one."""
    found, first = set(), 0
    for i, tag in enumerate(tags):
        kind = tag[2:]
        if i == 0 or tag[:2] != "I-" or tags[i - 1][2:] != kind:
            first = i
        goes_on = i + 1 < len(tags) and tags[i + 1] == f"I-{kind}"
        if tag != "O" and not goes_on:
            found.add((kind, first, i))
    return found


def _tag_cases(rng: np.random.Generator) -> list[tuple]:
    cases: list[tuple] = [
        (["B-PER", "I-PER", "O"],),
        (["B-PER", "B-PER", "O", "B-LOC"],),
        (["O", "B-LOC", "I-LOC", "I-LOC"],),
        (["O", "I-PER", "I-PER", "O"],),
        (["B-PER", "I-LOC", "I-LOC"],),
        (["O", "O"],),
        ([],),
    ]
    names = np.array(["O", "B-PER", "I-PER", "B-LOC", "I-LOC"])
    cases += [(names[rng.integers(0, 5, size=8)].tolist(),) for _ in range(6)]
    return cases


def _strict(tags: list[str]) -> set[Entity]:
    """An I- without its B- is nothing."""
    found, i = set(), 0
    while i < len(tags):
        end = i + 1
        if tags[i].startswith("B-"):
            while end < len(tags) and tags[end] == f"I-{tags[i][2:]}":
                end += 1
            found.add((tags[i][2:], i, end - 1))
        i = end
    return found


def _runs(tags: list[str], same: Callable[[str, str], bool]) -> set[Entity]:
    found, first = set(), 0
    for i, tag in enumerate(tags):
        if i == 0 or not same(tags[i - 1], tag):
            first = i
        if tag != "O" and (i + 1 == len(tags) or not same(tag, tags[i + 1])):
            found.add((tags[first][2:], first, i))
    return found


ENTITIES_OF = Exercise(
    number="07.2",
    title="From tags to entities",
    difficulty=2,
    minutes=12,
    prompt="""
Write `entities_of(tags)`. It takes the IOB2 tags of one sentence, such as
`["B-PER", "I-PER", "O"]`, and returns the **set** of its entities as tuples
`(type, first word, last word)`, both words included: here `{("PER", 0, 1)}`.

A model may give sequences that IOB2 forbids. As the script of CoNLL does: an `I-` that follows no
tag of its own type begins a new entity.
""",
    hints=(
        "When does an entity begin? At each B-, and at some I-. When does it end?",
        "It ends at word i unless word i + 1 has an I- of the same type.",
        "Keep the first word of the current entity. Set it anew unless the tag is an I- and the "
        "tag before it, B- or I-, has the same type.",
    ),
    solution=entities_of,
    cases=_tag_cases,
    mistakes=(
        Mistake(
            "I- without B- dropped",
            "An I- that follows no tag of its type is lost. The script of CoNLL lets it begin an "
            "entity; models do write such tags.",
            _strict,
        ),
        Mistake(
            "neighbours joined",
            "Two entities of the same type that stand side by side become one. A B- always begins "
            "a new one: that is what it is there for.",
            lambda tags: _runs(tags, lambda a, b: a[2:] == b[2:]),
        ),
        Mistake(
            "types joined",
            "An I- of *another* type goes on with the entity before it. It has to begin a new one.",
            lambda tags: _runs(tags, lambda a, b: a != "O" and b.startswith("I-")),
        ),
        Mistake(
            "end not included",
            "Your last word is one too far. Both words are included.",
            lambda tags: {(kind, a, b + 1) for kind, a, b in entities_of(tags)},
        ),
        Mistake(
            "the last one lost",
            "An entity that ends with the last word is missing. If you store one when the next "
            "tag ends it, store the one that is still open after the loop.",
            lambda tags: {each for each in entities_of(tags) if each[2] < len(tags) - 1},
        ),
        Mistake(
            "one entity for each word",
            "You return each word as an entity of its own. That is a score of tags, not of "
            "entities.",
            lambda tags: {(tag[2:], i, i) for i, tag in enumerate(tags) if tag != "O"},
        ),
    ),
)

# --- 07.3 -----------------------------------------------------------------------------------------


def entity_f1(found: list[set[Entity]], true: list[set[Entity]]) -> float:
    """F1 of entities over all sentences; 0 if there are none at all."""
    right = sum(len(f & t) for f, t in zip(found, true, strict=True))
    total = sum(map(len, found)) + sum(map(len, true))
    return 2 * right / total if total else 0.0


def _entity_cases(rng: np.random.Generator) -> list[tuple]:
    ada, oslo, rome = ("PER", 0, 1), ("LOC", 3, 3), ("LOC", 5, 6)
    cases: list[tuple] = [
        ([{ada}, {oslo}], [{ada, rome}, {oslo}]),
        ([{ada}, {("PER", 3, 3)}], [{ada}, {oslo}]),  # the wrong type
        ([{("PER", 1, 1), oslo}, set()], [{ada, oslo}, {rome}]),  # a wrong border
        ([{ada, oslo, rome}, set(), {ada}], [{ada}, set(), set()]),
        ([set(), set()], [set(), set()]),
    ]
    for _ in range(5):
        pair = [
            [
                {(str(rng.choice(["PER", "LOC"])), 3 * w, 3 * w + int(rng.integers(2))) for w in (
                    rng.choice(4, size=rng.integers(0, 4), replace=False).tolist())}
                for _ in range(4)
            ]
            for _ in range(2)
        ]  # fmt: skip
        cases.append(tuple(pair))
    return cases


def _counts(
    found: list[set[Entity]],
    true: list[set[Entity]],
    hit: Callable[[Entity, set[Entity]], bool] = lambda each, others: each in others,
) -> tuple[int, int, int]:
    pairs = list(zip(found, true, strict=True))
    right = sum(hit(entity, t) for f, t in pairs for entity in f)
    return right, sum(len(f) for f, _ in pairs), sum(len(t) for _, t in pairs)


def _f1_of(right: int, predicted: int, real: int) -> float:
    return 2 * right / (predicted + real) if predicted + real else 0.0


def _mean_of_sentences(
    found: list[set[Entity]], true: list[set[Entity]], empty: float | None
) -> float:
    """The mean F1, with `empty` where there is nothing to find, or without those sentences."""
    scores = [entity_f1([f], [t]) if f or t else empty for f, t in zip(found, true, strict=True)]
    counted = [score for score in scores if score is not None]
    return float(np.mean(counted)) if counted else 0.0


def _overlaps(entity: Entity, others: set[Entity]) -> bool:
    return any(e[0] == entity[0] and e[1] <= entity[2] and e[2] >= entity[1] for e in others)


def _same_words(entity: Entity, others: set[Entity]) -> bool:
    return any(e[1:] == entity[1:] for e in others)


ENTITY_F1 = Exercise(
    number="07.3",
    title="F1 of entities",
    difficulty=2,
    minutes=10,
    prompt="""
Write `entity_f1(found, true)`. Both are lists with a **set** of entities `(type, first, last)` for
each sentence. An entity is right if it is in the set of the same sentence with type and both words.
Return the F1 over *all* sentences together; 0.0 if no entity is predicted and none is there.
""",
    hints=(
        "What are right, predicted and true entities? Three numbers for the whole test split.",
        "`f & t` holds what two sets share. Add its sizes up over the sentences.",
        "With c right, p predicted and r true entities, F1 is 2c / (p + r).",
    ),
    solution=entity_f1,
    cases=_entity_cases,
    mistakes=(
        Mistake(
            "averaged over sentences",
            "You compute F1 for each sentence and average. A sentence with one entity then weighs "
            "as much as one with ten, and sentences without any have to be scored somehow. Add "
            "the counts up first.",
            lambda f, t: _mean_of_sentences(f, t, empty=0.0),
        ),
        Mistake(
            "averaged over sentences, empty ones right",
            "You compute F1 for each sentence and average, and give 1 where there is nothing to "
            "find. The many sentences without entities then make the score. Add the counts up "
            "first.",
            lambda f, t: _mean_of_sentences(f, t, empty=1.0),
        ),
        Mistake(
            "averaged over sentences, empty ones left out",
            "You compute F1 for each sentence with entities and average. A sentence with one "
            "entity then weighs as much as one with ten. Add the counts up first.",
            lambda f, t: _mean_of_sentences(f, t, empty=None),
        ),
        Mistake(
            "partial matches count",
            "You count entities that only share a word with a true one. Both borders must be "
            "right.",
            lambda f, t: _f1_of(*_counts(f, t, _overlaps)),
        ),
        Mistake(
            "types ignored",
            "You compare places only. A person that was called a location is wrong.",
            lambda f, t: _f1_of(*_counts(f, t, _same_words)),
        ),
        Mistake(
            "precision",
            "You return the share of *predicted* entities that are right. A model that finds one "
            "sure entity and nothing else would be perfect.",
            lambda f, t: _counts(f, t)[0] / max(_counts(f, t)[1], 1),
        ),
        Mistake(
            "recall",
            "You return the share of *true* entities that were found. A model that marks "
            "everything would be perfect.",
            lambda f, t: _counts(f, t)[0] / max(_counts(f, t)[2], 1),
        ),
        Mistake(
            "sentences mixed up",
            "You compare entities of different sentences: `(type, first, last)` says nothing about "
            "which sentence it is from.",
            lambda f, t: _f1_of(
                len(set().union(*f) & set().union(*t)),
                len(set().union(*f)),
                len(set().union(*t)),
            ),
        ),
    ),
)

# --- 07.4 -----------------------------------------------------------------------------------------


def best_legal(scores: Scores, steps: Allowed, starts: Allowed) -> list[int]:
    """The legal sequence of tags whose scores have the largest sum."""
    best = np.where(starts, scores[0], -np.inf)
    came_from = []
    for row in scores[1:]:
        paths = np.where(steps, best[:, None], -np.inf)
        came_from.append(paths.argmax(axis=0))
        best = paths.max(axis=0) + row
    tags = [int(best.argmax())]
    for previous in came_from[::-1]:
        tags.insert(0, int(previous[tags[0]]))
    return tags


_STEPS = np.array(
    [  # to O, B-PER, I-PER, B-LOC, I-LOC
        [True, True, False, True, False],
        [True, True, True, True, False],
        [True, True, True, True, False],
        [True, True, False, True, True],
        [True, True, False, True, True],
    ]
)
_STARTS = np.array([True, True, False, True, False])


def _score_cases(rng: np.random.Generator) -> list[tuple]:
    def of(*rows: list[float]) -> tuple:
        return np.log(np.array(rows)), _STEPS.copy(), _STARTS.copy()

    cases = [
        of([0.1, 0.6, 0.1, 0.1, 0.1], [0.1, 0.1, 0.6, 0.1, 0.1]),
        of([0.45, 0.4, 0.05, 0.05, 0.05], [0.1, 0.1, 0.7, 0.05, 0.05]),  # changes the first word
        of([0.2, 0.1, 0.5, 0.1, 0.1], [0.2, 0.1, 0.5, 0.1, 0.1]),  # begins with I-
        of([0.1, 0.2, 0.6, 0.05, 0.05]),
    ]
    for _ in range(8):
        n = int(rng.integers(2, 7))
        table = np.log(rng.dirichlet(np.full(5, 0.6), size=n))
        cases.append((table, _STEPS.copy(), _STARTS.copy()))
    return cases


def _greedy(scores: Scores, steps: Allowed, starts: Allowed) -> list[int]:
    tags = [int(np.where(starts, scores[0], -np.inf).argmax())]
    for row in scores[1:]:
        tags.append(int(np.where(steps[tags[-1]], row, -np.inf).argmax()))
    return tags


def _no_way_back(scores: Scores, steps: Allowed, starts: Allowed) -> list[int]:
    best = np.where(starts, scores[0], -np.inf)
    tags = [int(best.argmax())]
    for row in scores[1:]:
        best = np.where(steps, best[:, None], -np.inf).max(axis=0) + row
        tags.append(int(best.argmax()))
    return tags


def _as_list(tags: object) -> object:
    """Tags in an array are as good as in a list."""
    return list(tags) if isinstance(tags, np.ndarray | tuple) else tags


BEST_LEGAL = Exercise(
    number="07.4",
    title="The best legal sequence",
    difficulty=3,
    minutes=20,
    prompt="""
Write `best_legal(scores, steps, starts)`, Viterbi's algorithm:

| argument | meaning |
|---|---|
| `scores` | (n_words, n_tags) log-probabilities |
| `steps` | (n_tags, n_tags) booleans: may tag *j* (column) follow tag *i* (row)? |
| `starts` | (n_tags,) booleans: may a sentence begin with it? |
| result | list of tag numbers: the legal sequence with the largest **sum** of scores |

There are n_tags ** n_words sequences: do not try them all.
""",
    hints=(
        "For each tag, keep the score of the best legal path that ends in it at the current word.",
        "The best path to tag j at the next word goes through the tag i with the largest score "
        "among those that may precede j. Remember that i.",
        "At the end take the best last tag, and follow the remembered ones back to the first word.",
    ),
    solution=best_legal,
    cases=_score_cases,
    call=lambda submission, *arguments: _as_list(submission(*arguments)),
    mistakes=(
        Mistake(
            "each word for itself",
            "You take the best tag of each word. What may follow what plays no part.",
            lambda s, steps, starts: s.argmax(axis=1).tolist(),
        ),
        Mistake(
            "never looks back",
            "You choose the best legal tag from left to right and never come back to a choice. A "
            "sure I-PER can be worth changing the uncertain tag before it.",
            _greedy,
        ),
        Mistake(
            "not the path of the last tag",
            "Your tag at each word is the one whose path was best up to there, whatever comes "
            "next. Either you never walk back, or what you remember for each tag leaves out "
            "`steps`: it has to be the best of the tags that may *precede* that tag.",
            _no_way_back,
        ),
        Mistake(
            "the start is free",
            "Your sequences may begin with an I-. `starts` says what a sentence may begin with.",
            lambda s, steps, starts: best_legal(s, steps, np.ones_like(starts)),
        ),
        Mistake(
            "rows and columns swapped",
            "You read `steps` the wrong way round: the row is the tag before, the column the one "
            "after it.",
            lambda s, steps, starts: best_legal(s, steps.T, starts),
        ),
    ),
)

EXERCISES = (ALIGN, ENTITIES_OF, ENTITY_F1, BEST_LEGAL)
