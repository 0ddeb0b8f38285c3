# ---
# jupyter:
#   course:
#     evidence:
#       figures: 2
#       optimiser_steps: 10
#       records: 3
#     minutes: 20
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
# # Lesson 00 · Start here
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/transfer-learning-course/transfer-learning-course/blob/main/notebooks/00_start_here.ipynb)
#
# **Does it run here, and what is this course?** In a few minutes you will have looked at what your
# machine offers, turned sentences into vectors, fine-tuned a pre-trained model and read the record
# of that run. Everything after this builds on these four things.
#
# **After this lesson you can**
#
# - say on which device, data source and profile a lesson runs, and change them;
# - turn a sentence into tokens, numbers and a vector;
# - fine-tune a model with one call and say where its result is kept;
# - work with exercises, quizzes and claims.
#
# **You need** to read Python. Nothing else: no GPU, no account, no earlier course.

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
# These three lines stand at the top of every lesson. *Sources* are asked in the order in which they
# are listed: a mirror of your own (`COURSE_MIRROR`), the Hugging Face Hub, and what is embedded in
# this course, so that everything runs without a network. Time and memory of a lesson, as measured:

# %%
lesson.lesson_card("00")

# %% tags=["parameters"]
PROFILE = "quick"
SEED = 0
RETRAIN = False

# %% [markdown]
# That was the **parameters** cell. `PROFILE` decides how large everything is: `smoke` takes seconds
# and only proves that the code runs, `quick` is for reading, `full` regenerates the published
# tables with several seeds. `SEED` fixes what is random. Change them, then run all cells again.

# %% [markdown]
# ## 1 · Your machine

# %%
from utils import runtime

hardware, precision = runtime.hardware(), runtime.precision()
print(f"device     {runtime.device().type}: {hardware['gpu'] or hardware['cpu']}")
print(f"precision  {precision.name} ({precision.reason})")

# %%
from utils.sources import available

for place in available():
    print(f"{place.name:10} {'can be used' if place.usable else 'not here'}")

# %% [markdown]
# The precision is *measured*, not guessed: many CPUs accept 16-bit numbers and then compute with
# them at half the speed. `course doctor` prints all of this in a terminal, with the versions of the
# libraries.

# %% [markdown]
# ## 2 · From a sentence to a vector
#
# A pre-trained model does not read words. A **tokenizer** cuts a text into tokens from a fixed
# vocabulary and replaces each by its number.

# %%
from transformers import AutoTokenizer

from utils.sources import MINILM, model_path

folder, model_source = model_path(MINILM)
tokenizer = AutoTokenizer.from_pretrained(folder)
print(model_source.id, "from", model_source.location)

# %%
batch = tokenizer(["Unputdownable!", "I could not put it down, or up."], padding=True)
for ids, mask in zip(batch["input_ids"], batch["attention_mask"], strict=True):
    print(tokenizer.convert_ids_to_tokens(ids))
    print(ids)
    print(mask, end="\n\n")

# %% [markdown]
# A word that is not in the vocabulary is cut into pieces that are (`##` marks a piece that goes
# on). Both rows have the same length, because a batch is a table. The **attention mask** says which
# positions are text and which only fill up.
#
# The **encoder** turns these numbers into a vector per token, and their mean stands for the
# sentence. Sentences that mean the same should get vectors that point the same way. Do they?

# %%
import torch

from utils.adaptation.encoder import load_encoder, mean_pool

encoder = load_encoder(folder).eval()


def sentence_vectors(texts: list[str]) -> torch.Tensor:
    batch = tokenizer(texts, padding=True, return_tensors="pt")
    inputs = {name: batch[name] for name in ("input_ids", "attention_mask")}
    with torch.inference_mode():
        hidden_states = encoder(**inputs).last_hidden_state
    return mean_pool(hidden_states, batch["attention_mask"])


# %%
texts = [
    "The film is a joy.",
    "I loved every minute of the movie.",
    "A waste of an evening.",
    "Interest rates went up again.",
]
vectors = sentence_vectors(texts)
print("shape (sentences, d_model):", tuple(vectors.shape))

# %%
import seaborn as sns
from matplotlib.figure import Figure

from utils.lesson import show_figure

similarity = torch.nn.functional.cosine_similarity(vectors[:, None], vectors[None], dim=-1)
figure = Figure(figsize=(7.2, 3.4), dpi=100, layout="constrained")
heatmap = sns.heatmap(
    similarity.numpy(),
    annot=True,
    fmt=".2f",
    cmap="cividis",
    yticklabels=texts,
    xticklabels=[1, 2, 3, 4],
    ax=figure.subplots(),
    cbar_kws={"label": "Cosine similarity"},
)
heatmap.set(xlabel="Sentence", ylabel="")
show_figure(figure, alt="Heat map of the cosine similarity of four sentences, values printed.")

# %% [markdown]
# The two sentences of praise share no word but *the*, and yet lie close. Nobody told the model
# which is which: this comes from pre-training. Look at the third as well. It says the opposite of
# the first two, and may still be nearer to them than the fourth is: the vectors know the *subject*
# better than the *verdict*. That is why one adapts a model to a task.

