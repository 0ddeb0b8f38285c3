"""What learners of lesson 05 might write, independently of the checker's own mutants."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from utils.adaptation import parts
from utils.lesson.practice import get_exercise

# --- 05.1: the last four layers


def four_by_loop(hidden_states, attention_mask):
    rows = []
    for text, mask in enumerate(attention_mask.bool()):
        rows.append(torch.cat([layer[text][mask].mean(dim=0) for layer in hidden_states[-4:]]))
    return torch.stack(rows)


def four_with_nan(hidden_states, attention_mask):
    """Padding as NaN, which the mean leaves out."""
    padding = attention_mask.unsqueeze(-1) == 0
    return torch.cat([h.masked_fill(padding, torch.nan).nanmean(1) for h in hidden_states[-4:]], 1)


def four_max(hidden_states, attention_mask):
    return torch.cat([layer.max(dim=1).values for layer in hidden_states[-4:]], dim=1)


def four_interleaved(hidden_states, attention_mask):
    stacked = four_by_loop(hidden_states, attention_mask)
    return stacked.reshape(len(stacked), 4, -1).transpose(1, 2).flatten(1)


def four_of_all_but_the_last(hidden_states, attention_mask):
    return four_by_loop(hidden_states[:-1], attention_mask)


def four_over_texts(hidden_states, attention_mask):
    return torch.cat([layer.mean(dim=0) for layer in hidden_states[-4:]], dim=1)


# --- 05.2: a mixture


def mix_by_loop(layers, weights):
    shares = torch.exp(weights) / torch.exp(weights).sum()
    mixed = torch.zeros_like(layers[0])
    for share, layer in zip(shares, layers, strict=True):
        mixed += share * layer
    return mixed


def mix_with_matmul(layers, weights):
    n, batch, d = layers.shape
    return (torch.softmax(weights, 0) @ layers.reshape(n, -1)).reshape(batch, d)


def mix_by_rounds(layers, weights):
    """Softmax with a temperature that nobody asked for."""
    return torch.einsum("k,kbd->bd", (weights / 2).softmax(0), layers)


# --- 05.3: LoRA


def lora_by_module(x, weight, bias, a, b, alpha):
    linear = nn.Linear(weight.shape[1], weight.shape[0])
    with torch.no_grad():
        linear.weight.copy_(weight + alpha / len(a) * b @ a)
        linear.bias.copy_(bias)
        return linear(x)


def lora_by_einsum(x, weight, bias, a, b, alpha):
    update = torch.einsum("ni,ri,or->no", x, a, b)
    return torch.einsum("ni,oi->no", x, weight) + bias + update * (alpha / a.size(0))


def lora_of_the_output(x, weight, bias, a, b, alpha):
    """The update is applied to what the layer gives, which fits where it is square only."""
    y = x @ weight.T + bias
    return y + alpha / a.shape[0] * (y @ a.T) @ b.T


def lora_with_root(x, weight, bias, a, b, alpha):
    """Rank-stabilised LoRA, another method."""
    return x @ weight.T + bias + alpha / a.shape[0] ** 0.5 * (x @ a.T) @ b.T


# --- 05.4: counting


def counted_in_a_model(d_model, n_layers, rank, bottleneck):
    from transformers import BertConfig, BertModel

    def trained(prepare, hyper):
        config = BertConfig(
            vocab_size=5, hidden_size=d_model, num_hidden_layers=n_layers, num_attention_heads=1,
            intermediate_size=4 * d_model, max_position_embeddings=4,
        )  # fmt: skip
        with torch.device("meta"):
            model = BertModel(config, add_pooling_layer=False)
            prepare(model, hyper)
        return sum(p.numel() for p in model.parameters() if p.requires_grad)

    return (
        trained(parts.biases, {}),
        trained(parts.lora, {"rank": rank, "alpha": 1}),
        trained(parts.adapters, {"bottleneck": bottleneck}),
    )


def counted_by_list(d, n, r, b, *, biases=None, thin=4, norms=2, adapters=2):
    layer = biases or [d, d, d, d, 4 * d, d, d, d]
    one_adapter = d * b + b + b * d + d
    return (
        sum(layer) * n + d,
        n * thin * (r * d),
        n * (adapters * one_adapter + norms * (d + d)),
    )


# --- 05.5: rates


def rates_from_the_top(rate, decay, n_layers):
    rates = [rate]
    for _ in range(n_layers):
        rates.insert(0, rates[0] * decay)
    return rates


def rates_listed_from_the_top(rate, decay, n_layers):
    return rates_from_the_top(rate, decay, n_layers)[::-1]


@pytest.mark.parametrize(
    ("number", "learner", "status", "mistake"),
    [
        ("05.1", four_by_loop, "correct", None),
        ("05.1", four_with_nan, "correct", None),
        ("05.1", lambda h, m: four_by_loop(h, torch.ones_like(m)), "mistake", "padding counted"),
        ("05.1", lambda h, m: four_by_loop(h[3::-1], m), "wrong", None),
        ("05.1", lambda h, m: four_by_loop(h[:4], m), "mistake", "first four"),
        ("05.1", lambda h, m: four_by_loop(h[::-1], m), "wrong", None),
        ("05.1", lambda h, m: four_by_loop([*h[:-4], *h[:-5:-1]], m), "mistake", "highest first"),
        ("05.1", four_max, "wrong", None),
        ("05.1", four_interleaved, "wrong", None),
        ("05.1", four_of_all_but_the_last, "wrong", None),
        ("05.1", four_over_texts, "wrong", None),
        (
            "05.1",
            lambda h, m: four_by_loop(h, m).reshape(len(m), 4, -1).sum(1),
            "mistake",
            "summed instead of joined",
        ),
        (
            "05.1",
            lambda h, m: four_by_loop(h, m).reshape(len(m), 4, -1),
            "mistake",
            "stacked instead of joined",
        ),
        ("05.1", lambda h, m: h[-4:] * m, "error", None),
        ("05.2", mix_by_loop, "correct", None),
        ("05.2", mix_with_matmul, "correct", None),
        ("05.2", mix_by_rounds, "wrong", None),
        ("05.2", lambda h, w: torch.tensordot(w, h, dims=1), "mistake", "no softmax"),
        ("05.2", lambda h, w: torch.tensordot(w / w.sum(), h, 1), "mistake", "divided by the sum"),
        (
            "05.2",
            lambda h, w: (w.softmax(0)[:, None, None] * h).mean(0),
            "mistake",
            "averaged after weighting",
        ),
        ("05.2", lambda h, w: (h * w.softmax(0)).sum(0), "error", None),
        ("05.2", lambda h, w: torch.softmax(h, 0).sum(0), "wrong", None),
        ("05.3", lora_by_module, "correct", None),
        ("05.3", lora_by_einsum, "correct", None),
        ("05.3", lora_of_the_output, "wrong", None),
        ("05.3", lora_with_root, "wrong", None),
        (
            "05.3",
            lambda x, w, c, a, b, alpha: x @ (w + b @ a).T + c,
            "mistake",
            "scale forgotten",
        ),
        (
            "05.3",
            lambda x, w, c, a, b, alpha: x @ (w + alpha * b @ a).T + c,
            "mistake",
            "not divided by the rank",
        ),
        (
            "05.3",
            lambda x, w, c, a, b, alpha: x @ (w + alpha / b.shape[1] * b @ a).T,
            "mistake",
            "the bias is missing",
        ),
        ("05.3", lambda x, w, c, a, b, alpha: nn.functional.linear(x, w, c), "mistake", "update"),
        ("05.3", lambda x, w, c, a, b, alpha: w @ x + c, "error", None),
        ("05.4", counted_in_a_model, "correct", None),
        ("05.4", counted_by_list, "correct", None),
        ("05.4", lambda d, n, r, b: list(counted_by_list(d, n, r, b)), "correct", None),
        ("05.4", lambda *of: counted_by_list(*of, thin=2), "mistake", "half of it"),
        ("05.4", lambda *of: counted_by_list(*of, thin=8), "mistake", "all matrices"),
        ("05.4", lambda *of: counted_by_list(*of, norms=0), "mistake", "layer norms forgotten"),
        ("05.4", lambda *of: counted_by_list(*of, norms=1), "mistake", "half a layer norm"),
        ("05.4", lambda *of: counted_by_list(*of, adapters=1), "mistake", "one in each layer"),
        (
            "05.4",
            lambda d, n, r, b: counted_by_list(d, n, r, b, biases=[8 * d]),
            "mistake",
            "wide bias",
        ),
        ("05.4", lambda *of: counted_by_list(*of, thin=2, norms=0), "wrong", None),
        ("05.4", lambda d, n, r, b: counted_by_list(d, n, r, b)[1:], "wrong", None),
        ("05.5", rates_from_the_top, "correct", None),
        ("05.5", rates_listed_from_the_top, "mistake", "upside down"),
        ("05.5", lambda r, d, n: rates_from_the_top(r * d, d, n), "mistake", "slowed down"),
        ("05.5", lambda r, d, n: rates_from_the_top(r, d, n - 1), "mistake", "embeddings"),
        ("05.5", lambda r, d, n: rates_from_the_top(r, d, n)[:-1], "mistake", "the top forgotten"),
        ("05.5", lambda r, d, n: rates_from_the_top(r, 1 - d, n), "wrong", None),
        ("05.5", lambda r, d, n: rates_from_the_top(1, d, n), "mistake", "without the rate"),
        ("05.5", lambda r, d, n: r * d**n, "wrong", None),
    ],
)
def test_what_learners_might_write(
    number: str, learner: Callable, status: str, mistake: str | None, diagnosed: Callable
) -> None:
    diagnosed(number, learner, status, mistake)


def test_the_count_is_that_of_a_real_encoder() -> None:
    exercise = get_exercise("05.4")
    assert exercise.solution(8, 2, 2, 3) == counted_in_a_model(8, 2, 2, 3)
