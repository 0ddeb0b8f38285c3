"""The embedded corpora: balanced, free of repetition and leakage, and as hard as the real sets."""

import re
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedShuffleSplit, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, PolynomialFeatures, StandardScaler

from utils import sources
from utils.sources import embedded

N_TRAIN = 512
DRAWS = 5


@dataclass(frozen=True)
class Expected:
    """What the data sheet promises; `telltale` bounds what length or the first word may give."""

    dataset_id: str
    text: str
    splits: tuple[str, ...]
    n_texts: int
    n_classes: int
    telltale: float

    def __str__(self) -> str:
        return embedded.REGISTRY[self.dataset_id].name


CORPORA = [
    Expected("stanfordnlp/sst2", "sentence", ("train", "validation"), 1000, 2, 0.55),
    Expected("fancyzhx/ag_news", "text", ("train", "test"), 800, 4, 0.35),
]
corpora = pytest.mark.parametrize("corpus", CORPORA, ids=str)


@cache
def load(corpus: Expected) -> Any:
    return sources.load_dataset(corpus.dataset_id, profile="smoke")[0]


def texts_of(corpus: Expected, *splits: str) -> list[str]:
    return [text for split in splits for text in load(corpus)[split][corpus.text]]


def labels_of(corpus: Expected, *splits: str) -> NDArray[np.int64]:
    return np.concatenate([np.asarray(load(corpus)[split]["label"]) for split in splits])


def normalised(text: str) -> str:
    return " ".join(re.findall(r"[a-z0-9]+", text.lower()))


# What is in it


@corpora
def test_size_and_splits(corpus: Expected) -> None:
    assert tuple(load(corpus)) == corpus.splits
    assert len(texts_of(corpus, *corpus.splits)) >= corpus.n_texts
    assert load(corpus)["train"].num_rows > N_TRAIN


@corpora
def test_every_split_is_exactly_balanced(corpus: Expected) -> None:
    for split in corpus.splits:
        counts = Counter(labels_of(corpus, split).tolist())
        assert sorted(counts) == list(range(corpus.n_classes))
        assert len(set(counts.values())) == 1


def test_sentiment_rows_are_numbered() -> None:
    for split in load(CORPORA[0]).values():
        assert list(split["idx"]) == list(range(split.num_rows))


@corpora
def test_no_text_occurs_twice(corpus: Expected) -> None:
    counts = Counter(normalised(text) for text in texts_of(corpus, *corpus.splits))
    assert [text for text, n in counts.items() if n > 1 or not text] == []


@corpora
def test_no_two_texts_are_nearly_the_same(corpus: Expected) -> None:
    """Word sets of two texts share at most seven tenths of their union."""
    texts = [normalised(text) for text in texts_of(corpus, *corpus.splits)]
    words = CountVectorizer(binary=True, token_pattern=r"\S+").fit_transform(texts)
    shared = (words @ words.T).toarray().astype(float)
    sizes = np.diag(shared)
    overlap = np.triu(shared / (sizes[:, None] + sizes[None, :] - shared), k=1)
    pairs = [(texts[i], texts[j]) for i, j in np.argwhere(overlap > 0.7)]
    assert pairs == []


@corpora
def test_openings_do_not_repeat_like_a_template(corpus: Expected) -> None:
    texts = [normalised(text).split() for text in texts_of(corpus, *corpus.splits)]
    openings = Counter(" ".join(words[:3]) for words in texts)
    opening, n = openings.most_common(1)[0]
    assert n <= 0.02 * len(texts), f"{n} texts begin with {opening!r}"


@corpora
def test_lengths_vary(corpus: Expected) -> None:
    lengths = np.array([len(text.split()) for text in texts_of(corpus, *corpus.splits)])
    shortest, longest = np.quantile(lengths, [0.05, 0.95])
    assert longest >= 2 * shortest


@corpora
def test_the_data_sheet_says_what_a_user_has_to_know(corpus: Expected) -> None:
    sheet = Path(embedded.CORPORA / str(corpus) / "README.md").read_text("utf-8").lower()
    for word in ("licence:", "limit", "written", *corpus.splits):
        assert word in sheet
    source = sources.load_dataset(corpus.dataset_id, profile="smoke")[1]
    assert source.licence not in ("", "not stated")


