"""Is this silence unusual for this customer? Measured against the rhythm they had.

Belongs here: the surprisal of a silence, who has lapsed, days on which the store was closed. Does not: from which
surprisal on a customer has lapsed (``thresholds`` learns that).

Time moves everybody's recency features every day; that alone is no news. It is news when a customer who ordered
every five days has not for a fortnight, and none when one who orders twice a year has not.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import gammaincc

from quimbi_assets.weekly.causes import ACTED, SILENT

Array = NDArray[np.float64]

AXIS = "purchase_frequency"
"""The axis whose features say how regularly a customer orders; where it is weak, nobody lapses."""
FEWEST_ORDERS = 4
"""Assumption: three gaps are the least that make a rhythm."""
PRIOR_GAPS, PRIOR_VARIATION = 1.0, 1.0
"""Before anything is known of a customer their gaps vary as if orders came at random, with the weight of one gap."""
MOST = 50.0
LOOK_BACK_DAYS = 90
CLOSED_RUN_DAYS = 3
"""Fewest days on end without an order that may be a closure: a store that never ships on Sundays is not closed."""
UNLIKELY = 9.2
"""Orders expected in such a run from which it is no chance: ``exp(-9.2)`` is one in ten thousand."""


def surprisal(frequency: pd.DataFrame, closed: NDArray[np.bool_] | None = None) -> Array:
    """Return how unlikely each customer's present silence would be if nothing had changed.

    Parameters
    ----------
    frequency : DataFrame of n rows
        ``n_orders``, ``days_since_last_order``, ``avg_days_between_orders`` and ``purchase_consistency``.
    closed : ndarray of bool, optional
        Per day before the instant, the last first, whether the store was closed; those days are no silence.

    Returns
    -------
    ndarray of shape (n,)
        ``-log10`` of the probability that a gap of theirs lasts longer, 0 to 50; 1.3 is one in twenty. 0 for customers
        with fewer than four orders, who have no rhythm.

    Notes
    -----
    Gaps are gamma-distributed with the customer's mean (at least a day) and coefficient of variation; the latter is
    drawn towards 1, which is orders at random.
    """
    n_orders = frequency["n_orders"].to_numpy(dtype=np.float64)
    silent = frequency["days_since_last_order"].to_numpy(dtype=np.float64)
    mean = np.maximum(frequency["avg_days_between_orders"].to_numpy(dtype=np.float64), 1.0)
    variation = 1.0 / frequency["purchase_consistency"].to_numpy(dtype=np.float64) - 1.0
    n_gaps = n_orders - 1.0
    known = (n_orders >= FEWEST_ORDERS) & np.isfinite(variation) & np.isfinite(mean)
    squared = (n_gaps * variation**2 + PRIOR_GAPS * PRIOR_VARIATION**2) / (n_gaps + PRIOR_GAPS)
    shape = 1.0 / np.where(known, squared, 1.0)
    open_days = np.maximum(silent - _closed_since(silent, closed), 0.0)
    tail = gammaincc(shape, shape * np.where(known, open_days / mean, 0.0))
    return np.where(known, np.minimum(-np.log10(np.maximum(tail, 1e-300)), MOST), 0.0)


def lapsed(cause: NDArray[np.str_], surprisals: Array, before: NDArray[np.bool_], level: float) -> NDArray[np.bool_]:
    """Return who has lapsed by now.

    Parameters
    ----------
    cause : ndarray of str of shape (n,)
        Why each customer moved this week.
    surprisals : ndarray of shape (n,)
        Of their silences at its end.
    before : ndarray of bool of shape (n,)
        Who had lapsed by its beginning.
    level : float
        Surprisal from which on a silence counts (``thresholds``).

    Returns
    -------
    ndarray of bool of shape (n,)
        Once lapsed, a customer is so until they act, wherever the level moves to meanwhile.
    """
    return np.asarray((before & (cause != ACTED)) | ((cause == SILENT) & (surprisals > level)), dtype=np.bool_)


def closed_days(orders_a_day: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return on which of the last days the store was closed.

    Parameters
    ----------
    orders_a_day : ndarray of int of shape (90,)
        The store's orders on each of the last 90 days before an instant, the last day first.

    Returns
    -------
    ndarray of bool of shape (90,)
        Days of a run of three or more without any order, in which ten or so would have been expected. Nobody could
        order then, or the orders are missing: it says nothing about any customer.
    """
    empty = orders_a_day == 0
    edges = np.flatnonzero(np.diff(np.concatenate([[False], empty, [False]]).astype(np.int8)))
    closed = np.zeros(len(empty), dtype=np.bool_)
    for start, stop in edges.reshape(-1, 2):
        if stop - start >= CLOSED_RUN_DAYS and (stop - start) * orders_a_day.mean() > UNLIKELY:
            closed[start:stop] = True
    return closed


def _closed_since(silent: Array, closed: NDArray[np.bool_] | None) -> Array:
    """Return how many closed days lie in each customer's silence, shape (n,)."""
    if closed is None:
        return np.zeros(len(silent))
    total = np.concatenate([[0.0], np.cumsum(closed)])
    return total[np.minimum(np.nan_to_num(silent), len(closed)).astype(np.int64)]
