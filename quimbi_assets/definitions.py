"""Dagster's entry point: the same assets for production, the command line and tests.

Belongs here: putting definitions and resources together. Does not: anything else.
"""

from typing import Any

import dagster as dg

from quimbi_assets.defs import features, jobs, memberships, migrations, models, profiles, raw, segments, snapshots
from quimbi_assets.resources.frames import frame_io_manager
from quimbi_assets.resources.model_tracking import MlflowTracking
from quimbi_assets.resources.progress import Progress
from quimbi_assets.resources.store import StoreDatabase


def build_defs(**resource_overrides: Any) -> dg.Definitions:
    """Build the definitions.

    Parameters
    ----------
    **resource_overrides
        Resources that replace those of the same name: ``store``, ``frames``, ``tracking``, ``progress``.

    Returns
    -------
    Definitions
        All assets, checks, jobs and resources.
    """

    @dg.io_manager(description="One Parquet file an asset and store.")
    def frames(_: dg.InitResourceContext) -> Any:
        return frame_io_manager()

    resources = {
        "store": StoreDatabase(),
        "frames": frames,
        "tracking": MlflowTracking(),
        "progress": Progress(),
    }
    return dg.Definitions(
        assets=[
            raw.raw_orders,
            raw.support_tickets,
            features.features,
            models.models,
            memberships.memberships,
            segments.segments,
            profiles.customer_profiles,
            snapshots.snapshots,
            migrations.migrations,
        ],
        jobs=[jobs.STORE_JOB, jobs.WEEK_JOB],
        resources={**resources, **resource_overrides},
        executor=dg.in_process_executor,
    )


defs = build_defs()
