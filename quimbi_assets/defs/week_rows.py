"""The rows of one week's snapshot, and what is kept to score it again.

Belongs here: handing a week's orders and models to ``drift``. Does not: the asset (``snapshots``).
"""

from datetime import date

import numpy as np
import pandas as pd

from quimbi_assets.defs.stage_tables import business_hours
from quimbi_assets.defs.week_models import WeekModels, fitting_archetypes
from quimbi_assets.profiles.archetypes import archetype_ids
from quimbi_assets.profiles.risk import risk_scores
from quimbi_assets.profiles.scores import score_axis
from quimbi_assets.resources.mlflow.registry import CHURN
from quimbi_assets.weekly.digest import customer_digests
from quimbi_assets.weekly.history import history_rows
from quimbi_assets.weekly.kept import kept_table
from quimbi_assets.weekly.measuring import measure_week
from quimbi_assets.weekly.silence import AXIS as RHYTHM_AXIS
from quimbi_assets.weekly.silence import closed_days, surprise


def snapshot_rows(
    week: date, end: pd.Timestamp, orders: pd.DataFrame, items: pd.DataFrame, models: WeekModels
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the rows of a week, and what is kept to score it again."""
    visible = orders[orders["order_date"] < end]
    hours, time_zone = business_hours(orders), orders.attrs.get("time_zone", "UTC")
    features, inactive = measure_week(visible, items, end, models.references, hours, time_zone)
    scores = {axis: score_axis(models.loaded[axis].model, table) for axis, table in features.items()}
    known = fitting_archetypes(models.archetypes, scores)
    value = features.get("purchase_value")
    index = next(iter(features.values())).index
    risk_by = {} if models.churn is None else {CHURN: str(models.churn.version)}
    rows = history_rows(
        week,
        end,
        scores,
        {axis: version for axis, version in models.versions.items() if axis in scores} | risk_by,
        None if known is None else archetype_ids(scores, known),
        None if value is None else value["lifetime_value"].to_numpy(dtype=np.float64),
        None if models.churn is None else risk_scores(models.churn.model, visible, end, index),
    )
    rhythm, closed = features.get(RHYTHM_AXIS), closed_days(orders["order_date"], end)
    silence = np.zeros(len(index)) if rhythm is None else surprise(rhythm, closed)
    kept = kept_table(features, customer_digests(visible, items, end), pd.Series(silence, index=index))
    kept.attrs = {"as_of": str(end), "model_versions": models.versions, "inactive": inactive}
    return rows, kept
