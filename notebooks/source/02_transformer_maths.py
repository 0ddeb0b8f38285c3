# ---
# jupyter:
#   course:
#     evidence:
#       figures: 6
#       optimiser_steps: 60
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
# # Lesson 02 · The Transformer, from the equation to real weights
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/transfer-learning-course/transfer-learning-course/blob/main/notebooks/02_transformer_maths.ipynb)
#
# **What does a Transformer compute, and how can you be sure that your own code computes it?** This
# lesson goes from three words and a pencil to an encoder in readable code that loads the weights of
# a real BERT model and gives what the library gives, digit by digit.
#
# **After this lesson you can**
#
# - compute attention by hand, and say why scores are divided by $\sqrt{d_k}$;
# - say what masks and positions do, and what goes wrong without them;
# - read and write each part of an encoder and a decoder;
# - count parameters and operations, and foretell how time and memory grow with length;
# - check your own implementation against the library, gradients included.
#
# **You need** matrix products and derivatives, and PyTorch as far as `nn.Module`. Lesson 01 helps,
# but is not needed.

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
lesson.lesson_card("02")

# %% tags=["parameters"]
PROFILE = "quick"
SEED = 0
RETRAIN = False

# %%
import numpy as np
import torch

from utils import runtime
from utils.lesson import check, quiz, run_experiments, show_exercise, show_figure, show_source
from utils.profiles import pick
from utils.report.figures import Panel, Plot, Series

runtime.seed_everything(SEED)

# %% [markdown]
# ## 1 · Three words look at each other
#
# Take *the bank flooded*. Alone, *bank* may mean a building or the side of a river. A model that is
# to know which has to let *bank* look at its neighbours. Attention does that in three steps: every
# word asks (**query**), every word offers a label by which it can be found (**key**), and what is
# found is mixed from what the words hold (**value**).
#
# Here are queries, keys and values of width 2, chosen so that one can compute along.

# %%
words = ["the", "bank", "flooded"]
query = torch.tensor([[0.0, 0.0], [0.0, 2.0], [1.0, 0.0]])
key = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 3.0]])
value = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])

# %% [markdown]
# *Bank* asks with $q = (0, 2)$. Its **score** for each word is a dot product with that word's key:
# $0$ for *the*, $0$ for *bank* itself, $2 \cdot 3 = 6$ for *flooded*. Divide by $\sqrt{2}$ (section
# 2 says why), and turn the scores into positive weights that sum to 1:
#
# $$ a_j = \frac{e^{s_j}}{\sum_k e^{s_k}}, \qquad s_j = \frac{q \cdot k_j}{\sqrt{d_k}}. $$

# %%
scores = [float(query[1] @ k) / 2**0.5 for k in key]
total = sum(np.exp(scores))
weights = [float(np.exp(score) / total) for score in scores]
for word, score, weight in zip(words, scores, weights, strict=True):
    print(f"bank → {word:8} score {score:.2f}, weight {weight:.3f}")

# %%
sum(weight * v for weight, v in zip(weights, value, strict=True))

# %% [markdown]
# The new vector of *bank* is nearly the value of *flooded*: this bank is wet. All words at once are
# two matrix products, equation 1 of Vaswani et al. (2017):
#
# $$ \mathrm{Attention}(Q, K, V) = \mathrm{softmax}\!\left(\frac{QK^\top}{\sqrt{d_k}}\right) V $$

# %%
from utils.transformer import attention

show_source(attention)

# %%
output, weights = attention(query, key, value)
print(output)
assert torch.allclose(weights.sum(dim=-1), torch.ones(3))

# %% [markdown]
# | symbol | variable | shape | asserted by the test |
# |---|---|---|---|
# | $Q$ | `query` | (…, q, d) | `test_by_hand` |
# | $K$, $V$ | `key`, `value` | (…, k, d) | `test_by_hand` |
# | $QK^\top/\sqrt{d_k}$ | `scores` | (…, q, k) | `test_fused_equals_explicit` |
# | $\mathrm{softmax}(\cdot)$ | `weights` | (…, q, k), rows sum to 1 | `test_fused_equals_explicit` |
#
# All tests named in this lesson stand in `tests/unit/transformer/`.

# %% [markdown]
# ## 2 · Why $1/\sqrt{d_k}$
#
# If the entries of $q$ and $k$ are independent with mean 0 and variance 1, each product $q_i k_i$
# has mean 0 and variance 1, and the sum of $d_k$ of them has variance $d_k$:
#
# $$ \mathrm{Var}(q \cdot k) = \sum_{i=1}^{d_k} \mathrm{Var}(q_i k_i) = d_k. $$
#
# So scores spread like $\sqrt{d_k}$. Is that so, and what does softmax make of it? Measured on
# random vectors, with 16 keys for each query:

