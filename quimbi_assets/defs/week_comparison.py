"""A week's snapshot against the one before: both scored by the newer one's models.

Belongs here: gathering the two sides and handing them to ``drift``. Does not: any formula, the asset (``migrations``).
"""

from dataclasses import dataclass, field
from datetime import date

import numpy as np
import pandas as pd

from quimbi_assets.defs.older_side import days_between, older_features, side_of, standing_of, standing_of_week
from quimbi_assets.defs.partitions import MIGRATIONS_KEY, SNAPSHOTS_KEY
from quimbi_assets.defs.week_models import WeekModels
from quimbi_assets.resources.mlflow.resource import MlflowTracking
from quimbi_assets.resources.parquet_io import FrameIOManager
from quimbi_assets.resources.postgres.store_database import StoreDatabase
from quimbi_assets.weekly import comparison
from quimbi_assets.weekly.alerts import decide_alerts
from quimbi_assets.weekly.causes import causes
from quimbi_assets.weekly.comparison import SETTLED
from quimbi_assets.weekly.digest import customer_digests
from quimbi_assets.weekly.floors import Floors, learn_floors, learnt_from
from quimbi_assets.weekly.kept import DIGEST, SURPRISE
from quimbi_assets.weekly.sides import Side
from quimbi_assets.weekly.silence import fallen_silent

LEARNING_WEEKS = 26
"""Weeks before this one that floors are learnt from, at most."""


@dataclass(frozen=True)
class Compared:
    """What a comparison found.

    Parameters
    ----------
    week : DataFrame of n rows
        A row a customer of the newer snapshot: drift, cause, surprise, state; kept for the comparisons after it.
    moves : DataFrame
        Migrations.
    floors : Floors or None
        What counted as noise; None where there was no snapshot before.
    older : date or None
        Week of the snapshot compared with.
    earlier : list of DataFrame
        Weeks compared before, oldest first.
    """

    week: pd.DataFrame
    moves: pd.DataFrame
    floors: Floors | None = None
    older: date | None = None
    earlier: list[pd.DataFrame] = field(default_factory=list)


def compare_week(
    store_id: str,
    week: date,
    newer: Side,
    kept: pd.DataFrame,
    models: WeekModels,
    raw: tuple[pd.DataFrame, pd.DataFrame],
    frames: FrameIOManager,
    store: StoreDatabase,
    tracking: MlflowTracking,
) -> Compared:
    """Compare a week's snapshot with the one before it.

    Parameters
    ----------
    store_id, week
        Which.
    newer : Side
        The week, scored.
    kept : DataFrame
        What its snapshot kept.
    models : WeekModels
        What scored it.
    raw : (orders, items)
        Today's canonical rows, which tell whether the past was corrected since.
    frames, store, tracking
        Where everything rests.
    """
    known = [other for other in store.snapshot_weeks(store_id) if other < week]
    before = frames.read_week(SNAPSHOTS_KEY, store_id, known[-1]) if known else None
    if before is None:
        return _first(newer, kept)
    older_side = side_of(older_features(store_id, before, models, raw, tracking), models)
    state = frames.read_week(MIGRATIONS_KEY, store_id, known[-1])
    recomputed = customer_digests(*raw, pd.Timestamp(before.attrs["as_of"]))
    found = comparison.measure_drift(older_side, newer)
    found["cause"] = causes(before[DIGEST], recomputed, kept[DIGEST])
    found["surprise_before"] = before[SURPRISE].reindex(found.index).fillna(0.0)
    found["surprise"] = kept[SURPRISE]
    found.attrs = {"days": days_between(before, kept), "older": known[-1].isoformat()}
    tables = [frames.read_week(MIGRATIONS_KEY, store_id, other) for other in known[-LEARNING_WEEKS:]]
    earlier = [table for table in tables if table is not None and "older" in table.attrs]
    axes = list(newer.scores)
    floors = learn_floors(learnt_from(earlier, found), axes)
    is_second = state is None or "older" not in state.attrs
    was_fallen = (before[SURPRISE] > floors.silence) if is_second else state["fallen"]
    found["fallen_before"] = was_fallen.astype(bool).reindex(found.index, fill_value=False)
    found["fallen"] = fallen_silent(found, floors.silence)
    same_models = before.attrs["model_versions"] == models.versions
    own = standing_of(older_side) if same_models else standing_of_week(store_id, known[-1], store)
    settled_before = comparison.settle_before(older_side, state, own)
    settled, moves = comparison.settle(newer, found, settled_before, floors)
    weak = tracking.weak_axes(store_id, axes, pd.Timestamp(kept.attrs["as_of"]))
    found["acted_score"] = comparison.acted_scores(moves, found.index, weak)
    floors = learn_floors(learnt_from(earlier, found), axes)
    found["alert"] = decide_alerts(found, floors, weak)
    whole = found.join(settled)
    whole.attrs = found.attrs
    return Compared(whole, moves, floors, known[-1], earlier)


def _first(newer: Side, kept: pd.DataFrame) -> Compared:
    """Return the state of a store's first snapshot: nothing to compare with, nobody moved."""
    week = comparison.measure_drift(newer, newer) * np.nan
    own = comparison.settle_before(newer, None, standing_of(newer))
    week = week.assign(cause="new", surprise_before=0.0, surprise=kept[SURPRISE], fallen_before=False)
    week = week.assign(fallen=False, acted_score=0.0, alert=None)
    settled = own[[column for column in own if column.startswith(SETTLED)]]
    return Compared(week.join(settled), pd.DataFrame())
