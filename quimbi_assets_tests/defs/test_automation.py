"""Schedules, sensors and the freshness check, evaluated by Dagster itself on a real database."""

import os
import subprocess
import sys
from datetime import date

import dagster as dg
import pandas as pd
import pytest
from dagster._core.definitions.partitions.context import partition_loading_context

from quimbi_assets import errors
from quimbi_assets.commands.console import Steps
from quimbi_assets.commands.running import materialize, store_lock
from quimbi_assets.definitions import build_defs
from quimbi_assets.defs import schedules
from quimbi_assets.defs.partitions import CHANGED_AT, HELPDESK_KEY, ORDERS_KEY, PROFILES_KEY, SOURCE_KEY, STORES
from quimbi_assets.defs.schedules import DUE_TAG, JOBS, SCHEDULES, next_due, pulls, refits, weeks
from quimbi_assets.defs.sensors import ended_runs, failure_text, orders_arrived, stores_known
from quimbi_assets.instants import two_years_before
from quimbi_assets.resources import dagster_instance
from quimbi_assets.resources.dagster_instance import PROCESS_TAG, open_instance, process_tag
from quimbi_assets.resources.gorgias.puller import pull_tickets
from quimbi_assets.resources.postgres.loading import load_store
from quimbi_assets.resources.postgres.pulling import Pull, pull
from quimbi_assets.resources.postgres.tables import stores as plans
from quimbi_assets.resources.postgres.tables.history import first_week
from quimbi_assets.resources.postgres.tables.shops import NewestOrders, shops_health
from quimbi_assets.resources.postgres.tables.sources import Source, read_sources
from quimbi_assets.resources.postgres.tables.stores import Store
from quimbi_assets.simulation import write_store
from quimbi_assets.store import StorePlan
from quimbi_assets_tests.administrator import administer
from quimbi_assets_tests.gorgias_api import GorgiasApi

pytestmark = pytest.mark.xdist_group("automation")
ZONES = {"plan-berlin": "Europe/Berlin", "plan-york": "America/New_York"}
NAME = str(STORES.name)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("planned")
    write_store(20, folder, seed=3)
    return folder / "orders.parquet", folder / "order_items.parquet"


@pytest.fixture(scope="module")
def planned(database, files):
    """Two loaded stores in two time zones; other tests' stores keep no plan."""
    for store_id, zone in ZONES.items():
        load_store(database, store_id, *files, time_zone=zone)
    return database


@pytest.fixture
def instance(tmp_path):
    with dg.DagsterInstance.local_temp(str(tmp_path)) as found, partition_loading_context(None, found):
        found.add_dynamic_partitions(NAME, list(ZONES))
        yield found


@pytest.fixture(scope="module")
def repository():
    return build_defs().get_repository_def()


def record(instance, request, job_name, status=dg.DagsterRunStatus.SUCCESS):
    instance.add_run(dg.DagsterRun(job_name=job_name, tags=dict(request.tags), status=status))


def tick(instance, repository, at, status=dg.DagsterRunStatus.SUCCESS):
    """Evaluate the schedule of refits, and record what it launches as runs that ended so."""
    with dg.build_schedule_context(
        instance=instance, repository_def=repository, scheduled_execution_time=pd.Timestamp(at).to_pydatetime()
    ) as context:
        requests = refits.evaluate_tick(context).run_requests
    own = [request for request in requests if request.partition_key in ZONES]
    for request in own:
        record(instance, request, "store", status)
    return {request.partition_key: request.tags[DUE_TAG].split()[-1] for request in own}


def test_each_store_is_refitted_at_its_own_time_across_a_change_of_clocks(planned, instance, repository):
    for store_id in ZONES:
        plans.write_plan(planned, store_id, StorePlan(refit="weekly"))
    hours = pd.date_range("2026-10-19T00:00Z", "2026-11-02T23:00Z", freq="h")
    mornings = hours[(hours.dayofweek == 0) & (hours.hour >= 2) & (hours.hour <= 11)]
    launched = {at.isoformat(): found for at in mornings if (found := tick(instance, repository, at))}
    assert launched == {
        "2026-10-19T03:00:00+00:00": {"plan-berlin": "2026-10-19T05:00:00+02:00"},
        "2026-10-19T09:00:00+00:00": {"plan-york": "2026-10-19T05:00:00-04:00"},
        "2026-10-26T04:00:00+00:00": {"plan-berlin": "2026-10-26T05:00:00+01:00"},
        "2026-10-26T09:00:00+00:00": {"plan-york": "2026-10-26T05:00:00-04:00"},
        "2026-11-02T04:00:00+00:00": {"plan-berlin": "2026-11-02T05:00:00+01:00"},
        "2026-11-02T10:00:00+00:00": {"plan-york": "2026-11-02T05:00:00-05:00"},
    }


