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

from quimbi_assets.axes import AXES, Features, Outcome, StoreReference, measure
from quimbi_assets.backtest.baseline import Array
from quimbi_assets.history import History
from quimbi_assets.instants import Instant

ABOUT_TICKETS = [axis.name for axis in AXES.values() if axis.reads_tickets]
"""Axes whose hold-out is not over for those who ordered nothing in it."""


@dataclass(frozen=True)
class HoldOut:
    """What known customers did in the days after a cut-off.

    ``features``, by axis, are of the hold-out alone: of those who ordered in it, of axes about tickets of everybody.
    ``lines`` has ``customer_id``, ``order_id`` and ``is_known``: whether the customer had bought the product before the
    cut-off; no rows where the store records no lines.
    """

    customers: pd.Index
    features: Mapping[str, pd.DataFrame]
    n_orders: pd.Series
    n_tickets: pd.Series
    lines: pd.DataFrame


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

    The history reaches to the end of these days or beyond; ``customers`` are a bounded number of those who had ordered
    before the cut-off; ``recorded`` and ``reference`` are as for ``measure``, as known at the cut-off.
    """
    end = cut_off + pd.Timedelta(days=days)
    orders, items, tickets = history.of(customers).until(end).frames()
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
        _known_lines(items[~items["order_id"].isin(after["order_id"])], lines),
    )


def _counted(rows: pd.DataFrame, customers: pd.Index) -> pd.Series:
    return rows["customer_id"].astype("str").value_counts().reindex(customers, fill_value=0)


def _known_lines(before: pd.DataFrame, lines: pd.DataFrame) -> pd.DataFrame:
    """Say of each line of the hold-out whether its customer had bought its product before."""
    key = ["customer_id", "product_id"]
    marked = lines.merge(before[key].drop_duplicates().assign(is_known=1.0), on=key, how="left")
    return marked[["customer_id", "order_id", "is_known"]].fillna({"is_known": 0.0})


def measure_outcome(axis_name: str, outcome: Outcome, hold_out: HoldOut) -> Array | None:
    """Return an outcome of the hold-out's customers, shape (n,), NaN where undefined; None if not recorded."""
    formula, of_axis = FORMULAS.get(outcome.name), hold_out.features.get(axis_name, pd.DataFrame())
    measured = formula(hold_out) if formula else of_axis.get(outcome.name)
    if measured is None:
        return None
    values = measured.reindex(hold_out.customers).to_numpy(dtype=np.float64, na_value=np.nan)
    if outcome.absent is not None:
        values = np.where(np.isnan(values), outcome.absent, values)
    return np.log1p(np.maximum(values, 0)) if outcome.log else values


FORMULAS: Mapping[str, Callable[[HoldOut], pd.Series]] = {
    "orders": lambda hold_out: hold_out.n_orders,
    "bought_at_all": lambda hold_out: (hold_out.n_orders > 0).astype("float64"),
    "orders_with_a_known_product": lambda hold_out: (
        hold_out.lines.groupby(["customer_id", "order_id"])["is_known"].max().groupby(level=0).mean()
    ),
    "lines_of_new_products": lambda hold_out: 1 - hold_out.lines.groupby("customer_id")["is_known"].mean(),
    # Over one order where somebody only wrote.
    "tickets_per_order": lambda hold_out: hold_out.n_tickets / hold_out.n_orders.clip(lower=1),
}
"""Outcomes that are no feature of the hold-out alone: raw values by customer, none where none are recorded."""
