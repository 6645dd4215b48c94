"""The jobs people launch.

Belongs here: job definitions. Does not: assets, schedules.
"""

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from quimbi_assets.defs.partitions import FRESHNESS_CHECK, HISTORY, STORE_WEEKS, STORES

APART = dg.AssetSelection.groups("backtest", "drift")
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


EVERYTHING = dg.AssetSelection.all() - APART - dg.AssetSelection.checks(FRESHNESS_CHECK)

STORE_JOB = _job("store", EVERYTHING, "Everything for one store: raw orders to published profiles.")
RESCORE_JOB = _job(
    "rescore",
    EVERYTHING - dg.AssetSelection.groups("models", "churn"),
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
JOBS = (STORE_JOB, RESCORE_JOB, BACKTEST_JOB, WEEK_JOB)
