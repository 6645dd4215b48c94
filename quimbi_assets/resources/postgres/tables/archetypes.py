"""The table ``archetypes``: writing a store's kept archetypes, reading them and customers' fingerprints back.

Belongs here: its SQL. Does not: what is in it (``profiles.archetype_rows``).
"""

from typing import Any

import pandas as pd

from quimbi_assets.profiles.archetype_rows import COLUMNS
from quimbi_assets.resources.postgres.database import Database

_SELECT = f"SELECT {', '.join(COLUMNS)} FROM quimbi.archetypes"
_LARGEST = "ORDER BY customer_count DESC, archetype_id"


def publish_archetypes(database: Database, store_id: str, rows: pd.DataFrame) -> None:
    """Make these the store's current archetypes, in one transaction; those until now end (``valid_to``).

    Parameters
    ----------
    database : Database
        Where to write.
    store_id : str
        The store.
    rows : DataFrame
        As ``archetype_rows`` makes them.
    """
    with database.transaction() as cursor:
        cursor.execute(
            "UPDATE quimbi.archetypes SET valid_to = now() WHERE store_id = %s AND valid_to IS NULL", (store_id,)
        )
        _insert(cursor, rows)


def keep_past_archetypes(database: Database, rows: pd.DataFrame) -> None:
    """Add archetypes for snapshots of the past only: they end where they begin, and none becomes current."""
    with database.transaction() as cursor:
        _insert(cursor, rows.assign(valid_to=rows["valid_from"]))


def _insert(cursor: Any, rows: pd.DataFrame) -> None:
    columns, marks = ", ".join(COLUMNS), ", ".join(["%s"] * len(COLUMNS))
    records = [
        tuple(None if pd.isna(value) else value for value in record)
        for record in rows[list(COLUMNS)].astype(object).itertuples(index=False, name=None)
    ]
    cursor.executemany(f"INSERT INTO quimbi.archetypes ({columns}) VALUES ({marks})", records)


def read_archetypes(database: Database, store_id: str, until: pd.Timestamp | None = None) -> pd.DataFrame:
    """Return the store's archetypes, largest first; no row before its first run. ``traits`` as dicts.

    Parameters
    ----------
    database : Database
        Where to read.
    store_id : str
        The store.
    until : Timestamp, optional
        UTC. The last archetypes made from data up to then; without, those that hold now. The two differ for a run as of
        the past, which must not know what came later, and for the first run after it.
    """
    if until is None:
        return _query(database, f"{_SELECT} WHERE store_id = %s AND valid_to IS NULL {_LARGEST}", store_id)
    # Rows without an instant are older than any that have one.
    last = "SELECT coalesce(as_of, '-infinity'), valid_from FROM quimbi.archetypes WHERE store_id = %s"
    newest = f"({last} AND coalesce(as_of, '-infinity') <= %s ORDER BY 1 DESC, 2 DESC LIMIT 1)"
    same = f"(coalesce(as_of, '-infinity'), valid_from) = {newest}"
    return _query(database, f"{_SELECT} WHERE store_id = %s AND {same} {_LARGEST}", store_id, store_id, until)


def read_fingerprints(database: Database, store_id: str) -> pd.DataFrame:
    """Return ``customer_id`` and ``fingerprint`` of every profiled customer of a store, by customer id."""
    return _query(
        database,
        "SELECT customer_id, fingerprint FROM quimbi.customer_profiles WHERE store_id = %s ORDER BY customer_id",
        store_id,
    )


def _query(database: Database, sql: str, *parameters: Any) -> pd.DataFrame:
    with database.transaction() as cursor:
        cursor.execute(sql, parameters)
        names = [column.name for column in cursor.description]
        return pd.DataFrame(cursor.fetchall(), columns=names)
