"""Which segment of a new fit is which of the champion's: matching, ids, and what became of each segment.

Belongs here: laying two fits of an axis side by side on the same customers; segments that are kept keep their ids, the
others get new numbers. Does not: which fit serves (``promotion``).
"""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment

from quimbi_assets.clustering.quality import contingency, jaccard
from quimbi_assets.clustering.scaling import Array
from quimbi_assets.clustering.scoring import FittedAxis, distances_to

KEPT = 0.5
"""Similarity from which two matched segments are the same one. Above a Jaccard index of one half no two segments can
claim the same one; assumption: the same limit holds for the mean of Jaccard and closeness."""
MOSTLY = 0.5
"""Share of a segment's customers that makes another segment its origin or its heir."""


class Relation(NamedTuple):
    """What became of one segment: its positions in the new fit (None: retired) and in the old one (None: born).

    ``relation`` is ``kept``; ``split``: the new segment is one of several parts of the old one; ``merged``: the old
    segment went into the new one with others; ``born``; ``retired``. ``score`` is the similarity of the two, 0-1; for
    ``born`` and ``retired`` the largest with any segment.
    """

    new: int | None
    old: int | None
    relation: str
    score: float


def closeness(old: Array, new: Array) -> Array:
    """How near the centres (k, d) and (l, d) of two fits are, in one scaled space; shape (k, l).

    ``exp(-distance)``: 1 for the same place, 0.37 at one standard deviation; 0 if d is 0, nothing being known.

    >>> closeness(np.array([[0.0, 0.0]]), np.array([[0.0, 0.0], [3.0, 4.0]])).round(4)
    array([[1.    , 0.0067]])
    """
    if not old.shape[1]:
        return np.zeros((len(old), len(new)))
    return np.exp(-distances_to(old, new))


def similarity(near: Array, table: Array | None, old_states: list[str | None], new_states: list[str | None]) -> Array:
    """How alike the segments of two fits are; shape (k, l), 0-1.

    Mean of closeness and Jaccard over ``table`` (the same customers by old and new segment), or closeness alone where
    the old model cannot score them. Of segments that stand for a state a rule decides: 1 if it is the same one, else 0.
    """
    alike = near if table is None else (near + jaccard(table)) / 2
    same = np.array([[a == b for b in new_states] for a in old_states], dtype=bool).reshape(alike.shape)
    ruled = np.array([[bool(a or b) for b in new_states] for a in old_states], dtype=bool).reshape(alike.shape)
    return np.where(ruled, same.astype(np.float64), alike)


def relate(alike: Array, table: Array | None = None) -> list[Relation]:
    """Say of every old and every new segment what became of it: new segments in their order, then the retired.

    Every new segment is kept, split, merged or born; every old one is kept, retired, or named as what others split from
    or merged of. Without a table of customers nothing can be seen to split or merge.

    Matching minimises the sum of ``1 - similarity`` (Hungarian algorithm). Pairs of at least 0.5 are kept. A new
    segment that is not kept has merged from the old ones, two or more and not kept, most of whose customers it holds;
    else it split from the one old segment that most of its own customers come from, if that one is kept or has other
    parts; else it is born. An old segment most of whose customers are in a kept one has merged into that.
    """
    counts = np.zeros_like(alike) if table is None else table
    rows, columns = linear_sum_assignment(-alike)
    same = {int(j): int(i) for i, j in zip(rows, columns, strict=True) if alike[i, j] >= KEPT}
    gone = [i for i in range(alike.shape[0]) if i not in same.values()]
    heir = {i: _most(counts[i]) for i in gone}
    origin = {j: _most(counts[:, j]) for j in range(alike.shape[1]) if j not in same}
    relations: list[Relation] = []
    for j in range(alike.shape[1]):
        absorbed = [i for i in gone if heir[i] == j]
        if j in same:
            relations.append(Relation(j, same[j], "kept", float(alike[same[j], j])))
            relations.extend(Relation(j, i, "merged", float(alike[i, j])) for i in absorbed)
        elif len(absorbed) > 1:
            relations.extend(Relation(j, i, "merged", float(alike[i, j])) for i in absorbed)
        else:
            relations.append(_arrival(j, origin, gone, alike))
    explained = {relation.old for relation in relations}
    left = (Relation(None, i, "retired", float(alike[i].max(initial=0.0))) for i in gone if i not in explained)
    return [*relations, *left]


def _arrival(j: int, origin: dict[int, int | None], gone: list[int], alike: Array) -> Relation:
    """Whether a segment that is neither kept nor merged is a part of an old one or new altogether."""
    parent = origin[j]
    if parent is not None:
        parts = sum(other == parent for other in origin.values())
        if parts > 1 or parent not in gone:
            return Relation(j, parent, "split", float(alike[parent, j]))
    return Relation(j, None, "born", float(alike[:, j].max(initial=0.0)))


def _most(counts: Array) -> int | None:
    """Position that holds at least half of the customers, if there are any."""
    top = int(np.argmax(counts))
    return top if counts[top] > 0 and counts[top] >= MOSTLY * counts.sum() else None


def give_ids(
    fitted: FittedAxis, X: Any, champion: FittedAxis | None = None, named: int = 0
) -> tuple[list[str], int, pd.DataFrame]:
    """Give a fit's segments the ids of the champion's where they are the same ones, and new numbers elsewhere.

    ``X`` are customers, scored by both; ``named`` is the largest number given so far, where versions other than the
    champion gave more than it knows. Numbers of segments that were not kept are never given again.

    Returns the ids, ``<axis>_<number>``, in the fit's order; the largest number ever given on the axis; and the
    lineage, at least one row for every old and every new segment: ``segment_id``, ``previous_segment_id`` (None for
    ``born``; itself for ``retired``), ``relation``, ``score`` (NaN in an axis's first fit).
    """
    prefix, k = fitted.axis or "segment", len(fitted.structural_)
    relations = [Relation(j, None, "born", float("nan")) for j in range(k)]
    old_ids: list[str] = []
    if champion is not None:
        table = None
        if can_score(champion, X):
            table = contingency(champion.predict(X), fitted.predict(X), champion.k_, k)
        near = closeness(*_places(champion, fitted))
        relations = relate(similarity(near, table, champion.structural_, fitted.structural_), table)
        old_ids, named = champion.segment_ids_, max(named, champion.segments_named_)
    ids = {r.new: old_ids[r.old] for r in relations if r.relation == "kept" and r.old is not None}
    fresh = [j for j in range(k) if j not in ids]
    ids |= {j: f"{prefix}_{named + position + 1}" for position, j in enumerate(fresh)}
    rows = []
    for relation in relations:
        previous = None if relation.old is None else old_ids[relation.old]
        rows.append((ids.get(relation.new, previous or ""), previous, relation.relation, relation.score))
    lineage = pd.DataFrame(rows, columns=["segment_id", "previous_segment_id", "relation", "score"])
    return [ids[j] for j in range(k)], named + len(fresh), lineage


def can_score(model: FittedAxis, X: Any) -> bool:
    """Whether the customers have every feature a model reads."""
    return not isinstance(X, pd.DataFrame) or set(model.features_) <= set(X.columns)


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
