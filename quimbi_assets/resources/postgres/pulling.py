"""Pulling a store's orders out of a shop's database, or out of files, as far as they are new.

Belongs here: reading a foreign PostgreSQL without changing anything in it, what was pulled before. Does not: how tables
hold orders (``layouts``), loading what was read (``loading``).
"""

import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import unquote

import psycopg2

from quimbi_assets.errors import BadInputError
from quimbi_assets.resources.postgres.database import Database
from quimbi_assets.resources.postgres.drops import Mark, load_drops
from quimbi_assets.resources.postgres.layouts import LAYOUTS, Layout, Queries, Tables
from quimbi_assets.resources.postgres.load_report import LoadReport
from quimbi_assets.resources.postgres.loading import load_store
from quimbi_assets.resources.postgres.tables.sources import EVERY, KnownSource, Source, find_source, keep_source
from quimbi_assets.resources.postgres.tables.stores import find_store
from quimbi_assets.resources.remote_files import SCHEMES as OF_FILES
from quimbi_assets.resources.remote_files import is_address, is_remote, shown
from quimbi_assets.store import currency_code

SCHEMES = ("postgresql://", "postgres://")
VARIABLE = "env:"
"""Before the name of an environment variable that holds an address."""
OURS = ("quimbi", "information_schema", "pg_catalog", "pg_toast")
"""Schemas in which no shop's tables are looked for."""
CONNECT_SECONDS = 15
PULLED = ("orders", "order_items", "support_tickets")


@dataclass(frozen=True)
class Pull:
    """What is asked of one pull beside its source."""

    time_zone: str | None = None
    currency: str | None = None
    every: str | None = None
    """``hour`` or ``day``, ``never``, or as before."""
    full: bool = False
    """Read everything again, whatever was read before."""


def is_database(address: str) -> bool:
    """Whether an address, or what a variable holds, is a database's, not files'; if it is neither, a BadInputError."""
    address = _resolved(address)
    if address.startswith(SCHEMES) or is_remote(address):
        return not is_remote(address)
    if is_address(address):  # not shown: it may hold a password
        raise BadInputError(
            "--from reads postgresql://user@host/database, files of this machine or at "
            f"{', '.join(OF_FILES)}, or env:NAME of a variable that holds such an address"
        )
    return False


def pull(
    database: Database, store_id: str, source: Source, asked: Pull, say: Callable[[str], None] = lambda _: None
) -> LoadReport | None:
    """Load what is new in a source and note up to where that is; None where nothing is.

    A source that is to be pulled again and again (`asked.every`) is remembered, so its address may hold no password.
    BadInputError: a source that cannot be reached or read, in one line that never shows a password.
    """
    items = source.items and shown(source.items)
    known_as = replace(source, address=without_password(source.address), items=items)
    if asked.every in EVERY and known_as != source:
        raise BadInputError(
            f"--every {asked.every}: a password is not stored, nor what follows ? in an address of files; "
            f"put the address into an environment variable and give --from {VARIABLE}NAME, or leave the password to "
            "PGPASSWORD or ~/.pgpass"
        )
    known = (
        None
        if asked.full or _is_read_otherwise(database, store_id, asked)
        else find_source(database, store_id, known_as)
    )
    mark, report = _pulled(database, store_id, source, asked, known, say)
    keep_source(database, store_id, known_as, asked.every, mark)
    return report


def _is_read_otherwise(database: Database, store_id: str, asked: Pull) -> bool:
    """Whether the store is asked to be read in another time zone or currency than it was."""
    with database.transaction(store_id) as cursor:
        store = find_store(cursor, store_id)
    return store is not None and (
        asked.time_zone not in (None, store.time_zone) or currency_code(asked.currency) not in (None, store.currency)
    )


def _pulled(
    database: Database,
    store_id: str,
    source: Source,
    asked: Pull,
    known: KnownSource | None,
    say: Callable[[str], None],
) -> tuple[str, LoadReport | None]:
    options: dict[str, Any] = {"time_zone": asked.time_zone, "currency": asked.currency, "progress": say}
    options |= {"columns": dict(source.columns)}
    if not is_database(source.address):
        return _new_files(database, store_id, source, known, options | {"origin": _origin(source)})
    with TemporaryDirectory(prefix="quimbi-pull-") as folder:
        mark, files = _read(store_id, source, known, Path(folder), say)
        if not files:
            return mark, None
        shown = without_password(source.address)
        options |= {"shown_as": {name: f"{name} of {shown}" for name in files}, "origin": _origin(source)}
        paths = [files.get(name) for name in PULLED]
        return mark, load_store(database, store_id, *paths, **options)


