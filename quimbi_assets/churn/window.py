"""One window of H days as a test: learnt before it, the kind of model chosen before it, judged by what came.

Belongs here: one window. Does not: several of them and the verdict (``trial``), the model that serves (``training``).
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from quimbi_assets.churn.examples import Examples, gather, require_both
from quimbi_assets.churn.history import History, measure, stayed_away
from quimbi_assets.churn.measures import brier
from quimbi_assets.churn.model import CURVES, LINES, SILENCE_ALONE, ChurnModel
from quimbi_assets.errors import InsufficientHistoryError

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

CANDIDATES = (LINES, CURVES)


@dataclass(frozen=True)
class Window:
    """What was said before a window about its n customers, and what happened.

    Parameters
    ----------
    cut : Timestamp
        Naive UTC; the H days from it on were seen by no model here.
    kind : str
        The kind chosen on earlier cuts.
    truth : ndarray of bool, shape (n,)
        Whether they stayed away.
    risk, alone : ndarray, shape (n,)
        Probability of that, by the chosen kind and by days since the last order alone, calibrated.
    days : ndarray, shape (n,)
        Days since the last order.
    base_rate : float
        Share that stayed away after the latest training cut.
    training : list of Timestamp
        Cuts learnt from, latest first.
    """

    cut: pd.Timestamp
    kind: str
    truth: Flags
    risk: Array
    alone: Array
    days: Array
    base_rate: float
    training: list[pd.Timestamp]


def fit_kind(kind: str, examples: Examples, horizon_days: int) -> ChurnModel:
    """Fit one kind of model on examples."""
    return ChurnModel(kind, horizon_days).fit(examples.features, examples.away, examples.latest, examples.drift)


def try_window(history: History, sample: History, end: pd.Timestamp, horizon_days: int) -> Window:
    """Learn from all that was known H days before ``end``, and hold it against these H days.

    Parameters
    ----------
    history : History
        Everybody, who are tested on; may reach beyond ``end``, which changes nothing.
    sample : History
        Whom to learn from.
    end : Timestamp
        Naive UTC, exclusive.
    horizon_days : int
        H.

    Raises
    ------
    InsufficientHistoryError
        If the history does not reach, or nearly everybody did the same.
    """
    cut = end - pd.Timedelta(days=horizon_days)
    examples = gather(sample, cut, horizon_days)
    if examples is None:
        raise InsufficientHistoryError(f"no instant of the past has {horizon_days} days of outcomes before the test")
    truth = stayed_away(history, cut, horizon_days)
    require_both(truth, cut, horizon_days)
    seen = measure(history, cut, horizon_days)
    kind = _chosen(sample, examples, horizon_days)
    risk, alone = (fit_kind(k, examples, horizon_days).risk(seen) for k in (kind, SILENCE_ALONE))
    return Window(
        cut=cut,
        kind=kind,
        truth=truth,
        risk=risk,
        alone=alone,
        days=seen["days_since_last_order"].to_numpy(np.float64),
        base_rate=float(examples.away[examples.latest].mean()),
        training=examples.cuts,
    )


def _chosen(sample: History, examples: Examples, horizon_days: int) -> str:
    """Choose the kind on the latest training cut, from what was known before its outcomes; straight lines if none."""
    try:
        earlier = gather(sample, examples.cuts[0], horizon_days)
    except InsufficientHistoryError:
        earlier = None
    if earlier is None:
        return LINES
    features, truth = examples.features[examples.latest], examples.away[examples.latest]
    scores = {kind: brier(truth, fit_kind(kind, earlier, horizon_days).risk(features)) for kind in CANDIDATES}
    return min(scores, key=lambda kind: scores[kind])
