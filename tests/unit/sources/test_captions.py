"""Captions in two languages: nothing twice, nothing unused, and German as it ought to be."""

import re
from collections import Counter
from collections.abc import Iterable
from functools import cache
from typing import Any

import pytest

from utils import sources
from utils.errors import CourseError
from utils.sources import captions, lexicon
from utils.sources.inflection import CASES, Noun, article, noun_phrase

MULTI30K = "bentrevett/multi30k"


@cache
def load(profile: str = "quick") -> Any:
    return captions.load(MULTI30K, few=profile == "smoke")


def rows(*splits: str) -> list[tuple[str, str]]:
    dataset = load()[0]
    chosen = splits or tuple(dataset)
    return [pair for name in chosen for pair in zip(*dataset[name][:].values(), strict=True)]


def words(text: str) -> list[str]:
    return re.findall(r"[\w-]+", text)


# The data set


def test_splits_and_columns() -> None:
    from datasets import Features, Value

    for profile, sizes in (("quick", (12_000, 400, 400)), ("smoke", (3_000, 100, 100))):
        dataset, _ = load(profile)
        assert {name: split.num_rows for name, split in dataset.items()} == dict(
            zip(("train", "validation", "test"), sizes, strict=True)
        )
        for split in dataset.values():
            assert split.features == Features({"en": Value("string"), "de": Value("string")})


def test_it_stands_in_where_nothing_else_is(monkeypatch: pytest.MonkeyPatch) -> None:
    dataset, source = sources.load_dataset(MULTI30K, profile="smoke")
    assert dataset["train"].num_rows == 3_000
    assert (source.kind, source.location) == ("embedded", "embedded (captions)")
    assert source.licence.startswith("CC BY 4.0")
    assert source.fingerprint == load("smoke")[1].fingerprint
    with pytest.raises(CourseError, match="stand-ins are not used"):
        sources.load_dataset(MULTI30K, require="real")


def test_few_are_the_first_of_each_split() -> None:
    few, _ = load("smoke")
    for name, split in few.items():
        assert split["en"][:] == load()[0][name]["en"][: split.num_rows]


def test_the_same_seed_gives_the_same_captions_and_another_one_does_not() -> None:
    again = captions.captions.__wrapped__(500)
    assert again == captions.captions(sum(captions.SIZES.values()))[:500]
    assert again != captions.captions.__wrapped__(500, seed=1)


def test_a_change_of_the_captions_is_noticed() -> None:
    """Results on other captions are not comparable: a change belongs in the changelog."""
    assert load()[1].fingerprint == "dde7a9d131ca64e8"


def test_nothing_is_said_twice() -> None:
    for language in zip(*rows(), strict=True):
        assert Counter(language).most_common(1)[0][1] == 1


