"""A small store of regular, slow and gone customers over two years, made with numpy alone."""

import numpy as np
import pandas as pd
import pytest

from quimbi_assets.history import History

END = pd.Timestamp("2025-01-01")


def make_orders(n=700, days=730, seed=0, end=END):
    """Orders of customers who order at a rate of their own and may leave after any order."""
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(n):
        gap, leaves = rng.gamma(2.0, 18.0) + 3, rng.beta(1.0, 6.0)
        day = rng.uniform(0, days)
        while day < days:
            rows.append((f"c{i:04d}", day, rng.lognormal(3, 0.5)))
            if rng.random() < leaves:
                break
            day += rng.exponential(gap)
    orders = pd.DataFrame(rows, columns=["customer_id", "day", "total_price"])
    start = end - pd.Timedelta(days=days)
    dates = (start + pd.to_timedelta(orders["day"], unit="D")).dt.floor("s").astype("datetime64[us]")
    return orders.assign(order_date=dates, order_id=[f"o{i}" for i in range(len(orders))]).drop(columns="day")


def past_of(orders, at=END):
    """What was known of a store before an instant; order ids and amounts where a test does not care for them."""
    anyhow = {"order_id": [str(i) for i in range(len(orders))], "total_price": np.nan}
    return History.from_frames(orders.assign(**{k: v for k, v in anyhow.items() if k not in orders})).until(at)


@pytest.fixture(scope="session")
def orders():
    return make_orders()


@pytest.fixture(scope="session")
def end():
    return END
