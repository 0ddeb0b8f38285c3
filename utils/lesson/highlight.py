"""Sentences with their entities marked: HTML for notebooks, brackets in plain text."""

import html
from collections.abc import Iterable, Sequence

from utils.lesson.outputs import shell

Marked = tuple[str, int, int]
"""A kind, and the first and the last word (both included) that it covers."""

_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Okabe and Ito's, told apart by those who see fewer colours; the kind is written out besides."""


def show_entities(
    sentences: Sequence[tuple[Sequence[str], Iterable[Marked]]], kinds: Sequence[str] | None = None
) -> None:
    """Display sentences, each with its words and its entities, in a line of its own.

    With `kinds`, all that there are, each has the same colour wherever they are given. Where HTML
    does not run, entities stand in brackets with their kind.
    """
    plain = "\n".join(entities_text(*sentence) for sentence in sentences)
    if shell() is None:
        print(plain)
        return
    from IPython.display import display

    kinds = kinds or sorted({kind for _, marked in sentences for kind, _, _ in marked})
    rows = "".join(f"<p>{entities_html(*sentence, kinds)}</p>" for sentence in sentences)
    display({"text/html": f"<div>{rows}</div>", "text/plain": plain}, raw=True)


def entities_text(words: Sequence[str], marked: Iterable[Marked]) -> str:
    """`words` as one line in which "[Ada Lovelace: PER]" is an entity."""
    parts = [f"[{text}: {kind}]" if kind else text for text, kind in _pieces(words, marked, "…")]
    return " ".join(parts)


def entities_html(
    words: Sequence[str], marked: Iterable[Marked], kinds: Sequence[str] | None = None
) -> str:
    """The same as HTML in which nothing of the words or kinds is taken for markup.

    Args:
        words: the sentence.
        marked: its entities; they must not overlap.
        kinds: all that occur, so that each has the same colour in all sentences.

    Raises:
        ValueError: for entities that overlap or lie outside the sentence.
    """
    marked = sorted(marked, key=lambda each: each[1:])
    known = list(kinds) if kinds is not None else sorted({kind for kind, _, _ in marked})
    parts = []
    for text, kind in _pieces(words, marked, "…"):
        escaped = html.escape(text)
        if kind:
            colour = _COLOURS[known.index(kind) % len(_COLOURS)]
            escaped = (
                f'<mark style="background:none;color:inherit;border-bottom:3px solid {colour};'
                f'padding:0 2px">{escaped} <small><b>{html.escape(kind)}</b></small></mark>'
            )
        parts.append(escaped)
    return " ".join(parts)


def _pieces(words: Sequence[str], marked: Iterable[Marked], empty: str) -> list[tuple[str, str]]:
    """Text and kind, "" for what is no entity, from left to right; `empty` stands for no text."""
    pieces: list[tuple[str, str]] = []
    at = 0
    for kind, first, last in sorted(marked, key=lambda each: each[1:]):
        if not at <= first <= last < len(words):
            raise ValueError(f"{kind} at words {first} to {last} overlaps another or is outside")
        pieces += [(word, "") for word in words[at:first]]
        pieces.append((" ".join(words[first : last + 1]) or empty, kind))
        at = last + 1
    return pieces + [(word, "") for word in words[at:]]
