"""Features of single layers, and mixtures of them, on the packaged MiniLM."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from transformers import AutoModel, AutoTokenizer

from utils import sources
from utils.adaptation import METHODS, Problem, features, get_method, methods_for
from utils.adaptation.features import _chosen, compute, extract
from utils.adaptation.mixture import LayerMixture
from utils.errors import CourseError
from utils.tasks.text_classification import load, subset

MODEL, _ = sources.model_path(sources.MINILM)


@pytest.fixture(scope="module")
def splits():
    return load("stanfordnlp/sst2", profile="smoke", validation_limit=24, test_limit=40)


def problem(splits, cache=None, **hyper) -> Problem:
    return Problem(
        train=subset(splits.train, 48, 0), validation=splits.validation, evaluation=splits.test,
        n_classes=2, seed=0, max_length=64, hyper=hyper, model_path=MODEL, cache=cache,
    )  # fmt: skip


@torch.no_grad()
def test_each_choice_equals_what_the_library_gives(splits) -> None:
    text = splits.test.texts[0]
    encoded = AutoTokenizer.from_pretrained(MODEL)(text, return_tensors="pt")
    states = AutoModel.from_pretrained(MODEL, output_hidden_states=True)(**encoded).hidden_states
    means = torch.stack([state.mean(dim=1)[0] for state in states])
    expected = {
        "mean": means[-1],
        "cls": states[-1][0, 0],
        "second-to-last": means[-2],
        "last-four": means[-4:].flatten(),
        "mixture": means,
        "mixture-last-four": means[-4:],
        "layer": means[3],
    }
    for kind, wanted in expected.items():
        found, cost = _chosen(problem(splits, features=kind, layer=3), [text], True)
        np.testing.assert_allclose(found[0], wanted.numpy(), atol=2e-5, err_msg=kind)
        assert cost["flops"] > 0


KINDS = ("mean", "cls", "second-to-last", "last-four", "mixture", "layer")


@pytest.fixture
def n_passes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Grows with each pass of an encoder."""
    passes = []

    def counted(encoder, tokenised, pooling, **options):
        passes.append(pooling)
        return compute(encoder, tokenised, pooling, **options)

    monkeypatch.setattr(features, "compute", counted)
    return passes


def test_one_pass_serves_all_choices(splits, tmp_path, n_passes, monkeypatch) -> None:
    texts = splits.test.texts[:3]

    def all_kinds() -> list[np.ndarray]:
        return [
            _chosen(problem(splits, cache=tmp_path, features=kind, layer=0), texts, True)[0]
            for kind in KINDS
        ]

    together = all_kinds()
    assert n_passes == ["all"]
    monkeypatch.setattr(features, "SHARED_BYTES", 1000)
    for one, other in zip(together, all_kinds(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert n_passes == ["all", "mean", "cls", "layers"]


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch is without oneDNN")
def test_features_are_the_same_by_onednn(splits, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for pays in (False, True):
        monkeypatch.setattr(features.runtime, "onednn_pays", lambda pays=pays: pays)
        found.append(extract(problem(splits), splits.test.texts, pooling="layers")[0])
    np.testing.assert_allclose(found[0], found[1], atol=2e-5)
    assert not np.array_equal(found[0], found[1])  # another kernel rounds otherwise


def test_features_in_8_bits_are_nearly_the_same(splits, tmp_path, n_passes) -> None:
    texts = splits.test.texts
    exact, cost = extract(problem(splits, cache=tmp_path), texts)
    rounded, cost_of_rounded = extract(problem(splits, cache=tmp_path), texts, int8=True)
    lengths = np.linalg.norm(exact, axis=1) * np.linalg.norm(rounded, axis=1)
    similarity = (exact * rounded).sum(axis=1) / lengths
    assert similarity.mean() > 0.96  # 0.94 with one scale for a whole matrix
    assert similarity.max() < 0.9999  # they come from another pass, not from the cache
    assert n_passes == ["all", "all"]
    assert cost["parameters"] == cost_of_rounded["parameters"]


PROBES = [
    name for name in methods_for("text-classification") if name.startswith(("frozen", "probe-0"))
]


@pytest.mark.parametrize("name", PROBES)
def test_all_beat_chance(splits, name: str, tmp_path) -> None:
    outcome = get_method(name).fit(problem(splits, **METHODS[name].defaults))
    assert outcome.predictions.shape == (40, 2)
    np.testing.assert_allclose(outcome.predictions.sum(axis=1), 1, rtol=1e-5)
    if name not in ("frozen-random", "probe-0"):
        assert (outcome.predictions.argmax(axis=1) == splits.test.labels).mean() > 0.55
    n_weights = {"frozen-last-four": 4 * 384 + 1, "frozen-mixture": 2 * 384 + 2 + 7}
    n_weights["frozen-mixture-last-four"] = 2 * 384 + 2 + 4
    assert outcome.cost["trainable_parameters"] == n_weights.get(name, 385)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_a_mixture_of_one_layer_is_logistic_regression(n_classes: int) -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, n_classes, size=90)
    x = (rng.normal(size=(90, 5)) + labels[:, None] * [1, 0, 0, -1, 0]).astype(np.float32)
    mixture = LayerMixture(0.3).fit(x[:, None], labels)
    standardised = StandardScaler().fit_transform(x.astype(np.float64))
    library = LogisticRegression(C=0.3, tol=1e-8, max_iter=1000).fit(standardised, labels)
    np.testing.assert_allclose(
        mixture.predict_proba(x[:, None]), library.predict_proba(standardised), atol=1e-5
    )
    assert mixture.weights_.tolist() == [1.0]


def test_the_layer_that_tells_most_weighs_most() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, size=300) * 2 + 1  # classes 1 and 3
    features = rng.normal(size=(300, 3, 4)).astype(np.float32)
    features[:, 1, 0] += 3 * labels
    mixture = LayerMixture(1.0).fit(features, labels)
    assert mixture.weights_.sum() == pytest.approx(1)
    assert (mixture.weights_ > 0).all()
    assert mixture.weights_.argmax() == 1
    assert mixture.weights_[1] > 0.5
    assert mixture.classes_.tolist() == [1, 3]
    right = mixture.classes_[mixture.predict_proba(features).argmax(axis=1)] == labels
    assert right.mean() > 0.95


def test_equally_good_layers_are_mixed() -> None:
    """Each tells the same with noise of its own, so their mean tells more than any one of them."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, size=600)
    signal = (labels[:, None] - 0.5) * np.ones(8)
    features = (signal[:, None] + rng.normal(size=(600, 4, 8))).astype(np.float32)
    mixture = LayerMixture(0.001).fit(features, labels)
    assert mixture.weights_.min() > 0.2
    mixed = np.einsum("k,nkd->nd", mixture.weights_, mixture._standardised(features))
    assert mixture.scale_**2 * np.square(mixed).mean() == pytest.approx(1)


def test_a_layer_that_is_not_there(splits) -> None:
    with pytest.raises(CourseError, match="layers 0 to 6; layer is 7"):
        _chosen(problem(splits, features="layer", layer=7), splits.test.texts[:2], True)
