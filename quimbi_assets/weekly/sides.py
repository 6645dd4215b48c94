"""One snapshot as a comparison sees it: every customer's scores by the newer one's models.

Belongs here: the side, and where its customers stand. Does not: comparing two (``comparison``).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from quimbi_assets.profiles.scores import AxisScores

ARCHETYPE = "archetype"
Ids = NDArray[np.object_]


@dataclass(frozen=True)
class Side:
    """One snapshot, scored by the newer one's models.

    Parameters
    ----------
    scores : mapping of axis to AxisScores
        Of n customers in one order.
    archetypes : ndarray of str of shape (n,), optional
        Their archetypes among the newer one's.
    """

    scores: Mapping[str, AxisScores]
    archetypes: Ids | None = None

    @property
    def customers(self) -> pd.Index:
        """Customer ids, shape (n,)."""
        return next(iter(self.scores.values())).customers


def segments_of(side: Side) -> dict[str, tuple[Ids, list[str]]]:
    """Return by axis the dominant segment of every customer and all segment ids; archetypes last."""
    found = {
        axis: (np.array(score.segment_ids, dtype=object)[score.dominant], list(score.segment_ids))
        for axis, score in side.scores.items()
    }
    if side.archetypes is not None:
        found[ARCHETYPE] = (side.archetypes, sorted(set(side.archetypes[~pd.isna(side.archetypes)])))
    return found


def lead_over(score: AxisScores, settled: Ids) -> NDArray[np.float64]:
    """How much more each customer belongs to their dominant segment than to the one they are settled in."""
    place = pd.Index(score.segment_ids).get_indexer(pd.Index(settled, dtype=object))
    rows = np.arange(len(settled))
    own = np.where(place >= 0, score.memberships[rows, np.maximum(place, 0)], 0.0)
    return score.memberships.max(axis=1) - own
