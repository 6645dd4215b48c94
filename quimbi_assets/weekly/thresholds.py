"""What is noise in this store, learnt from weeks in which customers did nothing new.

Belongs here: learning the thresholds. Does not: applying them (``compare``, ``notifications``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from quimbi_assets.weekly.causes import NEW, SILENT

Array = NDArray[np.float64]

QUIET_QUANTILE = 0.99
LEAD_RANGE = (0.02, 0.5)
LAPSE_RATE = 0.005
"""Share of customers who may be called lapsed in an ordinary week; half of what could be borne."""
SURPRISAL_RANGE = (1.3, 6.0)
"""A silence that every twentieth gap of the customer exceeds is never news."""
ACTED_RATE = 0.0025
LEAST_MOVE = 0.5
"""Drift from which a move is significant, the least an alert is about."""
FEWEST_WEEKS = 4
"""Weeks before this one from which thresholds are learnt from those alone."""


class ComparedWeek(Protocol):
    """A week that was compared with the one before, n customers in one order."""

    @property
    def cause(self) -> NDArray[np.str_]:
        """Why each moved."""

    @property
    def surprisal_before(self) -> Array:
        """Of their silence at the week's beginning."""

    @property
    def surprisal(self) -> Array:
        """Of their silence at its end."""

    @property
    def acted_score(self) -> Array:
        """Drift of the farthest migration that an order caused, weak axes left out; 0 without."""

    def drift_on(self, axis: str) -> Array | None:
        """Return how far each moved on an axis, NaN where not known; None if the axis was not there."""


@dataclass(frozen=True)
class NoiseThresholds:
    """The thresholds of one store as of one week.

    Parameters
    ----------
    lead : mapping of axis to float
        How much more a customer must belong to another segment than to their stable one, 0.02 to 0.5.
    surprisal : float
        Surprisal (``inactivity.surprisal``) beyond which a customer has lapsed, 1.3 to 6.
    acted : float
        Drift beyond which what an order did is worth an alert, at least 0.5.
    n_weeks : int
        Weeks they were learnt from.
    n_quiet : int
        Customers' weeks among these in which nothing new happened.
    """

    lead: Mapping[str, float]
    surprisal: float
    acted: float
    n_weeks: int
    n_quiet: int


def weeks_to_learn_from(earlier: Sequence[ComparedWeek], current: ComparedWeek) -> list[ComparedWeek]:
    """Return the weeks to learn from: those before, and this one too while they are fewer than four."""
    return list(earlier) if len(earlier) >= FEWEST_WEEKS else [*earlier, current]


def learn_lead(weeks: Sequence[ComparedWeek], axis: str) -> float:
    """Return the 99 % quantile of a week's drift of customers who did nothing, held to 0.02-0.5."""
    drifts = [drift[week.cause == SILENT] for week in weeks if (drift := week.drift_on(axis)) is not None]
    known = np.concatenate([np.empty(0), *(drift[~np.isnan(drift)] for drift in drifts)])
    return float(np.clip(np.quantile(known, QUIET_QUANTILE), *LEAD_RANGE)) if len(known) else LEAD_RANGE[0]


def learn_surprisal(weeks: Sequence[ComparedWeek]) -> float:
    """Return the least surprisal that at most 0.5 % of customers come to exceed in an ordinary (the median) week."""
    grid = np.round(np.arange(SURPRISAL_RANGE[0], SURPRISAL_RANGE[1] + 0.05, 0.1), 1)
    rates = np.median([_crossing_rates(week, grid) for week in weeks], axis=0)
    within = np.flatnonzero(rates <= LAPSE_RATE)
    return float(grid[within[0]]) if len(within) else SURPRISAL_RANGE[1]


def _crossing_rates(week: ComparedWeek, levels: Array) -> Array:
    """Return the share of a week's customers whose silence came to exceed each level."""
    silent = week.cause == SILENT
    now = np.sort(week.surprisal[silent])
    throughout = np.sort(np.minimum(week.surprisal_before[silent], week.surprisal[silent]))
    crossed = np.searchsorted(throughout, levels, side="right") - np.searchsorted(now, levels, side="right")
    return crossed / max(int((week.cause != NEW).sum()), 1)


def learn_acted(weeks: Sequence[ComparedWeek]) -> float:
    """Return the drift by orders that 99.75 % of customers' weeks do not exceed, at least 0.5."""
    scores = np.concatenate([np.empty(0), *(week.acted_score[week.cause != NEW] for week in weeks)])
    return max(float(np.quantile(scores, 1.0 - ACTED_RATE)), LEAST_MOVE) if len(scores) else LEAST_MOVE
