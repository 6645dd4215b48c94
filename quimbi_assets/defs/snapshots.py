"""Where every customer stood at the end of each week, by what was known then.

Belongs here: the asset, partitioned store by week. Does not: which models score a week (``resources.publishing``),
taking a snapshot (``weekly.snapshot``), comparing weeks (``migrations``).
"""

from collections.abc import Iterator
from datetime import date

import dagster as dg
import pandas as pd

from quimbi_assets.axis_table import table_writer
from quimbi_assets.defs.events import Metadata, Rule, StageEvent, facts
from quimbi_assets.defs.labels import table_metadata
from quimbi_assets.defs.partitions import (
    SNAPSHOTS_KEY,
    STORE_WEEKS,
    WEEK_INPUTS,
    store_week_key,
    weekly_asset,
    weeks_by_store,
)
from quimbi_assets.defs.runs import retried
from quimbi_assets.history import History
from quimbi_assets.instants import two_years_before
from quimbi_assets.resources.dagster_resources import Listener, Mlflow, StoreDatabase, Tables
from quimbi_assets.resources.postgres.tables.history import drop_weeks, publish_week, read_weeks
from quimbi_assets.resources.publishing import models_of_week
from quimbi_assets.weekly.rows import history_rows
from quimbi_assets.weekly.snapshot import (
    SnapshotFacts,
    WeekModels,
    snapshot_facts,
    snapshot_schema,
    take_snapshot,
    until_week_end,
    weeks_to_drop,
)

CHECK = Rule(
    "every_customer_once",
    "Every customer has one row of the week.",
    "make the week again (`quimbi snapshot --week WEEK`): orders were loaded while it was made.",
    partitions_def=STORE_WEEKS,
)


class SnapshotOptions(dg.Config):
    """Fewest customers, whether models are chosen anew, and how long snapshots are kept."""

    min_population: int = 100
    renew_models: bool = False
    keep_weekly_weeks: int = 26
    keep_monthly_months: int | None = None


@weekly_asset(
    key=SNAPSHOTS_KEY,
    deps=WEEK_INPUTS,
    kinds={"postgres", "duckdb"},
    check_specs=[CHECK.spec(SNAPSHOTS_KEY)],
    description="Memberships, dominant segments, archetype, value and risk of every customer as of each week's end "
    "(Monday 00:00 by the store's clock), in `quimbi.customer_history`; blind to anything later. Weeks before the "
    "store's first models are seen in the segments of these.",
)
@retried
def snapshots(
    context: dg.AssetExecutionContext,
    config: SnapshotOptions,
    tables: Tables,
    database: StoreDatabase,
    tracking: Mlflow,
    progress: Listener,
) -> Iterator[StageEvent]:
    """Make the snapshots of the partitions' weeks, oldest first."""
    columns = table_metadata(database, "customer_history")
    counts: dict[dg.MultiPartitionKey, tuple[int, int]] = {}  # rows and customers, by partition
    for store_id, weeks in weeks_by_store(context).items():
        history = tables.history(store_id)
        for number, week in enumerate(weeks):
            progress.step(f"snapshot of {week}", 0.1 + 0.5 * number / len(weeks))
            then = until_week_end(week, history, config.min_population)
            models = models_of_week(database, tracking, week, then, context.run_id, renew=config.renew_models)
            made = _Snapshot(week, then, models, tables)
            changed = publish_week(database, store_id, week, made.rows())
            partition = store_week_key(store_id, week)
            context.add_asset_metadata({**made.metadata(changed), **columns}, SNAPSHOTS_KEY, partition)
            counts[partition] = made.n_rows, then.n_customers
        _thin(store_id, weeks, config, tables, database)
    yield dg.MaterializeResult(asset_key=SNAPSHOTS_KEY)
    for partition, (n_rows, n_customers) in counts.items():
        yield CHECK.of_partition(context, partition, n_rows == n_customers, rows=n_rows, customers=n_customers)
    yield CHECK.done(SNAPSHOTS_KEY)


class _Snapshot:
    """A week's snapshot while it is made: rows for people, some customers at a time, and beside them its table."""

    def __init__(self, week: date, history: History, models: WeekModels, tables: Tables) -> None:
        self._week, self._history, self._models, self._tables = week, history, models, tables
        self._facts: SnapshotFacts = snapshot_facts(week, history, models)
        self.n_rows, self._without_archetype = 0, 0

    def rows(self) -> Iterator[pd.DataFrame]:
        """Yield rows of ``customer_history``; the table is at its place when the last were taken."""
        axes = [axis for axis in self._models.models if axis not in self._facts.inactive]
        place = self._tables.place(SNAPSHOTS_KEY, self._history.store.store_id, self._week)
        with table_writer(place, snapshot_schema(axes), self._facts) as write:
            for part in take_snapshot(self._history, self._models):
                write(part.snapshot.to_table())
                rows = history_rows(self._week, self._history.end, part, self._models)
                self.n_rows += len(rows)
                self._without_archetype += int(rows["archetype_id"].isna().sum())
                yield rows

    def metadata(self, changed: int) -> Metadata:
        """Say how many rows there are and how many changed, as of when, by which models."""
        models = self._models
        table = pd.DataFrame(
            {
                "axis": list(models.versions),
                "version": list(models.versions.values()),
                "fitted on data up to": [str(models.data_end[axis]) for axis in models.versions],
            }
        )
        return facts(
            self.n_rows,
            as_of=str(self._history.end),
            rows_changed=changed,
            axes=", ".join(models.versions),
            models=table,
            not_measured=self._facts.inactive or None,
            without_archetype=self._without_archetype,
        )


def _thin(store_id: str, made: list[date], config: SnapshotOptions, tables: Tables, database: StoreDatabase) -> None:
    """Drop the snapshots that are not kept any more, and who moved or was told of two years before the newest one.

    What was asked for just now stays until the next time.
    """
    recorded = read_weeks(database, store_id)
    dropped = weeks_to_drop(recorded, config.keep_weekly_weeks, config.keep_monthly_months)
    old = [week for week in dropped if week not in made]
    drop_weeks(database, store_id, old, moves_before=two_years_before(max([*recorded, *made])))
    if old:
        tables.keep_weeks(store_id, read_weeks(database, store_id))
