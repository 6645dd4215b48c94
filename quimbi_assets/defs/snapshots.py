"""Where every customer stood at the end of each week, by what was known then.

Belongs here: the asset, partitioned store by week. Does not: which models score a week (``week_models``), comparing
weeks (``migrations``).
"""

from collections.abc import Iterator
from datetime import date

import dagster as dg
import pandas as pd

from quimbi_assets.defs.checks import rule_check
from quimbi_assets.defs.drift_facts import snapshot_facts
from quimbi_assets.defs.partitions import (
    ITEMS_KEY,
    MIGRATIONS_KEY,
    ORDERS_KEY,
    OWNERS,
    SNAPSHOTS_KEY,
    STORE_WEEKS,
    store_week_key,
    weeks_by_store,
)
from quimbi_assets.defs.retries import retried
from quimbi_assets.defs.week_models import models_of_week
from quimbi_assets.defs.week_rows import snapshot_rows
from quimbi_assets.errors import BadInputError
from quimbi_assets.resources.mlflow.resource import MlflowTracking
from quimbi_assets.resources.parquet_io import FrameIOManager
from quimbi_assets.resources.postgres.store_database import StoreDatabase
from quimbi_assets.resources.progress import Progress
from quimbi_assets.weekly.retention import Retention, weeks_to_drop
from quimbi_assets.weekly.weeks import week_end

CHECK = "every_customer_once"
OF_STORE = dg.MultiToSingleDimensionPartitionMapping(partition_dimension_name="store")


class SnapshotOptions(dg.Config):
    """Fewest customers, whether models are chosen anew, and how long snapshots are kept."""

    min_population: int = 100
    renew_models: bool = False
    keep_weekly_weeks: int = 26
    keep_monthly_months: int | None = None


@dg.asset(
    key=SNAPSHOTS_KEY,
    deps=[dg.AssetDep(key, partition_mapping=OF_STORE) for key in (ORDERS_KEY, ITEMS_KEY)],
    partitions_def=STORE_WEEKS,
    backfill_policy=dg.BackfillPolicy.single_run(),
    group_name="drift",
    owners=OWNERS,
    kinds={"postgres", "duckdb"},
    check_specs=[dg.AssetCheckSpec(CHECK, asset=SNAPSHOTS_KEY)],
    description="Memberships, dominant segments, archetype, value and risk of every customer as of each week's end "
    "(Monday 00:00 by the store's clock), in `quimbi.customer_history`; blind to anything later.",
)
@retried
def snapshots(
    context: dg.AssetExecutionContext,
    config: SnapshotOptions,
    frames: dg.ResourceParam[FrameIOManager],
    store: StoreDatabase,
    tracking: MlflowTracking,
    progress: dg.ResourceParam[Progress],
) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
    """Make the snapshots of the partitions' weeks, oldest first."""
    counts, customers = 0, 0
    for store_id, weeks in weeks_by_store(context).items():
        orders, items = _orders(store_id, frames)
        for number, week in enumerate(weeks):
            progress.step(f"snapshot of {week}", 0.1 + 0.5 * number / len(weeks))
            end = _end(store_id, week, orders, config.min_population)
            models = models_of_week(
                store_id, week, end, orders, items, context.run_id, store, tracking, renew=config.renew_models
            )
            rows, kept = snapshot_rows(week, end, orders, items, models)
            changed = store.publish_week(store_id, week, rows)
            frames.write_week(SNAPSHOTS_KEY, store_id, week, kept)
            context.add_asset_metadata(
                snapshot_facts(rows, kept, changed), SNAPSHOTS_KEY, store_week_key(store_id, week)
            )
            counts, customers = counts + len(rows), customers + rows["customer_id"].nunique()
        _thin(store_id, weeks, Retention(config.keep_weekly_weeks, config.keep_monthly_months), frames, store)
    yield dg.MaterializeResult(asset_key=SNAPSHOTS_KEY)
    yield rule_check(SNAPSHOTS_KEY, CHECK, counts == customers, "Every customer has one row a week.", rows=counts)


def _orders(store_id: str, frames: FrameIOManager) -> tuple[pd.DataFrame, pd.DataFrame]:
    orders, items = frames.read(ORDERS_KEY, store_id), frames.read(ITEMS_KEY, store_id)
    if orders is None or items is None:
        raise BadInputError(f"store {store_id} has no orders in the graph yet: quimbi run --store-id {store_id}")
    return orders, items


def _end(store_id: str, week: date, orders: pd.DataFrame, at_least: int) -> pd.Timestamp:
    """Return the week's end, if it is over and the store had customers by then."""
    end = week_end(week, orders.attrs.get("time_zone", "UTC"))
    if end > pd.Timestamp.now("UTC").tz_localize(None):
        raise BadInputError(f"week {week} of store {store_id} is not over before {end} UTC")
    n = int(orders.loc[orders["order_date"] < end, "customer_id"].nunique())
    if n < at_least:
        raise BadInputError(f"store {store_id} has {n} customers by the end of week {week}, fewer than {at_least}")
    return end


def _thin(store_id: str, made: list[date], retention: Retention, frames: FrameIOManager, store: StoreDatabase) -> None:
    """Drop the snapshots that are not kept any more; what was asked for just now stays until the next time."""
    old = [week for week in weeks_to_drop(store.snapshot_weeks(store_id), retention) if week not in made]
    if old:
        store.drop_weeks(store_id, old)
        for week in old:
            for key in (SNAPSHOTS_KEY, MIGRATIONS_KEY):
                frames.drop_week(key, store_id, week)