# %%
WIDTHS = [4, 16, 64, 256, 1024]


def spread(d_k: int) -> tuple[float, float, float]:
    q, k = torch.randn(500, 1, d_k), torch.randn(500, 16, d_k)
    raw = (q @ k.transpose(1, 2)).squeeze(1)
    top = [scores.softmax(dim=-1).amax(dim=-1).mean() for scores in (raw, raw / d_k**0.5)]
    return float(raw.var()), *map(float, top)


measured = {d_k: spread(d_k) for d_k in WIDTHS}
for d_k, (variance, top, top_scaled) in measured.items():
    print(
        f"d_k {d_k:5}  variance {variance:7.1f}  largest weight {top:.2f}, scaled {top_scaled:.2f}"
    )

# %%
largest = Panel(
    "The largest of 16 weights",
    "Width of queries and keys, $d_k$ (log scale)",
    "Mean largest weight",
    [
        Series("without scale", WIDTHS, [measured[d][1] for d in WIDTHS], style=0),
        Series("divided by $\\sqrt{d_k}$", WIDTHS, [measured[d][2] for d in WIDTHS], style=3),
    ],
    log_x=True,
    ticks=[(d, str(d)) for d in WIDTHS],
)
alt = "Without scale the largest weight climbs towards 1 as the width grows; scaled it stays level."
show_figure(Plot([largest], "Mean over 500 random queries.", alt).figure())

# %% [markdown]
# Without the scale, a wide model begins its training with attention that looks at one random key
# and ignores the rest. Worse, a softmax that is nearly 0 or 1 has nearly no gradient:
# $\partial a_i / \partial s_j = a_i(\delta_{ij} - a_j)$, with $\delta_{ij} = 1$ if $i = j$ and 0 otherwise.
# If all weights are nearly 0 or 1, one of the two factors is nearly 0, whatever $i$ and $j$. Divided by
# $\sqrt{d_k}$, the spread no longer depends on the width.
#
# | symbol | variable | shape | asserted by the test |
# |---|---|---|---|
# | $\mathrm{Var}(q \cdot k) = d_k$ | `raw.var()` | a number | `test_variance_of_scores_is_the_width` |
# | $\partial a_i/\partial s_j$ | | (keys, keys) | `test_gradient_of_softmax` |

# %% [markdown]
# ## 3 · Order
#
# Attention is a sum over a *set* of keys. Nothing in it knows where a word stands. An encoder
# without positions therefore gives, for words in another order, the same vectors in that order: it
# is **permutation equivariant**.

# %%
from utils.transformer import Encoder, TransformerConfig


def small_encoder(**changes) -> Encoder:
    torch.manual_seed(SEED)
    return Encoder(TransformerConfig(vocab_size=50, d_model=64, **changes)).eval()


sentence = torch.tensor([[7, 21, 33, 4]])  # dog bites man .
swapped = sentence[:, [2, 1, 0, 3]]  # man bites dog .

# %%
for positions in ("none", "learned", "sinusoidal", "rotary"):
    encoder = small_encoder(positions=positions)
    with torch.inference_mode():
        difference = encoder(swapped)[:, [2, 1, 0, 3]] - encoder(sentence)
    print(f"{positions:11} largest difference {difference.abs().max():.1e}")

# %% [markdown]
# Without positions the two sentences are one and the same, but for rounding. Three ways to repair
# that:
#
# - **learned** (BERT): a vector for each position, added to the word's;
# - **sinusoidal** (the first Transformer): fixed vectors,
#   $P_{t,2i} = \sin(t / 10000^{2i/d})$ and $P_{t,2i+1} = \cos(t / 10000^{2i/d})$;
# - **rotary** (Su et al., 2021; most models since 2023): queries and keys are *turned* by an angle
#   that grows with the position, so that their product depends on the distance of the two. They act
#   through the scores alone, and in a network drawn with $\sigma = 0.02$ these are near zero: so the
#   difference above is small, though a thousand times rounding.

# %%
from utils.transformer import rotate, sinusoidal_positions

vectors = sinusoidal_positions(64, 64)
with_others = vectors @ vectors[32] / 32

