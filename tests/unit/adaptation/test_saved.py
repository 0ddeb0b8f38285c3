"""Models that are kept, and what they say of new texts, by API and by `course predict`."""

import csv
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer
from typer.testing import CliRunner

from utils import sources
from utils.adaptation import METHODS, Problem, get_method
from utils.adaptation.batching import tokenise
from utils.adaptation.classifier import Classifier
from utils.adaptation.new_texts import WORD, runs
from utils.adaptation.saved import classify, find_entities, has_model, predict_table
from utils.cli import predicting
from utils.cli.commands import app
from utils.errors import CourseError
from utils.experiments import adapt_and_keep
from utils.tasks import (
    Splits,
    get_task,
    question_answering,
    sentence_pairs,
    summarisation,
    tagging,
    text_classification,
    translation,
)

MODEL, _ = sources.model_path(sources.MINILM)
FAST = {"min_updates": 20, "epochs": 1, "batch_size": 8}


def fitted(folder: Path | None, splits: Splits, task: str, method: str = "full"):
    problem = Problem(
        train=get_task(task).subset(splits.train, 48, 0), validation=splits.validation,
        evaluation=splits.test, n_classes=len(splits.label_names), seed=0, max_length=48,
        hyper={**METHODS[method].defaults, **FAST}, model_path=MODEL, task=task, keep=folder,
        label_names=tuple(splits.label_names),
    )  # fmt: skip
    return splits.test, get_method(method).fit(problem).predictions


def of_texts(folder: Path | None, method: str = "full"):
    splits = text_classification.load(
        "stanfordnlp/sst2", profile="smoke", validation_limit=20, test_limit=30
    )
    return fitted(folder, splits, text_classification.NAME, method)


def of_words() -> Splits:
    """Sentences in which each name is a town."""
    rng = np.random.default_rng(0)
    towns = ["Paris", "Oslo", "Turin", "Quito", "Hanoi", "Lima"]
    texts = [["We", "saw", str(rng.choice(towns)), "yesterday", "."] for _ in range(60)]
    names = ["O", "B-LOC", "I-LOC"]
    examples = tagging.Examples(texts, [np.array([0, 0, 1, 0, 0])] * 60, names)
    source = sources.Source("generated", "towns", None, "0" * 16, "here", "")
    return Splits(examples, examples.take(np.arange(20)), examples, names, source)


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("texts") / "model"
    return folder, *of_texts(folder)


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    folder = tmp_path_factory.mktemp("words") / "model"
    return folder, *fitted(folder, of_words(), tagging.NAME)


def test_a_loaded_model_predicts_what_the_trained_one_did(texts) -> None:
    folder, test, predictions = texts
    found, in_full = Classifier.load(folder).predict(test.texts)
    np.testing.assert_allclose(found, predictions, atol=1e-6)
    assert in_full.all()
    labels = [row.label for row in classify(folder, test.texts)]
    assert labels == [["negative", "positive"][i] for i in predictions.argmax(axis=1)]


def test_to_keep_a_model_does_not_change_it(texts) -> None:
    _, _, predictions = texts
    again = of_texts(None)[1]
    np.testing.assert_array_equal(again, predictions)


def test_so_does_a_tagger(words) -> None:
    folder, test, predictions = words
    found, _ = Classifier.load(folder).predict(test.texts)
    np.testing.assert_array_equal(found, predictions)
    ((town,),) = find_entities(folder, ["We saw Oslo yesterday."])
    assert (town.text, town.start, town.kind) == ("Oslo", 7, "LOC")


@pytest.mark.parametrize("method", ["lora", "bitfit", "top-layers"])
def test_what_was_added_is_merged(tmp_path: Path, method: str) -> None:
    test, predictions = of_texts(tmp_path / "m", method)
    found, _ = Classifier.load(tmp_path / "m").predict(test.texts)
    np.testing.assert_allclose(found, predictions, atol=1e-5)


