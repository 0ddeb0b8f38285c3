"""What learners of lesson 07 might write, independently of the checker's own mutants."""

from collections.abc import Callable
from itertools import groupby, pairwise, product

import numpy as np
import pytest
from seqeval.metrics.sequence_labeling import get_entities

from utils import sources
from utils.adaptation.batching import tokenise
from utils.adaptation.constrained import best_legal_tags
from utils.lesson.practice import get_exercise

# --- 07.1: tags for word pieces


def align_by_set(word_ids, tags, *, rest=-100, every=False, shift=0):
    """Remembers which words it has seen."""
    seen, labels = {None}, []
    for word in word_ids:
        new = word not in seen or (every and word is not None)
        labels.append(tags[word - shift] if new else rest)
        seen.add(word)
    return labels


def align_last(word_ids, tags):
    following = [*word_ids[1:], None]
    pairs = zip(word_ids, following, strict=True)
    return [-100 if w is None or w == after else tags[w] for w, after in pairs]


def align_by_tag(word_ids, tags):
    labels, previous = [], None
    for word in word_ids:
        tag = None if word is None else tags[word]
        labels.append(-100 if tag is None or tag == previous else tag)
        previous = tag
    return labels


# --- 07.2: entities


def entities_by_list(tags, *, keep=lambda entity: True, plus=0):
    """Grows the last entity, or begins a new one."""
    found = []
    for i, tag in enumerate(tags):
        if tag == "O":
            continue
        kind = tag[2:]
        grows = tag[0] == "I" and found and found[-1][2] == i - 1 and found[-1][0] == kind
        if grows:
            found[-1][2] = i
        else:
            found.append([kind, i, i])
    return {(kind, a, b + plus) for kind, a, b in found if keep((kind, a, b))}


def joined_by_type(tags):
    found, at = set(), 0
    for kind, group in groupby(tags, key=lambda tag: tag[2:]):
        n = len(list(group))
        if kind:
            found.add((kind, at, at + n - 1))
        at += n
    return found


def beginnings_only(tags):
    return entities_by_list(tags, keep=lambda entity: tags[entity[1]].startswith("B"))


def joined_types(tags):
    found = []
    for i, tag in enumerate(tags):
        if tag[0] == "I" and found and found[-1][2] == i - 1:
            found[-1][2] = i
        elif tag != "O":
            found.append([tag[2:], i, i])
    return {tuple(entity) for entity in found}


# --- 07.3: F1


def f1_by_loops(found, true, *, same=lambda a, b: a == b, score=lambda c, p, r: 2 * c / (p + r)):
    right = predicted = real = 0
    for f, t in zip(found, true, strict=True):
        predicted, real = predicted + len(f), real + len(t)
        right += sum(any(same(a, b) for b in t) for a in f)
    return score(right, predicted, real) if right else 0.0


def mean_of_sentences(found, true):
    scores = [f1_by_loops([f], [t]) for f, t in zip(found, true, strict=True)]
    return sum(scores) / len(scores)


def with_places(sentences):
    return {entity for row in sentences for entity in row}


def mean_of_sentences_to_find(found, true):
    rows = [(f, t) for f, t in zip(found, true, strict=True) if f or t]
    return sum(f1_by_loops([f], [t]) for f, t in rows) / max(len(rows), 1)


def mean_with_empty_ones_right(found, true):
    rows = list(zip(found, true, strict=True))
    return sum(f1_by_loops([f], [t]) if f or t else 1.0 for f, t in rows) / len(rows)


# --- 07.4: legal tags


def walked_back_without_steps(scores, steps, starts):
    best, came_from = np.where(starts, scores[0], -np.inf), []
    for row in scores[1:]:
        paths = best[:, None] + row
        came_from.append(paths.argmax(axis=0))
        best = np.where(steps, paths, -np.inf).max(axis=0)
    tags = [int(best.argmax())]
    for back in reversed(came_from):
        tags.append(int(back[tags[-1]]))
    return tags[::-1]


def legal_by_search(scores, steps, starts):
    def total(tags):
        if not starts[tags[0]] or not all(steps[a, b] for a, b in pairwise(tags)):
            return -np.inf
        return sum(row[tag] for row, tag in zip(scores, tags, strict=True))

    return list(max(product(range(scores.shape[1]), repeat=len(scores)), key=total))


def greedy_by_order(scores, steps, starts):
    tags = []
    for row in scores:
        allowed = steps[tags[-1]] if tags else starts
        tags.append(next(int(tag) for tag in np.argsort(-row) if allowed[tag]))
    return tags


def forward_only(scores, steps, starts):
    total, tags = np.where(starts, 0, -np.inf) + scores[0], []
    for row in scores[1:]:
        tags.append(int(np.argmax(total)))
        total = (total[:, None] + np.where(steps, 0, -np.inf)).max(0) + row
    return [*tags, int(np.argmax(total))]


