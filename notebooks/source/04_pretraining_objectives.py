# ---
# jupyter:
#   course:
#     evidence:
#       figures: 5
#       optimiser_steps: 100
#       records: 4
#     minutes: 40
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Lesson 04 · Pre-training objectives
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/transfer-learning-course/transfer-learning-course/blob/main/notebooks/04_pretraining_objectives.ipynb)
#
# **What should a model be asked, to learn most?** BERT fills gaps, GPT goes on writing, BART and T5
# repair damaged text. All four learn from the same unlabelled text, and what they are good for
# afterwards differs. This lesson puts the questions side by side, on one text and with equal work.
#
# **After this lesson you can**
#
# - turn a paragraph into the questions of masked and causal language models and of denoising
#   auto-encoders;
# - write down which probability each of them models, and what each position can see;
# - count what an update costs, and compare objectives at equal work;
# - train one small model of each kind, and let it do what it is made for;
# - read the published comparisons, and name what must not be compared.
#
# **You need** lesson 02 (encoder, decoder, masks) and lesson 03 (masked language modelling, and the
# gain over token frequencies).

# %%
# In Colab this fetches the course and installs what is missing; elsewhere it changes nothing.
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

try:
    from utils import lesson
except ImportError:  # not installed: use the project's folder, in Colab a copy fetched now
    places = [Path.cwd(), *Path.cwd().parents, Path.cwd() / "transfer-learning-course"]
    root = next((place for place in places if (place / "utils/lesson").is_dir()), None)
    if root is None:
        if not (find_spec("google") and find_spec("google.colab")):
            raise ImportError("Run `make lab` in the folder of the course.") from None
        url = "https://github.com/transfer-learning-course/transfer-learning-course"
        subprocess.run(["git", "clone", "--quiet", "--depth=1", url, places[-1]], check=True)
        root = places[-1]
    sys.modules.pop("utils", None)  # some other package of this name
    sys.path.insert(0, str(root))
    from utils import lesson

lesson.setup()

# %% [markdown]
# Time and memory that this lesson took when it was last measured:

# %%
lesson.lesson_card("04")

# %% tags=["parameters"]
PROFILE = "quick"
SEED = 0
RETRAIN = False

# %%
import textwrap

import torch
from matplotlib.figure import Figure

from utils import runtime
from utils.lesson import (
    check,
    pretrain_live,
    quiz,
    show_exercise,
    show_figure,
    show_source,
    show_table,
    skipped,
)
from utils.profiles import pick

runtime.seed_everything(SEED)

# %% [markdown]
# ## 1 · The text
#
# The text of lesson 03: textbooks if this machine can reach them, else the documentation installed
# with Python and its libraries. Whole documents are held out.

# %%
from utils.pretraining.corpora import load_corpus
from utils.pretraining.wordpiece import train_tokenizer
from utils.tasks.language_modelling import TEXTBOOKS

corpus = load_corpus(TEXTBOOKS, profile=PROFILE)
tokenizer = train_tokenizer(corpus.train.texts, pick(PROFILE, smoke=4096, quick=4096, full=8192))
print(f"source: {corpus.source.location}")
print(f"{len(corpus.train):,} documents to learn from, {len(corpus.held_out):,} held out")

# %%
from utils.pretraining import (
    count_tokens,
    pack,
    token_vectors,
    unigram_log_probabilities,
    vocabulary_of,
)

LENGTH = 64
folder = runtime.runs_dir() / "cache" / "pretraining"
text, held_out_text = (pack(part, tokenizer, folder) for part in (corpus.train, corpus.held_out))
vocabulary = vocabulary_of(tokenizer)
frequencies = unigram_log_probabilities(count_tokens(text, vocabulary))
print(f"{len(text.tokens):,} tokens to learn from, {len(held_out_text.tokens):,} held out")

# %% [markdown]
# All that follows is asked about one and the same piece of a document:


# %%
from utils.pretraining.masking import IGNORED


def show(label, ids):
    """Print token numbers as words; sentinels, numbered behind the vocabulary, as ⟨0⟩, ⟨1⟩, …"""
    names = [
        f"⟨{i - vocabulary.size}⟩" if i >= vocabulary.size else tokenizer.convert_ids_to_tokens(i)
        for i in ids.tolist()
        if i not in (tokenizer.pad_token_id, IGNORED)
    ]
    words = " ".join(names).replace(" ##", "")
    print(textwrap.fill(f"{label}: {words}", 96, subsequent_indent=" " * (len(label) + 2)))


# %%
from utils.pretraining import PackedText


def piece_of(document, n_tokens):
    """The first tokens of a document as a text of its own: there is one place to draw from."""
    start = int(text.starts[document])
    begin = torch.zeros(1, dtype=torch.long, device=text.tokens.device)
    return PackedText(text.tokens[start : start + n_tokens], begin, begin)


