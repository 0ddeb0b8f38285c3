"""Metrics as `evaluate.Metric` classes that need no network.

They have the names and the most used arguments of the metrics that `evaluate.load` fetches from
the Hub. What is computed comes from scikit-learn, seqeval, sacrebleu and rouge-score, or for SQuAD
from `utils.squad_scores`. Each class says where it differs from the Hub's version. Common to all:
no `sample_weight`, no configuration for several labels of one example, and a `CourseError` where
there is no score.
"""

from collections.abc import Sequence
from typing import Any

import evaluate
import numpy as np
from datasets import Features, List, Value
from sklearn import metrics as sklearn_metrics

from utils.errors import CourseError
from utils.squad_scores import exact_match, token_f1

_CLASSES = Features({"predictions": Value("int64"), "references": Value("int64")})
_TEXTS = [
    Features({"predictions": Value("string"), "references": List(Value("string"))}),
    Features({"predictions": Value("string"), "references": Value("string")}),
]
_SKLEARN = "Pedregosa et al., Scikit-learn: Machine Learning in Python, JMLR 12, 2011"


class _OfflineMetric(evaluate.Metric):
    """Keeps everything in memory, and refuses what has no score.

    `compute` raises `CourseError` if there are no examples, or not as many predictions as
    references.
    """

    citation_text = _SKLEARN
    inputs: Any = _CLASSES

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"keep_in_memory": True, **options})

    def _info(self) -> evaluate.MetricInfo:
        first = self.inputs[0] if isinstance(self.inputs, list) else self.inputs
        return evaluate.MetricInfo(
            description=type(self).__doc__ or "",
            citation=self.citation_text,
            inputs_description=f"{', '.join(first)}: one for each example",
            features=self.inputs,
        )

    def compute(self, **arguments: Any) -> dict[str, Any]:
        """As `evaluate.Metric.compute`: the examples by name, then options of the metric."""
        first = self.inputs[0] if isinstance(self.inputs, list) else self.inputs
        given = {name: arguments[name] for name in first if arguments.get(name) is not None}
        lengths = {name: len(values) for name, values in given.items()}
        if lengths and not all(lengths.values()):
            raise CourseError(
                f"{type(self).__name__} has nothing to compute: {_counted(lengths)}. A score of no "
                "examples is not defined."
            )
        if len(set(lengths.values())) > 1:
            raise CourseError(
                f"{type(self).__name__} needs one prediction for each reference, but there are "
                f"{_counted(lengths)}."
            )
        return dict(super().compute(**arguments))


def _counted(lengths: dict[str, int]) -> str:
    return " and ".join(f"{length} {name}" for name, length in lengths.items())


class Accuracy(_OfflineMetric):
    """Share of predictions that equal the reference, in 0..1.

    Unlike the Hub's version it has no `normalize`: the result is always a share.
    """

    def _compute(self, predictions: list[int], references: list[int]) -> dict[str, float]:
        return {"accuracy": float(sklearn_metrics.accuracy_score(references, predictions))}


class _PerClassMetric(_OfflineMetric):
    """A score of each class, or an average over classes, in 0..1.

    `average`: "binary" (of the class `pos_label`), "micro", "macro", "weighted", or None for an
    array with one number for each class. What would be divided by 0 is `zero_division`. Averages
    are over the classes that occur among predictions or references, or over `labels`.

    Unlike the Hub's versions, `zero_division` is 0 without a warning, None gives an array for a
    single class, too, and "binary" raises `CourseError` where there are more than two classes,
    counting `pos_label`.
    """

    name_of_score = ""

    def _compute(
        self,
        predictions: list[int],
        references: list[int],
        labels: Sequence[int] | None = None,
        pos_label: int = 1,
        average: str | None = "binary",
        zero_division: float = 0.0,
    ) -> dict[str, Any]:
        present = sorted({*map(int, predictions), *map(int, references)})
        if average == "binary":
            if len({*present, pos_label}) > 2:
                raise CourseError(
                    f"There are more than two classes ({', '.join(map(str, present))}). Say how to "
                    "average over them: average='macro', 'micro' or 'weighted'."
                )
            labels, average = [pos_label], "macro"  # defined if the class never occurs, too
        compute = getattr(sklearn_metrics, f"{self.name_of_score}_score")
        score = compute(
            references, predictions, labels=labels, average=average, zero_division=zero_division
        )
        return {self.name_of_score: score if average is None else float(score)}


class Precision(_PerClassMetric):
    """Share of the predictions of a class that are right, in 0..1.

    With one class to look at, tp / (tp + fp). `average`: "binary", "micro", "macro", "weighted" or
    None. Unlike the Hub's version, it gives no warning where nothing was predicted.
    """

    name_of_score = "precision"


class Recall(_PerClassMetric):
    """Share of the examples of a class that are found, in 0..1.

    With one class to look at, tp / (tp + fn). `average`: "binary", "micro", "macro", "weighted" or
    None. Unlike the Hub's version, it gives no warning where there is nothing to find.
    """

    name_of_score = "recall"


