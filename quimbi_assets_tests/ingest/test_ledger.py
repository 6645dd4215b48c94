"""What a ledger takes from what is stored is what the policy took: two computations of one amount."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quimbi_assets.engines import DuckEngine
from quimbi_assets.ingest.canonical import canonical_tables
from quimbi_assets.ingest.ledger import BY_MONTH, BY_RULE, GIFT_CARDS, MEASURES, Books, canonical_sums, ledger_sql
from quimbi_assets.ingest.policy import SORTED, apply_policy
from quimbi_assets.store import OrderPolicy
from quimbi_assets_tests.ingest.test_policy import items_of, orders_of

NAN = float("nan")
PAID = st.sampled_from([0.0, 0.005, 1.0, 3.335, 10.0, 19.99, 1e6])
MONEY = st.one_of(st.none(), PAID)
ORDER = st.tuples(
    st.sampled_from([None, "paid", "test", " Cancelled "]), st.sampled_from([None, "EUR", "USD"]),
    st.sampled_from([None, "ann", "bob"]), st.integers(1, 3), PAID, MONEY, MONEY,
)  # fmt: skip
LINE = st.tuples(
    st.integers(0, 7), st.sampled_from([None, "Gift Card", "mug"]), st.sampled_from([0.0, 0.5, 1.0, 3.0]),
    st.sampled_from([0.0, 0.333, 4.0, 19.99]), MONEY,
)  # fmt: skip


def books_of(orders, items, policy=None, spoil=lambda tables: tables):
    """Keep the books of stored frames: the ledger by month beside the canonical sums, and the ledger by rule."""
    tables = canonical_tables(orders.assign(customer_id=orders["customer_id"].fillna("")), items, None, "UTC")
    stored = tables["raw_orders"]
    for name in ("status", "currency"):
        stored = stored.append_column(name, pa.array(orders[name], pa.string(), from_pandas=True))
    policy = policy or OrderPolicy(currency="EUR")
    with DuckEngine() as engine:
        engine.view("given", stored)
        for name in ("stored_orders", "kept_orders"):
            engine.materialise(name, "SELECT * REPLACE (nullif(customer_id, '') AS customer_id) FROM given")
        for name in ("stored_items", "kept_items"):
            engine.take(name, tables["raw_items"].drop_columns("customer_id").to_reader())
        report = apply_policy(engine, policy)
        canonical = spoil({name: engine.arrow(sql) for name, sql in SORTED.items()})
        for name, table in canonical.items():
            engine.view(name, table)
        sums = canonical_sums(engine)
        engine.define("stored_orders", "FROM kept_orders")
        engine.define("stored_items", "FROM kept_items")
        by_month, by_rule = (
            engine.arrow(f"WITH {ledger_sql(policy, 'EUR', report, way)}") for way in (BY_MONTH, BY_RULE)
        )
    return Books(by_month, sums), by_rule.to_pandas().set_index("rule")


def stored(orders, lines):
    columns = zip(*orders, strict=True)
    names = ("status", "currency", "customer_id", "month", "total_price", "discount_amount", "refund_amount")
    frame = orders_of(**{n: list(values) for n, values in zip(names, columns, strict=True)})
    dates = [pd.Timestamp(2024, int(month), 31 if month != 2 else 29, 23, 59, tz="UTC") for month in frame["month"]]
    frame = frame.assign(order_date=pd.DatetimeIndex(dates).as_unit("us")).drop(columns="month")
    frame = frame.astype(dict.fromkeys(("total_price", "discount_amount", "refund_amount"), float))
    items = items_of(
        order_id=[f"o{place}" for place, *_ in lines], product_type=[line[1] for line in lines],
        quantity=[line[2] for line in lines], price=[line[3] for line in lines],
        refund_amount=np.array([line[4] for line in lines], dtype=float),
    ) if lines else None  # fmt: skip
    return frame, items


@settings(max_examples=40, deadline=None)
@given(st.lists(ORDER, min_size=1, max_size=8), st.lists(LINE, max_size=12), st.booleans())
def test_whatever_was_sent_adds_up(orders, lines, keeps_guests):
    books, by_rule = books_of(*stored(orders, lines), OrderPolicy(currency="EUR", drop_guests=not keeps_guests))
    assert books.differences.empty, books.differences
    by_month = books.ledger.to_pandas().groupby("rule")[list(MEASURES)].sum()
    pd.testing.assert_frame_equal(by_month, by_rule[list(MEASURES)].loc[by_month.index], check_dtype=False)


def test_each_rule_is_told_with_what_it_takes():
    orders = orders_of(
        status=["test", "paid", "paid", "paid", "paid"],
        currency=["EUR", "USD", "EUR", "EUR", "EUR"],
        customer_id=["ann", "bob", None, "cy", "cy"],
        total_price=[1.0, 2.0, 4.0, 18.0, 5.0],
        discount_amount=[0.5, NAN, NAN, 2.0, NAN],
        refund_amount=[NAN, 1.0, NAN, 20.0, NAN],
    )
    items = items_of(
        order_id=["o0", "o3", "o3", "o4"], line_no=[1, 1, 2, 1], price=[1.0, 8.0, 10.0, 5.0],
        product_type=["Gift card", "gift card", "mug", "giftcard"],
    )  # fmt: skip
    books, by_rule = books_of(orders, items)
    told = books.left_out.set_index("rule")[["orders", "paid", "discount", "refunds", "lines", "worth"]]
    assert told.T.to_dict("list") == {
        "status test": [1, 1.0, 0.5, 0.0, 1, 1.0],
        "currency other than EUR": [1, 2.0, 0.0, 1.0, 0, 0.0],
        "guest without customer": [1, 4.0, 0.0, 0.0, 0, 0.0],
        GIFT_CARDS: [1, 13.0, 0.0, 0.0, 2, 13.0],
        "refunds above what was paid": [0, 0.0, 0.0, 10.0, 0, 0.0],
    }
    assert by_rule["customers"].to_dict() == {
        "stored": 3, "status test": 1, "currency other than EUR": 1, "guest without customer": 0, GIFT_CARDS: 1,
        "refunds above what was paid": 1,
    }  # fmt: skip
    assert books.differences.empty


@pytest.mark.parametrize(
    ("measure", "amount", "spoiled"),
    [
        ("orders", 1.0, lambda orders: orders.slice(1)),
        ("orders", -1.0, lambda orders: pa.concat_tables([orders, orders.slice(0, 1)])),
        ("paid", -0.01, lambda orders: orders.set_column(4, "total_price", pa.array([10.01, 10.0]))),
        ("refunds", -2.0, lambda orders: orders.set_column(6, "refund_amount", pa.array([2.0, None]))),
    ],
)
def test_a_row_lost_doubled_or_changed_on_its_way_is_told(measure, amount, spoiled):
    books, _ = books_of(
        orders_of(customer_id=["ann", "bob"], currency=["EUR", "EUR"]),
        None,
        spoil=lambda tables: {**tables, "raw_orders": spoiled(tables["raw_orders"])},
    )
    (first,) = books.differences[books.differences["measure"] == measure].to_dict("records")
    assert first["difference"] == pytest.approx(amount)
