"""How the level of risk changes with the season: a gift shop's customers come back before Christmas and not after.

Belongs here: reading the change off the year before. Does not: what a model makes of a customer (``model``).

A model's level is set on the latest customers whose outcomes are known, who lived through another season than the ones
that are scored. Where the store has a year of orders and some more, the same two seasons of the year before say what
lies between them.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

YEAR_DAYS = 364
"""Whole weeks, so that the same weekdays are compared."""
LEAST_RATE = 1e-4


@dataclass(frozen=True)
class Season:
    """Customers a year before those that are scored, and a year before the latest ones trained on.

    Parameters
    ----------
    features, before : DataFrame
        From ``history.measure``.
    away, away_before : ndarray of bool
        Whether they stayed away.
    """

    features: pd.DataFrame
    away: Flags
    before: pd.DataFrame
    away_before: Flags

    def shift(self, log_odds: Callable[[pd.DataFrame], Array]) -> float:
        """Return how much higher the log odds of staying away were than in the season before, beyond what a model says.

        Parameters
        ----------
        log_odds : callable
            The model's, without its level.
        """
        return moved((log_odds(self.features), self.away), (log_odds(self.before), self.away_before))


def level(log_odds: Array, rate: float) -> float:
    """Return what to add to log odds so that their mean probability is ``rate``.

    Examples
    --------
    >>> round(level(np.zeros(3), 0.75), 4)  # log(3)
    1.0986
    """
    rate = float(np.clip(rate, LEAST_RATE, 1 - LEAST_RATE))
    span = 20 + float(np.abs(log_odds).max())
    return float(brentq(lambda by: expit(log_odds + by).mean() - rate, -span, span))


def moved(now: tuple[Array, Flags], then: tuple[Array, Flags]) -> float:
    """Return how far the level of staying away moved between two instants, as far as chance does not explain it.

    Parameters
    ----------
    now, then : (ndarray, ndarray of bool)
        Log odds that a model gives to the customers of each, and whether they stayed away.

    Notes
    -----
    The difference ``d`` of the two levels, shrunk to ``d max(0, 1 - v / d^2)`` with ``v`` the variance that chance
    gives it (James and Stein's positive part), so that a small store does not follow noise.
    """
    found = [_level_and_variance(*one) for one in (now, then)]
    difference, variance = found[0][0] - found[1][0], found[0][1] + found[1][1]
    if difference**2 <= variance:
        return 0.0
    return float(difference * (1 - variance / difference**2))


def _level_and_variance(log_odds: Array, away: Flags) -> tuple[float, float]:
    at = level(log_odds, float(away.mean()))
    risk = expit(log_odds + at)
    return at, 1 / max(float((risk * (1 - risk)).sum()), 1e-9)
