"""Text to pre-train on: whole documents, some of them held out."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from utils.errors import CourseError
from utils.sources import Source
from utils.tasks import language_modelling
from utils.tasks.language_modelling import JOIN, Documents

_SUFFIXES = (".txt", ".md", ".rst")
_SMALLEST = 2_000
"""Fewest characters of a folder's text: with less there is nothing to learn or to measure."""


@dataclass(frozen=True)
class Corpus:
    """Documents, cut into training and held-out ones as wholes, and how they were reached."""

    train: Documents
    held_out: Documents
    source: Source

    @property
    def n_characters(self) -> int:
        """Characters of the training documents."""
        return sum(map(len, self.train.texts))


def load_corpus(
    *dataset_ids: str,
    profile: str = "quick",
    require: str = "any",
    max_characters: int | None = None,
) -> Corpus:
    """Running text by the ids of its data sets, one after the other.

    Args:
        dataset_ids: as in `language_modelling.load`.
        profile, require: as in `sources.load_dataset`.
        max_characters: take a random selection of training documents, always the same one, with
            about as many characters in all.

    Raises:
        CourseError: if a set cannot be reached, or has no column `text`.
    """
    splits = language_modelling.load(JOIN.join(dataset_ids), profile=profile, require=require)
    train, held_out = splits.train, splits.test
    chosen = _selection(train.texts, max_characters)
    return Corpus(train.take(chosen), held_out, splits.source)


def read_folder(folder: Path | str, held_out: float = 0.05) -> Corpus:
    """Your own text: every .txt, .md and .rst file below `folder` is a document.

    Args:
        folder: searched with its sub-folders.
        held_out: share of the documents that is not trained on, at least one.

    Raises:
        CourseError: if there are fewer than two files with text, too little text, or one that is
            no text or not UTF-8; the message names the file.
    """
    from utils.sources import fingerprint

    place = Path(folder).expanduser()
    if not place.is_dir():
        raise CourseError(f"{place} is not a folder. Name one that holds files of text.")
    files = sorted(file for file in place.rglob("*") if file.suffix.lower() in _SUFFIXES)
    texts = {str(file.relative_to(place)): _read(file) for file in files}
    texts = {name: text for name, text in texts.items() if text}
    if len(texts) < 2:
        raise CourseError(
            f"{place} holds {len(texts)} files with text ({', '.join(_SUFFIXES)}); at least two "
            "are needed, one of them to measure on. Put each document into a file of its own."
        )
    n_characters = sum(map(len, texts.values()))
    if n_characters < _SMALLEST:
        raise CourseError(
            f"The text in {place} has {n_characters} characters. At least {_SMALLEST:,} are "
            "needed to learn anything, and millions to learn much."
        )
    order = np.random.default_rng(0).permutation(len(texts))
    n_held_out = max(1, round(held_out * len(texts)))
    documents = Documents(list(texts.values()), [place.name] * len(texts))
    mark = fingerprint.of_texts(texts)
    return Corpus(
        train=documents.take(np.sort(order[n_held_out:])),
        held_out=documents.take(np.sort(order[:n_held_out])),
        source=Source("folder", f"own/{place.name}", None, mark, "own folder", "your own"),
    )


def _selection(documents: list[str], max_characters: int | None) -> NDArray[np.int64]:
    """Numbers of documents, ascending."""
    if max_characters is None:
        return np.arange(len(documents))
    order = np.random.default_rng(0).permutation(len(documents))
    total = np.cumsum([len(documents[i]) for i in order])
    n = int(np.searchsorted(total, max_characters)) + 1
    return np.sort(order[:n])


def _read(file: Path) -> str:
    try:
        content = file.read_bytes()
    except OSError as error:
        raise CourseError(f"Cannot read {file} ({error.strerror}).") from error
    if b"\0" in content:
        raise CourseError(
            f"{file} is no text: it holds zero bytes. Remove it from the folder, or save it as "
            "plain text in UTF-8."
        )
    try:
        return content.decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        raise CourseError(
            f"{file} is not UTF-8 (byte {error.start}). Convert it, for example with "
            "`iconv -f latin1 -t utf-8`."
        ) from error
