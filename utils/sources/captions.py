"""Image captions in English and German, as many as wanted: two grammars that speak in step.

A sentence is drawn once, as a scene, and said in both languages, each in its own order of words.
The words stand in `corpora/captions/lexicon.toml`; the datasheet beside them names the limits.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from random import Random
from typing import TYPE_CHECKING

from utils.sources import fingerprint, layout
from utils.sources.inflection import (
    PLURAL_DETERMINERS,
    Adjective,
    Noun,
    Phrase,
    joined,
    noun_phrase,
)
from utils.sources.lexicon import FOLDER, Action, Pair, Preposition, lexicon
from utils.sources.source import Source

if TYPE_CHECKING:
    from datasets import DatasetDict

NAME = "captions"

STANDS_FOR = ("bentrevett/multi30k",)
"""Ids of the translated captions that it stands in for."""

SIZES = {"train": 12_000, "validation": 400, "test": 400}
_FEW = {"train": 3_000, "validation": 100, "test": 100}
_SEED = 20_160_811

_SHORTEST = 4
"""Words in a sentence."""


def load(dataset_id: str, *, few: bool = False) -> "tuple[DatasetDict, Source]":
    """The captions as splits `train`, `validation` and `test`, columns `en` and `de`.

    With `few`, the first quarter of each split.

    Raises:
        CourseError: if the file of the words is missing or damaged.
    """
    from datasets import Dataset, DatasetDict, Features, Value

    features = Features({"en": Value("string"), "de": Value("string")})
    dataset, rest = DatasetDict(), iter(captions(sum(SIZES.values())))
    for split, n_pairs in SIZES.items():
        pairs = [next(rest) for _ in range(n_pairs)][: _FEW[split] if few else n_pairs]
        columns = {"en": [pair.english for pair in pairs], "de": [pair.german for pair in pairs]}
        dataset[split] = Dataset.from_dict(columns, features=features)
    source = Source(
        kind="embedded",
        id=dataset_id,
        revision=None,
        fingerprint=fingerprint.of_dataset(dataset),
        location=f"embedded ({NAME})",
        licence=layout.licence(FOLDER),
    )
    return dataset, source


@cache
def captions(n_pairs: int, seed: int = _SEED) -> tuple[Pair, ...]:
    """`n_pairs` captions, none of which is said twice in either language."""
    writer = Writer(Random(seed))
    found: dict[str, Pair] = {}
    german: set[str] = set()
    while len(found) < n_pairs:
        pair = writer.caption()
        is_new = pair.english not in found and pair.german not in german
        if is_new and min(map(_n_words, (pair.english, pair.german))) >= _SHORTEST:
            found[pair.english] = pair
            german.add(pair.german)
    return tuple(found.values())


def _n_words(text: str) -> int:
    return text.count(" ") + 1


# A clause: a subject and what is said of it


_NOTHING = Pair("", "")


@dataclass(frozen=True)
class Predicate:
    """What someone does: the verb, and all that goes with it, in both languages.

    `near` stands before the place in German, `far` after it; `time` before both. In English the
    place follows the object, and the time the place.
    """

    action: Action
    near: Pair = _NOTHING
    place: Pair = _NOTHING
    far: Pair = _NOTHING
    time: Pair = _NOTHING
    prefix: str = ""
    thing: Phrase | None = None

    @property
    def english_rest(self) -> str:
        """All but subject and verb."""
        return _words(self.near.english, self.far.english, self.place.english, self.time.english)

    @property
    def german_rest(self) -> str:
        """All but subject, verb, prefix and sich."""
        return _words(self.time.german, self.near.german, self.place.german, self.far.german)

    @property
    def sich(self) -> str:
        return "sich" if self.action.verb.reflexive else ""


def _words(*parts: str) -> str:
    return " ".join(filter(None, parts))


def english_progressive(subject: Phrase, predicate: Predicate) -> str:
    """A boy is feeding a dog; two boys are feeding a dog."""
    verb = predicate.action.verb.progressive
    return _words(subject.english, _be(subject), verb, predicate.english_rest)


def english_simple(subject: Phrase, predicate: Predicate) -> str:
    """A boy feeds a dog."""
    verb = predicate.action.verb
    finite = verb.base if subject.plural else verb.third_person
    return _words(subject.english, finite, predicate.english_rest)


def english_base(predicate: Predicate) -> str:
    """Feed a dog."""
    return _words(predicate.action.verb.base, predicate.english_rest)


def german_main(subject: Phrase, predicate: Predicate) -> str:
    """Verb second: ein Junge hebt einen Ball auf."""
    return _words(subject.in_german("nominative"), german_predicate(subject, predicate))


def german_predicate(subject: Phrase, predicate: Predicate) -> str:
    """The main clause without its subject: hebt einen Ball auf."""
    finite = predicate.action.verb.finite(subject.plural)
    return _words(finite, predicate.sich, predicate.german_rest, predicate.prefix)


def german_fronted(front: str, subject: Phrase, predicate: Predicate) -> str:
    """Verb second after a place or a time: in einem Park hebt ein Junge einen Ball auf."""
    finite = predicate.action.verb.finite(subject.plural)
    who = subject.in_german("nominative")
    return _words(front, finite, predicate.sich, who, predicate.german_rest, predicate.prefix)


def german_last(subject: Phrase, predicate: Predicate) -> str:
    """Verb last: ein Junge einen Ball aufhebt."""
    return _words(subject.in_german("nominative"), german_last_predicate(subject, predicate))


def german_last_predicate(subject: Phrase, predicate: Predicate) -> str:
    """The clause with its verb last, without its subject: einen Ball aufhebt."""
    verb = joined(predicate.prefix, predicate.action.verb.finite(subject.plural))
    return _words(predicate.sich, predicate.german_rest, verb)


def german_infinitive(predicate: Predicate, *, zu: bool) -> str:
    """Einen Ball aufzuheben; without `zu`, einen Ball aufheben."""
    verb = joined(predicate.prefix, predicate.action.verb.finite(True), zu=zu)
    return _words(predicate.sich, predicate.german_rest, verb)


def _be(subject: Phrase) -> str:
    return "are" if subject.plural else "is"


def _sentence(english: str, german: str) -> Pair:
    return Pair(f"{english[0].upper()}{english[1:]}.", f"{german[0].upper()}{german[1:]}.")


# What is drawn


_OUTSIDE = frozenset({"green", "town", "shore", "farmyard", "snow"})
_PEOPLE = frozenset({"adults", "children", "workers", "elders"})
_OWNED = frozenset({"pets", "clothes", "bags", "vehicles", "cars", "reading", "toys"})
_WITHOUT_ARTICLE = frozenset(
    {"drinks", "hotdrinks", "fodder", "crumbs", "timber", "soups", "snowfall"}
)
_GAMES = frozenset({"games", "quietgames"})
_INSTRUMENTS = frozenset({"instruments"})
_SETTINGS = {"green": 6, "town": 6, "shore": 4, "home": 3, "public": 3, "farmyard": 2, "snow": 1}
_DETERMINERS = {"a": 50, "the": 12, "two": 16, "three": 6, "several": 4, "some": 5}
_DETERMINERS |= {"many": 1, "four": 2, "five": 1, "six": 1}
_THINGS = {"a": 62, "the": 14, "owner": 14, "two": 6, "three": 2, "some": 3, "several": 1}


class Writer:
    """Draws scenes and says them in both languages."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.lexicon = lexicon()

    def caption(self) -> Pair:
        """One caption of a pattern drawn by its weight."""
        [pattern] = self.random.choices(list(PATTERNS), weights=list(PATTERNS.values()))
        [setting] = self.random.choices(list(_SETTINGS), weights=list(_SETTINGS.values()))
        while (pair := pattern(self, setting)) is None:
            [setting] = self.random.choices(list(_SETTINGS), weights=list(_SETTINGS.values()))
        return pair

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability

    def _choice(self, weights: dict[str, int]) -> str:
        return self.random.choices(list(weights), weights=list(weights.values()))[0]

    # Noun phrases

    def adjectives(self, kinds: frozenset[str], probability: float = 0.42) -> list[Adjective]:
        """None, one, or a size and a colour."""
        pool = self.lexicon.adjectives_of(kinds)
        if not pool.items or not self.chance(probability):
            return []
        first = pool.draw(self.random)
        if first.english in self.lexicon.sizes and self.chance(0.3):
            second = pool.draw(self.random)
            if second.english in self.lexicon.colours:
                return [first, second]
        return [first]

    def subject(self, setting: str, *, kinds: frozenset[str] = frozenset()) -> tuple[Phrase, Noun]:
        """Who it is about: people or animals of the setting, and the noun that it was made of."""
        known = [kind for kind in self.lexicon.settings[setting] if not kinds or kind in kinds]
        kind = self.lexicon.pool(("kinds", setting, kinds), lambda: known).draw(self.random)
        noun = self.lexicon.nouns_of(frozenset([kind])).draw(self.random)
        determiner = self._choice(_DETERMINERS)
        phrase = noun_phrase(
            noun,
            determiner,
            self.adjectives(noun.kinds),
            is_person=bool(noun.kinds & _PEOPLE),
        )
        return phrase, noun

    def dressed(self, phrase: Phrase, noun: Noun) -> Phrase:
        """Some people wear what is said of them: a man in a red jacket, two girls with hats."""
        if not noun.kinds & _PEOPLE or not self.chance(0.25):
            return phrase
        glasses = self.chance(0.2)
        wardrobe = frozenset(["spectacles"]) if glasses else _wardrobe(noun)
        clothes = self.lexicon.nouns_of(wardrobe).draw(self.random)
        adjectives = self.adjectives(clothes.kinds, 0.2 if glasses else 1)
        determiner = "" if phrase.plural else "a"
        worn = noun_phrase(clothes, determiner, adjectives, plural=phrase.plural)
        with_it = glasses or "hats" in clothes.kinds
        preposition = Preposition("with", "mit", "dative") if with_it else _IN
        return _followed(phrase, preposition.before(worn))

    def company(self) -> Phrase:
        """More than one noun: a group of tourists, a man and a woman."""
        noun = self.lexicon.nouns_of(frozenset(["adults", "children"])).draw(self.random)
        if self.chance(0.5):
            return _group(noun, self.adjectives(noun.kinds))
        other = self.lexicon.nouns_of(frozenset(["adults", "children"])).draw(self.random)
        if other == noun:
            return _group(noun, self.adjectives(noun.kinds))
        return _both(noun_phrase(noun, "a", is_person=True), noun_phrase(other, "a"))

    def thing(
        self, kinds: frozenset[str], owner: str = "", *, each: bool = False, single: bool = False
    ) -> Phrase:
        """An object of one of these kinds; `owner` is his, her, their or nothing."""
        noun = self.lexicon.nouns_of(kinds).draw(self.random)
        adjectives = self.adjectives(noun.kinds)
        is_person = bool(noun.kinds & _PEOPLE)
        if noun.kinds & _WITHOUT_ARTICLE:
            return noun_phrase(noun, "", adjectives)
        if each and owner == "their":
            determiner = owner if noun.kinds & _OWNED and self.chance(0.2) else ""
            return noun_phrase(noun, determiner, adjectives, plural=True)
        determiner = self._choice(_THINGS)
        if determiner == "owner":
            determiner = owner if owner and noun.kinds & _OWNED else "a"
        if determiner in PLURAL_DETERMINERS and (each or single or not noun.singular):
            determiner = "a"
        return noun_phrase(noun, determiner, adjectives, is_person=is_person)

    # Places and times

    def place(self, setting: str) -> Pair:
        """Where it happens."""
        if setting in _OUTSIDE - {"snow"} and self.chance(0.25):
            landmark = self.lexicon.nouns_of(frozenset(["landmarks"])).draw(self.random)
            relation = self.lexicon.pool("relations", lambda: self.lexicon.relations)
            phrase = noun_phrase(
                landmark, "a" if self.chance(0.7) else "the", self.adjectives(landmark.kinds, 0.25)
            )
            return relation.draw(self.random).before(phrase)
        fixed = self.lexicon.fixed.get(setting, [])
        if fixed and self.chance(0.2):
            return self.random.choice(fixed)
        places = [one for one in self.lexicon.places if setting in one.noun.kinds]
        place = self.lexicon.pool(("places", setting), lambda: places).draw(self.random)
        determiner = "the" if self.chance(0.4) else "a"
        phrase = noun_phrase(place.noun, determiner, self.adjectives(place.noun.kinds, 0.15))
        return place.preposition.before(phrase)

    def time(self, setting: str) -> Pair:
        """When it happens; outside, the weather may say it."""
        if setting in _OUTSIDE and self.chance(0.5):
            return self.lexicon.pool("weather", lambda: self.lexicon.weather).draw(self.random)
        return self.lexicon.pool("times", lambda: self.lexicon.times).draw(self.random)

    # What they do

    def predicate(
        self,
        subject: Phrase,
        kinds: frozenset[str],
        setting: str,
        name: str = "any",
        *,
        place: float = 0.5,
    ) -> Predicate | None:
        """Something that those of these kinds do in the setting; None if there is nothing.

        `place` is the probability that the place is said.
        """
        pool = self.lexicon.actions_of(name, kinds, setting)
        action = pool.draw(self.random) if pool.items else None
        if action is None:
            return None
        drawn = self._with_objects(Predicate(action, prefix=action.verb.prefix), subject)
        is_needed = action.place == "needed"
        if action.path and setting in self.lexicon.paths and (is_needed or self.chance(0.6)):
            return self._on_the_way(drawn, setting)
        if is_needed and not place:
            return None
        if is_needed or (action.place != "never" and self.chance(place)):
            return replace(drawn, place=self.place(setting))
        return drawn

    def _with_objects(self, predicate: Predicate, subject: Phrase) -> Predicate:
        action = predicate.action
        if not action.what:
            if action.how and self.chance(0.3):
                return replace(predicate, near=Pair(action.how, self.lexicon.adverbs[action.how]))
            return predicate
        if action.what & (_GAMES | _INSTRUMENTS):
            noun = self.lexicon.nouns_of(action.what).draw(self.random)
            english = noun.singular if action.what & _GAMES else f"the {noun.singular}"
            return replace(predicate, near=Pair(english, ""), prefix=noun.german)
        owner = subject.owner if subject.is_person or action.each else ""
        thing = self.thing(action.what, owner, each=action.each, single=action.single)
        pair = (action.by or _ACCUSATIVE).before(thing)
        if action.whom:
            pair = self._to_whom(action, pair)
        if action.last:
            return replace(predicate, far=pair)
        return replace(predicate, near=pair, thing=None if action.by else thing)

    def _to_whom(self, action: Action, pair: Pair) -> Pair:
        """Someone is given something: a flower to a girl, einem Mädchen eine Blume."""
        noun = self.lexicon.nouns_of(action.whom).draw(self.random)
        whom = noun_phrase(
            noun, "a" if self.chance(0.7) else "the", self.adjectives(noun.kinds, 0.3)
        )
        english = (
            f"{whom.english} {pair.english}"
            if self.chance(0.4)
            else f"{pair.english} to {whom.english}"
        )
        return Pair(english, f"{whom.in_german('dative')} {pair.german}")

    def _on_the_way(self, predicate: Predicate, setting: str) -> Predicate:
        path = self.lexicon.pool(("paths", setting), lambda: self.lexicon.paths[setting])
        drawn = path.draw(self.random)
        return replace(predicate, place=drawn, prefix=drawn.prefix)


