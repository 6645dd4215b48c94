"""Runs whose process is gone are ended, and nobody else's."""

import logging
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import dagster as dg
import pytest
from dagster._daemon.monitoring.run_monitoring import monitor_started_run

from quimbi_assets.resources import dagster_instance
from quimbi_assets.resources.dagster_instance import PROCESS_TAG, end_dead_runs, open_instance, process_tag
from quimbi_assets.resources.dagster_resources import NEEDED_LATER
from quimbi_assets.resources.postgres.run_lock import RunLock

RUN = """
import os, signal, time
import dagster as dg
from quimbi_assets.resources.dagster_instance import PROCESS_TAG, open_instance, process_tag
from quimbi_assets.resources.postgres.database import open_database
from quimbi_assets.resources.postgres.run_lock import RunLock

@dg.op
def works():
    print("working", flush=True)
    time.sleep(300)

@dg.job
def killed():
    works()

from dagster._core.utils import make_new_run_id
run_id = make_new_run_id()
lock = RunLock(open_database(), run_id)
print(run_id, flush=True)
with open_instance() as instance:
    killed.execute_in_process(
        instance=instance, run_id=run_id, tags={PROCESS_TAG: process_tag(run_id)},
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
    )
"""


@dg.job
def nothing():
    """A job to have runs of."""


@pytest.fixture
def instance(database, monkeypatch):
    monkeypatch.setattr(dagster_instance, "ENDING_SECONDS", 0.1)
    with open_instance() as found:
        yield found


def test_partitions_are_asked_for_at_once(instance, monkeypatch):
    events = instance.event_log_storage
    instance.add_dynamic_partitions("shelves", ["a", "b"])
    asked, ask = [], events.get_dynamic_partitions
    monkeypatch.setattr(events, "get_dynamic_partitions", lambda name: asked.append(name) or ask(name))
    assert [instance.has_dynamic_partition("shelves", key) for key in ("a", "b", "a", "c")] == [True, True, True, False]
    assert asked == ["shelves"]
    instance.add_dynamic_partitions("shelves", ["c"])
    assert instance.has_dynamic_partition("shelves", "c")  # at once, and a deleted one is forgotten in a moment
    instance.delete_dynamic_partition("shelves", "a")
    monkeypatch.setattr(dagster_instance, "KNOWN_SECONDS", 0.0)
    assert not instance.has_dynamic_partition("shelves", "a")


def begun(instance, **tags):
    """Record a run as begun in this process, as far as Dagster knows."""
    run = instance.create_run_for_job(nothing, tags={})
    instance.add_run_tags(run.run_id, {PROCESS_TAG: process_tag(run.run_id), **tags})
    instance.report_engine_event("begun", run)
    instance.handle_new_event(came(run, "PIPELINE_START", time.time() - 200))
    return run.run_id


def came(run, kind, at=0.0):
    event = dg.DagsterEvent(event_type_value=kind, job_name=run.job_name)
    return dg.EventLogEntry(
        error_info=None, level=20, user_message="", run_id=run.run_id, timestamp=at, dagster_event=event
    )


def status(instance, run_id):
    return instance.get_run_by_id(run_id).status.value


def monitored(instance):
    """Let Dagster's monitor look at the runs that began; the ids of those it ended."""
    begun = instance.get_run_records(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED]))
    for record in begun:
        monitor_started_run(instance, None, record, logging.getLogger("monitor"))
    return [one.dagster_run.run_id for one in begun if status(instance, one.dagster_run.run_id) != "STARTED"]


@pytest.mark.parametrize(("look", "why"), [(end_dead_runs, "that executed this run is gone"), (monitored, "is gone")])
def test_a_killed_run_is_over_and_a_living_one_is_not(instance, look, why):
    process = subprocess.Popen([sys.executable, "-c", RUN], stdout=subprocess.PIPE, text=True)
    try:
        run_id = process.stdout.readline().strip()
        assert process.stdout.readline() == "working\n"
        assert look(instance) == []
        assert status(instance, run_id) == "STARTED"
        process.kill()
        process.wait()
        assert look(instance) == [run_id]
        assert status(instance, run_id) == "FAILURE"
        assert look(instance) == []
    finally:
        process.kill()
        process.communicate()
    (said,) = [entry.message for entry in instance.all_logs(run_id) if why in entry.message]
    assert f":{process.pid}" in said


def test_what_was_to_be_cancelled_is_cancelled(instance):
    run_id = begun(instance)
    instance.report_run_canceling(instance.get_run_by_id(run_id))
    assert end_dead_runs(instance) == [run_id]
    assert status(instance, run_id) == "CANCELED"


