"""How the level of risk moves right now, for a store that has no year before to compare with.

Belongs here: reading it off the freshest outcomes. Does not: stores that have one (``season``).

The latest customers whose H days are over were known H days ago. Half of H ago there were customers of whom half an
outcome is known: whether they ordered since. A small model of that half outcome says whether they stay away more, or
less, than those before them did in theirs.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from quimbi_assets.churn.additive import AdditiveLogistic
from quimbi_assets.churn.design import design_matrix
from quimbi_assets.churn.season import moved

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Trend:
    """Customers at several cuts and the first half of what they did next.

    Parameters
    ----------
    features : DataFrame of n rows
        From ``history.measure``.
    away : ndarray of bool, shape (n,)
        Whether they stayed away for half a horizon.
    newest, latest : ndarray of bool, shape (n,)
        Rows of half a horizon ago, and of a whole one.
    horizon_days : int
        H.
    """

    features: pd.DataFrame
    away: Flags
    newest: Flags
    latest: Flags
    horizon_days: int

    def shift(self, log_odds: Callable[[pd.DataFrame], Array]) -> float:
        """Return how far the log odds of staying away moved in half a horizon; ``log_odds`` is of no use here."""
        terms = design_matrix(self.features, self.horizon_days)
        half = AdditiveLogistic().fit(terms, self.away).decision_function(terms)
        return moved((half[self.newest], self.away[self.newest]), (half[self.latest], self.away[self.latest]))
