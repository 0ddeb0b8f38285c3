"""Further pre-training: masked language modelling on the task's own texts before fine-tuning.

Howard and Ruder (2018, ACL) and Sun et al. (2019, CCL) adapt a language model to the texts of a
task before they train a classifier on it; Gururangan et al. (2020, ACL) name it task-adaptive
pre-training. It needs no labels: all texts of the training split are read, however few are
labelled.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from utils import runtime
from utils.adaptation.batching import Texts, Tokenised, by_length, tokenise, training_batches
from utils.adaptation.encoder import forward_flops, load_masked_language_model, quiet
from utils.adaptation.fine_tuning import full
from utils.adaptation.method import Outcome, Problem
from utils.adaptation.registry import get_method
from utils.adaptation.training import CHECKPOINTED_UPDATES, Batch, Settings, train
from utils.errors import CourseError
from utils.pretraining.masking import IGNORED, mask_tokens
from utils.pretraining.packing import Vocabulary, vocabulary_of

_RATE = 0.15
"""Share of the tokens of a text that are hidden, at least one."""

_VALIDATION_BATCH = 64

_COST_FILE = "further_pretraining.json"


def further_pretraining(problem: Problem) -> Outcome:
    """Go on with masked language modelling on `problem.unlabelled`, then do as `full` does.

    `further_updates` batches of `batch_size` texts are read, with the learning rate
    `further_learning_rate`; the weights that tell hidden tokens of the validation texts best go on
    to the fine-tuning. No label is looked at before that, so that what comes out depends neither on
    the number of labels nor on the learning rate of the fine-tuning: it is kept in `problem.cache`
    for all of them. Without updates the method is `full`, bit for bit.

    The cost is that of both trainings, also where the cache saves the first one now. The head that
    tells hidden tokens is left behind, and counted only in `flops`.
    """
    if not problem.hyper["further_updates"]:
        return full(problem)
    with TemporaryDirectory() as scratch:
        kept = problem.cache or Path(scratch)
        folder = kept / "further-pretraining" / _key(problem)
        if not folder.exists():
            _pretrain(problem, folder)
        outcome = full(replace(problem, model_path=folder))
        before = json.loads((folder / _COST_FILE).read_text())
    cost = {name: value + before.get(name, 0.0) for name, value in outcome.cost.items()}
    return replace(outcome, cost=cost)


class HiddenTokens(nn.Module):
    """A masked language model of the library that decodes only the tokens that are asked for."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, positions: Tensor, **segments: Tensor
    ) -> Tensor:
        """(batch, length) numbers and mask, (batch, n_hidden) positions → their logits (…, V)."""
        output = self.model.base_model(
            input_ids=input_ids, attention_mask=attention_mask, **segments
        )
        index = positions.unsqueeze(-1).expand(-1, -1, output.last_hidden_state.shape[-1])
        return self.model.cls(output.last_hidden_state.gather(1, index))


class Asked:
    """Texts with hidden tokens: BERT's 80 % [MASK], 10 % another token, 10 % as it was.

    Of each text the same share is hidden, and never a special token, [UNK] or padding.
    """

    def __init__(self, tokenised: Tokenised, vocabulary: Vocabulary) -> None:
        self.tokenised, self._vocabulary = tokenised, vocabulary
        may_be_hidden = vocabulary.maskable.numpy()
        counts = np.array([int(may_be_hidden[ids].sum()) for ids in tokenised.input_ids])
        self.n_hidden = np.maximum(1, np.round(_RATE * counts)).astype(np.int64)
        """Tokens that are hidden in each text, (n_texts,)."""
        self.told = counts > 1
        """Whether a text has anything from which a hidden token could be told, (n_texts,)."""

    def batches(self, batch_size: int, n_updates: int, seed: int) -> list[NDArray[np.int64]]:
        """Texts of each update, see `training_batches`; those of one word are left out.

        Raises:
            CourseError: if there is no other.
        """
        told = np.flatnonzero(self.told)
        if not len(told):
            raise CourseError("No text has two words, so that one could tell the other. Add texts.")
        lengths = self.tokenised.lengths()[told]
        return [told[batch] for batch in training_batches(lengths, batch_size, n_updates, seed)]

    def batch(self, indices: NDArray[np.int64], generator: torch.Generator | None = None) -> Batch:
        """Inputs of `HiddenTokens`, and what stood at the positions, (batch, n_hidden)."""
        inputs = self.tokenised.batch(indices.tolist())
        inputs.pop("words", None)
        n_hidden = torch.from_numpy(self.n_hidden[indices])
        maskable = self._vocabulary.maskable[inputs["input_ids"]]
        # `mask_tokens` asks for the same number in all rows, so each row is given its own share.
        rank = torch.rand(maskable.shape, generator=generator).masked_fill(~maskable, 2.0)
        drawn = maskable & (rank.argsort(dim=1).argsort(dim=1) < n_hidden[:, None])
        masked = mask_tokens(
            inputs["input_ids"],
            drawn,
            n_masked=int(n_hidden.max()),
            mask_id=self._vocabulary.mask_id,
            first_word_id=self._vocabulary.first_word_id,
            vocab_size=self._vocabulary.size,
            generator=generator,
        )
        inputs |= {"input_ids": masked.input_ids, "positions": masked.positions}
        device = runtime.device()
        moved = {name: tensor.to(device) for name, tensor in inputs.items()}
        return moved, masked.labels.to(device)


