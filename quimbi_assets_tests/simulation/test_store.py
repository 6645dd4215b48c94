"""A simulated store reconciles to the cent and is the same however it is made."""

import numpy as np
import pandas as pd
import pandas.testing as pdt
import pytest

from quimbi_assets.simulation import ARCHETYPES, STATES, simulate_store, write_store
from quimbi_assets.simulation.store import BLOCK_CUSTOMERS

END = pd.Timestamp("2026-01-01", tz="America/New_York")
TABLES = ("orders", "order_items", "support_tickets", "labels")
COLUMNS = {
    "orders": [
        "order_id",
        "customer_id",
        "order_date",
        "total_price",
        "discount_amount",
        "source",
        "status",
        "currency",
        "refund_amount",
    ],
    "order_items": [
        "order_id",
        "line_no",
        "product_id",
        "category",
        "product_type",
        "quantity",
        "price",
        "refund_amount",
        "refunded_at",
    ],
    "support_tickets": [
        "ticket_id",
        "customer_id",
        "created_at",
        "channel",
        "status",
        "priority",
        "subject",
        "tags",
        "first_response_at",
        "resolved_at",
        "satisfaction_score",
        "reopen_count",
    ],
}


def cents(amount):
    return (amount * 100).round().astype("int64")


def test_columns_are_those_that_load_reads(store):
    for name, columns in COLUMNS.items():
        assert list(getattr(store, name)) == columns
    assert list(store.labels) == ["customer_id", "archetype", *STATES]
    assert str(store.orders["order_date"].dtype) == "datetime64[us, UTC]"
    assert str(store.order_items["refunded_at"].dtype) == "datetime64[us, UTC]"


def test_ids_are_unique_and_refer_to_each_other(store):
    assert store.orders["order_id"].is_unique
    assert store.support_tickets["ticket_id"].is_unique
    assert store.labels["customer_id"].tolist() == [f"c{i:07d}" for i in range(1, 4_001)]
    assert not store.order_items.duplicated(["order_id", "line_no"]).any()
    assert set(store.order_items["order_id"]) == set(store.orders["order_id"])
    assert set(store.orders["customer_id"].dropna()) == set(store.labels["customer_id"])
    assert set(store.support_tickets["customer_id"]) <= set(store.labels["customer_id"])


def test_totals_are_lines_less_discount(store):
    lines = store.order_items
    gross = (lines["quantity"] * lines["price"]).groupby(lines["order_id"]).sum()
    orders = store.orders.set_index("order_id")
    expected = (gross.reindex(orders.index) - orders["discount_amount"]).round(2)
    pdt.assert_series_equal(orders["total_price"], expected, check_names=False, check_exact=True)
    assert (orders["discount_amount"] >= 0).all()
    assert (orders["total_price"] > 0).all()
    assert 0.1 < (orders["discount_amount"] > 0).mean() < 0.6


def test_refunds_reconcile_and_never_exceed_what_was_paid(store):
    lines, orders = store.order_items, store.orders.set_index("order_id")
    by_order = cents(lines["refund_amount"]).groupby(lines["order_id"]).sum().reindex(orders.index)
    assert (by_order == cents(orders["refund_amount"])).all()
    assert (by_order <= cents(orders["total_price"])).all()
    assert (orders.loc[orders["status"] != "paid", "refund_amount"] == 0).all()
    assert 0.05 < (by_order > 0).mean() < 0.4


def test_refunds_come_within_thirty_days(store):
    lines = store.order_items.merge(store.orders[["order_id", "order_date"]], on="order_id")
    refunded = lines["refund_amount"] > 0
    assert (refunded == lines["refunded_at"].notna()).all()
    delay = (lines["refunded_at"] - lines["order_date"])[refunded]
    assert delay.between(pd.Timedelta(0), pd.Timedelta(days=30), inclusive="right").all()


def test_nothing_happens_after_the_end(store):
    tickets = store.support_tickets
    times = [store.orders["order_date"], store.order_items["refunded_at"]]
    times += [tickets[c] for c in ("created_at", "first_response_at", "resolved_at")]
    assert all(t.max() < END for t in times)
    assert store.orders["order_date"].max() > END - pd.Timedelta(days=2)
    assert store.orders["order_date"].min() > END - pd.Timedelta(days=3 * 366)


