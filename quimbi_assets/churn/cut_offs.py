"""When history is cut: the horizon, and past instants whose outcomes reach into no time that a model is tested on.

Belongs here: their choice. Does not: what is measured at one (``history``).
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


def rolling_cut_offs(
    first_order: pd.Timestamp,
    outcomes_known: pd.Timestamp,
    horizon_days: int,
    *,
    apart_days: float,
    most: int,
    least_history_days: float,
) -> list[pd.Timestamp]:
    """Return instants whose outcomes are known by ``outcomes_known``, the latest first; none in too short a history.

    Parameters
    ----------
    first_order : Timestamp
        Of the store, naive UTC.
    outcomes_known : Timestamp
        Where the last outcome may end, exclusive.
    horizon_days : int
        H: days after a cut-off whose orders count.
    least_history_days : float
        Days of orders that every cut-off has before it, at least.

    Examples
    --------
    >>> start, end = pd.Timestamp("2024-01-01"), pd.Timestamp("2024-06-29")
    >>> cut_offs = rolling_cut_offs(start, end, 60, apart_days=30, most=6, least_history_days=30)
    >>> [f"{cut_off:%m-%d}" for cut_off in cut_offs]
    ['04-30', '03-31', '03-01', '01-31']
    """
    latest = outcomes_known - pd.Timedelta(days=horizon_days)
    cut_offs = [latest - i * pd.Timedelta(days=apart_days) for i in range(most)]
    return [cut_off for cut_off in cut_offs if cut_off - first_order >= pd.Timedelta(days=least_history_days)]


def choose_horizon(history: History, observation_end: pd.Timestamp) -> int:
    """Choose the horizon H of a store from its own gaps between orders: days, whole weeks, 14 to 182.

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
