"""Names of archetypes: five words at most, by which a marketer pictures people, and no two alike in a store.

Belongs here: what a segment is called within an archetype's name, and which segments an archetype is called by. Does
not: names of segments (``naming``), which archetypes there are (``archetype_choice``), rows (``archetype_rows``).

An archetype is a segment on each of a few axes. Its name says the two or three that set it apart: what everybody shares
and what says only that nothing stands out is left out (docs/adr/0020-words.md).
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from quimbi_assets.axes import AXES
from quimbi_assets.axes._axis import ONE_TIME_BUYERS, Feature, Word
from quimbi_assets.naming.descriptors import DAY_PARTS
from quimbi_assets.naming.name_builder import adjectives_of, is_from_rules, is_usual
from quimbi_assets.naming.values import spoken

MOST_WORDS = 5
SIZES = range(1, 5)
"""Numbers of segments that a name may consist of."""
POPULATION = "all customers"
MIXED = "mixed customers"
TRUE_OF = 0.8
"""Share of an archetype's customers who have to be dominant in a segment for it to be called by it."""
STILL_TRUE_OF = 0.75
"""The same for a name that it has: some customers more or less seldom change a name."""
PEOPLE = frozenset(axis.people for axis in AXES.values())
"""Nouns that say no more than that somebody is a customer."""
ORDER = (
    "customer_maturity", "loyalty_trajectory", "purchase_value", "purchase_frequency", "problem_complexity_profile",
    "purchase_cadence", "communication_preference", "product_knowledge", "repurchase_behavior", "category_exploration",
    "value_sophistication", "price_sensitivity", "return_behavior", "support_history",
)  # fmt: skip
"""Axes in the order in which their adjectives read well before a noun."""
ALSO = {"frequency_trend": ("silence",), "value_trend": ("silence",), "n_orders": ("silence", "rate")}
"""What a reader hears beside what a feature is about: "quiet one-timers" say one thing twice, "growing silent" two
that do not go together."""
VALUE = "purchase_value"
Segment = tuple[str, str]
"""An axis and the id of a segment of it."""


@dataclass(frozen=True)
class Handle:
    """What a segment is called within a name: by an adjective, a noun for people or either; by neither if it is usual.

    ``facts``: what it tells, as axes declare it; nothing of a name that no rule made.
    """

    axis: str
    adjective: str = ""
    noun: str = ""
    facts: frozenset[str] = frozenset()


def words_of(name: str) -> list[str]:
    """Return the words of a name as a reader counts them: hyphens and underscores part them, too.

    >>> words_of("fading full-basket bargain hunters")
    ['fading', 'full', 'basket', 'bargain', 'hunters']
    """
    return re.findall(r"[^\W_]+", name)


def is_sayable(name: str) -> bool:
    """Whether a name has few enough words, none twice, and nothing but words."""
    words = words_of(name)
    return len(words) <= MOST_WORDS and len(set(words)) == len(words) and re.fullmatch(r"[\w -]+", name) is not None


def handle(axis: str, name: str, siblings: Collection[str], bought_once: bool = False) -> Handle:
    """Return the shortest of a rule-made name's words that no sibling has, else all; of other names, the name itself.

    Of those who bought once nothing is said that takes two orders.
    """
    if is_usual(axis, name):
        return Handle(axis)
    if axis not in AXES or not is_from_rules(AXES[axis], name):
        return _of_another_name(axis, name)
    words, theirs = _words(axis, name), {word.text for other in siblings for word, _ in _words(axis, other)}
    true = [(word, feature) for word, feature in words if not (bought_once and feature.of_several)]
    apart = sorted((one for one in true if one[0].text not in theirs), key=lambda one: len(words_of(one[0].text)))
    chosen = apart[:1] or true
    adjective = " ".join(word.text.replace("_", "-") for word, _ in chosen)
    noun = spoken(chosen[0][0].noun) if len(chosen) == 1 else ""
    return Handle(axis, adjective, noun, _facts(feature for _, feature in chosen))


def _words(axis: str, name: str) -> list[tuple[Word, Feature]]:
    """Return the axis's words that a name is made of, each with the feature that it is of."""
    features = AXES[axis].clustering_features
    declared = {word.text: (word, feature) for feature in features for word in feature.words}
    clock = next((feature for feature in features if feature.about == "clock"), None)
    declared |= {part: (Word(part), clock) for part in DAY_PARTS if clock}
    return [declared[text] for text in adjectives_of(AXES[axis], name) if text in declared]


