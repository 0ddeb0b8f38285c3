"""Feature extraction: the encoder stays as it is, a linear classifier is trained on its output."""

import hashlib
import json
import time
import warnings
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

from utils import runtime
from utils.adaptation.baselines import all_classes, logistic_regression
from utils.adaptation.batching import Texts, Tokenised, by_length, by_tokens, tokenise
from utils.adaptation.encoder import at_words, forward_flops, load_encoder, mean_pool
from utils.adaptation.method import Outcome, Problem
from utils.adaptation.mixture import LayerMixture
from utils.errors import CourseError
from utils.tasks import tagging

_BATCH_IN_INT8 = 64
"""Texts at a time in whole numbers: rounded by what else is in a batch, they depend on it."""

SHARED_BYTES = 2**29
"""Features of all layers are kept together, for whichever is asked for, up to this size."""

Pooling = Literal["mean", "cls", "layers", "all"]


def frozen(problem: Problem) -> Outcome:
    """Features of a frozen encoder, standardised, then logistic regression (`C` from `hyper`).

    `features` in `hyper` says which, of a text or in tagging of each word's first piece:

    - "mean" (the default): mean of the last hidden states; "cls": the last one of the first token;
    - "layer": mean of the hidden states of `layer`, 0 being the embeddings;
    - "second-to-last" and "last-four", the latter one behind the other: Devlin et al. (2019, table
      7) found them good for entities;
    - "mixture" and "mixture-last-four": a learned weighted sum over all, or four, see `mixture`.

    With `int8` in `hyper`, the encoder computes in whole numbers, see `in_int8`.

    The cost counts the extraction as measured when it was done, also where the cache saves it now.
    """
    return _fit(problem, pretrained=True)


def frozen_random(problem: Problem) -> Outcome:
    """The same on an encoder with random weights: what the architecture alone is good for."""
    return _fit(problem, pretrained=False)


def _fit(problem: Problem, *, pretrained: bool) -> Outcome:
    features, extraction = _chosen(problem, problem.train.texts, pretrained)
    start = time.perf_counter()
    mixes = features.ndim == 3
    classifier: Any = LayerMixture(problem.hyper["C"]) if mixes else logistic_regression(problem)
    classifier = make_pipeline(StandardScaler(), classifier) if not mixes else classifier
    seen = _is_seen(features)  # all texts, but not the words beyond the longest length
    classifier.fit(features[seen], problem.train.labels[seen])
    seconds = time.perf_counter() - start
    linear = classifier if mixes else classifier[-1]
    n_weights = linear.coef_.size + linear.intercept_.size + (features.shape[1] if mixes else 0)
    cost = {
        **extraction,
        "wall_seconds": extraction["wall_seconds"] + seconds,
        "examples_seen": len(problem.train),
        "parameters": extraction["parameters"] + n_weights,
        "trainable_parameters": n_weights,
    }
    wanted, _ = _chosen(problem, problem.evaluation.texts, pretrained)
    fitted = classifier.predict_proba(wanted)
    probabilities = all_classes(fitted, linear.classes_, problem.n_classes)
    if problem.task == tagging.NAME:
        return Outcome(probabilities.argmax(axis=1) * _is_seen(wanted), cost)
    return Outcome(probabilities, cost)


def _is_seen(features: NDArray[np.float32]) -> NDArray[np.bool_]:
    return np.asarray(features.reshape(len(features), -1).any(axis=1))


def _chosen(
    problem: Problem, texts: Texts, pretrained: bool
) -> tuple[NDArray[np.float32], dict[str, float]]:
    """The features that `hyper` asks for, (n, d), or (n, n_layers, d) where they are mixed."""
    kind, int8 = problem.hyper.get("features", "mean"), bool(problem.hyper.get("int8"))
    if kind in ("mean", "cls"):
        return extract(problem, texts, pretrained=pretrained, pooling=kind, int8=int8)
    layers, cost = extract(problem, texts, pretrained=pretrained, pooling="layers", int8=int8)
    n_layers = layers.shape[1] - 1
    if kind == "layer":
        if not 0 <= (number := problem.hyper["layer"]) <= n_layers:
            raise CourseError(f"The encoder has the layers 0 to {n_layers}; layer is {number}.")
        return layers[:, number], cost
    if kind in ("last-four", "mixture-last-four") and n_layers < 4:
        raise CourseError(f"The encoder has {n_layers} layers, too few for its last four.")
    chosen = {
        "second-to-last": layers[:, -2],
        "last-four": layers[:, -4:].reshape(len(layers), -1),
        "mixture": layers,
        "mixture-last-four": layers[:, -4:],
    }
    return chosen[kind], cost


