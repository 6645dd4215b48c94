"""A store's rows out of the database as a stream of Arrow batches, in canonical types.

Belongs here: reading in bulk (ADBC: columns arrive as columns). Does not: what the rows count for (``ingest.policy``).
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
from upath import UPath

from quimbi_assets.axis_table import Facts, write_table
from quimbi_assets.engines import DuckEngine
from quimbi_assets.history import History
from quimbi_assets.ingest import ledger, policy
from quimbi_assets.ingest.canonical import TICKETS, arrow_schema
from quimbi_assets.ingest.policy import STORED_ITEMS, STORED_ORDERS, Report
from quimbi_assets.resources.postgres.database import Database
from quimbi_assets.resources.postgres.migrations import WORKER
from quimbi_assets.resources.postgres.tables.stores import read_change, read_store
from quimbi_assets.store import OrderPolicy, Store

UTC, LOCAL = "AT TIME ZONE 'UTC'", "AT TIME ZONE current_setting('quimbi.time_zone')"
ABOUT = "SELECT set_config('quimbi.store_id', $1, true), set_config('quimbi.time_zone', $2, true)"
"""Says whose rows are read. With parameters ADBC does not COPY: 16.8 M lines took 5 GB at once."""
STORED = {
    "orders": (STORED_ORDERS, {"order_date": f"order_date {UTC}", "order_date_local": f"order_date {LOCAL}"}),
    "order_items": (
        STORED_ITEMS,
        {
            "line_no": "line_no::bigint",
            "refunded_at": f"refunded_at {UTC}",
            "category": "coalesce(category, listed_category)",
            "product_type": "coalesce(product_type, listed_type)",
        },
    ),
    "support_tickets": (
        TICKETS,
        {
            **{name: f"{name} {UTC}" for name in ("created_at", "first_response_at", "resolved_at")},
            "created_at_local": f"created_at {LOCAL}",
            "reopen_count": "reopen_count::double precision",
            "satisfaction_score": "satisfaction_score::double precision",
        },
    ),
}
"""By table, the columns that are read, and how those are written that are stored otherwise: times naive UTC and on the
store's clock."""
PRODUCTS_LISTED = """
    LEFT JOIN (
        SELECT store_id, product_id, category AS listed_category, product_type AS listed_type FROM quimbi.products
    ) listed USING (store_id, product_id)
"""
"""Says of lines what lists of products say of what was bought."""
LEDGER_TABLES = f"""
    stored_orders AS (
        SELECT *, order_date {LOCAL} AS order_date_local FROM quimbi.orders
        WHERE store_id = current_setting('quimbi.store_id')
    ), stored_items AS (
        SELECT order_id, quantity, price, refund_amount, coalesce(category, listed_category) AS category,
            coalesce(product_type, listed_type) AS product_type
        FROM quimbi.order_items {PRODUCTS_LISTED} WHERE store_id = current_setting('quimbi.store_id')
    )
"""
"""What a ledger reads, where it rests."""
SORTED = {
    **policy.SORTED,
    "raw_tickets": f"SELECT {', '.join(TICKETS)} FROM stored_tickets ORDER BY customer_id, created_at, ticket_id",
}
"""The canonical tables: rows of one customer together."""


@dataclass(frozen=True)
class StoredRows:
    """A store's accepted rows as of one instant, each table once and one after the other.

    ``changed_at``: the last change of the store that is in them.
    """

    store: Store
    changed_at: pd.Timestamp | None
    _cursor: Any

    def stream(self, table: str) -> pa.RecordBatchReader:
        """Stream the rows of a table of :data:`STORED`."""
        columns, written = STORED[table]
        listed = ", ".join(f"{written[name]} AS {name}" if name in written else name for name in columns)
        rows = f"quimbi.{table}{PRODUCTS_LISTED if table == 'order_items' else ''}"
        self._cursor.execute(f"SELECT {listed} FROM {rows} WHERE store_id = current_setting('quimbi.store_id')")
        return self._cursor.fetch_record_batch()

    def ledger(self, policy: OrderPolicy, currency: str | None, report: Report) -> pa.Table:
        """Add up the store's orders and lines where they rest, and what its policy leaves out (``ingest.ledger``)."""
        self._cursor.execute(f"WITH {LEDGER_TABLES}, {ledger.ledger_sql(policy, currency, report)}")
        return self._cursor.fetch_arrow_table()


@contextmanager
def stored_rows(database: Database, store_id: str) -> Iterator[StoredRows]:
    """Open a store's rows in one transaction: a load that ends meanwhile is seen whole or not at all."""
    from adbc_driver_postgresql import dbapi

    with ExitStack() as opened:
        with database.snapshot(store_id) as now:
            store, changed_at = read_store(now, store_id), read_change(now, store_id)
            cursor = opened.enter_context(opened.enter_context(dbapi.connect(database.libpq_url)).cursor())
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            cursor.execute(f"SET TRANSACTION SNAPSHOT '{now.exported()}'")
            cursor.execute(f"SET LOCAL ROLE {WORKER}")
            cursor.execute(ABOUT, (store_id, store.time_zone))
            cursor.fetchall()
        yield StoredRows(store, changed_at, cursor)


@dataclass(frozen=True)
class CanonicalRows:
    """A store's canonical tables, the last change of the store that is in them, and what its order policy did."""

    store: Store
    changed_at: pd.Timestamp | None
    report: Report
    _engine: DuckEngine
    _stored: StoredRows

    def batches(self, name: str) -> Iterator[pa.RecordBatch]:
        """Yield the rows of ``raw_orders``, ``raw_items`` or ``raw_tickets``, those of one customer together."""
        return self._engine.batches(SORTED[name])

    def ledger(self) -> pa.Table:
        """Add up, in the database, what these tables are to come to; see ``ingest.ledger``."""
        return self._stored.ledger(self.store.policy, self.store.currency, self.report)


@contextmanager
def canonical_rows(
    database: Database, store_id: str, expect: Callable[[int], object] = lambda _: None
) -> Iterator[CanonicalRows]:
    """Read what a store recorded and apply its order policy.

    ``expect`` is called with the number of customers as soon as it is known, while most is still to be read.
    """
    with DuckEngine() as engine, stored_rows(database, store_id) as rows:
        engine.take("stored_orders", rows.stream("orders"))
        expect(int(engine.arrow("SELECT count(DISTINCT customer_id) AS n FROM stored_orders")["n"][0].as_py()))
        engine.take("stored_items", rows.stream("order_items"))
        engine.take("stored_tickets", rows.stream("support_tickets"))
        store = replace(rows.store, currency=rows.store.currency or policy.common_currency(engine))
        report = policy.apply_policy(engine, store.policy, store.currency)
        yield CanonicalRows(store, rows.changed_at, report, engine, rows)


def stored_history(database: Database, store_id: str, folder: Path) -> tuple[History, Report]:
    """Return what a store recorded, its order policy applied, and what that did.

    The folder receives the canonical tables, which the history reads for as long as it is used.
    """
    places = {name: UPath(folder) / f"{name}.parquet" for name in SORTED}
    with canonical_rows(database, store_id) as rows:
        for name, place in places.items():
            write_table(place, rows.batches(name), Facts(), arrow_schema(name))
    return History(rows.store, places), rows.report
