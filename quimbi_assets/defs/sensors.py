"""What begins or is said because something happened: stores come and go, orders arrive, runs fail or are killed.

Belongs here: sensors. Does not: what is due by the clock (``schedules``), how messages are sent (``resources``).
"""

from collections.abc import Iterator

import dagster as dg
import pandas as pd

from quimbi_assets.defs.digest import checks_changed
from quimbi_assets.defs.health import stores_looked_at
from quimbi_assets.defs.partitions import CHANGED_AT, HELPDESK_KEY, IS_AUTOMATED, STORE_TAG, STORES
from quimbi_assets.defs.runs import dagster_ui, stores_of
from quimbi_assets.defs.schedules import (
    BACKTEST_JOB,
    DUE_TAG,
    PULL_JOB,
    RESCORE_JOB,
    STORE_JOB,
    WEEK_JOB,
    is_settled,
    last_publication,
)
from quimbi_assets.defs.sources import CALL
from quimbi_assets.resources.dagster_instance import UNFINISHED, end_dead_runs
from quimbi_assets.resources.dagster_resources import Messages
from quimbi_assets.resources.postgres.database import EVERY_STORE, open_database
from quimbi_assets.resources.postgres.tables.promotions import read_promotions
from quimbi_assets.resources.postgres.tables.sources import read_sources
from quimbi_assets.resources.postgres.tables.stores import planned_stores
from quimbi_assets.texts import printable, slack

MOST_CHARACTERS = 300
"""Of an error's text in a message."""
PAUSE_SECONDS = 60
CALLS = "10min"
"""In which all calls of a helpdesk's are answered by one pull: it takes calls itself, four at least."""
AFTER_FAILURE = pd.Timedelta(hours=1)
"""Until a call is answered after a pull that failed: a key that was revoked fails again and again."""