class F1(_PerClassMetric):
    """Harmonic mean of precision and recall, 2 tp / (2 tp + fp + fn), in 0..1.

    `average`: "binary", "micro", "macro", "weighted" or None. Macro F1 is the mean of the classes'
    F1. A class that occurs neither among predictions nor references is left out; one that is never
    predicted or never right counts as 0. Unlike the Hub's version, it takes `zero_division`.
    """

    name_of_score = "f1"


class MatthewsCorrelation(_OfflineMetric):
    """Correlation of predicted and true class, in -1..1 (Matthews, 1975; Gorodkin, 2004).

    0 where either of them is always the same class, as in the Hub's version.
    """

    def _compute(self, predictions: list[int], references: list[int]) -> dict[str, float]:
        if min(len(set(predictions)), len(set(references))) < 2:
            return {"matthews_correlation": 0.0}  # scikit-learn says the same, with a warning
        score = sklearn_metrics.matthews_corrcoef(references, predictions)
        return {"matthews_correlation": float(score)}


class RocAuc(_OfflineMetric):
    """Chance that a random example of class 1 scores higher than one of class 0; ties count half.

    Takes `prediction_scores` in place of `predictions`, as the Hub's version does. Unlike it, this
    one knows two classes only, has no options (`average`, `max_fpr`, `multi_class`, `labels`), and
    raises `CourseError` where one of the classes does not occur: then there is nothing to compare.
    """

    inputs = Features({"prediction_scores": Value("float64"), "references": Value("int64")})

    def _compute(self, prediction_scores: list[float], references: list[int]) -> dict[str, float]:
        if set(references) != {0, 1}:
            raise CourseError(
                "ROC AUC compares examples of class 1 with those of class 0, but the references "
                f"have the classes {sorted(set(map(int, references)))}."
            )
        return {"roc_auc": float(sklearn_metrics.roc_auc_score(references, prediction_scores))}


class Squad(_OfflineMetric):
    """Exact match and F1 of words of given answers, both in 0..100, as the official scripts do.

    Predictions are `{"id", "prediction_text"}`, references `{"id", "answers": {"text": [...]}}` in
    the same order. A question without an answer has an empty list; as in SQuAD 2.0, only an empty
    prediction is then right.

    The Hub's `squad` follows the script of SQuAD 1.1, which knows no such questions; its `squad_v2`
    has other arguments and results. Unlike `squad`, this one pairs by position (the ids must
    agree), treats texts that are empty after normalisation as the script of SQuAD 2.0 does, and
    needs no `answer_start`, which it leaves out.
    """

    citation_text = "Rajpurkar et al., SQuAD: 100,000+ Questions, EMNLP 2016"
    inputs = Features(
        {
            "predictions": {"id": Value("string"), "prediction_text": Value("string")},
            "references": {"id": Value("string"), "answers": {"text": List(Value("string"))}},
        }
    )

    def add_batch(self, *, references: Any = None, **others: Any) -> None:
        """As for all metrics; of the answers only the texts are kept."""
        if references is not None:
            references = [{**each, "answers": _only_texts(each["answers"])} for each in references]
        super().add_batch(references=references, **others)

    def add(self, *, reference: Any = None, **others: Any) -> None:
        """As for all metrics; of the answers only the texts are kept."""
        if reference is not None:
            reference = {**reference, "answers": _only_texts(reference["answers"])}
        super().add(reference=reference, **others)

    def _compute(self, predictions: list[dict], references: list[dict]) -> dict[str, float]:
        pairs = list(zip(predictions, references, strict=True))
        for given, wanted in pairs:
            if given["id"] != wanted["id"]:
                raise CourseError(
                    f"The prediction {given['id']!r} stands where the reference {wanted['id']!r} "
                    "does. Put both into the same order."
                )
        answers = [(given["prediction_text"], wanted["answers"]["text"]) for given, wanted in pairs]
        return {
            "exact_match": 100 * float(np.mean([exact_match(*pair) for pair in answers])),
            "f1": 100 * float(np.mean([token_f1(*pair) for pair in answers])),
        }


def _only_texts(answers: dict[str, Any]) -> dict[str, Any]:
    return {"text": answers["text"]}


class Seqeval(_OfflineMetric):
    """Precision, recall and F1 of whole entities, for each type and overall, in 0..1.

    Tags are IOB2, a list for each sentence. An entity is right if its first word, last word and
    type are. Where there is nothing to divide by, the score is 0.

    Unlike the Hub's version, it has no options: `suffix`, `scheme` and `mode` stay at the defaults,
    and there is no warning where `zero_division` would give one.
    """

    citation_text = "Nakayama, seqeval, 2018; Tjong Kim Sang and De Meulder, CoNLL 2003"
    inputs = Features({"predictions": List(Value("string")), "references": List(Value("string"))})

    def _compute(self, predictions: list[list[str]], references: list[list[str]]) -> dict[str, Any]:
        from seqeval.metrics import accuracy_score, classification_report

        for row, (given, wanted) in enumerate(zip(predictions, references, strict=True)):
            if len(given) != len(wanted):
                raise CourseError(
                    f"Sentence {row} has {len(wanted)} words, but {len(given)} tags are predicted."
                )
        scores: dict[str, Any] = {
            "overall_precision": 0.0,
            "overall_recall": 0.0,
            "overall_f1": 0.0,
        }
        scores["overall_accuracy"] = 1.0
        if any(references):
            scores["overall_accuracy"] = float(accuracy_score(references, predictions))
        if not any(tag != "O" for rows in (predictions, references) for row in rows for tag in row):
            return scores
        report = classification_report(references, predictions, output_dict=True, zero_division=0)
        for name, values in report.items():
            numbers = {"precision": "precision", "recall": "recall", "f1": "f1-score"}
            found = {short: float(values[long]) for short, long in numbers.items()}
            if name == "micro avg":
                scores |= {f"overall_{short}": value for short, value in found.items()}
            elif not name.endswith(" avg"):
                scores[name] = {**found, "number": int(values["support"])}
        return scores


