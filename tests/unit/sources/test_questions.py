"""The embedded questions: offsets, splits by paragraph, no repetition, and how hard they are."""

import re
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from utils import sources
from utils.adaptation.span_baseline import overlap_answer
from utils.sources import embedded
from utils.tasks.question_answering import load, score


@cache
def rows(dataset_id: str = "rajpurkar/squad_v2") -> list[dict[str, Any]]:
    dataset, _ = sources.load_dataset(dataset_id, profile="smoke")
    return [{**row, "split": split} for split in dataset for row in dataset[split]]


def words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9]+", text.lower())


def test_size() -> None:
    plain = rows("rajpurkar/squad")
    assert len({row["title"] for row in plain}) >= 60
    assert len(plain) >= 5 * 60
    assert all(row["answers"]["text"] for row in plain)
    unanswerable = [row for row in rows() if not row["answers"]["text"]]
    assert len(rows()) - len(plain) == len(unanswerable) >= 60


def test_every_reference_stands_at_its_offset_between_whole_words() -> None:
    for row in rows():
        context, answers = row["context"], row["answers"]
        for text, start in zip(answers["text"], answers["answer_start"], strict=True):
            end = start + len(text)
            assert context[start:end] == text, row["id"]
            assert not context[start - 1 : start].isalnum() or start == 0, row["id"]
            assert text == text.strip()
        starts = [
            (a, a + len(text))
            for text, a in zip(answers["text"], answers["answer_start"], strict=True)
        ]
        assert len(set(starts)) == len(starts)


def test_no_paragraph_stands_in_two_splits_and_no_question_twice() -> None:
    splits: dict[str, set[str]] = {}
    for row in rows():
        splits.setdefault(row["context"], set()).add(row["split"])
    assert all(len(found) == 1 for found in splits.values())
    for column in ("id", "question"):
        counts = Counter(row[column].lower() for row in rows())
        assert [text for text, n in counts.items() if n > 1] == []


def test_paragraphs_differ() -> None:
    texts = list({row["context"] for row in rows()})
    sets = [set(words(text)) for text in texts]
    closest = max(len(a & b) / len(a | b) for i, a in enumerate(sets) for b in sets[i + 1 :])
    assert closest < 0.35
    openings = Counter(" ".join(words(text)[:2]) for text in texts)
    assert openings.most_common(1)[0][1] <= 3


def test_questions_open_in_many_ways() -> None:
    openings = Counter(" ".join(words(row["question"])[:2]) for row in rows())
    assert openings.most_common(1)[0][1] <= 0.1 * len(rows())
    assert all(row["question"].endswith("?") for row in rows())


def test_where_an_answer_stands_tells_little() -> None:
    """A third of the answers in each third of the paragraph, more or less."""
    places = [
        row["answers"]["answer_start"][0] / len(row["context"]) for row in rows("rajpurkar/squad")
    ]
    shares = np.histogram(places, bins=3, range=(0, 1))[0] / len(places)
    assert shares.min() > 0.2


def test_comparing_words_does_not_solve_it() -> None:
    test = load("rajpurkar/squad", profile="smoke", validation_limit=0).test
    pairs = zip(test.questions, test.contexts, strict=True)
    metrics, _ = score(np.array([overlap_answer(*pair) for pair in pairs]), test)
    assert 0.1 <= metrics["answer_f1"] <= 0.26  # 0.255 on SQuAD
    assert metrics["exact_match"] <= 0.18


def test_the_data_sheet_says_what_a_user_has_to_know() -> None:
    folder = embedded.CORPORA / "questions"
    sheet = Path(folder / "README.md").read_text("utf-8")
    for word in ("Licence: CC BY 4.0", "Known limits", "How it was written", "Measured difficulty"):
        assert word in sheet
    for name in ("train", "validation", "unanswerable-train", "unanswerable-validation"):
        n = len((folder / f"{name}.jsonl").read_text("utf-8").splitlines())
        assert re.search(rf"\| `{name}\.jsonl` \| \d+ \| {n} \|", sheet), name
    _, source = sources.load_dataset("rajpurkar/squad", profile="smoke")
    assert source.licence == "CC BY 4.0, the authors of this course."
