# ---
# jupyter:
#   course:
#     evidence:
#       figures: 5
#       records: 5
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
# # Lesson 16 · Evaluation
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/transfer-learning-course/transfer-learning-course/blob/main/notebooks/16_evaluation.ipynb)
#
# **One model has 81 % right and another 79. What do you know?** Less than it seems: perhaps the
# metric hides what matters, perhaps other test sentences or another seed would turn the order round,
# perhaps the winner is the luckiest of twenty, or has seen the test before. All but the last can
# be computed, and of the last one can say what follows from it. This lesson derives the metrics of the other lessons and then breaks them on purpose, puts
# intervals and tests around them, and ends with the number of examples and seeds that a claim needs.
#
# **After this lesson you can**
#
# - compute accuracy, precision, recall, F1, MCC, AUC, exact match, BLEU, chrF and ROUGE, and say what
#   each of them does not see;
# - give an interval that covers what it promises, and check that it does;
# - compare two models on the same examples with a test that makes use of the pairs;
# - keep apart what test examples and what seeds do to a number;
# - find leakage, correct for many comparisons, and say what contamination lets you conclude;
# - plan how many examples and seeds your next comparison needs.
#
# **You need** lesson 01. The metrics come from lessons 06 to 10, which you need not have read.

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
lesson.lesson_card("16")

# %% tags=["parameters"]
PROFILE = "quick"
SEED = 0
RETRAIN = False

# %%
import textwrap

import matplotlib.pyplot as plt
import numpy as np
from scipy import stats

from utils import metrics, runtime
from utils.experiments import Spec, published_records
from utils.lesson import (
    check,
    quiz,
    run_experiments,
    show_exercise,
    show_figure,
    show_source,
    skipped,
)
from utils.sources import MINILM

runtime.seed_everything(SEED)
random = np.random.default_rng(SEED)
N_SIMULATED = 300 if PROFILE == "smoke" else 2000

# %% [markdown]
# ## 1 · Three models and what they got right
#
# The task: is a sentence about a film positive or negative? The models: a baseline that needs no
# learning, word counts, and frozen features. The last two run with several seeds, each of which draws
# other training sentences.

# %%
from utils.adaptation import get_method
from utils.tasks import text_classification

N_LABELS, N_SEEDS = (64, 2) if PROFILE == "smoke" else (250, 5)
splits = text_classification.load("stanfordnlp/sst2", profile=PROFILE, validation_limit=100)
test = splits.test
print(f"source: {splits.source.location}; {len(test)} test sentences")
for text, label in zip(test.texts[:4], test.labels[:4], strict=True):
    print(f"{splits.label_names[label]:9} {text}")


# %%
def experiment(method, seed):
    return Spec(
        dataset="stanfordnlp/sst2",
        method=method,
        model=MINILM if get_method(method).needs_model else None,
        n_train=N_LABELS,
        seed=seed,
        data_seed=seed,
        profile=PROFILE,
        validation_limit=100,
        hyper=get_method(method).defaults,
    )


specs = [experiment("majority", SEED)]
specs += [experiment(m, SEED + s) for m in ("tfidf", "frozen") for s in range(N_SEEDS)]
records = run_experiments(specs, retrain=RETRAIN)

# %% [markdown]
# A record keeps, for every test sentence, whether the answer was right. With two classes that gives
# back the prediction itself, and so every metric below:

# %%
majority, tfidf, frozen = records[0], records[1], records[1 + N_SEEDS]


def predicted(record):
    return np.where(record.correct(), test.labels, 1 - test.labels)


print("right:    ", frozen.correct()[:12].astype(int))
print("predicted:", predicted(frozen)[:12])
print("labels:   ", test.labels[:12])

# %% [markdown]
# ## 2 · Metrics of classes
#
# Everything is counted from four cells. With *positive* as the class that we look for:
#
# | | labelled positive | labelled negative |
# |---|---|---|
# | **predicted positive** | tp, true positives | fp, false positives |
# | **predicted negative** | fn, false negatives | tn, true negatives |
#
# $$ \text{accuracy} = \frac{tp + tn}{n}, \quad \text{precision} = \frac{tp}{tp + fp}, \quad
# \text{recall} = \frac{tp}{tp + fn}, $$
#
# $$ F_1 = \frac{2}{1/\text{precision} + 1/\text{recall}} = \frac{2\,tp}{2\,tp + fp + fn}. $$
#
# Precision asks *of what I called positive, how much is?*, recall *of what is positive, how much have
# I found?* Their harmonic mean is close to the smaller of the two: much of the one does not make up for
# little of the other. By hand:

# %%
guess, truth = predicted(frozen), test.labels
tp = int(((guess == 1) & (truth == 1)).sum())
fp = int(((guess == 1) & (truth == 0)).sum())
fn = int(((guess == 0) & (truth == 1)).sum())
tn = int(((guess == 0) & (truth == 0)).sum())
print(f"tp {tp}, fp {fp}, fn {fn}, tn {tn}; accuracy {(tp + tn) / len(truth):.4f}")
print(
    f"precision {tp / (tp + fp):.4f}, recall {tp / (tp + fn):.4f}, F1 {2 * tp / (2 * tp + fp + fn):.4f}"
)

# %% [markdown]
# And by the library. The classes of `utils.metrics` have the names and the most used arguments of the
# metrics that `evaluate.load` fetches from the Hub. They need no network, and each class says where its
# results differ:

# %%
for metric in (metrics.Accuracy(), metrics.Precision(), metrics.Recall(), metrics.F1()):
    print(metric.compute(predictions=guess, references=truth))

# %% [markdown]
# | symbol | variable | shape | asserted by the test |
# |---|---|---|---|
# | tp, fp, fn, tn | `tp`, `fp`, `fn`, `tn` | numbers | `test_scores_of_classes_are_those_of_counting` |
# | MCC | `MatthewsCorrelation` | number | `test_matthews_correlation_is_the_correlation_of_indicators` |
# | AUC | `RocAuc` | number | `test_auc_is_the_share_of_pairs_in_the_right_order` |
# | EM, F1 of words | `Squad` | numbers | `test_squad_is_the_mean_of_its_answers` |
# | F1 of entities | `Seqeval` | numbers | `test_seqeval_counts_as_the_task_does` |
# | BLEU | `Sacrebleu` | number | `test_bleu_is_what_its_formula_says` |
# | chrF | `ChrF` | number | `test_chrf_is_what_its_formula_says` |
# | ROUGE | `Rouge` | numbers | `test_rouge_is_what_its_definition_says` |
#
# The metrics below the first row follow in this section and the next; F1 of entities belongs to lesson 07.
#
# The tests stand in `tests/unit/test_metrics.py`. Each compares hundreds or thousands of generated cases
# with a second computation. For most metrics the second one is written from the formula. That of SQuAD
# averages the scores of single answers, which have tests of their own in
# `tests/unit/tasks/test_squad_scores.py`; that of entities reads them from tags as the library does.

# %% [markdown]
# ### Broken on purpose: a rare class
#
# Of these sentences keep all negative ones and few positive ones, so that 5 % are positive. Spam, fraud
# and toxic comments are rare like that. Three classifiers that know nothing, and one that knows a single
# sentence:

# %%
negative, positive = np.flatnonzero(truth == 0), np.flatnonzero(truth == 1)
n_rare = max(1, round(len(negative) * 0.05 / 0.95))
rare = np.concatenate([negative, positive[:n_rare]])
labels = truth[rare]
useless = {
    "always negative": np.zeros_like(labels),
    "always positive": np.ones_like(labels),
    "a coin": random.integers(2, size=len(labels)),
    "one sentence": (np.arange(len(labels)) == len(negative)).astype(int),  # the first positive
}
print(f"{n_rare} of {len(labels)} sentences are positive")

