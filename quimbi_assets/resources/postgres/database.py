"""The project's PostgreSQL: which server, which databases on it, and the store schema at its current version.

Belongs here: finding and preparing databases, connections, which of their faults pass by themselves (trying again is
``defs.runs``), reading a query's rows. Does not: the embedded server's life
(``server``), roles (``access``), what is in a table (``tables``), bulk transfer (``copy``, ``reading``).
"""

import os
import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlsplit, urlunsplit

import psycopg2
from psycopg2.extensions import make_dsn, parse_dsn

from quimbi_assets.errors import BadInputError, DatabaseUnavailableError
from quimbi_assets.resources.home import directory, quimbi_home, refuse_half_restored
from quimbi_assets.resources.postgres import migrations

if TYPE_CHECKING:
    import pandas as pd

LOCK = 0x71756D6269
"""Advisory lock for creating databases and migrating: one process at a time ("qumbi" in ASCII)."""
SUPERUSER, OWNER = "postgres", "quimbi_owner"
"""Logins of the embedded server: whom it was made by, who looks after it, and who owns databases and tables."""
_MAKE_OWNER = f"""
    DO $$
    DECLARE name text;
    BEGIN
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{OWNER}') THEN
            CREATE ROLE {OWNER} LOGIN CREATEROLE;
        END IF;
        FOR name IN SELECT rolname FROM pg_roles WHERE rolname = ANY(ARRAY{list(migrations.EVERYBODY)}) LOOP
            EXECUTE format('GRANT %I TO {OWNER} WITH ADMIN TRUE, INHERIT FALSE', name);
        END LOOP;
    END $$
"""
_TO_BE_OWNED = """
    SELECT format('ALTER SCHEMA %%I OWNER TO %%I', nspname, %(owner)s) FROM pg_namespace
    WHERE nspname = 'quimbi' AND nspowner <> (%(owner)s)::regrole
    UNION ALL
    SELECT format('ALTER %%s %%s OWNER TO %%I',
        CASE relkind WHEN 'S' THEN 'SEQUENCE' WHEN 'v' THEN 'VIEW' ELSE 'TABLE' END, pg_class.oid::regclass, %(owner)s)
    FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE nspname IN ('public', 'quimbi') AND relkind IN ('r', 'p', 'v', 'S') AND relowner <> (%(owner)s)::regrole
        AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = pg_class.oid
            AND (deptype = 'e' OR relkind = 'S' AND deptype IN ('a', 'i')))
    UNION ALL
    SELECT format('ALTER TYPE %%s OWNER TO %%I', pg_type.oid::regtype, %(owner)s)
    FROM pg_type JOIN pg_namespace ON pg_namespace.oid = typnamespace
    WHERE nspname IN ('public', 'quimbi') AND typtype IN ('e', 'd') AND typowner <> (%(owner)s)::regrole
    UNION ALL
    SELECT format('ALTER ROUTINE %%s OWNER TO %%I', pg_proc.oid::regprocedure, %(owner)s)
    FROM pg_proc JOIN pg_namespace ON pg_namespace.oid = pronamespace
    WHERE nspname IN ('public', 'quimbi') AND proowner <> (%(owner)s)::regrole
        AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_proc'::regclass AND objid = pg_proc.oid
            AND deptype = 'e')
"""
"""What is not the owner's yet in one of the databases; a column's sequence goes with its table."""
_WRITTEN_BADLY = (
    "DATABASE_URL cannot be read: in its user and password each of @ : / ? # % [ ] and space has to be "
    "percent-encoded, @ as %40 and % as %25"
)
_INTEGERS = (21, 23, 20)
"""PostgreSQL's type codes of smallint, integer and bigint."""
SERIALIZATION, DEADLOCK, TOO_MANY, SHUTTING_DOWN = "40001", "40P01", "53300", "57P"
"""PostgreSQL's codes of faults that another try may not meet (the last one begins three)."""


class EveryStore(Enum):
    """What a transaction says that goes over all stores, in place of one's id."""

    EVERY_STORE = "every store"


