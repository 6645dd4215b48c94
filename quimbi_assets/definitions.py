"""Dagster's entry point: the same assets for production, the command line and tests.

Belongs here: putting definitions and resources together. Does not: anything else.
"""

from typing import Any

import dagster as dg

from quimbi_assets import defs as stages
from quimbi_assets.defs import runs, schedules, sensors
from quimbi_assets.defs.labels import labelled
from quimbi_assets.defs.partitions import RUN_LOCK
from quimbi_assets.resources.claude import Claude
from quimbi_assets.resources.dagster_resources import Progress, open_tracking
from quimbi_assets.resources.parquet_io import ParquetTables, parquet_tables
from quimbi_assets.resources.slack import Slack


def build_defs(**resource_overrides: Any) -> dg.Definitions:
    """Build the definitions; the resources given replace those of the same name, below."""

    # Assets reach a store's tables through this, so that no run does without the right to run the store.
    @dg.resource(
        description="Tables between assets: Parquet, one an asset and store.", required_resource_keys={RUN_LOCK}
    )
    def tables(_: dg.InitResourceContext) -> ParquetTables:
        return parquet_tables()

    resources = {
        "database": runs.run_database,
        "tables": tables,
        "tracking": dg.ResourceDefinition(lambda _: open_tracking(), description="Runs and registered models."),
        "claude": Claude(),
        "progress": Progress(),
        "slack": Slack(),
        # Nothing rests between steps this way; Dagster's own would write wherever a run's configuration says.
        "io_manager": dg.mem_io_manager,
        RUN_LOCK: runs.run_lock,
    }
    return dg.Definitions(
        assets=dg.map_asset_specs(labelled, dg.load_assets_from_package_module(stages)),  # type: ignore[arg-type]
        asset_checks=dg.load_asset_checks_from_package_module(stages),
        jobs=schedules.JOBS,
        schedules=schedules.SCHEDULES,
        sensors=sensors.SENSORS,
        resources={**resources, **resource_overrides},
        executor=dg.in_process_executor,
    )


defs = build_defs()
