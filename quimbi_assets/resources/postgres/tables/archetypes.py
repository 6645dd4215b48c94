"""A store's archetypes, and its customers' fingerprints, read back.

Belongs here: these queries. Does not: writing (``publications``), what is in the rows (``profiles.archetype_rows``).
"""

import pandas as pd

from quimbi_assets.profiles.archetype_rows import COLUMNS
from quimbi_assets.resources.postgres.database import Database

_SELECT = f"SELECT {', '.join(COLUMNS)} FROM quimbi.archetypes"
_LARGEST = "ORDER BY customer_count DESC, archetype_id"


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
        return database.query(f"{_SELECT} WHERE store_id = %s AND valid_to IS NULL {_LARGEST}", (store_id,))
    # Rows without an instant are older than any that have one.
    last = "SELECT coalesce(as_of, '-infinity'), valid_from FROM quimbi.archetypes WHERE store_id = %s"
    newest = f"({last} AND coalesce(as_of, '-infinity') <= %s ORDER BY 1 DESC, 2 DESC LIMIT 1)"
    same = f"(coalesce(as_of, '-infinity'), valid_from) = {newest}"
    return database.query(f"{_SELECT} WHERE store_id = %s AND {same} {_LARGEST}", (store_id, store_id, until))


def read_fingerprints(database: Database, store_id: str) -> pd.DataFrame:
    """Return ``customer_id`` and ``fingerprint`` of every profiled customer of a store, by customer id."""
    return database.query(
        "SELECT customer_id, fingerprint FROM quimbi.customer_profiles WHERE store_id = %s ORDER BY customer_id",
        (store_id,),
    )
