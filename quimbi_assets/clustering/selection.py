"""Which number of segments: one candidate chosen, the reason said for every one.

Belongs here: the rule. It reads figures only, so it is tested without data. Does not: how they are measured
(``candidates``).
"""

from dataclasses import replace

import pandas as pd

from quimbi_assets.clustering.candidates import Candidate

MIN_SHARE = 0.02
"""Smallest segment admitted, as a share of the customers that shape the fit."""
MAX_SHARE = 0.65
"""Largest segment admitted, as a share of the customers that are divided."""
MIN_STABILITY = 0.80
"""Bootstrap ARI from which a partition counts as repeatable."""
MIN_JACCARD = 0.75
"""Bootstrap Jaccard from which a single segment counts as repeatable (Hennig 2007). A partition can be
repeatable (ARI 0.85) while one of its small segments is not (0.55). Measured on 27 axes of three real stores:
without this limit two seeds disagreed about the number of segments on two axes, with it on none."""
NEAR_BEST = 0.02
"""Silhouette within which a larger number of segments is preferred: about the difference between two samples.
On the same 27 axes 0.02 and 0.03 choose alike; 0.05 changes five, and two seeds then agree less."""

NEAR_LEAST_BAD = 0.2
"""Shortfall within which the champion's number of segments is preferred where none is admissible. Assumption: two
standard errors; over eight refits the ARI of such candidates has one of 0.05-0.07 (measured spreads of 0.14-0.2)."""


def faults(candidate: Candidate) -> list[str]:
    """What makes a candidate inadmissible, in words; empty if it is admissible."""
    found = []
    if candidate.undivided:
        found.append("leaves everyone outside the structural segments undivided")
    elif candidate.largest_share > MAX_SHARE:
        found.append(f"largest segment holds {candidate.largest_share:.0%}, over {MAX_SHARE:.0%}")
    if candidate.smallest_share < MIN_SHARE:
        found.append(f"smallest segment holds {candidate.smallest_share:.1%}, under {MIN_SHARE:.0%}")
    if candidate.stability.ari < MIN_STABILITY:
        found.append(f"bootstrap ARI {candidate.stability.ari:.2f}, under {MIN_STABILITY:.2f}")
    if candidate.smallest_jaccard < MIN_JACCARD:
        fleeting = f"a segment recurs with Jaccard {candidate.smallest_jaccard:.2f}"
        found.append(f"{fleeting}, under {MIN_JACCARD:.2f}")
    return found


def shortfall(candidate: Candidate) -> float:
    """How far a candidate misses the limits: the sum of relative shortfalls, 0 if it meets all."""
    large = 0.0 if candidate.undivided else max(0.0, (candidate.largest_share - MAX_SHARE) / (1 - MAX_SHARE))
    small = max(0.0, 1 - candidate.smallest_share / MIN_SHARE)
    unstable = max(0.0, 1 - candidate.stability.ari / MIN_STABILITY)
    fleeting = max(0.0, 1 - candidate.smallest_jaccard / MIN_JACCARD)
    return large + small + unstable + fleeting + float(candidate.undivided)


def choose(candidates: list[Candidate], preferred: int | None = None) -> list[Candidate]:
    """Choose one candidate and give every one its reason.

    Parameters
    ----------
    candidates : list of Candidate
        At least one, by increasing k.
    preferred : int, optional
        The champion's number of segments.

    Returns
    -------
    list of Candidate
        The same candidates with ``chosen`` (true once) and ``reason``.

    Notes
    -----
    Admissible: largest cluster at most 65 %, smallest at least 2 %, bootstrap ARI at least 0.80 and no
    cluster's Jaccard under 0.75. Among these, the largest k whose silhouette is within 0.02 of the best: the
    difference is sampling noise, and a shop can treat more segments differently. If none is admissible, the
    one that misses the limits least (sum of relative shortfalls), the smaller k of equals.

    Between numbers of segments that noise alone tells apart, the champion's is preferred: if it is admissible and
    its silhouette is within 0.02 of the best, or if none is admissible and it misses the limits by at most 0.2
    (relative) more than the least bad.
    """
    problems = [faults(c) for c in candidates]
    admissible = [i for i, found in enumerate(problems) if not found]
    if admissible:
        best = max(candidates[i].silhouette for i in admissible)
        near = [i for i in admissible if candidates[i].silhouette >= best - NEAR_BEST]
        chosen = _preferred(candidates, near, preferred, max(near))
    else:
        chosen = min(range(len(candidates)), key=lambda i: (round(shortfall(candidates[i]), 6), i))
        least = shortfall(candidates[chosen]) + NEAR_LEAST_BAD
        near = [i for i, c in enumerate(candidates) if shortfall(c) <= least]
        chosen = _preferred(candidates, near, preferred, chosen)
    return [
        replace(c, chosen=i == chosen, reason=_reason(c, candidates[chosen], found, bool(admissible)))
        for i, (c, found) in enumerate(zip(candidates, problems, strict=True))
    ]


def _preferred(candidates: list[Candidate], near: list[int], preferred: int | None, otherwise: int) -> int:
    """Position among ``near`` of the candidate with the preferred number of segments, if it is there."""
    return next((i for i in near if candidates[i].k == preferred), otherwise)


def _reason(candidate: Candidate, chosen: Candidate, found: list[str], any_admissible: bool) -> str:
    if candidate is chosen and not any_admissible:
        return "chosen as the least bad, none being admissible: " + "; ".join(found)
    if candidate is chosen:
        return f"chosen: balanced, repeatable, silhouette {candidate.silhouette:.2f} best or within {NEAR_BEST}"
    if found:
        return "not admissible: " + "; ".join(found)
    if candidate.silhouette > chosen.silhouette - NEAR_BEST:
        return f"silhouette {candidate.silhouette:.2f} as good, but fewer segments to act on"
    return f"silhouette {candidate.silhouette:.2f}, below {chosen.silhouette:.2f}"


def selection_table(candidates: list[Candidate]) -> pd.DataFrame:
    """Lay candidates out as a table, one row each.

    Returns
    -------
    DataFrame
        Columns ``k``, ``silhouette``, ``calinski_harabasz``, ``davies_bouldin``, ``largest_share``,
        ``smallest_share``, ``stability_ari``, ``smallest_jaccard``, ``chosen``, ``reason``.
    """
    rows = [
        {
            "k": c.k,
            "silhouette": c.silhouette,
            "calinski_harabasz": c.calinski_harabasz,
            "davies_bouldin": c.davies_bouldin,
            "largest_share": c.largest_share,
            "smallest_share": c.smallest_share,
            "stability_ari": c.stability.ari,
            "smallest_jaccard": c.smallest_jaccard,
            "chosen": c.chosen,
            "reason": c.reason,
        }
        for c in candidates
    ]
    return pd.DataFrame(rows)
