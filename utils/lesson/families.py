"""The families of pre-trained models: what they read, how they are trained, who uses them.

What is known stands in `families.toml`, with its sources; lesson 01 shows it as a table and a map.
"""

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Family:
    """A kind of architecture with its usual pre-training objective."""

    name: str
    title: str
    reads: str
    gives: str
    objective: str
    good_for: str
    used: str


@dataclass(frozen=True)
class Model:
    """A published model, the year of its first public version, and where its label goes."""

    name: str
    family: str
    year: int
    millions: float
    published: str
    label: str = "right"


@cache
def _content() -> dict:
    return tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))


def families() -> list[Family]:
    """All families, in the order of the file."""
    return [Family(name, **facts) for name, facts in _content()["family"].items()]


def models(family: str | None = None) -> list[Model]:
    """The models of a family (of all of them), in order of year."""
    found = [Model(**entry) for entry in _content()["model"]]
    return sorted(
        (model for model in found if family in (None, model.family)), key=lambda m: m.year
    )


class FamilyTable:
    """The families side by side, one column each, with their models and sources."""

    def markdown(self) -> str:
        """The table in Markdown."""
        columns = families()
        rows = {
            "reads": [f.reads for f in columns],
            "gives": [f.gives for f in columns],
            "is pre-trained to": [f.objective for f in columns],
            "is good for": [f.good_for for f in columns],
            "is used in": [f.used for f in columns],
            "models": ["<br>".join(map(_cited, models(f.name))) for f in columns],
        }
        head = ["", *(f.title for f in columns)]
        lines = [head, ["---"] * len(head), *([f"**{name}**", *row] for name, row in rows.items())]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cited(model: Model) -> str:
    return f"{model.name} ({model.published})"


def family_map() -> "Figure":
    """Year against number of parameters (log scale), a colour and marker for each family."""
    import matplotlib
    from matplotlib.figure import Figure

    from utils.report.figures import theme

    with matplotlib.rc_context(theme()):
        figure = Figure(figsize=(8.4, 5.6), dpi=100, layout="constrained")
        ax = figure.subplots()
        for number, family in enumerate(families()):
            _draw_family(ax, family, number)
        ax.set_yscale("log")
        ax.set_xlabel("Year of the first public version")
        ax.set_ylabel("Parameters in millions (log scale)")
        ax.set_xlim(2017, 2025)
        ax.yaxis.set_major_formatter(lambda value, _: f"{value:,g}")
        figure.legend(frameon=False, loc="outside upper center", ncols=4)
    figure.alt_text = _alt_text()  # type: ignore[attr-defined]
    return figure


_PLACES: dict[str, Any] = {
    "left": {"xytext": (-8, 0), "horizontalalignment": "right"},
    "right": {"xytext": (8, 0), "horizontalalignment": "left"},
    "below": {"xytext": (0, -13), "horizontalalignment": "center"},
}


def _draw_family(ax: "Axes", family: Family, number: int) -> None:
    import seaborn as sns

    colour = sns.color_palette("colorblind")[number]
    members = models(family.name)
    x = [model.year for model in members]
    y = [model.millions for model in members]
    ax.scatter(x, y, s=70, color=colour, marker="osD^"[number], label=family.title, zorder=3)
    for model in members:
        ax.annotate(
            model.name, (model.year, model.millions), textcoords="offset points",
            fontsize="small", verticalalignment="center", **_PLACES[model.label],
        )  # fmt: skip


def _alt_text() -> str:
    listed = "; ".join(
        f"{family.title}: "
        + ", ".join(f"{m.name} {m.year}, {m.millions:,g} million" for m in models(family.name))
        for family in families()
    )
    return (
        "Scatter plot of pre-trained models, year against number of parameters on a log scale. "
        f"{listed}."
    )