def test_adapters_are_refused_before_training(tmp_path: Path) -> None:
    with pytest.raises(CourseError, match="Choose another method: full, or lora"):
        of_texts(tmp_path / "m", "adapters")


@pytest.mark.parametrize(
    "name", ["model.safetensors", "classifier.safetensors", "tokenizer.json", "config.json"]
)
@pytest.mark.parametrize("removed", [True, False])
def test_a_damaged_model_is_not_used(texts, tmp_path: Path, name: str, removed: bool) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(texts[0], copy)
    if removed:
        (copy / name).unlink()
    else:
        content = (copy / name).read_bytes()
        (copy / name).write_bytes(content[:-9] + b"0" + content[-8:])
    assert not has_model(copy)
    with pytest.raises(CourseError, match=f": {name} is "):
        classify(copy, ["fine"])


@pytest.mark.parametrize("content", ["", "{", "{}", "[]"])
def test_nor_one_with_other_settings(texts, tmp_path: Path, content: str) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(texts[0], copy)
    settings = (copy / "classifier.json").read_text()
    (copy / "classifier.json").write_text(content or settings.replace("positive", "good"))
    with pytest.raises(CourseError, match=r"classifier\.json is not as it was saved"):
        classify(copy, ["fine"])


def test_lists_of_any_kind(texts) -> None:
    folder = texts[0]
    expected = classify(folder, ["fine", "dull"])
    for kind in (np.array, pd.Series, tuple, iter):
        assert classify(folder, kind(["fine", "dull"])) == expected
    assert [
        row["label"] for row in predict_table(folder, {"text": pd.Series(["fine", "dull"])})
    ] == [row.label for row in expected]
    with pytest.raises(CourseError, match="Give a list of texts"):
        predict_table(folder, {"text": "fine"})
    assert classify(folder, []) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Anna Schmidt's dog met the U.S. team.", "Anna|Schmidt|'s|dog|met|the|U.S.|team|."),
        ("O'Neill/Smith don't pay 3,000.", "O'Neill|/|Smith|don't|pay|3,000|."),
        ("Jose\u0301 Garci\u0301a of Zu\u0308rich", "Jose\u0301|Garci\u0301a|of|Zu\u0308rich"),
        ("मुंबई में", "मुंबई|में"),
        ("An\u200dna met\u200b Bo", "An\u200dna|met|Bo"),
        ("U.S.-based J.P.Morgan", "U.S.-based|J.P.Morgan"),
        ("Vice-President X. 😀!", "Vice-President|X|.|😀|!"),
    ],
)
def test_texts_are_cut_into_words(text: str, words: str) -> None:
    assert [found.group() for found in WORD.finditer(text)] == words.split("|")


@given(st.lists(st.integers(1, 12), max_size=60), st.integers(4, 40))
def test_every_word_is_in_one_part_and_seen_with_its_surroundings(lengths, room: int) -> None:
    parts = runs(lengths, room)
    assert [i for part, _ in parts for i in range(len(lengths))[part]] == list(range(len(lengths)))
    for part, read in parts:
        assert read.start <= part.start < part.stop <= read.stop or not lengths
        words = lengths[read]
        assert sum(words) <= room or max(words) > room // 4
    if sum(lengths) <= room:
        assert len(parts) == 1


def test_an_entity_is_not_cut_where_a_part_ends(words, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        Classifier,
        "predict",
        # A model that knows a surname only behind its first name.
        lambda _, parts: (
            np.array(
                [
                    {"Ada": 1, "Holt": 2 if i and part[i - 1] == "Ada" else 0}.get(word, 0)
                    for part in parts
                    for i, word in enumerate(part)
                ]
            ),
            None,
        ),
    )
    for n in range(80):
        (found,) = find_entities(words[0], ["so " * n + "Ada Holt went home" + " so" * 60])
        assert [entity.text for entity in found] == ["Ada Holt"], n


