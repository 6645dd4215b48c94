"""What customers did in the hold-out, the days after a cut-off.

Belongs here: cutting it out and measuring features on it. Does not: which of them matter (``outcomes``).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from quimbi_assets.axes import AXES, Features, StoreReference, measure
from quimbi_assets.history import History
from quimbi_assets.instants import Instant

ABOUT_TICKETS = [axis.name for axis in AXES.values() if any(need.startswith("tickets.") for need in axis.essential)]
"""Axes whose hold-out is not over for those who ordered nothing in it."""


@dataclass(frozen=True)
class HoldOut:
    """What known customers did in the days after a cut-off.

    Parameters
    ----------
    customers : Index, shape (n,)
        Everybody who had ordered before it.
    features : mapping of axis to DataFrame
        Features of the hold-out alone: of those who ordered in it, of axes about tickets of everybody.
    n_orders, n_tickets : Series of n rows
        Orders and tickets in it.
    lines : DataFrame or None
        ``customer_id``, ``order_id`` and ``is_known``: whether the customer had bought the product before the cut-off.
        None where the store records no lines.
    """

    customers: pd.Index
    features: Mapping[str, pd.DataFrame]
    n_orders: pd.Series
    n_tickets: pd.Series
    lines: pd.DataFrame | None


def measure_hold_out(
    history: History,
    customers: pd.Index,
    cut_off: Instant,
    days: int,
    *,
    recorded: frozenset[str],
    reference: StoreReference,
) -> HoldOut:
    """Measure the ``days`` days from ``cut_off`` on.

    Parameters
    ----------
    history : History
        Reaches to the end of these days or beyond.
    customers : Index
        A bounded number of those who had ordered before the cut-off.
    cut_off : Instant
        What happens at this instant is in the hold-out.
    days : int
        Length of the hold-out.
    recorded, reference
        As for ``measure``, as known at the cut-off.
    """
    end = cut_off + pd.Timedelta(days=days)
    orders, items, tickets = history.of(customers).until(end).frames()
    assert items is not None
    assert tickets is not None
    is_after = orders["order_date"] >= cut_off
    after, tickets = orders[is_after], tickets[tickets["created_at"] >= cut_off]
    lines = items[items["order_id"].isin(after["order_id"])]

    def features(of_orders: pd.DataFrame, axes: list[str]) -> Mapping[str, pd.DataFrame]:
        own = History.from_frames(of_orders, lines, tickets, history.store).until(end)
        return Features(measure(own, axes, recorded=recorded, reference=reference)) if len(of_orders) else {}

    return HoldOut(
        customers,
        {**features(after, [a for a in AXES if a not in ABOUT_TICKETS]), **features(orders, ABOUT_TICKETS)},
        _counted(after, customers),
        _counted(tickets, customers),
        _known_lines(items[~items["order_id"].isin(after["order_id"])], lines) if len(lines) else None,
    )


def _counted(rows: pd.DataFrame, customers: pd.Index) -> pd.Series:
    return rows["customer_id"].astype("str").value_counts().reindex(customers, fill_value=0)


def _known_lines(before: pd.DataFrame, lines: pd.DataFrame) -> pd.DataFrame:
    """Say of each line of the hold-out whether its customer had bought its product before."""
    key = ["customer_id", "product_id"]
    found = lines.merge(before[key].drop_duplicates().assign(is_known=1.0), on=key, how="left")
    return found[["customer_id", "order_id", "is_known"]].fillna({"is_known": 0.0})
