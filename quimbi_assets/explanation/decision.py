"""What decides that a customer belongs to a segment of an axis rather than to the next one, feature by feature.

Belongs here: the exact decomposition, from a fitted model and one customer's features alone. Does not: words
(``words``), measuring.

References
----------
The difference of two squared Euclidean distances is a sum over coordinates; nothing is approximated or drawn at random,
as it would be by Shapley values (Lundberg & Lee, 2017), which here are the same sum.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from quimbi_assets.clustering.scaling import Array, Scaler, clean
from quimbi_assets.clustering.scoring import FittedAxis, distances_to, memberships_from_distances


@dataclass(frozen=True)
class FeatureShare:
    """What one feature adds to the decision.

    ``value`` (None: undefined, which counts as average), ``here`` and ``there``, the centres of the customer's and of
    the next segment, are in original units. ``scaled`` is the value in scaled units. ``pull`` is how much farther, in
    squared scaled distance, the next segment is by this feature alone; negative: it speaks for the next segment.
    """

    feature: str
    value: float | None
    here: float
    there: float
    scaled: float
    pull: float


@dataclass(frozen=True)
class Decision:
    """Where a customer belongs on an axis, and why not to the next segment.

    ``segment`` is the nearest, ``neighbour`` the second by membership; ``margin``, at least 0, is the squared distance
    to the neighbour's centre less that to the segment's own: the ``pull`` of all ``shares``, most deciding first, adds
    up to it. ``state`` names the declared state that places the customer, if one does.
    """

    memberships: dict[str, float]
    segment: str
    neighbour: str
    margin: float
    shares: tuple[FeatureShare, ...]
    state: str | None = None


def decide(model: FittedAxis, features: Mapping[str, Any]) -> Decision:
    """Return the decision of a fitted axis for one customer, from the features that it reads, by name.

    Values are in original units, None or NaN where undefined; ``n_orders`` is among them where the model reads it.
    KeyError if one is missing.
    """
    raw = clean(np.array([[_number(features[name]) for name in model.features_]]))
    scaled, centers = model.scaled(raw)[0], model.cluster_centers_
    distances = distances_to(scaled[None, :], centers)
    memberships = memberships_from_distances(distances, model.temperature)[0]
    first, second = np.argsort(distances[0], kind="stable")[:2]
    pulls = (scaled - centers[second]) ** 2 - (scaled - centers[first]) ** 2
    here, there = _original(model, int(first)), _original(model, int(second))
    shares = [
        FeatureShare(name, None if math.isnan(value) else float(value), float(a), float(b), float(z), float(pull))
        for name, value, a, b, z, pull in zip(model.features_, raw[0], here, there, scaled, pulls, strict=True)
    ]
    return Decision(
        memberships=dict(zip(model.segment_ids_, memberships.tolist(), strict=True)),
        segment=model.segment_ids_[first],
        neighbour=model.segment_ids_[second],
        margin=float(distances[0, second] ** 2 - distances[0, first] ** 2),
        shares=tuple(sorted(shares, key=lambda one: -one.pull)),
        state=model.structural_[first],
    )


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def _original(model: FittedAxis, segment: int) -> Array:
    """Return a segment's centre in original units; a state's own value where the segment is one; shape (d,)."""
    scaler = Scaler(model.transforms_, model.winsor_low_, model.winsor_high_, model.mean_, model.scale_, model.states_)
    centre = model.cluster_centers_[segment]
    values = np.array(scaler.original_values(centre[None, :])[0], dtype=np.float64)
    for column, equals, score in model.states_:
        if model.structural_[segment] is not None and math.isclose(centre[column], score):
            values[column] = equals
    return values
