"""All methods by name. A new method is a function `Problem → Outcome` and an entry here."""

from utils.adaptation.method import Method
from utils.errors import CourseError

_GRADIENT = {"batch_size": 32, "min_updates": 150, "weight_decay": 0.01, "dropout": 0.0}

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
        ),
        Method(
            name="tfidf",
            title="TF-IDF + logistic regression",
            version=1,
            needs_model=False,
            defaults={"C": 10.0},
            candidates=[{"C": 1.0}, {"C": 10.0}, {"C": 100.0}],
            implementation="utils.adaptation.baselines:tfidf",
        ),
        Method(
            name="frozen",
            title="Frozen features + logistic regression",
            version=1,
            needs_model=True,
            defaults={"C": 0.01},
            candidates=[{"C": 0.001}, {"C": 0.01}, {"C": 0.1}],
            implementation="utils.adaptation.features:frozen",
        ),
        Method(
            name="full",
            title="Fine-tuning",
            version=1,
            needs_model=True,
            defaults={**_GRADIENT, "learning_rate": 1e-4, "epochs": 3},
            candidates=[{"learning_rate": 5e-5}, {"learning_rate": 1e-4}, {"learning_rate": 2e-4}],
            implementation="utils.adaptation.fine_tuning:full",
        ),
        Method(
            name="random-init",
            title="Random initialisation",
            version=1,
            needs_model=True,
            defaults={**_GRADIENT, "learning_rate": 1e-4, "epochs": 8},
            candidates=[{"learning_rate": 5e-5}, {"learning_rate": 1e-4}, {"learning_rate": 3e-4}],
            implementation="utils.adaptation.fine_tuning:random_init",
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
            task="sequence-copying",
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
    return [method.name for method in METHODS.values() if method.task == task]
