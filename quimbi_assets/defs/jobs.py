"""The jobs people launch.

Belongs here: job definitions. Does not: assets, schedules.
"""

import dagster as dg

from quimbi_assets.defs.partitions import STORES

STORE_JOB = dg.define_asset_job(
    "store",
    selection=dg.AssetSelection.all(),
    partitions_def=STORES,
    description="Everything for one store: raw orders to published profiles.",
    executor_def=dg.in_process_executor,
)