def _facts(features: Iterable[Feature]) -> frozenset[str]:
    return frozenset(fact for one in features for fact in (one.about or one.name, *ALSO.get(one.name, ())))


def _of_another_name(axis: str, name: str) -> Handle:
    """Return how a declared state is called, or a segment that a person or a model has named."""
    states = {} if axis not in AXES else {state.name: state for state in AXES[axis].structural}
    before, _, people = name.rpartition("_")
    if name in states:
        state, short = states[name].feature, states[name].noun.replace("_", "-")
        features = [one for one in AXES[axis].features if one.name == state]
        facts = _facts(features) or frozenset({state, *ALSO.get(state, ())})
        adjective = before.replace("_", "-")
        return Handle(axis, adjective if short else "", short or f"{adjective} {people}", facts)
    if before and people in PEOPLE:
        return Handle(axis, before.replace("_", "-"))
    return Handle(axis, "", spoken(name))


@dataclass(frozen=True)
class Offer:
    """A name that an archetype may have, of some of its segments; ``is_whole``: it says if they bought once."""

    name: str
    segments: tuple[Segment, ...]
    is_whole: bool


def name_archetypes(
    ids: Sequence[str],
    traits: Sequence[Mapping[str, str]],
    counts: Sequence[int],
    names: Mapping[str, Mapping[str, str]],
    known: Mapping[str, str],
    held: Sequence[Mapping[Segment, float]] = (),
) -> list[str]:
    """Name archetypes: by their id, segment by axis and customers; ``names`` of segments by axis and id.

    Each is called by segments that its customers are in themselves (``held``: the share of them by segment, all of them
    where it is left out) and no other archetype shares, in as few words as do; of equally many by the rarest.
    Where five words cannot do that, by as many segments as they hold, two or more, in words that no other has, the
    largest archetype first; where not even that can be, with segments of axes that do not make it, others giving way;
    else by all there is to say. Who is in ``known``, by id, keeps that name.
    """
    shares = held or [dict.fromkeys(one.items(), 1.0) for one in traits]
    all_true = [dict(segment for segment, share in one.items() if share >= TRUE_OF) for one in shares]
    true = [{a: s for a, s in one.items() if of.get(a) == s} for one, of in zip(traits, all_true, strict=True)]
    n_in: Counter[Segment] = Counter()
    for one, count in zip(all_true, counts, strict=True):
        n_in.update(dict.fromkeys(one.items(), count))
    shared = Counter(part for one in true for n in SIZES for part in combinations(sorted(one.items()), n))
    offers = [_in_order(_offers(one, names), n_in) for one in true]
    telling = [[one for one in of if one.is_whole and shared[one.segments] == 1] for of in offers]
    fullest = [sorted(_of_several(of), key=lambda one: (-len(one.segments), not one.is_whole)) for of in offers]
    choices = [list(dict.fromkeys(one.name for one in [*a, *b])) for a, b in zip(telling, fullest, strict=True)]
    taken = {known[i]: at for at, i in enumerate(ids) if i in known}
    largest = sorted((at for at, i in enumerate(ids) if i not in known), key=lambda at: (-counts[at], ids[at]))
    for wanted in (telling, fullest):
        for at in (at for at in largest if at not in taken.values()):
            _take(at, wanted[at], taken)
    for at in (at for at in largest if at not in taken.values()):
        _make_room(at, choices, taken, set(known.values()))
    for at in (at for at in largest if at not in taken.values()):
        wider = _in_order(_offers(all_true[at], names), n_in) if traits[at] else []
        _take(at, [*_of_several(wider), *offers[at], *wider], taken)
    if any(at not in taken.values() for at in largest):
        wide = [_in_order(_offers(one, names), n_in) if of else [] for one, of in zip(all_true, traits, strict=True)]
        every = [list(dict.fromkeys([*a, *(one.name for one in b)])) for a, b in zip(choices, wide, strict=True)]
        for at in (at for at in largest if at not in taken.values()):
            _make_room(at, every, taken, set(known.values()))
    called = {at: name for name, at in taken.items()}
    otherwise = [MIXED if one else POPULATION for one in traits]
    return [called.get(at) or _in_full(i, true[at], names, taken, otherwise[at]) for at, i in enumerate(ids)]


