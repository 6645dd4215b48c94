"""Structural segments: a mass of customers in exactly one state, set apart before clustering.

Belongs here: which declared states hold in a store, who is in them, and where on the scale they lie.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from quimbi_assets.clustering.scaling import Scaler, apply_transforms
from quimbi_assets.clustering.scoring import N_ORDERS, numbers

MIN_SHARE = 0.05
"""Share of all customers from which a state is a segment of its own."""

MIN_CUSTOMERS = 20
"""Fewest customers in a state, and fewest left to divide. Assumption: below it a mean is an anecdote."""

MIN_REST = 0.02
"""Fewest customers left to divide, as a share of all: where 98 % share a state, that state *is* the store."""

KNOWN_SHARE = 0.5
"""Share of an axis's values that must be defined for customers in a state told by their number of orders, to be judged
by these values. Assumption: with half of them at the population's mean, half of the distance is made up."""

STATE_GAP = 3.0
"""Standard deviations between a structural state and the nearest customer outside it (see ``place_states``)."""


DeclaredState = tuple[str, float, str]
"""Feature, the value that is the state, the state's name."""


def find_states(
    frame: pd.DataFrame, declared: tuple[DeclaredState, ...], evident: NDArray[np.bool_], most: int
) -> tuple[list[str], list[tuple[str, float]], NDArray[np.intp]]:
    """Find the declared states that a mass of customers share.

    Parameters
    ----------
    frame : DataFrame of n rows
        Features and ``n_orders``, whichever the declarations name; an absent column holds for nobody.
    declared : tuple of (feature, equals, name)
        States in order of precedence: a customer belongs to the first that applies. Declarations of one name are
        one state, told by any of them.
    evident : ndarray of bool of shape (n,)
        Customers with enough evidence to be clustered otherwise.

    Returns
    -------
    names, conditions, member
        Of states shared by at least 5 % (and 20) customers while at least 2 % (and 20) customers with evidence are in
        none, in declared order; the columns and values that tell them; index of each customer's state, -1 for none.
    """
    n = len(frame)
    member = np.full(n, -1, dtype=np.intp)
    names: list[str] = []
    conditions: list[tuple[str, float]] = []
    for name, told_by in _by_name(declared).items():
        known = [(feature, equals) for feature, equals in told_by if feature in frame]
        if not known or len(names) >= most:
            continue
        inside = np.any([numbers(frame, [feature])[:, 0] == equals for feature, equals in known], axis=0)
        inside &= member < 0
        rest = evident & ~inside & (member < 0)
        mass = inside.sum() >= max(MIN_SHARE * n, MIN_CUSTOMERS)
        if mass and rest.sum() >= max(MIN_REST * n, MIN_CUSTOMERS):
            member[inside] = len(names)
            names.append(name)
            conditions += known
    return names, conditions, member


def _by_name(declared: tuple[DeclaredState, ...]) -> dict[str, list[tuple[str, float]]]:
    """Gather the conditions of each state, in declared order."""
    conditions: dict[str, list[tuple[str, float]]] = {}
    for feature, equals, name in declared:
        conditions.setdefault(name, []).append((feature, float(equals)))
    return conditions


def state_sets(
    frame: pd.DataFrame, declared: tuple[DeclaredState, ...], features: list[str], evident: NDArray[np.bool_]
) -> list[tuple[DeclaredState, ...]]:
    """Order the sets of declared states in which customers are to be looked at: one or two, of different effect.

    Notes
    -----
    "Bought once" is a state of its own at once where it leaves half of an axis's features undefined: at the middle of
    the scale such customers would pile up in a segment that says something of them which nobody knows. Where most
    features are defined (a single order has an hour and a channel, if no habit), they are assigned by what is known,
    with low evidence, and set apart only if nobody divides acceptably otherwise.
    """
    present = [feature for feature in features if feature in frame]
    optional = set()
    for feature, equals, name in declared:
        if feature == N_ORDERS and feature in frame and present:
            inside = frame[numbers(frame, [feature])[:, 0] == equals]
            if float(inside[present].notna().to_numpy().mean() if len(inside) else 1.0) > KNOWN_SHARE:
                optional.add(name)
    first = tuple(state for state in declared if state[2] not in optional)
    names = [find_states(frame, states, evident, most=len(declared))[0] for states in (first, declared)]
    return [first, declared] if names[0] != names[1] else [declared]


def place_states(scaler: Scaler, features: list[str], conditions: list[tuple[str, float]]) -> tuple[Scaler, list[str]]:
    """Give structural states, told by columns and values, a place of their own on the scale.

    Columns that are no feature are appended, with score 0 outside the state.

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
    gap = STATE_GAP * float(np.sqrt(len(features)))
    for column, equals in conditions:
        if column not in names:
            names.append(column)
            scaler = _with_blank_column(scaler)
        i = names.index(column)
        value = apply_transforms(np.array([[equals]]), [scaler.transforms[i]])[0, 0]
        below = value - scaler.low[i] <= scaler.high[i] - value
        limit = float(((scaler.low if below else scaler.high)[i] - scaler.mean[i]) / scaler.scale[i])
        score = limit - gap if below else limit + gap
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
