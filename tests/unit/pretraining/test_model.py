"""Our model beside the library's: the same numbers, there and back."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import AutoModel, BertForMaskedLM, BertForPreTraining, BertModel

from utils.errors import CourseError
from utils.pretraining.autoencoder import DenoisingAutoencoder
from utils.pretraining.causal import CausalLanguageModel
from utils.pretraining.corpora import Corpus
from utils.pretraining.model import (
    FIRST_OFFSETS,
    BertForPretraining,
    export,
    load,
    load_encoder_decoder,
    save,
    save_encoder,
    start_from_vectors,
    start_looking_at_neighbours,
)
from utils.pretraining.wordpiece import train_tokenizer
from utils.transformer import TransformerConfig

CONFIG = TransformerConfig(
    vocab_size=2048, d_model=32, n_layers=2, n_heads=2, d_ff=64, max_length=32, n_segments=2
)


def model(next_sentence: bool = True) -> BertForPretraining:
    torch.manual_seed(0)
    made = BertForPretraining(CONFIG, next_sentence=next_sentence)
    with torch.no_grad():  # biases and norms of their own, so that a mix-up shows
        for weight in made.parameters():
            weight.add_(torch.randn_like(weight) * 0.1)
    return made.eval()


def inputs() -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    ids = torch.randint(5, 2048, (3, 20))
    types = (torch.arange(20) > 9).long().expand(3, 20)
    return {
        "input_ids": ids,
        "token_type_ids": types,
        "attention_mask": torch.ones(3, 20).long(),
    }


@pytest.mark.parametrize("next_sentence", [False, True])
@torch.no_grad()
def test_the_library_computes_the_same(next_sentence: bool) -> None:
    ours, batch = model(next_sentence), inputs()
    theirs = export(ours)
    assert isinstance(theirs, BertForPreTraining if next_sentence else BertForMaskedLM)
    positions = torch.tensor([[1, 5, 7], [2, 3, 19], [0, 1, 2]])
    tokens, follows = ours(batch["input_ids"], positions, batch["token_type_ids"])
    result = theirs(**batch)
    expected = result.prediction_logits if next_sentence else result.logits
    torch.testing.assert_close(
        tokens, torch.stack([row[p] for row, p in zip(expected, positions, strict=True)])
    )
    if next_sentence:
        torch.testing.assert_close(follows, result.seq_relationship_logits)
    else:
        assert follows is None


@pytest.mark.parametrize("next_sentence", [False, True])
@torch.no_grad()
def test_saved_and_loaded_again(tmp_path: Path, documentation: Corpus, next_sentence: bool) -> None:
    ours = model(next_sentence)
    tokenizer = train_tokenizer(documentation.train.texts, 2048)
    save(ours, tokenizer, tmp_path)
    again = load(tmp_path, dropout=0.1)
    assert again.config == replace(CONFIG, dropout=0.1)
    for name, weights in ours.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], weights, rtol=0, atol=0)
    assert again.head.embedding.weight is again.encoder.embeddings.tokens.weight
    assert (tmp_path / "model.safetensors").exists()
    assert len(AutoModel.from_pretrained(tmp_path).embeddings.word_embeddings.weight) == 2048


def test_half_precision_halves_the_file(tmp_path: Path, documentation: Corpus) -> None:
    tokenizer = train_tokenizer(documentation.train.texts, 2048)
    sizes = []
    for name, dtype in (("full", torch.float32), ("half", torch.float16)):
        save(model(), tokenizer, tmp_path / name, dtype=dtype)
        sizes.append((tmp_path / name / "model.safetensors").stat().st_size)
    assert 1.8 < sizes[0] / sizes[1] < 2.1
    assert load(tmp_path / "half").head.bias.dtype == torch.float32


def test_a_model_that_the_library_does_not_know_is_refused() -> None:
    with pytest.raises(CourseError, match="norm = 'pre', and the library's BERT only knows 'post'"):
        export(BertForPretraining(replace(CONFIG, norm="pre")))
    with pytest.raises(CourseError, match="n_segments = 0"):
        export(BertForPretraining(replace(CONFIG, n_segments=0)))


def test_a_checkpoint_without_the_head_is_refused(tmp_path: Path) -> None:
    export(model()).bert.save_pretrained(tmp_path)
    with pytest.raises(CourseError, match=r"lacks \d+ weights .* saved with this head"):
        load(tmp_path)


@torch.no_grad()
def test_starting_from_frequencies() -> None:
    made = BertForPretraining(CONFIG).eval()
    wanted = torch.randn(2048).log_softmax(0)
    made.start_from_frequencies(wanted)
    tokens, _ = made(inputs()["input_ids"], torch.zeros(3, 1, dtype=torch.long))
    # A fresh head adds little to its bias, so that the prediction is the frequencies'.
    assert (tokens[0, 0].log_softmax(0) - wanted).abs().mean() < 0.2


@torch.no_grad()
def test_the_first_heads_look_at_their_neighbours() -> None:
    torch.manual_seed(0)
    config = replace(CONFIG, d_model=128, n_layers=3, n_heads=4, max_length=64)
    encoder = BertForPretraining(config).encoder
    start_looking_at_neighbours(encoder)
    layers = [layer.attention for layer in encoder.layers]
    for layer in layers:
        layer.keep_weights = True
    encoder(torch.randint(5, 2048, (3, 64)))
    places, distances = torch.arange(4, 60), range(-4, 5)
    for number, layer in enumerate(layers[:2]):
        assert layer.weights is not None
        for head, offset in enumerate(FIRST_OFFSETS):
            at = {d: float(layer.weights[:, head, places, places + d].mean()) for d in distances}
            if number == 0:
                assert max(at, key=at.__getitem__) == offset
                assert 0.2 < at[offset] < 0.9  # a slope to learn on
            assert at[offset] > 1.5 * at[-offset]
    free = layers[2].weights
    assert free is not None
    assert free.max(dim=-1).values.mean() < 0.2


def test_starting_from_vectors() -> None:
    encoder = BertForPretraining(CONFIG).encoder
    drawn = encoder.embeddings.tokens.weight.detach().clone()
    vectors = torch.randn(2000, CONFIG.d_model)
    vectors[7] = 0
    start_from_vectors(encoder, vectors)
    now = encoder.embeddings.tokens.weight
    assert now.requires_grad
    assert now[:7].equal(vectors[:7])
    assert now[8:2000].equal(vectors[8:])
    assert now[7].equal(drawn[7])  # nothing is known of it
    assert now[2000:].equal(drawn[2000:])


def test_two_heads_a_layer_share_the_offsets() -> None:
    encoder = BertForPretraining(CONFIG).encoder
    start_looking_at_neighbours(encoder)
    first, second = (layer.attention.query.weight.clone() for layer in encoder.layers)
    assert not torch.equal(first, second)
    assert torch.equal(
        encoder.layers[0].attention.key.weight, encoder.layers[1].attention.key.weight
    )


def test_without_learned_positions_the_heads_are_free() -> None:
    torch.manual_seed(0)
    encoder = BertForPretraining(replace(CONFIG, positions="rotary")).encoder
    start_looking_at_neighbours(encoder)
    query = encoder.layers[0].attention.query.weight
    assert query.count_nonzero() == query.numel()


@torch.no_grad()
def test_a_causal_stack_stays_causal_in_the_library(documentation: Corpus, tmp_path: Path) -> None:
    torch.manual_seed(0)
    tokenizer = train_tokenizer(documentation.train.texts, CONFIG.vocab_size)
    causal = CausalLanguageModel(CONFIG).eval()
    save_encoder(causal.encoder, tokenizer, tmp_path, causal=True)
    theirs = AutoModel.from_pretrained(tmp_path, dtype=torch.float32)
    assert isinstance(theirs, BertModel)
    ids = torch.randint(5, CONFIG.vocab_size, (2, 12))
    hidden = theirs(ids).last_hidden_state
    torch.testing.assert_close(hidden, causal.hidden_states(ids), atol=5e-3, rtol=5e-3)
    ids[:, 6:] = 7  # what comes later changes nothing before
    torch.testing.assert_close(theirs(ids).last_hidden_state[:, :6], hidden[:, :6])


@torch.no_grad()
def test_sentinels_are_not_stored(documentation: Corpus, tmp_path: Path) -> None:
    torch.manual_seed(0)
    tokenizer = train_tokenizer(documentation.train.texts, CONFIG.vocab_size)
    model = DenoisingAutoencoder(replace(CONFIG, vocab_size=CONFIG.vocab_size + 9)).eval()
    save_encoder(model.model.encoder, tokenizer, tmp_path)
    theirs = AutoModel.from_pretrained(tmp_path, dtype=torch.float32)
    assert theirs.get_input_embeddings().num_embeddings == len(tokenizer)
    ids = torch.randint(5, CONFIG.vocab_size, (2, 12))
    hidden = theirs(ids).last_hidden_state
    torch.testing.assert_close(hidden, model.model.encoder(ids), atol=5e-3, rtol=5e-3)


@pytest.fixture(scope="module")
def tokenizer(documentation: Corpus):
    return train_tokenizer(documentation.train.texts, 2048)


@torch.no_grad()
def test_an_autoencoder_comes_back_with_its_decoder(tokenizer, tmp_path: Path) -> None:
    torch.manual_seed(0)
    made = DenoisingAutoencoder(replace(CONFIG, vocab_size=2060)).eval()  # with sentinels
    for weight in made.parameters():
        weight.add_(torch.randn_like(weight) * 0.1)
    stacks = made.model.encoder, made.model.decoder
    save_encoder(stacks[0], tokenizer, tmp_path, decoder=stacks[1])
    again = load_encoder_decoder(tmp_path)
    batch = inputs()
    source, mask, target = batch["input_ids"], batch["attention_mask"], batch["input_ids"][:, :9]
    expected = made(source, mask, target)[..., :2048] - made.model.head.bias[:2048]
    torch.testing.assert_close(again(source, mask, target), expected, atol=0.03, rtol=0.01)
    library = AutoModel.from_pretrained(tmp_path, dtype=torch.float32)
    hidden = library(input_ids=source, attention_mask=mask).last_hidden_state
    torch.testing.assert_close(again.read(source, mask), hidden, atol=1e-4, rtol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("causal", [False, True])
def test_an_encoder_gets_a_decoder_of_its_own(causal: bool, tokenizer, tmp_path: Path) -> None:
    made = model().encoder
    save_encoder(made, tokenizer, tmp_path, causal=causal)
    again = load_encoder_decoder(tmp_path)
    assert again.decoder.embeddings.tokens is again.encoder.embeddings.tokens
    source = inputs()["input_ids"]
    mask = torch.ones_like(source)
    before = again.read(source, mask)
    changed = source.clone()
    changed[:, 12] = 7
    moved = (again.read(changed, mask) - before).abs().amax(dim=(0, 2)) > 1e-6
    assert moved.tolist() == [not causal] * 12 + [True] * 8
    # Padding on the right changes nothing of what stands before it.
    padded = torch.cat([source, torch.zeros(3, 4, dtype=torch.long)], dim=1)
    seen = torch.cat([mask, torch.zeros(3, 4, dtype=torch.long)], dim=1)
    torch.testing.assert_close(again.read(padded, seen)[:, :20], before, atol=1e-5, rtol=1e-5)
