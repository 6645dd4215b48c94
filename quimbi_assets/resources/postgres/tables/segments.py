"""What a run published, read back: axes, their current segments, profiles.

Belongs here: these queries. Does not: writing (``publications``), archetypes, the names that segments had (``naming``).
Whoever reads more than one of them reads a ``Database.snapshot``.
"""

from collections.abc import Sequence

import pandas as pd

from quimbi_assets.errors import BadInputError
from quimbi_assets.resources.postgres.database import Database


def read_segments(database: Database, store_id: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read what a run found.

    Returns
    -------
    axes : DataFrame
        Rows of ``axis_models``, by axis name.
    segments : DataFrame
        Current rows of ``dim_segment_master``.

    Raises
    ------
    BadInputError
        If the store was never run.
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
    found = database.query(
        "SELECT axis_name, held_reason FROM quimbi.axis_models WHERE store_id = %s AND held_reason IS NOT NULL",
        (store_id,),
    )
    return dict(found.itertuples(index=False, name=None))


def read_profiles(database: Database, store_id: str, customer_ids: Sequence[str]) -> pd.DataFrame:
    """Read profiles in the order asked for.

    Raises
    ------
    BadInputError
        If any customer has no profile; the message names them.
    """
    found = database.query(
        "SELECT * FROM quimbi.customer_profiles WHERE store_id = %s AND customer_id = ANY(%s)",
        (store_id, list(customer_ids)),
    ).set_index("customer_id", drop=False)
    unknown = [customer for customer in customer_ids if customer not in found.index]
    if unknown:
        raise BadInputError(f"store {store_id} has no profile of customer {', '.join(unknown)}")
    return found.loc[list(customer_ids)]
