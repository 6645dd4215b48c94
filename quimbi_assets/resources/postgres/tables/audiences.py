"""Who is in an audience, since when, and who left: the tables ``audiences`` and ``audience_members``.

Belongs here: their SQL. Does not: what an audience is (``quimbi_assets.audiences``), telling others of it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa

from quimbi_assets.audiences.definitions import Audience
from quimbi_assets.audiences.filters import Query
from quimbi_assets.resources.postgres.copy import lock, upsert
from quimbi_assets.resources.postgres.database import Database
from quimbi_assets.resources.postgres.tables.consent import CONTACTABLE
from quimbi_assets.resources.postgres.tables.customers import CHOSEN, stream, utc

STILL_IN = "store_id = %(store)s AND audience = %(audience)s AND left_at IS NULL"


@dataclass(frozen=True)
class AudienceState:
    """An audience of a store as it was last brought up to date."""

    audience: str
    customers: int
    value: float | None
    """What they spent; None where no spend is known."""
    entered: int
    left: int
    """Who came in, and went out, at the last time."""
    as_of: datetime | None
    refreshed_at: datetime | None


def refresh_audience(database: Database, store_id: str, audience: Audience, query: Query) -> AudienceState:
    """Bring an audience up to date with the published profiles, in one transaction; the same again changes nobody."""
    parameters = {"store": store_id, "audience": audience.name, **query.parameters}
    chosen = CHOSEN.format(condition=query.condition, joined="")
    with utc(database) as cursor:
        lock(cursor, f"audience:{store_id}:{audience.name}")
        cursor.execute(
            "CREATE TEMP TABLE chosen_now ON COMMIT DROP AS "
            f"SELECT profile.customer_id, profile.lifetime_value, profile.as_of {chosen}; ANALYZE chosen_now",
            parameters,
        )
        cursor.execute(
            f"UPDATE quimbi.audience_members AS member SET left_at = now() WHERE {STILL_IN} "
            "AND NOT EXISTS (SELECT FROM chosen_now WHERE chosen_now.customer_id = member.customer_id)",
            parameters,
        )
        left = cursor.rowcount
        cursor.execute(
            "INSERT INTO quimbi.audience_members (store_id, audience, customer_id, entered_at) "
            "SELECT %(store)s, %(audience)s, customer_id, now() FROM chosen_now WHERE NOT EXISTS "
            f"(SELECT FROM quimbi.audience_members AS member WHERE {STILL_IN} "
            "AND member.customer_id = chosen_now.customer_id)",
            parameters,
        )
        entered = cursor.rowcount
        cursor.execute("SELECT count(*), sum(lifetime_value), max(as_of), now() FROM chosen_now")
        customers, value, as_of, now = cursor.fetchone()
        cursor.execute("DROP TABLE chosen_now")
        figures = {"customers": customers, "value": value, "entered": entered, "left_it": left, "as_of": as_of}
        row = {"store_id": store_id, "audience": audience.name, "filter": audience.where, **figures}
        upsert(cursor, "audiences", ("store_id", "audience"), [{**row, "refreshed_at": now}])
    return AudienceState(audience.name, customers, value, entered, left, as_of, now)


def stream_membership(database: Database, store_id: str, audience: str | None) -> Iterator[pa.Table]:
    """Yield the five columns of ``audience_membership``, of all audiences or one, without who may not be written to."""
    may = CONTACTABLE.replace("profile.", "member.")
    sql = f"""
        SELECT customer_id AS ht_row_id, store_id || '.' || audience AS ht_audience_id, at AS ht_timestamp,
            event_type AS ht_event_type, NULL::text AS ht_split_group
        FROM quimbi.audience_members AS member
        CROSS JOIN LATERAL (VALUES ('enter', entered_at), ('exit', left_at)) AS event (event_type, at)
        WHERE at IS NOT NULL AND store_id = %(store)s AND audience = coalesce(%(audience)s, audience) AND {may}
        ORDER BY at, audience, customer_id, event_type
    """
    return stream(database, sql, {"store": store_id, "audience": audience})


def read_audiences(database: Database, store_id: str) -> dict[str, AudienceState]:
    """Return the audiences of a store that were ever brought up to date, by name."""
    columns = "audience, customers, value, entered, left_it, as_of, refreshed_at"
    sql = f"SELECT {columns} FROM quimbi.audiences WHERE store_id = %s"
    return {row[0]: AudienceState(*row) for row in database.execute(sql, (store_id,))}
