"""Grids: which experiments stand behind a lesson and its published tables."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from utils.adaptation import METHODS, Method, get_method, methods_for
from utils.adaptation.method import Hyper
from utils.errors import CourseError
from utils.experiments.record import Record
from utils.experiments.spec import Spec
from utils.profiles import Profile, check
from utils.sources import COURSE_BERT, MINILM, n_layers, run_model
from utils.tasks import question_answering, summarisation, tagging, task_of, translation
from utils.tasks.language_modelling import JOIN, NOVELS, TEXTBOOKS
from utils.tasks.pretraining_objectives import NAME as OBJECTIVES
from utils.tasks.sequence_copying import DATASETS as SEQUENCE_DATASETS


@dataclass(frozen=True)
class Grid:
    """Experiments that belong together, and how their hyper-parameters are chosen.

    At each of the `anchors` (numbers of training examples) every method is tried with each of its
    candidates, on the validation split, with seed 0. An experiment with n examples then takes the
    winner of the smallest anchor that is not below n, or of the largest one. Without anchors the
    methods' defaults are used. `candidates` take the place of a method's own.

    Models of `pretraining` come first. A cell names the i-th of them as its model by
    `pretrained(i)`, until `bind` has put the key of the record in its place. `tried_with` names the
    model that the trials take instead of a cell's own: the one of the first seed.
    """

    name: str
    cells: list[Spec]
    anchors: tuple[int, ...] = field(default=())
    candidates: dict[str, list[Hyper]] = field(default_factory=dict)
    pretraining: list[Spec] = field(default_factory=list)
    tried_with: dict[str, str] = field(default_factory=dict)

    def bind(self, records: list[Record]) -> "Grid":
        """The grid with the models that the `records` of its `pretraining` have left."""
        names = {pretrained(number): run_model(record.key) for number, record in enumerate(records)}
        cells = [
            cell.model_copy(update={"model": names.get(cell.model or "", cell.model)})
            for cell in self.cells
        ]
        tried_with = {names[model]: names[first] for model, first in self.tried_with.items()}
        return replace(self, cells=cells, tried_with=tried_with)

    def trials(self) -> list[Spec]:
        """The trials that decide on the hyper-parameters, each one a spec of its own."""
        wanted: dict[str, Spec] = {}
        for cell in self.cells:
            for candidate in self._candidates(cell):
                trial = self._trial(cell, candidate)
                wanted[trial.identity()] = trial
        return list(wanted.values())

    def resolve(self, trials: list[Record]) -> list[Spec]:
        """The experiments with the hyper-parameters that did best in `trials`.

        The metric of the task decides, macro F1 breaks ties, then the candidate listed first.
        """
        found = {record.spec.identity(): record for record in trials}

        def chosen(cell: Spec) -> Spec:
            candidates = self._candidates(cell)
            if not candidates:
                return _with(cell, {})

            def score(candidate: Hyper) -> tuple[float, float]:
                record = found[self._trial(cell, candidate).identity()]
                return record.score, record.metrics.get("f1_macro", 0.0)

            return _with(cell, max(candidates, key=score))

        return [chosen(cell) for cell in self.cells]

    def estimates(self) -> list[Spec]:
        """The experiments with default hyper-parameters, to foretell how long they will take."""
        return [*self.pretraining, *(_with(cell, {}) for cell in self.cells)]

    def _candidates(self, cell: Spec) -> list[Hyper]:
        if not self.anchors:
            return []
        return self.candidates.get(cell.method, METHODS[cell.method].candidates_for(cell.task))

    def _trial(self, cell: Spec, candidate: Hyper) -> Spec:
        n = cell.n_train
        above = [anchor for anchor in self.anchors if n is not None and anchor >= n]
        anchor = min(above) if above else max(self.anchors)
        # What only the cell needs must not make its trial another one than its neighbours'.
        trial = cell.model_copy(
            update={
                "model": self.tried_with.get(cell.model or "", cell.model),
                "n_train": anchor,
                "seed": 0,
                "data_seed": 0,
                "split": "validation",
                "test_limit": None,
                "hyper": {},
                "also": (),
            }
        )
        return _with(trial, candidate)


def pretrained(number: int) -> str:
    """Stands for the model of `Grid.pretraining[number]`."""
    return run_model(str(number))


def _with(cell: Spec, candidate: Hyper) -> Spec:
    """The cell with complete hyper-parameters: its own, else the candidate's, else the defaults."""
    hyper = {**METHODS[cell.method].defaults, **candidate, **cell.hyper}
    return cell.model_copy(update={"hyper": hyper})


