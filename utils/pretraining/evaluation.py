"""How well a model fills in held-out text, beside one that only knows how frequent tokens are."""

import torch
from torch import Tensor, nn

from utils.pretraining.masking import IGNORED
from utils.pretraining.objectives import MaskedLanguageModelling, MaskedSequences


def held_out_batches(
    objective: MaskedLanguageModelling, n_sequences: int = 512, batch_size: int = 64
) -> list[MaskedSequences]:
    """Batches of held-out text that are the same every time, whatever the training draws."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return [objective.draw(batch_size) for _ in range(max(1, n_sequences // batch_size))]


@torch.no_grad()
def evaluate(
    model: nn.Module, batches: list[MaskedSequences], log_probabilities: Tensor
) -> dict[str, float]:
    """Measure `model` on held-out `batches`.

    Args:
        model: a `BertForPretraining`.
        batches: from `held_out_batches`.
        log_probabilities: (V,), from `unigram_log_probabilities` of the *training* text.

    Returns:
        `mlm_loss` and `unigram_loss`, in nats per hidden token, both at the same positions; `gain`,
        the second less the first; `mlm_accuracy`; for pairs `nsp_loss` and `nsp_accuracy`.
    """
    rows = [predict(model, batch, log_probabilities) for batch in batches]
    loss, unigram, right = (torch.cat(column) for column in zip(*(r[0] for r in rows), strict=True))
    measured = {
        "mlm_loss": float(loss.mean()),
        "unigram_loss": float(unigram.mean()),
        "gain": float((unigram - loss).mean()),
        "mlm_accuracy": float(right.float().mean()),
    }
    pairs = [row[1] for row in rows if row[1] is not None]
    if pairs:
        nsp_loss, nsp_right = (torch.cat(column) for column in zip(*pairs, strict=True))
        measured |= {
            "nsp_loss": float(nsp_loss.mean()),
            "nsp_accuracy": float(nsp_right.float().mean()),
        }
    return measured


@torch.no_grad()
def predict(
    model: nn.Module, batch: MaskedSequences, log_probabilities: Tensor
) -> tuple[tuple[Tensor, Tensor, Tensor], tuple[Tensor, Tensor] | None]:
    """For each hidden token: its loss, its unigram loss, and whether the first guess is right.

    The second result says the same of each pair (loss, right), or None. All are 1-d, on the CPU.
    """
    model.eval()
    tokens, follows = model(batch.input_ids, batch.positions, batch.token_type_ids)
    asked = batch.labels != IGNORED
    logits, labels = tokens[asked].float(), batch.labels[asked]
    loss = nn.functional.cross_entropy(logits, labels, reduction="none")
    unigram = -log_probabilities.to(labels.device)[labels]
    hidden = (loss.cpu(), unigram.cpu(), (logits.argmax(-1) == labels).cpu())
    if follows is None or batch.is_next is None:
        return hidden, None
    answer = 1 - batch.is_next
    pair_loss = nn.functional.cross_entropy(follows.float(), answer, reduction="none")
    return hidden, (pair_loss.cpu(), (follows.argmax(-1) == answer).cpu())