# %%
torch.manual_seed(SEED)
q = k = torch.randn(1, 64)
turned = torch.stack([(rotate(q, t) * rotate(k, 32)).sum() for t in range(64)]) / (q @ k.T)
alike = [
    Series("sinusoidal vectors", list(range(64)), with_others.tolist(), style=0),
    Series("rotary, equal query and key", list(range(64)), turned.flatten().tolist(), style=3),
]
panel = Panel("Product with position 32", "Position", "Product (1 = at position 32)", alike)
alt = "Both products peak at position 32 and fall off on both sides in waves, symmetrically."
show_figure(Plot([panel], "Products are divided by their value at position 32.", alt).figure())

# %% [markdown]
# Both products depend on the distance of the two positions only, so the curves look the same around
# any other position, and on the whole they fall with the distance, in waves. For rotary positions
# that holds where query and key are equal, as here. With others, the largest product may be at any
# distance: which one is what a head learns.
#
# | symbol | variable | shape | asserted by the test |
# |---|---|---|---|
# | $P$ | `sinusoidal_positions(…)` | (positions, d) | `test_sinusoidal_positions_by_formula` |
# | $R_t q$ | `rotate(q, t)` | (…, length, d) | `test_rotation_by_hand`, `test_rotation_keeps_lengths_and_sees_only_distances` |
# | $f(x_\pi) = f(x)_\pi$ | `Encoder` with `positions="none"` | (batch, q, d_model) | `test_without_positions_order_does_not_matter` |

# %% [markdown]
# ## 4 · Masks
#
# Two things must not be looked at. **Padding**, which only makes the rows of a batch equally long.
# And, in a decoder, the **future**: a model that is to predict the next word must not see it. Both
# are one mechanism: hidden scores are set to the smallest number there is, *before* softmax.

# %%
from utils.transformer import causal_mask, padding_mask

print(padding_mask(torch.tensor([[1, 1, 1, 0]]))[0, 0].int())
print(causal_mask(4, 4).int())

# %% [markdown]
# A query that may look at nothing would get $0/0$. Here it gets zeros, and its gradient stays
# finite. Now the proof that nothing leaks: change the future, and the past must stay as it is, to
# the last bit.

# %%
from utils.transformer import Decoder

torch.manual_seed(SEED)
decoder = Decoder(TransformerConfig(vocab_size=50, d_model=64)).eval()
memory = torch.randn(1, 5, 64)
written, changed = torch.tensor([[3, 8, 15, 20]]), torch.tensor([[3, 8, 44, 45]])
with torch.inference_mode():
    before, after = decoder(written, memory), decoder(changed, memory)
print("changed at positions:", (before != after).any(dim=-1).int().tolist()[0])

# %% [markdown]
# | statement | asserted by the test |
# |---|---|
# | the future does not leak | `test_the_future_does_not_leak` |
# | padding changes no real token | `test_padding_changes_nothing` |
# | a query that sees nothing gets zeros, in the gradient too | `test_a_query_that_sees_nothing_gets_zeros` |

# %% [markdown]
# ## 5 · Several heads
#
# One softmax can look at one place well. A word may need several: its verb, its article, the word
# before. **Multi-head attention** runs $h$ attentions side by side, each on its own projections of
# width $d_k = d_\text{model} / h$, and joins what they found:
#
# $$ \mathrm{head}_i = \mathrm{Attention}(xW_i^Q, xW_i^K, xW_i^V), \qquad
# \mathrm{MultiHead}(x) = [\mathrm{head}_1; …; \mathrm{head}_h]\,W^O $$
#
# No loop over heads is needed. One matrix computes the projections of all heads, and a reshape cuts
# the result apart:

# %%
from utils.transformer import MultiHeadAttention, merge_heads, split_heads

show_source(split_heads)

# %%
x = torch.randn(2, 5, 12)  # (batch, length, d_model)
print(tuple(split_heads(x, 3).shape), "back to", tuple(merge_heads(split_heads(x, 3)).shape))

# %%
show_source(MultiHeadAttention, docstring=False)

# %% [markdown]
# | symbol | variable | shape | asserted by the test |
# |---|---|---|---|
# | $[W_1^Q; …; W_h^Q]$ | `query.weight` | (d_model, d_model) | `test_multi_head_attention`, against `nn.MultiheadAttention` |
# | heads | result of `split_heads` | (batch, heads, length, d) | `test_heads_are_slices_of_the_width` |
# | $W^O$ | `output.weight` | (d_model, d_model) | `test_multi_head_attention` |

