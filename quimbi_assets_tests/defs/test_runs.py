"""Runs of the UI, of schedules and of sensors hold their stores too, and wait for them; steps try again."""

import os
import signal
import threading
import time
from contextlib import closing

import dagster as dg
import duckdb
import psycopg2
import pytest

from quimbi_assets.definitions import build_defs
from quimbi_assets.defs import runs
from quimbi_assets.defs.partitions import RUN_LOCK, STORE_TAG, STORES
from quimbi_assets.defs.runs import run_lock, stores_of
from quimbi_assets.errors import StoreBusyError
from quimbi_assets.resources.dagster_instance import PROCESS_TAG, process_tag
from quimbi_assets.resources.postgres.run_lock import RunLock
from quimbi_assets_tests.administrator import administer


@pytest.fixture
def instance(database, tmp_path):
    administer(
        database, "INSERT INTO quimbi.stores (store_id, time_zone) VALUES ('lock-run', 'UTC') ON CONFLICT DO NOTHING"
    )
    with dg.DagsterInstance.local_temp(str(tmp_path)) as found:
        yield found


def execute(instance, work, store_id="lock-run", **options):
    """Run one step as the UI does: without a lock of the command's."""

    @dg.op(required_resource_keys={RUN_LOCK})
    def step(context):
        work(context.resources.run_lock, context.run_id)

    @dg.job(resource_defs={RUN_LOCK: run_lock})
    def launched():
        step()

    return launched.execute_in_process(instance=instance, tags={"dagster/partition": store_id}, **options)


def test_no_asset_is_made_without_the_right_to_run_its_store():
    """Through any job, and through the UI's button on one asset."""
    definitions = build_defs()
    resources = definitions.get_repository_def().get_top_level_resources()
    holding = {name for name, resource in resources.items() if RUN_LOCK in resource.required_resource_keys}
    without = [one.op.name for one in definitions.assets if not one.required_resource_keys & {RUN_LOCK, *holding}]
    assert without == ["stores__health"]  # it is of no store, and only looks
    assert [one.op.name for one in definitions.assets if "store" in one.required_resource_keys] == []


def test_a_run_holds_its_store_from_the_first_step_to_the_end_and_is_tagged(instance, database):
    def work(lock, run_id):
        assert lock.holds_lock()
        with closing(RunLock(database)) as other, pytest.raises(StoreBusyError, match=rf"\(run {run_id[:8]}\)"):
            other.take(["lock-run"])

    result = execute(instance, work)
    tags = instance.get_run_by_id(result.run_id).tags
    assert (tags[STORE_TAG], tags[PROCESS_TAG]) == ("lock-run", process_tag(result.run_id))
    with closing(RunLock(database)) as other:
        other.take(["lock-run"])


def test_a_step_that_fails_gives_the_store_back(instance, database):
    def work(lock, run_id):
        raise ValueError("no such column")

    assert not execute(instance, work, raise_on_error=False).success
    with closing(RunLock(database)) as other:
        other.take(["lock-run"])


def test_a_run_waits_for_its_store_and_says_for_whom(instance, database):
    first, order = RunLock(database), []

    def said():
        logs = [entry for run in instance.get_runs() for entry in instance.all_logs(run.run_id)]
        return [entry.message for entry in logs if "waiting: store lock-run" in entry.message]

    def leave():
        while not said():
            time.sleep(0.05)
        order.append("first left")
        first.close()

    first.take(["lock-run"])
    leaving = threading.Thread(target=leave)
    leaving.start()
    execute(instance, lambda lock, run_id: order.append("second worked"))
    leaving.join()
    assert order == ["first left", "second worked"]
    (message,) = said()
    assert f":{os.getpid()} since" in message


def test_who_waits_can_be_stopped(instance, database):
    def stop():
        for run in instance.get_runs():
            instance.report_run_canceling(run)
        os.kill(os.getpid(), signal.SIGINT)

    began = time.monotonic()
    with closing(RunLock(database)) as first:
        first.take(["lock-run"])
        threading.Timer(1, stop).start()
        with pytest.raises(dg.DagsterExecutionInterruptedError):
            execute(instance, lambda lock, run_id: pytest.fail("worked"))
        assert first.holds_lock()
    assert time.monotonic() - began < 30
    (run,) = instance.get_runs()
    assert run.status == dg.DagsterRunStatus.CANCELED


@pytest.mark.parametrize(
    ("tags", "stores"),
    [
        ({}, []),
        ({"dagster/partition": "b"}, ["b"]),
        ({"dagster/partition": "b|2025-06-02"}, ["b"]),
        (("a|2025-06-02", "a|2025-07-07"), ["a"]),
        (("a|2025-06-02", "c|2025-06-02"), ["a", "b", "c"]),
        (("b", "c"), ["b", "c"]),
    ],
)
def test_a_backfill_holds_all_its_stores(instance, tags, stores):
    instance.add_dynamic_partitions(str(STORES.name), ["a", "b", "c", "d"])
    if isinstance(tags, tuple):
        tags = {f"dagster/asset_partition_range_{end}": key for end, key in zip(("start", "end"), tags, strict=True)}
    assert stores_of(tags, instance) == stores


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(runs, "FIRST_PAUSE_SECONDS", 0)


def materialize(fault, times):
    """Materialize an asset that fails so often; return its result and how often it was tried."""
    tries = []

    @dg.asset
    @runs.retried
    def flaky(context: dg.AssetExecutionContext):
        tries.append(1)
        if len(tries) <= times:
            raise fault
        yield dg.Output(7)

    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize([flaky], instance=instance, raise_on_error=False)
    return result, len(tries)


def test_a_fault_that_passes_is_tried_again(quick):
    result, tries = materialize(psycopg2.OperationalError("the server closed the connection"), 2)
    assert (result.success, tries) == (True, 3)


def test_a_fault_of_duckdb_is_tried_once_more(quick):
    result, tries = materialize(duckdb.InternalException("INTERNAL Error: dict-surviving cache"), 1)
    assert (result.success, tries) == (True, 2)
    result, tries = materialize(duckdb.InternalException("INTERNAL Error: dict-surviving cache"), 99)
    assert (result.success, tries) == (False, 2)


def test_not_for_ever(quick):
    result, tries = materialize(ConnectionResetError("gone"), 99)
    assert (result.success, tries) == (False, 1 + runs.MOST_RETRIES)


def test_an_error_of_ours_is_not(quick):
    result, tries = materialize(ValueError("no such column"), 1)
    assert (result.success, tries) == (False, 1)


def test_pauses_grow():
    class Tried:
        def __init__(self, number):
            self.retry_number = number

    @runs.retried
    def failing(context):
        yield 1
        raise ConnectionError

    pauses = []
    for number in range(3):
        with pytest.raises(dg.RetryRequested) as asked:
            list(failing(Tried(number)))
        pauses.append(asked.value.seconds_to_wait)
    assert pauses == [2, 8, 32]
