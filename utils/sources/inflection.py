"""Forms of English and German words: what the grammar of the captions says in two languages."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Case = Literal["nominative", "accusative", "dative", "genitive"]
CASES: tuple[Case, ...] = ("nominative", "accusative", "dative", "genitive")
_Row = Literal["der", "die", "das", "plural"]

_ARTICLES: dict[_Row, tuple[str, str, str, str]] = {
    "der": ("der", "den", "dem", "des"),
    "die": ("die", "die", "der", "der"),
    "das": ("das", "das", "dem", "des"),
    "plural": ("die", "die", "den", "der"),
}
"""Definite articles by gender, in the order of `CASES`."""

_EIN: dict[_Row, tuple[str, str, str, str]] = {
    "der": ("", "en", "em", "es"),
    "die": ("e", "e", "er", "er"),
    "das": ("", "", "em", "es"),
    "plural": ("e", "e", "en", "er"),
}
"""Endings of ein, sein, ihr; those of the plural also fit mehrere, einige, viele."""

_STRONG: dict[_Row, tuple[str, str, str, str]] = {
    "der": ("er", "en", "em", "en"),
    "die": ("e", "e", "er", "er"),
    "das": ("es", "es", "em", "en"),
    "plural": ("e", "e", "en", "er"),
}
_MIXED: dict[_Row, tuple[str, str, str, str]] = {
    "der": ("er", "en", "en", "en"),
    "die": ("e", "e", "en", "en"),
    "das": ("es", "es", "en", "en"),
    "plural": ("en", "en", "en", "en"),
}
_WEAK: dict[_Row, tuple[str, str, str, str]] = {
    "der": ("e", "en", "en", "en"),
    "die": ("e", "e", "en", "en"),
    "das": ("e", "e", "en", "en"),
    "plural": ("en", "en", "en", "en"),
}

_NUMBERS = {"two": "zwei", "three": "drei", "four": "vier", "five": "fünf", "six": "sechs"}
_QUANTITIES = {"several": "mehrer", "some": "einig", "many": "viel"}
_POSSESSIVES = {"his": "sein", "her": "ihr", "their": "ihr"}
PLURAL_DETERMINERS = (*_NUMBERS, *_QUANTITIES)

_CONTRACTIONS = {
    "in dem": "im",
    "an dem": "am",
    "von dem": "vom",
    "zu dem": "zum",
    "bei dem": "beim",
    "in das": "ins",
    "an das": "ans",
}


@dataclass(frozen=True)
class Noun:
    """A noun in both languages; `article` is der, die or das; `owner` is his, her or nothing.

    `singular` is empty where English has the plural only, and the plurals are where a mass has
    none.
    """

    kinds: frozenset[str]
    singular: str
    plural: str
    article: Literal["der", "die", "das"]
    german: str
    german_genitive: str
    german_plural: str
    owner: str = ""

    def in_german(self, case: Case, plural: bool) -> str:
        """The noun itself, without article."""
        if plural:
            ends = self.german_plural.endswith(("n", "s"))
            return self.german_plural + ("" if case != "dative" or ends else "n")
        is_weak = self.article == "der" and not self.german_genitive.endswith("s")
        if case == "genitive" or (is_weak and case != "nominative"):
            return self.german_genitive
        return self.german


@dataclass(frozen=True)
class Adjective:
    """An adjective in both languages: after a verb, and the stem that takes the endings."""

    english: str
    german: str
    stem: str

    def inflected(self, ending: str) -> str:
        """With an ending; words such as rosa take none, those in -e lose theirs."""
        if self.stem.endswith("a"):
            return self.stem
        return self.stem.removesuffix("e") + ending


@dataclass(frozen=True)
class Verb:
    """A verb in both languages.

    `english` is base, -ing form and participle; `german` is singular, plural (which is also the
    infinitive) and participle. `prefix` is what stands apart at the end of a main clause.
    """

    english: tuple[str, ...]
    german: tuple[str, ...]
    prefix: str
    reflexive: bool

    @property
    def base(self) -> str:
        return self.english[0]

    @property
    def progressive(self) -> str:
        return self.english[1]

    @property
    def third_person(self) -> str:
        """English: feeds, picks up, carries."""
        first, _, rest = self.english[0].partition(" ")
        return f"{_with_s(first)} {rest}".rstrip()

    def finite(self, plural: bool) -> str:
        """German, without the prefix."""
        return self.german[plural]


def _with_s(verb: str) -> str:
    if re.search(r"[^aeiou]y$", verb):
        return f"{verb[:-1]}ies"
    return verb + ("es" if verb.endswith(("s", "sh", "ch", "x", "z", "o")) else "s")


@dataclass(frozen=True)
class Phrase:
    """A noun phrase in both languages, in all German cases."""

    english: str
    german: tuple[str, str, str, str]
    plural: bool
    row: _Row
    owner: str
    is_person: bool

    def in_german(self, case: Case) -> str:
        return self.german[CASES.index(case)]

    def relative(self, case: Case) -> str:
        """The German relative pronoun for it, nominative or accusative."""
        return _ARTICLES[self.row][CASES.index(case)]


def noun_phrase(
    noun: Noun,
    determiner: str,
    adjectives: Sequence[Adjective] = (),
    *,
    plural: bool = False,
    is_person: bool = False,
) -> Phrase:
    """Determiner, adjectives and noun; the determiner is English, "" for none."""
    plural = plural or determiner in PLURAL_DETERMINERS
    row: _Row = "plural" if plural else noun.article
    german = [_german(noun, determiner, adjectives, case, row) for case in CASES]
    owner = "their" if plural else noun.owner
    english = _english(noun, determiner, adjectives, plural)
    return Phrase(
        english, (german[0], german[1], german[2], german[3]), plural, row, owner, is_person
    )


def _english(noun: Noun, determiner: str, adjectives: Sequence[Adjective], plural: bool) -> str:
    word = noun.plural if plural else noun.singular or noun.plural
    words = " ".join([*(adjective.english for adjective in adjectives), word])
    if determiner == "a":
        return words if not noun.singular else f"{article(words)} {words}"
    return f"{determiner} {words}".lstrip()


def article(words: str) -> str:
    """The English indefinite article before `words`."""
    return "an" if re.match(r"(?!uni)[aeiou]", words) else "a"


def _german(
    noun: Noun, determiner: str, adjectives: Sequence[Adjective], case: Case, row: _Row
) -> str:
    place = CASES.index(case)
    first, endings = _determiner(determiner, row, place)
    middle = [adjective.inflected(endings[row][place]) for adjective in adjectives]
    return " ".join(filter(None, [first, *middle, noun.in_german(case, row == "plural")]))


def _determiner(
    english: str, row: _Row, place: int
) -> tuple[str, dict[_Row, tuple[str, str, str, str]]]:
    """The German determiner, and the endings of adjectives after it."""
    if english == "the":
        return _ARTICLES[row][place], _WEAK
    if english in _POSSESSIVES:
        return _POSSESSIVES[english] + _EIN[row][place], _MIXED
    if english == "a" and row != "plural":
        return "ein" + _EIN[row][place], _MIXED
    if english in _QUANTITIES:
        return _QUANTITIES[english] + _EIN[row][place], _STRONG
    return _NUMBERS.get(english, ""), _STRONG


def contracted(german: str) -> str:
    """With preposition and article made one at its beginning: im, am, vom."""
    for apart, together in _CONTRACTIONS.items():
        if german.startswith(f"{apart} "):
            return together + german.removeprefix(apart)
    return german


def joined(prefix: str, verb: str, *, zu: bool = False) -> str:
    """Prefix and verb at the end of a clause: aufhebt, aufzuheben, Gitarre spielt, zu füttern.

    Nouns and infinitives (steigen lassen) are written apart from the verb.
    """
    apart = not prefix or prefix[0].isupper() or prefix.endswith("en")
    if apart:
        return " ".join(filter(None, [prefix, "zu" if zu else "", verb]))
    return prefix + ("zu" if zu else "") + verb