LESSON_01 = ("majority", "tfidf", "frozen", "full", "random-init")
"""The methods of lesson 01's learning curves."""

_RATES: list[Hyper] = [{"learning_rate": rate, "epochs": 8} for rate in (2e-4, 5e-4, 1e-3)]

_OF_SMALL_MODELS: dict[str, dict[str, list[Hyper]]] = {
    COURSE_BERT: dict.fromkeys(("full", "further-pretraining", "random-init"), _RATES)
}
"""A narrow model takes larger steps, and as many passes over the examples as one from random
weights; the number of trials stays the same."""


def learning_curves(
    profile: str = "quick",
    *,
    datasets: list[str] | None = None,
    methods: list[str] | None = None,
    n_train: list[int | None] | None = None,
    seeds: int | None = None,
    first_seed: int = 0,
    model: str = MINILM,
) -> Grid:
    """Accuracy against the number of labels: the grid of lesson 01.

    With all examples (`None` in `n_train`) only frozen features and fine-tuning are run, with at
    most three seeds and two passes over the data. Seeds count from `first_seed`.
    """
    size = _LEARNING_CURVES[check(profile)]
    cells = [
        _cell(size, dataset, get_method(method), n, seed, model)
        for n in n_train or size.n_train
        for dataset in datasets or size.datasets
        for method in methods or LESSON_01
        if n is not None or method in ("frozen", "full")
        for seed in _seeds(first_seed, seeds or size.seeds, n)
    ]
    return Grid("learning-curves", cells, size.anchors, _OF_SMALL_MODELS.get(model, {}))


@dataclass(frozen=True)
class _Size:
    """How large the grid of learning curves is in one profile."""

    profile: Profile
    datasets: tuple[str, ...]
    n_train: tuple[int | None, ...]
    seeds: int
    validation_limit: int
    test_limit: int
    anchors: tuple[int, ...] = ()
    training: Hyper = field(default_factory=dict)


_SST2, _AG_NEWS = "stanfordnlp/sst2", "fancyzhx/ag_news"
_CONLL, _WNUT, _SQUAD = "eriktks/conll2003", "leondz/wnut_17", "rajpurkar/squad"
_SQUAD_2 = "rajpurkar/squad_v2"

_LEARNING_CURVES: dict[Profile, _Size] = {
    size.profile: size
    for size in (
        _Size(
            profile="smoke",
            datasets=(_SST2,),
            n_train=(16, 64),
            seeds=1,
            validation_limit=48,
            test_limit=100,
            training={"min_updates": 8, "epochs": 1},
        ),
        _Size(
            profile="quick",
            datasets=(_SST2,),
            n_train=(16, 64, 250),
            seeds=1,
            validation_limit=100,
            test_limit=400,
            training={"min_updates": 40, "epochs": 3},
        ),
        _Size(
            profile="full",
            datasets=(_SST2, _AG_NEWS),
            n_train=(16, 64, 250, 500, 2000, None),
            seeds=5,
            validation_limit=500,
            test_limit=2000,
            anchors=(64, 500),
        ),
    )
}


def _seeds(first: int, number: int, n_train: int | None) -> range:
    return range(first, first + (number if n_train is not None else min(number, 3)))


def _cell(size: _Size, dataset: str, method: Method, n: int | None, seed: int, model: str) -> Spec:
    hyper: Hyper = {}
    if "min_updates" in method.defaults:
        hyper = {"epochs": 2} if n is None else size.training
    if "further_updates" in method.defaults and size.training:
        hyper = {**hyper, "further_updates": size.training["min_updates"]}
    return Spec(
        task=task_of(dataset),
        dataset=dataset,
        model=model if method.needs_model else None,
        method=method.name,
        n_train=n,
        seed=seed,
        data_seed=seed,
        profile=size.profile,
        validation_limit=size.validation_limit,
        test_limit=size.test_limit,
        hyper=hyper,
    )


LADDER: tuple[str, ...] = (
    *("majority", "word-lookup", "tfidf"),
    *("frozen-cls", "frozen", "frozen-int8", "frozen-second-to-last", "frozen-last-four"),
    *("frozen-mixture-last-four", "frozen-mixture"),
    *("bitfit", "lora", "adapters", "top-layers", "gradual-unfreezing", "layer-decay"),
    *("full", "full-short", "full-long", "further-pretraining", "random-init"),
)
"""The methods of lesson 05, from the one that learns nothing to the one that learns everything."""

