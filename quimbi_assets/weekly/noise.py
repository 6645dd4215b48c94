"""What is noise: thresholds learnt from weeks in which customers did nothing new.

Belongs here: past comparisons and what is learnt from them. Does not: how unusual a silence is (``silence``), what
follows for anybody (``compare``, ``notifications``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from quimbi_assets.axis_table import AxisTable, Facts
from quimbi_assets.weekly.causes import NEW, SILENT
from quimbi_assets.weekly.drift import Array
from quimbi_assets.weekly.rescore import Movement
from quimbi_assets.weekly.silence import LEAST_SURPRISAL, SilenceTest

QUIET_QUANTILE = 0.99
LEAD_RANGE = (0.02, 0.5)
LAPSE_RATE = 0.005
"""Share of customers who may be called lapsed in an ordinary week; half of what could be borne."""
SURPRISAL_RANGE = (LEAST_SURPRISAL, 6.0)
ACTED_RATE = 0.0025
LEAST_MOVE = 0.5
"""Drift from which a move is significant, the least an alert is about."""
FEWEST_WEEKS = 4
"""Weeks before this one from which thresholds are learnt from those alone."""


@dataclass(frozen=True)
class ComparisonFacts(Facts):
    """The week compared, and of the older snapshot its week and how many days lie between; None: it was the first."""

    week: str
    older: str | None = None
    days: float | None = None


class PastComparison:
    """A comparison at rest: columns of n customers, read as they are asked for."""

    def __init__(self, table: AxisTable) -> None:
        self.table = table
        self.facts = table.facts_as(ComparisonFacts)

    @cached_property
    def cause(self) -> NDArray[np.str_]:
        """Why each customer moved."""
        return np.asarray(self.table.read(["cause"])["cause"].to_numpy().astype(str))

    @property
    def surprisal_before(self) -> Array:
        """Of their silence at the week's beginning."""
        return self._numbers("surprisal_before")

    @property
    def surprisal(self) -> Array:
        """Of their silence at its end."""
        return self._numbers("surprisal")

    @property
    def acted_score(self) -> Array:
        """Drift of the farthest migration that an act of theirs caused."""
        return self._numbers("acted_score")

    def drift_on(self, axis: str) -> Array | None:
        """Return how far each moved on an axis, NaN where not known; None if the axis was not there."""
        if axis not in self.table.schema.names:
            return None
        return np.asarray(pc.struct_field(self.table.read([f"{axis}.drift"])[axis], "drift").to_numpy())

    def _numbers(self, name: str) -> Array:
        return np.asarray(self.table.read([name])[name].to_numpy())


@dataclass(frozen=True)
class NoiseThresholds:
    """The thresholds of one store as of one week.

    ``lead``, by axis: how much more a customer must belong to another segment than to their stable one, 0.02 to 0.5.
    ``surprisal``: beyond it a customer has lapsed, 1.3 to 6. ``acted``: drift beyond which what an act did is worth
    an alert, at least 0.5. They were learnt from ``n_weeks`` weeks, and from ``n_quiet`` customers' weeks among these
    in which nothing new happened. ``silence``: whether it tells anything in the store.
    """

    lead: Mapping[str, float]
    surprisal: float
    acted: float
    n_weeks: int
    n_quiet: int
    silence: SilenceTest


ComparedWeek = PastComparison | Movement


def weeks_to_learn_from(earlier: Sequence[PastComparison], current: Movement) -> list[ComparedWeek]:
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
