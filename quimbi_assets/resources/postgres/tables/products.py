"""What a shop's lists of products say of each, for lines that do not say it themselves, and what lines call it.

Belongs here: the tables ``products`` and ``product_names``. Does not: reading such lists
(``quimbi_assets.ingest.products``), joining them to lines (``reading``).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

from quimbi_assets.ingest.tables import PRODUCTS
from quimbi_assets.resources.postgres.copy import copy_frame, merge, staging
from quimbi_assets.resources.postgres.database import Database


def keep_products(cursor: Any, store_id: str, rows: Iterable["pd.DataFrame"]) -> tuple[int, int, int]:
    """Keep products, of two with one key the first; return how many keys are new, changed and as before."""
    staged = staging(cursor, "staged_products", "products", PRODUCTS.columns)
    for part in rows:
        copy_frame(cursor, staged, part)
    same = "one.product_id = first.product_id AND one.ctid > first.ctid"
    cursor.execute(f"DELETE FROM {staged} one USING {staged} first WHERE {same}")
    cursor.execute(f"ANALYZE {staged}; SELECT count(*) FROM {staged}")
    (n_keys,) = cursor.fetchone()
    inserted, updated = merge(cursor, "products", PRODUCTS.key, PRODUCTS.columns, store_id, staged)
    return inserted, updated, int(n_keys) - inserted - updated


def count_lines_with_products(cursor: Any, store_id: str) -> tuple[int, int]:
    """Count a store's lines, and those whose product is in a list."""
    cursor.execute(
        """
        SELECT count(*), count(product.product_id)
        FROM quimbi.order_items line LEFT JOIN quimbi.products product USING (store_id, product_id)
        WHERE store_id = %s
        """,
        (store_id,),
    )
    n_lines, n_known = cursor.fetchone()
    return int(n_lines), int(n_known)


def keep_names(cursor: Any, store_id: str, names: "pd.DataFrame") -> None:
    """Keep what products are called, one row a product: ``product_id``, ``product_name``."""
    if names.empty:
        return
    staged = staging(cursor, "staged_names", "product_names", list(names.columns))
    copy_frame(cursor, staged, names)
    cursor.execute(
        f"""
        INSERT INTO quimbi.product_names SELECT %s, product_id, product_name FROM {staged}
        ON CONFLICT (store_id, product_id) DO UPDATE SET product_name = EXCLUDED.product_name
        """,
        (store_id,),
    )


def name_products(database: Database, store_id: str, profiles: Sequence[Mapping[str, Any]]) -> None:
    """Write into profiles (``profile_record``) what the products are called that a customer buys most: ``name``."""
    bought = [one for profile in profiles for one in (profile.get("affinities") or {}).get("products") or ()]
    if not bought:
        return
    question = "SELECT product_id, product_name FROM quimbi.product_names WHERE store_id = %s AND product_id = ANY(%s)"
    names = dict(database.execute(store_id, question, (store_id, [one["id"] for one in bought])))
    for one in bought:
        one["name"] = names.get(one["id"])
