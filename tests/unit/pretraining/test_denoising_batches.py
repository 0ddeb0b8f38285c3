"""Corruptions of whole batches: counts exact, shares and spans within 99.9 % of what is specified.

The words of a window are their own places, so that a source tells what is missing.
"""

import math
from itertools import pairwise, permutations

import numpy as np
import pytest
import torch
from scipy.stats import binom, chi2_contingency, chisquare, poisson
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from transformers import BertTokenizer

from utils.errors import CourseError
from utils.pretraining import (
    PackedText,
    Vocabulary,
    count_tokens,
    infill_text,
    span_corruption,
    unigram_log_probabilities,
)
from utils.pretraining.autoencoder import (
    CorruptedSequences,
    Corruption,
    Denoising,
    DenoisingAutoencoder,
    sentence_end_ids,
)
from utils.pretraining.denoising_batches import PAD, noise_spans, poisson_spans
from utils.pretraining.loop import Settings, pretrain
from utils.pretraining.masking import IGNORED
from utils.transformer import TransformerConfig

UNK, CLS, SEP, MASK, FIRST = 1, 2, 3, 4, 5
LENGTH, N = 64, 4000
CORRUPTIONS: tuple[Corruption, ...] = (
    "infilling",
    "spans",
    "deletion",
    "masking",
    "permutation",
)


def vocabulary(n_words: int) -> Vocabulary:
    size = FIRST + n_words
    return Vocabulary(
        size, MASK, CLS, SEP, FIRST, torch.arange(size) >= FIRST, torch.zeros(size).bool()
    )


def text(tokens: Tensor) -> PackedText:
    return PackedText(tokens.int(), torch.tensor([0, len(tokens)]), torch.zeros(1).long())


def objective(corruption: Corruption, length: int = LENGTH, **options) -> Denoising:
    some = text(torch.arange(FIRST, FIRST + length - 2))
    ends = [FIRST + 4, FIRST + 19, FIRST + 20] if corruption == "permutation" else []
    options = {"sentence_ends": ends, **options}
    return Denoising(some, vocabulary(length - 2), length, corruption=corruption, **options)


def windows(n: int = N, length: int = LENGTH, special: float = 0.0) -> Tensor:
    """[CLS], FIRST, FIRST + 1, …, [SEP], in which a share of the words is [UNK] or [SEP]."""
    rows = torch.arange(FIRST - 1, FIRST + length - 1).repeat(n, 1)
    rows = torch.where(torch.rand(rows.shape) < special, torch.randint(2, rows.shape) * 2 + 1, rows)
    rows[:, 0], rows[:, -1] = CLS, SEP
    return rows


def corrupt(corruption: Corruption, special: float = 0.0, **options) -> CorruptedSequences:
    torch.manual_seed(0)
    return objective(corruption, **options).corrupt(
        windows(length=options.get("length", LENGTH), special=special)
    )


def rows(batch: CorruptedSequences) -> list[tuple[list[int], list[int], list[int]]]:
    """(window, source, target) of each sequence, without padding."""
    ends = batch.labels.masked_fill(batch.labels == IGNORED, PAD)[:, -1:]
    target = torch.cat([batch.target_ids, ends], dim=1)
    return [
        (window, [t for t in source if t != PAD], [t for t in written if t != PAD])
        for window, source, written in zip(
            batch.windows.tolist(), batch.source_ids.tolist(), target.tolist(), strict=True
        )
    ]


def restore(source: list[int], target: list[int], first_sentinel: int) -> list[int]:
    """What T5 asks for, put back into its source."""
    spans: dict[int, list[int]] = {}
    for token in target:
        if token >= first_sentinel:
            spans[token] = []
        elif spans and token != SEP:
            spans[next(reversed(spans))].append(token)
    assert list(spans) == [first_sentinel + i for i in range(len(spans))]
    assert all(spans.values())  # no span is empty
    return [t for token in source for t in (spans.get(token, [token]))]


def is_subsequence(short: list[int], long: list[int]) -> bool:
    rest = iter(long)
    return all(token in rest for token in short)


