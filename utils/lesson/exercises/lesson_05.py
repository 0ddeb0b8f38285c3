"""Exercises of lesson 05: features of four layers, a mixture, LoRA, counting weights, rates."""

import numpy as np
import torch
from torch import Tensor

from utils.lesson.exercise import Exercise, Mistake

# --- 05.1 -----------------------------------------------------------------------------------------


def last_four(hidden_states: list[Tensor], attention_mask: Tensor) -> Tensor:
    """Mean over the real tokens in each of the last four layers, joined, (batch, 4 d)."""
    mask = attention_mask.unsqueeze(-1).to(hidden_states[0].dtype)
    means = [(layer * mask).sum(dim=1) / mask.sum(dim=1) for layer in hidden_states[-4:]]
    return torch.cat(means, dim=-1)


def _hidden_states_cases(rng: np.random.Generator) -> list[tuple[list[Tensor], Tensor]]:
    cases = []
    for n_states, shape, lengths in ((5, (2, 3, 1), [3, 2]), (7, (3, 6, 4), [6, 1, 4])):
        states = torch.tensor(rng.normal(size=(n_states, *shape)).round(1), dtype=torch.float32)
        mask = (torch.arange(shape[1]) < torch.tensor(lengths)[:, None]).long()
        cases.append((list(states), mask))
    return cases


def _pooled(states: list[Tensor], mask: Tensor) -> list[Tensor]:
    weights = mask.unsqueeze(-1).to(states[0].dtype)
    return [(layer * weights).sum(dim=1) / weights.sum(dim=1) for layer in states]


LAST_FOUR = Exercise(
    number="05.1",
    title="The last four layers, joined",
    difficulty=1,
    minutes=10,
    prompt="""
Write `last_four(hidden_states, attention_mask)`. Joined, the last four layers did best of all
frozen features in BERT's table 7, there for each token. Here one vector for each text is wanted:
the mean over its **real** tokens in each of the last four layers, joined, the lowest of the four
first.

| symbol | variable | shape |
|---|---|---|
| $h^{(0)}, …, h^{(L)}$, from the embeddings up | `hidden_states` | L + 1 times (batch, length, d) |
| 1 for a real token, 0 for padding | `attention_mask` | (batch, length), integers |
| $[\\bar h^{(L-3)};\\, …;\\, \\bar h^{(L)}]$ | result | (batch, 4 d) |
""",
    hints=(
        "`hidden_states[-4:]` are the four layers. What has to be done with padding before and "
        "after summing?",
        "The mask needs a third axis to be multiplied with a layer: "
        "`attention_mask.unsqueeze(-1)`. Divide by the number of real tokens of each text.",
        "`torch.cat` of the four means along the last axis.",
    ),
    solution=last_four,
    cases=_hidden_states_cases,
    mistakes=(
        Mistake(
            "padding counted",
            "You take the mean over all positions. The vectors of padding then count like those of "
            "words, and a text's features depend on the longest text of its batch.",
            lambda h, m: torch.cat([layer.mean(dim=1) for layer in h[-4:]], dim=-1),
        ),
        Mistake(
            "padded length",
            "Padding adds nothing to your sum, but you divide by the length with padding. Short "
            "texts get short vectors.",
            lambda h, m: torch.cat(
                [(layer * m.unsqueeze(-1)).sum(dim=1) / m.shape[1] for layer in h[-4:]], dim=-1
            ),
        ),
        Mistake(
            "[CLS] instead of the mean",
            "You take the first token of each layer. Here the mean over all real tokens is wanted.",
            lambda h, m: torch.cat([layer[:, 0] for layer in h[-4:]], dim=-1),
        ),
        Mistake(
            "first four",
            "You join the lowest four, the embeddings among them. `hidden_states[-4:]` are the "
            "last.",
            lambda h, m: torch.cat(_pooled(h[:4], m), dim=-1),
        ),
        Mistake(
            "highest first",
            "The four are joined in the wrong order. The lowest of them comes first.",
            lambda h, m: torch.cat(_pooled(h[:-5:-1], m), dim=-1),
        ),
        Mistake(
            "summed instead of joined",
            "You add the four layers. Then the classifier cannot weigh them on its own. Joined, "
            "the result has 4 d numbers for each text.",
            lambda h, m: torch.stack(_pooled(h[-4:], m)).sum(dim=0),
        ),
        Mistake(
            "averaged instead of joined",
            "You average the four layers. Then the classifier cannot weigh them on its own. "
            "Joined, the result has 4 d numbers for each text.",
            lambda h, m: torch.stack(_pooled(h[-4:], m)).mean(dim=0),
        ),
        Mistake(
            "stacked instead of joined",
            "Your result has an axis for the four layers. A linear classifier wants one vector for "
            "each text: join along the last axis.",
            lambda h, m: torch.stack(_pooled(h[-4:], m), dim=1),
        ),
        Mistake(
            "last layer only",
            "Your result holds the last layer alone. Three more are wanted.",
            lambda h, m: _pooled(h[-1:], m)[0],
        ),
    ),
)

