"""Where in the store database a person's data rest, and whose keys were erased: one list for all that asks.

Belongs here: the list, who somebody is by an id or an address, reading and deleting their rows, the table
``erased_customers``. Does not: files, what else holds copies, receipts (``resources.erasure``).
"""

import hmac
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from quimbi_assets.errors import BadInputError
from quimbi_assets.ingest.keys import HELPDESK, SHORT, ErasedKeys, comparable, keyed_hashes
from quimbi_assets.ingest.tables import CUSTOMERS, ORDERS, SUPPORT_TICKETS
from quimbi_assets.resources.postgres.tables.identities import OWN_KEY

ERASED_VARIABLE = "QUIMBI_ERASED"
"""``refuse``: files that name somebody who was erased are refused; else their rows are left out and counted."""


@dataclass(frozen=True)
class Place:
    """A table in which rows are a person's."""

    table: str
    holds: str
    """In words, for the person."""
    whose: str = "customer_id = ANY(%(customers)s)"
    """Condition that a row is theirs, over ``store_id`` and the parameters of ``Person``."""


_OF_ORDERS = (
    "order_id IN (SELECT order_id FROM quimbi.orders WHERE store_id = %(store)s AND customer_id = ANY(%(customers)s))"
)
_OF_TICKETS = "ticket_id IN (SELECT ticket_id FROM quimbi.support_tickets WHERE store_id = %(store)s AND customer_id = ANY(%(customers)s))"  # noqa: E501
_NAMES_THEM = """EXISTS (
    SELECT FROM jsonb_each_text("row") AS cell, LATERAL (SELECT lower(btrim(cell.value)) AS text) AS read
    WHERE read.text = ANY(%(telling)s::text[])
        OR regexp_split_to_array(read.text, '[\\s,;|"''<>()]+') && %(telling)s::text[]
        OR (read.text = ANY(%(texts)s)
            AND regexp_replace(lower(cell.key), '[^a-z0-9]+', '_', 'g') = ANY(%(columns)s)))"""
PLACES = (
    Place("order_items", "lines of orders", _OF_ORDERS),
    Place("ticket_reopenings", "when tickets were opened again", _OF_TICKETS),
    Place("quarantined_rows", "rows of files that were refused and name them", _NAMES_THEM),
    Place("orders", "orders"),
    Place("support_tickets", "tickets, with subject and tags"),
    Place("customer_profiles", "the profile: segments, features, forecasts, sentences"),
    Place("customer_history", "the profile of each week"),
    Place("segment_migrations", "moves between segments"),
    Place("alert_notices", "what people were told of them"),
    Place("audience_members", "lists that they were in"),
    Place("customer_actions", "what rules say to do"),
    Place("treatments", "trials that they were in"),
    Place("export_outbox", "what waits to be sent to services, with address"),
    Place("export_profiles", "what services were sent"),
    Place("helpdesk_customers", "their number at the helpdesk"),
    Place("customer_consent", "consent to be written to"),
    Place("customer_addresses", "the address that their id is a hash of"),
    Place("suppressed_keys", "addresses, hashed, that must not be written to", "key_hash = ANY(%(emails)s)"),
    Place(
        "customer_identities",
        "other keys, hashed",
        "(customer_id = ANY(%(customers)s) OR (kind = 'email' AND key_hash = ANY(%(emails)s)))",
    ),
)
"""Every table with rows of persons, those first that are known by others' rows."""
IMPERSONAL = (
    "alembic_version", "archetypes", "audiences", "axis_models", "dim_segment_master", "drift_floors",
    "erased_customers", "export_jobs", "forecast_fits", "group_figures", "population_drift", "product_names",
    "products", "promotions", "publications", "segment_lineage", "segment_naming", "segment_renames", "sources",
    "stores", "tokens", "trials",
)  # fmt: skip
"""The others: counts, models, products, settings. Named for whoever adds a table: it belongs in one of the two."""
_KEY_COLUMNS = {
    *(name for spec, column in ((ORDERS, "order_id"), (ORDERS, "customer_id"), (SUPPORT_TICKETS, "ticket_id"))
      for name in spec.aliases[column]),
    *(name for spec in (CUSTOMERS, SUPPORT_TICKETS) for names in spec.person.values() for name in names.split()),
}  # fmt: skip