EVERY_STORE = EveryStore.EVERY_STORE
Whose = str | EveryStore
"""Whose rows a transaction is for."""


@dataclass(frozen=True)
class Database:
    """Addresses of the three databases on one server: the store's, Dagster's storage, MLflow's backend."""

    libpq_url: str
    """``postgresql://...``, as libpq, psycopg2 and ADBC take it; the others are as SQLAlchemy does."""
    dagster_url: str
    mlflow_url: str
    home: Path | None = None
    """Home of the embedded server; None for a server given by ``DATABASE_URL``."""

    @property
    def url(self) -> str:
        """Store database for SQLAlchemy."""
        return _for_sqlalchemy(self.libpq_url)

    @property
    def libpq_urls(self) -> dict[str, str]:
        """All three for libpq, by whose they are: ``quimbi``, ``dagster``, ``mlflow``."""
        others = {"dagster": self.dagster_url, "mlflow": self.mlflow_url}
        return {"quimbi": self.libpq_url} | {name: url.replace("+psycopg2", "", 1) for name, url in others.items()}

    @contextmanager
    def transaction(self, whose: Whose) -> Iterator[Any]:
        """Yield a psycopg2 cursor inside one transaction: committed at the end, rolled back on any error.

        It is bound to the store of that id, or is for `EVERY_STORE`.
        """
        with self.by_owner() as cursor:
            cursor.execute(*bound_to(whose))
            yield cursor

    @contextmanager
    def by_owner(self) -> Iterator[Any]:
        """Yield a cursor in a transaction of the owner, who makes and changes tables and sees no row in them."""
        with closing(self._connect(self.libpq_url)) as connection, connection, connection.cursor() as cursor:
            yield cursor

    @contextmanager
    def snapshot(self, whose: Whose) -> Iterator["Database"]:
        """Yield the database as it is at one instant: all that is read through it in the block belongs together."""
        with self.transaction(whose) as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            yield Snapshot(self.libpq_url, self.dagster_url, self.mlflow_url, self.home, cursor, whose)

    def exported(self) -> str | None:
        """Return the id under which other connections see what this one sees; None if that is not one instant."""
        return None

    def execute(self, whose: Whose, sql: str, parameters: Any = None) -> list[Any]:
        """Run one statement in a transaction and return its rows, if it has any."""
        with self.transaction(whose) as cursor:
            cursor.execute(sql, parameters)
            return list(cursor.fetchall()) if cursor.description else []

    def execute_dagster(self, sql: str, parameters: Any = None) -> list[Any]:
        """Run one query on Dagster's storage and return its rows; no rows before Dagster first used it."""
        return self._rows_of("dagster", sql, parameters)

    def execute_mlflow(self, sql: str, parameters: Any = None) -> list[Any]:
        """Run one query on MLflow's backend and return its rows; no rows before MLflow first used it."""
        return self._rows_of("mlflow", sql, parameters)

    def query(self, whose: Whose, sql: str, parameters: Any = None) -> "pd.DataFrame":
        """Return a query's rows, columns as it names them, JSON as Python objects.

        A column of integers stays one where some are NULL (as objects, NULL as None): "4.0 segments" nobody counted.
        """
        import pandas as pd

        with self.transaction(whose) as cursor:
            cursor.execute(sql, parameters)
            columns, rows = list(cursor.description), cursor.fetchall()
        frame = pd.DataFrame(rows, columns=[column.name for column in columns])
        for place, column in enumerate(columns):
            if column.type_code in _INTEGERS and any(row[place] is None for row in rows):
                frame[column.name] = pd.Series([row[place] for row in rows], dtype=object)
        return frame

    def revive(self) -> None:
        """Start the embedded server again if it is gone (killed, by whomever).

        DatabaseUnavailableError if it cannot be started.
        """
        from quimbi_assets.resources.postgres.server.embedded import is_gone, start_server

        if self.home is not None and is_gone(self.home):
            start_server(self.home)

    def _connect(self, url: str) -> Any:
        """Connect to one of the databases, the embedded server being started again if it is gone.

        DatabaseUnavailableError if the server does not answer.
        """
        try:
            try:
                return psycopg2.connect(url)
            except psycopg2.OperationalError:
                if self.home is None:
                    raise
            self.revive()
            return psycopg2.connect(url)
        except psycopg2.OperationalError as error:
            raise DatabaseUnavailableError("the database does not answer; try again") from error

    def _rows_of(self, whose: str, sql: str, parameters: Any) -> list[Any]:
        """Ask another program's database; tables that are not there yet have no rows."""
        try:
            with (
                closing(self._connect(self.libpq_urls[whose])) as connection,
                connection,
                connection.cursor() as cursor,
            ):
                cursor.execute(sql, parameters)
                return list(cursor.fetchall())
        except psycopg2.errors.UndefinedTable:
            return []


