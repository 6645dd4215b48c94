"""Distances to segment centres, and the memberships that follow from them.

Belongs here: the two formulas every customer is scored with. Does not: what the centres are (``model``).
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def distances_to(points: Array, centers: Array) -> Array:
    """Euclidean distance of every point to every centre; shape (n, k), at least 0.

    Parameters
    ----------
    points : ndarray of shape (n, d)
        Customers in scaled space, finite.
    centers : ndarray of shape (k, d)
        Segment centres in scaled space.

    Notes
    -----
    Differences are squared and added feature by feature rather than expanded into a matrix product: a row's
    result then does not depend, even in its last bit, on which other rows are scored with it.
    """
    squared = np.zeros((len(points), len(centers)))
    for feature in range(points.shape[1]):
        difference = points[:, feature, None] - centers[None, :, feature]
        squared += difference * difference
    return np.sqrt(squared, out=squared)


def memberships_from_distances(distances: ArrayLike, temperature: float = 1.0) -> Array:
    """Share of a customer that belongs to each segment of an axis.

    Parameters
    ----------
    distances : array-like of shape (n, k)
        Distance of each customer to each centre, at least 0; infinite is allowed.
    temperature : float
        Softness, above 0: small values make memberships crisp.

    Returns
    -------
    ndarray of shape (n, k)
        Memberships in [0, 1]; every row sums to 1.

    Raises
    ------
    ValueError
        If a distance is NaN or negative, or the temperature is not positive.

    Notes
    -----
    ``m_i = exp(-d_i / t) / sum_j exp(-d_j / t)``, computed after subtracting the row's smallest distance, so
    that nothing underflows. A row of infinite distances belongs to all segments alike.

    Examples
    --------
    >>> memberships_from_distances([[0.5, 2.0, 3.5]]).round(3)
    array([[0.786, 0.175, 0.039]])
    """
    d = np.asarray(distances, dtype=np.float64)
    if not temperature > 0:
        raise ValueError(f"temperature must be above 0, not {temperature}")
    if not (d >= 0).all():
        raise ValueError("distances must be numbers of at least 0")
    nearest = d.min(axis=1, keepdims=True)
    gaps = np.where(np.isinf(nearest), 0.0, d - np.where(np.isinf(nearest), 0.0, nearest))
    weights = np.exp(-gaps / temperature)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), dtype=np.float64)
