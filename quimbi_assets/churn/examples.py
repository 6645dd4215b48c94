"""Customers at past cuts, and what they did next: what a churn model learns from.

Belongs here: gathering them, and refusing what cannot be learnt from. Does not: models (``model``), the test
(``trial``).
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from quimbi_assets.churn.cuts import training_cuts
from quimbi_assets.churn.history import History, measure, stayed_away
from quimbi_assets.churn.season import YEAR_DAYS, Season
from quimbi_assets.churn.trend import Trend
from quimbi_assets.errors import InsufficientHistoryError

Flags = NDArray[np.bool_]

FEWEST_OF_EACH = 25
"""Customers who came, and who stayed away, that a cut must have to say anything."""


@dataclass(frozen=True)
class Examples:
    """Customers at several cuts, and what they did next.

    Parameters
    ----------
    features : DataFrame of n rows
        From ``history.measure``.
    away : ndarray of bool, shape (n,)
        Whether they stayed away.
    latest : ndarray of bool, shape (n,)
        Rows of the latest cut.
    cuts : list of Timestamp
        Latest first.
    drift : Season or Trend, optional
        The year before, where the history reaches; else the freshest half outcomes.
    """

    features: pd.DataFrame
    away: Flags
    latest: Flags
    cuts: list[pd.Timestamp]
    drift: Season | Trend | None = None


def gather(history: History, outcomes_known: pd.Timestamp, horizon_days: int) -> Examples | None:
    """Measure a history's customers at all cuts whose outcomes are known by an instant; None if there is none.

    Raises
    ------
    InsufficientHistoryError
        If too few came back, or stayed away, to learn anything.
    """
    cuts = training_cuts(history.first_order, outcomes_known, horizon_days)
    if not cuts:
        return None
    frames = [measure(history, cut, horizon_days) for cut in cuts]
    away = [stayed_away(history, cut, horizon_days) for cut in cuts]
    require_both(away[0], cuts[0], horizon_days)
    latest = np.repeat(np.arange(len(cuts)) == 0, [len(frame) for frame in frames])
    drift = _season(history, outcomes_known, cuts[0], horizon_days) or _trend(
        history, outcomes_known, cuts, frames, horizon_days
    )
    return Examples(pd.concat(frames), np.concatenate(away), latest, cuts, drift)


def _season(history: History, scored: pd.Timestamp, latest: pd.Timestamp, horizon_days: int) -> Season | None:
    """Measure the year before; None where the store had no orders then, or nearly everybody did the same."""
    cuts = [cut - pd.Timedelta(days=YEAR_DAYS) for cut in (scored, latest)]
    if history.days_of_history(cuts[1]) < horizon_days / 2:
        return None
    frames = [measure(history, cut, horizon_days) for cut in cuts]
    away = [stayed_away(history, cut, horizon_days) for cut in cuts]
    if min(min(a.sum(), (~a).sum()) for a in away) < FEWEST_OF_EACH:
        return None
    return Season(frames[0], away[0], frames[1], away[1])


def _trend(
    history: History, scored: pd.Timestamp, cuts: list[pd.Timestamp], frames: list[pd.DataFrame], horizon_days: int
) -> Trend | None:
    """Measure the freshest half outcomes, beside those of the cuts; None where nearly everybody did the same."""
    half = horizon_days // 2
    newest = scored - pd.Timedelta(days=half)
    every = [measure(history, newest, horizon_days), *frames]
    away = [stayed_away(history, cut, half) for cut in (newest, *cuts)]
    if min(min(a.sum(), (~a).sum()) for a in away[:2]) < FEWEST_OF_EACH:
        return None
    place = np.repeat(np.arange(len(every)), [len(frame) for frame in every])
    return Trend(pd.concat(every), np.concatenate(away), place == 0, place == 1, horizon_days)


def require_both(away: Flags, cut: pd.Timestamp, horizon_days: int) -> None:
    """Refuse outcomes that are nearly all the same."""
    counts = {"stayed away": int(away.sum()), "ordered again": int((~away).sum())}
    what, n = min(counts.items(), key=lambda item: item[1])
    if n < FEWEST_OF_EACH:
        raise InsufficientHistoryError(
            f"in the {horizon_days} days from {cut:%Y-%m-%d} on only {n} customers {what}, fewer than {FEWEST_OF_EACH}"
        )
