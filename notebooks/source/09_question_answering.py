# ---
# jupyter:
#   course:
#     evidence:
#       figures: 2
#       optimiser_steps: 4
#       records: 2
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
# # Lesson 09 · Question answering
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/transfer-learning-course/transfer-learning-course/blob/main/notebooks/09_question_answering.ipynb)
#
# **Where in a text does the answer stand?** A reader is given a question and a paragraph, and marks
# the words that answer it. This lesson builds one from a pre-trained encoder: from characters to
# tokens and back, over texts of any length, with the choice to say nothing. Then it tries to mislead
# the reader.
#
# **After this lesson you can**
#
# - turn answers given as characters into positions of tokens, and prove that nothing is lost;
# - read contexts longer than the model in overlapping windows, and decode the best legal span;
# - compute exact match and F1 as the official script of SQuAD does, by hand;
# - choose a threshold for the margin, above which the reader keeps silent, and say what it costs;
# - test a reader with sentences that look like an answer and are none.
#
# **You need** lesson 05 (fine-tuning an encoder). Attention is explained in lesson 02.

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
lesson.lesson_card("09")

# %% tags=["parameters"]
PROFILE = "quick"
SEED = 0
RETRAIN = False

# %%
import textwrap

import numpy as np

from utils import runtime
from utils.experiments import get_grid, published_records
from utils.lesson import (
    attention_figure,
    check,
    quiz,
    run_experiments,
    show_attention,
    show_exercise,
    show_figure,
    show_source,
    show_table,
    skipped,
)

runtime.seed_everything(SEED)

# %% [markdown]
# ## 1 · Questions and their paragraphs
#
# **SQuAD** (Rajpurkar et al., 2016) holds some 100,000 questions that people wrote about paragraphs
# of Wikipedia. The answer is always a piece of the paragraph: the task is *extractive*. **SQuAD 2.0**
# (Rajpurkar et al., 2018) adds questions that look answerable and are not.
#
# The live part of this lesson uses SQuAD 2.0. Offline, paragraphs and questions written for this course
# take its place, in the same columns. Recorded results on SQuAD 1.1 stand in section 9.

# %%
from utils.tasks.question_answering import load

SIZE = "smoke" if PROFILE == "smoke" else "quick"  # the recorded grid is far larger
grid = get_grid("questions")(SIZE, first_seed=SEED)
specs = [spec.model_copy(update={"profile": PROFILE}) for spec in grid.resolve([])]
fine_tuning = next(spec for spec in specs if spec.method == "full")
limits = {"validation_limit": fine_tuning.validation_limit, "test_limit": fine_tuning.test_limit}
splits = load(fine_tuning.dataset, profile=PROFILE, **limits)
test = splits.test
print(f"source: {splits.source.location}")
print(f"{len(splits.train)} questions for training, {fine_tuning.n_train} of them used")
print(f"{len(test)} to answer")
print(f"{sum(not a for a in test.answers)} of these have no answer")


# %%
def show_question(examples, i):
    print(textwrap.fill(examples.contexts[i], 96), "\n")
    print("question:  ", examples.questions[i])
    print("references:", " | ".join(examples.answers[i]) or "(no answer)")


has_answer = [i for i, answers in enumerate(test.answers) if answers]
first = has_answer[0]
show_question(test, first)

# %%
unanswerable = next(
    i
    for i, context in enumerate(test.contexts)
    if not test.answers[i] and context != test.contexts[first]
)
show_question(test, unanswerable)

# %% [markdown]
# This question belongs to its paragraph and is not answered by it. A reader that always marks
# something must be wrong here.
#
# Can one answer by comparing words alone, without learning anything? Here is what that marks:

# %%
from utils.adaptation.span_baseline import overlap_answer

for i in has_answer[:3]:
    print(f"{test.questions[i]}\n    marked: {overlap_answer(test.questions[i], test.contexts[i])}")

# %% [markdown]
# This is the **baseline that learns nothing**. It takes the sentence that shares most words with the
# question, rare words counting more. Of it, it marks the longest run of words that are neither in the
# question nor function words; for *when* and *how many* it prefers a run with a number, for *who* and
# *where* one with a capital letter. A model that does not beat it has learned little.