def test_the_week_that_ended_is_recorded_by_each_stores_clock(planned, instance, repository):
    for store_id in ZONES:
        plans.write_plan(planned, store_id, StorePlan(weekday="sunday", hour=23))
    launched = {}
    for at in pd.date_range("2026-10-25T20:00Z", "2026-10-26T06:00Z", freq="h"):
        with dg.build_schedule_context(
            instance=instance, repository_def=repository, scheduled_execution_time=at.to_pydatetime()
        ) as context:
            for request in weeks.evaluate_tick(context).run_requests:
                record(instance, request, "week")
                launched[str(request.partition_key)] = at.isoformat()
    own = {key: at for key, at in launched.items() if key.split("|")[0] in ZONES}
    # The 26th is a Monday: on Sunday evening the week before it is not over yet.
    assert own == {
        "plan-berlin|2026-10-12": "2026-10-25T22:00:00+00:00",
        "plan-york|2026-10-12": "2026-10-26T03:00:00+00:00",
    }


def test_what_was_missed_is_made_up_for_once_and_not_too_late(planned, instance, repository):
    for store_id in ZONES:
        plans.write_plan(planned, store_id, StorePlan(refit="weekly"))
    assert set(tick(instance, repository, "2026-11-03T20:00Z")) == set(ZONES)
    assert tick(instance, repository, "2026-11-03T20:15Z") == {}
    assert tick(instance, repository, "2026-11-12T20:00Z") == {}


@pytest.mark.parametrize(("status", "times"), [("FAILURE", 3), ("CANCELED", 1), ("STARTED", 1), ("STARTING", 1)])
def test_what_failed_is_made_up_for_three_times_at_most(planned, instance, repository, status, times):
    for store_id in ZONES:
        plans.write_plan(planned, store_id, StorePlan(refit="weekly"))
    quarters = pd.date_range("2026-11-03T20:00Z", periods=5, freq="15min")
    found = [tick(instance, repository, at, dg.DagsterRunStatus(status)) for at in quarters]
    assert [set(launched) for launched in found] == [set(ZONES)] * times + [set()] * (5 - times)


def test_what_failed_and_then_went_well_is_settled(planned, instance, repository):
    for store_id in ZONES:
        plans.write_plan(planned, store_id, StorePlan(refit="weekly"))
    assert tick(instance, repository, "2026-11-03T20:00Z", dg.DagsterRunStatus.FAILURE)
    assert tick(instance, repository, "2026-11-03T20:15Z")
    assert tick(instance, repository, "2026-11-03T20:30Z") == {}


def test_by_default_once_a_month_and_never_if_so_planned(planned, instance, repository):
    plans.write_plan(planned, "plan-berlin", StorePlan())
    plans.write_plan(planned, "plan-york", StorePlan(refit="never"))
    mondays = pd.date_range("2026-10-05T23:00Z", "2026-12-28T23:00Z", freq="7D")
    found = {f"{at:%m-%d}": tick(instance, repository, at) for at in mondays}
    assert {day for day, stores in found.items() if stores} == {"10-05", "11-02", "12-07"}
    assert all(set(stores) == {"plan-berlin"} for stores in found.values() if stores)


def test_weeks_begin_two_years_before_the_newest_order_of_any_store(planned):
    administer(planned, "INSERT INTO quimbi.stores (store_id, time_zone) VALUES ('plan-closed', 'UTC')")
    before = first_week(planned)
    administer(
        planned,
        "INSERT INTO quimbi.orders (store_id, order_id, customer_id, order_date, total_price) "
        "VALUES ('plan-closed', '1', 'ann', '1998-06-30', 10)",
    )
    assert first_week(planned) == min(before, date(1996, 7, 1))
    assert before <= two_years_before(date.today())
    administer(planned, "DELETE FROM quimbi.stores WHERE store_id = 'plan-closed'")


