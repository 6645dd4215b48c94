"""Frames into tables in bulk: COPY into a staging table, then one set-wise statement; and whole-store replacement.

Belongs here: transfer of frames. Does not: what the rows mean (``loading``), reading (``reading``).

COPY of CSV text written by Arrow was chosen over ADBC's ingest: on 1.47 M lines 0.7 + 2.1 s against 3.6 s, and it
shares psycopg2's transaction.
"""

import io
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from quimbi_assets.ingest.tables import TableSpec
from quimbi_assets.resources.postgres.database import Database

CHUNK = 250_000
"""Rows a COPY, so that a large frame is never twice in memory as text."""

Append = Callable[[pd.DataFrame], None]
REPLACEABLE = {"customer_profiles", "dim_segment_master"}


@contextmanager
def replacing_rows(database: Database, table: str, store_id: str) -> Iterator[Append]:
    """Replace a store's rows of an output table by those appended in the block.

    Readers see the old state until the block ends well, then the new one, never a mixture; if it fails, the old one.

    Parameters
    ----------
    database : Database
    table : str
        ``customer_profiles`` or ``dim_segment_master``.
    store_id : str
        Store whose rows are replaced; written into ``store_id`` whatever the frames have there.

    Yields
    ------
    callable
        ``append(frame)``, (n_rows, n_columns) columns of the table; missing ones become NULL. JSONB columns as JSON
        text, array columns as lists or arrays of numbers. Returns before the server has the rows, so that the caller
        can make the next ones; an error of the server comes out of a later call or of the block's end.

    Raises
    ------
    ValueError
        If the table is not one of those.
    """
    if table not in REPLACEABLE:
        raise ValueError(f"{table} cannot be replaced: one of {sorted(REPLACEABLE)}")
    copies: deque[Future[None]] = deque()
    with database.transaction() as cursor, ThreadPoolExecutor(1) as copier:
        lock(cursor, f"{table}:{store_id}")
        cursor.execute(f"DELETE FROM quimbi.{table} WHERE store_id = %s", (store_id,))

        def append(frame: pd.DataFrame) -> None:
            copies.append(copier.submit(copy_frame, cursor, f"quimbi.{table}", frame.assign(store_id=store_id)))
            while copies and copies[0].done():
                copies.popleft().result()

        yield append
        for copy in copies:
            copy.result()


def lock(cursor: Any, name: str) -> None:
    """Wait for the transaction's exclusive right to `name`."""
    cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"quimbi:{name}",))


def copy_frame(cursor: Any, target: str, frame: pd.DataFrame, progress: Callable[[int], None] | None = None) -> None:
    """Append `frame` to the table `target`, whose columns have the frame's names."""
    columns = ", ".join(f'"{column}"' for column in frame.columns)
    for start in range(0, len(frame), CHUNK):
        buffer = io.BytesIO()
        table = _writable(frame.iloc[start : start + CHUNK])
        pacsv.write_csv(table, buffer, pacsv.WriteOptions(include_header=False))
        buffer.seek(0)
        cursor.copy_expert(f"COPY {target} ({columns}) FROM STDIN (FORMAT csv)", buffer, size=1 << 20)
        if progress is not None:
            progress(min(start + CHUNK, len(frame)))


def stage(cursor: Any, table: str, columns: Sequence[str], frame: pd.DataFrame) -> str:
    """Copy `frame` into a new temporary table shaped like `table`, gone at commit; return its name."""
    name = f"staged_{table}"
    listed = ", ".join(columns)
    cursor.execute(f"CREATE TEMP TABLE {name} ON COMMIT DROP AS SELECT {listed} FROM quimbi.{table} WITH NO DATA")
    copy_frame(cursor, name, frame[list(columns)])
    cursor.execute(f"ANALYZE {name}")
    return name


def merge(cursor: Any, spec: TableSpec, store_id: str, staged: str, recorded: Sequence[str]) -> tuple[int, int]:
    """Write staged rows that are new or differ from what is stored.

    Parameters
    ----------
    cursor
        Inside a transaction that holds the store's lock.
    spec : TableSpec
    store_id : str
    staged : str
        Staging table with all columns of `spec`.
    recorded : sequence of str
        Columns the file records; the others of a stored row stay as they are.

    Returns
    -------
    inserted, updated : int
    """
    key, columns = list(spec.key), list(spec.columns)
    values = [column for column in recorded if column not in key]
    same_key = " AND ".join(f"stored.{column} = staged.{column}" for column in key)
    _by_hashing(cursor)
    theirs, ours = (", ".join(f"{side}.{column}" for column in values) for side in ("staged", "stored"))
    cursor.execute(
        f"""
        WITH written AS (
            INSERT INTO quimbi.{spec.name} AS target (store_id, {", ".join(columns)})
            SELECT %(store)s, {", ".join(f"staged.{column}" for column in columns)}
            FROM {staged} staged
            LEFT JOIN quimbi.{spec.name} stored ON stored.store_id = %(store)s AND {same_key}
            WHERE stored.store_id IS NULL OR ({theirs}) IS DISTINCT FROM ({ours})
            ON CONFLICT (store_id, {", ".join(key)})
            DO UPDATE SET {", ".join(f"{column} = EXCLUDED.{column}" for column in values)}
            RETURNING target.xmax = 0 AS is_new
        )
        SELECT count(*) FILTER (WHERE is_new), count(*) FILTER (WHERE NOT is_new) FROM written
        """,
        {"store": store_id},
    )
    inserted, updated = cursor.fetchone()
    return int(inserted), int(updated)


def delete_vanished_lines(cursor: Any, store_id: str, staged: str, contested: pd.Series) -> int:
    """Delete stored lines that their order, sent again, no longer has; a refused line proves nothing."""
    _by_hashing(cursor)
    cursor.execute(
        f"""
        DELETE FROM quimbi.order_items stored
        USING (SELECT DISTINCT order_id FROM {staged}) sent
        WHERE stored.store_id = %s AND stored.order_id = sent.order_id
          AND sent.order_id NOT IN (SELECT unnest(%s::text[]))
          AND NOT EXISTS (SELECT FROM {staged} line
                          WHERE line.order_id = stored.order_id AND line.line_no = stored.line_no)
        """,
        (store_id, contested.tolist()),
    )
    return int(cursor.rowcount)


def _by_hashing(cursor: Any) -> None:
    """Keep the transaction from comparing two large tables row by row with row.

    The planner does so where it does not know yet how large they are, which is the case until the server has looked at
    a table that was just filled: 393,160 lines were still being compared after five minutes, hashed they take 2 s.
    """
    cursor.execute("SET LOCAL enable_nestloop = off")


def _writable(frame: pd.DataFrame) -> pa.Table:
    """Return `frame` as Arrow columns that CSV can hold: arrays as PostgreSQL literals, instants in UTC."""
    columns = {}
    for name in frame.columns:
        values = frame[name]
        if isinstance(values.dtype, pd.DatetimeTZDtype):
            naive = pa.array(values.dt.tz_convert("UTC").dt.tz_localize(None), from_pandas=True)
            columns[name] = naive.cast(pa.timestamp("us")).cast(pa.timestamp("us", "UTC"))
            continue
        column = pa.array(values, from_pandas=True)
        if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
            joined = pc.binary_join(column.cast(pa.list_(pa.string())), ",")
            column = pc.binary_join_element_wise("{", joined, "}", "")
        if pa.types.is_null(column.type):
            column = column.cast(pa.string())
        columns[name] = column
    return pa.table(columns)
