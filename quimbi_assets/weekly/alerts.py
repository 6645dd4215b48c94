"""Whom to tell the store about: customers who have fallen silent, and those whom an order moved far.

Belongs here: the decision. Does not: telling anybody, nor how often the same customer may be named.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from quimbi_assets.weekly.causes import ACTED, SILENT
from quimbi_assets.weekly.floors import Floors
from quimbi_assets.weekly.silence import AXIS as RHYTHM_AXIS

NEWLY_AT_RISK, MOVED = "newly_at_risk", "moved"


def decide_alerts(week: pd.DataFrame, floors: Floors, weak: frozenset[str]) -> NDArray[np.object_]:
    """Return which alert each customer gives rise to, None for most.

    Parameters
    ----------
    week : DataFrame of n rows
        ``cause``, ``fallen_before`` and ``fallen`` (``silence.fallen_silent``), and ``acted_score`` (drift of the
        farthest migration that an order caused, weak axes left out).
    floors : Floors
        The store's.
    weak : frozenset of str
        Weak axes; on them nothing is an alert.

    Returns
    -------
    ndarray of str or None of shape (n,)
        ``newly_at_risk`` (cause: silent) in the week in which a silence becomes unusual for the customer, and not again
        before they order; ``moved`` (cause: acted) where an order moved them further than nearly all orders do. Moves
        that a changed model or corrected data made are never an alert.
    """
    at_risk = week["fallen"].to_numpy(dtype=bool) & ~week["fallen_before"].to_numpy(dtype=bool)
    at_risk &= (week["cause"] == SILENT).to_numpy()
    if RHYTHM_AXIS in weak:
        at_risk = np.zeros(len(week), dtype=np.bool_)
    score = week["acted_score"].to_numpy(dtype=np.float64)
    moved = (week["cause"] == ACTED).to_numpy() & (score >= floors.acted) & (score > 0)
    found = np.full(len(week), None, dtype=object)
    found[moved] = MOVED
    found[at_risk] = NEWLY_AT_RISK
    return found


def alert_causes(alerts: NDArray[np.object_]) -> NDArray[np.object_]:
    """Return the cause that each alert names, None where there is none."""
    causes = {NEWLY_AT_RISK: SILENT, MOVED: ACTED}
    return np.array([causes.get(alert) for alert in alerts], dtype=object)