# How hard it is


@cache
def embeddings(corpus: Expected) -> NDArray[np.float32]:
    """Mean-pooled MiniLM features of all texts, (n_texts, 384), by way of transformers alone."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    texts = texts_of(corpus, *corpus.splits)
    folder, _ = sources.model_path(sources.MINILM)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder).eval()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    features = np.empty((len(texts), model.config.hidden_size), dtype=np.float32)
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    with torch.inference_mode():
        for start in range(0, len(order), 32):
            rows = order[start : start + 32]
            batch = tokenizer(
                [texts[i] for i in rows],
                padding=True,
                truncation=True,
                max_length=64,
                return_tensors="pt",
            )
            mask = batch["attention_mask"].unsqueeze(-1)
            hidden_states = model(**batch).last_hidden_state
            features[rows] = ((hidden_states * mask).sum(1) / mask.sum(1)).numpy()
    torch.set_num_threads(threads)
    return features


@cache
def accuracies(corpus: Expected) -> dict[str, float]:
    """Accuracy on all rows outside `train`, mean over draws of 512 balanced training rows."""
    train, rest = ("train",), corpus.splits[1:]
    texts = np.array(texts_of(corpus, *corpus.splits), dtype=object)
    labels = labels_of(corpus, *corpus.splits)
    n = len(labels_of(corpus, *train))
    assert len(texts) == n + len(labels_of(corpus, *rest))
    found = {
        "tfidf": (
            make_pipeline(TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True), linear()),
            texts,
        ),
        "frozen": (make_pipeline(StandardScaler(), linear()), embeddings(corpus)),
    }
    draws = StratifiedShuffleSplit(DRAWS, train_size=N_TRAIN, random_state=0)
    chosen = [rows for rows, _ in draws.split(np.zeros(n), labels[:n])]
    scores: dict[str, float] = {}
    for name, (pipeline, inputs) in found.items():
        grid = {"logisticregression__C": [0.001, 0.01, 0.1, 1, 10, 100]}
        search = GridSearchCV(pipeline, grid, cv=3).fit(inputs[chosen[0]], labels[chosen[0]])
        fitted = [
            search.best_estimator_.fit(inputs[rows], labels[rows]).score(inputs[n:], labels[n:])
            for rows in chosen
        ]
        scores[name] = float(np.mean(fitted))
    return scores


def linear() -> LogisticRegression:
    return LogisticRegression(max_iter=2000)


@corpora
def test_words_alone_are_as_little_help_as_on_the_real_set(corpus: Expected) -> None:
    assert 0.60 <= accuracies(corpus)["tfidf"] <= 0.75


@corpora
def test_pre_training_helps_and_does_not_solve_it(corpus: Expected) -> None:
    scores = accuracies(corpus)
    assert scores["tfidf"] < scores["frozen"] <= 0.88


def cross_validated(pipeline: Any, corpus: Expected) -> float:
    texts, labels = texts_of(corpus, *corpus.splits), labels_of(corpus, *corpus.splits)
    order = np.random.default_rng(0).permutation(len(texts))
    return float(cross_val_score(pipeline, [texts[i] for i in order], labels[order], cv=10).mean())


@corpora
def test_length_alone_tells_nothing(corpus: Expected) -> None:
    def lengths(texts: list[str]) -> NDArray[np.float64]:
        return np.log([[len(text), len(text.split())] for text in texts])

    pipeline = make_pipeline(
        FunctionTransformer(lengths), PolynomialFeatures(2), StandardScaler(), linear()
    )
    assert cross_validated(pipeline, corpus) <= corpus.telltale


@corpora
def test_the_first_word_alone_tells_nothing(corpus: Expected) -> None:
    first = FunctionTransformer(lambda texts: [normalised(text).split()[0] for text in texts])
    pipeline = make_pipeline(first, CountVectorizer(token_pattern=r"\S+"), linear())
    assert cross_validated(pipeline, corpus) <= corpus.telltale