@dataclass(frozen=True)
class Person:
    """Who is meant: all that a store knows them by."""

    store_id: str
    customers: tuple[str, ...]
    """Ids of the customer, those of tickets from before they were known among them."""
    addresses: tuple[str, ...]
    """E-mails in plain letters, case-folded, where known."""
    keys: Mapping[str, frozenset[str]]
    """Hashes by kind, as ``ErasedKeys``."""
    numbers: tuple[str, ...]
    """Ids of orders and tickets."""

    @property
    def parameters(self) -> dict[str, Any]:
        """What conditions of places speak of."""
        texts = sorted({text.casefold() for text in (*self.customers, *self.addresses, *self.numbers)})
        telling = [t for t in texts if len(t) >= SHORT or not t.isdigit()]
        return {
            "store": self.store_id,
            "customers": list(self.customers),
            "emails": _binary(self.keys["email"]),
            "texts": texts,
            "telling": [t for t in telling if t not in {n.casefold() for n in self.numbers}],
            "columns": sorted(_KEY_COLUMNS),
        }

    @property
    def needles(self) -> tuple[str, ...]:
        """Texts that, wherever they stand, are this person: addresses and ids, longest first; no short number."""
        telling = {t for t in (*self.customers, *self.addresses) if len(t) >= SHORT or not t.isdigit()} - {""}
        return tuple(sorted(telling, key=lambda text: (-len(text), text)))


_BY_KEYS = """
    SELECT customer_id FROM quimbi.customer_identities
    WHERE store_id = %(store)s AND kind = 'email' AND key_hash = ANY(%(emails)s)
    UNION SELECT customer_id FROM quimbi.orders WHERE store_id = %(store)s AND lower(btrim(customer_id)) = %(folded)s
    UNION SELECT %(customer)s WHERE %(customer)s IS NOT NULL
"""
_THEIRS = "WHERE store_id = %(store)s AND customer_id = ANY(%(customers)s)"
_HIDDEN = f"SELECT email FROM quimbi.customer_addresses {_THEIRS}"
_OTHER_KEYS = f"SELECT kind, encode(key_hash, 'hex'), {OWN_KEY} FROM quimbi.customer_identities {_THEIRS}"
_AT_HELPDESK = f"SELECT helpdesk_id FROM quimbi.helpdesk_customers {_THEIRS}"
_NUMBERS = f"""
    SELECT 'order_id', order_id FROM quimbi.orders {_THEIRS}
    UNION ALL SELECT 'ticket_id', ticket_id FROM quimbi.support_tickets {_THEIRS}
"""


def find_person(cursor: Any, store_id: str, secret: bytes, customer_id: str | None, email: str | None) -> Person:
    """Return who an id or an address is; nobody's rows may be left, as after an erasure that was cut short."""
    folded = next(iter(comparable(pd.Series([email or customer_id], dtype="str"), "email").dropna()), None)
    if email is not None and folded is None:
        raise BadInputError(f"--email {email}: that is no address")
    emails = set() if folded is None else {_hash(secret, folded)}
    asked = {"store": store_id, "customer": customer_id, "folded": folded, "emails": _binary(emails)}
    customers = {customer for (customer,) in _rows(cursor, _BY_KEYS, asked)}
    addresses = {*(() if folded is None else (folded,))}
    addresses |= set(comparable(pd.Series(sorted(customers), dtype="str"), "email").dropna())
    emails |= {_hash(secret, address) for address in addresses}
    addresses |= {one for (one,) in _rows(cursor, _HIDDEN, {"store": store_id, "customers": sorted(customers)})}
    known = _rows(cursor, _OTHER_KEYS, {"store": store_id, "customers": sorted(customers)})
    emails |= {key for kind, key, _ in known if kind == "email"}
    customers |= {as_writer for *_, as_writer in known} | {f"email:{key[:32]}" for key in emails}
    of_them = {"store": store_id, "customers": sorted(customers)}
    helpdesk = {key for kind, key, _ in known if kind == HELPDESK}
    helpdesk |= {_hash(secret, number) for (number,) in _rows(cursor, _AT_HELPDESK, of_them)}
    numbers = _rows(cursor, _NUMBERS, of_them)
    addresses |= _addresses_in_quarantine(cursor, store_id, secret, emails)
    keys = {
        "customer_id": frozenset(_hash(secret, c) for c in customers if not c.startswith(("email:", f"{HELPDESK}:"))),
        "email": frozenset(emails),
        HELPDESK: frozenset(helpdesk),
        "order_id": frozenset(_hash(secret, number) for kind, number in numbers if kind == "order_id"),
    }
    return Person(store_id, tuple(sorted(customers)), tuple(sorted(addresses)), keys, tuple(n for _, n in numbers))


