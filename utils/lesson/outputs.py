"""What a lesson puts on the page: Markdown with a plain text beside it, figures, evidence.

Everything a reader sees is Markdown (with `<details>` for what is folded), because every front end
renders it in its own light or dark theme: JupyterLab, Colab, GitHub, VS Code, nbconvert. Where
nothing renders it, the plain text is printed.
"""

import html
import io
import json
import re
from typing import TYPE_CHECKING, Any, Protocol

from utils.errors import CourseError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EVIDENCE = "application/vnd.course.evidence+json"
SKIPPED = "application/vnd.course.skipped+json"


class Markdown(Protocol):
    """Anything with a Markdown form, such as a table of `utils.report`."""

    def markdown(self) -> str:
        """The Markdown text."""
        ...


def shell() -> Any:
    """The running IPython shell, or None in plain Python."""
    try:
        from IPython.core.getipython import get_ipython
    except ImportError:
        return None
    return get_ipython()


def framed(page: str, title: str, height: int) -> str:
    """An HTML page in a frame of its own, `height` pixels high."""
    return (
        f'<iframe title="{title}" srcdoc="{html.escape(page)}" style="width:100%;height:{height}px;'
        'box-sizing:border-box;border:1px solid #8888;border-radius:6px"></iframe>'
    )


def show(markdown: str, plain: str, **more: Any) -> None:
    """Display `markdown`, or print `plain` where nothing renders Markdown.

    Args:
        markdown: the text for notebooks.
        plain: the same for terminals.
        more: further forms by MIME type.
    """
    if shell() is None:
        print(plain)
        return
    from IPython.display import display

    display({"text/markdown": markdown, "text/plain": plain, **more}, raw=True)


def folded(summary: str, body: str) -> str:
    """Markdown of a fold that opens on a click; needs no kernel. `summary` may hold `code`."""
    # Markdown is not rendered in a summary; without the blank lines, nor would it be in the body.
    summary = re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(summary, quote=False))
    return f"<details>\n<summary>{summary}</summary>\n\n{body.strip()}\n\n</details>\n"


def fenced(code: str, language: str = "python") -> str:
    """Markdown of a code block, whatever backticks the code holds."""
    fence = "```"
    while fence in code:
        fence += "`"
    # nbconvert gives code in an output the font of what is around it.
    return (
        '<div style="font-family: monospace">\n\n'
        f"{fence}{language}\n{code.rstrip()}\n{fence}\n\n</div>"
    )


def evidence(**counts: Any) -> None:
    """Leave proof in the notebook of what a lesson did; the suite's audit adds it up.

    Args:
        counts: such as `records=3`, `optimiser_steps=120`, `device="cpu"`.
    """
    _emit(EVIDENCE, counts, "Evidence: " + ", ".join(_count(*item) for item in counts.items()))


def _count(name: str, value: Any) -> str:
    if name.endswith("_bytes"):
        name, value = name.removesuffix("_bytes"), f"{value / 1e9:.1f} GB"
    if isinstance(value, list):
        value = ", ".join(map(str, value))
    return f"{name.replace('_', ' ')} {value}"


def skipped(reason: str) -> None:
    """Say, to the reader and to the audit, that a part was left out and why."""
    _emit(SKIPPED, {"reason": reason}, f"Skipped: {reason}")


def _emit(mime: str, content: dict[str, Any], line: str) -> None:
    json.dumps(content)  # a value that cannot be stored is reported here and not by the kernel
    if shell() is None:
        print(line)
        return
    from IPython.display import display

    display({mime: content, "text/plain": line}, raw=True)


def show_figure(figure: "Figure", alt: str | None = None) -> None:
    """Display a matplotlib figure as PNG with a text for those who cannot see it, and close it.

    Args:
        figure: the figure.
        alt: what it shows, in words; by default its `alt_text`.

    Raises:
        CourseError: if there is no such text.
    """
    import matplotlib.pyplot as plt

    text = (alt or str(getattr(figure, "alt_text", ""))).strip()
    plt.close(figure)
    if not text:
        raise CourseError(
            "This figure has no text for those who cannot see it. "
            'Say in words what it shows: show_figure(figure, alt="…").'
        )
    if shell() is None:
        print(f"[Figure: {text}]")
        return
    from IPython.display import display

    image = io.BytesIO()
    figure.savefig(image, format="png", bbox_inches="tight", facecolor="white")
    content = {"image/png": image.getvalue(), "text/plain": f"[Figure: {text}]"}
    display(content, raw=True, metadata={"image/png": {"alt": text}})


def show_text(*sentences: str) -> None:
    """Display sentences, such as those that `utils.report.prose` makes, as one paragraph."""
    text = " ".join(sentences)
    show(text, text)


def show_table(table: Markdown) -> None:
    """Display a table of `utils.report`."""
    show(table.markdown(), table.markdown())
