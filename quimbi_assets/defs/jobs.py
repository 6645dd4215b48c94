"""The jobs people launch.

Belongs here: job definitions. Does not: assets, schedules.
"""

import dagster as dg

from quimbi_assets.defs.partitions import MIGRATIONS_KEY, SNAPSHOTS_KEY, STORE_WEEKS, STORES

STORE_JOB = dg.define_asset_job(
    "store",
    selection=dg.AssetSelection.all() - dg.AssetSelection.assets(SNAPSHOTS_KEY, MIGRATIONS_KEY),
    partitions_def=STORES,
    description="Everything for one store: raw orders to published profiles.",
    executor_def=dg.in_process_executor,
)

WEEK_JOB = dg.define_asset_job(
    "week",
    selection=dg.AssetSelection.assets(SNAPSHOTS_KEY, MIGRATIONS_KEY),
    partitions_def=STORE_WEEKS,
    description="A store's week: the snapshot of all customers at its end, and what changed since the one before.",
    executor_def=dg.in_process_executor,
)
