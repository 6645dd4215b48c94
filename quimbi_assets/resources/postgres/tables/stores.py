"""The stores of the database: how each one's orders are to be read, what is due for it, when its rows last changed.

Belongs here: the table ``stores``. Does not: orders themselves (``loading``, ``reading``), what follows from a plan
(``quimbi_assets.store``).
"""

import json
import re
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from quimbi_assets.errors import BadInputError, UnknownStoreError
from quimbi_assets.resources.postgres.copy import upsert
from quimbi_assets.resources.postgres.database import EVERY_STORE, Database
from quimbi_assets.store import OrderPolicy, Store, StorePlan, currency_code, zone

if TYPE_CHECKING:
    import pandas as pd


def read_store(database: Database, store_id: str) -> Store:
    """Return a store; UnknownStoreError if there is none of that id."""
    with database.transaction(store_id) as cursor:
        store = find_store(cursor, store_id)
    if store is None:
        raise UnknownStoreError(
            f"unknown store {store_id!r}; load its orders with: quimbi load (quimbi stores lists all)"
        )
    return store


def require_any_row(database: Database, store_id: str) -> None:
    """UnknownStoreError if there is neither a store of that id nor a refused row: of a first load it may be all."""
    refused = "SELECT EXISTS (SELECT FROM quimbi.quarantined_rows WHERE store_id = %s)"
    if database.execute(store_id, refused, (store_id,)) == [(False,)]:
        read_store(database, store_id)


def store_currency(database: Database, store_id: str) -> str | None:
    """Return a known store's currency, else that of most of its orders; None where none is recorded."""
    most = (
        "SELECT currency FROM quimbi.orders WHERE store_id = %s AND currency IS NOT NULL "
        "GROUP BY currency ORDER BY count(*) DESC, currency LIMIT 1"
    )
    return read_store(database, store_id).currency or next(
        (c for (c,) in database.execute(store_id, most, (store_id,))), None
    )


def find_store(cursor: Any, store_id: str) -> Store | None:
    """Return a store inside a transaction, or None."""
    cursor.execute(
        "SELECT time_zone, currency, order_policy, business_hours FROM quimbi.stores WHERE store_id = %s", (store_id,)
    )
    row = cursor.fetchone()
    if row is None:
        return None
    policy = OrderPolicy.from_json(row[2]) if row[2] else OrderPolicy()
    return Store(store_id, row[0], row[1], policy, row[3])


def write_store(cursor: Any, store: Store) -> None:
    """Insert a store or bring it up to date; the default policy is not written down, so that it may improve."""
    policy = None if store.policy == OrderPolicy() else store.policy.to_json()
    hours = None if store.business_hours is None else json.dumps(store.business_hours)
    about = {"time_zone": store.time_zone, "currency": store.currency, "order_policy": policy, "business_hours": hours}
    upsert(cursor, "stores", ("store_id",), [{"store_id": store.store_id, **about}])


def requested_store(store_id: str, time_zone: str | None, currency: str | None) -> Store:
    """Return a store as a person asks for it; an open time zone is empty.

    BadInputError if the id may name no store (it also names files and partitions), there is no such time zone, or the
    currency is no code of three letters.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}", store_id or "") or ".parquet" in store_id.lower():
        raise BadInputError(
            f"store id {store_id!r} cannot be used: up to 63 letters, digits, '_', '.' and '-', a letter or digit "
            "first, and no .parquet in it"
        )
    if time_zone is not None:
        zone(time_zone)
    return Store(store_id, time_zone or "", currency_code(currency))


def refuse_alike(database: Database, store_id: str) -> None:
    """Refuse a new store whose id differs from another's in capitals alone: on some machines their files are one."""
    alike = """
        SELECT bool_or(store_id = %(store)s) FROM quimbi.stores WHERE lower(store_id) = lower(%(store)s)
    """
    if database.execute(EVERY_STORE, alike, {"store": store_id}) == [(False,)]:
        raise BadInputError(
            f"store id {store_id!r} differs from another store's in capitals alone, and where capitals make no other "
            "file theirs would be the same: choose another"
        )


def store_ids(database: Database) -> list[str]:
    """Return the ids of all stores."""
    rows = database.execute(EVERY_STORE, "SELECT store_id FROM quimbi.stores ORDER BY store_id")
    return [store_id for (store_id,) in rows]


@dataclass(frozen=True)
class PlannedStore:
    """A store and what is due for it."""

    store_id: str
    time_zone: str
    plan: StorePlan
    changed_at: "pd.Timestamp | None"
    """When a load last changed its rows or how they are read, UTC; None: not since this is recorded."""


def planned_stores(database: Database) -> list[PlannedStore]:
    """Return all stores by id."""
    rows = database.execute(
        EVERY_STORE, "SELECT store_id, time_zone, plan, changed_at FROM quimbi.stores ORDER BY store_id"
    )
    return [
        PlannedStore(store_id, time_zone, StorePlan.from_json(plan), _utc(changed_at))
        for store_id, time_zone, plan, changed_at in rows
    ]


def read_change(database: Database, store_id: str) -> "pd.Timestamp | None":
    """Return when a load last changed a store, as ``PlannedStore.changed_at``."""
    ((changed_at,),) = database.execute(
        store_id, "SELECT changed_at FROM quimbi.stores WHERE store_id = %s", (store_id,)
    )
    return _utc(changed_at)


def newest_order(database: Database, store_id: str) -> "pd.Timestamp | None":
    """Return when a store's newest order was placed, UTC; None without orders."""
    sql = "SELECT max(order_date) FROM quimbi.orders WHERE store_id = %s"
    ((newest,),) = database.execute(store_id, sql, (store_id,))
    return _utc(newest)


def require_order_before(database: Database, store_id: str, at: "pd.Timestamp | None") -> None:
    """Refuse, with a ``BadInputError``, an unknown store, or an instant by which it had no order, counted or not."""
    read_store(database, store_id)
    sql = "SELECT min(order_date) FROM quimbi.orders WHERE store_id = %s"
    first = None if at is None else _utc(database.execute(store_id, sql, (store_id,))[0][0])
    if at is not None and first is not None and first >= at.tz_localize("UTC"):
        raise BadInputError(f"store {store_id} has no order before {at}: the first is of {first.tz_localize(None)}")


def write_plan(database: Database, store_id: str, plan: StorePlan) -> None:
    """Keep a store's plan; the default one is not written down, so that it may improve."""
    text = None if plan == StorePlan() else plan.to_json()
    database.execute(store_id, "UPDATE quimbi.stores SET plan = %s WHERE store_id = %s", (text, store_id))


def note_change(cursor: Any, store_id: str) -> None:
    """Note, at the end of the transaction that changes a store, that it does."""
    cursor.execute("UPDATE quimbi.stores SET changed_at = clock_timestamp() WHERE store_id = %s", (store_id,))


def _utc(at: datetime | None) -> "pd.Timestamp | None":
    import pandas as pd  # listing customers needs no frame, and waits for none

    return None if at is None else pd.Timestamp(at).tz_convert("UTC")