_COSTLY: dict[str, tuple[tuple[int, ...], tuple[str, ...]]] = {
    **dict.fromkeys(
        (*LADDER[10:16], "further-pretraining", "random-init"), ((64, 2000), (_SST2, _CONLL))
    ),
    "lora": ((64, 2000), (_SST2, _AG_NEWS, _CONLL, _WNUT)),
    "full-short": ((64, 500), (_SST2, _CONLL)),  # with more labels as many updates as `full`
    "full-long": ((500,), (_SST2, _AG_NEWS)),  # with fewer labels no more updates than `full`
}
"""Methods that cost as much as fine-tuning: the numbers of labels at which they are run, and the
data sets where none are asked for."""

_SLOW = ("gradual-unfreezing", "layer-decay", "full-short", "full-long", "further-pretraining")
_SHORT: dict[str, tuple[str, ...]] = {
    "smoke": ("tfidf", "frozen-cls", "frozen", "frozen-mixture", "lora", "full"),
    "quick": tuple(name for name in LADDER if name not in _SLOW),
}
"""What is run of the ladder in small profiles: only with the most labels, not the slowest ways, nor
those that differ only by their number of updates."""


def ladder(
    profile: str = "quick",
    *,
    datasets: list[str] | None = None,
    methods: list[str] | None = None,
    n_train: list[int | None] | None = None,
    seeds: int | None = None,
    first_seed: int = 0,
    model: str = MINILM,
) -> Grid:
    """All ways of adapting an encoder, on texts and on words: the grid of lesson 05.

    In the profile `full`, on four data sets; the costly methods at two numbers of labels and,
    where no `datasets` are asked for, on one set of texts and one of words. With the largest
    number, also a probe of each layer of the model. With all examples (`None` in `n_train`, which
    has to be asked for) frozen features, LoRA and fine-tuning, with at most three seeds.
    """
    size = _LEARNING_CURVES[check(profile)]
    sizes, usual = size.n_train[-1:], _SHORT.get(profile, LADDER)
    if profile == "full":
        sizes = size.n_train[:-1]
        size = replace(size, datasets=(_SST2, _AG_NEWS, _CONLL, _WNUT))
    probes = [f"probe-{layer}" for layer in range(n_layers(model) + 1)]

    def wanted(method: str, n: int | None, dataset: str) -> bool:
        if n is None:
            return method in ("frozen", "lora", "full")
        if method in probes:
            return n == sizes[-1]
        if profile != "full" or method not in _COSTLY:
            return True
        at, on = _COSTLY[method]
        return n in at and (datasets is not None or dataset in on)

    cells = [
        _as_published(_cell(size, dataset, get_method(method), n, seed, model))
        for n in n_train or sizes
        for dataset in datasets or size.datasets
        for method in methods or (*usual, *probes)
        if task_of(dataset) in get_method(method).tasks and wanted(method, n, dataset)
        for seed in _seeds(first_seed, seeds or size.seeds, n)
    ]
    return Grid("ladder", cells, size.anchors, _OF_SMALL_MODELS.get(model, {}))


def _as_published(cell: Spec) -> Spec:
    """Entities are found in the whole test split and in long sentences, as in the literature."""
    if cell.task != tagging.NAME or cell.profile != "full":
        return cell
    return cell.model_copy(update={"test_limit": None, "max_length": 128})


_SEQUENCES: dict[Profile, tuple[int, int]] = {"smoke": (40, 1), "quick": (700, 1), "full": (700, 5)}
"""Updates and seeds of `sequence_copying` in each profile."""


def sequence_copying(
    profile: str = "quick",
    *,
    datasets: list[str] | None = None,
    seeds: int | None = None,
    first_seed: int = 0,
) -> Grid:
    """Our encoder–decoder copies and reverses sequences: the grid of lesson 02."""
    method = get_method("encoder-decoder")
    n_updates, n_seeds = _SEQUENCES[check(profile)]
    cells = [
        Spec(
            task=method.tasks[0],
            dataset=dataset,
            method=method.name,
            n_train=n_updates * method.defaults["batch_size"],
            seed=seed,
            data_seed=seed,
            profile=check(profile),
        )
        for dataset in datasets or SEQUENCE_DATASETS
        for seed in range(first_seed, first_seed + (seeds or n_seeds))
    ]
    return Grid("sequence-copying", cells)