@dg.sensor(
    minimum_interval_seconds=PAUSE_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Adds a partition for every store that was loaded, and removes those of stores that are gone.",
)
def stores_known(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    """Bring partitions in line with the table of stores."""
    loaded = {planned.store_id for planned in planned_stores(open_database())}
    known = set(context.instance.get_dynamic_partitions(str(STORES.name)))
    new, gone = sorted(loaded - known), sorted(known - loaded)
    if not new and not gone:
        return dg.SkipReason(f"all {len(known)} stores are known")
    requests = [STORES.build_add_request(new)] if new else []
    return dg.SensorResult(
        dynamic_partitions_requests=[*requests, *([STORES.build_delete_request(gone)] if gone else [])]
    )


@dg.sensor(
    jobs=[STORE_JOB, RESCORE_JOB],
    minimum_interval_seconds=PAUSE_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING if IS_AUTOMATED else dg.DefaultSensorStatus.STOPPED,
    description="When a load changed a store's rows: scores and publishes its customers anew with the models that "
    "serve, or fits models if it has none. Not while a run of the store waits or works, nor again after "
    "its orders were refused, such as too few.",
)
def orders_arrived(context: dg.SensorEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Launch runs for stores whose profiles were made without their last change; failed ones are made up for.

    Clocks would not tell: a load that is under way while a run reads may end before that run publishes. A store that
    a run will publish anyway, whoever launched it, is looked at again once that has ended.
    """
    known = set(context.instance.get_dynamic_partitions(str(STORES.name))) - _stores_under_way(context.instance)
    launched = 0
    for planned in planned_stores(open_database()):
        changed = planned.changed_at
        if changed is None or planned.store_id not in known:
            continue
        tag = f"orders {planned.store_id} {changed.isoformat()}"
        last = last_publication(context.instance, planned.store_id)
        profiles = last and last.asset_materialization
        known_change = profiles and profiles.metadata.get(CHANGED_AT)
        if (known_change and known_change.value == str(changed)) or is_settled(context.instance, tag):
            continue
        launched += 1
        serving = read_promotions(open_database(), planned.store_id).serving()
        job = RESCORE_JOB if serving else STORE_JOB
        yield dg.RunRequest(
            job_name=job.name, partition_key=planned.store_id, tags={DUE_TAG: tag, STORE_TAG: planned.store_id}
        )
    if not launched:
        yield dg.SkipReason("no store changed since its profiles were published")


def _stores_under_way(instance: dg.DagsterInstance) -> set[str]:
    """Return the stores with a run that waits or works, but those that publish no profiles."""
    others = {job.name for job in (WEEK_JOB, BACKTEST_JOB, PULL_JOB)}
    runs = instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.QUEUED, *UNFINISHED]))
    return {store for run in runs if run.job_name not in others for store in stores_of(run.tags, instance)}


@dg.sensor(
    job=PULL_JOB,
    minimum_interval_seconds=PAUSE_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING if IS_AUTOMATED else dg.DefaultSensorStatus.STOPPED,
    description="When a store's helpdesk says that something has changed: pulls its tickets, once in ten minutes at "
    "most. Customers are scored anew after the next pull that is due.",
)
def helpdesks_called(context: dg.SensorEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Launch a pull for stores whose helpdesk called, if none is under way; an hour after one that failed."""
    known, now = set(context.instance.get_dynamic_partitions(str(STORES.name))), pd.Timestamp.now("UTC").floor(CALLS)
    called = {one.store_id for one in read_sources(open_database(), EVERY_STORE) if one.called_at is not None} & known
    names = [name for name in sorted(called) if not _rests(context.instance, name, now)]
    for name in names:
        tag = f"{CALL}{name} {now.isoformat()}"
        run_tags = {DUE_TAG: tag, STORE_TAG: name}
        yield dg.RunRequest(run_key=tag, partition_key=name, asset_selection=[HELPDESK_KEY], tags=run_tags)
    if not names:
        yield dg.SkipReason("no helpdesk called since its tickets were pulled, or a pull works, or failed just now")


def _rests(instance: dg.DagsterInstance, store_id: str, now: pd.Timestamp) -> bool:
    """Whether a store's last pull is under way, or failed in the hour before `now`."""
    asked = dg.RunsFilter(job_name=PULL_JOB.name, tags={STORE_TAG: store_id})
    for record in instance.get_run_records(asked, limit=1):
        if record.dagster_run.status == dg.DagsterRunStatus.FAILURE:
            return pd.Timestamp(record.create_timestamp).tz_convert("UTC") > now - AFTER_FAILURE
        return not record.dagster_run.is_finished
    return False


@dg.run_failure_sensor(
    monitor_all_code_locations=False,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Says in Slack that a run failed, for which store, where, and where to look. Nothing without "
    "`SLACK_WEBHOOK_URL`.",
)
def run_failed(context: dg.RunFailureSensorContext, slack: Messages) -> None:
    """Send one message a failed run."""
    context.log.info(f"run {context.dagster_run.run_id}: Slack message {slack.send(failure_text(context))}")


def failure_text(context: dg.RunFailureSensorContext) -> str:
    """Return the message about a failed run: job, partition, step, the first line of the error, the run's page."""
    run, steps = context.dagster_run, context.get_step_failure_events()
    where = run.tags.get("dagster/partition") or "no partition"
    message, step = context.failure_event.message or "", ""
    step = f", step {steps[0].step_key}" if steps else ""
    error = steps[0].step_failure_data.error if steps else context.failure_event.job_failure_data.error
    while error is not None:
        message, error = error.message, error.cause
    line = next((part.strip() for part in message.splitlines() if part.strip()), "no message")[:MOST_CHARACTERS]
    page = f"{dagster_ui()}/runs/{run.run_id}"
    head = f":warning: quimbi: {run.job_name} failed for {slack(where)}{step}"
    return f"{head}\n{slack(printable(line))}\n<{page}|open the run>"


@dg.sensor(
    minimum_interval_seconds=PAUSE_SECONDS // 2,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Ends runs whose process is gone, wherever it was, or that never began: others of their stores can.",
)
def ended_runs(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """Report runs as failed whose process is gone, or that never had one."""
    ended = end_dead_runs(context.instance)
    return dg.SkipReason(
        f"ended, their process being gone or never begun: {', '.join(ended)}" if ended else "no run lost its process"
    )


SENSORS = (stores_known, orders_arrived, helpdesks_called, run_failed, ended_runs, stores_looked_at, checks_changed)
