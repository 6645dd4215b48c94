"""What the features of each model are measured against: the store reference kept beside it.

Belongs here: finding it. Does not: measuring (``drift.measuring``).
"""

from collections.abc import Mapping

import pandas as pd

from quimbi_assets.axes import AXES, StoreReference, fit_reference
from quimbi_assets.resources.mlflow.registry import LoadedModel
from quimbi_assets.resources.mlflow.resource import MlflowTracking


def references_of(
    loaded: Mapping[str, LoadedModel],
    orders: pd.DataFrame,
    items: pd.DataFrame,
    end: pd.Timestamp,
    tracking: MlflowTracking,
) -> dict[str, StoreReference]:
    """Return what each model's features are measured against; that of the instant itself where none was kept."""
    found: dict[str, StoreReference] = {}
    now: StoreReference | None = None
    for axis in (axis for axis in AXES if axis in loaded):
        kept = tracking.store_reference(loaded[axis].run_id) if AXES[axis].reference else None
        if kept is not None:
            found[axis] = StoreReference.from_frame(kept)
        elif AXES[axis].reference:
            now = now or fit_reference(orders, items, end)
            found[axis] = now
        else:
            found[axis] = StoreReference.empty()
    return found
