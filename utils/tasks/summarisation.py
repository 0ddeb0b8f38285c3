"""Summarisation: many sentences (or turns of a dialogue) in, a few out, judged by ROUGE.

ROUGE (Lin, 2004, *ROUGE: A Package for Automatic Evaluation of Summaries*) counts what a summary
and a reference have in common: words (ROUGE-1), pairs of words (ROUGE-2), the longest common
subsequence of words (ROUGE-L). Here always F1 by the package `rouge-score`, with Porter's stemmer.
Of several references the mean counts, so that none of them is chosen by its score.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from utils import sources
from utils.errors import CourseError
from utils.sources import documentation
from utils.tasks import own_data
from utils.tasks.question_generation import sentence_cuts
from utils.tasks.splits import Splits, draw, sample

if TYPE_CHECKING:
    from datasets import Dataset

NAME = "summarisation"

VERSION = 1
"""Raise by hand whenever a change of this file changes splits, subsets or scores."""

METRIC = "rouge_l"

HOW_MEASURED = (
    "ROUGE is F1 by the package rouge-score with Porter's stemmer, ROUGE-L over the whole text at "
    "once; of several references the mean counts."
)

OWN_COLUMNS = ("text", "summary")

DIALOGUES, DOCSTRINGS = "knkarthick/dialogsum", documentation.SUMMARIES
DATASETS = (DIALOGUES, DOCSTRINGS)

_TYPES = {"rouge_1": "rouge1", "rouge_2": "rouge2", "rouge_l": "rougeL"}
"""Our names, and those of the package."""


@dataclass(frozen=True)
class Examples:
    """Texts cut into `units` (sentences, or turns of a dialogue), and summaries of each text.

    `names` says which text it is.
    """

    units: list[list[str]]
    summaries: list[list[str]]
    names: list[str]

    def __len__(self) -> int:
        return len(self.units)

    def take(self, indices: NDArray[np.int64]) -> "Examples":
        """The texts at `indices`, in that order."""
        return Examples(
            [self.units[i] for i in indices],
            [self.summaries[i] for i in indices],
            [self.names[i] for i in indices],
        )


def load(
    dataset_id: str,
    *,
    profile: str = "quick",
    validation_limit: int | None = 500,
    test_limit: int | None = None,
) -> Splits:
    """Load dialogues (DialogSum), or docstrings and their first lines from installed packages.

    With limits, samples of both splits, drawn with a fixed seed. `dataset_id` may also be a file of
    one's own, see `own_data`: with the column `summary`, a text or a list of several.

    Raises:
        CourseError: if the task does not know the data set, or it cannot be reached.
    """
    if own_data.is_own(dataset_id):
        return own_data.load(
            dataset_id, _own, validation_limit=validation_limit, test_limit=test_limit
        )
    if dataset_id not in DATASETS:
        known = " and ".join(DATASETS)
        raise CourseError(f"Summarisation does not know {dataset_id!r}. Known: {known}.")
    if dataset_id == DOCSTRINGS:
        if profile == "full":
            raise CourseError(
                f"{DOCSTRINGS} is what happens to be installed here, and profile full takes real "
                f"data sets only. Choose {DIALOGUES}."
            )
        dataset, source = documentation.load_summaries()
    else:
        dataset, source = sources.load_dataset(dataset_id, profile=profile)
    of = _docstrings if dataset_id == DOCSTRINGS else _dialogues
    train, validation, test = (of(dataset[name]) for name in ("train", "validation", "test"))
    return Splits(train, sample(validation, validation_limit), sample(test, test_limit), [], source)


def subset(train: Examples, n: int | None, data_seed: int) -> Examples:
    """Draw `n` training texts, nested: a larger `n` with the same seed holds the smaller one's.

    `n=None` returns all of them in their own order.

    Raises:
        CourseError: if there are fewer than `n`.
    """
    return draw(train, n, data_seed, "texts")


def score(
    predictions: NDArray[np.str_], examples: Examples
) -> tuple[dict[str, float], dict[str, NDArray[np.float32]]]:
    """ROUGE-1, ROUGE-2 and ROUGE-L, means over texts, and those of each text.

    Args:
        predictions: (n_texts,) summaries.
        examples: the texts.
    """
    if len(predictions) != len(examples):
        raise ValueError(f"{len(predictions)} summaries for {len(examples)} texts")
    rows = [
        rouge(summary, references)
        for summary, references in zip(predictions.tolist(), examples.summaries, strict=True)
    ]
    table = np.array([[row[name] for name in _TYPES] for row in rows], dtype=np.float32)
    answers = {name: table[:, column] for column, name in enumerate(_TYPES)}
    return {name: float(each.mean(dtype=float)) for name, each in answers.items()}, answers


def rouge(summary: str, references: Sequence[str]) -> dict[str, float]:
    """F1 of ROUGE-1, ROUGE-2 and ROUGE-L against each reference, averaged over references."""
    found = [_scorer().score(reference, summary) for reference in references]
    return {
        ours: float(np.mean([each[theirs].fmeasure for each in found]))
        for ours, theirs in _TYPES.items()
    }


def joined(units: Sequence[str]) -> str:
    """A text as a model reads it."""
    return " ".join(units)


@cache
def _scorer() -> Any:
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(list(_TYPES.values()), use_stemmer=True)


def _own(table: own_data.Table) -> own_data.Parsed:
    texts = table.texts("text")
    summaries = table.column(
        "summary", lambda cell: own_data.texts_in(cell) or None, "a text, or a list of texts"
    )
    units = [_sentences(text) for text in texts]
    return own_data.Parsed(Examples(units, summaries, table.places), [], [[text] for text in texts])


def _dialogues(split: "Dataset") -> Examples:
    """One row a dialogue; in the test split each has three, one for each summary."""
    found = Examples([], [], [])
    places: dict[str, int] = {}
    columns = split[:]
    for name, dialogue, summary in zip(
        columns["id"], columns["dialogue"], columns["summary"], strict=True
    ):
        if dialogue in places:
            found.summaries[places[dialogue]].append(summary.strip())
            continue
        places[dialogue] = len(found)
        found.units.append([turn.strip() for turn in dialogue.splitlines() if turn.strip()])
        found.summaries.append([summary.strip()])
        found.names.append(name)
    return found


def _docstrings(split: "Dataset") -> Examples:
    columns = split[:]
    units = [_sentences(text) for text in columns["text"]]
    return Examples(units, [[summary] for summary in columns["summary"]], columns["id"])


def _sentences(text: str) -> list[str]:
    found = []
    for paragraph in text.split("\n"):
        cuts = sentence_cuts(paragraph)
        found += [paragraph[a:b].strip() for a, b in itertools.pairwise(cuts)]
    return [sentence for sentence in found if sentence]
