"""How SQuAD compares a given answer with the reference answers.

As the official scripts do (Rajpurkar et al., 2016, EMNLP; 2018, ACL). The two differ where one side
is empty after normalisation: here, as for SQuAD 2.0, an empty answer is right if the reference is
empty as well.
"""

import re
import string
from collections import Counter
from collections.abc import Callable, Sequence

_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLES = re.compile(r"\b(a|an|the)\b")


def normalise_answer(text: str) -> str:
    """Lower case, without ASCII punctuation and English articles, and with single spaces."""
    without_marks = text.lower().translate(_PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", without_marks).split())


def exact_match(answer: str, references: Sequence[str]) -> bool:
    """Whether `answer` equals one of the references once both are normalised.

    No references mean that the question has no answer: then only an empty `answer` is right.
    """
    return bool(_best(_equal, answer, references))


def token_f1(answer: str, references: Sequence[str]) -> float:
    """F1 of the words shared with the reference that shares most, in 0..1.

    Words are counted as often as they occur. With $c$ shared words among $p$ given and $r$ in the
    reference, precision is $c / p$, recall $c / r$ and F1 $2c / (p + r)$.
    """
    return _best(_overlap, answer, references)


def _best(
    compare: Callable[[list[str], list[str]], float], answer: str, references: Sequence[str]
) -> float:
    given = normalise_answer(answer).split()
    wanted = [words for text in references if (words := normalise_answer(text).split())]
    return max(compare(given, words) for words in wanted or [[]])


def _equal(given: list[str], wanted: list[str]) -> float:
    return float(given == wanted)


def _overlap(given: list[str], wanted: list[str]) -> float:
    if not given or not wanted:
        return float(given == wanted)
    shared = (Counter(given) & Counter(wanted)).total()
    return 2 * shared / (len(given) + len(wanted))
