"""Metrics against second implementations that share no code with the first, case after case."""

import math
import random
import re
from collections import Counter
from functools import cache

import numpy as np
import pytest
from nltk.stem.porter import PorterStemmer

from utils import metrics
from utils.errors import CourseError
from utils.squad_scores import exact_match, token_f1
from utils.tasks import tagging

N_CASES = 2_000
N_THROUGH_ARROW = 25
"""So many also go the whole way through `evaluate`, which takes some milliseconds each."""


def computed(metric, case: int, predictions, references, **options):
    """The result of `compute`, or in most cases of what it calls after conversion."""
    if case < N_THROUGH_ARROW:
        return metric.compute(predictions=predictions, references=references, **options)
    return metric._compute(predictions=predictions, references=references, **options)


def classes(rng: np.random.Generator, n_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Predictions and references, often of few classes, sometimes all alike."""
    n, k = rng.integers(1, 13), rng.integers(1, n_classes + 1)
    return rng.integers(k, size=n), rng.integers(k, size=n)


def counted(predictions, references, k: int) -> tuple[float, float, float, int]:
    """Precision, recall and F1 of class k, and how often it is there."""
    right = sum(p == r == k for p, r in zip(predictions, references, strict=True))
    found, there = list(predictions).count(k), list(references).count(k)
    precision, recall = right / found if found else 0.0, right / there if there else 0.0
    both = precision + recall
    return precision, recall, 2 * precision * recall / both if both else 0.0, there


@pytest.mark.parametrize(
    ("metric", "place"),
    [(metrics.Precision(), 0), (metrics.Recall(), 1), (metrics.F1(), 2)],
    ids=["precision", "recall", "f1"],
)
def test_scores_of_classes_are_those_of_counting(metric, place: int) -> None:
    rng = np.random.default_rng(place)
    name = metric.name_of_score
    for case in range(N_CASES // 4):  # each in five ways
        predictions, references = classes(rng, 4)
        present = sorted({*predictions.tolist(), *references.tolist()})
        each = [counted(predictions, references, k) for k in present]
        scores, sizes = [row[place] for row in each], [row[3] for row in each]
        expected = {
            "macro": sum(scores) / len(scores),
            "weighted": sum(s * n for s, n in zip(scores, sizes, strict=True)) / sum(sizes),
            "micro": np.mean(predictions == references),
        }
        if max(present) <= 1:
            expected["binary"] = counted(predictions, references, 1)[place]
        for average, value in expected.items():
            got = computed(metric, case, predictions, references, average=average)[name]
            assert got == pytest.approx(value), (average, predictions, references)
        got = computed(metric, case, predictions, references, average=None)[name]
        assert got == pytest.approx(np.array(scores))


def test_accuracy_is_the_share_of_equal_pairs() -> None:
    rng = np.random.default_rng(5)
    for case in range(N_CASES):
        predictions, references = classes(rng, 4)
        expected = sum(map(int.__eq__, predictions.tolist(), references.tolist()))
        got = computed(metrics.Accuracy(), case, predictions, references)
        assert got == {"accuracy": pytest.approx(expected / len(predictions))}


def test_a_third_class_needs_an_average() -> None:
    with pytest.raises(CourseError, match="average='macro'"):
        metrics.F1().compute(predictions=[0, 1, 2], references=[0, 1, 1])
    assert metrics.F1().compute(predictions=[0, 2], references=[2, 2], pos_label=2) == {
        "f1": pytest.approx(2 / 3)
    }


def test_where_nothing_is_divided_the_score_is_that_of_zero_division() -> None:
    nothing = {"predictions": [0, 0], "references": [0, 0]}
    assert metrics.F1().compute(**nothing) == {"f1": 0.0}
    assert metrics.Precision().compute(**nothing, zero_division=1.0) == {"precision": 1.0}


def test_matthews_correlation_is_the_correlation_of_indicators() -> None:
    rng = np.random.default_rng(6)
    for case in range(N_CASES):
        predictions, references = classes(rng, 4)
        given, wanted = (
            np.eye(4)[x] - np.eye(4)[x].mean(axis=0) for x in (predictions, references)
        )
        spread = math.sqrt((given**2).sum() * (wanted**2).sum())
        expected = (given * wanted).sum() / spread if spread else 0.0
        got = computed(metrics.MatthewsCorrelation(), case, predictions, references)
        assert got["matthews_correlation"] == pytest.approx(expected, abs=1e-12)


def test_auc_is_the_share_of_pairs_in_the_right_order() -> None:
    rng = np.random.default_rng(7)
    metric = metrics.RocAuc()
    for case in range(N_CASES):
        scores = rng.integers(5, size=rng.integers(2, 12)) / 4  # many ties
        references = rng.integers(2, size=len(scores))
        arguments = {"prediction_scores": scores, "references": references}
        compute = metric.compute if case < N_THROUGH_ARROW else metric._compute
        if len(set(references.tolist())) < 2:
            with pytest.raises(CourseError, match="classes"):
                compute(**arguments)
            continue
        ones, zeros = scores[references == 1], scores[references == 0]
        pairs = [(a > b) + (a == b) / 2 for a in ones for b in zeros]
        assert compute(**arguments)["roc_auc"] == pytest.approx(np.mean(pairs))


WORDS = ["the", "Gulf", "Stream.", "gulf", "a", "1905", "warm", "in", "stream"]


def test_squad_is_the_mean_of_its_answers() -> None:
    draw = random.Random(8)
    for case in range(N_CASES):
        rows = range(draw.randint(1, 4))
        given = [" ".join(draw.choices(WORDS, k=draw.randint(0, 4))) for _ in rows]
        wanted = [
            [" ".join(draw.choices(WORDS, k=draw.randint(1, 4))) for _ in range(draw.randint(0, 3))]
            for _ in rows
        ]
        got = computed(
            metrics.Squad(),
            case,
            [{"id": str(i), "prediction_text": text} for i, text in enumerate(given)],
            [{"id": str(i), "answers": {"text": texts}} for i, texts in enumerate(wanted)],
        )
        pairs = list(zip(given, wanted, strict=True))
        assert got["exact_match"] == pytest.approx(100 * np.mean([exact_match(*p) for p in pairs]))
        assert got["f1"] == pytest.approx(100 * np.mean([token_f1(*p) for p in pairs]))


def test_squad_refuses_rows_in_another_order() -> None:
    with pytest.raises(CourseError, match="same order"):
        metrics.Squad().compute(
            predictions=[{"id": "a", "prediction_text": "x"}],
            references=[{"id": "b", "answers": {"text": ["x"]}}],
        )


TAGS = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]


def test_seqeval_counts_as_the_task_does() -> None:
    rng = np.random.default_rng(9)
    metric = metrics.Seqeval()
    for case in range(N_CASES):
        lengths = rng.integers(1, 7, size=rng.integers(1, 4))
        n_tags = rng.integers(1, 6)  # 1: no entity anywhere
        true, found = ([rng.integers(n_tags, size=n) for n in lengths] for _ in range(2))
        examples = tagging.Examples([["w"] * n for n in lengths], true, TAGS)
        expected, _ = tagging.score(np.concatenate(found), examples)
        names = [[[TAGS[t] for t in row] for row in rows] for rows in (found, true)]
        got = computed(metric, case, *names)
        for name in ("f1", "precision", "recall", "accuracy"):
            assert got[f"overall_{name}"] == pytest.approx(expected[name]), names
        for kind in ("PER", "LOC"):
            entities = [
                {
                    (i, *e)
                    for i, row in enumerate(rows)
                    for e in tagging.entities(row)
                    if e[0] == kind
                }
                for rows in names
            ]
            if any(entities):
                both, sizes = len(entities[0] & entities[1]), sum(map(len, entities))
                assert got[kind]["f1"] == pytest.approx(2 * both / sizes)
                assert got[kind]["number"] == len(entities[1])
                assert type(got[kind]["number"]) is int
            else:
                assert kind not in got


def test_seqeval_names_a_sentence_of_another_length() -> None:
    with pytest.raises(CourseError, match="Sentence 1 has 2 words, but 1 tags"):
        metrics.Seqeval().compute(predictions=[["O"], ["O"]], references=[["O"], ["O", "O"]])


def texts(draw: random.Random, words: list[str], shortest: int = 0) -> tuple[list[str], list[str]]:
    rows = range(draw.randint(1, 4))
    return tuple(  # type: ignore[return-value]
        [" ".join(draw.choices(words, k=draw.randint(shortest, 9))) for _ in rows] for _ in range(2)
    )


def grams(units, n: int) -> Counter:
    return Counter(tuple(units[i : i + n]) for i in range(len(units) - n + 1))


def bleu_by_formula(predictions: list[str], references: list[str]) -> float:
    """Papineni et al. (2002); an n without a hit counts as 1/2, 1/4, … hits."""
    pairs = [(p.split(), r.split()) for p, r in zip(predictions, references, strict=True)]
    logs, halvings, any_hit = 0.0, 1, False
    for n in range(1, 5):
        hits = sum((grams(p, n) & grams(r, n)).total() for p, r in pairs)
        total = sum(grams(p, n).total() for p, _ in pairs)
        any_hit |= hits > 0
        if not total:
            return 0.0
        if not hits:
            halvings *= 2
        logs += math.log((hits or 1 / halvings) / total) / 4
    c, r = sum(len(p) for p, _ in pairs), sum(len(r) for _, r in pairs)
    return 100 * min(1.0, math.exp(1 - r / c)) * math.exp(logs) if any_hit else 0.0


def test_bleu_is_what_its_formula_says() -> None:
    draw = random.Random(10)
    for case in range(N_CASES):
        given, wanted = texts(draw, ["mill", "river", "man", "old", "red"])
        got = computed(metrics.Sacrebleu(), case, given, wanted)
        assert got["score"] == pytest.approx(bleu_by_formula(given, wanted), abs=1e-9)
    assert "tok:13a" in got["signature"]


def chrf_by_formula(predictions: list[str], references: list[str]) -> float:
    """Popović (2015): mean precision and recall over the lengths that occur on both sides."""
    precisions, recalls = [], []
    pairs = [
        ("".join(p.split()), "".join(r.split()))
        for p, r in zip(predictions, references, strict=True)
    ]
    for n in range(1, 7):
        counts = [(grams(p, n), grams(r, n)) for p, r in pairs]
        hits = sum((p & r).total() for p, r in counts)
        given = sum(p.total() for p, r in counts if r)  # without a reference nothing is asked for
        wanted = sum(r.total() for _, r in counts)
        if given and wanted:
            precisions.append(hits / given)
            recalls.append(hits / wanted)
    p, r = (np.mean(x) if x else 0.0 for x in (precisions, recalls))
    return float(100 * 5 * p * r / (4 * p + r)) if p + r else 0.0


def test_chrf_is_what_its_formula_says() -> None:
    draw = random.Random(11)
    for case in range(N_CASES):
        given, wanted = texts(draw, ["mill", "mills", "a", "in", "rivers"])
        got = computed(metrics.ChrF(), case, given, wanted)
        assert got["score"] == pytest.approx(chrf_by_formula(given, wanted), abs=1e-9)
    assert "nc:6|nw:0" in got["signature"]


def rouge_by_definition(given: str, wanted: str, kind: str, stem: bool) -> float:
    """Lin (2004), F1 of words, of pairs, or of the longest common subsequence."""
    stemmer = PorterStemmer()
    sides = [re.findall("[a-z0-9]+", text.lower()) for text in (given, wanted)]
    if stem:
        sides = [[stemmer.stem(w) if len(w) > 3 else w for w in side] for side in sides]
    a, b = sides
    if kind == "rougeL":

        @cache
        def longest(i: int, j: int) -> int:
            if i == len(a) or j == len(b):
                return 0
            if a[i] == b[j]:
                return 1 + longest(i + 1, j + 1)
            return max(longest(i + 1, j), longest(i, j + 1))

        shared, total = longest(0, 0), len(a) + len(b)
    else:
        first, second = (grams(side, int(kind[-1])) for side in sides)
        shared, total = (first & second).total(), first.total() + second.total()
    return 2 * shared / total if shared else 0.0


@pytest.mark.parametrize("stem", [False, True])
def test_rouge_is_what_its_definition_says(stem: bool) -> None:
    draw = random.Random(12 + stem)
    for case in range(N_CASES // 2):
        given, wanted = texts(draw, ["Closing", "closed", "roads", "road,", "the", "flooded!"])
        got = computed(metrics.Rouge(), case, given, wanted, use_stemmer=stem)
        for kind in ("rouge1", "rouge2", "rougeL"):
            pairs = zip(given, wanted, strict=True)
            expected = np.mean([rouge_by_definition(*pair, kind, stem) for pair in pairs])
            assert got[kind] == pytest.approx(expected)
        assert got["use_stemmer"] is stem


def test_of_several_references_the_best_one_counts() -> None:
    given, wanted = ["a red mill by the river"], [["no match here", "a red mill by the river"]]
    both = {"predictions": given, "references": wanted}
    assert metrics.Rouge().compute(**both)["rougeL"] == pytest.approx(1)
    assert metrics.Sacrebleu().compute(**both)["score"] == pytest.approx(100)
    assert metrics.ChrF().compute(**both)["score"] == pytest.approx(100)
    with pytest.raises(CourseError, match="same number of references"):
        metrics.Sacrebleu().compute(predictions=["a", "b"], references=[["a"], ["b", "c"]])


def test_an_empty_text_scores_nothing() -> None:
    nothing = {"predictions": [""], "references": ["a red mill by the river"]}
    assert metrics.Sacrebleu().compute(**nothing)["score"] == 0
    assert metrics.ChrF().compute(**nothing)["score"] == 0
    assert metrics.Rouge().compute(**nothing)["rouge1"] == 0


ALL = [
    metrics.Accuracy, metrics.Precision, metrics.Recall, metrics.F1, metrics.MatthewsCorrelation,
    metrics.Squad, metrics.Seqeval, metrics.Sacrebleu, metrics.ChrF, metrics.Rouge,
]  # fmt: skip


@pytest.mark.parametrize("kind", ALL)
def test_nothing_to_compute_is_said_clearly(kind) -> None:
    with pytest.raises(CourseError, match="nothing to compute: 0 predictions and 0 references"):
        kind().compute(predictions=[], references=[])
    with pytest.raises(CourseError, match="one prediction for each reference"):
        kind().compute(predictions=[0], references=[0, 1])


def test_examples_can_be_added_one_by_one() -> None:
    metric = metrics.F1()
    for p, r in ((1, 1), (0, 1), (1, 0)):
        metric.add(prediction=p, reference=r)
    assert metric.compute() == {"f1": pytest.approx(0.5)}


def test_classification_scores() -> None:
    scores = metrics.classification_scores(np.array([0, 1, 1, 0]), np.array([0, 1, 0, 0]))
    assert scores == {"accuracy": 0.75, "f1_macro": pytest.approx((0.8 + 2 / 3) / 2)}
