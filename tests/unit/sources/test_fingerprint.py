"""The fingerprint sees the content, all of it, and nothing of how Arrow stores it."""

import itertools
import re
from typing import Any

import pyarrow as pa
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, List, Value
from hypothesis import given, settings
from hypothesis import strategies as st

from utils.sources import fingerprint

FEATURES = Features(
    {
        "text": Value("string"),
        "score": Value("float64"),
        "label": ClassLabel(names=["no", "yes"]),
        "tokens": List(Value("string")),
        "answer": {"start": List(Value("int32")), "known": Value("bool")},
    }
)
Row = st.fixed_dictionaries(
    {
        "text": st.none() | st.text(max_size=5),
        "score": st.none() | st.floats(allow_nan=False),
        "label": st.none() | st.integers(0, 1),
        "tokens": st.none() | st.lists(st.none() | st.text(max_size=3), max_size=3),
        "answer": st.fixed_dictionaries(
            {"start": st.lists(st.integers(0, 9), max_size=3), "known": st.booleans()}
        ),
    }
)


def of(table: pa.Table, features: Features = FEATURES) -> str:
    from datasets import DatasetInfo

    return fingerprint.of_dataset(
        DatasetDict(train=Dataset(table, info=DatasetInfo(features=features)))
    )


def as_table(rows: list[Any]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=FEATURES.arrow_schema)


@settings(max_examples=40, deadline=None)
@given(rows=st.lists(Row, min_size=1, max_size=8), cuts=st.lists(st.integers(0, 8), max_size=3))
def test_chunks_and_slices_do_not_matter(rows: list[Any], cuts: list[int]) -> None:
    whole = as_table(rows)
    edges = [0, *sorted(min(cut, len(rows)) for cut in cuts), len(rows)]
    pieces = [whole.slice(a, b - a) for a, b in itertools.pairwise(edges)]
    padded = pa.concat_tables([whole.slice(0, 1), whole, whole.slice(0, 1)])
    inside = padded.combine_chunks().slice(1, len(rows))
    assert of(pa.concat_tables(pieces)) == of(inside) == of(whole)


@settings(max_examples=60, deadline=None)
@given(first=st.lists(Row, max_size=4), second=st.lists(Row, max_size=4))
def test_different_rows_differ(first: list[Any], second: list[Any]) -> None:
    # repr tells -0.0 from 0.0, as the fingerprint may.
    same = repr(as_table(first).to_pylist()) == repr(as_table(second).to_pylist())
    assert (of(as_table(first)) == of(as_table(second))) == same


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([{"text": "ab"}, {"text": "c"}], [{"text": "a"}, {"text": "bc"}]),
        ([{"text": ""}], [{"text": None}]),
        ([{"tokens": ["a"]}, {"tokens": []}], [{"tokens": []}, {"tokens": ["a"]}]),
        ([{"text": "a"}, {"text": "b"}], [{"text": "b"}, {"text": "a"}]),
        ([{"label": 0}], [{"label": 1}]),
    ],
)
def test_what_a_careless_hash_would_confuse(one: list[Any], other: list[Any]) -> None:
    assert of(as_table(one)) != of(as_table(other))


def test_bytes_under_a_null_do_not_matter() -> None:
    def column(hidden: int) -> pa.Table:
        values = pa.array([1, hidden, 3], pa.int64()).buffers()[1]
        valid = pa.py_buffer(bytes([0b101]))
        return pa.table({"n": pa.Array.from_buffers(pa.int64(), 3, [valid, values])})

    features = Features({"n": Value("int64")})
    assert column(7)["n"].to_pylist() == [1, None, 3]
    assert of(column(7), features) == of(column(8), features)


def test_names_features_splits_and_their_order_matter() -> None:
    def dataset(column: str, names: list[str]) -> Dataset:
        features = Features({column: ClassLabel(names=names)})
        return Dataset.from_dict({column: [0, 1]}, features=features)

    plain = dataset("label", ["no", "yes"])
    variants = [
        DatasetDict(train=plain),
        DatasetDict(test=plain),
        DatasetDict(train=plain, test=plain.select([0])),
        DatasetDict(test=plain.select([0]), train=plain),
        DatasetDict(train=dataset("label", ["yes", "no"])),
        DatasetDict(train=dataset("class", ["no", "yes"])),
    ]
    found = [fingerprint.of_dataset(variant) for variant in variants]
    assert len(set(found)) == len(found)
    assert all(re.fullmatch("[0-9a-f]{16}", value) for value in found)


def test_a_selection_has_the_fingerprint_of_its_rows() -> None:
    rows = Dataset.from_dict({"text": ["a", "b", "c"]})
    assert fingerprint.of_dataset(DatasetDict(train=rows.select([2, 0]))) == fingerprint.of_dataset(
        DatasetDict(train=Dataset.from_dict({"text": ["c", "a"]}))
    )
