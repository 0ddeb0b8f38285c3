# ---
# jupyter:
#   course:
#     evidence:
#       figures: 3
#       records: 50
#     minutes: 30
#     uses_device: false
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
# # Lesson 18 · Benchmark tables
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/transfer-learning-course/transfer-learning-course/blob/main/notebooks/18_benchmark_tables.ipynb)
#
# **Where does a number in a table come from, and how far can it be trusted?** Here all published
# tables and figures of this course are made again from the records behind them. On the way you take
# one number apart, down to single predictions, and build the interval beside it by hand.
#
# **After this lesson you can**
#
# - regenerate every table and figure, and notice when one has been edited by hand;
# - trace a number to the runs behind it;
# - tell standard deviation, standard error and interval apart, and compute a bootstrap interval;
# - compare two methods properly: paired, and corrected for the number of comparisons.
#
# **You need** lesson 01 and the idea of a mean and a standard deviation.

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

# %%
lesson.lesson_card("18")

# %% tags=["parameters"]
PROFILE = "quick"
SEED = 0

# %% [markdown]
# `PROFILE` changes nothing here: published results are always those of profile `full`. No model is
# run; this lesson reads.

# %% [markdown]
# ## 1 · The records
#
# A record is one run: one method, one amount of data, one seed. They are published as text, one
# JSON object a line.

# %%
from collections import Counter

from utils.experiments import published_records
from utils.lesson import evidence

published = published_records()
for (name, split), number in Counter((r.spec.dataset, r.spec.split) for r in published).items():
    print(f"{name:20} {split:10} {number:4} records")

# %%
from utils import runtime

locations = sorted({record.provenance["source"]["location"] for record in published})
memory = runtime.peak_memory_bytes()
evidence(records=len(published), records_run=0, sources=locations, peak_memory_bytes=memory)

# %% [markdown]
# Records of the *validation* split are trials: they decided on learning rates and the like, and
# count in no table. Those of *test* were run once, with what the trials had chosen.

# %% [markdown]
# ## 2 · All tables and figures
#
# Those of the learning curves of text classification; lessons 02 to 05 show theirs.

# %%
from utils.experiments import get_grid
from utils.lesson import show_figure, show_table
from utils.report import cost_curves, cost_table, learning_curve_table, learning_curves, select
from utils.sources import is_run_model

methods = {cell.method for cell in get_grid("learning-curves")("full").cells}
classified = select(published, task="text-classification", method=methods)
classified = [record for record in classified if not is_run_model(record.spec.model)]
pairs = sorted({(r.spec.dataset, r.spec.model) for r in classified if r.spec.model})
# Baselines without a model stand beside each model.
groups = {
    f"{dataset}, {model}:": select(classified, dataset=dataset, model=[None, model])
    for dataset, model in pairs
}
for title, group in groups.items():
    print(title)
    show_table(learning_curve_table(group))

# %%
for title, group in groups.items():
    print(title)
    show_figure(learning_curves(group))

# %%
for title, group in groups.items():
    print(title)
    show_figure(cost_curves(group))

# %%
for title, group in groups.items():
    print(title)
    show_table(cost_table(group))

# %% [markdown]
# Nothing in these cells is typed by hand. `course tables` does the same for the files in `results/`
# and for the README; `course tables --check` fails if one of them says something else than the
# records. Here is that check, on a copy in which one digit is changed.

# %%
import re
import shutil
import tempfile
from pathlib import Path

from utils.report import check as check_pages

copy = Path(tempfile.mkdtemp()) / "results"
shutil.copytree(runtime.results_dir(), copy)
print(f"as published: {len(check_pages(copy))} files differ from the records")

# %%
table = sorted((copy / "tables").glob("learning-curves_stanfordnlp-sst2_*.md"))[0]
typed_wrong = re.sub(r"± (\d)", lambda found: f"± {9 - int(found[1])}", table.read_text(), count=1)
table.write_text(typed_wrong)
for change in check_pages(copy):
    print(change.path.name, "·", change.detail)

# %% [markdown]
# ## 3 · One number, taken apart

# %%
from utils.sources import MINILM

chosen = {"dataset": "stanfordnlp/sst2", "method": "full", "model": MINILM, "n_train": 500}
chosen |= {"split": "test"}
runs = sorted(select(published, **chosen), key=lambda record: record.spec.seed)
for record in runs:
    print(record.key, " seed", record.spec.seed, f" {record.metrics['accuracy']:.4f}")

# %% [markdown]
# The cell of the table is the mean of these. Each line is a run, and `course show KEY` prints all
# that is known of it. In Python:

# %%
from utils.lesson.outputs import show
from utils.report import describe

