"""Erases a person wherever a home holds something of them, gives out what it holds, and signs what was done.

Belongs here: the order of an erasure, Parquet, logs, Dagster's events, what the server keeps beside its rows, receipts.
Does not: tables and whose rows are (``tables.personal``), figures of groups (``tables.publications``).

Files go first and rows last, in one transaction, because rows say who is meant: cut short at any point, the same
command ends it. What the server keeps of deleted rows goes after that, from every table of the list.
"""

import hashlib
import hmac
import json
import math
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg2
from psycopg2 import errors
from upath import UPath

from quimbi_assets.axis_table import drop_customers, remove, rows_of_customers
from quimbi_assets.errors import BadInputError
from quimbi_assets.resources.parquet_io import EXTENSION, ParquetTables
from quimbi_assets.resources.postgres.copy import lock
from quimbi_assets.resources.postgres.database import Database
from quimbi_assets.resources.postgres.tables import personal
from quimbi_assets.resources.postgres.tables.identities import store_secret
from quimbi_assets.resources.postgres.tables.personal import PLACES, Person, find_person
from quimbi_assets.resources.postgres.tables.publications import recount
from quimbi_assets.resources.postgres.tables.stores import note_change

Say = Callable[[str], None]
FOLDER = "erasures"
ERASED = "[erased]"
DAGSTER = {"event_logs": "event", "asset_keys": "last_materialization"}
"""Tables and columns of Dagster's in which rows stood, before nothing of a customer was told to it."""
BEYOND = (
    "backups of the database and of files, and what a file system keeps of blocks that were freed",
    "the shop's own system, and files that were loaded: there they have to be erased, too",
    "messages in Slack, lists at Klaviyo, Gorgias, Meta, Google and receivers of webhooks",
    "files written by quimbi export, report and customers --csv outside the home",
    "other people's tickets, if one names the person in their own words",
    "models: they hold no customer, and are of the customers there were",
    "short numbers (fewer than six digits) in logs and in lines that could not be split into columns",
)
"""What an erasure does not reach, whatever it does; a receipt says so."""
MOST_SEGMENTS = 1_000
LOCK_WAIT = "60s"


def erase(
    database: Database, tables: ParquetTables, home: Path, person: Person, say: Say = lambda _: None
) -> dict[str, Any]:
    """Erase a person, keep the receipt in the home and return it; the caller holds the right to run the store."""
    began = datetime.now(UTC)
    say("files")
    files = {str(place.relative_to(tables.base)): n for place, n in _drop_files(tables, person)}
    logs = {str(path.relative_to(home)): n for path, n in _clean_texts(home, person, write=True)}
    events = _clean_events(database, person)
    say("tables")
    with database.transaction() as cursor:
        lock(cursor, f"load:{person.store_id}")  # a load that began before would bring them back
        rows = personal.delete_rows(cursor, person)
        recount(cursor, person.store_id)
        if rows["orders"]:
            note_change(cursor, person.store_id)
    say("what the server keeps of deleted rows")
    beyond = _forget(database, events)
    with database.transaction() as cursor:
        left = personal.count_rows(cursor, person)
    receipt = {
        "what": "a person's data were erased",
        "store_id": person.store_id,
        "began_at": began.isoformat(timespec="seconds"),
        "ended_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "person": {kind: sorted(keys) for kind, keys in person.keys.items() if kind != "order_id"},
        "tables": {f"quimbi.{name}": {"removed": n, "left": left[name]} for name, n in rows.items()},
        "files": files,
        "logs": logs,
        "dagster": events,
        "not_reached": [*beyond, *BEYOND],
    }
    return _sign(home, receipt)


def dry_run(database: Database, tables: ParquetTables, home: Path, person: Person) -> dict[str, Any]:
    """Return what an erasure would remove, nothing being changed."""
    with database.transaction() as cursor:
        rows = personal.count_rows(cursor, person)
    files = {str(place.relative_to(tables.base)): n for place, n in _find_files(tables, person)}
    logs = {str(path.relative_to(home)): n for path, n in _clean_texts(home, person, write=False)}
    return {
        "store_id": person.store_id,
        "tables": {f"quimbi.{name}": {"removed": n} for name, n in rows.items()},
        "files": files,
        "logs": logs,
        "dagster": {},
        "not_reached": list(BEYOND),
    }


def everything_of(database: Database, tables: ParquetTables, person: Person) -> dict[str, Any]:
    """Return all that is held of a person: rows of every table and file, columns by name."""
    with database.snapshot() as now, now.transaction() as cursor:
        places = {
            place.table: {"what": place.holds, "rows": rows} for place, rows in personal.rows_of(cursor, person) if rows
        }
    files = {}
    for place in _tables_of(tables, person.store_id):
        rows = rows_of_customers(place, person.customers)
        if rows is not None and len(rows):
            files[str(place.relative_to(tables.base))] = [_plain(row) for row in rows.to_pylist()]
    return {
        "store_id": person.store_id,
        "known_as": {"customer_ids": list(person.customers), "addresses": list(person.addresses)},
        "exported_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "tables": places,
        "files_made_of_these": files,
    }


