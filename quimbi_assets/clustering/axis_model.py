"""The unfitted model of a declared axis: what the declaration says, as the estimator's parameters.

Belongs here: the one way from ``Axis`` to ``AxisModel``. Does not: fitting.
"""

from typing import Any

from quimbi_assets.axes._axis import Axis
from quimbi_assets.clustering.model import AxisModel


def axis_model(axis: Axis, **options: Any) -> AxisModel:
    """Return the unfitted model of an axis.

    Parameters
    ----------
    axis : Axis
        Supplies features, transforms, structural states and the evidence needed.
    **options
        Further parameters of ``AxisModel``: ``min_k``, ``max_k``, ``max_sample``, ``random_state``.
    """
    return AxisModel(
        axis=axis.name,
        transforms={f.name: f.transform for f in axis.clustering_features},
        structural=tuple((s.feature, s.equals, s.name) for s in axis.structural),
        min_orders=axis.min_orders,
        **options,
    )
