"""Run one experiment: `Spec` → `Record`."""

from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from utils import runtime, sources
from utils.adaptation import Problem, get_method, kept, methods_for
from utils.errors import CourseError
from utils.experiments.record import Record, current_versions, pack_answers
from utils.experiments.spec import Spec, key_of
from utils.profiles import check
from utils.tasks import Splits, get_task, own_data, question_answering, tagging, task_of


@dataclass(frozen=True)
class Prepared:
    """A spec with the data and the model that it needs, and the key that follows from them.

    `others` are the other data sets that it is tested on.
    """

    spec: Spec
    splits: Splits
    model_path: Path | None
    model_source: sources.Source | None
    key: str
    others: dict[str, Splits] = field(default_factory=dict)


def prepare(spec: Spec) -> Prepared:
    """Load data and locate the model; cheap when repeated for the same data set.

    Raises:
        CourseError: unknown method, task, data set or model, or one that cannot be reached.
    """
    method = get_method(spec.method)
    if spec.task not in method.tasks:
        raise CourseError(
            f"The method {spec.method!r} solves {' and '.join(method.tasks)}, not {spec.task}."
        )
    if method.needs_model and spec.model is None:
        raise CourseError(f"The method {spec.method!r} needs a model: set `model` to its Hub id.")
    if spec.also and spec.task != tagging.NAME:
        raise CourseError(f"Only {tagging.NAME} can be tested on further sets, not {spec.task}.")
    limits = spec.validation_limit, spec.test_limit
    splits = _splits(spec.task, spec.dataset, spec.profile, *limits, own_data.state(spec.dataset))
    others = {
        name: _splits(spec.task, name, spec.profile, *limits, own_data.state(name))
        for name in spec.also
        if name not in (_VALIDATION, spec.dataset)
    }
    path, source = None, None
    if method.needs_model and spec.model is not None:
        path, source = sources.model_path(spec.model)
        most = sources.longest_text(spec.model)
        if most and spec.max_length > most:
            raise CourseError(
                f"Texts of {spec.max_length} tokens were asked for, and {spec.model} reads "
                f"{most}. Lower max_length."
            )
    key = key_of(
        spec,
        splits.source.fingerprint,
        source.fingerprint if source else None,
        current_versions(spec),
        {name: other.source.fingerprint for name, other in others.items()},
    )
    return Prepared(spec, splits, path, source, key, others)


_VALIDATION = "validation"


@lru_cache(maxsize=4)
def _splits(
    task: str,
    dataset: str,
    profile: str,
    validation_limit: int,
    test_limit: int | None,
    _: own_data.State,  # so that a file that has changed is read again
) -> Splits:
    return get_task(task).load(
        dataset, profile=profile, validation_limit=validation_limit, test_limit=test_limit
    )


def run(prepared: Prepared, keep: Path | None = None) -> Record:
    """Run the experiment and return its record; predictions go to `runs/predictions`.

    The adapted model is saved in the folder `keep`, by methods that can.
    """
    spec, splits, task = prepared.spec, prepared.splits, get_task(prepared.spec.task)
    evaluated = splits.test if spec.split == "test" else splits.validation
    further = _further(prepared)
    method = get_method(spec.method)
    runtime.reset_peak_memory()
    outcome = method.fit(
        Problem(
            task=spec.task,
            train=task.subset(splits.train, spec.n_train, spec.data_seed),
            validation=splits.validation,
            evaluation=tagging.joined([evaluated, *further.values()]) if further else evaluated,
            n_classes=len(splits.label_names),
            label_names=tuple(splits.label_names),
            unlabelled=getattr(splits.train, "texts", ()),
            seed=spec.seed,
            max_length=spec.max_length,
            hyper={**method.defaults, **spec.hyper},
            model_path=prepared.model_path,
            model_fingerprint=prepared.model_source.fingerprint if prepared.model_source else "",
            cache=runtime.runs_dir() / "cache",
            checkpoint=runtime.runs_dir() / "checkpoints" / f"{prepared.key}.pt",
            keep=keep,
        )
    )
    predictions = outcome.predictions
    if further:
        predictions, *elsewhere = tagging.parted(predictions, [evaluated, *further.values()])
    metrics, answers = task.score(predictions, evaluated)
    for place, tags in zip(further, elsewhere if further else [], strict=True):
        own = None if place == _VALIDATION else splits.label_names
        more, counts = tagging.score_further(tags, further[place], own)
        metrics |= {f"{name}@{place}": value for name, value in more.items()}
        answers |= {f"{name}@{place}": value for name, value in counts.items()}
    with runtime.atomic_file(runtime.runs_dir() / "predictions" / f"{prepared.key}.npz") as file:
        np.savez_compressed(file, predictions=predictions, labels=getattr(evaluated, "labels", ()))
    return Record(
        key=prepared.key,
        spec=spec,
        metrics=metrics,
        statistics=pack_answers(answers),
        cost={**outcome.cost, "peak_memory_bytes": float(runtime.peak_memory_bytes())},
        provenance=_provenance(prepared),
        curve=outcome.curve,
    )


def _further(prepared: Prepared) -> dict[str, tagging.Examples]:
    """What `Spec.also` names, in that order."""
    own, spec = prepared.splits, prepared.spec
    known = {_VALIDATION: own.validation, spec.dataset: own.test}
    known |= {name: other.test for name, other in prepared.others.items()}
    return {name: known[name] for name in spec.also}


def adapt_and_keep(
    dataset: str,
    method: str,
    n_train: int | None,
    folder: Path,
    *,
    task: str | None = None,
    model: str | None = None,
    profile: str = "quick",
    max_length: int = 128,
    validation_limit: int = 100,
    seed: int = 0,
) -> Record:
    """Run one experiment with the method's own settings, and save the adapted model in `folder`.

    On `validation_limit` examples, cut from the training split, the best point of the training is
    chosen.

    Raises:
        CourseError: as `prepare` and `run`; if the method leaves no model, or `folder` holds
            something already.
    """
    from utils.adaptation import saved

    asks = dataset in question_answering.DATASETS  # to answer, not to write questions
    solved = task or (question_answering.NAME if asks else task_of(dataset))
    chosen = get_method(method)
    able = [name for name in methods_for(solved) if get_method(name).leaves_model]
    if solved not in saved.TASKS:
        raise CourseError(
            f"A model of {solved} is not kept. Choose a task: {', '.join(saved.TASKS)}."
        )
    if method not in able:
        raise CourseError(
            f"The method {method!r} leaves no model of {solved} to keep. Choose {', '.join(able)}."
        )
    spec = Spec(
        task=solved,
        dataset=dataset,
        model=(model or sources.MINILM) if chosen.needs_model else None,
        method=method,
        n_train=n_train,
        seed=seed,
        data_seed=seed,
        profile=check(profile),
        validation_limit=validation_limit,
        max_length=max_length,
        hyper=chosen.defaults,
    )
    prepared = prepare(spec)
    kept.claim(folder)
    return run(prepared, keep=folder)


def _provenance(prepared: Prepared) -> dict[str, Any]:
    model = prepared.model_source
    also = {name: asdict(other.source) for name, other in prepared.others.items()}
    return {
        **runtime.circumstances(),
        "source": asdict(prepared.splits.source),
        "model_source": asdict(model) if model else None,
        **({"also": also} if also else {}),
        "versions_of": current_versions(prepared.spec),
        "n_train_available": len(prepared.splits.train),
        "n_validation": len(prepared.splits.validation),
    }
