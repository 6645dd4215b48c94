"""A store's tables out of the database, as frames.

Belongs here: reading in bulk (ADBC: columns arrive as columns). Does not: what the rows count for
(``quimbi_assets.ingest.policy``).
"""

from collections.abc import Sequence

import pandas as pd

from quimbi_assets.ingest import tables
from quimbi_assets.resources.postgres.database import Database

READABLE = {
    "customer_profiles": "customer_id",
    "dim_segment_master": "axis_name, segment_id, valid_from",
    "quarantined_rows": '"table", reason, row_md5',
}
"""Tables for `read_rows` and the order of their rows."""


def read_orders(database: Database, store_id: str) -> pd.DataFrame:
    """Return a store's accepted orders, by order id.

    Returns
    -------
    pandas.DataFrame
        (n_orders, 9) columns of the table without ``store_id``; ``order_date`` as ``datetime64[us, UTC]``.
    """
    return _read_in(database, tables.ORDERS, store_id)


def read_items(database: Database, store_id: str) -> pd.DataFrame:
    """Return the lines of a store's orders, by order id and line number: (n_lines, 9)."""
    return _read_in(database, tables.ORDER_ITEMS, store_id)


def read_tickets(database: Database, store_id: str) -> pd.DataFrame:
    """Return a store's support tickets, by ticket id: (n_tickets, 12)."""
    return _read_in(database, tables.SUPPORT_TICKETS, store_id)


def read_rows(database: Database, table: str, store_id: str, customer_ids: Sequence[str] | None = None) -> pd.DataFrame:
    """Return a store's rows of a table that people query.

    Parameters
    ----------
    database : Database
    table : str
        ``customer_profiles``, ``dim_segment_master`` or ``quarantined_rows``.
    store_id : str
    customer_ids : sequence of str, optional
        Only these customers (``customer_profiles`` only); unknown ones are absent from the result.

    Returns
    -------
    pandas.DataFrame
        (n_rows, n_columns) in key order; JSONB columns as JSON text, arrays as arrays.

    Raises
    ------
    ValueError
        If the table is not one of those.
    """
    if table not in READABLE:
        raise ValueError(f"{table} cannot be read: one of {sorted(READABLE)}")
    condition, parameters = "store_id = $1", [store_id]
    if customer_ids is not None:
        places = ", ".join(f"${position + 2}" for position in range(len(customer_ids))) or "NULL"
        condition, parameters = f"{condition} AND customer_id IN ({places})", [store_id, *customer_ids]
    return _query(database, f"SELECT * FROM quimbi.{table} WHERE {condition} ORDER BY {READABLE[table]}", parameters)


def _read_in(database: Database, spec: tables.TableSpec, store_id: str) -> pd.DataFrame:
    columns, key = ", ".join(spec.columns), ", ".join(spec.key)
    frame = _query(database, f"SELECT {columns} FROM quimbi.{spec.name} WHERE store_id = $1 ORDER BY {key}", [store_id])
    kinds = {
        **dict.fromkeys(spec.text, "str"),
        **dict.fromkeys(spec.amounts, "float64"),
        **dict.fromkeys(spec.dates, "datetime64[us, UTC]"),
        **({"line_no": "int64"} if "line_no" in spec.columns else {}),
    }
    return frame.astype(kinds)


def _query(database: Database, statement: str, parameters: Sequence[str]) -> pd.DataFrame:
    from adbc_driver_postgresql import dbapi

    with dbapi.connect(database.libpq_url) as connection, connection.cursor() as cursor:
        cursor.execute("SET LOCAL TIME ZONE 'UTC'")
        cursor.execute(statement, list(parameters))
        frame: pd.DataFrame = cursor.fetch_arrow_table().to_pandas()
    return frame


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