# --- 05.2 -----------------------------------------------------------------------------------------


def mix_layers(layers: Tensor, weights: Tensor) -> Tensor:
    """The sum of the layers by the softmax of the weights, (batch, d)."""
    return torch.einsum("k,kbd->bd", weights.softmax(dim=0), layers)


def _layer_cases(rng: np.random.Generator) -> list[tuple[Tensor, Tensor]]:
    small = (torch.tensor([[[1.0, 0.0]], [[3.0, 4.0]]]), torch.tensor([0.0, 0.0]))
    cases = [small]
    for shape in ((3, 2, 4), (7, 3, 5), (4, 4, 4)):
        layers = torch.tensor(rng.normal(size=shape), dtype=torch.float32)
        cases.append((layers, torch.tensor(rng.normal(size=shape[0]), dtype=torch.float32)))
    return cases


def _by(layers: Tensor, shares: Tensor) -> Tensor:
    return torch.einsum("k,kbd->bd", shares, layers)


MIX_LAYERS = Exercise(
    number="05.2",
    title="A mixture of layers",
    difficulty=1,
    minutes=8,
    prompt="""
Write `mix_layers(layers, weights)`, the scalar mixture of ELMo (Peters et al., 2018), without its
factor $\\gamma$:

$$ \\sum_k s_k h_k \\quad\\text{with}\\quad s = \\operatorname{softmax}(w). $$

| symbol | variable | shape |
|---|---|---|
| $h_0, …, h_L$, the pooled features of each layer | `layers` | (L + 1, batch, d) |
| $w$, one number for each layer, of any sign | `weights` | (L + 1,) |
| the mixture | result | (batch, d) |
""",
    hints=(
        "Make shares of the weights first: positive, with the sum 1.",
        "Each share is multiplied with all numbers of its layer. `weights` has one axis and "
        "`layers` has three: which two are missing?",
        "`(weights.softmax(dim=0)[:, None, None] * layers).sum(dim=0)`.",
    ),
    solution=mix_layers,
    cases=_layer_cases,
    mistakes=(
        Mistake(
            "no softmax",
            "You use the weights as they are. Without the softmax the shares do not sum to 1 and "
            "may be negative: the size of the features then changes with the mixture.",
            lambda h, w: _by(h, w),
        ),
        Mistake(
            "divided by the sum",
            "You divide the weights by their sum. That is not the softmax: with weights of both "
            "signs the sum can be near zero, and shares become huge.",
            lambda h, w: _by(h, w / w.sum()),
        ),
        Mistake(
            "exponentials not divided by their sum",
            "You take exponentials, but they do not sum to 1 yet.",
            lambda h, w: _by(h, w.exp()),
        ),
        Mistake(
            "plain mean",
            "All layers count alike in your result, whatever the weights say.",
            lambda h, w: h.mean(dim=0),
        ),
        Mistake(
            "best layer only",
            "You take the layer with the largest weight. That choice has no gradient, so that the "
            "weights could never be learned.",
            lambda h, w: h[w.argmax()],
        ),
        Mistake(
            "sigmoid",
            "Each weight becomes a share by itself. With the softmax the layers compete: what one "
            "gains, the others lose.",
            lambda h, w: _by(h, w.sigmoid()),
        ),
        Mistake(
            "averaged after weighting",
            "You take the mean of the weighted layers. The shares sum to 1 already, so it has to "
            "be their sum; yours is too small by the number of layers.",
            lambda h, w: _by(h, w.softmax(dim=0)) / len(w),
        ),
    ),
)

# --- 05.3 -----------------------------------------------------------------------------------------


def lora_forward(
    x: Tensor, weight: Tensor, bias: Tensor, a: Tensor, b: Tensor, alpha: float
) -> Tensor:
    """What a linear layer with an update of low rank gives, (n, d_out)."""
    rank = a.shape[0]
    return x @ weight.T + bias + alpha / rank * (x @ a.T) @ b.T


