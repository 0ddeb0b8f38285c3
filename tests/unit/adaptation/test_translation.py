"""Translators: by counted words, and by encoder–decoders that begin in three ways."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from utils import runtime, sources
from utils.adaptation import METHODS, Problem, get_method, methods_for
from utils.adaptation.lexical_translation import join, learn_lexicon, words
from utils.adaptation.saved import has_model, predict_table, translate
from utils.adaptation.sequence_to_sequence import make_batch
from utils.adaptation.subwords import END, MASK, PAD, START, encode, learn_subwords, table
from utils.adaptation.training import Settings, train
from utils.adaptation.translation import spoil
from utils.adaptation.writer import Writer
from utils.errors import CourseError
from utils.pretraining.masking import IGNORED
from utils.tasks import translation
from utils.tasks.sequence_copying import SequencePairs
from utils.tasks.translation import Examples, score

SMALL, _ = sources.model_path(sources.COURSE_BERT)

ANIMALS = {"dog": "Hund", "horse": "Esel", "bird": "Vogel", "lion": "Löwe", "fish": "Fisch"}
VERBS = {"runs": "rennt", "sleeps": "schläft", "eats": "frisst", "waits": "wartet"}
TIMES = {"today": "heute", "often": "oft", "now": "jetzt", "never": "nie"}


def pairs(n: int, seed: int) -> Examples:
    """ "A dog runs today." and "Heute rennt ein Hund.": the order is turned round."""
    rng = np.random.default_rng(seed)
    found: list[list[str]] = [[], []]
    for _ in range(n):
        animal, verb, time = (rng.choice(list(each)) for each in (ANIMALS, VERBS, TIMES))
        found[0].append(f"A {animal} {verb} {time}.")
        found[1].append(f"{TIMES[time].capitalize()} {VERBS[verb]} ein {ANIMALS[animal]}.")
    return Examples(*found)


TINY = {"d_model": 64, "n_heads": 4, "n_layers": 2, "vocab_size": 120, "batch_size": 16}
TINY |= {"epochs": 1, "min_updates": 300, "dropout": 0.0, "learning_rate": 2e-3, "n_beams": 2}


def problem(method: str, **changes) -> Problem:
    train_pairs = pairs(200, 0)
    hyper = {**METHODS[method].defaults}
    hyper |= {name: value for name, value in TINY.items() if name in hyper}
    if "denoising_updates" in hyper:
        hyper["denoising_updates"] = 30
    if METHODS[method].needs_model:
        hyper["min_updates"] = 100
    return replace(
        Problem(
            train_pairs, pairs(20, 1), pairs(40, 2), 0, 0, 32, hyper, SMALL,
            unlabelled=train_pairs.texts, task=translation.NAME,
        ),
        **changes,
    )  # fmt: skip


# --- words ----------------------------------------------------------------------------------------


def test_model_1_by_hand() -> None:
    lexicon = learn_lexicon(["a b", "a"], ["x y", "x"], n_rounds=1)
    # Shares: the first pair gives 1/2 to each link, the second 1 to (a, x).
    assert lexicon.of("a") == pytest.approx({"x": 1.5 / 2, "y": 0.5 / 2})
    assert lexicon.of("b") == pytest.approx({"x": 0.5, "y": 0.5})
    twice = learn_lexicon(["a b", "a"], ["x y", "x"], n_rounds=2)
    x = 0.75 / (0.75 + 0.5) + 1  # share of a in the x of the first pair, and all of the second
    y = 0.25 / (0.25 + 0.5)
    assert twice.of("a") == pytest.approx({"x": x / (x + y), "y": y / (x + y)})
    assert list(twice.of("b")) == ["y", "x"]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.text("abc ", min_size=1), st.text("xyz ", min_size=1)), min_size=1))
def test_probabilities_of_a_word_sum_to_one(texts: list[tuple[str, str]]) -> None:
    texts = [*texts, ("a", "x")]  # one pair at least has words on both sides
    lexicon = learn_lexicon(*zip(*texts, strict=True))
    for source in set(lexicon.sources):
        assert sum(lexicon.of(source).values()) == pytest.approx(1)


def test_words_and_back() -> None:
    assert words("Two dogs, one Cat.") == ["two", "dogs", ",", "one", "Cat", "."]
    assert join(["zwei", "Hunde", ",", "eine", "Katze", "."]) == "Zwei Hunde, eine Katze."
    assert (words(""), join([])) == ([], "")


def test_baselines_without_a_network() -> None:
    copied = get_method("copy-source").fit(problem("copy-source")).predictions
    assert copied.tolist() == problem("copy-source").evaluation.sources
    outcome = get_method("word-by-word").fit(problem("word-by-word"))
    for english, german in zip(copied, outcome.predictions, strict=True):
        _, animal, verb, _, _ = words(english)
        assert {ANIMALS[animal], VERBS[verb]} <= set(words(str(german)))
        assert str(german).endswith(".")


# --- subwords -------------------------------------------------------------------------------------

TEXTS = [*pairs(60, 3).texts, "Mädchen", "Straße", "don't"]


@pytest.fixture(scope="module")
def pieces():
    return learn_subwords([*TEXTS, *TEXTS], 150)


def test_subwords_give_every_text_back(pieces) -> None:
    for text, row in zip(TEXTS, encode(pieces, TEXTS, 64), strict=True):
        assert row[-1] == END
        assert pieces.decode(row).strip() == text
    assert pieces.get_vocab_size() <= 150
    assert [pieces.token_to_id(f"[{name}]") for name in ("PAD", "START", "END", "MASK")] == [
        PAD, START, END, MASK,
    ]  # fmt: skip


def test_long_texts_are_cut_and_still_end(pieces) -> None:
    (row,) = encode(pieces, ["dog " * 100], 16)
    assert len(row) == 16
    assert row[-1] == END
    assert table([[5, 6], [7]]).tolist() == [[5, 6], [7, PAD]]
    assert encode(pieces, [""], 8) == [[END]]


def test_subwords_are_the_same_every_time() -> None:
    first, second = (learn_subwords(TEXTS, 100).get_vocab() for _ in range(2))
    assert first == second


@given(st.lists(st.integers(5, 99), min_size=1, max_size=40), st.integers(0, 1000))
def test_spoilt_text_keeps_its_end_and_no_new_tokens(row: list[int], seed: int) -> None:
    spoilt = spoil([*row, END], np.random.default_rng(seed))
    assert spoilt[-1] == END
    kept = [token for token in spoilt[:-1] if token != MASK]
    assert len(kept) == len(row) - round(0.35 * len(row))
    rest = iter(row)
    assert all(token in rest for token in kept)  # in their order


# --- training -------------------------------------------------------------------------------------


def test_the_decoder_sees_the_target_one_place_later() -> None:
    batch = SequencePairs(np.array([[5, END]]), np.array([[6, 7, END, PAD]]))
    inputs, labels = make_batch(batch, START)
    assert inputs["target_ids"].tolist() == [[START, 6, 7, END]]
    assert labels.tolist() == [[6, 7, END, IGNORED]]


def test_label_smoothing_is_that_of_the_formula() -> None:
    torch.manual_seed(0)
    x, labels, epsilon = torch.randn(6, 4), torch.tensor([0, 2, 1, 1, IGNORED, 0]), 0.2
    model = torch.nn.Linear(4, 3)
    log_p = model(x).log_softmax(dim=1).detach()
    real = labels != IGNORED
    own = -log_p[real].gather(1, labels[real, None])[:, 0]
    wanted = (1 - epsilon) * own + epsilon * -log_p[real].mean(dim=1)
    progress = train(
        _Named(model), [np.arange(6)], lambda _: ({"x": x}, labels), lambda _: 0.0,
        Settings(1e-9, 1, n_evaluations=1, mixed_precision=False, label_smoothing=epsilon),
    )  # fmt: skip
    assert progress.curve[0]["loss"] == pytest.approx(float(wanted.mean()), rel=1e-5)


class _Named(torch.nn.Module):
    def __init__(self, inner: torch.nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(x)


LEARNED = [name for name in methods_for(translation.NAME) if name.startswith("seq2seq")]


@pytest.mark.parametrize("name", LEARNED)
def test_all_learn_to_turn_the_order_round(name: str, tmp_path: Path) -> None:
    asked = problem(name, keep=tmp_path / "kept")
    outcome = get_method(name).fit(asked)
    metrics, _ = score(outcome.predictions, asked.evaluation)
    exact = np.mean(outcome.predictions == np.array(asked.evaluation.targets))
    assert exact > 0.8, outcome.predictions[:5]
    assert metrics["bleu"] > 85
    n_updates = {"seq2seq-denoising": 330, "seq2seq-warm-start": 100}
    assert outcome.cost["optimiser_steps"] == n_updates.get(name, 300)
    assert outcome.cost["flops"] > 0
    # What was kept translates as the model that was trained, whatever stands beside a sentence.
    assert has_model(tmp_path / "kept")
    again = translate(tmp_path / "kept", asked.evaluation.sources)
    assert [each.text for each in again] == outcome.predictions.tolist()
    assert translate(tmp_path / "kept", asked.evaluation.sources[:1]) == again[:1]


def test_a_warm_start_begins_with_the_weights_of_the_encoder(monkeypatch) -> None:
    from utils.adaptation import translation as module
    from utils.pretraining.model import load_encoder_decoder

    seen = {}

    def stop(problem, translator, before=None, rates=None):
        seen.update(translator.model.encoder.state_dict(), n_slow=len(rates[0][0]), by=rates[0][1])

    monkeypatch.setattr(module, "_fit", stop)
    module.from_encoder(problem("seq2seq-warm-start"))
    for name, weight in load_encoder_decoder(SMALL).encoder.state_dict().items():
        assert torch.equal(seen[name].cpu(), weight)
    assert seen["by"] == METHODS["seq2seq-warm-start"].defaults["encoder_rate"]
    assert seen["n_slow"] > 10


# --- use ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def kept(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("translator") / "kept"
    get_method("seq2seq").fit(problem("seq2seq", keep=folder))
    return folder


def test_beams_and_penalty_are_passed_on(kept: Path, monkeypatch) -> None:
    from utils.adaptation import writer as module

    asked = []

    def spy(*arguments, **settings):
        asked.append((settings["n_beams"], settings["length_penalty"]))
        return module_search(*arguments, **settings)

    module_search = module.search
    monkeypatch.setattr(module, "search", spy)
    translator = Writer.load(kept)
    translator.write(["A dog runs now."])
    translator.write(["A dog runs now."], n_beams=1, length_penalty=0.0)
    assert asked == [(2, 1.0), (1, 0.0)]


@pytest.mark.parametrize(
    "text", ["🐕🐕🐕", "كلب يركض", "word " * 20_000, "x", "A dog\nruns.", "<b>&amp;</b>"]
)
def test_strange_text_is_no_error(kept: Path, text: str) -> None:
    (written,) = translate(kept, [text])
    assert isinstance(written.text, str)
    assert written.in_full == (len(text) < 1000)


def test_tabs_and_double_spaces_are_spaces(kept: Path) -> None:
    plain, *others = translate(
        kept, ["A dog runs now.", "A  dog runs\tnow.", " A dog\nruns now. ", "A dog\u00a0runs now."]
    )
    assert [other.text for other in others] == [plain.text] * 3


def test_a_table_is_translated_row_by_row(kept: Path) -> None:
    rows = predict_table(
        kept, {"text": ["A dog runs now.", "A bird waits today."], "n": ["1", "2"]}
    )
    assert [set(row) for row in rows] == [{"translation", "in_full"}] * 2
    assert translate(kept, []) == []


def test_wrong_input_is_named(kept: Path, tmp_path: Path) -> None:
    with pytest.raises(CourseError, match=r"Row 2: the text is empty or not a text \(' '\)"):
        translate(kept, ["A dog.", " "])
    with pytest.raises(CourseError, match=r"'text' is missing; there are: sentence"):
        predict_table(kept, {"sentence": ["A dog."]})
    with pytest.raises(CourseError, match="There is no model in"):
        translate(tmp_path, ["A dog."])


def test_weights_are_on_the_device(kept: Path) -> None:
    model = Writer.load(kept).model
    assert {p.device.type for p in model.parameters()} == {runtime.device().type}
    assert model.head.embedding is model.decoder.embeddings.tokens
