"""Two fits of one axis laid side by side: which segment of the new one is which of the old one.

Belongs here: similarity of segments, their matching, and what became of each one. Does not: scoring customers and
giving ids (``identity``), whether the new fit may serve (``promotion``).
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from quimbi_assets.clustering.membership import distances_to
from quimbi_assets.clustering.transforms import Array

KEPT = 0.5
"""Similarity from which two matched segments are the same one. Above a Jaccard index of one half no two segments can
claim the same one; assumption: the same limit holds for the mean of Jaccard and closeness."""
MOSTLY = 0.5
"""Share of a segment's customers that makes another segment its origin or its heir."""


@dataclass(frozen=True)
class Relation:
    """What became of one segment.

    Parameters
    ----------
    new : int or None
        Position in the new fit; None for a retired segment.
    old : int or None
        Position in the old fit; None for a segment that was born.
    relation : str
        ``kept``; ``split``: the new segment is one of several parts of the old one; ``merged``: the old segment went
        into the new one with others; ``born``; ``retired``.
    score : float
        Similarity of the two, 0-1; for ``born`` and ``retired`` the largest with any segment.
    """

    new: int | None
    old: int | None
    relation: str
    score: float


def closeness(old: Array, new: Array) -> Array:
    """How near the centres of two fits are.

    Parameters
    ----------
    old : ndarray of shape (k, d)
        Old centres, in one scaled space.
    new : ndarray of shape (l, d)
        New centres, in the same space.

    Returns
    -------
    ndarray of shape (k, l)
        ``exp(-distance)``: 1 for the same place, 0.37 at one standard deviation; 0 if d is 0, nothing being known.

    Examples
    --------
    >>> closeness(np.array([[0.0, 0.0]]), np.array([[0.0, 0.0], [3.0, 4.0]])).round(4)
    array([[1.    , 0.0067]])
    """
    if not old.shape[1]:
        return np.zeros((len(old), len(new)))
    return np.exp(-distances_to(old, new))


def jaccard(table: Array) -> Array:
    """Customers in both segments over customers in either.

    Parameters
    ----------
    table : ndarray of shape (k, l)
        Customers by old and new segment.

    Returns
    -------
    ndarray of shape (k, l)
        0-1; 0 for two empty segments.

    Examples
    --------
    >>> jaccard(np.array([[6.0, 2.0], [0.0, 4.0]])).round(3)
    array([[0.75 , 0.167],
           [0.   , 0.667]])
    """
    union = table.sum(axis=1, keepdims=True) + table.sum(axis=0, keepdims=True) - table
    return np.asarray(table / np.maximum(union, 1.0), dtype=np.float64)


def similarity(near: Array, table: Array | None, old_states: list[str | None], new_states: list[str | None]) -> Array:
    """How alike the segments of two fits are.

    Parameters
    ----------
    near : ndarray of shape (k, l)
        Closeness of centres.
    table : ndarray of shape (k, l), optional
        The same customers, with the same features, by old and new segment; None where the old model cannot score them.
    old_states, new_states : list of (str or None)
        Name of the state a segment stands for.

    Returns
    -------
    ndarray of shape (k, l)
        Mean of closeness and Jaccard, or closeness alone, 0-1. Of segments that stand for a state a rule decides:
        1 if it is the same state, else 0.
    """
    alike = near if table is None else (near + jaccard(table)) / 2
    same = np.array([[a == b for b in new_states] for a in old_states], dtype=bool).reshape(alike.shape)
    ruled = np.array([[bool(a or b) for b in new_states] for a in old_states], dtype=bool).reshape(alike.shape)
    return np.where(ruled, same.astype(np.float64), alike)


def relate(alike: Array, table: Array | None = None) -> list[Relation]:
    """Say of every old and every new segment what became of it.

    Parameters
    ----------
    alike : ndarray of shape (k, l)
        Similarity, 0-1.
    table : ndarray of shape (k, l), optional
        The same customers by old and new segment; without it nothing can be seen to split or merge.

    Returns
    -------
    list of Relation
        New segments in their order, then the retired. Every new segment is kept, split, merged or born; every old one
        is kept, retired, or named as what others split from or merged of.

    Notes
    -----
    Matching minimises the sum of ``1 - similarity`` (Hungarian algorithm). Pairs of at least 0.5 are kept. A new
    segment that is not kept has merged from the old ones, two or more and not kept, most of whose customers it holds;
    else it split from the one old segment that most of its own customers come from, if that one is kept or has other
    parts; else it is born. An old segment most of whose customers are in a kept one has merged into that.
    """
    counts = np.zeros_like(alike) if table is None else table
    rows, columns = linear_sum_assignment(-alike)
    kept = {int(j): int(i) for i, j in zip(rows, columns, strict=True) if alike[i, j] >= KEPT}
    gone = [i for i in range(alike.shape[0]) if i not in kept.values()]
    heir = {i: _most(counts[i]) for i in gone}
    origin = {j: _most(counts[:, j]) for j in range(alike.shape[1]) if j not in kept}
    found: list[Relation] = []
    for j in range(alike.shape[1]):
        absorbed = [i for i in gone if heir[i] == j]
        if j in kept:
            found.append(Relation(j, kept[j], "kept", float(alike[kept[j], j])))
            found.extend(Relation(j, i, "merged", float(alike[i, j])) for i in absorbed)
        elif len(absorbed) > 1:
            found.extend(Relation(j, i, "merged", float(alike[i, j])) for i in absorbed)
        else:
            found.append(_arrival(j, origin, gone, alike))
    explained = {relation.old for relation in found}
    left = (Relation(None, i, "retired", _largest(alike[i])) for i in gone if i not in explained)
    return [*found, *left]


def _arrival(j: int, origin: dict[int, int | None], gone: list[int], alike: Array) -> Relation:
    """Whether a segment that is neither kept nor merged is a part of an old one or new altogether."""
    parent = origin[j]
    if parent is not None:
        parts = sum(other == parent for other in origin.values())
        if parts > 1 or parent not in gone:
            return Relation(j, parent, "split", float(alike[parent, j]))
    return Relation(j, None, "born", _largest(alike[:, j]))


def _most(counts: Array) -> int | None:
    """Position that holds at least half of the customers, if there are any."""
    top = int(np.argmax(counts))
    return top if counts[top] > 0 and counts[top] >= MOSTLY * counts.sum() else None


def _largest(values: Array) -> float:
    return float(values.max()) if len(values) else 0.0
