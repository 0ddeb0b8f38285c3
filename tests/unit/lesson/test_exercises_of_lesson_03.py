"""What learners of lesson 03 might write, independently of the checker's own mutants."""

import heapq
import re
from collections import Counter, defaultdict
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from utils.lesson.practice import get_exercise
from utils.pretraining.wordpiece import learn_wordpieces, split_word

# --- 03.1: one merge


def table_of_pairs(words, spelled, weigh=lambda n: n, once=False):
    table = defaultdict(int)
    for word in spelled:
        pieces, met = spelled[word], []
        for i in range(len(pieces) - 1):
            pair = (pieces[i], pieces[i + 1])
            if once and pair in met:
                continue
            met.append(pair)
            table[pair] += weigh(words[word])
    return dict(table)


def piece_by_sorting(words, spelled, last=False, **options):
    table = table_of_pairs(words, spelled, **options)
    most = max(table.values())
    left, right = sorted(pair for pair in table if table[pair] == most)[-1 if last else 0]
    return left, right, left + re.sub("^##", "", right)


def piece_by_heap(words, spelled):
    heap = [(-n, pair) for pair, n in table_of_pairs(words, spelled).items()]
    heapq.heapify(heap)
    left, right = heap[0][1]
    return [left, right, left + right[2:]]


def piece_met_first(words, spelled):
    table = table_of_pairs(words, spelled)
    left, right = max(table, key=table.get)
    return left, right, left + right[2:]


def piece_met_last(words, spelled):
    best = None
    table = table_of_pairs(words, spelled)
    for pair in table:
        if best is None or table[pair] >= table[best]:
            best = pair
    return (*best, best[0] + best[1][2:])


def piece_across_words(words, spelled, weighted=True):
    row = []
    for word, pieces in spelled.items():
        for _ in range(words[word] if weighted else 1):
            row += pieces
    table = Counter()
    for i in range(1, len(row)):
        table[row[i - 1], row[i]] += 1
    most = max(table.values())
    left, right = min(pair for pair, n in table.items() if n == most)
    return left, right, left + (right[2:] if right.startswith("##") else right)


def piece_by_score(words, spelled):
    table = table_of_pairs(words, spelled)
    alone = Counter()
    for word, pieces in spelled.items():
        alone.update(pieces * words[word])
    pair = sorted(table, key=lambda p: (-table[p] / alone[p[0]] / alone[p[1]], p))[0]
    return (*pair, pair[0] + pair[1][2:])


def piece_remade(words, spelled, join):
    left, right, _ = piece_by_sorting(words, spelled)
    return left, right, join(left, right)


def rarest_piece(words, spelled):
    table = table_of_pairs(words, spelled)
    left, right = min(table, key=lambda pair: (table[pair], pair))
    return left, right, left + right[2:]


# --- 03.2: pieces of a word


def split_recursively(word, vocabulary, start=0):
    if start == len(word):
        return []
    rest = word[start:]
    while rest:
        piece = rest if start == 0 else "##" + rest
        if piece in vocabulary:
            tail = split_recursively(word, vocabulary, start + len(rest))
            return ["[UNK]"] if tail == ["[UNK]"] else [piece, *tail]
        rest = rest[:-1]
    return ["[UNK]"]


def split_by_shrinking(word, vocabulary, mark_looked_up="##", mark="##", unknown="whole"):
    pieces, rest, begun = [], word, False
    while rest:
        candidate = rest
        while candidate and (mark_looked_up if begun else "") + candidate not in vocabulary:
            candidate = candidate[:-1]
        if not candidate:
            if unknown == "whole":
                return ["[UNK]"]
            if unknown == "drop":
                return pieces
            if unknown == "rest":
                return [*pieces, "[UNK]"]
            pieces.append("[UNK]")
            rest, begun = rest[1:], True
            continue
        pieces.append((mark if begun else "") + candidate)
        rest, begun = rest[len(candidate) :], True
    return pieces


def split_by_growing(word, vocabulary):
    pieces, current = [], ""
    for letter in word:
        current += letter
        piece = f"##{current}" if pieces else current
        if piece in vocabulary:
            pieces.append(piece)
            current = ""
    return ["[UNK]"] if current else pieces