# %% [markdown]
# ## 6 · A layer: feed-forward, residuals, layer norm
#
# Attention moves information *between* positions. A **feed-forward network** then works on each
# position by itself, and holds two thirds of a layer's weights:
#
# $$ \mathrm{FFN}(x) = W_2\,\mathrm{GELU}(W_1 x + b_1) + b_2. $$
#
# Around both stands what descriptions of the Transformer often leave out and what makes it
# trainable: the **residual connection**, a sum with the input, and **layer norm**,
#
# $$ \mathrm{LN}(x) = \gamma\,\frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}} + \beta, $$
#
# with mean $\mu$ and variance $\sigma^2$ over the numbers of one position. Where it stands matters:
#
# | | | |
# |---|---|---|
# | post-LN | $\mathrm{LN}(x + f(x))$ | the first Transformer, BERT |
# | pre-LN | $x + f(\mathrm{LN}(x))$ | nearly all models since GPT-2 |

# %%
from utils.transformer import EncoderLayer, Residual, layer_norm

show_source(layer_norm, docstring=False)

# %%
show_source(Residual, docstring=False)

# %%
show_source(EncoderLayer, docstring=False)

# %% [markdown]
# | symbol | variable | shape | asserted by the test |
# |---|---|---|---|
# | $W_1, W_2$ | `inner.weight`, `outer.weight` | (d_ff, d_model), (d_model, d_ff) | `test_feed_forward_variants` |
# | $\mu, \sigma^2$ | `x.mean(…)`, `variance` | (…, 1) | `test_layer_norm_by_hand` |
# | $\gamma, \beta$ | `weight`, `bias` | (d_model,) | `test_layer_norm_equals_torch`, gradients too |
# | $x + f(x)$ | `total` | (batch, q, d_model) | `test_transformer`, pre and post |
#
# What does the place of layer norm change? Take untrained encoders, drawn as in the first
# Transformer (Glorot and Bengio, 2010), send random tokens through them, and measure how large the
# gradient of each layer's weights is.

# %%
from torch import nn


def deep_encoder(norm: str, n_layers: int) -> Encoder:
    encoder = small_encoder(norm=norm, n_layers=n_layers, d_ff=256)
    nn.init.normal_(encoder.embeddings.tokens.weight)
    for part in encoder.layers.modules():
        if isinstance(part, nn.Linear):
            nn.init.xavier_uniform_(part.weight)
    return encoder


def gradient_norms(norm: str, n_layers: int) -> list[float]:
    encoder, head = deep_encoder(norm, n_layers), nn.Linear(64, 50)
    logits = head(encoder(torch.randint(50, (64, 16))))
    nn.functional.cross_entropy(logits.flatten(0, 1), torch.randint(50, (64 * 16,))).backward()
    return [float(layer.feed_forward.outer.weight.grad.norm()) for layer in encoder.layers]


# %%
DEPTHS = [2, 4, 8, 16]
norms = {(norm, n): gradient_norms(norm, n) for norm in ("post", "pre") for n in DEPTHS}
by_layer = [
    Series(f"{norm}-LN", list(range(1, 17)), norms[norm, 16], style=3 * i)
    for i, norm in enumerate(("post", "pre"))
]
last = [
    Series(f"{norm}-LN", DEPTHS, [norms[norm, n][-1] for n in DEPTHS], style=3 * i)
    for i, norm in enumerate(("post", "pre"))
]

# %%
panels = [
    Panel("16 layers", "Layer (1 = next to the input)", "Norm of the gradient", by_layer),
    Panel(
        "The last layer", "Layers of the encoder (log scale)", "Norm of the gradient (log scale)",
        last, log_x=True, log_y=True, ticks=[(n, str(n)) for n in DEPTHS],
    ),
]  # fmt: skip
alt = "; ".join(f"{s.label}: {s.y[0]:.2f} with 2 layers, {s.y[-1]:.2f} with 16" for s in last)
show_figure(Plot(panels, "Untrained encoders, one batch.", f"Last layer: {alt}.").figure())

# %%
for series in last:
    exponent = np.polyfit(np.log(DEPTHS), np.log(series.y), 1)[0]
    print(f"{series.label:8} gradient of the last layer ~ (number of layers)^{exponent:.2f}")

# %% [markdown]
# In the left picture, the gradient of post-LN is the larger one in every layer, and about as large at the
# top as at the bottom; that of pre-LN falls from bottom to top. Xiong et al. (2020) prove the tendency
# that the right picture shows: at the start of training the
# last layer's gradient falls like $1/\sqrt{L}$ with the number of layers in **pre-LN**, and does not
# fall in **post-LN**. (With one batch and at most 16 layers, the exponent printed above is only near
# $-1/2$.) A deep post-LN model that begins with a large learning rate therefore takes steps that are
# too large for it, which is why BERT is trained with a warm-up.
#
# And the sums? Without them, each layer replaces what came in by averages over positions, and after
# a few layers all positions are alike (Dong et al., 2021), whatever layer norm does. Measured as
# the mean cosine between the positions of a sequence, 1 if all are the same:


# %%
def alikeness(norm: str, n_layers: int, sums: bool = True) -> float:
    encoder = deep_encoder(norm, n_layers)
    for part in encoder.modules():
        if isinstance(part, Residual) and not sums:
            part.leave = lambda x, result: result
    with torch.inference_mode():
        hidden_states = nn.functional.normalize(encoder(torch.randint(50, (64, 16))), dim=-1)
    return float((hidden_states @ hidden_states.transpose(1, 2)).mean())


for n in (1, 2, 4, 8, 16):
    values = alikeness("pre", n, sums=False), alikeness("post", n), alikeness("pre", n)
    print("{:2} layers: no sums {:.2f}, post-LN {:.2f}, pre-LN {:.2f}".format(n, *values))

# %% [markdown]
# Two layers without sums suffice to make the words of a sentence hard to tell apart. (Unrelated
# vectors would give 0.06, since each position is compared with itself too.) The sums carry each
# word's own vector past the averages. In post-LN every layer norm shrinks that share, and in this
# untrained network nothing is left of it after 16 layers; in pre-LN the words stay apart longer.

# %% [markdown]
# ## 7 · Encoder, decoder, and why they are not added
#
# An **encoder** is embeddings and a stack of such layers. A **decoder** has one more sublayer,
# **cross-attention**: queries from the target, keys and values from the encoder's output.

# %%
from utils.transformer import DecoderLayer, EncoderDecoder

show_source(DecoderLayer.forward)

# %% [markdown]
# Some tutorials sum this up as
#
# $$ \mathrm{Transformer}(x) = \mathrm{Encoder}(x) + \mathrm{Decoder}(x). \qquad (\text{wrong}) $$
#
# Read literally it fails at once: source and target have different lengths, so the two outputs
# cannot be added. But suppose that they could, with the encoder's output averaged over the source.
# Then each would contribute *by itself*. Take two sources $x, x'$ and two beginnings of a target
# $y, y'$. In any sum $f(x) + g(y)$ the following vanishes, whatever $f$ and $g$ are:
#
# $$ \Delta = F(x, y) - F(x', y) - F(x, y') + F(x', y'). $$

# %%
torch.manual_seed(SEED)
model = EncoderDecoder(TransformerConfig(vocab_size=50, d_model=64)).double().eval()
for parameter in model.parameters():  # larger than at the start of training, so that effects show
    parameter.data.mul_(3)
sources, targets = torch.randint(3, 50, (2, 1, 6)), torch.randint(3, 50, (2, 1, 4))
mask = torch.ones(1, 6).long()


# %%
def as_a_sum(source, target):
    nothing = torch.zeros(1, 6, 64).double()
    return model.encoder(source).mean(dim=1) + model.decoder(target, nothing)[:, -1]


def as_it_is(source, target):
    return model.decoder(target, model.encoder(source), mask)[:, -1]


# %%
for name, F in {"Encoder(x) + Decoder(y)": as_a_sum, "Decoder(y, Encoder(x))": as_it_is}.items():
    (x, x2), (y, y2) = sources, targets
    with torch.inference_mode():
        delta = F(x, y) - F(x2, y) - F(x, y2) + F(x2, y2)
    print(f"{name:24} |Δ| = {delta.norm():.1e}")

# %% [markdown]
# Zero, but for rounding, for the sum; not so for the Transformer. And zero is fatal. *Which* word
# of the source is needed next depends on what has been written already: to copy a sentence, the
# third step must look at the third word. A sum cannot let $y$ choose what to read from $x$; a
# composition, $\mathrm{Decoder}(y, \mathrm{Encoder}(x))$, does just that. Section 11 trains one to
# do it.
#
# | symbol | variable | shape | asserted by the test |
# |---|---|---|---|
# | $\mathrm{Encoder}(x)$ | `memory` | (batch, k, d_model) | `test_transformer`, against `nn.Transformer` |
# | $\mathrm{Decoder}(y, \mathrm{Encoder}(x))$ | `decoder(target, memory)` | (batch, q, d_model) | `test_transformer` |
# | $\Delta$ | `delta` | (batch, d_model) | `test_source_and_target_interact` |

