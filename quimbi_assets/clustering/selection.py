"""Which number of segments: what is admissible, what is best, and the reason said for every candidate.

Belongs here: the rule. It reads figures only, so it is tested without data. Does not: how they are measured
(``candidates``).
"""

from dataclasses import replace

import numpy as np
import pandas as pd

from quimbi_assets.clustering.candidates import Candidate

MIN_SHARE = 0.02
"""Smallest segment admitted, as a share of all customers as assigned."""
MAX_SHARE = 0.65
"""Largest segment admitted, as a share of all customers (see ``Candidate.largest_share``)."""
MIN_SILHOUETTE = 0.25
"""Separation from which segments count as more than a cut through one cloud."""
MIN_STABILITY = 0.80
"""Bootstrap ARI from which a partition counts as repeatable."""
MIN_JACCARD = 0.75
"""Bootstrap Jaccard from which a single segment counts as repeatable (Hennig 2007). A partition can be
repeatable (ARI 0.85) while one of its small segments is not (0.55). Measured on 27 axes of three real stores:
without this limit two seeds disagreed about the number of segments on two axes, with it on none."""
NEAR_BEST = 1.33
"""Times as far, relative to the next segment, as customers are from their own one in the best division, up to which the
number of segments decides, not separation (ADR 4: what it explains, what it costs). That ratio is 1 less the silhouette
(Rousseeuw 1987): between plain kinds little is near, in one cloud much."""
NEAR_LEAST_BAD = 0.2
"""Shortfall within which the champion's number of segments is preferred where none is admissible. Assumption: two
standard errors; over eight refits the ARI of such candidates has one of 0.05-0.07 (measured spreads of 0.14-0.2)."""

"""Customers that shape a fit below which another sample of them would often be divided otherwise (ADR 4)."""
FIGURES = ("silhouette", "calinski_harabasz", "davies_bouldin", "largest_share", "smallest_share")
LEAST_BAD = "chosen as the least bad, none being admissible: "
"""Begins the reason of a choice that meets not every limit; its faults follow."""


def shape_faults(candidate: Candidate) -> list[str]:
    """What makes a candidate inadmissible whatever its stability, in words."""
    words = []
    if candidate.largest_share > MAX_SHARE:
        words.append(f"largest segment holds {candidate.largest_share:.0%}, over {MAX_SHARE:.0%}")
    if candidate.smallest_share < MIN_SHARE:
        words.append(f"smallest segment holds {candidate.smallest_share:.1%}, under {MIN_SHARE:.0%}")
    if not candidate.silhouette >= MIN_SILHOUETTE:
        words.append(f"silhouette {candidate.silhouette:.2f}, under {MIN_SILHOUETTE:.2f}")
    return words


def faults(candidate: Candidate) -> list[str]:
    """What makes a candidate inadmissible, in words; empty if it is admissible. Unknown stability is none."""
    words = shape_faults(candidate)
    if candidate.stability.ari < MIN_STABILITY:
        words.append(f"bootstrap ARI {candidate.stability.ari:.2f}, under {MIN_STABILITY:.2f}")
    if candidate.smallest_jaccard < MIN_JACCARD:
        fleeting = f"a segment recurs with Jaccard {candidate.smallest_jaccard:.2f}"
        words.append(f"{fleeting}, under {MIN_JACCARD:.2f}")
    return words


def shortfall(candidate: Candidate) -> float:
    """Sum of how far a candidate misses each limit, relative to it; 0 if it meets all, 1 for what is not known."""
    large = max(0.0, (candidate.largest_share - MAX_SHARE) / (1 - MAX_SHARE))
    small = max(0.0, 1 - candidate.smallest_share / MIN_SHARE)
    unstable = 1.0 if np.isnan(candidate.stability.ari) else max(0.0, 1 - candidate.stability.ari / MIN_STABILITY)
    jaccard = candidate.smallest_jaccard
    fleeting = 1.0 if np.isnan(jaccard) else max(0.0, 1 - jaccard / MIN_JACCARD)
    blurred = 0.0 if candidate.silhouette >= MIN_SILHOUETTE else min(1.0, 1 - candidate.silhouette / MIN_SILHOUETTE)
    return large + small + blurred + unstable + fleeting


