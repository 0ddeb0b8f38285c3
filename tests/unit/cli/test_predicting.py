"""`course predict` and the files it reads, with a stub in place of a model."""

import csv
import errno
import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from utils import runtime
from utils.adaptation import saved
from utils.cli import predicting
from utils.cli.commands import app
from utils.cli.predicting import predict_file
from utils.errors import CourseError
from utils.sources.rows import read_rows

MODEL = Path("a-model")


class Model:
    """What stands in for a saved model: labels each text with itself in capitals."""

    def __init__(self) -> None:
        self.chunks: list[list[Any]] = []
        self.table: Any = None
        self.columns: tuple[str, ...] = ("label",)
        self.fails_at, self.failure = -1, CourseError("The model gave up.")

    def result_columns(self, model: Path) -> tuple[str, ...]:
        assert model == MODEL
        return self.columns

    def check_table(self, model: Path, table: dict[str, list[Any]]) -> None:
        assert model == MODEL
        self.table = table
        for number, text in enumerate(table["text"], start=1):
            if not isinstance(text, str) or not text.strip():
                raise CourseError(f"Row {number} is empty or not a text ({text!r}).")

    def predict_table(self, model: Path, table: dict[str, list[Any]]) -> list[dict[str, Any]]:
        if len(self.chunks) == self.fails_at:
            raise self.failure
        self.chunks.append(table["text"])
        return [{name: text.upper() for name in self.columns} for text in table["text"]]


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Model:
    stub = Model()
    for name in ("result_columns", "check_table", "predict_table"):
        monkeypatch.setattr(saved, name, getattr(stub, name))
    return stub


@pytest.fixture
def by_twos(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predicting, "_AT_ONCE", 2)


def written(folder: Path, content: str | bytes, name: str = "in.csv") -> Path:
    file = folder / name
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return file


def rows_of(file: Path) -> list[dict[str, str]]:
    with file.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def error_of(*arguments: Any) -> str:
    with pytest.raises(CourseError) as caught:
        predict_file(MODEL, *arguments)
    return str(caught.value)


# Reading.


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("in.csv", "id,text,text\n1,a,b\n", "in.csv has more than one column 'text'. Rename"),
        ("in.csv", "id;text\n1;a, b\n", "in.csv seem to be separated by ';'. Save it with commas"),
        ("in.csv", "id\ttext\n1\ta\n", "in.csv seem to be separated by tabs. Save it with commas"),
        ("in.csv", "a,b\n1,2\n\n3,4\n", "in.csv, line 3, has not as many cells"),
        ("in.csv", 'a,b\n1,"x\ny"\n1,"x\ny",z\n', "in.csv, line 4, has not as many cells"),
        ("in.csv", 'a,b\n1,2\n3,4,5\n', "there are columns (3, not 2)"),
        ("in.csv", 'a,b\n1,x\n2,"x\n3,y\n4,z\n', "in.csv, line 3, is no CSV: unexpected end"),
        ("in.csv", 'a,b\n1,"x" y\n', "in.csv, line 2, is no CSV"),
        ("in.csv", "\ntext\na\n", "in.csv, line 1, is empty. Write the names of the columns"),
        ("in.csv", "id,text\n", "in.csv holds no rows"),
        ("in.csv", "text\n\n\n", "in.csv holds no rows"),
        ("in.csv", "", "in.csv holds no rows"),
        ("in.csv", "text\na\né\n".encode("latin-1"), "in.csv, line 3, is not UTF-8"),
        ("in.jsonl", "\n\n", "in.jsonl holds no rows"),
        ("in.jsonl", '{"a": 1}\n\n{"a": 1, "b": 2, "a": 3}\n', "line 3, cannot be read: it has mo"),
        ("in.jsonl", '{"a": {"b": 1, "b": 2}}\n', "it has more than one value 'b'. Correct"),
        ("in.jsonl", '{"a": 1}\n{"a": "\\ud83d"}\n', "line 2, holds half a character ('\\ud83d')"),
        ("in.jsonl", '{"\\ude00": "a"}\n', "line 1, holds half a character"),
        ("in.jsonl", '{"a": 1}\n{"a": }\n', "line 2, is no JSON: Expecting value (character 7)"),
        ("in.jsonl", "[" * 100_000, "line 1, cannot be read"),
        ("in.jsonl", '{"a": 1}\n5\n', "line 2, is no JSON object"),
        ("in.tsv", "a\tb\n", "in.tsv ends neither in .csv nor in .jsonl"),
    ],
)  # fmt: skip
def test_what_is_no_table(tmp_path: Path, name: str, content: str | bytes, message: str) -> None:
    with pytest.raises(CourseError) as caught:
        read_rows(written(tmp_path, content, name))
    assert message in str(caught.value)


