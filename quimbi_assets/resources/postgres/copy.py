"""Frames into tables in bulk: COPY into a staging table, then set-wise statements.

Belongs here: transfer of frames. Does not: what the rows mean (``loading``), reading (``reading``).

COPY of CSV text written by Arrow was chosen over ADBC's ingest: on 1.47 M lines 0.7 + 2.1 s against 3.6 s, and it
shares psycopg2's transaction.
"""

import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
from psycopg2.extras import execute_values

if TYPE_CHECKING:
    import pandas as pd

T = TypeVar("T")
CHUNK = 250_000
"""Rows a COPY, so that a large frame is never twice in memory as text."""


def behind(work: Callable[[T], object], pieces: Iterable[T]) -> None:
    """Do work on each piece in turn, on a thread of its own while the next one is being made: two are in memory."""
    with ThreadPoolExecutor(1) as worker:
        doing: Future[object] | None = None
        for piece in pieces:
            if doing is not None:
                doing.result()
            doing = worker.submit(work, piece)
        if doing is not None:
            doing.result()


def copy_frame(cursor: Any, target: str, frame: "pd.DataFrame | pa.Table") -> None:
    """Append `frame` to the table `target`, whose columns have the frame's names."""
    names = frame.column_names if isinstance(frame, pa.Table) else list(frame.columns)
    for start in range(0, len(frame), CHUNK):
        part = frame.slice(start, CHUNK) if isinstance(frame, pa.Table) else frame.iloc[start : start + CHUNK]
        copy_csv(cursor, target, names, as_csv(part))


def copy_csv(cursor: Any, target: str, names: Sequence[str], text: io.BytesIO) -> None:
    """Append rows that are CSV already (``as_csv``), of columns with these names.

    Into a table of ours by way of a temporary one: PostgreSQL copies into none that has row-level security.
    """
    columns = ", ".join(f'"{name}"' for name in names)
    is_ours = target.startswith("quimbi.")
    into = "copied" if is_ours else target
    if is_ours:
        cursor.execute(f"CREATE TEMP TABLE copied ON COMMIT DROP AS SELECT {columns} FROM {target} WITH NO DATA")
        _store_alike(cursor, target, names)
    cursor.copy_expert(f"COPY {into} ({columns}) FROM STDIN (FORMAT csv)", text, size=1 << 20)
    if is_ours:
        cursor.execute(f"INSERT INTO {target} ({columns}) SELECT {columns} FROM copied; DROP TABLE copied")


def _store_alike(cursor: Any, target: str, names: Sequence[str]) -> None:
    """Let ``copied`` leave alone what `target` stores as it is: what a temporary table packs stays packed in ours."""
    cursor.execute(
        "SELECT string_agg(format('ALTER %%I SET STORAGE EXTERNAL', attname), ', ') FROM pg_attribute "
        "WHERE attrelid = %s::regclass AND attstorage = 'e' AND attname = ANY(%s)",
        (target, names),
    )
    if (changes := cursor.fetchone()[0]) is not None:
        cursor.execute(f"ALTER TABLE copied {changes}")


def as_csv(frame: "pd.DataFrame | pa.Table") -> io.BytesIO:
    """Return `frame` as PostgreSQL reads CSV, without header: arrays as its literals, instants in UTC."""
    rows = frame if isinstance(frame, pa.Table) else pa.Table.from_pandas(frame, preserve_index=False)
    columns = {}
    for name in rows.column_names:
        column = rows[name]
        if pa.types.is_timestamp(column.type) and column.type.tz is not None:
            column = column.cast(pa.timestamp("us", "UTC"))
        if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
            joined = pc.binary_join(column.cast(pa.list_(pa.string())), ",")
            column = pc.binary_join_element_wise("{", joined, "}", "")
        if pa.types.is_null(column.type):
            column = column.cast(pa.string())
        columns[name] = column
    # Arrow 25 writes zero bytes for a text column whose first chunk is empty, as concatenated frames have.
    writable, text = pa.table(columns).combine_chunks(), io.BytesIO()
    pacsv.write_csv(writable, text, pacsv.WriteOptions(include_header=False))
    text.seek(0)
    return text


