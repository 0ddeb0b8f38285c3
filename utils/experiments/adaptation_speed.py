"""How fast fine-tuning and feature extraction are beside the recipes in wide use, and how good.

The data are sentences of SST-2, the model is MiniLM. A timing of fine-tuning is a whole training
from raw text, model loading excluded: both sides tokenise, and make the same number of updates with
the same number of examples, optimiser, learning rates, clipping, dropout and precision. They differ
in what they pad, in the order of the examples, and in what stands on the encoder: the recipes use
BERT's pooler, we the mean of the last hidden states. Each pair has a seed of its own for examples,
order and dropout, and what both sides learned is tested on the same sentences.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from utils import runtime
from utils.adaptation import METHODS, Problem, get_method
from utils.adaptation.batching import tokenise, training_batches
from utils.adaptation.encoder import TextClassifier, forward_flops, load_encoder
from utils.adaptation.features import compute, in_float32, in_int8
from utils.adaptation.fine_tuning import predict
from utils.adaptation.training import Settings, train
from utils.experiments.speed import SpeedComparison, compare_speed, matrix_products
from utils.resampling import hierarchical_bootstrap
from utils.sources import MINILM, model_path
from utils.tasks.splits import Splits
from utils.tasks.text_classification import Examples, load, subset

DATASET = "stanfordnlp/sst2"
N_SEEDS = 3
MAX_LENGTH = 128
"""That of `run_glue.py`, whose recipe pads every sentence to it."""

LEARNING_RATE, DROPOUT = 5e-5, 0.1
"""The defaults of `TrainingArguments` and of BERT's configuration."""

N_PAIRS_OF_FEATURES = 10

Padding = Literal["max_length", "longest"]


@dataclass(frozen=True)
class Work:
    """What both sides do.

    Attributes:
        splits: SST-2; with few sentences (offline, the embedded ones) less is held out.
        n_train: sentences to train on.
        epochs: passes over them.
    """

    splits: Splits
    n_train: int = 2000
    epochs: int = 2

    @property
    def test(self) -> Examples:
        """Sentences that neither side trains on: the reported ones and those held out."""
        parts = self.splits.validation, self.splits.test
        labels = np.concatenate([part.labels for part in parts])
        return Examples([text for part in parts for text in part.texts], labels)

    @cached_property
    def path(self) -> Path:
        """Folder of MiniLM."""
        return model_path(MINILM)[0]

    def examples(self, seed: int) -> Examples:
        """The training examples of a pair."""
        return subset(self.splits.train, self.n_train, seed)


