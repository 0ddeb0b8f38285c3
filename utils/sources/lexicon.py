"""The words of the captions, read from their file, and draws among them."""

import tomllib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from pathlib import Path
from random import Random
from typing import Any, Generic, TypeVar

from utils.errors import CourseError
from utils.sources.inflection import Adjective, Case, Noun, Phrase, Verb, contracted

FOLDER = Path(__file__).parent / "corpora" / "captions"
FILE = FOLDER / "lexicon.toml"

Drawn = TypeVar("Drawn")


@dataclass(frozen=True)
class Pair:
    """Words in English and in German. `prefix` is what German adds to the verb at the end."""

    english: str
    german: str
    prefix: str = ""


@dataclass(frozen=True)
class Preposition:
    """A preposition in both languages, and the German case after it; either may be empty."""

    english: str
    german: str
    case: Case

    def before(self, phrase: Phrase) -> Pair:
        german = f"{self.german} {phrase.in_german(self.case)}".lstrip()
        return Pair(f"{self.english} {phrase.english}".lstrip(), contracted(german))


@dataclass(frozen=True)
class Action:
    """A verb and what it goes with: who does it, to what, to whom, in which settings.

    Attributes:
        by: the preposition before its object, or None.
        each: whether several people have one object each: two men ride horses.
        single: whether there is one object at a time.
        last: whether the object stands after the place in German.
        place: "needed", "never", or "" for one that may be said.
        path: whether a way may follow.
        how: the English adverb that may follow, or "".
        role: what else can be done meanwhile; see `goes_with`.
    """

    verb: Verb
    who: frozenset[str]
    what: frozenset[str]
    whom: frozenset[str]
    where: frozenset[str]
    by: Preposition | None
    each: bool
    single: bool
    last: bool
    place: str
    path: bool
    how: str
    role: str

    def goes_with(self, other: "Action") -> bool:
        """Whether one can do `other`, named second, at the same time: sit and read, not swim."""
        if self.role == "state":
            return other.role not in ("state", "water")
        return other.role in _MEANWHILE.get(self.role, ())


_MEANWHILE = {
    "posture": ("light", "voice", "load"),
    "motion": ("voice", "load", "burden"),
    "load": ("voice",),
    "burden": ("voice",),
}
"""Roles of verbs, and the roles of what may be done besides."""


@dataclass(frozen=True)
class Place:
    """A noun of a setting and the preposition that goes with it."""

    noun: Noun
    preposition: Preposition


class Pool(Generic[Drawn]):
    """Things to draw from; the weight of the n-th is 1 / (n + 2), like that of words by rank."""

    def __init__(self, items: Iterable[Drawn]) -> None:
        self.items = list(items)
        self._weights = list(accumulate(1 / (place + 3) for place in range(len(self.items))))

    def draw(self, random: Random) -> Drawn:
        return random.choices(self.items, cum_weights=self._weights)[0]


