"""How well a model fills in held-out text, beside one that only knows how frequent tokens are."""

import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from utils.pretraining.masking import IGNORED
from utils.pretraining.objectives import MaskedLanguageModelling, MaskedSequences
from utils.pretraining.packing import PackedText, Vocabulary
from utils.pretraining.sentence_pairs import Negatives
from utils.tasks import language_modelling
from utils.tasks.language_modelling import OTHER_DOCUMENT, SAME_DOCUMENT, TOKEN

_BATCH_SIZE = 64

_KINDS: dict[Negatives | None, int] = {
    None: TOKEN,
    "other-document": OTHER_DOCUMENT,
    "same-document": SAME_DOCUMENT,
}


@dataclass(frozen=True)
class HeldOut:
    """Batches that ask one kind of question (see `language_modelling.TOKEN` and its like)."""

    kind: int
    batches: list[MaskedSequences]


def held_out(
    text: PackedText,
    vocabulary: Vocabulary,
    length: int,
    negatives: Negatives | None = None,
    n_sequences: int = 512,
) -> HeldOut:
    """Questions on held-out text that are the same every time, whatever the training draws.

    15 % of the tokens are hidden as BERT does it, also for models that were trained otherwise. With
    `negatives`, the question is whether B follows A.
    """
    objective = MaskedLanguageModelling(text, vocabulary, length, negatives=negatives)
    n_batches = max(1, n_sequences // _BATCH_SIZE)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        batches = [objective.draw(_BATCH_SIZE) for _ in range(n_batches)]
    return HeldOut(_KINDS[negatives], batches)


def judge(
    model: nn.Module, questions: list[HeldOut], log_probabilities: Tensor
) -> NDArray[np.float32]:
    """Ask `model`, a `BertForPretraining`, and leave it in `eval` mode.

    Args:
        model: pairs need one with a next-sentence head.
        questions: from `held_out`.
        log_probabilities: (V,), from `unigram_log_probabilities` of the *training* text.

    Returns:
        (n_answers, 4), as `language_modelling.score` takes it.
    """
    model.eval()
    rows = [
        _answers(model, batch, part.kind, log_probabilities)
        for part in questions
        for batch in part.batches
    ]
    return torch.cat(rows).numpy()


def evaluate(
    model: nn.Module, questions: list[HeldOut], log_probabilities: Tensor
) -> dict[str, float]:
    """The metrics of `language_modelling.score` for `model`; arguments as in `judge`."""
    predictions = judge(model, questions, log_probabilities)
    return language_modelling.score(predictions)[0]


class SequenceObjective(Protocol):
    """An objective that asks for a token at every position: causal, or denoising."""

    vocabulary: Vocabulary

    def draw(self, n: int) -> Any:
        """`n` sequences with their `labels` (n, length)."""
        ...

    def logits(self, model: nn.Module, batch: Any) -> Tensor:
        """(n, length, V)."""
        ...


@torch.no_grad()
def judge_sequences(
    model: nn.Module, asked: SequenceObjective, log_probabilities: Tensor, n_sequences: int
) -> NDArray[np.float32]:
    """Ask `model` for every token of held-out sequences, and leave it in `eval` mode.

    Only answers that are words count: no sentinels, and no [SEP] at the end.

    Args:
        model: fit for the objective.
        asked: draws from held-out text; the questions are the same every time.
        log_probabilities: (V,), from `unigram_log_probabilities` of the *training* text.
        n_sequences: how many.

    Returns:
        (n_answers, 4), as `language_modelling.score` takes it.
    """
    model.eval()
    rows = []
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for _ in range(max(1, n_sequences // _BATCH_SIZE)):
            batch = asked.draw(_BATCH_SIZE)
            wanted = _are_words(batch.labels, asked.vocabulary)
            logits = asked.logits(model, batch)[wanted].float()
            rows.append(_token_rows(logits, batch.labels[wanted], log_probabilities))
    return torch.cat(rows).numpy()


def _are_words(labels: Tensor, vocabulary: Vocabulary) -> Tensor:
    known = (labels >= 0) & (labels < vocabulary.size)
    return known & vocabulary.maskable[labels.where(known, vocabulary.sep_id)]


def _token_rows(logits: Tensor, labels: Tensor, log_probabilities: Tensor) -> Tensor:
    return _rows(TOKEN, logits, labels, -log_probabilities.to(labels.device)[labels])


def _rows(kind: int, logits: Tensor, labels: Tensor, baseline: Tensor) -> Tensor:
    """Rows (kind, loss, loss of one that looks at nothing, right) on the CPU."""
    loss = nn.functional.cross_entropy(logits, labels, reduction="none")
    right = logits.argmax(-1) == labels
    return torch.stack([torch.full_like(loss, kind), loss, baseline, right.float()], dim=1).cpu()


@torch.no_grad()
def _answers(
    model: nn.Module, batch: MaskedSequences, kind: int, log_probabilities: Tensor
) -> Tensor:
    tokens, follows = model(batch.input_ids, batch.positions, batch.token_type_ids)
    if kind == TOKEN:
        asked = batch.labels != IGNORED
        return _token_rows(tokens[asked].float(), batch.labels[asked], log_probabilities)
    if follows is None or batch.is_next is None:
        raise ValueError("single sequences, or a model without its next-sentence head")
    coin = torch.full((len(follows),), math.log(2), device=follows.device)
    return _rows(kind, follows.float(), 1 - batch.is_next, coin)