def _wardrobe(noun: Noun) -> frozenset[str]:
    """The kinds of clothes that someone may wear."""
    also = {"women": "dresses", "workers": "uniforms"}
    return frozenset(["clothes", *(kind for who, kind in also.items() if who in noun.kinds)])


_IN = Preposition("in", "in", "dative")
_ACCUSATIVE = Preposition("", "", "accusative")


def _followed(phrase: Phrase, pair: Pair) -> Phrase:
    """A phrase and what follows it, the same in all cases."""
    german = [f"{form} {pair.german}" for form in phrase.german]
    return replace(
        phrase,
        english=f"{phrase.english} {pair.english}",
        german=(german[0], german[1], german[2], german[3]),
    )


def _group(noun: Noun, adjectives: list[Adjective]) -> Phrase:
    """A group of young tourists, eine Gruppe von jungen Touristen."""
    members = noun_phrase(noun, "", adjectives, plural=True)
    [group] = lexicon().nouns_of(frozenset(["groups"])).items
    von = Preposition("of", "von", "dative").before(members)
    return replace(_followed(noun_phrase(group, "a", is_person=True), von), owner="their")


def _both(first: Phrase, second: Phrase) -> Phrase:
    """A man and a woman, ein Mann und eine Frau."""
    german = [f"{a} und {b}" for a, b in zip(first.german, second.german, strict=True)]
    return Phrase(
        f"{first.english} and {second.english}",
        (german[0], german[1], german[2], german[3]),
        plural=True,
        row="plural",
        owner="their",
        is_person=True,
    )