def known_now(cursor: Any, secret: bytes, person: Person) -> Person:
    """Return the person with all that they are known by since, as a load may have brought more."""
    asked = [(customer, None) for customer in person.customers] + [(None, address) for address in person.addresses]
    known = [person, *(find_person(cursor, person.store_id, secret, *who) for who in asked)]
    return Person(
        person.store_id,
        tuple(sorted({one for each in known for one in each.customers})),
        tuple(sorted({one for each in known for one in each.addresses})),
        {kind: frozenset().union(*(each.keys[kind] for each in known)) for kind in person.keys},
        tuple(sorted({one for each in known for one in each.numbers})),
    )


def _addresses_in_quarantine(cursor: Any, store_id: str, secret: bytes, emails: set[str]) -> set[str]:
    """Return addresses that stand in refused rows and are, hashed, among those of the person."""
    cursor.execute(
        """
        SELECT DISTINCT word FROM quimbi.quarantined_rows, jsonb_each_text("row") AS cell,
            regexp_split_to_table(lower(cell.value), '[\\s,;|"''<>()]+') AS word
        WHERE store_id = %s AND cell.value LIKE '%%_@_%%' AND word LIKE '%%_@_%%'
        """,
        (store_id,),
    )
    words = pd.Series([word for (word,) in cursor.fetchall()], dtype="str")
    return set(words[keyed_hashes(comparable(words, "email"), secret).isin(emails)])


def rows_of(cursor: Any, person: Person) -> Iterator[tuple[Place, list[dict[str, Any]]]]:
    """Yield the rows of every place that are the person's, columns by name."""
    for place in PLACES:
        cursor.execute(
            f"SELECT to_jsonb(t) - 'store_id' FROM quimbi.{place.table} AS t "
            f"WHERE store_id = %(store)s AND {place.whose}",
            person.parameters,
        )
        yield place, [row for (row,) in cursor.fetchall()]


def count_rows(cursor: Any, person: Person) -> dict[str, int]:
    """Count the rows of every place that are the person's, by table."""
    counts = {}
    for place in PLACES:
        cursor.execute(
            f"SELECT count(*) FROM quimbi.{place.table} WHERE store_id = %(store)s AND {place.whose}", person.parameters
        )
        counts[place.table] = int(cursor.fetchone()[0])
    return counts


def delete_rows(cursor: Any, person: Person) -> dict[str, int]:
    """Delete what is the person's from every place and remember their keys, hashed; return how many, by table."""
    values = [(person.store_id, kind, bytes.fromhex(key)) for kind, keys in person.keys.items() for key in keys]
    _remember(cursor, values)
    counts = {}
    for place in PLACES:
        cursor.execute(
            f"DELETE FROM quimbi.{place.table} WHERE store_id = %(store)s AND {place.whose}", person.parameters
        )
        counts[place.table] = int(cursor.rowcount)
    return counts


def read_erased(cursor: Any, store_id: str, secret: bytes) -> ErasedKeys:
    """Return the keys of a store's erased customers."""
    cursor.execute(
        "SELECT kind, array_agg(encode(key_hash, 'hex')) FROM quimbi.erased_customers "
        "WHERE store_id = %s GROUP BY kind",
        (store_id,),
    )
    return ErasedKeys(secret, {kind: frozenset(hashes) for kind, hashes in cursor.fetchall()})


def keep_erased_orders(cursor: Any, store_id: str, erased: ErasedKeys) -> None:
    """Remember orders that were left out, so that their lines are too if they come later."""
    _remember(cursor, [(store_id, "order_id", bytes.fromhex(key)) for key in sorted(erased.learnt)])


def refuse_erased(place: str, n_left_out: int) -> None:
    """Refuse a file that names customers who were erased, where that is configured."""
    if n_left_out and os.environ.get(ERASED_VARIABLE, "").strip() == "refuse":
        raise BadInputError(
            f"{place}: {n_left_out:,} rows name customers who were erased, so nothing was loaded ({ERASED_VARIABLE}="
            "refuse); take them out where the file comes from"
        )


def _remember(cursor: Any, values: Sequence[tuple[str, str, bytes]]) -> None:
    columns = [list(column) for column in zip(*values, strict=True)] or [[], [], []]
    cursor.execute(
        "INSERT INTO quimbi.erased_customers (store_id, kind, key_hash) "
        "SELECT * FROM unnest(%s::text[], %s::text[], %s::bytea[]) ON CONFLICT DO NOTHING",
        columns,
    )


def _rows(cursor: Any, sql: str, parameters: Mapping[str, Any]) -> list[Any]:
    cursor.execute(sql, parameters)
    return list(cursor.fetchall())


def _binary(hashes: Iterable[str]) -> list[bytes]:
    return [bytes.fromhex(one) for one in sorted(hashes)]


def _hash(secret: bytes, key: str) -> str:
    return hmac.digest(secret, key.encode(), "sha256").hex()
