"""All methods by name. A new method is a function `Problem → Outcome` and an entry here."""

from utils.adaptation.method import Hyper, Method
from utils.errors import CourseError

_GRADIENT = {"batch_size": 32, "min_updates": 150, "weight_decay": 0.01, "dropout": 0.0}

_OF_TEXTS = ("text-classification", "sentence-pairs")

_WITH_ENCODER = (*_OF_TEXTS, "tagging")
"""Tasks that are solved by an encoder and a linear layer."""

_WITH_SPANS = (*_WITH_ENCODER, "question-answering")
"""And these, where the layer may also choose the first and the last token of an answer."""

_PRETRAINING: Hyper = {
    "vocab_size": 8192,
    "d_model": 128,
    "n_layers": 2,
    "n_heads": 2,
    "batch_size": 32,
    "n_steps": 1500,
    "optimizer": "muon",
    "learning_rate": 3e-3,
    "muon_learning_rate": 3e-3,
    "warmup": 0.2,
    "n_evaluations": 10,
    "start": "counts",
}


_MASKING: Hyper = {
    "rate": 0.15,
    "mask_share": 0.8,
    "random_share": 0.1,
    "whole_words": False,
    "negatives": "",
}


def _pretraining(name: str, title: str, **changes: float | str | bool) -> Method:
    """Masked language modelling as BERT does it, but for `changes`."""
    hyper = {**_PRETRAINING, **_MASKING, **changes}
    return _trained_on_text(name, title, "masked_language_model", "language-modelling", hyper)


def _objective(name: str, title: str, function: str, **hyper: float | str | bool) -> Method:
    """A way to pre-train for lesson 04; with `flops` in place of `n_steps`, as long as it takes."""
    defaults = {**_PRETRAINING, **hyper}
    return _trained_on_text(name, title, function, "pretraining-objectives", defaults)


def _trained_on_text(name: str, title: str, function: str, task: str, hyper: Hyper) -> Method:
    return Method(
        name=name,
        title=title,
        version=1,
        needs_model=False,
        defaults=hyper,
        candidates=[],
        implementation=f"utils.adaptation.language_modelling:{function}",
        tasks=(task,),
    )


def _extractive(
    name: str,
    title: str,
    function: str,
    n_units: int,
    *,
    tuned: bool = True,
    needs_model: bool = False,
    **hyper: float,
) -> Method:
    """A summary of units of the text itself; how many is tuned, or given."""
    return Method(
        name=name,
        title=title,
        version=1,
        needs_model=needs_model,
        defaults={"n_units": n_units, **hyper},
        candidates=[{"n_units": n} for n in (1, 2, 3)] if tuned else [],
        implementation=f"utils.adaptation.extraction:{function}",
        tasks=("summarisation",),
    )


def _translating(
    name: str, title: str, function: str, *, needs_model: bool = False, **hyper: float
) -> Method:
    """An encoder–decoder that translates; all are trained alike and none is tuned."""
    shape = {"n_layers": 3} if needs_model else {"d_model": 256, "n_layers": 3, "n_heads": 4}
    training = {
        "batch_size": 64,
        "learning_rate": 1e-3,
        "epochs": 15,
        "min_updates": 1000,
        "weight_decay": 0.01,
        "label_smoothing": 0.1,
        "dropout": 0.3,
        "mixed_precision": True,
    }
    return Method(
        name=name,
        title=title,
        version=1,
        needs_model=needs_model,
        defaults={
            "vocab_size": 8000,
            **shape,
            **training,
            "n_beams": 5,
            "length_penalty": 1.0,
            **hyper,
        },
        candidates=[],
        implementation=f"utils.adaptation.translation:{function}",
        tasks=("translation",),
    )


def _untrained_translation(name: str, title: str, function: str) -> Method:
    return Method(
        name=name,
        title=title,
        version=1,
        needs_model=False,
        defaults={},
        candidates=[],
        implementation=f"utils.adaptation.lexical_translation:{function}",
        tasks=("translation",),
    )


