"""What changed since the week before, for whom and why: drift, migrations, alerts, and drift of the population.

Belongs here: the asset, its check and its pictures. Does not: comparing (``week_comparison``), sending alerts.
"""

from collections.abc import Iterator
from datetime import date

import dagster as dg
import pandas as pd

from quimbi_assets.defs.drift_facts import CHECK, comparison_facts, comparison_pictures, refit_check
from quimbi_assets.defs.drift_tables import customer_rows, migration_rows, population_rows
from quimbi_assets.defs.older_side import side_of
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
from quimbi_assets.defs.week_comparison import Compared, compare_week
from quimbi_assets.defs.week_models import models_of_week
from quimbi_assets.errors import BadInputError
from quimbi_assets.resources.mlflow.resource import MlflowTracking
from quimbi_assets.resources.parquet_io import FrameIOManager
from quimbi_assets.resources.postgres.store_database import StoreDatabase
from quimbi_assets.resources.postgres.tables.history import WeekDrift
from quimbi_assets.resources.progress import Progress
from quimbi_assets.weekly.kept import kept_features
from quimbi_assets.weekly.psi import recommend_refit


@dg.asset(
    key=MIGRATIONS_KEY,
    deps=[SNAPSHOTS_KEY],
    partitions_def=STORE_WEEKS,
    backfill_policy=dg.BackfillPolicy.single_run(),
    group_name="drift",
    owners=OWNERS,
    kinds={"postgres"},
    check_specs=[dg.AssetCheckSpec(CHECK, asset=MIGRATIONS_KEY)],
    description="Drift of every customer since the snapshot before, under one model, with its cause (acted, silent, "
    "model, corrected); migrations beyond the store's noise in `quimbi.segment_migrations`; alerts.",
)
@retried
def migrations(
    context: dg.AssetExecutionContext,
    frames: dg.ResourceParam[FrameIOManager],
    store: StoreDatabase,
    tracking: MlflowTracking,
    progress: dg.ResourceParam[Progress],
) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
    """Compare the partitions' weeks with those before them, oldest first."""
    reasons: dict[str, str] = {}
    for store_id, weeks in weeks_by_store(context).items():
        raw = frames.read(ORDERS_KEY, store_id), frames.read(ITEMS_KEY, store_id)
        for number, week in enumerate(weeks):
            progress.step(f"comparing {week} with the week before", 0.6 + 0.35 * number / len(weeks))
            found, drift, reason = _week(store_id, week, raw, context.run_id, frames, store, tracking)
            reasons.pop(store_id, None)
            if reason:
                reasons[store_id] = reason
            metadata = comparison_facts(found, drift)
            if week == weeks[-1]:
                metadata |= comparison_pictures(store_id, week, drift, store, tracking, context.run_id)
            context.add_asset_metadata(metadata, MIGRATIONS_KEY, store_week_key(store_id, week))
    yield dg.MaterializeResult(asset_key=MIGRATIONS_KEY)
    yield refit_check(reasons)


def _week(
    store_id: str,
    week: date,
    raw: tuple[pd.DataFrame, pd.DataFrame],
    run_id: str,
    frames: FrameIOManager,
    store: StoreDatabase,
    tracking: MlflowTracking,
) -> tuple[Compared, WeekDrift, str | None]:
    """Compare and publish one week; return also why a refit is recommended, None if it is not."""
    kept = frames.read_week(SNAPSHOTS_KEY, store_id, week)
    if kept is None:
        raise BadInputError(f"there is no snapshot of week {week} of store {store_id}; make it first: drift/snapshots")
    end = pd.Timestamp(kept.attrs["as_of"])
    models = models_of_week(store_id, week, end, *raw, run_id, store, tracking)
    features = kept_features(kept)
    side = side_of(features, models)
    found = compare_week(store_id, week, side, kept, models, raw, frames, store, tracking)
    population = population_rows(models, features, side)
    drift = WeekDrift(
        customers=customer_rows(found),
        migrations=migration_rows(found, end),
        floors=found.floors,
        population=population,
    )
    store.publish_drift(store_id, week, drift)
    frames.write_week(MIGRATIONS_KEY, store_id, week, found.week)
    psi = population[population["figure"] == "feature_psi"].rename(columns={"axis_name": "axis", "value": "psi"})
    sizes = population[population["figure"] == "segment_psi"].set_index("axis_name")["value"].to_dict()
    return found, drift, recommend_refit(psi.rename(columns={"name": "feature"}), sizes)
