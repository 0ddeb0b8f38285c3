"""Outputs and gradients equal to torch's modules and to transformers' BERT with real weights."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn
from transformers import BertModel

from utils.sources import MINILM, model_path
from utils.transformer import (
    DecoderLayer,
    Encoder,
    EncoderDecoder,
    EncoderLayer,
    MultiHeadAttention,
    TransformerConfig,
    load_bert,
    padding_mask,
)
from utils.transformer.bert import bert_names

N_HEADS, D_MODEL, D_FF, N_LAYERS = 4, 24, 40, 3
LIMITS = {torch.float32: (1e-5, 1e-4), torch.float64: (1e-10, 1e-10)}


def config(**changes: object) -> TransformerConfig:
    sizes = {"vocab_size": 11, "d_model": D_MODEL, "n_layers": N_LAYERS, "n_heads": N_HEADS}
    return TransformerConfig(**{**sizes, "d_ff": D_FF, "layer_norm_eps": 1e-5, **changes})


def shuffle(module: nn.Module) -> None:
    """Noise on all weights, layer norms and biases included, so that no part is idle."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.15)


def copy_attention(ours: MultiHeadAttention, theirs: nn.MultiheadAttention) -> None:
    weights = torch.cat([ours.query.weight, ours.key.weight, ours.value.weight])
    biases = torch.cat([ours.query.bias, ours.key.bias, ours.value.bias])
    with torch.no_grad():
        theirs.in_proj_weight.copy_(weights)
        theirs.in_proj_bias.copy_(biases)
    theirs.out_proj.load_state_dict(ours.output.state_dict())


def copy_layer(ours: EncoderLayer | DecoderLayer, theirs: nn.Module) -> None:
    copy_attention(ours.attention, theirs.self_attn)
    norms = [ours.around_attention.norm]
    if isinstance(ours, DecoderLayer):
        copy_attention(ours.cross_attention, theirs.multihead_attn)
        norms.append(ours.around_cross_attention.norm)
    norms.append(ours.around_feed_forward.norm)
    for number, norm in enumerate(norms, start=1):
        getattr(theirs, f"norm{number}").load_state_dict(norm.state_dict())
    theirs.linear1.load_state_dict(ours.feed_forward.inner.state_dict())
    theirs.linear2.load_state_dict(ours.feed_forward.outer.state_dict())


def copy_stack(ours: nn.Module, theirs: nn.Module) -> None:
    for our_layer, their_layer in zip(ours.layers, theirs.layers, strict=True):
        copy_layer(our_layer, their_layer)
    if theirs.norm is not None:
        theirs.norm.load_state_dict(ours.norm.state_dict())


def relative(difference: Tensor, reference: Tensor) -> float:
    return float(difference.norm() / reference.norm())


@pytest.mark.parametrize("dtype", list(LIMITS))
@pytest.mark.parametrize("fused", [True, False])
def test_multi_head_attention(dtype: torch.dtype, fused: bool) -> None:
    torch.manual_seed(0)
    ours = MultiHeadAttention(config(fused=fused)).to(dtype)
    shuffle(ours)
    theirs = nn.MultiheadAttention(D_MODEL, N_HEADS, batch_first=True).to(dtype)
    copy_attention(ours, theirs)
    x, source = torch.randn(3, 5, D_MODEL, dtype=dtype), torch.randn(3, 7, D_MODEL, dtype=dtype)
    real = torch.arange(7) < torch.tensor([[7], [4], [1]])
    x_ours, x_theirs = (x.clone().requires_grad_() for _ in range(2))
    ours.keep_weights = not fused
    got = ours(x_ours, source, padding_mask(real))
    wanted, weights = theirs(x_theirs, source, source, key_padding_mask=~real)
    if not fused:
        assert ours.weights is not None
        torch.testing.assert_close(ours.weights.mean(dim=1), weights)
    assert (got - wanted).abs().max() <= LIMITS[dtype][0]
    got.square().sum().backward()
    wanted.square().sum().backward()
    assert relative(x_ours.grad - x_theirs.grad, x_theirs.grad) <= LIMITS[dtype][1]
    for name, gradient, reference, scale in attention_gradients("", ours, theirs):
        assert (gradient - reference).norm() / scale.norm() <= LIMITS[dtype][1], name
    for kind in ("weight", "bias"):
        a, b = getattr(ours.output, kind).grad, getattr(theirs.out_proj, kind).grad
        assert relative(a - b, b) <= LIMITS[dtype][1]


