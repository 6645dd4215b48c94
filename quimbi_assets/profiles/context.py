"""What all profiles of one run have in common.

Belongs here: store, instant, segment names, model versions, currency, archetypes. Does not: anything about a customer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import pandas as pd

from quimbi_assets.profiles.archetypes import ArchetypeSet


@dataclass(frozen=True)
class ProfileContext:
    """What all profiles of one run have in common.

    Parameters
    ----------
    store_id : str
        Store.
    as_of : datetime
        Instant the features were measured at; naive is UTC.
    segments : mapping of axis to DataFrame
        ``segment_id`` and ``segment_name``.
    versions : mapping of axis to str
        Version of the registered model.
    currency : str
        ISO code or sign.
    archetypes : ArchetypeSet, optional
        The store's kept archetypes; without, every combination of dominant segments is one.
    weak : frozenset of str
        Axes on which the store's customers do not really differ: no sentence says a customer belongs anywhere there.
    """

    store_id: str
    as_of: datetime
    segments: Mapping[str, pd.DataFrame]
    versions: Mapping[str, str]
    currency: str = ""
    archetypes: ArchetypeSet | None = None
    weak: frozenset[str] = frozenset()

    @cached_property
    def _names(self) -> dict[str, dict[str, str]]:
        """Segment names by id and axis."""
        return {
            axis: dict(zip(table["segment_id"], table["segment_name"], strict=True))
            for axis, table in self.segments.items()
        }

    def names(self, axis: str, segment_ids: Sequence[str]) -> list[str]:
        """Return the names of an axis's segments.

        Raises
        ------
        ValueError
            If one has none.
        """
        known = self._names.get(axis, {})
        nameless = [segment for segment in segment_ids if segment not in known]
        if nameless:
            raise ValueError(f"axis {axis}: no name for segment {', '.join(nameless)}")
        return [known[segment] for segment in segment_ids]
