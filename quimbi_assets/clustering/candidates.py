"""Candidate partitions: one for every number of segments, each measured in the same way.

Belongs here: fitting and measuring on scaled points. Does not: which candidate is good enough
(``selection``), customers, shop units.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from sklearn.cluster import KMeans

from quimbi_assets.clustering.quality import Labels, SharedDistances, effective_segments, variance_ratios
from quimbi_assets.clustering.stability import Stability, bootstrap_stability, nearest
from quimbi_assets.clustering.transforms import Array

SILHOUETTE_SAMPLE = 5000
"""Points whose silhouette is measured: within 0.002 of all 27,000 at a twentieth of the time."""
N_INIT = 4
"""Starts of each candidate's fit."""
N_BOOTSTRAPS = 8
"""Refits per candidate."""
BOOTSTRAP_SIZE = 10_000
"""Most customers drawn per refit; stability is then that of a store of this size, which is the cautious side."""
COMMON_STATE = 0.65
"""Share from which a structural segment is so common that the balance of the others is judged among themselves."""

Method = Callable[[Array, int, int, int], Array]
"""``(points (n, d), k, n_init, seed) -> centres (k, d)``."""
Refinement = Callable[[Array, Array], Array]
"""``(points (n, d), centres (k, d)) -> centres (k, d)``."""


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
        Largest cluster as a share of all customers as assigned, 0-1; where a structural segment holds more than
        :data:`COMMON_STATE`, as a share of the rest.
    smallest_share : float
        Smallest segment as a share of all customers as assigned, 0-1.
    effective : float
        Effective number of segments (see ``quality.effective_segments``).
    stability : Stability
        Bootstrap agreement, per cluster too.
    features : tuple of str
        Features it was fitted on.
    states : tuple of str
        Structural segments set apart.
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
    effective: float
    stability: Stability
    features: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    chosen: bool = False
    reason: str = ""

    @property
    def undivided(self) -> bool:
        """Whether structural segments are all there is beside one remainder."""
        return len(self.centers) == 1

    @property
    def smallest_jaccard(self) -> float:
        """Jaccard stability of the least repeatable cluster, 0-1; NaN if not measured."""
        return float(self.stability.jaccard.min())


def fit_centers(points: Array, k: int, n_init: int, seed: int) -> Array:
    """Fit k centres by KMeans; shape (k, d)."""
    if k == 1:
        return np.asarray(points.mean(axis=0, keepdims=True), dtype=np.float64)
    model = KMeans(n_clusters=k, n_init=n_init, random_state=seed).fit(points)
    return np.asarray(model.cluster_centers_, dtype=np.float64)


def measure_candidates(
    points: Array,
    given: Array,
    given_labels: Labels,
    everyone: Array,
    ks: range,
    seed: int,
    *,
    is_hopeful: Callable[[Candidate], bool] = lambda candidate: True,
    method: Method = fit_centers,
    refine: Refinement = lambda points, centers: centers,
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
    everyone : ndarray of shape (n_customers, d)
        Every customer of the store, scaled: shares are those of customers as they are assigned, and customers of
        low evidence, whom nothing was fitted to, are assigned too.
    ks : range
        Numbers of clusters to try on ``points``.
    seed : int
        Seed of every fit and resampling.
    is_hopeful : callable
        Whether the stability of a candidate, measured but for that, is worth its nine tenths of the time.
    method : callable
        ``(points, k, n_init, seed) -> centres``.
    refine : callable
        ``(points, centres) -> centres``: the last step of a fit, which bootstrap refits go without.

    Returns
    -------
    list of Candidate
        One per number of clusters, unchosen; stability is NaN where it was not measured.
    """
    n_given = int(given_labels.max()) + 1 if len(given_labels) else 0
    states = np.array([given[given_labels == i].mean(axis=0) for i in range(n_given)]).reshape(n_given, points.shape[1])
    sample, others = points[:SILHOUETTE_SAMPLE], slice(0, SILHOUETTE_SAMPLE // 2)
    shared = SharedDistances.between(sample, given[others], given_labels[others])
    candidates = []
    for k in ks:
        centers = refine(points, method(points, k, N_INIT, seed))
        assigned = nearest(everyone, np.vstack([states, centers]))
        shares = np.bincount(assigned, minlength=n_given + len(centers)) / len(everyone)
        labels = nearest(sample, centers)
        calinski_harabasz, davies_bouldin = variance_ratios(sample, labels)
        candidate = Candidate(
            k=k + n_given,
            centers=centers,
            silhouette=float(shared.silhouettes(labels).mean()),
            calinski_harabasz=calinski_harabasz,
            davies_bouldin=davies_bouldin,
            largest_share=_largest(shares[:n_given], shares[n_given:]),
            smallest_share=float(shares.min()),
            effective=effective_segments(shares),
            stability=Stability(float("nan"), np.full(k, np.nan)),
        )
        if is_hopeful(candidate):
            candidate = replace(candidate, stability=_stability(points, sample, labels, k, seed, method))
        candidates.append(candidate)
    return candidates


def _largest(states: Array, clusters: Array) -> float:
    """Share of the largest cluster: of all customers, or of the rest beside an overwhelming state."""
    common = len(clusters) > 1 and len(states) > 0 and states.max() > COMMON_STATE
    return float(clusters.max() / max(clusters.sum(), np.finfo(np.float64).tiny)) if common else float(clusters.max())


def _stability(points: Array, sample: Array, labels: Labels, k: int, seed: int, method: Method) -> Stability:
    # As many starts as the fit: with one, what differs between refits is as much the starts as the customers
    # (purchase cadence of a music shop: ARI 0.80 with one start, 0.94 with four).
    def refit(drawn: Array, refit_seed: int) -> Array:
        return method(drawn, k, N_INIT, refit_seed)

    return bootstrap_stability(points, sample, labels, refit, n_bootstraps=N_BOOTSTRAPS, size=BOOTSTRAP_SIZE, seed=seed)