def test_tickets_take_their_course(store):
    tickets = store.support_tickets
    assert (tickets["first_response_at"].dropna() >= tickets["created_at"][tickets["first_response_at"].notna()]).all()
    closed = tickets[tickets["resolved_at"].notna()]
    assert (closed["resolved_at"] >= closed["first_response_at"]).all()
    assert (closed["status"] == "closed").all()
    assert not (tickets["status"][tickets["resolved_at"].isna()] == "closed").any()
    assert tickets["satisfaction_score"].dropna().isin([1, 2, 3, 4, 5]).all()
    assert tickets["satisfaction_score"].isna().any()


def test_a_store_is_mostly_small_customers(store):
    paid = store.orders[(store.orders["status"] == "paid") & store.orders["customer_id"].notna()]
    n_orders = paid.groupby("customer_id").size()
    assert 0.25 <= (n_orders == 1).mean() <= 0.35
    assert 5 <= len(store.orders) / len(store.labels) <= 7
    assert 2 <= len(store.order_items) / len(store.orders) <= 3
    assert 0.004 < store.orders["customer_id"].isna().mean() < 0.02
    assert set(store.orders["status"]) == {"paid", "cancelled", "test"}
    assert store.orders["total_price"].mean() > 1.4 * store.orders["total_price"].median()