def test_the_folder_is_tried_before_training(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CourseError, match="Nothing can be written to"):
        adapt_and_keep("stanfordnlp/sst2", "full", 8, tmp_path / "file" / "m", profile="smoke")
    with pytest.raises(CourseError, match="reads 512"):
        adapt_and_keep(
            "stanfordnlp/sst2", "full", 8, tmp_path / "m", profile="smoke", max_length=1024
        )
    with pytest.raises(CourseError, match=r"to keep\. Choose seq2seq, .*seq2seq-denoising"):
        adapt_and_keep("bentrevett/multi30k", "full", 8, tmp_path / "m", profile="smoke")


def test_the_limit_is_counted_exactly(texts) -> None:
    folder, *_ = texts
    assert [row.in_full for row in classify(folder, ["film " * 46, "film " * 47])] == [True, False]


def test_entities_stand_where_they_say(words, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, *_ = words
    seen = []

    def every_second_name(self, runs):
        seen.extend(runs)
        names = [name for run in runs for name in run]
        return np.array([1 if name[0].isupper() else 0 for name in names]), None

    monkeypatch.setattr(Classifier, "predict", every_second_name)
    text = "Ada Lovelace met Babbage in the U.S.; it didn't rain. " * 40
    first, second, third = find_entities(folder, [text, "nobody", "Ruth 😀 רות"])
    kinds = Classifier.load(folder).labels[1].partition("-")[2]
    assert [entity.text for entity in first[:3]] == ["Ada", "Lovelace", "Babbage"]
    assert len(first) == 160
    assert [entity.text for entity in first[:4]][3] == "U.S."
    assert not second
    assert all(text[e.start : e.end] == e.text and e.kind == kinds for e in first)
    assert third[0].start == 0
    assert len(seen) > 3, "a long text is read in several runs"
    assert max(len(run) for run in seen) <= 46


def test_wrong_input(texts, words, tmp_path: Path) -> None:
    folder = texts[0]
    with pytest.raises(CourseError, match=r"Row 2: the text is empty or not a text \(' '\)"):
        classify(folder, ["fine", " "])
    with pytest.raises(CourseError, match="Row 1: the text is empty or not a text"):
        classify(folder, [("a", "b")])
    with pytest.raises(CourseError, match="Give a list of texts"):
        classify(folder, "fine")
    for odd in ("\u200d", "\ufeff", "\0"):
        with pytest.raises(CourseError, match="is empty"):
            classify(folder, [odd])
    with pytest.raises(CourseError, match="half a character at place 3"):
        classify(folder, ["bad\ud83d"])
    with pytest.raises(CourseError, match="was made for tagging, not for text-classification"):
        classify(words[0], ["fine"])
    with pytest.raises(CourseError, match="There is no model in"):
        classify(tmp_path, ["fine"])
    with pytest.raises(CourseError, match="column 'text' is missing; there are: review"):
        predict_table(folder, {"review": ["fine"]})


def call(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    error = str(result.exception) if isinstance(result.exception, CourseError) else ""
    return result.exit_code, result.stdout, error


def test_the_command_keeps_the_columns(texts, words, tmp_path: Path) -> None:
    file, out = tmp_path / "in.csv", tmp_path / "out.csv"
    file.write_text('\ufeffid,text\n1,"a fine, warm film"\n2,"dull\nand long"\n', encoding="utf-8")
    status, printed, _ = call("predict", texts[0], file, "--out", out)
    assert (status, printed) == (0, f"{out}: 2 rows.\n")
    rows = list(csv.DictReader(out.open(newline="")))
    assert list(rows[0]) == ["id", "text", "label", "probability", "in_full"]
    assert [row["text"] for row in rows] == ["a fine, warm film", "dull\nand long"]
    expected = classify(texts[0], [row["text"] for row in rows])
    assert [row["label"] for row in rows] == [each.label for each in expected]
    status, printed, _ = call("predict", words[0], file)
    found = [json.loads(line) for line in printed.splitlines()]
    assert [row["id"] for row in found] == ["1", "2"]
    assert all(isinstance(row["entities"], list) for row in found)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("in.csv", b"id,text\n1,fine,more\n", "line 2, has not as many cells"),
        ("in.csv", b"id,text\n1\n", "line 2, has not as many cells"),
        ("in.csv", b'id,text\n1,"fine\n', "is no CSV"),
        ("in.csv", b"id,review\n1,fine\n", "column 'text' is missing; there are: id, review"),
        ("in.csv", b"text,label\nfine,1\n", "has a column 'label' already"),
        ("in.csv", b"id,text\n1,\n", "Row 1: the text is empty"),
        ("in.csv", "text\né".encode("latin-1"), "is not UTF-8"),
        ("in.jsonl", b'{"text": 5}\n', "Row 1: the text is empty or not a text"),
        ("in.jsonl", b'{"text": "fine"}\n["fine"]\n', "line 2, is no JSON object"),
        ("in.jsonl", b"text\n", "line 1, is no JSON"),
        ("in.txt", b"fine\n", "ends neither in .csv nor in .jsonl"),
    ],
)
def test_files_that_cannot_be_read(texts, tmp_path: Path, name, content, message) -> None:
    (tmp_path / name).write_bytes(content)
    _, printed, error = call("predict", texts[0], tmp_path / name, "--out", tmp_path / "out.csv")
    assert message in error
    assert not printed
    assert not (tmp_path / "out.csv").exists()


