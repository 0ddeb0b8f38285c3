"""Does B follow A? What can be said by counting the words that both share, without any order."""

from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray

from utils.pretraining.objectives import MaskedLanguageModelling, MaskedSequences
from utils.pretraining.packing import PackedText, Vocabulary
from utils.pretraining.sentence_pairs import Negatives

_N_PAIRS = 2_048
_AT_ONCE = 256


class OverlapClassifier:
    """Logistic regression on four numbers that compare the bags of tokens of A and B.

    The share of distinct tokens that occur in both (Jaccard), the same weighted by how rare a token
    is (inverse document frequency, Spärck Jones, 1972), the cosine of the two TF-IDF vectors, and
    the weight of the rarest token in common. It sees the same masked pairs as a model does.
    """

    def __init__(
        self,
        text: PackedText,
        vocabulary: Vocabulary,
        length: int,
        negatives: Negatives,
        seed: int = 0,
    ) -> None:
        """Fit on 2,048 pairs of the training text."""
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        self.weights = _rarity(text, vocabulary)
        objective = MaskedLanguageModelling(text, vocabulary, length, negatives=negatives)
        with torch.random.fork_rng():
            torch.manual_seed(seed + 1)  # 0 draws the held-out pairs
            batches = [objective.draw(_AT_ONCE) for _ in range(_N_PAIRS // _AT_ONCE)]
        self.classifier = make_pipeline(StandardScaler(), LogisticRegression()).fit(
            np.concatenate([self.features(batch) for batch in batches]),
            np.concatenate([_answers(batch) for batch in batches]),
        )

    def features(self, batch: MaskedSequences) -> NDArray[np.float64]:
        """The four numbers of each pair, (batch, 4)."""
        if batch.token_type_ids is None:
            raise ValueError("single sequences have no overlap")
        rows = [
            _compare(ids[types == 0], ids[types == 1], self.weights)
            for ids, types in zip(
                batch.input_ids.cpu().numpy(), batch.token_type_ids.cpu().numpy(), strict=True
            )
        ]
        return np.array(rows)

    def judge(self, batch: MaskedSequences, kind: int) -> NDArray[np.float32]:
        """Rows as `language_modelling.score` takes them, (batch, 4)."""
        answers = _answers(batch)
        probabilities = self.classifier.predict_proba(self.features(batch))
        loss = -np.log(probabilities[np.arange(len(answers)), answers])
        right = probabilities.argmax(axis=1) == answers
        columns = [np.full(len(answers), kind), loss, np.full(len(answers), np.log(2)), right]
        return np.stack(columns, axis=1).astype(np.float32)


def _rarity(text: PackedText, vocabulary: Vocabulary) -> NDArray[np.float64]:
    """Inverse document frequency of each token, (size,); 0 for special ones."""
    tokens, starts = text.tokens.cpu().numpy(), text.starts.cpu().numpy()
    n_documents = np.zeros(vocabulary.size)
    for first, last in pairwise(starts):
        n_documents[np.unique(tokens[first:last])] += 1
    rarity = np.log((1 + len(starts)) / (1 + n_documents))
    return rarity * vocabulary.maskable.cpu().numpy()


def _compare(
    a: NDArray[np.int64], b: NDArray[np.int64], weights: NDArray[np.float64]
) -> tuple[float, float, float, float]:
    in_a, n_a = np.unique(a, return_counts=True)
    in_b, n_b = np.unique(b, return_counts=True)
    shared, at_a, at_b = np.intersect1d(in_a, in_b, return_indices=True)
    both = np.union1d(in_a, in_b)
    tf_a, tf_b = n_a * weights[in_a], n_b * weights[in_b]
    norms = float(np.linalg.norm(tf_a) * np.linalg.norm(tf_b))
    return (
        len(shared) / len(both),
        float(weights[shared].sum() / max(float(weights[both].sum()), 1e-9)),
        float(tf_a[at_a] @ tf_b[at_b] / max(norms, 1e-9)),
        float(weights[shared].max(initial=0.0)),
    )


def _answers(batch: MaskedSequences) -> NDArray[np.int64]:
    if batch.is_next is None:
        raise ValueError("single sequences have no next sentence")
    return batch.is_next.cpu().numpy()
