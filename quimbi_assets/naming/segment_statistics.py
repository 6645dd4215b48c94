"""Clusters in numbers: who is in each, where its centre lies, and how it differs from the population.

Belongs here: counting and averaging a fitted axis's segments in original units. Does not: words.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from quimbi_assets.axes._axis import Axis
from quimbi_assets.clustering.model import AxisModel

QUANTILES = {"q10": 0.1, "q50": 0.5, "q90": 0.9}


def describe_segments(
    axis: Axis, model: AxisModel, features: pd.DataFrame, counts: NDArray[np.int64] | None = None
) -> pd.DataFrame:
    """Describe every segment of a fitted axis in original units.

    Parameters
    ----------
    model : AxisModel
        Its fitted model, k segments over d features.
    features : DataFrame, shape (n_customers, n_columns)
        The axis's feature frame, indexed by customer id; of a large store, of a sample.
    counts : ndarray of int, shape (k,), optional
        Customers of each segment in the whole store; by default those of the frame.

    Returns
    -------
    DataFrame, shape (k, n_statistics)
        One row a segment, in the model's order:

        - ``segment_id``; ``structural`` (declared name or None);
        - ``customer_count``: customers whose dominant segment it is; ``population_percentage``: that of all,
          0-100; ``low_evidence_count``: those of them with too few orders to judge;
        - per clustering feature f, in original units: ``centre:f`` (mean), ``q10:f``, ``q50:f``, ``q90:f`` over
          the segment; ``population:f`` (mean) and ``population_q50:f`` over all, the same in every row;
        - ``z:f``: how far the centre lies from the population in the model's scaled space; ``rank:f``: 1 =
          highest centre among the siblings;
        - per number or flag stored for people ``people:f`` (mean), per text ``top:f`` (most common value) and
          ``top_share:f`` (0-1).

    Notes
    -----
    Customers of low evidence are counted, but shape no centre, as in the fit; structural segments, which are
    declared for such customers, are averaged over all their members. A segment nobody belongs to keeps the
    centre its model was fitted with. A value undefined for the whole segment is NaN.
    """
    code = np.asarray(model.predict(features), dtype=int)
    structural = np.array([name is not None for name in model.structural_], dtype=bool)
    low = np.asarray(model.evidence(features)) == "low"
    k = len(model.segment_ids_)
    count = np.bincount(code, minlength=k)
    lone = np.bincount(code[~low], minlength=k) == 0
    shapes = ~low | structural[code] | lone[code]
    parts = [
        pd.DataFrame(
            {
                "segment_id": list(model.segment_ids_),
                "structural": pd.Series(list(model.structural_), dtype=object),
                "customer_count": count if counts is None else counts,
                "population_percentage": _percentages(count if counts is None else counts),
                "low_evidence_count": np.bincount(code[low], minlength=k),
            }
        ),
        _centres(model, features.loc[shapes, model.features_].astype(float), code[shapes], count),
        _people(axis, features.loc[shapes], code[shapes], k),
    ]
    return pd.concat(parts, axis=1)


def _percentages(count: NDArray[np.int64]) -> NDArray[np.float64]:
    return 100.0 * count / max(int(count.sum()), 1)


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
    stats["population"] = _every_row(values.mean(), k)
    stats["population_q50"] = _every_row(values.median(), k)
    stats["z"] = pd.DataFrame(z, columns=model.features_).where(centre.notna())
    stats["rank"] = centre.rank(ascending=False, method="min")
    return pd.concat([frame.add_prefix(f"{stat}:") for stat, frame in stats.items()], axis=1)


def _every_row(values: pd.Series, k: int) -> pd.DataFrame:
    """Repeat one row of population values k times."""
    return pd.DataFrame(np.tile(values.to_numpy(), (k, 1)), columns=values.index)


def _people(axis: Axis, features: pd.DataFrame, code: np.ndarray, k: int) -> pd.DataFrame:
    """Means of the numbers, and most common values of the texts, that are stored for people."""
    columns: dict[str, pd.Series] = {}
    for feature in axis.features:
        if feature.clusters or feature.name not in features or feature.kind == "date":
            continue
        if feature.kind in ("number", "flag"):
            values = features[feature.name].to_numpy(dtype=float, na_value=np.nan)
            mean = pd.Series(values).groupby(code).mean()
            columns[f"people:{feature.name}"] = mean.reindex(range(k))
            continue
        shares = features[feature.name].astype(object).groupby(code).value_counts(normalize=True)
        ranked = shares.rename("share").rename_axis(["code", "value"]).reset_index()
        ranked = ranked.sort_values(["share", "value"], ascending=[False, True]).drop_duplicates("code")
        top = ranked.set_index("code").reindex(range(k))
        columns[f"top:{feature.name}"] = top["value"].astype(object).where(top["value"].notna(), None)
        columns[f"top_share:{feature.name}"] = top["share"].astype(float)
    return pd.DataFrame(columns, index=range(k))