# The patterns of sentences; each returns None if the setting does not lend itself to it


@dataclass(frozen=True)
class Clause:
    """A subject, the kinds of its noun, and what it does."""

    subject: Phrase
    noun: Noun
    predicate: Predicate


def _clause(
    writer: Writer,
    setting: str,
    name: str = "any",
    *,
    kinds: frozenset[str] = frozenset(),
    dressed: bool = True,
    place: float = 0.5,
) -> Clause | None:
    subject, noun = writer.subject(setting, kinds=kinds)
    predicate = writer.predicate(subject, noun.kinds, setting, name, place=place)
    if predicate is None:
        return None
    if dressed and predicate.action.role != "state":
        subject = writer.dressed(subject, noun)
    return Clause(subject, noun, predicate)


def plain(writer: Writer, setting: str) -> Pair | None:
    """A boy is feeding a dog in the park."""
    clause = _clause(writer, setting)
    if clause is None:
        return None
    say = english_progressive if writer.chance(0.75) else english_simple
    subject, predicate = clause.subject, clause.predicate
    return _sentence(say(subject, predicate), german_main(subject, predicate))


def together(writer: Writer, setting: str) -> Pair | None:
    """A group of tourists is waiting for a bus; a man and a woman are singing."""
    subject = writer.company()
    predicate = writer.predicate(subject, frozenset(["adults", "children"]), setting)
    if predicate is None or not {"adults", "children"} <= predicate.action.who:
        return None
    return _sentence(english_progressive(subject, predicate), german_main(subject, predicate))


