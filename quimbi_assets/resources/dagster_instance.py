"""Where Dagster keeps its runs and events: a database beside the store's, through dagster-postgres.

Belongs here: the storage class that ``dagster.yaml`` names, and the instance that the ``quimbi`` command uses.
Does not: any asset.
"""

import os
import shutil
import socket
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

from dagster import DagsterInstance, DagsterRun
from dagster._serdes import ConfigurableClassData
from dagster_postgres.storage import DagsterPostgresStorage

from quimbi_assets.resources.home import quimbi_home
from quimbi_assets.resources.pool_queue import PoolQueueEventLogStorage
from quimbi_assets.resources.postgres.database import open_database

STATEMENT_TIMEOUT_MS = 600_000
POOL_RECYCLE_SECONDS = 3600
#: On a run: which process executes it.
PROCESS_TAG = "quimbi/process"


class StorePostgresStorage(DagsterPostgresStorage):
    """dagster-postgres storage that finds its server itself, so that ``dagster dev`` needs no settings.

    The server is that of ``DATABASE_URL``, or the embedded PostgreSQL under ``QUIMBI_HOME``, started if need be.
    Its event log queues for pools without losing anybody.
    """

    def __init__(self, postgres_url: str, *arguments: Any, **keywords: Any) -> None:
        super().__init__(postgres_url, *arguments, **keywords)
        self._event_log_storage = PoolQueueEventLogStorage(postgres_url, self.should_autocreate_tables)

    @classmethod
    def config_type(cls) -> Any:
        """No configuration: everything comes from the environment."""
        return {}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> "StorePostgresStorage":
        """Build the storage; called by Dagster with the block of ``dagster.yaml``."""
        return cls(postgres_url=open_database().dagster_url, inst_data=inst_data)


def dagster_home() -> Path:
    """Folder for ``DAGSTER_HOME`` under ``QUIMBI_HOME``, with an up-to-date ``dagster.yaml`` in it."""
    folder = quimbi_home() / "dagster"
    folder.mkdir(parents=True, exist_ok=True)
    with resources.as_file(resources.files("quimbi_assets.resources") / "dagster.yaml") as source:
        target = folder / "dagster.yaml"
        if not target.exists() or target.read_bytes() != source.read_bytes():
            shutil.copyfile(source, target)
    return folder


def open_instance() -> DagsterInstance:
    """Return the Dagster instance that the UI shows too; use as a context manager.

    Connections are kept open, as the web server does: a run asks the storage some 1,900 times, and a connection
    for each took 6 of 40 seconds.
    """
    home = dagster_home()
    os.environ["DAGSTER_HOME"] = str(home)
    instance = DagsterInstance.from_config(str(home))
    instance.optimize_for_webserver(STATEMENT_TIMEOUT_MS, POOL_RECYCLE_SECONDS, max_overflow=20)
    return instance


def tell_when_waiting(instance: DagsterInstance, tell: Callable[[str], None]) -> None:
    """Let somebody be told, once a pool, that a step of this process waits for a place in it.

    Parameters
    ----------
    instance : DagsterInstance
        From :func:`open_instance`.
    tell : callable
        Hears a line for people.
    """
    told: set[str] = set()

    def on_wait(pool: str) -> None:
        if pool not in told:
            told.add(pool)
            tell(f"waiting for a place in the pool {pool!r}, which other runs have taken; goes on when one is done")

    storage = instance.event_log_storage
    if isinstance(storage, PoolQueueEventLogStorage):
        storage.on_wait = on_wait


def this_process() -> str:
    """Name this process: host and number."""
    return f"{socket.gethostname()}:{os.getpid()}"


def release_slots(instance: DagsterInstance) -> None:
    """Give back the places in pools of runs that have ended, or whose process has.

    A run that is killed keeps its place until somebody frees it, and a later one would wait for ever.

    Parameters
    ----------
    instance : DagsterInstance
        Where runs are recorded.
    """
    storage = instance.event_log_storage
    for key in storage.get_concurrency_keys():
        pool = storage.get_concurrency_info(key)
        for run_id in pool.active_run_ids | {step.run_id for step in pool.pending_steps}:
            run = instance.get_run_by_id(run_id)
            if run is None or run.is_finished or _is_dead(run):
                storage.free_concurrency_slots_for_run(run_id)


def _is_dead(run: DagsterRun) -> bool:
    """Whether the process that a run says it is executed by is gone; of another host's nothing is known."""
    host, _, number = run.tags.get(PROCESS_TAG, "").rpartition(":")
    if host != socket.gethostname() or not number.isdigit():
        return False
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
