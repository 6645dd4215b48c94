"""The share of an outcome's variance that a grouping of customers, sharp or fuzzy, explains.

Belongs here: the statistic, and how far chance moves it. Does not: outcomes or groups.
"""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def sharp(groups: NDArray[np.intp]) -> Array:
    """Return groups (from 0, shape (n,)) as memberships of 0 or 1, shape (n, k)."""
    return np.eye(groups.max() + 1)[groups]


def explained_share(outcome: Array, memberships: Array, weights: Array | None = None) -> Array:
    """Return the share of an outcome's variance that memberships explain, less what chance explains.

    Parameters
    ----------
    outcome : ndarray of shape (n,)
        Finite.
    memberships : ndarray of shape (n, k)
        Of each customer in each segment, rows sum to 1.
    weights : ndarray of shape (n_resamples, n), optional
        How often each customer counts, at least 0; once by default.

    Returns
    -------
    ndarray of shape (n_resamples,)
        At most 1; about 0, also just below, where memberships do not matter; NaN where the outcome does not vary.

    Notes
    -----
    ``1 - (1 - R^2) (n - 1) / (n - k)`` of the least squares of the outcome on the memberships. Because rows sum to 1
    that has k - 1 degrees of freedom beside the mean, as many as k groups have; k counts the segments that occur. For
    groups it is epsilon squared, ``1 - (1 - SSB / SST) (n - 1) / (n - k)``.

    References
    ----------
    T. L. Kelley, An unbiased correlation ratio measure, PNAS 21 (1935).

    Examples
    --------
    >>> outcome = np.array([1.0, 2.0, 5.0, 6.0])
    >>> explained_share(outcome, sharp(np.array([0, 0, 1, 1]))).round(4)  # SSB / SST = 16 / 17
    array([0.9118])
    """
    counted = np.ones((1, len(outcome))) if weights is None else weights
    k = memberships.shape[1]
    centred = outcome - outcome.mean()
    n, total = counted.sum(axis=1), counted @ centred
    squares = counted @ (centred * centred)
    products = (memberships[:, :, None] * memberships[:, None, :]).reshape(len(outcome), k * k)
    crossed = (counted @ products).reshape(-1, k, k)
    sums = counted @ (memberships * centred[:, None])
    # Without a customer in it a segment has no coefficient: the pseudo-inverse leaves it out.
    inverse = np.linalg.pinv(crossed, rcond=1e-10, hermitian=True)
    fitted = np.einsum("ri,rij,rj->r", sums, inverse, sums)
    around_mean = squares - total**2 / n
    varies = around_mean > 1e-12 * np.maximum(1.0, n)
    rest = np.divide(squares - fitted, around_mean, out=np.full_like(squares, np.nan), where=varies)
    n_segments = (counted @ memberships > 0).sum(axis=1)
    return np.asarray(1 - rest * (n - 1) / np.maximum(n - n_segments, 1), dtype=np.float64)


def resample_weights(n: int, n_resamples: int, random_state: int) -> Array:
    """Return weights of a Poisson bootstrap over customers, shape (n_resamples, n)."""
    return np.random.default_rng(random_state).poisson(1.0, (n_resamples, n)).astype(np.float64)