@pytest.mark.parametrize(
    ("number", "learner", "status", "mistake"),
    [
        ("07.1", align_by_set, "correct", None),
        ("07.1", lambda w, t: align_by_set(w, t, every=True), "mistake", "every piece"),
        ("07.1", align_last, "mistake", "last piece"),
        ("07.1", lambda w, t: align_by_set(w, t, rest=0), "mistake", "special positions"),
        ("07.1", align_by_tag, "mistake", "compared by tag"),
        ("07.1", lambda w, t: align_by_set(w, t, rest=-1), "wrong", None),
        ("07.1", lambda w, t: align_by_set(w, t)[1:-1], "wrong", None),
        ("07.1", lambda w, t: [t[i] for i in range(len(w))], "error", None),
        ("07.2", entities_by_list, "correct", None),
        ("07.2", lambda tags: set(get_entities(tags)), "correct", None),
        ("07.2", beginnings_only, "mistake", "I- without B- dropped"),
        ("07.2", joined_by_type, "mistake", "neighbours joined"),
        ("07.2", joined_types, "mistake", "types joined"),
        ("07.2", lambda tags: entities_by_list(tags, plus=1), "mistake", "end not included"),
        (
            "07.2",
            lambda tags: {(t[2:], i, i) for i, t in enumerate(tags) if t[0] in "BI"},
            "mistake",
            "one entity for each word",
        ),
        ("07.2", lambda tags: set(), "wrong", None),
        ("07.2", lambda tags: tags[len(tags)], "error", None),
        ("07.3", f1_by_loops, "correct", None),
        ("07.3", mean_of_sentences, "mistake", "averaged"),
        ("07.3", mean_of_sentences_to_find, "mistake", "left out"),
        ("07.3", mean_with_empty_ones_right, "mistake", "empty ones right"),
        (
            "07.3",
            lambda f, t: f1_by_loops(
                f, t, same=lambda a, b: a[0] == b[0] and {*range(a[1], a[2] + 1)} & {b[1], b[2]}
            ),
            "mistake",
            "partial",
        ),
        (
            "07.3",
            lambda f, t: f1_by_loops(f, t, same=lambda a, b: a[1:] == b[1:]),
            "mistake",
            "types ignored",
        ),
        ("07.3", lambda f, t: f1_by_loops(f, t, score=lambda c, p, r: c / p), "mistake", "prec"),
        ("07.3", lambda f, t: f1_by_loops(f, t, score=lambda c, p, r: c / r), "mistake", "recall"),
        (
            "07.3",
            lambda f, t: f1_by_loops([with_places(f)], [with_places(t)]),
            "mistake",
            "sentences mixed",
        ),
        ("07.3", lambda f, t: f1_by_loops(f, t, score=lambda c, p, r: c / (p + r)), "wrong", None),
        ("07.3", lambda f, t: f[len(f)], "error", None),
        ("07.4", legal_by_search, "correct", None),
        ("07.4", lambda *a: best_legal_tags(*a), "correct", None),
        ("07.4", lambda s, *_: [int(np.argmax(row)) for row in s], "mistake", "each word"),
        ("07.4", greedy_by_order, "mistake", "never looks back"),
        ("07.4", forward_only, "mistake", "the last tag"),
        ("07.4", walked_back_without_steps, "mistake", "the last tag"),
        ("07.4", lambda s, m, _: legal_by_search(s, m, np.ones(5, bool)), "mistake", "start"),
        ("07.4", lambda s, m, b: legal_by_search(s, m.T, b), "mistake", "rows and columns"),
        ("07.4", lambda s, m, b: legal_by_search(-s, m, b), "wrong", None),
        ("07.4", lambda s, m, b: [0] * len(s), "wrong", None),
        ("07.4", lambda s, m, b: s[len(s)], "error", None),
    ],
)
def test_what_learners_might_write(
    number: str, learner: Callable, status: str, mistake: str | None, diagnosed: Callable
) -> None:
    diagnosed(number, learner, status, mistake)


def test_aligned_labels_stand_where_the_course_reads_words() -> None:
    from transformers import AutoTokenizer

    folder, _ = sources.model_path(sources.MINILM)
    words, tags = ["Marta", "Okonkwo", "left", "Gdańsk", "unaffordably"], [1, 2, 0, 3, 0]
    encoded = AutoTokenizer.from_pretrained(folder)(words, is_split_into_words=True)
    labels = get_exercise("07.1").solution(encoded.word_ids(), tags)
    (places,) = tokenise([words], folder, 64).words or [[]]
    assert [i for i, label in enumerate(labels) if label != -100] == places
    assert [labels[place] for place in places] == tags


@pytest.mark.parametrize("number", [f"07.{i}" for i in range(1, 5)])
def test_what_stands_in_the_notebook_untouched_counts_as_not_attempted(
    number: str, diagnosed: Callable
) -> None:
    def untouched(*arguments):
        return ...

    diagnosed(number, untouched, "not attempted", None)
