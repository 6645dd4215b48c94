"""When work begins unasked: each store's weekly work, at its own local time.

Belongs here: schedules, and which stores are due at a tick. Does not: a store's plan (``orders.plan``), sensors.

One schedule serves all stores, whatever their time zones: it looks four times an hour which stores have become due by
their own clocks. What was missed while nothing ran is made up for within two days; nothing is launched twice.
"""

from collections.abc import Callable, Iterator

import dagster as dg
import pandas as pd

from quimbi_assets.defs.jobs import STORE_JOB, WEEK_JOB
from quimbi_assets.defs.partitions import STORE_TAG, STORES, store_week_key
from quimbi_assets.orders.plan import StorePlan, closed_week
from quimbi_assets.resources.store import StoreDatabase
from quimbi_assets.resources.store_plans import PlannedStore

DUE_TAG = "quimbi/due"
"""Tag of a run that a schedule launched: what, for which store, and the local instant it was due at."""
CRON = "*/15 * * * *"
"""Every quarter of an hour, which is an hour's end in every time zone there is."""
LATEST = pd.Timedelta(days=2)
"""How long after its time work is still begun."""
SOONER = {"dagster/priority": "1"}
"""Of a store's runs that wait together, refits go first."""

Due = tuple[PlannedStore, pd.Timestamp, str]
"""A store, the local instant its work was due at, and the tag that says so."""


def due_stores(
    context: dg.ScheduleEvaluationContext,
    store: StoreDatabase,
    what: str,
    is_wanted: Callable[[StorePlan, pd.Timestamp], bool],
) -> Iterator[Due]:
    """Yield the stores whose weekly work has become due and was not launched yet.

    Parameters
    ----------
    context : ScheduleEvaluationContext
        Of the tick.
    store : StoreDatabase
        Where stores and plans are.
    what : str
        Kind of work, for the tag.
    is_wanted : callable
        ``(plan, local instant) -> bool``.
    """
    now = pd.Timestamp(context.scheduled_execution_time).tz_convert("UTC")
    known = set(context.instance.get_dynamic_partitions(str(STORES.name)))
    for planned in store.planned_stores():
        if planned.store_id not in known:  # loaded this minute: the sensor adds it
            continue
        due = planned.plan.last_due(now, planned.time_zone)
        if now - due > LATEST or not is_wanted(planned.plan, due):
            continue
        tag = f"{what} {planned.store_id} {due.isoformat()}"
        if not context.instance.get_runs(dg.RunsFilter(tags={DUE_TAG: tag}), limit=1):
            yield planned, due, tag


@dg.schedule(
    cron_schedule=CRON,
    job=STORE_JOB,
    description="Fits each store's models anew and publishes its profiles when its plan says so: by default on the "
    "first Monday of a month at five in the morning, by the store's clock (`quimbi plan`).",
)
def refits(context: dg.ScheduleEvaluationContext, store: StoreDatabase) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Launch the refits that are due."""
    launched = 0
    for planned, _, tag in due_stores(context, store, "refit", StorePlan.refits_at):
        launched += 1
        tags = {DUE_TAG: tag, STORE_TAG: planned.store_id, **SOONER}
        yield dg.RunRequest(run_key=tag, partition_key=planned.store_id, tags=tags)
    if not launched:
        yield dg.SkipReason("no store is due")


@dg.schedule(
    cron_schedule=CRON,
    job=WEEK_JOB,
    description="Records each store's week that ended, who moved and why, and tells the store who is newly at risk: by "
    "default on Mondays at five in the morning, by the store's clock (`quimbi plan`).",
)
def weeks(context: dg.ScheduleEvaluationContext, store: StoreDatabase) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Launch the snapshots that are due, of the week that ended by the store's clock."""
    launched = 0
    for planned, due, tag in due_stores(context, store, "week", lambda plan, _: plan.snapshot == "weekly"):
        launched += 1
        partition = store_week_key(planned.store_id, closed_week(due).date())
        yield dg.RunRequest(run_key=tag, partition_key=partition, tags={DUE_TAG: tag, STORE_TAG: planned.store_id})
    if not launched:
        yield dg.SkipReason("no store is due")


SCHEDULES = (refits, weeks)