# %% [markdown]
# Some tutorials define F1 as the harmonic mean of *accuracy* and recall. It looks harmless: both are
# between 0 and 1, and on balanced data the numbers are similar. Here:

# %%
print(f"{'':16} accuracy precision recall     F1 “F1” of accuracy and recall")
for name, guesses in {**useless, "frozen features": guess[rare]}.items():
    pair = {"predictions": guesses, "references": labels}
    accuracy = metrics.Accuracy().compute(**pair)["accuracy"]
    precision = metrics.Precision().compute(**pair)["precision"]
    recall = metrics.Recall().compute(**pair)["recall"]
    f1 = metrics.F1().compute(**pair)["f1"]
    wrong = 2 * accuracy * recall / (accuracy + recall) if recall else 0.0
    print(f"{name:16} {accuracy:8.1%} {precision:9.1%} {recall:6.1%} {f1:6.1%} {wrong:27.1%}")

# %% [markdown]
# *Always negative* has the best accuracy that knowing nothing can buy, and finds not one positive
# sentence: its F1 is 0. *Always positive* has all the recall, *one sentence* all the precision, and
# neither is of use. The last column tells the two definitions of F1 apart: it gives the coin about half, and
# the frozen features far more than their F1. The coin shows why. In expectation, for
# a classifier that says *positive* with probability $q$ whatever the sentence, where a share $\pi$ is
# positive, recall is $q$, precision $\pi$, and accuracy $q\pi + (1 - q)(1 - \pi)$:

# %%
share, q = labels.mean(), np.linspace(0.001, 1, 200)
true_f1 = 2 * share * q / (share + q)
accuracy = q * share + (1 - q) * (1 - share)
wrong_f1 = 2 * accuracy * q / (accuracy + q)
figure, ax = plt.subplots(figsize=(7, 3.2), layout="constrained")
ax.plot(q, wrong_f1, linestyle="--", color="black", label="with accuracy (wrong)")
ax.plot(q, true_f1, color="black", label="with precision (F1)")
ax.set(xlabel="Probability of calling a sentence positive", ylabel="Score", ylim=(0, 1))
ax.legend()
figure.alt_text = (
    "Score of a classifier that guesses, by how often it says positive. F1 stays below 0.1 "
    "everywhere. The wrong formula climbs to about 0.5 in the middle and falls to the same value "
    "as F1 where everything is called positive."
)
show_figure(figure)

# %% [markdown]
# With the wrong formula, guessing reaches about one half. It rewards the true negatives, of which a
# rare class has plenty; precision does not count them at all.
#
# ### Averages over classes
#
# With more than two classes, F1 is computed for each class $k$ and then averaged.
#
# - **macro**: $\frac1K \sum_k F_1^{(k)}$, each class counts the same;
# - **weighted**: each class by its share of the labels;
# - **micro**: the counts are added up first, $2\sum tp_k / (2 \sum tp_k + \sum fp_k + \sum fn_k)$.
#
# Where each example has exactly one label and gets exactly one prediction, every mistake is a false
# positive of one class *and* a false negative of another. So $\sum fp_k = \sum fn_k = n - \sum tp_k$,
# and micro F1 is $\sum tp_k / n$: **accuracy under another name**. Reporting both adds nothing. As an
# example, topics of news, classified by word counts:

# %%
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

topics = text_classification.load(
    "fancyzhx/ag_news", profile=PROFILE, validation_limit=100, test_limit=2000
)
words = make_pipeline(TfidfVectorizer(sublinear_tf=True), LogisticRegression(C=10, max_iter=1000))
words.fit(topics.train.texts[:1000], topics.train.labels[:1000])
pair = {"predictions": words.predict(topics.test.texts), "references": topics.test.labels}
print("accuracy", metrics.Accuracy().compute(**pair)["accuracy"])
for average in ("micro", "macro", "weighted"):
    print(f"{average:8} {metrics.F1().compute(**pair, average=average)['f1']}")

# %% [markdown]
# Micro by hand, from the counts of all classes, and weighted, from the F1 of each. (Macro is yours, in
# exercise 16.2.)

# %%
called, wanted = pair["predictions"], pair["references"]
hits, misses = (called == wanted).sum(), 0
for topic in range(4):  # a false positive or a false negative of this topic
    misses += ((called == topic) != (wanted == topic)).sum()
each = metrics.F1().compute(**pair, average=None)["f1"]
print("micro   ", 2 * hits / (2 * hits + misses))
print("weighted", np.average(each, weights=[(wanted == topic).sum() for topic in range(4)]))

# %% [markdown]
# Where every class has the same number of test examples, macro and weighted agree; with unequal classes
# they part. Then weighted F1 hides what it gives little weight to. *Always negative* once more, on the
# sentences of which 5 % are positive:

# %%
silent = {"predictions": useless["always negative"], "references": labels}
for average in ("weighted", "macro"):
    print(f"{average:8} {metrics.F1().compute(**silent, average=average)['f1']:.3f}")

# %% [markdown]
# Which classes macro averages over is a decision, too. Take the examples of two topics only. Macro F1 is one
# number over the topics that occur in the labels, and another over all four, of which two can only be
# wrong:

# %%
two = topics.test.labels < 2
of_two = {name: values[two] for name, values in pair.items()}
for name, classes in (
    ("the topics that occur in the labels", [0, 1]),
    ("all four topics", [0, 1, 2, 3]),
):
    score = metrics.F1().compute(**of_two, average="macro", labels=classes)["f1"]
    print(f"macro F1 over {name:37} {score:.3f}")
print(
    "F1 of each class:",
    metrics.F1().compute(**of_two, average=None, labels=[0, 1, 2, 3])["f1"].round(3),
)

# %% [markdown]
# ### Two numbers that see all four cells, or all thresholds
#
# **Matthews correlation** is the correlation of predicted and true class (Matthews, 1975):
#
# $$ \text{MCC} = \frac{tp \cdot tn - fp \cdot fn}{\sqrt{(tp + fp)(tp + fn)(tn + fp)(tn + fn)}}. $$
#
# It is 0 on average for every way of guessing, and is set to 0 where a row or a column of the table is
# empty, so that the formula would be 0/0. (Precision and recall are set to 0 where they would be 0/0,
# too.) It does not change if the classes swap names; F1 does.


# %%
def matthews(tp, fp, fn, tn):
    below = ((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)) ** 0.5
    return (tp * tn - fp * fn) / below if below else 0.0


print(f"by hand {matthews(tp, fp, fn, tn):.6f}")
print(metrics.MatthewsCorrelation().compute(predictions=guess, references=truth))
print(
    f"F1 of the positive class {metrics.F1().compute(predictions=guess, references=truth)['f1']:.4f}"
)
print(
    f"F1 of the negative class {metrics.F1().compute(predictions=1 - guess, references=1 - truth)['f1']:.4f}"
)

# %% [markdown]
# MCC breaks, too. Take one classifier, which recognises 90 % of the positive examples and 90 % of the
# negative ones, and let the share of positive examples fall. Then take a classifier that never says
# *positive*, and let it say so just once, rightly or wrongly:

# %%
for positives in (5000, 500, 50):
    negatives = 10_000 - positives
    score = matthews(0.9 * positives, 0.1 * negatives, 0.1 * positives, 0.9 * negatives)
    print(f"{positives / 10_000:5.1%} positive: MCC {score:.3f}")
