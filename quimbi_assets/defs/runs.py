"""What holds of every run: it has its stores to itself, and its steps try again after faults that pass by themselves.

Belongs here: the resource that takes the right to run a store, from before a run's first step until after its last, for
runs that the UI, a schedule or a sensor launched (they wait, since the queue has put them in order; the command takes
its own and passes it on as this resource); the decorator of every asset's function. Does not: the lock itself
(``resources.postgres.run_lock``), which faults pass (``postgres.database``).
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from functools import wraps
from typing import Any

import dagster as dg

from quimbi_assets.defs.partitions import RUN_LOCK, STORE_TAG, STORES
from quimbi_assets.engines import is_fault
from quimbi_assets.errors import UnknownStoreError
from quimbi_assets.resources.dagster_instance import PARTITION_TAG, PROCESS_TAG, RANGE_TAGS, process_tag
from quimbi_assets.resources.dagster_resources import open_tracking
from quimbi_assets.resources.parquet_io import parquet_tables
from quimbi_assets.resources.postgres.database import Database, is_transient, keep_rows_out, open_database
from quimbi_assets.resources.postgres.run_lock import RunLock
from quimbi_assets.resources.postgres.tables.stores import read_store
from quimbi_assets.resources.publishing import sweep

UI_VARIABLE, DEFAULT_UI = "QUIMBI_DAGSTER_UI", "http://127.0.0.1:3000"
MOST_RETRIES = 3
FIRST_PAUSE_SECONDS = 2
GROWTH = 4


@dg.resource(description="The right to run the run's stores: one run of a store at a time, whoever launched it.")
def run_lock(context: dg.InitResourceContext) -> Iterator[RunLock]:
    """Open the run's session at the database, wait until nobody else runs its stores, give them back at its end."""
    run, instance = context.run, context.instance
    if run is None or instance is None or context.log is None:
        raise dg.DagsterInvariantViolationError("only a run can hold a store")
    with closing(RunLock(open_database(), run.run_id)) as lock:
        stores = stores_of(run.tags, instance)
        for store_id in stores:
            _refuse_unknown(store_id)
        instance.add_run_tags(run.run_id, {PROCESS_TAG: process_tag(run.run_id)})
        if len(stores) == 1:
            instance.add_run_tags(run.run_id, {STORE_TAG: stores[0]})
        lock.take(stores, tell=context.log.info)
        for store_id in stores:
            if cleared := sweep(open_database(), parquet_tables(), open_tracking(), store_id):
                context.log.info(f"store {store_id}: {cleared}")
        yield lock


def _refuse_unknown(store_id: str) -> None:
    """Refuse, in words, a partition that somebody added by hand: a store is added by loading it."""
    try:
        read_store(open_database(), store_id)
    except UnknownStoreError:
        raise UnknownStoreError(
            f"store {store_id} is not loaded; load it first: quimbi load --store-id {store_id} --orders FILE. Stores "
            "become partitions by themselves; one added by hand is removed again"
        ) from None


@dg.resource(
    description="The store's database, written only while the run has the right to.", required_resource_keys={RUN_LOCK}
)
def run_database(context: dg.InitResourceContext) -> Database:
    """Return the database as the run may use it: not any more once its stores may be another run's."""
    run_lock: RunLock = context.resources.run_lock
    return run_lock.guarded(open_database())


def dagster_ui() -> str:
    """Return the address of Dagster's pages, by default those that ``quimbi ui`` serves."""
    return os.environ.get(UI_VARIABLE, DEFAULT_UI).rstrip("/")


def stores_of(tags: Mapping[str, str], instance: dg.DagsterInstance) -> list[str]:
    """Return the stores of a run: that of its partition, or all of a backfill's range."""
    ends = [tags[name].partition("|")[0] for name in (*RANGE_TAGS, PARTITION_TAG) if name in tags]
    known = list(instance.get_dynamic_partitions(str(STORES.name)))
    if len(ends) < 2 or not set(ends) <= set(known):
        return ends
    return known[known.index(ends[0]) : known.index(ends[1]) + 1]


def retried(compute: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
    """Ask Dagster for another try after a passing fault: after 2, 8 and 32 seconds; other errors go through.

    A fault of DuckDB's own is tried once more, on one thread from then on (docs/adr/0015-history.md).

    ``compute`` yields an asset's events, ``context`` its first parameter; what it publishes, it publishes whole or not
    at all.
    """

    @wraps(compute)
    def computing(context: Any, *args: Any, **kwargs: Any) -> Iterator[Any]:
        try:
            yield from compute(context, *args, **kwargs)
        except Exception as error:
            keep_rows_out(error)
            tried = int(context.retry_number)
            passes = is_transient(error) or (is_fault(error) and not tried)
            if isinstance(error, dg.RetryRequested) or not passes:
                raise
            pause = FIRST_PAUSE_SECONDS * GROWTH**tried
            raise dg.RetryRequested(max_retries=MOST_RETRIES, seconds_to_wait=pause) from error

    return computing
