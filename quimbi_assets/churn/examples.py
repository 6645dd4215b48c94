"""Customers at past cut-offs and what they did next: examples to learn from, and a hold-out to test on.

Belongs here: gathering them, refusing what cannot be learnt from, and one hold-out: learnt before it, the kind of model
chosen before it, held against what came. Does not: several hold-outs and the decision (``evaluation``), models
(``model``).
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from quimbi_assets.churn.cut_offs import rolling_cut_offs
from quimbi_assets.churn.history import History, measure, stayed_away
from quimbi_assets.churn.measures import brier
from quimbi_assets.churn.model import CURVES, LINES, RECENCY_BASELINE, ChurnModel, Season, Trend
from quimbi_assets.errors import InsufficientHistoryError

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

MOST_CUT_OFFS = 6
"""Half a horizon apart."""
YEAR_DAYS = 364
"""Whole weeks, so that the same weekdays are compared."""
FEWEST_OF_EACH = 25
"""Customers who came, and who stayed away, that a cut-off must have to say anything."""
CANDIDATES = (LINES, CURVES)


@dataclass(frozen=True)
class Examples:
    """Customers at several cut-offs, and what they did next.

    Parameters
    ----------
    features : DataFrame of n rows
        From ``history.measure``.
    away : ndarray of bool, shape (n,)
        Whether they stayed away.
    latest : ndarray of bool, shape (n,)
        Rows of the latest cut-off.
    cut_offs : list of Timestamp
        Latest first.
    drift : Season or Trend, optional
        The year before, where the history reaches; else the freshest half outcomes.
    """

    features: pd.DataFrame
    away: Flags
    latest: Flags
    cut_offs: list[pd.Timestamp]
    drift: Season | Trend | None = None


@dataclass(frozen=True)
class HoldOut:
    """What was said before H days of history about their n customers, and what happened.

    Parameters
    ----------
    cut_off : Timestamp
        Naive UTC; the H days from it on were seen by no model here.
    kind : str
        The kind chosen on earlier cut-offs.
    truth : ndarray of bool, shape (n,)
        Whether they stayed away.
    risk, baseline : ndarray, shape (n,)
        Probability of that, by the chosen kind and by the recency baseline.
    days : ndarray, shape (n,)
        Days since the last order.
    base_rate : float
        Share that stayed away after the latest training cut-off.
    training : list of Timestamp
        Cut-offs learnt from, latest first.
    """

    cut_off: pd.Timestamp
    kind: str
    truth: Flags
    risk: Array
    baseline: Array
    days: Array
    base_rate: float
    training: list[pd.Timestamp]


def gather(history: History, outcomes_known: pd.Timestamp, horizon_days: int) -> Examples | None:
    """Measure a history's customers at all cut-offs whose outcomes are known by an instant; None if there is none.

    Raises
    ------
    InsufficientHistoryError
        If too few came back, or stayed away, to learn anything.
    """
    half = horizon_days / 2
    cut_offs = rolling_cut_offs(
        history.first_order, outcomes_known, horizon_days, apart_days=half, most=MOST_CUT_OFFS, least_history_days=half
    )
    if not cut_offs:
        return None
    frames = [measure(history, cut_off, horizon_days) for cut_off in cut_offs]
    away = [stayed_away(history, cut_off, horizon_days) for cut_off in cut_offs]
    _require_both(away[0], cut_offs[0], horizon_days)
    latest = np.repeat(np.arange(len(cut_offs)) == 0, [len(frame) for frame in frames])
    drift = _season(history, outcomes_known, cut_offs[0], horizon_days) or _trend(
        history, outcomes_known, cut_offs, frames, horizon_days
    )
    return Examples(pd.concat(frames), np.concatenate(away), latest, cut_offs, drift)


def _season(history: History, scored: pd.Timestamp, latest: pd.Timestamp, horizon_days: int) -> Season | None:
    """Measure the year before; None where the store had no orders then, or nearly everybody did the same."""
    cut_offs = [cut_off - pd.Timedelta(days=YEAR_DAYS) for cut_off in (scored, latest)]
    if history.days_of_history(cut_offs[1]) < horizon_days / 2:
        return None
    frames = [measure(history, cut_off, horizon_days) for cut_off in cut_offs]
    away = [stayed_away(history, cut_off, horizon_days) for cut_off in cut_offs]
    if min(min(a.sum(), (~a).sum()) for a in away) < FEWEST_OF_EACH:
        return None
    return Season(frames[0], away[0], frames[1], away[1])


def _trend(
    history: History, scored: pd.Timestamp, cut_offs: list[pd.Timestamp], frames: list[pd.DataFrame], horizon_days: int
) -> Trend | None:
    """Measure the freshest half outcomes, beside those of the cut-offs; None where nearly everybody did the same."""
    half = horizon_days // 2
    newest = scored - pd.Timedelta(days=half)
    every = [measure(history, newest, horizon_days), *frames]
    away = [stayed_away(history, cut_off, half) for cut_off in (newest, *cut_offs)]
    if min(min(a.sum(), (~a).sum()) for a in away[:2]) < FEWEST_OF_EACH:
        return None
    place = np.repeat(np.arange(len(every)), [len(frame) for frame in every])
    return Trend(pd.concat(every), np.concatenate(away), place == 0, place == 1, horizon_days)


def _require_both(away: Flags, cut_off: pd.Timestamp, horizon_days: int) -> None:
    """Refuse outcomes that are nearly all the same."""
    counts = {"stayed away": int(away.sum()), "ordered again": int((~away).sum())}
    what, n = min(counts.items(), key=lambda item: item[1])
    if n < FEWEST_OF_EACH:
        raise InsufficientHistoryError(
            f"in the {horizon_days} days from {cut_off:%Y-%m-%d} on only {n} customers {what}, "
            f"fewer than {FEWEST_OF_EACH}"
        )


def fit_kind(kind: str, examples: Examples, horizon_days: int) -> ChurnModel:
    """Fit one kind of model on examples."""
    return ChurnModel(kind, horizon_days).fit(examples.features, examples.away, examples.latest, examples.drift)


def hold_out(history: History, sample: History, end: pd.Timestamp, horizon_days: int) -> HoldOut:
    """Learn from all that was known H days before ``end``, and hold it against these H days.

    Parameters
    ----------
    history : History
        The population, on whom it is tested; may reach beyond ``end``, which changes nothing.
    sample : History
        Whom to learn from.
    end : Timestamp
        Naive UTC, exclusive.

    Raises
    ------
    InsufficientHistoryError
        If the history does not reach, or nearly everybody did the same.
    """
    cut_off = end - pd.Timedelta(days=horizon_days)
    examples = gather(sample, cut_off, horizon_days)
    if examples is None:
        raise InsufficientHistoryError(f"no instant of the past has {horizon_days} days of outcomes before the test")
    truth = stayed_away(history, cut_off, horizon_days)
    _require_both(truth, cut_off, horizon_days)
    seen = measure(history, cut_off, horizon_days)
    kind = _chosen(sample, examples, horizon_days)
    risk, baseline = (fit_kind(k, examples, horizon_days).risk(seen) for k in (kind, RECENCY_BASELINE))
    return HoldOut(
        cut_off=cut_off,
        kind=kind,
        truth=truth,
        risk=risk,
        baseline=baseline,
        days=seen["days_since_last_order"].to_numpy(np.float64),
        base_rate=float(examples.away[examples.latest].mean()),
        training=examples.cut_offs,
    )


def _chosen(sample: History, examples: Examples, horizon_days: int) -> str:
    """Choose the kind on the latest training cut-off, as known before its outcomes; straight lines if nothing was."""
    try:
        earlier = gather(sample, examples.cut_offs[0], horizon_days)
    except InsufficientHistoryError:
        earlier = None
    if earlier is None:
        return LINES
    features, truth = examples.features[examples.latest], examples.away[examples.latest]
    scores = {kind: brier(truth, fit_kind(kind, earlier, horizon_days).risk(features)) for kind in CANDIDATES}
    return min(scores, key=lambda kind: scores[kind])