for name, hit, false_alarm in (("never", 0, 0), ("once, rightly", 1, 0), ("once, wrongly", 0, 1)):
    score = matthews(hit, false_alarm, 50 - hit, 9950 - false_alarm)
    print(f"says positive {name:13}: MCC {score:+.3f}")

# %% [markdown]
# The classifier recognises as much as before, and MCC falls, since ever more of what it calls positive is
# not. So MCC, like precision and F1, can be compared only between test sets with the same share of positive
# examples. And the 0 for *never* is a convention: the formula gives 0/0 there, and one single answer moves
# MCC off it, to one side or to the other.
#
# **ROC AUC** needs scores and no threshold: the chance that a random positive example scores higher
# than a random negative one, ties counting half. Ranks give it without going through all pairs (Mann and
# Whitney, 1947). With the rank $r_i$ of each score, 1 for the lowest, tied scores sharing the mean of
# their ranks, and $n_+$ positive and $n_-$
# negative examples,
#
# $$ \text{AUC} = \frac{\sum_{i\ \text{positive}} r_i - n_+ (n_+ + 1) / 2}{n_+ \, n_-}. $$
#
# That is the sum of the positives' ranks, less the smallest that it can be, divided by the number of
# pairs.

# %%
words = make_pipeline(TfidfVectorizer(sublinear_tf=True), LogisticRegression(C=10, max_iter=1000))
words.fit(splits.train.texts[:2000], splits.train.labels[:2000])
scores = words.predict_proba(test.texts)[:, 1]
ranks, n_positive = stats.rankdata(scores), int(truth.sum())
pairs_won = ranks[truth == 1].sum() - n_positive * (n_positive + 1) / 2
print(f"by hand {pairs_won / (n_positive * (len(truth) - n_positive)):.6f}")
print(metrics.RocAuc().compute(prediction_scores=scores, references=truth))

# %% [markdown]
# AUC does not see whether scores mean anything as probabilities: halve them all and it stays the same,
# while the accuracy at a threshold of ½ falls to that of saying no:

# %%
print(metrics.RocAuc().compute(prediction_scores=scores / 2, references=truth))
for name, each in (("scores", scores), ("half the scores", scores / 2)):
    print(f"{name:16} accuracy {((each > 0.5) == truth).mean():.3f}")

# %% [markdown]
# ## 3 · Metrics of texts
#
# ### Exact match and F1 of words
#
# In question answering (lesson 09) answers are short. Let $a_i$ be the words of the $i$-th given answer,
# $b_i$ those of its reference, both **normalised**: lower case, no punctuation, no articles. Over $m$
# answers
#
# $$ \text{EM} = \frac{100}{m} \sum_i [\, a_i = b_i \,], \qquad
# F_1 = \frac{100}{m} \sum_i \frac{2\, |a_i \cap b_i|}{|a_i| + |b_i|}, $$
#
# where $[\,\cdot\,]$ is 1 if the statement is true and else 0, and a word that occurs twice on both sides
# is shared twice. Of several references, the best one counts. By hand, and by the library:

# %%
import re
from collections import Counter


def normalised(text):
    without_marks = re.sub(r"[^\w\s]", "", text.lower())
    return re.sub(r"\b(a|an|the)\b", " ", without_marks).split()


given = ["the Gulf Stream.", "in 1905", "Oslo", "a storm"]
wanted = ["Gulf Stream", "1905", "Oslo", "The storm"]
pairs = [(normalised(a), normalised(b)) for a, b in zip(given, wanted, strict=True)]
overlap = [2 * (Counter(a) & Counter(b)).total() / (len(a) + len(b)) for a, b in pairs]
print(f"by hand: EM {100 * np.mean([a == b for a, b in pairs])}, F1 {100 * np.mean(overlap):.4f}")

# %%
predictions = [{"id": str(i), "prediction_text": text} for i, text in enumerate(given)]
references = [{"id": str(i), "answers": {"text": [text]}} for i, text in enumerate(wanted)]
print(metrics.Squad().compute(predictions=predictions, references=references))

# %% [markdown]
# What breaks them? First leave the normalisation out. Then hold some answers against the reference
# *1905*: right ones in other words, and a wrong one.

# %%
equal = [a == b for a, b in zip(given, wanted, strict=True)]
print("EM without normalisation:", 100 * np.mean(equal))
for answer in ("in 1905", "in the year 1905", "not 1905"):
    one = [{"id": "0", "prediction_text": answer}], [{"id": "0", "answers": {"text": ["1905"]}}]
    print(f"{answer:17}", metrics.Squad().compute(predictions=one[0], references=one[1]))

# %% [markdown]
# EM gives a right answer in other words as little as a wrong one. F1 takes *not 1905* to be as good as
# *in 1905*, and better than *in the year 1905*.

# %% [markdown]
# ### BLEU
#
# How many of the translation's n-grams stand in the reference? $p_n$ is that share over the **whole
# corpus**, each n-gram counted at most as often as it occurs in the reference. A translation shorter
# than the reference (lengths $c < r$) pays the brevity penalty (Papineni et al., 2002):
#
# $$ \text{BLEU} = 100 \cdot \min\left(1, e^{1 - r/c}\right) \exp \frac14 \sum_{n=1}^{4} \log p_n. $$

# %%
translated = [
    "The mill at the river burned down in 1802, and nobody was hurt.",
    "A man in a blue shirt is standing on a ladder.",
    'she said: "I don\'t know."',
    "No rain.",
]
reference = [
    "The mill by the river burned down in 1802, but nobody was hurt.",
    "A man in a blue shirt stands on a ladder.",
    'She said, "I don\'t know."',
    "It did not rain.",
]
bleu = metrics.Sacrebleu().compute(predictions=translated, references=reference)
for name, value in bleu.items():
    print(f"{name:10} {value}")

# %% [markdown]
# By hand, only the cutting into words is left to the package. `&` keeps of each n-gram the smaller of its
# two counts:

# %%
from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a


def ngrams(words, n):
    return Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1))


words_of = Tokenizer13a()
pairs = [
    (words_of(a).split(), words_of(b).split()) for a, b in zip(translated, reference, strict=True)
]
shared = [sum((ngrams(a, n) & ngrams(b, n)).total() for a, b in pairs) for n in (1, 2, 3, 4)]
total = [sum(ngrams(a, n).total() for a, _ in pairs) for n in (1, 2, 3, 4)]
c, r = (sum(len(pair[side]) for pair in pairs) for side in (0, 1))
mean_log = np.log(np.array(shared) / total).mean()
print(f"shared {shared} of {total}, c = {c}, r = {r}")
print(f"by hand {100 * min(1, np.exp(1 - r / c)) * np.exp(mean_log):.6f}")

# %% [markdown]
# Counts and lengths depend on what a word is. sacrebleu therefore wants text **as people write it**,
# cuts both sides itself, and says how in its signature (Post, 2018). Four ways to spoil that: text
# that has been cut already and is cut once more, text cut at spaces alone, text in lower case, and only
# one of the two sides cut.


# %%
def cut(texts):
    return [" ".join(re.findall(r"\w+|[^\w\s]", text)) for text in texts]


ways = {
    "as written": (translated, reference, {}),
    "cut before": (cut(translated), cut(reference), {}),
    "cut at spaces": (translated, reference, {"tokenize": "none"}),
    "lower case": (translated, reference, {"lowercase": True}),
    "one side cut": (cut(translated), reference, {}),
}
for name, (ours, theirs, options) in ways.items():
    score = metrics.Sacrebleu().compute(predictions=ours, references=theirs, **options)
    print(f"{name:14} {score['score']:6.2f}  {score['signature']}")

