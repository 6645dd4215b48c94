"""The dealt store: what a customer keeps, what is dealt, and that dealing again changes nothing in kind."""

import numpy as np
import pandas as pd
import pytest

from quimbi_assets.axes._shuffle import HALF, halve_customers, shuffle_orders, visible_store

END = pd.Timestamp("2025-01-01")


def store(n_customers=300, seed=0):
    """A store whose customers order ever more often towards the end, all at the same rate."""
    rng = np.random.default_rng(seed)
    customer = np.repeat(np.arange(n_customers), 1 + rng.poisson(3, n_customers))
    day = 365 * np.sqrt(rng.random(len(customer)))
    date = pd.Timestamp("2024-01-01") + pd.to_timedelta((day * 86_400).astype(int), unit="s")
    orders = pd.DataFrame(
        {
            "order_id": [f"o{i}" for i in range(len(customer))],
            "customer_id": [f"c{c:04d}" for c in customer],
            "order_date": date.as_unit("us"),
            "total_price": rng.gamma(2, 20, len(customer)),
        }
    )
    items = pd.DataFrame(
        {
            "order_id": orders["order_id"],
            "product_id": "p",
            "quantity": 1,
            "price": orders["total_price"],
            "refunded_at": (orders["order_date"] + pd.Timedelta(days=10)).where(orders.index % 3 == 0),
        }
    )
    return visible_store(orders, items, END)


@pytest.fixture(scope="module")
def dealt():
    orders, items = store()
    return orders, items, *shuffle_orders(orders, items, END, 1)


def test_customers_keep_number_of_orders_and_first_instant(dealt):
    orders, _, shuffled, _ = dealt
    before, after = (o.groupby("customer_id")["order_date"].agg(["size", "min"]) for o in (orders, shuffled))
    pd.testing.assert_frame_equal(before, after)
    assert (shuffled["order_date"] < END).all()


def test_orders_keep_what_they_hold_but_not_whose_they_are(dealt):
    orders, _, shuffled, _ = dealt
    before, after = (o.set_index("order_id").sort_index() for o in (orders, shuffled))
    pd.testing.assert_series_equal(before["total_price"], after["total_price"])
    assert (before["customer_id"] == after["customer_id"]).mean() < 0.05


def test_weekday_and_time_of_day_are_dealt_with_the_order(dealt):
    orders, _, shuffled, _ = dealt
    before, after = (o.set_index("order_id").sort_index()["order_date_local"] for o in (orders, shuffled))
    assert (before.dt.day_of_week == after.dt.day_of_week).all()
    assert (before.dt.time == after.dt.time).all()


def test_the_season_stays_with_the_date(dealt):
    shuffled = dealt[2]
    assert ((shuffled["order_date"] - shuffled["order_date_local"]).abs() < pd.Timedelta(days=7)).all()


def test_refunds_move_with_their_order_and_stay_visible(dealt):
    orders, items, shuffled, moved = dealt
    before, after = (o.set_index("order_id")["order_date"] for o in (orders, shuffled))
    refunded = items[items["refunded_at"] < END]
    now = moved.loc[refunded.index, "refunded_at"]
    assert (now < END).all()
    shift = refunded["order_id"].map(after) - refunded["order_id"].map(before)
    expected = (refunded["refunded_at"] + shift).clip(upper=END - pd.Timedelta(seconds=1))
    assert (now == expected).all()
    assert moved["refunded_at"].isna().equals(items["refunded_at"].isna())


def test_later_orders_keep_the_calendar_of_the_store(dealt):
    """The rate doubles towards the end; dealt dates must follow it, and so must dates dealt twice."""
    orders, _, shuffled, _ = dealt
    twice, _ = shuffle_orders(*visible_store(shuffled, None, END), END, 2)
    later = [o.loc[o.duplicated("customer_id"), "order_date"] for o in (orders, shuffled, twice)]
    for share in (0.25, 0.5, 0.75):
        quantiles = [dates.quantile(share) for dates in later]
        assert max(quantiles) - min(quantiles) < pd.Timedelta(days=15)


def test_the_same_seed_deals_the_same(dealt):
    orders, items, shuffled, _ = dealt
    pd.testing.assert_frame_equal(shuffle_orders(orders, items, END, 1)[0], shuffled)
    assert not shuffle_orders(orders, items, END, 2)[0].equals(shuffled)


def test_a_customer_after_whom_nobody_ordered_keeps_the_instant():
    once = pd.Timestamp("2024-05-05")
    orders = pd.DataFrame({"order_id": ["1", "2"], "customer_id": "a", "total_price": 1.0, "order_date": once})
    shuffled, _ = shuffle_orders(*visible_store(orders, None, END), END, 0)
    assert (shuffled["order_date"] == once).all()


def test_orders_after_the_instant_are_out_of_sight():
    orders, items = store()
    cut = pd.Timestamp("2024-09-01")
    visible, lines = visible_store(orders, items, cut)
    assert visible["order_date"].max() < cut
    assert set(lines["order_id"]) == set(visible["order_id"])


def test_halves_share_the_orders_of_a_customer():
    orders, _ = store()
    halves = halve_customers(orders)
    n = halves.groupby("customer_id").size()
    sizes = n.groupby([n.index.str.split(HALF).str[0], n.index.str[-1]]).sum().unstack(fill_value=0)
    assert (sizes["0"] - sizes["1"]).isin([0, 1]).all()
    assert (sizes.sum(axis=1) == orders.groupby("customer_id").size()).all()
