"""Which models score a week: those that were serving when it ended, or that would have been (docs/adr/0010).

Belongs here: choosing and loading them with what their features are measured against. Does not: scoring.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import pandas as pd

from quimbi_assets.axes import AXES, StoreReference
from quimbi_assets.defs.model_references import references_of
from quimbi_assets.defs.past_churn import churn_of_week
from quimbi_assets.defs.past_models import fit_past_models
from quimbi_assets.errors import BadInputError
from quimbi_assets.profiles.archetype_rows import kept_archetypes
from quimbi_assets.profiles.archetypes import ArchetypeSet
from quimbi_assets.profiles.scores import AxisScores
from quimbi_assets.resources.mlflow.registry import CHURN, LoadedModel
from quimbi_assets.resources.mlflow.resource import MlflowTracking
from quimbi_assets.resources.postgres.store_database import StoreDatabase


@dataclass(frozen=True)
class WeekModels:
    """What scores a week.

    Parameters
    ----------
    loaded : mapping of axis to LoadedModel
        The models.
    references : mapping of axis to StoreReference
        What the features of each are measured against.
    archetypes : ArchetypeSet or None
        The archetypes of then.
    churn : LoadedModel or None
        The churn model of then.
    """

    loaded: Mapping[str, LoadedModel]
    references: Mapping[str, StoreReference]
    archetypes: ArchetypeSet | None
    churn: LoadedModel | None = None

    @property
    def versions(self) -> dict[str, str]:
        """Return the version of each axis's model."""
        return {axis: str(model.version) for axis, model in self.loaded.items()}


def models_of_week(
    store_id: str,
    week: date,
    end: pd.Timestamp,
    orders: pd.DataFrame,
    items: pd.DataFrame,
    run_id: str,
    store: StoreDatabase,
    tracking: MlflowTracking,
    *,
    renew: bool = False,
) -> WeekModels:
    """Return what scores a week.

    Parameters
    ----------
    store_id, week, end
        The week and the instant it ends at, naive UTC.
    orders, items : DataFrame
        Canonical rows, for the case that models of then have to be fitted.
    run_id : str
        Dagster's run.
    store, tracking
        Where models and rows are.
    renew : bool
        Choose anew even if there is a snapshot of the week.

    Raises
    ------
    BadInputError
        If the store was never run.
    """
    scored_by = {} if renew else dict(store.week_versions(store_id, week) or {})
    risk_by = {CHURN: scored_by.pop(CHURN)} if CHURN in scored_by else {}
    loaded = tracking.versions(store_id, scored_by) if scored_by else _serving(store_id, end, tracking)
    churn = (
        tracking.versions(store_id, risk_by).get(CHURN)
        if scored_by
        else churn_of_week(store_id, end, orders, run_id, tracking)
    )
    if not loaded:
        axes = list(tracking.champions(store_id, AXES))
        if not axes:
            raise BadInputError(f"store {store_id} has no models yet; fit them first: quimbi run --store-id {store_id}")
        fit_past_models(store_id, axes, orders, items, end, run_id, store, tracking)
        loaded = _serving(store_id, end, tracking)
    references = references_of(loaded, orders, items, end, tracking)
    rows = store.archetypes(store_id, end.tz_localize("UTC"))
    return WeekModels({a: loaded[a] for a in AXES if a in loaded}, references, kept_archetypes(rows), churn)


def fitting_archetypes(archetypes: ArchetypeSet | None, scores: Mapping[str, AxisScores]) -> ArchetypeSet | None:
    """Return the archetypes if they are made of segments that the scores have; None if a refit came in between."""
    if archetypes is None:
        return None
    places = {axis: position for position, axis in enumerate(archetypes.axes)}
    told = all(
        axis in scores and {row[i] for row in archetypes.segments} <= set(scores[axis].segment_ids)
        for axis, i in places.items()
    )
    return archetypes if told else None


def _serving(store_id: str, end: pd.Timestamp, tracking: MlflowTracking) -> dict[str, LoadedModel]:
    return tracking.predecessors(store_id, dict.fromkeys(AXES, str(end)))