def hidden_counts(batch: CorruptedSequences) -> Tensor:
    """How often each place is hidden, (length,)."""
    seen = torch.bincount(batch.source_ids.flatten(), minlength=FIRST + LENGTH)
    return N - seen[FIRST : FIRST + LENGTH - 2]


def within(successes: int, n: int, share: float, n_looks: int = 1) -> bool:
    low, high = binom.interval(1 - 0.001 / n_looks, n, share)
    return low <= successes <= high


@pytest.mark.parametrize("corruption", CORRUPTIONS)
def test_shapes_and_padding(corruption: Corruption) -> None:
    made = objective(corruption)
    batch = corrupt(corruption, special=0.05)
    assert batch.source_ids.shape == batch.source_mask.shape == (N, made.source_length)
    assert batch.target_ids.shape == batch.labels.shape == (N, made.target_length)
    assert made.source_length <= LENGTH
    assert (batch.source_mask.diff(dim=1) <= 0).all()  # padding at the end only
    assert ((batch.source_ids == PAD) == (batch.source_mask == 0)).all()
    assert (batch.labels[batch.target_ids == PAD] == IGNORED).all()
    assert (batch.source_ids[:, 0] == CLS).all()
    assert (batch.target_ids[:, 0] == CLS).all()
    # A label is the token that the decoder sees next.
    asked = batch.labels[:, :-1] != IGNORED
    assert (batch.labels[:, :-1] == batch.target_ids[:, 1:])[asked].all()
    assert not (batch.labels == UNK).any()


@pytest.mark.parametrize("corruption", ["infilling", "deletion", "masking", "permutation"])
def test_bart_is_asked_for_the_whole_text(corruption: Corruption) -> None:
    batch = corrupt(corruption)
    assert batch.target_ids.equal(batch.windows[:, :-1])
    assert batch.labels.equal(batch.windows[:, 1:])


def test_deletion_and_masking_hide_as_many_as_they_should_everywhere_alike() -> None:
    n_hidden = round(0.15 * (LENGTH - 2))
    for corruption in ("deletion", "masking"):
        batch = corrupt(corruption)
        for window, source, _ in rows(batch):
            kept = [token for token in source if token != MASK]
            assert len(kept) == LENGTH - n_hidden
            assert is_subsequence(kept, window)
            assert len(source) == LENGTH - (n_hidden if corruption == "deletion" else 0)
        counts = hidden_counts(batch)
        share = n_hidden / (LENGTH - 2)
        assert all(within(int(count), N, share, LENGTH - 2) for count in counts)
    assert (batch.source_ids == batch.windows)[batch.source_ids != MASK].all()


def test_infilling_hides_30_percent_and_loses_no_other_token() -> None:
    n_hidden = round(0.30 * (LENGTH - 2))
    for window, source, _ in rows(corrupt("infilling")):
        kept = [token for token in source if token != MASK]
        assert len(kept) == LENGTH - n_hidden
        assert is_subsequence(kept, window)
        # Where something is missing, a [MASK] stands.
        assert all(b == a + 1 for a, b in pairwise(source[1:-1]) if MASK not in (a, b))


def test_lengths_of_spans_are_poisson() -> None:
    length = 8002
    torch.manual_seed(0)
    sources = objective("infilling", length).corrupt(windows(6, length)).source_ids
    lengths = []
    for row in sources.tolist():
        before, masks = row[1] - 1, 0
        for token in row[1:]:
            if token == MASK:
                masks += 1
            elif token >= FIRST:
                if masks == 1:  # where spans touch, only their sum is known
                    lengths.append(token - before - 1)
                before, masks = token, 0
    counts = np.bincount(np.minimum(lengths, 8), minlength=9)
    expected = np.append(poisson.pmf(range(8), 3.0), poisson.sf(7, 3.0)) * len(lengths)
    assert len(lengths) > 3000
    assert chisquare(counts, expected).pvalue > 0.001