# %% [markdown]
# ## 8 · Counting
#
# With $H$ = `d_model`, $F$ = `d_ff`, $L$ layers, vocabulary $V$, at most $T$ positions, two kinds of
# segment (BERT tells two texts apart; lesson 03), and sequences of $S$ tokens:
#
# $$ \text{parameters} = \underbrace{(V + T + 2)\,H + 2H}_{\text{embeddings}}
# + L\,(4H^2 + 2HF + 9H + F), $$
#
# $$ \text{FLOPs per token, forward} = L\,(8H^2 + 4HF + 4SH). $$
#
# Each weight of a matrix costs two operations per token, a product and a sum. The last term is the
# two products of attention; it is the only one that grows with $S$.

# %%
from torch.utils.flop_counter import FlopCounterMode

from utils.sources import MINILM
from utils.transformer import encoder_flops, encoder_parameters, load_bert

minilm = load_bert(MINILM, fused=False)
size = minilm.config
by_formula = encoder_parameters(size)
assert by_formula == sum(p.numel() for p in minilm.parameters())
in_vocabulary = size.vocab_size * size.d_model / by_formula
print(f"{by_formula:,} parameters, {in_vocabulary:.0%} of them in the vocabulary")

# %%
with FlopCounterMode(display=False) as counter, torch.inference_mode():
    minilm(torch.zeros(4, 64, dtype=torch.long))
flops = encoder_flops(size.d_model, size.d_ff, size.n_layers, n_sequences=4, length=64)
assert flops == counter.get_total_flops()
print(f"{flops:,.0f} operations for 4 sequences of 64 tokens, by formula and by torch's counter")

# %% [markdown]
# | quantity | function | asserted by the test |
# |---|---|---|
# | parameters | `encoder_parameters` | `test_parameters`, `test_parameters_of_minilm` |
# | FLOPs of an encoder | `encoder_flops` | `test_flops` |
# | FLOPs of a decoder | `decoder_flops` | `test_flops_of_a_decoder` |
#
# Torch's counter does not know all fused kernels and leaves out what it does not know; here it
# counts the formulas as written (`fused=False`).

# %% [markdown]
# ## 9 · Time and memory
#
# Attention makes a table of $S \times S$ weights per head, so time and memory should grow with the
# square of the length. A **fused kernel** (FlashAttention, Dao et al., 2022) makes that table in
# small blocks and forgets them: the same function, computed without ever storing it. Measured here:
# seconds of a forward pass, and the bytes that are kept for the backward pass.

# %%
import time

from utils.transformer import fused_attention

LONGEST = pick(PROFILE, smoke=512, quick=2048, full=4096)
LENGTHS = [2**i for i in range(7, 13) if 2**i <= LONGEST]


def kept_bytes(function, length: int) -> int:
    inputs = [torch.randn(1, 4, length, 32, requires_grad=True) for _ in range(3)]
    kept = {}
    keep = torch.autograd.graph.saved_tensors_hooks(
        lambda t: kept.setdefault(t.data_ptr(), t), lambda t: t
    )
    with keep:
        function(*inputs)
    return sum(t.numel() * t.element_size() for t in kept.values())


def seconds(function, length: int) -> float:
    inputs = [torch.randn(1, 4, length, 32) for _ in range(3)]
    times = []
    for _ in range(3):
        start = time.perf_counter()
        function(*inputs)
        times.append(time.perf_counter() - start)
    return min(times)


# %%
functions = {"formula": attention, "fused kernel": fused_attention}
cost = {
    name: ([1e3 * seconds(f, n) for n in LENGTHS], [kept_bytes(f, n) / 1e6 for n in LENGTHS])
    for name, f in functions.items()
}


def slope(values: list[float]) -> float:
    """Exponent of the growth over the upper half of the lengths."""
    half = len(LENGTHS) // 2
    return float(np.polyfit(np.log(LENGTHS[half:]), np.log(values[half:]), 1)[0])


for name, (milliseconds, megabytes) in cost.items():
    print(f"{name:13} time ~ S^{slope(milliseconds):.1f}   memory ~ S^{slope(megabytes):.1f}")

# %%
panels = [
    Panel(
        title, "Tokens in the sequence (log scale)", f"{unit} (log scale)",
        [Series(name, LENGTHS, cost[name][i], style=3 * k) for k, name in enumerate(cost)],
        log_x=True, log_y=True, ticks=[(n, str(n)) for n in LENGTHS],
    )
    for i, (title, unit) in enumerate([("Time", "Milliseconds"), ("Memory", "Megabytes")])
]  # fmt: skip
alt = "; ".join(
    f"{name}: {ms[0]:.2g} ms to {ms[-1]:.2g} ms, {mb[0]:.2g} MB to {mb[-1]:.2g} MB"
    for name, (ms, mb) in cost.items()
)
note = "4 heads of width 32, float32. Memory: tensors kept for the backward pass."
show_figure(Plot(panels, note, f"Two line charts over length. {alt}.").figure())

