"""Refused rows, each with its reason: on disk while a file is read, in the database once that is over.

Belongs here: the table ``quarantined_rows``. Does not: why a row is refused (``quimbi_assets.ingest.prepare``).
"""

from typing import IO, Any

import pandas as pd

from quimbi_assets.resources.postgres.copy import as_csv


class Refusals:
    """Refused rows of one load, in a file of their own: they outlast the transaction that a refused file undoes."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def add(self, table: str, refused: pd.DataFrame) -> None:
        """Keep rows aside: (n, 2) ``row`` and ``reason``."""
        if len(refused):
            self._file.write(as_csv(refused[["row", "reason"]].assign(table=table)).getbuffer())

    def add_refused_again(self, cursor: Any, table: str, reason: str) -> int:
        """Keep aside what is in the temporary table ``refused_again``; return how many rows."""
        question = cursor.mogrify('SELECT "row", %s, %s FROM refused_again', (reason, table)).decode()
        cursor.copy_expert(f"COPY ({question}) TO STDOUT (FORMAT csv)", self._file)
        return int(cursor.rowcount)

    def write(self, cursor: Any, store_id: str) -> None:
        """Write them into the quarantine; rows already kept stay as they are."""
        if not self._file.tell():
            return
        self._file.seek(0)
        cursor.execute('CREATE TEMP TABLE refused ("row" text, reason text, "table" text) ON COMMIT DROP')
        cursor.copy_expert("COPY refused FROM STDIN (FORMAT csv)", self._file, size=1 << 20)
        cursor.execute(
            """
            INSERT INTO quimbi.quarantined_rows AS kept (store_id, "table", row_md5, reason, "row", occurrences)
            SELECT %s, "table", md5("row"), reason, "row"::jsonb, count(*) FROM refused GROUP BY "table", "row", reason
            ON CONFLICT (store_id, "table", row_md5, reason) DO UPDATE SET occurrences = EXCLUDED.occurrences
            WHERE kept.occurrences < EXCLUDED.occurrences
            """,
            (store_id,),
        )
