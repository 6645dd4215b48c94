"""Two snapshots under one model: where customers stand in each, how far and how fast they moved; and the population.

Belongs here: scoring features at rest by any models, the formulas of change, how far the population moved away from
what the models were fitted on. Does not: why they moved (``causes``), whether it is noise (``noise``), learning the
fit's bins (``clustering.model``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from quimbi_assets.clustering.model import bin_shares
from quimbi_assets.profiles.archetypes import ArchetypeSet
from quimbi_assets.profiles.scores import AxisScores

Array = NDArray[np.float64]
Ids = NDArray[np.object_]

ARCHETYPE = "archetype"
"""Stands where an axis's name would for archetypes."""
SEVERITIES = ("stable", "minor", "moderate", "significant", "major")
CUT_OFFS = (0.1, 0.3, 0.5, 0.7)
RECENT_WEEKS, EARLIER_WEEKS = 4, 12
FEWEST_EARLIER = 4
"""Earlier weeks without which there is nothing to compare the recent ones with."""
LARGE = 0.25
"""Population stability index from which a feature or the sizes of segments have moved."""
LEAST_SHARE = 1e-4
"""Share that an empty bin counts as, so that one customer in it is no infinite change."""
LARGE_FEATURES = 1 / 3
"""Share of all features with a large index from which a refit is recommended."""


@dataclass(frozen=True)
class ScoredSnapshot:
    """Customers of a snapshot, or of a part of it, scored by some week's models on one axis or more.

    ``archetypes``, shape (n,): theirs among those of that week, where these are known; ``groups``, by grouping
    (lifecycle, value tier, RFM), shape (n,): theirs by the rules of that week, where these are known.
    """

    scores: Mapping[str, AxisScores]
    archetypes: Ids | None = None
    groups: Mapping[str, Ids] = field(default_factory=dict)

    @property
    def customers(self) -> pd.Index:
        """Customer ids, shape (n,)."""
        return next(iter(self.scores.values())).customers

    def dominant(self) -> dict[str, Ids]:
        """Return by axis the dominant segment of every customer, shape (n,); then archetypes, then groups."""
        segments = {axis: score.dominant_ids for axis, score in self.scores.items()}
        archetypes = {} if self.archetypes is None else {ARCHETYPE: self.archetypes}
        return {**segments, **archetypes, **self.groups}


def with_archetypes(scores: Mapping[str, AxisScores], archetypes: ArchetypeSet | None) -> ScoredSnapshot:
    """Say who is of which archetype; of none, where a refit came in between and they name segments of another model."""
    if archetypes is None or not all(
        axis in scores and {row[i] for row in archetypes.segments} <= set(scores[axis].segment_ids)
        for i, axis in enumerate(archetypes.axes)
    ):
        return ScoredSnapshot(scores)
    return ScoredSnapshot(scores, archetypes.ids_of(scores))


def axis_drift(older: Array, newer: Array) -> Array:
    """Return how far each customer moved between memberships of shape (n, k), whose rows sum to 1; shape (n,).

    ``sqrt(sum (m_new - m_old)^2) / sqrt(2)``: 0 for no change, 1 from one segment wholly into another.

    >>> axis_drift(np.array([[1.0, 0.0], [0.6, 0.4]]), np.array([[0.0, 1.0], [0.6, 0.4]])).tolist()
    [1.0, 0.0]
    """
    return np.asarray(np.sqrt(np.sum((newer - older) ** 2, axis=1) / 2.0))


def measure_drift(older: ScoredSnapshot, newer: ScoredSnapshot) -> dict[str, Array]:
    """Return by axis how far the newer side's customers moved, 0-1; NaN where the older side lacks them or the axis."""
    place = older.customers.get_indexer(newer.customers)
    known = place >= 0
    drift = {}
    for axis, score in newer.scores.items():
        drift[axis] = np.full(len(place), np.nan)
        if axis in older.scores:
            drift[axis][known] = axis_drift(older.scores[axis].memberships[place[known]], score.memberships[known])
    return drift


def lead_over(score: AxisScores, stable: Ids) -> Array:
    """Return how much more each customer belongs to their dominant segment than to their stable one; shape (n,)."""
    place = pd.Index(score.segment_ids).get_indexer(pd.Index(stable, dtype=object))
    of_stable = np.where(place >= 0, score.memberships[np.arange(len(stable)), np.maximum(place, 0)], 0.0)
    return np.asarray(score.memberships.max(axis=1) - of_stable, dtype=np.float64)


