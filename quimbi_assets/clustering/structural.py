"""Structural segments: a mass of customers in exactly one state, set apart before clustering.

Belongs here: which declared states hold in a store, who is in them, and where on the scale they lie.
"""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from quimbi_assets.clustering.scaling import Scaler
from quimbi_assets.clustering.transforms import apply_transforms

MIN_SHARE = 0.05
"""Share of all customers from which a state is a segment of its own."""

MIN_CUSTOMERS = 20
"""Fewest customers in a state, and fewest left to divide. Assumption: below it a mean is an anecdote."""

MIN_REST = 0.02
"""Fewest customers left to divide, as a share of all: where 98 % share a state, that state *is* the store."""

STATE_GAP = 3.0
"""Standard deviations between a structural state and the nearest customer outside it (see ``place_states``)."""


@dataclass(frozen=True)
class States:
    """Structural states that hold in a store.

    Parameters
    ----------
    names : list of str of length s
        Their segment names, in declared order.
    conditions : list of (str, float) of length s
        Feature and value of each.
    member : ndarray of int of shape (n,)
        Index of each customer's state, -1 for customers in none.
    """

    names: list[str]
    conditions: list[tuple[str, float]]
    member: NDArray[np.intp]


def find_states(
    frame: pd.DataFrame, declared: tuple[tuple[str, float, str], ...], evident: NDArray[np.bool_], most: int
) -> States:
    """Find the declared states that a mass of customers share.

    Parameters
    ----------
    frame : DataFrame of n rows
        Features and ``n_orders``, whichever the declarations name; an absent column holds for nobody.
    declared : tuple of (feature, equals, name)
        States in order of precedence: a customer belongs to the first that applies.
    evident : ndarray of bool of shape (n,)
        Customers with enough evidence to be clustered otherwise.
    most : int
        Largest number of states to set apart.

    Returns
    -------
    States
        States shared by at least 5 % (and 20) customers while at least 2 % (and 20) customers with evidence
        are in none.
    """
    n = len(frame)
    member = np.full(n, -1, dtype=np.intp)
    names: list[str] = []
    conditions: list[tuple[str, float]] = []
    for feature, equals, name in declared:
        if feature not in frame or len(names) >= most:
            continue
        column = frame[feature].to_numpy(dtype=np.float64, na_value=np.nan)
        inside = (column == equals) & (member < 0)
        rest = evident & ~inside & (member < 0)
        mass = inside.sum() >= max(MIN_SHARE * n, MIN_CUSTOMERS)
        if mass and rest.sum() >= max(MIN_REST * n, MIN_CUSTOMERS):
            member[inside] = len(names)
            names.append(name)
            conditions.append((feature, float(equals)))
    return States(names, conditions, member)


def place_states(scaler: Scaler, features: list[str], conditions: list[tuple[str, float]]) -> tuple[Scaler, list[str]]:
    """Give structural states a place of their own on the scale.

    Parameters
    ----------
    scaler : Scaler
        Over ``features``.
    features : list of str of length d
        Names.
    conditions : list of (str, float) of length s
        Column and value of each state. Columns that are no feature are appended, with score 0 outside the
        state.

    Returns
    -------
    Scaler
        With the states, over d features and the appended columns.
    list of str
        Their names.

    Notes
    -----
    A state is exact: somebody has bought once or has not. By the other features alone it is not far from
    anybody (a single order leaves gaps and consistency undefined, which is the middle of the scale; a tiny refund
    is next to none), and customers would be told that they bought once who did not: one in eight repeat buyers
    of a music shop, one in ten returners of a gift shop. So the state's score lies 3 standard deviations beyond
    the winsor limit it is nearer to, or from 0 where the column is no feature; measured, that leaves nobody on the
    wrong side in either shop. The formula of distances stays the same for everyone.
    """
    names = list(features)
    for column, equals in conditions:
        if column not in names:
            names.append(column)
            scaler = _with_blank_column(scaler)
        i = names.index(column)
        value = apply_transforms(np.array([[equals]]), [scaler.transforms[i]])[0, 0]
        below = value - scaler.low[i] <= scaler.high[i] - value
        limit = float(((scaler.low if below else scaler.high)[i] - scaler.mean[i]) / scaler.scale[i])
        score = limit - STATE_GAP if below else limit + STATE_GAP
        scaler = replace(scaler, states=[*scaler.states, (i, equals, score)])
    return scaler, names


def _with_blank_column(scaler: Scaler) -> Scaler:
    """Append a column in which every value scores 0."""
    return Scaler(
        transforms=[*scaler.transforms, "identity"],
        low=np.append(scaler.low, 0.0),
        high=np.append(scaler.high, 0.0),
        mean=np.append(scaler.mean, 0.0),
        scale=np.append(scaler.scale, 1.0),
        states=scaler.states,
    )
