"""Grids: their size, their trials and the hyper-parameters that these choose."""

from itertools import product

import pytest

from utils.adaptation import METHODS
from utils.errors import CourseError
from utils.experiments import Grid, get_grid
from utils.experiments.forecast import predicted_seconds

SST2 = "stanfordnlp/sst2"
LESSON_01 = ["majority", "tfidf", "frozen", "full", "random-init"]


@pytest.fixture
def full() -> Grid:
    return get_grid("learning-curves")("full", datasets=[SST2])


def test_the_published_grid_is_what_the_protocol_asks_for(full):
    def seeds(method: str, n: int | None) -> set[int]:
        return {c.seed for c in full.cells if (c.method, c.n_train) == (method, n)}

    for method in LESSON_01:
        for n in (16, 64, 250, 500, 2000):
            assert seeds(method, n) == {0, 1, 2, 3, 4}
    assert {method for method in LESSON_01 if seeds(method, None)} == {"frozen", "full"}
    assert {cell.method for cell in full.cells} == set(LESSON_01)
    assert seeds("full", None) == {0, 1, 2}
    assert all(cell.data_seed == cell.seed for cell in full.cells)


def test_every_method_has_the_same_trials_and_none_reads_the_reported_split(full):
    trials = full.trials()
    assert {trial.split for trial in trials} == {"validation"}
    for method in LESSON_01:
        counts = [trial.n_train for trial in trials if trial.method == method]
        assert counts == ([] if method == "majority" else [64] * 3 + [500] * 3)


def test_winners_of_the_trials_are_taken_by_size(full, make_record):
    def score(trial) -> list[int]:
        wanted = {("full", 64): 2e-4, ("full", 500): 5e-5}
        best = wanted.get((trial.method, trial.n_train)) == trial.hyper.get("learning_rate")
        return [1, 1, 1, int(best)]

    trials = [make_record(correct=score(trial), **trial.model_dump()) for trial in full.trials()]
    for record in trials:
        record.metrics["f1_macro"] = 0.0
    chosen = {cell.n_train: cell.hyper for cell in full.resolve(trials) if cell.method == "full"}
    rates = {n: hyper["learning_rate"] for n, hyper in chosen.items()}
    assert rates == {16: 2e-4, 64: 2e-4, 250: 5e-5, 500: 5e-5, 2000: 5e-5, None: 5e-5}
    assert chosen[None]["epochs"] == 2
    assert chosen[2000]["epochs"] == METHODS["full"].defaults["epochs"]
    assert [cell.seed for cell in full.resolve(trials)] == [cell.seed for cell in full.cells]


def test_without_trials_the_defaults_are_complete():
    for cell in get_grid("learning-curves")("quick").resolve([]):
        assert set(cell.hyper) == set(METHODS[cell.method].defaults)


def test_a_grid_can_be_narrowed():
    grid = get_grid("learning-curves")("quick", methods=["tfidf"], n_train=[16], seeds=2)
    assert [(c.method, c.n_train, c.seed) for c in grid.cells] == [
        ("tfidf", 16, 0),
        ("tfidf", 16, 1),
    ]


def test_unknown_names():
    with pytest.raises(CourseError, match="no grid 'x'"):
        get_grid("x")
    with pytest.raises(CourseError, match="no method 'x'"):
        get_grid("learning-curves")("quick", methods=["x"])
    with pytest.raises(CourseError, match="no profile 'x'"):
        get_grid("learning-curves")("x")


def test_times_are_foretold_from_earlier_runs(make_record):
    hyper = {"batch_size": 32, "epochs": 4, "min_updates": 100}
    done = make_record(method="random-init", n_train=800, hyper=hyper, cost={"wall_seconds": 50.0})
    later = done.spec.model_copy(update={"n_train": 3200})
    seconds = predicted_seconds([done.spec, later], [done])
    assert seconds == {done.spec.identity(): 0.0, later.identity(): 200.0}


def test_a_stale_record_saves_no_time(make_record):
    done = make_record(method="frozen", cost={"wall_seconds": 50.0})
    stale = done.model_copy(update={"provenance": {"versions_of": {"task": 1, "method": 0}}})
    assert predicted_seconds([done.spec], [done]) == {done.spec.identity(): 0.0}
    assert predicted_seconds([done.spec], [stale]) == {done.spec.identity(): 50.0}


def test_pretraining_takes_longer_with_more_tokens_and_wider_models(make_record):
    hyper = {**METHODS["mlm"].defaults, "n_steps": 100}
    done = make_record(
        task="language-modelling", method="mlm", hyper=hyper, cost={"wall_seconds": 50.0}
    )

    def seconds(**changes) -> float:
        later = done.spec.model_copy(update={"hyper": {**hyper, **changes}})
        return predicted_seconds([later], [done])[later.identity()]

    assert seconds(n_steps=300) == pytest.approx(150.0)
    assert seconds(batch_size=64) == pytest.approx(100.0)
    assert 100.0 < seconds(d_model=256) < 200.0


USES = ("frozen", "full")


@pytest.fixture
def objectives() -> Grid:
    return get_grid("objectives")("full")


