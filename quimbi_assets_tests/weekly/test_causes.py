import pandas as pd
import pytest

from quimbi_assets.history import History
from quimbi_assets.weekly.causes import customer_digests

END = "2025-03-01"


@pytest.fixture
def store():
    orders = pd.DataFrame(
        {
            "order_id": ["1", "2", "3"],
            "customer_id": ["ann", "ann", "bob"],
            "order_date": pd.to_datetime(["2025-01-01", "2025-02-01", "2025-02-02"]),
            "total_price": [10.0, 20.0, 30.0],
            "discount_amount": [0.0, 1.0, None],
            "refund_amount": [0.0, 5.0, 0.0],
            "source": ["web", None, "web"],
        }
    )
    items = pd.DataFrame(
        {
            "order_id": ["1", "2", "2", "3"],
            "product_id": ["p", "q", "r", "p"],
            "category": ["a", "a", None, "b"],
            "quantity": [1.0, 1.0, 2.0, 3.0],
            "price": [10.0, 10.0, 5.0, 10.0],
            "refund_amount": [0.0, 5.0, 0.0, 0.0],
            "refunded_at": pd.to_datetime([None, "2025-02-20", None, None]),
        }
    )
    return orders, items


def digests(orders, items, until=END):
    return customer_digests(History.from_frames(orders, items).until(until))


def changed(one, other):
    return sorted(one.index[one != other.reindex(one.index)])


def test_the_order_of_rows_does_not_matter(store):
    orders, items = store
    again = digests(orders.iloc[::-1], items.sample(frac=1, random_state=0))
    pd.testing.assert_series_equal(again, digests(orders, items))
    assert again.dtype == "uint64"


def test_what_comes_later_does_not_count(store):
    orders, items = store
    fewer = orders.assign(refund_amount=[0.0, 0.0, 0.0]), items.assign(refund_amount=0.0, refunded_at=pd.NaT)
    later = orders.iloc[[0]].assign(order_id="9", order_date=pd.Timestamp(END))
    pd.testing.assert_series_equal(digests(*fewer, "2025-02-10"), digests(orders, items, "2025-02-10"))
    pd.testing.assert_series_equal(digests(pd.concat([orders, later]), items), digests(orders, items))


def test_a_refund_that_becomes_visible_changes_the_digest_of_its_customer_alone(store):
    before, after = (digests(*store, day) for day in ("2025-02-10", "2025-02-25"))
    assert changed(before, after) == ["ann"]


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        (0, "total_price", 11.0),
        (0, "source", "pos"),
        (0, "refund_amount", 1.0),
        (1, "price", 9.0),
        (1, "product_id", "x"),
    ],
)
def test_a_corrected_row_changes_the_digest_of_its_customer_alone(store, table, column, value):
    tables = [frame.copy() for frame in store]
    tables[table].loc[0, column] = value
    assert changed(digests(*store), digests(*tables)) == ["ann"]


def test_who_else_is_there_does_not_matter(store):
    """Also where nobody but the other records a column at all."""
    orders, items = store
    alone = orders[orders["customer_id"] == "bob"]
    assert digests(alone, items[items["order_id"] == "3"])["bob"] == digests(orders, items)["bob"]


def test_a_column_that_a_store_begins_to_record_counts_only_where_it_has_values(store):
    orders, items = store
    without = orders.assign(discount_amount=None)
    assert changed(digests(without, items), digests(orders, items)) == ["ann"]
