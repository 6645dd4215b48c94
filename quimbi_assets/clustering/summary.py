"""What a model remembers of the customers it was fitted to, in original units: names, sentences and drift start here.

Belongs here: statistics of raw values by segment and over the fit population, and the bins later weeks are compared
with. Aggregates only, never a row of a customer.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from quimbi_assets.clustering.scaling import Array

QUANTILES = [0.1, 0.5, 0.9]
N_BINS = 10
DECILES = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]


def segment_means(frame: pd.DataFrame, labels: NDArray[np.intp], segment_ids: list[str], fill: Array) -> pd.DataFrame:
    """Mean of every feature per segment; shape (k, d), indexed by segment id, free of NaN.

    ``fill``, the values of the scaled centres, stands in where nobody in the segment has a value.
    """
    means = frame.groupby(_ids(labels, segment_ids)).mean().reindex(segment_ids)
    return means.fillna(pd.DataFrame(fill, index=segment_ids, columns=frame.columns))


def segment_coverage(frame: pd.DataFrame, labels: NDArray[np.intp], segment_ids: list[str]) -> pd.DataFrame:
    """Share of each segment's customers for whom a feature is defined; shape (k, d), 0-1."""
    is_defined = frame.notna().astype(np.float64)
    return is_defined.groupby(_ids(labels, segment_ids)).mean().reindex(segment_ids).fillna(0.0)


def segment_quantiles(frame: pd.DataFrame, labels: NDArray[np.intp], segment_ids: list[str]) -> pd.DataFrame:
    """10 %, 50 % and 90 % quantile of every feature, by ``(segment_id, quantile)``; NaN where nobody has a value."""
    quantiles = frame.groupby(_ids(labels, segment_ids)).quantile(np.asarray(QUANTILES))
    index = pd.MultiIndex.from_product([segment_ids, QUANTILES], names=["segment_id", "quantile"])
    return quantiles.reindex(index)


def population_figures(frame: pd.DataFrame) -> pd.DataFrame:
    """Mean, ``sd``, median, deciles (``p10`` ... ``p90``) of every feature over the fit population; shape (d, 12)."""
    deciles = frame.quantile(DECILES).T
    deciles.columns = pd.Index([f"p{round(q * 100)}" for q in DECILES])
    figures = pd.DataFrame({"mean": frame.mean(), "sd": frame.std(ddof=0), "median": deciles["p50"]})
    return figures.join(deciles)


def _ids(labels: NDArray[np.intp], segment_ids: list[str]) -> NDArray[np.object_]:
    """Return the segment id of each customer, shape (n,)."""
    return np.asarray(segment_ids, dtype=object)[labels]


def learn_bins(values: Array, names: Sequence[str], shares: Array) -> dict[str, Any]:
    """Learn bins of about equally many customers, from the values (n, d) of all at the fit and the segments' shares.

    Returns ``n``; ``features``: per feature ``edges`` (at most 9, increasing; a value equal to an edge lies below it)
    and ``shares``, one a bin and at last that of undefined values; ``segments``: the shares.
    """
    features = {name: _bins(values[:, i]) for i, name in enumerate(names)}
    return {"n": len(values), "features": features, "segments": [float(share) for share in shares]}


def _bins(values: Array) -> dict[str, list[float]]:
    defined = values[np.isfinite(values)]
    levels = np.linspace(0, 1, N_BINS + 1)[1:-1]
    edges = np.unique(np.quantile(defined, levels)) if len(defined) else np.empty(0)
    counts = np.bincount(np.searchsorted(edges, defined, side="left"), minlength=len(edges) + 1)
    shares = np.concatenate([counts, [len(values) - len(defined)]]) / max(len(values), 1)
    return {"edges": edges.tolist(), "shares": shares.tolist()}


def bins_table(bins: dict[str, Any]) -> pd.DataFrame:
    """Return the bins as a table for people: ``feature``, ``up_to`` (the last but one open, the last undefined)."""
    rows = [
        (name, edge, share)
        for name, learnt in bins["features"].items()
        for edge, share in zip([*learnt["edges"], np.inf, np.nan], learnt["shares"], strict=True)
    ]
    return pd.DataFrame(rows, columns=["feature", "up_to", "share"])