described = describe(runs[0])
show(described.replace("\n## ", "\n#### ").replace("# Record", "#### Record", 1), described)

# %% [markdown]
# A record also keeps, packed into bits, *which* test examples were predicted rightly. So everything
# below can be computed without running a model again.

# %%
from utils.report import statistics

correct = statistics.answers(runs)[..., 0]
print("shape (seeds, examples):", correct.shape)
print("accuracy by seed:", correct.mean(axis=1).round(4))

# %% [markdown]
# ## 4 · Two kinds of chance
#
# Another seed would have drawn other training sentences. Another test set would have held other
# questions. Let $c_{ji}$ be 1 if seed $j$ got example $i$ right. The accuracy is the mean of the
# table, and its **hierarchical bootstrap** distribution is that of
#
# $$ \hat a^{*} = \frac{1}{kn} \sum_{j \in J^{*}} \sum_{i \in I^{*}} c_{ji}, $$
#
# where $J^{*}$ are $k$ seeds and $I^{*}$ are $n$ examples, both drawn with replacement. The
# interval runs from its 2.5 % to its 97.5 % quantile (Efron and Tibshirani, 1993).
#
# | symbol | variable | shape | asserted by the test |
# |---|---|---|---|
# | $c_{ji}$ | `correct` | (seeds, examples) | `test_records_are_paired_by_seed_whatever_their_order` |
# | $J^{*}$ | `seeds` | (seeds,) | `test_seeds_alone_agree_with_the_formula_for_their_mean` |
# | $I^{*}$ | `examples` | (examples,) | `test_one_seed_agrees_with_the_binomial_standard_error` |
# | $\hat a^{*}$ | `draws` | (draws,) | `test_agrees_with_a_bootstrap_that_gathers_rows_and_columns` |
#
# The tests stand in `tests/unit/report/test_statistics.py`.

# %%
import numpy as np


