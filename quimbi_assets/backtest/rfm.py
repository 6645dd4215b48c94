"""The yardstick: groups by recency, frequency and spend in quintiles.

Belongs here: making them. Does not: comparing them with anything.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

QUINTILES = 5


def rfm_scores(days_since_last_order: pd.Series, n_orders: pd.Series, lifetime_value: pd.Series) -> NDArray[np.intp]:
    """Return the quintile of each customer in recency, frequency and spend.

    Parameters
    ----------
    days_since_last_order, n_orders, lifetime_value : Series of n rows
        One order of customers.

    Returns
    -------
    ndarray of int, shape (n, 3)
        1-5; 5 is the most recent, the most frequent, the highest spend. Equal customers get equal scores.
    """
    columns = [-days_since_last_order, n_orders, lifetime_value]
    return np.column_stack([_parts(column.to_numpy(dtype=np.float64), QUINTILES) + 1 for column in columns])


def rfm_groupings(scores: NDArray[np.intp], n_groups: int, random_state: int = 0) -> list[NDArray[np.intp]]:
    """Group customers by their quintiles in the two usual ways.

    Parameters
    ----------
    scores : ndarray of int, shape (n, 3)
        From ``rfm_scores``.
    n_groups : int
        How many groups to make; fewer where there are fewer different scores.
    random_state : int
        Seed.

    Returns
    -------
    list of ndarray of int, shape (n,)
        Group of each customer, from 0: by the sum of the scores, in parts of the same size as far as equal sums allow;
        and by KMeans on the three scores, which may use all three dimensions.
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
