# ---
# jupyter:
#   course:
#     evidence:
#       figures: 5
#       optimiser_steps: 30
#       records: 10
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
# # Lesson 01 · Transfer learning
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/transfer-learning-course/transfer-learning-course/blob/main/notebooks/01_transfer_learning.ipynb)
#
# **Why start from a pre-trained model?** You have a few hundred labelled sentences and a network
# with 22 million weights. Trained from scratch, it barely beats a coin. Started from weights that
# have read a great deal of text without any labels, the same network learns the task. This lesson
# measures how large that difference is, how it depends on the number of labels, and what it costs.
#
# **After this lesson you can**
#
# - say what is transferred, and tell frozen features, fine-tuning and training from scratch apart;
# - read a learning curve with its band, and compare methods by the labels that they need;
# - name the baselines that every such comparison needs, and why each is there;
# - place BERT, GPT, T5, BART, CLIP and ALIGN on a map and choose a family for a task.
#
# **You need** Python and NumPy, and an idea of what a neural network is. Lesson 02 explains the
# Transformer itself; here it is a function from texts to vectors.

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
lesson.lesson_card("01")

# %% tags=["parameters"]
PROFILE = "quick"
SEED = 0
RETRAIN = False

# %%
from utils.experiments import get_grid, published_records
from utils.lesson import (
    check,
    quiz,
    run_experiments,
    show_exercise,
    show_figure,
    show_source,
    show_table,
    show_text,
    skipped,
)

# %% [markdown]
# ## 1 · A task, and how little it gives away
#
# The task is sentiment: is a sentence from a review positive (1) or negative (0)? The data set is
# SST-2 (Socher et al., 2013), sentences from film reviews. Below are rows of the *stand-in* that
# was written for this course and takes its place where the real set cannot be reached. Read them as
# a model would have to.
# %%
from utils.tasks import text_classification

stand_in = text_classification.load("stanfordnlp/sst2", profile="smoke", validation_limit=100)
for row in (0, 1, 2, 3, 4, 5):
    print(stand_in.train.labels[row], " ", stand_in.train.texts[row])

# %% [markdown]
# Few words decide by themselves. *Good time*, *amused* and *better* are words of praise, and they stand in
# negative sentences here. To count words is therefore a weak method here, and that is why this
# task shows well what else a model has to bring along.

# %% [markdown]
# ## 2 · Three ways to start
#
# A classifier for texts has two parts: an **encoder** $f_\theta$, which turns a text $x$ into a
# vector, and a **head** $g_\phi$, here one linear layer, which turns the vector into a score for
# each class. With labelled examples $(x_i, y_i)$ and the cross-entropy $\ell$, training minimises
#
# $$ L(\theta, \phi) = \frac{1}{n} \sum_{i=1}^{n} \ell\big(g_\phi(f_\theta(x_i)),\, y_i\big). $$
#
# Transfer learning is about *where $\theta$ starts and whether it moves*:
#
# | method | $\theta$ starts at | $\theta$ moves | what is learnt from the labels |
# |---|---|---|---|
# | **frozen features** | pre-trained $\theta_0$ | no | $\phi$ only: a logistic regression |
# | **fine-tuning** | pre-trained $\theta_0$ | yes | $\theta$ and $\phi$ together |
# | **random initialisation** | random | yes | $\theta$ and $\phi$: everything, language included |
#
# The third is the control: the same architecture, data and training, without $\theta_0$. What
# fine-tuning gains over it, pre-training has given. Two baselines without an encoder stand beside
# them: **TF-IDF** with a logistic regression, which counts words, and the **majority class**, which
# learns nothing.
#
# The encoder is `all-MiniLM-L6-v2`: six Transformer layers of width 384 (Wang et al., 2020), then
# trained further on pairs of texts that belong together (a comment and its reply, a question and
# its answer). It gives a vector per *token*; the vector of
# a text is the mean over its real tokens, padding left out:
#
# $$ \bar h_b = \frac{\sum_t m_{bt}\, h_{bt}}{\sum_t m_{bt}} $$

# %%
from utils.adaptation.encoder import TextClassifier, mean_pool

show_source(mean_pool)

# %%
show_source(TextClassifier)