def with_time(writer: Writer, setting: str) -> Pair | None:
    """A boy is feeding a dog in the park in the morning; German says the time first."""
    clause = _clause(writer, setting, "active")
    if clause is None:
        return None
    predicate = replace(clause.predicate, time=writer.time(setting))
    return _sentence(
        english_progressive(clause.subject, predicate), german_main(clause.subject, predicate)
    )


def place_first(writer: Writer, setting: str) -> Pair | None:
    """In a park, a boy is feeding a dog: the German verb stays second."""
    return _with_front(writer, setting, writer.place(setting))


def time_first(writer: Writer, setting: str) -> Pair | None:
    """In the morning, a boy is feeding a dog."""
    return _with_front(writer, setting, writer.time(setting), place=0.4)


def view_first(writer: Writer, setting: str) -> Pair | None:
    """In the foreground, a boy is feeding a dog."""
    view = writer.lexicon.pool("views", lambda: writer.lexicon.views).draw(writer.random)
    return _with_front(writer, setting, view)


def _with_front(writer: Writer, setting: str, front: Pair, *, place: float = 0) -> Pair | None:
    clause = _clause(writer, setting, place=place)
    if clause is None or (not place and clause.predicate.place.english):
        return None
    subject, predicate = clause.subject, clause.predicate
    return _sentence(
        f"{front.english}, {english_progressive(subject, predicate)}",
        german_fronted(front.german, subject, predicate),
    )


