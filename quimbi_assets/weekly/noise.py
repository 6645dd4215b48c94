"""What is news and what is noise: how unusual a silence is for a customer, and thresholds learnt from quiet weeks.

Belongs here: the surprisal of a silence, days on which the store was closed, who has lapsed; learning from weeks in
which customers did nothing new. Does not: what follows for anybody (``compare``, ``notifications``).

Time moves everybody's recency features every day; that alone is no news. It is news when a customer who ordered
every five days has not for a fortnight, and none when one who orders twice a year has not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import gammaincc

from quimbi_assets.weekly.causes import ACTED, NEW, SILENT

Array = NDArray[np.float64]

RHYTHM_AXIS = "purchase_frequency"
"""The axis whose features say how regularly a customer orders; where it is weak, nobody lapses."""
FEWEST_ORDERS = 4
"""Assumption: three gaps are the least that make a rhythm."""
PRIOR_GAPS, PRIOR_VARIATION = 1.0, 1.0
"""Before anything is known of a customer their gaps vary as if orders came at random, with the weight of one gap."""
MOST = 50.0
LOOK_BACK_DAYS = 90
CLOSED_RUN_DAYS = 3
"""Fewest days on end without an order that may be a closure: a store that never ships on Sundays is not closed."""
UNLIKELY = 9.2
"""Orders expected in such a run from which it is no chance: ``exp(-9.2)`` is one in ten thousand."""
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


def surprisal(frequency: pd.DataFrame, closed: NDArray[np.bool_]) -> Array:
    """Return how unlikely each customer's present silence would be if nothing had changed, shape (n,).

    ``-log10`` of the probability that a gap of theirs lasts longer, 0 to 50; 1.3 is one in twenty. 0 for customers with
    fewer than four orders, who have no rhythm. ``frequency`` are the features of :data:`RHYTHM_AXIS`; ``closed`` says
    per day before the instant, the last first, whether the store was closed: those days are no silence.

    Gaps are gamma-distributed with the customer's mean (at least a day) and coefficient of variation; the latter is
    drawn towards 1, which is orders at random.
    """
    n_orders = frequency["n_orders"].to_numpy(dtype=np.float64)
    silent = frequency["days_since_last_order"].to_numpy(dtype=np.float64)
    mean = np.maximum(frequency["avg_days_between_orders"].to_numpy(dtype=np.float64), 1.0)
    variation = 1.0 / frequency["purchase_consistency"].to_numpy(dtype=np.float64) - 1.0
    n_gaps = n_orders - 1.0
    known = (n_orders >= FEWEST_ORDERS) & np.isfinite(variation) & np.isfinite(mean)
    squared = (n_gaps * variation**2 + PRIOR_GAPS * PRIOR_VARIATION**2) / (n_gaps + PRIOR_GAPS)
    shape = 1.0 / np.where(known, squared, 1.0)
    n_closed = np.concatenate([[0.0], np.cumsum(closed)])
    closed_since = n_closed[np.minimum(np.nan_to_num(silent), len(closed)).astype(np.int64)]
    open_days = np.maximum(silent - closed_since, 0.0)
    tail = gammaincc(shape, shape * np.where(known, open_days / mean, 0.0))
    return np.where(known, np.minimum(-np.log10(np.maximum(tail, 1e-300)), MOST), 0.0)


def lapsed(
    cause: NDArray[np.str_], only_wrote: NDArray[np.bool_], surprisals: Array, before: NDArray[np.bool_], level: float
) -> NDArray[np.bool_]:
    """Return who has lapsed by a week's end, given who had by its beginning, shape (n,).

    Once lapsed (a surprisal above the level), a customer is so until they order or are refunded, wherever the level
    moves to meanwhile. Who ``only_wrote`` ends no lapse by it, and begins none in that week.
    """
    stays = before & ((cause != ACTED) | only_wrote)
    return np.asarray(stays | ((cause == SILENT) & (surprisals > level)), dtype=np.bool_)


def closed_days(orders_a_day: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return on which of the last 90 days before an instant, the last day first, the store was closed.

    Days of a run of three or more without any order, in which ten or so would have been expected. Nobody could order
    then, or the orders are missing: it says nothing about any customer.
    """
    empty = orders_a_day == 0
    edges = np.flatnonzero(np.diff(np.concatenate([[False], empty, [False]]).astype(np.int8)))
    closed = np.zeros(len(empty), dtype=np.bool_)
    for start, stop in edges.reshape(-1, 2):
        if stop - start >= CLOSED_RUN_DAYS and (stop - start) * orders_a_day.mean() > UNLIKELY:
            closed[start:stop] = True
    return closed


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
        """Drift of the farthest migration that an act caused, weak axes left out; 0 without."""

    def drift_on(self, axis: str) -> Array | None:
        """Return how far each moved on an axis, NaN where not known; None if the axis was not there."""


@dataclass(frozen=True)
class NoiseThresholds:
    """The thresholds of one store as of one week.

    ``lead``, by axis: how much more a customer must belong to another segment than to their stable one, 0.02 to 0.5.
    ``surprisal``: beyond it a customer has lapsed, 1.3 to 6. ``acted``: drift beyond which what an act did is worth
    an alert, at least 0.5. They were learnt from ``n_weeks`` weeks, and from ``n_quiet`` customers' weeks among these
    in which nothing new happened.
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
    """Return the drift by acts that 99.75 % of customers' weeks do not exceed, at least 0.5."""
    scores = np.concatenate([np.empty(0), *(week.acted_score[week.cause != NEW] for week in weeks)])
    return max(float(np.quantile(scores, 1.0 - ACTED_RATE)), LEAST_MOVE) if len(scores) else LEAST_MOVE
