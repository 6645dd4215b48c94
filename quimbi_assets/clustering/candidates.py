"""Candidate partitions: one for every number of segments, each measured in the same way.

Belongs here: fitting and measuring on scaled points. Does not: which candidate is good enough
(``selection``), customers, shop units.
"""

from dataclasses import dataclass, field

import numpy as np
from sklearn.cluster import KMeans

from quimbi_assets.clustering.quality import Labels, SharedDistances, variance_ratios
from quimbi_assets.clustering.stability import Stability, bootstrap_stability, nearest
from quimbi_assets.clustering.transforms import Array
from quimbi_assets.clustering.warm_start import carry_on, settle

SILHOUETTE_SAMPLE = 5000
"""Points whose silhouette is measured: within 0.002 of all 27,000 at a twentieth of the time."""
N_INIT = 4
"""Starts of each candidate's fit."""
N_BOOTSTRAPS = 8
"""Refits per candidate."""
BOOTSTRAP_SIZE = 10_000
"""Most customers drawn per refit; stability is then that of a store of this size, which is the cautious side."""


@dataclass(frozen=True)
class Candidate:
    """One partition and its figures.

    Parameters
    ----------
    k : int
        Segments in all, structural ones included.
    centers : ndarray of shape (k - s, d)
        Centres of the clusters found, in scaled space, without the s structural ones.
    silhouette : float
        Mean silhouette of the divided customers (a sample), structural segments counting as neighbours.
    calinski_harabasz, davies_bouldin : float
        Of the divided customers (the same sample); NaN where they are one cluster.
    largest_share : float
        Largest cluster among the divided customers, 0-1.
    smallest_share : float
        Smallest cluster as a share of all customers that shape the fit, 0-1.
    stability : Stability
        Bootstrap agreement, per cluster too.
    chosen : bool
        Whether the axis uses it.
    reason : str
        Why or why not, for people.
    """

    k: int
    centers: Array = field(repr=False)
    silhouette: float
    calinski_harabasz: float
    davies_bouldin: float
    largest_share: float
    smallest_share: float
    stability: Stability
    chosen: bool = False
    reason: str = ""

    @property
    def undivided(self) -> bool:
        """Whether structural segments are all there is beside one remainder."""
        return len(self.centers) == 1

    @property
    def smallest_jaccard(self) -> float:
        """Jaccard stability of the least repeatable cluster, 0-1."""
        return float(self.stability.jaccard.min())


def fit_centers(points: Array, k: int, n_init: int, seed: int) -> Array:
    """Fit k centres by KMeans; shape (k, d)."""
    if k == 1:
        return np.asarray(points.mean(axis=0, keepdims=True), dtype=np.float64)
    model = KMeans(n_clusters=k, n_init=n_init, random_state=seed).fit(points)
    return np.asarray(model.cluster_centers_, dtype=np.float64)


def measure_candidates(
    points: Array, given: Array, given_labels: Labels, ks: range, seed: int, start: Array | None = None
) -> list[Candidate]:
    """Fit and measure a partition for every number of segments.

    Parameters
    ----------
    points : ndarray of shape (n, d)
        Customers to divide, scaled, in seeded order: samples are prefixes.
    given : ndarray of shape (m, d)
        Customers in structural segments, scaled, in seeded order.
    given_labels : ndarray of int of shape (m,)
        Their structural segment, 0 ... s-1.
    ks : range
        Numbers of clusters to try on ``points``.
    seed : int
        Seed of every fit and resampling.
    start : ndarray of shape (k, d), optional
        The champion's centres; where k is tried, its partition is carried on if it is as good.

    Returns
    -------
    list of Candidate
        One per number of clusters, unchosen.
    """
    n_given = int(given_labels.max()) + 1 if len(given_labels) else 0
    sample, others = points[:SILHOUETTE_SAMPLE], slice(0, SILHOUETTE_SAMPLE // 2)
    shared = SharedDistances.between(sample, given[others], given_labels[others])
    candidates = []
    for k in ks:
        centers = settle(points, fit_centers(points, k, N_INIT, seed))
        if start is not None and k == len(start):
            centers = carry_on(points, centers, start)
        counts = np.bincount(nearest(points, centers), minlength=k)
        labels = nearest(sample, centers)
        calinski_harabasz, davies_bouldin = variance_ratios(sample, labels)
        candidates.append(
            Candidate(
                k=k + n_given,
                centers=centers,
                silhouette=float(shared.silhouettes(labels).mean()),
                calinski_harabasz=calinski_harabasz,
                davies_bouldin=davies_bouldin,
                largest_share=float(counts.max() / len(points)),
                smallest_share=float(counts.min() / (len(points) + len(given))),
                stability=_stability(points, sample, labels, k, seed),
            )
        )
    return candidates


def _stability(points: Array, sample: Array, labels: Labels, k: int, seed: int) -> Stability:
    def refit(drawn: Array, refit_seed: int) -> Array:
        return fit_centers(drawn, k, 1, refit_seed)

    return bootstrap_stability(points, sample, labels, refit, n_bootstraps=N_BOOTSTRAPS, size=BOOTSTRAP_SIZE, seed=seed)