def split_from_the_end(word, vocabulary):
    pieces = []
    while word:
        for i in range(len(word)):
            piece = word[i:] if i == 0 else "##" + word[i:]
            if piece in vocabulary:
                pieces = [piece, *pieces]
                word = word[:i]
                break
        else:
            return ["[UNK]"]
    return pieces


def split_with_second_thoughts(word, vocabulary, done=()):
    if not word:
        return list(done)
    for n in range(len(word), 0, -1):
        piece = ("##" if done else "") + word[:n]
        if piece in vocabulary:
            found = split_with_second_thoughts(word[n:], vocabulary, (*done, piece))
            if found != ["[UNK]"]:
                return found
    return ["[UNK]"]


def split_into_fewest(word, vocabulary):
    best = [[]] + [None] * len(word)
    for end in range(1, len(word) + 1):
        for start in range(end - 1, -1, -1):
            piece = ("##" if start else "") + word[start:end]
            if best[start] is None or piece not in vocabulary:
                continue
            if best[end] is None or len(best[start]) + 1 <= len(best[end]):
                best[end] = [*best[start], piece]
    return best[-1] or ["[UNK]"]


def split_skipping_single(word, vocabulary):
    pieces, i = [], 0
    while i < len(word):
        j = len(word)
        while j > i + 1 and ("##" if i else "") + word[i:j] not in vocabulary:
            j -= 1
        if j <= i + 1:
            return ["[UNK]"]
        pieces.append(("##" if i else "") + word[i:j])
        i = j
    return pieces


# --- 03.3: hiding tokens


def hide_by_loop(input_ids, chosen, fate, draw, vocab_size, *, wrong=""):
    corrupted, labels = input_ids.tolist(), []
    for i, row in enumerate(corrupted):
        asked_of_row = []
        for j, token in enumerate(row):
            special = token < 5 and wrong != "hides special"
            if not chosen[i, j] or special:
                asked_of_row.append(-100)
                continue
            if fate[i, j] < 0.8:
                row[j] = 4
            elif fate[i, j] < (0.1 if wrong == "0.1" else 0.9):
                first = 0 if wrong == "all words" else 5
                row[j] = first + int(draw[i, j] * (vocab_size - first))
            elif wrong == "kept not asked":
                token = -100
            if wrong == "sees" or (wrong == "only masks" and row[j] != 4):
                token = row[j] if wrong == "sees" else -100
            asked_of_row.append(token)
        labels.append(asked_of_row)
    return torch.tensor(corrupted), torch.tensor(labels)


def hide_in_place(input_ids, chosen, fate, draw, vocab_size):
    asked = chosen & (input_ids > 4)
    input_ids[asked & (fate < 0.8)] = 4
    swapped = asked & (fate >= 0.8) & (fate < 0.9)
    input_ids[swapped] = (5 + torch.floor(draw * (vocab_size - 5))).long()[swapped]
    labels = torch.full_like(input_ids, -100)
    labels[asked] = input_ids[asked]
    return input_ids, labels


def hide_by_where(input_ids, chosen, fate, draw, vocab_size):
    asked = torch.logical_and(chosen, torch.isin(input_ids, torch.arange(5), invert=True))
    words = torch.clamp((draw * (vocab_size - 5)).int() + 5, max=vocab_size - 1).to(torch.int64)
    seen = torch.where(fate < 0.8, torch.tensor(4), torch.where(fate < 0.9, words, input_ids))
    return torch.where(asked, seen, input_ids), torch.where(asked, input_ids, torch.tensor(-100))


def hide_with(input_ids, chosen, fate, draw, vocab_size, new_fate):
    return hide_by_where(input_ids, chosen, new_fate(fate), draw, vocab_size)


def hide_sequentially(input_ids, chosen, fate, draw, vocab_size):
    asked = chosen & ~(input_ids < 5)
    corrupted = input_ids.clone()
    corrupted[asked & (fate < 0.8)] = 4
    words = 5 + (draw * (vocab_size - 5)).long()
    corrupted[asked & (fate < 0.1)] = words[asked & (fate < 0.1)]
    labels = input_ids.clone()
    labels[~asked] = -100
    return corrupted, labels


