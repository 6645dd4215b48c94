"""Who may be written to: the table ``customer_consent``.

Belongs here: its SQL, the condition that leaves out who may not, what they lose of what was decided. Does not: how
cells are read (``ingest.consent``), whose a row is (``matching``).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from quimbi_assets.actions.rules import EFFECTS, OUTREACH
from quimbi_assets.audiences.filters import EVERYBODY, Query
from quimbi_assets.resources.postgres.database import Database, lock

if TYPE_CHECKING:
    import pandas as pd

CONTACTABLE = """NOT EXISTS (
    SELECT FROM quimbi.customer_consent AS consent WHERE consent.store_id = profile.store_id
        AND consent.customer_id = profile.customer_id AND (consent.suppressed OR NOT consent.accepts_marketing)
    UNION ALL SELECT FROM quimbi.customer_identities AS identity
    JOIN quimbi.suppressed_keys AS suppressed USING (store_id, key_hash)
    WHERE identity.store_id = profile.store_id AND identity.customer_id = profile.customer_id)"""
"""Condition over ``profile``: nothing that is recorded, of the customer or an address of theirs, forbids to write."""

BARRED = """
    SELECT customer_id FROM quimbi.customer_consent AS consent
    WHERE consent.store_id = %(store)s AND (consent.suppressed OR NOT consent.accepts_marketing)
    UNION SELECT identity.customer_id FROM quimbi.customer_identities AS identity
    JOIN quimbi.suppressed_keys AS suppressed USING (store_id, key_hash) WHERE identity.store_id = %(store)s
"""
"""The customers of a store who are not :data:`CONTACTABLE`, all at once: looked up one by one, 27,000 take a second."""

WITHHELD = (
    f"""UPDATE quimbi.customer_actions SET {", ".join(f"{one} = NULL" for one in OUTREACH)}
        WHERE store_id = %(store)s AND coalesce({", ".join(OUTREACH)}) IS NOT NULL AND customer_id IN ({BARRED})""",
    f"""DELETE FROM quimbi.customer_actions
        WHERE store_id = %(store)s AND coalesce({", ".join(EFFECTS)}) IS NULL""",
)
"""What rules decided goes where it reaches out to who may not be written to: until the next run programs read it."""


def withhold_outreach(cursor: Any, store_id: str) -> None:
    """Take campaign, message and export from those who may not be written to by now; who answers them stays."""
    from quimbi_assets.resources.postgres.copy import by_hashing  # which imports Arrow: whoever reads does without

    lock(cursor, f"actions:{store_id}")  # what is being decided may be by what was recorded before
    by_hashing(cursor)
    for statement in WITHHELD:
        cursor.execute(statement, {"store": store_id})


class RowConsent:
    """What each row of a list says of consent, in a temporary table of the load's transaction."""

    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor
        columns = "row_no bigint, accepts_marketing boolean, suppressed boolean"
        cursor.execute(f"CREATE TEMP TABLE row_consent ({columns}) ON COMMIT DROP")

    def add(self, frame: "pd.DataFrame") -> None:
        """Add rows under the file's names, indexed by position in the file; those that say nothing are left out."""
        from quimbi_assets.ingest.consent import read_consent
        from quimbi_assets.resources.postgres.copy import copy_frame

        rows = read_consent(frame).dropna(how="all")
        copy_frame(self._cursor, "row_consent", rows.rename_axis("row_no").reset_index())

    def keep_addresses(self, store_id: str, keys_table: str) -> int:
        """Keep the keys (table of ``RowKeys``) of the suppressed, whoever has them, now or later; return how many."""
        self._cursor.execute(
            f"DELETE FROM quimbi.suppressed_keys USING {keys_table} AS keys JOIN row_consent USING (row_no) "
            "WHERE suppressed_keys.store_id = %(store)s AND suppressed_keys.key_hash = keys.key_hash "
            "AND NOT suppressed; "
            "INSERT INTO quimbi.suppressed_keys (store_id, key_hash) "
            f"SELECT DISTINCT %(store)s, key_hash FROM {keys_table} JOIN row_consent USING (row_no) "
            "WHERE suppressed AND key_hash IS NOT NULL ON CONFLICT DO NOTHING",
            {"store": store_id},
        )
        self._cursor.execute("SELECT count(*) FROM row_consent WHERE suppressed")
        return int(self._cursor.fetchone()[0])

    def keep(self, store_id: str) -> tuple[int, int, int]:
        """Keep it of the customers whom rows met (table ``met``); return how many agreed, did not, are suppressed.

        Of several rows of a customer one no is a no. What the list does not say of a customer stays as it was.
        """
        self._cursor.execute(
            """
            WITH told AS (
                SELECT met.customer_id, bool_and(accepts_marketing) AS accepts, bool_or(suppressed) AS suppressed
                FROM row_consent JOIN met USING (row_no) GROUP BY met.customer_id
            ), written AS (
                INSERT INTO quimbi.customer_consent AS stored (store_id, customer_id, accepts_marketing, suppressed)
                SELECT %s, customer_id, accepts, suppressed FROM told
                ON CONFLICT (store_id, customer_id) DO UPDATE SET
                    accepts_marketing = coalesce(EXCLUDED.accepts_marketing, stored.accepts_marketing),
                    suppressed = coalesce(EXCLUDED.suppressed, stored.suppressed), recorded_at = now()
            )
            SELECT count(*) FILTER (WHERE accepts), count(*) FILTER (WHERE NOT accepts),
                count(*) FILTER (WHERE suppressed) FROM told
            """,
            (store_id,),
        )
        agreed, refused, suppressed = self._cursor.fetchone()
        return int(agreed), int(refused), int(suppressed)