def prepare() -> Work:
    """SST-2 from the mirror or the Hub, offline the sentences that stand in for it."""
    everything = load(DATASET, profile="quick", validation_limit=0)
    n = len(everything.train)
    splits = load(DATASET, profile="quick", validation_limit=min(4000, n // 4))
    return Work(splits, n_train=min(2000, len(splits.train)))


def tuning_speed() -> Iterator[SpeedComparison]:
    """Fine-tuning beside two recipes of `Trainer`."""
    yield from _on_sst2(_recipes)


def features_speed() -> Iterator[SpeedComparison]:
    """Features beside two libraries.

    Last, all frozen-feature methods and probes of one training set together, beside one fine-tuning
    on it.
    """
    yield from _on_sst2(feature_speed)
    yield from _on_sst2(lambda work: [ladder_speed(work)])


def _on_sst2(compare: Callable[[Work], Iterable[SpeedComparison]]) -> Iterator[SpeedComparison]:
    work = prepare()
    for each in compare(work):
        yield replace(each, data=work.splits.source.location)


def _recipes(work: Work) -> Iterator[SpeedComparison]:
    recipes: list[tuple[int, Padding, str]] = [
        (32, "max_length", "Trainer padded to 128"),
        (32, "longest", "Trainer with dynamic padding"),
        (16, "longest", "Trainer with dynamic padding"),
    ]
    for batch_size, padding, recipe in recipes:
        yield fine_tuning_speed(
            f"fine-tuning, batch {batch_size}, ours : {recipe}", work, batch_size, padding
        )
    if runtime.device().type == "cuda":
        yield matrix_rate(work)


def matrix_rate(
    work: Work, config: Any = None, batch_size: int = 32, n_pairs: int = N_SEEDS
) -> SpeedComparison:
    """Fine-tuning of an encoder of BERT-base's shape, beside bare matrix products.

    The ratio is the share of the rate of the products that the training reaches, with loading,
    tokenising and the optimiser in its time, and padding not in its work: the products have as many
    FLOPs as the encoder's passes over the real tokens, one forward and two backward. The weights
    are drawn at random, which changes nothing for the time.
    """
    from transformers import AutoModel, BertConfig

    config = config or BertConfig()
    encoder = AutoModel.from_config(config).float()
    train_ours = ours_on(work, batch_size, encoder)
    lengths = tokenise(work.examples(0).texts, work.path, MAX_LENGTH).lengths()
    flops = 3 * work.epochs * sum(forward_flops(config, 1, int(length)) for length in lengths)
    n_updates = work.epochs * math.ceil(len(lengths) / batch_size)
    product = matrix_products(flops / n_updates)

    def products() -> None:
        for _ in range(n_updates):
            product()

    n_layers, width = config.num_hidden_layers, config.hidden_size
    return compare_speed(
        f"fine-tuning, {n_layers}-layer/{width}, batch {batch_size}, ours : matrix products",
        lambda: train_ours(0),
        products,
        n_pairs,
        n_warm_up=1,
    )


@dataclass
class Trainings:
    """Trains a model anew in each call, with the next seed, and keeps what it can do."""

    run: Callable[[int], Callable[[], NDArray[np.bool_]]]
    right: list[Callable[[], NDArray[np.bool_]]] = field(default_factory=list)

    def __call__(self) -> None:
        self.right.append(self.run(len(self.right)))

    def table(self) -> NDArray[np.float64]:
        """Which test sentences each training got right, (n_seeds, n_test)."""
        return np.stack([right() for right in self.right]).astype(np.float64)


def fine_tuning_speed(
    comparison: str,
    work: Work,
    batch_size: int,
    padding: Padding,
    n_seeds: int = N_SEEDS,
) -> SpeedComparison:
    """Our loop beside `Trainer`, a training a call."""
    short = replace(work, n_train=2 * batch_size, epochs=1)
    for start in (ours_on(short, batch_size), theirs_on(short, batch_size, padding)):
        start(0)  # imports, thread pools
    ours = Trainings(ours_on(work, batch_size))
    theirs = Trainings(theirs_on(work, batch_size, padding))
    timed = compare_speed(comparison, ours, theirs, n_seeds, n_warm_up=0)
    return with_scores(timed, ours.table(), theirs.table())


def with_scores(
    timed: SpeedComparison, ours: NDArray[np.float64], theirs: NDArray[np.float64]
) -> SpeedComparison:
    """The comparison with both accuracies, from tables of right answers (n_seeds, n_test)."""
    return replace(
        timed,
        score=float(ours.mean()),
        their_score=float(theirs.mean()),
        score_low=hierarchical_bootstrap(ours - theirs).low,
    )


def ours_on(
    work: Work, batch_size: int, encoder: Any = None
) -> Callable[[int], Callable[[], NDArray[np.bool_]]]:
    """Trains by our loop, with the settings that `Trainer` has by default; MiniLM, or `encoder`."""
    encoder = encoder or load_encoder(work.path, dropout=DROPOUT)

    def run(seed: int) -> Callable[[], NDArray[np.bool_]]:
        runtime.seed_everything(seed)
        examples = work.examples(seed)
        model = TextClassifier(deepcopy(encoder), 2).to(runtime.device())
        tokenised = tokenise(examples.texts, work.path, MAX_LENGTH)
        n_updates = work.epochs * math.ceil(len(examples) / batch_size)
        batches = training_batches(tokenised.lengths(), batch_size, n_updates, seed)

        def make_batch(indices: NDArray[np.int64]) -> Any:
            device = runtime.device()
            labels = torch.from_numpy(examples.labels[indices])
            return tokenised.batch(indices.tolist(), device), labels.to(device)

        settings = Settings(LEARNING_RATE, n_updates, warmup=0.0, weight_decay=0.0, n_evaluations=1)
        train(model, batches, make_batch, lambda model: 0.0, settings)
        test = work.test

        def right() -> NDArray[np.bool_]:
            found = predict(model, tokenise(test.texts, work.path, MAX_LENGTH))
            return np.asarray(found.argmax(axis=1) == test.labels)

        return right

    return run


def theirs_on(
    work: Work, batch_size: int, padding: Padding
) -> Callable[[int], Callable[[], NDArray[np.bool_]]]:
    """The library's recipe: `Trainer`, all its settings as they come.

    With the padding "max_length" as `run_glue.py` does it, with "longest" as the library's notebook
    on text classification.
    """
    from datasets import Dataset
    from transformers import (
        AutoModelForSequenceClassification,
        AutoTokenizer,
        DataCollatorWithPadding,
        PrinterCallback,
        Trainer,
        TrainingArguments,
    )
    from transformers.utils import logging

    logging.disable_progress_bar()
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()  # the classifier is new: no need to say so
    pristine = AutoModelForSequenceClassification.from_pretrained(work.path, dtype=torch.float32)
    logging.set_verbosity(verbosity)
    tokenizer: Any = AutoTokenizer.from_pretrained(work.path)
    precision = runtime.precision().name

    def tokenised(examples: Examples) -> Any:
        rows = Dataset.from_dict({"sentence": examples.texts, "label": examples.labels.tolist()})
        return rows.map(
            lambda batch: tokenizer(
                batch["sentence"],
                padding="max_length" if padding == "max_length" else False,
                max_length=MAX_LENGTH,
                truncation=True,
            ),
            batched=True,
        )

    def run(seed: int) -> Callable[[], NDArray[np.bool_]]:
        runtime.seed_everything(seed)
        model = deepcopy(pristine)
        model.classifier.reset_parameters()
        torch.nn.init.normal_(model.classifier.weight, std=model.config.initializer_range)
        trainer = Trainer(
            model,
            TrainingArguments(
                output_dir=str(runtime.runs_dir() / "cache" / "trainer"),
                num_train_epochs=work.epochs,
                per_device_train_batch_size=batch_size,
                learning_rate=LEARNING_RATE,
                seed=seed,
                bf16=precision == "bf16",
                fp16=precision == "fp16",
                use_cpu=runtime.device().type == "cpu",
                save_strategy="no",
                report_to=[],
                disable_tqdm=True,
            ),
            train_dataset=tokenised(work.examples(seed)),
            data_collator=DataCollatorWithPadding(tokenizer),
            processing_class=tokenizer,
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
        test = work.test

        def right() -> NDArray[np.bool_]:
            def logits(**inputs: torch.Tensor) -> torch.Tensor:
                output: torch.Tensor = model(**inputs).logits
                return output

            model.eval()
            found = predict(_Calls(logits), tokenise(test.texts, work.path, MAX_LENGTH))
            return np.asarray(found.argmax(axis=1) == test.labels)

        return right

    return run


class _Calls(torch.nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[..., torch.Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, **inputs: torch.Tensor) -> torch.Tensor:
        return self.function(**inputs)


def feature_speed(work: Work, n_pairs: int = N_PAIRS_OF_FEATURES) -> Iterator[SpeedComparison]:
    """Mean vectors of sentences, from raw text, by models that are loaded already.

    The score is the accuracy of logistic regression on them.
    """
    from sentence_transformers import SentenceTransformer
    from transformers import pipeline
    from transformers.utils import logging

    logging.disable_progress_bar()
    examples, test = work.examples(0), work.test
    texts, device = work.splits.test.texts, runtime.device()
    encoder = in_float32(load_encoder(work.path).eval())
    library = SentenceTransformer(str(work.path), device=str(device))
    library.max_seq_length = MAX_LENGTH
    pipe: Any = pipeline(
        "feature-extraction", model=str(work.path), dtype=torch.float32, device=device
    )

    def ours(model: Any, int8: bool = False) -> Callable[[list[str]], NDArray[Any]]:
        return lambda texts: compute(model, tokenise(texts, work.path, MAX_LENGTH), int8=int8)[0]

    def encode(texts: list[str]) -> NDArray[Any]:
        return np.asarray(library.encode(texts, show_progress_bar=False))

    def piped(texts: list[str]) -> NDArray[Any]:
        # One text at a time, as it comes: in batches it gives the states of the padding, too.
        found = pipe(texts, truncation=True, return_tensors=True)
        return np.stack([states[0].mean(dim=0).numpy() for states in found])

    sides = [("float32", ours(encoder), "encode", encode)]
    if device.type == "cpu":
        in_8_bits = ours(in_int8(load_encoder(work.path).eval()), int8=True)
        sides.append(("int8", in_8_bits, "encode", encode))
    sides.append(("float32", ours(encoder), "feature-extraction pipeline", piped))
    for precision, one, name, other in sides:
        timed = compare_speed(
            f"feature extraction, ours in {precision} : {name} in float32",
            partial(one, texts),
            partial(other, texts),
            n_pairs,
            n_warm_up=1,
        )
        yield with_scores(timed, *(_right(call, examples, test) for call in (one, other)))


def _right(
    extract: Callable[[list[str]], NDArray[Any]], examples: Examples, test: Examples
) -> NDArray[np.float64]:
    """Which sentences logistic regression on the features gets right, (1, n_test)."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    strength = METHODS["frozen"].defaults["C"]
    classifier = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=1000))
    classifier.fit(extract(examples.texts), examples.labels)
    found = classifier.predict(extract(test.texts))
    return np.asarray(found == test.labels, dtype=np.float64)[np.newaxis]


def ladder_speed(work: Work, n_pairs: int = N_SEEDS) -> SpeedComparison:
    """All frozen features and probes of each layer, beside one fine-tuning on the same examples.

    Above 1, all of them together take less time. Both as in lesson 05, with an empty cache.
    """
    import tempfile

    n_layers = load_encoder(work.path).config.num_hidden_layers
    probes = [f"probe-{layer}" for layer in range(n_layers + 1)]
    frozen = [name for name in METHODS if name.startswith("frozen")]
    frozen = [name for name in frozen if "text-classification" in METHODS[name].tasks]

    n_validation = min(100, len(work.splits.validation))
    validation = work.splits.validation.take(np.arange(n_validation))

    def adapt(names: list[str]) -> Callable[[], None]:
        def run() -> None:
            with tempfile.TemporaryDirectory() as cache:
                for name in names:
                    method = get_method(name)
                    method.fit(
                        Problem(
                            train=work.examples(0),
                            validation=validation,
                            evaluation=work.splits.test,
                            n_classes=2,
                            seed=0,
                            max_length=MAX_LENGTH,
                            hyper=method.defaults,
                            model_path=work.path,
                            cache=Path(cache),
                        )
                    )

        return run

    names = [*(name for name in frozen if name != "frozen-random"), *probes]
    return compare_speed(
        f"{len(names)} frozen-feature methods and probes together : one fine-tuning",
        adapt(names),
        adapt(["full"]),
        n_pairs,
        n_warm_up=0,
    )
