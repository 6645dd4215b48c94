"""The baselines, RFM in groups and continuous, and the statistic that all are held to: variance explained.

Belongs here: recency, frequency and spend, in quintiles or as they are; the share of an outcome's variance that a
grouping, sharp or fuzzy, explains, and how far chance moves it. Does not: outcomes, segments.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Array = NDArray[np.float64]
QUINTILES = 5
SMALLEST_EIGENVALUE = 1e-10
"""Of the largest: directions below it are rounding."""


def sharp(groups: NDArray[np.intp]) -> Array:
    """Return groups (from 0, shape (n,)) as memberships of 0 or 1, shape (n, k)."""
    return np.eye(groups.max() + 1)[groups]


def explained_share(outcome: Array, memberships: Array, weights: Array | None = None) -> Array:
    """Return the share of an outcome's variance that memberships explain, less what chance explains.

    At most 1; about 0, also just below, where memberships do not matter; NaN where the outcome does not vary. Outcomes,
    shape (n,), are finite; rows of memberships, shape (n, k), sum to 1, or are any columns among which is a constant;
    ``weights``, shape (n_resamples, n), say how often each customer counts, at least 0, once by default.

    ``1 - (1 - R^2) (n - 1) / (n - k)`` of the least squares of the outcome on the memberships, with k their rank: the
    segments that occur. For groups it is epsilon squared, ``1 - (1 - SSB / SST) (n - 1) / (n - k)`` (T. L. Kelley, An
    unbiased correlation ratio measure, PNAS 21, 1935).

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
    # What the other columns determine, or no customer has, gets no coefficient and is no degree of freedom.
    sizes, axes = np.linalg.eigh(crossed)
    counts = sizes > SMALLEST_EIGENVALUE * sizes[:, -1:]
    along = np.einsum("rij,ri->rj", axes, sums)
    fitted = np.divide(along**2, sizes, out=np.zeros_like(along), where=counts).sum(axis=1)
    around_mean = squares - total**2 / n
    varies = around_mean > 1e-12 * np.maximum(1.0, n)
    rest = np.divide(squares - fitted, around_mean, out=np.full_like(squares, np.nan), where=varies)
    return np.asarray(1 - rest * (n - 1) / np.maximum(n - counts.sum(axis=1), 1), dtype=np.float64)


def resample_weights(n: int, n_resamples: int, random_state: int = 0) -> Array:
    """Return weights of a Poisson bootstrap over customers, shape (n_resamples, n)."""
    return np.random.default_rng(random_state).poisson(1.0, (n_resamples, n)).astype(np.float64)


def rfm_scores(days_since_last_order: pd.Series, n_orders: pd.Series, lifetime_value: pd.Series) -> NDArray[np.intp]:
    """Return the quintile of each customer in recency, frequency and spend, shape (n, 3).

    1-5; 5 is the most recent, the most frequent, the highest spend. Equal customers get equal scores.
    """
    columns = [-days_since_last_order, n_orders, lifetime_value]
    return np.column_stack([_parts(column.to_numpy(dtype=np.float64), QUINTILES) + 1 for column in columns])


def continuous_rfm(days_since_last_order: pd.Series, n_orders: pd.Series, lifetime_value: pd.Series) -> Array:
    """Return recency, frequency and spend as a regression takes them: a constant, logarithms, squares and products.

    Shape (n, 10); undefined or negative values count as 0.
    """
    columns = [column.clip(lower=0).fillna(0) for column in (days_since_last_order, n_orders, lifetime_value)]
    logs = np.log1p(np.column_stack([column.to_numpy(dtype=np.float64) for column in columns]))
    logs = (logs - logs.mean(axis=0)) / np.maximum(logs.std(axis=0), np.finfo(np.float64).tiny)
    return np.column_stack([np.ones(len(logs)), logs, logs**2, logs * np.roll(logs, 1, axis=1)])


def rfm_groupings(scores: NDArray[np.intp], n_groups: int, random_state: int = 0) -> list[NDArray[np.intp]]:
    """Group customers by their quintiles in the two usual ways.

    Group of each customer, from 0: by the sum of the scores, in parts of the same size as far as equal sums allow; and
    by KMeans on the three scores, which may use all three dimensions. Fewer groups where there are fewer scores.
    """
    from sklearn.cluster import KMeans

    distinct, inverse, counts = np.unique(scores, axis=0, return_inverse=True, return_counts=True)
    model = KMeans(min(n_groups, len(distinct)), n_init=10, random_state=random_state)
    labels = model.fit(distinct.astype(np.float64), sample_weight=counts.astype(np.float64)).labels_
    by_sum = _parts(scores.sum(axis=1).astype(np.float64), n_groups)
    return [by_sum, np.asarray(labels[inverse.ravel()], dtype=np.intp)]


def _parts(values: NDArray[np.float64], n_parts: int) -> NDArray[np.intp]:
    """Cut into parts of equal size, from 0; equal values stay together, undefined ones are in the lowest part."""
    share = pd.Series(values).fillna(-np.inf).rank(method="average", pct=True).to_numpy()
    return np.asarray(np.clip(np.ceil(share * n_parts).astype(np.intp) - 1, 0, n_parts - 1), dtype=np.intp)