def _goes_with(first: Predicate, second: Predicate) -> bool:
    """Whether one can do both at once, in one place."""
    n_places = bool(first.place.english) + bool(second.place.english)
    return first.action.goes_with(second.action) and n_places < 2


def relative_clause(writer: Writer, setting: str) -> Pair | None:
    """A boy who is wearing a hat is feeding a dog; in German its verb stands at its end."""
    clause = _clause(writer, setting, dressed=False)
    if clause is None:
        return None
    subject, predicate = clause.subject, clause.predicate
    other = writer.predicate(subject, clause.noun.kinds, setting, place=0)
    if other is None or not (_goes_with(predicate, other) or _goes_with(other, predicate)):
        return None
    who = "who" if subject.is_person else "that"
    verb = other.action.verb.progressive
    rest = _words(_be(subject), predicate.action.verb.progressive, predicate.english_rest)
    return _sentence(
        _words(subject.english, who, _be(subject), verb, other.english_rest, rest),
        f"{subject.in_german('nominative')}, {subject.relative('nominative')} "
        f"{german_last_predicate(subject, other)}, {german_predicate(subject, predicate)}",
    )


def object_clause(writer: Writer, setting: str) -> Pair | None:
    """The dog that a boy is feeding is brown."""
    clause = _clause(writer, setting, "passive", place=0)
    if clause is None or clause.predicate.thing is None:
        return None
    noun = writer.lexicon.nouns_of(clause.predicate.action.what).draw(writer.random)
    adjectives = writer.adjectives(noun.kinds, 1)
    if not noun.singular or not adjectives or noun.kinds & _WITHOUT_ARTICLE:
        return None
    thing = noun_phrase(noun, "the", plural=writer.chance(0.2))
    verb, subject, prefix = clause.predicate.action.verb, clause.subject, clause.predicate.prefix
    last = joined(prefix, verb.finite(subject.plural))
    return _sentence(
        f"{thing.english} that {subject.english} {_be(subject)} {verb.progressive} "
        f"{_be(thing)} {adjectives[0].english}",
        f"{thing.in_german('nominative')}, {thing.relative('accusative')} "
        f"{subject.in_german('nominative')} {last}, "
        f"{'sind' if thing.plural else 'ist'} {adjectives[0].german}",
    )