@pytest.mark.parametrize("tag", ["", "elsewhere:1", "elsewhere:1 11111111-0000-4000-8000-000000000000"])
def test_runs_that_never_had_a_session_are_left_alone(instance, tag):
    """Runs of no store never have one, nor do those run again after they failed: a re-run has its parent's tags."""
    run_id = begun(instance, **{PROCESS_TAG: tag})
    assert end_dead_runs(instance) == []
    assert monitored(instance) == []
    instance.delete_run(run_id)


@pytest.mark.parametrize(("ago", "is_over"), [(10.0, False), (200.0, True)])
def test_a_run_that_was_launched_and_never_began_is_over(instance, ago, is_over):
    """Its worker was killed before it said who it is; the store's other runs would wait for it."""
    run = instance.create_run_for_job(nothing, tags={})
    instance.handle_new_event(came(run, "PIPELINE_STARTING", time.time() - ago))
    assert end_dead_runs(instance) == [run.run_id] * is_over
    assert status(instance, run.run_id) == ("FAILURE" if is_over else "STARTING")
    instance.delete_run(run.run_id)


@pytest.mark.parametrize("look", [end_dead_runs, monitored])
@pytest.mark.parametrize("tag", ["dagster/partition", "dagster/asset_partition_range_start"])
@pytest.mark.parametrize(("ago", "is_over"), [(10.0, False), (200.0, True)])
def test_a_store_s_run_that_started_and_never_said_who_it_is_is_over(instance, look, tag, ago, is_over):
    """Its worker was killed between Dagster's start and its session; others of its store would wait for ever."""
    run = instance.create_run_for_job(nothing, tags={tag: "mine"})
    instance.handle_new_event(came(run, "PIPELINE_STARTING", time.time() - 400))
    instance.handle_new_event(came(run, "PIPELINE_START", time.time() - ago))
    assert look(instance) == [run.run_id] * is_over
    assert status(instance, run.run_id) == ("FAILURE" if is_over else "STARTED")
    instance.delete_run(run.run_id)


@pytest.mark.parametrize("look", [end_dead_runs, monitored])
def test_a_run_that_has_its_session_may_say_so_late(instance, database, look):
    run = instance.create_run_for_job(nothing, tags={"dagster/partition": "mine"})
    instance.handle_new_event(came(run, "PIPELINE_START", time.time() - 200))
    lock = RunLock(database, run.run_id)
    assert look(instance) == []
    lock.close()
    assert look(instance) == [run.run_id]


@pytest.mark.parametrize(("ago", "is_over"), [(10.0, False), (200.0, True)])
def test_a_run_that_was_cancelled_before_it_began_is_cancelled(instance, ago, is_over):
    run = instance.create_run_for_job(nothing, tags={})
    instance.handle_new_event(came(run, "PIPELINE_STARTING", time.time() - ago))
    instance.report_run_canceling(instance.get_run_by_id(run.run_id))
    assert end_dead_runs(instance) == [run.run_id] * is_over
    assert status(instance, run.run_id) == ("CANCELED" if is_over else "CANCELING")
    instance.delete_run(run.run_id)


def test_a_run_whose_end_is_being_recorded_is_not_taken_for_dead(instance, monkeypatch):
    run_id = begun(instance)

    def recorded_meanwhile(_):
        instance.report_run_canceled(instance.get_run_by_id(run_id))

    monkeypatch.setattr(dagster_instance.time, "sleep", recorded_meanwhile)
    assert end_dead_runs(instance) == []
    assert status(instance, run_id) == "CANCELED"


def test_a_run_that_waits_for_its_store_is_alive(instance, database):
    run_id = begun(instance)
    lock = RunLock(database, run_id)
    assert end_dead_runs(instance) == []
    lock.close()
    assert end_dead_runs(instance) == [run_id]


def test_the_instance_watches_runs_and_queues_them_by_store(instance):
    limits = instance.get_concurrency_config().run_queue_config.tag_concurrency_limits
    assert {limit["key"] for limit in limits} == {"dagster/partition", "dagster/partition/store", "quimbi/store"}
    assert all(limit["limit"] == 1 and limit["value"]["applyLimitPerUniqueValue"] for limit in limits)
    assert instance.run_monitoring_enabled
    assert instance.run_monitoring_max_runtime_seconds == 24 * 3600
    assert (instance.run_retries_enabled, instance.run_retries_max_retries) == (True, 0)
    assert not instance.run_retries_retry_on_asset_or_op_failure


def test_dagster_dev_and_the_command_are_set_up_alike():
    package = Path(dagster_instance.__file__).parent
    assert (package / "dagster.yaml").read_text() == (package.parents[1] / "dagster.yaml").read_text()


@pytest.mark.parametrize("name", NEEDED_LATER)
def test_what_is_imported_on_the_side_is_there(name):
    assert find_spec(name)