def best_division(candidates: list[Candidate], usual_k: int, champion_k: int | None = None) -> Candidate | None:
    """Return the best admissible partition of customers on one set of features, if any; candidates by increasing k.

    Of those that meet every limit, divide, and separate about as well as the best (:data:`NEAR_BEST`), the one of the
    champion's k, whose segments people know; else the one nearest to the usual k, the larger of two: fewer say less,
    and what is largest is another number in the next sample of customers.
    """
    ranked = sorted(_near_best(candidates), key=lambda c: (c.k != champion_k, abs(c.k - usual_k), -c.k))
    return next((c for c in ranked if not faults(c)), None)


def _near_best(candidates: list[Candidate]) -> list[Candidate]:
    """Return what is as well separated as any admissible division, up to :data:`NEAR_BEST`, perhaps not repeatable.

    Stability is looked at only where it decides.
    """
    divisions = [c for c in candidates if not c.undivided and not shape_faults(c)]
    divisions.sort(key=lambda c: -c.silhouette)
    best = next((c.silhouette for c in divisions if not faults(c)), np.inf)
    return [c for c in divisions if 1 - c.silhouette <= NEAR_BEST * (1 - best)]


def explain(candidates: list[Candidate], chosen: Candidate) -> list[Candidate]:
    """Give every candidate its reason, and ``chosen`` to one."""
    rivals = [c for c in candidates if (c.features, c.states) == (chosen.features, chosen.states)]
    near = {c.k for c in _near_best(rivals)}
    return [replace(c, chosen=c is chosen, reason=_reason(c, chosen, c.k in near)) for c in candidates]


def _reason(candidate: Candidate, chosen: Candidate, is_near: bool) -> str:
    missed = faults(candidate)
    if candidate is chosen and missed:
        return LEAST_BAD + "; ".join(missed)
    if candidate is chosen and candidate.undivided:
        return "chosen: nothing divides the customers outside the structural segments acceptably"
    if candidate is chosen:
        return f"chosen: balanced, repeatable, silhouette {candidate.silhouette:.2f} best or near it"
    if missed:
        return "not admissible: " + "; ".join(missed)
    if candidate.undivided:
        return "leaves everyone outside the structural segments undivided"
    if (candidate.features, candidate.states) != (chosen.features, chosen.states):
        return f"silhouette {candidate.silhouette:.2f}, but other features or states divide customers as well or better"
    if is_near:
        why = "are more to act on" if candidate.k < chosen.k else "serve as well"
        return f"silhouette {candidate.silhouette:.2f} would do, but {chosen.k} segments {why}"
    return f"silhouette {candidate.silhouette:.2f}, below {chosen.silhouette:.2f}"


def selection_table(candidates: list[Candidate]) -> pd.DataFrame:
    """Lay candidates out as a table, one row each."""
    rows = [
        {
            "k": c.k,
            "features": ", ".join(map(str, c.features)),
            "structural": ", ".join(c.states),
            **{name: getattr(c, name) for name in FIGURES},
            "effective_segments": c.effective,
            "stability_ari": c.stability.ari,
            "smallest_jaccard": c.smallest_jaccard,
            "chosen": c.chosen,
            "reason": c.reason,
        }
        for c in candidates
    ]
    return pd.DataFrame(rows)


def chosen_faults(table: pd.DataFrame) -> str | None:
    """Return which limits the chosen one of :func:`selection_table` misses, in words; None if it meets all."""
    reason = str(table.loc[table["chosen"], "reason"].iloc[0])
    return reason.removeprefix(LEAST_BAD) if reason.startswith(LEAST_BAD) else None


def chosen_subset(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of :func:`selection_table` on the features and states of the chosen one: one row per k."""
    chosen = table[table["chosen"]].iloc[0]
    return table[(table["features"] == str(chosen["features"])) & (table["structural"] == str(chosen["structural"]))]
