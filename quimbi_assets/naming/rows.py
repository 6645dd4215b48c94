"""Segments as rows of ``dim_segment_master``, the table that people and other systems query.

Belongs here: the shape of that table. Does not: writing it, deciding which version of a segment is current.
"""

import json
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

from quimbi_assets.axes._axis import Axis
from quimbi_assets.clustering.model import AxisModel


def segment_rows(
    store_id: str,
    axis: Axis,
    description: pd.DataFrame,
    names: pd.DataFrame,
    model: AxisModel,
    *,
    valid_from: datetime,
    model_version: str,
) -> pd.DataFrame:
    """Assemble the rows of one axis.

    Parameters
    ----------
    store_id : str
        Store.
    axis : Axis
        Declaration of the axis.
    description : DataFrame, shape (k, n_statistics)
        From ``describe_segments``.
    names : DataFrame, shape (k, 3)
        ``segment_id``, ``segment_name``, ``interpretation``, and who made them (``name_source``, ``text_source``;
        rules where that is not said), in any order of rows.
    model : AxisModel
        Fitted model.
    valid_from : datetime
        Instant from which the rows hold.
    model_version : str
        Version of the registered model.

    Returns
    -------
    DataFrame, shape (k, 15)
        ``cluster_center``: JSON of feature to mean in shop units, null where undefined; ``scaler_params``:
        JSON; ``stability``: 0-1; ``valid_to``: NaT, the rows being current.

    Raises
    ------
    ValueError
        If a described segment has no name.
    """
    named = names.set_index("segment_id").reindex(description["segment_id"])
    if named["segment_name"].isna().any():
        raise ValueError(f"axis {axis.name}: no name for {named.index[named['segment_name'].isna()].tolist()}")
    centres = description[[f"centre:{feature}" for feature in model.features_]].to_numpy(dtype=float)
    k = len(description)
    return pd.DataFrame(
        {
            "store_id": [store_id] * k,
            "axis_name": [axis.name] * k,
            "segment_id": description["segment_id"].to_list(),
            "segment_name": named["segment_name"].to_list(),
            "interpretation": named["interpretation"].to_list(),
            "cluster_center": [to_json(dict(zip(model.features_, row, strict=True))) for row in centres],
            "scaler_params": [to_json(model.scaler_params())] * k,
            "population_percentage": description["population_percentage"].to_numpy(dtype=float),
            "customer_count": description["customer_count"].to_numpy(dtype=int),
            "valid_from": pd.Series([pd.Timestamp(valid_from)] * k),
            "valid_to": pd.Series([pd.NaT] * k, dtype=pd.Series([pd.Timestamp(valid_from)]).dtype),
            "model_version": [str(model_version)] * k,
            "stability": np.asarray(model.segment_stability_, dtype=float),
            **{column: list(named.get(column, ["rules"] * k)) for column in ("name_source", "text_source")},
        }
    )


def to_json(value: Any) -> str:
    """Write nested numbers as JSON, undefined ones as null.

    Examples
    --------
    >>> to_json({"a": float("nan"), "b": np.array([1.5, 2.0])})
    '{"a": null, "b": [1.5, 2.0]}'
    """
    return json.dumps(_plain(value), allow_nan=False)


def _plain(value: Any) -> Any:
    """Return the same structure in types that JSON knows."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [_plain(item) for item in value]
    if isinstance(value, float | np.floating):
        return float(value) if np.isfinite(value) else None
    return value.item() if isinstance(value, np.generic) else value
