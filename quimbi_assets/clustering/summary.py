"""What segments look like in shop units: the figures that names, sentences and drift start from.

Belongs here: statistics of raw values by segment and over the fit population. Aggregates only, never a row
of a customer.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from quimbi_assets.clustering.transforms import Array

QUANTILES = [0.1, 0.5, 0.9]
DECILES = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]


def segment_means(frame: pd.DataFrame, labels: NDArray[np.intp], segment_ids: list[str], fill: Array) -> pd.DataFrame:
    """Mean of every feature per segment.

    Parameters
    ----------
    frame : DataFrame of shape (n, d)
        Raw values of the customers that shaped the fit, NaN where undefined.
    labels : ndarray of int of shape (n,)
        Dominant segment of each.
    segment_ids : list of str of length k
        Ids by label.
    fill : ndarray of shape (k, d)
        Stands in where nobody in the segment has a value: the shop value of the scaled centre.

    Returns
    -------
    DataFrame of shape (k, d)
        Indexed by segment id, free of NaN.
    """
    means = _by_segment(frame, labels, segment_ids).mean().reindex(segment_ids)
    return means.fillna(pd.DataFrame(fill, index=segment_ids, columns=frame.columns))


def segment_coverage(frame: pd.DataFrame, labels: NDArray[np.intp], segment_ids: list[str]) -> pd.DataFrame:
    """Share of each segment's customers for whom a feature is defined; shape (k, d), 0-1."""
    return _by_segment(frame.notna().astype(np.float64), labels, segment_ids).mean().reindex(segment_ids).fillna(0.0)


def segment_quantiles(frame: pd.DataFrame, labels: NDArray[np.intp], segment_ids: list[str]) -> pd.DataFrame:
    """10 %, 50 % and 90 % quantile of every feature per segment.

    Returns
    -------
    DataFrame of shape (3 k, d)
        Indexed by ``(segment_id, quantile)``; NaN where nobody in the segment has a value.
    """
    quantiles = _by_segment(frame, labels, segment_ids).quantile(QUANTILES)
    index = pd.MultiIndex.from_product([segment_ids, QUANTILES], names=["segment_id", "quantile"])
    return quantiles.reindex(index)


def population_figures(frame: pd.DataFrame) -> pd.DataFrame:
    """Mean, spread, median and deciles of every feature over the customers that shaped the fit.

    Returns
    -------
    DataFrame of shape (d, 12)
        Indexed by feature; columns ``mean``, ``sd``, ``median``, ``p10`` ... ``p90``.
    """
    deciles = frame.quantile(DECILES).T
    deciles.columns = pd.Index([f"p{round(q * 100)}" for q in DECILES])
    figures = pd.DataFrame({"mean": frame.mean(), "sd": frame.std(ddof=0), "median": deciles["p50"]})
    return figures.join(deciles)


def _by_segment(frame: pd.DataFrame, labels: NDArray[np.intp], segment_ids: list[str]):  # type: ignore[no-untyped-def]
    return frame.groupby(np.asarray(segment_ids, dtype=object)[labels])