def hide_labelled(input_ids, chosen, fate, draw, vocab_size, labels_of):
    seen, labels = hide_by_where(input_ids.clone(), chosen, fate, draw, vocab_size)
    return seen, labels_of(input_ids, chosen, labels)


def hide_everything(input_ids, chosen, fate, draw, vocab_size):
    everywhere = torch.ones_like(chosen)
    seen, _ = hide_by_where(input_ids, everywhere, fate, draw, vocab_size)
    return seen, hide_by_where(input_ids, chosen, fate, draw, vocab_size)[1]


def hide_with_cls(input_ids, chosen, fate, draw, vocab_size):
    seen, labels = hide_by_where(input_ids, chosen, fate, draw, vocab_size)
    return torch.where(seen == 4, torch.tensor(2), seen), labels


def kept_when_swapped(u):
    """Fates that exchange the two last tenths."""
    return torch.where(u >= 0.9, u - 0.1, torch.where(u >= 0.8, u + 0.1, u))


# --- 03.4: the gain


def gain_by_loop(counts, labels, losses, *, extra=1, log=np.log, per="token", sign=1):
    total = sum(int(c) + extra for c in counts)
    rows = []
    for row, row_losses in zip(labels.tolist(), losses.tolist(), strict=True):
        gains = []
        for label, loss in zip(row, row_losses, strict=True):
            if label == -100:
                continue
            p = (int(counts[label]) + extra) / total
            with np.errstate(divide="ignore"):
                gains.append(sign * (-log(p) - loss))
        rows.append(gains)
    if per == "sequence":
        return float(np.mean([np.mean(gains) for gains in rows]))
    gains = [gain for row in rows for gain in row]
    if per == "sum":
        return float(sum(gains))
    return float(sum(gains) / (labels.numel() if per == "position" else len(gains)))


def gain_by_library(counts, labels, losses):
    logits = torch.log(counts.double() + 1).expand(*labels.shape, -1)
    unigram = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=-100)
    return unigram.item() - losses[labels >= 0].mean().item()


def gain_over_own_frequencies(counts, labels, losses, extra=0):
    held_out = labels[labels >= 0].numpy()
    table = np.bincount(held_out, minlength=len(counts)) + extra
    with np.errstate(divide="ignore"):
        unigram = -np.log(table / table.sum())[held_out].mean()
    return float(unigram - losses.numpy()[labels.numpy() >= 0].mean())


def gain_over_entropy(counts, labels, losses):
    p = torch.distributions.Categorical((counts + 1).float())
    return (p.entropy() - losses[labels != -100].mean()).item()


def gain_over_uniform(counts, labels, losses):
    return np.log(counts.numel()) - losses[labels > -100].mean().item()


def gain_with_all_losses(counts, labels, losses):
    only = torch.where(labels == -100, 0.0, losses)
    asked = (labels != -100).sum()
    unigram = gain_by_library(counts, labels, losses) + (only.sum() / asked).item()
    return unigram - losses.mean().item()


def gain_with_half_smoothing(counts, labels, losses):
    p = (counts + 1) / counts.sum()
    return -torch.log(p[labels[labels >= 0]]).mean().item() - losses[labels >= 0].mean().item()


def gain_of_perplexity(counts, labels, losses):
    loss = losses[labels >= 0].mean().item()
    return float(np.exp(gain_by_library(counts, labels, losses) + loss) - np.exp(loss))


def gain_as_a_share(counts, labels, losses):
    gain = gain_by_library(counts, labels, losses)
    return gain / (gain + losses[labels >= 0].mean().item())


def gain_of_medians(counts, labels, losses):
    asked = labels >= 0
    return (
        (-((counts + 1) / (counts + 1).sum()).log()[labels[asked]] - losses[asked]).median().item()
    )


# --- 03.5: pairs


