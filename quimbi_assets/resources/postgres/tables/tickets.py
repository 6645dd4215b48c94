"""Tickets as a helpdesk lists them, page by page: whose they are, what became of them, and how many met a customer.

Belongs here: writing pages into ``support_tickets``, the tables ``ticket_reopenings`` and ``helpdesk_customers``. Does
not: shapes of a helpdesk's (``ingest.gorgias``), pulling (``resources.gorgias``), files of tickets (``loading``).

A page may come again, and in any order with others: it is stored once. Tickets of a writer who met no order have the
customer id ``email:...`` or ``helpdesk_id:...`` (``identities.OWN_KEY``), by which they are adopted later.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pandas as pd

from quimbi_assets.ingest.gorgias import TICKET
from quimbi_assets.ingest.keys import HELPDESK, comparable, keyed_hashes
from quimbi_assets.resources.postgres.copy import copy_frame
from quimbi_assets.resources.postgres.database import Database
from quimbi_assets.resources.postgres.tables.identities import OWN_KEY, address_hashes, adopt_tickets, keep_identities
from quimbi_assets.resources.postgres.tables.personal import read_erased
from quimbi_assets.resources.postgres.tables.stores import store_currency
from quimbi_assets.store import Store

_STAGED = """
    CREATE TEMP TABLE sent_tickets (
        ticket_id text, created_at timestamptz, channel text, status text, priority text, subject text, tags text,
        resolved_at timestamptz, helpdesk_id text, helpdesk_hash bytea, key_hash bytea, sha256_hash bytea,
        shop_id text, customer_id text, met boolean
    ) ON COMMIT DROP
"""
_WHOSE = """
    UPDATE sent_tickets AS sent SET met = who.customer_id IS NOT NULL, customer_id = coalesce(who.customer_id,
        'email:' || left(encode(sent.key_hash, 'hex'), 32),
        '{helpdesk}:' || left(encode(sent.helpdesk_hash, 'hex'), 32))
    FROM sent_tickets AS same LEFT JOIN LATERAL (
        SELECT coalesce(
            (SELECT o.customer_id FROM quimbi.orders AS o
             WHERE o.store_id = %(store)s AND o.customer_id = same.shop_id LIMIT 1),
            (SELECT i.customer_id FROM quimbi.customer_identities AS i
             WHERE i.store_id = %(store)s AND i.kind = 'email' AND i.key_hash = same.key_hash),
            (SELECT i.customer_id FROM quimbi.customer_identities AS i
             WHERE i.store_id = %(store)s AND i.kind = '{helpdesk}' AND i.key_hash = same.helpdesk_hash)
        ) AS customer_id
    ) AS who ON true
    WHERE same.ticket_id = sent.ticket_id
"""
_LEARNT = """
    SELECT DISTINCT ON (kind, key_hash) kind, key_hash, sha256_hash, customer_id FROM (
        SELECT '{helpdesk}' AS kind, helpdesk_hash AS key_hash, NULL::bytea AS sha256_hash, customer_id
        FROM sent_tickets WHERE met AND helpdesk_hash IS NOT NULL
        UNION ALL
        SELECT 'email', key_hash, sha256_hash, customer_id FROM sent_tickets
        WHERE met AND key_hash IS NOT NULL AND customer_id = shop_id
    ) AS learnt ORDER BY kind, key_hash, customer_id
"""
_COUNT = "(SELECT count(*) FROM quimbi.ticket_reopenings AS r WHERE r.store_id = %(store)s AND r.ticket_id = {of})"
_MERGE = """
    WITH written AS (
        INSERT INTO quimbi.support_tickets AS stored (store_id, customer_id, {columns}, reopen_count)
        SELECT %(store)s, customer_id, {columns}, {count} FROM sent_tickets AS sent
        ON CONFLICT (store_id, ticket_id) DO UPDATE
        SET customer_id = EXCLUDED.customer_id, reopen_count = EXCLUDED.reopen_count, {changes}
        WHERE (stored.customer_id, stored.reopen_count, {ours}) IS DISTINCT FROM
            (EXCLUDED.customer_id, EXCLUDED.reopen_count, {theirs})
        RETURNING ticket_id, stored.xmax = 0 AS is_new
    )
    SELECT array_agg(ticket_id ORDER BY ticket_id) FILTER (WHERE is_new), count(*) FILTER (WHERE NOT is_new)
    FROM written