# %% [markdown]
# ## 2 · From characters to tokens, and back
#
# The data set says at which *character* an answer begins. The model works on word pieces. The bridge
# between them is the **offsets**: for each token, the characters that it was made from. Lower-casing and splitting
# do not matter, for offsets count in the text as it was.

# %%
from transformers import AutoTokenizer

from utils import sources
from utils.sources import MINILM

model_path, _ = sources.model_path(MINILM)
tokenizer = AutoTokenizer.from_pretrained(model_path)
context = "The mill at Tarnholt, built in 1741, burned down in 1802."
encoded = tokenizer(context, return_offsets_mapping=True, add_special_tokens=False)
for token, (a, b) in zip(encoded.tokens(), encoded["offset_mapping"], strict=True):
    print(f"{token:8} {a:3}–{b:<3} {context[a:b]!r}")

# %% [markdown]
# An answer of the characters $[a, b)$ is given by the first and the last token that share a
# character with it:
#
# $$ s = \min \{ i : a_i < b,\ b_i > a \}, \qquad e = \max \{ i : a_i < b,\ b_i > a \}. $$
#
# Back again, the span is the text from character $a_s$ to $b_e$. Does the way there and back give the
# answer? We need not believe it. Here it is checked for the first reference of every test question:

# %%
from utils.tasks.spans import make_windows

windows = make_windows(tokenizer, test.questions, test.contexts, fine_tuning.max_length, test.spans)
back = {}
for window in windows:
    if window.start:
        a, b = window.characters(window.start, window.end)
        back[window.example] = test.contexts[window.example][a:b]
wanted = {i: answers[0] for i, answers in enumerate(test.answers) if answers}
print(f"{len(wanted)} answers, {sum(back.get(i) == text for i, text in wanted.items())} come back")

# %% [markdown]
# In SQuAD a few do not come back letter by letter: where the answer is *5* and the token is *50*, no
# choice of tokens gives the answer. Such a check belongs before every training, on the *training* questions:
# copy the cell above, and write `splits.train` for `test` and another name for `windows`, which section 5
# needs. An offset that is wrong by one teaches the model
# nonsense, and no error message will ever tell.

# %% [markdown]
# ## 3 · Contexts longer than the model
#
# A window is `[CLS] question [SEP] piece of the context [SEP]`. If the context is longer, it is cut
# into windows that **overlap**, so that an answer at a border is whole in at least one of them.
# (In the library the overlap is called `stride`, though the word means a step.) Here the same
# paragraph in short windows:

# %%
one = test.take(np.array([first]))
short = make_windows(tokenizer, one.questions, one.contexts, 72, one.spans)
for window in short:
    a, b = int(window.offsets[0, 0]), int(window.offsets[-1, 1])
    held = "holds the answer" if window.start else "answer: [CLS]"
    print(f"characters {a:4}–{b:<4} {held:17} …{one.contexts[0][a : a + 45]}…")

# %% [markdown]
# In a window that does not hold the *whole* answer, first and last position are 0, that of `[CLS]`.
# So the model learns to say *not here*, which section 7 needs.
#
# | symbol | variable | shape | asserted by the test |
# |---|---|---|---|
# | $a_i, b_i$ | `Window.offsets` | (n, 2) | `test_the_span_of_an_answer_gives_back_its_text` |
# | $s, e$ | `Window.start`, `Window.end` | numbers | `test_the_span_of_an_answer_gives_back_its_text` |
# | windows | `make_windows(…)` | list | `test_windows_cover_the_context_and_overlap_by_a_third` |
# | $S \cdot h_i$, $E \cdot h_i$ (section 4) | `SpanModel.forward` | (batch, 2, length) | `test_only_the_context_and_cls_can_be_chosen` |
# | best span | `best_positions` | list | `test_best_positions_are_those_of_a_full_search` |
# | EM, F1 | `exact_match`, `token_f1` | numbers | `test_scores_by_hand` |
#
# The tests stand in `tests/unit/tasks/` and `tests/unit/adaptation/`.