@dataclass(frozen=True)
class Snapshot(Database):
    """A database whose transactions all are the one that ``cursor`` is in."""

    cursor: Any = None
    whose: Whose = EVERY_STORE

    @contextmanager
    def transaction(self, whose: Whose) -> Iterator[Any]:
        """Yield that cursor; the transaction goes on after the block. ValueError if it is bound to another store."""
        if self.whose not in (whose, EVERY_STORE):
            raise ValueError(f"this transaction is bound to store {self.whose!r}, not to {whose!r}")
        yield self.cursor

    def exported(self) -> str | None:
        """Return the snapshot's name."""
        self.cursor.execute("SELECT pg_export_snapshot()")
        return str(self.cursor.fetchone()[0])


def bound_to(whose: Whose) -> tuple[str, tuple[str, ...]]:
    """Return the statements, and their parameters, that bind a transaction to a store, or let it read all of them."""
    role, store_id = (migrations.OPERATOR, "") if whose is EVERY_STORE else (migrations.WORKER, str(whose))
    return f"SET LOCAL ROLE {role}; SET LOCAL quimbi.store_id TO %s", (store_id,)


def lock(cursor: Any, name: str) -> None:
    """Wait for the transaction's exclusive right to `name`."""
    cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"quimbi:{name}",))


@contextmanager
def owning(cursor: Any) -> Iterator[None]:
    """Let a store's transaction be the owner's for as long as the block runs, for what only an owner may."""
    cursor.execute("SET LOCAL ROLE none")
    yield
    cursor.execute(f"SET LOCAL ROLE {migrations.WORKER}")


def open_database(home: Path | None = None) -> Database:
    """Return the project's database, started, created and migrated as needed.

    With ``DATABASE_URL`` the home, by default ``quimbi_home()``, is not used. When everything is in place the cost is
    one query (no Alembic import). Call it in every process that uses the embedded server: the call counts the process
    among the server's users. DatabaseUnavailableError if the server cannot be started or reached, or lacks databases
    that the role may not create; BadInputError if the home cannot be used, or is half restored.
    """
    refuse_half_restored(home)
    database, admin = _addresses(home)
    if not _is_current(database):
        _create_missing(database, admin)
        migrations.upgrade(database.url, LOCK)
    return database


def new_databases() -> Database:
    """Return the project's databases, created if missing, as they are: whoever fills them brings the schema, too.

    An embedded server is started.
    """
    database, admin = _addresses(None)
    _create_missing(database, admin)
    return database


def _addresses(home: Path | None) -> tuple[Database, str]:
    """Return the databases, there or not, and the address by which they are made; an embedded server is started."""
    external = os.environ.get("DATABASE_URL", "").strip()
    if external:
        return _external(external), external
    from quimbi_assets.resources.postgres.server.embedded import start_server

    home = directory(home.absolute()) if home else quimbi_home()
    admin = start_server(home)
    return _on(admin.replace(f"{SUPERUSER}@", f"{OWNER}@", 1), "quimbi", "dagster", "mlflow", home), admin