@pytest.mark.parametrize("dtype", list(LIMITS))
@pytest.mark.parametrize("norm", ["pre", "post"])
@pytest.mark.parametrize("activation", ["gelu", "relu"])
def test_transformer(dtype: torch.dtype, norm: str, activation: str) -> None:
    torch.manual_seed(0)
    ours = EncoderDecoder(config(norm=norm, activation=activation)).to(dtype)
    shuffle(ours)
    theirs = nn.Transformer(
        D_MODEL, N_HEADS, N_LAYERS, N_LAYERS, D_FF, dropout=0.0, activation=activation,
        batch_first=True, norm_first=norm == "pre", dtype=dtype,
    )  # fmt: skip
    if norm == "post":  # torch adds a layer norm to the end of its stacks, BERT has none
        theirs.encoder.norm = theirs.decoder.norm = None
    copy_stack(ours.encoder, theirs.encoder)
    copy_stack(ours.decoder, theirs.decoder)
    source, target = (torch.randn(3, n, D_MODEL, dtype=dtype) for n in (7, 5))
    real = torch.arange(7) < torch.tensor([[7], [4], [2]])
    mask = padding_mask(real)
    got = ours.decoder.decode(target, ours.encoder.encode(source, mask), mask)
    causal = torch.ones(5, 5, dtype=torch.bool).triu(1)
    wanted = theirs(
        source, target, tgt_mask=causal, src_key_padding_mask=~real,
        memory_key_padding_mask=~real,
    )  # fmt: skip
    assert (got - wanted).abs().max() <= LIMITS[dtype][0]
    # Weighted at random: a sum of squares after a layer norm would hardly have a gradient.
    direction = torch.randn(got.shape, dtype=dtype)
    (got * direction).sum().backward()
    (wanted * direction).sum().backward()
    compared = 0
    for our_stack, their_stack in ((ours.encoder, theirs.encoder), (ours.decoder, theirs.decoder)):
        for our_layer, their_layer in zip(our_stack.layers, their_stack.layers, strict=True):
            for name, gradient, reference, scale in layer_gradients(our_layer, their_layer):
                assert (gradient - reference).norm() / scale.norm() <= LIMITS[dtype][1], name
                compared += 1
        if norm == "pre":
            for kind in ("weight", "bias"):
                a, b = getattr(our_stack.norm, kind).grad, getattr(their_stack.norm, kind).grad
                assert relative(a - b, b) <= LIMITS[dtype][1]
                compared += 1
    left_out = {"head", "embeddings"}  # nn.Transformer has neither
    wanted_number = [n for n, _ in ours.named_parameters() if not left_out & set(n.split("."))]
    assert compared == len(wanted_number)


def layer_gradients(
    ours: EncoderLayer | DecoderLayer, theirs: nn.Module
) -> Iterator[tuple[str, Tensor, Tensor, Tensor]]:
    """Name, our gradient, torch's, and what it is measured against, of every weight of a layer."""
    attentions = [("attention", theirs.self_attn)]
    norms = ["around_attention.norm"]
    if isinstance(ours, DecoderLayer):
        attentions.append(("cross_attention", theirs.multihead_attn))
        norms.append("around_cross_attention.norm")
    parts = [("feed_forward.inner", theirs.linear1), ("feed_forward.outer", theirs.linear2)]
    for number, norm in enumerate([*norms, "around_feed_forward.norm"], start=1):
        parts.append((norm, getattr(theirs, f"norm{number}")))
    for name, packed in attentions:
        yield from attention_gradients(name, ours.get_submodule(name), packed)
        parts.append((f"{name}.output", packed.out_proj))
    for name, part in parts:
        for kind in ("weight", "bias"):
            reference = getattr(part, kind).grad
            yield f"{name}.{kind}", ours.get_parameter(f"{name}.{kind}").grad, reference, reference


def attention_gradients(
    name: str, ours: MultiHeadAttention, theirs: nn.MultiheadAttention
) -> Iterator[tuple[str, Tensor, Tensor, Tensor]]:
    """The gradients of torch's packed projections, cut into ours."""
    weights, biases = theirs.in_proj_weight.grad.chunk(3), theirs.in_proj_bias.grad.chunk(3)
    for part, weight, bias in zip(("query", "key", "value"), weights, biases, strict=True):
        module = ours.get_submodule(part)
        yield f"{name}.{part}.weight", module.weight.grad, weight, weight
        # A key's bias moves all scores of a query alike and drops out of softmax: its gradient is
        # zero but for rounding, so it is measured against that of its weight.
        yield f"{name}.{part}.bias", module.bias.grad, bias, weight if part == "key" else bias


def batch(seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Random tokens, segments and a mask with padding, (6, 17)."""
    generator = torch.Generator().manual_seed(seed)
    input_ids = torch.randint(30522, (6, 17), generator=generator)
    segments = torch.randint(2, (6, 17), generator=generator)
    lengths = torch.randint(1, 18, (6, 1), generator=generator)
    lengths[0] = 17
    return input_ids, segments, (torch.arange(17) < lengths).long()


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("dtype", list(LIMITS))
def test_bert_with_real_weights(dtype: torch.dtype, fused: bool) -> None:
    ours = load_bert(MINILM, fused=fused, dtype=dtype)
    path, _ = model_path(MINILM)
    theirs = BertModel.from_pretrained(path, dtype=dtype, add_pooling_layer=False).eval()
    for seed in range(3):
        input_ids, segments, mask = batch(seed)
        real = mask.bool()
        got = ours(input_ids, mask, segments)
        wanted = theirs(input_ids, mask, segments).last_hidden_state
        assert (got - wanted)[real].abs().max() <= LIMITS[dtype][0]
        # A loss that weighs all real positions differently; padding has no say.
        direction = torch.randn(got.shape, generator=torch.Generator().manual_seed(seed)).to(dtype)
        for output, model in ((got, ours), (wanted, theirs)):
            model.zero_grad()
            (output * direction)[real].sum().backward()
        names = bert_names(ours.config.n_layers)
        found = dict(ours.named_parameters())
        compared = 0
        for name, parameter in theirs.named_parameters():
            gradient = found[names[name]].grad
            # What moves all scores of a query alike drops out of softmax: the gradient of a key's
            # bias is zero but for rounding, so it is measured against that of its weight.
            scale = theirs.get_parameter(name.replace("key.bias", "key.weight")).grad
            assert (gradient - parameter.grad).norm() / scale.norm() <= LIMITS[dtype][1], name
            compared += 1
        assert compared == len(found)


def test_load_bert_reads_every_weight() -> None:
    encoder = load_bert(MINILM)
    path, _ = model_path(MINILM)
    theirs = BertModel.from_pretrained(path, add_pooling_layer=False)
    names = bert_names(encoder.config.n_layers)
    assert {names[name] for name, _ in theirs.named_parameters()} == set(encoder.state_dict())
    assert isinstance(encoder, Encoder)
    assert not encoder.training
