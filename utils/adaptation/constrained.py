"""The best legal sequence of tags: Viterbi's algorithm over what IOB2 allows."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from utils.adaptation.batching import tokenise
from utils.adaptation.classifier import Classifier
from utils.adaptation.fine_tuning import logits_of


def legal_starts(names: Sequence[str]) -> NDArray[np.bool_]:
    """Whether a sentence may begin with each tag, (n_tags,): with any but an `I-`."""
    return np.array([not name.startswith("I-") for name in names])


def legal_steps(names: Sequence[str]) -> NDArray[np.bool_]:
    """Whether tag j may follow tag i, (n_tags, n_tags): an `I-` only what is of its own type."""
    starts = legal_starts(names)
    follows = [[before[2:] == after[2:] and before != "O" for after in names] for before in names]
    return starts[None, :] | np.array(follows)


def is_legal(tags: NDArray[np.int64], names: Sequence[str]) -> bool:
    """Whether the tags of a sentence, (n_words,), are a sequence that IOB2 allows."""
    steps = legal_steps(names)[tags[:-1], tags[1:]]
    return len(tags) == 0 or bool(legal_starts(names)[tags[0]] and steps.all())


def best_legal_tags(
    scores: NDArray[np.floating], steps: NDArray[np.bool_], starts: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """The legal sequence whose scores have the largest sum (Viterbi, 1967, IEEE Trans. Inf. Th.).

    Args:
        scores: (n_words, n_tags) log-probabilities of the tags of each word.
        steps: (n_tags, n_tags) whether the column's tag may follow the row's.
        starts: (n_tags,) whether a sentence may begin with it.

    Returns:
        (n_words,) tag numbers; on a tie, lower numbers win from the last word on.
    """
    barred = np.where(steps, 0.0, -np.inf)
    best = scores[0] + np.where(starts, 0.0, -np.inf)
    came_from = []
    for row in scores[1:]:
        paths = best[:, None] + barred
        came_from.append(paths.argmax(axis=0))
        best = paths.max(axis=0) + row
    tags = [int(best.argmax())]
    for previous in reversed(came_from):
        tags.append(int(previous[tags[-1]]))
    return np.array(tags[::-1])


def tag_scores(classifier: Classifier, texts: Sequence[list[str]]) -> list[NDArray[np.float32]]:
    """Log-probabilities of the tags of each sentence's words, (n_words, n_tags) each.

    A word beyond the longest length is surely `O`, which is tag 0.
    """
    tokenised = tokenise(texts, classifier.path, classifier.max_length)
    found: dict[int, NDArray[np.float32]] = {}
    for indices, inputs, logits in logits_of(classifier.model, tokenised):
        scores = logits.log_softmax(dim=-1).cpu()
        unread = inputs["words"].cpu() < 0
        scores[unread] = -torch.inf
        scores[..., 0] = scores[..., 0].masked_fill(unread, 0.0)
        found.update(zip(indices.tolist(), scores.numpy(), strict=True))
    return [found[i][: len(text)] for i, text in enumerate(texts)]