def test_places_that_are_taken(texts, tmp_path: Path) -> None:
    file = tmp_path / "in.csv"
    assert "There is no file" in call("predict", texts[0], file)[2]
    file.write_text("text\nfine\n")
    assert "would replace" in call("predict", texts[0], file, "--out", file)[2]
    assert file.read_text() == "text\nfine\n"
    assert "not an empty folder" in call("adapt", "stanfordnlp/sst2", "--out", tmp_path)[2]


def test_only_what_trains_an_encoder_leaves_a_model(tmp_path: Path) -> None:
    with pytest.raises(CourseError, match=r"'frozen' leaves no model .* to keep\. Choose"):
        adapt_and_keep("stanfordnlp/sst2", "frozen", 20, tmp_path / "m")


def test_adapt_then_predict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(METHODS["full"].defaults, "min_updates", 2)
    model, file = tmp_path / "model", tmp_path / "in.jsonl"
    record = adapt_and_keep(
        "rajpurkar/squad", "full", 8, model, profile="smoke", model=sources.COURSE_BERT
    )
    assert record.spec.task == "question-answering"
    context = "The mill at Tarnholt was built in 1741."
    file.write_text(json.dumps({"question": "When was it built?", "context": context}) + "\n")
    status, printed, error = call("predict", model, file)
    assert status == 0, error
    row = json.loads(printed)
    assert context[row["start"] : row["end"]] == row["answer"] or row["start"] == -1


# --- a small model of each task, from `course adapt` to `course predict` --------------------------

KINDS, TOWNS = ("lovely", "dull"), ("Paris", "Rome", "London")
EMOJI, HEBREW, ARABIC = "👨‍👩‍👧 😀🎬", "ראינו סרט נהדר", "مرحبا بالعالم"
LONG_WORDS = "Responsibility and understanding characterized international relationships. "


def around(text: str, i: int) -> str:
    """The text with something before and after it that does not matter, in the i-th of 16 ways."""
    other = ("", EMOJI, HEBREW, LONG_WORDS)
    return f"{other[i % 4]} {text} {other[i // 4 % 4]}".strip()


def town_tags(i: int) -> dict[str, list[str]]:
    words = [word.group() for word in WORD.finditer(around(f"We saw {TOWNS[i % 3]} {i}.", i))]
    return {"tokens": words, "tags": ["B-LOC" if word in TOWNS else "O" for word in words]}


@dataclass(frozen=True)
class Case:
    """What a model of a task is taught: row i of a file, by a method.

    Of `asked`, which is in no row, it must then say `told`.
    """

    row: Callable[[int], dict[str, Any]]
    asked: dict[str, str]
    told: str
    method: str = "full"


