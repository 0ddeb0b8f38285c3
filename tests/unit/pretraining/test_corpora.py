"""Running text: documents held out as wholes, and folders that are none."""

from pathlib import Path

import datasets
import pytest

from utils import sources
from utils.errors import CourseError
from utils.pretraining.corpora import Corpus, load_corpus, read_folder
from utils.tasks.language_modelling import NOVELS, WIKITEXT


def write(folder: Path, n: int = 40) -> Path:
    folder.mkdir()
    for number in range(n):
        (folder / f"{number}.txt").write_text(f"Document {number}. " + "More words follow. " * 10)
    return folder


def test_documents_are_held_out_as_wholes(documentation: Corpus) -> None:
    corpus = documentation
    assert not set(corpus.train.texts) & set(corpus.held_out.texts)
    paragraphs = [
        {p for text in part.texts for p in text.split("\n")}
        for part in (corpus.train, corpus.held_out)
    ]
    assert not paragraphs[0] & paragraphs[1]
    for part in (corpus.train, corpus.held_out):
        assert set(part.origins) == {"openstax/textbooks-en"}
        assert len(part.origins) == len(part.texts) == len(part)
    assert corpus.n_characters == len("".join(corpus.train.texts))


def test_a_selection_is_always_the_same_and_nested(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"Document {number}. " + "More words. " * (number % 7) for number in range(100)]
    split = datasets.Dataset.from_dict({"text": texts})
    source = sources.Source("mirror", NOVELS, None, "0" * 16, "mirror", "CC BY 4.0")
    parts = datasets.DatasetDict({"train": split, "validation": split.select(range(3))})
    monkeypatch.setattr(sources, "load_dataset", lambda *_, **__: (parts, source))
    small, large = (load_corpus(NOVELS, max_characters=n) for n in (1_000, 3_000))
    assert 1_000 <= small.n_characters < 1_100
    assert set(small.train.texts) < set(large.train.texts)
    numbers = [int(text.split()[1].strip(".")) for text in small.train.texts]
    assert numbers == sorted(numbers)
    assert small.held_out == large.held_out


def test_the_articles_of_wikitext_are_put_together(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [
        "",
        " = A Town = \n",
        " It is a well @-@ known <unk> . \n",
        " = = History = = \n",
        " Old , since 1 @,@ 200 . \n",
        "",
        " = Another = \n",
        " New . \n",
    ]
    split = datasets.Dataset.from_dict({"text": rows})
    source = sources.Source("mirror", WIKITEXT, None, "0" * 16, "mirror", "CC BY-SA 3.0")
    asked = []

    def load(dataset_id: str, config: str | None, **_: object) -> tuple:
        asked.append((dataset_id, config))
        return datasets.DatasetDict({"train": split, "validation": split}), source

    monkeypatch.setattr(sources, "load_dataset", load)
    corpus = load_corpus(WIKITEXT)
    assert asked == [(WIKITEXT, "wikitext-2-v1")]
    assert corpus.train.texts == ["It is a well-known [UNK] .\nOld , since 1,200 .", "New ."]


def test_a_set_without_running_text_is_refused() -> None:
    with pytest.raises(CourseError, match="no column 'text' but idx, sentence, label"):
        load_corpus("stanfordnlp/sst2", profile="smoke")
    with pytest.raises(CourseError, match="Name at least one"):
        load_corpus()


def test_a_folder_of_text(tmp_path: Path) -> None:
    folder = write(tmp_path / "own")
    (folder / "picture.png").write_bytes(b"\0\1")  # other files are passed over
    (folder / "empty.txt").write_text(" \n")
    corpus = read_folder(folder)
    assert (len(corpus.train), len(corpus.held_out)) == (38, 2)
    assert corpus.source.location == "own folder"
    assert set(corpus.train.origins) == {"own"}
    assert read_folder(folder).held_out == corpus.held_out
    (folder / "0.txt").write_text("Changed. " * 30)
    assert read_folder(folder).source.fingerprint != corpus.source.fingerprint


def test_folders_that_cannot_serve_are_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(CourseError, match="is not a folder"):
        read_folder(tmp_path / "missing")
    (tmp_path / "nothing").mkdir()
    with pytest.raises(CourseError, match="holds 0 files with text"):
        read_folder(tmp_path / "nothing")
    with pytest.raises(CourseError, match="millions to learn much"):
        read_folder(write(tmp_path / "tiny", n=3))
    folder = write(tmp_path / "own")
    (folder / "binary.txt").write_bytes(b"text\0text")
    with pytest.raises(CourseError, match=r"binary\.txt is no text: it holds zero bytes"):
        read_folder(folder)
    (folder / "binary.txt").write_bytes("Größe".encode("latin1"))
    with pytest.raises(CourseError, match=r"binary\.txt is not UTF-8 \(byte 2\)\. Convert it"):
        read_folder(folder)
