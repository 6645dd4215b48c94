"""Which of an axis's features divide its customers: all of them, or the most that do so acceptably.

Belongs here: the order in which sets of features and of structural states are tried. Does not: how one is measured
(``candidates``), what is acceptable (``selection``).
"""

from collections.abc import Callable
from dataclasses import dataclass

from quimbi_assets.clustering.candidates import Candidate
from quimbi_assets.clustering.selection import (
    NEAR_BEST,
    NEAR_LEAST_BAD,
    best_division,
    explain,
    faults,
    shortfall,
)

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


@dataclass(frozen=True)
class Incumbent:
    """How the model that serves divides customers.

    Parameters
    ----------
    view : View
        Its view.
    features : tuple of str
        Its features, some of ``view.features`` in their order.
    k : int
        Its number of segments.
    """

    view: View
    features: tuple[str, ...]
    k: int


Measure = Callable[[View, tuple[str, ...]], list[Candidate]]


def search_views(views: list[View], incumbent: Incumbent | None = None) -> list[Candidate]:
    """Find the view, the features and the number of segments to use.

    Parameters
    ----------
    views : list of View
        At least one, in order of preference.
    incumbent : Incumbent, optional
        The champion's way, which is kept where it still divides customers acceptably.

    Returns
    -------
    list of Candidate
        All that were measured, with reasons; one is chosen.

    Notes
    -----
    The champion's features and states come first, and there its number of segments where noise alone decides. Then all
    features come, in every view. Where that divides nobody acceptably, features are left out (see ``_narrow``). Where
    nothing divides the customers outside the structural segments, they stay together; where there are no such segments
    either, what misses the limits least is used and says so.
    """
    measured: dict[tuple[View, tuple[str, ...]], list[Candidate]] = {}

    def measure(view: View, names: tuple[str, ...]) -> list[Candidate]:
        if (view, names) not in measured:
            measured[view, names] = view.measure(names)
        return measured[view, names]

    chosen = _division(views, incumbent, measure)
    found = [candidate for candidates in measured.values() for candidate in candidates]
    if chosen is None:
        familiar = [c for c in measure(incumbent.view, incumbent.features) if c.k == incumbent.k] if incumbent else []
        chosen = _for_want_of_a_division(found, familiar)
    return explain(found, chosen)


def _division(views: list[View], incumbent: Incumbent | None, measure: Measure) -> Candidate | None:
    """Return the first acceptable division."""
    if incumbent is not None:
        chosen = best_division(measure(incumbent.view, incumbent.features), incumbent.k)
        if chosen is not None:
            return chosen
    for view in views:
        chosen = best_division(measure(view, view.features))
        if chosen is not None:
            return chosen
    for view in views:
        chosen = _narrow(view, measure)
        if chosen is not None:
            return chosen
    return None


def _for_want_of_a_division(measured: list[Candidate], familiar: list[Candidate]) -> Candidate:
    """Keep customers together, or take what misses the limits least; of nearly equals what is familiar."""
    together = [c for c in measured if c.undivided and not faults(c)]
    if together:
        return together[0]
    least_bad = min(measured, key=lambda c: round(shortfall(c), 6))
    return next((c for c in familiar if shortfall(c) <= shortfall(least_bad) + NEAR_LEAST_BAD), least_bad)


def _narrow(view: View, measure: Measure) -> Candidate | None:
    """Leave out features one by one until customers divide; the division, if any.

    Features that differ between customers in unrelated ways make a round cloud, however real each of them is: six
    features of shopping hours have silhouette 0.24, without the season 0.28. The feature left out is the one without
    which customers divide best, the later declared of nearly equals. If leaving out one is not enough, the search goes
    on from where the limits are missed least, down to two features.
    """
    names = view.features
    while len(names) > MIN_FEATURES and not view.fixed.issuperset(names):
        left_out = [name for name in reversed(names) if name not in view.fixed]
        narrower = [measure(view, tuple(n for n in names if n != name)) for name in left_out]
        divisions = [found for found in map(best_division, narrower) if found is not None]
        if divisions:
            best = max(found.silhouette for found in divisions)
            return next(found for found in divisions if found.silhouette >= best - NEAR_BEST)
        names = min(narrower, key=_least_shortfall)[0].features
    return None


def _least_shortfall(candidates: list[Candidate]) -> float:
    return round(min((shortfall(c) for c in candidates if not c.undivided), default=float("inf")), 6)
