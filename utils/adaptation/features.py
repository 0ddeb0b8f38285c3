"""Feature extraction: the encoder stays as it is, a linear classifier is trained on its output."""

import hashlib
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from utils import runtime
from utils.adaptation.baselines import all_classes, logistic_regression
from utils.adaptation.batching import Texts, by_length, tokenise
from utils.adaptation.encoder import at_words, forward_flops, load_encoder, mean_pool
from utils.adaptation.method import Outcome, Problem
from utils.adaptation.mixture import LayerMixture
from utils.errors import CourseError
from utils.tasks import tagging

_BATCH_SIZE = 64


def frozen(problem: Problem) -> Outcome:
    """Features of a frozen encoder, standardised, then logistic regression (`C` from `hyper`).

    `features` in `hyper` says which, of a text or in tagging of each word's first piece:

    - "mean" (the default): mean of the last hidden states; "cls": the last one of the first token;
    - "layer": mean of the hidden states of `layer`, 0 being the embeddings;
    - "second-to-last" and "last-four", the latter one behind the other: Devlin et al. (2019, table
      7) found them good for entities;
    - "mixture" and "mixture-last-four": a learned weighted sum over all, or four, see `mixture`.

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
    kind = problem.hyper.get("features", "mean")
    if kind in ("mean", "cls"):
        return extract(problem, texts, pretrained=pretrained, pooling=kind)
    layers, cost = extract(problem, texts, pretrained=pretrained, pooling="layers")
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
    problem: Problem, texts: Texts, *, pretrained: bool = True, pooling: str = "mean"
) -> tuple[NDArray[np.float32], dict[str, float]]:
    """Features of `texts`, (n_texts, d_model), and what they cost; cached in `problem.cache`.

    With the pooling "layers" of all hidden states, (n_texts, n_layers + 1, d_model). Of sentences
    that come as words, of each word instead of each text: 0 where it was cut off. With
    `pretrained=False`, of random weights drawn by the seed of the problem.
    """
    if problem.model_path is None:
        raise ValueError("feature extraction needs a model")
    weights = problem.model_fingerprint + ("" if pretrained else f"/random/{problem.seed}")
    kind = _kind(problem, pooling)
    cached = _cache_file(problem, texts, f"{kind}/{weights}")
    if cached is not None and cached.exists():
        features = np.load(cached, allow_pickle=False)
        return features, json.loads(cached.with_suffix(".json").read_text())
    if not pretrained:
        runtime.seed_everything(problem.seed)
    features, cost = _extract(problem.model_path, texts, problem.max_length, pretrained, pooling)
    if cached is not None:
        runtime.write_atomically(cached.with_suffix(".json"), json.dumps(cost))
        with runtime.atomic_file(cached) as file:
            np.save(file, features)
    return features, cost


def _kind(problem: Problem, pooling: str) -> str:
    if problem.task != tagging.NAME:
        return pooling
    return "words-layers" if pooling == "layers" else "words"


def _cache_file(problem: Problem, texts: Texts, what: str) -> Path | None:
    if problem.cache is None:
        return None
    digest = hashlib.sha256(f"{what}/{problem.max_length}".encode())
    for text in texts:
        whole = text if isinstance(text, str) else "\0".join(text)
        digest.update(len(whole).to_bytes(4, "little") + whole.encode())
    return problem.cache / "features" / f"{digest.hexdigest()[:24]}.npy"


def _extract(
    model_path: Path, texts: Texts, max_length: int, pretrained: bool, pooling: str
) -> tuple[NDArray[np.float32], dict[str, float]]:
    start = time.perf_counter()
    device = runtime.device()
    encoder = load_encoder(model_path, pretrained=pretrained).to(device).eval()
    tokenised = tokenise(texts, model_path, max_length)
    found: dict[int, NDArray[np.float32]] = {}
    flops, tokens = 0.0, 0
    with torch.inference_mode():
        for indices in by_length(tokenised.lengths(), _BATCH_SIZE):
            batch = {name: t.to(device) for name, t in tokenised.batch(indices.tolist()).items()}
            words = batch.pop("words", None)
            output = encoder(**batch, output_hidden_states=pooling == "layers")
            states = output.hidden_states if pooling == "layers" else [output.last_hidden_state]
            pooled = torch.stack(
                [_pool(state, batch["attention_mask"], words, pooling) for state in states], dim=2
            )
            found.update(zip(indices.tolist(), pooled.cpu().numpy(), strict=True))
            flops += forward_flops(encoder.config, *batch["input_ids"].shape)
            tokens += batch["input_ids"].numel()
    n_rows = [1] * len(texts) if tokenised.words is None else map(len, tokenised.words)
    features = np.concatenate([found[i][:n] for i, n in enumerate(n_rows)])
    features = features if pooling == "layers" else features[:, 0]
    cost = {
        "wall_seconds": time.perf_counter() - start,
        "tokens_seen": float(tokens),
        "flops": flops,
        "parameters": float(sum(p.numel() for p in encoder.parameters())),
    }
    return features, cost


def _pool(hidden_states: Tensor, mask: Tensor, words: Tensor | None, pooling: str) -> Tensor:
    """(batch, length, d) → (batch, n_words, d), or (batch, 1, d) for whole texts."""
    if words is not None:
        return at_words(hidden_states, words)
    if pooling == "cls":
        return hidden_states[:, :1]
    return mean_pool(hidden_states, mask).unsqueeze(1)
