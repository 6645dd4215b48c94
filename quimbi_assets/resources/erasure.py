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
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg2
from psycopg2 import errors
from upath import UPath

from quimbi_assets.axis_table import drop_customers, remove, rows_of_customers
from quimbi_assets.errors import BadInputError
from quimbi_assets.resources.home import private_file
from quimbi_assets.resources.parquet_io import EXTENSION, ParquetTables
from quimbi_assets.resources.postgres.database import Database, administration, lock
from quimbi_assets.resources.postgres.tables import personal
from quimbi_assets.resources.postgres.tables.identities import known_secret, store_secret
from quimbi_assets.resources.postgres.tables.personal import PLACES, Person, find_person
from quimbi_assets.resources.postgres.tables.publications import recount
from quimbi_assets.resources.postgres.tables.sources import forget_tickets
from quimbi_assets.resources.postgres.tables.stores import note_change, requested_store
from quimbi_assets.texts import ADDRESS

Say = Callable[[str], None]
Counts = dict[str, dict[str, int]]
"""Rows, or occurrences in a log, by kind of place and place."""
FOLDER = "erasures"
ERASED = "[erased]"
OF_STORE = """
    run_id IN (SELECT run_id FROM run_tags WHERE key IN ('quimbi/store', 'dagster/partition')
        AND split_part(value, '|', 1) = %(store)s)
"""
DAGSTER = {
    "event_logs": ("event", OF_STORE),
    "asset_keys": ("last_materialization", "strpos(last_materialization, %(store)s) > 0"),
}
"""Tables and columns of Dagster's in which rows stood, before nothing of a customer was told to it; whose they are."""
OF_A_FIELD = r'(?<![^\\]": )'
"""Not the number that a field of JSON holds, a process's or an event's: those are Dagster's own."""
BEYOND = (
    "backups of the database and of files, and what a file system keeps of blocks that were freed",
    "the shop's own system, and files that were loaded: there they have to be erased, too",
    "messages in Slack, lists at Klaviyo, Gorgias, Meta, Google and receivers of webhooks",
    "files written by quimbi export, report and customers --csv outside the home",
    "other people's tickets, if one names the person in their own words",
    "models: they hold no customer, and are of the customers there were",
    "short numbers (fewer than six digits) in logs and in lines that could not be split into columns",
    "in logs and in Dagster's record, ids without a digit or @, and such as are also the store's name or a type's",
)
"""What an erasure does not reach, whatever it does; a receipt says so."""
TYPE = re.compile(r"(?:u?int|float|decimal|date|utf)\d+", re.IGNORECASE)
"""Words of Dagster's record that an id could be."""
MOST_SEGMENTS = 1_000
LARGEST_RECEIPT = 64 * 2**20
"""Bytes; one names each file that was changed."""
LOCK_WAIT = "60s"
AGAIN = "; this was done before: what went then is not counted here"


def erase(
    database: Database, tables: ParquetTables, home: Path, person: Person, say: Say = lambda _: None
) -> dict[str, Any]:
    """Erase a person, keep the receipt in the home and return it; the caller holds the right to run the store."""
    began = datetime.now(UTC)
    say("what there is")
    begun, there = _note(home, person, _counts(database, tables, home, person))
    say("files")
    files = {str(place.relative_to(tables.base)): n for place, n in _drop_files(tables, person)}
    logs = {str(path.relative_to(home)): n for path, n in _clean_texts(home, person, write=True)}
    events = _clean_events(database, person, write=True)
    say("tables")
    with database.transaction(person.store_id) as cursor:
        lock(cursor, f"load:{person.store_id}")  # a load that began before would bring them back
        secret = store_secret(home, person.store_id)
        person = personal.known_now(cursor, secret, person)
        is_again = personal.read_erased(cursor, person.store_id, secret).hold(person.keys)
        rows = personal.delete_rows(cursor, person)
        forget_tickets(cursor, person.store_id, person.numbers)
        recount(cursor, person.store_id)
        if rows["orders"]:
            note_change(cursor, person.store_id)
    say("what the server keeps of deleted rows")
    beyond = _forget(database, events)
    with database.transaction(person.store_id) as cursor:
        left = personal.count_rows(cursor, person)
    gone = _each(max, there, {"tables": rows, "files": files, "logs": logs, "dagster": events})
    receipt = {
        "what": "a person's data were erased" + AGAIN * (is_again and not any(gone["tables"].values())),
        "store_id": person.store_id,
        "began_at": began.isoformat(timespec="seconds"),
        "ended_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "person": {kind: sorted(keys) for kind, keys in person.keys.items() if kind != "order_id"},
        "tables": {f"quimbi.{name}": {"removed": n, "left": left[name]} for name, n in gone["tables"].items()},
        **{place: gone[place] for place in ("files", "logs", "dagster")},
        "not_reached": [*beyond, *BEYOND],
    }
    return _sign(home, receipt, begun)


