"""Rows of the table ``archetypes``: what each kept archetype is called, what makes it, how many it holds.

Belongs here: traits and sizes, which names stay; reading the kept set back from rows. Does not: which are kept
(``archetype_choice``), their names (``archetype_names``), SQL.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

from quimbi_assets.profiles.archetype_choice import ArchetypeChoice
from quimbi_assets.profiles.archetype_names import is_sayable, is_true, name_archetypes
from quimbi_assets.profiles.archetypes import ArchetypeSet
from quimbi_assets.profiles.fingerprint import axis_order


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
    are unique (``archetype_names``). An archetype that is in the rows that held until now (``previous``), made of
    segments of the same names, keeps its name.
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
    ids, before, called, traits = choice.kept.ids(), _names_until_now(previous), _called(segments), choice.kept.traits()
    keys = zip(ids, map(_key, _named_traits(choice, segments)), traits, choice.held, strict=True)
    known = {
        i: before[i, key]
        for i, key, one, held in keys
        if (i, key) in before and is_true(before[i, key], one, called, held)
    }
    names = name_archetypes(ids, traits, choice.counts.tolist(), called, known, choice.held)
    return dict(zip(ids, names, strict=True))


def _named_traits(choice: ArchetypeChoice, segments: Mapping[str, pd.DataFrame]) -> list[dict[str, dict[str, str]]]:
    words = _called(segments)
    return [
        {axis: {"segment_id": s, "segment_name": words[axis][s]} for axis, s in one.items()}
        for one in choice.kept.traits()
    ]


def _called(segments: Mapping[str, pd.DataFrame]) -> dict[str, dict[str, str]]:
    names = {axis: zip(t["segment_id"], map(str, t["segment_name"]), strict=True) for axis, t in segments.items()}
    return {axis: dict(of_axis) for axis, of_axis in names.items()}


def kept_archetypes(rows: pd.DataFrame | None) -> ArchetypeSet | None:
    """Read the kept archetypes back from rows of the table that hold at one time, ``traits`` as text or dicts."""
    if rows is None or rows.empty:
        return None
    traits = [_traits(value) for value in rows["traits"]]
    axes = tuple(axis_order(traits[0]))
    return ArchetypeSet(axes, tuple(sorted(tuple(one[axis]["segment_id"] for axis in axes) for one in traits)))


def _traits(value: Any) -> dict[str, dict[str, str]]:
    return dict(json.loads(value) if isinstance(value, str) else value)


def _names_until_now(previous: pd.DataFrame | None) -> dict[tuple[str, str], str]:
    """Names until now that may stay, by id and by the names of the segments, which they must be true of."""
    if previous is None:
        return {}
    rows = zip(previous["archetype_id"], previous["traits"], previous["name"], strict=True)
    return {(i, _key(_traits(traits))): name for i, traits, name in rows if is_sayable(name)}


def _key(traits: Mapping[str, Mapping[str, str]]) -> str:
    return json.dumps({axis: trait["segment_name"] for axis, trait in traits.items()}, sort_keys=True)