def pairs_by_loop(documents, origins, places, draws, *, wrong=""):
    result = []
    for k in range(len(places)):
        d, s = places[k]
        follows = {"odd": k % 2 == 1, "coin": draws[k] < 0.5}.get(wrong, not k % 2)
        if follows:
            result.append([documents[d][s], documents[d][s + 1], 1])
            continue
        pool = []
        for e in range(len(documents)):
            if wrong in ("own too", "own and successor"):
                serves = origins[e] == origins[d]
            elif wrong == "any origin":
                serves = e != d
            elif wrong == "own only":
                serves = e == d
            elif wrong == "other origin":
                serves = origins[e] != origins[d]
            else:
                serves = e != d and origins[e] == origins[d]
            pool += documents[e] if serves else []
        if wrong == "own only":
            pool = [b for b in pool if b not in (documents[d][s], documents[d][s + 1])]
        elif wrong not in ("own and successor", "successor"):
            pool = [b for b in pool if b != documents[d][s + 1]]
        index = len(pool) - 1 if wrong == "last" else int(np.floor(draws[k] * len(pool)))
        result.append([documents[d][s], pool[index], 0])
    return result


def pairs_answered(documents, origins, places, draws, answer):
    pairs = pairs_by_loop(documents, origins, places, draws)
    return [(a, b, answer(follows)) for a, b, follows in pairs]


def pairs_that_follow(documents, origins, places, draws):
    return [(*documents[d][s : s + 2], 1) for d, s in places]


def pairs_rounded(documents, origins, places, draws):
    return pairs_by_loop(documents, origins, places, [min(u + 0.1, 0.99) for u in draws])


