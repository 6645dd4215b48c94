"""Real stores: everything acceptable arrives, twice is once."""

import pyarrow as pa
import pytest

from quimbi_assets.ingest.canonical import canonical_schema
from quimbi_assets.resources.postgres.loading import load_store
from quimbi_assets.resources.postgres.reading import canonical_rows

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
    assert not any(table.changed for table in again.tables)
    assert first.tables[0].absent_columns == absent
    with canonical_rows(database, name) as rows:
        kept = {table: pa.Table.from_batches(rows.batches(table)).to_pandas() for table in ("raw_orders", "raw_items")}
    for table, frame in kept.items():
        canonical_schema(table).validate(frame)
    n_kept = (len(kept["raw_orders"]), len(kept["raw_items"]), kept["raw_orders"]["customer_id"].nunique())
    assert n_kept == (n_orders, n_lines, n_customers)
    assert rows.report["orders kept"] == rows.report["orders read"]
