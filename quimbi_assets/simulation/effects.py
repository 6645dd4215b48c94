"""What acting did, planted in a simulated store: from entry on, customers acted on order more often than they would.

Belongs here: orders with the effect in them. Does not: who is acted on (``lift.assignment``), measuring it (``lift``).
"""

import numpy as np
import pandas as pd


def plant_effect(orders: pd.DataFrame, acted: pd.DataFrame, raised: float, window_days: int, seed: int) -> pd.DataFrame:
    """Return orders to which those of an effect are added, shape (n_orders + n_added, columns).

    ``acted``: ``customer_id`` and ``entered_at`` of those acted on. Their orders of the window are so many more by the
    share ``raised``, 0 to 1: each brings a second one of its kind with this probability, at any time of the window;
    the rest stays as it is. The same ``seed`` adds the same.

    >>> orders = pd.DataFrame({"order_id": ["1"], "customer_id": ["c"], "order_date": pd.to_datetime(["2026-01-05"])})
    >>> acted = pd.DataFrame({"customer_id": ["c"], "entered_at": pd.to_datetime(["2026-01-01"])})
    >>> plant_effect(orders, acted, 1.0, 30, 0)["order_id"].tolist()
    ['1', '1-more']
    """
    rng = np.random.default_rng(np.random.SeedSequence(seed))
    entered = orders["customer_id"].map(acted.set_index("customer_id")["entered_at"])
    window = pd.Timedelta(days=window_days)
    is_within = (orders["order_date"] >= entered) & (orders["order_date"] < entered + window)
    is_doubled = is_within & (rng.random(len(orders)) < raised)
    more = orders[is_doubled].copy()
    more["order_id"] = more["order_id"].astype(str) + "-more"
    more["order_date"] = entered[is_doubled] + window * rng.random(len(more))
    return pd.concat([orders, more], ignore_index=True)
