"""The form in which features read orders, lines and tickets: dates naive UTC, columns in a fixed order.

Belongs here: that form. Does not: which orders are in it (``policy``), its types and ranges (``schemas``).
"""

import pandas as pd

ORDER_COLUMNS = [
    "order_id",
    "customer_id",
    "order_date",
    "order_date_local",
    "total_price",
    "discount_amount",
    "refund_amount",
    "source",
]
ITEM_COLUMNS = [
    "order_id",
    "line_no",
    "product_id",
    "category",
    "product_type",
    "quantity",
    "price",
    "refund_amount",
    "refunded_at",
]


def canonical_tickets(tickets: pd.DataFrame) -> pd.DataFrame:
    """Return stored support tickets with dates naive UTC, as ``schemas.CANONICAL_TICKETS``."""
    dates = ("created_at", "first_response_at", "resolved_at")
    return tickets.assign(**{name: naive_utc(tickets[name]) for name in dates}).reset_index(drop=True)


def naive_utc(instants: pd.Series) -> pd.Series:
    """Return zoned instants as naive UTC in microseconds."""
    return instants.dt.tz_convert("UTC").dt.tz_localize(None).astype("datetime64[us]")


def empty_items() -> pd.DataFrame:
    """Return stored lines of a store that sent none."""
    kinds = {"line_no": "int64", "refunded_at": "datetime64[us, UTC]"}
    kinds |= dict.fromkeys(("quantity", "price", "refund_amount"), "float64")
    return pd.DataFrame({name: pd.Series(dtype=kinds.get(name, "str")) for name in ITEM_COLUMNS})
