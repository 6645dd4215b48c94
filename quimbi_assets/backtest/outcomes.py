"""What each axis claims about the next 90 days, and its measurement on the orders of those days alone.

Most outcomes are features measured anew on the window, by the same expressions; the few that compare the window with
what came before are formulas here. An axis without a claim of its own is held to its own clustering features.

Belongs here: claims and measurement. Does not: comparing groups (``explained``).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from quimbi_assets.axes import AXES
from quimbi_assets.backtest.window import Window

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Outcome:
    """One quantity of the window.

    Parameters
    ----------
    name : str
        In snake case.
    measure : callable
        ``Window -> Series or None``: raw values by customer; None where the store does not record it.
    absent : float or None
        Value of a customer who did not order in the window; None: only those who did are looked at.
    log : bool
        Whether ``log1p`` of it is explained: money and counts, whose few largest would be all the variance.
    """

    name: str
    measure: Callable[[Window], pd.Series | None]
    absent: float | None = None
    log: bool = False

    def values(self, window: Window) -> Array | None:
        """Return the values of the window's customers, shape (n,), NaN where undefined; None if not recorded."""
        measured = self.measure(window)
        if measured is None:
            return None
        values = measured.reindex(window.customers).to_numpy(dtype=np.float64, na_value=np.nan)
        if self.absent is not None:
            values = np.where(np.isnan(values), self.absent, values)
        return np.log1p(np.maximum(values, 0)) if self.log else values


def _feature(axis: str, name: str, absent: float | None = None, log: bool = False) -> Outcome:
    def measure(window: Window) -> pd.Series | None:
        table = window.features.get(axis)
        return table[name] if table is not None and name in table else None

    return Outcome(name, measure, absent, log)


def _bought(window: Window) -> pd.Series:
    return (window.n_orders > 0).astype("float64")


def _known_order_ratio(window: Window) -> pd.Series | None:
    lines = window.lines
    return (
        None if lines is None else lines.groupby(["customer_id", "order_id"])["is_known"].max().groupby(level=0).mean()
    )


def _new_product_rate(window: Window) -> pd.Series | None:
    return None if window.lines is None else 1 - window.lines.groupby("customer_id")["is_known"].mean()


ORDERS = Outcome("orders", lambda window: window.n_orders, 0, log=True)
CHANNELS = ("channel_web", "channel_pos", "channel_draft_order", "channel_other")
OUTCOMES: Mapping[str, tuple[Outcome, ...]] = {
    "purchase_frequency": (ORDERS,),
    "purchase_value": (
        _feature("purchase_value", "lifetime_value", 0, log=True),
        _feature("purchase_value", "avg_order_value", log=True),
    ),
    "category_exploration": (
        _feature("category_exploration", "unique_categories", log=True),
        _feature("category_exploration", "category_diversity"),
        _feature("category_exploration", "exploration_breadth"),
    ),
    "price_sensitivity": (
        _feature("price_sensitivity", "discount_rate"),
        _feature("price_sensitivity", "discount_depth"),
    ),
    "purchase_cadence": tuple(
        _feature("purchase_cadence", name) for name in ("weekend_ratio", "business_hours_ratio", "hour_sin", "hour_cos")
    ),
    "customer_maturity": (Outcome("bought_at_all", _bought),),
    "repurchase_behavior": (
        Outcome("orders_with_a_known_product", _known_order_ratio),
        _feature("repurchase_behavior", "repeat_rate"),
    ),
    "return_behavior": (
        _feature("return_behavior", "refund_rate"),
        _feature("return_behavior", "return_order_ratio"),
    ),
    "communication_preference": tuple(
        _feature("communication_preference", name) for name in (*CHANNELS, "weekend_ratio", "business_hours_ratio")
    ),
    # Not the change against the days before the cut: who ordered much then orders less by mere regression to the mean,
    # which groups "explained" to 13-18 % in a store generated at random.
    "loyalty_trajectory": (ORDERS,),
    "problem_complexity_profile": (
        _feature("problem_complexity_profile", "refund_rate"),
        _feature("problem_complexity_profile", "discount_dependency"),
        _feature("problem_complexity_profile", "avg_lines_per_order", log=True),
    ),
    "product_knowledge": (
        Outcome("lines_of_new_products", _new_product_rate),
        _feature("product_knowledge", "product_concentration"),
    ),
    "value_sophistication": (
        _feature("value_sophistication", "avg_item_price", log=True),
        _feature("value_sophistication", "luxury_item_rate"),
    ),
}


def outcomes_of(axis_name: str) -> tuple[Outcome, ...]:
    """Return what an axis is held to; its own clustering features where it claims nothing else."""
    if axis_name in OUTCOMES:
        return OUTCOMES[axis_name]
    return tuple(_feature(axis_name, feature.name) for feature in AXES[axis_name].clustering_features)