_PRETRAINING: dict[Profile, tuple[int, int, list[str] | None, Hyper]] = {
    "smoke": (1, 30, ["token-counts", "mlm"], {"vocab_size": 4096, "n_evaluations": 3}),
    "quick": (1, 300, ["token-counts", "mlm"], {}),
    "full": (3, 1000, None, {}),
}
"""Seeds, updates, methods (None for all) and other settings of `pretraining` in each profile."""


def pretraining(
    profile: str = "quick",
    *,
    datasets: list[str] | None = None,
    methods: list[str] | None = None,
    seeds: int | None = None,
    first_seed: int = 0,
) -> Grid:
    """What to hide, and whether to ask for the next sentence: the grid of lesson 03."""
    n_seeds, n_steps, chosen, hyper = _PRETRAINING[check(profile)]
    cells = [
        _on_text(
            dataset,
            method,
            seed,
            check(profile),
            _known(method, {**hyper, "n_steps": n_steps}),
        )
        for dataset in datasets or [TEXTBOOKS]
        for method in methods or chosen or methods_for("language-modelling")
        for seed in range(first_seed, first_seed + (seeds or n_seeds))
    ]
    return Grid("pretraining", cells)


def _known(method: str, hyper: Hyper) -> Hyper:
    """Those settings that the method has: what learns nothing has the vocabulary only."""
    return {name: value for name, value in hyper.items() if name in METHODS[method].defaults}


def course_bert(profile: str = "full") -> Grid:
    """The checkpoint that the course ships: BERT-mini's shape (Turc et al., 2019), all our text."""
    shape: Hyper = {"d_model": 256, "n_layers": 4, "n_heads": 4}
    training: Hyper = {"n_steps": 2200, "batch_size": 64, "rate": 0.3}
    # Tried with the start and the warm-up of the methods' defaults: no larger gain, and sentence
    # pairs are learned later.
    training |= {"start": "neighbours", "warmup": 0.05}
    common: dict[str, Any] = {
        "task": "language-modelling",
        "dataset": f"{TEXTBOOKS}{JOIN}{NOVELS}",
        "profile": check(profile),
        "validation_limit": 0,
        "max_length": 128,
    }
    cells = [
        Spec(method="token-counts", **common),
        Spec(method="mlm-nsp", **common, hyper={**shape, **training, "n_evaluations": 22}),
    ]
    return Grid("course-bert", cells)


_OBJECTIVES: dict[Profile, tuple[int, float, int, Hyper]] = {
    "smoke": (1, 1e11, 20, {"vocab_size": 4096, "n_evaluations": 2}),
    "quick": (1, 1e12, 150, {"n_evaluations": 5}),
    "full": (3, 1.4e13, 790, {}),
}
"""Seeds, operations, updates at equal tokens, and other settings of `objectives` in each profile.

An update of the causal model costs 1.8e10 operations, so that its trainings with 1.4e13 of them and
with 790 updates are nearly one.
"""


def objectives(
    profile: str = "quick",
    *,
    datasets: list[str] | None = None,
    methods: list[str] | None = None,
    seeds: int | None = None,
    first_seed: int = 0,
) -> Grid:
    """What to ask in pre-training, and what each answer transfers to: the grid of lesson 04.

    Each objective is trained on the textbooks with as many operations as the others, and once more
    with as many tokens. Then sentences and news are classified, and in the profile `full` entities
    are found, from its frozen features and by fine-tuning, and questions are written; with the
    learning rates and regularisation that do best with the model of the first seed.
    """
    n_seeds, flops, n_steps, hyper = _OBJECTIVES[check(profile)]
    size = _LEARNING_CURVES[check(profile)]
    budgets: list[Hyper] = [{"flops": flops}, {"n_steps": n_steps}]

    def settings(method: str, budget: Hyper) -> Hyper:
        defaults = METHODS[method].defaults
        return {**{k: v for k, v in defaults.items() if k != "n_steps"}, **hyper, **budget}

    wanted = range(first_seed, first_seed + (seeds or n_seeds))
    models = [
        _on_text(TEXTBOOKS, method, seed, check(profile), settings(method, budget))
        for budget in budgets
        for method in methods or methods_for(OBJECTIVES)
        for seed in wanted
    ]
    tried_with = {pretrained(i): pretrained(i - i % len(wanted)) for i in range(len(models))}
    n_labels = max(n for n in size.n_train if n)
    extra = (_CONLL, _SQUAD) if profile == "full" else ()  # there are no stand-ins for them
    cells = [
        _cell(size, dataset, get_method(adaptation), n_labels, model.seed, pretrained(i))
        for i, model in enumerate(models)
        for dataset in datasets or (*size.datasets, *extra)
        for adaptation in ("frozen", "full", "warm-start")
        if task_of(dataset) in get_method(adaptation).tasks
    ]
    return Grid("objectives", cells, size.anchors[-1:], {"full": _RATES}, models, tried_with)


