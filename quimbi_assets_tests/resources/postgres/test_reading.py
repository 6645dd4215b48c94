"""A store's rows out of the database: as of one instant, whatever is loaded while they are read."""

import pandas as pd
import pytest

from quimbi_assets.engines import DuckEngine
from quimbi_assets.errors import UnknownStoreError
from quimbi_assets.resources.postgres.loading import load_store
from quimbi_assets.resources.postgres.reading import STORED, stored_history, stored_rows
from quimbi_assets.resources.postgres.tables.stores import read_change
from quimbi_assets_tests.administrator import administer

NOW = pd.Timestamp("2024-06-01", tz="UTC")


@pytest.fixture
def load(database, tmp_path):
    """Load so many orders of one line and one ticket each."""

    def run(store_id, n, **options):
        ids = [f"o{i}" for i in range(n)]
        customers = [f"c{i % 3}" for i in range(n)]
        dates = [f"2024-01-{1 + i:02d} 10:00" for i in range(n)]
        orders = pd.DataFrame({"order_id": ids, "customer_id": customers, "order_date": dates, "total_price": 10.0})
        items = pd.DataFrame({"order_id": ids, "product_id": "mug", "quantity": 1, "price": 10.0})
        tickets = pd.DataFrame({"ticket_id": ids, "customer_id": customers, "created_at": dates})
        paths = [tmp_path / f"{name}.csv" for name in ("orders", "items", "tickets")]
        for frame, path in zip((orders, items, tickets), paths, strict=True):
            frame.to_csv(path, index=False)
        load_store(database, store_id, *paths, now=NOW, **options)

    return run


def test_a_load_while_a_store_is_read_is_not_half_seen(database, load, tmp_path, monkeypatch):
    load("read-at-once", 4)
    take = DuckEngine.take

    def take_and_load(engine, name, rows):
        take(engine, name, rows)
        if name == "stored_orders":
            load("read-at-once", 9, time_zone="Asia/Tokyo")

    monkeypatch.setattr(DuckEngine, "take", take_and_load)
    history, report = stored_history(database, "read-at-once", tmp_path)
    assert (report["orders read"], report["lines read"]) == (4, 4)
    assert len(history.frames().tickets) == 4
    assert history.store.time_zone == "UTC"


def test_the_rows_are_of_the_instant_they_were_opened_at(database, load):
    load("read-then", 4)
    change = read_change(database, "read-then")
    with stored_rows(database, "read-then") as rows:
        load("read-then", 9)
        assert rows.changed_at == change < read_change(database, "read-then")
        counts = [rows.stream("support_tickets").read_all().num_rows, rows.stream("orders").read_all().num_rows]
        counts.append(rows.stream("order_items").read_all().num_rows)
    assert counts == [4, 4, 4]


def test_an_unknown_store_is_named(database):
    with pytest.raises(UnknownStoreError, match="unknown store 'nobody'"), stored_rows(database, "nobody"):
        pass


def test_rows_are_copied_as_they_are_wanted_not_fetched_at_once(database, load):
    """With parameters of its own a statement is no COPY, and all of its rows are in memory before the first is read."""
    load("read-bit-by-bit", 4)
    with stored_rows(database, "read-bit-by-bit") as rows:
        for table in STORED:
            with rows.stream(table) as reader:
                ((statement,),) = administer(
                    database,
                    "SELECT query FROM pg_stat_activity WHERE position(%s IN query) > 0 AND pid <> pg_backend_pid()",
                    ("current_setting('quimbi.store_id')",),
                )
                assert len(reader.read_all()) == 4
            assert statement.startswith("COPY (")