# %% [markdown]
# Memory follows the law: towards the square for the formula, linear for the kernel. Time tends to
# the square for the kernel too, since it computes the same products; what it saves is the way to
# memory and back. The formula may do worse than the square where its table outgrows the cache. At
# short lengths neither shows its law, as fixed costs weigh more.

# %% [markdown]
# ## 10 · Real weights
#
# The test of an implementation is not that it runs. `load_bert` puts the weights of a real model
# into *our* encoder. If anything were different, an epsilon, the order of a sum, a mask, the
# results would be too.

# %%
from transformers import AutoTokenizer, BertModel
from transformers.utils import logging

from utils.sources import model_path

logging.set_verbosity_error()  # the library reports that the pooler's weights are left out
folder, source = model_path(MINILM)
tokenizer = AutoTokenizer.from_pretrained(folder)
library = BertModel.from_pretrained(folder, add_pooling_layer=False).eval()
ours = load_bert(MINILM)

# %%
batch = tokenizer(
    ["The bank flooded after the storm.", "She opened an account at the bank.", "Rain."],
    padding=True,
    return_tensors="pt",
)
inputs, real = (batch["input_ids"], batch["attention_mask"]), batch["attention_mask"].bool()
mine, theirs = ours(*inputs), library(*inputs).last_hidden_state
print(f"largest difference of the outputs: {(mine - theirs)[real].abs().max():.1e}")

# %% [markdown]
# And the gradients? Two programs can agree forwards and differ backwards. Take the gradient of the
# same loss for one weight deep in the first layer:


# %%
def gradient(hidden_states, weight):
    loss = hidden_states[real].pow(3).sum()
    return torch.autograd.grad(loss, weight, retain_graph=True)[0]  # so that this cell runs twice


a = gradient(mine, ours.layers[0].attention.query.weight)
b = gradient(theirs, library.encoder.layer[0].attention.self.query.weight)
print(f"relative difference of the gradients: {(a - b).norm() / b.norm():.1e}")

# %% [markdown]
# | statement | limit | asserted by the test |
# |---|---|---|
# | outputs equal the library's, real tokens, float32 | $10^{-5}$ | `test_bert_with_real_weights` |
# | gradients of all weights, relative norm, float32 | $10^{-4}$ | `test_bert_with_real_weights` |
# | both in float64 | $10^{-10}$ | `test_bert_with_real_weights` |
# | the same against `nn.Transformer`, decoder included | as above | `test_transformer` |
#
# Now look inside. Which tokens does each token attend to?

# %%
from utils.lesson import attention_figure, show_attention


def attention_weights(encoder, input_ids):
    for layer in encoder.layers:
        layer.attention.keep_weights = True
    with torch.inference_mode():
        encoder(input_ids)
    return torch.cat([layer.attention.weights for layer in encoder.layers]).numpy()


# %%
ids = tokenizer("The bank flooded after the storm.", return_tensors="pt")["input_ids"]
tokens = tokenizer.convert_ids_to_tokens(ids[0])
maps = attention_weights(ours, ids)
print("(layers, heads, queries, keys):", maps.shape)

# %%
show_figure(attention_figure(tokens, maps[0], "Layer 1 of all-MiniLM-L6-v2"))

# %% [markdown]
# Choose layer, head and token yourself. The view below appears when you run its cell in JupyterLab
# or Colab; GitHub, and notebooks that have not been run here, leave it out.

# %%
show_attention(tokens, maps)

# %% [markdown]
# Heads differ: some look at the neighbour, some at the separators `[CLS]` and `[SEP]`, where a head
# goes that finds nothing. It is tempting to read such maps as reasons. They are not: what a token
# gives depends on its value vector too, and later layers mix on.

# %% [markdown]
# ## 11 · It learns
#
# A network that computes the right thing can still be unable to learn. So train our encoder–decoder
# on two tasks that only attention between positions can solve: **copy** a sequence of 8 to 16
# tokens out of 32, and **reverse** it. A sequence counts only if *every* token is right and it ends
# where it should. There are $32^8$ sequences of the shortest kind alone, so nothing can be learnt
# by heart; the 1,000 test sequences occur nowhere in training.

# %%
from utils.experiments import get_grid

grid = get_grid("sequence-copying")(PROFILE, first_seed=SEED)
records = run_experiments(grid, retrain=RETRAIN)

# %%
from utils.report import training_curves

show_figure(training_curves(records))

