"""Whether customers differ in a feature more, or less, than the same customers would if they were all alike.

Belongs here: the statistics, on arrays: variance against that of a reference, agreement of two halves. Does not: where
the reference comes from and what follows for an axis (``abstention``).

All take values of the real store and of R reference stores at once, shape (1 + R, n, d), the real one first, NaN where
undefined.
"""

import numpy as np
from scipy.special import ndtr

from quimbi_assets.clustering.transforms import Array

WINSOR = (0.01, 0.99)
"""Quantiles, over real and reference values together, beyond which a value counts as the quantile itself."""

FEWEST = 20
"""Fewest customers with a value (a pair of values) for a statistic to be tried at all."""

Statistic = tuple[Array, Array]
"""Value and squared standard error, each of shape (1 + R, d); NaN where there is none."""


def winsorise(values: Array) -> Array:
    """Cut extreme values at limits common to all stores, so that real and reference are treated alike."""
    flat = values.reshape(-1, values.shape[-1])
    limits = np.array([_limits(column[~np.isnan(column)]) for column in flat.T])
    return np.clip(values, limits[:, 0], limits[:, 1])


def _limits(defined: Array) -> tuple[float, float]:
    low, high = np.quantile(defined, WINSOR) if len(defined) else (0.0, 0.0)
    return float(low), float(high)


def log_variances(values: Array) -> Statistic:
    """Logarithm of the variance between customers.

    Parameters
    ----------
    values : ndarray of shape (1 + R, n, d)
        Feature values.

    Returns
    -------
    Statistic
        Log variances; NaN where fewer than :data:`FEWEST` customers have a value or all have the same.

    Notes
    -----
    Squared standard error ``(kurtosis - 1) / n``: skewed money needs a larger difference than a clock angle.

    Examples
    --------
    >>> value, error = log_variances(np.tile([1.0, -1.0], 50).reshape(1, 100, 1))
    >>> float(value[0, 0].round(3)), float(error[0, 0])
    (0.0, 0.0)
    """
    defined = ~np.isnan(values)
    n = defined.sum(axis=1)
    filled = np.where(defined, values, 0.0)
    mean = filled.sum(axis=1) / np.maximum(n, 1)
    squares = np.where(defined, filled - mean[:, None, :], 0.0) ** 2
    variance = squares.sum(axis=1) / np.maximum(n, 1)
    usable = (n >= FEWEST) & (variance > 1e-12 * np.maximum(mean**2, 1e-12))
    safe = np.where(usable, variance, 1.0)
    kurtosis = (squares**2).sum(axis=1) / np.maximum(n, 1) / safe**2
    value = np.where(usable, np.log(safe), np.nan)
    return value, np.where(usable, np.maximum(kurtosis - 1, 0.0) / np.maximum(n, 1), np.nan)


def reliabilities(first: Array, second: Array) -> Statistic:
    """Intraclass correlation of each customer's two halves.

    Parameters
    ----------
    first, second : ndarray of shape (1 + R, n, d)
        Feature values from one half of each customer's orders and from the other.

    Returns
    -------
    Statistic
        ICC(1), -1 to 1; NaN where fewer than :data:`FEWEST` customers have both or nobody differs.

    Notes
    -----
    ``(between - within) / (between + within)`` of the mean squares. Standard error by the influence of each
    customer, so that a few extreme customers who agree do not pass for many.

    References
    ----------
    Shrout, Fleiss: Intraclass correlations, Psychological Bulletin 86 (1979).
    """
    both = ~np.isnan(first) & ~np.isnan(second)
    n = np.maximum(both.sum(axis=1), 1)
    a, b = (np.where(both, half, 0.0) for half in (first, second))
    centre = (a + b).sum(axis=1) / (2 * n)
    a, b = (np.where(both, half - centre[:, None, :], 0.0) for half in (a, b))
    product, square = 2 * a * b, a**2 + b**2
    total = square.sum(axis=1)
    usable = (both.sum(axis=1) >= FEWEST) & (total > 1e-12 * n * np.maximum(centre**2, 1e-12))
    safe = np.where(usable, total, 1.0)
    value = product.sum(axis=1) / safe
    influence = np.where(both, product - value[:, None, :] * square, 0.0) * (n / safe)[:, None, :]
    error = (influence**2).sum(axis=1) / n**2
    return np.where(usable, value, np.nan), np.where(usable, error, np.nan)


def against_reference(statistic: Statistic) -> tuple[Array, Array]:
    """Compare the real store with the reference ones.

    Parameters
    ----------
    statistic : Statistic
        Of all stores.

    Returns
    -------
    difference : ndarray of shape (d,)
        Real value minus the mean over reference stores; NaN where either is.
    z : ndarray of shape (d,)
        Difference in standard errors.

    Notes
    -----
    The error of one reference store is the larger of what its customers show and what the reference stores show
    among themselves.
    """
    value, error = statistic
    n_reference = len(value) - 1
    difference = value[0] - value[1:].mean(axis=0)
    spread = value[1:].var(axis=0, ddof=1) if n_reference > 1 else np.zeros(value.shape[1])
    total = error[0] + np.maximum(error[1:].mean(axis=0), spread) / n_reference
    z = np.divide(difference, np.sqrt(total), out=np.full_like(difference, np.nan), where=total > 0)
    return difference, z


def two_sided(z: Array) -> Array:
    """Probability of a standard normal at least as far from 0 on either side; 1 where ``z`` is NaN."""
    return np.where(np.isnan(z), 1.0, 2 * ndtr(-np.abs(np.nan_to_num(z))))


def one_sided(z: Array) -> Array:
    """Probability of a standard normal at least as high; 1 where ``z`` is NaN."""
    return np.where(np.isnan(z), 1.0, ndtr(-np.nan_to_num(z)))


def holm(p_values: Array) -> Array:
    """Adjust p-values for being several (Holm's step-down procedure).

    Parameters
    ----------
    p_values : ndarray of any shape
        0-1.

    Returns
    -------
    ndarray of the same shape
        Adjusted, 0-1: those at most a are significant at family-wise level a.

    Examples
    --------
    >>> holm(np.array([0.01, 0.04, 0.03])).round(3).tolist()
    [0.03, 0.06, 0.06]
    """
    flat = p_values.ravel()
    order = np.argsort(flat, kind="stable")
    adjusted = np.minimum(np.maximum.accumulate(flat[order] * np.arange(len(flat), 0, -1)), 1.0)
    out = np.empty_like(flat)
    out[order] = adjusted
    return out.reshape(p_values.shape)
