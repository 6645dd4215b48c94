"""Other keys of the customers in orders, by which tickets find them.

Belongs here: the tables ``customer_identities`` and ``customer_addresses``, the secret hashes are made with. Does not:
finding whose the rows of a file are (``matching``), which columns hold keys (``quimbi_assets.ingest.tables``).
"""

import hmac
import os
import secrets
from pathlib import Path
from typing import Any
from unicodedata import normalize

import pandas as pd

from quimbi_assets.errors import BadInputError
from quimbi_assets.ingest.keys import comparable, keyed_hashes
from quimbi_assets.resources.home import private_file, quimbi_home
from quimbi_assets.resources.postgres.copy import by_hashing, copy_frame, read_column
from quimbi_assets.resources.postgres.database import Database

BY_EMAIL = """
    SELECT customer_id FROM quimbi.customer_identities
    WHERE store_id = %(store)s AND kind = 'email' AND {column} = %(hash)s
    UNION ALL
    SELECT customer_id FROM quimbi.customer_profiles WHERE store_id = %(store)s AND customer_id = ANY(%(texts)s) LIMIT 1
"""
ADDRESSES_VARIABLE = "QUIMBI_ADDRESSES"
"""``plain``: a new store whose orders know customers by their e-mail addresses has these as ids, not their hashes."""
_OF_STORE = "WHERE store_id = %s AND customer_id"
OWN_KEY = "kind || ':' || left(encode(key_hash, 'hex'), 32)"
"""Customer id of a ticket while no customer is known by its key: ``email:`` or ``helpdesk_id:`` and half the hash."""


def store_secret(home: Path, store_id: str) -> bytes:
    """Return the secret of a store's hashes, made on first use.

    It is kept in ``keys/<store>.key`` below the home, which only this user can read: 32 bytes. Without it, or with
    another, keys do not meet those that are stored; files loaded again bring them back. The caller holds the store's
    lock.
    """
    folder = home / "keys"
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / f"{store_id}.key"
    if not path.exists():
        with private_file(path) as file:
            file.write(secrets.token_bytes(32))
    return path.read_bytes()


def known_secret(home: Path, store_id: str) -> bytes:
    """Return the secret for whoever only asks: where there is none, one that is not kept and that nothing meets."""
    path = home / "keys" / f"{store_id}.key"
    return path.read_bytes() if path.exists() else secrets.token_bytes(32)


def hides_addresses(cursor: Any, store_id: str) -> bool:
    """Whether customers whom a store knows by their address have its hash as id; as they always had.

    Of a store without such customers the environment may say ``plain``. BadInputError where it says ``hash`` of one
    that knows customers by the address itself, since hashed they would be others, without a past.
    """
    wanted = os.environ.get(ADDRESSES_VARIABLE, "").strip()
    if wanted not in ("", "hash", "plain"):
        raise BadInputError(f"{ADDRESSES_VARIABLE}={wanted} is neither hash nor plain")
    cursor.execute(f"SELECT EXISTS (SELECT FROM quimbi.orders {_OF_STORE} LIKE 'email:%%')", (store_id,))
    if cursor.fetchone()[0]:
        return True
    cursor.execute(f"SELECT EXISTS (SELECT FROM quimbi.orders {_OF_STORE} LIKE '%%_@_%%')", (store_id,))
    is_plain = cursor.fetchone()[0]
    if is_plain and wanted == "hash":
        raise BadInputError(
            f"{ADDRESSES_VARIABLE}=hash: store {store_id} knows customers by their e-mail addresses, "
            "and hashed they would be others, without a past: load all of its files into a new store, or unset it"
        )
    return not is_plain and wanted != "plain"


