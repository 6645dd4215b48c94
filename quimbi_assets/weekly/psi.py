"""Has the population moved away from what the models were fitted on?

Belongs here: the population stability index against the fit's bins, and when to recommend a refit. Does not: learning
the bins (``clustering.model``).
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from quimbi_assets.clustering.model import bin_shares
from quimbi_assets.clustering.scaling import Array

LARGE = 0.25
LEAST_SHARE = 1e-4
"""Share that an empty bin counts as, so that one customer in it is no infinite change."""
LARGE_FEATURES = 1 / 3
"""Share of all features with a large index from which a refit is recommended."""


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