def test_each_objective_is_trained_at_equal_flops_and_at_equal_updates(objectives):
    budgets: dict[str, list[tuple]] = {}
    for spec in objectives.pretraining:
        budget = spec.hyper.get("flops"), spec.hyper.get("n_steps", 0)
        budgets.setdefault(spec.method, []).append((*budget, spec.seed))
    assert set(budgets) == {
        "objective-mlm",
        "objective-mlm-nsp",
        "objective-causal",
        "objective-infilling",
        "objective-spans",
    }
    assert len({tuple(found) for found in budgets.values()}) == 1
    assert [seed for *_, seed in budgets["objective-mlm"]] == [0, 1, 2, 0, 1, 2]


def test_cells_take_the_model_that_was_pretrained_for_them(objectives, make_record):
    records = [
        make_record(**{**spec.model_dump(), "test_limit": n + 1})
        for n, spec in enumerate(objectives.pretraining)
    ]
    bound = objectives.bind(records)
    assert len(bound.cells) == len(records) * 7
    assert {(cell.task, cell.dataset, cell.method) for cell in bound.cells} == {
        *product(["text-classification"], ["stanfordnlp/sst2", "fancyzhx/ag_news"], USES),
        *product(["tagging"], ["eriktks/conll2003"], USES),
        ("question-generation", "rajpurkar/squad", "warm-start"),
    }
    # The models have positions for sequences as long as those they were pre-trained on.
    assert {cell.max_length for cell in [*bound.cells, *objectives.pretraining]} == {64}
    for cell, before in zip(bound.cells, objectives.cells, strict=True):
        number = int(before.model.removeprefix("run/"))
        assert cell.model == f"run/{records[number].key}"
        assert cell.seed == records[number].spec.seed
    # Models that differ in their seed only share their trials, which the first of them runs.
    assert {trial.model for trial in bound.trials()} == {
        f"run/{record.key}" for record in records if record.spec.seed == 0
    }
    assert get_grid("learning-curves")("full").bind([]) == get_grid("learning-curves")("full")


def test_questions_are_asked_with_long_windows_and_many_only_where_it_is_affordable():
    grid = get_grid("questions")("full")
    assert {(c.task, c.dataset) for c in grid.cells} == {("question-answering", "rajpurkar/squad")}
    assert {c.max_length for c in grid.cells} == {384}
    of = {n: {c.method for c in grid.cells if c.n_train == n} for n in (1000, 4000, 16_000, None)}
    assert of[1000] == {"span-baseline", "frozen-spans", "lora", "full", "random-init"}
    assert of[4000] == of[16_000] == {"span-baseline", "full"}
    assert of[None] == set()
    many = [c for c in grid.cells if c.method == "full" and c.n_train == 16_000]
    assert [(c.seed, c.hyper["epochs"]) for c in many] == [(0, 1), (1, 1), (2, 1)]
    asked_for = get_grid("questions")("full", n_train=[None])
    assert {c.method for c in asked_for.cells} == {"span-baseline", "full"}
    trials = [trial.method for trial in grid.trials()]
    assert {name: trials.count(name) for name in trials} == dict.fromkeys(
        ["frozen-spans", "lora", "full", "random-init"], 3
    )
    smoke = get_grid("questions")("smoke").resolve([])
    assert {c.dataset for c in smoke} == {"rajpurkar/squad_v2"}


def test_hours_of_question_answering_are_foretold_by_tokens_not_from_other_tasks(make_record):
    (all_questions,) = get_grid("questions")(
        "full", methods=["full"], n_train=[None], seeds=1
    ).cells
    (spec,) = Grid("one", [all_questions]).resolve([])
    other = make_record(method="full", cost={"wall_seconds": 1.0})
    (seconds,) = predicted_seconds([spec], [other]).values()
    # One pass over 88,000 questions of 175 tokens, 2,500 of them a second.
    assert seconds == pytest.approx(88_000 * 175 / 2500, rel=0.01)


def test_each_training_on_entities_is_tested_at_home_and_elsewhere():
    grid = get_grid("entities")("full")
    news, social = "eriktks/conll2003", "leondz/wnut_17"
    runs = {(c.dataset, c.method, c.seed) for c in grid.cells}
    assert runs == set(product((news, social), ("word-lookup", "full"), (0, 1, 2)))
    assert {(c.n_train, c.test_limit, c.max_length, c.also) for c in grid.cells} == {
        (None, None, 128, ("validation", news, social))
    }
    trials = grid.trials()
    assert {(t.method, t.split, t.n_train, t.also) for t in trials} == {
        ("full", "validation", 3000, ())
    }
    assert len(trials) == 2 * 3
    assert len({t.hyper["epochs"] for t in trials}) == 1


def test_costly_ways_are_run_on_one_set_of_texts_and_one_of_words_unless_others_are_asked_for():
    def where(method: str, **changes) -> set[str]:
        return {
            c.dataset for c in get_grid("ladder")("full", **changes).cells if c.method == method
        }

    everywhere = {SST2, "fancyzhx/ag_news", "eriktks/conll2003", "leondz/wnut_17"}
    assert where("full") == where("frozen") == where("lora") == everywhere
    assert where("bitfit") == where("layer-decay") == {SST2, "eriktks/conll2003"}
    assert where("bitfit", datasets=["leondz/wnut_17"]) == {"leondz/wnut_17"}
