"""Compare what a learner's code returned with what it should return, and say how they differ."""

from dataclasses import dataclass
from numbers import Integral, Number
from typing import Any

RTOL = 1e-5
ATOL = 1e-6


@dataclass(frozen=True)
class Raised:
    """The outcome of a call that raised an exception instead of returning."""

    error: BaseException

    def __repr__(self) -> str:
        return f"{type(self.error).__name__}: {self.error}"


def difference(expected: Any, got: Any, tolerance: float = 0.0) -> str | None:
    """How `got` differs from `expected`, as a clause for the learner; None if they are equal.

    Integers must be equal exactly; other numbers and the entries of arrays and tensors within rtol
    1e-5 and atol 1e-6, or within `tolerance` if that is larger; NaN equals NaN. Precision (float32
    or float64) does not matter, but the kind of value does: array or tensor, integers or floats.
    Lists and tuples are compared item by item, dictionaries key by key.
    """
    if (wanted := _kind(expected)) != (kind := _kind(got)):
        return f"the result should be {wanted}, but is {kind}"
    if isinstance(expected, Raised):
        same = type(expected.error) is type(got.error)
        return None if same else "it raises another exception"
    if wanted == "a number":
        return _numbers(expected, got, tolerance)
    if wanted in ("a NumPy array", "a torch tensor"):
        return _arrays(_as_array(expected), _as_array(got), tolerance)
    if wanted == "a list or tuple":
        return _sequences(expected, got, tolerance)
    if isinstance(expected, dict):
        return _mappings(expected, got, tolerance)
    return None if _equal(expected, got) else "the value differs"


def _kind(value: Any) -> str:
    import numpy as np

    if value is None or value is ...:
        return str(value)
    if isinstance(value, Raised):
        return "an exception"
    if isinstance(value, bool | np.bool_):
        return "True or False"
    if isinstance(value, Number):
        return "a number"
    if isinstance(value, np.ndarray):
        return "a NumPy array"
    if _is_tensor(value):
        return "a torch tensor"
    names: dict[type, str] = {
        str: "a string",
        dict: "a dictionary",
        list: "a list or tuple",
        set: "a set",
    }
    names[tuple] = names[list]
    return names.get(type(value), f"an object of type {type(value).__name__}")


def _is_tensor(value: Any) -> bool:
    # Asked by name, so that comparing floats does not import torch.
    return any(f"{t.__module__}.{t.__name__}" == "torch.Tensor" for t in type(value).__mro__)


def _as_array(value: Any) -> Any:
    """A NumPy array of the values; half precision as float32, which NumPy knows."""
    if not _is_tensor(value):
        return value
    value = value.detach().cpu()
    return (value.float() if value.is_floating_point() else value).numpy()


def _numbers(expected: Any, got: Any, tolerance: float) -> str | None:
    import numpy as np

    if isinstance(expected, Integral) and isinstance(got, Integral):
        return None if abs(int(expected) - int(got)) <= tolerance else "the value differs"
    if np.isnan(got) and not np.isnan(expected):
        return "the result is not a number (NaN)"
    close = np.isclose(got, expected, rtol=RTOL, atol=max(ATOL, tolerance), equal_nan=True)
    return None if close else "the value differs"


def _arrays(expected: Any, got: Any, tolerance: float) -> str | None:
    import numpy as np

    if expected.shape != got.shape:
        return f"its shape should be {expected.shape}, but is {got.shape}"
    families = {"b": "True or False", "i": "integers", "u": "integers", "f": "floats"}
    wanted, family = (families.get(a.dtype.kind, str(a.dtype)) for a in (expected, got))
    if wanted != family:
        return f"its entries should be {wanted}, but are {family} ({got.dtype})"
    if expected.dtype.kind not in "fc":
        equal = expected == got
    else:
        missing = np.isnan(got) & ~np.isnan(expected)
        if missing.any():
            return f"{missing.sum()} of its {got.size} entries are not a number (NaN)"
        equal = np.isclose(got, expected, rtol=RTOL, atol=max(ATOL, tolerance), equal_nan=True)
    wrong = int((~equal).sum())
    return f"{wrong} of its {got.size} entries differ" if wrong else None


def _sequences(expected: Any, got: Any, tolerance: float) -> str | None:
    if len(expected) != len(got):
        return f"it should have {len(expected)} items, but has {len(got)}"
    for position, (wanted, item) in enumerate(zip(expected, got, strict=True)):
        if (reason := difference(wanted, item, tolerance)) is not None:
            return f"in item {position}, {reason}"
    return None


def _mappings(expected: dict, got: dict, tolerance: float) -> str | None:
    if expected.keys() != got.keys():
        return f"its keys should be {sorted(map(str, expected))}, but are {sorted(map(str, got))}"
    for key, wanted in expected.items():
        if (reason := difference(wanted, got[key], tolerance)) is not None:
            return f"under {key!r}, {reason}"
    return None


def _equal(expected: Any, got: Any) -> bool:
    try:
        return bool(expected == got)
    except Exception:  # such as the ambiguous truth of a DataFrame
        return False
