"""Exercises of lesson 01: a baseline, a sentence from its tokens, and reading a learning curve."""

import numpy as np
import torch

from utils.lesson.exercise import Exercise, Mistake

# --- 01.1 -----------------------------------------------------------------------------------------


def majority_accuracy(train_labels: np.ndarray, test_labels: np.ndarray) -> float:
    """Accuracy on the test set of always predicting the commonest training label."""
    values, counts = np.unique(train_labels, return_counts=True)
    return float(np.mean(test_labels == values[counts.argmax()]))


def _most_frequent(labels: np.ndarray) -> int:
    return max(sorted(set(labels.tolist())), key=labels.tolist().count)


def _label_cases(rng: np.random.Generator) -> list[tuple]:
    cases = [(np.array([1, 1, 0]), np.array([1, 0, 0, 0])), (np.array([2, 2, 0]), np.array([2, 2]))]
    for n_classes in (2, 3, 4):
        # The commonest label of train is not that of test, and not always the largest.
        train = np.append(rng.integers(n_classes, size=15), [n_classes // 2] * 8)
        test = np.append(rng.integers(n_classes, size=11), [0] * 7)
        cases.append((train, test))
    return cases


MAJORITY = Exercise(
    number="01.1",
    title="The baseline that learns nothing",
    difficulty=1,
    minutes=5,
    prompt="""
Before any model, know what no model achieves. Write `majority_accuracy(train_labels, test_labels)`:
find the commonest label in the training set, predict it for every test example, and return the
accuracy as a float between 0 and 1. Both arguments are NumPy arrays of class numbers.
""",
    hints=(
        "A prediction may use what is known before the test: which labels are known then?",
        "`np.unique(labels, return_counts=True)` gives the labels and how often each occurs.",
        "Compare `test_labels` with one number. The mean of the result is the accuracy.",
    ),
    solution=majority_accuracy,
    cases=_label_cases,
    mistakes=(
        Mistake(
            "the label was chosen on the test set",
            "Your baseline predicts the commonest label of the *test* set. It must choose with "
            "the training labels alone, or it knows something about the answers.",
            lambda train, test: float(np.mean(test == _most_frequent(test))),
        ),
        Mistake(
            "accuracy on the training set",
            "You return how often the label occurs in *training*. The question is how often it is "
            "right on the test set.",
            lambda train, test: float(np.mean(train == _most_frequent(train))),
        ),
        Mistake(
            "error rate instead of accuracy",
            "You return the share of test examples that the baseline gets wrong.",
            lambda train, test: float(np.mean(test != _most_frequent(train))),
        ),
        Mistake(
            "a count instead of a share",
            "You return how many test examples are right. Divide by the number of test examples.",
            lambda train, test: float(np.sum(test == _most_frequent(train))),
        ),
        Mistake(
            "a percentage instead of a share",
            "You return per cent. In this course an accuracy lies between 0 and 1.",
            lambda train, test: 100 * float(np.mean(test == _most_frequent(train))),
        ),
        Mistake(
            "the largest label instead of the commonest",
            "You predict the largest class number. Which label occurs most *often*?",
            lambda train, test: float(np.mean(test == train.max())),
        ),
        Mistake(
            "the rarest label instead of the commonest",
            "You predict the label that occurs least often.",
            lambda train, test: float(
                np.mean(test == min(sorted(set(train.tolist())), key=train.tolist().count))
            ),
        ),
    ),
)

# --- 01.2 -----------------------------------------------------------------------------------------


def mean_pooling(hidden_states: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
    """Mean of the real tokens of each sentence, (batch, hidden)."""
    weights = attention_mask.unsqueeze(-1).to(hidden_states.dtype)  # (batch, tokens, 1)
    return (hidden_states * weights).sum(dim=1) / weights.sum(dim=1)


def _token_cases(rng: np.random.Generator) -> list[tuple]:
    small = torch.tensor([[[1.0, 2.0], [3.0, 4.0], [9.0, 9.0]]]), torch.tensor([[1, 1, 0]])
    cases: list[tuple] = [small]
    # No two sizes are equal, so that an axis taken for another shows.
    for lengths, n_tokens, hidden in (([5, 2], 5, 3), ([1, 4, 6], 7, 2)):
        states = torch.tensor(rng.normal(1.0, 1.0, (len(lengths), n_tokens, hidden)))
        mask = torch.arange(n_tokens) < torch.tensor(lengths).unsqueeze(1)
        cases.append((states.float(), mask.long()))
    return cases


MEAN_POOLING = Exercise(
    number="01.2",
    title="From tokens to a sentence",
    difficulty=2,
    minutes=10,
    prompt="""
A frozen encoder gives one vector per token; a classifier wants one per sentence. Write
`mean_pooling(hidden_states, attention_mask)`, which averages the vectors of the *real* tokens.

| symbol | variable | shape |
|---|---|---|
| $h_{bt}$ | `hidden_states` | (batch, tokens, hidden), floats |
| $m_{bt}$ | `attention_mask` | (batch, tokens), 1 for a real token, 0 for padding |
| $\\bar h_b = \\sum_t m_{bt} h_{bt} \\,/\\, \\sum_t m_{bt}$ | result | (batch, hidden), floats |
""",
    hints=(
        "Padding must count neither in the sum nor in the number that you divide by.",
        "`attention_mask.unsqueeze(-1)` has the shape (batch, tokens, 1), which multiplies "
        "`hidden_states`.",
        "Multiply, sum over `dim=1`, and divide by the sum of the mask over `dim=1`.",
    ),
    solution=mean_pooling,
    cases=_token_cases,
    mistakes=(
        Mistake(
            "padding counted",
            "You average over all positions, padding included. A short sentence in a batch with a "
            "long one then gets another vector than alone.",
            lambda h, m: h.mean(dim=1),
        ),
        Mistake(
            "divided by the padded length",
            "Padding is left out of the sum, but you still divide by the number of *all* "
            "positions, so short sentences come out too small.",
            lambda h, m: (h * m.unsqueeze(-1)).mean(dim=1),
        ),
        Mistake(
            "a sum instead of a mean",
            "You add the vectors of the real tokens and do not divide, so long sentences come out "
            "larger than short ones.",
            lambda h, m: (h * m.unsqueeze(-1)).sum(dim=1),
        ),
        Mistake(
            "divided by the real tokens, but padding summed",
            "You divide by the number of real tokens, but the sum still contains padding.",
            lambda h, m: h.sum(dim=1) / m.sum(dim=1, keepdim=True),
        ),
        Mistake(
            "one length for the whole batch",
            "You divide by the number of real tokens in the whole batch. Each sentence has its "
            "own.",
            lambda h, m: (h * m.unsqueeze(-1)).sum(dim=1) / m.sum(),
        ),
        Mistake(
            "averaged over the hidden axis",
            "You average the numbers *within* each token's vector. Average over the tokens.",
            lambda h, m: h.mean(dim=2),
        ),
        Mistake(
            "averaged over the batch",
            "You average different sentences with each other. Average over the tokens.",
            lambda h, m: h.mean(dim=0),
        ),
        Mistake(
            "only the first token",
            "You return the first token's vector. That is another way of pooling (CLS); here all "
            "real tokens count.",
            lambda h, m: h[:, 0],
        ),
        Mistake(
            "mask the wrong way round",
            "You average the padding and leave the real tokens out.",
            lambda h, m: (h * (1 - m).unsqueeze(-1)).sum(dim=1) / (1 - m).sum(dim=1, keepdim=True),
        ),
    ),
)

# --- 01.3 -----------------------------------------------------------------------------------------


def labels_needed(sizes: list[int], accuracies: np.ndarray, target: float) -> float:
    """Smallest number of labels whose mean accuracy over seeds reaches `target`."""
    reached = accuracies.mean(axis=1) >= target
    return float(sizes[reached.argmax()]) if reached.any() else float("inf")


def _first(sizes: list[int], reached: np.ndarray) -> float:
    return next((float(n) for n, yes in zip(sizes, reached, strict=True) if yes), float("inf"))


def _curve_cases(rng: np.random.Generator) -> list[tuple]:
    small = np.array([[0.5, 0.7], [0.75, 0.75], [0.8, 0.9]])
    cases: list[tuple] = [
        ([16, 64, 250], small, 0.75),  # reached exactly
        ([16, 64, 250], small, 0.95),  # never reached
        ([16, 64], np.array([[0.5, 0.9], [0.85, 0.85]]), 0.8),  # by one seed only
        ([16, 64], np.array([[0.2, 0.8, 0.8], [0.8, 0.8, 0.8]]), 0.7),  # one seed failed
    ]
    for target in (0.66, 0.72, 0.78):
        curve = np.linspace(0.55, 0.85, 6)[:, np.newaxis] + rng.normal(0, 0.06, (6, 4))
        cases.append(([16, 32, 64, 128, 256, 512], curve, target))
    return cases


LABELS_NEEDED = Exercise(
    number="01.3",
    title="How many labels does it save?",
    difficulty=2,
    minutes=10,
    prompt="""
Two learning curves are best compared across: how many labels does each method need to be equally
good? Write `labels_needed(sizes, accuracies, target)`. `sizes` are numbers of labels, growing;
`accuracies` is an array of shape (sizes, seeds). Return the smallest size at which the *mean* over
the seeds is at least `target`, as a float, and `float("inf")` if none is.
""",
    hints=(
        "First make one curve out of the seeds, then look for the place where it crosses.",
        "`accuracies.mean(axis=1)` has one number per size; compare it with the target.",
        "`reached.argmax()` is the position of the first `True`, but 0 if there is none: test "
        "`reached.any()` first.",
    ),
    solution=labels_needed,
    cases=_curve_cases,
    mistakes=(
        Mistake(
            "the best seed instead of the mean",
            "You stop at the first size where *some* seed reaches the target. The best of several "
            "seeds flatters every method, the unstable ones most.",
            lambda sizes, a, target: _first(sizes, a.max(axis=1) >= target),
        ),
        Mistake(
            "every seed instead of the mean",
            "You stop at the first size where *all* seeds reach the target. Asked is the mean.",
            lambda sizes, a, target: _first(sizes, a.min(axis=1) >= target),
        ),
        Mistake(
            "the median instead of the mean",
            "You take the median over the seeds, which hides a run that failed. Asked is the mean.",
            lambda sizes, a, target: _first(sizes, np.median(a, axis=1) >= target),
        ),
        Mistake(
            "above instead of at least",
            "A mean that equals the target exactly reaches it.",
            lambda sizes, a, target: _first(sizes, a.mean(axis=1) > target),
        ),
        Mistake(
            "the position instead of the number of labels",
            "You return where in `sizes` it is, not the size itself.",
            lambda sizes, a, target: _first(list(range(len(sizes))), a.mean(axis=1) >= target),
        ),
        Mistake(
            "the first size when the target is never reached",
            "If no size reaches the target, `argmax` gives 0: the first size. Return infinity.",
            lambda sizes, a, target: float(sizes[(a.mean(axis=1) >= target).argmax()]),
        ),
        Mistake(
            "the last size when the target is never reached",
            "If no size reaches the target, you return the largest. Return infinity.",
            lambda sizes, a, target: min(_first(sizes, a.mean(axis=1) >= target), float(sizes[-1])),
        ),
        Mistake(
            "only the first seed",
            "You look at one seed. The others would have told you how much it happens to differ.",
            lambda sizes, a, target: _first(sizes, a[:, 0] >= target),
        ),
    ),
)

EXERCISES = (MAJORITY, MEAN_POOLING, LABELS_NEEDED)