def meanwhile(writer: Writer, setting: str) -> Pair | None:
    """A boy is feeding a dog while two girls are singing, or the other way round."""
    first = _clause(writer, setting, "active", place=0.3)
    second = _clause(writer, setting, "active", place=0, dressed=False)
    if first is None or second is None or first.noun == second.noun:
        return None
    main_english = english_progressive(first.subject, first.predicate)
    while_english = f"while {english_progressive(second.subject, second.predicate)}"
    while_german = f"während {german_last(second.subject, second.predicate)}"
    if writer.chance(0.35):
        return _sentence(
            f"{while_english}, {main_english}",
            german_fronted(f"{while_german},", first.subject, first.predicate),
        )
    main_german = german_main(first.subject, first.predicate)
    return _sentence(f"{main_english} {while_english}", f"{main_german}, {while_german}")


def two_actions(writer: Writer, setting: str) -> Pair | None:
    """A boy is sitting on a bench and reading a book."""
    clause = _clause(writer, setting, place=0.4)
    if clause is None:
        return None
    subject, predicate = clause.subject, clause.predicate
    other = writer.predicate(subject, clause.noun.kinds, setting, place=0)
    if other is None or not _goes_with(predicate, other):
        return None
    return _sentence(
        f"{english_progressive(subject, predicate)} and "
        f"{_words(other.action.verb.progressive, other.english_rest)}",
        f"{german_main(subject, predicate)} und {german_predicate(subject, other)}",
    )


def passive(writer: Writer, setting: str) -> Pair | None:
    """A dog is being fed by a boy: ein Hund wird von einem Jungen gefüttert."""
    clause = _clause(writer, setting, "passive", place=0.3)
    if clause is None or clause.predicate.thing is None:
        return None
    thing, predicate, agent = clause.predicate.thing, clause.predicate, clause.subject
    if predicate.place.prefix:  # would have to stand before the participle
        return None
    verb = predicate.action.verb
    by = Preposition("by", "von", "dative").before(agent)
    if thing.english.split()[0] in ("his", "her", "their"):
        return None
    return _sentence(
        _words(
            thing.english, _be(thing), "being", verb.english[2], by.english, predicate.place.english
        ),
        _words(
            thing.in_german("nominative"),
            "werden" if thing.plural else "wird",
            by.german,
            predicate.place.german,
            verb.german[2],
        ),
    )


def just_done(writer: Writer, setting: str) -> Pair | None:
    """A boy has just fed a dog: ein Junge hat gerade einen Hund gefüttert."""
    clause = _clause(writer, setting, "perfect", place=0.3)
    if clause is None or clause.predicate.action.path:
        return None
    subject, predicate = clause.subject, clause.predicate
    verb = predicate.action.verb
    have, haben = ("have", "haben") if subject.plural else ("has", "hat")
    return _sentence(
        _words(subject.english, have, "just", verb.english[2], predicate.english_rest),
        _words(
            subject.in_german("nominative"),
            haben,
            predicate.sich,
            "gerade",
            predicate.german_rest,
            verb.german[2],
        ),
    )


def trying(writer: Writer, setting: str) -> Pair | None:
    """A boy is trying to pick up a ball: ein Junge versucht, einen Ball aufzuheben."""
    clause = _clause(writer, setting, "perfect", place=0.2)
    if clause is None:
        return None
    subject, predicate = clause.subject, clause.predicate
    finite = "versuchen" if subject.plural else "versucht"
    return _sentence(
        f"{subject.english} {_be(subject)} trying to {english_base(predicate)}",
        f"{subject.in_german('nominative')} {finite}, {german_infinitive(predicate, zu=True)}",
    )


