"""Sentences that share words with a question and do not answer it.

Jia and Liang (2017, EMNLP) showed that readers fall for them. Theirs (AddSent) were made from the
question by rules and corrected by hand; these are made by rules alone, so their form is always the
same. They name another subject, quote the question and give an answer of the right kind.
"""

import random
import re
import zlib
from collections.abc import Sequence

# None of these stands in a paragraph of the embedded corpus: the sentence is about something else.
_SUBJECTS = ("Velmora Mill", "Port Aldersund", "the Silverbank Society", "the Torvik Plateau")
_NAMES = ("Edmund Thale", "Korvin", "Harle Bay", "Marisa Holt", "Ilmenfeld", "Lake Sorna")
_THINGS = ("a pair of brass scales", "pressed flowers", "the northern gate", "a change of wind")


def distractor(question: str, references: Sequence[str], question_id: str) -> str:
    """A sentence about something else, with most words of `question` and an invented answer.

    The answer is a number if the first reference holds one, a name if that is written with a
    capital letter, and a thing otherwise. The same question always gets the same sentence.
    """
    rng = random.Random(zlib.crc32(question_id.encode()))
    asked = re.sub(r"\s*\?*\s*$", "", question.strip())
    asked = asked[:1].lower() + asked[1:]
    invented = _invented(references[0] if references else "", rng)
    return (
        f"For {rng.choice(_SUBJECTS)}, a different case, the answer to “{asked}” would be "
        f"{invented}."
    )


def with_distractor(context: str, question: str, references: Sequence[str], key: str) -> str:
    """`context` with the sentence at its end, so that the offsets of answers stay as they are."""
    return f"{context.rstrip()} {distractor(question, references, key)}"


def _invented(reference: str, rng: random.Random) -> str:
    if number := re.search(r"\d+", reference):
        return _another_number(number.group(), rng)
    wanted = reference.split()
    choices = _NAMES if wanted and wanted[0][:1].isupper() else _THINGS
    return rng.choice([choice for choice in choices if choice.lower() != reference.lower()])


def _another_number(number: str, rng: random.Random) -> str:
    """As many digits, another value."""
    low = 0 if len(number) == 1 else 10 ** (len(number) - 1)
    other = rng.randrange(low, 10 ** len(number) - 1)
    return str(other + (other >= int(number)))
