"""What a churn model reads: a customer's numbers on scales where differences matter, and which fact each belongs to.

Belongs here: terms and the facts they tell. Does not: measuring (``history``), weighing (``additive``), words
(``profiles.risk_words``).
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from quimbi_assets.churn.history import WINDOWS

Array = NDArray[np.float64]

SILENCE, PACE, STANDING, SPEND = "silence", "pace", "standing", "spend"
FACTS = (SILENCE, PACE, STANDING, SPEND)
"""Time since the last order; orders of late and the gaps between them; orders in all and since when; money an order.

Orders of late and usual gaps tell the same twice: apart, one of them often "raised" what the other "lowered"."""

TERMS: dict[str, str] = {
    "days_since_last_order": SILENCE,
    "overdue_ratio": SILENCE,
    "orders_missed": SILENCE,
    "once_and_days": SILENCE,
    **dict.fromkeys(WINDOWS, PACE),
    "avg_days_between_orders": PACE,
    "gap_sd_days": PACE,
    "longest_gap_days": PACE,
    "last_gap_days": PACE,
    "orders_per_day": PACE,
    "n_orders": STANDING,
    "tenure_days": STANDING,
    "bought_once": STANDING,
    "avg_order_value": SPEND,
}
"""Fact of each term, in the order of the design's columns."""


def design_matrix(features: pd.DataFrame, horizon_days: int) -> Array:
    """Turn features into the model's terms.

    Parameters
    ----------
    features : DataFrame of n rows
        From ``history.measure``.
    horizon_days : int
        H.

    Returns
    -------
    ndarray, shape (n, 17)
        Columns of :data:`TERMS`, NaN where undefined. Counts, days and money as ``log1p``; ``overdue_ratio`` is days
        since the last order in average gaps (of a day at least), ``orders_missed`` the orders that the customer's own
        rate would have brought since, ``orders_per_day`` the log of that rate over the whole tenure (of a quarter
        horizon at least); ``bought_once`` 0 or 1, and times the days since.
    """
    raw = {name: features[name].to_numpy(np.float64) for name in features}
    days, n, gap = (raw[name] for name in ("days_since_last_order", "n_orders", "avg_days_between_orders"))
    rate = n / np.maximum(raw["tenure_days"], horizon_days / 4)
    once = (n == 1).astype(np.float64)
    made = {
        "overdue_ratio": np.log1p(days / np.maximum(gap, 1.0)),
        "orders_missed": np.log1p(days * rate),
        "once_and_days": once * np.log1p(days),
        "orders_per_day": np.log(rate),
        "bought_once": once,
        "avg_order_value": np.log1p(np.maximum(raw["avg_order_value"], 0.0)),
    }
    return np.column_stack([made[name] if name in made else np.log1p(raw[name]) for name in TERMS])