def upsert(cursor: Any, table: str, key: Sequence[str], rows: Iterable[Mapping[str, Any]], stamp: str = "") -> None:
    """Insert a few rows, all of the same columns, or bring those of their key up to date.

    Rows that are stored so already are not written again, unless a column ``stamp`` is to say when this was.
    """
    rows = list(rows)
    if not rows:
        return
    columns, values = list(rows[0]), [column for column in rows[0] if column not in key]
    changes = [f"{column} = EXCLUDED.{column}" for column in values] + ([f"{stamp} = now()"] if stamp else [])
    ours, theirs = (", ".join(f"{side}.{column}" for column in values) for side in ("stored", "EXCLUDED"))
    execute_values(
        cursor,
        f"INSERT INTO quimbi.{table} AS stored ({', '.join(columns)}) VALUES %s ON CONFLICT ({', '.join(key)}) "
        f"DO UPDATE SET {', '.join(changes)}" + ("" if stamp else f" WHERE ({ours}) IS DISTINCT FROM ({theirs})"),
        [tuple(row.values()) for row in rows],
    )


def staging(cursor: Any, name: str, table: str, columns: Sequence[str], more: str = "") -> str:
    """Create a temporary table with columns of a table of ours and `more`, gone at commit; return its name."""
    cursor.execute(
        f"CREATE TEMP TABLE {name} ON COMMIT DROP AS SELECT {', '.join(columns)}{more} FROM quimbi.{table} WITH NO DATA"
    )
    return name


def read_column(cursor: Any, question: str) -> "Iterator[pd.Series]":
    """Yield the one column of text that a query answers with, in parts."""
    out = io.BytesIO()
    cursor.copy_expert(f"COPY ({question}) TO STDOUT (FORMAT csv)", out)
    if not out.tell():
        return
    out.seek(0)
    reading = pacsv.ReadOptions(column_names=["value"])
    converting = pacsv.ConvertOptions(column_types={"value": pa.string()}, strings_can_be_null=False)
    table = pacsv.read_csv(out, reading, pacsv.ParseOptions(newlines_in_values=True), converting)
    for batch in table.to_batches(CHUNK):
        yield batch.to_pandas()["value"]


def merge(
    cursor: Any, table: str, key: Sequence[str], columns: Sequence[str], store_id: str, staged: str
) -> tuple[int, int]:
    """Write staged rows that are new or differ in these columns from what is stored; return how many of either.

    The key is the table's beside the store's. The transaction holds the store's lock. What is stored in other columns
    stays as it is.
    """
    every = [*key, *(column for column in columns if column not in key)]
    values = every[len(key) :]
    same_key = " AND ".join(f"stored.{column} = staged.{column}" for column in key)
    by_hashing(cursor)
    theirs, ours = (", ".join(f"{side}.{column}" for column in values) for side in ("staged", "stored"))
    cursor.execute(
        f"""
        WITH written AS (
            INSERT INTO quimbi.{table} AS target (store_id, {", ".join(every)})
            SELECT %(store)s, {", ".join(f"staged.{column}" for column in every)}
            FROM {staged} staged
            LEFT JOIN quimbi.{table} stored ON stored.store_id = %(store)s AND {same_key}
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


def delete_vanished_lines(cursor: Any, store_id: str, staged: str, contested: str) -> int:
    """Delete stored lines that their order, sent again, no longer has; a refused line proves nothing.

    The table `contested` lists the orders of refused lines as ``key``.
    """
    by_hashing(cursor)
    cursor.execute(
        f"""
        DELETE FROM quimbi.order_items stored
        USING (SELECT DISTINCT order_id FROM {staged}) sent
        WHERE stored.store_id = %s AND stored.order_id = sent.order_id
          AND NOT EXISTS (SELECT FROM {contested} refused WHERE refused.key = sent.order_id)
          AND NOT EXISTS (SELECT FROM {staged} line
                          WHERE line.order_id = stored.order_id AND line.line_no = stored.line_no)
        """,
        (store_id,),
    )
    return int(cursor.rowcount)


def by_hashing(cursor: Any) -> None:
    """Keep the transaction from comparing two large tables row by row with row.

    The planner does so where it does not know yet how large they are, which is the case until the server has looked at
    a table that was just filled: 393,160 lines were still being compared after five minutes, hashed they take 2 s.
    """
    cursor.execute("SET LOCAL enable_nestloop = off")
