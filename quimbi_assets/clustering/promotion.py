"""Whether a new fit may take the champion's place: a rule on figures.

Belongs here: the rule and its words. Does not: measuring (``comparison``), moving aliases.
"""

from dataclasses import dataclass

MAX_CHURN = 0.02
"""Share of customers that may change segment though nothing about them changed."""
NOISE = 0.02
"""Drop of silhouette or bootstrap ARI that is never held against a candidate: the difference between two samples."""
SPREADS = 2.0
"""Standard deviations of a figure that count as noise."""
POPULATED = 0.02
"""Share of customers from which a retired segment's people are still there: that of the smallest segment admitted."""

CHECKS = ("label_churn", "silhouette", "stability", "no_segment_vanished")
"""What blocks promotion, in the order reasons are given."""


@dataclass(frozen=True)
class Comparison:
    """A candidate beside the champion, both scoring the same customers by the same features.

    Parameters
    ----------
    churn : float
        Share of customers whose segment id differs, 0-1.
    silhouette_change, silhouette_spread : float
        Mean difference of customers' silhouettes, candidate minus champion, and its standard deviation.
    stability_change, stability_spread : float
        Difference of bootstrap ARI, and its standard deviation over refits.
    vanished : tuple of (str, float)
        Retired segments with the share of customers they would hold today.
    n_segments : tuple of (int, int), optional
        Of the champion and of the candidate.
    """

    churn: float
    silhouette_change: float
    silhouette_spread: float
    stability_change: float
    stability_spread: float
    vanished: tuple[tuple[str, float], ...] = ()
    n_segments: tuple[int, int] | None = None


@dataclass(frozen=True)
class Decision:
    """Whether a fit serves from now on.

    Parameters
    ----------
    promoted : bool
        Whether it becomes champion.
    reason : str
        Why or why not, in words.
    failed : tuple of str
        Those of :data:`CHECKS` that it fails.
    comparison : Comparison, optional
        What was compared; None where there was nothing to compare with.
    """

    promoted: bool
    reason: str
    failed: tuple[str, ...] = ()
    comparison: Comparison | None = None


def decide(comparison: Comparison, *, by_hand: bool = False) -> Decision:
    """Decide on a candidate.

    Parameters
    ----------
    comparison : Comparison
        Candidate against champion.
    by_hand : bool
        Promote whatever the checks say: somebody looked at it.

    Returns
    -------
    Decision

    Examples
    --------
    >>> decide(Comparison(0.031, 0.0, 0.002, 0.0, 0.01)).reason
    '3.1% of customers would change segment though nothing about them changed (limit 2%)'
    >>> decide(Comparison(0.2, 0.0, 0.002, 0.0, 0.01, n_segments=(5, 4))).reason
    '4 segments instead of 5; 20.0% of customers would change segment though nothing about them changed (limit 2%)'
    >>> decide(Comparison(0.004, 0.01, 0.002, 0.0, 0.01)).reason
    'all checks passed: 0.4% of customers change segment, silhouette +0.010, stability +0.000'
    """
    faults = dict(zip(CHECKS, _faults(comparison), strict=True))
    failed = {name: text for name, text in faults.items() if text}
    words = "; ".join([*_other_number(comparison), *failed.values()] if failed else [])
    if by_hand:
        return Decision(True, f"accepted by hand: {words or 'all checks passed'}", tuple(failed), comparison)
    if failed:
        return Decision(False, words, tuple(failed), comparison)
    passed = (
        f"all checks passed: {comparison.churn:.1%} of customers change segment, "
        f"silhouette {comparison.silhouette_change:+.3f}, stability {comparison.stability_change:+.3f}"
    )
    return Decision(True, passed, (), comparison)


def _other_number(c: Comparison) -> list[str]:
    """Say that the number of segments differs, which nobody who reads shares alone would guess."""
    old, new = c.n_segments or (0, 0)
    return [f"{new} segments instead of {old}"] if old != new else []


def _faults(c: Comparison) -> tuple[str, str, str, str]:
    """What each check finds, in words; empty where it passes."""
    churn = f"{c.churn:.1%} of customers would change segment though nothing about them changed (limit {MAX_CHURN:.0%})"
    gone = ", ".join(f"{segment} ({share:.1%} of customers)" for segment, share in c.vanished if share >= POPULATED)
    return (
        churn if c.churn >= MAX_CHURN else "",
        _worse("silhouette", c.silhouette_change, c.silhouette_spread),
        _worse("stability", c.stability_change, c.stability_spread),
        f"segment vanished though its customers are still there: {gone}" if gone else "",
    )


def _worse(name: str, change: float, spread: float) -> str:
    noise = max(NOISE, SPREADS * spread)
    return f"{name} falls by {-change:.3f}, beyond noise ({noise:.3f})" if change < -noise else ""