# %% [markdown]
# The translations are the same, and the scores lie more than ten points apart. On real systems, Post (2018)
# found up to 1.8 points between configurations in common use. Note the rows whose signature is *the same* as that of the first: it cannot know what happened
# before.
#
# Nor is BLEU of a corpus the mean BLEU of its sentences. In that mean a short sentence without a matching
# 4-gram weighs as much as a long one, and some smoothing has to be made up for it:

# %%
single = [
    metrics.Sacrebleu().compute(predictions=[a], references=[b], use_effective_order=True)["score"]
    for a, b in zip(translated, reference, strict=True)
]
print(
    f"corpus {bleu['score']:.2f}; mean of sentences {np.mean(single):.2f}; sentences {np.round(single, 1)}"
)

# %% [markdown]
# **chrF** compares runs of one to six characters in place of words, without the spaces. With the means $P$
# of precision and $R$ of recall over the six lengths,
#
# $$ \text{chrF} = 100 \cdot \frac{(1 + \beta^2) P R}{\beta^2 P + R}, \qquad \beta = 2, $$
#
# so that recall counts $\beta^2 = 4$ times as much as precision (Popović, 2015; $\beta = 2$ comes from her
# paper of 2016). It hardly depends on how words are cut, and forgives endings:

# %%
for name, hypothesis in (
    ("one ending", "The mills burned."),
    ("another word", "The house burned."),
):
    pair = {"predictions": [hypothesis], "references": ["The mill burned."]}
    chrf = metrics.ChrF().compute(**pair)["score"]
    one = metrics.Sacrebleu().compute(**pair)["score"]
    print(f"{name:14} chrF {chrf:5.1f}   BLEU {one:5.1f}")

# %%
sides = [list(text.replace(" ", "")) for text in ("The mills burned.", "The mill burned.")]
found = [[ngrams(side, n) for side in sides] for n in range(1, 7)]
P = np.mean([(a & b).total() / a.total() for a, b in found])
R = np.mean([(a & b).total() / b.total() for a, b in found])
print(f"chrF of the first by hand {100 * 5 * P * R / (4 * P + R):.1f}")

# %% [markdown]
# ### ROUGE
#
# ROUGE-1 and ROUGE-2 compare words and pairs of words, ROUGE-L the **longest common subsequence**: the
# most words that stand in both texts in the same order, with anything in between. If $m$ of the $s$ words
# (or pairs) of the summary are shared with the $w$ of the reference, $F_1 = 2m / (s + w)$. Lin (2004)
# defined ROUGE-1 and ROUGE-2 as recall; today's packages, and we, report F1.
#
# With a stemmer *flooding* and *flood* are the same word, without it they are not. A paper that does not
# say whether it stemmed cannot be compared with another:

# %%
summary = ["Flooding rivers closed two roads", "The council is planning new bridges"]
written = ["Two roads closed as rivers flood", "Council plans a new bridge"]
for stem in (False, True):
    print(metrics.Rouge().compute(predictions=summary, references=written, use_stemmer=stem))

# %% [markdown]
# By hand, without a stemmer. For texts this short, all choices of words can be tried, the longest first
# (exercise 10.2 asks for a faster way):

# %%
from itertools import combinations


def in_order(words, text):
    rest = iter(text)
    return all(word in rest for word in words)  # each `in` goes on where the last one stopped


def longest_common(a, b):
    lengths = range(len(a), -1, -1)
    return next(n for n in lengths if any(in_order(words, b) for words in combinations(a, n)))


# %%
pairs = [(a.lower().split(), b.lower().split()) for a, b in zip(summary, written, strict=True)]
for n in (1, 2):
    sides = [(ngrams(a, n), ngrams(b, n)) for a, b in pairs]
    f1 = [2 * (a & b).total() / (a.total() + b.total()) for a, b in sides]
    print(f"rouge{n} {np.mean(f1):.6f}")
f1 = [2 * longest_common(a, b) / (len(a) + len(b)) for a, b in pairs]
print(f"rougeL {np.mean(f1):.6f}")

# %% [markdown]
# ### Broken on purpose: a *not*
#
# None of these metrics reads. The reference is *Two roads were closed.* One of two texts says the
# opposite, and the other the same in other words:

# %%
print(f"{'':36} BLEU chrF ROUGE-1 ROUGE-2 ROUGE-L")
for text in ("Two roads were not closed.", "Traffic was barred from two streets."):
    pair = {"predictions": [text], "references": ["Two roads were closed."]}
    scores = [metric.compute(**pair)["score"] for metric in (metrics.Sacrebleu(), metrics.ChrF())]
    rouge = [100 * metrics.Rouge().compute(**pair)[f"rouge{kind}"] for kind in "12L"]
    print(f"{text:36} {scores[0]:4.0f} {scores[1]:4.0f} " + " ".join(f"{r:7.0f}" for r in rouge))

# %% [markdown]
# By all of them the opposite is much the better text. Metrics of overlap are for comparing systems on many
# texts, and say little about one text. Metrics that use a pre-trained model compare vectors instead of words,
# or are trained on people's judgements: BERTScore (Zhang et al., 2020, ICLR), COMET (Rei et al., 2020, EMNLP); so do large language models as judges (Zheng et al., 2023,
# NeurIPS). They agree better with people, and have biases and versions of their own: report which one, and
# check it on your texts, a *not* among them.

# %% [markdown]
# ## 4 · Intervals, and whether they cover
#
# Of $n$ test examples, $k$ were right. The test set is a sample: with other sentences of the same kind
# the accuracy would be another one. A **95 % interval** is a recipe that, over many samples, holds the
# true accuracy $p$ in at least 95 % of them. Three recipes:
#
# - **normal**: $\hat p \pm 1.96 \sqrt{\hat p (1 - \hat p) / n}$, in most textbooks;
# - **bootstrap**: draw $n$ answers with replacement, many times; take the 2.5 % and 97.5 % quantiles;
# - **exact** (Clopper and Pearson, 1934): all $p$ with which $k$ or more right answers, and also $k$ or
#   fewer, have a probability of at least 2.5 %.

# %%
k, n = int(frozen.correct().sum()), len(test)
exact = stats.binomtest(k, n).proportion_ci(method="exact")
resampled = random.choice(frozen.correct(), size=(2000, n)).mean(axis=1)
half = 1.96 * (k / n * (1 - k / n) / n) ** 0.5
print(f"{k} of {n} right: {k / n:.1%}")
print(f"normal     {k / n - half:.1%} to {k / n + half:.1%}")
print(f"bootstrap  {np.quantile(resampled, 0.025):.1%} to {np.quantile(resampled, 0.975):.1%}")
print(f"exact      {exact.low:.1%} to {exact.high:.1%}")

# %% [markdown]
# With hundreds of examples all three nearly agree. Which of them keep their promise with few examples,
# or near 100 %? For once the truth can be known: choose $p$, draw test sets, and count how often each
# recipe covers it. (Resampling $n$ answers of which $k$ are right is drawing from a binomial, so the
# bootstrap's quantiles are known without drawing.)


