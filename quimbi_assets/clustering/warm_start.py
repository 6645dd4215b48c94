"""Where a refit may start: at the champion's centres, brought to the new scale.

Belongs here: translating centres between two scales, and settling from them. Does not: choosing among candidates.
"""

import numpy as np
from sklearn.cluster import KMeans

from quimbi_assets.clustering.scaling import Scaler
from quimbi_assets.clustering.scoring import FittedAxis
from quimbi_assets.clustering.transforms import Array

WORSE = 0.02
"""Sum of squares, relative to the best of the free starts, up to which the champion's partition is carried on. Many
partitions of a cloud without gaps are equally good; which one free starts find is luck, and luck relabels people."""


def champion_centers(champion: FittedAxis, scaler: Scaler, features: list[str], states: list[str]) -> Array | None:
    """Bring the champion's centres to a new scale.

    Parameters
    ----------
    champion : FittedAxis
        The model that serves.
    scaler : Scaler
        Of the new fit, over ``features``.
    features : list of str of length d
        Names.
    states : list of str
        Structural segments of the new fit.

    Returns
    -------
    ndarray of shape (k, d) or None
        Centres of the segments that stand for no state; None where the champion reads other features, transforms
        them otherwise or knows other states, so that its centres mean something else.
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


def settle_near(points: Array, centers: Array, start: Array | None) -> Array:
    """Settle centres; carry the champion's partition on instead where it has as many segments and is as good."""
    settled = settle(points, centers)
    return settled if start is None or len(start) != len(settled) else carry_on(points, settled, start)


def carry_on(points: Array, best: Array, start: Array) -> Array:
    """Settle from the champion's centres, and keep the result unless the free starts found a clearly better one.

    Parameters
    ----------
    points : ndarray of shape (n, d)
        Customers, scaled.
    best : ndarray of shape (k, d)
        Centres found from free starts, settled.
    start : ndarray of shape (k, d)
        The champion's centres.

    Returns
    -------
    ndarray of shape (k, d)
        The champion's successor if its sum of squares is within 2 % of the other's, else ``best``.
    """
    successor = settle(points, start)
    return successor if _squares(points, successor) <= (1 + WORSE) * _squares(points, best) else best


def _squares(points: Array, centers: Array) -> float:
    """Sum of squared distances to the nearest centre."""
    squared = (centers * centers).sum(axis=1) - 2.0 * (points @ centers.T)
    return float(squared.min(axis=1).sum() + (points * points).sum())
