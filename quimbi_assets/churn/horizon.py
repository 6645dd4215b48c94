"""How long a silence is called staying away: a horizon from the store's own gaps between orders.

Belongs here: its formula and bounds. Does not: cutting history (``cuts``).
"""

import numpy as np
import pandas as pd

from quimbi_assets.churn.history import History
from quimbi_assets.errors import InsufficientHistoryError

GAP_QUANTILE = 0.9
SHORTEST_DAYS, LONGEST_DAYS = 28, 182
"""A month of weeks, within which every weekday comes equally often; half a year."""
LEAST_DAYS = 14
"""Of a young store."""
PARTS_OF_HISTORY = 5
"""Horizons that the history must hold: one to test on, one to learn from, one to choose by, and two before them."""


def choose_horizon(history: History, observation_end: pd.Timestamp) -> int:
    """Choose the horizon H of a store.

    Parameters
    ----------
    history : History
        Orders before ``observation_end``.
    observation_end : Timestamp
        Naive UTC.

    Returns
    -------
    int
        Days, whole weeks, 14 to 182.

    Raises
    ------
    InsufficientHistoryError
        If nobody ever ordered twice, or the history is shorter than 70 days.

    Notes
    -----
    ``H = min(max(28, q), 182, T / 5)`` rounded down to weeks, with ``q`` the 90 % quantile of all days between
    consecutive orders of a customer, and ``T`` the days from the store's first order to ``observation_end``: nine in
    ten of those who come back have done so within H, so that who has not is late by the store's own measure.
    """
    gaps = history.gap_days[~np.isnan(history.gap_days)]
    if not len(gaps):
        raise InsufficientHistoryError("no customer has ordered twice: who comes back cannot be learnt")
    days = history.days_of_history(observation_end)
    needed = LEAST_DAYS * PARTS_OF_HISTORY
    if days < needed:
        raise InsufficientHistoryError(
            f"{days:.0f} days of orders, fewer than the {needed} that learning who stays away takes"
        )
    usual = min(max(float(np.quantile(gaps, GAP_QUANTILE)), SHORTEST_DAYS), LONGEST_DAYS)
    return int(min(usual, days / PARTS_OF_HISTORY) // 7 * 7)
