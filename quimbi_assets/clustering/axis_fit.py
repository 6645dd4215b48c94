"""All that is computed to fit one axis of one store: the model, whether it serves, its pictures.

Belongs here: the one function that threads and processes run, on plain data, so that they can. Does not: how many of
them (``resources.workers``), what becomes of the result (``defs.models``).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import pandas as pd

from quimbi_assets.axes import AXES, Axis
from quimbi_assets.clustering.model import AxisModel
from quimbi_assets.clustering.pictures import draw
from quimbi_assets.clustering.promotion import Decision, consider
from quimbi_assets.errors import InactiveAxisError

MOST_SEGMENTS = 20
"""Assumption: nobody tells more segments of one axis apart. Every number of them up to the most asked for is fitted."""


@dataclass(frozen=True)
class FitOptions:
    """Bounds of all fits of a run: fewest and most segments, most customers that shape one.

    ``promote`` lets a fit serve whatever the promotion checks say; ``pictures`` draws it, which takes about as long as
    fitting it; ``halves`` asks how far two halves of the customers would agree on it.
    """

    min_k: int = 2
    max_k: int = 6
    max_sample: int = 50_000
    random_state: int = 0
    promote: bool = False
    pictures: bool = True
    halves: bool = True

    @classmethod
    def of(cls, model: AxisModel) -> "FitOptions":
        """Return the bounds that a model was fitted within."""
        return cls(model.min_k, model.max_k, model.max_sample, model.random_state)


class AxisFit(NamedTuple):
    """A fitted axis, whether it serves from now on, and its pictures, PNG by file name."""

    model: AxisModel
    decision: Decision
    pictures: Mapping[str, bytes]


def fit_axis_model(
    axis_name: str, options: FitOptions, features: pd.DataFrame, champion: AxisModel | None, named: int
) -> AxisFit | str:
    """Fit an axis, compare it with the champion, draw it; a reason in words where customers cannot be told apart.

    ``features`` are indexed by customer; ``named`` is the largest number of a segment id given so far.
    """
    model = axis_model(AXES[axis_name], options)
    try:
        model.fit(features, champion=champion, named=named)
    except InactiveAxisError as error:
        return str(error)
    if options.halves:
        model.halves_ari_ = model.agreement_of_halves(features)
    decision = consider(champion, model, features, by_hand=options.promote)
    return AxisFit(model, decision, draw(model) if options.pictures else {})


def why_inactive(axis_name: str, options: FitOptions, features: pd.DataFrame) -> str | None:
    """Return the reason that ``fit_axis_model`` would give for fitting nothing, in a fraction of its time."""
    try:
        axis_model(AXES[axis_name], options).check(features)
    except InactiveAxisError as error:
        return str(error)
    return None


def axis_model(axis: Axis, options: FitOptions) -> AxisModel:
    """Return the unfitted model of an axis."""
    return AxisModel(
        axis=axis.name,
        transforms={f.name: f.transform for f in axis.clustering_features},
        structural=tuple((s.feature, s.equals, s.name) for s in axis.structural),
        min_orders=axis.min_orders,
        min_k=options.min_k,
        max_k=options.max_k,
        usual_k=axis.usual_k,
        max_sample=options.max_sample,
        random_state=options.random_state,
    )
