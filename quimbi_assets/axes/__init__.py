"""Canonical orders become one feature table per axis, as of any instant.

Every module of this package whose name does not start with ``_`` is an axis: it holds ``AXIS`` and is found by
looking. ``extract_features`` computes any of them for one customer or millions, with or without Dagster.
"""

from quimbi_assets.axes._axis import Axis, Feature, Outcome, Structural, axis_activity, axis_schema, feature_schema
from quimbi_assets.axes._extraction import (
    AXES,
    Features,
    Measurement,
    checked_axes,
    extract_features,
    feature_frame,
    measure,
)
from quimbi_assets.axes._reference import StoreReference, fit_reference
from quimbi_assets.store import BusinessHours

__all__ = [
    "AXES", "Axis", "BusinessHours", "Feature", "Features", "Measurement", "Outcome", "StoreReference", "Structural",
    "axis_activity", "axis_schema", "checked_axes", "extract_features", "feature_frame", "feature_schema",
    "fit_reference", "measure",
]  # fmt: skip
