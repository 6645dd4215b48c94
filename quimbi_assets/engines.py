"""Where expressions run: DuckDB in process over Parquet or Arrow, and what any other engine must be able to do.

Belongs here: the protocol and DuckDB. Does not: any formula, Spark (``resources.spark``).
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from threading import Event, Lock
from typing import TYPE_CHECKING, Any, Protocol

import pyarrow as pa

from quimbi_assets.parquet_files import small_table

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection
    from upath import UPath

INTERRUPTED = "Query interrupted"
"""What DuckDB's ``RuntimeError`` says where Ctrl-C ended a query."""
BATCH_ROWS = 100_000
MEMORY = "2GB"
"""Of all engines of a process that share a database; what needs more goes to disk."""


def cores() -> int:
    """Count the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Engine(Protocol):
    """What features need of an engine; ``dialect`` is its Ibis backend's name."""

    dialect: str

    def view(self, name: str, source: "pa.Table | UPath", where: str = "") -> None:
        """Make the rows of ``source`` that meet a condition readable as table ``name``."""

    def materialise(self, name: str, sql: str) -> None:
        """Compute ``sql`` once and keep it as table ``name``."""

    def arrow(self, sql: str) -> pa.Table:
        """Return the rows of ``sql``, which are few."""


class SpreadingEngine(Engine, Protocol):
    """An engine that spreads the work itself, over processes or machines, and writes what it computed."""

    def write(self, sql: str, folder: "UPath", schema: pa.Schema) -> None:
        """Write the rows of ``sql``, however many, as Parquet files that, by name, are in its order."""


def _spills() -> str:
    """Return what the names of this machine's spill folders begin with; those of processes that died are removed."""
    begin = Path(tempfile.gettempdir()) / f"quimbi-spill-{os.uname().nodename}-"
    for folder in begin.parent.glob(f"{begin.name}[0-9]*"):
        if Path("/proc/self").exists() and not Path("/proc", folder.name.rpartition("-")[2]).exists():
            shutil.rmtree(folder, ignore_errors=True)
    return str(begin)


def _database(threads: int | None, process: int) -> "DuckDBPyConnection":
    """Open a database in the memory of a process."""
    import duckdb

    config: dict[str, Any] = {"memory_limit": MEMORY, "temp_directory": f"{_spills()}{process}"}
    if threads is not None or _one_thread.is_set():
        config["threads"] = 1 if _one_thread.is_set() else threads
    return duckdb.connect(config=config)


_one_thread = Event()
"""Set when a fault of DuckDB's own has ended a database: what this process computes from then on is computed on one."""
_shared_database = lru_cache(maxsize=4)(_database)
"""A connection to the database of a process takes 0.4 ms, a database 12."""
_opening = Lock()
"""Held while the shared database is asked for: threads that begin at once share one too."""


def is_fault(error: object) -> bool:
    """Whether an error is a fault of DuckDB's own, which ends a database for all engines there are on it."""
    # By its text: where rows are streamed, Arrow raises an OSError with it.
    return isinstance(error, Exception) and str(error).startswith(("INTERNAL Error", "FATAL Error"))


class DuckEngine:
    """DuckDB in memory, its tables private to one piece of work; use as a context manager.

    `threads` None leaves it to DuckDB (all cores). With several, floating-point sums are taken in another order every
    time: features are computed with one thread a part of the customers, so that the same data give the same bytes.
    An engine is one of several connections to a database, or has one of its `own`: a database knows one file system of
    a kind (``s3``), and fsspec makes one a thread and account.
    """

    dialect = "duckdb"

    def __init__(self, threads: int | None = None, *, own: bool = False) -> None:
        self._is_own = own
        with _opening:
            self._database = (_database if own else _shared_database)(threads, os.getpid())
        self._connection = self._database.cursor()

    def __enter__(self) -> "DuckEngine":
        """Return itself."""
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        """Close; Ctrl-C while DuckDB computes is Ctrl-C, not a failed query."""
        self._connection.close()
        if self._is_own:
            self._database.close()
        if isinstance(error, RuntimeError) and str(error) == INTERRUPTED:
            raise KeyboardInterrupt from error
        if is_fault(error):
            _one_thread.set()
            _shared_database.cache_clear()
        elif not self._is_own:
            self._give_back()

    def view(self, name: str, source: "pa.Table | UPath", where: str = "") -> None:
        """Make the rows of ``source`` that meet a condition readable as table ``name``, without a copy."""
        table = source if isinstance(source, pa.Table) else small_table(source)
        rows = f'"{name} as given"' if table is not None else self._parquet(source)
        if table is not None:
            self._connection.register(f"{name} as given", table)
        condition = f" WHERE {where}" if where else ""
        self._connection.execute(f'CREATE OR REPLACE TEMP VIEW "{name}" AS SELECT * FROM {rows}{condition}')

    def take(self, name: str, rows: pa.RecordBatchReader) -> None:
        """Read a stream of rows once and keep them as table ``name``."""
        self._connection.register(f"{name} as given", rows)
        self.materialise(name, f'SELECT * FROM "{name} as given"')
        self._connection.unregister(f"{name} as given")

    def materialise(self, name: str, sql: str) -> None:
        """Compute ``sql`` once and keep it as table ``name``."""
        self._connection.execute(f'CREATE OR REPLACE TEMP TABLE "{name}" AS {sql}')

    def define(self, name: str, sql: str) -> None:
        """Make ``sql`` readable as table ``name``, computed each time."""
        self._connection.execute(f'CREATE OR REPLACE TEMP VIEW "{name}" AS {sql}')

    def drop(self, name: str) -> None:
        """Let go of a table that was taken or materialised."""
        self._connection.execute(f'DROP TABLE "{name}"')

    def arrow(self, sql: str) -> pa.Table:
        """Return the rows of ``sql``, which are few."""
        return self._connection.sql(sql).to_arrow_table()

    def batches(self, sql: str, rows: int = BATCH_ROWS) -> Iterator[pa.RecordBatch]:
        """Yield the rows of ``sql`` in batches."""
        yield from self._connection.sql(sql).to_arrow_reader(rows)

    def _give_back(self) -> None:
        """Let go of memory that no table needs any more; DuckDB looks for it where the limit is set, to the same too.

        Without it all of a table's 800 MB stayed with the process when its engine was closed.
        """
        import duckdb

        try:
            with self._database.cursor() as connection:
                connection.execute(f"SET memory_limit = '{MEMORY}'")
        except duckdb.FatalException:  # nothing can be asked of this database any more
            _shared_database.cache_clear()

    def _parquet(self, place: "UPath") -> str:
        """Return a table function over a Parquet file or folder; other than local ones are read through fsspec."""
        is_local = place.protocol in ("", "file")
        if not is_local and place.protocol not in self._connection.list_filesystems():
            self._connection.register_filesystem(place.fs)
        path = place.path if is_local else str(place)
        pattern = f"{path}/*.parquet" if place.is_dir() else path
        return "read_parquet('" + pattern.replace("'", "''") + "')"
