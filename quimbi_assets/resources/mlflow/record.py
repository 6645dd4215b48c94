"""What a fitted axis leaves in the experiment tracker: parameters, metrics and files, under names that never change.

Belongs here: the names, so that runs of different weeks and stores compare. Does not: the tracker (``tracking``),
rows of customers: nothing of them is recorded but counts, aggregates and a digest.
"""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from quimbi_assets.clustering.candidates import BOOTSTRAP_SIZE, N_BOOTSTRAPS, N_INIT, SILHOUETTE_SAMPLE
from quimbi_assets.clustering.model import AxisModel
from quimbi_assets.clustering.promotion import Decision
from quimbi_assets.clustering.quality import effective_segments
from quimbi_assets.clustering.reference_bins import bins_table
from quimbi_assets.clustering.scaling import WINSOR
from quimbi_assets.clustering.selection import chosen_view

BY_K = (
    "silhouette",
    "calinski_harabasz",
    "davies_bouldin",
    "largest_share",
    "smallest_share",
    "stability_ari",
    "smallest_jaccard",
)
"""Metrics of every candidate, logged with the number of segments as step."""
COMPARED = ("churn", "silhouette_change", "stability_change")
"""Metrics of a refit against the champion."""


def params(model: AxisModel) -> dict[str, str]:
    """Return what determined the fit, as text."""
    return {
        "axis": model.axis,
        "features": ", ".join(model.features_),
        "features_dropped": json.dumps(model.dropped_),
        "transforms": json.dumps(dict(zip(model.features_, model.transforms_, strict=True))),
        "structural": json.dumps([list(state) for state in model.structural]),
        "min_orders": str(model.min_orders),
        "min_k": str(model.min_k),
        "max_k": str(model.max_k),
        "max_sample": str(model.max_sample),
        "temperature": str(model.temperature),
        "random_state": str(model.random_state),
        "winsor": json.dumps(WINSOR),
        "n_init": str(N_INIT),
        "n_bootstraps": str(N_BOOTSTRAPS),
        "bootstrap_size": str(BOOTSTRAP_SIZE),
        "silhouette_sample": str(SILHOUETTE_SAMPLE),
    }


def metrics(model: AxisModel, decision: Decision | None = None) -> Iterator[tuple[str, float, int]]:
    """Yield metrics of the fit and of its comparison with the champion.

    Yields
    ------
    tuple of (str, float, int)
        Name, value (finite), step: the number of segments for :data:`BY_K`, the segment's number for
        ``segment_share`` and ``segment_stability``, else 0.
    """
    chosen = model.selection_[model.selection_["chosen"]].iloc[0]
    final = {
        "best_k": model.k_,
        "silhouette_best": model.silhouette_,
        "stability_ari_best": model.stability_ari_,
        "smallest_jaccard_best": chosen["smallest_jaccard"],
        "effective_segments": effective_segments(model.shares_),
        "largest_segment_share": model.shares_.max(),
        "smallest_segment_share": model.shares_.min(),
        "customers_fitted": model.n_fit_,
        "customers_low_evidence": model.n_low_evidence_,
        **_compared(decision),
    }
    stepped = [(name, row[name], int(row["k"])) for _, row in chosen_view(model.selection_).iterrows() for name in BY_K]
    segments = [("segment_share", share, i + 1) for i, share in enumerate(model.shares_)]
    segments += [("segment_stability", value, i + 1) for i, value in enumerate(model.segment_stability_)]
    for name, value, step in [*((n, v, 0) for n, v in final.items()), *stepped, *segments]:
        if np.isfinite(value):
            yield name, float(value), step


def decision_tags(decision: Decision | None) -> dict[str, str]:
    """Return whether and why a fit serves, as tags of its run; none where nothing was decided."""
    if decision is None:
        return {}
    return {
        "promotion": "promoted" if decision.promoted else "held",
        "promotion.reason": decision.reason,
        "promotion.failed": ", ".join(decision.failed),
    }


def _compared(decision: Decision | None) -> dict[str, float]:
    """Return the figures a promotion was decided on; none where there was nothing to compare with."""
    found = decision and decision.comparison
    return {} if found is None else {name: getattr(found, name) for name in COMPARED}


def write_files(model: AxisModel, folder: Path, segments: pd.DataFrame | None = None) -> None:
    """Write tables of a fit.

    Parameters
    ----------
    model : AxisModel
        Fitted.
    folder : Path
        Receives ``centres.csv``, ``centres.json``, ``quantiles.csv``, ``population.csv``, ``selection.csv``,
        ``lineage.csv``, ``reference_bins.csv``, ``scaler.json`` and, if given, ``segments.csv``.
    segments : DataFrame, optional
        Named segments.
    """
    centres = model.centers_shop_.where(model.coverage_ > 0)
    centres.insert(0, "share", model.shares_)
    centres.rename_axis("segment_id").to_csv(folder / "centres.csv")
    (folder / "centres.json").write_text(centres.to_json(orient="index", indent=1))
    model.quantiles_.to_csv(folder / "quantiles.csv")
    model.population_.rename_axis("feature").to_csv(folder / "population.csv")
    model.selection_.to_csv(folder / "selection.csv", index=False)
    model.lineage_.to_csv(folder / "lineage.csv", index=False)
    bins_table(model.reference_bins_).to_csv(folder / "reference_bins.csv", index=False)
    (folder / "scaler.json").write_text(json.dumps(model.scaler_params(), indent=1))
    if segments is not None:
        segments.to_csv(folder / "segments.csv", index=False)


def input_example(model: AxisModel) -> pd.DataFrame:
    """Return three made-up customers: the population's lower decile, median and upper decile of every feature."""
    return model.population_[["p10", "median", "p90"]].T.reset_index(drop=True)


def digest(features: pd.DataFrame) -> str:
    """Digest of a feature frame that does not depend on the order of its rows.

    Parameters
    ----------
    features : DataFrame of n rows indexed by customer
        The axis's frame.

    Returns
    -------
    str
        16 hexadecimal digits; equal for equal customers, columns and values.
    """
    rows = np.sort(pd.util.hash_pandas_object(features).to_numpy())
    columns = ",".join(map(str, features.columns)).encode()
    return hashlib.blake2b(rows.tobytes() + columns, digest_size=8).hexdigest()


def dataset_profile(features: pd.DataFrame) -> dict[str, Any]:
    """Return counts of a feature frame: rows, and per column how many values are defined."""
    return {"num_rows": len(features), "defined": {str(c): int(n) for c, n in features.notna().sum().items()}}
