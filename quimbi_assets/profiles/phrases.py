"""Numbers as people read them, for a whole column at once: ``£1,240``, ``12 orders``, ``9 days ago``, and clauses.

Belongs here: Arrow text kernels that write numbers, and what a churn risk rests on in shop words ("last order 95 days
ago, 3.2 times the usual gap"). Does not: single values (``naming.values``), sentences on a customer
(``interpretation``), weighing facts (``churn``).
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from quimbi_assets.churn.additive import PACE, RECENCY, SPEND, TENURE
from quimbi_assets.naming.values import CURRENCY_SIGNS

Array = NDArray[np.float64]

THREE_DIGITS = pa.array([f"{i:03d}" for i in range(1000)])
LARGEST = 9e15
DAYS_PER_MONTH = 30.4375
IN_MONTHS_FROM = 60
"""Days from which a time is told in months."""


def join(*parts: Any) -> pa.StringArray:
    """Put texts side by side, row by row; null where any part is null."""
    return pc.binary_join_element_wise(*parts, "")


def whole_numbers(values: Array) -> pa.StringArray:
    """Write whole numbers with thousands separated; null where undefined or beyond 9e15.

    >>> whole_numbers(np.array([0, 999, 1240, 1002003, -1240, float("nan")])).to_pylist()
    ['0', '999', '1,240', '1,002,003', '-1,240', None]
    """
    known = np.abs(values) <= LARGEST
    rest = np.where(known, np.abs(np.rint(np.where(known, values, 0.0))), 0.0).astype(np.int64)
    text = pc.cast(pa.array(rest % 1000), pa.string())
    padded = pc.take(THREE_DIGITS, pa.array(rest % 1000))
    while (rest := rest // 1000).any():
        more = pa.array(rest > 0)
        head = pa.array(rest % 1000)
        text = pc.if_else(more, join(pc.cast(head, pa.string()), ",", padded), text)
        padded = pc.if_else(more, join(pc.take(THREE_DIGITS, head), ",", padded), padded)
    signed = pc.if_else(pa.array(np.rint(np.where(known, values, 0.0)) < 0), join("-", text), text)
    return pc.if_else(pa.array(known), signed, pa.scalar(None, pa.string()))


def amounts(values: Array, currency: str) -> pa.StringArray:
    """Write amounts of at least 0 as ``naming.values.format_money`` does; null where undefined.

    >>> amounts(np.array([1240.4, 12.5, float("nan")]), "GBP").to_pylist()
    ['£1,240', '£12.50', None]
    """
    sign = CURRENCY_SIGNS.get(currency.upper(), currency)
    gap = " " if sign and sign[-1].isalpha() else ""
    small = np.where(np.abs(values) < 99.995, values, 0.0)
    cents = np.rint(small * 100).astype(np.int64)
    hundredths = pc.utf8_slice_codeunits(pc.take(THREE_DIGITS, pa.array(cents % 100)), 1, 3)
    with_cents = join(pc.cast(pa.array(cents // 100), pa.string()), ".", hundredths)
    number = pc.if_else(pa.array(np.abs(values) < 99.995), with_cents, whole_numbers(values))
    return join(sign + gap, number)


def counted(values: Array, singular: str, plural: str) -> pa.StringArray:
    """Write whole numbers with their noun; null where undefined.

    >>> counted(np.array([1.0, 12.0]), "order", "orders").to_pylist()
    ['1 order', '12 orders']
    """
    noun = pc.if_else(pa.array(np.rint(values) == 1), f" {singular}", f" {plural}")
    return join(whole_numbers(values), noun)


def fact_words(features: pd.DataFrame, horizon_days: int, currency: str) -> Mapping[str, pa.StringArray]:
    """Write the clause of every fact, from features of ``churn.history.measure``; null where a fact is not known."""
    raw = {name: features[name].to_numpy(np.float64, na_value=np.nan) for name in features}
    return {
        RECENCY: _recency(raw["days_since_last_order"], raw["avg_days_between_orders"]),
        PACE: _pace(raw["orders_in_horizon"], raw["avg_days_between_orders"], horizon_days),
        TENURE: _tenure(raw["n_orders"], raw["tenure_days"]),
        SPEND: join(amounts(np.maximum(raw["avg_order_value"], 0.0), currency), " an order on average"),
    }


def _recency(days: Array, gap: Array) -> pa.StringArray:
    ago = join("last order ", counted(np.floor(days), "day", "days"), " ago")
    ago = pc.if_else(pa.array(days < 1), "last order less than a day ago", ago)
    times = np.rint(10 * days / np.maximum(gap, 1.0))
    tenths = join(whole_numbers(np.floor(times / 10)), ".", whole_numbers(times % 10))
    beside = join(ago, ", ", pc.coalesce(tenths, ""), " times the usual gap")
    return pc.if_else(pa.array(np.isfinite(gap) & (days >= 1)), beside, ago)


def _pace(n: Array, gap: Array, horizon_days: int) -> pa.StringArray:
    orders = pc.if_else(pa.array(n == 0), "no order", counted(n, "order", "orders"))
    late = join(orders, f" in the last {horizon_days} days")
    usual = join(", usually ", counted(np.rint(gap), "day", "days"), " apart")
    return join(late, pc.coalesce(usual, ""))


def _tenure(n: Array, tenure: Array) -> pa.StringArray:
    months = counted(np.rint(tenure / DAYS_PER_MONTH), "month", "months")
    since = pc.if_else(pa.array(tenure >= IN_MONTHS_FROM), months, counted(np.ceil(tenure), "day", "days"))
    return pc.if_else(pa.array(n == 1), "bought once", join(counted(n, "order", "orders"), " in ", since))