def dry_run(database: Database, tables: ParquetTables, home: Path, person: Person) -> dict[str, Any]:
    """Return what an erasure would remove, nothing being changed."""
    there = _counts(database, tables, home, person)
    removed = {f"quimbi.{name}": {"removed": n} for name, n in there["tables"].items()}
    return {"store_id": person.store_id, **there, "tables": removed, "not_reached": list(BEYOND)}


def _counts(database: Database, tables: ParquetTables, home: Path, person: Person) -> Counts:
    with database.transaction(person.store_id) as cursor:
        rows = personal.count_rows(cursor, person)
    return {
        "tables": rows,
        "files": {str(place.relative_to(tables.base)): n for place, n in _find_files(tables, person)},
        "logs": {str(path.relative_to(home)): n for path, n in _clean_texts(home, person, write=False)},
        "dagster": _clean_events(database, person, write=False),
    }


def _note(home: Path, person: Person, there: Counts) -> tuple[Path, Counts]:
    """Note what there is of a person before anything goes, so that an erasure that was cut short still knows it.

    Return the file of the note, and what there was: with what erasures that did not end had noted of them. One whose
    receipt is there did end.
    """
    keys = {key for kind, hashes in person.keys.items() if kind != "order_id" for key in hashes}
    folder, before, known = _receipts(home), None, set[str]()
    notes = {path: json.loads(path.read_bytes()) for path in folder.glob(f"{person.store_id}-*.begun")}
    of_them = {path: note for path, note in notes.items() if not keys.isdisjoint(note["keys"])}
    for note in sorted(of_them.values(), key=lambda note: -len(note["keys"])):
        is_over = (folder / note.get("receipt", "")).is_file()
        if not is_over and not known.issuperset(note["keys"]):  # or another has its counts already
            before, known = (
                note["there"] if before is None else _each(sum, before, note["there"]),
                {*known, *note["keys"]},
            )
    there = there if before is None else _each(max, before, there)
    path = folder / f"{person.store_id}-{min(keys | known, default='')[:16]}.begun"
    _write_note(path, {"keys": sorted(keys | known), "there": there})
    for other in of_them.keys() - {path}:
        other.unlink()
    return path, there


def _write_note(path: Path, note: Mapping[str, Any]) -> None:
    with private_file(path) as file:
        file.write(json.dumps(note).encode())


def _each(of: Callable[[list[int]], int], one: Counts, other: Counts) -> Counts:
    """Return the sum, or the larger, of two counts of each place."""
    return {kind: {place: of([one[kind].get(place, 0), other[kind].get(place, 0)]) for place in one[kind] | other[kind]}
            for kind in one}  # fmt: skip


def everything_of(database: Database, tables: ParquetTables, person: Person) -> dict[str, Any]:
    """Return all that is held of a person: rows of every table and file, columns by name."""
    with database.snapshot(person.store_id) as now, now.transaction(person.store_id) as cursor:
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


def person_of(
    database: Database, home: Path, store_id: str, customer_id: str | None, email: str | None, *, to_erase: bool = False
) -> Person:
    """Return who is meant by an id or an address; BadInputError if a store holds, and erased, nothing of them.

    ``to_erase``: the store gets a key if it has none, as what is erased is remembered by it.
    """
    if (customer_id is None) == (email is None) or not (customer_id or email or "").strip():
        raise BadInputError("say who: --customer-id C or --email E, one of them")
    with database.transaction(store_id) as cursor:
        lock(cursor, f"load:{store_id}")
        secret = store_secret(home, store_id) if to_erase else known_secret(home, store_id)
        person = _with_addresses_of_logs(home, secret, find_person(cursor, store_id, secret, customer_id, email))
        if any(personal.count_rows(cursor, person).values()) or personal.read_erased(cursor, store_id, secret).hold(
            person.keys
        ):
            return person
    raise BadInputError(f"store {store_id} holds nothing of {customer_id or email}")