def _lora_cases(rng: np.random.Generator) -> list[tuple]:
    cases = []
    for n, d_in, d_out, rank, alpha in ((1, 2, 2, 1, 3.0), (3, 5, 4, 2, 16.0), (2, 6, 6, 4, 2.0)):
        shapes = ((n, d_in), (d_out, d_in), (d_out,), (rank, d_in), (d_out, rank))
        tensors = [torch.tensor(rng.normal(size=s).round(1), dtype=torch.float32) for s in shapes]
        cases.append((*tensors, alpha))
    return cases


def _scaled(scale: float, x: Tensor, w: Tensor, bias: Tensor, a: Tensor, b: Tensor) -> Tensor:
    return x @ w.T + bias + scale * (x @ a.T) @ b.T


LORA_FORWARD = Exercise(
    number="05.3",
    title="A linear layer with LoRA",
    difficulty=2,
    minutes=12,
    prompt="""
Write `lora_forward(x, weight, bias, a, b, alpha)`: a linear layer whose matrix stays as it is, with
an update of low rank beside it (Hu et al., 2022),

$$ y = W x + c + \\frac{\\alpha}{r} B A x. $$

| symbol | variable | shape |
|---|---|---|
| $x$, one in each row | `x` | (n, d_in) |
| $W$, frozen | `weight` | (d_out, d_in), as in `torch.nn.Linear` |
| $c$, frozen | `bias` | (d_out,) |
| $A$, trained | `a` | (r, d_in) |
| $B$, trained | `b` | (d_out, r) |
| $\\alpha$ | `alpha` | number |
| $y$, one in each row | result | (n, d_out) |
""",
    hints=(
        "Since each row of `x` is one input, $Wx$ for all of them is `x @ weight.T`.",
        "The rank $r$ is in the shape of `a`. First $Ax$, which is short, then $B$ of it: the "
        "product $BA$ is never needed.",
        "`x @ weight.T + bias + alpha / a.shape[0] * (x @ a.T) @ b.T`.",
    ),
    solution=lora_forward,
    cases=_lora_cases,
    mistakes=(
        Mistake(
            "scale forgotten",
            "The update is added without the factor $\\alpha / r$. The right learning rate then "
            "changes with the rank.",
            lambda x, w, c, a, b, alpha: _scaled(1.0, x, w, c, a, b),
        ),
        Mistake(
            "not divided by the rank",
            "You multiply by $\\alpha$ but do not divide by $r$.",
            lambda x, w, c, a, b, alpha: _scaled(alpha, x, w, c, a, b),
        ),
        Mistake(
            "only divided by the rank",
            "You divide by $r$, but $\\alpha$ is missing.",
            lambda x, w, c, a, b, alpha: _scaled(1 / a.shape[0], x, w, c, a, b),
        ),
        Mistake(
            "multiplied by the rank",
            "Your factor is $\\alpha r$. A higher rank would make the update larger twice over; it "
            "has to be divided.",
            lambda x, w, c, a, b, alpha: _scaled(alpha * a.shape[0], x, w, c, a, b),
        ),
        Mistake(
            "divided by the width",
            "You divide by the width of the input. $r$ is the number of *rows* of `a`.",
            lambda x, w, c, a, b, alpha: _scaled(alpha / a.shape[1], x, w, c, a, b),
        ),
        Mistake(
            "the frozen matrix is missing",
            "Your result is the update alone. The pre-trained matrix still does its work; LoRA "
            "only adds to it.",
            lambda x, w, c, a, b, alpha: alpha / a.shape[0] * (x @ a.T) @ b.T,
        ),
        Mistake(
            "the bias is missing",
            "The frozen bias is missing.",
            lambda x, w, c, a, b, alpha: x @ w.T + alpha / a.shape[0] * (x @ a.T) @ b.T,
        ),
        Mistake(
            "the bias is scaled",
            "You scale the whole sum. Matrix and bias stay as they are; the factor belongs to the "
            "update.",
            lambda x, w, c, a, b, alpha: alpha / a.shape[0] * _scaled(1.0, x, w, c, a, b),
        ),
        Mistake(
            "the update is missing",
            "Your result is that of the frozen layer. Nothing would be learned.",
            lambda x, w, c, a, b, alpha: x @ w.T + c,
        ),
        Mistake(
            "the update is subtracted",
            "You subtract the update. It is added.",
            lambda x, w, c, a, b, alpha: _scaled(-alpha / a.shape[0], x, w, c, a, b),
        ),
    ),
)

