"""Customers at past cut-offs and what they did next: examples to learn from, and a hold-out to test on.

Belongs here: the horizon and the past instants, whose outcomes reach into no time that a model is tested on; gathering
examples, refusing what cannot be learnt from, and one hold-out: learnt before it, the kind of model chosen before it,
held against what came. Does not: several hold-outs and the decision (``evaluation``), models (``model``).
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from quimbi_assets.churn.history import History, measure, stayed_away
from quimbi_assets.churn.measures import Array, Flags, brier
from quimbi_assets.churn.model import CURVES, LINES, RECENCY_BASELINE, ChurnModel, Drift
from quimbi_assets.errors import InsufficientHistoryError

GAP_QUANTILE = 0.9
SHORTEST_DAYS, LONGEST_DAYS = 28, 182
"""A month of weeks, within which every weekday comes equally often; half a year."""
LEAST_DAYS = 14
"""Of a young store."""
PARTS_OF_HISTORY = 5
"""Horizons that the history must hold: one to test on, one to learn from, one to choose by, and two before them."""
MOST_CUT_OFFS = 6
"""Half a horizon apart."""
YEAR_DAYS = 364
"""Whole weeks, so that the same weekdays are compared."""
FEWEST_OF_EACH = 25
"""Customers who came, and who stayed away, that a cut-off must have to say anything."""
CANDIDATES = (LINES, CURVES)


@dataclass(frozen=True)
class Examples:
    """Customers at several cut-offs, the latest first, and what they did next.

    ``features`` are as ``history.measure`` returns them, of n rows; ``away``, shape (n,), says who stayed away,
    ``latest`` which rows are of the latest cut-off. ``drift`` is measured on the year before, where the history reaches
    that far, else on the freshest half outcomes.
    """

    features: pd.DataFrame
    away: Flags
    latest: Flags
    cut_offs: list[pd.Timestamp]
    drift: Drift | None = None


@dataclass(frozen=True)
class HoldOut:
    """What was said before H days of history about their n customers, and what happened.

    The H days from ``cut_off`` (naive UTC) on were seen by no model here; ``training`` are the cut-offs learnt from,
    latest first, and ``base_rate`` the share that stayed away after the latest. ``truth``, shape (n,), says who stayed
    away; ``risk`` and ``baseline`` are the probability of that, by the kind chosen on earlier cut-offs and by the
    recency baseline; ``days`` are those since the last order.
    """

    cut_off: pd.Timestamp
    kind: str
    truth: Flags
    risk: Array
    baseline: Array
    days: Array
    base_rate: float
    training: list[pd.Timestamp]


def rolling_cut_offs(
    first_order: pd.Timestamp,
    outcomes_known: pd.Timestamp,
    horizon_days: int,
    *,
    apart_days: float,
    most: int,
    least_history_days: float,
) -> list[pd.Timestamp]:
    """Return instants whose outcomes are known by ``outcomes_known``, the latest first; none in too short a history.

    Each has ``least_history_days`` of orders before it and ``horizon_days`` after it whose orders count.

    >>> start, end = pd.Timestamp("2024-01-01"), pd.Timestamp("2024-06-29")
    >>> cut_offs = rolling_cut_offs(start, end, 60, apart_days=30, most=6, least_history_days=30)
    >>> [f"{cut_off:%m-%d}" for cut_off in cut_offs]
    ['04-30', '03-31', '03-01', '01-31']
    """
    latest = outcomes_known - pd.Timedelta(days=horizon_days)
    cut_offs = [latest - i * pd.Timedelta(days=apart_days) for i in range(most)]
    return [cut_off for cut_off in cut_offs if cut_off - first_order >= pd.Timedelta(days=least_history_days)]


def choose_horizon(history: History, observation_end: pd.Timestamp) -> int:
    """Choose the horizon H of a store from its own gaps between orders: days, whole weeks, 14 to 182.

    Raises ``InsufficientHistoryError`` if nobody ever ordered twice, or the history is shorter than 70 days. ``H =
    min(max(28, q), 182, T / 5)`` rounded down to weeks, with ``q`` the 90 % quantile of all days between consecutive
    orders of a customer, and ``T`` the days from the store's first order to ``observation_end``: nine in ten of those
    who come back have done so within H, so that who has not is late by the store's own measure.
    """
    gaps = history.gap_days[~np.isnan(history.gap_days)]
    if not len(gaps):
        raise InsufficientHistoryError("no customer has ordered twice: who comes back cannot be learnt")
    days = history.days_of_history(observation_end)
    needed = LEAST_DAYS * PARTS_OF_HISTORY
    if days < needed:
        raise InsufficientHistoryError(
            f"{days:.0f} days of orders, fewer than the {needed} that learning who stays away takes"
        )
    usual = min(max(float(np.quantile(gaps, GAP_QUANTILE)), SHORTEST_DAYS), LONGEST_DAYS)
    return int(min(usual, days / PARTS_OF_HISTORY) // 7 * 7)


def gather(history: History, outcomes_known: pd.Timestamp, horizon_days: int) -> Examples | None:
    """Measure a history's customers at all cut-offs whose outcomes are known by an instant; None if there is none.

    Raises ``InsufficientHistoryError`` if too few came back, or stayed away, to learn anything.
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


def _season(history: History, scored: pd.Timestamp, latest: pd.Timestamp, horizon_days: int) -> Drift | None:
    """Measure the year before; None where the store had no orders then, or nearly everybody did the same."""
    cut_offs = [cut_off - pd.Timedelta(days=YEAR_DAYS) for cut_off in (scored, latest)]
    if history.days_of_history(cut_offs[1]) < horizon_days / 2:
        return None
    frames = [measure(history, cut_off, horizon_days) for cut_off in cut_offs]
    return _drift(frames, [stayed_away(history, cut_off, horizon_days) for cut_off in cut_offs])


def _trend(
    history: History, scored: pd.Timestamp, cut_offs: list[pd.Timestamp], frames: list[pd.DataFrame], horizon_days: int
) -> Drift | None:
    """Measure the freshest half outcomes, beside those of the cut-offs; None where nearly everybody did the same."""
    half = horizon_days // 2
    newest = scored - pd.Timedelta(days=half)
    away = [stayed_away(history, cut_off, half) for cut_off in (newest, *cut_offs)]
    return _drift([measure(history, newest, horizon_days), *frames], away, horizon_days)


def _drift(frames: list[pd.DataFrame], away: list[Flags], trend_days: int | None = None) -> Drift | None:
    if min(min(a.sum(), (~a).sum()) for a in away[:2]) < FEWEST_OF_EACH:
        return None
    place = np.repeat(np.arange(len(frames)), [len(frame) for frame in frames])
    return Drift(pd.concat(frames), np.concatenate(away), place == 0, place == 1, trend_days)


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
    """Learn from all that a sample showed H days before ``end``, and hold it against these H days of the population.

    What either history has beyond ``end`` (naive UTC, exclusive) changes nothing. Raises ``InsufficientHistoryError``
    if the history does not reach, or nearly everybody did the same.
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
