"""Values for the parameters of notebooks: read from the command line, checked early."""

import ast
from collections.abc import Mapping, Sequence
from typing import Any

from utils.errors import CourseError
from utils.suite.discovery import Notebook, Parameter


def parse_parameters(pairs: Sequence[str]) -> dict[str, Any]:
    """Turn ["RETRAIN=True", "N_TRAIN=64"] into {"RETRAIN": True, "N_TRAIN": 64}.

    A value that is no Python literal (nor `true`, `false`, `null`) is a text.

    Raises:
        CourseError: for anything that is not NAME=VALUE.
    """
    parameters = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name.isidentifier():
            raise CourseError(f"A parameter is given as NAME=VALUE, not as {pair!r}.")
        parameters[name] = _value(value)
    return parameters


def _value(text: str) -> Any:
    words = {"true": True, "false": False, "null": None}
    if text in words:
        return words[text]
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def check_parameters(notebook: Notebook, parameters: Mapping[str, Any]) -> None:
    """Refuse parameters that `notebook` does not have, and values of another type.

    A whole number is taken for a float; otherwise the type must be that of the default, because
    papermill would inject anything. Papermill itself only warns of unknown names.

    Raises:
        CourseError: naming the notebook, what was given and what it accepts.
    """
    known = notebook.parameters
    for name, value in parameters.items():
        if name not in known:
            accepted = ", ".join(known) or "none (no cell is tagged `parameters`)"
            raise CourseError(
                f"{notebook.name} has no parameter {name!r}. Its parameters: {accepted}."
            )
        if not _fits(known[name], value):
            raise CourseError(
                f"{notebook.name}: parameter {name} takes a {known[name].type.__name__} "
                f"(default {known[name].default!r}), not {value!r} ({type(value).__name__})."
            )


def _fits(parameter: Parameter, value: Any) -> bool:
    if parameter.default is None:
        return value is None or type(value) in (bool, int, float, str, list, dict)
    if parameter.type is float:
        return type(value) in (int, float)
    return type(value) is parameter.type
