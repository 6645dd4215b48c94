"""How good a risk is: ranking, distance from the truth, calibration, and what the riskiest tenth holds.

Belongs here: one statistic a function, on arrays. Does not: where risks come from.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

CONFIDENCE = 0.95
N_BINS = 10


@dataclass(frozen=True)
class Interval:
    """An estimate with the limits of its 95 % interval."""

    value: float
    low: float
    high: float


def auc(truth: Flags, risk: Array) -> Interval:
    """Return the area under the ROC curve: how often one who stayed away had a higher risk than one who came.

    Both outcomes occur; risks may be on any scale (DeLong, DeLong, Clarke-Pearson, Biometrics 44, 1988; by ranks: Sun
    and Xu, IEEE Signal Processing Letters 21, 2014).

    >>> auc(np.array([True, True, False, False]), np.array([0.9, 0.4, 0.6, 0.1])).value
    0.75
    """
    areas, covariance = _delong(truth, [risk])
    return _interval(areas[0], covariance[0, 0], 0.0, 1.0)


def auc_difference(truth: Flags, risk: Array, other: Array) -> Interval:
    """Return the area of one risk less that of another on the same customers (paired)."""
    areas, covariance = _delong(truth, [risk, other])
    return _interval(areas[0] - areas[1], covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1], -1.0, 1.0)


def brier(truth: Flags, risk: Array) -> float:
    """Return the mean squared distance of risk from truth, 0-1; lower is better."""
    return float(np.mean((risk - truth) ** 2))


def calibration_bins(truth: Flags, risk: Array) -> Array:
    """Return tenths of the customers by risk: mean risk, share that stayed away, customers; shape (n_bins, 3).

    Customers of equal risk stay together, so that there may be fewer bins.
    """
    from scipy.stats import rankdata

    place = np.minimum((rankdata(risk, "average") - 0.5) / len(risk) * N_BINS, N_BINS - 1e-9).astype(np.intp)
    counts = np.bincount(place, minlength=N_BINS)
    sums = [np.bincount(place, values, N_BINS) for values in (risk, truth.astype(np.float64))]
    filled = counts > 0
    return np.column_stack([sums[0][filled] / counts[filled], sums[1][filled] / counts[filled], counts[filled]])


def calibration_error(truth: Flags, risk: Array) -> float:
    """Return the expected calibration error: mean distance of a bin's risk from what happened, 0-1.

    >>> calibration_error(np.array([True, False] * 50), np.full(100, 0.4)).__round__(3)
    0.1
    """
    bins = calibration_bins(truth, risk)
    return float(np.average(np.abs(bins[:, 0] - bins[:, 1]), weights=bins[:, 2]))


def lift(truth: Flags, risk: Array) -> float:
    """Return how many times more of the riskiest tenth stayed away than of all; of equal risks each counts in part."""
    n = max(1, round(0.1 * len(risk)))
    edge = np.sort(risk)[-n]
    above, at = risk > edge, risk == edge
    away = truth[above].sum() + (n - above.sum()) * truth[at].mean()
    return float(away / n / truth.mean())


def _delong(truth: Flags, risks: list[Array]) -> tuple[Array, Array]:
    """Return areas, shape (k,), and their covariance, shape (k, k)."""
    from scipy.stats import rankdata

    away, came = [np.flatnonzero(mask) for mask in (truth, ~truth)]
    m, n = len(away), len(came)
    if not m or not n:
        raise ValueError("the area under the curve needs customers of both outcomes")
    over, under = np.empty((len(risks), m)), np.empty((len(risks), n))
    for row, risk in enumerate(risks):
        whole = rankdata(risk)
        over[row] = (whole[away] - rankdata(risk[away])) / n
        under[row] = 1 - (whole[came] - rankdata(risk[came])) / m
    covariance = np.atleast_2d(np.cov(over)) / m if m > 1 else np.zeros((len(risks),) * 2)
    covariance = covariance + (np.atleast_2d(np.cov(under)) / n if n > 1 else 0)
    return over.mean(axis=1), covariance


def _interval(value: float, variance: float, low: float, high: float) -> Interval:
    from scipy.stats import norm

    half = float(norm.ppf(0.5 + CONFIDENCE / 2)) * float(np.sqrt(max(variance, 0.0)))
    return Interval(float(value), max(float(value) - half, low), min(float(value) + half, high))
