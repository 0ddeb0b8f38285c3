"""Text to pre-train on: whole documents, some of them held out."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from utils import sources
from utils.errors import CourseError

if TYPE_CHECKING:
    from datasets import Dataset

TEXTBOOKS, NOVELS = "openstax/textbooks-en", "COST-ELTeC/ELTeC-eng"
WIKITEXT = "Salesforce/wikitext"

_CONFIGS = {WIKITEXT: "wikitext-2-v1"}
_SUFFIXES = (".txt", ".md", ".rst")
_SMALLEST = 2_000
"""Fewest characters of a folder's text: with less there is nothing to learn or to measure."""


@dataclass(frozen=True)
class Corpus:
    """Documents, cut into training and held-out ones as wholes.

    `origins` names where each training document comes from, `held_out_origins` likewise: pairs of
    documents are only drawn from one origin. `sources` says how each origin was reached.
    """

    train: list[str]
    held_out: list[str]
    origins: list[str]
    held_out_origins: list[str]
    sources: list[sources.Source]

    @property
    def n_characters(self) -> int:
        """Characters of the training documents."""
        return sum(map(len, self.train))


def load_corpus(
    *dataset_ids: str,
    profile: str = "quick",
    require: str = "any",
    max_characters: int | None = None,
) -> Corpus:
    """Running text by the ids of its data sets, one after the other.

    Args:
        dataset_ids: sets with a column `text`, a document a row; of Wikitext, whose rows are
            paragraphs, the articles are put together again.
        profile, require: as in `sources.load_dataset`.
        max_characters: take a random selection of training documents, always the same one, with
            about as many characters in all.

    Raises:
        CourseError: if a set cannot be reached, or has no column `text`.
    """
    if not dataset_ids:
        raise CourseError("Name at least one data set with running text.")
    parts: dict[str, list[str]] = {"train": [], "validation": []}
    origins: dict[str, list[str]] = {"train": [], "validation": []}
    found = []
    for dataset_id in dataset_ids:
        dataset, source = sources.load_dataset(
            dataset_id, _CONFIGS.get(dataset_id), profile=profile, require=require
        )
        found.append(source)
        for split, documents in parts.items():
            new = _documents(dataset[split], dataset_id)
            documents += new
            origins[split] += [dataset_id] * len(new)
    chosen = _selection(parts["train"], max_characters)
    return Corpus(
        train=[parts["train"][i] for i in chosen],
        held_out=parts["validation"],
        origins=[origins["train"][i] for i in chosen],
        held_out_origins=origins["validation"],
        sources=found,
    )


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
    documents = list(texts.values())
    mark = fingerprint.of_texts(texts)
    return Corpus(
        train=[documents[i] for i in sorted(order[n_held_out:])],
        held_out=[documents[i] for i in sorted(order[:n_held_out])],
        origins=[place.name] * (len(texts) - n_held_out),
        held_out_origins=[place.name] * n_held_out,
        sources=[
            sources.Source("folder", f"own/{place.name}", None, mark, "own folder", "your own")
        ],
    )


def _documents(split: "Dataset", dataset_id: str) -> list[str]:
    if "text" not in split.column_names:
        raise CourseError(
            f"{dataset_id} has no column 'text' but {', '.join(split.column_names)}. Pre-training "
            "needs running text, a document a row."
        )
    rows = list(split["text"])
    documents = _articles(rows) if dataset_id == WIKITEXT else rows
    return [text for document in documents if (text := document.strip())]


def _articles(rows: list[str]) -> list[str]:
    """Wikitext's paragraphs, joined to articles; `<unk>` becomes [UNK], ` @-@ ` a hyphen.

    A title stands between single equals signs, a heading between more of them.
    """
    articles: list[list[str]] = [[]]
    for row in rows:
        if re.fullmatch(r"\s= [^=].*[^=] =\s*", row):
            articles.append([])
        elif row.strip() and not row.startswith(" = ="):
            text = re.sub(r" @(\W)@ ", r"\1", row.strip())
            articles[-1].append(text.replace("<unk>", "[UNK]"))
    return ["\n".join(article) for article in articles]


def _selection(documents: list[str], max_characters: int | None) -> list[int]:
    """Numbers of documents, ascending."""
    if max_characters is None:
        return list(range(len(documents)))
    order = np.random.default_rng(0).permutation(len(documents))
    total = np.cumsum([len(documents[i]) for i in order])
    n = int(np.searchsorted(total, max_characters)) + 1
    return sorted(int(i) for i in order[:n])


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
