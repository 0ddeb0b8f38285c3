# ---
# jupyter:
#   course:
#     evidence:
#       figures: 1
#       optimiser_steps: 4
#       records: 5
#     minutes: 35
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
# # Lesson 10 · Summarisation
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/transfer-learning-course/transfer-learning-course/blob/main/notebooks/10_summarisation.ipynb)
#
# **What is a text about, in one line?** A summary can be *taken* from the text, sentence by sentence,
# or *written* anew. The first is safe and clumsy, the second fluent, and free to say what is not there.
# And both are judged by ROUGE, which counts common words. This lesson does both, and then asks
# what the number is worth.
#
# **After this lesson you can**
#
# - compute ROUGE-1, ROUGE-2 and ROUGE-L by hand, and say which of their options change them;
# - build the baselines that a summariser has to beat, and an estimate of how far taking sentences can go;
# - take sentences by the vectors of a pre-trained encoder, without saying the same thing twice;
# - let a pre-trained encoder write, with a decoder of our own behind it;
# - show where ROUGE misleads, and check whether a summary says what the text says.
#
# **You need** lesson 02 (encoder and decoder), lesson 08 (beam search) and lesson 01 (frozen features).

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
lesson.lesson_card("10")

# %% tags=["parameters"]
PROFILE = "quick"
SEED = 0
RETRAIN = False

# %%
import re
import textwrap
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np

from utils import runtime
from utils.experiments import get_grid, published_records
from utils.lesson import (
    check,
    quiz,
    run_experiments,
    show_exercise,
    show_figure,
    show_source,
    skipped,
)

runtime.seed_everything(SEED)

# %% [markdown]
# ## 1 · Texts and their summaries
#
# Real pairs stand on every machine with Python: a docstring begins with **one line that sums up the
# rest**. Here are some from the libraries that came with this course (NumPy, pandas, SciPy,
# scikit-learn), first line and following prose. Each text is cut into **units**, of which a summary may be
# made: sentences here, turns in a dialogue. The recorded results further below are on *dialogues*.

# %%
from utils.sources import COURSE_BERT, MINILM, model_path
from utils.tasks import summarisation

TAKING = ("one-summary-for-all", "lead-3", "lead", "centroid", "mmr", "oracle-extractive")
SIZE = "smoke" if PROFILE == "smoke" else "quick"  # the recorded grid is on other texts
taking = get_grid("summaries")(SIZE, methods=[*TAKING], model=MINILM)
limits = {"validation_limit": taking.cells[0].validation_limit}
limits |= {"test_limit": taking.cells[0].test_limit}
splits = summarisation.load(summarisation.DOCSTRINGS, profile=SIZE, **limits)
test = splits.test
print(f"source: {splits.source.location}; licence {splits.source.licence}")
print(f"{len(splits.train)} to learn from, {len(test)} to sum up")


# %%
def show_pair(i):
    print(f"{test.names[i]}\n  summary: {test.summaries[i][0]}")
    print(textwrap.fill(" ".join(test.units[i]), 96, initial_indent="  ", subsequent_indent="  "))


