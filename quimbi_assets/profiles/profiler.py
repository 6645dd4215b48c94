"""From features to profiles with fitted models held in memory, for one customer or all of a store.

Belongs here: ``Profiler``. Does not: loading models, writing tables.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime

import pandas as pd
import pyarrow as pa

from quimbi_assets.clustering.model import AxisModel
from quimbi_assets.profiles.archetypes import ArchetypeSet
from quimbi_assets.profiles.assemble import ProfileContext, profile_batches
from quimbi_assets.profiles.fingerprint import axis_order, fingerprint_positions
from quimbi_assets.profiles.risk import ChurnRisks
from quimbi_assets.profiles.scores import AxisScores, score_axis


class Profiler:
    """Profiles customers of one store against the fitted models of its active axes.

    What else it is given is in ``ProfileContext``. With the store's kept archetypes (``archetype_rows.kept_archetypes``
    reads them from the table) a customer alone is of the archetype they are of in the crowd.

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

        Features of a few customers are measured with the store's own ``recorded`` columns, so that the axes are those
        of the store.
        """
        return {axis: score_axis(model, features[axis]) for axis, model in self.models.items() if axis in features}

    def profile(self, features: Mapping[str, pd.DataFrame], churn: ChurnRisks | None = None) -> pd.DataFrame:
        """Return the rows of ``customer_profiles``, Arrow-backed; see ``assemble.profile_batches``."""
        table = pa.concat_tables(profile_batches(self.scores(features), features, self.context, churn))
        return pd.DataFrame(table.to_pandas(types_mapper=pd.ArrowDtype))

    def fingerprint_positions(self) -> pd.DataFrame:
        """List what each position of a fingerprint measures; see ``fingerprint.fingerprint_positions``."""
        return fingerprint_positions({axis: model.segment_ids_ for axis, model in self.models.items()})
