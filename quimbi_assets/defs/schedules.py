"""When work begins unasked: each store's weekly work, at its own local time.

Belongs here: schedules, and which stores are due at a tick. Does not: a store's plan (``orders.plan``), sensors.

One schedule serves all stores, whatever their time zones: it looks four times an hour which stores have become due by
their own clocks. What failed, or was missed while nothing ran, is made up for within two days; what goes well, or was
cancelled by a person, is launched once.
"""

from collections.abc import Callable, Iterator, Mapping

import dagster as dg
import pandas as pd

from quimbi_assets.defs.jobs import STORE_JOB, WEEK_JOB
from quimbi_assets.defs.partitions import STORE_TAG, STORES, store_week_key
from quimbi_assets.instants import closed_week
from quimbi_assets.resources.dagster_resources import StoreDatabase
from quimbi_assets.resources.postgres.tables.store_plans import planned_stores
from quimbi_assets.store import StorePlan

DUE_TAG = "quimbi/due"
"""Tag of a run that was launched unasked: what, for which store, and the instant that it was due at or follows."""
MOST_TRIES = 3
CRON = "*/15 * * * *"
"""Every quarter of an hour, which is an hour's end in every time zone there is."""
LATEST = pd.Timedelta(days=2)
"""How long after its time work is still begun."""
SOONER = {"dagster/priority": "1"}
"""Of a store's runs that wait together, refits go first."""


def due_runs(
    context: dg.ScheduleEvaluationContext,
    store: StoreDatabase,
    what: str,
    is_wanted: Callable[[StorePlan, pd.Timestamp], bool],
    partition_of: Callable[[str, pd.Timestamp], str],
    tags: Mapping[str, str],
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Ask for a run of every store whose weekly work has become due and is not settled yet.

    Parameters
    ----------
    context : ScheduleEvaluationContext
        Of the tick.
    store : StoreDatabase
        Where stores and plans are.
    what : str
        Kind of work, for the tag that keeps it from being launched twice.
    is_wanted : callable
        ``(plan, local instant) -> bool``.
    partition_of : callable
        ``(store id, local instant) -> partition``.
    tags : mapping of str to str
        Of the runs, beside the store's and the one that says what was due.
    """
    now = pd.Timestamp(context.scheduled_execution_time).tz_convert("UTC")
    known = set(context.instance.get_dynamic_partitions(str(STORES.name)))
    launched = 0
    for planned in planned_stores(store.database()):
        name, due = planned.store_id, planned.plan.last_due(now, planned.time_zone)
        # One that is not known was loaded this minute: the sensor adds it.
        if name not in known or now - due > LATEST or not is_wanted(planned.plan, due):
            continue
        tag = f"{what} {name} {due.isoformat()}"
        if is_settled(context.instance, tag):
            continue
        launched += 1
        own = {DUE_TAG: tag, STORE_TAG: name, **tags}
        yield dg.RunRequest(run_key=tag, partition_key=partition_of(name, due), tags=own)
    if not launched:
        yield dg.SkipReason("no store is due")


def is_settled(instance: dg.DagsterInstance, tag: str) -> bool:
    """Whether a run was launched for what is due and has not failed, or ``MOST_TRIES`` have."""
    runs = instance.get_runs(dg.RunsFilter(tags={DUE_TAG: tag}), limit=MOST_TRIES)
    return len(runs) == MOST_TRIES or any(run.status != dg.DagsterRunStatus.FAILURE for run in runs)


@dg.schedule(
    cron_schedule=CRON,
    job=STORE_JOB,
    description="Fits each store's models anew and publishes its profiles when its plan says so: by default on the "
    "first Monday of a month at five in the morning, by the store's clock (`quimbi plan`).",
)
def refits(context: dg.ScheduleEvaluationContext, store: StoreDatabase) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Launch the refits that are due."""
    yield from due_runs(context, store, "refit", StorePlan.refits_at, lambda name, _: name, SOONER)


@dg.schedule(
    cron_schedule=CRON,
    job=WEEK_JOB,
    description="Records each store's week that ended, who moved and why, and tells the store who is newly at risk: by "
    "default on Mondays at five in the morning, by the store's clock (`quimbi plan`).",
)
def weeks(context: dg.ScheduleEvaluationContext, store: StoreDatabase) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Launch the snapshots that are due, of the week that ended by the store's clock."""
    yield from due_runs(
        context,
        store,
        "week",
        lambda plan, _: plan.snapshot == "weekly",
        lambda name, due: store_week_key(name, closed_week(due).date()),
        {},
    )


SCHEDULES = (refits, weeks)