@dataclass(frozen=True)
class _Questions:
    """How large the grid of question answering is in one profile."""

    dataset: str
    methods: tuple[str, ...]
    n_train: tuple[int | None, ...]
    seeds: int
    validation_limit: int
    test_limit: int | None
    max_length: int
    training: Hyper = field(default_factory=dict)
    anchors: tuple[int, ...] = ()


_MANY_QUESTIONS = 16_000
"""From so many on, one pass over them."""

_QUESTIONS: dict[Profile, _Questions] = {
    "smoke": _Questions(
        dataset=_SQUAD_2,
        methods=("span-baseline", "full"),
        n_train=(64,),
        seeds=1,
        validation_limit=8,
        test_limit=32,
        max_length=192,
        training={"min_updates": 4, "epochs": 1, "batch_size": 8},
    ),
    "quick": _Questions(
        dataset=_SQUAD_2,
        methods=("span-baseline", "frozen-spans", "full"),
        n_train=(240,),
        seeds=1,
        validation_limit=24,
        test_limit=160,
        max_length=192,
        training={"min_updates": 1, "epochs": 3, "batch_size": 8, "learning_rate": 2e-4},
    ),
    "full": _Questions(
        dataset=_SQUAD,
        methods=("span-baseline", "frozen-spans", "lora", "full", "random-init"),
        n_train=(1000, 4000, _MANY_QUESTIONS),
        seeds=3,
        validation_limit=500,
        test_limit=None,
        max_length=384,
        anchors=(1000,),
    ),
}


def questions(
    profile: str = "quick",
    *,
    datasets: list[str] | None = None,
    methods: list[str] | None = None,
    n_train: list[int | None] | None = None,
    seeds: int | None = None,
    first_seed: int = 0,
    model: str = MINILM,
) -> Grid:
    """Answers found in paragraphs, with and without a distracting sentence: the grid of lesson 09.

    In the profile `full`, windows of 384 tokens that share 128, and all of the reported split; in
    the others, a set in which some questions have no answer. With more examples than at the anchor,
    only fine-tuning is run, and the baseline, which learns nothing. All examples (`None` in
    `n_train`) have to be asked for.
    """
    size = _QUESTIONS[check(profile)]

    def wanted(method: str, n: int | None) -> bool:
        few = n is not None and n <= max(size.anchors, default=n)
        return few or method in ("span-baseline", "full")

    cells = [
        Spec(
            task=question_answering.NAME,
            dataset=dataset,
            model=model if get_method(method).needs_model else None,
            method=method,
            n_train=n,
            seed=seed,
            data_seed=seed,
            profile=check(profile),
            validation_limit=size.validation_limit,
            test_limit=size.test_limit,
            max_length=size.max_length,
            hyper=_of_questions(size, get_method(method), n),
        )
        for n in n_train or size.n_train
        for dataset in datasets or [size.dataset]
        for method in methods or size.methods
        if wanted(method, n)
        for seed in range(first_seed, first_seed + (seeds or size.seeds))
    ]
    return Grid("questions", cells, size.anchors)


def _of_questions(size: _Questions, method: Method, n: int | None) -> Hyper:
    if "min_updates" not in method.defaults:
        return {}
    if n is None or n >= _MANY_QUESTIONS:
        return {"epochs": 1}
    if method.name == "frozen-spans":  # a head alone needs a rate of its own
        return {name: value for name, value in size.training.items() if name != "learning_rate"}
    return size.training


