"""Canonical orders become one feature table per axis, as of any instant.

Every module of this package whose name does not start with ``_`` is an axis: it holds ``AXIS`` and is found by
looking. ``extract_features`` computes any of them for one customer or millions, with or without Dagster.
"""

import importlib
import pkgutil

from quimbi_assets.axes._axis import Axis, Feature, Structural
from quimbi_assets.axes._tables import BusinessHours


def _discover() -> dict[str, Axis]:
    found = [
        importlib.import_module(f"{__name__}.{module.name}").AXIS
        for module in pkgutil.iter_modules(__path__)
        if not module.name.startswith("_")
    ]
    return {axis.name: axis for axis in sorted(found, key=lambda axis: (axis.kind, axis.name))}


#: Every axis by name: the marketing axes, then the support axes, each alphabetically.
AXES: dict[str, Axis] = _discover()

from quimbi_assets.axes._extraction import (  # noqa: E402  (it reads AXES)
    Features,
    StoreReference,
    UnknownAxisError,
    axis_activity,
    default_observation_end,
    extract_features,
    fit_reference,
    recorded_columns,
)
from quimbi_assets.axes._schema import feature_schema  # noqa: E402

__all__ = [
    "AXES",
    "Axis",
    "BusinessHours",
    "Feature",
    "Features",
    "StoreReference",
    "Structural",
    "UnknownAxisError",
    "axis_activity",
    "default_observation_end",
    "extract_features",
    "feature_schema",
    "fit_reference",
    "recorded_columns",
]