class _CorpusMetric(_OfflineMetric):
    """Texts against one reference each, or several: a list of strings, or of lists of them."""

    inputs = _TEXTS

    @staticmethod
    def _by_reference(references: list[Any]) -> list[list[str]]:
        """The i-th references of all texts, for each i, as sacrebleu wants them."""
        lists = [[each] if isinstance(each, str) else list(each) for each in references]
        if len({len(each) for each in lists}) > 1 or not lists[0]:
            raise CourseError("Give the same number of references, at least one, for each text.")
        return [list(column) for column in zip(*lists, strict=True)]


class Sacrebleu(_CorpusMetric):
    """BLEU of a corpus, in 0..100, with its counts and the signature that makes it comparable.

    Texts are given as people write them: sacrebleu tokenises both sides itself. Unlike the Hub's
    version, the result holds `signature`, and there is no `smooth_value` and no `force`.
    """

    citation_text = "Papineni et al., BLEU, ACL 2002; Post, A Call for Clarity, WMT 2018"

    def _compute(
        self,
        predictions: list[str],
        references: list[Any],
        smooth_method: str = "exp",
        lowercase: bool = False,
        tokenize: str | None = None,
        use_effective_order: bool = False,
    ) -> dict[str, Any]:
        from sacrebleu.metrics import BLEU

        bleu = BLEU(
            lowercase=lowercase,
            tokenize=tokenize,
            smooth_method=smooth_method,
            effective_order=use_effective_order,
        )
        score = bleu.corpus_score(list(predictions), self._by_reference(references))
        names = ("score", "counts", "totals", "precisions", "bp", "sys_len", "ref_len")
        return {
            **{name: getattr(score, name) for name in names},
            "signature": str(bleu.get_signature()),
        }


class ChrF(_CorpusMetric):
    """F-score of runs of characters, in 0..100, with its signature (`word_order=2`: chrF++).

    Unlike the Hub's version, the result holds `signature`, and there is no `whitespace` and no
    `eps_smoothing`.
    """

    citation_text = "Popović, chrF: character n-gram F-score, WMT 2015"

    def _compute(
        self,
        predictions: list[str],
        references: list[Any],
        char_order: int = 6,
        word_order: int = 0,
        beta: int = 2,
        lowercase: bool = False,
    ) -> dict[str, Any]:
        from sacrebleu.metrics import CHRF

        chrf = CHRF(char_order=char_order, word_order=word_order, beta=beta, lowercase=lowercase)
        score = chrf.corpus_score(list(predictions), self._by_reference(references))
        return {
            "score": score.score,
            "char_order": char_order,
            "word_order": word_order,
            "beta": beta,
            "signature": str(chrf.get_signature()),
        }


class Rouge(_CorpusMetric):
    """Mean over texts of ROUGE's F1, in 0..1; of several references the best one counts.

    The Hub's version takes the median of a bootstrap, which depends on NumPy's random state unless
    a seed is given; this is the mean itself. And unlike it, the result holds `use_stemmer`,
    `rougeLsum` has to be asked for in `rouge_types`, and there is no `use_aggregator` and no
    `tokenizer`.
    """

    citation_text = "Lin, ROUGE: A Package for Automatic Evaluation of Summaries, 2004"

    def _compute(
        self,
        predictions: list[str],
        references: list[Any],
        rouge_types: Sequence[str] = ("rouge1", "rouge2", "rougeL"),
        use_stemmer: bool = False,
    ) -> dict[str, Any]:
        from rouge_score.rouge_scorer import RougeScorer

        scorer = RougeScorer(list(rouge_types), use_stemmer=use_stemmer)
        columns = self._by_reference(references)
        texts = zip(predictions, zip(*columns, strict=True), strict=True)
        scores = [scorer.score_multi(list(wanted), given) for given, wanted in texts]
        means = {
            name: float(np.mean([score[name].fmeasure for score in scores])) for name in rouge_types
        }
        return {**means, "use_stemmer": use_stemmer}


def classification_scores(predictions: Any, references: Any) -> dict[str, float]:
    """Accuracy and macro F1 of predicted against true class numbers, each (n_examples,)."""
    examples = {"predictions": predictions, "references": references}
    return {
        **Accuracy().compute(**examples),
        "f1_macro": F1().compute(**examples, average="macro")["f1"],
    }
