"""A store's rows out of the database as a stream of Arrow batches, in canonical types.

Belongs here: reading in bulk (ADBC: columns arrive as columns). Does not: what the rows count for (``ingest.policy``).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
from upath import UPath

from quimbi_assets.axis_table import Facts, write_table
from quimbi_assets.engines import DuckEngine
from quimbi_assets.history import History
from quimbi_assets.ingest import policy
from quimbi_assets.ingest.canonical import TICKETS, arrow_schema
from quimbi_assets.ingest.policy import STORED_ITEMS, STORED_ORDERS, Report
from quimbi_assets.resources.postgres.database import Database
from quimbi_assets.resources.postgres.tables.stores import read_store

UTC, LOCAL = "AT TIME ZONE 'UTC'", "AT TIME ZONE $2"
ORDERS = {"order_date": f"order_date {UTC}", "order_date_local": f"order_date {LOCAL}"}
ITEMS = {"line_no": "line_no::bigint", "refunded_at": f"refunded_at {UTC}"}
TICKET_DATES = {
    **{name: f"{name} {UTC}" for name in ("created_at", "first_response_at", "resolved_at")},
    "created_at_local": f"created_at {LOCAL}",
    "reopen_count": "reopen_count::double precision",
    "satisfaction_score": "satisfaction_score::double precision",
}


@contextmanager
def stored_orders(database: Database, store_id: str, time_zone: str) -> Iterator[pa.RecordBatchReader]:
    """Open a store's accepted orders, times naive UTC and on the store's clock (``policy.STORED_ORDERS``)."""
    with _stream(database, _select("orders", STORED_ORDERS, ORDERS), [store_id, time_zone]) as rows:
        yield rows


@contextmanager
def stored_items(database: Database, store_id: str) -> Iterator[pa.RecordBatchReader]:
    """Open the lines of a store's orders (``policy.STORED_ITEMS``)."""
    with _stream(database, _select("order_items", STORED_ITEMS, ITEMS), [store_id]) as rows:
        yield rows


@contextmanager
def stored_tickets(database: Database, store_id: str, time_zone: str) -> Iterator[pa.RecordBatchReader]:
    """Open a store's support tickets in canonical form, by customer and time."""
    statement = _select("support_tickets", TICKETS, TICKET_DATES)
    order = ' ORDER BY customer_id COLLATE "C", support_tickets.created_at, ticket_id COLLATE "C"'
    with _stream(database, statement + order, [store_id, time_zone]) as rows:
        yield rows


def stored_history(database: Database, store_id: str, folder: Path) -> tuple[History, Report]:
    """Return what a store recorded, its order policy applied, and what that did.

    Parameters
    ----------
    folder : Path
        Receives the canonical tables, which the history reads for as long as it is used.

    Raises
    ------
    UnknownStoreError
        If no such store was loaded.
    """
    store = read_store(database, store_id)
    with DuckEngine() as engine:
        with stored_orders(database, store_id, store.time_zone) as rows:
            engine.take("stored_orders", rows)
        with stored_items(database, store_id) as rows:
            engine.take("stored_items", rows)
        store = replace(store, currency=store.currency or policy.common_currency(engine))
        report = policy.apply_policy(engine, store.policy, store.currency)
        places = {name: UPath(folder) / f"{name}.parquet" for name in policy.SORTED}
        for name, place in places.items():
            write_table(place, engine.batches(policy.SORTED[name]), Facts(), arrow_schema(name))
    with stored_tickets(database, store_id, store.time_zone) as rows:
        return History(store, {**places, "raw_tickets": rows.read_all()}), report


def _select(table: str, columns: dict[str, str], written: dict[str, str]) -> str:
    listed = ", ".join(f"{written[name]} AS {name}" if name in written else name for name in columns)
    return f"SELECT {listed} FROM quimbi.{table} WHERE store_id = $1"


@contextmanager
def _stream(database: Database, statement: str, parameters: list[str]) -> Iterator[pa.RecordBatchReader]:
    from adbc_driver_postgresql import dbapi

    with dbapi.connect(database.libpq_url) as connection, connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        yield cursor.fetch_record_batch()


def common_currency(database: Database, store_id: str) -> str | None:
    """Return the currency of most of the store's orders, or None where none is recorded."""
    with database.transaction() as cursor:
        cursor.execute(
            "SELECT currency FROM quimbi.orders WHERE store_id = %s AND currency IS NOT NULL "
            "GROUP BY currency ORDER BY count(*) DESC, currency LIMIT 1",
            (store_id,),
        )
        row = cursor.fetchone()
    return None if row is None else str(row[0])