"""
_FIRST = """
    UPDATE quimbi.support_tickets AS stored SET first_response_at = sent.at FROM {rows} AS sent
    WHERE store_id = %(store)s AND stored.ticket_id = sent.ticket_id
        AND (first_response_at IS NULL OR first_response_at > sent.at)
"""
_RATED = """
    UPDATE quimbi.support_tickets AS stored SET satisfaction_score = sent.score FROM {rows} AS sent
    WHERE store_id = %(store)s AND stored.ticket_id = sent.ticket_id
        AND satisfaction_score IS DISTINCT FROM sent.score
"""
_REOPENED = """
    INSERT INTO quimbi.ticket_reopenings (store_id, event_id, ticket_id, at)
    SELECT %(store)s, event_id, ticket_id, at FROM {rows} AS sent ON CONFLICT DO NOTHING
"""
_RECOUNTED = f"""
    UPDATE quimbi.support_tickets AS stored SET reopen_count = n FROM (
        SELECT ticket_id, {_COUNT.format(of="sent.ticket_id")} AS n
        FROM (SELECT DISTINCT ticket_id FROM {{rows}}) AS sent
    ) AS counted
    WHERE store_id = %(store)s AND stored.ticket_id = counted.ticket_id AND reopen_count IS DISTINCT FROM n
"""
_MET = """
    SELECT count(*), count(*) FILTER (WHERE known.customer_id IS NOT NULL), count(DISTINCT known.customer_id),
        count(DISTINCT t.customer_id) FILTER (WHERE known.customer_id IS NULL),
        count(*) FILTER (WHERE t.customer_id IS NULL)
    FROM quimbi.support_tickets AS t LEFT JOIN (
        SELECT DISTINCT customer_id FROM quimbi.orders WHERE store_id = %(store)s AND customer_id IS NOT NULL
    ) AS known ON known.customer_id = t.customer_id
    WHERE t.store_id = %(store)s
"""


@dataclass(frozen=True)
class Written:
    """What a page changed."""

    new: int = 0
    changed: int = 0
    removed: int = 0
    new_ids: tuple[str, ...] = ()
    """Of a page of tickets; a sum has none."""

    def __add__(self, other: "Written") -> "Written":
        """Return both together."""
        return Written(self.new + other.new, self.changed + other.changed, self.removed + other.removed)

    def __bool__(self) -> bool:
        """Whether anything is not as before."""
        return bool(self.new or self.changed or self.removed)


@dataclass(frozen=True)
class Meeting:
    """How a store's tickets meet the customers of its orders."""

    tickets: int
    of_customers: int
    """Tickets whose writer has orders."""
    customers: int
    strangers: int
    """Writers who have none, or are not known to."""
    nameless: int
    """Tickets without any writer."""

    @property
    def share(self) -> float | None:
        """Share of the tickets that belong to a customer with orders, 0-1; None without tickets."""
        return self.of_customers / self.tickets if self.tickets else None

    def line(self) -> str:
        """Say it in a line."""
        if not self.tickets:
            return "no tickets"
        known = f"{self.of_customers:,} of {self.tickets:,} tickets ({self.share:.0%}) belong to {self.customers:,} "
        others = f"customers with orders; {self.strangers:,} writers meet no order"
        nameless = f", {self.nameless:,} tickets name nobody" if self.nameless else ""
        return known + others + nameless


def write_tickets(cursor: Any, store_id: str, rows: pd.DataFrame, secret: bytes) -> Written:
    """Store a page of tickets as ``gorgias.ticket_rows`` has them; what is left out goes to the quarantine by its id.

    A stored ticket that is left out by now is removed. Whoever is met by address or by the shop's id is met by the
    helpdesk's from now on. Tickets of customers who were erased are as if they were not there.
    """
    kinds = {"shop_id": "customer_id", "helpdesk_id": HELPDESK, "email": "email"}
    if erased := read_erased(cursor, store_id, secret):
        rows = rows[~erased.name(rows, kinds)]
    left_out = rows["left_out"].notna()
    removed = _leave_out(cursor, store_id, rows["ticket_id"], rows.loc[left_out, ["ticket_id", "left_out"]])
    _stage(cursor, rows[~left_out], secret)
    asked = {"store": store_id}
    cursor.execute(_WHOSE.format(helpdesk=HELPDESK), asked)
    keep_identities(cursor, store_id, _LEARNT.format(helpdesk=HELPDESK), overrule=False)
    cursor.execute(
        "INSERT INTO quimbi.helpdesk_customers AS stored (store_id, helpdesk_id, customer_id) "
        "SELECT DISTINCT ON (helpdesk_id) %(store)s, helpdesk_id, customer_id FROM sent_tickets "
        "WHERE helpdesk_id IS NOT NULL ORDER BY helpdesk_id, met DESC "
        "ON CONFLICT (store_id, helpdesk_id) DO UPDATE SET customer_id = EXCLUDED.customer_id "
        "WHERE stored.customer_id <> EXCLUDED.customer_id",
        asked,
    )
    columns = ", ".join(TICKET)
    changes = ", ".join(f"{name} = EXCLUDED.{name}" for name in TICKET)
    ours, theirs = (", ".join(f"{side}.{name}" for name in TICKET) for side in ("stored", "EXCLUDED"))
    count = _COUNT.format(of="sent.ticket_id")
    cursor.execute(_MERGE.format(columns=columns, changes=changes, ours=ours, theirs=theirs, count=count), asked)
    new_ids, changed = cursor.fetchone()
    cursor.execute("DROP TABLE sent_tickets")
    return Written(len(new_ids or ()), int(changed), removed, tuple(new_ids or ()))


