"""Models that were kept, and what they say of new texts."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from utils.adaptation.classifier import SETTINGS as CLASSIFIER
from utils.adaptation.classifier import Classifier
from utils.adaptation.kept import unseal
from utils.adaptation.new_texts import WORD, checked, runs
from utils.adaptation.span_extraction import SETTINGS as READER
from utils.adaptation.span_extraction import Reader, Reading
from utils.adaptation.writer import SETTINGS as WRITER
from utils.adaptation.writer import Writer
from utils.errors import CourseError
from utils.tasks import (
    question_answering,
    sentence_pairs,
    summarisation,
    tagging,
    text_classification,
    translation,
)

Kept = Classifier | Reader | Writer

_KINDS: dict[str, type[Kept]] = {CLASSIFIER: Classifier, READER: Reader, WRITER: Writer}
"""What a folder with each file of settings holds."""


@dataclass(frozen=True)
class Label:
    """The likeliest class of a text, and how probable the model takes it to be.

    `in_full` is whether the model has read all of the text, or only as much as it can.
    """

    label: str
    probability: float
    in_full: bool


def classify(model_path: Path | str, texts: Iterable[Any]) -> list[Label]:
    """Classify new texts with a saved model; pairs of texts, if it is one of sentence pairs.

    Raises:
        CourseError: if there is no such model, or a text is empty or not a text.
    """
    model = _load(Classifier, model_path, text_classification.NAME, sentence_pairs.NAME)
    if model.task == sentence_pairs.NAME:
        rows: list[Any] = _pairs(texts)
    else:
        rows = checked(texts)
    if not rows:
        return []
    probabilities, in_full = model.predict(rows)
    return [
        Label(model.labels[row.argmax()], float(row.max()), bool(whole))
        for row, whole in zip(probabilities, in_full, strict=True)
    ]


def _pairs(texts: Iterable[Any]) -> list[tuple[str, str]]:
    rows = list(texts)
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, tuple | list) or len(row) != 2:
            raise CourseError(
                f"Row {number} is not a pair of texts, which this model reads. Give each pair as "
                "(text, text)."
            )
    first, second = (checked(row[i] for row in rows) for i in (0, 1))
    return list(zip(first, second, strict=True))


@dataclass(frozen=True)
class Entity:
    """A piece of a text, its characters [start, end), and what kind of name it is."""

    text: str
    start: int
    end: int
    kind: str


def find_entities(model_path: Path | str, texts: Iterable[Any]) -> list[list[Entity]]:
    """Find entities in new texts of any length, with a saved model of tagging.

    A text is cut into words and marks. One that is longer than the model can read is read in parts,
    each with the words around it.

    Raises:
        CourseError: if there is no such model, or a text is empty or not a text.
    """
    from transformers import AutoTokenizer

    model = _load(Classifier, model_path, tagging.NAME)
    found = checked(texts)
    if not found:
        return []
    words = [list(WORD.finditer(text)) for text in found]
    tokenizer = AutoTokenizer.from_pretrained(model.path)
    parts = [
        (row, *part)
        for row in range(len(found))
        for part in _parts(words[row], tokenizer, model.max_length)
    ]
    tags, _ = model.predict([[w.group() for w in words[row][read]] for row, _, read in parts])
    ends = np.cumsum([read.stop - read.start for _, _, read in parts])
    names: list[list[str]] = [[] for _ in found]
    for (row, part, read), mine in zip(parts, np.split(tags, ends[:-1]), strict=True):
        inside = mine[part.start - read.start : part.stop - read.start]
        names[row] += [model.labels[tag] for tag in inside]
    return [_entities(*row) for row in zip(found, words, names, strict=True)]


def _parts(words: list[Any], tokenizer: Any, max_length: int) -> list[tuple[slice, slice]]:
    if not words:
        return []
    room = max_length - tokenizer.num_special_tokens_to_add()
    pieces = tokenizer([word.group() for word in words], add_special_tokens=False, verbose=False)
    return runs([len(ids) for ids in pieces["input_ids"]], room)


def _entities(text: str, words: list[Any], tags: list[str]) -> list[Entity]:
    found = []
    for kind, first, last in sorted(tagging.entities(tags), key=lambda entity: entity[1]):
        start, end = words[first].start(), words[last].end()
        found.append(Entity(text[start:end], start, end, kind))
    return found


@dataclass(frozen=True)
class Answer:
    """An answer: its text and the characters of the context that it stands at.

    Where the reader finds none, the text is empty and `start` and `end` are -1. `probability` is
    that of the best span: of its first and its last token together, in its window. `in_full` is
    whether the whole question was read; contexts always are.
    """

    text: str
    start: int
    end: int
    probability: float
    in_full: bool


def answer(
    model_path: Path | str,
    questions: Iterable[Any],
    contexts: Iterable[Any],
    *,
    threshold: float | None = None,
) -> list[Answer]:
    """Answer new questions with a saved reader, each from the context beside it.

    Args:
        model_path: folder of the reader.
        questions: in plain text.
        contexts: as many, of any length.
        threshold: log-odds of "no answer" against the best span above which there is no answer;
            with infinity the best span is given, if there is any. By default the reader's own: 0 if
            it was trained on questions without an answer, else infinity.

    Raises:
        CourseError: if there is no model, the lists differ in length, or a question or a context is
            empty or not a text.
    """
    asked, read = checked(questions, "question"), checked(contexts, "context")
    if len(asked) != len(read):
        raise CourseError(
            f"There are {len(asked)} questions and {len(read)} contexts. Give each question its "
            "own context, in the same order."
        )
    reader = _load(Reader, model_path, question_answering.NAME)
    if not asked:
        return []
    readings = reader.read(asked, read, n_best=1)
    most = reader.threshold if threshold is None else threshold
    rows = zip(readings, reader.reads_in_full(asked), strict=True)
    return [_answer(reading, most, in_full) for reading, in_full in rows]


def _answer(reading: Reading, threshold: float | None, in_full: bool) -> Answer:
    probability = float(np.exp(reading.spans[0].score)) if reading.spans else 0.0
    if not reading.text(threshold):
        return Answer("", -1, -1, probability, in_full)
    best = reading.spans[0]
    return Answer(best.text, best.start, best.end, probability, in_full)


@dataclass(frozen=True)
class Written:
    """What a model has written, and whether it has read all of the source, or as much as it can."""

    text: str
    in_full: bool


def translate(model_path: Path | str, texts: Iterable[Any]) -> list[Written]:
    """Translate new sentences with a saved model.

    Raises:
        CourseError: if there is no such model, or a text is empty or not a text.
    """
    return _write(model_path, texts, translation.NAME)


def summarise(model_path: Path | str, texts: Iterable[Any]) -> list[Written]:
    """Sum up new texts with a saved model.

    Raises:
        CourseError: if there is no such model, or a text is empty or not a text.
    """
    return _write(model_path, texts, summarisation.NAME)


def _write(model_path: Path | str, texts: Iterable[Any], task: str) -> list[Written]:
    writer = _load(Writer, model_path, task)
    sources = [" ".join(text.split()) for text in checked(texts)]
    if not sources:
        return []
    written = zip(writer.write(sources), writer.reads_in_full(sources), strict=True)
    return [Written(text, in_full) for text, in_full in written]


def has_model(folder: Path) -> bool:
    """Whether a model was saved there, and is whole."""
    try:
        unseal(folder, _settings_in(folder))
    except CourseError:
        return False
    return True


@dataclass(frozen=True)
class _Use:
    """Columns of a table that a model of a task reads, columns that it adds, and how."""

    reads: tuple[str, ...]
    adds: tuple[str, ...]
    rows: Callable[..., list[dict[str, Any]]]


def _labels(folder: Path, *texts: list[str]) -> list[dict[str, Any]]:
    rows = list(zip(*texts, strict=True)) if len(texts) > 1 else texts[0]
    return [asdict(found) for found in classify(folder, rows)]


def _answers(folder: Path, questions: list[str], contexts: list[str]) -> list[dict[str, Any]]:
    rows = (asdict(found) for found in answer(folder, questions, contexts))
    return [{"answer": row.pop("text"), **row} for row in rows]


def _found_entities(folder: Path, texts: list[str]) -> list[dict[str, Any]]:
    return [{"entities": [asdict(e) for e in row]} for row in find_entities(folder, texts)]


def _translations(folder: Path, texts: list[str]) -> list[dict[str, Any]]:
    rows = translate(folder, texts)
    return [{"translation": row.text, "in_full": row.in_full} for row in rows]


def _summaries(folder: Path, texts: list[str]) -> list[dict[str, Any]]:
    return [{"summary": row.text, "in_full": row.in_full} for row in summarise(folder, texts)]


_LABEL = ("label", "probability", "in_full")

_USES = {
    text_classification.NAME: _Use(("text",), _LABEL, _labels),
    sentence_pairs.NAME: _Use(("text", "text_pair"), _LABEL, _labels),
    tagging.NAME: _Use(("text",), ("entities",), _found_entities),
    question_answering.NAME: _Use(
        ("question", "context"), ("answer", "start", "end", "probability", "in_full"), _answers
    ),
    translation.NAME: _Use(("text",), ("translation", "in_full"), _translations),
    summarisation.NAME: _Use(("text",), ("summary", "in_full"), _summaries),
}

TASKS = tuple(_USES)
"""Tasks whose models can be kept and used on new texts."""


def result_columns(model_path: Path | str) -> tuple[str, ...]:
    """The columns that `predict_table` adds with this model.

    Raises:
        CourseError: if there is no model in the folder, or it is damaged.
    """
    return _USES[_task(_load_any(Path(model_path)))].adds


def check_table(model_path: Path | str, table: Mapping[str, Iterable[Any]]) -> None:
    """Refuse what `predict_table` could not use, without predicting.

    Raises:
        CourseError: if there is no model in the folder, it is damaged, a column is missing, columns
            differ in length, or a cell is empty or not a text.
    """
    task = _task(_load_any(Path(model_path)))
    reads = _USES[task].reads
    if missing := [name for name in reads if name not in table]:
        raise CourseError(
            f"The column {missing[0]!r} is missing; there are: {', '.join(table) or 'none'}. A "
            f"model of {task} reads {' and '.join(reads)}: rename the columns."
        )
    lengths = {name: len(checked(table[name], name)) for name in reads}
    if len(set(lengths.values())) > 1:
        raise CourseError(f"The columns differ in length: {lengths}. Give each row all of them.")


def predict_table(
    model_path: Path | str, table: Mapping[str, Iterable[Any]]
) -> list[dict[str, Any]]:
    """What a saved model of any task says of each row of a table, such as one read from a CSV.

    A model reads the column `text`; one of sentence pairs also `text_pair`, and one that answers
    questions `question` and `context`. The keys of a result are those of `Label`, of `Answer` (its
    text as `answer`), `entities` (a list of those of `Entity`), or `translation` or `summary` and
    `in_full`.

    Raises:
        CourseError: as `check_table`.
    """
    columns = {name: c if isinstance(c, str) else list(c) for name, c in table.items()}
    check_table(model_path, columns)
    folder = Path(model_path)
    use = _USES[_task(_load_any(folder))]
    return use.rows(folder, *(columns[name] for name in use.reads))


def _task(model: Kept) -> str:
    return question_answering.NAME if isinstance(model, Reader) else model.task


_K = TypeVar("_K", Classifier, Reader, Writer)


def _load(kind: type[_K], model_path: Path | str, *tasks: str) -> _K:
    model = _load_any(Path(model_path))
    if not isinstance(model, kind) or _task(model) not in tasks:
        raise CourseError(
            f"The model in {model_path} was made for {_task(model)}, not for "
            f"{' or '.join(tasks)}. Give another folder."
        )
    return model


def _load_any(folder: Path) -> Kept:
    name = _settings_in(folder)
    return _loaded(folder, name, (folder / name).stat().st_mtime_ns)


@lru_cache(maxsize=1)
def _loaded(folder: Path, name: str, _modified: int) -> Kept:
    return _KINDS[name].load(folder)


def _settings_in(folder: Path) -> str:
    for name in _KINDS:
        if (folder / name).is_file():
            return name
    raise CourseError(
        f"There is no model in {folder}: it holds none of the files {', '.join(_KINDS)}, which are "
        "written last. Give the folder that was --out of `course adapt`."
    )