@dataclass(frozen=True)
class ConsentCounts:
    """Of a store's profiled customers: who agreed, who did not, who is suppressed, of whom nothing is recorded."""

    agreed: int
    not_agreed: int
    suppressed: int
    unknown: int

    def words(self, *, listed: bool = False) -> str:
        """Say who is left out, and of whom nothing is known; ``listed``: a list of contacts may forbid some, too."""
        if listed and not (self.agreed or self.not_agreed or self.suppressed):
            return (
                "left out: whom the list of contacts forbids; quimbi load --customers F would record it for every list"
            )
        if not (self.agreed or self.not_agreed or self.suppressed):
            return "nobody is left out for consent: none is recorded; quimbi load --customers F takes accepts_marketing and suppressed"  # noqa: E501
        unknown = f"; of {self.unknown:,} nothing is recorded, they are in it" if self.unknown else ""
        return f"left out: {self.not_agreed:,} who did not agree to marketing, {self.suppressed:,} suppressed{unknown}"


def read_consent_counts(database: Database, store_id: str, query: Query = EVERYBODY) -> ConsentCounts:
    """Count those whom a filter chooses by what is recorded of their consent; the suppressed are counted once."""
    sql = """
        SELECT count(*) FILTER (WHERE accepts_marketing AND NOT coalesce(suppressed, false)),
            count(*) FILTER (WHERE NOT accepts_marketing AND NOT coalesce(suppressed, false)),
            count(*) FILTER (WHERE suppressed),
            count(*) FILTER (WHERE accepts_marketing IS NULL AND NOT coalesce(suppressed, false))
        FROM quimbi.customer_profiles AS profile LEFT JOIN quimbi.customer_consent AS consent
            ON consent.store_id = profile.store_id AND consent.customer_id = profile.customer_id
        WHERE profile.store_id = %(store)s AND ({condition})
    """
    parameters = {"store": store_id, **query.parameters}
    ((agreed, not_agreed, suppressed, unknown),) = database.execute(
        store_id, sql.format(condition=query.condition), parameters
    )
    return ConsentCounts(agreed, not_agreed, suppressed, unknown)