def _stage(cursor: Any, rows: pd.DataFrame, secret: bytes) -> None:
    """Copy tickets into a temporary table, addresses and ids of who wrote as hashes beside Gorgias's own number."""
    addresses = comparable(rows["email"], "email")
    staged = rows[[*TICKET, "helpdesk_id", "shop_id"]].assign(**address_hashes(addresses, secret))
    staged["helpdesk_hash"] = r"\x" + keyed_hashes(rows["helpdesk_id"], secret)
    cursor.execute(_STAGED)
    copy_frame(cursor, "sent_tickets", staged)


def _leave_out(cursor: Any, store_id: str, ids: pd.Series, left_out: pd.DataFrame) -> int:
    """Keep in the quarantine which tickets of a page are left out, and why; return how many were stored before."""
    kept_as = "jsonb_build_object('ticket_id', ticket_id)"
    cursor.execute(
        f"DELETE FROM quimbi.quarantined_rows USING unnest(%s::text[]) AS sent (ticket_id) WHERE store_id = %s "
        f"AND \"table\" = 'support_tickets' AND row_md5 = md5({kept_as}::text) AND reason LIKE 'left out: %%'",
        (ids.tolist(), store_id),
    )
    if left_out.empty:
        return 0
    which = (left_out["ticket_id"].tolist(), left_out["left_out"].tolist())
    cursor.execute(
        'INSERT INTO quimbi.quarantined_rows (store_id, "table", row_md5, reason, "row") '
        f"SELECT %s, 'support_tickets', md5({kept_as}::text), reason, {kept_as} "
        "FROM unnest(%s::text[], %s::text[]) AS sent (ticket_id, reason) ON CONFLICT DO NOTHING",
        (store_id, *which),
    )
    cursor.execute(
        "DELETE FROM quimbi.support_tickets WHERE store_id = %s AND ticket_id = ANY(%s)", (store_id, which[0])
    )
    return int(cursor.rowcount)


def is_stored(cursor: Any, store_id: str, ticket_id: str) -> bool:
    """Tell whether a store has a ticket."""
    cursor.execute(
        "SELECT EXISTS (SELECT FROM quimbi.support_tickets WHERE store_id = %s AND ticket_id = %s)",
        (store_id, ticket_id),
    )
    return bool(cursor.fetchone()[0])


def write_responses(cursor: Any, store_id: str, rows: pd.DataFrame) -> Written:
    """Note when tickets were first answered: ``ticket_id, at``; the earliest of all pages counts."""
    return Written(changed=_with_rows(cursor, store_id, "ticket_id text, at timestamptz", rows, [_FIRST]))


def write_reopenings(cursor: Any, store_id: str, rows: pd.DataFrame) -> Written:
    """Note when tickets were opened again: ``event_id, ticket_id, at``; an event counts once."""
    columns = "event_id text, ticket_id text, at timestamptz"
    return Written(changed=_with_rows(cursor, store_id, columns, rows, [_REOPENED, _RECOUNTED]))


def write_ratings(cursor: Any, store_id: str, rows: pd.DataFrame) -> Written:
    """Note how tickets were rated: ``ticket_id, score``."""
    return Written(changed=_with_rows(cursor, store_id, "ticket_id text, score double precision", rows, [_RATED]))