by_length = np.argsort([len(" ".join(units)) for units in test.units])
for i in by_length[[10, len(test) // 2]]:
    show_pair(i)

# %% [markdown]
# Before any model: how much shorter is a summary, and how much of it is *new*, that is, made of pairs
# of words that do not stand in the text next to each other? Where nearly all is new, no choice of
# sentences can come near.


# %%
def pairs_of(text):
    return set(pairwise(re.findall(r"\w+", text.lower())))


text_words = [len(" ".join(units).split()) for units in test.units]
summary_words = [len(summary.split()) for (summary,) in test.summaries]
new = [
    1 - len(pairs_of(summary) & pairs_of(" ".join(units))) / max(len(pairs_of(summary)), 1)
    for units, (summary,) in zip(test.units, test.summaries, strict=True)
]
print(
    f"texts {np.median(text_words):.0f} words, summaries {np.median(summary_words):.0f} (medians)"
)
print(f"{np.mean(new):.0%} of the pairs of words in a summary are new")

# %% [markdown]
# ## 2 · ROUGE, by hand
#
# ROUGE (Lin, 2004) compares a summary with a reference that a person wrote. **ROUGE-N** counts common
# runs of $N$ words. With $c_S(g)$ and $c_R(g)$, how often the run $g$ stands in summary and reference,
#
# $$ \text{matches} = \sum_g \min(c_S(g), c_R(g)), \quad
# P = \frac{\text{matches}}{\sum_g c_S(g)}, \quad R = \frac{\text{matches}}{\sum_g c_R(g)}, \quad
# F_1 = \frac{2PR}{P + R}. $$
#
# The minimum *clips*: to repeat a good word does not pay. **ROUGE-L** takes the longest common
# subsequence instead, words in the same order with anything in between. If it has $L$ words, $P$ is $L$ divided
# by the words of the summary, $R$ is $L$ divided by those of the reference, and $F_1$ follows as before.
#
# ROUGE-1 by hand, for one pair (exercises 10.1 and 10.2 are about the others):

# %%
from collections import Counter


def rouge_1_by_hand(summary, reference):
    counts = [Counter(text.lower().split()) for text in (summary, reference)]
    matches = sum((counts[0] & counts[1]).values())
    precision, recall = (matches / sum(each.values()) for each in counts)
    return 2 * precision * recall / max(precision + recall, 1e-12)


given, wanted = "the cat sat on the mat", "a cat was on the mat today"
by_package = summarisation.rouge(given, [wanted])
print(f"by hand {rouge_1_by_hand(given, wanted):.3f}, package {by_package['rouge_1']:.3f}")
print({name: round(value, 3) for name, value in by_package.items()})

# %% [markdown]
# **Numbers from two papers are comparable only if all of this is the same**: the package, whether
# words are *stemmed* (cats = cat), F1 or recall, what is done with several references, and for ROUGE-L
# whether sentences are taken apart first. Here: `rouge-score`, Porter's stemmer, F1, the mean over
# references, and ROUGE-L over the whole text at once (`rougeL`, not `rougeLsum`).

# %%
from rouge_score.rouge_scorer import RougeScorer

pair = ("models are trained quickly", "the model trains quickly")
for stemmed in (False, True):
    score = RougeScorer(["rouge1"], use_stemmer=stemmed).score(pair[1], pair[0])["rouge1"]
    print(f"stemmer {stemmed!s:5} F1 {score.fmeasure:.2f}, recall {score.recall:.2f}")

# %% [markdown]
# ## 3 · Two baselines, and how far taking sentences can go
#
# **Lead** takes the first sentences. In a news article the main point stands at the top, so that lead is
# hard to beat there. The **oracle** *sees* the reference and takes up to three sentences, one
# after the other: each time the one that raises ROUGE-1 + ROUGE-2 most, as long as they grow (Nallapati et al.,
# 2017).
# It is no method. It shows about how far one can get by taking sentences, and is not an exact ceiling: the
# search is greedy, and does not look at the ROUGE-L that is reported here. Where no sentence shares a word
# with the reference, it takes none.
#
# At the other end, what does *style* earn, without reading? **One summary for all** takes, of a hundred
# training summaries, the one that is most like the others by ROUGE-L, and gives it to every text. It is to
# summaries what the majority class is to labels: no higher score can be had without reading the text.

# %%
from utils.adaptation.extraction import greedy_oracle, join

i = by_length[len(test) // 2]
best = greedy_oracle(test.units[i], test.summaries[i], 3)
for name, chosen in (("lead-1", [0]), ("oracle", best)):
    taken = join(test.units[i], chosen)
    found = summarisation.rouge(taken, test.summaries[i])["rouge_l"]
    print(f"{name}, ROUGE-L {found:.2f}: {textwrap.shorten(taken, 150)}")

# %% [markdown]
# ## 4 · Sentences by their vectors
#
# A pre-trained sentence encoder needs no summaries to learn from. Each sentence becomes a vector of
# length 1. The **centroid** $c$ is their mean, and the sentence nearest to it is the most *typical*.
# The next nearest often says the same once more. **Maximal marginal relevance** (Carbonell and
# Goldstein, 1998) subtracts how similar a sentence is to what has been taken before. Theirs measures how near
# a sentence is to a query; here the centroid takes its place. For the first sentence, where $S$ is empty,
# the second term is 0:
#
# $$ i^* = \arg\max_{i \notin S} \; \lambda \cos(v_i, c) - (1 - \lambda) \max_{j \in S} \cos(v_i, v_j). $$

# %% [markdown]
# | symbol | variable | shape | asserted by the test |
# |---|---|---|---|
# | $F_1$ of ROUGE | `rouge(…)` | a number for each kind | `test_rouge_by_hand` |
# | vectors $v_i$ of length 1, one for each unit | `vectors` | (n_units, d) | `test_the_centroid_takes_what_is_near_to_all` |
# | centroid $c$ | `vectors.mean(axis=0)` | (d,) | `test_the_centroid_takes_what_is_near_to_all` |
# | choice of MMR | `maximal_marginal_relevance` | list | `test_mmr_against_a_full_search` |
#
# The tests stand in `tests/unit/tasks/test_summarisation.py`.

# %%
from utils.adaptation.extraction import maximal_marginal_relevance

show_source(maximal_marginal_relevance)

# %%
from utils.adaptation.batching import tokenise
from utils.adaptation.encoder import load_encoder
from utils.adaptation.features import compute

folder, _ = model_path(MINILM)
encoder = load_encoder(folder).eval().to(runtime.device())
longest = test.units[by_length[-3]]
vectors, _ = compute(encoder, tokenise(longest, folder, 128))
vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
for relevance in (1.0, 0.5):
    print(f"relevance {relevance}:")
    for chosen in maximal_marginal_relevance(vectors, 3, relevance):
        print(f"   {chosen:2}: {textwrap.shorten(longest[chosen], 90)}")

# %% [markdown]
# Now all of them. How many sentences *lead*, the centroid and MMR ($\lambda = 0.7$) take is chosen on the
# validation texts; *lead-3* takes three, and the oracle up to three. In tables and figures *lead* is called
# *First k*, and *lead-3* *First three*:

# %%
records = run_experiments(taking, retrain=RETRAIN)

# %% [markdown]
# ## 5 · Writing
#
# To write, a decoder is needed. A **warm start** takes pre-trained weights where there are some. Rothe et
# al. (2020) compare several; here it is the one that they call BERT2RND: a pre-trained encoder reads, and
# the layers of the decoder, cross-attention included, begin without pre-training. Only the table of token
# vectors is shared with the encoder. The decoder has to learn from these few pairs how sentences are made
# and where to look, which is why models whose *decoder* was pre-trained as well (BART, T5, PEGASUS) are so
# much better at it. (The source below also takes a decoder that has been saved, where there is one.)
#
# Here the course's own small BERT (lesson 03) reads, and a decoder of its size writes, greedily. The
# recorded runs in section 9 use MiniLM and four beams.

# %%
from utils.pretraining.model import load_encoder_decoder

show_source(load_encoder_decoder)

# %%
writing = get_grid("summaries")(SIZE, methods=["warm-start"], first_seed=SEED, model=COURSE_BERT)
records += run_experiments(writing, retrain=RETRAIN)

# %% [markdown]
# ## 6 · What came out
#
# ROUGE-L with the interval of a bootstrap over the texts (lesson 16 says what that is), in the order of
# the scores:

# %%
from utils.adaptation import METHODS
from utils.resampling import hierarchical_bootstrap

results = {record.spec.method: record for record in records if record.spec.split == "test"}
intervals = {
    name: hierarchical_bootstrap(record.fractions("rouge_l")[:, 0][np.newaxis])
    for name, record in results.items()
}
order = sorted(results, key=lambda name: results[name].score)
for name in reversed(order):
    scores = ", ".join(
        f"{kind} {results[name].metrics[kind]:.3f}" for kind in ("rouge_1", "rouge_2")
    )
    of = intervals[name]
    k = results[name].spec.hyper.get("n_units")
    k = f"up to {k}" if name == "oracle-extractive" else k
    print(
        f"{METHODS[name].title:26} {scores}, rouge_l {of.value:.3f} "
        f"({of.low:.3f} to {of.high:.3f}){f', takes {k}' if k else ''}"
    )

# %%
figure, axes = plt.subplots(figsize=(7.2, 3), layout="constrained")
for place, name in enumerate(order):
    axes.plot([intervals[name].low, intervals[name].high], [place, place], color="black")
    axes.plot(intervals[name].value, place, "o", color="black")
axes.set(yticks=range(len(order)), yticklabels=[METHODS[name].title for name in order])
axes.set(xlabel="ROUGE-L (F1, 0 to 1), 95 % interval over texts")
figure.alt_text = "ROUGE-L of each method with its 95 % interval: " + "; ".join(
    f"{METHODS[name].title} {intervals[name].value:.2f}" for name in order
)
show_figure(figure)

# %% [markdown]
# Look at four things. How far is the *oracle* from 1? One reason is new wording. The other is length: a
# sentence is longer than a first line, and each further word costs precision. How far are the others from
# the oracle? How far are they from *one summary for all*, which has read nothing? And does the encoder's
# choice beat *lead* at all? Paired, on the same texts:

# %%
for name in ("centroid", "mmr", "warm-start"):
    both = [results[each].fractions("rouge_l")[:, 0] for each in (name, "lead")]
    difference = hierarchical_bootstrap((both[0] - both[1])[np.newaxis])
    print(
        f"{METHODS[name].title:24} minus lead: {difference.value:+.3f} "
        f"({difference.low:+.3f} to {difference.high:+.3f})"
    )

# %% [markdown]
# Where an interval lies below 0, the method is *worse* than taking the beginning. If so, docstrings resemble
# news: their first sentence carries most. The centroid finds the most typical sentence, which need not be the
# most important one. Where MMR takes one sentence, it has nothing to avoid yet and chooses like the centroid. Only in a text
# of *two* sentences can they differ: both are equally near to their mean, and rounding decides.
#
# And what do they say? The same text by all:

# %%
stored = {
    name: np.load(runtime.runs_dir() / "predictions" / f"{record.key}.npz")["predictions"]
    for name, record in results.items()
}
ways = ("lead", "centroid", "mmr")
longer = [int(i) for i in by_length[len(test) // 2 :]]
telling = (
    i
    for i in longer
    if str(stored["oracle-extractive"][i]) and len({str(stored[name][i]) for name in ways}) > 1
)
i = next(telling, longer[0])
print(f"{'reference':20} {test.summaries[i][0]}")
for name in reversed(order):
    print(f"{name:20} {textwrap.shorten(str(stored[name][i]), 100)}")
if "warm-start" in stored:
    print("\nwritten most often:")
    for line, times in Counter(map(str, stored["warm-start"])).most_common(3):
        print(f"{times:4} times: {line}")

# %% [markdown]
# The lines that are written most often *look* like first lines: an imperative, a noun, a full stop. But the same
# line stands for many texts; whether it is about one of them is another question. A decoder that has seen so few pairs has learned the genre first: compare
# the warm start with *one summary for all* in the list of scores.
#
# To keep a model that writes and use it on new texts: `course adapt knkarthick/dialogsum --method
# warm-start --max-length 256 --out models/sums`, then `course predict models/sums meetings.csv` (column
# `text`). Pairs of your own have the columns `text` and `summary`; the units are the sentences of each
# line:

# %%
import json
import tempfile

path = f"{tempfile.mkdtemp()}/mine.jsonl"
with open(path, "w", encoding="utf-8") as file:
    for i in range(20):
        row = {
            "text": f"Ann: I am here. It is {i} o'clock.\nBob: So am I.",
            "summary": "Both came.",
        }
        file.write(json.dumps(row) + "\n")
mine = summarisation.load(path, validation_limit=4)
print(len(mine.train), len(mine.validation), len(mine.test), mine.train.units[0])

# %% [markdown]
# ## 7 · Where ROUGE misleads
#
# Five summaries of "The function raises an error if the array is empty.", each with the reference *It
# fails for an empty array.* Read them first, and order them yourself:

# %%
reference = "It fails for an empty array."
candidates = {
    "a paraphrase": "Arrays without elements are refused.",
    "the opposite": "It never fails for an empty array.",
    "words shuffled": "array empty an for fails It.",
    "something else": "It returns an array for an empty list.",
    "long and safe": "It fails for an empty array, for an empty list, for an empty file, and so on.",
}
for name, text in candidates.items():
    found = summarisation.rouge(text, [reference])
    print(f"{name:15} " + "  ".join(f"{kind} {value:.2f}" for kind, value in found.items()))

# %% [markdown]
# By ROUGE-1 a heap of shuffled words is perfect, by ROUGE-2 and ROUGE-L the opposite of the reference
# scores best, and the paraphrase, which is right, gets nearly nothing. ROUGE sees words, not meaning.
# Averaged over a whole test set it orders systems that differ *much* roughly as people do (Fabbri et al.,
# 2021, compare 14 metrics). Where scores lie as close as they do in most papers, its agreement with people
# is near zero (Deutsch et al., 2022), and for a single text it proves little.
#
# Metrics such as BERTScore (Zhang et al., 2020, ICLR) compare vectors instead of words. Here with one
# vector for each summary. Does it see the paraphrase? Does it see the *never*?

# %%
both, _ = compute(encoder, tokenise([reference, *candidates.values()], folder, 128))
both /= np.linalg.norm(both, axis=1, keepdims=True)
for name, cosine in zip(candidates, both[1:] @ both[0], strict=True):
    print(f"{name:15} cosine {cosine:.2f}")

# %% [markdown]
# The paraphrase is seen. But the opposite, and even the shuffled words, are nearer to the reference than
# the paraphrase is: vectors of sentences say what a sentence is *about*, and hardly what it says of it.

# %% [markdown]
# ## 8 · Does it say what the text says?
#
# What a summary states must stand in the text. Taken sentences are safe by construction (unless a
# "this" has lost what it points to). Written ones are not, and ROUGE does not mind. A crude check
# finds much: **words of content and numbers of the summary that the text does not have**.

# %%
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS


def words_of(text):
    return re.findall(r"[^\W_]+", text.lower())


def words_of_content(text):
    return [word for word in words_of(text) if word not in ENGLISH_STOP_WORDS]


def unsupported(summary, text):
    """Words of content and numbers of the summary that do not stand in the text."""
    known = {word.rstrip("s") for word in words_of(text)}
    return [word for word in words_of_content(summary) if word.rstrip("s") not in known]


def share_unsupported(summaries):
    rows = zip(map(str, summaries), test.units, strict=True)
    return np.mean(
        [len(unsupported(s, " ".join(u))) / max(len(words_of_content(s)), 1) for s, u in rows]
    )


for name in ("lead", "centroid", "warm-start"):
    share = share_unsupported(stored[name])
    print(f"{name:12} {share:.1%} of its words of content have no support in the text")
print(f"{'reference':12} {share_unsupported([s[0] for s in test.summaries]):.1%}")

# %%
i = max(
    range(len(test)),
    key=lambda i: len(unsupported(str(stored["warm-start"][i]), " ".join(test.units[i]))),
)
print("text:   ", textwrap.shorten(" ".join(test.units[i]), 85))
print("written:", stored["warm-start"][i])
print("nowhere in the text:", unsupported(str(stored["warm-start"][i]), " ".join(test.units[i])))

# %% [markdown]
# A line like this one may not even look like a first line: a decoder that always takes the likeliest token
# can fall into a loop. The check counts each repetition, so look at the summaries before you read the
# share. References have new words, too: people sum up in words of their own. So the check gives no verdict on
# one word, but a comparison of systems, and a list of what to look at. Stronger checks ask whether the
# text *entails* each sentence of the summary, by a model trained for that (Kryściński et al., 2020).

# %% [markdown]
# ## 9 · The published results
#
# **DialogSum** (Chen et al., 2021): 12,460 everyday dialogues with a summary; 500 more, with three
# summaries each, are reported. The units are turns. A dialogue often begins with a greeting. Does its
# beginning still sum it up? The first claim in section 11 tests that. Only the warm start and *one summary
# for all* draw anything at random. The other methods give the same under each of the three seeds, so that
# "3 seeds" in the claims says nothing about chance for them.

# %%
published = [
    record
    for record in published_records()
    if record.spec.dataset == summarisation.DIALOGUES and record.spec.split == "test"
]
runs = {}
for record in sorted(published, key=lambda record: record.spec.seed):
    runs.setdefault(record.spec.method, []).append(record)
for name, same in sorted(runs.items(), key=lambda run: -np.mean([each.score for each in run[1]])):
    of = hierarchical_bootstrap(np.stack([each.fractions("rouge_l")[:, 0] for each in same]))
    kinds = ", ".join(
        f"{kind} {np.mean([each.metrics[kind] for each in same]):.3f}"
        for kind in ("rouge_1", "rouge_2")
    )
    print(
        f"{METHODS[name].title:26} {kinds}, rouge_l {of.value:.3f} ({of.low:.3f} to {of.high:.3f})"
    )
if not any(record.spec.method == "warm-start" for record in published):
    skipped("written summaries of dialogues: no published records yet")

# %% [markdown]
# Read the row of *one summary for all* first. A sentence about another dialogue has many of the right
# words, since people sum up dialogues in much the same phrases: someone asks, tells or invites someone.
# ROUGE-2 is harder to get that way, so that a method that takes sentences can lie below it by ROUGE-L and
# above it by ROUGE-2. And a warm start that stands far above it may still have learned
# those phrases better than it reads: ROUGE does not say which. Keep one (section 6), sum up a dialogue of
# your own, and count as in section 8.

# %% [markdown]
# ## 10 · How this goes wrong
#
# - **Beating nothing.** A ROUGE without *lead* beside it says nothing. In chapter 7 of the Hugging Face
#   course, fine-tuned mT5 has 17.0 ROUGE-1 where the first three sentences have 16.7, and 8.3 ROUGE-2 where
#   they have 8.8. The model is scored with a stemmer, the sentences without.
# - **Another ROUGE.** See section 2. Between numbers from two packages, a gain
#   smaller than what the packages differ by shows nothing.
# - **Training on the first tokens.** Texts are cut at the model's limit. In a dialogue, what was
#   agreed on stands at the end.
# - **References as truth.** Three people sum up the same dialogue in three ways; with one reference you
#   measure whom you resemble.
# - **Repetition.** Small decoders write the same phrase again and again. Beam search with a length
#   penalty does not cure that by itself.

# %% [markdown]
# ## 11 · Claims
#
# The first three were written before the full measurement. The last three say in tests what was a goal
# beforehand, namely to beat the first three turns and the best method that takes turns, and were added when the
# means were known. All are decided on published records.

# %%
lesson.claim(
    "In dialogues, turns near the centroid make better summaries than the first three turns.",
    better={"method": "centroid", "model": "sentence-transformers/all-MiniLM-L6-v2"},
    worse={"method": "lead-3"},
    on={"dataset": "knkarthick/dialogsum", "n_train": None},
    metric="rouge_l",
)

# %%
lesson.claim(
    "A warm start writes summaries of dialogues that beat turns near the centroid.",
    better={"method": "warm-start", "model": "sentence-transformers/all-MiniLM-L6-v2"},
    worse={"method": "centroid", "model": "sentence-transformers/all-MiniLM-L6-v2"},
    on={"dataset": "knkarthick/dialogsum", "n_train": None},
    metric="rouge_l",
)

# %%
lesson.claim(
    "To avoid repeating (MMR) is not worse than the centroid alone by half a point of ROUGE-L or more.",
    better={"method": "mmr", "model": "sentence-transformers/all-MiniLM-L6-v2"},
    worse={"method": "centroid", "model": "sentence-transformers/all-MiniLM-L6-v2"},
    on={"dataset": "knkarthick/dialogsum", "n_train": None},
    kind="not worse",
    margin=0.005,
    metric="rouge_l",
)

# %%
lesson.claim(
    "A warm start writes summaries of dialogues that beat the first three turns by ROUGE-L.",
    better={"method": "warm-start", "model": "sentence-transformers/all-MiniLM-L6-v2"},
    worse={"method": "lead-3"},
    on={"dataset": "knkarthick/dialogsum", "n_train": None},
    metric="rouge_l",
)

# %%
lesson.claim(
    "It beats the first three turns by ROUGE-2, too.",
    better={"method": "warm-start", "model": "sentence-transformers/all-MiniLM-L6-v2"},
    worse={"method": "lead-3"},
    on={"dataset": "knkarthick/dialogsum", "n_train": None},
    metric="rouge_2",
)

# %%
lesson.claim(
    "It beats the first k turns, with k chosen on validation dialogues, by ROUGE-L.",
    better={"method": "warm-start", "model": "sentence-transformers/all-MiniLM-L6-v2"},
    worse={"method": "lead"},
    on={"dataset": "knkarthick/dialogsum", "n_train": None},
    metric="rouge_l",
)

# %% [markdown]
# ## 12 · Exercises
#
# Replace `...` and run the cell. The check tells you what is likely wrong. Three hints and our solution
# are folded below each task; `lesson.hint("10.1", 1)` and `lesson.solution("10.1")` show them, too.

# %%
show_exercise("10.1")


# %%
def rouge_n(summary, reference, n):
    return ...


check("10.1", rouge_n)

# %%
show_exercise("10.2")


# %%
def common_subsequence(a, b):
    return ...


check("10.2", common_subsequence)

# %%
show_exercise("10.3")


# %%
def mmr(vectors, n, relevance):
    return ...


check("10.3", mmr)

# %%
show_exercise("10.4")


# %%
def unsupported_numbers(summary, text):
    return ...


check("10.4", unsupported_numbers)

# %% [markdown]
# ## 13 · Quiz

# %%
quiz("10")

# %% [markdown]
# ## Read next
#
# - Lin, *ROUGE: A Package for Automatic Evaluation of Summaries*, 2004, Text Summarization Branches Out.
# - Carbonell and Goldstein, *The Use of MMR, Diversity-Based Reranking*, 1998, SIGIR.
# - Rothe, Narayan and Severyn, *Leveraging Pre-trained Checkpoints for Sequence Generation Tasks*, 2020,
#   TACL.
# - Chen, Liu, Chen and Zhang, *DialogSum: A Real-Life Scenario Dialogue Summarization Dataset*, 2021,
#   Findings of ACL.
# - Kryściński, McCann, Xiong and Socher, *Evaluating the Factual Consistency of Abstractive Text
#   Summarization*, 2020, EMNLP.
# - Nallapati, Zhai and Zhou, *SummaRuNNer: A Recurrent Neural Network Based Sequence Model for Extractive
#   Summarization of Documents*, 2017, AAAI.
# - Deutsch, Dror and Roth, *Re-Examining System-Level Correlations of Automatic Summarization Evaluation
#   Metrics*, 2022, NAACL.
# - Fabbri et al., *SummEval: Re-evaluating Summarization Evaluation*, 2021, TACL.
#
# **Licences.** The docstrings shown come from NumPy, pandas, SciPy and scikit-learn (BSD-3-Clause, their
# developers). DialogSum is CC BY-NC-SA 4.0: none of it is copied here, only results computed on it are.
