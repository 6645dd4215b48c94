"""What a run published, read back: axes, their current segments, archetypes, profiles.

Belongs here: these queries. Does not: writing (``publications``), the names that segments had (``naming``).
Whoever reads more than one of them reads a ``Database.snapshot``.
"""

from collections.abc import Sequence

import pandas as pd

from quimbi_assets.errors import BadInputError
from quimbi_assets.resources.postgres.database import Database


def read_segments(database: Database, store_id: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the rows of ``axis_models`` and the current ones of ``dim_segment_master``, by axis name.

    BadInputError if the store was never run.
    """
    axes = database.query("SELECT * FROM quimbi.axis_models WHERE store_id = %s ORDER BY axis_name", (store_id,))
    if axes.empty:
        raise BadInputError(f"store {store_id} has no segments yet; compute them: quimbi run --store-id {store_id}")
    segments = database.query(
        "SELECT * FROM quimbi.dim_segment_master WHERE store_id = %s AND valid_to IS NULL "
        "ORDER BY axis_name, segment_id",
        (store_id,),
    )
    return axes, segments


def read_held_reasons(database: Database, store_id: str) -> dict[str, str]:
    """Return why the last fits of a store's axes do not serve; axes whose last fit serves are left out."""
    held = "SELECT axis_name, held_reason FROM quimbi.axis_models WHERE store_id = %s AND held_reason IS NOT NULL"
    return dict(database.execute(held, (store_id,)))


def read_archetypes(database: Database, store_id: str, until: pd.Timestamp | None = None) -> pd.DataFrame:
    """Return the store's archetypes, largest first; no row before its first run. ``traits`` as dicts.

    With ``until`` (UTC, zoned) the last ones made from data up to then; without, those that hold now. The two differ
    for a run as of the past, which must not know what came later, and for the first run after it.
    """
    of_store = "SELECT * FROM quimbi.archetypes WHERE store_id = %(store)s AND"
    largest = "ORDER BY customer_count DESC, archetype_id"
    if until is None:
        return database.query(f"{of_store} valid_to IS NULL {largest}", {"store": store_id})
    # Rows without an instant are older than any that have one.
    made = "coalesce(as_of, '-infinity'), valid_from"
    instants = f"SELECT {made} FROM quimbi.archetypes WHERE store_id = %(store)s"
    newest = f"({instants} AND coalesce(as_of, '-infinity') <= %(until)s ORDER BY 1 DESC, 2 DESC LIMIT 1)"
    return database.query(f"{of_store} ({made}) = {newest} {largest}", {"store": store_id, "until": until})


def read_profiles(database: Database, store_id: str, customer_ids: Sequence[str]) -> pd.DataFrame:
    """Read the profiles of those who have one, in the order asked for; BadInputError if nobody has."""
    rows = database.query(
        "SELECT * FROM quimbi.customer_profiles WHERE store_id = %s AND customer_id = ANY(%s)",
        (store_id, list(customer_ids)),
    ).set_index("customer_id", drop=False)
    if rows.empty:
        raise BadInputError(f"store {store_id} has no profile of customer {', '.join(customer_ids)}")
    return rows.loc[[customer for customer in customer_ids if customer in rows.index]]


def read_fingerprints(database: Database, store_id: str) -> pd.DataFrame:
    """Return ``customer_id`` and ``fingerprint`` of every profiled customer of a store, by customer id."""
    return database.query(
        "SELECT customer_id, fingerprint FROM quimbi.customer_profiles WHERE store_id = %s ORDER BY customer_id",
        (store_id,),
    )