class Lexicon:
    """All words of the captions, by kinds and settings."""

    def __init__(self, tables: dict[str, Any]) -> None:
        self._groups: dict[str, str] = tables["groups"]
        words = tables["lexicon"]
        self.nouns = [_noun(row, self._kinds(row[0])) for row in words["nouns"]]
        self.settings = {name: kinds.split() for name, kinds in tables["settings"].items()}
        self.actions = [self._action(row) for row in tables["verbs"]["list"]]
        self.adjectives = [
            (self._kinds(kinds), Adjective(english, german, stem[0] if stem else german))
            for kinds, english, german, *stem in words["adjectives"]
        ]
        self.places = [_place(row) for row in words["places"]]
        self.fixed = _by_setting(words["fixed"])
        self.paths = _by_setting(words["paths"])
        self.relations = [Preposition(*row) for row in words["relations"]]
        self.times, self.weather, self.views, self.skies = (
            [Pair(*row) for row in words[name]] for name in ("times", "weather", "views", "skies")
        )
        self.sizes, self.colours = frozenset(words["sizes"]), frozenset(words["colours"])
        self.adverbs: dict[str, str] = tables["adverbs"]
        self._pools: dict[Any, Pool[Any]] = {}

    def pool(self, key: Any, items: Callable[[], Iterable[Drawn]]) -> Pool[Drawn]:
        """The pool named `key`, made of `items()` when it is first asked for."""
        if key not in self._pools:
            self._pools[key] = Pool(items())
        return self._pools[key]

    def nouns_of(self, kinds: frozenset[str]) -> Pool[Noun]:
        """Nouns of one kind or several."""
        return self.pool(
            ("nouns", kinds), lambda: [noun for noun in self.nouns if noun.kinds & kinds]
        )

    def adjectives_of(self, kinds: frozenset[str]) -> Pool[Adjective]:
        """Adjectives for nouns of these kinds."""
        return self.pool(
            ("adjectives", kinds), lambda: [one for whose, one in self.adjectives if whose & kinds]
        )

    def actions_of(self, name: str, kinds: frozenset[str], setting: str) -> "Pool[Action]":
        """What those of these kinds do in this setting; `name` narrows it, see `_NARROWED`."""
        return self.pool(
            ("actions", name, kinds, setting),
            lambda: [
                action
                for action in self.actions
                if action.who & kinds and setting in action.where and _NARROWED[name](action)
            ],
        )

    def _kinds(self, names: str) -> frozenset[str]:
        """The kinds in a list of kinds and groups of them."""
        found: set[str] = set()
        for name in names.split():
            found |= self._kinds(self._groups[name]) if name in self._groups else {name}
        return frozenset(found)

    def _action(self, row: dict[str, Any]) -> Action:
        return Action(
            verb=_verb(row["en"], row["de"]),
            who=self._kinds(row["who"]),
            what=self._kinds(row.get("what", "")),
            whom=self._kinds(row.get("whom", "")),
            where=self._kinds(row.get("where", "anywhere")),
            by=Preposition(*row["by"]) if "by" in row else None,
            each=row.get("each", False),
            single=row.get("single", False),
            last=row.get("last", False),
            place=row.get("place", ""),
            path=row.get("path", False),
            how=row.get("how", ""),
            role=row.get("role", ""),
        )


_NARROWED: dict[str, Callable[[Action], bool]] = {
    "any": lambda action: True,
    "active": lambda action: action.role not in ("state", "posture"),
    "passive": lambda action: _has_participle(action) and not (action.whom or action.each),
    "perfect": lambda action: _has_participle(action),
}
"""Kinds of actions that a pattern can do with."""


def _has_participle(action: Action) -> bool:
    return len(action.verb.german) == 3


@cache
def lexicon() -> Lexicon:
    """The words in their file.

    Raises:
        CourseError: if it is missing or damaged.
    """
    try:
        return Lexicon(tomllib.loads(FILE.read_text("utf-8")))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CourseError(
            f"The words of the embedded captions cannot be read: {FILE}\n"
            f"{type(error).__name__}: {error}\n"
            "Restore them with: git checkout -- utils/sources/corpora"
        ) from error


def _noun(row: Sequence[str], kinds: frozenset[str]) -> Noun:
    _, singular, plural, german, genitive, german_plural, *owner = row
    article, _, word = german.partition(" ")
    if article not in ("der", "die", "das"):
        raise ValueError(f"no article: {german}")
    return Noun(
        kinds,
        singular,
        plural,
        article,  # type: ignore[arg-type]
        word,
        genitive,
        german_plural,
        owner[0] if owner else "",
    )


def _place(row: Sequence[str]) -> Place:
    setting, english, german, *noun = row
    return Place(
        _noun([setting, *noun], frozenset([setting])), Preposition(english, german, "dative")
    )


def _verb(english: str, german: str) -> Verb:
    """Parse "pick up, picking up, picked up" and "hebt auf, heben auf, aufgehoben"."""
    singular, plural, *participle = german.split(", ")
    words = singular.split()
    reflexive = "sich" in words
    prefix = words[-1] if len(words) > 1 and words[-1] != "sich" else ""
    finite = (words[0], plural.split()[0])
    return Verb(tuple(english.split(", ")), (*finite, *participle), prefix, reflexive)


def _by_setting(rows: Iterable[Sequence[str]]) -> dict[str, list[Pair]]:
    found: dict[str, list[Pair]] = {}
    for setting, *pair in rows:
        found.setdefault(setting, []).append(Pair(*pair))
    return found
