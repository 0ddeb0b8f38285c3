"""How often a reader should keep silent: a figure for everyone, and one to play with."""

import json
from typing import TYPE_CHECKING, Any

from utils.lesson.outputs import framed, shell

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import NDArray


def threshold_curve(
    margins: "NDArray[Any]", f1: "NDArray[Any]", answerable: "NDArray[Any]"
) -> list[dict[str, float]]:
    """What each threshold leads to, from silence on all questions to an answer to each.

    Args:
        margins: (n,) by how much "no answer" is more probable than the best span.
        f1: (n,) F1 of the best span; 0 where there is no answer.
        answerable: (n,) whether there is one.

    Returns:
        For each threshold: `threshold`; `answered`, the share of questions that get an answer;
        `precision`, the mean F1 of these (1 if there are none); `recall`, the mean F1 over the
        questions that have an answer; `f1`, the mean over all questions, where silence is right if
        there is no answer.
    """
    points = []
    for threshold in [margins.min() - 1, *sorted(set(margins.tolist()))]:
        answers = margins <= threshold
        given = f1 * answers
        points.append(
            {
                "threshold": float(threshold),
                "answered": float(answers.mean()),
                "precision": float(f1[answers].mean()) if answers.any() else 1.0,
                "recall": float(given[answerable].mean()),
                "f1": float((given + (~answers & ~answerable)).mean()),
            }
        )
    return points


def threshold_figure(points: list[dict[str, float]]) -> "Figure":
    """Two panels: precision against recall, and the mean F1 by threshold."""
    import matplotlib
    from matplotlib.figure import Figure

    from utils.report.figures import theme

    best = max(points, key=lambda point: point["f1"])
    with matplotlib.rc_context(theme()):
        figure = Figure(figsize=(9.6, 3.4), dpi=100, layout="constrained")
        left, right = figure.subplots(1, 2)
        left.plot([p["recall"] for p in points], [p["precision"] for p in points], marker=".")
        left.set_xlabel("Recall: mean F1 over questions with an answer")
        left.set_ylabel("Precision: mean F1 of answers given")
        right.plot([p["threshold"] for p in points], [p["f1"] for p in points], marker=".")
        right.axvline(best["threshold"], color="black", linestyle=":", label="best threshold")
        right.set_xlabel("Threshold for the margin (log-probabilities)")
        right.set_ylabel("Mean F1, all questions")
        right.legend()
    figure.alt_text = (  # type: ignore[attr-defined]
        "Left, precision against recall as the threshold grows; right, the mean F1 over all "
        f"questions, at its best {best['f1']:.2f} where {best['answered']:.0%} of the questions "
        f"are answered; it is {points[0]['f1']:.2f} if none is and {points[-1]['f1']:.2f} if all "
        "are."
    )
    return figure


def show_threshold(points: list[dict[str, float]]) -> None:
    """Let the reader move the threshold. Needs no kernel and no network.

    Where HTML does not run, a line of text stands in its place; show `threshold_figure` beside it.
    """
    text = "[Interactive threshold: open this notebook in JupyterLab or Colab and run this cell.]"
    if shell() is None:
        print(text)
        return
    from IPython.display import display

    display({"text/html": threshold_html(points), "text/plain": text}, raw=True)


def threshold_html(points: list[dict[str, float]]) -> str:
    """The page of `show_threshold`, in a frame of its own; colours suit light and dark themes."""
    data = [{name: round(value, 4) for name, value in point.items()} for point in points]
    page = _PAGE.replace("%DATA%", json.dumps(data)).replace("%LAST%", str(len(points) - 1))
    return framed(page, "Threshold of no answer", 200)


_PAGE = """<!doctype html><meta charset=utf-8>
<style>
body{font:16px/1.6 sans-serif;margin:12px;background:#fff;color:#111}
@media(prefers-color-scheme:dark){body{background:#1c1c1c;color:#eee}}
input{width:100%}meter{width:14em;vertical-align:middle}td{padding-right:12px}
</style>
<label>Threshold <output id=shown></output>
<input id=place type=range min=0 max=%LAST% value=0 aria-label="Threshold"></label>
<table id=rows></table>
<script>
const data=%DATA%,place=document.getElementById('place'),rows=document.getElementById('rows');
const names={answered:'Questions answered',precision:'Precision',recall:'Recall',
  f1:'Mean F1, all questions'};
function draw(){
  const point=data[+place.value];rows.replaceChildren();
  document.getElementById('shown').textContent=point.threshold.toFixed(2);
  for(const [key,name] of Object.entries(names)){
    const row=rows.insertRow();row.insertCell().textContent=name;
    row.insertCell().textContent=(100*point[key]).toFixed(1)+' %';
    const bar=document.createElement('meter');bar.value=point[key];row.insertCell().append(bar)}}
place.oninput=draw;place.value=Math.floor(data.length/2);draw();
</script>"""
