"""What changed since the week before, for whom and why: drift, migrations, alerts, and drift of the population.

Belongs here: the asset, its check and what people read about it. Does not: comparing (``weekly.compare``), sending
alerts (``notifications``).
"""

from collections.abc import Iterator
from dataclasses import asdict
from datetime import date

import dagster as dg
import pandas as pd

from quimbi_assets.defs.events import Metadata, Rule, StageEvent, facts, mlflow_links
from quimbi_assets.defs.labels import table_metadata
from quimbi_assets.defs.partitions import (
    MIGRATIONS_KEY,
    SNAPSHOTS_KEY,
    STORE_WEEKS,
    WEEK_INPUTS,
    store_week_key,
    weekly_asset,
    weeks_by_store,
)
from quimbi_assets.defs.runs import retried
from quimbi_assets.errors import BadInputError
from quimbi_assets.history import History
from quimbi_assets.resources.dagster_resources import Listener, Mlflow, StoreDatabase, Tables
from quimbi_assets.resources.mlflow.reports import log_pictures
from quimbi_assets.resources.mlflow.runs import NOTE
from quimbi_assets.resources.postgres.tables.history import publish_drift, read_shares, read_weeks
from quimbi_assets.resources.publishing import models_of_week
from quimbi_assets.weekly.compare import LEARNING_WEEKS, Comparison, compare_snapshots
from quimbi_assets.weekly.drift import recommend_refit
from quimbi_assets.weekly.noise import PastComparison
from quimbi_assets.weekly.pictures import migration_heat_map, shares_over_weeks
from quimbi_assets.weekly.rows import drift_rows, migration_rows, population_rows
from quimbi_assets.weekly.snapshot import SnapshotFacts

CHECK = Rule(
    "population_as_at_the_fit",
    "Customers and segments are distributed as when the models were fitted.",
    "fit anew (`quimbi run`); `reason` says which axes moved away. Until then customers are measured by segments of "
    "a shop that was another.",
    warns=True,
    partitions_def=STORE_WEEKS,
)


# Earlier weeks of snapshots and of its own are read too, and not declared as such: which one is the week before depends
# on what there is, and Dagster runs no asset that depends on itself together with others, though a backfill of both has
# to go through the weeks in one run.
@weekly_asset(
    key=MIGRATIONS_KEY,
    deps=[SNAPSHOTS_KEY, *WEEK_INPUTS],
    kinds={"postgres", "duckdb"},
    check_specs=[CHECK.spec(MIGRATIONS_KEY)],
    description="Drift of every customer since the snapshot before, under one model, with its cause (acted, silent, "
    "model, corrected); migrations beyond the store's noise in `quimbi.segment_migrations`; alerts.",
)
@retried
def migrations(
    context: dg.AssetExecutionContext, tables: Tables, database: StoreDatabase, tracking: Mlflow, progress: Listener
) -> Iterator[StageEvent]:
    """Compare the partitions' weeks with those before them, oldest first."""
    columns = table_metadata(database, "segment_migrations")
    reasons: dict[dg.MultiPartitionKey, str | None] = {}  # why a refit is recommended, by partition
    for store_id, weeks in weeks_by_store(context).items():
        history = tables.history(store_id)
        for number, week in enumerate(weeks):
            progress.step(f"comparing {week} with the week before", 0.6 + 0.35 * number / len(weeks))
            for one in [*_left_out(tables, database, store_id, week), week]:
                comparison, reason = _compared(one, history, context.run_id, tables, database, tracking)
                tables.write(MIGRATIONS_KEY, store_id, comparison.tables(), comparison.facts, one)
            metadata = {**_metadata(comparison), **columns}
            if week == weeks[-1]:
                metadata |= _pictures(store_id, week, comparison.moves, database, tracking, context.run_id)
            reasons[partition := store_week_key(store_id, week)] = reason
            context.add_asset_metadata(metadata, MIGRATIONS_KEY, partition)
    yield dg.MaterializeResult(asset_key=MIGRATIONS_KEY)
    for partition, reason in reasons.items():
        yield CHECK.of_partition(context, partition, reason is None, reason=reason)
    yield CHECK.done(MIGRATIONS_KEY)


