"""One file of a store into its table: judged chunk by chunk and copied meanwhile, merged once all files are judged.

Belongs here: a file's way through temporary tables, its refused rows into ``quarantined_rows``. Does not: which rows
are acceptable (``ingest``), the statements (``copy``), the order of a load and whose its rows are (``loading``).
"""

from collections.abc import Callable
from typing import IO, Any

import pandas as pd

from quimbi_assets.errors import BadInputError
from quimbi_assets.ingest.prepare import Preparation, Prepared
from quimbi_assets.ingest.tables import ORDER_ITEMS
from quimbi_assets.resources.postgres import copy as bulk
from quimbi_assets.resources.postgres.database import EVERY_STORE, Database, owning
from quimbi_assets.resources.postgres.sent import SentFile

KEPT_DAYS = 90
"""After which a refused row is dropped, with the next load of whichever store; nobody mends a file as old as that."""
_EXPIRED = "seen_at < now() - make_interval(days => %s)"


def drop_expired(database: Database) -> None:
    """Drop refused rows of every store that are older than :data:`KEPT_DAYS`: it may never be loaded again."""
    whose = f"SELECT DISTINCT store_id FROM quimbi.quarantined_rows WHERE {_EXPIRED}"
    for (store_id,) in database.execute(EVERY_STORE, whose, (KEPT_DAYS,)):
        dropped = f"DELETE FROM quimbi.quarantined_rows WHERE store_id = %s AND {_EXPIRED}"
        database.execute(store_id, dropped, (store_id, KEPT_DAYS))


class Refusals:
    """Refused rows of one load, in a file of their own: they outlast the transaction that a refused file undoes."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def add(self, table: str, refused: pd.DataFrame) -> None:
        """Keep rows aside: (n, 2) ``row`` and ``reason``."""
        if len(refused):
            self._file.write(bulk.as_csv(refused[["row", "reason"]].assign(table=table)).getbuffer())

    def write(self, cursor: Any, store_id: str) -> None:
        """Write them into the quarantine; rows already kept stay as they are, for :data:`KEPT_DAYS`."""
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


MOST_REASONS = 3
"""Why rows were refused, the most frequent first, that the one line of an error says."""


class Transfer:
    """A file's rows on their way into a table.

    Where the store has no row in the table yet, they go straight into it, else into a temporary one first: with nothing
    to compare with, 1.47 M lines take 11 s instead of 16 s.

    Rows that are changed before they are merged are `always_staged`.
    """

    def __init__(
        self,
        cursor: Any,
        store_id: str,
        file: SentFile,
        preparation: Preparation,
        refusals: Refusals,
        always_staged: bool = False,
    ) -> None:
        self.preparation = preparation
        self._cursor, self._store_id, self._refusals, self._file = cursor, store_id, refusals, file
        self._spec = file.survey.spec
        cursor.execute(f"SELECT EXISTS (SELECT FROM quimbi.{self._spec.name} WHERE store_id = %s)", (store_id,))
        is_staged = always_staged or cursor.fetchone()[0]
        self.staged: str | None = None
        """The temporary table, or None where rows go straight into the store's."""
        if is_staged:
            name = self._spec.name
            self.staged = bulk.staging(cursor, f"staged_{name}", name, self._spec.columns, ", 0::bigint AS row_no")
        if self._spec is ORDER_ITEMS:
            cursor.execute("CREATE TEMP TABLE contested (key text) ON COMMIT DROP")

    def judge(self, seen: Callable[[Prepared], None] = lambda _: None) -> None:
        """Judge all rows; each chunk is copied while the next one is judged.

        `seen` is called with each chunk after it was copied, in the thread that copies; it alone uses the cursor
        meanwhile. BadInputError if rows are mostly refused.
        """

        def copy(prepared: Prepared) -> None:
            self._copy(prepared)
            seen(prepared)

        bulk.behind(copy, map(self.preparation.prepare, self._file.table.chunks(None)))
        judged = self.preparation
        if judged.n_refused * 2 > judged.n_read or not (judged.n_accepted or judged.n_left_out):
            main = judged.refused.most_common(MOST_REASONS)
            reasons = "; ".join(f"{reason} ({count:,})" for reason, count in main)
            if others := judged.n_refused - sum(count for _, count in main):
                reasons += f"; and {others:,} for other reasons"
            refused = f"{judged.n_refused:,} of {judged.n_read:,} rows refused"
            raise BadInputError(f"{self._file.place}: {refused}, so nothing was loaded: {reasons}")

    def _copy(self, prepared: Prepared) -> None:
        rows = prepared.accepted
        if self.staged is None:
            bulk.copy_frame(self._cursor, f"quimbi.{self._spec.name}", rows.assign(store_id=self._store_id))
        else:
            bulk.copy_frame(self._cursor, self.staged, rows.assign(row_no=rows.index))
            if self._spec is ORDER_ITEMS:
                bulk.copy_frame(self._cursor, "contested", prepared.contested.to_frame("key"))
        self._refusals.add(self._spec.name, prepared.refused)

    def merge(self) -> tuple[int, int, int]:
        """Bring the store's table up to date; return how many rows were inserted, updated and deleted."""
        if self.staged is None:
            # Else the next load may be planned as if the store had hardly a row: seen to run for six minutes, not 2 s.
            with owning(self._cursor):
                self._cursor.execute(f"ANALYZE quimbi.{self._spec.name}")
            return self.preparation.n_accepted, 0, 0
        if not self.preparation.n_accepted:  # all were erased people's: there is not even a column to write
            return 0, 0, 0
        self._cursor.execute(f"ANALYZE {self.staged}")
        spec, absent = self._spec, self.preparation.absent_columns
        recorded = [name for name in spec.columns if name not in absent]
        inserted, updated = bulk.merge(self._cursor, spec.name, spec.key, recorded, self._store_id, self.staged)
        if spec is not ORDER_ITEMS:
            return inserted, updated, 0
        deleted = bulk.delete_vanished_lines(self._cursor, self._store_id, self.staged, "contested")
        return inserted, updated, deleted
