"""Real stores: everything acceptable arrives, twice is once."""

import pytest

from quimbi_assets.ingest.policy import apply_policy
from quimbi_assets.ingest.schemas import CANONICAL_ITEMS, CANONICAL_ORDERS
from quimbi_assets.resources.postgres.loading import load_store
from quimbi_assets.resources.postgres.reading import read_items, read_orders

STORES = {
    # orders, lines, customers, orders' columns that are not recorded
    "online_retail_2009_2010": (18_437, 393_160, 4_266, ["discount_amount", "source", "status"]),
    "cdnow": (69_659, 69_659, 23_570, ["discount_amount", "source", "status", "refund_amount"]),
    "retail_case_study": (20_876, 20_876, 5_506, ["discount_amount", "status", "currency"]),
}


@pytest.mark.parametrize("name", STORES)
def test_real_store(database, shared_data, name):
    n_orders, n_lines, n_customers, absent = STORES[name]
    paths = (shared_data / name / "orders.parquet", shared_data / name / "order_items.parquet")
    first = load_store(database, name, *paths)
    again = load_store(database, name, *paths)
    assert [(table.inserted, table.refused) for table in first.tables] == [(n_orders, 0), (n_lines, 0)]
    assert not again.changed
    assert first.table("orders").absent_columns == absent
    orders, items, report = apply_policy(read_orders(database, name), read_items(database, name))
    CANONICAL_ORDERS.validate(orders)
    CANONICAL_ITEMS.validate(items)
    assert (len(orders), len(items), orders["customer_id"].nunique()) == (n_orders, n_lines, n_customers)
    assert report["orders kept"] == report["orders read"]