def _with_rows(cursor: Any, store_id: str, columns: str, rows: pd.DataFrame, statements: Sequence[str]) -> int:
    """Run statements on rows in a temporary table; return how many rows the last one changed."""
    if rows.empty:
        return 0
    cursor.execute(f"CREATE TEMP TABLE sent_rows ({columns}) ON COMMIT DROP")
    copy_frame(cursor, "sent_rows", rows)
    for statement in statements:
        cursor.execute(statement.format(rows="sent_rows"), {"store": store_id})
    changed = cursor.rowcount
    cursor.execute("DROP TABLE sent_rows")
    return int(changed)


def adopt_writers(cursor: Any, store_id: str, home: Path) -> int:
    """Give tickets, and writers, whose customer is known by now that customer; return how many tickets."""
    n_adopted = adopt_tickets(cursor, store_id, home)
    cursor.execute(
        f"UPDATE quimbi.helpdesk_customers AS who SET customer_id = known.customer_id FROM ("
        f"SELECT {OWN_KEY} AS own_key, customer_id FROM quimbi.customer_identities WHERE store_id = %(store)s"
        ") AS known WHERE who.store_id = %(store)s AND who.customer_id = known.own_key",
        {"store": store_id},
    )
    return n_adopted


def unknown_writers(cursor: Any, store_id: str, most: int) -> list[str]:
    """Return helpdesk's ids of writers who meet no order and were not looked up yet, who wrote most first."""
    cursor.execute(
        """
        SELECT who.helpdesk_id FROM quimbi.helpdesk_customers AS who
        JOIN quimbi.support_tickets AS t ON t.store_id = who.store_id AND t.customer_id = who.customer_id
        WHERE who.store_id = %s AND who.looked_up_at IS NULL AND who.customer_id ~ '^(email|helpdesk_id):[0-9a-f]{32}$'
        GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT %s
        """,
        (store_id, most),
    )
    return [helpdesk_id for (helpdesk_id,) in cursor.fetchall()]


def learn_writer(
    cursor: Any, store_id: str, ids: Sequence[str], shop_id: str | None, addresses: Sequence[str], secret: bytes
) -> bool:
    """Note what a helpdesk knows of one writer: all ids (of merged ones, too), the shop's id, all addresses.

    Returned is whether the writer is a customer with orders; then each of these keys meets them from now on.
    """
    cursor.execute(
        "UPDATE quimbi.helpdesk_customers SET looked_up_at = now() WHERE store_id = %s AND helpdesk_id = ANY(%s)",
        (store_id, list(ids)),
    )
    emails = comparable(pd.Series(list(addresses), dtype="str"), "email").dropna()
    keys = pd.DataFrame({"kind": "email", **address_hashes(emails, secret)})
    helpdesk = r"\x" + keyed_hashes(pd.Series(list(ids), dtype="str"), secret)
    keys = pd.concat([keys, pd.DataFrame({"kind": HELPDESK, "key_hash": helpdesk})], ignore_index=True)
    cursor.execute("CREATE TEMP TABLE writer_keys (kind text, key_hash bytea, sha256_hash bytea) ON COMMIT DROP")
    copy_frame(cursor, "writer_keys", keys)
    cursor.execute(
        """
        SELECT customer_id FROM (
            SELECT customer_id, 0 AS rank FROM quimbi.orders WHERE store_id = %(store)s AND customer_id = %(shop)s
            UNION ALL
            SELECT customer_id, 1 FROM quimbi.customer_identities JOIN writer_keys USING (kind, key_hash)
            WHERE store_id = %(store)s
        ) AS met ORDER BY rank, customer_id LIMIT 1
        """,
        {"store": store_id, "shop": shop_id},
    )
    met = cursor.fetchone()
    if met is not None:
        customer = cursor.mogrify("%s", met).decode()
        pairs = f"SELECT DISTINCT kind, key_hash, sha256_hash, {customer}::text AS customer_id FROM writer_keys"
        keep_identities(cursor, store_id, pairs, overrule=False)
    cursor.execute("DROP TABLE writer_keys")
    return met is not None


def count_meetings(cursor: Any, store_id: str) -> Meeting:
    """Count a store's tickets by whether their writer has orders."""
    cursor.execute(_MET, {"store": store_id})
    return Meeting(*map(int, cursor.fetchone()))


def count_left_out(cursor: Any, store_id: str) -> dict[str, int]:
    """Return how many tickets of a helpdesk's are left out, by why."""
    cursor.execute(
        "SELECT reason, count(*) FROM quimbi.quarantined_rows WHERE store_id = %s AND \"table\" = 'support_tickets' "
        "AND reason LIKE 'left out: %%' GROUP BY 1 ORDER BY 2 DESC, 1",
        (store_id,),
    )
    return {reason.removeprefix("left out: "): int(n) for reason, n in cursor.fetchall()}


