"""The jobs, and when they begin unasked: each store's weekly work at its own local time.

Belongs here: jobs, schedules, which stores are due at a tick. Does not: assets, a store's plan (``store``), sensors.

One schedule serves all stores, whatever their time zones: it looks four times an hour which stores have become due by
their own clocks. What failed, or was missed while nothing ran, is made up for within two days; what goes well, or was
cancelled by a person, is launched once.
"""

from collections.abc import Callable, Iterator, Mapping

import dagster as dg
import pandas as pd
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from quimbi_assets import errors
from quimbi_assets.defs.partitions import (
    HISTORY,
    IS_AUTOMATED,
    PROFILES_KEY,
    STORE_TAG,
    STORE_WEEKS,
    STORES,
    store_week_key,
)
from quimbi_assets.instants import closed_week
from quimbi_assets.resources.postgres.database import EVERY_STORE, open_database
from quimbi_assets.resources.postgres.tables.sources import read_sources
from quimbi_assets.resources.postgres.tables.stores import planned_stores
from quimbi_assets.store import WEEKDAYS, StorePlan

DUE_TAG = "quimbi/due"
"""Tag of a run that was launched unasked: what, for which store, and the instant that it was due at or follows."""
MOST_TRIES = 3
REFUSALS = {
    dg.Failure.__name__,
    *(name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, errors.BadInputError)),
} - {errors.StoreBusyError.__name__}
"""Errors, by name, that come again with the same data: bad input, and an asset's own verdict on its store."""
SHOWN = 5
"""Stores named of those that are due next."""
IF_AUTOMATED = dg.DefaultScheduleStatus.RUNNING if IS_AUTOMATED else dg.DefaultScheduleStatus.STOPPED
CRON = "*/15 * * * *"
"""Every quarter of an hour, which is an hour's end in every time zone there is."""
PULL_HOUR = 4
"""Of a store's day, so that the weekly work an hour later, by default, knows yesterday whole."""
LATEST = pd.Timedelta(days=2)
"""How long after its time work is still begun."""
SOONER = {"dagster/priority": "1"}
"""Of a store's runs that wait together, refits go first."""
APART = dg.AssetSelection.groups("backtest", "drift", "source", "stores")
"""What no store's usual run includes."""
ONCE_MORE = {"dagster/max_retries": "1", "dagster/retry_strategy": "ALL_STEPS"}
"""A run whose worker was killed is run once more, from its start: what a run publishes is of one instant."""


def _job(
    name: str, selection: dg.AssetSelection, description: str, partitions: dg.PartitionsDefinition = STORES
) -> UnresolvedAssetJobDefinition:
    return dg.define_asset_job(
        name,
        selection,
        partitions_def=partitions,
        description=description,
        executor_def=dg.in_process_executor,
        tags=ONCE_MORE,
    )


EVERYTHING = dg.AssetSelection.all() - APART

STORE_JOB = _job("store", EVERYTHING, "Everything for one store: raw orders to published profiles.")
RESCORE_JOB = _job(
    "rescore",
    EVERYTHING - dg.AssetSelection.groups("models", "churn", "value"),
    "One store's customers scored and published anew with the models that serve; nothing is fitted.",
)
BACKTEST_JOB = _job(
    "backtest",
    dg.AssetSelection.assets(*HISTORY, ["backtest", "report"]),
    "Hold one store's segments of past instants against what customers did next.",
)
WEEK_JOB = _job(
    "week",
    dg.AssetSelection.groups("drift"),
    "A store's week: the snapshot of all customers at its end, and what changed since the one before.",
    STORE_WEEKS,
)
PULL_JOB = _job(
    "pull",
    dg.AssetSelection.groups("source"),
    "New and changed orders out of a store's own database or files, and tickets of its helpdesk.",
)
JOBS = (STORE_JOB, RESCORE_JOB, BACKTEST_JOB, WEEK_JOB, PULL_JOB)


