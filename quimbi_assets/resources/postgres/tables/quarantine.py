"""Refused rows in the database, each with its reason.

Belongs here: the table ``quarantined_rows``. Does not: why a row is refused (``quimbi_assets.ingest.prepare``).
"""

from collections.abc import Iterable
from typing import Any

import pandas as pd

from quimbi_assets.ingest.prepare import Prepared
from quimbi_assets.resources.postgres.copy import copy_frame


def write_quarantine(cursor: Any, store_id: str, prepared: Iterable[Prepared]) -> None:
    """Keep refused rows with their reasons; rows already kept stay as they are."""
    parts = [one.refused.assign(table=one.table) for one in prepared if len(one.refused)]
    if not parts:
        return
    cursor.execute('CREATE TEMP TABLE refused ("row" text, reason text, "table" text) ON COMMIT DROP')
    copy_frame(cursor, "refused", pd.concat(parts, ignore_index=True))
    cursor.execute(
        """
        INSERT INTO quimbi.quarantined_rows AS kept (store_id, "table", row_md5, reason, "row", occurrences)
        SELECT %s, "table", md5("row"), reason, "row"::jsonb, count(*) FROM refused GROUP BY "table", "row", reason
        ON CONFLICT (store_id, "table", row_md5, reason) DO UPDATE SET occurrences = EXCLUDED.occurrences
        WHERE kept.occurrences < EXCLUDED.occurrences
        """,
        (store_id,),
    )