piece = piece_of(len(corpus.train) // 2, LENGTH - 2)
show("text", piece.tokens)

# %% [markdown]
# ## 2 · One paragraph, many questions
#
# **Masked language modelling** (MLM; BERT, Devlin et al., 2019). Some tokens are hidden, and only
# these are asked for. The model sees what stands before and after them.

# %%
from utils.pretraining.objectives import MaskedLanguageModelling

torch.manual_seed(SEED)
masked = MaskedLanguageModelling(piece, vocabulary, LENGTH).draw(1)
show("sees", masked.input_ids[0])
show("asked for", masked.labels[0])

# %% [markdown]
# **MLM with next sentence prediction** (NSP). The input is a pair, and one more answer is asked:
# does B follow A? This one needs several documents, so the pair comes from the whole text.

# %%
torch.manual_seed(SEED)
paired = MaskedLanguageModelling(text, vocabulary, LENGTH, negatives="other-document").draw(2)
show("sees", paired.input_ids[1])
show("asked for", paired.labels[1])
print("and asked for: does B follow A?", "yes" if paired.is_next[1] else "no")

# %% [markdown]
# **Causal language modelling** (GPT, Radford et al., 2018). At every position, the token that
# follows. Nothing is damaged; what comes later is hidden from each position by the attention mask.

# %%
from utils.pretraining.causal import CausalLanguageModelling

following = CausalLanguageModelling(piece, vocabulary, LENGTH - 2).draw(1)
for n in (1, 2, 3, 12):
    show("sees", following.input_ids[0, :n])
    show("      asked for", following.labels[0, n - 1 : n])

# %% [markdown]
# **Denoising** (an auto-encoder: text in, the same text out). An encoder reads a damaged text, a
# decoder writes. Here are five ways to damage it. First those after which the **whole** text is to
# be written, as in BART (Lewis et al., 2020):

# %%
from utils.pretraining.autoencoder import Denoising, sentence_end_ids

ends = sentence_end_ids(tokenizer)


def damaged(corruption):
    torch.manual_seed(SEED)
    objective = Denoising(piece, vocabulary, LENGTH, corruption=corruption, sentence_ends=ends)
    return objective.draw(1)


for corruption in ("infilling", "deletion", "masking", "permutation"):
    show(f"{corruption:12}", damaged(corruption).source_ids[0])

# %%
show("to be written, each time", damaged("infilling").labels[0])

# %% [markdown]
# *Infilling* puts one `[MASK]` for a span of several tokens, or of none: the model has to find out
# how many are missing. After *deletion* it has to find out even where.
#
# T5 (Raffel et al., 2020) replaces each span by a **sentinel** of its own and asks only for what is
# missing. The target is short, and so is the work of the decoder:

# %%
spans = damaged("spans")
show("sees", spans.source_ids[0])
show("to be written", spans.labels[0])

# %% [markdown]
# How much does a sequence teach, and what does it cost? Counted on real batches: positions that go
# through the layers, answers that are asked for, and floating-point operations (FLOPs) of forward
# and backward pass. The model is that of section 5.

# %%
from dataclasses import replace

from utils.pretraining.flops import training_flops
from utils.transformer import TransformerConfig

config = TransformerConfig(
    vocab_size=vocabulary.size, d_model=128, n_layers=2, n_heads=2, d_ff=512,
    max_length=LENGTH, n_segments=2,
)  # fmt: skip


def denoising(corruption, source=text):
    return Denoising(source, vocabulary, LENGTH, corruption=corruption, sentence_ends=ends)


# %%
objectives = {
    "MLM, 15 %": MaskedLanguageModelling(text, vocabulary, LENGTH),
    "MLM, 30 %": MaskedLanguageModelling(text, vocabulary, LENGTH, rate=0.3),
    "MLM + NSP": MaskedLanguageModelling(text, vocabulary, LENGTH, negatives="other-document"),
    "causal LM": CausalLanguageModelling(text, vocabulary, LENGTH),
    "infilling": denoising("infilling"),
    "spans": denoising("spans"),
    "deletion": denoising("deletion"),
    "masking": denoising("masking"),
    "permutation": denoising("permutation"),
}


# %%
def cost(objective):
    """Positions, answers and FLOPs of one sequence; answers are the mean over a batch."""
    drawn = objective.draw(256)
    answers = (drawn.labels >= 0).sum().item() / 256
    if isinstance(objective, Denoising):
        shape = replace(config, vocab_size=objective.vocab_size)
        positions = objective.source_length + objective.target_length
    else:
        shape, positions = config, objective.length
        answers += getattr(drawn, "is_next", None) is not None
    return positions, answers, training_flops(objective, shape, 1)


# %%
print(f"{'objective':12} {'positions':>9} {'answers':>8} {'MFLOPs':>7} {'MFLOPs an answer':>17}")
for name, objective in objectives.items():
    positions, answers, flops = cost(objective)
    print(
        f"{name:12} {positions:9} {answers:8.1f} {flops / 1e6:7.0f} {flops / 1e6 / answers:17.1f}"
    )

# %% [markdown]
# A causal model gets an answer from every position, an MLM from every seventh, and so an answer is
# cheapest for the causal model. Against it stands that its answers come from the left side alone.
# Answers of BART's kind are cheap as well, but most of them can be *copied* from the source.

# %% [markdown]
# ## 3 · Which probability is that?
#
# **Causal.** By the product rule, the probability of a text is *exactly* a product over its tokens:
#
# $$ p(x_1, …, x_n) = \prod_{t=1}^{n} p(x_t \mid x_1, …, x_{t-1}), \qquad
# L_\text{CLM} = -\frac{1}{n} \sum_t \log p_\theta(x_t \mid x_{<t}). $$
#
# So the losses of a causal model add up to the log-probability of the whole text, and one can draw
# texts from it, token by token.
#
# **Masked.** With the hidden positions $M$ and the rest $x_{\setminus M}$, an MLM answers each
# question by itself, as if the hidden tokens were *independent* of each other given the rest:
#
# $$ p(x_M \mid x_{\setminus M}) \approx \prod_{i \in M} p_\theta(x_i \mid x_{\setminus M}). $$
#
# Two neighbouring gaps may be filled with *New* and *Francisco*: each is likely, and together they
# are nonsense. There is no product rule that would turn these answers into the probability of a
# text. XLNet (Yang et al., 2019) was made to repair this.
#
# **Encoder–decoder.** With the damaged text $\tilde x$ and the target $y$ (the text, or what is
# missing), the product rule holds again, now given the source:
#
# $$ p(y \mid \tilde x) = \prod_t p_\theta(y_t \mid y_{<t}, \tilde x), \qquad
# L_\text{DAE} = -\frac{1}{|y|} \sum_t \log p_\theta(y_t \mid y_{<t}, \tilde x). $$
#
# | symbol | variable | shape | asserted by the test |
# |---|---|---|---|
# | $x_{<t}$ | `following.input_ids` | (batch, length) | `test_what_is_drawn` |
# | $x_t$ | `following.labels` | (batch, length) | `test_what_is_drawn` |
# | $L_\text{CLM}$ | `CausalLanguageModelling.loss` | a number | `test_the_loss_by_hand` |
# | $x_M$ | `masked.labels` | (batch, n_masked) | `test_labels_are_what_stood_there_and_nothing_else_changes` |
# | $\tilde x$ | `spans.source_ids` | (batch, k) | `test_span_corruption_can_be_undone` |
# | $y$ | `spans.labels` | (batch, q) | `test_span_corruption_can_be_undone` |
# | $L_\text{DAE}$ | `Denoising.loss` | a number | `test_padding_changes_no_loss` |
#
# The tests stand in `tests/unit/pretraining/`: `test_causal.py`, `test_masking.py` and
# `test_denoising_batches.py`.

# %% [markdown]
# ## 4 · Who sees what
#
# We need not trust a drawing: change one token, and look which outputs change. Here are the three
# architectures with random weights, and a sequence of eight tokens.

# %%
from utils.pretraining.autoencoder import DenoisingAutoencoder
from utils.pretraining.causal import CausalLanguageModel
from utils.transformer import Encoder

tiny = replace(config, n_layers=1, max_length=8)
encoder, decoder_only, encoder_decoder = (
    kind(tiny).eval() for kind in (Encoder, CausalLanguageModel, DenoisingAutoencoder)
)
eight = torch.arange(8)[None] + vocabulary.first_word_id


@torch.no_grad()
def influence(function, ids):
    """(outputs, tokens): 1 where changing a token changes an output."""
    seen = torch.zeros(8, 8)
    for place in range(8):
        changed = ids.clone()
        changed[0, place] += 8
        seen[:, place] = (function(changed) != function(ids)).any(-1)[0]
    return seen


# %%
everything = torch.ones_like(eight)
seen_by = {
    "Encoder (BERT)": influence(encoder, eight),
    "Decoder only (GPT)": influence(decoder_only, eight),
    "Encoder–decoder: source": influence(lambda x: encoder_decoder(x, everything, eight), eight),
    "Encoder–decoder: target": influence(lambda y: encoder_decoder(eight, everything, y), eight),
}


# %%
def mask_figure():
    figure = Figure(figsize=(9.6, 3.0), dpi=100, layout="constrained")
    axes = figure.subplots(1, len(seen_by), sharey=True)
    for ax, (title, seen) in zip(axes, seen_by.items(), strict=True):
        ax.pcolormesh(seen, cmap="Greys", vmin=0, vmax=1.4, edgecolor="white", linewidth=2)
        ax.set_title(title, fontsize="small")
        ax.set_aspect("equal")
        ax.set_xticks([0.5, 7.5], ["1", "8"])
        ax.set_yticks([0.5, 7.5], ["1", "8"])
    axes[0].invert_yaxis()
    figure.supxlabel("Token that is changed (position)", fontsize="small")
    axes[0].set_ylabel("Output (position)", fontsize="small")
    return figure


show_figure(
    mask_figure(),
    alt="Four squares of 8 outputs by 8 tokens, dark where a token changes an output. All is dark "
    "for the encoder and for the source of the encoder–decoder; for the decoder-only model and for "
    "the target, only the lower triangle is.",
)

# %% [markdown]
# Rows are outputs, columns the tokens that they depend on.
#
# - An **encoder** uses both sides. It can't write: give it a beginning, and it has never learned
#   what to do without an end, nor how many tokens are to come.
# - A **causal** model can write: every position has learned to go on from what is on its left. The
#   vector of a word knows nothing of what follows it, which is a loss where texts are to be
#   *understood*: in *the bank of the river*, *bank* has not seen the river.
# - An **encoder–decoder** has both: the source is seen from both sides, and the target is written
#   from left to right. The price is two stacks.

# %% [markdown]
# ## 5 · Equal tokens is not equal work
#
# The three models have the same width and depth and are trained with batches of the same size. To
# compare them after the same number of *updates* would favour the one whose updates are the most
# expensive. We give all of them the same number of FLOPs.

# %%
BATCH_SIZE = pick(PROFILE, smoke=8, quick=16, full=32)
BUDGET = pick(PROFILE, smoke=1.226e11, quick=1.6e12, full=3e13)
chosen = ("MLM, 30 %", "causal LM", "infilling")
update = {name: training_flops(objectives[name], config, BATCH_SIZE) for name in chosen}
n_updates = {name: round(BUDGET / flops) for name, flops in update.items()}

# %%
spent = {name: n_updates[name] * update[name] for name in chosen}
for name in chosen:
    n_tokens = n_updates[name] * BATCH_SIZE * LENGTH
    print(f"{name:10} {n_updates[name]:5,} updates, {n_tokens:9,} tokens, {spent[name]:.3g} FLOPs")
assert max(spent.values()) / min(spent.values()) < 1.02

# %% [markdown]
# The same work, but the MLM reads more than twice as much text as the auto-encoder. Equal *tokens*
# would be another comparison, and a fair one where text is scarce. One must say which it is (section
# 9 shows both).
#
# The formula counts products of matrices and nothing else. On a CPU, the softmax over the whole
# vocabulary at every position takes time too, so equal FLOPs are not equal seconds either.

# %% [markdown]
# ## 6 · Three trainings, live
#
# Each starts with heads that look at neighbouring tokens, with token vectors that counting gives
# (both lesson 03, section 6), and from the frequencies of the tokens that it is asked for. Where
# attention is causal, no head can look ahead, and those that would begin with their own position.
# The curves show each model beside *its own* unigram loss, on held-out documents.

# %%
from utils.pretraining.evaluation import held_out
from utils.pretraining.loop import Settings
from utils.pretraining.model import (
    BertForPretraining,
    start_from_vectors,
    start_looking_at_neighbours,
)

vectors = token_vectors(text, vocabulary, config.d_model)


def settings(name):
    n_evaluations = pick(PROFILE, smoke=2, quick=6, full=20)
    return Settings(
        n_steps=n_updates[name], batch_size=BATCH_SIZE, n_evaluations=n_evaluations, seed=SEED
    )


def prepare(model, frequencies, *stacks):
    for stack in stacks:
        start_looking_at_neighbours(stack)
    start_from_vectors(stacks[0], vectors)  # an encoder and a decoder share one table
    model.start_from_frequencies(frequencies)
    return model.to(runtime.device())


# %%
torch.manual_seed(SEED)
bert = BertForPretraining(config)
prepare(bert, frequencies, bert.encoder)
mlm_progress = pretrain_live(
    bert, objectives["MLM, 30 %"], settings("MLM, 30 %"),
    [held_out(held_out_text, vocabulary, LENGTH, n_sequences=256)], frequencies,
    name=corpus.source.fingerprint, retrain=RETRAIN,
)  # fmt: skip

# %% [markdown]
# Now the causal model: the same stack with another mask.

# %%
show_source(CausalLanguageModel.hidden_states)

# %%
torch.manual_seed(SEED)
gpt = CausalLanguageModel(config)
prepare(gpt, frequencies, gpt.encoder)
clm_progress = pretrain_live(
    gpt, objectives["causal LM"], settings("causal LM"),
    CausalLanguageModelling(held_out_text, vocabulary, LENGTH), frequencies,
    name=corpus.source.fingerprint, retrain=RETRAIN,
)  # fmt: skip

# %% [markdown]
# And the auto-encoder, with text infilling. Its decoder is given the true tokens before each one
# (teacher forcing), so all positions of a target are learned at once.

# %%
torch.manual_seed(SEED)
bart = DenoisingAutoencoder(config)
bart_frequencies = objectives["infilling"].frequencies(frequencies)
prepare(bart, bart_frequencies, bart.model.encoder, bart.model.decoder)
dae_progress = pretrain_live(
    bart, objectives["infilling"], settings("infilling"),
    denoising("infilling", held_out_text), bart_frequencies,
    name=corpus.source.fingerprint, retrain=RETRAIN,
)  # fmt: skip

# %%
progress = dict(zip(chosen, (mlm_progress, clm_progress, dae_progress), strict=True))
print(f"{'':10} {'loss':>6} {'unigram':>8} {'gain':>6} {'right':>6}  (nats per answer; held out)")
for name, done in progress.items():
    last = done.curve[-1]
    losses = f"{last['mlm_loss']:6.2f} {last['unigram_loss']:8.2f} {last['gain']:6.2f}"
    print(f"{name:10} {losses} {last['accuracy']:6.0%}")

# %% [markdown]
# **Read this table by rows only.** Each row says how much a model has learned over counting, *at its
# own question* (of the MLM, as in lesson 03, with 15 % hidden). Numbers of one column must not be
# compared: the questions differ. The MLM is asked for hidden words and knows both sides; the causal
# model is asked for every word and knows the left side; most of what the auto-encoder is asked for
# stands somewhere in its source. How much is that worth?

# %%
asked = denoising("infilling", held_out_text)
torch.manual_seed(SEED)
batch = asked.draw(256)
with torch.no_grad():
    scores = asked.logits(bart.eval(), batch).transpose(1, 2)
losses = torch.nn.functional.cross_entropy(scores, batch.labels, reduction="none")
in_source = (batch.labels[..., None] == batch.source_ids[:, None]).any(-1)
is_word = batch.labels >= vocabulary.first_word_id

# %%
unigram = -bart_frequencies.to(batch.labels.device)[batch.labels.clamp(min=0)]
for label, which in {"in the source": in_source, "not in the source": ~in_source}.items():
    these = which & is_word
    print(f"answers {label:18} {int(these.sum()):6,}, loss {losses[these].mean():.2f}, "
          f"unigram {unigram[these].mean():.2f} nats")  # fmt: skip

# %% [markdown]
# Words that stand in the source are also the more frequent ones, so hold each loss against the unigram
# loss of the same answers.
#
# What objectives are good for cannot be read off their losses at all. It has to be measured on a
# task that none of them was trained on: section 9.

# %% [markdown]
# ## 7 · What each can do
#
# **Fill a gap.** The MLM sees both sides; the causal model can only go on from the left. The same
# gap, the five likeliest tokens of each:

# %%
SENTENCES = [
    "if the value is [MASK] , an error is raised .",
    "the [MASK] of the function is returned .",
    "a list of [MASK] and values .",
]


def best(logits):
    return " · ".join(tokenizer.convert_ids_to_tokens(logits.topk(5).indices.tolist()))


@torch.no_grad()
def fill_in(sentence):
    ids = tokenizer(sentence, return_tensors="pt")["input_ids"].to(runtime.device())
    place = int((ids[0] == vocabulary.mask_id).nonzero()[0, 0])
    both_sides = bert(ids, torch.tensor([[place]], device=ids.device))[0][0, 0]
    left_side = gpt.head(gpt.hidden_states(ids[:, :place])[0, -1])
    print(f"{sentence}\n    MLM:    {best(both_sides)}\n    causal: {best(left_side)}")


for model in (bert, gpt, bart):
    model.eval()
for sentence in SENTENCES:
    fill_in(sentence)

# %% [markdown]
# **Go on writing.** Draw the next token, append it, ask again. A **temperature** $T$ sharpens or
# flattens the distribution before each draw; $T \to 0$ always takes the likeliest token.
#
# $$ p_T(w) \propto \exp(z_w / T), \qquad z \text{ the logits.} $$


# %%
@torch.no_grad()
def write(beginning, temperature, n_tokens=30):
    ids = tokenizer(beginning, return_tensors="pt")["input_ids"][:, :-1].to(runtime.device())
    for _ in range(n_tokens):
        logits = gpt.head(gpt.hidden_states(ids)[0, -1])
        probabilities = (logits / temperature).softmax(-1)
        ids = torch.cat([ids, torch.multinomial(probabilities, 1)[None]], dim=1)
    return ids[0, 1:]


torch.manual_seed(SEED)
for temperature in (0.1, 0.7, 1.0, 1.5):
    show(f"T = {temperature}", write("the function returns", temperature))

# %% [markdown]
# Low temperatures repeat themselves, high ones ramble. An MLM is not made for this.
#
# **Repair a text.** The auto-encoder reads a damaged piece of a held-out document and writes, taking
# the likeliest token each time (greedy decoding):

# %%
from utils.transformer.generation import greedy_search

torch.manual_seed(SEED)
batch = asked.draw(1)
written = greedy_search(
    bart.model, batch.source_ids, batch.source_mask,
    start_id=vocabulary.cls_id, end_id=vocabulary.sep_id, max_new_tokens=LENGTH - 1,
)[0]  # fmt: skip
show("damaged", batch.source_ids[0])
show("repaired", torch.tensor(written))
show("as it was", batch.labels[0])

# %% [markdown]
# In training, the decoder was always given the *true* tokens before each one, and here it has to go
# on from its own. One wrong token, and it finds itself in a text that it has never seen: **exposure
# bias** (Ranzato et al., 2016). Once more as in training; the tokens that it gets right, the others
# as `[MASK]`:

# %%
with torch.no_grad():
    guesses = asked.logits(bart, batch).argmax(-1)
right = guesses == batch.labels
show("with the true text before each token", guesses.masked_fill(~right, vocabulary.mask_id)[0])
print(f"{right.float().mean():.0%} right here; greedy decoding wrote {len(written)} tokens")

# %% [markdown]
# So short a training does not make an auto-encoder that repairs. To copy from the source, the
# decoder has to find the place in it where it stands, through cross-attention, and that takes more
# updates than a minute allows. To be right given the true text is easier.

# %% [markdown]
# ## 8 · How this can go wrong
#
# **The answer leaks.** Forget the causal mask, and each position can look at the very token that it
# is asked for. The same model, the same objective, without the mask:


# %%
class WithoutMask(CausalLanguageModel):
    """A causal model that looks ahead, by mistake."""

    def hidden_states(self, input_ids):
        return self.encoder(input_ids)


n_leaky = pick(PROFILE, smoke=20, quick=150, full=1000)
torch.manual_seed(SEED)
leaky = WithoutMask(config)
prepare(leaky, frequencies, leaky.encoder)
leaky_progress = pretrain_live(
    leaky, objectives["causal LM"],
    Settings(n_steps=n_leaky, batch_size=8, n_evaluations=4, seed=SEED),
    CausalLanguageModelling(held_out_text, vocabulary, LENGTH), frequencies,
    name=corpus.source.fingerprint, retrain=RETRAIN,
)  # fmt: skip

# %%
print(f"after {n_updates['causal LM']:4} updates with the mask:    loss "
      f"{clm_progress.curve[-1]['mlm_loss']:.2f}")  # fmt: skip
print(f"after {leaky_progress.n_steps:4} updates without the mask: loss "
      f"{leaky_progress.curve[-1]['mlm_loss']:.2f}")  # fmt: skip

# %% [markdown]
# With fewer and smaller updates, the loss is already far below that of the honest model, and still
# falling, on held-out text too: the model can copy each answer from one place to the right. Such a
# loss is no success but an alarm. The test of section 4 finds the leak before anything is trained:
# change a token, and no earlier output may move.
#
# Other ways to go wrong:
#
# - **Comparing losses across objectives.** Different questions, different answers; even two MLMs
#   that hide 15 % and 30 % are asked different things. Compare what the models are good for.
# - **Comparing after equal updates or epochs.** An update of one objective may cost three times that
#   of another. Say what was held equal: FLOPs, tokens or seconds.
# - **Comparing architectures and objectives at once.** BART has a decoder that BERT lacks, and more
#   weights. Of published comparisons, ask which of the two made the difference.
# - **Tuning one side.** The learning rate that suits one objective need not suit another.
# - **Labels not shifted**, so that each position is asked for the token that it sees: exercise 04.1.

# %% [markdown]
# ## 9 · Which objective transfers to what?
#
# Models pre-trained on the same text with each objective, three seeds, at equal FLOPs and at equal
# tokens, and then used for tasks with labels, in three families:
#
# - **Classification**: sentiment (SST-2) and topics (AG News), from frozen features and fine-tuned.
# - **Tagging**: persons, places and organisations in news (CoNLL-2003), by F1 of whole entities.
# - **Generation**: given a sentence and an answer in it, write the question (SQuAD, as Du et al.,
#   2017, use it). All models become encoder–decoders. The auto-encoders bring their decoder along;
#   the others get one with random weights, and the causal model goes on to read from left to right.
#   Scored is the share of tokens of the true question that are foretold, given those before.

# %%
from utils.experiments import published_records
from utils.report import objectives_table, select
from utils.tasks.pretraining_objectives import NAME

published = published_records()
if select(published, task=NAME):
    show_table(objectives_table(published))
else:
    skipped("which objective transfers to what: no published records yet")

# %% [markdown]
# How to read it, column by column (the claims of section 13 test what can be tested):
#
# - **Tagging, fine-tuned**: at equal FLOPs, MLM (with or without NSP) finds far more entities than the
#   causal model. At equal tokens hardly any of that lead is left, so that most of it comes from the text
#   that MLM could read for the same work, and not from seeing both sides. The auto-encoders come last
#   in both halves. That their encoders read damaged text, and that the decoder is thrown away here, may
#   be why; it was not tested. Section 13 says what three seeds can decide.
# - **Tagging, frozen**: all are poor, and span corruption is behind in both halves, by more than the
#   seeds differ.
# - **Classification** has no order. What leads on sentiment does not lead on topics, and many
#   differences are no larger than those between seeds (not so for AG News with frozen features, where
#   MLM + NSP is last in both halves). Both tasks can be solved in good part by
#   words alone, and here the words' vectors were counted before training began (section 6), alike for
#   all objectives.
# - **Generation**: infilling leads, if by little. It is the only one whose decoder has learned to
#   write what stands in a source. Look at its deviation at equal tokens: one of three seeds is six
#   points ahead of the others. With few seeds, a mean may hide that a model *either* finds a trick
#   (such as copying from the source) *or* does not.
# - **Budgets**: at equal FLOPs, MLM reads about 2.5 times as much text as causal modelling, because it
#   computes the softmax for its hidden positions only. Compare its tagging score in the two halves of
#   the table: much of its lead is bought with that text. Which half you believe should depend on
#   what *you* are short of.
#
# And how far it reaches: small models, a few million tokens, one text (textbooks), three seeds. BERT
# read some thirty thousand times as much. What is undecided here may well be decided there, as the
# next section shows.

# %% [markdown]
# ## 10 · What the papers measured
#
# **BERT** (Devlin et al., 2019, table 5): the same data and size, without NSP, and without that from
# left to right. Accuracy on four tasks, and F1 on SQuAD:
#
# | objective | MNLI | QNLI | MRPC | SST-2 | SQuAD |
# |---|---:|---:|---:|---:|---:|
# | MLM + NSP | 84.4 | 88.4 | 86.7 | 92.7 | 88.5 |
# | MLM | 83.9 | 84.9 | 86.5 | 92.6 | 87.9 |
# | left to right, no NSP | 82.1 | 84.3 | 77.5 | 92.1 | 77.8 |
#
# Without the right side, sentiment (SST-2) loses half a point, and answers in a passage (SQuAD) lose
# ten. NSP helps on QNLI here; RoBERTa (Liu et al., 2019) trained longer and found no use in it.

# %% [markdown]
# **BART** (Lewis et al., 2020, table 1): models of base size, pre-trained with each objective on
# books and Wikipedia, and then fine-tuned. F1 on SQuAD and accuracy on MNLI (more is better);
# perplexity of summaries on XSum and CNN/DailyMail (less is better):
#
# | objective | SQuAD | MNLI | XSum | CNN/DM |
# |---|---:|---:|---:|---:|
# | masked language model | 90.0 | 83.5 | 7.87 | 7.06 |
# | language model (causal) | 76.7 | 80.1 | 7.00 | 6.56 |
# | permuted language model | 89.1 | 83.7 | 7.69 | 6.96 |
# | token masking | 90.4 | 84.1 | 7.08 | 6.10 |
# | token deletion | 90.4 | 84.1 | 6.90 | 5.87 |
# | text infilling | 90.8 | 84.0 | 6.61 | 5.83 |
# | document rotation | 77.2 | 75.3 | 17.14 | 10.59 |
# | sentence shuffling | 85.4 | 81.5 | 10.93 | 7.89 |
# | text infilling + sentence shuffling | 90.8 | 83.8 | 6.62 | 5.41 |
#
# - The causal model is far behind on SQuAD, as in BERT's table. On summaries it is ahead of the MLM,
#   which has never learned to write.
# - Of the corruptions, rotation and shuffling alone come last in all four columns. They hide no
#   token, so that no word has to be foretold.
# - Between masking, deletion and infilling, the differences on SQuAD and MNLI are below half a point,
#   without any statement about seeds. That is no ranking. On summaries infilling is ahead.
# - Not all rows are one architecture: the language model is a decoder alone.

# %% [markdown]
# **T5** (Raffel et al., 2020): one encoder–decoder and equal numbers of updates; averages over GLUE
# and over SuperGLUE, ROUGE-2 on CNN/DailyMail, exact match on SQuAD:
#
# | objective | GLUE | CNN/DM | SQuAD | SuperGLUE |
# |---|---:|---:|---:|---:|
# | prefix language model | 80.69 | 18.94 | 77.99 | 65.27 |
# | BERT-style | 82.96 | 19.17 | 80.65 | 69.85 |
# | deshuffling | 73.17 | 18.59 | 67.61 | 58.47 |
# | replace corrupted spans | 83.28 | 19.24 | 80.88 | 71.36 |
# | drop corrupted tokens | 84.44 | 19.31 | 80.52 | 68.67 |
#
# - The three that hide tokens are close to each other, and far ahead of shuffling. Dropping tokens is
#   ahead on GLUE and behind on SuperGLUE.
# - T5 settled on spans, and one reason is their **cost**: the targets are short (section 2), and
#   training is faster. Where quality is about equal, work decides.
#
# And a warning on all three: they test *fine-tuning*, of models with hundreds of millions of weights
# at most. Causal models with billions of weights are used by prompting, without fine-tuning (Brown
# et al., 2020, GPT-3), which none of these columns measures.

# %% [markdown]
# ## 11 · Exercises
#
# Replace `...` and run the cell. The check tells you what is likely wrong. Three hints and our solution
# are folded below each task; `lesson.hint("04.1", 1)` and `lesson.solution("04.1")` show them, too.

# %%
show_exercise("04.1")


# %%
def next_tokens(window, may_ask):
    return ...


check("04.1", next_tokens)

# %%
show_exercise("04.2")


# %%
def infill(tokens, spans, mask_id):
    return ...


check("04.2", infill)

# %%
show_exercise("04.3")


# %%
def corrupt_spans(tokens, spans, first_sentinel, sep_id):
    return ...


check("04.3", corrupt_spans)

# %%
show_exercise("04.4")


# %%
def updates_for(budget, n_sequences, length, n_answers, d_model, n_layers, vocab_size):
    return ...


check("04.4", updates_for)

# %%
show_exercise("04.5")


# %%
def bits_per_character(losses, labels, n_characters):
    return ...


check("04.5", bits_per_character)

# %% [markdown]
# ## 12 · Quiz

# %%
quiz("04")

# %% [markdown]
# ## 13 · Claims
#
# Written before the recorded runs of section 9. All speak of fine-tuning with 2,000 labels at equal
# FLOPs, except the last.

# %%
lesson.claim(
    "Masked language modelling transfers better to classification than causal language modelling.",
    better={"pretraining": "objective-mlm, equal FLOPs"},
    worse={"pretraining": "objective-causal, equal FLOPs"},
    on={
        "dataset": ["stanfordnlp/sst2", "fancyzhx/ag_news"],
        "method": "full",
        "n_train": 2000,
    },
)

# %%
lesson.claim(
    "Masked language modelling transfers better to classification than text infilling.",
    better={"pretraining": "objective-mlm, equal FLOPs"},
    worse={"pretraining": "objective-infilling, equal FLOPs"},
    on={
        "dataset": ["stanfordnlp/sst2", "fancyzhx/ag_news"],
        "method": "full",
        "n_train": 2000,
    },
)

# %%
lesson.claim(
    "Asking for the next sentence as well costs no more than a point.",
    better={"pretraining": "objective-mlm-nsp, equal FLOPs"},
    worse={"pretraining": "objective-mlm, equal FLOPs"},
    on={
        "dataset": ["stanfordnlp/sst2", "fancyzhx/ag_news"],
        "method": "full",
        "n_train": 2000,
    },
    kind="not worse",
    margin=0.01,
)

# %%
lesson.claim(
    "Masked language modelling transfers better to finding entities than causal language modelling.",
    better={"pretraining": "objective-mlm, equal FLOPs"},
    worse={"pretraining": "objective-causal, equal FLOPs"},
    on={"dataset": "eriktks/conll2003", "method": "full", "n_train": 2000},
    metric="f1",
)

# %%
lesson.claim(
    "A model that was pre-trained to write (text infilling) foretells questions better than an MLM.",
    better={"pretraining": "objective-infilling, equal FLOPs"},
    worse={"pretraining": "objective-mlm, equal FLOPs"},
    on={"dataset": "rajpurkar/squad", "method": "warm-start", "n_train": 2000},
)

# %%
lesson.claim(
    "At equal tokens, span corruption leaves no worse frozen features than text infilling.",
    better={"pretraining": "objective-spans, equal tokens"},
    worse={"pretraining": "objective-infilling, equal tokens"},
    on={
        "dataset": ["stanfordnlp/sst2", "fancyzhx/ag_news"],
        "method": "frozen",
        "n_train": 2000,
    },
    kind="not worse",
    margin=0.01,
)

# %% [markdown]
# ## Read next
#
# - Radford et al., *Improving Language Understanding by Generative Pre-Training*, 2018: the first
#   GPT.
# - Devlin et al., *BERT: Pre-training of Deep Bidirectional Transformers*, 2019, NAACL: its table 5
#   compares MLM with a left-to-right model.
# - Yang et al., *XLNet: Generalized Autoregressive Pretraining*, 2019, NeurIPS: the product rule in
#   all orders.
# - Lewis et al., *BART: Denoising Sequence-to-Sequence Pre-training*, 2020, ACL.
# - Raffel et al., *Exploring the Limits of Transfer Learning with a Unified Text-to-Text
#   Transformer*, 2020, JMLR: T5, and the widest comparison.
# - Ranzato et al., *Sequence Level Training with Recurrent Neural Networks*, 2016, ICLR: exposure
#   bias.
# - Tay et al., *UL2: Unifying Language Learning Paradigms*, 2023, ICLR: a mixture of these
#   objectives.
#
# Lesson 05 adapts pre-trained encoders; lessons 08 and 10 need models that write.
#
# **Licences.** Textbooks: OpenStax, CC BY 4.0, access for free at openstax.org. Installed
# documentation: PSF-2.0 (Python), BSD-3-Clause and the Matplotlib licence. The figures in section 10
# are quoted from the papers named there.