# %%
def intervals(k, n):
    """Lower and upper ends by recipe, each of the shape of `k`."""
    share = k / n
    half = 1.96 * np.sqrt(share * (1 - share) / n)
    low = np.where(k > 0, stats.beta.ppf(0.025, k, n - k + 1), 0.0)
    high = np.where(k < n, stats.beta.ppf(0.975, k + 1, n - k), 1.0)
    return {
        "normal": (share - half, share + half),
        "bootstrap": (stats.binom.ppf(0.025, n, share) / n, stats.binom.ppf(0.975, n, share) / n),
        "exact": (low, high),
    }


# %%
N_EXAMPLES = 50
truths = np.linspace(0.5, 0.99, 15 if PROFILE == "smoke" else 50)
coverage = {name: [] for name in ("normal", "bootstrap", "exact")}
for p in truths:
    drawn = random.binomial(N_EXAMPLES, p, size=N_SIMULATED)
    for name, (low, high) in intervals(drawn, N_EXAMPLES).items():
        coverage[name].append(((low <= p) & (p <= high)).mean())

# %%
figure, ax = plt.subplots(figsize=(7, 3.4), layout="constrained")
for (name, values), style in zip(coverage.items(), ("--", ":", "-"), strict=True):
    ax.plot(truths, values, style, color="black", label=name)
ax.axhline(0.95, color="grey", linewidth=0.8)
ax.set(xlabel="True accuracy", ylabel="Share of intervals that hold it", ylim=(0.3, 1.01))
ax.legend(title=f"{N_EXAMPLES} test examples")
figure.alt_text = (
    "Share of 95 % intervals that hold the true accuracy, from 0.5 to 0.99. The exact interval stays "
    "at about 0.95 or above; the normal and the bootstrap interval fall far below it near 1."
)
show_figure(figure)

# %% [markdown]
# But for the noise of the simulation, the exact interval keeps its promise everywhere, at the price of
# being too wide where the others are right. The other two fail near 100 % (there their lines coincide): with no mistake among 50
# examples they say that the accuracy *is* 100 %. Two consequences: use the exact interval for a share of
# right answers, and the bootstrap for what has no formula (F1; BLEU: Koehn, 2004, EMNLP; a difference),
# where there are enough examples. Between exact and normal stands **Wilson's** interval (1927; lesson 07):
# narrower than the exact one, near 95 % on average, but not always above it (Brown, Cai and DasGupta, 2001,
# Statistical Science 16).
#
# ## 5 · Which of two models is better?
#
# Two intervals that overlap do **not** mean that the models are equally good. Both met the same
# sentences, and a sentence that is hard for one is mostly hard for the other. What tells them apart
# are the examples on which *exactly one* is right:
#
# | | B right | B wrong |
# |---|---|---|
# | **A right** | both | $b$: A wins |
# | **A wrong** | $c$: B wins | neither |
#
# If the models are equally good, each of the $b + c$ is a fair flip of a coin. That is **McNemar's
# test**; with the binomial distribution in place of a normal one it is exact.

# %%
from utils.significance import approximate_randomisation, mcnemar

show_source(mcnemar)

# %% [markdown]
# **Approximate randomisation** works for any mean score: if it makes no difference which model gave
# which answer, then swapping them at random makes none. For F1 or BLEU, which are no means, the score of the
# whole set has to be computed anew after each swap.

# %%
show_source(approximate_randomisation)

# %% [markdown]
# Now published answers on the 872 reported sentences of SST-2, two methods at a time (500 labels, seed 0):
# `full` is MiniLM with all weights fine-tuned, `frozen` a logistic regression on its frozen features,
# `frozen-last-four` the same on those of its last four layers joined, `tfidf` one on word counts. Beside the paired tests stands a test that ignores which sentence is which.

# %%
from utils.report import select

published = select(
    published_records(),
    dataset="stanfordnlp/sst2",
    model=[None, MINILM],
    profile="full",
    split="test",
)


def answers(method, n_train, seed=0):
    (record,) = select(published, method=method, n_train=n_train, seed=seed, data_seed=seed)
    return record.correct()


def unpaired(first, second):
    pooled, n = (first.mean() + second.mean()) / 2, len(first)
    z = (first.mean() - second.mean()) / np.sqrt(2 * pooled * (1 - pooled) / n)
    return 2 * stats.norm.sf(abs(z))


# %%
if published:
    for a, b in (("full", "frozen"), ("frozen-last-four", "frozen"), ("full", "tfidf")):
        ours, theirs = answers(a, 500), answers(b, 500)
        wins, losses = (ours & ~theirs).sum(), (~ours & theirs).sum()
        print(f"{a} {ours.mean():.1%}, {b} {theirs.mean():.1%}: {wins} wins, {losses} losses")
        by_swaps = approximate_randomisation(ours, theirs)
        print(
            f"    McNemar p = {mcnemar(ours, theirs):.2g}, randomisation p = {by_swaps:.2g}, "
            f"unpaired p = {unpaired(ours, theirs):.2g}"
        )
else:
    skipped("paired tests: no published records of SST-2 yet")

# %% [markdown]
# The two paired tests ask the same question and should agree. (The smallest p that randomisation can give
# is 1/(draws + 1).) **Pairing is worth more the more the two models agree.** How much, in numbers: exactly
# one is right on a share $d = (b + c)/n$ of the examples, and the better model wins a share $\delta$ more
# than it loses. Simulated, with $d = 0.1$ and $\delta = 0.03$:


# %%
def power(n, discordant, difference):
    """Share of simulated test sets in which a test finds the difference: paired, unpaired."""
    wins, losses = (discordant + difference) / 2, (discordant - difference) / 2
    both = 0.8 - wins  # the better model has 80 %
    b, c, right, _ = random.multinomial(
        n, [wins, losses, both, 1 - wins - losses - both], size=N_SIMULATED
    ).T
    paired = np.minimum(1, 2 * stats.binom.cdf(np.minimum(b, c), b + c, 0.5))
    pooled = (2 * right + b + c) / (2 * n)
    z = (b - c) / n / np.sqrt(2 * pooled * (1 - pooled) / n)
    return (paired < 0.05).mean(), (2 * stats.norm.sf(abs(z)) < 0.05).mean()


sizes = [100, 200, 400, 800, 1600, 3200]
powers = np.array([power(n, 0.1, 0.03) for n in sizes])

# %%
figure, ax = plt.subplots(figsize=(7, 3.2), layout="constrained")
ax.plot(sizes, powers[:, 0], "o-", color="black", label="paired (McNemar)")
ax.plot(sizes, powers[:, 1], "s--", color="black", label="unpaired")
ax.axhline(0.8, color="grey", linewidth=0.8)
ax.set(xscale="log", xlabel="Test examples", ylabel="Share of true differences found", ylim=(0, 1))
ax.set_xticks(sizes, [str(n) for n in sizes])
ax.minorticks_off()
ax.legend()
figure.alt_text = (
    "Power against the number of test examples for a difference of three points. The paired test "
    "finds the difference with far fewer examples than the unpaired one."
)
show_figure(figure)

# %% [markdown]
# ## 6 · Seeds and examples: two sources of variance
#
# McNemar compared two *trained models*. Whether one *method* is better is another question: with
# another seed, that is other training sentences and another initialisation, both models would be
# different. What does the seed do to the result, and what does the choice of test sentences? From the
# published records, for each method and number of labels:
#
# - $s$, the standard deviation of accuracy **over seeds**, on the same test sentences;
# - $\sqrt{\bar p (1 - \bar p) / n}$, the standard error that **872 test sentences** leave.

