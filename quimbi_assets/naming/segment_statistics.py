"""Clusters in numbers: who is in each, where its centre lies, and how it differs from the population.

Belongs here: counting and averaging a fitted axis's segments in original units. Does not: words.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from quimbi_assets.axes._axis import Axis, Feature
from quimbi_assets.clustering.model import AxisModel

QUANTILES = {"q10": 0.1, "q25": 0.25, "q50": 0.5, "q75": 0.75, "q90": 0.9}


def describe_segments(
    model: AxisModel, features: pd.DataFrame, counts: NDArray[np.int64] | None = None
) -> pd.DataFrame:
    """Describe the k segments of a fitted axis in original units, one row a segment, in the model's order.

    The axis's feature frame is of all customers, or of a large store of a sample; ``counts``, shape (k,), are then the
    customers of each segment in the whole store.

    - ``segment_id``; ``structural`` (declared name or None);
    - ``customer_count``: customers whose dominant segment it is; ``population_percentage``: that of all, 0-100;
    - per clustering feature f, in original units: ``centre:f`` (mean), ``q10:f``, ``q25:f`` ... ``q90:f`` over the
      segment; ``population:f`` (mean) and ``population_q50:f`` over all, the same in every row;
    - ``z:f``: how far the centre lies from the population in the model's scaled space; ``rank:f``: 1 = highest centre
      among the siblings.

    Customers of low evidence are counted, but shape no centre, as in the fit; structural segments, which are
    declared for such customers, are averaged over all their members. A segment nobody belongs to keeps the
    centre its model was fitted with. A value undefined for the whole segment is NaN.
    """
    code = np.asarray(model.predict(features), dtype=int)
    structural = np.array([name is not None for name in model.structural_], dtype=bool)
    low = np.asarray(model.evidence(features)) == "low"
    k = len(model.segment_ids_)
    count = np.bincount(code, minlength=k)
    counts = count if counts is None else counts
    lone = np.bincount(code[~low], minlength=k) == 0
    shapes = ~low | structural[code] | lone[code]
    parts = [
        pd.DataFrame(
            {
                "segment_id": list(model.segment_ids_),
                "structural": pd.Series(list(model.structural_), dtype=object),
                "customer_count": counts,
                "population_percentage": 100.0 * counts / max(int(counts.sum()), 1),
            }
        ),
        _centres(model, features.loc[shapes, model.features_].astype(float), code[shapes], count),
    ]
    return pd.concat(parts, axis=1)


def described_features(axis: Axis, description: pd.DataFrame) -> list[Feature]:
    """Return the clustering features that a description is of, clock coordinates among them."""
    return [feature for feature in axis.clustering_features if f"z:{feature.name}" in description]


def _centres(model: AxisModel, values: pd.DataFrame, code: np.ndarray, count: np.ndarray) -> pd.DataFrame:
    """Means, quantiles, scaled distances and ranks of the clustering features, ``(k, 8 d)``."""
    k = len(count)
    groups = values.groupby(code)
    centre = groups.mean().reindex(range(k))
    fitted = pd.DataFrame(np.asarray(model.centers_shop_, dtype=float), columns=model.features_)
    centre = centre.where(pd.Series(count > 0), fitted)
    weight = np.bincount(code, minlength=k) / max(len(code), 1)
    z = np.asarray(model.cluster_centers_) - weight @ np.asarray(model.cluster_centers_)
    stats = {"centre": centre}
    for name, q in QUANTILES.items():
        stats[name] = groups.quantile(q).reindex(range(k)).fillna(centre)
    for name, of_all in (("population", values.mean()), ("population_q50", values.median())):
        stats[name] = pd.DataFrame([of_all] * k, index=range(k))
    stats["z"] = pd.DataFrame(z, columns=model.features_).where(centre.notna())
    stats["rank"] = centre.rank(ascending=False, method="min")
    return pd.concat([frame.add_prefix(f"{stat}:") for stat, frame in stats.items()], axis=1)