def wishing(writer: Writer, setting: str) -> Pair | None:
    """A boy wants to feed a dog: ein Junge will einen Hund füttern."""
    clause = _clause(writer, setting, "active", kinds=_PEOPLE, place=0.3)
    if clause is None:
        return None
    subject, predicate = clause.subject, clause.predicate
    want, will = ("want", "wollen") if subject.plural else ("wants", "will")
    return _sentence(
        f"{subject.english} {want} to {english_base(predicate)}",
        f"{subject.in_german('nominative')} {will} {german_infinitive(predicate, zu=False)}",
    )


def watching(writer: Writer, setting: str) -> Pair | None:
    """A boy is watching a man feed a dog: ein Junge beobachtet, wie ein Mann einen Hund füttert."""
    subject, noun = writer.subject(setting, kinds=_PEOPLE)
    watched = _clause(writer, setting, "active", place=0.3, dressed=False)
    if watched is None or watched.noun == noun:
        return None
    finite = "beobachten" if subject.plural else "beobachtet"
    return _sentence(
        f"{subject.english} {_be(subject)} watching {watched.subject.english} "
        f"{english_base(watched.predicate)}",
        f"{subject.in_german('nominative')} {finite}, "
        f"wie {german_last(watched.subject, watched.predicate)}",
    )


def there_is(writer: Writer, setting: str) -> Pair | None:
    """There is a ladder behind a house: hinter einem Haus steht eine Leiter."""
    if setting == "snow":
        return None
    kinds = ["upright", "flat", "parked"] if setting in _OUTSIDE else ["upright", "flat"]
    kind = writer.random.choice(kinds)
    verb = "lieg" if kind == "flat" else "steh"
    noun = writer.lexicon.nouns_of(frozenset([kind])).draw(writer.random)
    determiner = writer.random.choice(["a", "a", "a", "two", "three", "some", "several"])
    thing = noun_phrase(noun, determiner, writer.adjectives(noun.kinds))
    place = writer.place(setting)
    return _sentence(
        f"there {_be(thing)} {thing.english} {place.english}",
        f"{place.german} {verb}{'en' if thing.plural else 't'} {thing.in_german('nominative')}",
    )


def whose(writer: Writer, setting: str) -> Pair | None:
    """The farmer's dog is sleeping: der Hund des Bauern schläft."""
    if setting == "public":  # no animals there
        return None
    owner = writer.lexicon.nouns_of(_PEOPLE - {"children"}).draw(writer.random)
    _, noun = writer.subject(setting, kinds=frozenset(["pets", "farm"]))
    owned = noun_phrase(noun, "the")
    predicate = writer.predicate(owned, noun.kinds, setting, place=0.4)
    if predicate is None:
        return None
    whom = noun_phrase(owner, "the", writer.adjectives(owner.kinds, 0.4))
    nominative, genitive = owned.in_german("nominative"), whom.in_german("genitive")
    german = f"{nominative} {genitive}"
    subject = replace(
        owned,
        english=f"{whom.english}'s {noun.singular}",
        german=(german, german, german, german),
    )
    return _sentence(english_progressive(subject, predicate), german_main(subject, predicate))


def under_the_sky(writer: Writer, setting: str) -> Pair | None:
    """Although it is raining, a boy is feeding a dog; verbs last, then first."""
    clause = _clause(writer, setting, "active", place=0.3)
    if clause is None or setting not in _OUTSIDE - {"snow"}:
        return None
    sky = writer.lexicon.pool("skies", lambda: writer.lexicon.skies).draw(writer.random)
    subject, predicate = clause.subject, clause.predicate
    english, german = english_progressive(subject, predicate), german_main(subject, predicate)
    if writer.chance(0.5):
        return _sentence(
            f"although {sky.english}, {english}",
            german_fronted(f"obwohl {sky.german},", subject, predicate),
        )
    return _sentence(f"{english} although {sky.english}", f"{german}, obwohl {sky.german}")


PATTERNS: dict[Callable[[Writer, str], Pair | None], int] = {
    plain: 26,
    with_time: 9,
    place_first: 9,
    together: 8,
    two_actions: 8,
    relative_clause: 7,
    meanwhile: 7,
    passive: 6,
    there_is: 5,
    time_first: 5,
    watching: 4,
    just_done: 4,
    trying: 4,
    wishing: 4,
    whose: 3,
    under_the_sky: 3,
    view_first: 3,
    object_clause: 3,
}
"""Patterns and their weights."""