# %% [markdown]
# | symbol | variable | shape | asserted by the test |
# |---|---|---|---|
# | $h_{bt}$ | `hidden_states` | (batch, length, d_model) | `test_mean_pooling_leaves_padding_out` |
# | $m_{bt}$ | `attention_mask` | (batch, length) | `test_padding_does_not_change_features` |
# | $\bar h_b = f_\theta(x_b)$ | result of `mean_pool` | (batch, d_model) | `test_features_equal_those_of_sentence_transformers` |
# | $g_\phi(\bar h_b)$ | `logits` | (batch, n_classes) | `test_a_set_that_can_be_memorised_is` |
# | $\theta$ | `encoder.parameters()` | 22.6 million numbers | `test_random_initialisation_has_the_same_shape_and_other_weights` |
#
# The tests stand in `tests/unit/adaptation/`.

# %% [markdown]
# ## 3 · The experiment
#
# Five methods, growing numbers of labels. Fair means here: every method gets the **same training
# rows** (drawn with the same seed, the larger set containing the smaller one) and the **same number
# of trials** for its hyper-parameters, chosen on rows cut from the training split; the reported
# split is read once. The published curves below follow this protocol with five seeds. Your own run
# is smaller: one seed, fewer sizes, hyper-parameters as they stand.

# %%
grid = get_grid("learning-curves")(PROFILE, first_seed=SEED)
records = run_experiments(grid, retrain=RETRAIN)

# %% [markdown]
# The same as a picture. The band is a 95 % bootstrap interval: how far the accuracy would move with
# other test sentences.

# %%
from utils.report import learning_curve_table, learning_curves, select

show_figure(learning_curves(records))

# %% [markdown]
# **What to look for.** With 16 labels nobody is good, and one seed says little. Follow the two
# lines that start from pre-trained weights to the right: do they leave the others behind? And
# compare *fine-tuning* with *random initialisation*: same network, same sentences, same updates.
# Only the starting point differs.

# %% [markdown]
# ## 4 · The published curves
#
# One seed on a laptop is a demonstration. These are the recorded results on the real SST-2: five
# seeds, hyper-parameters tuned with the same budget for all, every baseline trained to convergence.

# %%
from utils.sources import MINILM

FIVE = ["majority", "tfidf", "frozen", "full", "random-init"]
published = select(published_records(), model=[None, MINILM], method=FIVE)
sst2 = select(published, dataset="stanfordnlp/sst2")
show_figure(learning_curves(sst2))

# %%
show_table(learning_curve_table(sst2))

# %% [markdown]
# Sentences with numbers are generated from the records in this course, so that they cannot disagree
# with the tables:

# %%
from utils.report import prose

show_text(
    prose.accuracy_sentence(sst2, "full", 2000, against="random-init"),
    prose.accuracy_sentence(sst2, "frozen", 64, against="tfidf"),
    prose.same_as_sentence(sst2, "tfidf", 2000, "frozen"),
)

# %% [markdown]
# What happens inside? Here are two of these runs with 500 labels, one from pre-trained and one from
# random weights, as they trained.

# %%
from utils.report import training_curves

pair = select(sst2, method=["full", "random-init"], n_train=500, seed=0, split="test")
show_figure(training_curves(pair))

# %% [markdown]
# On the left both losses end near zero: both models have learnt their 500 sentences by heart. On
# the right both know more about *other* sentences than the majority class does, one a little and one
# far more. Only the starting point differs in kind. How much of the answer it already holds, the row of
# frozen features shows: there $\theta_0$ does not move at all.

# %% [markdown]
# Is it the same elsewhere? AG News (Zhang et al., 2015) asks for the topic of a news item: world,
# sports, business or science. Single words say much more there (*striker*, *shares*, *galaxy*), so
# look at how well TF-IDF does, and whether pre-training still matters.

# %%
ag_news = select(published, dataset="fancyzhx/ag_news")
if ag_news:
    show_figure(learning_curves(ag_news))
    show_table(learning_curve_table(ag_news))
else:
    skipped("AG News: no published records yet")

# %% [markdown]
# ## 5 · What it costs
#
# Accuracy is half of the choice. Frozen features are computed once; fine-tuning runs through the
# encoder forwards and backwards for every update. Time depends on the machine. The number of
# floating-point operations (FLOPs) does not: a training step costs about three forward passes.

# %%
from utils.report import cost_curves, cost_to_reach_table

