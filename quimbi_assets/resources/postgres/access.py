"""Who reads the store database beside its owner: people who only read, and programs that are let see one store.

Belongs here: what these two may read, transactions bound to a store, the few connections of a server that stays. Does
not: the roles and the policies that bind them (``migrations``), tokens (``tables.tokens``).
"""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg2
from psycopg2.extensions import TRANSACTION_STATUS_IDLE
from psycopg2.pool import ThreadedConnectionPool

from quimbi_assets.errors import DatabaseUnavailableError
from quimbi_assets.resources.postgres.database import EVERY_STORE, LOCK, Database, Snapshot, Whose, bound_to
from quimbi_assets.resources.postgres.migrations import READER, ROW_SECURITY, SERVED

READ_ONLY = f"-c role={READER}"
"""Session options of who only reads, as ``allow_reading`` lets them."""
NOT_READ = ("customer_addresses", "export_outbox", "tokens")
"""Tables that nobody reads who only reads: addresses, those that wait to be sent among them, and tokens."""
SERVED_TABLES = (
    "alert_notices", "archetypes", "audience_members", "audiences", "axis_models", "customer_actions",
    "customer_consent", "customer_history", "customer_identities", "customer_profiles", "dim_segment_master",
    "drift_floors", "forecast_fits", "group_figures", "order_items", "orders", "population_drift", "product_names",
    "products", "promotions", "publications", "segment_lineage", "segment_migrations", "segment_naming",
    "segment_renames", "stores", "treatments", "trials",
)  # fmt: skip
"""The tables that programs may read, and no other: a new one is not served until it stands here."""
NOT_SERVED = (
    *NOT_READ, "alembic_version", "erased_customers", "export_jobs", "export_profiles", "helpdesk_customers",
    "quarantined_rows", "sources", "support_tickets", "suppressed_keys", "ticket_reopenings",
)  # fmt: skip
"""The others, beside views: where orders come from, what services were sent, and refused rows and tickets,
 in which customers' own words stand. Named for whoever adds a table: it belongs in one of the two."""
SERVED_COLUMNS = {"support_tickets": ("store_id", "customer_id", "created_at", "status", "satisfaction_score")}
"""Of tables that are not served, the columns that are: how many tickets, how they went, but no word of a customer."""
CONNECTIONS = 8
LONGEST_SECONDS, LONGEST_WAIT_SECONDS = 10, 5
"""Time of one statement of a program's question, and for which it waits for a connection."""
NO_ADDRESS = "no_connection_but_the_one_that_is_bound_to_a_store"
"""In place of addresses: libpq cannot read it and says so; an empty one it reads as that of ``$PGHOST``."""
BOUND = f"""
    BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
    SET LOCAL ROLE {SERVED}; SET LOCAL TIME ZONE 'UTC'; SET LOCAL statement_timeout = '{LONGEST_SECONDS}s';
    SET LOCAL quimbi.store_id TO %s
"""


def allow_reading(database: Database) -> None:
    """Let who only reads read the store database: all stores and all tables but :data:`NOT_READ`."""
    rights = f"GRANT USAGE ON SCHEMA quimbi TO {READER}; GRANT SELECT ON ALL TABLES IN SCHEMA quimbi TO {READER}"
    _allow(database, f"{rights}; REVOKE SELECT ON {_listed(NOT_READ)} FROM {READER}")


def allow_serving(database: Database) -> None:
    """Let programs that ask read :data:`SERVED_TABLES` of one store, and no view."""
    rights = f"GRANT USAGE ON SCHEMA quimbi TO {SERVED}; REVOKE ALL ON ALL TABLES IN SCHEMA quimbi FROM {SERVED}"
    rights += f"; GRANT SELECT ON {_listed(SERVED_TABLES)} TO {SERVED}"
    for table, columns in SERVED_COLUMNS.items():
        rights += f"; GRANT SELECT ({', '.join(columns)}) ON quimbi.{table} TO {SERVED}"
    _allow(database, rights)


def _listed(tables: tuple[str, ...]) -> str:
    return ", ".join(f"quimbi.{table}" for table in tables)


def _allow(database: Database, rights: str) -> None:
    with database.by_owner() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
        cursor.execute(f"{rights}; {ROW_SECURITY}")