def _read(
    store_id: str, source: Source, known: KnownSource | None, folder: Path, say: Callable[[str], None]
) -> tuple[str, dict[str, Path]]:
    """Copy what is new into CSV files; return the new mark, and the files by table: none where nothing is new."""
    shown = without_password(source.address)
    with _reading(source.address) as cursor:
        say(f"looking at {shown}")
        try:
            queries, mark, since = _what_is_new(cursor, store_id, source, known)
            if known is not None and mark == known.mark:
                return mark, {}
            copied = {}
            for name, query in queries._asdict().items():
                if query is not None:
                    say(f"reading {name} of {shown}")
                    copied[name] = _copied(cursor, query.replace("{since}", since), folder / f"{name}.csv")
        except psycopg2.Error as error:
            raise BadInputError(f"cannot read {server_of(source.address)}: {_reason(error, source.address)}") from None
    files = {name: path for name, path in copied.items() if path is not None}
    if "orders" not in files:
        raise BadInputError(f"{shown} holds no order of store {store_id}: look at --schema, --layout and --store-id")
    return mark, files


def _what_is_new(cursor: Any, store_id: str, source: Source, known: KnownSource | None) -> tuple[Queries, str, str]:
    """Return queries, a mark of what there is now, and the condition for orders that changed since the mark before."""
    if source.orders_query:
        queries = Queries(_one(source.orders_query), source.items_query and _one(source.items_query))
        return queries, _digest(cursor, queries), "true"
    layout, tables = _tables(cursor, store_id, source)
    queries = layout.queries(tables)
    watched = [name for name in (layout.orders, layout.lines) if name and tables.has(name)]
    column = next((name for name in layout.changed if all(tables.has(table, name) for table in watched)), None)
    if column is None:
        return queries, _digest(cursor, queries), "true"
    newest: dict[str, Any] = {table: _newest(cursor, tables, table, column) for table in watched}
    if queries.support_tickets:
        newest["tickets"] = _digest(cursor, Queries(queries.support_tickets))
    before = json.loads(known.mark) if known and known.mark else {}
    if not all(table in before and before[table][0] for table in watched):
        return queries, json.dumps(newest), "true"
    # Rows of the mark's own instant may have come since: they are read again, and seen to be as they were.
    literals = {table: cursor.mogrify("%s", (before[table][0],)).decode() for table in watched}
    since = f"o.{column} >= {literals[layout.orders]} OR o.{column} IS NULL"
    if layout.lines in literals:
        lines = f"SELECT FROM {tables[layout.lines]} w WHERE w.order_id = o.order_id"
        since += f" OR EXISTS ({lines} AND (w.{column} >= {literals[layout.lines]} OR w.{column} IS NULL))"
    return queries, json.dumps(newest), f"({since})"


def _newest(cursor: Any, tables: Tables, table: str, column: str) -> list[Any]:
    """Return when a table's rows last changed, as text, and how many have that very instant."""
    rows = f"SELECT {column} AS at FROM {tables[table]}"
    if tables.has(table, "store_id"):
        rows += f" WHERE store_id = {tables.store}"
    n_newest = "(SELECT count(*) FROM changes WHERE at = (SELECT max(at) FROM changes))"
    cursor.execute(f"WITH changes AS ({rows}) SELECT max(at)::text, {n_newest} FROM changes")
    return list(cursor.fetchone())


def _one(query: str) -> str:
    return query.strip().rstrip("; ")


def _digest(cursor: Any, queries: Queries) -> str:
    """Return a mark of all rows there are, where nothing says which of them are new."""
    digests = []
    for query in queries:
        if query is not None:
            rows = query.replace("{since}", "true")
            cursor.execute(f"SELECT count(*), sum(hashtextextended(q::text, 0)::numeric)::text FROM ({rows}) q")
            digests.append(list(cursor.fetchone()))
    return json.dumps({"rows": digests})


def _tables(cursor: Any, store_id: str, source: Source) -> tuple[Layout, Tables]:
    """Return the layout and the tables of the one schema that has them; BadInputError where that is none or several."""
    layout = LAYOUTS[source.layout]
    cursor.execute(
        """
        SELECT table_schema, table_name, array_agg(column_name::text) FROM information_schema.columns
        WHERE table_schema <> ALL(%s) GROUP BY 1, 2
        """,
        (list(OURS),),
    )
    schemas: dict[str, dict[str, frozenset[str]]] = {}
    for schema, table, columns in cursor.fetchall():
        schemas.setdefault(schema, {})[table] = frozenset(columns)
    fitting = [name for name, tables in schemas.items() if set(layout.needed) <= tables.keys()]
    fitting = [name for name in fitting if source.schema in (None, name)]
    wanted = f"tables {', '.join(layout.needed)} (--layout {source.layout})"
    if not fitting:
        there = ", ".join(f"{schema}.{table}" for schema, tables in sorted(schemas.items()) for table in sorted(tables))
        where = f"schema {source.schema}" if source.schema else "no schema"
        lacks = f"{where} has {'no ' if source.schema else ''}{wanted}"
        raise BadInputError(
            f"{server_of(source.address)}: {lacks}; there are: {there[:500] or 'none that may be read'}"
        )
    if len(fitting) > 1:
        several = ", ".join(sorted(fitting))
        raise BadInputError(f"{server_of(source.address)}: schemas {several} have {wanted}: say which with --schema")
    store = cursor.mogrify("%s", (store_id,)).decode()
    return layout, Tables(fitting[0], schemas[fitting[0]], store, cursor.connection)


