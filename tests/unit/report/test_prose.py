"""Sentences say what the records say."""

import numpy as np
import pytest

from utils.report import prose, statistics


def right(n: int) -> np.ndarray:
    """`n` correct answers of 200."""
    return np.arange(200) < n


@pytest.fixture
def records(make_record):
    sizes = {16: (140, 100), 64: (150, 120), 2000: (166, 150)}
    return [
        make_record(method, n, seed, correct=np.roll(right(pair[index]), 5 * seed))
        for n, pair in sizes.items()
        for index, method in enumerate(("full", "tfidf"))
        for seed in (0, 1)
    ]


def test_accuracy_and_paired_difference(records):
    sentence = prose.accuracy_sentence(records, "full", 2000, against="tfidf")
    assert sentence.startswith("With 2,000 labels, fine-tuning reaches 83.0 % (95 % interval ")
    assert "2 seeds), 8.0 points above TF-IDF + logistic regression" in sentence
    full = [r for r in records if (r.spec.method, r.spec.n_train) == ("full", 2000)]
    tfidf = [r for r in records if (r.spec.method, r.spec.n_train) == ("tfidf", 2000)]
    difference = statistics.paired_difference(full, tfidf)
    assert f"{100 * difference.low:.1f}–{100 * difference.high:.1f}" in sentence


def test_below_turns_the_interval_round(records):
    sentence = prose.accuracy_sentence(records, "tfidf", 2000, against="full")
    above = prose.accuracy_sentence(records, "full", 2000, against="tfidf")
    assert "8.0 points below fine-tuning" in sentence
    assert sentence.split("difference ")[1] == above.split("difference ")[1]


def test_labels_needed(records):
    assert prose.labels_needed_sentence(records, "full", 0.72) == (
        "Fine-tuning reaches 72.0 % with 64 labels, the smallest measured number that does "
        "(75.0 %)."
    )
    assert prose.labels_needed_sentence(records, "tfidf", 0.9) == (
        "TF-IDF + logistic regression does not reach 90.0 % in these runs; its best is 75.0 % "
        "with 2,000 labels."
    )


def test_same_as(records):
    assert prose.same_as_sentence(records, "tfidf", 2000, "full") == (
        "What TF-IDF + logistic regression reaches with 2,000 labels (75.0 %), fine-tuning reaches "
        "with 64 labels (75.0 %)."
    )
    assert "does not reach with up to 2,000 labels" in prose.same_as_sentence(
        records, "full", 2000, "tfidf"
    )


def test_cost(records):
    assert prose.cost_sentence(records, "full", 64) == (
        "Fine-tuning with 64 labels took 3.2 seconds and 1.3 × 10¹¹ FLOPs in the encoder per run "
        "on Test CPU (2 threads)."
    )


def test_what_was_not_measured_is_said(records):
    for sentence in (
        prose.accuracy_sentence(records, "frozen", 64),
        prose.accuracy_sentence(records, "full", None),
        prose.labels_needed_sentence(records, "frozen", 0.5),
        prose.same_as_sentence(records, "full", 64, "frozen"),
        prose.cost_sentence(records, "full", 500),
    ):
        assert "nothing has been measured" in sentence


def test_overview_names_the_best_and_the_few_label_leader(records):
    text = prose.overview(records)
    assert "the best of 2 methods is fine-tuning with 2,000 labels: 83.0 %" in text
    assert "With only 16 labels, fine-tuning leads with 70.0 %" in text
    assert "20.0 points above TF-IDF" in text


def test_overview_leaves_out_methods_that_the_code_no_longer_knows(make_record):
    record = make_record(correct=right(150))
    gone = record.model_copy(update={"spec": record.spec.model_copy(update={"method": "gone"})})
    assert "fine-tuning with 64 labels reaches 75.0 %" in prose.overview([gone, record])


def test_an_oracle_is_not_called_the_best_method(make_record):
    share = {"oracle-extractive": 150, "lead": 120, "lead-3": 100}
    records = [
        make_record(
            method,
            None,
            correct=right(n_right),
            task="summarisation",
            dataset="knkarthick/dialogsum",
            metrics=dict.fromkeys(("rouge_1", "rouge_2", "rouge_l"), n_right / 200),
            answers=dict.fromkeys(("rouge_1", "rouge_2", "rouge_l"), right(n_right)),
        )
        for method, n_right in share.items()
    ]
    assert "the best of 2 methods is first k with all labels: 60.0 %" in prose.overview(records)
    assert "oracle, sees the summary with all labels reaches 75.0 %" in prose.overview(records[:1])


def test_describe_tells_everything_of_a_record(make_record):
    record = make_record(correct=right(150), kind="embedded")
    text = prose.describe(record)
    for wanted in (
        f"# Record {record.key}",
        "- Method: Fine-tuning (full)",
        "- Labels: 64 of 5,000",
        "- accuracy: 0.7500",
        "- wall_seconds: 3.2",
        "embedded (sentiment), content 1111222233334444",
        "- Code: commit 0000",
        "torch 2.13.0",
        "test split, 200 examples",
    ):
        assert wanted in text
    assert "stale" not in text


def test_describe_says_documents_and_hidden_tokens_of_pretraining(make_pretraining):
    text = prose.describe(make_pretraining())
    assert "- Documents: all of 5,000" in text
    assert "- Evaluated on: test split, 200 hidden tokens" in text


def test_describe_tells_stale_records_and_trials(make_record):
    assert "(stale" in prose.describe(make_record(versions={"task": 1, "method": 0}))
    assert "a trial of hyper-parameters" in prose.describe(make_record(split="validation"))


@pytest.mark.parametrize(
    ("method", "words"),
    [
        ("full", "fine-tuning"),
        ("lora", "LoRA"),
        ("tfidf", "TF-IDF"),
        ("top-layers", "top 2 layers"),
    ],
)
def test_names_keep_their_capital_inside_a_sentence(make_record, method, words):
    sentence = prose.accuracy_sentence([make_record(method, 64, 0, correct=right(150))], method, 64)
    assert f"With 64 labels, {words}" in sentence