# %%
for record in records:
    exact, n = int(record.correct().sum()), len(record.correct())
    seconds_taken = record.cost["wall_seconds"]
    print(f"{record.spec.dataset}: {exact} of {n} sequences exact, {seconds_taken:.0f} s")

# %% [markdown]
# Look at reversing: within a few hundred updates its accuracy goes from next to nothing to nearly
# everything. Copying is almost learned at the first point. A likely reading, not tested here: once the
# model has found *where to look*, all tokens are right at once. In the profile `smoke` there are too few updates for
# that, and the accuracy stays at 0.
#
# Decoding writes one token at a time. A **cache** keeps the keys and values of what has been
# written, so that each step computes one position only; `greedy_search` and `beam_search` use it,
# and tests assert that it changes nothing (`test_cached_logits_equal_uncached`), that a beam of one
# is greedy search (`test_three_ways_to_be_greedy`), and that a wide beam finds the best target of
# all (`test_a_wide_beam_finds_the_best_of_all`). Lesson 08 translates with them.

# %% [markdown]
# ## 12 · How this goes wrong
#
# **It runs, and is wrong.** Most mistakes in a Transformer give no error: softmax over the wrong
# axis, heads split by the wrong reshape, a mask after softmax. Shapes fit, the loss even falls. The
# remedy is section 10: compare with something known, gradients included, and use sizes of which no
# two are equal, so that a swapped axis shows.
#
# **Padding that counts.** Forget the mask once and the result for a sentence depends on what it
# happens to be batched with:

# %%
with torch.inference_mode():
    alone = ours(inputs[0][2:, :4])
    forgotten, masked = ours(inputs[0])[2:, :4], ours(*inputs)[2:, :4]
print(f"“Rain.” without mask differs by {(forgotten - alone).abs().max():.2f}")
print(f"“Rain.” with mask differs by    {(masked - alone).abs().max():.1e}")

# %% [markdown]
# **Post-LN without warm-up.** It may train, or stay at chance for ever. If the loss does not move
# in the first hundred updates, lower the learning rate or lengthen the warm-up before looking for
# bugs.
#
# **Longer than trained.** Learned positions end at `max_length`; beyond it there is no vector. The
# code refuses such input instead of wrapping round.

# %% [markdown]
# ## 13 · Exercises
#
# Six of them: together they are the parts of a Transformer that are most often written wrong. The
# checks run your code and name the mistake if they know it.

# %%
show_exercise("02.1")


# %%
def my_attention(query, key, value):
    return ...


check("02.1", my_attention)

# %%
show_exercise("02.2")


# %%
def causal_weights(scores):
    return ...


check("02.2", causal_weights)

# %%
show_exercise("02.3")


# %%
def my_split_heads(x, n_heads):
    return ...


check("02.3", my_split_heads)

# %%
show_exercise("02.4")


# %%
def my_layer_norm(x, weight, bias, eps):
    return ...


check("02.4", my_layer_norm)

# %%
show_exercise("02.5")


# %%
def my_positions(n_positions, d_model):
    return ...


check("02.5", my_positions)

# %%
show_exercise("02.6")


# %%
def cross_attention(x, memory, memory_mask, w_q, w_k, w_v):
    return ...


check("02.6", cross_attention)

# %% [markdown]
# ## 14 · Quiz

# %%
quiz("02")

# %% [markdown]
# ## 15 · Claims
#
# That our code equals the library is asserted by tests, which fail when it does not. What has to be
# measured are the two tasks of section 11: five seeds each, on the published records.

# %%
lesson.claim(
    "Our encoder–decoder copies and reverses at least 99 % of 1,000 unseen sequences exactly.",
    better={"method": "encoder-decoder"},
    on={"dataset": ["course/copy", "course/reverse"]},
    at_least=0.99,
)

# %% [markdown]
# ## Read next
#
# - Vaswani et al., *Attention Is All You Need*, 2017, NeurIPS: the paper, with cross-attention.
# - Xiong et al., *On Layer Normalization in the Transformer Architecture*, 2020, ICML: pre against
#   post, with proofs.
# - Su et al., *RoFormer: Enhanced Transformer with Rotary Position Embedding*, 2021.
# - Dong, Cordonnier and Loukas, *Attention Is Not All You Need*, 2021, ICML: what the sums are for.
# - Dao et al., *FlashAttention*, 2022, NeurIPS: the same function with less memory.
# - Phuong and Hutter, *Formal Algorithms for Transformers*, 2022: all of it in pseudocode.
#
# Lesson 03 trains such an encoder from nothing; lesson 05 adapts one.
#
# **Licences.** The sentences and sequences were made for this lesson. The model all-MiniLM-L6-v2 is
# under Apache-2.0.
