"""A week's snapshot against the one before: both scored by the newer one's models.

Belongs here: gathering the two sides and handing them to ``drift``. Does not: any formula, the asset (``migrations``).
"""

from dataclasses import dataclass, field
from datetime import date, timedelta

import numpy as np
import pandas as pd

from quimbi_assets.axes import AXES
from quimbi_assets.defs.partitions import MIGRATIONS_KEY, SNAPSHOTS_KEY
from quimbi_assets.defs.stage_tables import business_hours
from quimbi_assets.defs.week_models import WeekModels, fitting_archetypes, references_of
from quimbi_assets.drift import comparison
from quimbi_assets.drift.alerts import decide_alerts
from quimbi_assets.drift.causes import causes
from quimbi_assets.drift.comparison import ARCHETYPE, SETTLED, Side
from quimbi_assets.drift.digest import customer_digests
from quimbi_assets.drift.floors import Floors, learn_floors, learnt_from
from quimbi_assets.drift.kept import DIGEST, SURPRISE, kept_features
from quimbi_assets.drift.measuring import measure_week, same_reference
from quimbi_assets.drift.silence import fallen_silent
from quimbi_assets.profiles.archetypes import archetype_ids
from quimbi_assets.profiles.scores import score_axis
from quimbi_assets.resources.frames import FrameIOManager
from quimbi_assets.resources.model_tracking import MlflowTracking
from quimbi_assets.resources.store import StoreDatabase

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


def side_of(features: dict[str, pd.DataFrame], models: WeekModels) -> Side:
    """Score kept features by these models."""
    scores = {a: score_axis(model.model, features[a]) for a, model in models.loaded.items() if a in features}
    known = fitting_archetypes(models.archetypes, scores)
    return Side(scores, None if known is None else archetype_ids(scores, known))


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
    older_side = side_of(_older_features(store_id, before, models, raw, tracking), models)
    state = frames.read_week(MIGRATIONS_KEY, store_id, known[-1])
    recomputed = customer_digests(*raw, pd.Timestamp(before.attrs["as_of"]))
    found = comparison.measure_drift(older_side, newer)
    found["cause"] = causes(before[DIGEST], recomputed, kept[DIGEST])
    found["surprise_before"] = before[SURPRISE].reindex(found.index).fillna(0.0)
    found["surprise"] = kept[SURPRISE]
    found.attrs = {"days": _days_between(before, kept), "older": known[-1].isoformat()}
    tables = [frames.read_week(MIGRATIONS_KEY, store_id, other) for other in known[-LEARNING_WEEKS:]]
    earlier = [table for table in tables if table is not None and "older" in table.attrs]
    axes = list(newer.scores)
    floors = learn_floors(learnt_from(earlier, found), axes)
    is_second = state is None or "older" not in state.attrs
    was_fallen = (before[SURPRISE] > floors.silence) if is_second else state["fallen"]
    found["fallen_before"] = was_fallen.astype(bool).reindex(found.index, fill_value=False)
    found["fallen"] = fallen_silent(found, floors.silence)
    settled_before = comparison.settle_before(older_side, state, _own_standing(store_id, known[-1], store))
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
    own = comparison.settle_before(newer, None, _own(newer))
    week = week.assign(cause="new", surprise_before=0.0, surprise=kept[SURPRISE], fallen_before=False)
    week = week.assign(fallen=False, acted_score=0.0, alert=None)
    settled = own[[column for column in own if column.startswith(SETTLED)]]
    return Compared(week.join(settled), pd.DataFrame())


def _own(side: Side) -> pd.DataFrame:
    columns = {
        SETTLED + axis: np.array(score.segment_ids, dtype=object)[score.dominant] for axis, score in side.scores.items()
    }
    if side.archetypes is not None:
        columns[SETTLED + ARCHETYPE] = side.archetypes
    return pd.DataFrame(columns, index=side.customers)


def _own_standing(store_id: str, week: date, store: StoreDatabase) -> pd.DataFrame:
    """Return where customers stood in a week by the models of then, as its rows have it."""
    rows = store.week_standing(store_id, week)
    dominant = pd.DataFrame(rows["dominant_segments"].tolist(), index=pd.Index(rows["customer_id"]))
    own = dominant.rename(columns=lambda axis: SETTLED + axis)
    return own.assign(**{SETTLED + ARCHETYPE: rows["archetype_id"].to_numpy()})


def _older_features(
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


def _days_between(before: pd.DataFrame, kept: pd.DataFrame) -> float:
    between = pd.Timestamp(kept.attrs["as_of"]) - pd.Timestamp(before.attrs["as_of"])
    return between / timedelta(days=1)
