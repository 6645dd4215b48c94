"""Measurement of what each axis claims about the next 90 days, on the orders of those days alone.

Most outcomes that axes declare are features measured anew on the hold-out, by the same expressions; the few that
compare it with what came before are formulas here. An axis without a claim of its own is held to its own clustering
features.

Belongs here: measurement. Does not: claims (the axes), comparing groups (``baseline``).
"""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from quimbi_assets.axes import AXES, Outcome
from quimbi_assets.backtest.hold_out import HoldOut

Array = NDArray[np.float64]


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


def _bought(hold_out: HoldOut) -> pd.Series:
    return (hold_out.n_orders > 0).astype("float64")


def _known_order_ratio(hold_out: HoldOut) -> pd.Series | None:
    lines = hold_out.lines
    return (
        None if lines is None else lines.groupby(["customer_id", "order_id"])["is_known"].max().groupby(level=0).mean()
    )


def _new_product_rate(hold_out: HoldOut) -> pd.Series | None:
    return None if hold_out.lines is None else 1 - hold_out.lines.groupby("customer_id")["is_known"].mean()


def _tickets_per_order(hold_out: HoldOut) -> pd.Series:
    """Tickets of the hold-out, over its orders; over one where somebody only wrote."""
    return hold_out.n_tickets / hold_out.n_orders.clip(lower=1)


FORMULAS: Mapping[str, Callable[[HoldOut], pd.Series | None]] = {
    "orders": lambda hold_out: hold_out.n_orders,
    "bought_at_all": _bought,
    "orders_with_a_known_product": _known_order_ratio,
    "lines_of_new_products": _new_product_rate,
    "tickets_per_order": _tickets_per_order,
}
"""Outcomes that are no feature of the hold-out alone: raw values by customer; None where they are not recorded."""