@pytest.mark.parametrize(
    ("number", "learner", "status", "mistake"),
    [
        ("03.1", piece_by_sorting, "correct", None),
        ("03.1", piece_by_heap, "correct", None),
        ("03.1", lambda w, s: piece_by_sorting(w, s, weigh=bool), "mistake", "words not weighted"),
        ("03.1", lambda w, s: piece_by_sorting(w, s, once=True), "mistake", "once a word"),
        ("03.1", lambda w, s: piece_by_sorting(w, s, last=True), "mistake", "alphabetically last"),
        ("03.1", piece_met_first, "mistake", "seen first"),
        ("03.1", piece_met_last, "wrong", None),
        ("03.1", piece_across_words, "mistake", "across words"),
        ("03.1", lambda w, s: piece_across_words(w, s, False), "mistake", "and words not weighted"),
        ("03.1", piece_by_score, "mistake", "divided by those"),
        ("03.1", lambda w, s: piece_remade(w, s, str.__add__), "mistake", "left in the middle"),
        (
            "03.1",
            lambda w, s: piece_remade(w, s, lambda a, b: a.lstrip("#") + b.lstrip("#")),
            "mistake",
            "all marks removed",
        ),
        (
            "03.1",
            lambda w, s: piece_remade(w, s, lambda a, b: f"##{a.strip('#')}{b.strip('#')}"),
            "mistake",
            "where a word begins",
        ),
        ("03.1", rarest_piece, "wrong", None),
        ("03.1", lambda w, s: piece_by_sorting(w, s)[:2], "wrong", None),
        ("03.1", lambda w, s: piece_by_sorting(w, s, weigh=np.log1p), "wrong", None),
        ("03.1", lambda w, s: piece_by_sorting(w, s, weigh=np.square), "wrong", None),
        ("03.1", lambda w, s: max(s)[0][1], "error", None),
        ("03.2", split_recursively, "correct", None),
        ("03.2", split_by_shrinking, "correct", None),
        ("03.2", split_by_growing, "mistake", "shortest piece"),
        ("03.2", lambda w, v: split_by_shrinking(w, v, "", ""), "mistake", "## forgotten"),
        ("03.2", lambda w, v: split_by_shrinking(w, v, ""), "mistake", "not looked up"),
        ("03.2", lambda w, v: split_by_shrinking(w, v, mark=""), "mistake", "missing in the"),
        ("03.2", lambda w, v: split_by_shrinking(w, v, unknown="rest"), "mistake", "kept before"),
        ("03.2", lambda w, v: split_by_shrinking(w, v, unknown="drop"), "mistake", "dropped"),
        ("03.2", lambda w, v: split_by_shrinking(w, v, unknown="one"), "mistake", "for single"),
        ("03.2", split_skipping_single, "mistake", "never tried"),
        ("03.2", split_from_the_end, "mistake", "from the right"),
        ("03.2", split_with_second_thoughts, "mistake", "taken back"),
        ("03.2", split_into_fewest, "mistake", "fewest"),
        ("03.2", lambda w, v: list({w} & v) or ["[UNK]"], "mistake", "whole words only"),
        ("03.2", lambda w, v: split_word(w, v)[::-1], "wrong", None),
        ("03.2", lambda w, v: " ".join(split_word(w, v)), "wrong", None),
        ("03.2", lambda w, v: list(w), "wrong", None),
        ("03.2", lambda w, v: split_word(w, v)[2], "error", None),
        ("03.3", hide_by_loop, "correct", None),
        ("03.3", hide_by_where, "correct", None),
        ("03.3", hide_in_place, "mistake", "from the corrupted"),
        ("03.3", lambda *a: hide_by_loop(*a, wrong="sees"), "mistake", "from the corrupted"),
        ("03.3", lambda *a: hide_by_loop(*a, wrong="0.1"), "mistake", "no random words"),
        ("03.3", hide_sequentially, "mistake", "taken from the masked"),
        ("03.3", lambda *a: hide_by_loop(*a, wrong="all words"), "mistake", "whole vocabulary"),
        ("03.3", lambda *a: hide_by_loop(*a, wrong="kept not asked"), "mistake", "kept tokens not"),
        ("03.3", lambda *a: hide_by_loop(*a, wrong="only masks"), "mistake", "only [MASK]"),
        ("03.3", lambda *a: hide_by_loop(*a, wrong="hides special"), "mistake", "tokens hidden"),
        ("03.3", lambda *a: hide_with(*a, torch.zeros_like), "mistake", "always [MASK]"),
        ("03.3", lambda *a: hide_with(*a, lambda u: u.clamp(max=0.89)), "mistake", "no token kept"),
        ("03.3", lambda *a: hide_with(*a, kept_when_swapped), "mistake", "kept exchanged"),
        ("03.3", hide_everything, "mistake", "that were not chosen"),
        (
            "03.3",
            lambda *a: hide_labelled(*a, lambda x, c, y: x),
            "mistake",
            "labels everywhere",
        ),
        (
            "03.3",
            lambda *a: hide_labelled(*a, lambda x, c, y: y * (y > 0)),
            "mistake",
            "0 instead of -100",
        ),
        (
            "03.3",
            lambda *a: hide_labelled(*a, lambda x, c, y: x.masked_fill(c.logical_not(), -100)),
            "mistake",
            "special tokens asked for",
        ),
        ("03.3", hide_with_cls, "wrong", None),
        ("03.3", lambda *a: hide_by_where(*a)[::-1], "wrong", None),
        ("03.3", lambda *a: hide_by_where(*a)[0], "wrong", None),
        ("03.3", lambda *a: hide_with(*a, lambda u: 1 - u), "wrong", None),
        ("03.3", lambda x, c, u, r, n: x[c] + r, "error", None),
        ("03.4", gain_by_loop, "correct", None),
        ("03.4", gain_by_library, "correct", None),
        ("03.4", lambda *a: gain_by_loop(*a, sign=-1), "mistake", "wrong way round"),
        ("03.4", gain_over_own_frequencies, "mistake", "of the held-out text"),
        ("03.4", lambda *a: gain_over_own_frequencies(*a, extra=1), "mistake", "text, smoothed"),
        ("03.4", gain_over_entropy, "mistake", "entropy of the training"),
        ("03.4", gain_over_uniform, "mistake", "an even guess"),
        ("03.4", lambda *a: gain_by_loop(*a, extra=0), "mistake", "no smoothing"),
        ("03.4", gain_with_half_smoothing, "mistake", "do not sum to 1"),
        ("03.4", lambda *a: gain_by_loop(*a, log=np.log2), "mistake", "baseline in bits"),
        ("03.4", lambda *a: gain_by_loop(*a) * 1.442695, "mistake", "gain in bits"),
        ("03.4", gain_with_all_losses, "mistake", "over all positions"),
        ("03.4", lambda *a: gain_by_loop(*a, per="position"), "mistake", "divided by all"),
        ("03.4", lambda *a: gain_by_loop(*a, per="sequence"), "mistake", "mean of means"),
        ("03.4", lambda *a: gain_by_loop(*a, per="sum"), "mistake", "sum instead"),
        ("03.4", gain_of_perplexity, "mistake", "perplexities"),
        ("03.4", gain_as_a_share, "mistake", "a share"),
        ("03.4", lambda c, y, e: gain_by_library(c, y, 0 * e), "mistake", "left out"),
        ("03.4", gain_of_medians, "wrong", None),
        ("03.4", lambda *a: gain_by_loop(*a, extra=2), "wrong", None),
        ("03.4", lambda *a: gain_by_loop(*a, log=np.log10), "wrong", None),
        ("03.4", lambda *a: torch.tensor(gain_by_library(*a)), "wrong", None),
        ("03.4", lambda c, y, e: float((-((c + 1) / (c + 1).sum()).log()[y] - e).mean()),
         "error", None),
        ("03.5", pairs_by_loop, "correct", None),
        ("03.5", lambda *a: pairs_by_loop(*a, wrong="any origin"), "mistake", "any origin"),
        ("03.5", lambda *a: pairs_by_loop(*a, wrong="own too"), "mistake", "own document not left"),
        ("03.5", lambda *a: pairs_by_loop(*a, wrong="own and successor"), "mistake", "nor the"),
        ("03.5", lambda *a: pairs_by_loop(*a, wrong="own only"), "mistake", "from the own"),
        ("03.5", lambda *a: pairs_by_loop(*a, wrong="successor"), "mistake", "as a negative"),
        ("03.5", lambda *a: pairs_by_loop(*a, wrong="odd"), "mistake", "even and odd"),
        ("03.5", lambda *a: pairs_by_loop(*a, wrong="coin"), "mistake", "a coin"),
        ("03.5", lambda *a: pairs_answered(*a, lambda f: int(not f)), "mistake", "answers exch"),
        ("03.5", pairs_that_follow, "mistake", "no negatives"),
        ("03.5", lambda *a: pairs_answered(*a, bool), "wrong", None),
        ("03.5", lambda *a: pairs_by_loop(*a, wrong="last"), "wrong", None),
        ("03.5", pairs_rounded, "wrong", None),
        ("03.5", lambda d, o, p, u: [(*d[i], 1) for i, _ in p], "wrong", None),
        ("03.5", lambda *a: pairs_by_loop(*a, wrong="other origin"), "wrong", None),
    ],
)  # fmt: skip
def test_what_learners_might_write(
    number: str, learner: Callable, status: str, mistake: str | None, diagnosed: Callable
) -> None:
    diagnosed(number, learner, status, mistake)