# %% [markdown]
# ## 4 · A reader
#
# On the encoder stands one linear layer with two outputs for each token, the scores of beginning and
# of ending there (Devlin et al., 2019). With hidden states $h_i$ and two vectors $S$ and $E$,
#
# $$ p(s = i) = \frac{\exp(S \cdot h_i)}{\sum_j \exp(S \cdot h_j)}, \qquad
# p(e = i) = \frac{\exp(E \cdot h_i)}{\sum_j \exp(E \cdot h_j)}, \qquad
# L = -\tfrac12 \left( \log p(s) + \log p(e) \right). $$
#
# The sums run over the tokens of the context and `[CLS]`; the question is no answer.

# %%
from utils.adaptation.span_extraction import SpanModel

show_source(SpanModel.forward)

# %% [markdown]
# That is a classification with as many classes as there are positions, twice. The training loop is
# the one of all other lessons. Three ways are compared: the baseline, a linear layer on frozen
# features, and fine-tuning. EM is the share of answers that equal a reference, F1 gives credit for shared
# words (section 6). A trained reader gives no answer where it finds *not here* more probable than its best
# span: the threshold 0 of section 7.

# %%
from utils.adaptation import METHODS
from utils.lesson.reading import train_reader

record, reader = train_reader(fine_tuning, retrain=RETRAIN)

# %%
others = [spec for spec in specs if spec.method != "full"]
records = [*run_experiments(others, retrain=RETRAIN), record]

# %%
print(f"{'':36} {'EM':>6} {'F1':>6}   (all {len(test)} questions)")
for each in records:
    em, f1 = (each.metrics[name] for name in ("exact_match", "answer_f1"))
    print(f"{METHODS[each.spec.method].title:36} {em:6.1%} {f1:6.1%}")
silence = sum(not answers for answers in test.answers) / len(test)
print(f"{'silent on every question':36} {silence:6.1%} {silence:6.1%}")

# %% [markdown]
# Compare each row with the last one: whoever never answers is right on all questions that have no
# answer. A row with a lower score than that does worse than saying nothing: it answers questions that have
# no answer, and is seldom right on the others. Compare both trained readers with the baseline of section 1,
# too: not each need beat it. (On the development set of SQuAD 2.0, silence scores 50.1: 5,945 of its 11,873
# questions have no answer.)
#
# **A few hundred questions are few.** Spans are harder to learn than classes: nothing in pre-training
# has asked the model to point at a place, and each question is one example of one place among a
# hundred. Expect the fine-tuned reader to be weak here. Section 9 shows what the same code reaches
# with thousands of questions.
#
# Look at what it marks, best and worst:

# %%
from utils.squad_scores import token_f1

answerable = np.array([bool(answers) for answers in test.answers])
readings = reader.read(test.questions, test.contexts)
best = [reading.spans[0].text for reading in readings]
f1 = np.array([token_f1(*pair) for pair in zip(best, test.answers, strict=True)])
order = np.argsort(-f1 + ~answerable, kind="stable")
for i in [*order[:3], *order[sum(answerable) - 3 : sum(answerable)]]:
    print(f"F1 {f1[i]:.2f}  {test.questions[i]}")
    print(f"         marked: {best[i]}\n         right:  {' | '.join(test.answers[i])}")

# %% [markdown]
# ## 5 · Decoding: the best legal span
#
# The best first and the best last position, each for itself, need not make an answer: the end may
# come first, or a hundred words later. So all **legal** pairs are compared, $s \le e$, both in the
# context, at most 30 tokens, by $\log p(s) + \log p(e)$. How often would the two maxima alone be
# illegal?

# %%
logits = reader.logits(windows)
illegal = 0
for window, (starts, ends) in zip(windows, logits, strict=True):
    inside = slice(window.first, window.first + len(window.offsets))
    illegal += not 0 <= ends[inside].argmax() - starts[inside].argmax() < 30
print(f"{illegal} of {len(windows)} windows")

# %%
from utils.tasks.spans import best_positions

show_source(best_positions)

# %% [markdown]
# The best five spans of one question. Often they are variants of each other; where they are not, the
# reader hesitates between two places:

# %%
for span in readings[first].spans[:5]:
    print(f"{np.exp(span.score):6.3f}  {span.text}")
print(f"{np.exp(readings[first].no_answer):6.3f}  (no answer)")

# %% [markdown]
# ## 6 · Exact match and F1, by hand
#
# *the Gulf Stream* and *Gulf Stream* are the same answer. Both sides are **normalised**: lower case,
# no punctuation, no articles. **Exact match** asks whether they are then equal. **F1** counts shared
# words: with $c$ shared, $p$ given and $r$ in the reference, precision is $c/p$, recall $c/r$ and
#
# $$ F_1 = \frac{2c}{p + r}. $$
#
# Of several references the best one counts. Without a reference, an empty answer scores 1 and any
# other 0. Where the given answer is *the warm Gulf Stream* and the reference *Gulf Stream.*:

# %%
from utils.squad_scores import exact_match, normalise_answer

given, reference = "the warm Gulf Stream", "Gulf Stream."
print(normalise_answer(given), "|", normalise_answer(reference))
print("c = 2, p = 3, r = 2, so F1 =", 2 * 2 / (3 + 2))
print("computed:", token_f1(given, [reference]), exact_match(given, [reference]))

# %% [markdown]
# F1 is computed for each question and then averaged. It is not the F1 of entities in lesson 07, where
# counts are added up first. And it is blind to meaning: *not in 1905* against *in 1905* scores 0.8.

# %%
print(token_f1("not in 1905", ["in 1905"]))

# %% [markdown]
# ## 7 · To say nothing
#
# In each window `[CLS]` stands for *not here*. A context is without an answer if all its windows say
# so; the **margin** is how much more probable that is than the best span:
#
# $$ m = \min_w \big( \log p_w(s = \texttt{[CLS]}) + \log p_w(e = \texttt{[CLS]}) \big)
# - \max_{w,\, s \le e} \big( \log p_w(s) + \log p_w(e) \big), $$
#
# where $w$ runs over the windows of the context.
#
# The reader is silent where $m > \tau$. A low threshold gives few answers, and of a good reader these
# are the right ones more often: precision against recall.

# %%
from utils.lesson.threshold import show_threshold, threshold_curve, threshold_figure

margins = np.array([reading.margin for reading in readings])
points = threshold_curve(margins, f1 * answerable, answerable)
show_figure(threshold_figure(points))

# %%
show_threshold(points)

# %% [markdown]
# On the left, precision should fall as recall grows. Where nothing is answered yet it is set to 1: that is
# the point at the top left, and the next few rest on one or two answers. Where precision does not fall, the margin of this reader does
# not tell its good answers from its bad ones, as happens after little training.
#
# Two ends of the right-hand curve deserve a look. On the left, nothing is answered, and the score is
# the share of unanswerable questions: that much is free. On the right everything is answered. A
# result on SQuAD 2.0 means little without the first of these numbers beside it.
#
# The threshold is a hyper-parameter. Chosen on the very questions that are reported, as the curve
# above invites you to do, it flatters; it belongs on a validation split (exercise 09.5).

# %% [markdown]
# ## 8 · What the model looks at, and how to mislead it
#
# **Attention** of the last layer for a short question: the four heads in which the tokens of the
# context look most at the question. Who looks is a row, what is looked at a column.

# %%
import torch

question, context = "When did the mill burn?", "Built in 1741, the mill burned in 1802."
(window,) = make_windows(tokenizer, [question], [context], 64)
inputs = reader.inputs([window])
inputs.pop("may_answer")
reader.model.encoder.set_attn_implementation("eager")
with torch.no_grad():
    attentions = reader.model.encoder(**inputs, output_attentions=True).attentions
weights = torch.stack(attentions)[:, 0].cpu().numpy()
tokens = tokenizer.convert_ids_to_tokens(window.input_ids.tolist())

# %%
to_question = weights[-1][:, window.first : -1, 1 : window.first - 1].sum(axis=(1, 2))
chosen = np.sort(np.argsort(-to_question)[:4])
print("heads", chosen + 1)
title = "Last layer, four of its heads"
show_figure(attention_figure(tokens, weights[-1][chosen], title, heads=(chosen + 1).tolist()))

