"""Rows of the table ``archetypes``: what each kept archetype is called, what makes it, how many it holds.

Belongs here: names, traits and sizes; reading the kept set back from rows. Does not: which are kept
(``archetype_choice``), SQL.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

from quimbi_assets.profiles.archetype_choice import ArchetypeChoice
from quimbi_assets.profiles.archetypes import ArchetypeSet
from quimbi_assets.profiles.fingerprint import axis_order

FEWEST_WORDS = 2
"""Segments that a name consists of, where that is enough to tell it from the others."""
POPULATION = "all customers"


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
    are unique. An archetype that is in the rows that held until now (``previous``), made of segments of the same names,
    keeps its name.
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
    """Names until now, by id and by the names of the segments, which a name must still be true of."""
    if previous is None:
        return {}
    rows = zip(previous["archetype_id"], previous["traits"], previous["name"], strict=True)
    return {(i, _key(_traits(traits))): name for i, traits, name in rows}


def _key(traits: Mapping[str, Mapping[str, str]]) -> str:
    return json.dumps({axis: trait["segment_name"] for axis, trait in traits.items()}, sort_keys=True)


def _names(
    ids: Sequence[str],
    traits: Sequence[Mapping[str, Mapping[str, str]]],
    counts: Sequence[int],
    known: Mapping[tuple[str, str], str],
) -> list[str]:
    """Name archetypes by their rarest segments, as many as it takes to tell them apart."""
    held: Counter[tuple[str, str]] = Counter()
    for one, count in zip(traits, counts, strict=True):
        held.update({(axis, trait["segment_id"]): count for axis, trait in one.items()})
    rarity = [sorted((held[axis, trait["segment_id"]], axis) for axis, trait in one.items()) for one in traits]
    telling = [[axis for _, axis in rarest_first] for rarest_first in rarity]
    names = [known.get((i, _key(one))) for i, one in zip(ids, traits, strict=True)]
    for n_words in range(FEWEST_WORDS, max(FEWEST_WORDS, *map(len, traits)) + 1):
        drafts = [_joined(one, axes[:n_words]) for one, axes in zip(traits, telling, strict=True)]
        taken = Counter(name or draft for name, draft in zip(names, drafts, strict=True))
        names = [name or (d if taken[d] == 1 else None) for name, d in zip(names, drafts, strict=True)]
    # Two segments of different axes may share a name; then only the id tells.
    return [name or f"{_joined(one, list(one))} ({i})" for i, one, name in zip(ids, traits, names, strict=True)]


def _joined(traits: Mapping[str, Mapping[str, str]], axes: Sequence[str]) -> str:
    return ", ".join(dict.fromkeys(traits[a]["segment_name"].replace("_", " ") for a in axes)) or POPULATION
