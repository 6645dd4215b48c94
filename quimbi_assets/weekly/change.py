"""How far customers moved on an axis, how fast, and whether faster than before.

Belongs here: the formulas. Does not: why they moved (``causes``), whether it is noise (``floors``).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

SEVERITIES = ("stable", "minor", "moderate", "significant", "major")
CUT_OFFS = (0.1, 0.3, 0.5, 0.7)
RECENT_WEEKS, EARLIER_WEEKS = 4, 12
FEWEST_EARLIER = 4
"""Earlier weeks without which there is nothing to compare the recent ones with."""


def axis_drift(older: Array, newer: Array) -> Array:
    """Return how far each customer's memberships moved.

    Parameters
    ----------
    older, newer : ndarray of shape (n, k)
        Memberships of the same customers in the same segments; rows sum to 1.

    Returns
    -------
    ndarray of shape (n,)
        ``sqrt(sum (m_new - m_old)^2) / sqrt(2)``: 0 for no change, 1 from one segment wholly into another.

    Examples
    --------
    >>> axis_drift(np.array([[1.0, 0.0], [0.6, 0.4]]), np.array([[0.0, 1.0], [0.6, 0.4]])).tolist()
    [1.0, 0.0]
    """
    return np.sqrt(np.sum((newer - older) ** 2, axis=1) / 2.0)


def severity(drift: Array) -> NDArray[np.str_]:
    """Return the word for each drift: stable below 0.1, minor below 0.3, moderate 0.5, significant 0.7, else major.

    Examples
    --------
    >>> severity(np.array([0.0, 0.1, 0.49, 0.5, 1.0])).tolist()
    ['stable', 'minor', 'moderate', 'significant', 'major']
    """
    return np.array(SEVERITIES)[np.searchsorted(CUT_OFFS, drift, side="right")]


def velocity(drift: Array, days: float) -> Array:
    """Return drift per day, for snapshots that lie ``days`` (above 0) apart."""
    return drift / days


def acceleration(velocities: Sequence[Array]) -> Array:
    """Return how much faster customers moved in the recent four weeks than in the twelve before.

    Parameters
    ----------
    velocities : sequence of ndarray of shape (n,)
        Velocity per day week by week, the newest last; NaN where a customer was not there.

    Returns
    -------
    ndarray of shape (n,)
        Mean of the newest four minus mean of the up to twelve before; NaN with fewer than four of either.

    Examples
    --------
    >>> acceleration([np.array([0.01])] * 4 + [np.array([0.03])] * 4).round(3).tolist()
    [0.02]
    """
    table = np.array(velocities, dtype=np.float64)[-(RECENT_WEEKS + EARLIER_WEEKS) :]
    recent, earlier = table[-RECENT_WEEKS:], table[:-RECENT_WEEKS]
    n_recent, n_earlier = np.isfinite(recent).sum(axis=0), np.isfinite(earlier).sum(axis=0)
    known = (n_recent >= RECENT_WEEKS) & (n_earlier >= FEWEST_EARLIER)
    means = np.nansum(recent, axis=0) / np.maximum(n_recent, 1) - np.nansum(earlier, axis=0) / np.maximum(n_earlier, 1)
    return np.where(known, means, np.nan)
