"""Both sides of the benchmark do the same work, and as much of it as is timed."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
import torch
from torch.optim.optimizer import register_optimizer_step_post_hook

from utils.experiments.pretraining_speed import (
    FullHead,
    Paced,
    Work,
    _trainer,
    copy_of,
    full_objective,
    labels_everywhere,
    masked_objective,
    trainer,
    training,
)
from utils.pretraining import PackedText
from utils.pretraining.masking import IGNORED
from utils.pretraining.model import BertForPretraining, export
from utils.pretraining.objectives import MaskedSequences
from utils.pretraining.wordpiece import SPECIAL_TOKENS, make_tokenizer
from utils.transformer import TransformerConfig

N_TOKENS, LENGTH = 60, 32
CONFIG = TransformerConfig(
    vocab_size=N_TOKENS, d_model=16, n_layers=2, n_heads=2, d_ff=32, max_length=LENGTH, n_segments=2
)


@pytest.fixture
def work() -> Work:
    """Ten documents of 200 random tokens."""
    words = [f"w{number}" for number in range(N_TOKENS - len(SPECIAL_TOKENS))]
    tokenizer = make_tokenizer([*SPECIAL_TOKENS, *words])
    torch.manual_seed(0)
    tokens = torch.randint(len(SPECIAL_TOKENS), N_TOKENS, (2000,)).int()
    starts = torch.arange(0, 2001, 200)
    tokens[starts[1:] - 1] = tokenizer.sep_token_id
    text = PackedText(tokens, starts, torch.zeros(10, dtype=torch.long))
    return Work(text, tokenizer, length=LENGTH, batch_size=8, chunk=3, n_chunks=4)


@pytest.fixture
def model() -> BertForPretraining:
    torch.manual_seed(0)
    made = BertForPretraining(CONFIG, next_sentence=True)
    with torch.no_grad():  # biases and norms of their own, so that a mix-up shows
        for weight in made.parameters():
            weight.add_(torch.randn_like(weight) * 0.1)
    return made


@pytest.fixture
def batch(work: Work) -> MaskedSequences:
    """One that also has a place where nothing is asked."""
    drawn = masked_objective(work).draw(8)
    labels = drawn.labels.clone()
    labels[0, 0] = IGNORED
    return replace(drawn, labels=labels)


@pytest.fixture
def updates() -> Iterator[list[torch.optim.Optimizer]]:
    """Every step that any optimiser takes."""
    taken: list[torch.optim.Optimizer] = []
    handle = register_optimizer_step_post_hook(lambda optimizer, *_: taken.append(optimizer))
    yield taken
    handle.remove()


def ours(model: BertForPretraining, work: Work) -> Paced:
    return training(model, masked_objective(work), work)


def full(model: BertForPretraining, work: Work) -> Paced:
    return training(copy_of(model, 0.0, FullHead), full_objective(work), work)


def theirs(model: BertForPretraining, work: Work) -> Paced:
    return trainer(export(model), work)


def test_labels_go_to_their_positions() -> None:
    batch = MaskedSequences(
        input_ids=torch.zeros(2, 5, dtype=torch.long),
        positions=torch.tensor([[1, 3], [2, 4]]),
        labels=torch.tensor([[7, IGNORED], [8, 9]]),
    )
    assert labels_everywhere(batch).tolist() == [
        [IGNORED, 7, IGNORED, IGNORED, IGNORED],
        [IGNORED, IGNORED, 8, IGNORED, 9],
    ]


def test_the_library_has_the_same_loss_and_gradient(
    work: Work, model: BertForPretraining, batch: MaskedSequences
) -> None:
    library = export(model, dropout=0.0).train()
    assert batch.is_next is not None
    expected = library(
        input_ids=batch.input_ids,
        attention_mask=torch.ones_like(batch.input_ids),
        token_type_ids=batch.token_type_ids,
        labels=labels_everywhere(batch),
        next_sentence_label=1 - batch.is_next,
    ).loss
    loss = masked_objective(work).loss(model, batch)
    torch.testing.assert_close(loss, expected, rtol=0, atol=1e-5)
    loss.backward(), expected.backward()
    torch.testing.assert_close(
        model.encoder.embeddings.tokens.weight.grad,
        library.get_input_embeddings().weight.grad,
        rtol=0,
        atol=1e-5,
    )


def test_a_full_head_has_the_same_loss_and_gradient(
    work: Work, model: BertForPretraining, batch: MaskedSequences
) -> None:
    other = copy_of(model, 0.0, FullHead)
    tokens, _ = other(batch.input_ids, batch.positions, batch.token_type_ids)
    assert tokens.shape == (8, LENGTH, N_TOKENS)
    loss = masked_objective(work).loss(model, batch)
    same = full_objective(work).loss(other, replace(batch, labels=labels_everywhere(batch)))
    torch.testing.assert_close(same, loss, rtol=0, atol=1e-5)
    loss.backward(), same.backward()
    for one, another in zip(model.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(one.grad, another.grad, rtol=0, atol=1e-5)


def test_a_full_head_is_asked_the_same(work: Work) -> None:
    torch.manual_seed(1)
    masked = masked_objective(work).draw(8)
    torch.manual_seed(1)
    everywhere = full_objective(work).draw(8)
    assert torch.equal(masked.input_ids, everywhere.input_ids)
    assert torch.equal(everywhere.labels, labels_everywhere(masked))


@pytest.mark.parametrize("side", [ours, full, theirs])
def test_each_call_takes_the_updates_that_it_is_timed_for(
    side: Callable[[BertForPretraining, Work], Paced],
    work: Work,
    model: BertForPretraining,
    updates: list[torch.optim.Optimizer],
    capsys: pytest.CaptureFixture[str],
) -> None:
    with side(model, work) as paced:
        assert not updates
        for n_calls in (1, 2, 3, 4):
            paced()
            assert len(updates) == 3 * n_calls
        with pytest.raises(RuntimeError, match="over"):
            paced()
    assert {type(optimizer) for optimizer in updates} == {torch.optim.AdamW}
    assert len(updates) == 12
    assert not capsys.readouterr().out  # `--json` promises that nothing else is printed


def test_both_sides_see_the_same_kind_of_batch(work: Work, model: BertForPretraining) -> None:
    made = _trainer(export(model), work)
    batches = list(made.get_train_dataloader())
    assert len(batches) == work.n_steps
    objective = masked_objective(work)
    ids = torch.cat([batch["input_ids"] for batch in batches])
    labels = torch.cat([batch["labels"] for batch in batches])
    follows = torch.cat([batch["next_sentence_label"] for batch in batches])
    assert {batch["input_ids"].shape for batch in batches} == {objective.draw(8).input_ids.shape}
    assert {batch["token_type_ids"].unique().tolist() == [0, 1] for batch in batches} == {True}
    assert follows.float().mean() == 0.5
    asked = labels != IGNORED
    assert labels[asked].min() >= len(SPECIAL_TOKENS)  # special tokens are not masked
    assert asked.sum(1).float().mean() == pytest.approx(0.15 * (LENGTH - 3), abs=0.6)
    assert objective.n_masked == round(0.15 * (LENGTH - 3))
    assert (ids[asked] == work.tokenizer.mask_token_id).float().mean() == pytest.approx(
        0.8, abs=0.1
    )


def test_an_optimiser_of_the_same_settings(work: Work, model: BertForPretraining) -> None:
    from utils.pretraining.loop import make_optimizers

    made = _trainer(export(model), work)
    theirs = made.create_optimizer()
    (ours,) = make_optimizers(model, work.settings)
    for name in ("betas", "eps", "fused", "lr"):
        assert ours.defaults[name] == theirs.defaults[name], name

    def decayed(optimizer: torch.optim.Optimizer) -> dict[float, int]:
        groups = optimizer.param_groups
        return {g["weight_decay"]: sum(p.numel() for p in g["params"]) for g in groups}

    assert decayed(ours) == decayed(theirs)
    assert made.args.max_grad_norm == work.settings.max_grad_norm


def test_an_error_of_the_training_reaches_the_caller() -> None:
    def train(pause: Callable[[], None]) -> None:
        pause()
        raise ValueError("diverged")

    with Paced(train) as paced:
        paced()
        with pytest.raises(ValueError, match="diverged"):
            paced()


def test_a_training_that_is_left_is_broken_off() -> None:
    seen = []

    def train(pause: Callable[[], None]) -> None:
        try:
            for number in range(100):
                seen.append(number)
                pause()
        finally:
            seen.append(-1)

    with Paced(train) as paced:
        paced(), paced()
    assert seen == [0, 1, -1]