def test_short_sequences_are_infilled_as_the_reference_does_it() -> None:
    words = list(range(FIRST, FIRST + LENGTH - 2))
    rng = np.random.default_rng(0)
    reference = [infill_text(words, 0.3, MASK, rng) for _ in range(N)]
    batch = corrupt("infilling")
    ours = (batch.source_ids == MASK).sum(dim=1).numpy()
    theirs = np.array([row.count(MASK) for row in reference])
    tables = [np.bincount(np.clip(n, 3, 11), minlength=12)[3:] for n in (ours, theirs)]
    assert chi2_contingency(tables).pvalue > 0.001
    seen = np.bincount([token for row in reference for token in row], minlength=FIRST + LENGTH)
    places = [hidden_counts(batch).numpy(), N - seen[FIRST : FIRST + LENGTH - 2]]
    assert chi2_contingency(places).pvalue > 0.001


def test_span_corruption_can_be_undone() -> None:
    made = objective("spans")
    n_hidden = round(0.15 * (LENGTH - 2))
    assert (made.n_hidden, made.n_spans) == (n_hidden, round(n_hidden / 3))
    for window, source, target in rows(corrupt("spans")):
        assert restore(source, target, made.vocabulary.size) == window
        assert len(target) == 1 + n_hidden + made.n_spans + 1
        assert len(source) == LENGTH - n_hidden + made.n_spans
        sentinels = [token >= made.vocabulary.size for token in source]
        assert sum(sentinels) == made.n_spans
        assert not any(a and b for a, b in pairwise(sentinels))


def test_spans_are_cut_and_placed_as_specified() -> None:
    # Seven hidden tokens in two spans: all six cuts are as likely.
    torch.manual_seed(0)
    maskable = (torch.arange(30) > 0).repeat(N, 1)
    maskable[:, -1] = False
    spans = noise_spans(maskable, 7, 2)
    assert (spans.hidden.sum(dim=1) == 7).all()
    first = torch.where(spans.hidden & (spans.marks.cumsum(1) == 1), 1, 0).sum(dim=1)
    counts = torch.bincount(first, minlength=7)[1:]
    assert chisquare(counts.numpy()).pvalue > 0.001
    # The longest sequences need all spans; places are those of the reference.
    words = list(range(FIRST, FIRST + LENGTH - 2))
    rng = np.random.default_rng(0)
    sentinels = list(range(1000, 1010))
    reference = [span_corruption(words, 0.15, sentinels, rng)[0] for _ in range(N)]
    seen = np.bincount([t for row in reference for t in row if t < 1000], minlength=FIRST + LENGTH)
    batch = corrupt("spans")
    places = [hidden_counts(batch).numpy(), N - seen[FIRST : FIRST + LENGTH - 2]]
    assert chi2_contingency(places).pvalue > 0.001


def test_sentences_move_as_a_whole_and_all_orders_are_as_likely() -> None:
    torch.manual_seed(0)
    ends = torch.zeros(LENGTH - 2 + FIRST, dtype=torch.bool)
    ends[[FIRST + 4, FIRST + 19]] = True
    made = objective("permutation", sentence_ends=[FIRST + 4, FIRST + 19])
    words = list(range(FIRST, FIRST + LENGTH - 2))
    sentences = [words[:5], words[5:20], words[20:]]  # the last is cut off by the window
    orders = [
        (CLS, *(t for sentence in order for t in sentence), SEP)
        for order in permutations(sentences)
    ]
    found = [tuple(row) for row in made.corrupt(windows()).source_ids.tolist()]
    assert chisquare([found.count(order) for order in orders]).pvalue > 0.001
    assert set(found) == set(orders)


def test_sentences_stay_in_their_document() -> None:
    torch.manual_seed(0)
    made = objective("permutation")
    window = windows()
    window[:, 30] = SEP
    window[:, 8] = UNK
    source = made.corrupt(window).source_ids
    assert (source[:, 30] == SEP).all()
    for part in (slice(0, 30), slice(31, None)):
        assert source[:, part].sort(dim=1).values.equal(window[:, part].sort(dim=1).values)
    # The [UNK] moves with its sentence: after the word that stood before it.
    places = (source == UNK).long().argmax(dim=1)
    assert (source.gather(1, places[:, None] - 1)[:, 0] == window[:, 7]).all()


