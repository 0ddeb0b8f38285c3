import re

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from utils.lesson.comparing import Raised, difference

NAN = float("nan")


@pytest.mark.parametrize(
    ("expected", "got"),
    [
        (0.1 + 0.2, 0.3),
        (1, 1.0),
        (0.5, np.float32(0.5)),
        (NAN, NAN),
        (float("inf"), float("inf")),
        ("abc", "abc"),
        ([1, (2.0, "x")], (1, [2.0, "x"])),
        ({"a": [NAN]}, {"a": [NAN]}),
        ({1, 2}, {2, 1}),
        (np.array([1.0, NAN]), np.array([1.0, NAN], dtype=np.float32)),
        (np.array(["a", "b"]), np.array(["a", "b"])),
        (torch.tensor([1.0]), torch.tensor([1.0], dtype=torch.float64, requires_grad=True)),
        (torch.tensor([0.5]), torch.tensor([0.5], dtype=torch.bfloat16)),
        (Raised(ValueError("a")), Raised(ValueError("b"))),
    ],
)
def test_equal(expected: object, got: object) -> None:
    assert difference(expected, got) is None


@pytest.mark.parametrize(
    ("expected", "got", "reason"),
    [
        (0.3, 0.31, "value differs"),
        (0.3, NAN, "NaN"),
        (NAN, 0.3, "value differs"),
        (float("inf"), 1e308, "value differs"),
        (1, True, "True or False"),
        (109_482_240, 109_482_241, "value differs"),
        (np.array([109_482_240]), np.array([109_482_241]), "1 of its 1 entries"),
        (0.5, torch.tensor(0.5), "should be a number, but is a torch tensor"),
        (torch.ones(2), np.ones(2), "should be a torch tensor, but is a NumPy array"),
        ([1.0], np.ones(1), "should be a list or tuple"),
        (np.ones((2, 3)), np.ones((3, 2)), r"shape should be \(2, 3\), but is \(3, 2\)"),
        (np.ones(2), np.ones(2, dtype=int), "should be floats, but are integers"),
        (torch.tensor([1]), torch.tensor([True]), "should be integers, but are True or False"),
        (np.zeros(3), np.array([0.0, NAN, NAN]), "2 of its 3 entries are not a number"),
        (np.zeros(3), np.array([0.0, 1.0, 0.0]), "1 of its 3 entries differ"),
        (np.array(["a"]), np.array(["b"]), "1 of its 1 entries"),
        ("abc", "abd", "value differs"),
        ([1, 2], [1], "2 items, but has 1"),
        ([1, [2, 3]], [1, [2, 4]], "item 1, in item 1"),
        ({"a": 1}, {"b": 1}, "keys"),
        ({"a": 1}, {"a": 2}, "under 'a'"),
        (1.0, None, "is None"),
        (1.0, ..., "Ellipsis"),
        (1.0, Raised(ValueError("x")), "exception"),
        (Raised(KeyError("x")), Raised(ValueError("x")), "another exception"),
    ],
)
def test_different(expected: object, got: object, reason: str) -> None:
    found = difference(expected, got)
    assert found is not None
    assert re.search(reason, found), found


def test_an_exercise_may_be_more_tolerant() -> None:
    assert difference(1.0, 1.04, tolerance=0.05) is None
    assert difference(np.array([1.0]), np.array([1.06]), tolerance=0.05) is not None


nested = st.recursive(
    st.one_of(st.floats(), st.integers(-9, 9), st.text(max_size=3), st.booleans()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=8,
)


@given(nested)
def test_everything_equals_itself(value: object) -> None:
    assert difference(value, value) is None
