"""Which of an axis's features divide its customers: all of them, or the most that do so acceptably.

Belongs here: the order in which sets of features and of structural states are tried. Does not: how one is measured
(``prepared_sample``, ``candidates``), what is acceptable (``selection``).
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from quimbi_assets.clustering.candidates import Candidate
from quimbi_assets.clustering.prepared_sample import PreparedSample
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

Names = tuple[str, ...]


class ChampionSetup(NamedTuple):
    """How the model that serves divides customers: position of its sample, features in their order, segments."""

    sample: int
    features: Names
    k: int


Measure = Callable[[int, Names], list[Candidate]]


def search_subsets(samples: Sequence[PreparedSample], setup: ChampionSetup | None = None) -> list[Candidate]:
    """Find the structural states, the features and the number of segments to use.

    Parameters
    ----------
    samples : sequence of PreparedSample
        At least one, in order of preference.
    setup : ChampionSetup, optional
        The champion's, which is kept where it still divides customers acceptably.

    Returns
    -------
    list of Candidate
        All that were measured, with reasons; one is chosen.

    Notes
    -----
    The champion's features and states come first, and there its number of segments where noise alone decides. Then all
    features come, in every sample. Where that divides nobody acceptably, features are left out (see ``_narrow``). Where
    nothing divides the customers outside the structural segments, they stay together; where there are no such segments
    either, what misses the limits least is used and says so.
    """
    measured: dict[tuple[int, Names], list[Candidate]] = {}

    def measure(sample: int, names: Names) -> list[Candidate]:
        if (sample, names) not in measured:
            measured[sample, names] = samples[sample].measure(names)
        return measured[sample, names]

    chosen = _division(samples, setup, measure)
    every = [candidate for candidates in measured.values() for candidate in candidates]
    if chosen is None:
        familiar = [c for c in measure(setup.sample, setup.features) if c.k == setup.k] if setup else []
        chosen = _for_want_of_a_division(every, familiar)
    return explain(every, chosen)


def _division(samples: Sequence[PreparedSample], setup: ChampionSetup | None, measure: Measure) -> Candidate | None:
    """Return the first acceptable division."""
    if setup is not None:
        chosen = best_division(measure(setup.sample, setup.features), setup.k)
        if chosen is not None:
            return chosen
    for i, sample in enumerate(samples):
        chosen = best_division(measure(i, sample.features))
        if chosen is not None:
            return chosen
    for i, sample in enumerate(samples):
        chosen = _narrow(i, sample, measure)
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


def _narrow(i: int, sample: PreparedSample, measure: Measure) -> Candidate | None:
    """Leave out features one by one until customers divide; the division, if any.

    Features that differ between customers in unrelated ways make a round cloud, however real each of them is: six
    features of shopping hours have silhouette 0.24, without the season 0.28. The feature left out is the one without
    which customers divide best, the later declared of nearly equals. If leaving out one is not enough, the search goes
    on from where the limits are missed least, down to two features.
    """
    names = sample.features
    while len(names) > MIN_FEATURES and not sample.fixed.issuperset(names):
        left_out = [name for name in reversed(names) if name not in sample.fixed]
        narrower = [measure(i, tuple(n for n in names if n != name)) for name in left_out]
        divisions = [division for division in map(best_division, narrower) if division is not None]
        if divisions:
            best = max(division.silhouette for division in divisions)
            return next(division for division in divisions if division.silhouette >= best - NEAR_BEST)
        names = min(narrower, key=_least_shortfall)[0].features
    return None


def _least_shortfall(candidates: list[Candidate]) -> float:
    return round(min((shortfall(c) for c in candidates if not c.undivided), default=float("inf")), 6)
