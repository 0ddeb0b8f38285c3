"""Each method against an independent oracle, on the embedded corpus and the packaged MiniLM."""

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from utils import sources
from utils.adaptation import METHODS, Problem, get_method, methods_for
from utils.adaptation.batching import tokenise
from utils.adaptation.encoder import TextClassifier, forward_flops, load_encoder, mean_pool
from utils.adaptation.features import extract
from utils.errors import CourseError
from utils.tasks.text_classification import Examples, load, subset

MODEL, _ = sources.model_path(sources.MINILM)
TINY = {"batch_size": 8, "min_updates": 4, "epochs": 1, "weight_decay": 0.01, "dropout": 0.0}


@pytest.fixture(scope="module")
def splits():
    return load("stanfordnlp/sst2", profile="smoke", validation_limit=24, test_limit=60)


def problem(splits, n=16, **hyper) -> Problem:
    return Problem(
        train=subset(splits.train, n, 0),
        validation=splits.validation,
        evaluation=splits.test,
        n_classes=2,
        seed=0,
        max_length=64,
        hyper=hyper,
        model_path=MODEL,
    )


def test_majority_predicts_the_most_frequent_class():
    train = Examples(["a", "b", "c"], np.array([2, 1, 2]))
    empty = Examples([], np.array([], dtype=int))
    evaluation = Examples(["x", "y"], np.array([0, 2]))
    outcome = get_method("majority").fit(Problem(train, empty, evaluation, 4, 0, 64, {}))
    np.testing.assert_allclose(outcome.predictions, [[0, 1 / 3, 2 / 3, 0]] * 2)


def test_tfidf_learns_what_single_words_tell(splits):
    train = Examples(
        ["good film", "good fun", "bad film", "bad fun"] * 4, np.array([1, 1, 0, 0] * 4)
    )
    evaluation = Examples(["a good one", "a bad one"], np.array([1, 0]))
    outcome = get_method("tfidf").fit(
        Problem(train, splits.validation, evaluation, 2, 0, 64, {"C": 10.0})
    )
    assert outcome.predictions.argmax(axis=1).tolist() == [1, 0]
    np.testing.assert_allclose(outcome.predictions.sum(axis=1), 1, rtol=1e-6)


def test_a_class_missing_from_training_gets_probability_zero(splits):
    train = Examples(["good film", "bad film"] * 3, np.array([0, 2] * 3))
    outcome = get_method("tfidf").fit(
        Problem(train, splits.validation, train, 4, 0, 64, {"C": 1.0})
    )
    assert outcome.predictions.shape == (6, 4)
    assert (outcome.predictions[:, [1, 3]] == 0).all()


def test_features_equal_those_of_sentence_transformers(splits):
    library = pytest.importorskip("sentence_transformers").SentenceTransformer(
        str(MODEL), device="cpu"
    )
    texts = splits.test.texts[:12]
    features, _ = extract(problem(splits), texts)
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    np.testing.assert_allclose(features, library.encode(texts), atol=2e-6)


def test_padding_does_not_change_features(splits):
    together, _ = extract(problem(splits), splits.test.texts[:8])
    for row, text in zip(together, splits.test.texts[:8], strict=True):
        alone, _ = extract(problem(splits), [text])
        np.testing.assert_allclose(alone[0], row, atol=1e-5)


def test_mean_pooling_leaves_padding_out():
    hidden_states = torch.tensor([[[1.0, 2.0], [3.0, 4.0], [100.0, 100.0]]])
    mask = torch.tensor([[1, 1, 0]])
    assert mean_pool(hidden_states, mask).tolist() == [[2.0, 3.0]]


def test_flops_equal_those_that_torch_counts():
    encoder = load_encoder(MODEL).eval()
    encoder.set_attn_implementation("eager")  # torch does not count its fused kernel on a CPU
    ids = torch.randint(1000, 2000, (3, 20))
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        encoder(input_ids=ids, attention_mask=torch.ones_like(ids))
    assert forward_flops(encoder.config, 3, 20) == counter.get_total_flops()


def test_dropout_replaces_that_of_the_configuration():
    assert load_encoder(MODEL, dropout=0.25).config.hidden_dropout_prob == 0.25
    assert load_encoder(MODEL).config.attention_probs_dropout_prob == 0.0


def test_attention_is_in_single_precision_under_autocast_on_a_cpu(monkeypatch):
    kernel = torch.nn.functional.scaled_dot_product_attention
    seen = set()

    def recorded(query, *others, **named):
        seen.add(query.dtype)
        return kernel(query, *others, **named)

    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", recorded)
    batch = tokenise(["a film", "a much longer film about nothing"], MODEL, 32).batch([0, 1])
    encoder = load_encoder(MODEL).eval().cpu()
    with torch.inference_mode():
        exact = encoder(**batch).last_hidden_state
        with torch.autocast("cpu", torch.bfloat16):
            half = encoder(**batch).last_hidden_state
    assert seen == {torch.float32}
    assert (half - exact).abs().max() > 1e-4, "nothing was computed in half precision"
    torch.testing.assert_close(half.float(), exact, rtol=0, atol=0.1)


def test_random_initialisation_has_the_same_shape_and_other_weights():
    pretrained, random = load_encoder(MODEL), load_encoder(MODEL, pretrained=False)
    for (name, a), (other, b) in zip(
        pretrained.named_parameters(), random.named_parameters(), strict=True
    ):
        assert (name, a.shape) == (other, b.shape)
    word = "embeddings.word_embeddings.weight"
    assert not torch.equal(pretrained.get_parameter(word), random.get_parameter(word))


@pytest.mark.parametrize("name", ["full", "random-init"])
def test_trained_methods_report_their_cost(splits, name):
    outcome = get_method(name).fit(problem(splits, learning_rate=1e-4, **TINY))
    assert outcome.predictions.shape == (60, 2)
    np.testing.assert_allclose(outcome.predictions.sum(axis=1), 1, rtol=1e-5)
    assert outcome.cost["optimiser_steps"] == 4
    assert outcome.cost["examples_seen"] == 32
    classifier = TextClassifier(load_encoder(MODEL), 2)
    assert outcome.cost["trainable_parameters"] == sum(p.numel() for p in classifier.parameters())
    assert outcome.cost["wall_seconds"] > 0
    assert len(outcome.curve) >= 1


def test_the_same_seed_gives_the_same_predictions(splits):
    runs = [get_method("full").fit(problem(splits, learning_rate=1e-4, **TINY)) for _ in range(2)]
    np.testing.assert_array_equal(runs[0].predictions, runs[1].predictions)


def test_all_tunable_methods_have_as_many_candidates():
    counts = {n: len(METHODS[n].candidates) for n in methods_for("text-classification")}
    assert counts.pop("majority") == 0
    assert set(counts.values()) == {3}


def test_unknown_method():
    with pytest.raises(CourseError, match=r"no method 'magic'.*Choose one of: majority"):
        get_method("magic")
