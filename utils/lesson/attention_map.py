"""Attention weights of a sentence: a figure for everyone, and one to play with where HTML runs."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from utils.lesson.outputs import framed, shell

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import NDArray


def attention_figure(
    tokens: list[str],
    weights: "NDArray[Any]",
    title: str,
    heads: Sequence[int] | None = None,
) -> "Figure":
    """One heat map per head, rows queries and columns keys, on one scale from 0 to 1.

    Args:
        tokens: the n tokens of the sentence.
        weights: (heads, n, n).
        title: what is shown.
        heads: the number of each head, where they are not the first ones.
    """
    import matplotlib
    from matplotlib.figure import Figure

    from utils.report.figures import theme

    numbers = list(heads or range(1, len(weights) + 1))
    columns = 2 if len(tokens) > 14 and len(weights) <= 4 else 4  # room for the names of tokens
    rows = -(-len(weights) // columns)
    with matplotlib.rc_context({**theme(), "axes.grid": False}):
        size = (9.6, (2.5 if columns == 4 else 4.2) * rows + 0.7)
        figure = Figure(figsize=size, dpi=100, layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
        for head, (ax, table) in enumerate(zip(axes.flat, weights, strict=False)):
            image = ax.imshow(table, cmap="cividis", vmin=0, vmax=1)
            ax.set_title(f"Head {numbers[head]}", fontsize="small")
            ax.set_xticks(range(len(tokens)), tokens, rotation=90, fontsize=8)
            ax.set_yticks(range(len(tokens)), tokens, fontsize=8)
        for ax in axes.flat[len(weights) :]:
            ax.set_axis_off()
        figure.colorbar(image, ax=axes, shrink=0.6, label="Weight")
        figure.suptitle(title, fontsize="medium")
        figure.supxlabel("Key: what is looked at", fontsize="small")
        figure.supylabel("Query: who looks", fontsize="small")
    strongest = [_strongest(tokens, table) for table in weights]
    figure.alt_text = (  # type: ignore[attr-defined]
        f"{title}: heat maps of attention weights, one per head. Keys with most weight on average: "
        + "; ".join(f"head {i} {name}" for i, name in zip(numbers, strongest, strict=True))
        + "."
    )
    return figure


def _strongest(tokens: list[str], table: "NDArray[Any]") -> str:
    return tokens[int(table.mean(axis=0).argmax())]


def show_attention(tokens: list[str], weights: "NDArray[Any]") -> None:
    """Let the reader choose layer, head and token and see where that token looks.

    Needs no kernel and no network. Where HTML does not run, a line of text stands in its place;
    show `attention_figure` beside it.

    Args:
        tokens: the n tokens of the sentence.
        weights: (layers, heads, n, n).
    """
    text = "[Interactive attention: open this notebook in JupyterLab or Colab and run this cell.]"
    if shell() is None:
        print(text)
        return
    from IPython.display import display

    display({"text/html": attention_html(tokens, weights), "text/plain": text}, raw=True)


def attention_html(tokens: list[str], weights: "NDArray[Any]") -> str:
    """The page of `show_attention`, in a frame of its own; colours suit light and dark themes."""
    data = json.dumps({"tokens": tokens, "weights": weights.round(3).tolist()}).replace(
        "<", "\\u003c"
    )
    layers = "".join(f"<option value={i}>{i + 1}</option>" for i in range(len(weights)))
    heads = "".join(f"<option value={i}>{i + 1}</option>" for i in range(weights.shape[1]))
    page = _PAGE.replace("%LAYERS%", layers).replace("%HEADS%", heads).replace("%DATA%", data)
    return framed(page, "Attention of a sentence, by layer and head", 230)


_PAGE = """<!doctype html><meta charset=utf-8>
<style>
body{font:16px/1.6 sans-serif;margin:12px;background:#fff;color:#111}
@media(prefers-color-scheme:dark){body{background:#1c1c1c;color:#eee}}
span{padding:3px 5px;margin:2px;border-radius:5px;display:inline-block;cursor:pointer;
  border:2px solid transparent}
span.chosen{border-color:#d55e00}small{opacity:.75;display:block;text-align:center;font-size:11px}
label{margin-right:16px}select{font:inherit}
</style>
<label>Layer <select id=layer>%LAYERS%</select></label>
<label>Head <select id=head>%HEADS%</select></label>
<p>Choose a token: shade and number say how much weight it gives to each other one.</p>
<div id=row role=list></div>
<script>
const data=%DATA%;let chosen=Math.min(1,data.tokens.length-1);
const row=document.getElementById('row');
function draw(){
  const l=+document.getElementById('layer').value,h=+document.getElementById('head').value;
  const weights=data.weights[l][h][chosen];row.replaceChildren();
  data.tokens.forEach((token,i)=>{
    const box=document.createElement('span');box.textContent=token;box.tabIndex=0;
    box.setAttribute('role','listitem');
    box.style.background='rgba(0,114,178,'+(weights[i]*.85)+')';
    if(i===chosen)box.className='chosen';
    const number=document.createElement('small');number.textContent=weights[i].toFixed(2);
    box.append(number);
    box.onclick=()=>{chosen=i;draw()};box.onkeydown=e=>{if(e.key==='Enter'){chosen=i;draw()}};
    row.append(box)})}
document.querySelectorAll('select').forEach(s=>s.onchange=draw);draw();
</script>"""