_ENTITIES: dict[Profile, tuple[dict[str, int], int, int, int | None, Hyper]] = {
    "smoke": ({_CONLL: 64, _WNUT: 64}, 1, 30, 50, {"min_updates": 8, "epochs": 1}),
    "quick": (
        {_CONLL: 250, _WNUT: 80},
        1,
        100,
        200,
        {"min_updates": 60, "epochs": 4, "learning_rate": 2e-4},
    ),
    "full": ({}, 3, 4000, None, {}),
}
"""Training sentences (all, where none are named), seeds, limits of both other splits, and settings
of `entities`. The small numbers are what the stand-ins have.

4,000 is more than either validation split has: all of it chooses the best point and is reported."""

_ENTITY_RATES: list[Hyper] = [
    {"learning_rate": rate, "epochs": 10, "dropout": 0.1} for rate in (1e-4, 2e-4, 3e-4)
]
"""With half the epochs and no dropout, F1 on the validation split was .017 lower in a trial with
3,000 sentences."""


def entities(
    profile: str = "quick",
    *,
    datasets: list[str] | None = None,
    methods: list[str] | None = None,
    seeds: int | None = None,
    first_seed: int = 0,
    model: str = MINILM,
) -> Grid:
    """Entities in news and in social media, and from one to the other: the grid of lesson 07.

    Each training is tested on its own test and validation split by all types of its own, and on
    the test splits of both data sets by the types that they share (see `tagging.SHARED_TYPES`). In
    the profile `full`, learning rates are tried on the validation split after training on 3,000
    sentences; the validation scores are therefore a little too good, as they are in the literature.
    """
    n_train, n_seeds, validation_limit, test_limit, training = _ENTITIES[check(profile)]
    cells = [
        Spec(
            task=tagging.NAME,
            dataset=dataset,
            model=model if get_method(method).needs_model else None,
            method=method,
            n_train=n_train.get(dataset),
            seed=seed,
            data_seed=seed,
            profile=check(profile),
            validation_limit=validation_limit,
            test_limit=test_limit,
            max_length=128,
            hyper=training if "min_updates" in get_method(method).defaults else {},
            also=("validation", _CONLL, _WNUT),
        )
        for dataset in datasets or (_CONLL, _WNUT)
        for method in methods or ("word-lookup", "full")
        for seed in range(first_seed, first_seed + (seeds or n_seeds))
    ]
    anchors = (3000,) if profile == "full" else ()
    return Grid("entities", cells, anchors, {"full": _ENTITY_RATES})


_SUMMARIES: dict[Profile, tuple[str, int, int | None, int, Hyper]] = {
    "smoke": (summarisation.DOCSTRINGS, 20, 40, 64, {"epochs": 1, "min_updates": 4}),
    "quick": (summarisation.DOCSTRINGS, 100, 200, 128, {"epochs": 4, "min_updates": 1}),
    "full": (
        summarisation.DIALOGUES,
        500,
        None,
        256,
        {"epochs": 2, "n_beams": 4, "mixed_precision": True},
    ),
}
"""Data set, limits of the validation and the reported split, tokens of a text, and settings of the
warm start, of `summaries`."""


def summaries(
    profile: str = "quick",
    *,
    datasets: list[str] | None = None,
    methods: list[str] | None = None,
    seeds: int | None = None,
    first_seed: int = 0,
    model: str = MINILM,
) -> Grid:
    """Summaries made of units of the text itself, and written anew: the grid of lesson 10.

    Only the warm start, which writes them, and the one summary for all draw anything at random. The
    others give the same with each seed, and have as many so that claims pair them. How many units
    they take is chosen on the validation split.
    """
    dataset, validation_limit, test_limit, max_length, training = _SUMMARIES[check(profile)]
    n_seeds = seeds or (3 if profile == "full" else 1)
    cells = [
        Spec(
            task=summarisation.NAME,
            dataset=name,
            model=model if get_method(method).needs_model else None,
            method=method,
            seed=seed,
            data_seed=seed,
            profile=check(profile),
            validation_limit=validation_limit,
            test_limit=test_limit,
            max_length=max_length,
            hyper=training if method == _WRITES else {},
        )
        for name in datasets or [dataset]
        for method in methods or methods_for(summarisation.NAME)
        for seed in range(first_seed, first_seed + n_seeds)
    ]
    # The others use no labels, so that the one anchor stands for any number of them.
    return Grid("summaries", cells, (1,), {_WRITES: []})


_WRITES = "warm-start"


