"""What is noise in this store, learnt from weeks in which customers did nothing new.

Belongs here: learning the floors. Does not: applying them (``comparison``, ``alerts``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from quimbi_assets.weekly.causes import NEW, SILENT

DRIFT = "drift:"
QUIET_QUANTILE = 0.99
LEAD_RANGE = (0.02, 0.5)
SILENT_RATE = 0.005
"""Share of customers who may be called fallen silent in an ordinary week; half of what could be borne."""
SILENCE_RANGE = (1.3, 6.0)
"""A silence that every twentieth gap of the customer exceeds is never news."""
ACTED_RATE = 0.0025
LEAST_MOVE = 0.5
"""Drift from which a move is significant, the least an alert is about."""
FEWEST_WEEKS = 4
"""Weeks before this one from which floors are learnt from those alone."""


@dataclass(frozen=True)
class Floors:
    """The floors of one store as of one week.

    Parameters
    ----------
    lead : mapping of axis to float
        How much more a customer must belong to another segment than to the one they are settled in, 0.02 to 0.5.
    silence : float
        Surprise (``silence.surprise``) beyond which a customer has fallen silent, 1.3 to 6.
    acted : float
        Drift beyond which what an order did is worth an alert, at least 0.5.
    n_weeks : int
        Weeks they were learnt from.
    n_quiet : int
        Customers' weeks among these in which nothing new happened.
    """

    lead: Mapping[str, float]
    silence: float
    acted: float
    n_weeks: int
    n_quiet: int


def learnt_from(earlier: Sequence[pd.DataFrame], current: pd.DataFrame) -> list[pd.DataFrame]:
    """Return the weeks to learn from: those before, and this one too while they are fewer than four."""
    return list(earlier) if len(earlier) >= FEWEST_WEEKS else [*earlier, current]


def learn_floors(weeks: Sequence[pd.DataFrame], axes: Sequence[str]) -> Floors:
    """Learn a store's floors.

    Parameters
    ----------
    weeks : sequence of DataFrame, one or more
        A row a customer: ``drift:<axis>``, ``cause``, ``surprise_before``, ``surprise`` and ``acted_score``.
    axes : sequence of str
        Axes that need a floor.

    Returns
    -------
    Floors
    """
    quiet = [week[(week["cause"] == SILENT).to_numpy()] for week in weeks]
    return Floors(
        lead={axis: _lead([week[DRIFT + axis] for week in quiet if DRIFT + axis in week]) for axis in axes},
        silence=_silence(weeks),
        acted=_acted(weeks),
        n_weeks=len(weeks),
        n_quiet=sum(map(len, quiet)),
    )


def _lead(drifts: Sequence[pd.Series]) -> float:
    """The 99 % quantile of a week's drift of customers who did nothing."""
    drift = np.concatenate([np.empty(0), *(d.dropna().to_numpy(dtype=np.float64) for d in drifts)])
    return float(np.clip(np.quantile(drift, QUIET_QUANTILE), *LEAD_RANGE)) if len(drift) else LEAD_RANGE[0]


def _silence(weeks: Sequence[pd.DataFrame]) -> float:
    """The least surprise that at most 0.5 % of customers come to exceed in an ordinary (the median) week."""
    grid = np.round(np.arange(SILENCE_RANGE[0], SILENCE_RANGE[1] + 0.05, 0.1), 1)
    rates = np.median([_crossing_rates(week, grid) for week in weeks], axis=0)
    within = np.flatnonzero(rates <= SILENT_RATE)
    return float(grid[within[0]]) if len(within) else SILENCE_RANGE[1]


def _crossing_rates(week: pd.DataFrame, levels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the share of a week's customers whose silence came to exceed each level."""
    known = week[(week["cause"] != NEW).to_numpy()]
    silent = known[(known["cause"] == SILENT).to_numpy()]
    before, now = silent["surprise_before"].to_numpy()[:, None], silent["surprise"].to_numpy()[:, None]
    return ((before <= levels) & (now > levels)).sum(axis=0) / max(len(known), 1)


def _acted(weeks: Sequence[pd.DataFrame]) -> float:
    scores = np.concatenate(
        [w.loc[w["cause"] != NEW, "acted_score"].to_numpy(dtype=np.float64) for w in weeks if "acted_score" in w]
        or [np.empty(0)]
    )
    return max(float(np.quantile(scores, 1.0 - ACTED_RATE)), LEAST_MOVE) if len(scores) else LEAST_MOVE
