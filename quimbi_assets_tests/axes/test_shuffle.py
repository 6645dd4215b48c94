"""The dealt store: what a customer keeps, what is dealt, and that dealing again changes nothing in kind."""

import numpy as np
import pandas as pd
import pytest

from quimbi_assets.axes import Features, _shuffle, fit_reference, measure
from quimbi_assets.axes._shuffle import HALF, count_later_orders, extract_together, halve_customers, shuffle_orders
from quimbi_assets.history import History
from quimbi_assets.simulation import simulate_store

END = pd.Timestamp("2025-01-01")
STORES_END = pd.Timestamp("2026-01-01")


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
    asked = rng.random(len(orders)) < 0.5
    asked_at = orders.loc[asked, "order_date"] + pd.Timedelta(days=5, hours=3)
    answered_at = asked_at + pd.to_timedelta(rng.gamma(2, 10, asked.sum()), unit="h").as_unit("us")
    tickets = pd.DataFrame(
        {
            "ticket_id": "t" + orders.loc[asked, "order_id"],
            "customer_id": orders.loc[asked, "customer_id"],
            "created_at": asked_at,
            "first_response_at": answered_at,
            "resolved_at": answered_at + pd.Timedelta(days=1),
            "satisfaction_score": rng.integers(1, 6, asked.sum()).astype(float),
        }
    )
    return rows_of(orders, items, tickets)


def rows_of(orders, items=None, tickets=None, end=END):
    """Rows of a store's customers before an instant."""
    history = History.from_frames(orders, items, tickets).until(end)
    return history.of(history.customers).frames()


@pytest.fixture(scope="module")
def dealt():
    """A store, and the same dealt anew."""
    before = store()
    return before, shuffle_orders(before, END, 1)


def by_id(frames, name, key):
    return (frame.set_index(key).sort_index() for frame in (getattr(rows, name) for rows in frames))


def test_customers_keep_number_of_orders_and_first_instant(dealt):
    before, after = (rows.orders.groupby("customer_id")["order_date"].agg(["size", "min"]) for rows in dealt)
    pd.testing.assert_frame_equal(before, after)
    assert (dealt[1].orders["order_date"] < END).all()


def test_orders_keep_what_they_hold_but_not_whose_they_are(dealt):
    before, after = by_id(dealt, "orders", "order_id")
    pd.testing.assert_series_equal(before["total_price"], after["total_price"])
    assert (before["customer_id"] == after["customer_id"]).mean() < 0.05


@pytest.mark.parametrize(
    ("name", "key", "local"), [("orders", "order_id", "order_date_local"), ("tickets", "ticket_id", "created_at_local")]
)
def test_weekday_and_time_of_day_are_dealt_with_the_order_or_ticket(dealt, name, key, local):
    before, after = (frame[local] for frame in by_id(dealt, name, key))
    assert (before.dt.day_of_week == after.dt.day_of_week).all()
    assert (before.dt.time == after.dt.time).all()


@pytest.mark.parametrize(("name", "real", "local"), [
    ("orders", "order_date", "order_date_local"), ("tickets", "created_at", "created_at_local"),
])  # fmt: skip
def test_the_season_stays_with_the_date(dealt, name, real, local):
    """The store's clock is UTC: a dealt local date is as near as its weekday allows, in the same month."""
    rows = getattr(dealt[1], name)
    assert ((rows[real] - rows[local]).abs() < pd.Timedelta(days=7)).all()
    assert (rows[real].dt.to_period("M") == rows[local].dt.to_period("M")).all()


def test_dealing_brings_no_month_that_a_short_store_does_not_have():
    """1 November is a Wednesday, 28 February too: their weeks lead into October and March."""
    days = pd.date_range("2000-11-01", "2001-02-28").as_unit("us").repeat(20)
    customer = [f"c{i % 150}" for i in range(len(days))]
    ids = [f"o{i}" for i in range(len(days))]
    orders = pd.DataFrame({"order_id": ids, "customer_id": customer, "order_date": days, "total_price": 1.0})
    dealt = shuffle_orders(rows_of(orders, end="2001-03-01"), pd.Timestamp("2001-03-01"), 0).orders["order_date_local"]
    assert set(dealt.dt.month) == {11, 12, 1, 2}
    by_day = dealt.dt.date.value_counts()
    assert len(by_day) == 120
    assert by_day.max() < 2.5 * by_day.mean()


def test_refunds_move_with_their_order_and_stay_visible(dealt):
    before, after = (frame["order_date"] for frame in by_id(dealt, "orders", "order_id"))
    items, moved = (rows.items for rows in dealt)
    refunded = items[items["refunded_at"] < END]
    now = moved.loc[refunded.index, "refunded_at"]
    assert (now < END).all()
    shift = refunded["order_id"].map(after) - refunded["order_id"].map(before)
    expected = (refunded["refunded_at"] + shift).clip(upper=END - pd.Timedelta(seconds=1))
    assert (now == expected).all()
    assert moved["refunded_at"].isna().equals(items["refunded_at"].isna())


def test_customers_keep_when_they_wrote_and_how_often(dealt):
    before, after = (rows.tickets[["customer_id", "created_at"]] for rows in dealt)
    pd.testing.assert_frame_equal(before, after)


