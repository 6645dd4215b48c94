"""Which of an axis's features divide its customers: all of them, or the most that do so acceptably.

Belongs here: the order in which sets of features and of structural states are tried. Does not: how one is measured
(``candidates``), what is acceptable (``selection``).
"""

from collections.abc import Callable
from dataclasses import dataclass

from quimbi_assets.clustering.candidates import Candidate
from quimbi_assets.clustering.selection import NEAR_BEST, best_division, explain, faults, shortfall

MIN_FEATURES = 2
"""Fewest features that make an axis."""


@dataclass(frozen=True)
class View:
    """A way to look at an axis's customers.

    Parameters
    ----------
    features : tuple of str
        Clustering features in declared order.
    fixed : frozenset of str
        Those that tell a structural state, which are always used.
    measure : callable
        ``features -> candidates by increasing k``: fits and measures one partition per number of segments.
    """

    features: tuple[str, ...]
    fixed: frozenset[str]
    measure: Callable[[tuple[str, ...]], list[Candidate]]


def search_views(views: list[View]) -> list[Candidate]:
    """Find the view, the features and the number of segments to use.

    Parameters
    ----------
    views : list of View
        At least one, in order of preference.

    Returns
    -------
    list of Candidate
        All that were measured, with reasons; one is chosen.

    Notes
    -----
    All features come first, in every view. Where that divides nobody acceptably, features are left out (see
    ``_narrow``). Where nothing divides the customers outside the structural segments, they stay together; where there
    are no such segments either, what misses the limits least is used and says so.
    """
    measured: list[Candidate] = []
    whole: list[list[Candidate]] = []
    for view in views:
        whole.append(view.measure(view.features))
        measured += whole[-1]
        chosen = best_division(whole[-1])
        if chosen is not None:
            return explain(measured, chosen)
    for view in views:
        chosen, tried = _narrow(view)
        measured += tried
        if chosen is not None:
            return explain(measured, chosen)
    together = [c for c in measured if c.undivided and not faults(c)]
    least_bad = min(measured, key=lambda c: round(shortfall(c), 6))
    return explain(measured, together[0] if together else least_bad)


def _narrow(view: View) -> tuple[Candidate | None, list[Candidate]]:
    """Leave out features one by one until customers divide; the division, if any, and all that was measured.

    Features that differ between customers in unrelated ways make a round cloud, however real each of them is: six
    features of shopping hours have silhouette 0.24, without the season 0.28. The feature left out is the one without
    which customers divide best, the later declared of nearly equals. If leaving out one is not enough, the search goes
    on from where the limits are missed least, down to two features.
    """
    measured: list[Candidate] = []
    names = view.features
    while len(names) > MIN_FEATURES and not view.fixed.issuperset(names):
        left_out = [name for name in reversed(names) if name not in view.fixed]
        narrower = [view.measure(tuple(n for n in names if n != name)) for name in left_out]
        measured += [candidate for candidates in narrower for candidate in candidates]
        divisions = [found for found in map(best_division, narrower) if found is not None]
        if divisions:
            best = max(found.silhouette for found in divisions)
            return next(found for found in divisions if found.silhouette >= best - NEAR_BEST), measured
        names = min(narrower, key=_least_shortfall)[0].features
    return None, measured


def _least_shortfall(candidates: list[Candidate]) -> float:
    return round(min((shortfall(c) for c in candidates if not c.undivided), default=float("inf")), 6)
