"""The store database as a Dagster resource: what assets read from it and publish to it.

Belongs here: the resource. Does not: SQL (``reading``, ``publishing``), loading files (``loading``).
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import date
from typing import Any

import pandas as pd
from dagster import ConfigurableResource

from quimbi_assets.naming.asking.conversation import Named
from quimbi_assets.naming.persistence import GivenNames
from quimbi_assets.resources.claude import AxisAnswer
from quimbi_assets.resources.mlflow.registry import LoadedModel
from quimbi_assets.resources.postgres import copy as bulk
from quimbi_assets.resources.postgres import reading
from quimbi_assets.resources.postgres.database import Database, open_database
from quimbi_assets.resources.postgres.tables import archetypes as archetype_table
from quimbi_assets.resources.postgres.tables import drift as drift_reading
from quimbi_assets.resources.postgres.tables import history as history_table
from quimbi_assets.resources.postgres.tables import lineage as succession
from quimbi_assets.resources.postgres.tables import naming as naming_table
from quimbi_assets.resources.postgres.tables import notifications as notice_table
from quimbi_assets.resources.postgres.tables import segments as publishing
from quimbi_assets.resources.postgres.tables import store_plans, stores


class StoreDatabase(ConfigurableResource):
    """Reads a store's rows and publishes what was found, each publication in one transaction.

    The server is that of ``DATABASE_URL``, or the embedded one under ``QUIMBI_HOME``.
    """

    def database(self) -> Database:
        """Return the database, started and migrated if need be."""
        return open_database()

    def settings(self, store_id: str) -> stores.Store:
        """Return how the store's orders are to be read.

        Raises
        ------
        UnknownStoreError
            If no such store was loaded.
        """
        return stores.read_store(self.database(), store_id)

    def planned_stores(self) -> list[store_plans.PlannedStore]:
        """Return all stores with what is due for them."""
        return store_plans.planned_stores(self.database())

    def newest_orders(self) -> dict[str, pd.Timestamp]:
        """Return when each store's newest order was placed, UTC."""
        return store_plans.newest_orders(self.database())

    def orders(self, store_id: str) -> pd.DataFrame:
        """Return all orders of the store as loaded."""
        return reading.read_orders(self.database(), store_id)

    def items(self, store_id: str) -> pd.DataFrame:
        """Return all order lines of the store as loaded."""
        return reading.read_items(self.database(), store_id)

    def tickets(self, store_id: str) -> pd.DataFrame:
        """Return all support tickets of the store as loaded."""
        return reading.read_tickets(self.database(), store_id)

    def publish_axis_models(self, store_id: str, summaries: Mapping[str, pd.DataFrame | None]) -> None:
        """Publish the status and figures of axes."""
        publishing.publish_axis_models(self.database(), store_id, summaries)

    def publish_serving(self, store_id: str, serving: Mapping[str, LoadedModel]) -> None:
        """Publish the figures of the models that score, where they are others than the last run's."""
        facts = {name: (m.model, str(m.version), m.run_id) for name, m in serving.items()}
        publishing.publish_serving(self.database(), store_id, facts)

    def publish_lineage(self, store_id: str, versions: Mapping[str, tuple[str, pd.DataFrame]]) -> None:
        """Publish what became of the segments in newly registered versions."""
        succession.publish_lineage(self.database(), store_id, versions)

    def given_names(self, store_id: str, axes: Iterable[str]) -> dict[str, GivenNames]:
        """Return the names that segments have, by axis."""
        return succession.read_given_names(self.database(), store_id, axes)

    def naming_answers(self, store_id: str, digests: Iterable[str]) -> dict[str, Named]:
        """Return what Claude answered before, by digest of what was described."""
        return naming_table.read_answers(self.database(), store_id, digests)

    def keep_naming_answer(
        self, store_id: str, digest: str, axis_name: str, model: str, answer: AxisAnswer, run_id: str
    ) -> None:
        """Keep what Claude answered about an axis, with its tests and cost."""
        naming_table.write_answer(self.database(), store_id, digest, axis_name, model, answer, run_id)

    def publish_segments(self, store_id: str, rows: Mapping[str, pd.DataFrame], retired: Iterable[str] = ()) -> None:
        """Publish the current segments of axes; segments of ``retired`` axes end."""
        publishing.publish_segments(self.database(), store_id, rows, list(retired))

    def replacing_profiles(self, store_id: str) -> AbstractContextManager[bulk.Append]:
        """Replace all profiles of the store by those appended in the block; see ``bulk.replacing_rows``."""
        return bulk.replacing_rows(self.database(), "customer_profiles", store_id)

    def publish_archetypes(self, store_id: str, rows: pd.DataFrame) -> None:
        """Publish the current archetypes of the store; those until now end."""
        archetype_table.publish_archetypes(self.database(), store_id, rows)

    def archetypes(self, store_id: str, until: pd.Timestamp) -> pd.DataFrame:
        """Return the last archetypes of the store made from data up to an instant (UTC); no row if there are none."""
        return archetype_table.read_archetypes(self.database(), store_id, until)

    def keep_past_segments(self, rows: Mapping[str, pd.DataFrame]) -> None:
        """Keep the names of segments that score snapshots of the past; none of them becomes current."""
        publishing.keep_past_segments(self.database(), rows)

    def keep_past_archetypes(self, rows: pd.DataFrame) -> None:
        """Keep archetypes for snapshots of the past; none of them becomes current."""
        archetype_table.keep_past_archetypes(self.database(), rows)

    def publish_week(self, store_id: str, week: date, rows: pd.DataFrame) -> int:
        """Make these the rows of a week's snapshot; return how many changed."""
        return history_table.publish_week(self.database(), store_id, week, rows)

    def publish_drift(self, store_id: str, week: date, found: history_table.WeekDrift) -> None:
        """Publish what a week's comparison with the one before found."""
        history_table.publish_drift(self.database(), store_id, week, found)

    def snapshot_weeks(self, store_id: str) -> list[date]:
        """Return the weeks of which there is a snapshot, oldest first."""
        return history_table.read_weeks(self.database(), store_id)

    def week_versions(self, store_id: str, week: date) -> dict[str, str] | None:
        """Return which model versions scored a week, None if there is no snapshot of it."""
        return history_table.read_versions(self.database(), store_id, week)

    def week_standing(self, store_id: str, week: date) -> pd.DataFrame:
        """Return the dominant segments and archetypes of a week's customers, by the models of then."""
        return history_table.read_standing(self.database(), store_id, week)

    def segment_shares(self, store_id: str, week: date) -> pd.DataFrame:
        """Return the shares of segments over the half year up to a week, with the segments' names."""
        return history_table.read_shares(self.database(), store_id, week)

    def drop_weeks(self, store_id: str, weeks: Sequence[date]) -> None:
        """Delete the snapshots of some weeks."""
        history_table.drop_weeks(self.database(), store_id, weeks)

    def alerts(self, store_id: str, week: date) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
        """Return a week's alerted customers, and its migrations by size."""
        return drift_reading.read_alerts(self.database(), store_id, week)

    def named_before(self, store_id: str, week: date) -> dict[str, date]:
        """Return the last week before this one in which each customer was named to the store."""
        return notice_table.named_before(self.database(), store_id, week)

    def was_told(self, store_id: str, week: date) -> bool:
        """Whether the store was told of that week."""
        return notice_table.was_told(self.database(), store_id, week)

    def publish_notices(self, store_id: str, week: date, notices: pd.DataFrame) -> None:
        """Replace a week's notices."""
        notice_table.publish_notices(self.database(), store_id, week, notices)

    def mark_told(self, store_id: str, week: date) -> None:
        """Note that the store was told of a week."""
        notice_table.mark_told(self.database(), store_id, week)