def verify(path: Path, home: Path) -> dict[str, Any]:
    """Return a receipt that this home signed; BadInputError if it is none, or not as it was signed."""
    if path.exists() and not path.is_file():
        raise BadInputError(f"cannot read {path}: it is not a regular file")
    try:
        if path.stat().st_size > LARGEST_RECEIPT:
            raise BadInputError("too large")
        receipt: dict[str, Any] = json.loads(path.read_bytes(), object_pairs_hook=_once)
        signature, store_id = receipt.pop("signature").encode(), receipt["store_id"]
        key = home / "keys" / f"{requested_store(store_id, None, None).store_id}.key"
        signed = None if not key.exists() else _signature(receipt, key.read_bytes()).encode()
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError, BadInputError) as error:
        raise BadInputError(f"{path} is no receipt of an erasure") from error
    if signed is None:
        raise BadInputError(f"{path}: this home has no key of store {store_id}, so cannot tell who signed it")
    if not hmac.compare_digest(signed, signature):
        raise BadInputError(f"{path} is not as it was signed, or was signed with another key")
    return receipt


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of JSON; ValueError if it has a name twice, of which readers may see either."""
    if len(dict(pairs)) < len(pairs):
        raise ValueError("a name stands there twice")
    return dict(pairs)


def _sign(home: Path, receipt: dict[str, Any], begun: Path) -> dict[str, Any]:
    """Keep a receipt, signed, in place of the note of what was begun, which names it until it is there."""
    store_id = receipt["store_id"]
    signed = receipt | {"signature": _signature(receipt, store_secret(home, store_id))}
    stamp = re.sub(r"[^0-9]", "", receipt["ended_at"])[:14]
    path = _receipts(home) / f"{store_id}-{stamp}-{signed['signature'][:8]}.json"
    _write_note(begun, json.loads(begun.read_bytes()) | {"receipt": path.name})
    with private_file(path) as file:
        file.write(json.dumps(signed, ensure_ascii=False, indent=2).encode())
    begun.unlink()
    return signed | {"receipt": str(path)}


def _receipts(home: Path) -> Path:
    folder = home / FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def _signature(receipt: Mapping[str, Any], key: bytes) -> str:
    text = json.dumps(receipt, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hmac.new(key, f"erasure:{text}".encode(), hashlib.sha256).hexdigest()


def _tables_of(tables: ParquetTables, store_id: str) -> Iterator[UPath]:
    """Yield a store's tables, of weeks too; parts of a table that an engine spread are in it."""
    for pattern in (f"{store_id}{EXTENSION}", f"{store_id}/*{EXTENSION}"):
        yield from (path for path in sorted(tables.base.glob(f"*/*/{pattern}")) if not path.name.startswith("."))


def _find_files(tables: ParquetTables, person: Person) -> Iterator[tuple[UPath, int]]:
    for place in _tables_of(tables, person.store_id):
        rows = rows_of_customers(place, person.customers)
        if rows is not None and len(rows):
            yield place, len(rows)


def _drop_files(tables: ParquetTables, person: Person) -> Iterator[tuple[UPath, int]]:
    for place in list(tables.leftovers(person.store_id)):
        remove(place)
        yield place, 1
    for place in list(_tables_of(tables, person.store_id)):
        if n := drop_customers(place, person.customers):
            yield place, n


def _signs(person: Person) -> list[str]:
    """Return texts that can be nobody else wherever they stand; a word such as ``active`` could be a customer's id."""
    telling = [text for text in person.needles if "@" in text or any(letter.isdigit() for letter in text)]
    return [text for text in telling if text.casefold() != person.store_id.casefold() and not TYPE.fullmatch(text)]


def _clean_texts(home: Path, person: Person, *, write: bool) -> Iterator[tuple[Path, int]]:
    """Yield logs that name the person with how often, the names being taken out; the store's report goes as a whole.

    Lines of logs are of no store: where others have a customer of the same id, they lose the name, too.
    """
    signs = [re.escape(text).encode() for text in _signs(person)]
    if not signs:
        return
    pattern = re.compile(rb"(?<![0-9A-Za-z])(?:" + b"|".join(signs) + rb")(?![0-9A-Za-z])", re.IGNORECASE)
    for path in [*_logs(home), home / "reports" / f"{person.store_id}.html"]:
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