_WHOLE_WEEKS = """
    SELECT date_trunc('week', least(
        (SELECT max(order_date) FROM quimbi.orders WHERE store_id = %(store)s),
        (SELECT max(created_at) FROM quimbi.support_tickets WHERE store_id = %(store)s)
    ) AT TIME ZONE time_zone + interval '1 day')::date FROM quimbi.stores WHERE store_id = %(store)s
"""
"""The Monday up to which both orders and tickets are known; NULL: the store has none of one."""
_BY_GROUP = """
    WITH stored_orders AS (SELECT * FROM quimbi.orders WHERE store_id = %(store)s),
    placed AS (
        SELECT customer_id, place.value AS group_id, store.time_zone
        FROM quimbi.customer_profiles AS profile JOIN quimbi.stores AS store USING (store_id),
            jsonb_each_text(jsonb_strip_nulls(coalesce(dominant_segments, '{{}}')
                || jsonb_build_object('lifecycle', lifecycle, 'value_tier', value_tier))) AS place
        WHERE profile.store_id = %(store)s AND place.key = %(axis)s
    ), happened AS (
        SELECT customer_id, order_date AS at, 1 AS orders, 0 AS tickets, NULL::float AS rating
        FROM ({judged}) AS judged WHERE reason IS NULL
        UNION ALL
        SELECT customer_id, created_at, 0, 1, satisfaction_score FROM quimbi.support_tickets WHERE store_id = %(store)s
    ), dated AS (
        SELECT group_id, orders, tickets, rating,
            (%(until)s::date - 1 - (at AT TIME ZONE time_zone)::date) / (7 * %(weeks)s) AS span
        FROM placed JOIN happened USING (customer_id)
        WHERE (at AT TIME ZONE time_zone)::date < %(until)s::date
    ), counted AS (
        SELECT group_id, span, sum(orders) AS orders, sum(tickets) AS tickets, count(rating) AS ratings,
            100.0 * sum(tickets)::float / nullif(sum(orders), 0)::float AS often, avg(rating) AS rating
        FROM dated WHERE span < 2 GROUP BY 1, 2
    )
    SELECT coalesce(segment_name, placed.group_id), coalesce(now.orders, 0)::bigint, coalesce(now.tickets, 0)::bigint,
        now.often, coalesce(now.ratings, 0)::bigint, now.rating, before.often, before.rating
    FROM (SELECT DISTINCT group_id FROM placed) AS placed
    LEFT JOIN counted AS now ON now.group_id = placed.group_id AND now.span = 0
    LEFT JOIN counted AS before ON before.group_id = placed.group_id AND before.span = 1
    LEFT JOIN quimbi.dim_segment_master AS segment ON segment.store_id = %(store)s AND axis_name = %(axis)s
        AND segment_id = placed.group_id AND valid_to IS NULL
    ORDER BY now.often DESC NULLS LAST, 1
"""


@dataclass(frozen=True)
class Support:
    """How much a segment wrote to support in some weeks, and how it rated it."""

    name: str
    orders: int
    tickets: int
    tickets_per_100_orders: float | None
    ratings: int
    mean_rating: float | None
    tickets_per_100_orders_before: float | None
    """Of as many weeks before these; None: no orders then."""
    mean_rating_before: float | None


def last_whole_week(database: Database, store_id: str) -> date | None:
    """Return the last Sunday up to which both orders and tickets of a store are known; None without either.

    Whichever ends earlier decides: beyond it, what was written would be set against orders that are not loaded yet.
    """
    ((monday,),) = database.execute(store_id, _WHOLE_WEEKS, {"store": store_id})
    return None if monday is None else monday - timedelta(days=1)


def read_support(database: Database, store: Store, axis: str, weeks: int, last_day: date) -> list[Support]:
    """Return what each segment of an axis, ``lifecycle`` or ``value_tier`` wrote in the weeks up to a day, most first.

    Orders count by the store's policy.
    """
    from quimbi_assets.ingest.policy import judged_orders_sql  # imports Ibis, 0.5 s

    currency = store.policy.currency or store_currency(database, store.store_id)
    judged = judged_orders_sql(store.policy, currency).replace("%", "%%")
    asked = {"store": store.store_id, "axis": axis, "weeks": weeks, "until": last_day + timedelta(days=1)}
    return [Support(*row) for row in database.execute(store.store_id, _BY_GROUP.format(judged=judged), asked)]
