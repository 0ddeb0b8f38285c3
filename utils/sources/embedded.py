"""Stand-ins that come with the course: corpora written for it, captions made by a grammar, and
installed documentation.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from utils.errors import CourseError
from utils.sources import captions, documentation, layout
from utils.sources.source import NotHere, Source

if TYPE_CHECKING:
    from datasets import DatasetDict, Features

CORPORA = Path(__file__).parent / "corpora"


def _sentiment() -> "Features":
    from datasets import ClassLabel, Features, Value

    labels = ClassLabel(names=["negative", "positive"])
    return Features({"idx": Value("int32"), "sentence": Value("string"), "label": labels})


def _topics() -> "Features":
    from datasets import ClassLabel, Features, Value

    labels = ClassLabel(names=["World", "Sports", "Business", "Sci/Tech"])
    return Features({"text": Value("string"), "label": labels})


def _questions() -> "Features":
    from datasets import Features, List, Value

    answers = {"text": List(Value("string")), "answer_start": List(Value("int32"))}
    columns = {name: Value("string") for name in ("id", "title", "context", "question")}
    return Features({**columns, "answers": answers})


def _entities(types: tuple[str, ...]) -> "Features":
    from datasets import ClassLabel, Features, List, Value

    tags = ClassLabel(names=["O", *(f"{place}-{kind}" for kind in types for place in "BI")])
    return Features(
        {"id": Value("string"), "tokens": List(Value("string")), "ner_tags": List(tags)}
    )


def _entities_news() -> "Features":
    return _entities(("PER", "ORG", "LOC", "MISC"))


def _entities_social() -> "Features":
    return _entities(("corporation", "creative-work", "group", "location", "person", "product"))


@dataclass(frozen=True)
class Corpus:
    """An embedded corpus: its folder in `corpora/`, and the features of the set it stands for.

    `config` is the configuration of its card that is read; None for the default one.
    """

    name: str
    features: Callable[[], "Features"]
    config: str | None = None


REGISTRY = {
    "stanfordnlp/sst2": Corpus("sentiment", _sentiment),
    "fancyzhx/ag_news": Corpus("topics", _topics),
    "rajpurkar/squad": Corpus("questions", _questions),
    "rajpurkar/squad_v2": Corpus("questions", _questions, "with_unanswerable"),
    "eriktks/conll2003": Corpus("entities-news", _entities_news),
    "leondz/wnut_17": Corpus("entities-social", _entities_social),
}


MAKERS = (captions, documentation)
"""Modules that make their data instead of reading them from `CORPORA`."""


def load(
    dataset_id: str, config: str | None = None, *, few: bool = False
) -> "tuple[DatasetDict, Source]":
    """The embedded corpus that stands in for `dataset_id`, with the same columns and features.

    With `few`, less of the documentation is read, and fewer captions are made; corpora are small as
    they are.

    Raises:
        NotHere: if there is none.
        CourseError: for a configuration other than "default", or a damaged file.
    """
    for maker in MAKERS:
        if dataset_id in maker.STANDS_FOR:
            return maker.load(dataset_id, few=few)
    if dataset_id not in REGISTRY:
        known = ", ".join([*REGISTRY, *(name for maker in MAKERS for name in maker.STANDS_FOR)])
        raise NotHere(f"no corpus stands in for it (there are: {known})")
    corpus = REGISTRY[dataset_id]
    folder = CORPORA / corpus.name
    if not folder.is_dir():
        raise CourseError(
            f"The folder of the embedded corpus {corpus.name!r} is missing: {folder}\n"
            "Restore it with: git checkout -- utils/sources/corpora"
        )
    dataset, fingerprint = layout.read(
        folder, dataset_id, config or corpus.config, corpus.features()
    )
    location = f"embedded ({corpus.name})"
    licence = layout.licence(folder)
    return dataset, Source("embedded", dataset_id, None, fingerprint, location, licence)
