"""What a customer's churn risk rests on, in shop words: "last order 95 days ago, 3.2 times the usual gap".

Belongs here: one clause a fact, written for all customers at once. Does not: weighing facts (``churn``), the profile's
columns (``risk``).
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from quimbi_assets.churn.design import PACE, SILENCE, SPEND, STANDING
from quimbi_assets.profiles.phrases import amounts, counted, join, whole_numbers

Array = NDArray[np.float64]

DAYS_PER_MONTH = 30.4375
IN_MONTHS_FROM = 60
"""Days from which a time is told in months."""


def fact_words(features: pd.DataFrame, horizon_days: int, currency: str) -> Mapping[str, pa.StringArray]:
    """Write the clause of every fact for n customers.

    Parameters
    ----------
    features : DataFrame of n rows
        From ``churn.history.measure``.
    horizon_days : int
        H.
    currency : str
        Of the store.

    Returns
    -------
    mapping of fact to StringArray of length n
        Null where the fact is not known of a customer.
    """
    raw = {name: features[name].to_numpy(np.float64, na_value=np.nan) for name in features}
    return {
        SILENCE: _silence(raw["days_since_last_order"], raw["avg_days_between_orders"]),
        PACE: _pace(raw["orders_in_horizon"], raw["avg_days_between_orders"], horizon_days),
        STANDING: _standing(raw["n_orders"], raw["tenure_days"]),
        SPEND: join(amounts(np.maximum(raw["avg_order_value"], 0.0), currency), " an order on average"),
    }


def _silence(days: Array, gap: Array) -> pa.StringArray:
    ago = join("last order ", counted(np.floor(days), "day", "days"), " ago")
    ago = pc.if_else(pa.array(days < 1), "last order less than a day ago", ago)
    times = np.rint(10 * days / np.maximum(gap, 1.0))
    tenths = join(whole_numbers(np.floor(times / 10)), ".", whole_numbers(times % 10))
    return pc.if_else(
        pa.array(np.isfinite(gap) & (days >= 1)), join(ago, ", ", pc.coalesce(tenths, ""), " times the usual gap"), ago
    )


def _pace(n: Array, gap: Array, horizon_days: int) -> pa.StringArray:
    orders = pc.if_else(pa.array(n == 0), "no order", counted(n, "order", "orders"))
    late = join(orders, f" in the last {horizon_days} days")
    usual = join(", usually ", counted(np.rint(gap), "day", "days"), " apart")
    return join(late, pc.coalesce(usual, ""))


def _standing(n: Array, tenure: Array) -> pa.StringArray:
    months = counted(np.rint(tenure / DAYS_PER_MONTH), "month", "months")
    since = pc.if_else(pa.array(tenure >= IN_MONTHS_FROM), months, counted(np.ceil(tenure), "day", "days"))
    return pc.if_else(pa.array(n == 1), "bought once", join(counted(n, "order", "orders"), " in ", since))