def severity(drift: Array) -> NDArray[np.str_]:
    """Return the word for each drift: stable below 0.1, minor below 0.3, moderate 0.5, significant 0.7, else major.

    >>> severity(np.array([0.0, 0.1, 0.49, 0.5, 1.0])).tolist()
    ['stable', 'minor', 'moderate', 'significant', 'major']
    """
    return np.array(SEVERITIES)[np.searchsorted(CUT_OFFS, drift, side="right")]


def acceleration(velocities: Sequence[Array]) -> Array:
    """Return how much faster customers moved in the recent four weeks than in the twelve before, shape (n,).

    From drift per day week by week, the newest last, NaN where a customer was not there: mean of the newest four minus
    mean of the up to twelve before; NaN with fewer than four of either.

    >>> acceleration([np.array([0.01])] * 4 + [np.array([0.03])] * 4).round(3).tolist()
    [0.02]
    """
    table = np.array(velocities, dtype=np.float64)[-(RECENT_WEEKS + EARLIER_WEEKS) :]
    recent, earlier = table[-RECENT_WEEKS:], table[:-RECENT_WEEKS]
    n_recent, n_earlier = np.isfinite(recent).sum(axis=0), np.isfinite(earlier).sum(axis=0)
    known = (n_recent >= RECENT_WEEKS) & (n_earlier >= FEWEST_EARLIER)
    means = np.nansum(recent, axis=0) / np.maximum(n_recent, 1) - np.nansum(earlier, axis=0) / np.maximum(n_earlier, 1)
    return np.where(known, means, np.nan)


def population_stability(reference: Array, current: Array, n_reference: int, n_current: int) -> float:
    """Return the population stability index of two distributions over the same bins, less what chance makes it.

    Shares, shape (n_bins,), sum to 1; by the customers behind each, a small store's index is above 0 by chance alone.
    At least 0: below 0.1 hardly anything, above 0.25 large; a size of effect, which a store's size does not raise.

    Notes
    -----
    ``sum (c - r) ln(c / r)``; its expectation with nothing changed, ``(n_bins - 1)(1 / n_r + 1 / n_c)``, is taken off.

    References
    ----------
    B. Yurdakul, Statistical properties of the population stability index (2018).

    >>> round(population_stability(np.array([0.5, 0.5]), np.array([0.8, 0.2]), 10**9, 10**9), 3)
    0.416
    """
    r, c = np.maximum(reference, LEAST_SHARE), np.maximum(current, LEAST_SHARE)
    used = np.count_nonzero((reference > 0) | (current > 0))
    chance = (used - 1) * (1 / max(n_reference, 1) + 1 / max(n_current, 1))
    return max(float(np.sum((c - r) * np.log(c / r)) - chance), 0.0)


def feature_drift(bins: Mapping[str, Any], features: Mapping[str, Array]) -> dict[str, float]:
    """Return the index of each feature of today's customers against the bins that ``learn_bins`` learnt at the fit.

    Values of shape (n,), NaN where undefined; features that are not there are left out.
    """
    indices = {}
    for name, learnt in bins["features"].items():
        if name in features:
            current = bin_shares(features[name], np.asarray(learnt["edges"], dtype=np.float64))
            reference = np.asarray(learnt["shares"], dtype=np.float64)
            indices[name] = population_stability(reference, current, int(bins["n"]), len(features[name]))
    return indices


def recommend_refit(population: pd.DataFrame) -> str | None:
    """Return why a refit is recommended by rows of ``population_drift``, in words; None where it is not."""
    sizes = population[population["figure"] == "segment_psi"]
    moved = sorted(sizes.loc[sizes["value"] >= LARGE, "axis_name"])
    if moved:
        return f"the sizes of the segments of {', '.join(moved)} are no longer those of the fit"
    features = population[population["figure"] == "feature_psi"]
    large = features[features["value"] >= LARGE]
    if len(features) and len(large) >= LARGE_FEATURES * len(features):
        names = ", ".join(large.sort_values("value", ascending=False)["name"].head(5))
        return f"{len(large)} of {len(features)} features are distributed otherwise than at the fit: {names} ..."
    return None
