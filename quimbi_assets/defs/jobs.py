"""The jobs people launch.

Belongs here: job definitions. Does not: assets, schedules.
"""

import dagster as dg

from quimbi_assets.defs.backtest import BACKTEST_KEY
from quimbi_assets.defs.partitions import ITEMS_KEY, ORDERS_KEY, STORES

STORE_JOB = dg.define_asset_job(
    "store",
    selection=dg.AssetSelection.all() - dg.AssetSelection.groups("backtest"),
    partitions_def=STORES,
    description="Everything for one store: raw orders to published profiles.",
    executor_def=dg.in_process_executor,
)

BACKTEST_JOB = dg.define_asset_job(
    "backtest",
    selection=dg.AssetSelection.assets(ORDERS_KEY, ITEMS_KEY, BACKTEST_KEY),
    partitions_def=STORES,
    description="Hold one store's segments of past instants against what customers did next.",
    executor_def=dg.in_process_executor,
)
