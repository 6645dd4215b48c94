"""Names outlive refits: a segment that is kept keeps its name, until it has moved away from what the name says.

Belongs here: which names still fit. Does not: making names (``naming``), where they are kept (``resources``).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from quimbi_assets.clustering.model import AxisModel
from quimbi_assets.clustering.transforms import Array

MOVED = 1.0
"""Standard deviations by which the mean of one feature may move, since the segment was named, before it is named anew.
Assumption: it takes half a standard deviation to say an adjective (``naming.SECOND_Z``); twice that, and what was said
may not be true any more."""


@dataclass(frozen=True)
class GivenNames:
    """Names that an axis's segments have, and where the segments were when they got them.

    Parameters
    ----------
    name : mapping of segment id to str
        Names.
    centre : mapping of segment id to mapping of feature to float
        Means in shop units when the name was given; NaN where undefined.
    source : mapping of segment id to str
        Who gave the name: ``claude``, ``person`` or ``rules``; missing: rules.
    text : mapping of segment id to str
        The last interpretation, where Claude wrote it.
    """

    name: Mapping[str, str]
    centre: Mapping[str, Mapping[str, float]]
    source: Mapping[str, str] = field(default_factory=dict)
    text: Mapping[str, str] = field(default_factory=dict)

    def still_fitting(self, model: AxisModel, description: pd.DataFrame) -> dict[str, str]:
        """Choose the names that still fit.

        Parameters
        ----------
        model : AxisModel
            The model that serves; its scale measures the way.
        description : DataFrame, shape (k, n_statistics)
            From ``describe_segments``.

        Returns
        -------
        dict of segment id to str
            Segments none of whose features moved by more than one standard deviation since the name was given. A
            feature undefined then or now does not count.
        """
        known = [segment for segment in description["segment_id"] if segment in self.name]
        if not known:
            return {}
        columns = [f"centre:{feature}" for feature in model.features_]
        now = description.set_index("segment_id").loc[known, columns].to_numpy(dtype=np.float64)
        then = np.array([[_number(self.centre[s].get(f)) for f in model.features_] for s in known], dtype=np.float64)
        moved = _distance(model, then, now)
        return {segment: self.name[segment] for segment, way in zip(known, moved, strict=True) if way <= MOVED}


def remember_names(description: pd.DataFrame, names: pd.DataFrame, before: GivenNames | None = None) -> GivenNames:
    """Note names with the centres they were given at.

    Parameters
    ----------
    description : DataFrame, shape (k, n_statistics)
        From ``describe_segments``.
    names : DataFrame, shape (k, 3)
        From ``name_segments``.
    before : GivenNames, optional
        What was known; a name that did not change keeps its centre of then, and segments that are not described now
        keep theirs, should they come back.

    Returns
    -------
    GivenNames
    """
    centres = description.set_index("segment_id").filter(regex="^centre:")
    centres.columns = centres.columns.str.removeprefix("centre:")
    name = dict(before.name) if before else {}
    centre = dict(before.centre) if before else {}
    for segment, given in zip(names["segment_id"], names["segment_name"], strict=True):
        if name.get(segment) != given:
            centre[segment] = {str(k): float(v) for k, v in centres.loc[segment].items()}
        name[segment] = given
    return GivenNames(name, centre)


def _distance(model: AxisModel, then: Array, now: Array) -> Array:
    """Largest move of any feature, in the model's standard deviations; shape (k,)."""
    moves = np.abs(model.scaled(now) - model.scaled(then))
    return np.where(np.isnan(then) | np.isnan(now), 0.0, moves).max(axis=1, initial=0.0)


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)