def _logs(home: Path) -> list[Path]:
    in_folders = [path for folder in ("logs", "dagster") for path in sorted((home / folder).rglob("*"))]
    return [path for path in (home / "postgres.log", home / "postgres.log.1", *in_folders) if path.is_file()]


def _with_addresses_of_logs(home: Path, secret: bytes, person: Person) -> Person:
    """Return the person with addresses that logs hold in plain letters, where the store knows hashes of these alone."""
    emails, known = person.keys.get("email", frozenset()), set(person.addresses)
    for path in _logs(home) if emails else ():
        with suppress(FileNotFoundError):
            words = set(ADDRESS.findall(path.read_text(errors="replace").casefold()))
            known |= {word for word in words if hmac.digest(secret, word.encode(), "sha256").hex() in emails}
    return replace(person, addresses=tuple(sorted(known)))


def _clean_events(database: Database, person: Person, *, write: bool) -> dict[str, int]:
    """Take the person out of what Dagster recorded of the store's runs; return how many rows, by table.

    What Dagster recorded is JSON and has to stay so: an id of digits, which may stand there as a number, becomes 0.
    """
    texts = _signs(person)
    numbers, words = ([one for one in texts if one.isdigit() is is_number] for is_number in (True, False))
    asked = {"numbers": _pattern(numbers, OF_A_FIELD), "words": _pattern(words)}
    counts: dict[str, int] = {}
    if not texts:
        return counts
    with closing(psycopg2.connect(database.libpq_urls["dagster"])) as connection, connection:
        cursor = connection.cursor()
        for table, (column, of_store) in DAGSTER.items():
            cursor.execute("SELECT to_regclass(%s) IS NOT NULL AND to_regclass('run_tags') IS NOT NULL", (table,))
            if not cursor.fetchone()[0]:
                continue
            theirs = f"({column} ~* %(words)s OR {column} ~ %(numbers)s) AND {of_store}"
            cleaned = f"regexp_replace(regexp_replace({column}, %(words)s, '{ERASED}', 'gi'), %(numbers)s, '0', 'g')"
            cursor.execute(
                f"UPDATE {table} SET {column} = {cleaned} WHERE {theirs}" if write
                else f"SELECT FROM {table} WHERE {theirs}",
                asked | {"store": person.store_id},
            )  # fmt: skip
            counts[table] = cursor.rowcount
    return {table: n for table, n in counts.items() if n}


def _pattern(texts: Sequence[str], not_after: str = "") -> str:
    """Return a regular expression of PostgreSQL's for any of these texts by itself; without any, one for nothing."""
    one_of = "|".join(re.escape(text) for text in texts)
    return f"(?<![[:alnum:].]){not_after}(?:{one_of})(?![[:alnum:]])" if texts else "(?!)"


def _forget(database: Database, events: Mapping[str, int]) -> list[str]:
    """Have the server forget deleted rows: tables, statistics, its journal; return what could not be."""
    beyond = []
    for url, names in (  # by whom the server was made: statistics and journal are nobody else's
        (database.libpq_url, [f"quimbi.{place.table}" for place in PLACES]),
        (database.libpq_urls["dagster"], list(events)),
    ):
        if names:
            with closing(psycopg2.connect(administration(database, url))) as connection:
                connection.autocommit = True
                beyond += _vacuum(connection.cursor(), [*names, "pg_catalog.pg_statistic"])
    if database.home is None:  # whose settings, and whose archives, are not ours
        beyond.append("the server's journal (WAL) until it is written over, its archives, and servers that follow it")
    else:
        with closing(psycopg2.connect(administration(database, database.libpq_url))) as connection:
            connection.autocommit = True
            beyond += _renew_journal(connection.cursor())
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
    except errors.InsufficientPrivilege:
        return ["the server's journal (WAL) until it is written over: only an administrator may do it"]
    finally:
        with suppress(psycopg2.Error):
            cursor.execute("ALTER SYSTEM RESET wal_recycle")
            cursor.execute("SELECT pg_reload_conf()")
    return [f"{left} files of the server's journal (WAL) until they are written over"] if left else []
