"""The customers that shape a fit: some states set apart, features filtered, the population on one scale.

Belongs here: which declared states hold in a store, who is in them and where on the scale they lie; preparing the
sample, and measuring partitions of it. Does not: which states and features are tried (``fitting``).

A structural state is a mass of customers in exactly one state, set apart before clustering.
"""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from quimbi_assets.clustering.candidates import Candidate, champion_centers, measure_candidates
from quimbi_assets.clustering.scaling import Array, Scaler, apply_transforms, clean, fit_scaler
from quimbi_assets.clustering.scoring import N_ORDERS, FittedAxis, numbers
from quimbi_assets.clustering.selection import shape_faults
from quimbi_assets.errors import InactiveAxisError
from quimbi_assets.sampling import customer_order

MIN_DIVIDED = 10
"""Fewest customers to divide. Only what arithmetic needs: how many make a store is the caller's to say."""
TWIN = 0.999
"""Size of a correlation from which two features are one fact: a share and its complement, or the same counted twice."""
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


@dataclass(frozen=True)
class PreparedSample:
    """Customers of an axis on one scale, with some structural states set apart.

    ``model``, unfitted, says how many segments there may be. ``features``, in declared order, pass the filter, those
    ``dropped`` do not, with the reason; columns that tell the states are ``fixed``: always used. ``columns``, d of
    them, are the features, then those of states that are no feature. Customers that shape the fit, in seeded order, are
    ``raw`` in original units and ``scaled``, both of shape (n, d); ``member``, shape (n,), is their state, -1 for none.
    ``population``, shape (n_customers, d), is everybody in scaled space.
    """

    model: FittedAxis
    champion: FittedAxis | None
    states: tuple[str, ...]
    fixed: frozenset[str]
    features: tuple[str, ...]
    dropped: dict[str, str]
    columns: list[str]
    scaler: Scaler
    raw: pd.DataFrame
    scaled: Array
    member: NDArray[np.intp]
    population: Array

    def uses(self, names: tuple[str, ...]) -> NDArray[np.bool_]:
        """Mask of the columns of some features, and of the states that are no feature; shape (d,)."""
        return np.array([column in names or column not in self.features for column in self.columns], dtype=np.bool_)

    def columns_of(self, names: tuple[str, ...]) -> list[str]:
        """Names of these columns."""
        return [column for column, used in zip(self.columns, self.uses(names), strict=True) if used]

    def place(self, chosen: Candidate) -> tuple[Scaler, Array]:
        """Return the scale of a candidate's columns and all its centres, structural segments first; shape (k, d)."""
        used = self.uses(chosen.features)
        scaled, n_states = self.scaled[:, used], len(self.states)
        means = [scaled[self.member == i].mean(axis=0) for i in range(n_states)]
        return self.scaler.take(used), np.vstack([*means, chosen.centers[np.lexsort(chosen.centers.T[::-1])]])

    def numbers_of_clusters(self, names: tuple[str, ...]) -> range:
        """Return the numbers of clusters to consider of the customers in no state, on some of the features.

        Raises ``InactiveAxisError`` if customers show fewer patterns than segments are asked for.
        """
        n_states, divided = len(self.states), self.scaled[self.member < 0][:, self.uses(names)]
        most = min(self.model.max_k - n_states, len(np.unique(divided, axis=0)), len(divided) - 1)
        least = max(1, self.model.min_k - n_states)
        if most < least:
            raise InactiveAxisError(f"customers show only {most} different patterns; {least} segments need as many")
        return range(least, most + 1)

    def measure(self, names: tuple[str, ...]) -> list[Candidate]:
        """Measure every number of clusters of the customers in no state, by increasing k, on some of the features.

        On the champion's features its partition is carried on where it is as good. On others than these or all,
        stability is measured only where nothing else speaks against a candidate.
        """
        ks, used, inside = self.numbers_of_clusters(names), self.uses(names), self.member >= 0
        scaled, divided = self.scaled[:, used], self.scaled[~inside][:, used]
        scaler, columns = self.scaler.take(used), self.columns_of(names)
        start = self.champion and champion_centers(self.champion, scaler, columns, list(self.states))
        whole = len(names) == len(self.features) or start is not None
        candidates = measure_candidates(
            divided,
            scaled[inside],
            self.member[inside],
            self.population[:, used],
            ks,
            self.model.random_state,
            start=start,
            is_hopeful=lambda candidate: whole or not shape_faults(candidate),
        )
        return [replace(candidate, features=names, states=self.states) for candidate in candidates]


def prepare_sample(
    model: FittedAxis,
    frame: pd.DataFrame,
    transforms: dict[str, str],
    structural: tuple[DeclaredState, ...],
    evident: NDArray[np.bool_],
    champion: FittedAxis | None = None,
) -> PreparedSample:
    """Set states apart, draw the customers that shape the fit and put the population on one scale.

    ``structural`` are states to set apart where a mass of customers share them; the rest is as for ``prepare_samples``.
    Raises ``InactiveAxisError`` if too few customers or features are left.
    """
    names, conditions, member = find_states(frame, structural, evident, most=model.max_k - 1)
    order = customer_order(frame.index, model.random_state)
    order = order[(evident | (member >= 0))[order]][: model.max_sample]
    member = member[order]
    n_divided, n = int((member < 0).sum()), len(frame)
    if n_divided < MIN_DIVIDED:
        raise InactiveAxisError(
            f"only {n_divided} of {n} customers (n_samples={n}) have enough orders to be told apart; "
            f"{MIN_DIVIDED} are needed"
        )
    sampled = frame.iloc[order]
    scaler, features, dropped = filter_features(sampled[member < 0], transforms)
    scaler, columns = place_states(scaler, features, conditions)
    raw = pd.DataFrame(clean(sampled[columns].to_numpy(dtype=np.float64)), columns=columns)
    return PreparedSample(
        model=model,
        champion=champion,
        states=tuple(names),
        fixed=frozenset(column for column, _ in conditions),
        features=tuple(features),
        dropped=dropped,
        columns=columns,
        scaler=scaler,
        raw=raw,
        scaled=scaler.scale_values(raw.to_numpy()),
        member=member,
        population=scaler.scale_values(clean(frame[columns].to_numpy(dtype=np.float64))),
    )


