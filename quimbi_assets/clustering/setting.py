"""One way to look at an axis's customers: which states are set apart, on which scale the others lie.

Belongs here: preparing and measuring it. Does not: which way is used (``views``, ``fitting``).
"""

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from quimbi_assets.clustering.candidates import Candidate, measure_candidates
from quimbi_assets.clustering.sampling import customer_order
from quimbi_assets.clustering.scaling import Scaler, clean
from quimbi_assets.clustering.scoring import FittedAxis
from quimbi_assets.clustering.selection import faults
from quimbi_assets.clustering.structural import find_states, place_states
from quimbi_assets.clustering.transforms import Array
from quimbi_assets.clustering.usable import usable_features
from quimbi_assets.clustering.warm_start import champion_centers, settle_near
from quimbi_assets.errors import InactiveAxisError

MIN_DIVIDED = 10
"""Fewest customers to divide. Only what arithmetic needs: how many make a store is the caller's to say."""


@dataclass(frozen=True)
class Limits:
    """Bounds of a fit: numbers of segments, size of the sample, seed."""

    min_k: int
    max_k: int
    max_sample: int
    seed: int


@dataclass(frozen=True)
class Setting:
    """Customers of an axis on one scale, with some structural states set apart.

    Parameters
    ----------
    states : tuple of str of length s
        Names of the states.
    fixed : frozenset of str
        Columns that tell them.
    usable, dropped : list of str, dict of str to str
        Features that can be used, and the others with the reason.
    columns : list of str of length d
        The usable features, then the columns of states that are no usable feature.
    scaler : Scaler
        Over ``columns``.
    raw : DataFrame of shape (n, d)
        Customers that shape the fit, in seeded order, in shop units.
    scaled : ndarray of shape (n, d)
        The same in scaled space.
    member : ndarray of int of shape (n,)
        Their state, -1 for none.
    everyone : ndarray of shape (n_customers, d)
        All customers in scaled space.
    """

    states: tuple[str, ...]
    fixed: frozenset[str]
    usable: list[str]
    dropped: dict[str, str]
    columns: list[str]
    scaler: Scaler
    raw: pd.DataFrame
    scaled: Array
    member: NDArray[np.intp]
    everyone: Array

    def uses(self, names: tuple[str, ...]) -> NDArray[np.bool_]:
        """Mask of the columns of some features, and of the states that are no feature; shape (d,)."""
        return np.array([column in names or column not in self.usable for column in self.columns], dtype=np.bool_)


def prepare_setting(
    frame: pd.DataFrame,
    transforms: dict[str, str],
    structural: tuple[tuple[str, float, str], ...],
    evident: NDArray[np.bool_],
    limits: Limits,
) -> Setting:
    """Set states apart, draw the customers that shape the fit and put everybody on one scale.

    Parameters
    ----------
    frame, transforms, evident, limits
        As for ``fit_axis``.
    structural : tuple of (feature, equals, name)
        States to set apart where a mass of customers share them.

    Returns
    -------
    Setting
        Scaled by those of them who are in no state.

    Raises
    ------
    InactiveAxisError
        If too few customers or features are left.
    """
    states = find_states(frame, structural, evident, most=limits.max_k - 1)
    order = customer_order(frame.index, limits.seed)
    order = order[(evident | (states.member >= 0))[order]][: limits.max_sample]
    member = states.member[order]
    _check_enough(int((member < 0).sum()), len(frame))
    sampled = frame.iloc[order]
    scaler, usable, dropped = usable_features(sampled[member < 0], transforms)
    scaler, columns = place_states(scaler, usable, states.conditions)
    raw = pd.DataFrame(clean(sampled[columns].to_numpy(dtype=np.float64)), columns=columns)
    return Setting(
        states=tuple(states.names),
        fixed=frozenset(column for column, _ in states.conditions),
        usable=usable,
        dropped=dropped,
        columns=columns,
        scaler=scaler,
        raw=raw,
        scaled=scaler.scale_values(raw.to_numpy()),
        member=member,
        everyone=scaler.scale_values(clean(frame[columns].to_numpy(dtype=np.float64))),
    )


def _check_enough(n_divided: int, n_customers: int) -> None:
    if n_divided < MIN_DIVIDED:
        raise InactiveAxisError(
            f"only {n_divided} of {n_customers} customers (n_samples={n_customers}) have enough orders to be "
            f"told apart; {MIN_DIVIDED} are needed"
        )


def measure_setting(
    setting: Setting, names: tuple[str, ...], limits: Limits, champion: FittedAxis | None = None
) -> list[Candidate]:
    """Measure every number of clusters of the customers in no state, on some of the features.

    Parameters
    ----------
    setting : Setting
        The customers.
    names : tuple of str
        Features to use, of ``setting.usable``. On others than all or the champion's, stability is measured only where
        nothing else speaks against a candidate.
    limits : Limits
        Numbers of segments and seed.
    champion : FittedAxis, optional
        The model that serves: on its features its partition is carried on where it is as good.

    Returns
    -------
    list of Candidate
        By increasing k.

    Raises
    ------
    InactiveAxisError
        If customers show fewer patterns than segments are asked for.
    """
    used, n_states = setting.uses(names), len(setting.states)
    inside = setting.member >= 0
    scaled, divided = setting.scaled[:, used], setting.scaled[~inside][:, used]
    most = min(limits.max_k - n_states, len(np.unique(divided, axis=0)), len(divided) - 1)
    least = max(1, limits.min_k - n_states)
    if most < least:
        raise InactiveAxisError(f"customers show only {most} different patterns; {least} segments need as many")
    columns = [column for column, use in zip(setting.columns, used, strict=True) if use]
    start = champion and champion_centers(champion, setting.scaler.take(used), columns, list(setting.states))
    whole = len(names) == len(setting.usable) or start is not None
    candidates = measure_candidates(
        divided,
        scaled[inside],
        setting.member[inside],
        setting.everyone[:, used],
        range(least, most + 1),
        limits.seed,
        is_hopeful=lambda candidate: whole or not faults(candidate),
        refine=partial(settle_near, start=start),
    )
    return [replace(candidate, features=names, states=setting.states) for candidate in candidates]