def bootstrap_by_hand(correct: np.ndarray, n_draws: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    n_seeds, n_examples = correct.shape
    draws = np.empty(n_draws)
    for draw in range(n_draws):
        seeds = rng.integers(n_seeds, size=n_seeds)
        examples = rng.integers(n_examples, size=n_examples)
        draws[draw] = correct[seeds][:, examples].mean()
    return draws


# %%
from utils.resampling import hierarchical_bootstrap

by_hand = bootstrap_by_hand(correct, n_draws=4000, seed=SEED)
library = hierarchical_bootstrap(correct)
print("by hand:   ", np.quantile(by_hand, [0.025, 0.975]).round(4))
print("the course:", np.round([library.low, library.high], 4))

# %% [markdown]
# They differ in the third or fourth digit: both draw at random, with other random numbers. How much
# of that is to be expected? Draw several times and look at the spread of an end of the interval.

# %%
ends = [np.quantile(bootstrap_by_hand(correct, 1000, seed), 0.025) for seed in range(10)]
print(f"standard deviation of the lower end with 1,000 draws: {np.std(ends, ddof=1):.4f}")

# %% [markdown]
# Which of the two chances matters more? Hold one still and draw the other.

# %%
only_examples = hierarchical_bootstrap(correct, resample_seeds=False)
only_seeds = hierarchical_bootstrap(correct, resample_examples=False)
parts = (("seeds and examples", library), ("examples", only_examples), ("seeds", only_seeds))
for name, result in parts:
    print(f"{name:20} {100 * (result.high - result.low):.1f} points wide")

# %% [markdown]
# And what the table prints after ± is yet another thing: the standard deviation over seeds.

# %%
mean, deviation = statistics.mean_and_sd(correct.mean(axis=1))
print(f"{100 * mean:.1f} ± {100 * deviation:.1f}: what to expect of one more seed")
print(f"standard error of the mean: {100 * deviation / np.sqrt(len(runs)):.1f}")

# %% [markdown]
# ## 5 · Comparing two methods
#
# Frozen features with the same number of labels and the same seeds: is fine-tuning better? Two
# intervals that overlap do not answer that. The same examples are hard for both methods, so much of
# the chance is shared, and cancels in the difference. It has to be **paired**.

# %%
others = select(published, **{**chosen, "method": "frozen"})
paired = statistics.paired_difference(runs, others)
unpaired = statistics.unpaired_difference(runs, others)
for name, result in (("paired", paired), ("not paired", unpaired)):
    print(
        f"{name:11} {100 * result.value:+.1f}, {100 * result.low:+.1f} to {100 * result.high:+.1f}"
    )

# %%
from matplotlib.figure import Figure

figure = Figure(figsize=(7.2, 3.6), dpi=100, layout="constrained")
axes = figure.subplots()
axes.hist(100 * unpaired.draws, bins=60, color="0.75", label="not paired")
axes.hist(100 * paired.draws, bins=60, histtype="step", color="C0", linewidth=2, label="paired")
axes.axvline(0, color="black", linestyle=":")
axes.set(xlabel="Difference of accuracies in points", ylabel="Draws of the bootstrap")
axes.legend(frameon=False)
show_figure(figure, alt="Histograms of the bootstrap difference; the paired one is narrower.")

# %% [markdown]
# Why no rank test over the five seeds? Because five pairs cannot be significant, whatever they say:

# %%
from itertools import product

signs = np.array(list(product([-1, 1], repeat=5)))
ranks = np.arange(1, 6)
as_extreme = np.abs(signs @ ranks) >= ranks.sum()
print(f"smallest two-sided p-value of a signed-rank test with 5 pairs: {as_extreme.mean():.4f}")

# %% [markdown]
# ## 6 · Many claims
#
# Test eight things at 5 % where nothing is true, and in about a third of cases one will look
# significant. Holm's correction (1979) bounds the chance of *any* false call. These are all claims
# of all lessons, corrected within each lesson:

# %%
from utils.lesson import evaluate
from utils.suite import claims_of, discover

claims = [claim for notebook in discover() for claim in claims_of(notebook)]
for verdict in evaluate(claims, published):
    p_value = "" if verdict.p is None else f" (p {verdict.p:.4f}, after Holm {verdict.p_holm:.4f})"
    print(f"{verdict.claim.lesson} {verdict.verdict:13} {verdict.claim.text}{p_value}")

# %% [markdown]
# ## 7 · Your runs beside the published ones
#
# Whatever you run is kept in `runs/`. `course compare results/records runs/records` compares two
# sets of records row by row. Different sources, such as the stand-in and the real data, have
# nothing in common and are not compared.

# %%
from utils.experiments import Store
from utils.lesson import skipped
from utils.report import compare

own = select(Store.default().records(), split="test", profile="full")
if own:
    show_table(compare(select(published, split="test"), own).table())
else:
    skipped("no comparison with your own runs: there are none of profile full yet")

# %% [markdown]
# ## 8 · How this goes wrong
#
# **Mixing.** A table made from records of two profiles or two sources would compare data, not
# methods. It refuses:

# %%
from utils.errors import CourseError

other = [
    r.model_copy(update={"spec": r.spec.model_copy(update={"profile": "quick"})}) for r in runs
]
try:
    learning_curve_table([*runs, *other])
except CourseError as error:
    print(error)

# %% [markdown]
# **The best seed.** What would a paper have reported that shows its best run?

# %%
few = select(published, **{**chosen, "n_train": 16})
accuracies = 100 * statistics.answers(few)[..., 0].mean(axis=1)
print(f"mean {accuracies.mean():.1f}, best {accuracies.max():.1f}, worst {accuracies.min():.1f}")

# %% [markdown]
# **Typed numbers.** A number that is copied by hand is right on the day it is copied. The check of
# section 2 is all it takes, if the table has been generated in the first place.
#
# **Costs of different machines.** Seconds measured on two machines never share a cell; such cells
# stay empty. FLOPs can be compared anywhere.

# %% [markdown]
# ## 9 · Exercises

# %%
from utils.lesson import check, quiz, show_exercise

show_exercise("18.1")


# %%
def standard_deviation(accuracies):
    return ...


check("18.1", standard_deviation)

# %%
show_exercise("18.2")


# %%
def paired_interval(ours, theirs, rows, columns):
    return ...


check("18.2", paired_interval)

# %%
show_exercise("18.3")


# %%
def holm(p_values):
    return ...


check("18.3", holm)

# %% [markdown]
# ## 10 · Quiz

# %%
quiz("18")

# %% [markdown]
# ## Read next
#
# - Dror, Baumer, Shlomov and Reichart, *The Hitchhiker's Guide to Testing Statistical Significance
#   in Natural Language Processing*, 2018, ACL.
# - Reimers and Gurevych, *Reporting Score Distributions Makes a Difference*, 2017, EMNLP: the same
#   network with other seeds.
# - Dodge et al., *Show Your Work: Improved Reporting of Experimental Results*, 2019, EMNLP: results
#   as a function of the number of trials.
# - Bouthillier et al., *Accounting for Variance in Machine Learning Benchmarks*, 2021, MLSys.
# - Efron and Tibshirani, *An Introduction to the Bootstrap*, 1993, Chapman and Hall.
# - Holm, *A Simple Sequentially Rejective Multiple Test Procedure*, 1979, Scandinavian Journal of
#   Statistics.
#
# **Licences.** The tables rest on SST-2 (no licence stated, research use) and AG News (research and
# other non-commercial activity). No row of either is shown or copied.
