"""Where Dagster keeps its runs and events: a database beside the store's, through dagster-postgres.

Belongs here: the storage class that ``dagster.yaml`` names, the instance that the ``quimbi`` command uses, ending runs
whose process is gone. Does not: any asset.
"""

import math
import os
import shutil
import sys
import time
from functools import cache, partial
from importlib import resources
from pathlib import Path
from typing import Any

from dagster import DagsterInstance, DagsterRun, DagsterRunStatus, RunsFilter
from dagster._core.definitions.repository_definition import SINGLETON_REPOSITORY_NAME
from dagster._core.instance import InstanceRef
from dagster._core.launcher import CheckRunHealthResult, DefaultRunLauncher, WorkerStatus
from dagster._core.remote_origin import ManagedGrpcPythonEnvCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._serdes import ConfigurableClassData
from dagster_postgres.storage import DagsterPostgresStorage

from quimbi_assets.resources.home import directory, quimbi_home
from quimbi_assets.resources.postgres.database import open_database
from quimbi_assets.resources.postgres.run_lock import runs_with_session, this_process

NO_OUTPUT = {"module": "dagster._core.storage.noop_compute_log_manager", "class": "NoOpComputeLogManager"}
LOCATION = "quimbi_assets.definitions"
"""Name of the code location, and the module that it is; `workspace.yaml` and `pyproject.toml` say the same."""
KNOWN_SECONDS = 1.0
STATEMENT_TIMEOUT_MS = 600_000
POOL_RECYCLE_SECONDS = 3600
#: On a run: which process executes it, put there once the run has its session at the database.
PROCESS_TAG = "quimbi/process"
#: On a run: its partition, or the first and last of a backfill's.
PARTITION_TAG = "dagster/partition"
RANGE_TAGS = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")
UNFINISHED = [
    DagsterRunStatus.NOT_STARTED,
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
    DagsterRunStatus.CANCELING,
]
BEGINNING_SECONDS = 180.0
"""Between a run's launch, or its start, and its first sign of life; Dagster's monitor waits as long for a start."""
ENDING_SECONDS = 2.0
"""Between a run's last use of its session and the record of its end; only then is it taken for dead."""


class StorePostgresStorage(DagsterPostgresStorage):
    """dagster-postgres storage that finds its server itself, so that ``dagster dev`` needs no settings.

    The server is that of ``DATABASE_URL``, or the embedded PostgreSQL under ``QUIMBI_HOME``, started if need be.
    """

    @classmethod
    def config_type(cls) -> Any:
        """No configuration: everything comes from the environment."""
        return {}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> "StorePostgresStorage":
        """Build the storage; called by Dagster with the block of ``dagster.yaml``.

        Whether a table exists is asked once: Dagster asks it 650 times a run, 0.4 s.
        """
        storage = cls(postgres_url=open_database().dagster_url, inst_data=inst_data)
        events: Any = storage.event_log_storage
        events.has_table = cache(events.has_table)
        events.has_dynamic_partition = KnownPartitions(events).has
        return storage


class KnownPartitions:
    """The dynamic partitions that there are, read at once.

    For the state of checks by partition Dagster asks of every partition of every check whether there still is such a
    one, two queries each: 900 for the page of three checks of 300 stores, two thirds of the time it took to open.
    """

    def __init__(self, events: Any) -> None:
        self._events, self._is_there = events, events.has_dynamic_partition
        self._seen: dict[str, tuple[float, frozenset[str]]] = {}

    def has(self, partitions_def_name: str, partition_key: str) -> bool:
        """Tell whether there is, or was :data:`KNOWN_SECONDS` ago, a partition; one that is not known is asked for."""
        seen_at, keys = self._seen.get(partitions_def_name, (-math.inf, frozenset()))
        if time.monotonic() - seen_at > KNOWN_SECONDS:
            keys = frozenset(self._events.get_dynamic_partitions(partitions_def_name))
            self._seen[partitions_def_name] = time.monotonic(), keys
        return partition_key in keys or bool(self._is_there(partitions_def_name, partition_key))


def dagster_home() -> Path:
    """Folder for ``DAGSTER_HOME`` under ``QUIMBI_HOME``, with an up-to-date ``dagster.yaml`` in it."""
    folder = directory(quimbi_home() / "dagster")
    with resources.as_file(resources.files("quimbi_assets.resources") / "dagster.yaml") as source:
        target = folder / "dagster.yaml"
        if not target.exists() or target.read_bytes() != source.read_bytes():
            shutil.copyfile(source, target)
    return folder


