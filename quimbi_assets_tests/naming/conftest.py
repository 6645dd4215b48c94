"""A small axis, and descriptions written by hand."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from quimbi_assets.axes._axis import Axis, Feature, Structural, Word
from quimbi_assets.clustering.model import AxisModel
from quimbi_assets_tests.descriptions import describe_by_hand


def measure(tables):
    """No test here computes features: all are written by hand."""
    pytest.fail("features are written by hand here")


@pytest.fixture(scope="session")
def axis() -> Axis:
    return Axis(
        name="rhythm",
        question="How often do they buy?",
        kind="marketing",
        people="buyers",
        measure=measure,
        min_orders=2,
        structural=(Structural("n_orders", 1, "one_time_buyers", "bought exactly once"),),
        features=(
            Feature(
                "orders_per_month",
                "orders a month",
                "Orders a month since the first order",
                low=0,
                words=(Word("rare", -1, high=1.6), Word("frequent", 1, low=2)),
            ),
            Feature(
                "days_since_last_order",
                "days",
                "Days since the last order",
                low=0,
                words=(Word("recent", -1, high=60), Word("lapsed", 1, low=5)),
            ),
            Feature(
                "value_trend",
                "index",
                "How order values change",
                words=(Word("shrinking", -1, high=-0.05), Word("growing", 1, low=0.05), Word("steady", 0, -0.05, 0.05)),
            ),
            Feature(
                "discount_rate",
                "share",
                "Share of orders with a discount",
                low=0,
                high=1,
                words=(Word("always_discounted", low=0.9), Word("often_discounted", low=0.5)),
            ),
            Feature(
                "avg_order_value",
                "money",
                "Average value of an order",
                low=0,
                words=(
                    Word("big_order", 1, times=1.5, of_few=True),
                    Word("bigger_order", 1),
                    Word("smaller_order", -1),
                ),
                transform="log1p",
            ),
            Feature("max_order_value", "money", "Largest order value", low=0, clusters=False),
            Feature("favourite", "text", "Favourite product", clusters=False, kind="text"),
            Feature("is_new", "yes/no", "New this month", clusters=False, kind="flag"),
        ),
    )


@pytest.fixture(scope="session")
def by_hand() -> Callable:
    return describe_by_hand


@pytest.fixture(scope="session")
def features() -> pd.DataFrame:
    """Two tight groups of 100 customers around known means, and 30 with a single order."""
    step = np.linspace(-0.1, 0.1, 100)
    n = 230
    frame = pd.DataFrame(
        {
            "orders_per_month": [*(1 + step), *(4 + step), *[0.5] * 30],
            "days_since_last_order": [*(100 + 50 * step[::-1]), *(10 + 50 * step), *[np.nan] * 30],
            "avg_order_value": [*(20 + 30 * step[::-1]), *(50 + 30 * step), *[np.nan] * 30],
            "n_orders": [5] * 200 + [1] * 30,
            "max_order_value": np.arange(n, dtype=float),
            "favourite": pd.Series(["tea", "tea", "milk", None] * 25 + ["milk"] * 130, dtype="str"),
            "is_new": pd.Series([True, False] * 115, dtype="boolean"),
        }
    )
    return frame.set_axis(pd.Index([f"c{i}" for i in range(n)], name="customer_id"))


@pytest.fixture(scope="session")
def model(axis: Axis, features: pd.DataFrame) -> AxisModel:
    return AxisModel(
        axis="rhythm",
        transforms=dict.fromkeys(("orders_per_month", "days_since_last_order", "avg_order_value"), "identity"),
        structural=(("n_orders", 1, "one_time_buyers"),),
        min_orders=2,
        max_k=3,
    ).fit(features)