def _plain(value: Any) -> Any:
    """Return a value as JSON can say it: no number is none."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def person_of(database: Database, home: Path, store_id: str, customer_id: str | None, email: str | None) -> Person:
    """Return who is meant by an id or an address; BadInputError if a store holds, and erased, nothing of them."""
    if (customer_id is None) == (email is None):
        raise BadInputError("say who: --customer-id C or --email E, one of them")
    with database.transaction() as cursor:
        lock(cursor, f"load:{store_id}")
        secret = store_secret(home, store_id)
        person = find_person(cursor, store_id, secret, customer_id, email)
        erased = personal.read_erased(cursor, store_id, secret)
        if any(personal.count_rows(cursor, person).values()) or any(
            keys & erased.hashes.get(kind, frozenset()) for kind, keys in person.keys.items()
        ):
            return person
    raise BadInputError(f"store {store_id} holds nothing of {customer_id or email}")


def verify(path: Path, home: Path) -> dict[str, Any]:
    """Return a receipt that this home signed; BadInputError if it is none, or not as it was signed."""
    try:
        receipt: dict[str, Any] = json.loads(path.read_bytes())
        signature, store_id = str(receipt.pop("signature")), str(receipt["store_id"])
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise BadInputError(f"{path} is no receipt of an erasure") from error
    key = home / "keys" / Path(f"{store_id}.key").name
    if not key.exists():
        raise BadInputError(f"{path}: this home has no key of store {store_id}, so cannot tell who signed it")
    if not hmac.compare_digest(_signature(receipt, key.read_bytes()), signature):
        raise BadInputError(f"{path} is not as it was signed, or was signed with another key")
    return receipt


def _sign(home: Path, receipt: dict[str, Any]) -> dict[str, Any]:
    store_id = receipt["store_id"]
    signed = receipt | {"signature": _signature(receipt, store_secret(home, store_id))}
    folder = home / FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    stamp = re.sub(r"[^0-9]", "", receipt["ended_at"])[:14]
    path = folder / f"{store_id}-{stamp}-{signed['signature'][:8]}.json"
    unready = path.with_name(f".{path.name}.{os.getpid()}.partial")
    with open(os.open(unready, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(signed, file, ensure_ascii=False, indent=2)
    unready.replace(path)
    return signed | {"receipt": str(path)}


def _signature(receipt: Mapping[str, Any], key: bytes) -> str:
    text = json.dumps(receipt, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hmac.new(key, f"erasure:{text}".encode(), hashlib.sha256).hexdigest()


def _tables_of(tables: ParquetTables, store_id: str) -> Iterator[UPath]:
    """Yield a store's tables, of weeks too; parts of a table that an engine spread are in it."""
    paths = sorted(tables.base.rglob(f"*{EXTENSION}")) if tables.base.exists() else []
    for path in paths:
        if not path.name.startswith(".") and (
            path.name == f"{store_id}{EXTENSION}" or (path.parent.name == store_id and path.is_file())
        ):
            yield path


def _leftovers(tables: ParquetTables, store_id: str) -> Iterator[UPath]:
    """Yield what killed runs of the store left half written: nobody runs it now."""
    for path in sorted(tables.base.rglob(".*")) if tables.base.exists() else []:
        of_week = path.parent.name == store_id and EXTENSION in path.name
        if (of_week or path.name.startswith(f".{store_id}{EXTENSION}.")) and path.suffix in (".partial", ".before"):
            yield path


def _find_files(tables: ParquetTables, person: Person) -> Iterator[tuple[UPath, int]]:
    for place in _tables_of(tables, person.store_id):
        rows = rows_of_customers(place, person.customers)
        if rows is not None and len(rows):
            yield place, len(rows)


def _drop_files(tables: ParquetTables, person: Person) -> Iterator[tuple[UPath, int]]:
    for place in list(_leftovers(tables, person.store_id)):
        remove(place)
        yield place, 1
    for place in list(_tables_of(tables, person.store_id)):
        if n := drop_customers(place, person.customers):
            yield place, n


def _signs(person: Person) -> list[str]:
    """Return texts that can be nobody else wherever they stand; a word such as ``active`` could be a customer's id."""
    return [text for text in person.needles if "@" in text or any(letter.isdigit() for letter in text)]


