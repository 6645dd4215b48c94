"""The test on unseen history: learn from earlier cuts, choose between kinds on one, judge on the last.

Belongs here: the split in time, the choice and the verdict. Does not: the model that serves (``training``).
"""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from quimbi_assets.churn.examples import Examples, gather, require_both
from quimbi_assets.churn.history import History, measure, stayed_away
from quimbi_assets.churn.measures import (
    Interval,
    auc,
    auc_difference,
    brier,
    calibration_bins,
    calibration_error,
    lift,
)
from quimbi_assets.churn.model import CURVES, LINES, SILENCE_ALONE, ChurnModel
from quimbi_assets.churn.untrainable import UntrainableError

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

CANDIDATES = (LINES, CURVES)
CHANCE = 0.5


@dataclass(frozen=True)
class Figures:
    """How one way to tell risk did on the test."""

    auc: Interval
    brier: float
    calibration_error: float
    lift: float


@dataclass(frozen=True)
class Trial:
    """What the last stretch of history says about a store's churn risk.

    Parameters
    ----------
    cut : Timestamp
        Naive UTC; the H days from it on were seen by no model here.
    horizon_days : int
        H.
    kind : str
        The kind chosen on earlier cuts.
    model, silence : Figures
        The chosen kind, and days since the last order alone, calibrated.
    base_brier : float
        Of everybody at the base rate of the latest training cut.
    difference : Interval
        AUC of the model less that of silence, on the same customers.
    bins, silence_bins : ndarray, shape (n_bins, 3)
        Mean risk, share that stayed away, customers.
    n_customers : int
    away_share : float
        Who stayed away.
    training : list of Timestamp
        Cuts learnt from, latest first.
    """

    cut: pd.Timestamp
    horizon_days: int
    kind: str
    model: Figures
    silence: Figures
    base_brier: float
    difference: Interval
    bins: Array
    silence_bins: Array
    n_customers: int
    away_share: float
    training: list[pd.Timestamp] = field(default_factory=list)

    @property
    def serves(self) -> str:
        """The kind that serves: the chosen one, unless silence alone ranks or tells better on unseen history."""
        beaten = self.difference.value < 0 or self.model.brier > self.silence.brier
        return SILENCE_ALONE if beaten else self.kind

    @property
    def weak_reason(self) -> str | None:
        """Why the risk says little about anybody: it ranks no better than chance; None where it does."""
        area = self.served.auc
        if area.low > CHANCE:
            return None
        return f"ranks customers no better than chance (AUC {area.value:.2f}, {area.low:.2f}-{area.high:.2f})"

    @property
    def served(self) -> Figures:
        """Figures of the kind that serves."""
        return self.silence if self.serves == SILENCE_ALONE else self.model


def fit_kind(kind: str, examples: Examples, horizon_days: int) -> ChurnModel:
    """Fit one kind of model on examples."""
    return ChurnModel(kind, horizon_days).fit(examples.features, examples.away, examples.latest, examples.drift)


def run_trial(history: History, sample: History, observation_end: pd.Timestamp, horizon_days: int) -> Trial:
    """Test on the last H days of history what was learnt before.

    Parameters
    ----------
    history : History
        Everybody, who are tested on.
    sample : History
        Whom to learn from.
    observation_end : Timestamp
        Naive UTC, exclusive.
    horizon_days : int
        H.

    Raises
    ------
    UntrainableError
        If the history does not reach, or nearly everybody did the same.
    """
    cut = observation_end - pd.Timedelta(days=horizon_days)
    examples = gather(sample, cut, horizon_days)
    if examples is None:
        raise UntrainableError(f"no instant of the past has {horizon_days} days of outcomes before the test")
    truth = stayed_away(history, cut, horizon_days)
    require_both(truth, cut, horizon_days)
    seen = measure(history, cut, horizon_days)
    kind = _chosen(sample, examples, horizon_days)
    risk, alone = (fit_kind(k, examples, horizon_days).risk(seen) for k in (kind, SILENCE_ALONE))
    # Silence ranks by the days themselves: its calibrated curve is flat at both ends and would rank worse.
    days = seen["days_since_last_order"].to_numpy(np.float64)
    base = np.full(len(truth), examples.away[examples.latest].mean())
    return Trial(
        cut=cut,
        horizon_days=horizon_days,
        kind=kind,
        model=figures(truth, risk, risk),
        silence=figures(truth, alone, days),
        base_brier=brier(truth, base),
        difference=auc_difference(truth, risk, days),
        bins=calibration_bins(truth, risk),
        silence_bins=calibration_bins(truth, alone),
        n_customers=len(truth),
        away_share=float(truth.mean()),
        training=examples.cuts,
    )


def figures(truth: Flags, risk: Array, rank: Array) -> Figures:
    """Judge risks; ``rank`` orders customers as they do, or more finely."""
    return Figures(auc(truth, rank), brier(truth, risk), calibration_error(truth, risk), lift(truth, rank))


def _chosen(sample: History, examples: Examples, horizon_days: int) -> str:
    """Choose the kind on the latest training cut, from what was known before its outcomes; straight lines if none."""
    try:
        earlier = gather(sample, examples.cuts[0], horizon_days)
    except UntrainableError:
        earlier = None
    if earlier is None:
        return LINES
    features, truth = examples.features[examples.latest], examples.away[examples.latest]
    scores = {kind: brier(truth, fit_kind(kind, earlier, horizon_days).risk(features)) for kind in CANDIDATES}
    return min(scores, key=lambda kind: scores[kind])