def find_by_email(database: Database, home: Path, store_id: str, email: str | None, sha256: str | None) -> str | None:
    """Return the customer of an address, or of its SHA-256 in hexadecimal digits; None if nobody is known by it.

    It is hashed with the store's secret at once; nothing of it is kept. Where nobody is known by it as it is written,
    it is looked for with its letters composed (NFC), as nearly all files have them.
    """
    path = home / "keys" / f"{store_id}.key"
    secret = path.read_bytes() if path.exists() else None
    sql = BY_EMAIL.format(column="key_hash" if sha256 is None else "sha256_hash")
    for written in dict.fromkeys([email, email and normalize("NFC", email)]):
        folded = (written or "").strip().casefold()
        key = b"" if secret is None else hmac.digest(secret, (sha256 or folded).lower().encode(), "sha256")
        asked = {"store": store_id, "hash": key, "texts": [written, folded]}
        for (customer,) in database.execute(store_id, sql, asked):
            return str(customer)
    return None


def customer_called(database: Database, store_id: str, text: str) -> str:
    """Return the customer's id that somebody means by an id or an address; the text itself if it is nobody's address.

    ``database``: that of a store, as of one instant.
    """
    if "@" not in text:
        return text
    return find_by_email(database, database.home or quimbi_home(), store_id, text, None) or text


def keep_identities(cursor: Any, store_id: str, pairs: str, overrule: bool) -> tuple[int, int, int]:
    """Keep identities; return how many are new, changed and as before.

    `pairs` is a query for ``kind, key_hash, sha256_hash, customer_id``, each key once. `overrule`: a key that is
    another customer's by now changes hands.
    """
    change = (
        "UPDATE SET customer_id = EXCLUDED.customer_id WHERE stored.customer_id <> EXCLUDED.customer_id"
        if overrule
        else "NOTHING"
    )
    cursor.execute(
        f"""
        WITH pairs AS MATERIALIZED ({pairs}), written AS (
            INSERT INTO quimbi.customer_identities AS stored (store_id, kind, key_hash, sha256_hash, customer_id)
            SELECT %(store)s, kind, key_hash, sha256_hash, customer_id FROM pairs
            ON CONFLICT (store_id, kind, key_hash) DO {change}
            RETURNING stored.xmax = 0 AS is_new
        )
        SELECT count(*) FILTER (WHERE is_new), count(*) FILTER (WHERE NOT is_new), (SELECT count(*) FROM pairs)
        FROM written
        """,
        {"store": store_id},
    )
    n_new, n_changed, n_pairs = cursor.fetchone()
    cursor.execute(
        "SELECT EXISTS (SELECT FROM quimbi.customer_identities "
        "WHERE store_id = %s AND kind = 'email' AND sha256_hash IS NULL)",
        (store_id,),
    )
    if cursor.fetchone()[0]:  # from before it was kept
        cursor.execute(
            f"UPDATE quimbi.customer_identities AS stored SET sha256_hash = pairs.sha256_hash FROM ({pairs}) AS pairs "
            "WHERE stored.store_id = %(store)s AND stored.kind = pairs.kind AND stored.key_hash = pairs.key_hash "
            "AND stored.sha256_hash IS NULL",
            {"store": store_id},
        )
    return int(n_new), int(n_changed), int(n_pairs - n_new - n_changed)


def address_hashes(addresses: pd.Series, secret: bytes) -> dict[str, pd.Series]:
    """Return what is kept of comparable addresses, as PostgreSQL reads it: ``key_hash``, ``sha256_hash``, each (n,)."""
    return {
        name: r"\x" + keyed_hashes(addresses, secret, of_sha256=of_sha256)
        for name, of_sha256 in (("key_hash", False), ("sha256_hash", True))
    }