def administration(database: Database, url: str) -> str:
    """Return libpq's address of one of the databases for what its owner may not: the embedded server's superuser's.

    A server given by ``DATABASE_URL`` has no other user that we know.
    """
    if database.home is None:
        return url
    from quimbi_assets.resources.postgres.server.embedded import start_server

    return _with_name(start_server(database.home), database_name(url))


def client_command(program: str, url: str, options: str = "") -> tuple[list[str], dict[str, str]]:
    """Return a client of the embedded server (psql, pg_dump) on a database, and what its environment needs besides.

    ``url`` is libpq's; ``options`` are those of the session, as ``READ_ONLY``.
    """
    from quimbi_assets.resources.postgres.server.files import binary

    address = parse_dsn(url)
    password = address.pop("password", "")  # not in the command, which every user of the machine can see
    environment = ({"PGOPTIONS": options} if options else {}) | ({"PGPASSWORD": password} if password else {})
    return [str(binary(program)), "--dbname", make_dsn(**address)], environment


def _external(url: str) -> Database:
    """Return the databases of an address; BadInputError, in which nothing of it is, if it is none of PostgreSQL's."""
    try:
        parts = urlsplit(url)
    except ValueError:
        raise BadInputError(_WRITTEN_BADLY) from None
    is_ours = re.match(r"(?:postgresql|postgres)(?:\+[^:/]*)?://", url, re.IGNORECASE)
    if not is_ours or not parts.path.strip("/"):
        raise BadInputError(
            "DATABASE_URL must read postgresql://user:password@host:port/database; only PostgreSQL is supported"
        )
    userinfo, _, places = parts.netloc.rpartition("@")
    is_cut = parts.fragment or "@" in userinfo or re.search(r"%(?![0-9A-Fa-f]{2})", url)
    if is_cut or not re.fullmatch(r"(?:(?:[^:,\[\]]*|\[[^\]]*\])(?::\d*)?(?:,|$))*", places):
        raise BadInputError(_WRITTEN_BADLY)  # what stands where a host should may be half a password
    if wrong := [port for port in re.findall(r":(\d+)(?:,|$)", places) if len(port) > 5 or not 1 <= int(port) <= 65535]:
        raise BadInputError(f"DATABASE_URL: there is no port {wrong[0][:12]}, ports are 1 to 65535")
    store = parts.path.strip("/")
    plain = urlunsplit(parts._replace(scheme="postgresql"))
    try:
        parse_dsn(plain)
    except psycopg2.ProgrammingError:
        raise BadInputError(
            "DATABASE_URL cannot be read: PostgreSQL's client knows no such setting as stands after its ?, or the "
            "address is cut; https://www.postgresql.org/docs/current/libpq-connect.html has all of them"
        ) from None
    return _on(plain, store, f"{store}_dagster", f"{store}_mlflow")


def _on(server: str, store: str, dagster: str, mlflow: str, home: Path | None = None) -> Database:
    store_url, dagster_url, mlflow_url = (_with_name(server, name) for name in (store, dagster, mlflow))
    return Database(store_url, _for_sqlalchemy(dagster_url), _for_sqlalchemy(mlflow_url), home)


def _is_current(database: Database) -> bool:
    names = [database_name(url) for url in (database.dagster_url, database.mlflow_url)]
    question = """
        SELECT (SELECT version_num FROM quimbi.alembic_version),
               (SELECT count(*) FROM pg_database WHERE datname = ANY(%s))
    """
    try:
        with database.by_owner() as cursor:
            cursor.execute(question, (names,))
            version, present = cursor.fetchone()
    except (
        DatabaseUnavailableError,
        psycopg2.errors.UndefinedTable,
        psycopg2.errors.InvalidSchemaName,
        psycopg2.errors.InsufficientPrivilege,
    ):
        return False
    return bool(version == migrations.HEAD and present == len(names))


