"""A store's files into the database: one transaction, idempotent, what is refused kept with its reason.

Belongs here: the order of a load. Does not: which rows are acceptable (``quimbi_assets.ingest.prepare``), the
transfer (``bulk``).
"""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from quimbi_assets.errors import BadInputError
from quimbi_assets.ingest import aliases
from quimbi_assets.ingest import tables as specs
from quimbi_assets.ingest.files import read_table
from quimbi_assets.ingest.prepare import Prepared, prepare_order_items, prepare_orders, prepare_support_tickets
from quimbi_assets.resources.postgres import copy as bulk
from quimbi_assets.resources.postgres.database import Database
from quimbi_assets.resources.postgres.load_report import LoadReport, TableReport, table_report
from quimbi_assets.resources.postgres.tables import store_plans, stores
from quimbi_assets.resources.postgres.tables.quarantine import write_quarantine

Progress = Callable[[str], None]
"""Called with a short sentence when a step begins."""

SPECS = {spec.name: spec for spec in (specs.ORDERS, specs.ORDER_ITEMS, specs.SUPPORT_TICKETS)}


def load_store(
    database: Database,
    store_id: str,
    orders_path: str | Path,
    items_path: str | Path | None = None,
    tickets_path: str | Path | None = None,
    time_zone: str | None = None,
    currency: str | None = None,
    now: pd.Timestamp | None = None,
    progress: Progress | None = None,
) -> LoadReport:
    """Load a store's files.

    Parameters
    ----------
    database : Database
    store_id : str
        The store; created if new.
    orders_path, items_path, tickets_path : str or Path
        CSV or Parquet. Without `items_path`, lines are taken from the orders file if it is a line export.
    time_zone : str, optional
        IANA zone of dates without offset; by default the store's, for a new store UTC.
    currency : str, optional
        The store's currency; by default the one it has, or the one of most orders.
    now : pandas.Timestamp, optional
        Present instant, with zone; by default the clock's.
    progress : callable, optional
        Called with a sentence at each step.

    Returns
    -------
    LoadReport

    Raises
    ------
    BadInputError
        If a file or an option cannot be used, or more than half of a file's rows are refused; then nothing is
        loaded, and refused rows are in the quarantine.

    Notes
    -----
    A stored row changes only in the columns the file records. Lines that an order no longer has are deleted, if
    the file holds the order's lines and none of them was refused. Loading the same files again changes nothing.
    """
    began, say = time.monotonic(), progress or (lambda _: None)
    wanted = stores.Store(
        stores.checked_store_id(store_id),
        stores.checked_time_zone(time_zone) or "",
        stores.checked_currency(currency),
    )
    paths = {"orders": orders_path, "order_items": items_path, "support_tickets": tickets_path}
    frames = {table: _read(path, say) for table, path in paths.items() if path is not None}
    if items_path is None and aliases.is_line_export(frames["orders"]):
        frames["order_items"], paths["order_items"] = frames["orders"], orders_path
    now = pd.Timestamp.now("UTC") if now is None else now
    with database.transaction() as cursor:
        bulk.lock(cursor, f"load:{store_id}")
        before = stores.find_store(cursor, store_id)
        store = _settled(wanted, before)
        tables, failure = _load_tables(cursor, store, frames, paths, now, say)
        if failure is None:
            stores.write_store(cursor, store)
            if any(table.inserted or table.updated or table.deleted for table in tables):
                store_plans.note_change(cursor, store_id)
    if failure is not None:
        raise BadInputError(failure)
    return LoadReport(store, before is None, tables, time.monotonic() - began, _store_notes(store, before))


def _read(path: str | Path, say: Progress) -> pd.DataFrame:
    say(f"reading {path}")
    return read_table(path)


def _settled(wanted: stores.Store, before: stores.Store | None) -> stores.Store:
    """Fill what the caller left open from what is known of the store."""
    if before is None:
        return replace(wanted, time_zone=wanted.time_zone or "UTC")
    return replace(before, time_zone=wanted.time_zone or before.time_zone, currency=wanted.currency or before.currency)


