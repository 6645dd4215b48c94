"""What people read in the UI about a week: its snapshot, its comparison, its check and pictures.

Belongs here: metadata. Does not: any asset.
"""

from datetime import date

import dagster as dg
import pandas as pd

from quimbi_assets.defs.checks import rule_check
from quimbi_assets.defs.partitions import MIGRATIONS_KEY
from quimbi_assets.defs.stage_tables import facts
from quimbi_assets.defs.week_comparison import Compared
from quimbi_assets.resources.mlflow.resource import MlflowTracking
from quimbi_assets.resources.postgres.store_database import StoreDatabase
from quimbi_assets.resources.postgres.tables.history import WeekDrift
from quimbi_assets.weekly.pictures import migration_heat_map, shares_over_weeks

CHECK = "population_as_at_the_fit"


def snapshot_facts(rows: pd.DataFrame, kept: pd.DataFrame, changed: int) -> dict[str, dg.MetadataValue]:
    """Say how many rows a snapshot has and changed, as of when, by which models."""
    versions = kept.attrs["model_versions"]
    return facts(
        len(rows),
        as_of=kept.attrs["as_of"],
        rows_changed=changed,
        axes=", ".join(versions),
        models=pd.DataFrame({"axis": list(versions), "version": list(versions.values())}),
        without_archetype=int(rows["archetype_id"].isna().sum()),
    )


def refit_check(reasons: dict[str, str]) -> dg.AssetCheckResult:
    """Warn where a store's population is no longer that of its fits; ``reasons`` by store."""
    result = rule_check(
        MIGRATIONS_KEY,
        CHECK,
        not reasons,
        "Customers and segments are distributed as when the models were fitted; else refit: quimbi run.",
        reasons="; ".join(f"{store_id}: {reason}" for store_id, reason in reasons.items()) or "none",
    )
    return result._replace(severity=dg.AssetCheckSeverity.WARN)


def comparison_facts(found: Compared, drift: WeekDrift) -> dict[str, dg.MetadataValue]:
    """Say what was compared, who moved and why, and how many alerts there are."""
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


def comparison_pictures(
    store_id: str, week: date, drift: WeekDrift, store: StoreDatabase, tracking: MlflowTracking, run_id: str
) -> dict[str, dg.MetadataValue]:
    """Draw shares of segments and migrations, for the UI and MLflow."""
    shares = store.segment_shares(store_id, week)
    names = dict(zip(shares["segment_id"], shares["segment_name"], strict=True))
    pictures = {"segment_shares_over_weeks.png": shares_over_weeks(shares)}
    if len(drift.migrations):
        pictures["migrations.png"] = migration_heat_map(drift.migrations, names)
    page = tracking.log_pictures(store_id, f"drift {week}", pictures, {"dagster_run_id": run_id, "week": str(week)})
    return facts(None, mlflow_run=page, **{name.removesuffix(".png"): png for name, png in pictures.items()})
