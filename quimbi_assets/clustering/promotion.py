"""Whether a new fit may take the champion's place: both measured by the same customers, a rule, its words.

Does not belong here: moving aliases.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from quimbi_assets.clustering.quality import SharedDistances
from quimbi_assets.clustering.scoring import FittedAxis, read_values
from quimbi_assets.clustering.segment_ids import can_score
from quimbi_assets.sampling import customer_order

MAX_CHURN = 0.02
"""Share of customers that may change segment though nothing about them changed."""
NOISE = 0.02
"""Drop of silhouette or bootstrap ARI that is never held against a candidate: the difference between two samples."""
SPREADS = 2.0
"""Standard deviations of a figure that count as noise."""
POPULATED = 0.02
"""Share of customers from which a retired segment's people are still there: that of the smallest segment admitted."""

SAMPLE = 3000
"""Customers whose silhouettes are compared: the difference of means is then known to about 0.003."""


@dataclass(frozen=True)
class Comparison:
    """A candidate beside the champion, both scoring the same customers by the same features.

    ``churn`` is the share of customers whose segment id differs, 0-1. Changes are candidate minus champion: of mean
    silhouette and of bootstrap ARI, each with its standard deviation, over customers and over refits. ``vanished`` are
    retired segments with the share of customers they would hold today; ``n_segments`` champion's and candidate's.
    """

    churn: float
    silhouette_change: float
    silhouette_spread: float
    stability_change: float
    stability_spread: float
    vanished: tuple[tuple[str, float], ...] = ()
    n_segments: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class Decision:
    """Whether a fit serves from now on; which checks it failed, and by what comparison, if there was a champion."""

    promoted: bool
    reason: str
    failed: tuple[str, ...] = ()
    comparison: Comparison | None = None


def consider(champion: FittedAxis | None, candidate: FittedAxis, X: pd.DataFrame, *, by_hand: bool = False) -> Decision:
    """Decide whether a candidate takes the champion's place, as of today's features.

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
    """Measure a candidate against the champion; the same for the same customers in any order."""
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
    shared = SharedDistances(points, points[:0], np.zeros(0, dtype=np.intp))
    difference = shared.silhouettes(new[chosen]) - shared.silhouettes(old[chosen])
    if np.isnan(difference).any():
        return 0.0, 0.0
    return float(difference.mean()), float(difference.std(ddof=1) / np.sqrt(len(difference)))


def decide(comparison: Comparison, *, by_hand: bool = False) -> Decision:
    """Decide on a candidate; by hand it is promoted whatever the checks say: somebody looked at it.

    >>> decide(Comparison(0.031, 0.0, 0.002, 0.0, 0.01)).reason
    '3.1% of customers would change segment though nothing about them changed (limit 2%)'
    >>> decide(Comparison(0.2, 0.0, 0.002, 0.0, 0.01, n_segments=(5, 4))).reason
    '4 segments instead of 5; 20.0% of customers would change segment though nothing about them changed (limit 2%)'
    >>> decide(Comparison(0.004, 0.01, 0.002, 0.0, 0.01)).reason
    'all checks passed: 0.4% of customers change segment, silhouette +0.010, stability +0.000'
    """
    failed = {check: words for check, words in _faults(comparison).items() if words}
    old, new = comparison.n_segments
    # Nobody who reads shares alone would guess that the number of segments differs.
    other_number = [f"{new} segments instead of {old}"] if failed and old != new else []
    words = "; ".join([*other_number, *failed.values()])
    if by_hand:
        return Decision(True, f"accepted by hand: {words or 'all checks passed'}", tuple(failed), comparison)
    if failed:
        return Decision(False, words, tuple(failed), comparison)
    passed = (
        f"all checks passed: {comparison.churn:.1%} of customers change segment, "
        f"silhouette {comparison.silhouette_change:+.3f}, stability {comparison.stability_change:+.3f}"
    )
    return Decision(True, passed, (), comparison)


def _faults(c: Comparison) -> dict[str, str]:
    """What each check that can block promotion finds, in words; empty where it passes."""
    churn = f"{c.churn:.1%} of customers would change segment though nothing about them changed (limit {MAX_CHURN:.0%})"
    gone = ", ".join(f"{segment} ({share:.1%} of customers)" for segment, share in c.vanished if share >= POPULATED)
    return {
        "label_churn": churn if c.churn >= MAX_CHURN else "",
        "silhouette": _worse("silhouette", c.silhouette_change, c.silhouette_spread),
        "stability": _worse("stability", c.stability_change, c.stability_spread),
        "no_segment_vanished": f"segment vanished though its customers are still there: {gone}" if gone else "",
    }


def _worse(name: str, change: float, spread: float) -> str:
    noise = max(NOISE, SPREADS * spread)
    return f"{name} falls by {-change:.3f}, beyond noise ({noise:.3f})" if change < -noise else ""
