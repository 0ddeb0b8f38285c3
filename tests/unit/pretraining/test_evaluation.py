"""Questions on held-out text: always the same, fair to all models, and scored by hand."""

import math
from dataclasses import fields, replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from utils.pretraining import PackedText, Vocabulary, count_tokens, unigram_log_probabilities
from utils.pretraining.autoencoder import Denoising, DenoisingAutoencoder
from utils.pretraining.causal import CausalLanguageModel, CausalLanguageModelling
from utils.pretraining.evaluation import HeldOut, evaluate, held_out, judge, judge_sequences
from utils.pretraining.masking import IGNORED
from utils.pretraining.model import BertForPretraining
from utils.pretraining.objectives import MaskedLanguageModelling, MaskedSequences
from utils.tasks.language_modelling import OTHER_DOCUMENT, SAME_DOCUMENT, TOKEN
from utils.transformer import TransformerConfig

UNK, CLS, SEP, MASK, FIRST, SIZE, LENGTH = 1, 2, 3, 4, 5, 40, 20


def vocabulary() -> Vocabulary:
    numbers = torch.arange(SIZE)
    return Vocabulary(SIZE, MASK, CLS, SEP, FIRST, numbers >= FIRST, numbers < 0)


def text() -> PackedText:
    """Four documents of 200 tokens; low numbers are more frequent, every third token is [UNK]."""
    generator = torch.Generator().manual_seed(1)
    tokens = FIRST + (torch.rand(800, generator=generator) ** 2 * (SIZE - FIRST)).int()
    tokens[::3] = UNK
    tokens[199::200] = SEP
    return PackedText(tokens.int(), torch.arange(5) * 200, torch.zeros(4).long())


class Fixed(nn.Module):
    """Predicts the same in every place and for every pair."""

    def __init__(self, tokens: Tensor, follows: Tensor) -> None:
        super().__init__()
        self.tokens, self.follows = tokens, follows

    def forward(self, input_ids: Tensor, positions: Tensor, types: Any) -> tuple[Tensor, Tensor]:
        n, n_masked = positions.shape
        return self.tokens.expand(n, n_masked, -1), self.follows.expand(n, 2)


def asked(labels: list[list[int]], is_next: list[int] | None = None) -> MaskedSequences:
    answers = torch.tensor(labels)
    return MaskedSequences(
        input_ids=torch.zeros(len(answers), LENGTH).long(),
        positions=torch.zeros_like(answers),
        labels=answers,
        is_next=None if is_next is None else torch.tensor(is_next),
    )


def test_losses_and_gain_by_hand() -> None:
    # Frequencies 2, 2, 1 of 10 after one was added to each of 8 counts; the model knows better.
    counts = torch.tensor([0, 0, 0, 0, 0, 1, 1, 0])
    tokens = torch.tensor([1e-9] * 5 + [0.5, 0.25, 0.25]).log()
    model = Fixed(tokens, torch.tensor([2.0, 0.0]))
    questions = [
        HeldOut(TOKEN, [asked([[5, IGNORED]]), asked([[6, 7]])]),
        HeldOut(OTHER_DOCUMENT, [asked([[5], [5], [5]], [1, 1, 0])]),
        HeldOut(SAME_DOCUMENT, [asked([[5]], [0])]),
    ]
    follows, does_not = math.log(1 + math.exp(-2)), math.log(1 + math.exp(2))
    found = evaluate(model, questions, unigram_log_probabilities(counts))
    loss = (math.log(2) + 2 * math.log(4)) / 3
    unigram = (2 * math.log(5) + math.log(10)) / 3
    assert found == pytest.approx(
        {
            "mlm_loss": loss,
            "unigram_loss": unigram,
            "gain": unigram - loss,
            "accuracy": 1 / 3,
            "nsp_loss_other_document": (2 * follows + does_not) / 3,
            "nsp_accuracy_other_document": 2 / 3,
            "nsp_loss_same_document": does_not,
            "nsp_accuracy_same_document": 0.0,
        },
        abs=1e-6,
    )
    rows = judge(model, questions, unigram_log_probabilities(counts))
    assert rows[:, 0].tolist() == [TOKEN] * 3 + [OTHER_DOCUMENT] * 3 + [SAME_DOCUMENT]
    assert rows[3:, 2].tolist() == pytest.approx([math.log(2)] * 4)
    assert not model.training


def same(first: HeldOut, second: HeldOut) -> bool:
    assert len(first.batches) == len(second.batches)
    pairs = [
        (getattr(one, field.name), getattr(other, field.name))
        for one, other in zip(first.batches, second.batches, strict=True)
        for field in fields(MaskedSequences)
    ]
    return all(b is None if a is None else a.equal(b) for a, b in pairs)


@pytest.mark.parametrize("negatives", [None, "other-document", "same-document"])
def test_the_questions_are_the_same_at_each_call(negatives: Any) -> None:
    torch.manual_seed(7)
    first = held_out(text(), vocabulary(), LENGTH, negatives, 128)
    torch.manual_seed(8)
    before = torch.get_rng_state()
    second = held_out(text(), vocabulary(), LENGTH, negatives, 128)
    assert torch.get_rng_state().equal(before)
    assert same(first, second)
    assert len(first.batches) == 2
    kinds = {None: TOKEN, "other-document": OTHER_DOCUMENT, "same-document": SAME_DOCUMENT}
    assert first.kind == kinds[negatives]