def test_a_tick_that_launches_nothing_says_who_is_due_next(planned, monkeypatch):
    monkeypatch.setattr(schedules, "SHOWN", 1_000)
    plans.write_plan(planned, "plan-berlin", StorePlan(weekday="tuesday", hour=6))
    plans.write_plan(planned, "plan-york", StorePlan(refit="never"))
    now = pd.Timestamp("2026-11-12T20:00Z")
    due = next_due(now, StorePlan.refits_at)
    assert "plan-berlin Tue 01 Dec 06:00 (Europe/Berlin)" in due
    assert "plan-york" not in due
    assert "plan-york Mon 16 Nov 05:00 (America/New_York)" in next_due(now, lambda plan, _: plan.snapshot == "weekly")


def test_one_switch_turns_on_what_launches_runs():
    check = "from quimbi_assets.definitions import defs as d; print([s.default_status.value for s in d.schedules])"
    for switch, status in (("1", "RUNNING"), ("", "STOPPED")):
        environment = {**os.environ, "QUIMBI_AUTOMATE": switch}
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", check], env=environment, capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == str([status] * len(SCHEDULES))


def test_partitions_follow_the_stores(planned, instance):
    def sense():
        with dg.build_sensor_context(instance=instance) as context:
            return stores_known.evaluate_tick(context)

    instance.add_dynamic_partitions(NAME, ["plan-gone"])
    instance.delete_dynamic_partition(NAME, "plan-york")
    for request in sense().dynamic_partitions_requests:
        if isinstance(request, dg.AddDynamicPartitionsRequest):
            instance.add_dynamic_partitions(NAME, request.partition_keys)
        else:
            assert request.partition_keys == ["plan-gone"]
            instance.delete_dynamic_partition(NAME, "plan-gone")
    assert set(ZONES) <= set(instance.get_dynamic_partitions(NAME))
    again = sense()
    assert not again.dynamic_partitions_requests
    assert "are known" in again.skip_message


def test_orders_that_arrive_launch_a_run_once_unless_it_fails(planned, instance, repository, files, database):
    def sense(status="SUCCESS"):
        with dg.build_sensor_context(instance=instance, repository_def=repository) as context:
            requests = [r for r in orders_arrived.evaluate_tick(context).run_requests if r.partition_key in ZONES]
        for request in requests:
            assert request.run_key is None  # Dagster would launch nothing again for a key it knows
            record(instance, request, request.job_name, dg.DagsterRunStatus(status))
        return {request.partition_key: request.job_name for request in requests}

    def publish(store_id, change):
        metadata = {CHANGED_AT: str(change)}
        instance.report_runless_asset_event(
            dg.AssetMaterialization(PROFILES_KEY, partition=store_id, metadata=metadata)
        )

    assert sense("FAILURE") == dict.fromkeys(ZONES, "store")
    assert sense() == dict.fromkeys(ZONES, "store")
    assert sense() == {}
    load_store(database, "plan-york", *files)  # the same file: nothing changes
    assert sense() == {}
    orders = pd.read_parquet(files[0])
    later = orders.assign(total_price=orders["total_price"] + 1)
    changed = files[0].with_name("changed.parquet")
    later.to_parquet(changed)
    before = plans.read_change(database, "plan-york")
    load_store(database, "plan-york", changed)
    # Published after the load, by a run that had read before it.
    publish("plan-york", before)
    assert sense() == {"plan-york": "store"}
    # Published with the load: nothing to do, though nothing is known of a run.
    for store_id in ZONES:
        publish(store_id, plans.read_change(database, store_id))
    for run in instance.get_runs():
        instance.delete_run(run.run_id)
    assert sense() == {}


