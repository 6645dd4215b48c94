"""Stores are partitions; the names every stage shares.

Belongs here: the partitions definition, asset keys, what rests under an axis's keys, owners. Does not: any asset.
"""

import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date
from functools import partial

import dagster as dg

from quimbi_assets.axis_table import AxisTable
from quimbi_assets.instants import FIRST_WEEK_VARIABLE, two_years_before
from quimbi_assets.resources.parquet_io import RAW, REFERENCE, ParquetTables

STORES = dg.DynamicPartitionsDefinition(name="stores")

#: The first week of snapshots that can be asked for, a Monday; earlier ones only make Dagster's pages longer. Commands
#: set it by what their database holds (``postgres.tables.history.first_week``).
FIRST_WEEK = os.environ.get(FIRST_WEEK_VARIABLE) or str(two_years_before(date.today()))

#: Weeks, named by their Monday. The clock is the earliest on earth, so that a week is there for every store as soon as
#: it is over for it; a store further west waits for its own Monday (``instants.week_end``).
WEEKS = dg.WeeklyPartitionsDefinition(start_date=FIRST_WEEK, day_offset=1, timezone="Pacific/Kiritimati")
STORE_WEEKS = dg.MultiPartitionsDefinition({"store": STORES, "week": WEEKS})

OWNERS = ["team:data"]

#: Whether schedules and sensors that launch runs are on until somebody switches them off: `quimbi ui --automate`.
IS_AUTOMATED = bool(os.environ.get("QUIMBI_AUTOMATE"))


weekly_asset = partial(
    dg.asset,
    partitions_def=STORE_WEEKS,
    backfill_policy=dg.BackfillPolicy.single_run(),
    group_name="drift",
    owners=OWNERS,
)
"""Declares an asset by store and week: one run makes all the weeks that are asked for at once."""

#: Tag of runs of one store, whatever their partitions: the queue lets one of them run at a time.
STORE_TAG = "quimbi/store"

#: Metadata of published profiles: the last change of the store that is in them, as text.
CHANGED_AT = "store_changed_at"

#: Resource key of the right to run a store.
RUN_LOCK = "run_lock"


def axis_key(stage: str, axis_name: str) -> dg.AssetKey:
    """Key of an axis's asset in a stage, e.g. ``features/purchase_value``."""
    return dg.AssetKey([stage, axis_name])


def last_tables(tables: ParquetTables, store_id: str, names: Iterable[str]) -> dict[str, dict[str, AxisTable]]:
    """Return the last tables that there are of these axes, by stage and axis."""
    return {
        stage: {name: table for name in names if (table := tables.table(axis_key(stage, name), store_id)) is not None}
        for stage in AXIS_STAGES
    }


ORDERS_KEY, ITEMS_KEY, TICKETS_KEY = (dg.AssetKey(parts) for parts in RAW.values())
REFERENCE_KEY = dg.AssetKey(REFERENCE)
#: What is pulled from a store's sources, upstream of what it sent.
SOURCE_KEY, HELPDESK_KEY = dg.AssetKey(["source", "orders"]), dg.AssetKey(["source", "tickets"])
HISTORY = (ORDERS_KEY, ITEMS_KEY, TICKETS_KEY)
"""What an asset depends on that looks at a store's history."""
_OF_STORE = dg.MultiToSingleDimensionPartitionMapping(partition_dimension_name="store")
WEEK_INPUTS = tuple(dg.AssetDep(key, partition_mapping=_OF_STORE) for key in HISTORY)
"""The same of an asset by store and week."""
#: Stages that have one asset an axis, in order.
AXIS_STAGES = ("features", "models", "memberships", "segments")
CHURN_KEY, VALUE_KEY = FORECAST_KEYS = (dg.AssetKey(["churn", "model"]), dg.AssetKey(["value", "model"]))
PROFILES_KEY = dg.AssetKey(["profiles", "customer_profiles"])
ACTIONS_KEY = dg.AssetKey(["actions", "customer_actions"])
LIFT_KEY = dg.AssetKey(["actions", "lift"])
BACKTEST_KEY = dg.AssetKey(["backtest", "report"])
#: All stores at once, a row each.
HEALTH_KEY = dg.AssetKey(["stores", "health"])
SNAPSHOTS_KEY = dg.AssetKey(["drift", "snapshots"])
MIGRATIONS_KEY = dg.AssetKey(["drift", "migrations"])
NOTICES_KEY = dg.AssetKey(["drift", "notices"])


def weeks_by_store(context: dg.AssetExecutionContext) -> dict[str, list[date]]:
    """Return the weeks that a run is to make, oldest first, by store."""
    by_store: dict[str, list[date]] = defaultdict(list)
    for key in context.partition_keys:
        parts = STORE_WEEKS.get_partition_key_from_str(key).keys_by_dimension
        by_store[parts["store"]].append(date.fromisoformat(parts["week"]))
    return {store: sorted(weeks) for store, weeks in by_store.items()}


def store_week_key(store_id: str, week: date) -> dg.MultiPartitionKey:
    """Return the partition of a store's week."""
    return dg.MultiPartitionKey({"store": store_id, "week": week.isoformat()})


def axis_spec(
    stage: str, axis_name: str, deps: Sequence[dg.AssetKey], description: str, kinds: set[str]
) -> dg.AssetSpec:
    """Specify an axis's asset: skippable within its stage's multi_asset, with dependencies of its own axis only."""
    return dg.AssetSpec(
        axis_key(stage, axis_name),
        deps=deps,
        skippable=True,
        description=description,
        group_name=stage,
        owners=OWNERS,
        kinds=kinds,
        partitions_def=STORES,
    )