def test_the_questions_do_not_depend_on_how_a_model_is_trained() -> None:
    expected = held_out(text(), vocabulary(), LENGTH)
    for changes in ({"rate": 0.05}, {"rate": 0.4, "mask_share": 1.0, "random_share": 0.0}):
        MaskedLanguageModelling(text(), vocabulary(), LENGTH, **changes).draw(64)
        assert same(held_out(text(), vocabulary(), LENGTH), expected)
    batch = expected.batches[0]
    assert batch.positions.shape == (64, round(0.15 * (LENGTH - 2)))
    hidden = batch.input_ids.gather(1, batch.positions)
    assert 0.6 < float((hidden == MASK).double().mean()) < 0.95


def test_more_sequences_begin_with_the_same_ones() -> None:
    few, many = (held_out(text(), vocabulary(), LENGTH, None, n) for n in (64, 192))
    assert len(many.batches) == 3
    assert same(few, HeldOut(TOKEN, many.batches[:1]))


@pytest.mark.parametrize("negatives", [None, "other-document", "same-document"])
def test_what_is_special_or_unknown_is_never_asked_for(negatives: Any) -> None:
    questions = held_out(text(), vocabulary(), LENGTH, negatives, 512)
    labels = torch.cat([batch.labels.flatten() for batch in questions.batches])
    assert set(labels.tolist()) - {IGNORED} <= set(range(FIRST, SIZE))
    shown = torch.cat([batch.input_ids.flatten() for batch in questions.batches])
    assert {UNK, CLS, SEP, MASK} <= set(shown.tolist())


def test_places_without_a_question_are_left_out() -> None:
    unknown = text()
    unknown.tokens[:] = UNK
    unknown.tokens[::40] = FIRST  # many windows hold less than three words
    questions = held_out(unknown, vocabulary(), LENGTH, None, 64)
    labels = questions.batches[0].labels
    n_asked = int((labels != IGNORED).sum())
    assert 0 < n_asked < labels.numel() / 2
    model = Fixed(torch.zeros(SIZE), torch.zeros(2))
    rows = judge(model, [questions], torch.full((SIZE,), -math.log(SIZE)))
    assert rows.shape == (n_asked, 4)
    assert rows[:, 1:3].flatten().tolist() == pytest.approx([math.log(SIZE)] * 2 * n_asked)


def test_frequencies_alone_gain_nothing() -> None:
    config = TransformerConfig(
        vocab_size=SIZE, d_model=16, n_layers=1, n_heads=2, d_ff=32, max_length=LENGTH, n_segments=2
    )
    torch.manual_seed(0)
    model = BertForPretraining(config, next_sentence=True)
    log_probabilities = unigram_log_probabilities(count_tokens(text(), vocabulary()))
    model.start_from_frequencies(log_probabilities)
    kinds = (None, "other-document")
    questions = [held_out(text(), vocabulary(), LENGTH, kind, 128) for kind in kinds]
    fresh = evaluate(model, questions, log_probabilities)
    assert fresh["gain"] != 0
    model.encoder.register_forward_hook(lambda *arguments: torch.zeros_like(arguments[-1]))
    found = evaluate(model, questions, log_probabilities)
    assert found["gain"] == pytest.approx(0, abs=1e-6)
    assert found["nsp_loss_other_document"] == pytest.approx(math.log(2), abs=1e-6)
    assert found["unigram_loss"] == fresh["unigram_loss"] < math.log(SIZE)


SMALL = TransformerConfig(
    vocab_size=SIZE, d_model=16, n_layers=1, n_heads=2, d_ff=32, max_length=LENGTH, n_segments=2
)


def test_every_token_of_a_causal_model_is_judged() -> None:
    torch.manual_seed(0)
    objective = CausalLanguageModelling(text(), vocabulary(), LENGTH)
    model = CausalLanguageModel(SMALL).eval()
    log_probabilities = unigram_log_probabilities(count_tokens(text(), vocabulary()))
    rows = judge_sequences(model, objective, log_probabilities, 64)
    torch.manual_seed(0)
    batch = objective.draw(64)
    with torch.no_grad():
        loss = float(objective.loss(model, batch))
    assert rows[:, 1].mean() == pytest.approx(loss, rel=1e-5)
    labels = batch.labels[batch.labels != IGNORED]
    assert len(rows) == len(labels)
    assert torch.allclose(torch.from_numpy(rows[:, 2]), -log_probabilities[labels])
    assert not model.training


@pytest.mark.parametrize("corruption", ["infilling", "spans"])
def test_only_words_of_a_denoised_text_count(corruption: Any) -> None:
    torch.manual_seed(0)
    objective = Denoising(text(), vocabulary(), LENGTH, corruption=corruption)
    model = DenoisingAutoencoder(replace(SMALL, vocab_size=objective.vocab_size)).eval()
    log_probabilities = unigram_log_probabilities(count_tokens(text(), vocabulary()))
    rows = judge_sequences(model, objective, log_probabilities, 64)
    torch.manual_seed(0)
    labels = objective.draw(64).labels
    words = (labels >= FIRST) & (labels < SIZE)
    assert len(rows) == int(words.sum()) < int((labels != IGNORED).sum())
    assert torch.allclose(torch.from_numpy(rows[:, 2]), -log_probabilities[labels[words]])