# --- 05.4 -----------------------------------------------------------------------------------------


def trained_weights_of(
    d_model: int, n_layers: int, rank: int, bottleneck: int
) -> tuple[int, int, int]:
    """Weights that BitFit, LoRA and adapters train in an encoder."""
    bitfit = n_layers * 11 * d_model + d_model
    lora = n_layers * 2 * rank * (d_model + d_model)
    adapter = 2 * d_model * bottleneck + bottleneck + d_model
    layer_norm = 2 * d_model
    return bitfit, lora, n_layers * 2 * (adapter + layer_norm)


def _count_cases(rng: np.random.Generator) -> list[tuple]:
    return [(4, 1, 1, 2), (384, 6, 8, 48), (768, 12, 4, 64)]


def _counted(
    bitfit: tuple[int, int] = (11, 1),
    lora: tuple[int, int] = (2, 2),
    adapter: tuple[int, int, int, int, int] = (2, 2, 1, 1, 2),
) -> object:
    """A count with other numbers of parts.

    `bitfit`: vectors of width d in a layer, and in the embeddings; `lora`: matrices that get an
    update, and thin matrices of each; `adapter`: adapters in a layer, matrices, biases of width b
    and of width d in each, and vectors in each layer norm.
    """

    def count(d: int, n: int, r: int, b: int) -> tuple[int, int, int]:
        per_layer, first = bitfit
        matrices, thin = lora
        number, large, narrow, wide, norm = adapter
        one = large * d * b + narrow * b + wide * d
        return (
            n * per_layer * d + first * d,
            n * matrices * thin * r * d,
            n * (number * one + 2 * norm * d),
        )

    return count


TRAINED_WEIGHTS = Exercise(
    number="05.4",
    title="Counting trained weights",
    difficulty=2,
    minutes=15,
    prompt="""
Write `trained_weights_of(d_model, n_layers, rank, bottleneck)`, which returns three numbers: how
many weights of the encoder **BitFit**, **LoRA** and **adapters** train. The classifier on top is
not counted.

The encoder is BERT's: embeddings, which end in a layer norm, and then layers of width $d$. A layer
has four matrices of attention ($d × d$), two of the feed-forward network ($d × 4d$ and $4d × d$),
all six with biases, and two layer norms. A layer norm has a gain and a bias, $d$ numbers each.

| | trained |
|---|---|
| BitFit | all biases, those of layer norms included |
| LoRA | $A$ ($r × d$) and $B$ ($d × r$) beside the matrices of queries and of values |
| adapters | two in each layer, $d → b → d$, with biases; and its layer norms, gain and bias |

`rank` is $r$, `bottleneck` is $b$. The result is a tuple of three integers.
""",
    hints=(
        "Take one layer at a time and write its parts in a list. How long are the six biases?",
        "BitFit: $4d$ for attention, $4d + d$ for the feed-forward network, $2d$ for the layer "
        "norms; and one more layer norm in the embeddings. An adapter: two matrices, two biases.",
        "`n_layers * 11 * d + d`, then `n_layers * 2 * 2 * r * d`; an adapter has "
        "`2 * d * b + b + d`, and a layer norm `2 * d`.",
    ),
    solution=trained_weights_of,
    cases=_count_cases,
    mistakes=(
        Mistake(
            "BitFit: embeddings forgotten",
            "LoRA and adapters are right. Of BitFit, the layer norm of the embeddings is missing.",
            _counted(bitfit=(11, 0)),
        ),
        Mistake(
            "BitFit: layer norms forgotten",
            "LoRA and adapters are right. Of BitFit, the biases of the layer norms are missing.",
            _counted(bitfit=(9, 0)),
        ),
        Mistake(
            "BitFit: the wide bias taken for a narrow one",
            "LoRA and adapters are right. The first bias of the feed-forward network has $4d$ "
            "numbers, since it is added in the wide middle.",
            _counted(bitfit=(8, 1)),
        ),
        Mistake(
            "LoRA: half of it",
            "BitFit and adapters are right. Of LoRA you have half: it trains $A$ *and* $B$, beside "
            "*two* matrices, queries and values.",
            _counted(lora=(2, 1)),
        ),
        Mistake(
            "LoRA: all matrices of attention",
            "BitFit and adapters are right. You have counted LoRA beside all four matrices of "
            "attention; here it goes beside queries and values only.",
            _counted(lora=(4, 2)),
        ),
        Mistake(
            "adapters: biases forgotten",
            "BitFit and LoRA are right. The two linear layers of an adapter have biases, too.",
            _counted(adapter=(2, 2, 0, 0, 2)),
        ),
        Mistake(
            "adapters: layer norms forgotten",
            "BitFit and LoRA are right. With adapters, the layer norms of the layer are trained.",
            _counted(adapter=(2, 2, 1, 1, 0)),
        ),
        Mistake(
            "adapters: half a layer norm",
            "BitFit and LoRA are right. Of a layer norm, gain *and* bias are trained.",
            _counted(adapter=(2, 2, 1, 1, 1)),
        ),
        Mistake(
            "adapters: one in each layer",
            "BitFit and LoRA are right. A layer gets two adapters, one behind each sublayer.",
            _counted(adapter=(1, 2, 1, 1, 2)),
        ),
        Mistake(
            "adapters: biases of one width",
            "BitFit and LoRA are right. The bias of the way down has $b$ numbers, that of the way "
            "up has $d$.",
            _counted(adapter=(2, 2, 2, 0, 2)),
        ),
    ),
)