def _frozen(
    name: str,
    title: str,
    version: int = 1,
    tasks: tuple[str, ...] = _WITH_ENCODER,
    **hyper: str | int,
) -> Method:
    """A linear classifier on other features of the frozen encoder, see `features.frozen`."""
    return Method(
        name=name,
        title=title,
        version=version,
        needs_model=True,
        defaults={"C": 0.01, **hyper},
        candidates=[{"C": 0.001}, {"C": 0.01}, {"C": 0.1}],
        implementation="utils.adaptation.features:frozen",
        tasks=tasks,
    )


_DEEPEST = 12
"""Layers of the deepest encoder that is probed layer by layer: BERT-base."""


def _probe(layer: int) -> Method:
    """A linear classifier on the mean hidden state of one layer; 0 are the embeddings."""
    title = f"Probe of layer {layer}" if layer else "Probe of the embeddings"
    return _frozen(f"probe-{layer}", title, features="layer", layer=layer)


def _fine_tuning(
    name: str,
    title: str,
    function: str,
    rates: list[float],
    tasks: tuple[str, ...] = _WITH_ENCODER,
    **hyper: float,
) -> Method:
    """A way of fine-tuning, with three learning rates to choose from; the middle one is default."""
    return Method(
        name=name,
        title=title,
        version=1,
        needs_model=True,
        defaults={**_GRADIENT, "learning_rate": rates[1], "epochs": 3, **hyper},
        candidates=[{"learning_rate": rate} for rate in rates],
        implementation=f"utils.adaptation.fine_tuning:{function}",
        tasks=tasks,
    )


METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method(
            name="majority",
            title="Majority class",
            version=1,
            needs_model=False,
            defaults={},
            candidates=[],
            implementation="utils.adaptation.baselines:majority",
            tasks=_OF_TEXTS,
        ),
        Method(
            name="tfidf",
            title="TF-IDF + logistic regression",
            version=1,
            needs_model=False,
            defaults={"C": 10.0},
            candidates=[{"C": 1.0}, {"C": 10.0}, {"C": 100.0}],
            implementation="utils.adaptation.baselines:tfidf",
            tasks=_OF_TEXTS,
        ),
        Method(
            name="word-lookup",
            title="Most frequent tag of each word",
            version=1,
            needs_model=False,
            defaults={},
            candidates=[],
            implementation="utils.adaptation.baselines:word_lookup",
            tasks=("tagging",),
        ),
        Method(
            name="span-baseline",
            title="Words near those of the question",
            version=1,
            needs_model=False,
            defaults={},
            candidates=[],
            implementation="utils.adaptation.span_baseline:span_baseline",
            tasks=("question-answering",),
        ),
        _fine_tuning(
            "frozen-spans",
            "Frozen features + linear span head",
            "head_only",
            [3e-3, 1e-2, 3e-2],
            tasks=("question-answering",),
        ),
        Method(
            name="frozen",
            title="Frozen features + logistic regression",
            version=1,
            needs_model=True,
            defaults={"C": 0.01},
            candidates=[{"C": 0.001}, {"C": 0.01}, {"C": 0.1}],
            implementation="utils.adaptation.features:frozen",
            tasks=_WITH_ENCODER,
        ),
        _frozen("frozen-cls", "Frozen [CLS]", tasks=_OF_TEXTS, features="cls"),
        _frozen("frozen-second-to-last", "Frozen, second-to-last layer", features="second-to-last"),
        _frozen("frozen-last-four", "Frozen, last four layers joined", features="last-four"),
        _frozen(
            "frozen-mixture-last-four",
            "Frozen, mixture of the last four",
            version=2,
            features="mixture-last-four",
        ),
        _frozen("frozen-mixture", "Frozen, mixture of all layers", version=2, features="mixture"),
        _frozen("frozen-int8", "Frozen features in 8 bits", int8=1),
        *map(_probe, range(_DEEPEST + 1)),
        Method(
            name="frozen-random",
            title="Frozen random features + logistic regression",
            version=1,
            needs_model=True,
            defaults={"C": 0.01},
            candidates=[{"C": 0.001}, {"C": 0.01}, {"C": 0.1}],
            implementation="utils.adaptation.features:frozen_random",
            tasks=_WITH_ENCODER,
        ),
        Method(
            name="full",
            title="Fine-tuning",
            version=1,
            needs_model=True,
            defaults={**_GRADIENT, "learning_rate": 1e-4, "epochs": 3},
            candidates=[{"learning_rate": 5e-5}, {"learning_rate": 1e-4}, {"learning_rate": 2e-4}],
            implementation="utils.adaptation.fine_tuning:full",
            tasks=_WITH_SPANS,
        ),
        _fine_tuning(
            "full-short",
            "Fine-tuning, BERT's recipe",
            "full",
            [2e-5, 3e-5, 5e-5],
            epochs=3,
            min_updates=1,
            dropout=0.1,
        ),
        _fine_tuning(
            "full-long",
            "Fine-tuning, 20 epochs",
            "full",
            [2e-5, 5e-5, 1e-4],
            epochs=20,
        ),
        Method(
            name="further-pretraining",
            title="Further pre-training, then fine-tuning",
            version=1,
            needs_model=True,
            defaults={
                **_GRADIENT,
                "learning_rate": 1e-4,
                "epochs": 3,
                "further_updates": 500,
                "further_learning_rate": 1e-4,
            },
            candidates=[{"learning_rate": 5e-5}, {"learning_rate": 1e-4}, {"learning_rate": 2e-4}],
            implementation="utils.adaptation.further_pretraining:further_pretraining",
            tasks=_WITH_ENCODER,
        ),
        _fine_tuning(
            "layer-decay",
            "Fine-tuning, lower layers more slowly",
            "full",
            [1e-4, 2e-4, 4e-4],
            layer_decay=0.8,
        ),
        _fine_tuning(
            "gradual-unfreezing",
            "Gradual unfreezing",
            "gradual_unfreezing",
            [5e-5, 1e-4, 2e-4],
            unfrozen_by=0.5,
        ),
        _fine_tuning("top-layers", "Top 2 layers", "top_layers", [2e-4, 5e-4, 1e-3], top_layers=2),
        _fine_tuning("adapters", "Adapters", "adapters", [3e-4, 1e-3, 3e-3], bottleneck=48),
        _fine_tuning(
            "lora", "LoRA", "lora", [5e-4, 1e-3, 2e-3], tasks=_WITH_SPANS, rank=8, alpha=16
        ),
        _fine_tuning("bitfit", "BitFit", "bitfit", [5e-4, 1e-3, 3e-3]),
        Method(
            name="random-init",
            title="Random initialisation",
            version=1,
            needs_model=True,
            defaults={**_GRADIENT, "learning_rate": 1e-4, "epochs": 8},
            candidates=[{"learning_rate": 1e-4}, {"learning_rate": 3e-4}, {"learning_rate": 1e-3}],
            implementation="utils.adaptation.fine_tuning:random_init",
            tasks=_WITH_SPANS,
        ),
        Method(
            name="encoder-decoder",
            title="Encoder–decoder from random weights",
            version=2,
            needs_model=False,
            defaults={
                "batch_size": 64,
                "learning_rate": 2e-3,
                "epochs": 1,
                "min_updates": 1,
                "weight_decay": 0.01,
                "d_model": 64,
                "n_layers": 2,
                "n_heads": 4,
            },
            candidates=[],
            implementation="utils.adaptation.sequence_to_sequence:encoder_decoder",
            tasks=("sequence-copying",),
        ),
        Method(
            name="warm-start",
            title="Warm start",
            version=1,
            needs_model=True,
            defaults={
                "batch_size": 32,
                "learning_rate": 1e-3,
                "epochs": 3,
                "min_updates": 150,
                "weight_decay": 0.01,
            },
            candidates=[{"learning_rate": rate} for rate in (5e-4, 1e-3, 2e-3)],
            implementation="utils.adaptation.sequence_to_sequence:warm_start",
            tasks=("question-generation", "summarisation"),
        ),
        _extractive("lead-3", "First three", "lead", 3, tuned=False),
        _extractive("lead", "First k", "lead", 3),
        _extractive("centroid", "Nearest to the centroid", "centroid", 3, needs_model=True),
        _extractive("mmr", "MMR", "mmr", 3, needs_model=True, relevance=0.7),
        _extractive("oracle-extractive", "Oracle, sees the summary", "oracle", 3, tuned=False),
        Method(
            name="one-summary-for-all",
            title="One summary for all",
            version=1,
            needs_model=False,
            defaults={},
            candidates=[],
            implementation="utils.adaptation.baselines:one_summary_for_all",
            tasks=("summarisation",),
        ),
        _untrained_translation("copy-source", "The source, as it is", "copy_source"),
        _untrained_translation("word-by-word", "Word by word (IBM Model 1)", "word_by_word"),
        _translating("seq2seq", "Encoder–decoder from scratch", "from_scratch"),
        _translating(
            "seq2seq-unsmoothed",
            "From scratch, no label smoothing",
            "from_scratch",
            label_smoothing=0.0,
        ),
        _translating(
            "seq2seq-denoising",
            "Encoder–decoder after denoising",
            "from_denoising",
            denoising_updates=3000,
        ),
        _translating(
            "seq2seq-warm-start",
            "Pre-trained encoder, new decoder",
            "from_encoder",
            needs_model=True,
            encoder_rate=0.3,
        ),
        Method(
            name="token-counts",
            title="Token counts, no Transformer",
            version=1,
            needs_model=False,
            defaults={"vocab_size": 8192, "pairs": True},
            candidates=[],
            implementation="utils.adaptation.language_modelling:token_counts",
            tasks=("language-modelling",),
        ),
        _pretraining("mlm", "MLM, 15 % hidden"),
        _pretraining("mlm-bert-start", "MLM, weights drawn as in BERT", start="bert"),
        _pretraining("mlm-drawn-vectors", "MLM, token vectors drawn at random", start="neighbours"),
        _pretraining("mlm-5", "MLM, 5 % hidden", rate=0.05),
        _pretraining("mlm-40", "MLM, 40 % hidden", rate=0.4),
        _pretraining("mlm-mask-only", "MLM, always [MASK]", mask_share=1.0, random_share=0.0),
        _pretraining("mlm-whole-words", "MLM, whole words", whole_words=True),
        _pretraining("mlm-nsp", "MLM + NSP", negatives="other-document"),
        _pretraining("mlm-nsp-hard", "MLM + NSP, same document", negatives="same-document"),
        _objective("objective-mlm", "MLM", "masked_language_model", **_MASKING),
        _objective(
            "objective-mlm-nsp",
            "MLM + NSP",
            "masked_language_model",
            **{**_MASKING, "negatives": "other-document"},
        ),
        _objective("objective-causal", "Causal LM", "causal_language_model"),
        _objective(
            "objective-infilling",
            "Denoising: text infilling",
            "denoising_autoencoder",
            corruption="infilling",
        ),
        _objective(
            "objective-spans",
            "Denoising: span corruption",
            "denoising_autoencoder",
            corruption="spans",
        ),
    )
}


def get_method(name: str) -> Method:
    """The method called `name`; raises `CourseError` with the known names for any other."""
    if name not in METHODS:
        raise CourseError(f"There is no method {name!r}. Choose one of: {', '.join(METHODS)}.")
    return METHODS[name]


def methods_for(task: str) -> list[str]:
    """Names of the methods that solve `task`, in the order of tables."""
    return [method.name for method in METHODS.values() if task in method.tasks]