def test_the_step_is_the_first_of_the_lessons_own_algorithm() -> None:
    exercise = get_exercise("03.1")
    for words, spelled in exercise.cases(np.random.default_rng(0)):
        if any(len(pieces) != len(word) for word, pieces in spelled.items()):
            continue  # this case begins further on
        pieces = learn_wordpieces(words, n_merges=1)
        assert pieces[-1] == exercise.solution(words, spelled)[2]


def test_words_are_split_as_by_the_lessons_own_algorithm() -> None:
    exercise = get_exercise("03.2")
    for word, vocabulary in exercise.cases(np.random.default_rng(0)):
        assert exercise.solution(word, vocabulary) == split_word(word, vocabulary)


def test_a_gain_that_can_be_followed_by_hand() -> None:
    exercise = get_exercise("03.4")
    # Counts 7, 3, 1, 1 become shares 8, 4, 2, 2 of 16: 1, 2, 3 and 3 bits.
    arguments = exercise.cases(np.random.default_rng(0))[0]
    expected = (1 + 2 + 3) * np.log(2) / 3 - (0.5 + 0.9 + 0.8) / 3
    assert exercise.solution(*arguments) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("number", [f"03.{i}" for i in range(1, 6)])
def test_what_stands_in_the_notebook_untouched_counts_as_not_attempted(
    number: str, diagnosed: Callable
) -> None:
    def untouched(*arguments):
        return ...

    diagnosed(number, untouched, "not attempted", None)
