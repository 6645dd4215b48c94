"""Who is in an audience, since when, and who left: the tables ``audiences`` and ``audience_members``.

Belongs here: their SQL. Does not: what an audience is (``quimbi_assets.audiences``), telling others of it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa

from quimbi_assets.audiences.definitions import Audience
from quimbi_assets.audiences.filters import EVERYBODY, Query
from quimbi_assets.lift.assignment import Trial
from quimbi_assets.resources.postgres.database import Database, lock
from quimbi_assets.resources.postgres.tables.consent import CONTACTABLE
from quimbi_assets.resources.postgres.tables.customers import CHOSEN, stream, utc
from quimbi_assets.resources.postgres.tables.treatments import Group, enter, mark_acted

MEMBERS = f"""
    FROM quimbi.audience_members AS member JOIN quimbi.customer_profiles AS profile USING (store_id, customer_id)
    WHERE store_id = %(store)s AND audience = %(audience)s AND left_at IS NULL AND {CONTACTABLE}
"""
IS_CONTROL = """EXISTS (
    SELECT FROM quimbi.treatments AS treated JOIN quimbi.trials AS trial USING (store_id, subject)
    WHERE treated.store_id = member.store_id AND treated.subject = 'audience/' || member.audience
        AND treated.customer_id = member.customer_id AND treated.arm = 'control' AND trial.ended_at IS NULL)"""
"""Whether a member is held back: a trial that was ended holds nobody."""
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


FORGET = """
    DELETE FROM quimbi.audience_members
    WHERE store_id = %(store)s AND audience = %(audience)s AND left_at < now() - interval '2 years'
