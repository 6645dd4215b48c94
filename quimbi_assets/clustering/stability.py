"""How far a partition survives drawing other customers: bootstrap refits compared on common points.

Belongs here: agreement between partitions of the same points. Does not: which partition to prefer.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from quimbi_assets.clustering.quality import Labels
from quimbi_assets.clustering.transforms import Array

Refit = Callable[[Array, int], Array]
"""``(points (m, d), seed) -> centres (k, d)``."""


@dataclass(frozen=True)
class Stability:
    """Agreement of bootstrap refits with the original partition.

    Parameters
    ----------
    ari : float
        Mean adjusted Rand index, 1 for identical partitions, about 0 for unrelated ones.
    jaccard : ndarray of shape (k,)
        Per cluster, the mean over refits of its largest Jaccard similarity with a refitted cluster, 0-1.
    ari_spread : float
        Standard deviation of the index over refits.
    """

    ari: float
    jaccard: Array
    ari_spread: float = 0.0


def bootstrap_stability(
    points: Array, common: Array, labels: Labels, refit: Refit, *, n_bootstraps: int, size: int, seed: int
) -> Stability:
    """Refit on resampled customers and compare on common points.

    Parameters
    ----------
    points : ndarray of shape (n, d)
        Points the partition was fitted on.
    common : ndarray of shape (m, d)
        Points every partition is compared on.
    labels : ndarray of int of shape (m,)
        The original partition of ``common``.
    refit : callable
        Fits centres to resampled points.
    n_bootstraps : int
        Number of refits.
    size : int
        Customers drawn, with replacement, per refit; at most n.
    seed : int
        Seed of the draws and refits.

    Returns
    -------
    Stability
        Means over the refits.

    References
    ----------
    Hennig: Cluster-wise assessment of cluster stability, Comput. Stat. Data Anal. 52 (2007).
    """
    rng = np.random.default_rng(seed)
    k = int(labels.max()) + 1
    aris = np.empty(n_bootstraps)
    jaccards = np.empty((n_bootstraps, k))
    for i in range(n_bootstraps):
        drawn = rng.integers(0, len(points), size=min(size, len(points)))
        centers = refit(points[drawn], int(rng.integers(2**31)))
        table = contingency(labels, nearest(common, centers), k, len(centers))
        aris[i] = adjusted_rand(table)
        jaccards[i] = largest_jaccard(table)
    return Stability(float(aris.mean()), jaccards.mean(axis=0), float(aris.std(ddof=1)) if n_bootstraps > 1 else 0.0)


def nearest(points: Array, centers: Array) -> Labels:
    """Index of the nearest centre of each point, the first of equals; shape (n,)."""
    return np.argmin((centers * centers).sum(axis=1) - 2.0 * (points @ centers.T), axis=1)


def contingency(first: Labels, second: Labels, k_first: int, k_second: int) -> Array:
    """Count points by their clusters in two partitions.

    Returns
    -------
    ndarray of shape (k_first, k_second)
        Counts; sums to the number of points.
    """
    flat = np.bincount(first * k_second + second, minlength=k_first * k_second)
    return flat.reshape(k_first, k_second).astype(np.float64)


def adjusted_rand(table: Array) -> float:
    """Adjusted Rand index of a contingency table.

    Parameters
    ----------
    table : ndarray of shape (k, l)
        Counts.

    Returns
    -------
    float
        1 for identical partitions, about 0 for unrelated ones.

    References
    ----------
    Hubert, Arabie: Comparing partitions, Journal of Classification 2 (1985).

    Examples
    --------
    >>> adjusted_rand(np.array([[5.0, 0.0], [0.0, 5.0]]))
    1.0
    """
    together = _pairs(table).sum()
    rows, columns = _pairs(table.sum(axis=1)).sum(), _pairs(table.sum(axis=0)).sum()
    expected = rows * columns / max(_pairs(table.sum()), 1.0)
    largest = (rows + columns) / 2
    return 1.0 if largest == expected else float((together - expected) / (largest - expected))


def largest_jaccard(table: Array) -> Array:
    """Best Jaccard similarity of each row's cluster with any column's; shape (k,), 0-1."""
    union = table.sum(axis=1, keepdims=True) + table.sum(axis=0, keepdims=True) - table
    return np.asarray((table / np.maximum(union, 1.0)).max(axis=1), dtype=np.float64)


def _pairs(counts: Array) -> Array:
    return np.asarray(counts * (counts - 1.0) / 2.0)