_SHAPES: dict[str, Hyper] = {
    "smoke": {"d_model": 64, "n_layers": 2, "vocab_size": 600, "n_beams": 2, "batch_size": 32},
    "quick": {"d_model": 128, "n_layers": 2, "vocab_size": 2000, "dropout": 0.1, "batch_size": 24},
    "full": {},
}

_TRANSLATIONS: dict[Profile, tuple[tuple[int | None, ...], int, int | None, int, int]] = {
    "smoke": ((200,), 20, 20, 20, 10),
    "quick": ((500,), 100, 100, 500, 100),
    "full": ((2000, None), 500, None, 1200, 1200),
}
"""Training pairs, limits of the validation and the reported split, and updates with few pairs, of
`translations`: from scratch, and with a pre-trained encoder, whose updates take longer."""


def _training_of_translation(method: str, profile: Profile, n: int | None) -> Hyper:
    """After denoising, translating takes as many updates less: together as many as from scratch."""
    *_, from_scratch, warm = _TRANSLATIONS[profile]
    hyper: Hyper = {**_SHAPES[profile]}
    if n is None:
        return hyper
    updates = warm if method == "seq2seq-warm-start" else from_scratch
    if profile != "full":
        hyper |= {"epochs": 1}
        if method != "seq2seq-warm-start":
            hyper |= {"learning_rate": 2e-3}
    if method == "seq2seq-denoising":
        first = 5 * updates // 8
        return {**hyper, "denoising_updates": first, "min_updates": updates - first}
    return {**hyper, "min_updates": updates}


def translations(
    profile: str = "quick",
    *,
    datasets: list[str] | None = None,
    methods: list[str] | None = None,
    n_train: list[int | None] | None = None,
    seeds: int | None = None,
    first_seed: int = 0,
    model: str = MINILM,
) -> Grid:
    """Encoder–decoders from scratch, after denoising and with a pre-trained encoder: lesson 08.

    With all pairs (`None` in `n_train`) there is no further text to learn from, so that denoising
    is left out. A warm start with all pairs, and training without label smoothing except with few
    pairs in the profile `full`, have to be asked for by name.
    """
    sizes, validation_limit, test_limit, *_ = _TRANSLATIONS[check(profile)]
    n_seeds = seeds or (3 if profile == "full" else 1)

    def draws(method: str, n: int | None) -> bool:
        """Whether another seed changes anything: weights, or which pairs there are."""
        return method.startswith("seq2seq") or (method == "word-by-word" and n is not None)

    def wanted(method: str, n: int | None) -> bool:
        if n is None and method == "seq2seq-denoising":
            return False
        if methods is not None:
            return True
        if method == "seq2seq-unsmoothed":
            return profile == "full" and n is not None
        return n is not None or method != "seq2seq-warm-start"

    cells = [
        Spec(
            task=translation.NAME,
            dataset=dataset,
            model=model if get_method(method).needs_model else None,
            method=method,
            n_train=n,
            seed=seed,
            data_seed=seed,
            profile=check(profile),
            validation_limit=validation_limit,
            test_limit=test_limit,
            max_length=64,
            hyper=_known(method, _training_of_translation(method, check(profile), n)),
        )
        for n in n_train or sizes
        for dataset in datasets or translation.DATASETS
        for method in methods or methods_for(translation.NAME)
        if wanted(method, n)
        for seed in range(first_seed, first_seed + (n_seeds if draws(method, n) else 1))
    ]
    return Grid("translations", cells)


def _on_text(dataset: str, method: str, seed: int, profile: Profile, hyper: Hyper) -> Spec:
    """A pre-training on all documents of a data set."""
    return Spec(
        task=get_method(method).tasks[0],
        dataset=dataset,
        method=method,
        seed=seed,
        data_seed=seed,
        profile=profile,
        validation_limit=0,
        hyper=hyper,
    )


GRIDS: dict[str, Callable[..., Grid]] = {
    "learning-curves": learning_curves,
    "ladder": ladder,
    "sequence-copying": sequence_copying,
    "pretraining": pretraining,
    "course-bert": course_bert,
    "objectives": objectives,
    "questions": questions,
    "summaries": summaries,
    "translations": translations,
    "entities": entities,
}


def get_grid(name: str) -> Callable[..., Grid]:
    """The function that makes the grid `name`; raises `CourseError` for an unknown one."""
    if name not in GRIDS:
        raise CourseError(f"There is no grid {name!r}. Choose one of: {', '.join(GRIDS)}.")
    return GRIDS[name]