def test_only_the_end_of_a_line_separates_objects(tmp_path: Path) -> None:
    text = "a\u2028b\u0085c\x1cd"
    line = json.dumps({"text": text}, ensure_ascii=False).replace("\\u001c", "\u2029")
    file = written(tmp_path, f"{line}\r\n\r\n" + '{"other": NaN}\n', "in.jsonl")
    first, second = read_rows(file)
    assert first == {"text": text.replace("\x1c", "\u2029")}
    assert list(second) == ["other"]


def test_the_halves_of_a_character_together_are_one(tmp_path: Path) -> None:
    file = written(tmp_path, '{"text": "\\ud83d\\ude00"}\n', "in.jsonl")
    assert read_rows(file) == [{"text": "😀"}]


def test_a_blank_line_is_a_row_of_one_column_but_not_at_the_end(tmp_path: Path) -> None:
    file = written(tmp_path, "text\na\n\nb\n\n\n")
    assert [row["text"] for row in read_rows(file)] == ["a", "", "b"]
    assert read_rows(written(tmp_path, "a,b\n1,2\n\n")) == [{"a": "1", "b": "2"}]
    assert read_rows(written(tmp_path, 'text\na\n""\n'))[1:] == [{"text": ""}]


def test_cells_are_kept_as_they_are(tmp_path: Path) -> None:
    file = written(tmp_path, '\ufeff"text",n\r\n"a\r\nb; ""c""", 1\r\n')
    assert read_rows(file) == [{"text": 'a\r\nb; "c"', "n": " 1"}]


def test_endings_in_capitals(tmp_path: Path) -> None:
    assert read_rows(written(tmp_path, "text\na\n", "A.CSV")) == [{"text": "a"}]
    assert read_rows(written(tmp_path, '{"text": 1}', "A.JsonL")) == [{"text": 1}]


def test_what_is_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CourseError, match=r"There is no file .*in\.csv"):
        read_rows(tmp_path / "in.csv")
    (tmp_path / "in.csv").mkdir()
    with pytest.raises(CourseError, match=r"in\.csv is a folder\. Give a file"):
        read_rows(tmp_path / "in.csv")
    with pytest.raises(CourseError, match=r"Cannot read .*x\.csv \(Not a directory\)"):
        read_rows(written(tmp_path, "a\n", "file") / "x.csv")

    def refuse(self: Path) -> bytes:
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(CourseError, match=r"Cannot read .*mine\.csv \(Permission denied\)"):
        read_rows(written(tmp_path, "a\n", "mine.csv"))


# What is wrong with the call is found before anything is read or predicted.


def test_places_for_the_results(tmp_path: Path, model: Model) -> None:
    file = written(tmp_path, "text\na\n")
    os.link(file, tmp_path / "hard.csv")
    (tmp_path / "soft.csv").symlink_to(file)
    (tmp_path / "dangling.csv").symlink_to(tmp_path / "nowhere.csv")
    (tmp_path / "folder.csv").mkdir()
    written(tmp_path, "mine", "taken.csv")
    written(tmp_path, "mine", "new.part.csv")
    before = {path.name for path in tmp_path.iterdir()}
    for name, message in {
        "out.txt": "out.txt ends neither in .csv nor in .jsonl",
        "in.csv": "The results would replace",
        "hard.csv": "The results would replace",
        "soft.csv": "The results would replace",
        "folder.csv": "folder.csv is a folder. Give --out the name of a file.",
        "taken.csv": "taken.csv exists already. Give --out another name, or remove it.",
        "dangling.csv": "dangling.csv exists already",
        "new.csv": "new.part.csv exists already; an interrupted call leaves",
        "taken.csv/out.csv": "Cannot write",
    }.items():
        assert message in error_of(file, tmp_path / name), name
    assert model.chunks == []
    assert {path.name for path in tmp_path.iterdir()} == before
    assert (tmp_path / "taken.csv").read_text() == "mine"
    assert file.read_text() == "text\na\n"


def test_the_place_is_looked_at_before_the_file(tmp_path: Path) -> None:
    file, out = tmp_path / "in.csv", written(tmp_path, "mine", "out.csv")
    assert "out.csv exists already" in error_of(file, out)
    assert "ends neither in .csv nor in .jsonl" in error_of(file, tmp_path / "out")
    assert "There is no file" in error_of(file, tmp_path / "new.csv")