@pytest.mark.parametrize(
    ("job", "status", "waits"),
    [
        ("store", "STARTED", True),
        ("rescore", "NOT_STARTED", True),
        ("week", "STARTED", False),
        ("store", "SUCCESS", False),
    ],
)
def test_orders_wait_for_a_run_that_publishes_the_store_anyway(planned, instance, repository, job, status, waits):
    tags = {"dagster/partition": "plan-york|2026-10-12" if job == "week" else "plan-york"}
    instance.add_run(dg.DagsterRun(job_name=job, tags=tags, status=dg.DagsterRunStatus(status)))
    with dg.build_sensor_context(instance=instance, repository_def=repository) as context:
        launched = {request.partition_key for request in orders_arrived.evaluate_tick(context).run_requests}
    assert launched & set(ZONES) == set(ZONES) - ({"plan-york"} if waits else set())


@pytest.mark.parametrize(
    ("error", "job", "is_settled"),
    [
        (errors.BadInputError("has 1 customer"), "store", True),
        (errors.UnknownStoreError("gone"), "store", True),
        (dg.Failure("no axis is active"), "store", True),
        (errors.StoreBusyError("run by another"), "store", False),
        (errors.BadInputError("cannot reach the source"), "pull", False),
        (OSError("disk full"), "store", False),
    ],
)
def test_what_the_data_forbid_is_not_tried_again(instance, error, job, is_settled):
    @dg.op
    def refuses():
        raise error

    made = dg.GraphDefinition(name=job, node_defs=[refuses]).to_job()
    made.execute_in_process(instance=instance, raise_on_error=False, tags={DUE_TAG: "orders of then"})
    assert schedules.is_settled(instance, "orders of then") == is_settled


def test_a_load_that_changes_how_rows_are_read_is_a_change(planned, files, database):
    before = plans.read_change(database, "plan-york")
    load_store(database, "plan-york", *files, currency="JPY")
    with_currency = plans.read_change(database, "plan-york")
    assert with_currency > before
    load_store(database, "plan-york", *files, currency="JPY")
    assert plans.read_change(database, "plan-york") == with_currency


def test_a_store_without_a_plan_has_the_default_one():
    assert plans.PlannedStore("s", Store("s").time_zone, StorePlan.from_json(None), None).plan == StorePlan()


def test_a_failed_run_is_told_without_marking_up_what_it_says(tmp_path):
    @dg.op
    def breaks():
        raise ValueError("customers <!channel> were lost\nsecond line")

    @dg.job
    def store():
        breaks()

    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        result = store.execute_in_process(
            instance=instance, raise_on_error=False, tags={"dagster/partition": "plan-york"}
        )
        context = dg.build_run_status_sensor_context(
            "run_failed", dagster_instance=instance, dagster_run=result.dagster_run,
            dagster_event=result.get_run_failure_event(),
        ).for_run_failure()  # fmt: skip
        text = failure_text(context)
    assert text.splitlines()[0] == ":warning: quimbi: store failed for plan-york, step breaks"
    assert text.splitlines()[1] == "ValueError: customers &lt;!channel&gt; were lost"
    assert f"/runs/{result.run_id}|open the run>" in text


def test_sources_are_pulled_when_they_are_due_and_orders_arrive_thereby(planned, instance, repository, files, tmp_path):
    assert build_defs().resolve_asset_graph().get(ORDERS_KEY).parent_keys == {SOURCE_KEY}
    folder = tmp_path / "drops"
    folder.mkdir()
    orders = pd.read_parquet(files[0])
    orders.head(len(orders) - 3).to_parquet(folder / "first.parquet")
    source = Source(str(folder / "*.parquet"), items=str(files[1]))
    pull(planned, "plan-berlin", source, Pull(every="day"))
    (known,) = read_sources(planned, "plan-berlin")

    def due(at):
        with dg.build_schedule_context(
            instance=instance, repository_def=repository, scheduled_execution_time=at.to_pydatetime()
        ) as context:
            return [request for request in pulls.evaluate_tick(context).run_requests if request.partition_key in ZONES]

    four = (known.looked_at + pd.Timedelta(days=2)).tz_convert("Europe/Berlin").normalize() + pd.Timedelta(hours=4)
    assert due(known.looked_at) == []
    (request,) = due(four.tz_convert("UTC"))
    assert request.partition_key == "plan-berlin"
    record(instance, request, "pull")
    assert due(four.tz_convert("UTC") + pd.Timedelta(minutes=15)) == []  # launched once

    orders.tail(3).assign(order_id=["new-1", "new-2", "new-3"]).to_parquet(folder / "second.parquet")
    with store_lock("plan-berlin", Steps(None, "plan-berlin"), wait=True) as lock:
        run_id = materialize(lock, "plan-berlin", "pull", Steps(None, "plan-berlin"))
    with open_instance() as real:
        events = real.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)
    pulled = {event.asset_materialization.asset_key: event.asset_materialization.metadata for event in events}
    assert pulled.keys() == {SOURCE_KEY, HELPDESK_KEY}
    assert pulled[HELPDESK_KEY]["sources"].value == 0
    metadata = pulled[SOURCE_KEY]
    assert {name: metadata[name].value for name in ("sources", "new", "refused")} == {
        "sources": 1,
        "new": 3,
        "refused": 0,
    }


