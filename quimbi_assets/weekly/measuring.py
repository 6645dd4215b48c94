"""Features of a week, each axis measured against the store reference kept beside its model.

Belongs here: one extraction for each reference that differs. Does not: which models those are.
"""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from quimbi_assets.axes import AXES, BusinessHours, StoreReference, extract_features
from quimbi_assets.axes._engine import DuckEngine

ONE_THREAD = 1
"""With several, sums are taken in another order every time, and a week made again would differ in its last digits."""


def measure_week(
    orders: pd.DataFrame,
    items: pd.DataFrame,
    observation_end: pd.Timestamp,
    references: Mapping[str, StoreReference],
    business_hours: BusinessHours | None = None,
    time_zone: str = "UTC",
) -> tuple[dict[str, pd.DataFrame], dict[str, str]]:
    """Compute the features of the axes that have a model.

    Parameters
    ----------
    orders, items : DataFrame
        Canonical rows; those from the instant on do not count.
    observation_end : Timestamp
        Naive UTC, exclusive.
    references : mapping of axis to StoreReference
        The axes, each with what its features are measured against (looked at where the axis declares so).
    business_hours : BusinessHours, optional
    time_zone : str

    Returns
    -------
    features : dict of axis to DataFrame
        Of the same customers in the same order, axes as in ``references``.
    inactive : dict of axis to str
        Axes that cannot be measured as of then, with the reason.
    """
    groups: dict[Any, list[str]] = {}
    plain = [axis for axis in references if not AXES[axis].reference]
    for axis in references:
        if AXES[axis].reference:
            groups.setdefault(_content(references[axis]), []).append(axis)
    if not groups:
        groups[None] = []
    next(iter(groups.values())).extend(plain)
    found: dict[str, pd.DataFrame] = {}
    inactive: dict[str, str] = {}
    for axes in groups.values():
        if axes:
            with DuckEngine(ONE_THREAD) as engine:
                measured = extract_features(
                    orders,
                    items,
                    axes=axes,
                    observation_end=observation_end,
                    time_zone=time_zone,
                    business_hours=business_hours,
                    reference=references[axes[0]],
                    engine=engine,
                )
            found |= measured
            inactive |= measured.inactive
    return {axis: found[axis] for axis in references if axis in found}, inactive


def same_reference(one: StoreReference, other: StoreReference) -> bool:
    """Tell whether features measured against the two are the same."""
    return _content(one) == _content(other)


def _content(reference: StoreReference) -> int:
    frame = reference.to_frame().sort_values(["kind", "key"])
    return hash(tuple(pd.util.hash_pandas_object(frame, index=False)))