def test_few_products_make_most_sales(store):
    sold = store.order_items["product_id"].value_counts()
    assert sold.head(len(sold) // 5).sum() / sold.sum() > 0.5
    assert store.order_items["category"].nunique() == 12


def test_prices_have_a_history(store):
    dated = store.order_items.merge(store.orders[["order_id", "order_date"]], on="order_id")
    by_year = dated.groupby(["product_id", dated["order_date"].dt.year])["price"].median().unstack()
    growth = (by_year[2025] / by_year[2023]).dropna()
    assert 1.02 < growth.median() < 1.12
    assert (dated.groupby("product_id")["price"].nunique() > 3).mean() > 0.5


def test_labels_are_balanced_and_honest(store):
    labels = store.labels.set_index("customer_id")
    assert set(labels["archetype"]) == {a.name for a in ARCHETYPES}
    paid = store.orders[store.orders["status"] == "paid"].groupby("customer_id").size()
    for axis, states in STATES.items():
        shares = labels[axis].value_counts(normalize=True)
        assert set(shares.index) == set(states)
        assert shares.between(0.10, 0.60).all()
        if axis != "support_history":
            assert paid.reindex(labels.index[labels[axis].notna()]).min() >= 5
    assert labels.loc[labels["archetype"] == "one_time_buyers", list(STATES)].isna().all(axis=None)


def test_same_seed_same_store_and_another_seed_another():
    first, second, other = simulate_store(300, seed=3), simulate_store(300, seed=3), simulate_store(300, seed=4)
    for name in TABLES:
        pdt.assert_frame_equal(getattr(first, name), getattr(second, name))
    assert first.orders["total_price"].sum() != other.orders["total_price"].sum()


def test_a_smaller_store_is_the_beginning_of_a_larger_one(store):
    smaller = simulate_store(700, seed=0)
    pdt.assert_frame_equal(smaller.labels, store.labels.head(700))
    mine = store.orders["customer_id"].isin(smaller.labels["customer_id"])
    pdt.assert_frame_equal(
        smaller.orders[smaller.orders["customer_id"].notna()].reset_index(drop=True),
        store.orders[mine].reset_index(drop=True),
    )


@pytest.mark.parametrize("row_group_blocks", [1, 2, 8])
def test_files_hold_the_store_whatever_the_row_groups(tmp_path, monkeypatch, row_group_blocks):
    monkeypatch.setattr("quimbi_assets.simulation.store.BLOCKS_PER_ROW_GROUP", row_group_blocks)
    n = 2 * BLOCK_CUSTOMERS + 10
    seen = []
    n_rows = write_store(n, tmp_path, seed=2, progress=lambda done, total: seen.append((done, total)))
    whole = simulate_store(n, seed=2)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(f"{name}.parquet" for name in TABLES)
    for name in TABLES:
        pdt.assert_frame_equal(pd.read_parquet(tmp_path / f"{name}.parquet"), getattr(whole, name))
        assert n_rows[name] == len(getattr(whole, name))
    assert seen == [(4096, n), (8192, n), (n, n)]


def test_a_failure_leaves_the_old_files_alone(tmp_path):
    write_store(50, tmp_path, seed=1)
    before = (tmp_path / "orders.parquet").read_bytes()

    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_store(50, tmp_path, seed=2, progress=stop)
    assert (tmp_path / "orders.parquet").read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_customers": 0}, "number of customers"),
        ({"n_customers": 10, "seed": -1}, "seed"),
        ({"n_customers": 10, "time_zone": "Mars/Olympus"}, "time zone"),
        ({"n_customers": 10, "time_zone": ""}, "time zone"),
        ({"n_customers": 10, "end_date": "soon"}, "soon"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        simulate_store(**arguments)


def test_knobs():
    store = simulate_store(100, end_date="2024-06-30", time_zone="Europe/Berlin")
    assert (store.orders["currency"] == "USD").all()
    local = store.orders["order_date"].dt.tz_convert("Europe/Berlin")
    assert local.max() < pd.Timestamp("2024-07-01", tz="Europe/Berlin")
    assert np.isclose((local.max() - local.min()).days, 1095, atol=60)


def test_a_planted_slow_down_slows_those_it_names_and_changes_nobody_else():
    plain = simulate_store(600, seed=2)
    store = simulate_store(600, seed=2, slow_down_share=0.1, slow_down_from="2025-06-02")
    labels = store.labels.set_index("customer_id")
    assert labels["slows_down"].mean() == pytest.approx(0.1, abs=0.03)
    assert (labels["is_brisk"].sum() / labels["slows_down"].sum()) == pytest.approx(2, abs=0.3)
    assert labels.loc[labels["slows_down"], "is_brisk"].all()
    orders = store.orders.dropna(subset="customer_id").join(labels[["slows_down", "is_brisk"]], on="customer_id")
    later = orders["order_date"] >= pd.Timestamp("2025-06-02", tz="America/New_York")
    days = np.where(later, 213, 90)
    recent = later | (orders["order_date"] >= pd.Timestamp("2025-03-04", tz="America/New_York"))
    rate = (1 / pd.Series(days, orders.index))[recent & orders["is_brisk"]].groupby([orders["slows_down"], later]).sum()
    rate /= (
        labels[labels["is_brisk"]]
        .groupby("slows_down")
        .size()
        .rename_axis("slows_down")
        .reindex(rate.index.get_level_values(0))
        .to_numpy()
    )
    assert 1 / rate[False, False] == pytest.approx(1 / rate[True, False], rel=0.15)
    assert rate[True, False] / rate[True, True] > 3
    assert rate[False, False] / rate[False, True] < 1.5
    others = labels.index[~labels["is_brisk"]]
    assert (labels.loc[others, "archetype"] == plain.labels.set_index("customer_id").loc[others, "archetype"]).all()


def test_how_tickets_go_changes_no_order(monkeypatch):
    plain = simulate_store(200, seed=2)
    monkeypatch.setattr("quimbi_assets.simulation.tickets.RATED_RATE", 0.1)
    monkeypatch.setattr("quimbi_assets.simulation.archetypes.TICKET_RATE", np.array([1.0, 1.0, 1.0]))
    store = simulate_store(200, seed=2)
    assert len(store.support_tickets) > len(plain.support_tickets)
    for name in ("orders", "order_items"):
        pdt.assert_frame_equal(getattr(store, name), getattr(plain, name))


@pytest.mark.parametrize(("share", "day"), [(0.3, "2025-06-02"), (0.1, None), (0.1, "2023-02-01"), (0.1, "2030-01-01")])
def test_a_slow_down_that_cannot_be_is_refused(share, day):
    with pytest.raises(ValueError, match="slow-down"):
        simulate_store(10, slow_down_share=share, slow_down_from=day)