@pytest.mark.parametrize("special", [0.02, 0.2, 0.7])
@pytest.mark.parametrize("corruption", ["infilling", "spans", "deletion", "masking"])
def test_special_tokens_are_never_hidden(corruption: Corruption, special: float) -> None:
    made, n_cut = objective(corruption), 0
    batch = corrupt(corruption, special=special)
    for (window, source, target), labels in zip(rows(batch), batch.labels.tolist(), strict=True):
        if corruption == "spans":
            # [SEP] in the middle stands in the source, the closing one in both.
            restored = restore(source, target, made.vocabulary.size)
            hidden = [t for t in target[1:] if t < made.vocabulary.size and t != SEP]
        else:
            restored, seen = [], [token for token in source if token != MASK]
            assert target == window[: len(target)]
            assert len(target) >= LENGTH - 1  # the closing [SEP] is only asked for
            n_seen = 0
            for token in window:
                if n_seen < len(seen) and token == seen[n_seen]:
                    n_seen += 1
                elif token < FIRST:
                    break  # a special token is only missing where the window is cut
                restored.append(token)
            assert n_seen == len(seen)
            hidden = [token for token in restored if token >= FIRST and token not in seen]
            n_asked = sum(label != IGNORED for label in labels)
            n_words = sum(token >= FIRST for token in restored)
            assert n_asked <= n_words + 1
        assert len(set(hidden)) == len(hidden)
        if len(restored) < LENGTH:
            n_cut += 1
            assert restored == window[: len(restored)]
        else:
            assert restored == window
            n_words = sum(token >= FIRST for token in window)
            assert len(hidden) == min(made.n_hidden, n_words)
    if special == 0.02:
        # Only spans that are cut in two, and so need room, can make a window too long.
        assert n_cut <= {"spans": 0.2 * N, "infilling": 5}.get(corruption, 0)


@pytest.mark.parametrize("mean_span", [1.0, 3.0, 8.0])
def test_sentinels_suffice_even_where_spans_are_cut(mean_span: float) -> None:
    made = objective("spans", mean_span=mean_span)
    batch = corrupt("spans", special=0.6, mean_span=mean_span)
    assert max(batch.source_ids.max(), batch.target_ids.max()) < made.vocab_size


def test_ends_of_sentences_by_the_tokenizer() -> None:
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "?", "b", "."]
    tokenizer = BertTokenizer(vocab={token: i for i, token in enumerate(tokens)})
    assert sentence_end_ids(tokenizer) == [8, 6]


def test_a_span_does_not_cross_a_special_token() -> None:
    torch.manual_seed(0)
    maskable = windows(special=0.2) >= FIRST
    for spans in (poisson_spans(maskable, 19, 3.0, 14), noise_spans(maskable, 9, 3)):
        assert not (spans.hidden & ~maskable).any()
        begins_anew = spans.hidden[:, 1:] & ~spans.hidden[:, :-1]
        assert (spans.marks[:, 1:][begins_anew] >= 1).all()


@pytest.mark.parametrize("corruption", CORRUPTIONS)
def test_nothing_waits_for_the_device(corruption: Corruption) -> None:
    # A fake tensor has a shape and no numbers: whatever looks at a number on the host, or makes
    # shapes depend on numbers, fails.
    made = objective(corruption)
    with FakeTensorMode(allow_non_fake_inputs=True):
        batch = made.draw(8)
    assert batch.source_ids.shape == (8, made.source_length)
    assert batch.labels.shape == (8, made.target_length)


def test_the_same_seed_corrupts_the_same() -> None:
    made = objective("infilling")
    drawn = []
    for seed in (7, 7, 8):
        torch.manual_seed(seed)
        drawn.append(made.draw(4).source_ids)
    assert drawn[0].equal(drawn[1])
    assert not drawn[0].equal(drawn[2])


