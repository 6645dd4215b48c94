"""Every axis of a store and its segments, as ``quimbi segments --json`` prints them.

Belongs here: the shape of that answer. Does not: reading it from the database, drawing it.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

AXIS_FIELDS = ("status", "reason", "k", "silhouette", "stability_ari", "mlflow_run_id")
SEGMENT_FIELDS = (
    "segment_id",
    "segment_name",
    "interpretation",
    "customer_count",
    "population_percentage",
    "stability",
)


def segments_table(
    store_id: str,
    as_of: datetime | None,
    axes: Mapping[str, Mapping[str, Any]],
    segments: pd.DataFrame,
) -> dict[str, Any]:
    """Nest current segments under their axes.

    Parameters
    ----------
    store_id : str
        Store.
    as_of : datetime or None
        Instant the segments describe.
    axes : mapping of axis to its facts
        ``status`` (active, inactive or weak), ``reason``, ``k``, ``silhouette``, ``stability_ari``,
        ``mlflow_run_id``; what is missing is None. Their order is kept.
    segments : DataFrame
        Current rows of ``dim_segment_master``; ``axis_name`` and the six segment fields.

    Returns
    -------
    dict
        ``store_id``, ``as_of`` (ISO), ``axes``: a list in the given order, each with ``segments`` from the
        largest down.

    Raises
    ------
    ValueError
        If there are segments of an axis that ``axes`` does not name.
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
                **{key: _native(facts.get(key)) for key in AXIS_FIELDS},
                "segments": _rows(ranked, axis),
            }
            for axis, facts in axes.items()
        ],
    }


def _rows(segments: pd.DataFrame, axis: str) -> list[dict[str, Any]]:
    rows = segments.loc[segments["axis_name"] == axis, list(SEGMENT_FIELDS)].to_dict("records")
    return [{str(key): _native(value) for key, value in row.items()} for row in rows]


def _native(value: Any) -> Any:
    """Return plain Python values, None for what is undefined."""
    plain = value.item() if isinstance(value, np.generic) else value
    return None if plain is pd.NA or (isinstance(plain, float) and not np.isfinite(plain)) else plain