# %%
rows = []
for n_train in (64, 500, 2000):
    for method in ("tfidf", "frozen", "full"):
        if runs := select(published, method=method, n_train=n_train):
            accuracy = np.array([record.metrics["accuracy"] for record in runs])
            mean, n_test = accuracy.mean(), len(runs[0].correct())
            rows.append(
                (method, n_train, accuracy.std(ddof=1), (mean * (1 - mean) / n_test) ** 0.5)
            )
            print(
                f"{method:8} {n_train:5} labels, {len(runs)} seeds: {mean:.1%}; "
                f"over seeds {rows[-1][2]:.1%}, over examples {rows[-1][3]:.1%}"
            )

# %%
findings = []
for n_train in sorted({row[1] for row in rows}):
    of_this = [row for row in rows if row[1] == n_train]
    n_more = sum(over_seeds > over_examples for *_, over_seeds, over_examples in of_this)
    findings.append(f"with {n_train:,} labels, for {n_more} of {len(of_this)} methods")
if rows:
    print("Seeds move the result more than test sentences do", *findings, sep="\n   ")
    low, high = np.sqrt(4 / stats.chi2.ppf([0.975, 0.025], 4))
    print(f"95 % interval of a standard deviation over five seeds: {low:.1f} to {high:.1f} times s")

# %%
if rows:
    figure, ax = plt.subplots(figsize=(7, 3.6), layout="constrained")
    places = np.arange(len(rows))
    ax.plot([100 * row[2] for row in rows], places, "o", color="black", label="over seeds")
    ax.plot([100 * row[3] for row in rows], places, "x", color="black", label="over test examples")
    ax.set_yticks(places, [f"{method}, {n_train:,} labels" for method, n_train, *_ in rows])
    ax.set(xlabel="Standard deviation of accuracy (points)", xlim=(0, None))
    ax.legend()
    figure.alt_text = (
        "Standard deviation of accuracy over seeds and over test examples, for three methods and "
        f"three numbers of labels. That over seeds is the larger one {'; '.join(findings)}."
    )
    show_figure(figure)
else:
    skipped("variance over seeds: no published records of SST-2 yet")

# %% [markdown]
# Where seeds move the result more, an interval from one run over its test examples, however exact, leaves
# out the larger part. Where the two are of similar size, neither can be left out. Read off the figure
# which it is with few labels, and with more. (Five seeds tell $s$ only roughly, as the last line above the
# figure says. And part of $s$ is that different models stumble over different sentences, which would
# average out on a larger test set.)
#
# More test examples cannot make up for missing seeds, nor more seeds for missing examples. So the course
# resamples **both** (rows are seeds, columns are examples), by this function:

# %%
from utils.resampling import hierarchical_bootstrap

if published:
    seeds = range(5)
    table = np.stack([answers("full", 500, s) for s in seeds]).astype(float)
    minus = np.stack([answers("frozen", 500, s) for s in seeds]).astype(float)
    for name, choice in (("examples", {"resample_seeds": False}), ("both", {})):
        result = hierarchical_bootstrap(table - minus, **choice)
        print(
            f"full − frozen, over {name:8} {result.value:+.2%}, "
            f"{result.low:+.2%} to {result.high:+.2%}"
        )
else:
    skipped("difference over seeds: no published records of SST-2 yet")

# %% [markdown]
# Both lines have the same middle. Resampling seeds as well makes the interval wider: look whether its lower
# end is still above 0, and compare with the p-value of one seed in section 5.
#
# Is it wide enough? Five seeds, drawn again with replacement, look more alike than they are: with $k$ seeds
# the spread comes out too small by a factor of about $\sqrt{(k - 1)/k}$, and it is unsure itself.
# **Student's t** was made for this case (Student, 1908, Biometrika 6). Let two methods be equally good. How
# often does each way of computing a 95 % interval find a difference over $k$ seeds?

# %%
generator = np.random.default_rng(0)
for k in (3, 5, 10, 30):
    values = generator.normal(size=(500, k))  # differences over seeds; the true one is 0
    draws = values[:, generator.integers(k, size=(1000, k))].mean(axis=2)
    low, high = np.quantile(draws, (0.025, 0.975), axis=1)
    by_bootstrap = np.mean((low > 0) | (high < 0))
    statistic = values.mean(axis=1) / (values.std(axis=1, ddof=1) / np.sqrt(k))
    by_t = np.mean(np.abs(statistic) > stats.t.ppf(0.975, k - 1))
    print(f"{k:2} seeds: bootstrap wrong in {by_bootstrap:5.1%}, Student's t in {by_t:5.1%}")

# %% [markdown]
# Both should be wrong in 5 %. So a claim of this course takes the larger of the two p-values and the wider of
# the two intervals: the bootstrap knows about test examples, Student's t about few seeds.

# %%
from utils.report.statistics import p_over_seeds

show_source(p_over_seeds)

# %% [markdown]
# ## 7 · The best of many
#
# Train $k$ models that are **all equally good**, pick the one with the best test score, and report that
# score. Nobody cheated, and yet the number is too high: the *winner's curse*. Let $k$ models have a true
# accuracy of 80 %, and 872 test examples. How far above it is what the winner reports, and what would it
# get on new examples?

# %%
N_TEST, TRUE = 872, 0.8
chosen = [1, 2, 5, 10, 20, 50, 100]
excess = []
for k in chosen:
    scores = random.binomial(N_TEST, TRUE, size=(N_SIMULATED, k)) / N_TEST
    excess.append(scores.max(axis=1).mean() - TRUE)

# %%
figure, ax = plt.subplots(figsize=(7, 3.2), layout="constrained")
ax.plot(chosen, 100 * np.array(excess), "o-", color="black", label="reported on the same test set")
ax.axhline(0, color="black", linestyle="--", label="on new examples")
ax.set(xscale="log", xlabel="Models to choose from", ylabel="Above the truth (points)")
ax.set_xticks(chosen, [str(k) for k in chosen])
ax.minorticks_off()
ax.legend()
figure.alt_text = (
    "How far the best of k equally good models lies above its true accuracy on the test set it was "
    "chosen on: it grows from 0 for one model to more than three points for a hundred."
)
show_figure(figure)

# %% [markdown]
# These models err independently of each other. Real ones share mistakes, and the curse is milder.
# The cure is cheap: set some labelled examples aside as a validation split and choose on them; report on a
# test split that is read once.
#
# The same happens with tests. Compare 20 pairs of equal models at $p < 0.05$, and one comparison is
# expected to be "significant". **Holm's method** takes the smallest of $m$ p-values times $m$, the next
# times $m - 1$, and so on:

# %%
from utils.report.statistics import holm

show_source(holm)

# %%
p_values = random.random((N_SIMULATED, 20))  # nothing is there: p-values are uniform
alone = (p_values < 0.05).any(axis=1).mean()
corrected = np.mean([min(holm(row.tolist())) <= 0.05 for row in p_values])
print(f"studies of 20 comparisons with a false finding: {alone:.0%}, with Holm {corrected:.1%}")

# %% [markdown]
# All claims of a lesson in this course are corrected together in this way.
#
# ## 8 · Leakage
#
# The training rows of SST-2 are *phrases*, and the file holds many phrases of the same sentence. Split them
# at random, and for almost every test phrase the training data holds a longer or shorter one of the same
# sentence. Let us make such data from ours: of each sentence the whole, its first two thirds and its last
# two thirds, all with the label of the sentence.

