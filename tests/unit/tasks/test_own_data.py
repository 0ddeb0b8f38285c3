"""Files of the user: what their rows become in each task, how they are split, what is refused."""

import csv
import json
import tracemalloc
from pathlib import Path

import pytest

from utils.adaptation import METHODS
from utils.adaptation.saved import predict_table
from utils.errors import CourseError
from utils.experiments import Spec, adapt_and_keep
from utils.experiments.run import prepare
from utils.tasks import get_task, task_of
from utils.tasks.own_data import is_own


def write(file: Path, rows: list[dict]) -> str:
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.suffix == ".jsonl":
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        with file.open("w", newline="") as handle:
            writer = csv.DictWriter(handle, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    return str(file)


def load(dataset: str, task: str | None = None, validation_limit: int = 8, test_limit=None):
    return get_task(task or task_of(dataset)).load(
        dataset, profile="smoke", validation_limit=validation_limit, test_limit=test_limit
    )


N = 60
CONTEXTS = [f"In {1900 + i} the mill of Tarnholt{i} burned down." for i in range(N)]
ROWS = {
    "text-classification": [
        {"text": f"review number {i}", "label": ["good", "bad"][i % 2]} for i in range(N)
    ],
    "sentence-pairs": [
        {"text": f"q {i}", "text_pair": f"s {i}", "label": i % 3} for i in range(N)
    ],
    "tagging": [
        {"tokens": f"We saw Oslo {i}", "tags": "O O B-LOC I-LOC"} for i in range(N)
    ],
    "question-answering": [
        {"context": context, "question": "When?", "answer": context[3:7] if i % 4 else ""}
        for i, context in enumerate(CONTEXTS)
    ],
    "summarisation": [
        {"text": f"Ann came, at {i}. She sat.\nThen she left.", "summary": f"Ann came at {i}."}
        for i in range(N)
    ],
    "translation": [
        {"text": f"dog {i}", "translation": f"Hund {i}"} for i in range(N)
    ],
}  # fmt: skip


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
@pytest.mark.parametrize("task", ROWS)
def test_each_task_reads_its_columns_and_parts_the_rows(tmp_path: Path, task, ending) -> None:
    dataset = write(tmp_path / f"mine.{ending}", ROWS[task])
    assert is_own(dataset)
    assert task_of(dataset) == task
    splits = load(dataset)
    sizes = [len(part) for part in (splits.train, splits.validation, splits.test)]
    assert sizes == [40, 8, 12]
    assert splits.source.kind == "folder"
    again = load(dataset)
    assert again.source.fingerprint == splits.source.fingerprint
    changed = [*ROWS[task][:-1], {**ROWS[task][0]}]
    assert load(write(tmp_path / f"other.{ending}", changed)).source.fingerprint not in (
        splits.source.fingerprint,
    )
    assert len(load(dataset, test_limit=5).test) == 5


def test_what_the_columns_mean(tmp_path: Path) -> None:
    def of(task: str, ending: str = "jsonl"):
        return load(write(tmp_path / f"{task}.{ending}", ROWS[task]))

    texts = of("text-classification")
    assert texts.label_names == ["bad", "good"]
    by_text = {row["text"]: row["label"] for row in ROWS["text-classification"]}
    for part in (texts.train, texts.validation, texts.test):
        for text, label in zip(part.texts, part.labels, strict=True):
            assert by_text[text] == texts.label_names[label]
    assert of("sentence-pairs").label_names == ["0", "1", "2"]
    words = of("tagging", "csv")
    assert words.label_names == ["O", "B-LOC", "I-LOC"]
    assert words.test.tags[0].tolist() == [0, 0, 1, 2]
    assert words.test.texts[0][:3] == ["We", "saw", "Oslo"]
    asked = of("question-answering").train
    for context, span, answers in zip(asked.contexts, asked.spans, asked.answers, strict=True):
        assert (span is None) == (answers == [])
        assert span is None or context[slice(*span)] == answers[0]
    texts = of("summarisation").test
    assert texts.units[0][1:] == ["She sat.", "Then she left."]
    assert texts.summaries[0][0].startswith("Ann came at")
    pairs = of("translation").train
    assert all(
        a.split()[1] == b.split()[1] for a, b in zip(pairs.sources, pairs.targets, strict=True)
    )


@pytest.mark.parametrize(
    "answers",
    [["1900", "In 1900"], {"text": ["1900"], "answer_start": [3]}, "1900"],
)
def test_answers_in_other_forms(tmp_path: Path, answers) -> None:
    rows = [
        {"context": CONTEXTS[0], "question": f"When, {i}?", "answers": answers} for i in range(9)
    ]
    rows += [{"context": c, "question": "When?", "answers": []} for c in CONTEXTS[1:20]]
    dataset = write(tmp_path / "mine.jsonl", rows)
    assert task_of(dataset) == "question-answering"
    splits = load(dataset)
    found = [span for part in (splits.train, splits.validation, splits.test) for span in part.spans]
    assert [span for span in found if span] == [(3, 7)] * sum(span is not None for span in found)


def test_rows_with_the_same_text_stay_together(tmp_path: Path) -> None:
    rows = [
        {"text": f"review {i % 20}", "label": ["good", "bad"][i % 2]} for i in range(200)
    ]  # fmt: skip
    splits = load(write(tmp_path / "mine.csv", rows), validation_limit=30)
    parts = [set(part.texts) for part in (splits.train, splits.validation, splits.test)]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 20
    assert [len(part) for part in (splits.train, splits.validation, splits.test)] == [130, 30, 40]


def test_a_folder_keeps_its_own_splits(tmp_path: Path) -> None:
    rows = ROWS["text-classification"]
    write(tmp_path / "train.csv", rows[:40])
    write(tmp_path / "test.jsonl", [*rows[40:], rows[0]])
    splits = load(str(tmp_path))
    assert len(splits.test) == 21
    assert (len(splits.train), len(splits.validation)) == (31, 8)
    assert "left out because their text stands in another split: 1" in splits.source.note
    write(tmp_path / "dev.csv", rows[30:36])
    assert sorted(load(str(tmp_path)).validation.texts) == sorted(
        row["text"] for row in rows[30:36]
    )
    assert not is_own(str(tmp_path / "nothing"))
    assert not is_own("stanfordnlp/sst2")


def changed(task: str, **cells) -> list[dict]:
    return [*ROWS[task][:2], {**ROWS[task][2], **cells}, *ROWS[task][3:]]


@pytest.mark.parametrize(
    ("task", "cells", "message"),
    [
        ("text-classification", {"label": None}, r"row 3: the column 'label' holds None, not the"),
        ("text-classification", {"label": 0.5}, r"row 3: the column 'label' holds 0.5, not the"),
        ("text-classification", {"label": ""}, r"row 3: the column 'label' holds '', not the"),
        ("text-classification", {"text": " "}, r"row 3: the column 'text' holds ' ', not a text"),
        ("sentence-pairs", {"text_pair": 5}, r"row 3: the column 'text_pair' holds 5, not a text"),
        ("tagging", {"tags": "O O"}, r"row 3: there are 4 tokens and 2 tags"),
        ("tagging", {"tags": ["O", "O", "LOC", "O"]}, r"row 3: 'LOC' is no tag"),
        ("tagging", {"tokens": ["a", 1, "b", "c"]}, r"row 3: the column 'tokens' holds"),
        ("question-answering", {"answer": "1066"}, r"row 3: the answer '1066' does not stand in"),
        ("question-answering", {"answer": [1902]}, r"row 3: the column 'answer' holds \[1902\]"),
        ("tagging", {"tags": ["O", "O", "B-", "O"]}, r"row 3: 'B-' is no tag"),
        ("text-classification", {"label": "0.14"}, r"row 3: the column 'label' holds '0.14', not"),
        ("summarisation", {"summary": []}, r"row 3: the column 'summary' holds \[\], not a text"),
        ("translation", {"translation": None}, r"row 3: the column 'translation' holds None"),
    ],
)
def test_bad_rows_are_named(tmp_path: Path, task: str, cells: dict, message: str) -> None:
    dataset = write(tmp_path / "mine.jsonl", changed(task, **cells))
    with pytest.raises(CourseError, match=rf"mine\.jsonl, {message}"):
        load(dataset, task)


def test_files_that_do_not_fit(tmp_path: Path) -> None:
    odd = write(tmp_path / "odd.csv", [{"review": "fine", "stars": 5}] * 3)
    with pytest.raises(
        CourseError, match=r"columns of .*odd\.csv \(review, stars\) are those of no"
    ):
        task_of(odd)
    with pytest.raises(CourseError, match=r"no column 'text'; there are: review, stars"):
        load(odd, "text-classification")
    one = write(tmp_path / "one.csv", [{"text": f"t{i}", "label": "good"} for i in range(9)])
    with pytest.raises(CourseError, match=r"All rows have the same label, 'good'"):
        load(one)
    few = write(tmp_path / "few.csv", [{"text": "a", "label": 0}, {"text": "b", "label": 1}])
    with pytest.raises(CourseError, match="too few different rows"):
        load(few)
    with pytest.raises(CourseError, match="There is no file"):
        load(str(tmp_path / "none.csv"), "text-classification")


def test_a_model_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(METHODS["full"].defaults, "min_updates", 25)
    rows = [
        {"text": f"{i} {kind} film", "label": label}
        for i in range(30)
        for kind, label in (("warm and lovely", "yes"), ("cold and dull", "no"))
    ]
    dataset = write(tmp_path / "mine.csv", rows)
    record = adapt_and_keep(dataset, "full", None, tmp_path / "m", validation_limit=8)
    assert record.spec.task == "text-classification"
    assert record.metrics["accuracy"] > 0.9
    found = predict_table(tmp_path / "m", {"text": ["a lovely film", "a dull film"]})
    assert [row["label"] for row in found] == ["yes", "no"]


def test_a_summariser_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(METHODS["warm-start"].defaults, "min_updates", 4)
    dataset = write(tmp_path / "mine.jsonl", ROWS["summarisation"])
    model = tmp_path / "m"
    record = adapt_and_keep(dataset, "warm-start", 20, model, validation_limit=8)
    assert record.spec.task == "summarisation"
    (found,) = predict_table(model, {"text": ["Ann came, at 5. She sat.\nThen she left."]})
    assert set(found) == {"summary", "in_full"}
    (long,) = predict_table(model, {"text": ["Ann came, at 5. " * 9000]})
    assert not long["in_full"]


def test_an_answer_stands_where_its_offset_says(tmp_path: Path) -> None:
    context = "  Bo met Bo in Oslo."
    rows = [
        {
            "context": context,
            "question": f"Who, {i}?",
            "answers": {"text": ["Bo"], "answer_start": [9]},
        }
        for i in range(3)
    ]
    rows += [{"context": c, "question": "When?", "answer": c[3:7]} for c in CONTEXTS[:20]]
    splits = load(write(tmp_path / "mine.jsonl", rows))
    parts = (splits.train, splits.validation, splits.test)
    spans = {part.contexts[i]: part.spans[i] for part in parts for i in range(len(part))}
    assert spans.pop(context) == (9, 11)
    assert all(context[slice(*span)] == context[3:7] for context, span in spans.items())
    del rows[5]["answer"]
    with pytest.raises(CourseError, match=r"row 6: there is no column 'answer'"):
        load(write(tmp_path / "mine.jsonl", rows), "question-answering")


def test_texts_that_a_model_reads_alike_are_not_parted(tmp_path: Path) -> None:
    rows = [
        {"text": text, "label": label}
        for i in range(40)
        for text, label in ((f"Good  film {i}", "a"), (f"good film {i} ", "b"))
    ]
    splits = load(write(tmp_path / "mine.csv", rows))
    parts = [
        {" ".join(text.lower().split()) for text in part.texts}
        for part in (splits.train, splits.validation, splits.test)
    ]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 40


def test_pairs_that_share_either_text_are_not_parted(tmp_path: Path) -> None:
    rows = [
        {"text": a, "text_pair": b, "label": i % 2}
        for i in range(40)
        for a, b in ((f"a{i}", f"b{i}"), (f"b{i}", f"a{i}"), (f"c{i}", f"a{i}"))
    ]
    splits = load(write(tmp_path / "mine.csv", rows))
    parts = [
        {text for pair in part.texts for text in pair}
        for part in (splits.train, splits.validation, splits.test)
    ]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 120


def test_one_large_group_is_not_held_out_whole(tmp_path: Path) -> None:
    for seed in range(5):
        context = f"Big{seed} text with 1 answer."
        rows = [{"context": context, "question": f"q{i}", "answer": "answer"} for i in range(200)]
        rows += [{"context": f"{c} {seed}", "question": "q", "answer": c[3:7]} for c in CONTEXTS]
        splits = load(write(tmp_path / f"{seed}.jsonl", rows))
        assert len(splits.train) >= 200
        assert 10 <= len(splits.test) <= 80


def test_folders_without_a_split_or_with_two_files_for_one(tmp_path: Path) -> None:
    rows = ROWS["text-classification"]
    write(tmp_path / "train.csv", rows[:30])
    write(tmp_path / "val.csv", rows[30:])
    splits = load(str(tmp_path), validation_limit=100)
    assert [len(part) for part in (splits.train, splits.validation, splits.test)] == [24, 30, 6]
    assert len(load(str(tmp_path), validation_limit=None).validation) == 30
    write(tmp_path / "train.jsonl", rows)
    with pytest.raises(CourseError, match=r"more than one file for the split 'train'"):
        load(str(tmp_path), "text-classification")
    write(tmp_path / "other" / "data.csv", rows)
    with pytest.raises(CourseError, match=r"has no train\.csv"):
        load(str(tmp_path / "other"), "text-classification")
    (tmp_path / "mine.tsv").write_text("text\tlabel\n")
    with pytest.raises(CourseError, match=r"mine\.tsv ends neither in"):
        load(str(tmp_path / "mine.tsv"), "text-classification")


def test_a_long_text_costs_no_more_than_itself(tmp_path: Path) -> None:
    rows = [*ROWS["text-classification"], {"text": "long " * 200_000, "label": "good"}] * 20
    tracemalloc.start()
    load(write(tmp_path / "mine.jsonl", rows))
    assert tracemalloc.get_traced_memory()[1] < 400e6
    tracemalloc.stop()


def test_a_file_that_has_changed_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "mine.csv"
    spec = Spec(
        dataset=write(file, ROWS["text-classification"]), method="majority", validation_limit=8
    )
    first = prepare(spec)
    assert prepare(spec).splits is first.splits
    write(file, ROWS["text-classification"][:40])
    assert len(prepare(spec).splits.test) == 8
    assert prepare(spec).key != first.key
