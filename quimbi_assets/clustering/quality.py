"""How well separated and how balanced a partition is, and how alike two are.

Belongs here: figures of one partition of points, and of how far two agree. Does not: refitting on other customers
(``candidates``), what figure is good enough (``selection``).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import calinski_harabasz_score, davies_bouldin_score

from quimbi_assets.clustering.scaling import Array

Labels = NDArray[np.intp]
BLOCK = 250
"""Rows of distances computed at a time."""


class SharedDistances:
    """Distances among one sample of points, computed once and shared by every partition of them.

    They are among the n points whose silhouette is measured, and from these to m points, perhaps none, of structural
    segments, 0 ... s-1 in ``other_labels``: 4 n (n + m) bytes, for 5,000 points 100 MB and 0.05 s.
    """

    def __init__(self, points: Array, others: Array, other_labels: Labels) -> None:
        self.among, self.to_others = _distances(points, points), _distances(points, others)
        np.fill_diagonal(self.among, 0.0)
        self.other_labels = other_labels

    def silhouettes(self, labels: Labels) -> Array:
        """Silhouette of each point under a partition of the sample, labels 0 ... k-1; shape (n,).

        In [-1, 1]; 0 for a point alone in its cluster, NaN if there is one segment in all. ``(b - a) / max(a, b)`` with
        ``a`` the mean distance to the point's own cluster and ``b`` to the nearest other segment, structural ones
        included (Rousseeuw: Silhouettes, J. Comput. Appl. Math. 20, 1987).
        """
        totals, sizes = _sums(self.among, labels)
        rows = np.arange(len(labels))
        own_size = sizes[labels]
        inner = totals[rows, labels] / np.maximum(own_size - 1, 1)
        with np.errstate(invalid="ignore", divide="ignore"):
            means = totals / sizes
            means[rows, labels] = np.inf
            to_states, given_sizes = _sums(self.to_others, self.other_labels)
            others = np.concatenate([means, to_states / given_sizes], axis=1)
        others[np.isnan(others)] = np.inf
        if others.shape[1] < 2 or np.isinf(others).all():
            return np.full(len(labels), np.nan)
        nearest = others.min(axis=1)
        largest = np.maximum(np.maximum(inner, nearest), np.finfo(np.float64).tiny)
        return np.where(own_size > 1, (nearest - inner) / largest, 0.0)


def _distances(points: Array, others: Array) -> NDArray[np.float32]:
    """Euclidean distances; shape (n, m), each within 1e-4 of the exact one where points are a few units apart.

    ``|p - q|^2`` of all pairs in one product of augmented matrices, block by block so that the root is taken in cache:
    a third of the time of ``sklearn.metrics.pairwise_distances``, which sums in double precision.
    """
    origin = points.mean(axis=0)
    left, right = ((x - origin).astype(np.float32) for x in (points, others))
    left_squares, right_squares = ((x * x).sum(axis=1, keepdims=True) for x in (left, right))
    left = np.hstack([-2.0 * left, left_squares, np.ones_like(left_squares)])
    right = np.hstack([right, np.ones_like(right_squares), right_squares]).T
    distances = np.empty((len(left), right.shape[1]), dtype=np.float32)
    for start in range(0, len(left), BLOCK):
        block = distances[start : start + BLOCK]
        np.matmul(left[start : start + BLOCK], right, out=block)
        np.sqrt(np.maximum(block, 0.0, out=block), out=block)
    return distances


def _sums(distances: NDArray[np.float32], labels: Labels) -> tuple[Array, Array]:
    """Return the (n, k) sum of each row's distances by label of the column, and the k label counts."""
    k = int(labels.max()) + 1 if len(labels) else 0
    indicator = np.zeros((len(labels), k), dtype=np.float32)
    indicator[np.arange(len(labels)), labels] = 1.0
    return (distances @ indicator).astype(np.float64), indicator.sum(axis=0, dtype=np.float64)


def effective_segments(shares: Array) -> float:
    """Number of equally large segments that would carry as much information: 1 (one giant) to k (all alike).

    ``exp(-sum p ln p)`` over shares p that sum to 1, the exponential of Shannon's entropy.

    >>> round(effective_segments(np.array([0.95, 0.05])), 2)
    1.22
    """
    positive = shares[shares > 0]
    return float(np.exp(-(positive * np.log(positive)).sum()))


def variance_ratios(points: Array, labels: Labels) -> tuple[float, float]:
    """Calinski-Harabasz (larger is better) and Davies-Bouldin (smaller) of a partition; NaN for a single cluster."""
    if not 1 < len(np.unique(labels)) < len(labels):
        return float("nan"), float("nan")
    return float(calinski_harabasz_score(points, labels)), float(davies_bouldin_score(points, labels))


@dataclass(frozen=True)
class Stability:
    """Agreement of bootstrap refits with the original partition.

    ``ari`` is the mean adjusted Rand index (1 for identical partitions, about 0 for unrelated ones), ``ari_spread`` its
    standard deviation over refits; ``jaccard``, shape (k,), per cluster the mean over refits of its largest Jaccard
    similarity with a refitted cluster, 0-1.
    """

    ari: float
    jaccard: Array
    ari_spread: float = 0.0


def nearest(points: Array, centers: Array) -> Labels:
    """Index of the nearest centre of each point, the first of equals; shape (n,)."""
    return np.asarray(np.argmin((centers * centers).sum(axis=1) - 2.0 * (points @ centers.T), axis=1), dtype=np.intp)


def contingency(first: Labels, second: Labels, k_first: int, k_second: int) -> Array:
    """Count points by their clusters in two partitions; shape (k_first, k_second)."""
    flat = np.bincount(first * k_second + second, minlength=k_first * k_second)
    return flat.reshape(k_first, k_second).astype(np.float64)


def adjusted_rand(table: Array) -> float:
    """Adjusted Rand index of a contingency table (Hubert, Arabie: Comparing partitions, J. of Classification 2, 1985).

    >>> adjusted_rand(np.array([[5.0, 0.0], [0.0, 5.0]]))
    1.0
    """
    together = _pairs(table).sum()
    rows, columns = _pairs(table.sum(axis=1)).sum(), _pairs(table.sum(axis=0)).sum()
    expected = rows * columns / max(_pairs(table.sum()), 1.0)
    largest = (rows + columns) / 2
    return 1.0 if largest == expected else float((together - expected) / (largest - expected))


def jaccard(table: Array) -> Array:
    """Members of both clusters over members of either; shape (k, l), 0-1; 0 for two empty clusters.

    >>> jaccard(np.array([[6.0, 2.0], [0.0, 4.0]])).round(3)
    array([[0.75 , 0.167],
           [0.   , 0.667]])
    """
    union = table.sum(axis=1, keepdims=True) + table.sum(axis=0, keepdims=True) - table
    return np.asarray(table / np.maximum(union, 1.0), dtype=np.float64)


def _pairs(counts: Array) -> Array:
    return np.asarray(counts * (counts - 1.0) / 2.0)
