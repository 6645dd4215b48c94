"""The stores of the database: how each one's orders are to be read.

Belongs here: the table ``stores``. Does not: orders themselves (``loading``, ``reading``).
"""

import json
import re
from dataclasses import dataclass, field
from typing import Any

from quimbi_assets.errors import BadInputError, UnknownStoreError
from quimbi_assets.ingest.dates import zone
from quimbi_assets.ingest.policy import OrderPolicy
from quimbi_assets.resources.postgres.database import Database


@dataclass(frozen=True)
class Store:
    """A store.

    Parameters
    ----------
    store_id : str
    time_zone : str
        IANA name.
    currency : str or None
        ISO 4217; None: the currency most of its orders are in.
    policy : OrderPolicy
    business_hours : dict or None
        As the store gave them.
    """

    store_id: str
    time_zone: str = "UTC"
    currency: str | None = None
    policy: OrderPolicy = field(default_factory=OrderPolicy)
    business_hours: dict[str, Any] | None = None


def list_stores(database: Database) -> list[str]:
    """Return the ids of all stores, sorted."""
    with database.transaction() as cursor:
        cursor.execute("SELECT store_id FROM quimbi.stores ORDER BY store_id")
        return [row[0] for row in cursor.fetchall()]


def read_store(database: Database, store_id: str) -> Store:
    """Return a store.

    Raises
    ------
    UnknownStoreError
        If there is none of that id.
    """
    with database.transaction() as cursor:
        store = find_store(cursor, store_id)
    if store is None:
        known = ", ".join(list_stores(database)) or "none yet"
        raise UnknownStoreError(f"unknown store {store_id!r} (known: {known}); load its orders with: quimbi load")
    return store


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
    cursor.execute(
        """
        INSERT INTO quimbi.stores AS stored (store_id, time_zone, currency, order_policy, business_hours)
        VALUES (%s, %s, %s, %s, %s)
        ON CONFLICT (store_id) DO UPDATE SET time_zone = EXCLUDED.time_zone, currency = EXCLUDED.currency,
            order_policy = EXCLUDED.order_policy, business_hours = EXCLUDED.business_hours
        WHERE (stored.time_zone, stored.currency, stored.order_policy, stored.business_hours)
            IS DISTINCT FROM (EXCLUDED.time_zone, EXCLUDED.currency, EXCLUDED.order_policy, EXCLUDED.business_hours)
        """,
        (store.store_id, store.time_zone, store.currency, policy, hours),
    )


def checked_store_id(store_id: str) -> str:
    """Return `store_id` if it may name a store (it also names files and partitions).

    Raises
    ------
    BadInputError
        If it is empty, too long or holds anything but letters, digits, dot, dash and underscore.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}", store_id or ""):
        raise BadInputError(
            f"store id {store_id!r} cannot be used: up to 63 letters, digits, '_', '.' and '-', a letter or digit first"
        )
    return store_id


def checked_time_zone(name: str | None) -> str | None:
    """Return `name` if it is None or an IANA time zone.

    Raises
    ------
    BadInputError
        If there is no such zone.
    """
    if name is not None:
        zone(name)
    return name


def checked_currency(code: str | None) -> str | None:
    """Return `code` in capitals if it is None or three letters.

    Raises
    ------
    BadInputError
        If it is anything else.
    """
    if code is None:
        return None
    if not re.fullmatch(r"[A-Za-z]{3}", code.strip()):
        raise BadInputError(f"currency {code!r} cannot be used: give its three-letter code, such as USD or EUR")
    return code.strip().upper()
