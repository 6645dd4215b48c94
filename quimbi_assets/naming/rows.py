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

PROVISIONAL_BELOW = 400
"""Customers that shape an axis's segments, below which these are provisional."""
ROUGH_BELOW = 0.65
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


def why_provisional(n_fitted: float | None) -> str | None:
    """Return why segments are provisional that so many customers shaped; None where they are not, or it is not known.

    >>> why_provisional(212)
    'only 212 customers shape its segments; until 400 do, other customers may well give other segments'
    """
    if n_fitted is None or not n_fitted < PROVISIONAL_BELOW:
        return None
    until = f"until {PROVISIONAL_BELOW} do, other customers may well give other segments"
    return f"only {n_fitted:.0f} customers shape its segments; {until}"


def why_rough(halves_ari: float | None) -> str | None:
    """Return what is the matter with segments that two halves of the customers make otherwise; None: nothing.

    Notes
    -----
    Below .65 of the adjusted Rand index two partitions are called poorly alike by Steinley (2004), Properties of the
    Hubert-Arabie adjusted Rand index, Psychological Methods 9(3).

    >>> why_rough(0.24)
    'its borders are rough: two halves of the customers draw them differently (they agree at 0.24, of 1)'
    >>> why_rough(0.8)
    """
    if halves_ari is None or not halves_ari < ROUGH_BELOW:
        return None
    agree = f"they agree at {halves_ari:.2f}, of 1"
    return f"its borders are rough: two halves of the customers draw them differently ({agree})"


def segments_table(
    store_id: str, as_of: datetime | None, axes: Mapping[str, Mapping[str, Any]], segments: pd.DataFrame
) -> dict[str, Any]:
    """Nest current rows of ``dim_segment_master``, from the largest segment down, under their axes.

    ``axes``: :data:`AXIS_FIELDS` by axis, in the order kept; what is missing is None. Each gets ``provisional``: why
    its segments are, or None. A ValueError if segments are of an axis that it does not name.
    """
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