def _create_missing(database: Database, admin: str) -> None:
    """Create the databases that do not exist, one process at a time."""
    urls = (database.libpq_url, database.dagster_url, database.mlflow_url)
    denied = []
    with closing(_connect_for_creation(admin)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", (LOCK,))
        cursor.execute("SELECT datname FROM pg_database")
        present = {row[0] for row in cursor.fetchall()}
        if database.home is not None:
            cursor.execute(_MAKE_OWNER)
        for name in (database_name(url) for url in urls if database_name(url) not in present):
            quoted = '"' + name.replace('"', '""') + '"'
            try:
                owner = "" if database.home is None else f"OWNER {OWNER} "
                cursor.execute(f"CREATE DATABASE {quoted} {owner}TEMPLATE template0 ENCODING 'UTF8'")
            except (psycopg2.errors.DuplicateDatabase, psycopg2.errors.UniqueViolation):
                continue
            except psycopg2.errors.InsufficientPrivilege:
                denied.append(f"CREATE DATABASE {quoted};")
        if database.home is not None:
            for name in (database_name(url) for url in reversed(urls)):
                _hand_over(_with_name(admin, name), name)
    if denied:
        raise DatabaseUnavailableError(
            f"the role of DATABASE_URL may not create databases; have run: {' '.join(denied)}"
        )


def _hand_over(url: str, name: str) -> None:
    """Let the owner own a database of the embedded server and all in it: homes of before had the superuser do it."""
    with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(f'ALTER DATABASE "{name}" OWNER TO {OWNER}')
        cursor.execute(_TO_BE_OWNED, {"owner": OWNER})
        for (statement,) in cursor.fetchall():
            cursor.execute(statement)


def _connect_for_creation(admin: str) -> Any:
    """Connect to `admin`'s database, or to ``postgres`` on the same server if that one does not exist yet."""
    failures = []
    for name in (database_name(admin), "postgres"):
        try:
            connection = psycopg2.connect(_with_name(admin, name))
            connection.autocommit = True
            return connection
        except psycopg2.OperationalError as error:
            failures.append(error)
    reason = str(failures[0]).strip().splitlines()[0]
    raise DatabaseUnavailableError(f"cannot reach the database of DATABASE_URL: {reason}") from failures[0]


def _with_name(url: str, name: str) -> str:
    """Return `url` as libpq takes it, for the database `name` on the same server."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(scheme="postgresql", path=f"/{quote(name) if '%' not in name else name}"))


def database_name(url: str) -> str:
    """Return the name of the database that `url` points to."""
    return unquote(urlsplit(url).path.strip("/"))


def _for_sqlalchemy(url: str) -> str:
    """Return a libpq URL as SQLAlchemy takes it, the psycopg2 driver named (2.1 would pick another)."""
    return url.replace("postgresql://", "postgresql+psycopg2://", 1)


def keep_rows_out(error: BaseException) -> None:
    """Leave of what the server said of an error, and of those it was raised from, the first line.

    The others quote rows, ``Key (customer_id)=(...) already exists``, and Dagster's log keeps an error for ever.
    """
    for cause in _causes(error):
        if isinstance(cause, psycopg2.Error) and cause.args:
            cause.args = (str(cause.args[0]).split("\n", 1)[0],)


def is_transient(error: BaseException) -> bool:
    """Whether trying again may help: the error, or one that it was raised from, is of the connection or the moment.

    >>> is_transient(psycopg2.OperationalError("server closed the connection unexpectedly"))
    True
    >>> is_transient(ValueError("no such column"))
    False
    """
    return any(_passes(cause) for cause in _causes(error))


def _passes(error: BaseException) -> bool:
    if isinstance(error, ConnectionError | TimeoutError | psycopg2.InterfaceError):
        return True
    if not isinstance(error, psycopg2.Error):
        return False
    if error.pgcode is None:
        return isinstance(error, psycopg2.OperationalError)
    return error.pgcode in (SERIALIZATION, DEADLOCK, TOO_MANY) or error.pgcode.startswith(SHUTTING_DOWN)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the error, what it was raised from, and what libraries keep of it (SQLAlchemy's ``orig``)."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        cause = waiting.pop()
        if cause is None or id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        waiting += [cause.__cause__, cause.__context__, getattr(cause, "orig", None)]
