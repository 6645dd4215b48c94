"""What customers did in the hold-out, the days after a cut-off, and what each axis claims of it.

Belongs here: cutting it out, measuring features and outcomes on it. Does not: claims (the axes), comparing groups
(``baseline``).

Most outcomes that axes declare are features measured anew on the hold-out, by the same expressions; the few that
compare it with what came before are formulas here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from quimbi_assets.axes import AXES, Features, Outcome, StoreReference, measure
from quimbi_assets.history import History
from quimbi_assets.instants import Instant

Array = NDArray[np.float64]

ABOUT_TICKETS = [axis.name for axis in AXES.values() if any(need.startswith("tickets.") for need in axis.essential)]
"""Axes whose hold-out is not over for those who ordered nothing in it."""


@dataclass(frozen=True)
class HoldOut:
    """What known customers did in the days after a cut-off.

    Parameters
    ----------
    features : mapping of axis to DataFrame
        Of the hold-out alone: of those who ordered in it, of axes about tickets of everybody.
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
    """Measure the ``days`` days from ``cut_off`` on; what happens at that instant is in them.

    Parameters
    ----------
    history : History
        Reaches to the end of these days or beyond.
    customers : Index
        A bounded number of those who had ordered before the cut-off.
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
        part = History.from_frames(of_orders, lines, tickets, history.store).until(end)
        return Features(measure(part, axes, recorded=recorded, reference=reference)) if len(of_orders) else {}

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
    marked = lines.merge(before[key].drop_duplicates().assign(is_known=1.0), on=key, how="left")
    return marked[["customer_id", "order_id", "is_known"]].fillna({"is_known": 0.0})


def outcomes_of(axis_name: str) -> tuple[Outcome, ...]:
    """Return what an axis is held to; its own clustering features where it claims nothing else."""
    axis = AXES[axis_name]
    return axis.outcomes or tuple(Outcome(feature.name) for feature in axis.clustering_features)


def measure_outcome(axis_name: str, outcome: Outcome, hold_out: HoldOut) -> Array | None:
    """Return an outcome of the hold-out's customers, shape (n,), NaN where undefined; None if not recorded."""
    if outcome.name in FORMULAS:
        measured = FORMULAS[outcome.name](hold_out)
    else:
        measured = hold_out.features.get(axis_name, pd.DataFrame()).get(outcome.name)
    if measured is None:
        return None
    values = measured.reindex(hold_out.customers).to_numpy(dtype=np.float64, na_value=np.nan)
    if outcome.absent is not None:
        values = np.where(np.isnan(values), outcome.absent, values)
    return np.log1p(np.maximum(values, 0)) if outcome.log else values


def _known_order_ratio(hold_out: HoldOut) -> pd.Series | None:
    """Share of a customer's orders that hold a product bought before."""
    if hold_out.lines is None:
        return None
    return hold_out.lines.groupby(["customer_id", "order_id"])["is_known"].max().groupby(level=0).mean()


def _new_product_rate(hold_out: HoldOut) -> pd.Series | None:
    return None if hold_out.lines is None else 1 - hold_out.lines.groupby("customer_id")["is_known"].mean()


FORMULAS: Mapping[str, Callable[[HoldOut], pd.Series | None]] = {
    "orders": lambda hold_out: hold_out.n_orders,
    "bought_at_all": lambda hold_out: (hold_out.n_orders > 0).astype("float64"),
    "orders_with_a_known_product": _known_order_ratio,
    "lines_of_new_products": _new_product_rate,
    # Over one order where somebody only wrote.
    "tickets_per_order": lambda hold_out: hold_out.n_tickets / hold_out.n_orders.clip(lower=1),
}
"""Outcomes that are no feature of the hold-out alone: raw values by customer; None where they are not recorded."""