def _clean_texts(home: Path, person: Person, *, write: bool) -> Iterator[tuple[Path, int]]:
    """Yield logs that name the person with how often, the names being taken out; reports are removed as a whole."""
    signs = [re.escape(text).encode() for text in _signs(person)]
    if not signs:
        return
    pattern = re.compile(rb"(?<![0-9A-Za-z])(?:" + b"|".join(signs) + rb")(?![0-9A-Za-z])", re.IGNORECASE)
    places = [home / "postgres.log", home / "postgres.log.1"]
    for folder in ("logs", "reports", "dagster"):
        places += [path for path in sorted((home / folder).rglob("*")) if path.is_file()]
    for path in places:
        with suppress(FileNotFoundError):
            text, n = pattern.subn(ERASED.encode(), path.read_bytes())
            if n and write and path.parent == home / "reports":
                path.unlink()
            elif n and write:
                with path.open("r+b") as file:  # in place: who writes it has it open
                    file.write(text)
                    file.truncate()
            if n:
                yield path, n


def _clean_events(database: Database, person: Person) -> dict[str, int]:
    """Take the person out of what Dagster recorded of runs; return how many rows, by table."""
    counts: dict[str, int] = {}
    signs = [f"(?<![[:alnum:].])(?<!: ){re.escape(text)}(?![[:alnum:]])" for text in _signs(person)]
    if not signs:
        return counts
    with closing(psycopg2.connect(database.dagster_url.replace("+psycopg2", "", 1))) as connection, connection:
        cursor = connection.cursor()
        for table, column in DAGSTER.items():
            cursor.execute("SELECT to_regclass(%s) IS NOT NULL", (table,))
            if cursor.fetchone()[0]:
                cursor.execute(
                    f"UPDATE {table} SET {column} = regexp_replace({column}, %(signs)s, '{ERASED}', 'gi') "
                    f"WHERE {column} ~* %(signs)s",
                    {"signs": "|".join(signs)},
                )
                counts[table] = cursor.rowcount
    return {table: n for table, n in counts.items() if n}


def _forget(database: Database, events: Mapping[str, int]) -> list[str]:
    """Have the server forget deleted rows: tables, statistics, its journal; return what could not be."""
    beyond = []
    for url, names in (
        (database.libpq_url, [f"quimbi.{place.table}" for place in PLACES]),
        (database.dagster_url.replace("+psycopg2", "", 1), list(events)),
    ):
        if names:
            with closing(psycopg2.connect(url)) as connection:
                connection.autocommit = True
                beyond += _vacuum(connection.cursor(), [*names, "pg_catalog.pg_statistic"])
    with closing(psycopg2.connect(database.libpq_url)) as connection:
        connection.autocommit = True
        beyond += _renew_journal(connection.cursor())
    if database.home is None:
        beyond.append("archives of the server's journal (WAL), and other servers that follow it")
    return list(dict.fromkeys(beyond))


def _vacuum(cursor: Any, names: Sequence[str]) -> list[str]:
    beyond = []
    cursor.execute("SELECT set_config('lock_timeout', %s, false)", (LOCK_WAIT,))
    for name in names:
        analyse = "" if name.startswith("pg_catalog.") else ", ANALYZE"
        cursor.connection.notices.clear()
        try:
            cursor.execute(f"VACUUM (FULL{analyse}) {name}")
        except (errors.InsufficientPrivilege, errors.LockNotAvailable) as error:
            beyond.append(f"deleted rows of {name} until it is vacuumed ({str(error).strip().splitlines()[0]})")
        else:
            skipped = f'"{name.rpartition(".")[2]}", skipping it'
            if any(skipped in note for note in cursor.connection.notices):
                beyond.append(
                    f"what the server keeps of deleted rows in {name}: only its owner or an administrator may vacuum it"
                )
    return beyond


def _renew_journal(cursor: Any) -> list[str]:
    """Have the server drop the journal of before, without using its files again; what is left is named."""
    try:
        cursor.execute("ALTER SYSTEM SET wal_recycle = off")
        cursor.execute("SELECT pg_reload_conf()")
        time.sleep(0.3)  # the process that makes checkpoints reads it then
        cursor.execute("SELECT pg_switch_wal(), pg_walfile_name(pg_current_wal_insert_lsn())")
        cursor.execute("SELECT array_agg(name) FROM pg_ls_waldir() WHERE name ~ '^[0-9A-F]{24}$'")
        before = set(cursor.fetchone()[0])
        for _ in range(MOST_SEGMENTS):  # files made ready for later hold what they held before
            cursor.execute("SELECT pg_current_xact_id()")
            cursor.execute("SELECT pg_switch_wal()")
            cursor.execute("SELECT pg_walfile_name(pg_current_wal_insert_lsn())")
            if cursor.fetchone()[0] > max(before):
                break
        for _ in range(2):
            cursor.execute("CHECKPOINT")
        cursor.execute("SELECT count(*) FROM pg_ls_waldir() WHERE name = ANY(%s)", (sorted(before),))
        (left,) = cursor.fetchone()
        cursor.execute("ALTER SYSTEM RESET wal_recycle")
        cursor.execute("SELECT pg_reload_conf()")
    except errors.InsufficientPrivilege:
        return ["the server's journal (WAL) until it is written over: only an administrator may do it"]
    return [f"{left} files of the server's journal (WAL) until they are written over"] if left else []
