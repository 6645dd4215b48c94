"""What is due for which store: plans, and when a store's rows last changed.

Belongs here: the columns ``plan`` and ``changed_at`` of the table ``stores``, and when its newest order was placed.
Does not: what follows from a plan (``quimbi_assets.store``), how orders are read (``stores``).
"""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from quimbi_assets.resources.postgres.database import Database
from quimbi_assets.store import StorePlan


@dataclass(frozen=True)
class PlannedStore:
    """A store and what is due for it."""

    store_id: str
    time_zone: str
    plan: StorePlan
    changed_at: pd.Timestamp | None
    """When a load last changed its rows, UTC; None: not since this is recorded."""


def planned_stores(database: Database) -> list[PlannedStore]:
    """Return all stores by id."""
    with database.transaction() as cursor:
        cursor.execute("SELECT store_id, time_zone, plan, changed_at FROM quimbi.stores ORDER BY store_id")
        rows = cursor.fetchall()
    return [
        PlannedStore(store_id, time_zone, StorePlan.from_json(plan), None if at is None else _utc(at))
        for store_id, time_zone, plan, at in rows
    ]


def newest_orders(database: Database) -> dict[str, pd.Timestamp]:
    """Return when each store's newest order was placed, UTC; stores without orders are left out."""
    with database.transaction() as cursor:
        cursor.execute("SELECT store_id, max(order_date) FROM quimbi.orders GROUP BY store_id")
        return {store_id: _utc(newest) for store_id, newest in cursor.fetchall()}


def write_plan(database: Database, store_id: str, plan: StorePlan) -> None:
    """Keep a store's plan; the default one is not written down, so that it may improve."""
    text = None if plan == StorePlan() else plan.to_json()
    with database.transaction() as cursor:
        cursor.execute("UPDATE quimbi.stores SET plan = %s WHERE store_id = %s", (text, store_id))


def note_change(cursor: Any, store_id: str) -> None:
    """Note, inside the transaction that changes a store's rows, that they change."""
    cursor.execute("UPDATE quimbi.stores SET changed_at = now() WHERE store_id = %s", (store_id,))


def _utc(instant: Any) -> pd.Timestamp:
    stamp = pd.Timestamp(instant)
    return stamp.tz_localize("UTC") if stamp.tz is None else stamp.tz_convert("UTC")
