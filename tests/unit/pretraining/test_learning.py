"""A model that learns: the loss of hidden tokens falls far below what counting gives."""

import torch

from utils.pretraining import PackedText, Vocabulary, count_tokens, unigram_log_probabilities
from utils.pretraining.evaluation import evaluate, held_out
from utils.pretraining.loop import Settings, pretrain
from utils.pretraining.model import BertForPretraining, start_looking_at_neighbours
from utils.pretraining.objectives import MaskedLanguageModelling
from utils.transformer import TransformerConfig

N_WORDS, LENGTH = 20, 32


def counting_text(n: int, seed: int) -> PackedText:
    """Words that follow each other in a circle, from random starts: neighbours tell all."""
    starts = torch.randint(N_WORDS, (n, 1), generator=torch.Generator().manual_seed(seed))
    words = 5 + (starts + torch.arange(64)) % N_WORDS
    row = torch.cat([words, torch.full((n, 1), 3)], dim=1).flatten().int()
    places = torch.arange(n + 1) * 65
    return PackedText(row, places, torch.zeros(n, dtype=torch.long))


def test_neighbours_are_found_in_a_hundred_updates() -> None:
    size = 5 + N_WORDS
    words = torch.arange(size) >= 5
    vocabulary = Vocabulary(size, 4, 2, 3, 5, maskable=words, continues=torch.zeros(size).bool())
    text, other = counting_text(200, 0), counting_text(50, 1)
    log_probabilities = unigram_log_probabilities(count_tokens(text, vocabulary))
    torch.manual_seed(0)
    model = BertForPretraining(
        TransformerConfig(size, d_model=32, n_heads=2, d_ff=64, max_length=LENGTH, n_segments=2)
    )
    start_looking_at_neighbours(model.encoder)
    model.start_from_frequencies(log_probabilities)
    questions = [held_out(other, vocabulary, LENGTH, n_sequences=64)]
    before = evaluate(model, questions, log_probabilities)
    pretrain(
        model, MaskedLanguageModelling(text, vocabulary, LENGTH), Settings(n_steps=150, seed=0)
    )
    after = evaluate(model, questions, log_probabilities)
    assert abs(before["gain"]) < 0.3
    assert after["gain"] > 2.0  # of ln 20 = 3.0
    assert after["accuracy"] > 0.7
