"""Whose the rows of a file are: every key they carry is tried, and the one that meets the store's orders best is taken.

Belongs here: matching tickets and lists of customers with the customers of orders. Does not: the keys that are known
of customers (``tables.identities``), what is loaded when (``loading``).
"""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from quimbi_assets.ingest.keys import HELPDESK, comparable, keyed_hashes, without_addresses
from quimbi_assets.ingest.tables import LONGEST_ID
from quimbi_assets.resources.postgres.copy import by_hashing, copy_frame
from quimbi_assets.resources.postgres.tables.identities import OWN_KEY, address_hashes, hides_addresses, keep_identities


class RowKeys:
    """The keys that say whose each row of a file is, in a temporary table of the load's transaction.

    `table` is the one the file becomes, `sources` are its columns with keys → kind of key. Where a list of customers is
    loaded too, it is known before these rows are matched (`with_customers`).
    """

    def __init__(
        self,
        cursor: Any,
        table: str,
        sources: dict[str, str],
        secret: bytes,
        store_id: str,
        with_customers: bool = False,
    ) -> None:
        self.table, self.sources = f"keys_of_{table}", sources
        cursor.execute(
            "SELECT EXISTS (SELECT FROM quimbi.customer_identities WHERE store_id = %s AND kind <> 'email')",
            (store_id,),
        )
        # An id that stands alone can only be the orders' own, as long as no other ids are known.
        self._hashes_ids = with_customers or len(sources) > 1 or cursor.fetchone()[0]
        self._cursor, self._secret, self._hides = cursor, secret, hides_addresses(cursor, store_id)
        columns = "row_no bigint, source int, value text, key_hash bytea, sha256_hash bytea"
        cursor.execute(f"CREATE TEMP TABLE {self.table} ({columns}) ON COMMIT DROP")

    def add(self, keys: pd.DataFrame) -> None:
        """Add rows: (n, n_sources) text under the file's names, indexed by position in the file."""
        for position, (source, kind) in enumerate(self.sources.items()):
            values = comparable(keys[source], kind).dropna()
            values = values[values.str.len() <= LONGEST_ID]  # a longer one is no customer's
            if self._hides and kind != "email":
                values = without_addresses(values, self._secret)
            rows = pd.DataFrame({"row_no": values.index, "source": position, "value": values})
            if kind == "email":
                rows = rows.assign(**address_hashes(values, self._secret))
            elif self._hashes_ids:
                rows["key_hash"] = r"\x" + keyed_hashes(values, self._secret)
            copy_frame(self._cursor, self.table, rows.drop(columns="value") if kind == "email" else rows)


@dataclass(frozen=True)
class Match:
    """How rows find their customers."""

    source: str
    """The file's column that meets most."""
    way: str
    """``direct``: it is the orders' own key of a customer; else the kind of identity it is met through."""
    trusted: list[tuple[int, str]]
    """(position of the source, way) by which rows are met, best first."""

    @property
    def is_guess(self) -> bool:
        """Whether ids alone say whose the rows are: no address and no list confirms that they are the shop's."""
        return {way for _, way in self.trusted} == {"direct"}


_WAYS = """
    CREATE TEMP TABLE ways ON COMMIT DROP AS
    WITH known AS MATERIALIZED (
        SELECT DISTINCT customer_id FROM quimbi.orders WHERE store_id = %(store)s AND customer_id IS NOT NULL
    )
    SELECT row_no, source, 'direct' AS way, value AS customer_id, true AS has_orders
    FROM {keys} JOIN known ON known.customer_id = value
    UNION ALL
    SELECT row_no, source, kind, identity.customer_id, known.customer_id IS NOT NULL
    FROM {keys} own
    JOIN quimbi.customer_identities identity ON identity.store_id = %(store)s
        AND identity.key_hash = own.key_hash AND (kind = 'email') = (value IS NULL)
    LEFT JOIN known ON known.customer_id = identity.customer_id
"""
"""Each row's customers: by which column, and whether as the orders' own key or through which kind of identity."""