def _left_out(tables: Tables, database: StoreDatabase, store_id: str, week: date) -> list[date]:
    """Return the weeks before one, oldest first, that have a snapshot and, their run being killed, no comparison.

    Without that of the week before, who had fallen silent would be forgotten, and told of again.
    """
    known = [other for other in read_weeks(database, store_id) if other < week][-LEARNING_WEEKS:]
    is_compared = [tables.table(MIGRATIONS_KEY, store_id, other) is not None for other in known]
    last = max((place for place, is_there in enumerate(is_compared) if is_there), default=-1)
    return [other for other in known[last + 1 :] if tables.table(SNAPSHOTS_KEY, store_id, other) is not None]


def _compared(
    week: date, history: History, run_id: str, tables: Tables, database: StoreDatabase, tracking: Mlflow
) -> tuple[Comparison, str | None]:
    """Compare one week and publish its rows; return also why a refit is recommended, None if it is not."""
    store_id = history.store.store_id
    newer = tables.table(SNAPSHOTS_KEY, store_id, week)
    if newer is None:
        raise BadInputError(f"store {store_id} has no snapshot of week {week}; make it first: drift/snapshots")
    end = newer.facts_as(SnapshotFacts).at
    then = history.until(end)
    models = models_of_week(database, tracking, week, then, run_id)
    known = [other for other in read_weeks(database, store_id) if other < week]
    older = tables.table(SNAPSHOTS_KEY, store_id, known[-1]) if known else None
    compared = (tables.table(MIGRATIONS_KEY, store_id, other) for other in known[-LEARNING_WEEKS:])
    earlier = [PastComparison(table) for table in compared if table is not None]
    # An axis whose first fit came later is as weak as that one.
    weak = tracking.registry.weak_axes(store_id, {axis: max(end, fit_end) for axis, fit_end in models.data_end.items()})
    comparison = compare_snapshots(newer, older, earlier, models, history, weak)
    population = population_rows(comparison, newer, models)
    rows = (drift_rows(comparison), migration_rows(comparison, end), population)
    publish_drift(database, store_id, week, *rows, comparison.thresholds)
    # What came after a week has not drifted away from it.
    fitted = [axis for axis, data_end in models.data_end.items() if data_end <= end]
    return comparison, recommend_refit(population[population["axis_name"].isin(fitted)])


def _metadata(comparison: Comparison) -> Metadata:
    moves, moved = comparison.moves, comparison.movement
    by_cause = moves.groupby("cause")["customer_id"].nunique()
    thresholds = comparison.thresholds
    flows = moves.groupby(["axis_name", "from_segment", "to_segment", "cause"]).size().rename("customers")
    return facts(
        len(moves),
        compared_with=comparison.facts.older or "nothing: the first snapshot",
        customers_migrated_by_cause=pd.DataFrame({"cause": by_cause.index, "customers": by_cause.to_numpy()}),
        causes=pd.Series(moved.cause).value_counts().to_dict(),
        alerts=pd.Series(comparison.alert).value_counts().to_dict(),
        largest_migrations=flows.reset_index().nlargest(10, "customers") if len(moves) else None,
        silence_floor=thresholds and thresholds.surprisal,
        nobody_at_risk_because=thresholds and thresholds.silence.reason,
        silence_test=thresholds and asdict(thresholds.silence),
    )


def _pictures(
    store_id: str, week: date, moves: pd.DataFrame, database: StoreDatabase, tracking: Mlflow, run_id: str
) -> Metadata:
    shares = read_shares(database, store_id, week)
    names = dict(zip(shares["segment_id"], shares["segment_name"], strict=True))
    pictures = {"segment_shares_over_weeks.png": shares_over_weeks(shares)}
    if len(moves):
        pictures["migrations.png"] = migration_heat_map(moves, names)
    note = (
        f"Store **{store_id}**, week of {week}: how large its segments were until then, who moved from which to which."
    )
    tags = {"dagster_run_id": run_id, "week": str(week), "kind": "drift", NOTE: note}
    return mlflow_links(log_pictures(tracking, store_id, f"drift {week}", pictures, tags), pictures)