CASES = {
    text_classification.NAME: Case(
        lambda i: {
            "text": around(f"Film {i} was {KINDS[i % 2]}.", i // 2),
            "label": KINDS[i % 2],
        },
        {"text": "Film 99 was lovely."},
        "lovely",
    ),
    sentence_pairs.NAME: Case(
        lambda i: {
            "text": f"They saw film {i}.",
            "text_pair": around(f"It was {KINDS[i % 2]}, {i}.", i // 2),
            "label": KINDS[i % 2],
        },
        {"text": "They saw film 99.", "text_pair": "It was lovely, 99."},
        "lovely",
    ),
    tagging.NAME: Case(town_tags, {"text": "We saw Rome 99."}, "Rome"),
    question_answering.NAME: Case(
        lambda i: {
            "context": LONG_WORDS * (i % 3) * 4 + around(f"We saw {TOWNS[i % 3]} on day {i}.", i),
            "question": "Which town?",
            "answer": TOWNS[i % 3],
        },
        {"question": "Which town?", "context": "We saw Rome on day 99."},
        "Rome",
    ),
    translation.NAME: Case(
        lambda i: {
            "text": f"We saw {TOWNS[i % 3]} {i}.",
            "translation": f"Wir sahen {TOWNS[i % 3]}.",
        },
        {"text": "We saw Rome 99."},
        "Wir sahen Rome.",
        "seq2seq",
    ),
    summarisation.NAME: Case(
        lambda i: {
            "text": f"On day {i} we saw {TOWNS[i % 3]}. We left.\nThen it rained.",
            "summary": f"We saw {TOWNS[i % 3]}.",
        },
        {"text": "On day 99 we saw Rome. We left.\nThen it rained."},
        "we saw rome.",
        "warm-start",
    ),
}

QUICKLY = {
    "full": {"min_updates": 60, "learning_rate": 3e-4},
    "warm-start": {"min_updates": 40},
    "seq2seq": {
        "min_updates": 150, "learning_rate": 2e-3, "dropout": 0.0,
        "d_model": 64, "n_layers": 2, "vocab_size": 120, "n_beams": 2,
    },
}  # fmt: skip


@pytest.fixture(scope="module", params=CASES)
def taught(request, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """A task, and the folder of a model that `course adapt` has made of its rows."""
    case, place = CASES[request.param], tmp_path_factory.mktemp("taught")
    file = jsonl(place / "mine.jsonl", [case.row(i) for i in range(60)])
    settings = {"epochs": 1, "batch_size": 8, **QUICKLY[case.method]}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COURSE_RUNS", str(place / "runs"))
        for name, value in settings.items():
            patch.setitem(METHODS[case.method].defaults, name, value)
        _, printed, error = call(
            "adapt", file, "--out", place / "model", "--method", case.method,
            "--model", sources.COURSE_BERT, "--max-length", 48, "--validation", 8,
        )  # fmt: skip
    assert "s of training" in printed, error
    return request.param, place / "model"


def jsonl(file: Path, rows: list[dict[str, Any]]) -> Path:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


def predicted(model: Path, rows: list[dict[str, str]], folder: Path) -> list[dict[str, Any]]:
    """What `course predict` adds to each row."""
    status, printed, error = call("predict", model, jsonl(folder / "in.jsonl", rows))
    assert status == 0, error
    found = [json.loads(line) for line in printed.splitlines()]
    assert [{name: row[name] for name in rows[0]} for row in found] == rows
    return [{name: row[name] for name in row if name not in rows[0]} for row in found]


def said(result: dict[str, Any], text: str) -> str:
    """What was said or found; what was found in `text` must stand where the result says."""
    found = result.get("entities", [result])
    for each in found:
        if each.get("start", -1) >= 0:
            assert text[each["start"] : each["end"]] == each.get("text", each.get("answer"))
    return " ".join(next(iter(each.values())) for each in found)


def test_rows_of_a_file_get_what_each_gets_alone(
    taught, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In several calls and batches, beside emoji, text from right to left and odd characters."""
    monkeypatch.setattr(predicting, "_AT_ONCE", 3)
    task, model = taught
    case, last = CASES[task], [*CASES[task].asked][-1]
    plain = case.asked[last]
    texts = [plain, f"{EMOJI} {plain} {EMOJI}", f"{HEBREW} {plain} {ARABIC}"]
    texts += [EMOJI, HEBREW, ARABIC, "a\0b\x1b[31m\u202e!", "?!"]
    rows = [{**case.asked, last: text} for text in texts]
    found = predicted(model, rows, tmp_path)
    for row, result in zip(rows, found, strict=True):
        (alone,) = predict_table(model, {name: [text] for name, text in row.items()})
        for name, value in alone.items():
            same = pytest.approx(value, abs=1e-4) if isinstance(value, float) else value
            assert result[name] == same, row
        assert result.get("in_full", True) is True
    answers = [said(result, row[last]) for row, result in zip(rows, found, strict=True)]
    assert answers[0] == case.told
    if case.method == "full":  # the others were not taught what to write of emoji
        assert answers[1:3] == [case.told] * 2


def test_of_100_000_characters_all_is_searched_or_the_beginning_read(taught, tmp_path) -> None:
    task, model = taught
    case, last = CASES[task], [*CASES[task].asked][-1]
    end = case.asked[last]
    long = (LONG_WORDS * 2_000)[: 100_000 - len(end)] + end
    if task in (tagging.NAME, question_answering.NAME):
        (found,) = predicted(model, [{**case.asked, last: long}], tmp_path)
        assert said(found, long) == case.told
        assert found.get("end", 100_000) > 99_900
        return
    rows = [{**case.asked, last: text} for text in (long, long[:3_000])]
    rows += [dict.fromkeys(case.asked, text) for text in (long, long[:3_000])]
    found = predicted(model, rows, tmp_path)
    assert not any(result["in_full"] for result in found)
    for whole, beginning in (found[:2], found[2:]):
        assert said(whole, long) == said(beginning, long)


@pytest.mark.parametrize("cell", ["", " \u200d\n", None, 5, ["a"], "bad\ud83d"], ids=repr)
def test_a_cell_without_text_is_named(taught, tmp_path: Path, cell: Any) -> None:
    task, model = taught
    asked = CASES[task].asked
    for column in asked:
        table = {name: [text, text] for name, text in asked.items()} | {column: ["a", cell]}
        message = rf"Row 2: the {column} (is empty or not a text|holds half a character)"
        with pytest.raises(CourseError, match=message):
            predict_table(model, table)
        file, out = tmp_path / "in.jsonl", tmp_path / "out.csv"
        jsonl(file, [asked, {**asked, column: cell}])
        _, printed, error = call("predict", model, file, "--out", out)
        assert re.search(rf"{message}|line 2, holds half a character", error)
        assert not printed
        assert not out.exists()


def test_a_column_that_is_missing_is_named(taught, tmp_path: Path) -> None:
    task, model = taught
    asked = CASES[task].asked
    for column in asked:
        row = {("sentence" if name == column else name): text for name, text in asked.items()}
        error = call("predict", model, jsonl(tmp_path / "in.jsonl", [row]))[2]
        assert f"The column '{column}' is missing; there are: {', '.join(row)}. " in error
        assert f"A model of {task} reads {' and '.join(asked)}: rename the columns." in error


def test_a_pair_is_cut_as_the_library_cuts_it() -> None:
    tokenizer = AutoTokenizer.from_pretrained(MODEL)
    rng = np.random.default_rng(0)
    for max_length in range(8, 24):
        pairs = [tuple("film " * n for n in rng.integers(0, 25, size=2)) for _ in range(60)]
        sides = map(list, zip(*pairs, strict=True))
        theirs = tokenizer(*sides, truncation=True, max_length=max_length)
        ours = tokenise(pairs, MODEL, max_length)
        assert ours.input_ids == theirs["input_ids"]
        assert ours.segments == theirs["token_type_ids"]