def _pretrain(problem: Problem, folder: Path) -> None:
    """Train, and leave encoder, tokenizer and cost in `folder`."""
    from transformers import AutoTokenizer

    hyper, path = problem.hyper, problem.model_path
    if path is None:
        raise ValueError("further pre-training needs a model")
    runtime.seed_everything(problem.seed)
    n_updates = int(hyper["further_updates"])
    tokenizer: Any = AutoTokenizer.from_pretrained(path)
    vocabulary = vocabulary_of(tokenizer, torch.device("cpu"))
    texts = _drawn(problem, n_updates * hyper["batch_size"])
    asked, asked_later = (
        Asked(tokenise(some, path, problem.max_length), vocabulary)
        for some in (texts, problem.validation.texts)
    )
    batches = asked.batches(hyper["batch_size"], n_updates, problem.seed)
    library = load_masked_language_model(path, dropout=hyper["dropout"])
    checkpoint = problem.checkpoint if n_updates >= CHECKPOINTED_UPDATES else None
    progress = train(
        HiddenTokens(library).to(runtime.device()),
        batches,
        asked.batch,
        lambda model: -mean_loss(model, asked_later),
        Settings(hyper["further_learning_rate"], n_updates, weight_decay=hyper["weight_decay"]),
        checkpoint.with_suffix(".further.pt") if checkpoint is not None else None,
    )
    cost = {"wall_seconds": progress.seconds, **_cost(library.config, asked, batches)}
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder.parent) as unfinished:
        made = Path(unfinished) / "encoder"
        with quiet():
            library.base_model.save_pretrained(made)
        tokenizer.save_pretrained(made)
        (made / _COST_FILE).write_text(json.dumps(cost))
        if not folder.exists():  # another process may have been quicker
            made.rename(folder)


def _cost(config: Any, asked: Asked, batches: list[NDArray[np.int64]]) -> dict[str, float]:
    """Of the updates: three forward passes through the encoder, and the head at hidden tokens."""
    lengths = asked.tokenised.lengths()
    shapes = [(len(batch), int(lengths[batch].max())) for batch in batches]
    n_hidden = sum(len(batch) * int(asked.n_hidden[batch].max()) for batch in batches)
    head = 2 * config.hidden_size * (config.hidden_size + config.vocab_size)
    forward = sum(forward_flops(config, *shape) for shape in shapes) + n_hidden * head
    return {
        "optimiser_steps": float(len(batches)),
        "examples_seen": float(sum(size for size, _ in shapes)),
        "tokens_seen": float(sum(size * length for size, length in shapes)),
        "flops": 3 * forward,
    }


def _drawn(problem: Problem, n: int) -> Texts:
    """At most `n` of the unlabelled texts; the labelled ones where no others are given."""
    texts: Sequence[Any] = problem.unlabelled or problem.train.texts
    order = np.random.default_rng(problem.seed).permutation(len(texts))
    return [texts[i] for i in order[:n]]


def mean_loss(model: nn.Module, asked: Asked) -> float:
    """Mean cross-entropy of hidden tokens in nats, the same ones in each call; 0 without any.

    Leaves the model in `eval` mode.
    """
    generator = torch.Generator().manual_seed(0)
    model.eval()
    total, n = 0.0, 0
    with torch.inference_mode():
        for indices in by_length(asked.tokenised.lengths(), _VALIDATION_BATCH):
            inputs, labels = asked.batch(indices, generator)
            logits = model(**inputs).float().flatten(0, 1)
            total += float(nn.functional.cross_entropy(logits, labels.flatten(), reduction="sum"))
            n += int((labels != IGNORED).sum())
    return total / max(1, n)


def _key(problem: Problem) -> str:
    """24 hex digits over all that the further pre-trained encoder depends on."""
    names = "further_updates", "further_learning_rate", "batch_size", "weight_decay", "dropout"
    settings = [problem.hyper[name] for name in names]
    settings += [problem.model_fingerprint, str(problem.model_path), problem.seed]
    settings += [get_method("further-pretraining").version]
    texts = [problem.unlabelled or problem.train.texts, problem.validation.texts]
    what = json.dumps([*settings, problem.max_length, *texts])
    return hashlib.sha256(what.encode()).hexdigest()[:24]
