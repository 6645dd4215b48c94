"""Candidate partitions: one for every number of segments, each measured in the same way.

Belongs here: fitting from free starts or from the champion's centres, and measuring, on scaled points. Does not: which
candidate is good enough (``selection``), customers, original units.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache, partial

import numpy as np
from sklearn.cluster import KMeans

from quimbi_assets.clustering import quality
from quimbi_assets.clustering.quality import Labels, Stability
from quimbi_assets.clustering.scaling import Array, Scaler
from quimbi_assets.clustering.scoring import FittedAxis

SILHOUETTE_SAMPLE = 3000
"""Points whose silhouette is measured: within 0.01 of that of 5,000 in 20 axes of 25,000 customers, and no other number
of segments, at two fifths of the time."""
N_INIT = 4
"""Starts of each candidate's fit."""
N_BOOTSTRAPS = 8
"""Refits per candidate."""
BOOTSTRAP_SIZE = 10_000
"""Most customers drawn per refit; stability is then that of a store of this size, which is the cautious side."""
COMMON_STATE = 0.65
"""Share from which a structural segment is so common that the balance of the others is judged among themselves."""
WORSE = 0.02
"""Sum of squares, relative to the best of the free starts, up to which the champion's partition is carried on. Many
partitions of a cloud without gaps are equally good; which one free starts find is luck, and luck relabels people."""


