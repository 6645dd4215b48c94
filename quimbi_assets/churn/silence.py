"""The rule to beat: risk from days since the last order alone, calibrated.

Belongs here: its curve. Does not: anything else that is known about a customer.
"""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def fit_silence(days: Array, away: NDArray[np.bool_]) -> tuple[Array, Array]:
    """Fit the share that stayed away as a rising curve of days since the last order.

    Parameters
    ----------
    days : ndarray, shape (n,)
        At least 0.
    away : ndarray of bool, shape (n,)
        Outcome.

    Returns
    -------
    at, risk : ndarray, shape (n_blocks,)
        Points that are joined by straight lines (``numpy.interp``), both rising.

    Notes
    -----
    Isotonic regression; each of its steps stands at its customers' mean days, so that the curve rises between steps and
    ranks as days do.

    References
    ----------
    Oron and Flournoy, Centered isotonic regression, Statistics in Biopharmaceutical Research 9 (2017).

    Examples
    --------
    >>> at, risk = fit_silence(np.array([1.0, 3, 10, 20]), np.array([False, True, False, True]))
    >>> at.tolist(), risk.tolist()
    ([1.0, 6.5, 20.0], [0.0, 0.5, 1.0])
    """
    from sklearn.isotonic import IsotonicRegression

    level = IsotonicRegression(out_of_bounds="clip").fit(days, away.astype(np.float64)).predict(days)
    risk, block = np.unique(level, return_inverse=True)
    return np.bincount(block, days) / np.bincount(block), risk
