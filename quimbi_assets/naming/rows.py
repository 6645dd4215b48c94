"""Segments as they leave: rows of ``dim_segment_master``, and what ``quimbi segments --json`` prints.

Belongs here: the shape of both. Does not: reading and writing the table, which version of a segment is current.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from quimbi_assets.axes._axis import Axis

if TYPE_CHECKING:
    from quimbi_assets.clustering.model import AxisModel

AXIS_FIELDS = (
    "status", "reason", "k", "silhouette", "halves_ari", "stability_ari", "customers_fitted", "mlflow_run_id",
)  # fmt: skip
SEGMENT_FIELDS = (
    "segment_id", "segment_name", "interpretation", "customer_count", "population_percentage", "stability",
)  # fmt: skip


def segment_rows(
    store_id: str,
    axis: Axis,
    description: pd.DataFrame,
    names: pd.DataFrame,
    model: "AxisModel",
    *,
    valid_from: datetime,
    model_version: str,
) -> pd.DataFrame:
    """Assemble the rows of one axis from its description and its segments' names.

    ``names``: ``segment_id``, ``segment_name``, ``interpretation``, and who made them (``name_source``,
    ``text_source``; rules where that is not said), in any order of rows; a ValueError if one of a segment is missing.
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

    >>> to_json({"a": float("nan"), "b": np.array([1.5, 2.0])})
    '{"a": null, "b": [1.5, 2.0]}'
    """
    return json.dumps(plain(value), allow_nan=False)


def plain(value: Any) -> Any:
    """Return the same structure in types that JSON knows, instants as ISO text."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [plain(item) for item in value]
    if isinstance(value, float | np.floating):
        return float(value) if np.isfinite(value) else None
    if value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, datetime):
        return value.isoformat()
    return value.item() if isinstance(value, np.generic) else value


def segments_table(
    store_id: str, as_of: datetime | None, axes: Mapping[str, Mapping[str, Any]], segments: pd.DataFrame
) -> dict[str, Any]:
    """Nest current rows of ``dim_segment_master``, from the largest segment down, under their axes.

    ``axes``: :data:`AXIS_FIELDS` by axis, in the order kept; what is missing is None. Each gets ``provisional``: why
    its segments are, or None. A ValueError if segments are of an axis that it does not name.
    """
    from quimbi_assets.clustering.selection import why_provisional

    strangers = sorted(set(segments["axis_name"]) - set(axes))
    if strangers:
        raise ValueError(f"segments of unknown axes: {', '.join(strangers)}")
    ranked = segments.sort_values(["customer_count", "segment_id"], ascending=[False, True])
    return {
        "store_id": store_id,
        "as_of": pd.Timestamp(as_of).isoformat() if as_of is not None else None,
        "axes": [
            {
                "axis": axis,
                **(of_axis := plain({key: facts.get(key) for key in AXIS_FIELDS})),
                "provisional": why_provisional(of_axis["customers_fitted"]),
                "segments": plain(ranked.loc[ranked["axis_name"] == axis, list(SEGMENT_FIELDS)].to_dict("records")),
            }
            for axis, facts in axes.items()
        ],
    }