class OrderAddresses:
    """E-mail addresses that stand beside a customer's id in a file of orders, kept inside the load's transaction."""

    def __init__(self, cursor: Any, secret: bytes) -> None:
        self._cursor, self._secret = cursor, secret
        cursor.execute(
            "CREATE TEMP TABLE order_addresses (key_hash bytea, sha256_hash bytea, customer_id text, at timestamptz) "
            "ON COMMIT DROP; CREATE TEMP TABLE hidden_addresses (customer_id text, email text) ON COMMIT DROP"
        )

    def add(self, addresses: pd.Series, customers: pd.Series, at: pd.Series) -> None:
        """Add orders: each (n,) with the same index."""
        values = comparable(addresses, "email")
        seen = pd.DataFrame({"key": values, "customer_id": customers, "at": at}).dropna()
        seen = seen.groupby(["key", "customer_id"], sort=False)["at"].max().reset_index()
        rows = seen.drop(columns="key").assign(**address_hashes(seen["key"], self._secret))
        copy_frame(self._cursor, "order_addresses", rows)
        is_hidden = rows["customer_id"] == "email:" + rows["key_hash"].str.slice(2, 34)
        hidden = pd.DataFrame({"customer_id": seen["customer_id"], "email": seen["key"]})[is_hidden]
        copy_frame(self._cursor, "hidden_addresses", hidden)

    def learn(self, store_id: str) -> tuple[int, int, int]:
        """Keep them; of several customers with one address the one who ordered last has it."""
        pairs = """
            SELECT DISTINCT ON (key_hash) 'email' AS kind, key_hash, sha256_hash, customer_id FROM order_addresses
            ORDER BY key_hash, at DESC, customer_id
        """
        self._cursor.execute(
            "INSERT INTO quimbi.customer_addresses SELECT DISTINCT %s, customer_id, email FROM hidden_addresses "
            "ON CONFLICT DO NOTHING",
            (store_id,),
        )
        several = "SELECT key_hash FROM order_addresses GROUP BY key_hash HAVING count(DISTINCT customer_id) > 1"
        self._cursor.execute(f"INSERT INTO shared {several}")
        return keep_identities(self._cursor, store_id, pairs, overrule=True)


def learn_customers_that_are_addresses(cursor: Any, store_id: str, secret: bytes) -> None:
    """Keep the addresses of customers whom the store's orders know by nothing else."""
    question = cursor.mogrify(
        """
        SELECT DISTINCT customer_id FROM quimbi.orders o WHERE store_id = %(store)s AND customer_id LIKE '%%_@_%%'
            AND NOT EXISTS (SELECT FROM quimbi.customer_identities known WHERE known.store_id = %(store)s
                            AND known.kind = 'email' AND known.customer_id = o.customer_id)
        """,
        {"store": store_id},
    ).decode()
    cursor.execute("CREATE TEMP TABLE addresses (key_hash bytea, sha256_hash bytea, customer_id text) ON COMMIT DROP")
    for customers in list(read_column(cursor, question)):
        hashes = address_hashes(comparable(customers, "email"), secret)
        copy_frame(cursor, "addresses", pd.DataFrame({**hashes, "customer_id": customers}))
    pairs = "SELECT DISTINCT ON (key_hash) 'email' AS kind, key_hash, sha256_hash, customer_id FROM addresses "
    keep_identities(cursor, store_id, pairs + "ORDER BY key_hash, customer_id", overrule=False)
    cursor.execute("DROP TABLE addresses")


def adopt_tickets(cursor: Any, store_id: str, home: Path) -> int:
    """Give stored tickets that have only a key of their own the customer who is now known by it; return how many."""
    cursor.execute(
        "SELECT EXISTS (SELECT FROM quimbi.support_tickets WHERE store_id = %s AND customer_id LIKE 'email:%%')",
        (store_id,),
    )
    if cursor.fetchone()[0]:
        learn_customers_that_are_addresses(cursor, store_id, store_secret(home, store_id))
    by_hashing(cursor)
    cursor.execute(
        f"""
        UPDATE quimbi.support_tickets ticket SET customer_id = identity.customer_id
        FROM quimbi.customer_identities identity
        WHERE ticket.store_id = %(store)s AND identity.store_id = %(store)s
            AND ticket.customer_id LIKE '%%:%%' AND ticket.customer_id = {OWN_KEY}
            AND ticket.customer_id <> identity.customer_id
        """,
        {"store": store_id},
    )
    return int(cursor.rowcount)