# %%
show_attention(tokens, weights)

# %% [markdown]
# Look for columns that get weight in many rows, and for rows in which one column gets nearly all of it: often
# that is `[CLS]`, or a single word. Attention shows where information *could* flow. It does not prove why an
# answer was chosen (lesson 13). To find out, change the text and see what happens.
#
# **Distractors.** Jia and Liang (2017) added to each paragraph a sentence that resembles the question but
# answers another one. Sixteen published readers fell from 75 F1 to 36 on average; people lost far
# less. Their sentences were made by rules and corrected by hand. Ours are made by rules alone:

# %%
from utils.tasks.distractors import distractor

for i in has_answer[:3]:
    print(textwrap.fill(distractor(test.questions[i], test.answers[i], test.ids[i]), 96), "\n")

# %% [markdown]
# A careful reader would not take these for an answer: each says that it speaks of something else. The sentence goes
# to the end, so that all offsets stay as they are. Every record holds both scores.

# %%
print(f"{'':36} {'F1':>7} {'with distractor':>16}")
for each in records:
    plain, misled = each.metrics["answer_f1"], each.metrics["answer_f1_distracted"]
    print(f"{METHODS[each.spec.method].title:36} {plain:7.1%} {misled:16.1%}")

# %% [markdown]
# A method that compares words must fall for a sentence that has all words of the question. Is the
# fine-tuned reader misled as well? Count the best spans that lie in the added sentence, whether the reader
# would give them or not:

# %%
distracted = test.distracted()
misled = reader.read(distracted.questions, distracted.contexts, n_best=1)
added = [
    reading.spans[0].end > len(context.rstrip())
    for reading, context in zip(misled, test.contexts, strict=True)
]
print(f"{sum(added)} of {len(added)} best spans come from the distractor")

# %% [markdown]
# Is that the shared words, or only that there is one more sentence? The control keeps the added sentence,
# its subject and its invented answer, and quotes *another* question in it. Only the words that are shared
# with the question differ, so that the difference between the two counts is what they do:

