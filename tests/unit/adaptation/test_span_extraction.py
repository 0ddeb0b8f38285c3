"""Readers: what may be chosen, what is learned, what is kept, and bad input."""

from pathlib import Path

import numpy as np
import pytest
import torch

from utils import sources
from utils.adaptation import Problem, get_method, methods_for
from utils.adaptation.encoder import load_encoder
from utils.adaptation.saved import answer, predict_table
from utils.adaptation.span_baseline import overlap_answer
from utils.adaptation.span_extraction import Reader, SpanModel
from utils.errors import CourseError
from utils.tasks.question_answering import Examples, score
from utils.tasks.spans import make_windows

MODEL, _ = sources.model_path(sources.MINILM)
PEOPLE = ["Ada", "Grace", "Alan", "Kurt", "Emmy", "Sofia", "Carl", "Paul"]
CITIES = ["Paris", "Zagreb", "Oslo", "Turin", "Quito", "Hanoi", "Lima", "Bergen"]
TRAINING = {
    "batch_size": 8, "min_updates": 50, "epochs": 1, "weight_decay": 0.01, "dropout": 0.0,
    "learning_rate": 3e-4,
}  # fmt: skip


def questions(n: int, seed: int = 0, unanswerable: bool = False) -> Examples:
    """ "<Person> went to <City> by train." with names drawn at random."""
    rng = np.random.default_rng(seed)
    found = Examples([], [], [], [], [], [])
    for i in range(n):
        person, city = str(rng.choice(PEOPLE)), str(rng.choice(CITIES))
        wanted = person if i % 2 else city
        context = f"On that day {person} went to {city} by train."
        none = unanswerable and i % 3 == 0
        found.ids.append(f"q{i}")
        found.titles.append(f"t{i}")
        found.contexts.append(context)
        found.questions.append("Why?" if none else "Who travelled?" if i % 2 else "Where to?")
        found.answers.append([] if none else [wanted])
        found.starts.append(-1 if none else context.index(wanted))
    return found


def problem(train: Examples, evaluation: Examples, keep: Path | None = None, **hyper) -> Problem:
    return Problem(
        train, evaluation, evaluation, 0, 0, 64, hyper, MODEL, keep=keep, task="question-answering"
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory):
    """A reader of answerable and unanswerable questions, its folder, and its predictions."""
    folder = tmp_path_factory.mktemp("reader")
    train, test = questions(48, unanswerable=True), questions(24, seed=1, unanswerable=True)
    outcome = get_method("full").fit(problem(train, test, folder, **TRAINING))
    return folder, test, outcome


def test_new_answers_are_found_and_silence_is_learned(trained) -> None:
    _, test, outcome = trained
    assert outcome.predictions.shape == (24, 2)
    metrics, _ = score(outcome.predictions, test)
    assert metrics["exact_match"] > 0.8
    silent = outcome.predictions[:, 0] == ""
    assert np.mean(silent == [not answers for answers in test.answers]) > 0.8
    assert outcome.cost["optimiser_steps"] == 50


def test_a_kept_reader_answers_as_before(trained) -> None:
    folder, test, outcome = trained
    found = answer(folder, test.questions, test.contexts)  # silent as in training
    assert [each.text for each in found] == outcome.predictions[:, 0].tolist()
    for each, context in zip(found, test.contexts, strict=True):
        assert each.text == (context[each.start : each.end] if each.start >= 0 else "")
        assert 0 <= each.probability <= 1
        assert each.in_full
    assert "" in [each.text for each in found]
    pressed = answer(folder, test.questions, test.contexts, threshold=float("inf"))
    assert "" not in [each.text for each in pressed]


def test_long_and_odd_texts_are_answered(trained) -> None:
    folder, *_ = trained
    sentence = "On that day Emmy went to Oslo by train."
    contexts = [f"{'Nothing of note. ' * 300}{sentence}", "🙂 " * 90, "مرحبا بالعالم", sentence]
    found = answer(folder, ["Where to?"] * 4, contexts, threshold=float("inf"))
    assert len(found) == 4
    assert found[0].end <= len(contexts[0])
    assert found[3].text == "Oslo"
    (long,) = answer(folder, ["Where to? " * 10_000], [sentence])
    assert not long.in_full
    assert answer(folder, [], []) == []


def test_bad_input_is_explained(trained, tmp_path: Path) -> None:
    folder, *_ = trained
    for questions_, contexts, message in (
        (["Who?"], [""], "Row 1: the context is empty"),
        (["Who?", " "], ["a", "b"], "Row 2: the question is empty"),
        (["Who?"], [None], "not a text"),
        (["Who?"], ["a", "b"], "1 questions and 2 contexts"),
        ("Who?", ["a"], "Give a list of questions"),
    ):
        with pytest.raises(CourseError, match=message):
            answer(folder, questions_, contexts)
    with pytest.raises(CourseError, match="There is no model in"):
        answer(tmp_path, ["Who?"], ["a"])
    with pytest.raises(
        CourseError, match=r"column 'context' is missing; there are: question, text"
    ):
        predict_table(folder, {"question": ["Who?"], "text": ["a"]})


def test_only_the_context_and_cls_can_be_chosen() -> None:
    from transformers import AutoTokenizer

    torch.manual_seed(0)
    reader = Reader(SpanModel(load_encoder(MODEL)), AutoTokenizer.from_pretrained(MODEL), 64)
    windows = make_windows(
        reader.tokenizer, ["Who went?", "Where?"], ["Ada went.", "To Oslo, by the old road."], 64
    )
    logits = reader.logits(windows)
    for window, scores in zip(windows, logits, strict=True):
        lowest = np.finfo(np.float32).min
        assert scores.shape == (2, len(window.input_ids))
        np.testing.assert_array_equal(scores[0] > lowest, window.may_answer())
    alone = reader.logits(windows[:1])[0]  # padding of a batch changes nothing
    np.testing.assert_allclose(logits[0], alone, rtol=1e-4, atol=1e-5)


def test_the_encoder_of_frozen_spans_stays_as_it_is(tmp_path: Path) -> None:
    train = questions(16)
    hyper = {**TRAINING, "min_updates": 4}
    outcome = get_method("frozen-spans").fit(problem(train, train, tmp_path, **hyper))
    kept, before = load_encoder(tmp_path).state_dict(), load_encoder(MODEL).state_dict()
    assert all(kept[name].equal(weights) for name, weights in before.items())
    assert outcome.cost["trainable_parameters"] == 2 * 384 + 2


def test_the_baseline_takes_the_sentence_most_like_the_question() -> None:
    context = (
        "Ada Kerr built the mill. The bridge was built in 1741 by Emmy Holt. Nobody lives there."
    )
    assert overlap_answer("Who built the mill?", context) == "Ada Kerr"
    assert overlap_answer("When was the bridge built?", context) == "1741"
    assert overlap_answer("Who built the bridge?", context) == "Emmy Holt"
    assert overlap_answer("???", "the of") == "the of"


def test_which_methods_answer() -> None:
    named = methods_for("question-answering")
    assert named == ["span-baseline", "frozen-spans", "full", "lora", "random-init"]
