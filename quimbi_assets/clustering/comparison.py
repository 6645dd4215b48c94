"""A new fit beside the champion on today's customers: the figures its promotion is decided on.

Belongs here: measuring both by the same customers, and the cases in which there is nothing to compare. Does not: limits
(``promotion``).
"""

from typing import Any

import numpy as np
import pandas as pd

from quimbi_assets.clustering.identity import can_score
from quimbi_assets.clustering.promotion import Comparison, Decision, decide
from quimbi_assets.clustering.quality import SharedDistances
from quimbi_assets.clustering.reading import read_values
from quimbi_assets.clustering.sampling import customer_order
from quimbi_assets.clustering.scoring import FittedAxis

SAMPLE = 3000
"""Customers whose silhouettes are compared: the difference of means is then known to about 0.003."""


def consider(champion: FittedAxis | None, candidate: FittedAxis, X: pd.DataFrame, *, by_hand: bool = False) -> Decision:
    """Decide whether a candidate takes the champion's place.

    Parameters
    ----------
    champion : FittedAxis or None
        The model that serves.
    candidate : FittedAxis
        A new fit, with ids inherited from the champion.
    X : DataFrame of n rows indexed by customer
        Today's features.
    by_hand : bool
        Promote whatever the checks say.

    Returns
    -------
    Decision

    Notes
    -----
    Promoted without checks: an axis's first fit; a fit whose champion cannot serve, a feature it reads being no
    longer recorded; a fit whose champion has a number of segments that was ruled out by whoever started the run.
    """
    if champion is None:
        return Decision(True, "first model of this axis")
    if not can_score(champion, X):
        lost = ", ".join(name for name in champion.features_ if name not in X)
        return Decision(True, f"the champion cannot serve: {lost} is not recorded any more")
    least, most = candidate.min_k, candidate.max_k
    if not least <= champion.k_ <= most:
        return Decision(True, f"the champion has {champion.k_} segments, {least} to {most} were asked for")
    return decide(compare(champion, candidate, X), by_hand=by_hand)


def compare(champion: FittedAxis, candidate: FittedAxis, X: pd.DataFrame) -> Comparison:
    """Measure a candidate against the champion.

    Parameters
    ----------
    champion, candidate : FittedAxis
        Two fits of one axis.
    X : DataFrame of n rows indexed by customer
        Customers with the features of both.

    Returns
    -------
    Comparison
        The same for the same customers in any order.
    """
    old, new = champion.predict(X), candidate.predict(X)
    old_ids, new_ids = (np.asarray(model.segment_ids_, dtype=object) for model in (champion, candidate))
    changed = old_ids[old] != new_ids[new]
    change, spread = _silhouettes(champion, candidate, X, old, new)
    shares = np.bincount(old, minlength=champion.k_) / max(len(old), 1)
    lineage = candidate.lineage_
    retired = set(lineage.loc[lineage["relation"] == "retired", "previous_segment_id"])
    return Comparison(
        churn=float(changed.mean()) if len(changed) else 0.0,
        silhouette_change=change,
        silhouette_spread=spread,
        stability_change=float(candidate.stability_ari_ - champion.stability_ari_),
        stability_spread=float(candidate.stability_spread_),
        vanished=tuple(
            (name, float(share)) for name, share in zip(champion.segment_ids_, shares, strict=True) if name in retired
        ),
        n_segments=(champion.k_, candidate.k_),
    )


def _silhouettes(
    champion: FittedAxis, candidate: FittedAxis, X: pd.DataFrame, old: Any, new: Any
) -> tuple[float, float]:
    """Mean difference of silhouettes of the same customers, in the candidate's scaled space, and its deviation.

    Customers of low evidence and those in a structural segment of either, which a rule places, are left out.
    """
    free = [np.array([state is None for state in model.structural_], dtype=bool) for model in (champion, candidate)]
    divided = free[0][old] & free[1][new] & (candidate.evidence(X) == "ok")
    order = customer_order(X.index, candidate.random_state)
    chosen = order[divided[order]][:SAMPLE]
    if len(chosen) < 2:
        return 0.0, 0.0
    points = candidate.scaled(read_values(candidate, X.iloc[chosen], candidate.features_))
    shared = SharedDistances.between(points, points[:0], np.zeros(0, dtype=np.intp))
    difference = shared.silhouettes(new[chosen]) - shared.silhouettes(old[chosen])
    if np.isnan(difference).any():
        return 0.0, 0.0
    return float(difference.mean()), float(difference.std(ddof=1) / np.sqrt(len(difference)))
