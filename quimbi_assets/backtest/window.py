"""What customers did in the days after a cut.

Belongs here: cutting the window out and measuring features on it. Does not: which of them matter (``outcomes``).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from quimbi_assets.axes import BusinessHours, StoreReference, extract_features
from quimbi_assets.ingest.keys import among


@dataclass(frozen=True)
class Window:
    """The orders of known customers in the days after a cut.

    Parameters
    ----------
    customers : Index, shape (n,)
        Everybody who had ordered before the cut.
    features : mapping of axis to DataFrame
        Features of the window alone, of those who ordered in it.
    n_orders : Series of n rows
        Orders in the window.
    lines : DataFrame or None
        ``customer_id``, ``order_id`` and ``is_known``: whether the customer had bought the product before the cut.
        None where the store records no lines.
    """

    customers: pd.Index
    features: Mapping[str, pd.DataFrame]
    n_orders: pd.Series
    lines: pd.DataFrame | None


def measure_window(
    orders: pd.DataFrame,
    items: pd.DataFrame | None,
    customers: pd.Index,
    cut: pd.Timestamp,
    days: int,
    *,
    recorded: frozenset[str],
    reference: StoreReference,
    time_zone: str = "UTC",
    business_hours: BusinessHours | None = None,
) -> Window:
    """Measure the ``days`` days from ``cut`` on.

    Parameters
    ----------
    orders, items : DataFrame
        As for ``extract_features``; ``order_date`` naive UTC.
    customers : Index
        Who had ordered before the cut.
    cut : Timestamp
        Naive UTC; an order at this instant is in the window.
    days : int
        Length of the window.
    recorded, reference, time_zone, business_hours
        As for ``extract_features``, as known at the cut.

    Returns
    -------
    Window
    """
    end = cut + pd.Timedelta(days=days)
    own = orders[orders["customer_id"].astype("str").isin(customers)]
    after = own[(own["order_date"] >= cut) & (own["order_date"] < end)]
    lines = None if items is None else items[among(items["order_id"], after["order_id"])]
    features = (
        {}
        if after.empty
        else extract_features(
            after,
            lines,
            observation_end=end,
            recorded=recorded,
            reference=reference,
            time_zone=time_zone,
            business_hours=business_hours,
        )
    )
    return Window(
        customers,
        features,
        _n_orders(after, customers),
        None if lines is None or lines.empty else _known_lines(own[own["order_date"] < cut], after, items, lines),
    )


def _n_orders(orders: pd.DataFrame, customers: pd.Index) -> pd.Series:
    return orders["customer_id"].astype("str").value_counts().reindex(customers, fill_value=0)


def _known_lines(
    before: pd.DataFrame, after: pd.DataFrame, items: pd.DataFrame | None, lines: pd.DataFrame
) -> pd.DataFrame:
    """Say of each line of the window whether its customer had bought its product before."""
    key = ["customer_id", "product_id"]
    owners = pd.concat([before, after])[["order_id", "customer_id"]].astype({"customer_id": "str"})
    earlier = items.merge(owners[: len(before)], on="order_id")[key].drop_duplicates() if items is not None else lines
    window = lines[["order_id", "product_id"]].merge(owners[len(before) :], on="order_id")
    found = window.merge(earlier.assign(is_known=1.0), on=key, how="left")
    return found[["customer_id", "order_id", "is_known"]].fillna({"is_known": 0.0})
