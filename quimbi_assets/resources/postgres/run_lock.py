"""One run of a store at a time, whoever began it: a lock of PostgreSQL that lives as long as the run's own session.

Belongs here: taking such locks, waiting for them, saying who holds them, and which runs have a session. Does not: when
a run takes one (``commands.running``, ``defs.runs``), in which order runs begin (``dagster.yaml``).

The server gives a lock back with the connection that took it, however its process ended and on whichever host: nothing
has to be cleaned up, and a run without a session is over, or has lost the right to publish. The session is idle between
questions and holds no transaction open. A pooler such as PgBouncer before the server has to be in session mode.
"""

import os
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import astuple, dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg2

from quimbi_assets.errors import StoreBusyError
from quimbi_assets.resources.postgres.database import EVERY_STORE, Database, Whose

POLL_SECONDS = 1.0
Tell = Callable[[str], None]
"""Hears a line for people."""

_KEEPALIVES = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3, "tcp_user_timeout": 60_000}
_SETTINGS = """
    SELECT set_config(name, value, false) FROM pg_settings JOIN (VALUES
        ('idle_session_timeout', '0'), ('tcp_keepalives_idle', '30'), ('tcp_keepalives_interval', '10'),
        ('tcp_keepalives_count', '3')) AS wanted(name, value) USING (name)
"""
"""No server may end the session for idleness, and none keeps that of a host without power for over a minute."""
_HOLDER = """
    SELECT application_name FROM pg_locks JOIN pg_stat_activity USING (pid)
    WHERE locktype = 'advisory' AND granted AND objsubid = 1
      AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND (classid::bigint << 32) | objid::bigint = hashtextextended(%s, 0)
"""
_MARK, _HOST_CHARACTERS, _RUN_CHARACTERS = "quimbi", 20, 8
"""A session's name reads ``quimbi 1a2b3c4d 2026-11-24T21:03 host:1234``; PostgreSQL keeps 63 characters."""


class RunLock:
    """The right to run stores, held by a connection of its own until it is closed; known by its Dagster run, if any."""

    def __init__(self, database: Database, run_id: str = "") -> None:
        self._connection = lasting_session(database)
        self._taken: set[str] = set()
        self.serve(run_id)

    def close(self) -> None:
        """Give back whatever was taken, at once: the server notices some moments later that a connection was closed."""
        with suppress(psycopg2.Error):
            _ask(self._connection, "SELECT pg_advisory_unlock_all()")
        self._connection.close()

    def serve(self, run_id: str) -> None:
        """Let the session be known as that of a Dagster run, since now."""
        self._run_id = run_id
        since = f"{datetime.now(UTC):%Y-%m-%dT%H:%M}"
        name = f"{_MARK} {run_id[:_RUN_CHARACTERS] or '-'} {since} {this_process()}"
        _ask(self._connection, "SELECT set_config('application_name', %s, false)", name)

    def take(self, store_ids: Iterable[str], tell: Tell | None = None) -> None:
        """Take the right to run each store, in sorted order, so that two runs of several never wait for each other.

        ``tell`` hears whom this waits for, again when it is somebody else; without it, StoreBusyError.
        """
        for store_id in sorted(set(store_ids)):
            last_told = None
            while not _try(self._connection, f"run:{store_id}"):
                busy = f"store {store_id} is being run by {self._holder(store_id)}"
                if tell is None:
                    raise StoreBusyError(f"{busy}; wait for it, or use --wait")
                if busy != last_told:
                    tell(f"waiting: {busy}")
                    last_told = busy
                time.sleep(POLL_SECONDS)
            self._taken.add(store_id)
        self.serve(self._run_id)

    def holds_lock(self) -> bool:
        """Whether all that was taken is still held, asked of the server now.

        False once the connection broke, for good: somebody else may have run the store since. What was computed before
        must not be published then.
        """
        question = "SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'advisory' AND granted"
        try:
            return bool(_ask(self._connection, question)[0][0] == len(self._taken))
        except psycopg2.Error:
            return False

    def guarded(self, database: Database) -> Database:
        """Return the database as the run may use it: no transaction commits once the right to its stores was lost.

        StoreBusyError is raised instead, by those that only read too.
        """
        return _Guarded(*astuple(database), run_lock=self)

    def require(self) -> None:
        """Go on only with the right to; StoreBusyError if it was lost."""
        if not self.holds_lock():
            raise StoreBusyError(
                f"store {', '.join(sorted(self._taken))}: the database ended this run's session, and another run may "
                "have begun since; nothing was published, run it again"
            )

    def _holder(self, store_id: str) -> str:
        """Name who runs a store: process, since when, which run."""
        words = [name.split() for (name,) in _ask(self._connection, _HOLDER, f"run:{store_id}")]
        if not words or len(words[0]) != 4 or words[0][0] != _MARK:  # gone just now, or not one of ours
            return "another process"
        _, run, since, process = words[0]
        day, hour = since.split("T")
        today = f"{datetime.now(UTC):%Y-%m-%d}"
        run = "" if run == "-" else f" (run {run})"
        return f"process {process} since {hour if day == today else f'{day} {hour}'} UTC{run}"


@dataclass(frozen=True, kw_only=True)
class _Guarded(Database):
    """A database whose transactions end with the question whether ``run_lock`` is still held."""

    run_lock: RunLock

    @contextmanager
    def transaction(self, whose: Whose) -> Iterator[Any]:
        with super().transaction(whose) as cursor:
            yield cursor
            self.run_lock.require()


def this_process() -> str:
    """Name this process: host and number."""
    return f"{socket.gethostname()[:_HOST_CHARACTERS]}:{os.getpid()}"


def runs_with_session(database: Database, run_ids: Sequence[str]) -> set[str]:
    """Return those of the runs that have a session at the server, holding their stores or waiting for them."""
    known = {
        run
        for (run,) in database.execute(
            EVERY_STORE,
            "SELECT split_part(application_name, ' ', 2) FROM pg_stat_activity WHERE application_name LIKE %s",
            (f"{_MARK} %",),
        )
    }
    return {run_id for run_id in run_ids if run_id[:_RUN_CHARACTERS] in known}


@contextmanager
def one_of_places(database: Database, name: str, places: int, tell: Tell) -> Iterator[None]:
    """Hold one of a few places that all processes share, such as those of runs that ask Claude; wait until one is free.

    The name says what the places are for; ``tell`` hears once that this waits.
    """
    with closing(lasting_session(database)) as session:
        is_told = False
        while not any(_try(session, f"{name}:{place}") for place in range(places)):
            if not is_told:
                tell(f"waiting: {places} other runs have the places for {name}; goes on when one is done")
                is_told = True
            time.sleep(POLL_SECONDS)
        yield


def lasting_session(database: Database) -> Any:
    """Return a connection that no server ends for idleness, for locks that live as long as it does."""
    session = psycopg2.connect(database.libpq_url, **_KEEPALIVES)
    session.autocommit = True
    _ask(session, _SETTINGS)
    return session


def _try(session: Any, key: str) -> bool:
    return bool(_ask(session, "SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", key)[0][0])


def _ask(session: Any, question: str, *values: str) -> list[Any]:
    with session.cursor() as cursor:
        cursor.execute(question, values)
        return list(cursor.fetchall())