show_figure(cost_curves(sst2, "flops"))

# %%
show_table(cost_to_reach_table(sst2))

# %% [markdown]
# Read this table by rows of equal accuracy. *Not reached* means that no number of labels that was
# tried has been enough. Which methods reach the last rows, and how many operations did the cheapest
# of them take?

# %%
show_text(prose.cost_sentence(sst2, "frozen", 2000), prose.cost_sentence(sst2, "full", 2000))

# %% [markdown]
# ## 6 · Claims
#
# Each claim below was written before the full measurement. The first four say that a mean has reached
# a number: they hold if it has, the interval beside them says how sure that is, and there is no
# p-value. The comparisons after them are decided by a bootstrap over seeds and test examples and by
# Student's t over seeds, whichever is less sure (lesson 16 says why), corrected for the number of
# comparisons in this lesson (Holm, 1979). Any of them may turn out not to hold. `course check` lists
# the claims of all lessons.
#
# First, that the methods were trained properly. A baseline that was not tuned makes any comparison
# look good.

# %%
lesson.claim(
    "Fine-tuning reaches 82 % on SST-2 with 2,000 labels.",
    better={"method": "full", "model": "sentence-transformers/all-MiniLM-L6-v2"},
    on={"dataset": "stanfordnlp/sst2", "n_train": 2000},
    at_least=0.82,
)

# %%
lesson.claim(
    "Frozen features reach 76 % on SST-2 with 2,000 labels.",
    better={"method": "frozen", "model": "sentence-transformers/all-MiniLM-L6-v2"},
    on={"dataset": "stanfordnlp/sst2", "n_train": 2000},
    at_least=0.76,
)

# %%
lesson.claim(
    "Random initialisation, properly trained, reaches 65 % on SST-2 with 2,000 labels.",
    better={"method": "random-init", "model": "sentence-transformers/all-MiniLM-L6-v2"},
    on={"dataset": "stanfordnlp/sst2", "n_train": 2000},
    at_least=0.65,
)

# %%
lesson.claim(
    "TF-IDF with a tuned logistic regression reaches 70 % on SST-2 with 2,000 labels.",
    better={"method": "tfidf"},
    on={"dataset": "stanfordnlp/sst2", "n_train": 2000},
    at_least=0.70,
)

# %% [markdown]
# Now the comparisons.

# %%
lesson.claim(
    "Fine-tuning beats training from scratch at every number of labels up to 2,000, on both sets.",
    better={"method": "full", "model": "sentence-transformers/all-MiniLM-L6-v2"},
    worse={"method": "random-init", "model": "sentence-transformers/all-MiniLM-L6-v2"},
    on={
        "dataset": ["stanfordnlp/sst2", "fancyzhx/ag_news"],
        "n_train": [16, 64, 250, 500, 2000],
    },
)

# %%
lesson.claim(
    "With few labels, frozen features beat TF-IDF on both sets.",
    better={"method": "frozen", "model": "sentence-transformers/all-MiniLM-L6-v2"},
    worse={"method": "tfidf"},
    on={"dataset": ["stanfordnlp/sst2", "fancyzhx/ag_news"], "n_train": [16, 64]},
)

# %%
lesson.claim(
    "With 500 labels or more, fine-tuning beats frozen features on SST-2.",
    better={"method": "full", "model": "sentence-transformers/all-MiniLM-L6-v2"},
    worse={"method": "frozen", "model": "sentence-transformers/all-MiniLM-L6-v2"},
    on={"dataset": "stanfordnlp/sst2", "n_train": [500, 2000]},
)

# %%
lesson.claim(
    "With 16 labels, frozen features are not worse than fine-tuning by a point or more.",
    better={"method": "frozen", "model": "sentence-transformers/all-MiniLM-L6-v2"},
    worse={"method": "full", "model": "sentence-transformers/all-MiniLM-L6-v2"},
    on={"dataset": ["stanfordnlp/sst2", "fancyzhx/ag_news"], "n_train": 16},
    kind="not worse",
    margin=0.01,
)

# %% [markdown]
# *Undecided* is a result: the data do not tell. With 16 labels the draw of the labels moves the
# accuracy by several points, and five draws leave a wide interval. *Does not hold* is a result as
# well. The last claim is a rule of thumb, that with very few labels one should freeze the encoder;
# look at its two rows before you follow it.

