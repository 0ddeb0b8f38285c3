"""Models of texts, pairs and words that were kept, and what they say of new ones."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from utils import runtime
from utils.adaptation.batching import Cut, Texts, tokenise
from utils.adaptation.encoder import TextClassifier, WordClassifier, load_encoder
from utils.adaptation.span_extraction import SETTINGS as READER
from utils.adaptation.span_extraction import answer_table
from utils.adaptation.translation import SETTINGS as TRANSLATOR
from utils.adaptation.translation import Translator
from utils.errors import CourseError
from utils.tasks import sentence_pairs, tagging, text_classification, translation

SETTINGS, _HEAD = "classifier.json", "classifier.safetensors"

_WORD = re.compile(r"\w(?:[\w.,'’&/-]*\w)?|[^\w\s]")
"""A word with the marks within it (U.S, don't, 3,000), or a mark."""


@dataclass(frozen=True)
class Classifier:
    """A model of `task` with its classes or tags, and the most tokens that it reads of a text.

    `path` is a folder with its tokenizer.
    """

    model: TextClassifier
    path: Path
    task: str
    labels: list[str]
    max_length: int

    def save(self, folder: Path) -> None:
        """Write weights, tokenizer and settings to `folder`, which `load` reads.

        The encoder is merged with what LoRA has added to it.

        Raises:
            CourseError: if the encoder has parts that the library does not know (adapters).
        """
        from safetensors.torch import save_file
        from transformers import AutoTokenizer

        encoder = self.model.encoder
        check_savable(encoder)
        folder.mkdir(parents=True, exist_ok=True)
        encoder.save_pretrained(folder, state_dict=_merged(encoder))
        AutoTokenizer.from_pretrained(self.path).save_pretrained(folder)
        head = self.model.classifier.state_dict()
        save_file({name: t.detach().cpu() for name, t in head.items()}, folder / _HEAD)
        settings = {"task": self.task, "labels": self.labels, "max_length": self.max_length}
        runtime.write_atomically(folder / SETTINGS, json.dumps(settings, indent=1) + "\n")

    @classmethod
    def load(cls, folder: Path) -> "Classifier":
        """A classifier that was saved.

        Raises:
            CourseError: if there is none in `folder`.
        """
        from safetensors.torch import load_file

        # The settings are written last, so where they are everything is.
        if not (folder / SETTINGS).is_file():
            raise CourseError(
                f"There is no classifier in {folder}. Give a folder that Classifier.save wrote; it "
                f"holds a file {SETTINGS}."
            )
        settings = json.loads((folder / SETTINGS).read_text())
        kind = WordClassifier if settings["task"] == tagging.NAME else TextClassifier
        model = kind(load_encoder(folder), len(settings["labels"]))
        model.classifier.load_state_dict(load_file(folder / _HEAD))
        return cls(model.to(runtime.device()).eval(), folder, **settings)

    def predict(self, texts: Texts, cut: Cut = "head") -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """What `fine_tuning.predict` gives for the texts, and which of them were read in full.

        `cut` says which part is read of those that are too long.
        """
        from utils.adaptation.fine_tuning import predict

        in_full = tokenise(texts, self.path, self.max_length + 1).lengths() <= self.max_length
        return predict(self.model, tokenise(texts, self.path, self.max_length, cut)), in_full


def check_savable(encoder: Any) -> None:
    """Raise `CourseError` if the library could not load the encoder once it is saved."""
    from transformers import AutoModel

    known = AutoModel.from_config(encoder.config, add_pooling_layer=False).state_dict()
    if _merged(encoder).keys() != known.keys():
        raise CourseError(
            "A model with adapters between its layers cannot be kept as a model of the library. "
            "Choose another method: full, or lora, whose updates are merged."
        )


def _merged(encoder: Any) -> dict[str, Any]:
    """The weights of an encoder, with updates of LoRA added to the matrices that they change."""
    from peft.tuners.lora import LoraLayer

    updated: dict[str, Any] = {
        name: module for name, module in encoder.named_modules() if isinstance(module, LoraLayer)
    }
    weights = {name: t for name, t in encoder.state_dict().items() if ".lora_" not in name}
    for name, module in updated.items():
        base = f"{name}.base_layer"
        weights[f"{name}.bias"] = weights.pop(f"{base}.bias")
        weights[f"{name}.weight"] = weights.pop(f"{base}.weight") + module.get_delta_weight(
            "default"
        )
    return weights


@dataclass(frozen=True)
class Label:
    """The likeliest class of a text, and how probable the model takes it to be.

    `in_full` is whether the model has read all of the text, or only as much as it can.
    """

    label: str
    probability: float
    in_full: bool


def classify(
    model_path: Path | str, texts: Sequence[str] | Sequence[tuple[str, str]]
) -> list[Label]:
    """Classify new texts with a saved model; pairs of texts, if it is one of sentence pairs.

    Raises:
        CourseError: if there is no such model, or a text is empty or not a text.
    """
    classifier = _load(model_path, text_classification.NAME, sentence_pairs.NAME)
    in_pairs = classifier.task == sentence_pairs.NAME
    for number, text in enumerate(texts, start=1):
        both = text if isinstance(text, tuple) else (text,)
        if len(both) != 1 + in_pairs:
            wanted = "a pair of texts" if in_pairs else "one text"
            raise CourseError(f"Row {number} is not {wanted}, which this model reads.")
        for each in both:
            _check(number, each)
    if not texts:
        return []
    probabilities, in_full = classifier.predict(texts)
    return [
        Label(classifier.labels[row.argmax()], float(row.max()), bool(whole))
        for row, whole in zip(probabilities, in_full, strict=True)
    ]


@dataclass(frozen=True)
class Entity:
    """A piece of a text, its characters [start, end), and what kind of name it is."""

    text: str
    start: int
    end: int
    kind: str


def find_entities(model_path: Path | str, texts: Sequence[str]) -> list[list[Entity]]:
    """Find entities in new texts of any length, with a saved model of tagging.

    A text is cut into words and marks, and these into runs that the model can read.

    Raises:
        CourseError: if there is no such model, or a text is empty or not a text.
    """
    classifier = _load(model_path, tagging.NAME)
    for number, text in enumerate(texts, start=1):
        _check(number, text)
    runs = [
        (number, run)
        for number, text in enumerate(texts)
        for run in _runs(list(_WORD.finditer(text)), classifier)
    ]
    found: list[list[Entity]] = [[] for _ in texts]
    if not runs:
        return found
    tags, _ = classifier.predict([[word.group() for word in run] for _, run in runs])
    ends = np.cumsum([len(run) for _, run in runs])
    for (number, run), mine in zip(runs, np.split(tags, ends[:-1]), strict=True):
        named = tagging.entities([classifier.labels[tag] for tag in mine])
        for kind, first, last in sorted(named, key=lambda entity: entity[1]):
            start, end = run[first].start(), run[last].end()
            found[number].append(Entity(texts[number][start:end], start, end, kind))
    return found


def translate(model_path: Path | str, texts: Sequence[str]) -> list[str]:
    """Translate new sentences with a saved model.

    A sentence longer than the model can read is translated as far as it goes.

    Raises:
        CourseError: if there is no such model, or a text is empty or not a text.
    """
    translator = Translator.load(Path(model_path))
    for number, text in enumerate(texts, start=1):
        _check(number, text)
    return translator.translate(texts)


def _runs(words: list[re.Match[str]], classifier: Classifier) -> list[list[re.Match[str]]]:
    """Neighbouring words, as many as the model can read at a time."""
    from transformers import AutoTokenizer

    if not words:
        return []
    tokenizer: Any = AutoTokenizer.from_pretrained(classifier.path)
    room = classifier.max_length - tokenizer.num_special_tokens_to_add()
    pieces = tokenizer([word.group() for word in words], add_special_tokens=False)["input_ids"]
    runs: list[list[re.Match[str]]] = [[]]
    used = 0
    for word, ids in zip(words, pieces, strict=True):
        if used + len(ids) > room and runs[-1]:
            runs.append([])
            used = 0
        runs[-1].append(word)
        used += len(ids)
    return runs


def _load(model_path: Path | str, *tasks: str) -> Classifier:
    classifier = Classifier.load(Path(model_path))
    if classifier.task not in tasks:
        raise CourseError(
            f"The model in {model_path} was made for {classifier.task}, not for "
            f"{' or '.join(tasks)}. Give another folder."
        )
    return classifier


def _check(number: int, text: Any) -> None:
    if not isinstance(text, str) or not text.strip():
        raise CourseError(f"Row {number} is empty or not a text ({text!r}). Fill or remove it.")


def has_model(folder: Path) -> bool:
    """Whether a classifier, a reader or a translator was saved there, as a whole."""
    return any((folder / settings).is_file() for settings in (SETTINGS, READER, TRANSLATOR))


COLUMNS: dict[str, tuple[str, ...]] = {
    text_classification.NAME: ("text",),
    sentence_pairs.NAME: ("text", "text_pair"),
    tagging.NAME: ("text",),
    translation.NAME: ("text",),
}
"""What a model of each task reads of a table."""


def predict_table(
    model_path: Path | str, table: Mapping[str, Sequence[str]]
) -> list[dict[str, Any]]:
    """What a saved model of any task says of each row of a table, such as one read from a CSV.

    The columns are those of `COLUMNS`, for a reader `question` and `context`, for a translator
    `text`. The keys of a result are those of `Label`, `Answer`, or `entities`, a list of those of
    `Entity`, or `translation`.

    Raises:
        CourseError: if there is no model in the folder, a column is missing, or a cell is empty.
    """
    folder = Path(model_path)
    if (folder / READER).is_file():
        return [asdict(found) for found in answer_table(folder, table)]
    translates = (folder / TRANSLATOR).is_file()
    task = translation.NAME if translates else Classifier.load(folder).task
    if missing := [name for name in COLUMNS[task] if name not in table]:
        raise CourseError(
            f"The column {missing[0]!r} is missing; there are: {', '.join(table) or 'none'}. A "
            f"model of {task} reads {' and '.join(COLUMNS[task])}: rename the columns."
        )
    texts = [table[name] for name in COLUMNS[task]]
    if translates:
        return [{"translation": text} for text in translate(folder, texts[0])]
    if task == tagging.NAME:
        return [
            {"entities": [asdict(entity) for entity in row]}
            for row in find_entities(folder, texts[0])
        ]
    rows = list(zip(*texts, strict=True)) if len(texts) > 1 else list(texts[0])
    return [asdict(found) for found in classify(folder, rows)]