@dataclass(frozen=True)
class ServedDatabase(Database):
    """The store database as a server that stays uses it: over a few connections, for one store at a time."""

    _pool: Any = None
    _free: threading.BoundedSemaphore = field(default_factory=lambda: threading.BoundedSemaphore(CONNECTIONS))

    @classmethod
    def of(cls, database: Database) -> "ServedDatabase":
        """Let programs read, and open the first connection."""
        allow_serving(database)
        pool = ThreadedConnectionPool(1, CONNECTIONS, database.libpq_url)
        pool.minconn = CONNECTIONS  # so many stay open, once they were; else each beyond the first is closed after use
        return cls(database.libpq_url, database.dagster_url, database.mlflow_url, database.home, pool)

    def execute(self, whose: Whose, sql: str, parameters: Any = None) -> list[Any]:
        """Run one statement, a transaction of its own, and return its rows: one way to the server and back."""
        bound, store = bound_to(whose)
        text = f"{bound}; {sql}"  # two statements at once are one transaction
        if isinstance(parameters, Mapping):
            text, parameters = text.replace("%s", "%(bound_to)s", 1), {"bound_to": store[0], **parameters}
        else:
            text = f"{bound}; {sql.replace('%', '%%') if parameters is None else sql}"
            parameters = (*store, *(parameters or ()))
        with self._place(), self._connected(text, parameters) as cursor:
            return list(cursor.fetchall()) if cursor.description else []

    @contextmanager
    def transaction(self, whose: Whose) -> Iterator[Any]:
        """Yield a cursor as ``Database.transaction`` does; one within another's block takes a second connection."""
        bound, store = bound_to(whose)
        with self._begun(f"BEGIN; {bound}", store) as cursor:
            yield cursor

    @contextmanager
    def of_store(self, store_id: str) -> Iterator[Database]:
        """Yield the database as of one instant, read-only, without any row of another store.

        No other connection can be opened through it. DatabaseUnavailableError if there is no answer, none in
        :data:`LONGEST_SECONDS`, or no connection in :data:`LONGEST_WAIT_SECONDS`.
        """
        with self._begun(BOUND, (store_id,)) as cursor:
            yield Snapshot(NO_ADDRESS, NO_ADDRESS, NO_ADDRESS, self.home, cursor, store_id)

    def check(self) -> None:
        """Raise DatabaseUnavailableError if the database does not answer; over a connection beside those few."""
        with super().transaction(EVERY_STORE) as cursor:
            cursor.execute("SELECT 1")

    def close(self) -> None:
        """Close all connections."""
        self._pool.closeall()

    @contextmanager
    def _begun(self, opening: str, parameters: Any) -> Iterator[Any]:
        """Yield a cursor in the transaction that `opening` begins; committed at the end, rolled back on any error."""
        with self._place(), self._connected(opening, parameters) as cursor:
            yield cursor
            cursor.execute("COMMIT")

    @contextmanager
    def _place(self) -> Iterator[None]:
        """Wait until a connection is free, and let others wait meanwhile; DatabaseUnavailableError if none becomes."""
        if not self._free.acquire(timeout=LONGEST_WAIT_SECONDS):
            raise DatabaseUnavailableError(
                f"many ask at once, no connection to the database was free in {LONGEST_WAIT_SECONDS} s; try again"
            )
        try:
            yield
        finally:
            self._free.release()

    @contextmanager
    def _connected(self, opening: str, parameters: Any) -> Iterator[Any]:
        """Yield a cursor that has executed `opening`, over one of the connections, which is given back clean."""
        connection, cursor = self._opened(opening, parameters)
        try:
            yield cursor
        except psycopg2.errors.QueryCanceled as error:
            raise DatabaseUnavailableError(
                f"the answer took longer than {LONGEST_SECONDS} s: ask for less, by a narrower filter or fewer rows"
            ) from error
        except psycopg2.OperationalError as error:
            raise DatabaseUnavailableError("the database does not answer; try again") from error
        finally:
            self._give_back(connection)

    def _give_back(self, connection: Any) -> None:
        """Give a connection back without the transaction that it may still be in; else let it go."""
        try:
            if not connection.closed and connection.info.transaction_status != TRANSACTION_STATUS_IDLE:
                connection.cursor().execute("ROLLBACK")  # psycopg2's own knows of no transaction that it did not begin
        except psycopg2.Error:
            connection.close()
        self._pool.putconn(connection)

    def _opened(self, opening: str, parameters: Any) -> tuple[Any, Any]:
        """Return a connection and its cursor, which executed `opening`.

        Those that the server closed are let go; an embedded server that is gone is started again.
        """
        for is_last in (*[False] * CONNECTIONS, True):
            connection = None
            try:
                connection = self._pool.getconn()
                connection.autocommit = True  # transactions are begun and ended in so many words: a way less each
                cursor = connection.cursor()
                cursor.execute(opening, parameters)
                return connection, cursor
            except (psycopg2.OperationalError, psycopg2.InterfaceError) as error:
                if connection is not None:
                    self._pool.putconn(connection, close=True)
                if is_last or (connection is None and self.home is None):
                    raise DatabaseUnavailableError("the database does not answer; try again") from error
                if connection is None:
                    self.revive()
            except BaseException:
                self._pool.putconn(connection, close=True)
                raise
        raise AssertionError("the last attempt returns or raises")