def test_a_helpdesk_is_pulled_when_it_is_due_and_a_pull_that_fails_is_told(planned, instance, repository, monkeypatch):
    api = GorgiasApi(period=0.5)
    api.fill(20, ["ann@example.com"])
    with api.connected(monkeypatch):
        pull_tickets(planned, "plan-york", every="hour", period=0.5)
        (known,) = read_sources(planned, "plan-york")

        def due(at):
            with dg.build_schedule_context(
                instance=instance, repository_def=repository, scheduled_execution_time=at.to_pydatetime()
            ) as context:
                asked = pulls.evaluate_tick(context).run_requests
                return [request for request in asked if request.partition_key == "plan-york"]

        assert due(known.looked_at) == []
        later = known.looked_at.floor("h") + pd.Timedelta(minutes=75)
        (request,) = due(later)
        for _ in range(3):
            (request,) = due(later)
            record(instance, request, "pull", dg.DagsterRunStatus.FAILURE)
        assert due(later) == []  # three times for an hour
        assert len(due(later + pd.Timedelta(hours=1))) == 1

        monkeypatch.setenv("GORGIAS_API_KEY", "revoked")
        with (
            store_lock("plan-york", Steps(None, "plan-york"), wait=True) as lock,
            pytest.raises(Exception, match="Gorgias refuses GORGIAS_EMAIL and GORGIAS_API_KEY"),
        ):
            materialize(lock, "plan-york", "pull", Steps(None, "plan-york"))
    (health,) = (one for one in shops_health(planned, NewestOrders()) if one.store_id == "plan-york")
    assert "last pull run failed" in health.problems()
    with open_instance() as real:
        run = real.get_run_by_id(health.failing["pull"].run_id)
        (failure,) = real.all_logs(run.run_id, of_type=dg.DagsterEventType.RUN_FAILURE)
        context = dg.build_run_status_sensor_context(
            "run_failed", dagster_instance=real, dagster_run=run, dagster_event=failure.dagster_event
        ).for_run_failure()
        text = failure_text(context)
    assert text.splitlines()[0].startswith(":warning: quimbi: pull failed for plan-york")
    assert "make a key in Settings &gt; REST API of acme.gorgias.com" in text
    administer(planned, "DELETE FROM quimbi.sources WHERE store_id = 'plan-york'")


def test_runs_that_lost_their_process_are_ended_while_the_ui_runs(database, instance, monkeypatch):
    monkeypatch.setattr(dagster_instance, "ENDING_SECONDS", 0.1)
    run = dg.DagsterRun(job_name="store", status=dg.DagsterRunStatus.STARTED)
    instance.add_run(run)
    instance.add_run_tags(run.run_id, {PROCESS_TAG: process_tag(run.run_id)})
    with dg.build_sensor_context(instance=instance) as context:
        assert run.run_id in ended_runs.evaluate_tick(context).skip_message
    assert instance.get_run_by_id(run.run_id).status == dg.DagsterRunStatus.FAILURE
    assert ended_runs.default_status == dg.DefaultSensorStatus.RUNNING


def test_a_run_whose_worker_was_killed_is_run_once_more_from_its_start(repository):
    for job in JOBS:
        tags = repository.get_job(job.name).run_tags
        assert (tags["dagster/max_retries"], tags["dagster/retry_strategy"]) == ("1", "ALL_STEPS")