def open_instance() -> DagsterInstance:
    """Return the Dagster instance that the UI shows too; use as a context manager.

    Connections are kept open, as the web server does: a run asks the storage some 1,900 times, and a connection
    for each took 6 of 40 seconds. What steps print is not kept, since they print nothing: Dagster starts four processes
    a step for it, and on Ctrl-C these write tracebacks of their own.
    """
    home = dagster_home()
    os.environ["DAGSTER_HOME"] = str(home)
    instance = DagsterInstance.from_ref(InstanceRef.from_dir(str(home), overrides={"compute_logs": NO_OUTPUT}))
    instance.optimize_for_webserver(STATEMENT_TIMEOUT_MS, POOL_RECYCLE_SECONDS, max_overflow=20)
    return instance


def seen_by_ui(instance: DagsterInstance, job_name: str) -> None:
    """Let the instance create this job's runs as the UI does: on its timeline, in its jobs' history, tagged as its own.

    Dagster leaves runs without an origin out of all of these.
    """
    target = LoadableTargetOrigin(executable_path=sys.executable, module_name=LOCATION)
    location = ManagedGrpcPythonEnvCodeLocationOrigin(target, LOCATION)
    origin = RemoteJobOrigin(RemoteRepositoryOrigin(location, SINGLETON_REPOSITORY_NAME), job_name)
    changed: Any = instance
    changed.create_run_for_job = partial(instance.create_run_for_job, remote_job_origin=origin)


def process_tag(run_id: str) -> str:
    """Return the value of a run's ``PROCESS_TAG`` in this process: it names the run too, since re-runs copy tags."""
    return f"{this_process()} {run_id}"


def end_dead_runs(instance: DagsterInstance) -> list[str]:
    """Report as failed (cancelled, where they were to be) the runs whose process is gone, so that they block no queue.

    A run is known by its session at the database (``postgres.run_lock``), which ends with the process that opened it,
    killed or not, on this host or another; numbers of processes are given anew. One that was launched and never began
    is over, too. Returns the ids of the runs ended.
    """
    suspects = {run.run_id for run in _without_session(instance)}
    if suspects:
        time.sleep(ENDING_SECONDS)
    dead = [run for run in _without_session(instance) if run.run_id in suspects] if suspects else []
    for run in dead:
        if run.status == DagsterRunStatus.CANCELING:
            instance.report_run_canceled(run, _why_over(run))
        else:
            instance.report_run_failed(run, _why_over(run))
    return [run.run_id for run in dead]


class WatchedRunLauncher(DefaultRunLauncher):
    """Launches runs as Dagster's own does, and knows which are alive, so that Dagster's monitor ends the others.

    Its own knows of none: a worker that was killed left its run unfinished until the sensor looked, if that was on.
    """

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Whether the monitor asks."""
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """Return whether a run has its session at the database; one that is about to begin to work has none yet."""
        if not _needs_session(self._instance, run) or runs_with_session(open_database(), [run.run_id]):
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        time.sleep(ENDING_SECONDS)  # if it has come to its end, the record says so then, and the monitor looks there
        return CheckRunHealthResult(WorkerStatus.FAILED, _why_over(run))


def _without_session(instance: DagsterInstance) -> list[DagsterRun]:
    runs = [run for run in instance.get_runs(RunsFilter(statuses=UNFINISHED)) if _needs_session(instance, run)]
    alive = runs_with_session(open_database(), [run.run_id for run in runs])
    return [run for run in runs if run.run_id not in alive]


def _needs_session(instance: DagsterInstance, run: DagsterRun) -> bool:
    """Whether a run without a session is over: it said which process it is, or had long enough to.

    Runs of no store, as of the page of all stores, begin without ever saying so.
    """
    if _has_process(run):
        return True
    stats = instance.get_run_stats(run.run_id)
    since = stats.launch_time if stats.start_time is None else stats.start_time
    is_of_store = any(tag in run.tags for tag in (PARTITION_TAG, *RANGE_TAGS))
    is_late = since is not None and time.time() - since > BEGINNING_SECONDS
    return is_late and (stats.start_time is None or is_of_store)


def _has_process(run: DagsterRun) -> bool:
    return run.tags.get(PROCESS_TAG, "").endswith(run.run_id)


def _why_over(run: DagsterRun) -> str:
    if _has_process(run):
        return f"the process that executed this run is gone ({run.tags[PROCESS_TAG].split()[0]})"
    return f"the run did not begin to work within {BEGINNING_SECONDS:.0f} seconds"