# %%
N_SENTENCES = 400 if PROFILE == "smoke" else 1200
sentences = [*splits.train.texts, *test.texts][:N_SENTENCES]
sentence_labels = np.concatenate([splits.train.labels, test.labels])[:N_SENTENCES]
phrases, of_sentence = [], []
for i, text in enumerate(sentences):
    tokens = text.split()
    part = max(1, 2 * len(tokens) // 3)
    phrases += [text, " ".join(tokens[:part]), " ".join(tokens[-part:])]
    of_sentence += [i] * 3
of_sentence = np.array(of_sentence)
print("\n".join(phrases[:3]))


# %%
def score_of_split(labels, in_test):
    model = make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2)), LogisticRegression(C=100, max_iter=500)
    )
    rows = np.arange(len(phrases))
    model.fit([phrases[i] for i in rows[~in_test]], labels[~in_test])
    return model.score([phrases[i] for i in rows[in_test]], labels[in_test])


# %% [markdown]
# The **random** split draws phrases. The **grouped** split draws whole sentences with all their phrases.
# And a control that shows what is going on: give each sentence a *random* label. There is nothing to
# learn then, and an honest score is 50 %.

# %%
from utils.tasks.splits import held_out_groups

at_random = random.random(len(phrases)) < 0.25
grouped = held_out_groups([str(i) for i in of_sentence], len(phrases) // 4)
kinds = {
    "their own labels": sentence_labels[of_sentence],
    "random labels": random.integers(2, size=len(sentences))[of_sentence],
}
for name, values in kinds.items():
    drawn, whole = (score_of_split(values, split) for split in (at_random, grouped))
    print(f"{name:17} random split {drawn:.1%}, grouped split {whole:.1%}")

# %% [markdown]
# On the random split the model looks up the sentence that it has seen. Even of labels that mean nothing
# it "predicts" most. Here we know what belongs together; in your data, look for it: near-duplicates,
# several rows of one author, patient, document or day. How many test rows share a run of five words with
# a training row?


# %%
def runs_of_words(text, length=5):
    tokens = text.lower().split()
    return {" ".join(tokens[i : i + length]) for i in range(len(tokens) - length + 1)}


for name, in_test in (("random", at_random), ("grouped", grouped)):
    known = set().union(*(runs_of_words(phrases[i]) for i in np.flatnonzero(~in_test)))
    tested = [runs_of_words(phrases[i]) for i in np.flatnonzero(in_test)]
    overlap = np.mean([bool(runs & known) for runs in tested if runs])
    print(
        f"{name:8} split: {overlap:.1%} of the test phrases of at least five words share five in a "
        "row with a training phrase"
    )

# %% [markdown]
# The loader of SST-2 in this course cuts its validation split in the grouped way and drops every training
# phrase that overlaps with it.
#
# ## 9 · Contamination
#
# Leakage between *your* splits you can repair. What a pre-trained model has read before you got it, you
# cannot. `all-MiniLM-L6-v2` was tuned on over a billion pairs of texts; its model card lists among them
# questions of **SQuAD 2.0** with their paragraphs, and captions of **Flickr30k**. Read the numbers there,
# too. Of SQuAD it counts 87,599 pairs, which is the size of SQuAD 1.1's *training* split. The questions that
# are scored are of another split, so that "seen" most likely means practice on data of the same kind. Of
# Flickr30k it counts 317,695 pairs, about ten for each of its 31,783 images, which is as many as five captions
# make with each other: so the captions of all images, those for testing included, are most likely among
# them. The course keeps such knowledge in one file, and every table prints it:

# %%
from utils.report.facts import about_model, seen_before

print(textwrap.fill(about_model(MINILM), 96), "\n")
for dataset in ("rajpurkar/squad_v2", "nlphuji/flickr30k", "stanfordnlp/sst2"):
    print(f"{dataset:20} already seen: {seen_before(MINILM, 'frozen', dataset)}")

# %% [markdown]
# What MiniLM was taught there is to bring a question and its paragraph close together. So take exactly this
# task, *which of the paragraphs does this question belong to?*, with a baseline that cannot have seen
# anything:

# %%
from utils.adaptation.batching import tokenise
from utils.adaptation.encoder import load_encoder
from utils.adaptation.features import compute
from utils.sources import model_path
from utils.tasks import question_answering

questions = question_answering.load(
    "rajpurkar/squad_v2", profile=PROFILE, validation_limit=50, test_limit=400
)
asked = [i for i, found in enumerate(questions.test.answers) if found][:200]
paragraphs = list(dict.fromkeys([*questions.test.contexts, *questions.train.contexts[:400]]))
right = np.array([paragraphs.index(questions.test.contexts[i]) for i in asked])
texts = [questions.test.questions[i] for i in asked]
kind = (
    "written for this course"
    if questions.source.kind == "embedded"
    else "a split of a set it knows"
)
print(f"{len(texts)} questions, {len(paragraphs)} paragraphs, {kind} ({questions.source.location})")

# %%
folder, _ = model_path(MINILM)
encoder = load_encoder(folder).eval()
vectors = compute(encoder, tokenise([*texts, *paragraphs], folder, 256))[0]
vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
weights = TfidfVectorizer(sublinear_tf=True).fit(paragraphs)
similarity = {
    "TF-IDF": (weights.transform(texts) @ weights.transform(paragraphs).T).toarray(),
    "MiniLM": vectors[: len(texts)] @ vectors[len(texts) :].T,
}
hit = {name: table.argmax(axis=1) == right for name, table in similarity.items()}
for name, hits in hit.items():
    low, high = stats.binomtest(int(hits.sum()), len(hits)).proportion_ci(method="exact")
    print(f"{name}: {hits.mean():.1%} of the paragraphs found ({low:.1%} to {high:.1%})")
print(f"McNemar p = {mcnemar(hit['MiniLM'], hit['TF-IDF']):.2g}")

# %% [markdown]
# Both met the same questions, so the paired test decides and not the two intervals. And several questions
# share a paragraph: they are not independent, and intervals and p are somewhat too sure.
#
# **What can be concluded?** On paragraphs that were written for this course MiniLM cannot have seen these
# questions, so whatever it scores there is skill that carries over. On SQuAD's validation split (run this
# with the real data set) a high score can be skill that carries over, practice on questions of the very same
# kind, or memory of what slipped in, and the score does not say which. Comparing the two numbers does not
# help, since the two sets differ in difficulty, length and style. Comparing the *lead over
# TF-IDF* is better, but word overlap differs between the sets as well. Tests that could tell:
#
# - the same model trained **without** these pairs: the only clean comparison, rarely affordable;
# - **new data of the same kind**, collected afterwards by the same procedure. Recht et al. (2019) did so for
#   ImageNet: all models lost points, and their order hardly changed;
# - items of the data set that were **never released** before the model was trained, beside those that were;
# - questions **reworded** by people so that the answer stays: memory breaks, skill should not.
#
# What contamination does to a *comparison* depends on who has it. Frozen MiniLM against fine-tuned MiniLM:
# both have it, though frozen features may gain more. MiniLM against a model that has not seen SQuAD: the
# difference mixes memory and method, and no test of significance can separate them. Where our tables say
# *already seen*, read the number as one that new questions might not confirm.
#
# ## 10 · How many examples, how many seeds?
#
# Before you run, decide which difference would matter, and compute what it takes to find it. For two models
# on the same $n$ examples that disagree on a share $d$ of them, with a true difference $\delta$, a two-sided
# test at 5 % finds it with probability $1 - \beta$ if (Connor, 1987)
#
# $$ n = \frac{\left( z_{1-\alpha/2} \sqrt{d} + z_{1-\beta} \sqrt{d - \delta^2} \right)^2}{\delta^2}. $$
#
# Here $\alpha$ is 5 %, and $z_x$ is the value that a standard normal variable stays below with probability
# $x$: $z_{0.975} = 1.96$ and $z_{0.8} = 0.84$.

# %%
from utils.significance import examples_needed

show_source(examples_needed)

# %% [markdown]
# Formula and simulation have to agree: with as many examples as it asks for, about 80 % of the true
# differences should be found. (The formula uses the normal distribution, the exact test is a little more
# careful, so expect slightly less where few examples are needed; and the simulation has noise of its own.)

# %%
for discordant in (0.05, 0.1, 0.2):
    for difference in (0.01, 0.03):
        n = examples_needed(difference, discordant)
        found, _ = power(n, discordant, difference)
        print(
            f"disagree on {discordant:4.0%}, differ by {difference:.0%}: n = {n:6,}, found {found:.0%}"
        )

# %% [markdown]
# Compare with the 872 sentences of SST-2: one point between two models that disagree on one sentence in
# twenty, or more, is beyond reach on that set.
#
# For **seeds** the unit is a run. With $k$ seeds, paired by seed, differences have a mean $\delta$ and a
# standard deviation $s_d$; the power of the paired $t$ test is that of the noncentral $t$ distribution:


# %%
def power_over_seeds(k, effect):
    """`effect` is δ / s_d."""
    limit, shift = stats.t.ppf(0.975, k - 1), effect * k**0.5
    return stats.nct.sf(limit, k - 1, shift) + stats.nct.cdf(-limit, k - 1, shift)


def simulated_power(k, effect):
    drawn = random.normal(effect, 1, size=(N_SIMULATED, k))
    return (stats.ttest_1samp(drawn, 0, axis=1).pvalue < 0.05).mean()


for effect in (0.5, 1.0, 2.0):
    k = next(k for k in range(2, 200) if power_over_seeds(k, effect) >= 0.8)
    print(
        f"δ = {effect} s_d: {k:3} seeds, power {power_over_seeds(k, effect):.0%}, "
        f"simulated {simulated_power(k, effect):.0%}"
    )

# %% [markdown]
# And for the methods of section 6, with the differences over seeds as they were measured:

# %%
if published:
    for a, b, n_train in (("full", "frozen", 64), ("full", "frozen", 2000), ("full", "tfidf", 500)):
        gaps = np.array(
            [answers(a, n_train, s).mean() - answers(b, n_train, s).mean() for s in range(5)]
        )
        effect = abs(gaps.mean()) / gaps.std(ddof=1)
        k = next((k for k in range(2, 500) if power_over_seeds(k, effect) >= 0.8), None)
        print(
            f"{a} − {b}, {n_train} labels: {gaps.mean():+.1%} ± {gaps.std(ddof=1):.1%}, "
            f"seeds needed: {k or 'over 500'}"
        )
else:
    skipped("seeds needed: no published records of SST-2 yet")

# %% [markdown]
# These last numbers take measured differences for the true ones, which they are not: use them to plan the
# *next* experiment, never to excuse this one. "Power after the fact" is the p-value in other words (Hoenig
# and Heisey, 2001).

# %% [markdown]
# ## 11 · How this can go wrong
#
# - **A metric without its baseline.** On rare classes, or where silence is right, doing nothing scores well.
# - **Metrics of the same name.** F1 binary, micro, macro; BLEU by another tokeniser; ROUGE with a stemmer.
# - **An interval over examples, reported as if it covered seeds** (or the other way round).
# - **Overlapping intervals taken for a tie**, where a paired test would decide.
# - **The best of many** chosen and reported on the same examples; one seed of many "that worked".
# - **Undecided taken for equal.** No significant difference may just mean a small test set; equality needs a
#   margin and an interval inside it.
# - **Rows taken for independent** that are not: phrases of a sentence, questions of a paragraph.

# %% [markdown]
# ## 12 · Exercises
#
# Replace `...` and run the cell. The check tells you what is likely wrong. Three hints and our solution
# are folded below each task; `lesson.hint("16.1", 1)` and `lesson.solution("16.1")` show them, too.

# %%
show_exercise("16.1")


# %%
def scores_of(predictions, references):
    return ...


check("16.1", scores_of)

# %%
show_exercise("16.2")


# %%
def macro_f1(predictions, references):
    return ...


check("16.2", macro_f1)

# %%
show_exercise("16.3")


# %%
def mcnemar_p(first, second):
    return ...


check("16.3", mcnemar_p)

# %%
show_exercise("16.4")


# %%
def holm_adjusted(p_values):
    return ...


check("16.4", holm_adjusted)

# %%
show_exercise("16.5")


# %%
def how_many(difference, discordant, power):
    return ...


check("16.5", how_many)

# %% [markdown]
# ## 13 · Quiz

# %%
quiz("16")

# %% [markdown]
# ## 14 · Claims
#
# These speak of records that lessons 01 and 05 have left, so they were written *after* the runs, unlike the
# claims of those lessons. That makes them weaker evidence, and it should be said wherever it is so. All are
# about the reported split of SST-2. Hold the first one against its paired test in section 5: there, two
# trained models were compared, on one seed; here two methods are, over seeds and examples, and the three
# claims are corrected together. The two questions need not have the same answer.

# %%
lesson.claim(
    "With 500 labels, frozen features of the last four layers are better than those of the last one.",
    better={"method": "frozen-last-four", "model": "sentence-transformers/all-MiniLM-L6-v2"},
    worse={"method": "frozen", "model": "sentence-transformers/all-MiniLM-L6-v2"},
    on={"task": "text-classification", "dataset": "stanfordnlp/sst2", "n_train": 500},
)

# %%
lesson.claim(
    "With 64 labels, fine-tuning is better than frozen features.",
    better={"method": "full", "model": "sentence-transformers/all-MiniLM-L6-v2"},
    worse={"method": "frozen", "model": "sentence-transformers/all-MiniLM-L6-v2"},
    on={"task": "text-classification", "dataset": "stanfordnlp/sst2", "n_train": 64},
)

# %%
lesson.claim(
    "With 500 labels, fine-tuning is at least five points better than word counts.",
    better={"method": "full", "model": "sentence-transformers/all-MiniLM-L6-v2"},
    worse={"method": "tfidf"},
    on={"task": "text-classification", "dataset": "stanfordnlp/sst2", "n_train": 500},
    margin=0.05,
)

# %% [markdown]
# ## Read next
#
# - Dror et al., *The Hitchhiker's Guide to Testing Statistical Significance in Natural Language Processing*,
#   2018, ACL.
# - Card et al., *With Little Power Comes Great Responsibility*, 2020, EMNLP: how many published comparisons
#   had little chance of finding what they looked for.
# - Bouthillier et al., *Accounting for Variance in Machine Learning Benchmarks*, 2021, MLSys.
# - Post, *A Call for Clarity in Reporting BLEU Scores*, 2018, WMT.
# - Mathur, Baldwin and Cohn, *Tangled up in BLEU*, 2020, ACL.
# - Recht et al., *Do ImageNet Classifiers Generalize to ImageNet?*, 2019, ICML.
# - Chicco and Jurman, *The advantages of the Matthews correlation coefficient (MCC) over F1 score and accuracy
#   in binary classification evaluation*, 2020, BMC Genomics 21.
#
# Lesson 17 applies all of this to your own data, lesson 18 to the tables of the whole course.
#
# **Licences.** The embedded sentences, news and questions: CC BY 4.0, the authors of this course. SST-2:
# research use. SQuAD: CC BY-SA 4.0.
