"""What a shop's lists of products say of each product, for lines that do not say it themselves.

Belongs here: the table ``products``. Does not: reading such lists (``quimbi_assets.ingest.products``), joining them to
lines (``reading``).
"""

from collections.abc import Iterable
from typing import Any

import pandas as pd

from quimbi_assets.ingest.tables import PRODUCTS
from quimbi_assets.resources.postgres.copy import copy_frame, merge, staging


def keep_products(cursor: Any, store_id: str, rows: Iterable[pd.DataFrame]) -> tuple[int, int, int]:
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
