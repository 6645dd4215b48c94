"""The graph's resources as assets take them: tables, the database, MLflow, and who waits at a terminal.

Belongs here: what Dagster hands to assets. Does not: SQL (``postgres``), any MLflow call (``mlflow``), how a terminal
shows progress (``commands.console``). Messages and names have modules of their own (``slack``, ``claude``).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from importlib import import_module
from threading import Thread, main_thread

from dagster import ResourceParam

from quimbi_assets.resources.home import directory, quimbi_home
from quimbi_assets.resources.mlflow.runs import Tracking
from quimbi_assets.resources.parquet_io import ParquetTables
from quimbi_assets.resources.postgres.database import Database, open_database
from quimbi_assets.resources.slack import Slack

NEEDED_LATER = (
    "ibis.backends.sql.compilers",
    "pandera.backends.pandas.builtin_checks",
    "mlflow",
    "skops.io",
    "mlflow.sklearn",
    "mlflow.store.tracking.sqlalchemy_store",
    "matplotlib.backends.backend_agg",
)
"""Modules that a run's later steps would import, 4 s in all; first what is needed first."""


@contextmanager
def imports_beside() -> Iterator[None]:
    """Import what later steps need (:data:`NEEDED_LATER`) on a thread of its own while the block runs.

    Its end waits for them: what two threads import that imports each other, one of them finds half made.
    """
    importing = Thread(target=_import_all, name="imports")
    importing.start()
    yield
    importing.join()


def _import_all() -> None:
    for name in NEEDED_LATER:
        if main_thread().is_alive():  # else the process ends, and waits for this thread
            import_module(name)


def open_tracking() -> Tracking:
    """Return MLflow on the store's own server, one per process and database; artifacts rest under ``QUIMBI_HOME``."""
    return _tracking(open_database().mlflow_url, str(directory(quimbi_home() / "mlartifacts")))


@lru_cache(maxsize=4)
def _tracking(url: str, artifact_root: str) -> Tracking:
    return Tracking(url, artifact_root)


class Progress:
    """Hears a line per step from the assets; this one is silent, the same facts being the assets' metadata in the UI.

    A command gives its own (``commands.console.Steps``). A plain object: a configurable resource is built anew for a
    run and would lose what it speaks to.
    """

    def step(self, message: str, done: float | None = None) -> None:
        """Hear what is being done, in the present tense, and the share of the whole run finished, 0-1."""

    def warn(self, message: str) -> None:
        """Hear what did not fail the run, and what to do about it, in one line."""


Tables = ResourceParam[ParquetTables]
StoreDatabase = ResourceParam[Database]
Mlflow = ResourceParam[Tracking]
Listener = ResourceParam[Progress]
Messages = ResourceParam[Slack]