"""
"""Who left an audience longer ago than anybody has to know."""


def refresh_audience(database: Database, store_id: str, audience: Audience, query: Query) -> AudienceState:
    """Bring an audience up to date with the published profiles, in one transaction; the same again changes nobody.

    Whoever may not be written to is in none: who is in one leaves it.
    """
    from quimbi_assets.resources.postgres.copy import upsert  # which imports pandas: whoever reads does without

    parameters = {"store": store_id, "audience": audience.name, **query.parameters}
    chosen = CHOSEN.format(condition=f"({query.condition}) AND {CONTACTABLE}", joined="")
    with utc(database, store_id) as cursor:
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
        cursor.execute(FORGET, parameters)
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
        if audience.trial is not None and audience.is_assigned_at_once:
            _assign(cursor, store_id, audience.name, audience.trial, is_out=True)
    return AudienceState(audience.name, customers, value, entered, left, as_of, now)


def assign_members(database: Database, store_id: str, tried: Mapping[str, Trial], *, is_out: bool) -> int:
    """Let those who are in audiences enter their trials, if they have not; return how many are in control groups.

    ``is_out``: the others are acted on now.
    """
    with utc(database, store_id) as cursor:
        return sum(_assign(cursor, store_id, name, trial, is_out=is_out) for name, trial in tried.items())


def _assign(cursor: Any, store_id: str, audience: str, trial: Trial, *, is_out: bool) -> int:
    asked = {"store": store_id, "audience": audience}
    controls = enter(cursor, store_id, Group(f"audience/{audience}", trial, EVERYBODY), MEMBERS, asked)
    if is_out:
        among = f"AND customer_id IN (SELECT member.customer_id {MEMBERS})"
        mark_acted(cursor, store_id, f"audience/{audience}", among, asked)
    return controls


@dataclass(frozen=True)
class Events:
    """Entries and exits that a webhook is to be told of in one message."""

    message_id: str
    """Of the events in it: the same ones have the same."""
    body: str
    count: int
    entries: list[tuple[str, datetime]]
    """Customer and instant of entry of the stays whose entry is among them."""
    exits: list[tuple[str, datetime]]


def unsent_events(database: Database, store_id: str, audience: str, most: int) -> Events | None:
    """Return the oldest entries and exits that the webhook has not taken; or None.

    Of those who may not be written to, and of the control group, it hears exits alone, and only where it heard of the
    entry.
    """
    may = f"{CONTACTABLE.replace('profile.', 'member.')} AND NOT {IS_CONTROL}"
    entries = _unsent("enter", "entered_at", f"NOT entry_sent AND {may}")
    exits = _unsent("exit", "left_at", f"NOT exit_sent AND left_at IS NOT NULL AND (entry_sent OR {may})")
    sql = f"""
        WITH events AS (
            SELECT customer_id, entered_at, kind, at, md5(concat_ws(
                '|', %(store)s, %(audience)s, customer_id, entered_at AT TIME ZONE 'UTC', kind))::uuid AS id
            FROM ({entries} UNION ALL {exits}) AS oldest ORDER BY at, customer_id, kind LIMIT %(most)s
        )
        SELECT 'msg_' || md5(string_agg(id::text, '|' ORDER BY at, customer_id, kind)),
            json_build_object('type', 'audience.changed', 'timestamp', max(at), 'data', json_build_object(
                'store_id', %(store)s, 'audience', %(audience)s, 'events', json_agg(json_build_object(
                    'event_id', id, 'customer_id', customer_id, 'event', kind, 'at', at)
                    ORDER BY at, customer_id, kind)))::text,
            count(*), array_agg(customer_id), array_agg(entered_at), array_agg(kind)
        FROM events
    """
    with utc(database, store_id) as cursor:
        cursor.execute(sql, {"store": store_id, "audience": audience, "most": most})
        message_id, body, count, customers, entered, kinds = cursor.fetchone()
    if not count:
        return None
    stays = list(zip(customers, entered, kinds, strict=True))
    of_kind = {kind: [(customer, at) for customer, at, event in stays if event == kind] for kind in ("enter", "exit")}
    return Events(message_id, body, count, of_kind["enter"], of_kind["exit"])


def _unsent(kind: str, at: str, condition: str) -> str:
    """Return the SQL of the oldest events of a kind; there is an index of those unsent, in this order."""
    return f"""(
        SELECT customer_id, entered_at, '{kind}' AS kind, {at} AS at FROM quimbi.audience_members AS member
        WHERE store_id = %(store)s AND audience = %(audience)s AND {condition}
        ORDER BY {at}, customer_id LIMIT %(most)s)"""


def mark_sent(database: Database, store_id: str, audience: str, events: Events) -> None:
    """Note that the webhook took these events."""
    with database.transaction(store_id) as cursor:
        for column, stays in (("entry_sent", events.entries), ("exit_sent", events.exits)):
            cursor.execute(
                f"UPDATE quimbi.audience_members AS member SET {column} = true "
                "FROM unnest(%s::text[], %s::timestamptz[]) AS stay (customer_id, entered_at) "
                "WHERE member.store_id = %s AND member.audience = %s AND member.customer_id = stay.customer_id "
                "AND member.entered_at = stay.entered_at",
                ([customer for customer, _ in stays], [at for _, at in stays], store_id, audience),
            )
        among = {"customers": [customer for customer, _ in events.entries]}
        mark_acted(cursor, store_id, f"audience/{audience}", "AND customer_id = ANY(%(customers)s)", among)


def stream_membership(database: Database, store_id: str, audience: str | None) -> Iterator[pa.Table]:
    """Yield a store's rows of the view ``audience_membership``, of all audiences or one, without control groups."""
    sql = """
        SELECT * FROM quimbi.audience_membership
        WHERE ht_split_group IS DISTINCT FROM 'control' AND ht_audience_id = ANY(
            SELECT DISTINCT store_id || '.' || audience FROM quimbi.audience_members
            WHERE store_id = %(store)s AND audience = coalesce(%(audience)s, audience))
        ORDER BY ht_timestamp, ht_audience_id, ht_row_id, ht_event_type
    """
    return stream(database, store_id, sql, {"store": store_id, "audience": audience})


def read_audiences(database: Database, store_id: str) -> dict[str, AudienceState]:
    """Return the audiences of a store that were ever brought up to date, by name."""
    columns = "audience, customers, value, entered, left_it, as_of, refreshed_at"
    sql = f"SELECT {columns} FROM quimbi.audiences WHERE store_id = %s"
    return {row[0]: AudienceState(*row) for row in database.execute(store_id, sql, (store_id,))}