def test_tickets_keep_how_they_went_but_not_whose_they_are(dealt):
    before, after = by_id(dealt, "tickets", "ticket_id")
    pd.testing.assert_series_equal(before["satisfaction_score"], after["satisfaction_score"])
    assert (before["customer_id"] == after["customer_id"]).mean() < 0.05
    for event in ("first_response_at", "resolved_at"):
        took = before[event] - before["created_at"]
        was_seen = before[event] < END
        expected = (after["created_at"] + took).clip(upper=END - pd.Timedelta(seconds=1))
        assert (after[event][was_seen] == expected[was_seen]).all()
        assert (after[event][~was_seen] == before[event][~was_seen]).all()


def test_later_orders_keep_the_calendar_of_the_store(dealt):
    """The rate doubles towards the end; dealt dates must follow it, and so must dates dealt twice."""
    twice = shuffle_orders(rows_of(dealt[1].orders), END, 2)
    later = [rows.orders.loc[rows.orders.duplicated("customer_id"), "order_date"] for rows in (*dealt, twice)]
    for share in (0.25, 0.5, 0.75):
        quantiles = [dates.quantile(share) for dates in later]
        assert max(quantiles) - min(quantiles) < pd.Timedelta(days=15)


def test_the_same_seed_deals_the_same(dealt):
    before, after = dealt
    again = shuffle_orders(before, END, 1)
    pd.testing.assert_frame_equal(again.orders, after.orders)
    pd.testing.assert_frame_equal(again.tickets, after.tickets)
    other = shuffle_orders(before, END, 2)
    assert not other.orders.equals(after.orders)
    assert not other.tickets.equals(after.tickets)


def test_tickets_change_nothing_in_how_orders_are_dealt(dealt):
    before, after = dealt
    without = shuffle_orders(before._replace(tickets=before.tickets[:0]), END, 1)
    pd.testing.assert_frame_equal(without.orders, after.orders)
    assert without.tickets.empty


def test_a_customer_after_whom_nobody_ordered_keeps_the_instant():
    once = pd.Timestamp("2024-05-05")
    orders = pd.DataFrame({"order_id": ["1", "2"], "customer_id": "a", "total_price": 1.0, "order_date": once})
    shuffled = shuffle_orders(rows_of(orders), END, 0)
    assert (shuffled.orders["order_date"] == once).all()


@pytest.mark.parametrize("name", ["orders", "tickets"])
def test_halves_share_the_orders_and_the_tickets_of_a_customer(name):
    rows = store()
    halves, whole = (getattr(either, name) for either in (halve_customers(rows), rows))
    n = halves.groupby("customer_id").size()
    sizes = n.groupby([n.index.str.split(HALF).str[0], n.index.str[-1]]).sum().unstack(fill_value=0)
    assert (sizes["0"] - sizes["1"]).isin([0, 1]).all()
    assert (sizes.sum(axis=1) == whole.groupby("customer_id").size()).all()


def test_a_store_without_tickets_has_none_in_halves():
    assert halve_customers(rows_of(store().orders)).tickets.empty


def test_later_orders_are_counted_and_expected_of_whoever_had_begun():
    """Ann and bob begin; ann orders in the first of eight stretches and, when cid has begun too, in the last."""
    dates = ["1970-01-01", "1970-01-14", "1970-01-20", "1970-01-02", "1970-01-19", "1970-01-19"]
    orders = pd.DataFrame({"customer_id": list("aaabcc"), "order_date": pd.to_datetime(dates).as_unit("us")})
    counts, expected = count_later_orders(orders, 300, 0)
    assert counts.shape == (301, 3, 8)
    assert not counts[:, :, 1:7].any()
    ends = [0, 7]
    assert counts[0][:, ends].tolist() == [[1, 1], [0, 0], [0, 0]]  # cid's second is at the instant of the first
    assert expected[:, ends] == pytest.approx(np.array([[1 / 2, 1 / 3], [1 / 2, 1 / 3], [0, 1 / 3]]))
    assert (counts.sum(axis=1)[:, ends] == [1, 1]).all()
    assert counts[1:].mean(axis=0) == pytest.approx(expected, abs=0.1)


@pytest.fixture(scope="module")
def stores():
    made = [simulate_store(40, seed=seed) for seed in (1, 2, 3)]
    histories = (History.from_frames(s.orders, s.order_items, s.support_tickets).until(STORES_END) for s in made)
    return [history.frames() for history in histories]


@pytest.mark.parametrize("most_rows", [1, 10**9])
def test_each_store_has_its_own_features(stores, most_rows, monkeypatch):
    monkeypatch.setattr(_shuffle, "MAX_ROWS", most_rows)
    first = History.from_frames(*stores[0]).until(STORES_END)
    given = {"recorded": first.recorded, "reference": fit_reference(first)}

    def extract(rows):
        axes = ["purchase_value", "return_behavior", "category_exploration", "support_history"]
        return Features(measure(History.from_frames(*rows).until(STORES_END), axes, **given))

    together = extract_together(stores, extract)
    assert len(together) == len(stores)
    for found, own in zip(together, stores, strict=True):
        alone = extract(own)
        assert list(found) == list(alone)
        for axis, table in alone.items():
            pd.testing.assert_frame_equal(found[axis], table, check_index_type=False)