# %%
other = np.roll(np.arange(len(test)), len(test) // 2)
unrelated = [
    f"{context.rstrip()} {distractor(test.questions[j], test.answers[i], test.ids[i])}"
    for i, (context, j) in enumerate(zip(test.contexts, other, strict=True))
]
control = reader.read(test.questions, unrelated, n_best=1)
added = [
    reading.spans[0].end > len(context.rstrip())
    for reading, context in zip(control, test.contexts, strict=True)
]
print(f"control: {sum(added)} of {len(added)} best spans come from the added sentence")

# %% [markdown]
# ## 9 · With more questions
#
# The recorded results on SQuAD 1.1, whose questions all have an answer: windows of 384 tokens that
# share 128, the learning rate chosen with 1,000 questions, on articles cut from the training split, three
# seeds, the whole development set. **MiniLM has most likely seen the training questions**: its list of training data names
# SQuAD 2.0, with as many pairs as the training split of SQuAD 1.1 has. It was tuned to bring questions and
# the paragraphs that answer them close together, and was never shown where in the paragraph the answer
# stands. The last column of the table says so; how much it matters is a question for lesson 16.

# %%
from utils.report import learning_curve_table, learning_curves, select

published = select(published_records(), task="question-answering", dataset="rajpurkar/squad")
if published:
    show_table(learning_curve_table(published))
    show_figure(learning_curves(published))
else:
    skipped("results on SQuAD: no published records yet")

# %% [markdown]
# Published elsewhere, on the same development set (EM / F1): BERT-base 80.8 / 88.5, BERT-large
# 84.1 / 90.9 (Devlin et al., 2019, table 2).
#
# Back to our own recorded runs. With the most training questions, and a distractor in each paragraph:

# %%
if published:
    largest = max(record.spec.n_train or 88_000 for record in published)
    for each in sorted(published, key=lambda each: (each.spec.method, each.spec.seed)):
        if (each.spec.n_train or 88_000) == largest:
            plain, misled = each.metrics["answer_f1"], each.metrics["answer_f1_distracted"]
            print(
                f"{METHODS[each.spec.method].title:36} seed {each.spec.seed}: "
                f"F1 {plain:.1%} → {misled:.1%}"
            )
else:
    skipped("distractors in SQuAD: no published records yet")

# %% [markdown]
# ## 10 · New questions
#
# A saved reader answers what you ask, also about texts that are longer than its windows:

# %%
from utils.adaptation.saved import answer
from utils.lesson.kept import model_folder

folder = model_folder(record.key)
long_text = " ".join(dict.fromkeys(test.contexts))
ask = ["When did the mill burn?", test.questions[first]]
for threshold in (None, float("inf")):
    for found in answer(folder, ask, [context, long_text], threshold=threshold):
        place = f"characters {found.start}–{found.end}" if found.text else "no answer"
        print(f"{found.probability:.3f}  {place}: {found.text}")
print(f"the second text has {len(long_text):,} characters")

# %% [markdown]
# Read the answers before you believe them. In section 5 the second question was asked about its own
# paragraph. Here all paragraphs are searched, and each further window is another chance for a wrong span to
# score higher than the right one. The probability is that of a span *within its window*; it does not say
# that the answer is right. The first two lines are with the threshold that the reader was scored with: one
# that has learned from questions without an answer may say nothing. The last two, with a threshold of
# infinity, are the best spans whatever their probability.

# %% [markdown]
# What it cannot use, it says:

# %%
from utils.errors import CourseError

try:
    answer(folder, ["When did the mill burn?"], [""])
except CourseError as error:
    print(error)

# %% [markdown]
# From the command line: `course adapt rajpurkar/squad --max-length 384 --out models/reader`, then
# `course predict models/reader questions.csv` (columns `question` and `context`). Questions of your own
# have these columns and `answer`, copied from the context or empty where it has none:

# %%
import json
import tempfile

path = f"{tempfile.mkdtemp()}/mine.jsonl"
with open(path, "w", encoding="utf-8") as file:
    for i in range(20):
        row = {"context": f"Room B{i} is taken.", "question": "Which room?", "answer": f"B{i}"}
        file.write(json.dumps(row) + "\n")
mine = load(path, validation_limit=4)
print(len(mine.train), len(mine.validation), len(mine.test), mine.train.spans[0])

# %% [markdown]
# ## 11 · How this can go wrong
#
# - **Offsets that are off.** Stripped or normalised text no longer fits offsets that count in the
#   original. Check the way there and back (section 2).
# - **Truncation without windows.** With `truncation=True` and no overflow, the end of a long context
#   is thrown away with its answers: the score falls, and does not say why.
# - **One article in two splits.** Its questions share its text. Split by article.
# - **Scores of several windows compared as logits.** Each window has its own softmax; raw sums may
#   favour a window in which all scores are high. Here log-probabilities are compared, in which
#   `[CLS]` takes part (Clark and Gardner, 2018, discuss the alternatives).
# - **A threshold tuned on the test split.** It flatters.
# - **Silence not reported.** Where many questions have no answer, a reader that never answers scores well.
# - **Word overlap taken for reading.** Always report the baseline, and distractors.

# %% [markdown]
# ## 12 · Exercises
#
# Replace `...` and run the cell. The check tells you what is likely wrong. Three hints and our solution
# are folded below each task; `lesson.hint("09.1", 1)` and `lesson.solution("09.1")` show them, too.

# %%
show_exercise("09.1")


# %%
def span_of(offsets, start, end):
    return ...


check("09.1", span_of)

# %%
show_exercise("09.2")


# %%
def windows_over(n_tokens, room, stride):
    return ...


check("09.2", windows_over)

# %%
show_exercise("09.3")


# %%
def best_span(starts, ends, first, longest):
    return ...


check("09.3", best_span)

# %%
show_exercise("09.4")


# %%
def answer_f1(answer, references):
    return ...


check("09.4", answer_f1)

# %%
show_exercise("09.5")


# %%
def best_threshold(margins, f1, answerable):
    return ...


check("09.5", best_threshold)

# %% [markdown]
# ## 13 · Quiz

# %%
quiz("09")

# %% [markdown]
# ## 14 · Claims
#
# Written before the recorded runs of section 9. All speak of the development set of SQuAD 1.1.
#
# The verdicts stand below. One setting was tried beforehand, the learning rate, three values with 1,000
# questions:

# %%
from utils.report import trials_table

tried = select(published_records(), dataset="rajpurkar/squad", split="validation", model=MINILM)
if tried:
    show_table(trials_table(tried))
else:
    skipped("trials on SQuAD: no published records yet")

# %% [markdown]
# Where the best rate of a method is the largest that was tried, a larger one may be better still. That of
# fine-tuning was taken over to 16,000 questions, one pass in batches of 32, without dropout. 16,000
# questions are less than a fifth of the 87,599 of the training split: a pass over all of them takes hours
# on two cores. Where a goal is missed, more questions and a larger rate are the first things to try, then
# smaller batches, that is, more updates at the same cost. Learning to withstand a distractor is another
# matter: no training paragraph has one.

# %%
lesson.claim(
    "With 1,000 questions, fine-tuning finds better spans than a linear layer on frozen features.",
    better={"method": "full", "model": "sentence-transformers/all-MiniLM-L6-v2"},
    worse={"method": "frozen-spans", "model": "sentence-transformers/all-MiniLM-L6-v2"},
    on={"task": "question-answering", "dataset": "rajpurkar/squad", "n_train": 1000},
    metric="answer_f1",
)

# %%
lesson.claim(
    "With 1,000 questions, fine-tuning is better than the baseline that learns nothing.",
    better={"method": "full", "model": "sentence-transformers/all-MiniLM-L6-v2"},
    worse={"method": "span-baseline"},
    on={"task": "question-answering", "dataset": "rajpurkar/squad", "n_train": 1000},
    metric="answer_f1",
)

# %%
lesson.claim(
    "Without pre-training, 1,000 questions teach at least ten points of F1 less.",
    better={"method": "full", "model": "sentence-transformers/all-MiniLM-L6-v2"},
    worse={"method": "random-init", "model": "sentence-transformers/all-MiniLM-L6-v2"},
    on={"task": "question-answering", "dataset": "rajpurkar/squad", "n_train": 1000},
    margin=0.1,
    metric="answer_f1",
)

# %%
lesson.claim(
    "With 16,000 questions, fine-tuned MiniLM reaches 75 F1.",
    better={"method": "full", "model": "sentence-transformers/all-MiniLM-L6-v2"},
    on={"task": "question-answering", "dataset": "rajpurkar/squad", "n_train": 16000},
    at_least=0.75,
    metric="answer_f1",
)

# %%
lesson.claim(
    "With a distractor in each paragraph, the model fine-tuned on 16,000 questions reaches 50 F1.",
    better={"method": "full", "model": "sentence-transformers/all-MiniLM-L6-v2"},
    on={"task": "question-answering", "dataset": "rajpurkar/squad", "n_train": 16000},
    at_least=0.5,
    metric="answer_f1_distracted",
)

# %% [markdown]
# ## Read next
#
# - Rajpurkar et al., *SQuAD: 100,000+ Questions for Machine Comprehension of Text*, 2016, EMNLP.
# - Rajpurkar, Jia and Liang, *Know What You Don't Know: Unanswerable Questions for SQuAD*, 2018, ACL.
# - Jia and Liang, *Adversarial Examples for Evaluating Reading Comprehension Systems*, 2017, EMNLP.
# - Devlin et al., *BERT: Pre-training of Deep Bidirectional Transformers*, 2019, NAACL: sections 4.2
#   and 4.3.
# - Clark and Gardner, *Simple and Effective Multi-Paragraph Reading Comprehension*, 2018, ACL: how to
#   compare spans of several pieces of text.
#
# Lesson 10 writes summaries; lesson 14 has more ways to mislead a model; lesson 16 asks what it means
# that MiniLM has seen questions of this kind.
#
# **Licences.** The embedded paragraphs and questions: CC BY 4.0, the authors of this course. SQuAD:
# CC BY-SA 4.0.
