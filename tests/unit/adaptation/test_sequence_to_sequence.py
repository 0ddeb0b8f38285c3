"""Our encoder–decoder learns to copy and to reverse sequences that it has never seen."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from utils import sources
from utils.adaptation import Problem, get_method
from utils.adaptation.sequence_to_sequence import foretell, write
from utils.errors import CourseError
from utils.experiments import Spec, Store, sweep
from utils.experiments.run import prepare
from utils.tasks.question_generation import Examples, score
from utils.tasks.sequence_copying import END, PAD, SequencePairs, load
from utils.transformer import EncoderDecoder, TransformerConfig


def spec(dataset: str, n_train: int) -> Spec:
    hyper = {"batch_size": 64, "learning_rate": 2e-3, "epochs": 1, "min_updates": 1}
    hyper |= {"weight_decay": 0.01, "d_model": 64, "n_layers": 2, "n_heads": 4}
    return Spec(
        task="sequence-copying", dataset=dataset, method="encoder-decoder", n_train=n_train,
        profile="smoke", hyper=hyper,
    )  # fmt: skip


@pytest.mark.parametrize(("dataset", "n_updates"), [("course/copy", 500), ("course/reverse", 700)])
def test_it_learns_exact_sequences(dataset: str, n_updates: int, tmp_path) -> None:
    (record,) = sweep([spec(dataset, 64 * n_updates)], Store(tmp_path), progress=False).records
    assert record.cost["optimiser_steps"] == n_updates
    assert record.correct().sum() > 990
    assert len(record.correct()) == 1000
    assert record.metrics["token_accuracy"] > 0.999


def test_untrained_it_writes_nothing_right() -> None:
    pairs = load("course/copy", test_limit=50).test
    torch.manual_seed(0)
    model = EncoderDecoder(TransformerConfig(vocab_size=35, d_model=32, max_length=20))
    written = write(model, pairs)
    assert written.shape == pairs.labels.shape
    assert not (written == pairs.labels).all(axis=1).any()
    for row in written:
        ends = np.flatnonzero(row == END)
        if len(ends):
            assert (row[ends[0] + 1 :] == PAD).all()


def test_a_method_is_not_run_on_a_task_that_it_does_not_solve() -> None:
    for changes in ({"task": "text-classification"}, {"method": "full"}):
        wrong = spec("course/copy", 64).model_copy(update=changes)
        with pytest.raises(CourseError, match=r"solves .*, not "):
            prepare(wrong)


def questions(n: int, seed: int = 0) -> Examples:
    """ "What happened in 19xx?" for "The war began in 19xx.", with years drawn at random."""
    years = np.random.default_rng(seed).integers(1900, 2000, size=n)
    things = [("war", "school", "king")[year % 3] for year in years]
    return Examples(
        [str(year) for year in years],
        [f"The {thing} began in {year}." for year, thing in zip(years, things, strict=True)],
        [f"When did the {thing} begin?" for thing in things],
    )


def problem(train: Examples, evaluation: Examples, **changes) -> Problem:
    path, _ = sources.model_path(sources.COURSE_BERT)
    hyper = {"batch_size": 8, "learning_rate": 1e-3, "epochs": 1, "min_updates": 60}
    hyper |= {"weight_decay": 0.01, **changes}
    return Problem(train, evaluation, evaluation, 0, 0, 32, hyper, path, task="question-generation")


def test_a_warm_start_learns_to_ask() -> None:
    outcome = get_method("warm-start").fit(problem(questions(64), questions(32, seed=1)))
    metrics, _ = score(outcome.predictions)
    assert metrics["accuracy"] > 0.95
    assert outcome.cost["optimiser_steps"] == 60
    assert outcome.curve[-1]["validation"] > outcome.curve[0]["validation"]


def test_answers_that_tell_nothing_are_no_help() -> None:
    """The sentence decides the word after "the"; without it, one of three is a guess."""
    blind = [replace(part, sentences=["It began."] * len(part), answers=["x"] * len(part))
             for part in (questions(64), questions(32, seed=1))]  # fmt: skip
    outcome = get_method("warm-start").fit(problem(*blind))
    metrics, answers = score(outcome.predictions)
    assert 0.75 < metrics["accuracy"] < 0.95
    per_question = answers["accuracy"].reshape(32, -1)  # when did the ... begin ? [SEP]
    assert per_question[:, 3].mean() < 0.7


def test_losses_of_the_tokens_are_those_of_the_library() -> None:
    torch.manual_seed(0)
    model = EncoderDecoder(TransformerConfig(vocab_size=35, d_model=32, max_length=20))
    pairs = load("course/copy", test_limit=70).test
    rows = foretell(model, pairs, start_id=1)
    assert rows.shape == ((pairs.labels != PAD).sum(), 2)
    one = SequencePairs(pairs.source_ids[69:], pairs.labels[69:])
    target = torch.from_numpy(one.labels[0][one.labels[0] != PAD])
    source = torch.from_numpy(one.source_ids[:, : len(target) - 1])
    with torch.no_grad():
        logits = model(
            source, torch.ones_like(source), torch.cat([torch.ones(1).long(), target[:-1]])[None]
        )
    expected = torch.nn.functional.cross_entropy(logits[0], target, reduction="none")
    np.testing.assert_allclose(rows[-len(target) :, 0], expected, atol=1e-5)