@dataclass(frozen=True)
class Candidate:
    """One partition into ``k`` segments, s structural ones included, and its figures.

    ``centers``, shape (k - s, d), are those of the clusters found, in scaled space. Silhouette, Calinski-Harabasz and
    Davies-Bouldin are of a sample of the divided customers; structural segments count as neighbours in the silhouette.
    Shares, 0-1, are of all customers as assigned: of the largest cluster (of the rest, where a structural segment holds
    more than :data:`COMMON_STATE`) and of the smallest segment. ``refits`` measures stability, nine tenths of the time,
    when it is first asked for.
    """

    k: int
    centers: Array = field(repr=False)
    silhouette: float
    calinski_harabasz: float
    davies_bouldin: float
    largest_share: float
    smallest_share: float
    effective: float
    refits: Callable[[], Stability] = field(repr=False)
    features: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    chosen: bool = False
    reason: str = ""

    @property
    def undivided(self) -> bool:
        """Whether structural segments are all there is beside one remainder."""
        return len(self.centers) == 1

    @property
    def stability(self) -> Stability:
        """Agreement of bootstrap refits; NaN where they are not worth their time."""
        return self.refits()

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
    stated: Array,
    stated_labels: Labels,
    population: Array,
    ks: range,
    seed: int,
    *,
    start: Array | None = None,
    is_hopeful: Callable[[Candidate], bool] = lambda candidate: True,
) -> list[Candidate]:
    """Fit and measure a partition for every number of clusters.

    ``points`` (n, d) are the customers to divide, ``stated`` (m, d) those in structural segments (``stated_labels``,
    0 ... s-1), scaled, in seeded order: samples are prefixes. ``population`` is every customer of the store, scaled:
    shares are those of customers as they are assigned, and customers of low evidence, whom nothing was fitted to, are
    assigned too. ``start``, the champion's centres, is for ``carry_on``, a fit's last step, which bootstrap refits go
    without. ``is_hopeful`` says whether the stability of a candidate is ever worth its time; it is NaN otherwise.
    """
    n_stated = int(stated_labels.max()) + 1 if len(stated_labels) else 0
    means = [stated[stated_labels == i].mean(axis=0) for i in range(n_stated)]
    states = np.array(means).reshape(n_stated, points.shape[1])
    sample, others = points[:SILHOUETTE_SAMPLE], slice(0, SILHOUETTE_SAMPLE // 2)
    shared = quality.SharedDistances(sample, stated[others], stated_labels[others])
    candidates = []
    for k in ks:
        centers = carry_on(points, fit_centers(points, k, N_INIT, seed), start)
        assigned = quality.nearest(population, np.vstack([states, centers]))
        shares = np.bincount(assigned, minlength=n_stated + len(centers)) / len(population)
        labels = quality.nearest(sample, centers)
        calinski_harabasz, davies_bouldin = quality.variance_ratios(sample, labels)
        candidate = Candidate(
            k=k + n_stated,
            centers=centers,
            silhouette=float(shared.silhouettes(labels).mean()),
            calinski_harabasz=calinski_harabasz,
            davies_bouldin=davies_bouldin,
            largest_share=_largest(shares[:n_stated], shares[n_stated:]),
            smallest_share=float(shares.min()),
            effective=quality.effective_segments(shares),
            refits=partial(Stability, float("nan"), np.full(k, np.nan)),
        )
        if is_hopeful(candidate):
            candidate = replace(candidate, refits=cache(partial(bootstrap_stability, points, sample, labels, k, seed)))
        candidates.append(candidate)
    return candidates


def _largest(states: Array, clusters: Array) -> float:
    """Share of the largest cluster: of all customers, or of the rest beside an overwhelming state."""
    common = len(clusters) > 1 and len(states) > 0 and states.max() > COMMON_STATE
    return float(clusters.max() / max(clusters.sum(), np.finfo(np.float64).tiny)) if common else float(clusters.max())


def bootstrap_stability(points: Array, sample: Array, labels: Labels, k: int, seed: int) -> Stability:
    """Refit k clusters on resampled ``points`` (n, d), compare on a ``sample`` (m, d) whose partition was ``labels``.

    Customers are drawn with replacement (Hennig: Cluster-wise assessment of cluster stability, Comput. Stat. Data Anal.
    52, 2007). As many starts as the fit: with one, what differs between refits is as much the starts as the customers
    (purchase cadence of a music shop: ARI 0.80 with one start, 0.94 with four).
    """
    rng = np.random.default_rng(seed)
    n_labels = int(labels.max()) + 1
    aris = np.empty(N_BOOTSTRAPS)
    jaccards = np.empty((N_BOOTSTRAPS, n_labels))
    for i in range(N_BOOTSTRAPS):
        drawn = rng.integers(0, len(points), size=min(BOOTSTRAP_SIZE, len(points)))
        centers = fit_centers(points[drawn], k, N_INIT, int(rng.integers(2**31)))
        table = quality.contingency(labels, quality.nearest(sample, centers), n_labels, len(centers))
        aris[i] = quality.adjusted_rand(table)
        jaccards[i] = quality.jaccard(table).max(axis=1)
    return Stability(float(aris.mean()), jaccards.mean(axis=0), float(aris.std(ddof=1)))


def champion_centers(champion: FittedAxis, scaler: Scaler, features: list[str], states: list[str]) -> Array | None:
    """Bring the champion's centres of segments that stand for no state to a new scale; shape (k, d).

    None where it reads other features, transforms them otherwise or knows other states: they mean something else then.
    """
    known = [state for state in champion.structural_ if state is not None]
    if champion.features_ != features or champion.transforms_ != scaler.transforms or known != states:
        return None
    free = champion.cluster_centers_[[state is None for state in champion.structural_]]
    return np.asarray((free * champion.scale_ + champion.mean_ - scaler.mean) / scaler.scale, dtype=np.float64)


def settle(points: Array, start: Array) -> Array:
    """Move centres until no customer changes sides; shape (k, d).

    A second call from the result returns it unchanged, to the last bit: without that, fitting the same data again
    would move somebody.
    """
    if len(start) == 1:
        return np.asarray(points.mean(axis=0, keepdims=True), dtype=np.float64)
    model = KMeans(n_clusters=len(start), init=start, n_init=1, tol=0.0).fit(points)
    return np.asarray(model.cluster_centers_, dtype=np.float64)


def carry_on(points: Array, centers: Array, start: Array | None) -> Array:
    """Settle what free starts found; from the champion's centres instead, where that is as good; shape (k, d).

    As good: as many centres, and a sum of squares within :data:`WORSE`.
    """
    best = settle(points, centers)
    if start is None or len(start) != len(best):
        return best
    successor = settle(points, start)
    return successor if _squares(points, successor) <= (1 + WORSE) * _squares(points, best) else best


def _squares(points: Array, centers: Array) -> float:
    """Sum of squared distances to the nearest centre."""
    squared = (centers * centers).sum(axis=1) - 2.0 * (points @ centers.T)
    return float(squared.min(axis=1).sum() + (points * points).sum())
