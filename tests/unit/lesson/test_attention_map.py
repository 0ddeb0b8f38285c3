"""The attention of a sentence: a figure with words, and a page that holds the very weights."""

import html
import json
import re

import numpy as np
import pytest

from utils.lesson.attention_map import attention_figure, attention_html, show_attention


@pytest.fixture
def weights() -> np.ndarray:
    scores = np.random.default_rng(0).random((2, 3, 4, 4))
    return scores / scores.sum(axis=-1, keepdims=True)


TOKENS = ["[CLS]", "</script><b>", 'a"b', "[SEP]"]


def test_the_page_holds_tokens_and_weights_and_escapes_them(weights: np.ndarray) -> None:
    page = attention_html(TOKENS, weights)
    inner = html.unescape(re.search(r'srcdoc="([^"]*)"', page).group(1))
    assert inner.count("</script>") == 1  # a token cannot end the program
    data = json.loads(re.search(r"const data=(\{.*?\});let", inner).group(1))
    assert data["tokens"] == TOKENS
    np.testing.assert_allclose(data["weights"], weights, atol=5e-4)
    assert inner.count("<option") == 2 + 3
    assert "http" not in inner  # nothing is fetched


def test_the_figure_names_the_strongest_key_of_each_head(weights: np.ndarray) -> None:
    one_hot = np.zeros((3, 4, 4))
    for head, key in enumerate((0, 3, 2)):
        one_hot[head, :, key] = 1.0
    figure = attention_figure(["w", "x", "y", "z"], one_hot, "A layer")
    assert figure.alt_text.startswith("A layer")
    assert "head 1 w; head 2 z; head 3 y" in figure.alt_text
    assert sum(ax.get_title().startswith("Head") for ax in figure.axes) == 3


def test_without_a_notebook_it_is_a_line_of_text(weights: np.ndarray, capsys) -> None:
    show_attention(TOKENS, weights)
    assert "Interactive attention" in capsys.readouterr().out