# %% [markdown]
# ## 3 · A first fine-tuning
#
# An experiment is described by a **spec**: what to run, on what, with how many labels and which
# seed. Three methods on the same 128 labelled sentences: the majority class, a classifier on frozen
# vectors like those above, and fine-tuning, which changes the encoder too.

# %%
from utils.experiments import Spec
from utils.lesson import run_experiments
from utils.profiles import pick

N_TRAIN = pick(PROFILE, smoke=32, quick=128, full=2000)
MIN_UPDATES = pick(PROFILE, smoke=10, quick=40, full=150)
TEST_LIMIT = pick(PROFILE, smoke=100, quick=400, full=None)

# %%
from utils.adaptation import METHODS


def spec(method: str) -> Spec:
    hyper = dict(METHODS[method].defaults)
    if "min_updates" in hyper:
        hyper["min_updates"] = MIN_UPDATES
    return Spec(
        dataset="stanfordnlp/sst2",
        model=MINILM if METHODS[method].needs_model else None,
        method=method,
        n_train=N_TRAIN,
        seed=SEED,
        data_seed=SEED,
        profile=PROFILE,
        validation_limit=100,
        test_limit=TEST_LIMIT,
        hyper=hyper,
    )


# %%
specs = [spec(method) for method in ("majority", "frozen", "full")]
records = run_experiments(specs, retrain=RETRAIN)

# %%
from utils.report import select, training_curves

show_figure(training_curves(select(records, method="full")))

# %% [markdown]
# The loss falls to nearly nothing: the model knows its training sentences. What counts is the right
# picture, the accuracy on sentences that it was *not* trained on, and the table above, on sentences
# that decided nothing during training.

# %% [markdown]
# ## 4 · The record
#
# Every run leaves a record in `runs/`: what was run, what came out, what it cost and where it comes
# from. Run the cell above once more: nothing is trained, the record is read. Tables, figures and
# claims of this course are made from records and from nothing else.

# %%
from utils.lesson.outputs import show
from utils.report import describe

described = describe(records[-1])
show(described.replace("\n## ", "\n#### ").replace("# Record", "#### Record", 1), described)

# %% [markdown]
# ## 5 · How this goes wrong
#
# **Another machine, other digits.** Results on the same machine repeat exactly. On another one the
# last digits differ, since sums are added in another order, and with few labels a training run can
# amplify that. Compare results with their intervals, not to the third decimal.
#
# **No network.** Then the embedded stand-in takes the place of SST-2, and all tables say so. `full`
# refuses it: published numbers are never made from it.
#
# **Out of memory** on a small GPU: choose *Runtime → Restart*, then the profile `quick`.
#
# **A stale kernel.** If a cell complains of a name that does not exist, a cell above has not been
# run. *Run all* is always safe: what was trained is not trained again.

# %% [markdown]
# ## 6 · Exercises
#
# Each lesson ends with exercises. Write the function, run the cell, and the check says what is
# wrong and, if it recognises the mistake, which one it is. Hints and solution are folded. An
# untouched exercise breaks nothing.

# %%
from utils.lesson import check, quiz, show_exercise

show_exercise("00.1")


# %%
def cosine_similarity(a, b):
    return ...


check("00.1", cosine_similarity)

# %%
show_exercise("00.2")


# %%
def n_updates(n_examples, batch_size, n_epochs):
    return ...


check("00.2", n_updates)

# %%
show_exercise("00.3")


# %%
def pad_batch(token_ids, pad_id):
    return ...


check("00.3", pad_batch)

# %% [markdown]
# ## 7 · Quiz

# %%
quiz("00")

# %% [markdown]
# ## 8 · A claim
#
# Where a lesson claims something about results, the claim is computed from the published records,
# with an interval, and says by itself whether it holds:

# %%
lesson.claim(
    "With 250 labels, fine-tuning beats the majority class on SST-2 by ten points or more.",
    better={"method": "full", "model": "sentence-transformers/all-MiniLM-L6-v2"},
    worse={"method": "majority"},
    on={"dataset": "stanfordnlp/sst2", "n_train": 250},
    margin=0.10,
)

# %% [markdown]
# ## Read next
#
# - Ruder, Peters, Swayamdipta and Wolf, *Transfer Learning in Natural Language Processing*, 2019,
#   NAACL tutorial: the subject in one afternoon.
# - Wolf et al., *Transformers: State-of-the-Art Natural Language Processing*, 2020, EMNLP system
#   demonstrations: the library behind `AutoTokenizer`.
# - Wang et al., *MiniLM: Deep Self-Attention Distillation*, 2020, NeurIPS: the model used here.
#
# Go on with lesson 01, which measures what pre-training gives.
#
# **Licences.** The model all-MiniLM-L6-v2 is under Apache-2.0. SST-2 states no licence (research
# use); no row of it is shown. The sentences above were written for this lesson.
