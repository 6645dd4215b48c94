"""From the customers of one axis to its centres: who shapes the fit, on which features, in which segments.

Belongs here: the order of the steps. Does not: any step's formula, and nothing that scoring needs.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from quimbi_assets.clustering.candidates import Candidate
from quimbi_assets.clustering.membership import distances_to
from quimbi_assets.clustering.scaling import Scaler
from quimbi_assets.clustering.scoring import FittedAxis
from quimbi_assets.clustering.setting import Limits, Setting, measure_setting, prepare_setting
from quimbi_assets.clustering.structural import MIN_REST, state_settings
from quimbi_assets.clustering.transforms import Array
from quimbi_assets.clustering.views import Incumbent, View, search_views
from quimbi_assets.errors import InactiveAxisError

LEFT_OUT = "customers divide better without it"
"""Why a usable feature is not used."""


@dataclass(frozen=True)
class Fit:
    """Everything a fit finds out about an axis.

    Parameters
    ----------
    features : list of str of length d
        Columns read: the features used, then those of states that are no feature.
    dropped : dict of str to str
        Features not used, with the reason.
    scaler : Scaler
        Over ``features``.
    centers : ndarray of shape (k, d)
        Structural segments first, then in increasing order.
    structural : list of (str or None) of length k
        Name of the state a segment stands for.
    stability : ndarray of shape (k,)
        Jaccard stability of each segment.
    candidates : list of Candidate
        All that were measured.
    raw : DataFrame of shape (n, d)
        Cleaned values of the customers that shaped the fit.
    labels : ndarray of int of shape (n,)
        Their dominant segments.
    """

    features: list[str]
    dropped: dict[str, str]
    scaler: Scaler
    centers: Array
    structural: list[str | None]
    stability: Array
    candidates: list[Candidate]
    raw: pd.DataFrame
    labels: NDArray[np.intp]

    @property
    def chosen(self) -> Candidate:
        """The candidate the axis uses."""
        return next(c for c in self.candidates if c.chosen)


def fit_axis(
    frame: pd.DataFrame,
    transforms: dict[str, str],
    structural: tuple[tuple[str, float, str], ...],
    evident: NDArray[np.bool_],
    limits: Limits,
    champion: FittedAxis | None = None,
) -> Fit:
    """Fit one axis.

    Parameters
    ----------
    frame : DataFrame of n rows indexed by customer
        Features in shop units and the columns that ``structural`` names.
    transforms : dict of str to str
        Clustering features with their transforms.
    structural : tuple of (feature, equals, name)
        Declared states.
    evident : ndarray of bool of shape (n,)
        Customers with enough evidence.
    limits : Limits
        Bounds.
    champion : FittedAxis, optional
        The model that serves; its features, number of segments and partition are carried on where they still divide
        customers as well as any.

    Returns
    -------
    Fit
        The same, to the last bit, for the same customers in any order.

    Raises
    ------
    InactiveAxisError
        If there is nothing to segment.

    Notes
    -----
    One thread: partial sums of threads are added in the order in which threads finish, which shows in the last
    bits. Measured on 27,415 customers and five features: 0.7 s, stability included.
    """
    with threadpool_limits(limits=1):
        _check_not_alike(frame[evident], [state for state in structural if state[0] in transforms])
        settings = [
            prepare_setting(frame, transforms, states, evident, limits)
            for states in state_settings(frame, structural, list(transforms), evident)
        ]
        views = [_view(setting, limits, champion) for setting in settings]
        candidates = search_views(views, _incumbent(champion, settings, views))
        chosen = next(c for c in candidates if c.chosen)
        setting = next(s for s in settings if s.states == chosen.states)
        used = setting.uses(chosen.features)
        features = [name for name, use in zip(setting.columns, used, strict=True) if use]
        left_out = {name: LEFT_OUT for name in setting.usable if name not in features}
        scaled, member = setting.scaled[:, used], setting.member
        rank = np.lexsort(chosen.centers.T[::-1])
        n_states = len(setting.states)
        centers = np.vstack([*(scaled[member == i].mean(axis=0) for i in range(n_states)), chosen.centers[rank]])
        return Fit(
            features=features,
            dropped={name: why for name, why in (setting.dropped | left_out).items() if name not in features},
            scaler=setting.scaler.take(used),
            centers=centers,
            structural=[*setting.states, *[None] * len(rank)],
            stability=np.concatenate([np.ones(n_states), chosen.stability.jaccard[rank]]),
            candidates=candidates,
            raw=setting.raw[features],
            labels=np.argmin(distances_to(scaled, centers), axis=1),
        )


def _check_not_alike(evident: pd.DataFrame, declared: list[tuple[str, float, str]]) -> None:
    for feature, equals, name in declared:
        alike = float((evident[feature] == equals).mean()) if feature in evident else 0.0
        if alike > 1 - MIN_REST:
            raise InactiveAxisError(f"{alike:.1%} of customers are in one state ({name}): {feature} is {equals:g}")


def _view(setting: Setting, limits: Limits, champion: FittedAxis | None) -> View:
    measure = partial(measure_setting, setting, limits=limits, champion=champion)
    return View(tuple(setting.usable), setting.fixed, measure)


def _incumbent(champion: FittedAxis | None, settings: list[Setting], views: list[View]) -> Incumbent | None:
    """Return the champion's way; None where it cannot be gone any more, or a feature has become usable since."""
    if champion is None:
        return None
    states = tuple(state for state in champion.structural_ if state is not None)
    for setting, view in zip(settings, views, strict=True):
        names = tuple(name for name in setting.usable if name in champion.features_)
        new = [name for name in setting.usable if name not in names and champion.dropped_.get(name) != LEFT_OUT]
        columns = [name for name, use in zip(setting.columns, setting.uses(names), strict=True) if use]
        if setting.states == states and columns == champion.features_ and not new:
            return Incumbent(view, names, champion.k_)
    return None
