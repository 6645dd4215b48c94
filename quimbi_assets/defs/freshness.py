"""Whether every store's orders and profiles are of these days: one check over all stores, each by its own limit.

Belongs here: the check and when it runs. Does not: limits (``orders.plan``). A freshness policy judges an asset as a
whole, so one fresh store would hide a stale one.
"""

import dagster as dg
import pandas as pd

from quimbi_assets.defs.metadata import facts
from quimbi_assets.defs.partitions import FRESHNESS_CHECK, PROFILES_KEY
from quimbi_assets.defs.sensors import last_published
from quimbi_assets.resources.dagster_resources import StoreDatabase
from quimbi_assets.resources.postgres.tables import store_plans


@dg.asset_check(
    asset=PROFILES_KEY,
    name=FRESHNESS_CHECK.name,
    description="No store's newest order, and no store's last profiles, are older than its plan allows.",
)
def every_store_is_fresh(context: dg.AssetCheckExecutionContext, store: StoreDatabase) -> dg.AssetCheckResult:
    """Compare every store with its own limit; stale ones are named first."""
    now, newest = pd.Timestamp.now("UTC"), store_plans.newest_orders(store.database())
    rows = []
    for planned in store_plans.planned_stores(store.database()):
        limit = pd.Timedelta(days=planned.plan.stale_after_days)
        ordered, published = newest.get(planned.store_id), last_published(context.instance, planned.store_id)
        late = [name for name, at in (("orders", ordered), ("profiles", published)) if at is None or now - at > limit]
        rows.append(
            {
                "store": planned.store_id,
                "stale": " and ".join(late) or "no",
                "newest order": "none" if ordered is None else f"{ordered:%Y-%m-%d %H:%M}",
                "profiles published": "never" if published is None else f"{published:%Y-%m-%d %H:%M}",
                "limit, days": planned.plan.stale_after_days,
            }
        )
    table = pd.DataFrame(rows, columns=["store", "stale", "newest order", "profiles published", "limit, days"])
    stale = table[table["stale"] != "no"]
    return dg.AssetCheckResult(
        passed=stale.empty,
        severity=dg.AssetCheckSeverity.WARN,
        metadata=facts(
            stores=len(table),
            stale_stores=len(stale),
            by_store=pd.concat([stale, table[table["stale"] == "no"]]) if len(table) else None,
        ),
    )


FRESHNESS_JOB = dg.define_asset_job(
    "freshness",
    selection=dg.AssetSelection.checks(every_store_is_fresh),
    description="Look whether every store's orders and profiles are of these days.",
    executor_def=dg.in_process_executor,
    tags={"dagster/max_runtime": "600"},  # it runs no store, so it has no session that would tell of its end
)

freshness = dg.ScheduleDefinition(
    name="freshness",
    cron_schedule="0 6 * * *",
    job=FRESHNESS_JOB,
    description="Every morning (UTC): is any store stale?",
)
