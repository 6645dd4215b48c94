"""Rows of the table ``archetypes``: what each kept archetype is called, what makes it, how many it holds.

Belongs here: names, traits and sizes; reading the kept set back from rows. Does not: which are kept
(``archetype_choice``), SQL.
"""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from quimbi_assets.axes import AXES
from quimbi_assets.naming.descriptors import DAY_PARTS
from quimbi_assets.naming.name_builder import adjectives_of, is_from_rules
from quimbi_assets.profiles.archetype_choice import ArchetypeChoice
from quimbi_assets.profiles.archetypes import ArchetypeSet
from quimbi_assets.profiles.fingerprint import axis_order

MOST_WORDS = 5
SIZES = (2, 3, 4, 1)
"""Numbers of segments that a name may consist of, as preferred."""
POPULATION = "all customers"
PEOPLE = frozenset(axis.people for axis in AXES.values())
"""Nouns that say no more than that somebody is a customer."""


def archetype_rows(
    store_id: str,
    choice: ArchetypeChoice,
    segments: Mapping[str, pd.DataFrame],
    valid_from: datetime,
    as_of: datetime,
    previous: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Return rows of ``archetypes``, largest first, made of named segments from data that end at ``as_of``.

    ``traits`` as JSON text ``{axis: {"segment_id": ..., "segment_name": ...}}``; ``population_percentage`` 0-100; names
    are unique, of five words at most, none twice. An archetype that is in the rows that held until now (``previous``),
    made of segments of the same names, keeps its name.
    """
    names = archetype_names(choice, segments, previous)
    frame = pd.DataFrame(
        {
            "store_id": store_id,
            "archetype_id": list(names),
            "name": list(names.values()),
            "traits": [json.dumps(one) for one in _named_traits(choice, segments)],
            "customer_count": choice.counts.astype(np.int64),
            "population_percentage": 100 * choice.counts / choice.counts.sum(),
            "valid_from": valid_from,
            "valid_to": None,
            "as_of": as_of,
        }
    )
    return frame.sort_values(["customer_count", "archetype_id"], ascending=[False, True], ignore_index=True)


def archetype_names(
    choice: ArchetypeChoice, segments: Mapping[str, pd.DataFrame], previous: pd.DataFrame | None = None
) -> dict[str, str]:
    """Name the archetypes of a store, by id, as ``archetype_rows`` does."""
    traits, ids = _named_traits(choice, segments), choice.kept.ids()
    return dict(zip(ids, _names(ids, traits, choice.counts.tolist(), _kept_names(previous)), strict=True))


def _named_traits(choice: ArchetypeChoice, segments: Mapping[str, pd.DataFrame]) -> list[dict[str, dict[str, str]]]:
    words = {axis: dict(zip(t["segment_id"], t["segment_name"], strict=True)) for axis, t in segments.items()}
    return [
        {axis: {"segment_id": s, "segment_name": str(words[axis][s])} for axis, s in one.items()}
        for one in choice.kept.traits()
    ]


def kept_archetypes(rows: pd.DataFrame | None) -> ArchetypeSet | None:
    """Read the kept archetypes back from rows of the table that hold at one time, ``traits`` as text or dicts."""
    if rows is None or rows.empty:
        return None
    traits = [_traits(value) for value in rows["traits"]]
    axes = tuple(axis_order(traits[0]))
    return ArchetypeSet(axes, tuple(sorted(tuple(one[axis]["segment_id"] for axis in axes) for one in traits)))


def _traits(value: Any) -> dict[str, dict[str, str]]:
    return dict(json.loads(value) if isinstance(value, str) else value)


def _kept_names(previous: pd.DataFrame | None) -> dict[tuple[str, str], str]:
    """Names until now that are short enough, by id and by the names of the segments, which they must be true of."""
    if previous is None:
        return {}
    rows = zip(previous["archetype_id"], previous["traits"], previous["name"], strict=True)
    return {(i, _key(_traits(traits))): name for i, traits, name in rows if _is_short(name)}


def _key(traits: Mapping[str, Mapping[str, str]]) -> str:
    return json.dumps({axis: trait["segment_name"] for axis, trait in traits.items()}, sort_keys=True)


def _is_short(name: str, most: int = MOST_WORDS) -> bool:
    """Whether a name has few enough words, none twice."""
    parts = re.findall(r"[^\W_]+", name)
    return len(name.split()) <= most and "," not in name and len(set(parts)) == len(parts)


def _names(
    ids: Sequence[str],
    traits: Sequence[Mapping[str, Mapping[str, str]]],
    counts: Sequence[int],
    known: Mapping[tuple[str, str], str],
) -> list[str]:
    """Name archetypes by as few traits as tell them from all others, of equally many by the rarest ones.

    Where no name of so few words does, the one of most traits is numbered.
    """
    held: Counter[tuple[str, str]] = Counter()
    for one, count in zip(traits, counts, strict=True):
        held.update({(axis, trait["segment_id"]): count for axis, trait in one.items()})
    axes = sorted(traits[0])
    subsets = [part for n in SIZES for part in combinations(axes, min(n, len(axes)))]
    alike = {part: Counter(_segments(one, part) for one in traits) for part in subsets}
    names = [known.get((i, _key(one)), "") for i, one in zip(ids, traits, strict=True)]
    for at, one in enumerate(traits):
        if not names[at]:
            names[at] = _name(one, _rarest_first(subsets, one, held), alike, names)
    return names


def _rarest_first(
    subsets: Sequence[tuple[str, ...]], traits: Mapping[str, Mapping[str, str]], held: Mapping[tuple[str, str], int]
) -> list[tuple[str, ...]]:
    def rarity(part: tuple[str, ...]) -> list[int]:
        return sorted(held[axis, traits[axis]["segment_id"]] for axis in part)

    return sorted(subsets, key=lambda part: (SIZES.index(len(part)) if part else 0, rarity(part)))


def _name(
    traits: Mapping[str, Mapping[str, str]],
    subsets: Sequence[tuple[str, ...]],
    alike: Mapping[tuple[str, ...], Mapping[tuple[str, ...], int]],
    names: Sequence[str],
) -> str:
    """Return the first name of few words that no other archetype shares the segments of, else the longest, numbered."""
    drafts = {part: _joined(traits, part) for part in subsets if not _repeats(traits, part)}
    for part, draft in drafts.items():
        if _is_short(draft) and alike[part][_segments(traits, part)] == 1 and draft not in names:
            return draft
    short = [draft for draft in drafts.values() if _is_short(draft, MOST_WORDS - 1)]
    return _numbered(max(short, key=lambda draft: len(draft.split()), default=POPULATION), names)


def _segments(traits: Mapping[str, Mapping[str, str]], axes: Sequence[str]) -> tuple[str, ...]:
    return tuple(traits[axis]["segment_id"] for axis in axes)


def _repeats(traits: Mapping[str, Mapping[str, str]], axes: Sequence[str]) -> bool:
    """Whether segments of several axes tell one fact, or are more than one noun."""
    facts = [fact for axis in axes for fact in _facts(axis, traits[axis]["segment_name"])]
    nouns = [axis for axis in axes if not _is_adjective(traits[axis]["segment_name"])]
    return len(set(facts)) < len(facts) or len(nouns) > 1


def _facts(axis: str, name: str) -> set[str]:
    """What a segment's name tells, as axes declare it; nothing of a name that no rule made."""
    if axis not in AXES:
        return set()
    features = AXES[axis].clustering_features
    states = {state.name: state.feature for state in AXES[axis].structural}
    facts = {word.text: feature.about or feature.name for feature in features for word in feature.words}
    facts |= dict.fromkeys(DAY_PARTS, "clock")
    words = adjectives_of(AXES[axis], name)
    return {states[name]} if name in states else {facts[word] for word in words if word in facts}


def _is_adjective(name: str) -> bool:
    """Whether a name's noun says no more than that they are customers."""
    return name.rpartition("_")[2] in PEOPLE


def _joined(traits: Mapping[str, Mapping[str, str]], axes: Sequence[str]) -> str:
    """Put the adjectives of segments before one noun; one that consists of several words is hyphenated."""
    adjectives, nouns = [], []
    for axis in axes:
        name = traits[axis]["segment_name"]
        if not _is_adjective(name):
            nouns.append(name.replace("_", " "))
        elif axis in AXES and is_from_rules(AXES[axis], name):
            adjectives += [word.replace("_", "-") for word in adjectives_of(AXES[axis], name)]
        else:
            adjectives.append(name.rpartition("_")[0].replace("_", "-"))
    return " ".join([*adjectives, *(nouns or ["customers"])]) if axes else POPULATION


def _numbered(name: str, names: Sequence[str]) -> str:
    """Return a name that is not taken."""
    numbered = (f"{name} ({n})" for n in range(2, len(names) + 2))
    return name if name not in names else next(one for one in numbered if one not in names)