def is_true(
    name: str, traits: Mapping[str, str], names: Mapping[str, Mapping[str, str]], held: Mapping[Segment, float]
) -> bool:
    """Whether a name that an archetype has says nothing that is not so of most of its customers."""
    for axis, segment in (item for item in traits.items() if held.get(item, 0.0) < STILL_TRUE_OF):
        one = handle(axis, names[axis][segment], [other for at, other in names[axis].items() if at != segment])
        if any(f" {words} " in f" {name} " for words in (one.adjective, one.noun) if words):
            return False
    return True


def _take(at: int, wanted: Iterable[Offer], taken: dict[str, int]) -> None:
    """Give an archetype the first of the names it wants that is still free, if one is."""
    free = next((one.name for one in wanted if one.name not in taken), None)
    if free is not None:
        taken[free] = at


def _make_room(at: int, choices: Sequence[Sequence[str]], taken: dict[str, int], tried: set[str]) -> bool:
    """Give an archetype a name of its own by giving whoever has that another; whether that could be done.

    Names that were ``tried`` stay where they are.

    References
    ----------
    Kuhn (1955), The Hungarian method for the assignment problem: augmenting paths.
    """
    for name in choices[at]:
        if name not in tried:
            tried.add(name)
            if name not in taken or _make_room(taken[name], choices, taken, tried):
                taken[name] = at
                return True
    return False


def _in_order(offers: Iterable[Offer], held: Mapping[Segment, int]) -> list[Offer]:
    return sorted(offers, key=lambda offer: _preference(offer, held))


def _of_several(offers: Iterable[Offer]) -> list[Offer]:
    return [offer for offer in offers if len(offer.segments) > 1]


def _preference(offer: Offer, held: Mapping[Segment, int]) -> tuple[Any, ...]:
    """Return what orders names of one archetype: two traits rather than one, few words, of segments that few are in.

    How few in steps of half a bit, so that some customers more or less seldom change a name.
    """
    rarity = sorted(round(2 * float(np.log2(held[segment] + 1))) for segment in offer.segments)
    return len(offer.segments) < 2, len(words_of(offer.name)), -len(offer.segments), rarity, offer.segments


def _offers(traits: Mapping[str, str], names: Mapping[str, Mapping[str, str]]) -> Iterator[Offer]:
    """Yield the sayable names of an archetype."""
    once = {(axis, segment) for axis, segment in traits.items() if names[axis][segment] == ONE_TIME_BUYERS.name}
    called = {}
    for axis, segment in sorted(traits.items()):
        siblings = {name for other, name in names[axis].items() if other != segment}
        called[axis, segment] = handle(axis, names[axis][segment], siblings, bool(once))
    sayable = [segment for segment, one in called.items() if one.adjective or one.noun]
    for part in (part for n in SIZES for part in combinations(sayable, n)):
        name = _name([called[segment] for segment in part])
        if name and is_sayable(name):
            yield Offer(name, part, not once or bool(once.intersection(part)))


def _in_full(
    i: str, traits: Mapping[str, str], names: Mapping[str, Mapping[str, str]], taken: Collection[str], otherwise: str
) -> str:
    """Return all segments of an archetype, and its id where even these are another's; it has not been seen to come."""
    everything = ", ".join(spoken(names[axis][segment]) for axis, segment in sorted(traits.items())) or otherwise
    return f"{everything}, {i}" if everything in taken else everything


def _name(parts: Sequence[Handle]) -> str:
    """Join what segments are called; nothing where two tell one fact or cannot stand before one noun.

    What is said of spend is said of "spenders": "heavy bargain hunters" would hunt heavily.
    """
    facts = [fact for part in parts for fact in part.facts]
    nouns, of_spend = [part for part in parts if not part.adjective], any(part.axis == VALUE for part in parts)
    if len(set(facts)) < len(facts) or len(nouns) > 1 or (of_spend and nouns and nouns[0].facts):
        return ""
    ordered = sorted(parts, key=lambda part: ORDER.index(part.axis) if part.axis in ORDER else len(ORDER))
    last = next(iter([*nouns, *(part for part in ordered[::-1] if part.noun and not of_spend)]), None)
    adjectives = [part.adjective for part in ordered if part is not last]
    return " ".join([*adjectives, _people(ordered) if last is None else last.noun])


def _people(ordered: Sequence[Handle]) -> str:
    of = {part.axis for part in ordered}
    axis = next((one for one in (VALUE, "purchase_frequency") if one in of), ordered[-1].axis)
    return AXES[axis].people if axis in AXES else "customers"
