"""The sides of a comparison: kept features scored by the newer models, and where customers stood by their own.

Belongs here: reading them. Does not: comparing (``week_comparison``).
"""

from datetime import date, timedelta

import numpy as np
import pandas as pd

from quimbi_assets.axes import AXES
from quimbi_assets.defs.model_references import references_of
from quimbi_assets.defs.stage_tables import business_hours
from quimbi_assets.defs.week_models import WeekModels, fitting_archetypes
from quimbi_assets.profiles.archetypes import archetype_ids
from quimbi_assets.profiles.scores import score_axis
from quimbi_assets.resources.mlflow.resource import MlflowTracking
from quimbi_assets.resources.postgres.store_database import StoreDatabase
from quimbi_assets.weekly.comparison import SETTLED
from quimbi_assets.weekly.kept import kept_features
from quimbi_assets.weekly.measuring import measure_week, same_reference
from quimbi_assets.weekly.sides import ARCHETYPE, Side


def side_of(features: dict[str, pd.DataFrame], models: WeekModels) -> Side:
    """Score kept features by these models."""
    scores = {a: score_axis(model.model, features[a]) for a, model in models.loaded.items() if a in features}
    known = fitting_archetypes(models.archetypes, scores)
    return Side(scores, None if known is None else archetype_ids(scores, known))


def standing_of(side: Side) -> pd.DataFrame:
    """Return the dominant segments and archetypes of a side, as ``settled:`` columns."""
    columns = {
        SETTLED + axis: np.array(score.segment_ids, dtype=object)[score.dominant] for axis, score in side.scores.items()
    }
    if side.archetypes is not None:
        columns[SETTLED + ARCHETYPE] = side.archetypes
    return pd.DataFrame(columns, index=side.customers)


def standing_of_week(store_id: str, week: date, store: StoreDatabase) -> pd.DataFrame:
    """Return where customers stood in a week by the models of then, as its rows have it."""
    rows = store.week_standing(store_id, week)
    dominant = pd.DataFrame(rows["dominant_segments"].tolist(), index=pd.Index(rows["customer_id"]))
    own = dominant.rename(columns=lambda axis: SETTLED + axis)
    return own.assign(**{SETTLED + ARCHETYPE: rows["archetype_id"].to_numpy()})


def older_features(
    store_id: str,
    before: pd.DataFrame,
    models: WeekModels,
    raw: tuple[pd.DataFrame, pd.DataFrame],
    tracking: MlflowTracking,
) -> dict[str, pd.DataFrame]:
    """Return the older side's features: as kept, but measured anew where what they are measured against changed."""
    features = kept_features(before)
    versions = before.attrs["model_versions"]
    now = models.versions
    replaced = {a: v for a, v in versions.items() if a in now and now[a] != v and AXES[a].reference and a in features}
    if not replaced:
        return features
    orders, items = raw
    end = pd.Timestamp(before.attrs["as_of"])
    then = references_of(tracking.versions(store_id, replaced), orders, items, end, tracking)
    wanted = {a: models.references[a] for a in replaced if not same_reference(then[a], models.references[a])}
    if wanted:
        hours, time_zone = business_hours(orders), orders.attrs.get("time_zone", "UTC")
        visible = orders[orders["order_date"] < end]
        measured, _ = measure_week(visible, items, end, wanted, hours, time_zone)
        # Customers of then: those whom a correction added or took away since are not compared.
        features |= {a: table.reindex(before.index).fillna({"n_orders": 0}) for a, table in measured.items()}
    return features


def days_between(before: pd.DataFrame, kept: pd.DataFrame) -> float:
    """Return the days between the instants of two kept snapshots."""
    between = pd.Timestamp(kept.attrs["as_of"]) - pd.Timestamp(before.attrs["as_of"])
    return between / timedelta(days=1)
