"""From features to profiles with fitted models held in memory, for one customer or all of a store.

Belongs here: ``Profiler``. Does not: loading models, writing tables.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime

import pandas as pd

from quimbi_assets.clustering.model import AxisModel
from quimbi_assets.profiles.archetypes import ArchetypeSet
from quimbi_assets.profiles.assemble import assemble_scores
from quimbi_assets.profiles.context import ProfileContext
from quimbi_assets.profiles.fingerprint import axis_order, fingerprint_positions
from quimbi_assets.profiles.risk import ChurnRisks
from quimbi_assets.profiles.scores import AxisScores, score_axis


class Profiler:
    """Profiles customers of one store against its fitted models.

    Parameters
    ----------
    models : mapping of axis to AxisModel
        Fitted models of the active axes.
    segments : mapping of axis to DataFrame
        ``segment_id`` and ``segment_name`` of every segment of those models.
    versions : mapping of axis to str
        Versions of the registered models.
    store_id : str
        Store.
    as_of : datetime
        Instant the features are measured at; naive is UTC.
    currency : str, default ""
        ISO code or sign.
    archetypes : ArchetypeSet, optional
        The store's kept archetypes (``archetype_rows.kept_archetypes`` reads them from the table), so that a
        customer alone is of the archetype they are of in the crowd.
    weak : iterable of str
        Axes on which the store's customers do not really differ.

    Raises
    ------
    ValueError
        If a segment has no name or a model no version.
    """

    def __init__(
        self,
        models: Mapping[str, AxisModel],
        segments: Mapping[str, pd.DataFrame],
        versions: Mapping[str, str],
        *,
        store_id: str,
        as_of: datetime,
        currency: str = "",
        archetypes: ArchetypeSet | None = None,
        weak: Iterable[str] = (),
    ) -> None:
        self.models = {axis: models[axis] for axis in axis_order(models)}
        self.context = ProfileContext(store_id, as_of, segments, versions, currency, archetypes, frozenset(weak))
        for axis, model in self.models.items():
            self.context.names(axis, model.segment_ids_)
            if axis not in versions:
                raise ValueError(f"axis {axis}: its model has no version")

    def scores(self, features: Mapping[str, pd.DataFrame]) -> dict[str, AxisScores]:
        """Score customers on every axis that has both a model and features.

        Parameters
        ----------
        features : mapping of axis to DataFrame of n rows
            From ``extract_features``; of a few customers, with the store's own ``recorded`` columns, so that
            the axes are those of the store.

        Returns
        -------
        dict of axis to AxisScores
        """
        return {axis: score_axis(model, features[axis]) for axis, model in self.models.items() if axis in features}

    def profile(self, features: Mapping[str, pd.DataFrame], churn: ChurnRisks | None = None) -> pd.DataFrame:
        """Return the rows of ``customer_profiles``; see ``assemble.assemble_scores``.

        Parameters
        ----------
        features : mapping of axis to DataFrame of n rows
            As for ``scores``.
        churn : ChurnRisks, optional
            Of the same customers in the same order (``risk.churn_risks``).

        Raises
        ------
        ValueError
            If no axis has both a model and features.
        """
        return assemble_scores(self.scores(features), features, self.context, churn)

    def fingerprint_positions(self) -> pd.DataFrame:
        """List what each position of a fingerprint measures; see ``fingerprint.fingerprint_positions``."""
        return fingerprint_positions({axis: model.segment_ids_ for axis, model in self.models.items()})