def test_damaged_words_are_reported(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lexicon.toml").write_text("nouns = [")
    monkeypatch.setattr(lexicon, "FILE", tmp_path / "lexicon.toml")
    with pytest.raises(CourseError, match="git checkout"):
        lexicon.lexicon.__wrapped__()


# German and English as they ought to be

PAIRS: list[tuple[str, str]] = [
    (
        "Three little swans are eating grain in a car park in the morning.",
        "Drei kleine Schwäne fressen am Morgen Getreide auf einem Parkplatz.",
    ),
    (
        "A mother is taking off sunglasses in the afternoon.",
        "Eine Mutter nimmt am Nachmittag eine Sonnenbrille ab.",
    ),
    (
        "A lady is watching a dog play with a red balloon.",
        "Eine Dame beobachtet, wie ein Hund mit einem roten Luftballon spielt.",
    ),
    (
        "Two uncles are watching a girl laugh in the light kitchen.",
        "Zwei Onkel beobachten, wie ein Mädchen in der hellen Küche lacht.",
    ),
    (
        "A grandfather is wearing his hat and playing chess.",
        "Ein Großvater trägt seinen Hut und spielt Schach.",
    ),
    (
        "A schoolboy is sitting on an old wooden bench and playing the flute.",
        "Ein Schüler sitzt auf einer alten Holzbank und spielt Flöte.",
    ),
    (
        "A bearded grandfather who is drinking coffee is sitting on a chair on a street.",
        "Ein bärtiger Großvater, der Kaffee trinkt, sitzt auf einem Stuhl auf einer Straße.",
    ),
    (
        "A kitten is resting on a farm.",
        "Ein Kätzchen ruht sich auf einem Bauernhof aus.",
    ),
    (
        "The old grandfather is riding a motorcycle along a river.",
        "Der alte Großvater fährt auf einem Motorrad einen Fluss entlang.",
    ),
    (
        "Many brown cows are following a fisherman while a tourist is drinking fresh juice.",
        "Viele braune Kühe folgen einem Fischer, während ein Tourist frischen Saft trinkt.",
    ),
    (
        "The old man in a green scarf wants to drink fresh lemonade.",
        "Der alte Mann in einem grünen Schal will frische Limonade trinken.",
    ),
    (
        "A woman wants to walk through the snow.",
        "Eine Frau will durch den Schnee gehen.",
    ),
    (
        "On the right, two happy ladies are looking for a poodle.",
        "Rechts suchen zwei fröhliche Damen einen Pudel.",
    ),
    (
        "In the foreground, two cranes are eating fresh bread.",
        "Im Vordergrund fressen zwei Kraniche frisches Brot.",
    ),
    (
        "The neighbour in a blue jacket is trying to take off a jacket in the library.",
        "Der Nachbar in einer blauen Jacke versucht, eine Jacke in der Bibliothek auszuziehen.",
    ),
    (
        "The grandfather is trying to carry a black backpack through a narrow alley.",
        "Der Großvater versucht, einen schwarzen Rucksack durch eine enge Gasse zu tragen.",
    ),
    (
        "The box that a short musician is carrying is black.",
        "Die Kiste, die ein kleiner Musiker trägt, ist schwarz.",
    ),
    (
        "The puppies that two grandfathers are walking are thin.",
        "Die Welpen, die zwei Großväter ausführen, sind mager.",
    ),
    (
        "A man and a tourist are standing in a restaurant.",
        "Ein Mann und ein Tourist stehen in einem Restaurant.",
    ),
    (
        "A father and a man are sitting on a bench.",
        "Ein Vater und ein Mann sitzen auf einer Bank.",
    ),
    (
        "In a crowded car park, two excavators are lifting a concrete slab.",
        "Auf einem überfüllten Parkplatz heben zwei Bagger eine Betonplatte hoch.",
    ),
    (
        "On the street, a tall worker is sitting on a red bench.",
        "Auf der Straße sitzt ein großer Arbeiter auf einer roten Bank.",
    ),
    (
        "At the weekend, the girl is sitting on the wooden bench.",
        "Am Wochenende sitzt das Mädchen auf der Holzbank.",
    ),
    (
        "In the evening, a father is standing on the bridge.",
        "Am Abend steht ein Vater auf der Brücke.",
    ),
    (
        "A lady has just photographed a black rabbit.",
        "Eine Dame hat gerade ein schwarzes Kaninchen fotografiert.",
    ),
    (
        "Four wet cats have just chased a bird.",
        "Vier nasse Katzen haben gerade einen Vogel gejagt.",
    ),
    (
        "There are some green cars on the quiet beach.",
        "Am ruhigen Strand stehen einige grüne Autos.",
    ),
    (
        "There are three blue ladders on a beach.",
        "An einem Strand stehen drei blaue Leitern.",
    ),
    (
        "Juice is being drunk by a happy boy.",
        "Saft wird von einem fröhlichen Jungen getrunken.",
    ),
    (
        "The heavy container is being lifted by a crane.",
        "Der schwere Container wird von einem Kran hochgehoben.",
    ),
    (
        "The mother's puppy is sleeping peacefully.",
        "Der Welpe der Mutter schläft friedlich.",
    ),
    (
        "The lady's kitten is sitting on a chair.",
        "Das Kätzchen der Dame sitzt auf einem Stuhl.",
    ),
    (
        "A thin duck is eating bread although it is raining.",
        "Eine magere Ente frisst Brot, obwohl es regnet.",
    ),
    (
        "A neighbour is laughing although it is very cold.",
        "Ein Nachbar lacht, obwohl es sehr kalt ist.",
    ),
    (
        "Two cranes stand in the woods.",
        "Zwei Kraniche stehen im Wald.",
    ),
    (
        "Three tired fathers are flying kites.",
        "Drei müde Väter lassen Drachen steigen.",
    ),
    (
        "An elderly neighbour in red trousers is singing.",
        "Ein älterer Nachbar in einer roten Hose singt.",
    ),
    (
        "A mother in a red jacket is walking slowly up a hill and singing.",
        "Eine Mutter in einer roten Jacke geht langsam einen Hügel hinauf und singt.",
    ),
    (
        "A policeman in a red coat is walking past a house.",
        "Ein Polizist in einem roten Mantel geht an einem Haus vorbei.",
    ),
    (
        "Four elderly grandmothers are trying to pick up several ladders.",
        "Vier ältere Großmütter versuchen, mehrere Leitern aufzuheben.",
    ),
    (
        "A dog is being walked by a tired woman on the bridge.",
        "Ein Hund wird von einer müden Frau auf der Brücke ausgeführt.",
    ),
    (
        "On the left, a bird is resting.",
        "Links ruht sich ein Vogel aus.",
    ),
    (
        "On a Sunday, a child is washing a glass.",
        "An einem Sonntag spült ein Kind ein Glas ab.",
    ),
    (
        "A group of fathers is taking off their hats.",
        "Eine Gruppe von Vätern nimmt ihre Hüte ab.",
    ),
    (
        "An aunt is wearing a jacket and pulling the cart.",
        "Eine Tante trägt eine Jacke und zieht den Karren.",
    ),
    (
        "A cook shows a new map to the aunt.",
        "Ein Koch zeigt der Tante eine neue Landkarte.",
    ),
]
"""Found among the captions; each one read and found to be right."""


@pytest.mark.parametrize(("english", "german"), PAIRS)
def test_pairs_that_were_read(english: str, german: str) -> None:
    assert dict(rows())[english] == german


def noun(english: str) -> Noun:
    return next(one for one in lexicon.lexicon().nouns if one.singular == english)


@pytest.mark.parametrize(
    ("english", "determiner", "adjective", "forms"),
    [
        ("dog", "a", "old", "ein alter Hund, einen alten Hund, einem alten Hund, "
         "eines alten Hundes"),
        ("cat", "a", "old", "eine alte Katze, eine alte Katze, einer alten Katze, "
         "einer alten Katze"),
        ("horse", "a", "big", "ein großes Pferd, ein großes Pferd, einem großen Pferd, "
         "eines großen Pferdes"),
        ("boy", "the", "little", "der kleine Junge, den kleinen Jungen, dem kleinen Jungen, "
         "des kleinen Jungen"),
        ("house", "the", "old", "das alte Haus, das alte Haus, dem alten Haus, des alten Hauses"),
        ("woman", "the", "young", "die junge Frau, die junge Frau, der jungen Frau, "
         "der jungen Frau"),
        ("child", "two", "little", "zwei kleine Kinder, zwei kleine Kinder, zwei kleinen Kindern, "
         "zwei kleiner Kinder"),
        ("hat", "his", "dark", "sein dunkler Hut, seinen dunklen Hut, seinem dunklen Hut, "
         "seines dunklen Hutes"),
        ("scarf", "her", "pink", "ihr rosa Schal, ihren rosa Schal, ihrem rosa Schal, "
         "ihres rosa Schals"),
        ("tree", "several", "high", "mehrere hohe Bäume, mehrere hohe Bäume, "
         "mehreren hohen Bäumen, mehrerer hoher Bäume"),
        ("coffee", "", "hot", "heißer Kaffee, heißen Kaffee, heißem Kaffee, heißen Kaffees"),
        ("water", "", "cold", "kaltes Wasser, kaltes Wasser, kaltem Wasser, kalten Wassers"),
        ("milk", "", "fresh", "frische Milch, frische Milch, frischer Milch, frischer Milch"),
    ],
)  # fmt: skip
def test_declension(english: str, determiner: str, adjective: str, forms: str) -> None:
    adjectives = [one for _, one in lexicon.lexicon().adjectives if one.english == adjective]
    phrase = noun_phrase(noun(english), determiner, adjectives[:1])
    assert [phrase.in_german(case) for case in CASES] == forms.split(", ")


def test_the_english_article_goes_by_the_sound() -> None:
    assert [article(word) for word in ("apple", "umbrella", "uniform", "old man", "hat")] == [
        "an", "an", "a", "an", "a",
    ]  # fmt: skip
    wrong = re.compile(r"\b(?:a (?!uni)[aeiou]|an (?![aeiou])|an uni)", re.IGNORECASE)
    assert [english for english, _ in rows() if wrong.search(english)] == []


def test_sentences_begin_with_a_capital_and_end_with_a_full_stop() -> None:
    for text in (text for pair in rows() for text in pair):
        assert re.fullmatch(r"[A-ZÄÖÜ][\wäöüß',é -]*\w\.", text), text
        assert "  " not in text
        assert " ," not in text


def test_lengths() -> None:
    for text in (text for pair in rows() for text in pair):
        assert 4 <= len(text.split()) <= 30, text


def nouns() -> list[Noun]:
    known = lexicon.lexicon()
    return [*known.nouns, *(place.noun for place in known.places)]


def german_forms(one: Noun) -> set[str]:
    forms = {one.in_german(case, plural) for case in CASES for plural in (False, True)}
    return {form for form in forms if form not in ("", "n")}


def test_genders_after_einem_and_einer() -> None:
    genders: dict[str, set[str]] = {}
    for one in nouns():
        for form in german_forms(one):
            genders.setdefault(form, set()).add(one.article)
    checked = 0
    for _, german in rows():
        for ending, word in re.findall(r"\bein(em|er) (?:[a-zäöüß]+ )*([A-ZÄÖÜ]\w+)", german):
            if word in genders:  # not in "an einem Sonntag"
                expected = {"die"} if ending == "er" else {"der", "das"}
                assert genders[word] & expected, german
                checked += 1
    assert checked > 5_000


def test_capitals_are_nouns() -> None:
    known = lexicon.lexicon()
    fixed = [*known.times, *known.weather, *known.views, *known.skies]
    fixed += [
        pair for table in (known.fixed, known.paths) for some in table.values() for pair in some
    ]
    texts = [pair.german for pair in fixed] + [one.german for one in known.relations]
    texts += [action.verb.prefix for action in known.actions]
    capitals = {word for text in texts for word in words(text)}
    capitals |= {form for one in nouns() for form in german_forms(one)}
    for _, german in rows():
        unknown = {word for word in words(german)[1:] if word[0].isupper()} - capitals
        assert not unknown, german


def test_subordinate_clauses_stand_between_commas_and_end_in_their_verb() -> None:
    known = lexicon.lexicon()
    finite = {form for action in known.actions for form in action.verb.german[:2]}
    n_checked = 0
    for _, german in rows():
        for clause in re.findall(r"(?:^W|, w)ährend ([^,.]*)[,.]|, wie ([^,.]*)\.", german):
            last = words("".join(clause))[-1]
            assert any(last.endswith(verb) for verb in finite), german
            n_checked += 1
    assert n_checked > 500


# Everything is used


def test_every_pattern_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    used: Counter[str] = Counter()

    def counted(pattern: Any) -> Any:
        def say(writer: Any, setting: str) -> Any:
            pair = pattern(writer, setting)
            used[pattern.__name__] += pair is not None
            return pair

        return say

    weights = {counted(pattern): weight for pattern, weight in captions.PATTERNS.items()}
    monkeypatch.setattr(captions, "PATTERNS", weights)
    captions.captions.__wrapped__(3_000)
    assert len(used) == len(captions.PATTERNS) >= 12
    assert min(used.values()) >= 20


@cache
def train_words() -> list[tuple[str, set[str]]]:
    return [(f" {' '.join(words(a))} ".lower(), set(words(b))) for a, b in rows("train")]


def said(english: Iterable[str], german: Iterable[str]) -> bool:
    """Whether one of the English forms and one of the German ones stand in the same pair."""
    forms, wanted = [f" {form} ".lower() for form in english if form], set(german)
    capital = {form.capitalize() for form in wanted}
    return any(
        (wanted | capital) & there and any(form in text for form in forms)
        for text, there in train_words()
    )


def test_every_noun_is_used() -> None:
    unused = [one for one in nouns() if not said((one.singular, one.plural), german_forms(one))]
    assert unused == []


def test_every_verb_is_used() -> None:
    unused = []
    for action in lexicon.lexicon().actions:
        verb = action.verb
        infinitive = [f"{verb.prefix}{form}" for form in verb.german]
        if not said((*verb.english, verb.third_person), (*verb.german, *infinitive)):
            unused.append(verb)
    assert unused == []


def test_every_adjective_is_used() -> None:
    endings = ("", "e", "er", "es", "en", "em")
    unused = []
    for _, one in lexicon.lexicon().adjectives:
        if not said([one.english], [one.german, *(one.inflected(ending) for ending in endings)]):
            unused.append(one)
    assert unused == []


def test_every_fixed_phrase_is_used() -> None:
    known = lexicon.lexicon()
    train = [(english.lower(), german.lower()) for english, german in rows("train")]
    tables = [known.times, known.weather, known.views, known.skies]
    tables += [*known.fixed.values(), *known.paths.values()]
    for pair in (pair for table in tables for pair in table):
        assert any(pair.english.lower() in a and pair.german.lower() in b for a, b in train), pair
    for relation in known.relations:
        assert any(relation.english in a and relation.german.lower() in b for a, b in train)


def test_the_vocabulary_is_as_rich_as_the_datasheet_says() -> None:
    known = lexicon.lexicon()
    assert len({one.german for one in known.nouns}) >= 90
    assert len({(one.verb.german[0], one.verb.prefix) for one in known.actions}) >= 60
    assert len({one.german for _, one in known.adjectives}) >= 30
    assert len(known.places) + sum(len(some) for some in known.fixed.values()) >= 25


AMBIGUOUS = {
    "ride": ("reitet", "fährt"),
    "draw": ("zeichnet", "zieht"),
    "wash": ("wäscht", "spült"),
    "take off": ("zieht", "nimmt"),
    "fly": ("fliegt", "lässt"),
    "eat": ("isst", "frisst"),
    "walk": ("geht", "führt"),
}


@pytest.mark.parametrize("english", AMBIGUOUS)
def test_ambiguous_verbs_are_translated_by_what_stands_around_them(english: str) -> None:
    found = {one.verb.german[0] for one in lexicon.lexicon().actions if one.verb.base == english}
    assert found >= set(AMBIGUOUS[english])


def test_glasses_and_cranes_and_light_things_are_ambiguous() -> None:
    text = " ".join(f"{english} {german}\n" for english, german in rows("train"))
    for english, *meanings in (
        ("glasses", "Brille", "Gläser"),
        ("crane", "Kran", "Kranich"),
        ("light", "leicht", "hell"),
        ("bank", "Bank", "Ufer"),
    ):
        for german in meanings:
            assert re.search(rf"\b{english}s?\b[^\n]*\b{german}", text), (english, german)