_TRUSTED_WAYS = """
    WITH by_address AS (
        SELECT row_no, min(customer_id) AS said FROM ways WHERE way = 'email' AND has_orders GROUP BY row_no
    ), by_list AS (
        SELECT row_no, source, 'direct' AS way, min(customer_id) AS listed
        FROM ways WHERE way = %(helpdesk)s AND has_orders AND source = ANY(%(of_helpdesk)s) GROUP BY row_no, source
    )
    SELECT source, way
    FROM ways LEFT JOIN by_address USING (row_no) LEFT JOIN by_list USING (row_no, source, way) WHERE has_orders
    GROUP BY source, way
    HAVING way = 'email' OR
        2 * count(*) FILTER (WHERE coalesce(said, listed) = customer_id) >= count(coalesce(said, listed))
    ORDER BY way = %(helpdesk)s, count(*) DESC, source, way = 'direct' DESC
"""
"""Ways by which rows meet customers, best first.

Ids of two systems may agree by chance, addresses do not: ids are trusted only if, where a row's address says who it is,
they mostly say the same; a column that is called the helpdesk's also, where its ids are known as such, and only of ids
that are not. A helpdesk's ids, known by other rows' addresses, come last, so that the same file says the same again.
"""


def match_rows(cursor: Any, store_id: str, keys: RowKeys, is_list: bool = False) -> Match | None:
    """Find by which column the rows of `keys` meet the customers of the store's orders best; None if none does.

    Who each row is, is in the temporary table ``met(row_no, customer_id, has_orders)``. In a list of customers one
    column is the orders' own key: what ids of others have in common with it is chance.
    """
    cursor.execute(f"ANALYZE {keys.table}; DROP TABLE IF EXISTS ways, met")
    by_hashing(cursor)
    cursor.execute(_WAYS.format(keys=keys.table), {"store": store_id})
    of_helpdesk = [source for source, kind in enumerate(keys.sources.values()) if kind == HELPDESK]
    cursor.execute(_TRUSTED_WAYS, {"helpdesk": HELPDESK, "of_helpdesk": of_helpdesk})
    trusted = cursor.fetchall()
    listed = [source for source, way in trusted if way == HELPDESK and source in of_helpdesk]
    trusted.sort(key=lambda met: met[1] == "direct" and met[0] in listed)
    if is_list:
        orders_key = sorted((source for source, way in trusted if way == "direct"), key=of_helpdesk.__contains__)[:1]
        trusted = [(source, way) for source, way in trusted if way != "direct" or source in orders_key]
    if not trusted:
        return None
    ranks = ", ".join(f"({source}, '{way}', {rank})" for rank, (source, way) in enumerate(trusted))
    cursor.execute(
        f"""
        CREATE TEMP TABLE met ON COMMIT DROP AS
        SELECT DISTINCT ON (row_no) row_no, customer_id, has_orders
        FROM ways JOIN (VALUES {ranks}) AS trusted (source, way, rank) USING (source, way)
        ORDER BY row_no, has_orders DESC, rank
        """
    )
    source, way = trusted[0]
    return Match(list(keys.sources)[source], way, trusted)


def learn(cursor: Any, store_id: str, keys: RowKeys, match: Match, foreign: str | None = None) -> tuple[int, int, int]:
    """Keep the other keys of rows that met a customer, so that what carries only these meets them too.

    `foreign` is the kind of ids that are not the shop's, of a file that says of its customers no more than these; what
    is stored stays then. Without it the file is a list of customers, which is believed more than what was seen before,
    also about customers who have not ordered yet. Returned are how many keys are new, changed and the same.
    """
    kinds = _learnt_kinds(keys, match, foreign)
    if not kinds:
        return 0, 0, 0
    rows = ", ".join(f"({source}, '{kind}')" for source, kind in kinds.items())
    persons = "SELECT row_no, customer_id, 0 AS rank FROM met WHERE has_orders"
    if foreign is None:
        several = "WHERE has_orders AND source = ANY(%s) GROUP BY key_hash HAVING count(DISTINCT customer_id) > 1"
        question = f"INSERT INTO shared SELECT key_hash FROM {keys.table} JOIN met USING (row_no) {several}"
        cursor.execute(question, (list(kinds),))
    if foreign is None and match.way == "direct":
        source = list(keys.sources).index(match.source)
        persons += f" UNION ALL SELECT row_no, value, 1 FROM {keys.table} r WHERE source = {source} AND NOT EXISTS "
        persons += "(SELECT FROM met WHERE met.row_no = r.row_no AND has_orders)"
    return keep_identities(
        cursor,
        store_id,
        f"""
        SELECT DISTINCT ON (kind, key_hash) kind, key_hash, sha256_hash, customer_id
        FROM {keys.table} JOIN (VALUES {rows}) AS learnt (source, kind) USING (source) JOIN ({persons}) p USING (row_no)
        ORDER BY kind, key_hash, rank, customer_id
        """,
        overrule=foreign is None,
    )