def due_runs(
    context: dg.ScheduleEvaluationContext,
    what: str,
    is_wanted: Callable[[StorePlan, pd.Timestamp], bool],
    partition_of: Callable[[str, pd.Timestamp], str],
    tags: Mapping[str, str],
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Ask for a run of every store whose weekly work has become due and is not settled yet.

    ``what`` is the kind of work, for the tag that keeps it from being launched twice; ``is_wanted`` takes a plan,
    ``partition_of`` a store's id, both with the instant that the work is due at on the store's clock.
    """
    now = pd.Timestamp(context.scheduled_execution_time).tz_convert("UTC")
    known = set(context.instance.get_dynamic_partitions(str(STORES.name)))
    launched = 0
    for planned in planned_stores(open_database()):
        name, due = planned.store_id, planned.plan.last_due(now, planned.time_zone)
        # One that is not known was loaded this minute: the sensor adds it.
        if name not in known or now - due > LATEST or not is_wanted(planned.plan, due):
            continue
        tag = f"{what} {name} {due.isoformat()}"
        if is_settled(context.instance, tag):
            continue
        launched += 1
        run_tags = {DUE_TAG: tag, STORE_TAG: name, **tags}
        yield dg.RunRequest(run_key=tag, partition_key=partition_of(name, due), tags=run_tags)
    if not launched:
        yield dg.SkipReason(f"no store is due; next: {next_due(now, is_wanted)}")


def next_due(now: pd.Timestamp, is_wanted: Callable[[StorePlan, pd.Timestamp], bool]) -> str:
    """Say which stores' work of a kind is due next, each by its own clock, within five weeks."""
    due = []
    for planned in planned_stores(open_database()):
        following = (planned.plan.last_due(now + pd.Timedelta(weeks=n), planned.time_zone) for n in range(1, 6))
        if first := next((at for at in following if is_wanted(planned.plan, at)), None):
            due.append((first, f"{planned.store_id} {first:%a %d %b %H:%M} ({planned.time_zone})"))
    shown = [text for _, text in sorted(due)[:SHOWN]]
    more = f" and {len(due) - SHOWN} more" if len(due) > SHOWN else ""
    return ", ".join(shown) + more or "none is planned"


def is_settled(instance: dg.DagsterInstance, tag: str) -> bool:
    """Whether a run was launched for what is due and has not failed, or would again, or ``MOST_TRIES`` have.

    A pull is tried again whatever it says: a source out of reach answers later.
    """
    runs = instance.get_runs(dg.RunsFilter(tags={DUE_TAG: tag}), limit=MOST_TRIES)
    return len(runs) == MOST_TRIES or any(
        run.status != dg.DagsterRunStatus.FAILURE or (run.job_name != PULL_JOB.name and _refused_data(instance, run))
        for run in runs
    )


def _refused_data(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    """Whether a run failed because of what its store's data are, such as too few customers: only others mend it."""
    kinds = {dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.RUN_FAILURE}
    for entry in instance.all_logs(run.run_id, of_type=kinds):
        error = getattr(entry.get_dagster_event().event_specific_data, "error", None)
        while error is not None:
            if error.cls_name in REFUSALS:
                return True
            error = error.cause
    return False


@dg.schedule(
    cron_schedule=CRON,
    job=STORE_JOB,
    default_status=IF_AUTOMATED,
    description="Fits each store's models anew and publishes its profiles when its plan says so: by default on the "
    "first Monday of a month at five in the morning, by the store's clock (`quimbi plan`). A tick that launches none "
    "says which stores are due next.",
)
def refits(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Launch the refits that are due."""
    yield from due_runs(context, "refit", StorePlan.refits_at, lambda name, _: name, SOONER)


@dg.schedule(
    cron_schedule=CRON,
    job=WEEK_JOB,
    default_status=IF_AUTOMATED,
    description="Records each store's week that ended, who moved and why, and tells the store who has fallen silent: "
    "by default on Mondays at five in the morning, by the store's clock (`quimbi plan`). A tick without one says "
    "which stores are due next.",
)
def weeks(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Launch the snapshots that are due, of the week that ended by the store's clock."""
    yield from due_runs(
        context,
        "week",
        lambda plan, _: plan.snapshot == "weekly",
        lambda name, due: store_week_key(name, closed_week(due).date()),
        {},
    )


@dg.schedule(
    cron_schedule=CRON,
    job=PULL_JOB,
    default_status=IF_AUTOMATED,
    description="Pulls new and changed orders of stores whose source asks for it (`load --from ... --every hour`, "
    "or `day`: four in the morning by the store's clock), and tickets of those whose helpdesk does "
    "(`gorgias pull --every`); `orders_arrived` then scores their customers anew.",
)
def pulls(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Launch a pull of every store that has a source which was not looked at since it became due."""
    now = pd.Timestamp(context.scheduled_execution_time).tz_convert("UTC")
    zones = {planned.store_id: planned.time_zone for planned in planned_stores(open_database())}
    known = set(context.instance.get_dynamic_partitions(str(STORES.name)))
    due_of: dict[str, pd.Timestamp] = {}
    for source in read_sources(open_database(), EVERY_STORE):
        if source.every is None or source.store_id not in zones.keys() & known:
            continue
        due = last_pull(source.every, now, zones[source.store_id])
        if source.looked_at is None or source.looked_at < due:
            due_of[source.store_id] = max(due, due_of.get(source.store_id, due))
    tags = {name: f"pull {name} {due.isoformat()}" for name, due in due_of.items()}
    waiting = [name for name, tag in tags.items() if not is_settled(context.instance, tag)]
    for name in waiting:
        run_tags = {DUE_TAG: tags[name], STORE_TAG: name}
        yield dg.RunRequest(run_key=tags[name], partition_key=name, tags=run_tags)
    if not waiting:
        yield dg.SkipReason("no source is due")


def last_pull(every: str, now: pd.Timestamp, time_zone: str) -> pd.Timestamp:
    """Return when a source was last due, at or before ``now`` (with zone): the full hour, or four in the morning.

    >>> last_pull("day", pd.Timestamp("2026-11-25T02:30Z"), "Europe/Berlin").isoformat()
    '2026-11-24T04:00:00+01:00'
    """
    if every == "hour":
        return now.floor("h")
    plans = [StorePlan(weekday=day, hour=PULL_HOUR) for day in WEEKDAYS]
    return max(plan.last_due(now, time_zone) for plan in plans)


def last_publication(instance: dg.DagsterInstance, store_id: str) -> dg.EventLogRecord | None:
    """Return the event of a store's last publication of profiles; None: never."""
    last = instance.fetch_materializations(
        dg.AssetRecordsFilter(asset_key=PROFILES_KEY, asset_partitions=[store_id]), limit=1
    )
    return next(iter(last.records), None)


SCHEDULES = (refits, weeks, pulls)