# --- 05.5 -----------------------------------------------------------------------------------------


def layer_rates(rate: float, decay: float, n_layers: int) -> list[float]:
    """Learning rates from the embeddings up to the highest layer, n_layers + 1 of them."""
    return [rate * decay ** (n_layers - k) for k in range(n_layers + 1)]


LAYER_RATES = Exercise(
    number="05.5",
    title="Smaller steps for lower layers",
    difficulty=1,
    minutes=6,
    prompt="""
Write `layer_rates(rate, decay, n_layers)`, the learning rates of discriminative fine-tuning (Howard
and Ruder, 2018): the highest layer gets `rate`, and each one below it `decay` times that of the one
above. The embeddings are the lowest.

| symbol | variable | type |
|---|---|---|
| $\\eta$, of the highest layer | `rate` | number |
| $\\delta$, below 1 | `decay` | number |
| $L$ | `n_layers` | integer |
| $\\eta_0, …, \\eta_L$, from the embeddings up | result | list of $L + 1$ numbers |
""",
    hints=(
        "Which exponent does the highest layer have, so that its rate is `rate` itself?",
        "Layer $k$ is $L - k$ steps below the top.",
        "`rate * decay ** (n_layers - k)` for `k` from 0 to `n_layers`.",
    ),
    solution=layer_rates,
    cases=lambda rng: [(1.0, 0.5, 2), (2e-4, 0.8, 6), (0.3, 0.95, 12)],
    tolerance=1e-9,
    mistakes=(
        Mistake(
            "upside down",
            "Your list begins with the largest rate. If you have listed the layers from the top: "
            "the embeddings come first. Otherwise the lowest layers would learn fastest, which are "
            "those to be spared.",
            lambda rate, decay, n: [rate * decay**k for k in range(n + 1)],
        ),
        Mistake(
            "the highest layer slowed down",
            "All exponents are one too large: the highest layer gets `rate` itself.",
            lambda rate, decay, n: [rate * decay ** (n + 1 - k) for k in range(n + 1)],
        ),
        Mistake(
            "embeddings forgotten",
            "Your list has one rate for each layer. The embeddings below them need one, too.",
            lambda rate, decay, n: [rate * decay ** (n - k) for k in range(1, n + 1)],
        ),
        Mistake(
            "the top forgotten",
            "Your list ends one layer too early.",
            lambda rate, decay, n: [rate * decay ** (n - k) for k in range(n)],
        ),
        Mistake(
            "a straight line",
            "Your rates fall by the same amount from layer to layer. They are to be multiplied by "
            "`decay` each time.",
            lambda rate, decay, n: [rate * (1 - (1 - decay) * (n - k)) for k in range(n + 1)],
        ),
        Mistake(
            "the same factor for all",
            "All layers below the highest have the same rate. The factor is applied once more for "
            "each layer further down.",
            lambda rate, decay, n: [*[rate * decay] * n, rate],
        ),
        Mistake(
            "divided instead of multiplied",
            "Lower layers get larger rates in your list. `decay` is below 1: multiply by it.",
            lambda rate, decay, n: [rate / decay ** (n - k) for k in range(n + 1)],
        ),
        Mistake(
            "factors without the rate",
            "These are the factors; they still have to be multiplied by `rate`.",
            lambda rate, decay, n: [decay ** (n - k) for k in range(n + 1)],
        ),
    ),
)

EXERCISES = (LAST_FOUR, MIX_LAYERS, LORA_FORWARD, TRAINED_WEIGHTS, LAYER_RATES)