# %% [markdown]
# ## 7 · How this goes wrong
#
# **Too few updates.** "Three epochs" is a usual recipe. With 64 labels and batches of 32 it means
# six updates: a model that has hardly moved. Whoever compares methods at equal epochs compares how
# much they were trained. Here is fine-tuning at 64 labels, with the updates of one epoch and with
# the minimum that this course sets.

# %%
(trained_enough,) = select(records, method="full", n_train=64, seed=SEED, split="test")
one_epoch = {**trained_enough.spec.hyper, "epochs": 1, "min_updates": 1}
too_few = trained_enough.spec.model_copy(update={"hyper": one_epoch})
(trained_little,) = run_experiments([too_few], retrain=RETRAIN)

# %%
for record in (trained_little, trained_enough):
    updates, loss = record.cost["optimiser_steps"], record.curve[-1]["loss"]
    print(f"{updates:3.0f} updates: loss {loss:.3f}, accuracy {record.metrics['accuracy']:.3f}")

# %% [markdown]
# **One seed.** With 16 labels, this is what five seeds of the *same* method gave. Whoever reports
# the best of them reports luck.

# %%
few = select(sst2, method="full", n_train=16, split="test")
print("accuracy by seed:", [round(record.metrics["accuracy"], 3) for record in few])

# %% [markdown]
# **Choosing on the test set.** Learning rate and regularisation are chosen on rows cut from
# *train*. Even the cut can leak: SST-2's training rows are phrases of the same sentences, so a
# random cut puts pieces of a validation sentence into training. Here whole sentences are cut, and
# all their pieces go.
#
# **A model that has seen the answers.** `all-MiniLM-L6-v2` was tuned on a billion pairs of texts
# from public data sets. Neither SST-2 nor AG News is on its publisher's list, which is less than a
# proof; hence the column *Seen before*. Its tuning on meaning also flatters frozen features: a
# plain language model would give worse ones.

# %% [markdown]
# ## 8 · The families of pre-trained models
#
# MiniLM is an *encoder*. What a model reads, and what it is trained to give, decides what it can be
# used for.

# %%
from utils.lesson.families import FamilyTable, family_map

show_table(FamilyTable())

# %%
show_figure(family_map())

# %% [markdown]
# Each point is a published model (sources in the table above). The axis is logarithmic: decoders
# have grown by a factor of thousands, while the encoders that people fine-tune have stayed at a
# size that runs on a laptop. That is no accident. Who labels a few hundred examples to sort texts
# gains little from a model that writes, and pays for it at each prediction.

# %% [markdown]
# ## 9 · Exercises
#
# Fill in the functions and run the cells. An untouched exercise breaks nothing.

# %%
show_exercise("01.1")


# %%
def majority_accuracy(train_labels, test_labels):
    return ...


check("01.1", majority_accuracy)

# %%
show_exercise("01.2")


# %%
def mean_pooling(hidden_states, attention_mask):
    return ...


check("01.2", mean_pooling)

# %%
show_exercise("01.3")


# %%
def labels_needed(sizes, accuracies, target):
    return ...


check("01.3", labels_needed)

# %% [markdown]
# ## 10 · Quiz

# %%
quiz("01")

# %% [markdown]
# ## Read next
#
# - Howard and Ruder, *Universal Language Model Fine-tuning for Text Classification*, 2018, ACL: the
#   paper that made fine-tuning a recipe, with curves like those above.
# - Devlin et al., *BERT: Pre-training of Deep Bidirectional Transformers*, 2019, NAACL.
# - Peters, Ruder and Smith, *To Tune or Not to Tune?*, 2019, RepL4NLP: frozen or fine-tuned, by
#   task.
# - Mosbach, Andriushchenko and Klakow, *On the Stability of Fine-tuning BERT*, 2021, ICLR: why few
#   updates fail.
# - Reimers and Gurevych, *Sentence-BERT*, 2019, EMNLP: where mean pooling comes from.
#
# Lesson 02 opens the encoder; lesson 05 goes through the steps between frozen and fully fine-tuned.
#
# **Licences.** The sentences shown are from the course's stand-in corpus (CC BY 4.0, the authors of
# this course). SST-2 states no licence (research use); AG News is for research and other
# non-commercial activity. Neither is copied here: only results computed on them are.