def model(vocab_size: int, norm: str = "pre") -> DenoisingAutoencoder:
    torch.manual_seed(0)
    return DenoisingAutoencoder(
        TransformerConfig(
            vocab_size=vocab_size,
            d_model=32,
            n_layers=1,
            n_heads=2,
            d_ff=64,
            max_length=LENGTH,
            norm=norm,
        )
    )


@pytest.mark.parametrize("corruption", ["infilling", "spans"])
@torch.no_grad()
def test_padding_changes_no_loss(corruption: Corruption) -> None:
    made = objective(corruption)
    reader = model(made.vocab_size).eval()
    batch = made.corrupt(windows(6, special=0.1))
    total, n = 0.0, 0
    for i in range(6):
        source = batch.source_ids[i][batch.source_mask[i] == 1][None]
        real = batch.target_ids[i] != PAD
        target, labels = batch.target_ids[i][real][None], batch.labels[i][real]
        log_p = reader.model(source, torch.ones_like(source), target)[0].log_softmax(-1)
        for row, label in zip(log_p, labels.tolist(), strict=True):
            if label != IGNORED:
                total, n = total - row[label].item(), n + 1
    assert made.loss(reader, batch).item() == pytest.approx(total / n, rel=1e-5)


def skewed_text(n_words: int = 40, n: int = 4000) -> PackedText:
    torch.manual_seed(0)
    return text(FIRST + (torch.rand(n) ** 3 * n_words).long())


@pytest.mark.parametrize("corruption", ["infilling", "spans"])
@torch.no_grad()
def test_frequencies_are_those_of_the_labels(corruption: Corruption) -> None:
    facts = vocabulary(40)
    made = Denoising(skewed_text(), facts, 32, corruption=corruption)
    counts = count_tokens(made.text, facts)
    frequencies = made.frequencies(unigram_log_probabilities(counts))
    assert frequencies.exp().sum().item() == pytest.approx(1.0, abs=1e-5)
    labels = made.draw(2000).labels
    seen = torch.bincount(labels[labels != IGNORED], minlength=made.vocab_size)
    frequent = seen > 300
    torch.testing.assert_close(
        frequencies.exp()[frequent], (seen / seen.sum())[frequent], rtol=0.2, atol=0
    )
    reader = model(made.vocab_size).eval()
    reader.start_from_frequencies(frequencies)
    entropy = -(seen / seen.sum() * (seen / seen.sum()).clamp(min=1e-9).log()).sum()
    assert made.loss(reader, made.draw(64)).item() == pytest.approx(entropy.item(), abs=0.15)


@pytest.mark.parametrize("corruption", CORRUPTIONS)
def test_training_lowers_the_loss(corruption: Corruption) -> None:
    made = Denoising(
        skewed_text(), vocabulary(40), 24, corruption=corruption, sentence_ends=[FIRST, FIRST + 2]
    )
    settings = Settings(
        n_steps=30, batch_size=16, n_evaluations=30, learning_rate=1e-2, optimizer="adamw"
    )
    curve = pretrain(model(made.vocab_size), made, settings).curve
    losses = [point["loss"] for point in curve]
    assert losses[0] == pytest.approx(math.log(made.vocab_size), abs=0.3)
    assert losses[-1] < losses[0] - 0.5


def test_what_cannot_work_is_refused() -> None:
    with pytest.raises(CourseError, match="There is no corruption 'shuffling'"):
        objective("shuffling")  # type: ignore[arg-type]
    with pytest.raises(CourseError, match="must lie between 0 and 1"):
        objective("deletion", rate=1.0)
    with pytest.raises(CourseError, match="no room to hide one"):
        objective("masking", 3)
    with pytest.raises(CourseError, match="must be 1 or more"):
        objective("spans", mean_span=0.5)
    with pytest.raises(CourseError, match="say which tokens end one"):
        objective("permutation", sentence_ends=[])