def filter_features(divided: pd.DataFrame, transforms: dict[str, str]) -> tuple[Scaler, list[str], dict[str, str]]:
    """Keep the features that are recorded, tell customers apart, and say no fact twice; fit the scaler to them.

    Returns the scaler over the features used, these in declared order, and the others with the reason. Raises
    ``InactiveAxisError`` if fewer than two features vary.
    """
    dropped = {name: "not recorded" for name in transforms if name not in divided}
    present = [name for name in transforms if name not in dropped]
    values = divided[present].to_numpy(dtype=np.float64)
    scaler, varies = fit_scaler(values, [transforms[name] for name in present])
    undefined = ~np.isfinite(values).any(axis=0)
    for name, varied, empty in zip(present, varies, undefined, strict=True):
        if not varied:
            dropped[name] = "undefined for everyone" if empty else "practically the same for everyone"
    if varies.sum() < 2:
        why = "; ".join(f"{name} is {reason}" for name, reason in dropped.items()) or "no other is declared"
        few = "one feature only (n_features = 1)" if varies.any() else "no feature"
        raise InactiveAxisError(f"customers differ in {few}, two are needed: {why}")
    twins = _twins(scaler.scale_values(values), np.isfinite(values), varies)
    for i, (other, correlation) in twins.items():
        same = "says the same as" if correlation > 0 else "is the complement of"
        dropped[present[i]] = f"{same} {present[other]} (correlation {correlation:.3f})"
    used = varies & ~np.isin(np.arange(len(present)), list(twins))
    return scaler.take(used), [name for name, use in zip(present, used, strict=True) if use], dropped


def _twins(scaled: Array, defined: NDArray[np.bool_], varies: NDArray[np.bool_]) -> dict[int, tuple[int, float]]:
    """Return each column that repeats an earlier one, with that column and the correlation."""
    twins: dict[int, tuple[int, float]] = {}
    correlations = pd.DataFrame(np.where(defined, scaled, np.nan)).corr(min_periods=3).to_numpy()
    for later in np.flatnonzero(varies).tolist():
        for earlier in np.flatnonzero(varies[:later]).tolist():
            is_new = later not in twins and earlier not in twins
            if is_new and abs(correlations[later, earlier]) >= TWIN:
                twins[later] = (earlier, float(correlations[later, earlier]))
    return twins


def find_states(
    frame: pd.DataFrame, declared: tuple[DeclaredState, ...], evident: NDArray[np.bool_], most: int
) -> tuple[list[str], list[tuple[str, float]], NDArray[np.intp]]:
    """Find the declared states that a mass of customers share: at least 5 % (and 20), with 2 % (and 20) left to divide.

    A customer belongs to the first that applies; declarations of one name are one state, told by any of them; an absent
    column holds for nobody. ``evident`` (n,) are customers with enough evidence to be clustered otherwise. Returns
    their names in declared order, the columns and values that tell them, and the position of each customer's state, -1
    for none.
    """
    n = len(frame)
    member = np.full(n, -1, dtype=np.intp)
    names: list[str] = []
    conditions: list[tuple[str, float]] = []
    for name in dict.fromkeys(state[2] for state in declared):
        known = [(feature, float(equals)) for feature, equals, of in declared if of == name and feature in frame]
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


def state_sets(
    frame: pd.DataFrame, declared: tuple[DeclaredState, ...], features: list[str], evident: NDArray[np.bool_]
) -> list[tuple[DeclaredState, ...]]:
    """Order the sets of declared states in which customers are to be looked at: one or two, of different effect.

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

    Columns that are no feature are appended, with score 0 outside the state. A state is exact: somebody has bought once
    or has not. By the other features alone it is not far from anybody (a single order leaves gaps and consistency
    undefined, which is the middle of the scale; a tiny refund is next to none), and customers would be told that they
    bought once who did not: one in eight repeat buyers of a music shop, one in ten returners of a gift shop. So the
    state's score lies 3 standard deviations beyond the winsor limit it is nearer to, or from 0 where the column is no
    feature; measured, that leaves nobody on the wrong side in either shop. The formula of distances stays the same for
    everyone.
    """
    names = list(dict.fromkeys([*features, *(column for column, _ in conditions)]))
    gap, blank = STATE_GAP * float(np.sqrt(len(features))), len(names) - len(features)
    low, high, mean = (np.pad(figures, (0, blank)) for figures in (scaler.low, scaler.high, scaler.mean))
    scale = np.pad(scaler.scale, (0, blank), constant_values=1.0)
    scaler = Scaler([*scaler.transforms, *["identity"] * blank], low, high, mean, scale, scaler.states)
    for column, equals in conditions:
        i = names.index(column)
        value = apply_transforms(np.array([[equals]]), [scaler.transforms[i]])[0, 0]
        below = value - scaler.low[i] <= scaler.high[i] - value
        limit = float(((scaler.low if below else scaler.high)[i] - scaler.mean[i]) / scaler.scale[i])
        score = limit - gap if below else limit + gap
        scaler = replace(scaler, states=[*scaler.states, (i, equals, score)])
    return scaler, names
