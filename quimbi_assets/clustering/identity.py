"""Ids of a fit's segments: those of the champion for segments that are kept, new numbers for the others.

Belongs here: laying two fitted axes side by side on the same customers, giving ids, the lineage. Does not: the
matching itself (``alignment``), which fit serves (``promotion``).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from quimbi_assets.clustering.alignment import Relation, closeness, relate, similarity
from quimbi_assets.clustering.scoring import FittedAxis
from quimbi_assets.clustering.stability import contingency
from quimbi_assets.clustering.transforms import Array

LINEAGE = ("segment_id", "previous_segment_id", "relation", "score")


@dataclass(frozen=True)
class Identity:
    """Who the segments of a fit are.

    Parameters
    ----------
    segment_ids : list of str of length k
        ``<axis>_<number>``, in the fit's order.
    named : int
        Largest number ever given on the axis.
    lineage : DataFrame
        Columns ``segment_id``, ``previous_segment_id`` (None for ``born``; itself for ``retired``), ``relation``,
        ``score`` (NaN in an axis's first fit); at least one row for every old and every new segment.
    """

    segment_ids: list[str]
    named: int
    lineage: pd.DataFrame


def identify(fitted: FittedAxis, X: Any, champion: FittedAxis | None = None, named: int = 0) -> Identity:
    """Say who the segments of a fit are, whether or not there is a champion to inherit from."""
    if champion is None:
        return first_identity(fitted.axis, len(fitted.structural_), named)
    return inherited_identity(champion, fitted, X, named)


def first_identity(axis: str, k: int, named: int = 0) -> Identity:
    """Number the segments of an axis's first fit, continuing after ``named``.

    Examples
    --------
    >>> first_identity("value", 2).segment_ids
    ['value_1', 'value_2']
    """
    ids = [f"{axis or 'segment'}_{named + i + 1}" for i in range(k)]
    rows = [(segment, None, "born", float("nan")) for segment in ids]
    return Identity(ids, named + k, pd.DataFrame(rows, columns=list(LINEAGE)))


def inherited_identity(champion: FittedAxis, fitted: FittedAxis, X: Any, named: int = 0) -> Identity:
    """Give a refit's segments the ids of the champion's where they are the same ones.

    Parameters
    ----------
    champion : FittedAxis
        The model that serves.
    fitted : FittedAxis
        A new fit of the same axis, without ids.
    X : DataFrame or array of n rows
        Customers, scored by both.
    named : int
        Largest number given so far, where versions other than the champion gave more than it knows.

    Returns
    -------
    Identity
        Ids are unique; numbers of segments that were not kept are never given again.
    """
    table = _shared_customers(champion, fitted, X)
    near = closeness(*_places(champion, fitted))
    relations = relate(similarity(near, table, champion.structural_, fitted.structural_), table)
    old_ids = champion.segment_ids_
    # A model saved before ids were counted had numbered its segments from 1.
    last = max(named, getattr(champion, "segments_named_", len(old_ids)))
    ids = {r.new: old_ids[r.old] for r in relations if r.relation == "kept" and r.old is not None}
    fresh = [j for j in range(len(fitted.structural_)) if j not in ids]
    prefix = fitted.axis or "segment"
    ids |= {j: f"{prefix}_{last + position + 1}" for position, j in enumerate(fresh)}
    rows = [_row(relation, ids, old_ids) for relation in relations]
    segment_ids = [ids[j] for j in range(len(fitted.structural_))]
    return Identity(segment_ids, last + len(fresh), pd.DataFrame(rows, columns=list(LINEAGE)))


def can_score(model: FittedAxis, X: Any) -> bool:
    """Whether the customers have every feature a model reads."""
    return not isinstance(X, pd.DataFrame) or set(model.features_) <= set(X.columns)


def _row(relation: Relation, ids: dict[int | None, str], old_ids: list[str]) -> tuple[str, str | None, str, float]:
    previous = None if relation.old is None else old_ids[relation.old]
    return (ids.get(relation.new, previous or ""), previous, relation.relation, relation.score)


def _shared_customers(champion: FittedAxis, fitted: FittedAxis, X: Any) -> Array | None:
    """Count customers by champion's and new segment; None if the champion cannot score them."""
    if not can_score(champion, X):
        return None
    k_old, k_new = len(champion.cluster_centers_), len(fitted.cluster_centers_)
    return contingency(champion.predict(X), fitted.predict(X), k_old, k_new)


def _places(champion: FittedAxis, fitted: FittedAxis) -> tuple[Array, Array]:
    """Centres of both in the champion's units, on the features that both read in the same way."""
    shared = [
        (champion.features_.index(name), i)
        for i, name in enumerate(fitted.features_)
        if name in champion.features_ and champion.transforms_[champion.features_.index(name)] == fitted.transforms_[i]
    ]
    old, new = (np.array([pair[side] for pair in shared], dtype=np.intp) for side in (0, 1))
    places = fitted.cluster_centers_[:, new] * fitted.scale_[new] + fitted.mean_[new]
    return champion.cluster_centers_[:, old], (places - champion.mean_[old]) / champion.scale_[old]
