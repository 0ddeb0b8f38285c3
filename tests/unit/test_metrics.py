"""Metrics against second implementations that share no code with the first, case after case."""

import math
import random
import re
from collections import Counter
from functools import cache
from itertools import groupby

import numpy as np
import pytest
import sacrebleu
from nltk.stem.porter import PorterStemmer
from rouge_score.rouge_scorer import RougeScorer
from seqeval.metrics import f1_score, precision_score, recall_score
from sklearn.metrics import precision_recall_fscore_support

from utils import metrics
from utils.errors import CourseError
from utils.squad_scores import exact_match, normalise_answer, token_f1
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


PER_CLASS = [metrics.Precision(), metrics.Recall(), metrics.F1()]


@pytest.mark.parametrize("average", ["binary", "micro", "macro", "weighted", None])
@pytest.mark.parametrize("place", range(3), ids=[metric.name_of_score for metric in PER_CLASS])
def test_scores_of_classes_are_those_of_counting(place: int, average: str | None) -> None:
    """By count, not by scikit-learn, which the metric itself calls: see the next test for that."""
    rng = np.random.default_rng(place)
    metric = PER_CLASS[place]
    for case in range(N_CASES if average else N_CASES // 4):
        predictions, references = classes(rng, 2 if average == "binary" else 4)
        present = sorted({*predictions.tolist(), *references.tolist()})
        each = [counted(predictions, references, k) for k in present]
        scores, sizes = [row[place] for row in each], [row[3] for row in each]
        expected = {
            "binary": counted(predictions, references, 1)[place],
            "micro": np.mean(predictions == references),
            "macro": sum(scores) / len(scores),
            "weighted": sum(s * n for s, n in zip(scores, sizes, strict=True)) / sum(sizes),
            None: np.array(scores),
        }[average]
        got = computed(metric, case, predictions, references, average=average)
        assert got[metric.name_of_score] == pytest.approx(expected), (predictions, references)


def test_counting_gives_what_scikit_learn_gives() -> None:
    """All cases in one call: a column says of each example of a case whether its class is k."""
    rng = np.random.default_rng(4)
    cases = [classes(rng, 4) for _ in range(N_CASES)]
    sides = np.zeros((2, 12, N_CASES, 4), dtype=int)
    for number, pair in enumerate(cases):
        for side, tags in zip(sides, pair, strict=True):
            side[np.arange(len(tags)), number, tags] = 1
    found, there = sides.reshape(2, 12, -1)
    theirs = precision_recall_fscore_support(there, found, average=None, zero_division=0)
    ours = [counted(*pair, k) for pair in cases for k in range(4)]
    np.testing.assert_allclose(np.transpose(theirs), ours)


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


WORDS = [
    "the", "a", "An", "Gulf", "gulf", "Stream.", "stream", "1905", "U.S.", "(old)", "theatre", "",
    "“the", "the—old", "l’a", "a\u0301", "É", "é", "İ", "the_a", "the\u00a0", "\t", "😀", "مرحبا",
    "a²", "“", "l’", "éa",
]  # fmt: skip


def squad_words(text: str) -> list[str]:
    """Lower case, no ASCII marks, no runs of letters and digits that are an article."""
    kept = (c for c in text.lower() if c.isalnum() or not "!" <= c <= "~")
    runs = ("".join(run) for _, run in groupby(kept, key=str.isalnum))
    return "".join(" " if run in ("a", "an", "the") else run for run in runs).split()


def squad_by_definition(answer: str, references: list[str]) -> tuple[bool, float]:
    """Exact match and F1 as the script of SQuAD 2.0 defines them, words crossed off one by one.

    A reference of which nothing is left is none, and where there is none only an answer of which
    nothing is left is right. The script of 1.1 keeps such references, needs one at least, and gives
    F1 0 where nothing is left of both sides.
    """
    given = squad_words(answer)
    wanted = [words for text in references if (words := squad_words(text))]
    if not given or not wanted:
        return given == wanted, float(given == wanted)
    best = 0.0
    for reference in wanted:
        left = list(reference)
        for word in given:
            if word in left:
                left.remove(word)
        if shared := len(reference) - len(left):
            precision, recall = shared / len(given), shared / len(reference)
            best = max(best, 2 * precision * recall / (precision + recall))
    return given in wanted, best


def test_squad_is_the_mean_of_its_answers() -> None:
    draw = random.Random(8)

    def text() -> str:
        return " ".join(draw.choices(WORDS, k=draw.choice((0, 1, 1, 2, 3, 4))))

    seen: Counter = Counter()
    for case in range(N_CASES):
        pairs = [(text(), [text() for _ in range(draw.randint(0, 3))]) for _ in range(4)]
        for given, _ in pairs:
            assert normalise_answer(given).split() == squad_words(given)
        expected = [squad_by_definition(*pair) for pair in pairs]
        assert [exact_match(*pair) for pair in pairs] == [right for right, _ in expected], pairs
        assert [token_f1(*pair) for pair in pairs] == pytest.approx([f1 for _, f1 in expected])
        got = computed(
            metrics.Squad(),
            case,
            [{"id": str(i), "prediction_text": given} for i, (given, _) in enumerate(pairs)],
            [{"id": str(i), "answers": {"text": texts}} for i, (_, texts) in enumerate(pairs)],
        )
        em, f1 = 100 * np.mean(expected, axis=0)
        assert got == {"exact_match": pytest.approx(em), "f1": pytest.approx(f1)}
        seen.update(
            (bool(squad_words(given)), f1)
            for (given, _), (_, f1) in zip(pairs, expected, strict=True)
        )
    assert min(seen[answered, f1] for answered in (True, False) for f1 in (0, 1)) > 50


def test_squad_refuses_rows_in_another_order() -> None:
    with pytest.raises(CourseError, match="same order"):
        metrics.Squad().compute(
            predictions=[{"id": "a", "prediction_text": "x"}],
            references=[{"id": "b", "answers": {"text": ["x"]}}],
        )


SEQEVAL = {"precision": precision_score, "recall": recall_score, "f1": f1_score}


def test_squad_takes_answers_as_the_data_set_has_them() -> None:
    given = {"id": "a", "prediction_text": "The Gulf"}
    wanted = {"id": "a", "answers": {"text": ["gulf", "sea"], "answer_start": [4, 9]}}
    metric = metrics.Squad()
    assert metric.compute(predictions=[given], references=[wanted])["exact_match"] == 100
    metric.add(prediction=given, reference=wanted)
    assert metric.compute()["exact_match"] == 100


TAGS = ["O", "B-PER", "I-PER", "B-creative-work", "I-creative-work"]


def test_seqeval_counts_as_the_task_does() -> None:
    """And as the functions of seqeval in their default mode, of legal and illegal tags alike.

    The metric has no other mode. `test_tagging.py` compares both with the rules of CoNLL-2000.
    """
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
        given, wanted = names
        for name, theirs in SEQEVAL.items():
            assert got[f"overall_{name}"] == pytest.approx(theirs(wanted, given, zero_division=0))
        kinds = sorted({tag[2:] for rows in names for row in rows for tag in row} - {""})
        assert set(got) == {f"overall_{name}" for name in (*SEQEVAL, "accuracy")} | set(kinds)
        if not kinds:
            continue
        each = {
            name: theirs(wanted, given, average=None, zero_division=0)
            for name, theirs in SEQEVAL.items()
        }
        for place, kind in enumerate(kinds):
            assert {name: got[kind][name] for name in each} == {
                name: pytest.approx(scores[place]) for name, scores in each.items()
            }
            entities = [e for row in wanted for e in tagging.entities(row) if e[0] == kind]
            assert got[kind]["number"] == len(entities)
            assert type(got[kind]["number"]) is int


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


WITH_CASE = ["Die", "alte", "Mühle,", "mill-wheel", "don't", "3,000", "die", "Die.", "the"]


def with_references(draw: random.Random) -> tuple[list[str], list[list[str]]]:
    """Texts, some of them empty, with as many references each."""
    n, k = draw.randint(1, 3), draw.randint(1, 3)

    def text(shortest: int) -> str:
        return " ".join(draw.choices(WITH_CASE, k=draw.randint(shortest, 8)))

    return [text(0) for _ in range(n)], [[text(1) for _ in range(k)] for _ in range(n)]


def test_bleu_and_chrf_pass_references_and_options_on() -> None:
    draw = random.Random(14)
    for case in range(N_CASES):
        given, wanted = with_references(draw)
        columns = [[row[k] for row in wanted] for k in range(len(wanted[0]))]
        options = {
            "smooth_method": draw.choice(("exp", "floor", "add-k", "none")),
            "lowercase": draw.random() < 0.5,
            "tokenize": draw.choice(("13a", "intl", "char", "none")),
            "use_effective_order": draw.random() < 0.5,
        }
        got = computed(metrics.Sacrebleu(), case, given, wanted, **options)
        theirs = sacrebleu.corpus_bleu(given, columns, **options)
        assert got["score"] == pytest.approx(theirs.score), options
        assert (got["counts"], got["totals"]) == (theirs.counts, theirs.totals)
        assert (got["sys_len"], got["ref_len"]) == (theirs.sys_len, theirs.ref_len)
        options = {
            "char_order": draw.randint(1, 6), "word_order": draw.randint(0, 2),
            "beta": draw.randint(1, 3),
        }  # fmt: skip
        got = computed(metrics.ChrF(), case, given, wanted, **options)
        theirs = sacrebleu.corpus_chrf(given, columns, **options)
        assert got["score"] == pytest.approx(theirs.score), options


def test_rouge_takes_the_best_reference_of_each_text_and_kind() -> None:
    draw = random.Random(15)
    kinds = ("rouge1", "rouge2", "rouge3", "rougeL")
    scorer = RougeScorer(kinds)
    for case in range(N_CASES):
        given, wanted = with_references(draw)
        got = computed(metrics.Rouge(), case, given, wanted, rouge_types=kinds)
        rows = [
            [scorer.score(one, text) for one in ones]
            for text, ones in zip(given, wanted, strict=True)
        ]
        for kind in kinds:
            best = [max(score[kind].fmeasure for score in row) for row in rows]
            assert got[kind] == pytest.approx(np.mean(best))


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