def test_of_two_calls_at_a_time_one_is_refused(
    tmp_path: Path, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = tmp_path / "out.part.csv"
    monkeypatch.setattr(saved, "check_table", lambda *_: part.write_text("of the other"))
    message = error_of(written(tmp_path, "text\na\n"), tmp_path / "out.csv")
    assert f"Cannot write {part} (File exists)" in message
    assert part.read_text() == "of the other"
    assert model.chunks == []


def test_folders_are_made(tmp_path: Path, model: Model) -> None:
    out = tmp_path / "a" / "b" / "out.csv"
    assert predict_file(MODEL, written(tmp_path, "text\na\n"), out) == 1
    assert rows_of(out) == [{"text": "a", "label": "A"}]


def test_no_result_takes_the_place_of_a_column(tmp_path: Path, model: Model) -> None:
    lines = '{"text": "a"}\n{"text": "b", "label": "mine"}\n'
    out = tmp_path / "out.csv"
    message = error_of(written(tmp_path, lines, "in.jsonl"), out)
    assert "in.jsonl has a column 'label' already" in message
    assert model.chunks == []
    assert not out.exists()


@pytest.mark.usefixtures("by_twos")
def test_every_row_is_checked_before_the_first_is_predicted(tmp_path: Path, model: Model) -> None:
    file, out = written(tmp_path, "text\na\nb\nc\n\nd\n"), tmp_path / "new" / "out.csv"
    assert "Row 4 is empty or not a text ('')" in error_of(file, out)
    assert model.chunks == []
    assert not out.parent.exists()


def test_a_column_of_later_rows_counts_and_its_gaps_are_none(tmp_path: Path, model: Model) -> None:
    file = written(tmp_path, '{"id": 1}\n{"id": 2, "text": "a"}\n', "in.jsonl")
    assert "Row 1 is empty or not a text (None)" in error_of(file, None)
    assert model.table == {"id": [1, 2], "text": [None, "a"]}


# Writing.


@pytest.mark.usefixtures("by_twos")
def test_rows_are_predicted_some_at_a_time_and_all_written(tmp_path: Path, model: Model) -> None:
    file, out = written(tmp_path, "text\na\nb\nc\nd\ne\n"), tmp_path / "out.csv"
    assert predict_file(MODEL, file, out) == 5
    assert model.chunks == [["a", "b"], ["c", "d"], ["e"]]
    assert rows_of(out) == [{"text": text, "label": text.upper()} for text in "abcde"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.csv", "out.csv"]


@pytest.mark.usefixtures("by_twos")
@pytest.mark.parametrize("failure", [CourseError("It broke."), KeyboardInterrupt(), ValueError()])
def test_what_is_interrupted_keeps_its_rows(
    tmp_path: Path, model: Model, capsys: pytest.CaptureFixture[str], failure: BaseException
) -> None:
    model.fails_at, model.failure = 2, failure
    file, out = written(tmp_path, "text\na\nb\nc\nd\ne\n"), tmp_path / "out.csv"
    with pytest.raises(type(failure)) as caught:
        predict_file(MODEL, file, out)
    said = str(caught.value) + capsys.readouterr().err
    part = tmp_path / "out.part.csv"
    assert f"The first 4 of 5 rows are kept, with their results, in {part}." in said
    assert str(failure) in said
    assert not out.exists()
    assert [row["label"] for row in rows_of(part)] == list("ABCD")


def test_what_fails_at_once_leaves_nothing(tmp_path: Path, model: Model) -> None:
    model.fails_at = 0
    message = error_of(written(tmp_path, "text\na\n"), tmp_path / "out.csv")
    assert message == "The model gave up."
    assert [path.name for path in tmp_path.iterdir()] == ["in.csv"]


@pytest.mark.usefixtures("by_twos")
def test_a_full_disk_leaves_no_half_of_a_row(
    tmp_path: Path, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full_at_the_second_chunk(_: int) -> None:
        if len(model.chunks) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_at_the_second_chunk)
    file, out = written(tmp_path, "text\na\nb\nc\nd\n"), tmp_path / "out.jsonl"
    message = error_of(file, out)
    assert "out.part.jsonl (No space left on device). Free some space" in message
    assert "The first 2 of 4 rows are kept" in message
    kept = (tmp_path / "out.part.jsonl").read_text().splitlines()
    assert [json.loads(line)["label"] for line in kept] == ["A", "B"]


def test_what_came_up_meanwhile_is_not_replaced(tmp_path: Path, model: Model) -> None:
    file, out = written(tmp_path, "text\na\n"), tmp_path / "out.csv"
    predict_table = saved.predict_table

    def slow(*arguments: Any) -> Any:
        out.write_text("mine")
        return predict_table(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(saved, "predict_table", slow)
        message = error_of(file, out)
    assert "out.csv exists already" in message
    assert "The first 1 of 1 rows are kept" in message
    assert out.read_text() == "mine"
    assert rows_of(tmp_path / "out.part.csv") == [{"text": "a", "label": "A"}]


def test_csv_of_objects_with_different_keys(tmp_path: Path, model: Model) -> None:
    lines = [
        {"text": "a", "no": None, "tags": ["é", 1]},
        {"n": 2, "text": "b\nc", "deep": {"é": [None]}},
    ]
    content = "".join(json.dumps(line) + "\n" for line in lines)
    out = tmp_path / "OUT.CSV"
    predict_file(MODEL, written(tmp_path, content, "in.jsonl"), out)
    empty = dict.fromkeys(["text", "no", "tags", "n", "deep"], "")
    assert rows_of(out) == [
        empty | {"text": "a", "tags": '["é", 1]', "label": "A"},
        empty | {"n": "2", "text": "b\nc", "deep": '{"é": [null]}', "label": "B\nC"},
    ]
    assert list(rows_of(out)[0]) == ["text", "no", "tags", "n", "deep", "label"]


def test_a_result_that_was_not_announced_is_not_lost_silently(
    tmp_path: Path, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saved, "result_columns", lambda model: ())
    with pytest.raises(ValueError, match="label"):
        predict_file(MODEL, written(tmp_path, "text\na\n"), tmp_path / "out.csv")


def test_jsonl_keeps_each_row_as_it_is_and_can_be_read_again(tmp_path: Path, model: Model) -> None:
    lines = '{"text": "a\u2028b", "n": 1.5}\n{"more": [null], "text": "b"}\n'
    out = tmp_path / "out.jsonl"
    predict_file(MODEL, written(tmp_path, lines, "in.jsonl"), out)
    assert read_rows(out) == [
        {"text": "a\u2028b", "n": 1.5, "label": "A\u2028B"},
        {"more": [None], "text": "b", "label": "B"},
    ]


@pytest.mark.usefixtures("by_twos")
def test_stdout_is_utf_8_and_gets_rows_as_they_come(
    tmp_path: Path, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(content, encoding="latin-1"))
    model.fails_at = 1
    assert error_of(written(tmp_path, "text\nж\nb\nc\n"), None) == "The model gave up."
    lines = content.getvalue().decode("utf-8").splitlines()
    assert [json.loads(line)["text"] for line in lines] == ["ж", "b"]


def test_stdout_without_bytes(
    tmp_path: Path, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    predict_file(MODEL, written(tmp_path, "text\nж\n"), None)
    assert json.loads(sys.stdout.getvalue())["text"] == "ж"


def test_the_command_says_how_many_rows(tmp_path: Path, model: Model) -> None:
    file, out = written(tmp_path, "text\na\nb\n"), tmp_path / "out.csv"
    result = CliRunner().invoke(app, ["predict", str(MODEL), str(file), "--out", str(out)])
    assert (result.exit_code, result.stdout) == (0, f"{out}: 2 rows.\n")


STUBBED = """
import signal, time
from utils.adaptation import saved
from utils.cli import main, predicting

def predict_table(model, table):
    print("chunk", flush=True) if {announced} else None
    time.sleep({seconds})
    return [{{"label": "x"}} for _ in table["text"]]

signal.signal(signal.SIGINT, signal.default_int_handler)  # which a job in the background ignores
saved.predict_table, predicting._AT_ONCE = predict_table, 2
saved.check_table, saved.result_columns = lambda *_: None, lambda _: ("label",)
main()
"""


def process(file: Path, *arguments: str, **settings: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", STUBBED.format(**settings), "predict", "m", str(file), *arguments],
        cwd=runtime.project_root(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_a_reader_that_has_enough_hears_no_complaint(tmp_path: Path) -> None:
    file = written(tmp_path, "text\n" + "a\n" * 20)
    running = process(file, announced=False, seconds=0)
    assert running.stdout is not None
    running.stdout.close()
    assert running.stderr is not None
    assert running.stderr.read() == ""
    assert running.wait(60) == 1
    running.stderr.close()


def test_ctrl_c_keeps_the_rows_and_its_exit_status(tmp_path: Path) -> None:
    file, out = written(tmp_path, "text\n" + "a\n" * 400), tmp_path / "out.csv"
    running = process(file, "--out", str(out), announced=True, seconds=0.3)
    assert running.stdout is not None
    for _ in range(3):
        assert running.stdout.readline() == "chunk\n"
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=60)
    assert running.returncode == 130
    assert "Traceback" not in said
    kept = rows_of(tmp_path / "out.part.csv")
    assert f"The first {len(kept)} of 400 rows are kept" in said
    assert len(kept) >= 4
    assert not out.exists()
