"""What changed since the week before, for whom and why: drift, migrations, alerts, and drift of the population.

Belongs here: the asset, its check and its pictures. Does not: comparing (``week_comparison``), sending alerts.
"""

from collections.abc import Iterator
from datetime import date

import dagster as dg
import pandas as pd

from quimbi_assets.defs.checks import rule_check
from quimbi_assets.defs.drift_tables import customer_rows, migration_rows, population_rows
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
from quimbi_assets.defs.stage_tables import facts
from quimbi_assets.defs.week_comparison import Compared, compare_week, side_of
from quimbi_assets.defs.week_models import models_of_week
from quimbi_assets.drift.kept import kept_features
from quimbi_assets.drift.pictures import migration_heat_map, shares_over_weeks
from quimbi_assets.drift.psi import recommend_refit
from quimbi_assets.orders.errors import BadInputError
from quimbi_assets.resources.frames import FrameIOManager
from quimbi_assets.resources.history_table import WeekDrift
from quimbi_assets.resources.model_tracking import MlflowTracking
from quimbi_assets.resources.progress import Progress
from quimbi_assets.resources.store import StoreDatabase

CHECK = "population_as_at_the_fit"


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
            metadata = _metadata(found, drift)
            if week == weeks[-1]:
                metadata |= _pictures(store_id, week, drift, store, tracking, context.run_id)
            context.add_asset_metadata(metadata, MIGRATIONS_KEY, store_week_key(store_id, week))
    yield dg.MaterializeResult(asset_key=MIGRATIONS_KEY)
    yield _check(reasons)


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


def _check(reasons: dict[str, str]) -> dg.AssetCheckResult:
    result = rule_check(
        MIGRATIONS_KEY,
        CHECK,
        not reasons,
        "Customers and segments are distributed as when the models were fitted; else refit: quimbi run.",
        **reasons,
    )
    return result._replace(severity=dg.AssetCheckSeverity.WARN)


def _metadata(found: Compared, drift: WeekDrift) -> dict[str, dg.MetadataValue]:
    moves = drift.migrations
    by_cause = moves.groupby("cause")["customer_id"].nunique() if len(moves) else pd.Series(dtype="int64")
    flows = moves.groupby(["axis_name", "from_segment", "to_segment", "cause"]).size() if len(moves) else by_cause
    return facts(
        len(moves),
        compared_with="nothing: the first snapshot" if found.older is None else str(found.older),
        customers_migrated_by_cause=pd.DataFrame({"cause": by_cause.index, "customers": by_cause.to_numpy()}),
        causes=found.week["cause"].value_counts().to_dict(),
        alerts=found.week["alert"].value_counts().to_dict(),
        largest_migrations=flows.rename("customers").reset_index().nlargest(10, "customers") if len(moves) else None,
        silence_floor=None if found.floors is None else found.floors.silence,
    )


def _pictures(
    store_id: str, week: date, drift: WeekDrift, store: StoreDatabase, tracking: MlflowTracking, run_id: str
) -> dict[str, dg.MetadataValue]:
    shares = store.segment_shares(store_id, week)
    names = dict(zip(shares["segment_id"], shares["segment_name"], strict=True))
    pictures = {"segment_shares_over_weeks.png": shares_over_weeks(shares)}
    if len(drift.migrations):
        pictures["migrations.png"] = migration_heat_map(drift.migrations, names)
    page = tracking.log_pictures(store_id, f"drift {week}", pictures, {"dagster_run_id": run_id, "week": str(week)})
    return facts(None, mlflow_run=page, **{name.removesuffix(".png"): png for name, png in pictures.items()})