def _copied(cursor: Any, query: str, path: Path) -> Path | None:
    """Copy a query's rows into a CSV file; None where there are none."""
    with path.open("wb") as file:
        cursor.copy_expert(f"COPY ({query}) TO STDOUT (FORMAT csv, HEADER)", file, size=1 << 20)
    with path.open("rb") as file:
        file.readline()
        return path if file.read(1) else None


@contextmanager
def _reading(address: str) -> Iterator[Any]:
    """Yield a cursor in one transaction that can only read, times in UTC."""
    url = _resolved(address)
    try:
        connection = psycopg2.connect(url, connect_timeout=CONNECT_SECONDS, application_name="quimbi load")
    except psycopg2.Error as error:
        raise BadInputError(f"cannot reach {server_of(address)}: {_reason(error, address)}") from None
    with closing(connection):
        connection.set_session(isolation_level="REPEATABLE READ", readonly=True)
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL TimeZone = 'UTC'; SET LOCAL DateStyle = 'ISO'; SET LOCAL extra_float_digits = 1")
            yield cursor
        connection.rollback()


def _resolved(address: str) -> str:
    """Return an address as libpq takes it."""
    if address.startswith(VARIABLE):
        name = address.removeprefix(VARIABLE)
        url = os.environ.get(name, "").strip()
        if not url.startswith((*SCHEMES, *OF_FILES)):
            problem = "is not set" if not url else f"begins with none of {', '.join((SCHEMES[0], *OF_FILES))}"
            raise BadInputError(f"--from {address}: the environment variable {name} {problem}")
        return url
    return address


def without_password(address: str) -> str:
    """Return an address as it may be stored, and shown once it was connected to.

    >>> without_password("postgresql://ann:s3cret@shop.example/db"), without_password("env:SHOP_URL")
    ('postgresql://ann@shop.example/db', 'env:SHOP_URL')
    >>> without_password("postgresql://ann:p@ss/word@shop.example/db?password=s3cret")
    'postgresql://ann@shop.example/db'
    """
    if not address.startswith(SCHEMES):
        return shown(address)
    scheme, _, rest = address.partition("://")
    user, at, place = rest.rpartition("@")
    place = re.sub(
        r"[?&](?:password|passfile|sslpassword|oauth_client_secret|scram_(?:client|server)_key)=[^&]*", "", place
    )
    return f"{scheme}://{user.partition(':')[0]}{at}{place}"


def server_of(address: str) -> str:
    """Return an address as it may be shown before anybody knows what its settings are, without them.

    >>> server_of("postgresql://ann:s3cret@shop.example/db?pasword=s3cret"), server_of("env:SHOP_URL")
    ('postgresql://ann@shop.example/db', 'env:SHOP_URL')
    """
    return without_password(address).partition("?")[0]


def _reason(error: psycopg2.Error, address: str) -> str:
    """Return why a server said no, in its first line, without what could be a password."""
    reason = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    try:
        url = _resolved(address)
    except BadInputError:
        url = address
    credentials = url.partition("://")[2].rpartition("@")[0]
    secrets = {url, credentials, credentials.partition(":")[2], unquote(credentials.partition(":")[2])}
    secrets |= set(re.findall(r"[?&](?:password|sslpassword)=([^&]*)", url))
    settings = re.split("[?&]", url)[1:]
    secrets |= {f'"{setting.rpartition("=")[2]}"' for setting in settings}  # a misspelt one may be a password
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        reason = reason.replace(secret, "***")
    return reason.removeprefix("ERROR: ")


def _new_files(
    database: Database, store_id: str, source: Source, known: KnownSource | None, options: dict[str, Any]
) -> tuple[str, LoadReport | None]:
    """Load files that were not loaded as they are now; return the mark of all, and what was done, None if nothing."""
    named = {name: place for name, place in zip(PULLED, (source.address, source.items), strict=False) if place}
    places = {name: _resolved(place) for name, place in named.items()}
    called = {name: without_password(place) for name, place in named.items()}
    before = Mark.from_json(known.mark if known else None)
    mark, report = load_drops(database, store_id, places, before, called, options)
    return mark.to_json(), report


def _origin(source: Source) -> dict[str, str]:
    """Return the options of ``quimbi load`` that name a source."""
    options = {"--from": without_password(source.address), "--layout": source.layout if not source.orders_query else ""}
    options |= {
        "--items": shown(source.items or ""),
        "--schema": source.schema or "",
        "--orders-query": source.orders_query or "",
    }
    return {option: value for option, value in (options | {"--items-query": source.items_query or ""}).items() if value}