def _learnt_kinds(keys: RowKeys, match: Match, foreign: str | None) -> dict[int, str]:
    """Return as which kind each source's keys are kept; the orders' own keys are not."""
    ways = dict(reversed(match.trusted))
    kinds = {}
    for source, kind in enumerate(keys.sources.values()):
        way = ways.get(source)
        if way != "direct":
            kinds[source] = kind if kind == "email" else (way or foreign or kind)
    return kinds


def name_writers(cursor: Any, store_id: str, staged: str, keys: RowKeys, match: Match) -> None:
    """Write into staged tickets whose each one is: the orders' customer, or a key of its own that no order has.

    `staged` is a table with ``row_no`` and ``customer_id``; what the tickets tell was learnt before.
    """
    kinds = _learnt_kinds(keys, match, HELPDESK)
    ranked = [
        (source, kinds[source], 1 if kinds[source] == "email" else 2) if source in kinds else (source, None, 0)
        for source in range(len(keys.sources))
    ]
    own_keys = ", ".join(cursor.mogrify("(%s, %s::text, %s)", row).decode() for row in ranked)
    cursor.execute(
        f"""
        INSERT INTO met
        SELECT DISTINCT ON (row_no) row_no, customer_id, true
        FROM {keys.table} own JOIN quimbi.customer_identities identity USING (key_hash)
        WHERE store_id = %s AND kind = %s AND value IS NOT NULL
            AND NOT EXISTS (SELECT FROM met WHERE met.row_no = own.row_no)
            AND EXISTS (SELECT FROM met WHERE met.customer_id = identity.customer_id AND has_orders)
        ORDER BY row_no, customer_id
        """,
        (store_id, HELPDESK),
    )
    cursor.execute(
        f"""
        UPDATE {staged} ticket SET customer_id = coalesce(met.customer_id, own.customer_id)
        FROM {staged} same LEFT JOIN met USING (row_no) LEFT JOIN (
            SELECT DISTINCT ON (row_no) row_no, CASE WHEN kind IS NULL THEN value ELSE {OWN_KEY} END AS customer_id
            FROM {keys.table} JOIN (VALUES {own_keys}) AS own (source, kind, rank) USING (source)
            ORDER BY row_no, rank, source
        ) own USING (row_no)
        WHERE ticket.row_no = same.row_no
            AND ticket.customer_id IS DISTINCT FROM coalesce(met.customer_id, own.customer_id)
        """
    )


def count_ambiguous(cursor: Any, match: Match) -> int:
    """Count rows that met the orders' own key by an id that is another customer's as the helpdesk's."""
    if match.way != "direct":
        return 0
    cursor.execute(
        """
        SELECT count(DISTINCT row_no) FROM ways own JOIN ways other USING (row_no, source)
        WHERE own.way = 'direct' AND other.way = %s AND other.has_orders AND own.customer_id <> other.customer_id
        """,
        (HELPDESK,),
    )
    return int(cursor.fetchone()[0])


def count_taken_over(cursor: Any, store_id: str, staged: str) -> tuple[int, str]:
    """Count named tickets whose id is stored with another customer and another time; with the first such id."""
    cursor.execute(
        f"""
        SELECT count(DISTINCT ticket_id), coalesce(min(ticket_id), '')
        FROM {staged} ticket JOIN quimbi.support_tickets stored USING (ticket_id)
        WHERE stored.store_id = %s AND stored.customer_id <> ticket.customer_id
            AND stored.created_at <> ticket.created_at
        """,
        (store_id,),
    )
    n, first = cursor.fetchone()
    return int(n), str(first)


def count_writers(cursor: Any, staged: str, keys: RowKeys) -> tuple[int, int, int, int, int]:
    """Count named tickets, those of customers with orders, such customers, persons who never ordered, shared keys."""
    cursor.execute(
        f"""
        SELECT count(*), count(*) FILTER (WHERE has_orders),
            count(DISTINCT ticket.customer_id) FILTER (WHERE has_orders),
            count(DISTINCT ticket.customer_id) FILTER (WHERE has_orders IS NOT TRUE),
            count(*) FILTER (WHERE row_no IN (SELECT row_no FROM {keys.table} JOIN shared USING (key_hash)))
        FROM {staged} ticket LEFT JOIN met USING (row_no)
        """
    )
    counts: tuple[int, int, int, int, int] = cursor.fetchone()
    return counts
