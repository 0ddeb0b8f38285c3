"""Feature extraction: the encoder stays as it is, a linear classifier is trained on its output."""

import hashlib
import json
import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from utils import runtime
from utils.adaptation.baselines import all_classes, logistic_regression
from utils.adaptation.batching import Texts, by_length, tokenise
from utils.adaptation.encoder import at_words, forward_flops, load_encoder, mean_pool
from utils.adaptation.method import Outcome, Problem
from utils.tasks import tagging

_BATCH_SIZE = 64


def frozen(problem: Problem) -> Outcome:
    """Mean-pooled last hidden states, standardised, then logistic regression (`C` from `hyper`).

    In tagging, the last hidden state of each word's first piece. The cost counts the extraction as
    measured when it was done, also where the cache saves it now.
    """
    return _fit(problem, pretrained=True)


def frozen_random(problem: Problem) -> Outcome:
    """The same on an encoder with random weights: what the architecture alone is good for."""
    return _fit(problem, pretrained=False)


def _fit(problem: Problem, *, pretrained: bool) -> Outcome:
    features, extraction = extract(problem, problem.train.texts, pretrained=pretrained)
    start = time.perf_counter()
    classifier = make_pipeline(StandardScaler(), logistic_regression(problem))
    seen = features.any(axis=1)  # all texts, but not the words beyond the longest length
    classifier.fit(features[seen], problem.train.labels[seen])
    seconds = time.perf_counter() - start
    linear = classifier[-1]
    n_weights = linear.coef_.size + linear.intercept_.size
    cost = {
        **extraction,
        "wall_seconds": extraction["wall_seconds"] + seconds,
        "examples_seen": len(problem.train),
        "parameters": extraction["parameters"] + n_weights,
        "trainable_parameters": n_weights,
    }
    wanted, _ = extract(problem, problem.evaluation.texts, pretrained=pretrained)
    fitted = classifier.predict_proba(wanted)
    probabilities = all_classes(fitted, linear.classes_, problem.n_classes)
    if problem.task == tagging.NAME:
        return Outcome(probabilities.argmax(axis=1) * wanted.any(axis=1), cost)
    return Outcome(probabilities, cost)


def extract(
    problem: Problem, texts: Texts, *, pretrained: bool = True
) -> tuple[NDArray[np.float32], dict[str, float]]:
    """Features of `texts`, (n_texts, d_model), and what they cost; cached in `problem.cache`.

    Of sentences that come as words, of each word, (n_words, d_model): 0 where it was cut off. With
    `pretrained=False`, of random weights drawn by the seed of the problem.
    """
    if problem.model_path is None:
        raise ValueError("feature extraction needs a model")
    weights = problem.model_fingerprint + ("" if pretrained else f"/random/{problem.seed}")
    cached = _cache_file(problem, texts, weights)
    if cached is not None and cached.exists():
        features = np.load(cached, allow_pickle=False)
        return features, json.loads(cached.with_suffix(".json").read_text())
    if not pretrained:
        runtime.seed_everything(problem.seed)
    features, cost = _extract(problem.model_path, texts, problem.max_length, pretrained)
    if cached is not None:
        runtime.write_atomically(cached.with_suffix(".json"), json.dumps(cost))
        with runtime.atomic_file(cached) as file:
            np.save(file, features)
    return features, cost


def _cache_file(problem: Problem, texts: Texts, weights: str) -> Path | None:
    if problem.cache is None:
        return None
    kind = "words" if problem.task == tagging.NAME else "mean"
    digest = hashlib.sha256(f"{kind}/{weights}/{problem.max_length}".encode())
    for text in texts:
        whole = text if isinstance(text, str) else "\0".join(text)
        digest.update(len(whole).to_bytes(4, "little") + whole.encode())
    return problem.cache / "features" / f"{digest.hexdigest()[:24]}.npy"


def _extract(
    model_path: Path, texts: Texts, max_length: int, pretrained: bool
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
            hidden_states = encoder(**batch).last_hidden_state
            if words is None:
                pooled = mean_pool(hidden_states, batch["attention_mask"]).unsqueeze(1)
            else:
                pooled = at_words(hidden_states, words)
            found.update(zip(indices.tolist(), pooled.cpu().numpy(), strict=True))
            flops += forward_flops(encoder.config, *batch["input_ids"].shape)
            tokens += batch["input_ids"].numel()
    n_rows = [1] * len(texts) if tokenised.words is None else map(len, tokenised.words)
    features = np.concatenate([found[i][:n] for i, n in enumerate(n_rows)])
    cost = {
        "wall_seconds": time.perf_counter() - start,
        "tokens_seen": float(tokens),
        "flops": flops,
        "parameters": float(sum(p.numel() for p in encoder.parameters())),
    }
    return features, cost