def _load_tables(
    cursor: Any,
    store: stores.Store,
    frames: dict[str, pd.DataFrame],
    paths: dict[str, str | Path | None],
    now: pd.Timestamp,
    say: Progress,
) -> tuple[list[TableReport], str | None]:
    """Check all tables, then write all or only the quarantine; return the reports or what is wrong."""
    prepared: dict[str, Prepared] = {}
    for table, frame in frames.items():
        say(f"checking {len(frame):,} rows of {paths[table]}")
        prepared[table] = _prepare(cursor, table, frame, store, now, prepared, str(paths[table]))
        failure = _mostly_refused(prepared[table], str(paths[table]))
        if failure is not None:
            write_quarantine(cursor, store.store_id, prepared.values())
            return [], failure
    reports = []
    for table, one in prepared.items():
        say(f"writing {len(one.accepted):,} {table.replace('_', ' ')}")
        counts = _write(cursor, SPECS[table], store.store_id, one)
        reports.append(table_report(one, str(paths[table]), counts))
    write_quarantine(cursor, store.store_id, prepared.values())
    return reports, None


def _prepare(
    cursor: Any,
    table: str,
    frame: pd.DataFrame,
    store: stores.Store,
    now: pd.Timestamp,
    prepared: dict[str, Prepared],
    where: str,
) -> Prepared:
    if table == "orders":
        return prepare_orders(frame, store.time_zone, now, store.currency, where)
    if table == "support_tickets":
        return prepare_support_tickets(frame, store.time_zone, now, where)
    accepted = prepared["orders"].accepted
    cursor.execute("SELECT order_id FROM quimbi.orders WHERE store_id = %s", (store.store_id,))
    stored = pd.Series([row[0] for row in cursor.fetchall()], dtype="str")
    known = pd.concat([accepted["order_id"], stored], ignore_index=True)
    common = accepted["currency"].mode()
    currency = store.currency or (str(common.iloc[0]) if len(common) else None)
    return prepare_order_items(frame, store.time_zone, now, known, currency, where)


def _mostly_refused(prepared: Prepared, path: str) -> str | None:
    """Return the message of a file whose rows are mostly refused, else None."""
    refused = len(prepared.refused)
    if refused * 2 <= prepared.n_read and len(prepared.accepted):
        return None
    reasons = prepared.refused["reason"].value_counts().head(3)
    main = "; ".join(f"{reason} ({count:,})" for reason, count in reasons.items())
    return f"{path}: {refused:,} of {prepared.n_read:,} rows refused, so nothing was loaded: {main}"


def _write(cursor: Any, spec: specs.TableSpec, store_id: str, prepared: Prepared) -> dict[str, int]:
    """Merge the accepted rows of one table; return how many were inserted, updated and deleted."""
    cursor.execute(f"SELECT EXISTS (SELECT FROM quimbi.{spec.name} WHERE store_id = %s)", (store_id,))
    if not cursor.fetchone()[0]:  # nothing to compare with: 1.47 M lines in 11 s instead of 16 s
        rows = prepared.accepted.assign(store_id=store_id)
        bulk.copy_frame(cursor, f"quimbi.{spec.name}", rows)
        # Else the next load may be planned as if the store had hardly a row: seen to run for six minutes, not 2 s.
        cursor.execute(f"ANALYZE quimbi.{spec.name}")
        return {"inserted": len(rows), "updated": 0, "deleted": 0}
    recorded = [column for column in spec.columns if column not in prepared.absent_columns]
    staged = bulk.stage(cursor, spec.name, spec.columns, prepared.accepted)
    inserted, updated = bulk.merge(cursor, spec, store_id, staged, recorded)
    deleted = (
        bulk.delete_vanished_lines(cursor, store_id, staged, prepared.contested) if spec is specs.ORDER_ITEMS else 0
    )
    return {"inserted": inserted, "updated": updated, "deleted": deleted}


def _store_notes(store: stores.Store, before: stores.Store | None) -> list[str]:
    if before is None or before.time_zone == store.time_zone:
        return []
    return [f"the store's time zone was {before.time_zone} and is now {store.time_zone}; stored instants stay"]
