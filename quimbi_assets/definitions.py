"""Dagster's entry point: the same assets for production, the command line and tests.

Belongs here: putting definitions and resources together. Does not: anything else.
"""

from typing import Any

import dagster as dg

from quimbi_assets.defs import (
    backtest,
    churn,
    features,
    freshness,
    jobs,
    memberships,
    migrations,
    models,
    notices,
    profiles,
    raw,
    schedules,
    segments,
    sensors,
    snapshots,
)
from quimbi_assets.resources.claude import Claude
from quimbi_assets.resources.mlflow.resource import MlflowTracking
from quimbi_assets.resources.parquet_io import frame_io_manager
from quimbi_assets.resources.postgres.store_database import StoreDatabase
from quimbi_assets.resources.progress import Progress
from quimbi_assets.resources.slack import Slack


def build_defs(**resource_overrides: Any) -> dg.Definitions:
    """Build the definitions.

    Parameters
    ----------
    **resource_overrides
        Resources that replace those of the same name: ``store``, ``frames``, ``tracking``, ``claude``,
        ``progress``, ``slack``.

    Returns
    -------
    Definitions
        All assets, checks, jobs, schedules, sensors and resources.
    """

    @dg.io_manager(description="One Parquet file an asset and store.")
    def frames(_: dg.InitResourceContext) -> Any:
        return frame_io_manager()

    resources = {
        "store": StoreDatabase(),
        "frames": frames,
        "tracking": MlflowTracking(),
        "claude": Claude(),
        "progress": Progress(),
        "slack": Slack(),
    }
    return dg.Definitions(
        assets=[
            raw.raw_orders,
            raw.support_tickets,
            features.features,
            models.models,
            memberships.memberships,
            segments.segments,
            churn.churn_model,
            profiles.customer_profiles,
            snapshots.snapshots,
            migrations.migrations,
            notices.notices,
            backtest.backtest_report,
        ],
        asset_checks=[freshness.every_store_is_fresh],
        jobs=[*jobs.JOBS, freshness.FRESHNESS_JOB],
        schedules=[*schedules.SCHEDULES, freshness.freshness],
        sensors=sensors.SENSORS,
        resources={**resources, **resource_overrides},
        executor=dg.in_process_executor,
    )


defs = build_defs()