def extract(
    problem: Problem,
    texts: Texts,
    *,
    pretrained: bool = True,
    pooling: Pooling = "mean",
    int8: bool = False,
) -> tuple[NDArray[np.float32], dict[str, float]]:
    """Features of `texts`, (n_texts, d_model), and what they cost; cached in `problem.cache`.

    With the pooling "layers" of all hidden states, (n_texts, n_layers + 1, d_model). Of sentences
    that come as words, of each word instead of each text: 0 where it was cut off. With
    `pretrained=False`, of random weights drawn by the seed of the problem.

    One pass serves all poolings, as long as what it leaves fits into `SHARED_BYTES`.
    """
    if problem.model_path is None:
        raise ValueError("feature extraction needs a model")
    wanted: Pooling = "all" if _fits(problem.model_path, texts) else pooling
    weights = problem.model_fingerprint + ("" if pretrained else f"/random/{problem.seed}")
    weights += "/int8" if int8 else ""
    kind = f"words-{wanted}" if problem.task == tagging.NAME else wanted
    cached = _cache_file(problem, texts, f"{kind}/{weights}")
    if cached is not None and cached.exists():
        features = np.load(cached, mmap_mode="r", allow_pickle=False)
        return _part(features, wanted, pooling), json.loads(cached.with_suffix(".json").read_text())
    if not pretrained:
        runtime.seed_everything(problem.seed)
    start = time.perf_counter()
    encoder = load_encoder(problem.model_path, pretrained=pretrained).eval()
    n_parameters = float(sum(p.numel() for p in encoder.parameters()))
    encoder = in_int8(encoder) if int8 else in_float32(encoder)
    tokenised = tokenise(texts, problem.model_path, problem.max_length)
    features, cost = compute(encoder, tokenised, wanted, int8=int8)
    cost |= {"wall_seconds": time.perf_counter() - start, "parameters": n_parameters}
    if cached is not None:
        runtime.write_atomically(cached.with_suffix(".json"), json.dumps(cost))
        with runtime.atomic_file(cached) as file:
            np.save(file, features)
    return _part(features, wanted, pooling), cost


def _fits(model_path: Path, texts: Texts) -> bool:
    """Whether what all poolings need of these texts is little enough to be kept."""
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(model_path)
    n_rows = sum(len(text) if isinstance(text, list) else 1 for text in texts)
    return 4 * n_rows * (config.num_hidden_layers + 2) * config.hidden_size <= SHARED_BYTES


def _part(features: NDArray[np.float32], pooled: Pooling, wanted: Pooling) -> NDArray[np.float32]:
    """Of features that were pooled in one way, or in all, those that are wanted."""
    if pooled != "all":
        return np.asarray(features)
    parts = {"cls": features[:, -1], "mean": features[:, -2], "layers": features[:, :-1]}
    return np.array(parts[wanted])


def _cache_file(problem: Problem, texts: Texts, what: str) -> Path | None:
    if problem.cache is None:
        return None
    digest = hashlib.sha256(f"{what}/{problem.max_length}".encode())
    for text in texts:
        whole = text if isinstance(text, str) else "\0".join(text)
        digest.update(len(whole).to_bytes(4, "little") + whole.encode())
    return problem.cache / "features" / f"{digest.hexdigest()[:24]}.npy"


def in_float32(encoder: nn.Module) -> nn.Module:
    """The encoder on the device, for inference only; its linear layers by oneDNN where that pays.

    Numbers differ in the last digits only, see `runtime.onednn_pays`.
    """
    if runtime.onednn_pays():
        return runtime.by_onednn(encoder.cpu())
    return encoder.to(runtime.device())


def in_int8(encoder: nn.Module) -> nn.Module:
    """A copy on the CPU whose linear layers multiply 8-bit integers (dynamic quantisation).

    Weights are rounded once, with a scale for each output of a layer, activations anew in each
    batch (Jacob et al., 2018, CVPR, section 2; Zafrir et al., 2019, for BERT). A GPU has no kernels
    for it.
    """
    from torch.ao.quantization import per_channel_dynamic_qconfig, quantize_dynamic

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch means to move this to a package of its own
        return quantize_dynamic(encoder.cpu(), {nn.Linear: per_channel_dynamic_qconfig})


def compute(
    encoder: Any, tokenised: Tokenised, pooling: Pooling = "mean", *, int8: bool = False
) -> tuple[NDArray[np.float32], dict[str, float]]:
    """The features of `extract` by an encoder that is there already; their tokens and FLOPs.

    With the pooling "all" those of "layers", and behind them that of "cls".
    """
    found: dict[int, NDArray[np.float32]] = {}
    flops, tokens = 0.0, 0
    lengths = tokenised.lengths()
    with torch.inference_mode():
        for indices in by_length(lengths, _BATCH_IN_INT8) if int8 else by_tokens(lengths):
            batch = tokenised.batch(indices.tolist(), encoder.device)
            words = batch.pop("words", None)
            output = encoder(**batch, output_hidden_states=pooling in ("layers", "all"))
            pooled = _pool(output, batch["attention_mask"], words, pooling)
            found.update(zip(indices.tolist(), pooled.cpu().numpy(), strict=True))
            flops += forward_flops(encoder.config, *batch["input_ids"].shape)
            tokens += batch["input_ids"].numel()
    n_texts = len(tokenised.input_ids)
    n_rows = [1] * n_texts if tokenised.words is None else map(len, tokenised.words)
    features = np.concatenate([found[i][:n] for i, n in enumerate(n_rows)])
    features = features if pooling in ("layers", "all") else features[:, 0]
    return features, {"tokens_seen": float(tokens), "flops": flops}


def _pool(output: Any, mask: Tensor, words: Tensor | None, pooling: Pooling) -> Tensor:
    """(batch, n_words, n, d), with one word where texts are whole and n kinds of features."""
    last = output.last_hidden_state
    layers = output.hidden_states if pooling in ("layers", "all") else [last]
    if words is not None:
        pooled = [at_words(layer, words) for layer in layers]
        first = pooled[-1]
    else:
        pooled = [mean_pool(layer, mask).unsqueeze(1) for layer in layers]
        first = last[:, :1]
    chosen = {"all": [*pooled, first], "cls": [first]}.get(pooling, pooled)
    return torch.stack(chosen, dim=2)
