"""The churn model of a store: from what is visible of a customer to the risk that they stay away for H days.

Belongs here: the estimator that is saved whole, and its calibration in time. Does not: choosing between kinds
(``trial``), words for people (``profiles.risk_words``).
"""

from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit, logit
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from quimbi_assets.churn.additive import AdditiveLogistic
from quimbi_assets.churn.design import FACTS, SILENCE, TERMS, design_matrix
from quimbi_assets.churn.season import Season, level
from quimbi_assets.churn.silence import fit_silence
from quimbi_assets.churn.trend import Trend

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

LINES, CURVES, SILENCE_ALONE = "lines", "curves", "silence"
KINDS = (LINES, CURVES, SILENCE_ALONE)
"""Additive logistic regression of straight lines, of curves; days since the last order alone."""
STRENGTHS = {LINES: 1.0, CURVES: 0.1}
CALIBRATION_STRENGTH = 1.0
CERTAIN = 1e-4
"""No risk is nearer than this to 0 or 1: nothing a store's past shows is surer."""


class ChurnModel(ClassifierMixin, BaseEstimator):
    """Probability of no order within the next H days.

    Holds coefficients and curves only, no row of a customer.

    Parameters
    ----------
    kind : str
        One of :data:`KINDS`.
    horizon_days : int
        H.

    Attributes
    ----------
    classes_ : ndarray
        ``[False, True]``; True: stays away.
    additive_ : AdditiveLogistic or None
        Of the kinds that have one.
    calibration_ : AdditiveLogistic or None
        A curve of its log odds: where the sum of terms is too timid or too bold in the middle, it says so.
    shift_ : float
        Added to the log odds: sets the mean risk of the latest customers trained on to what happened to them, and adds
        ``drift_``.
    drift_ : float
        How the level is expected to have moved since: by the season, or, without a year before, as it moves now.
    curve_ : (ndarray, ndarray)
        Days since the last order and risk (:func:`quimbi_assets.churn.silence.fit_silence`).
    base_rate_ : float
        Share of the latest customers trained on who stayed away.
    n_fit_ : int
        Customers trained on, once for every cut.
    weak_reason_ : str or None
        Why its risk says little about anybody, as a test on unseen history found; None where it does.
    """

    def __init__(self, kind: str = CURVES, horizon_days: int = 28) -> None:
        self.kind = kind
        self.horizon_days = horizon_days

    def fit(self, X: pd.DataFrame, y: Flags, latest: Flags | None = None, drift: Season | Trend | None = None) -> Self:
        """Learn from customers at past instants.

        Parameters
        ----------
        X : DataFrame of n rows
            From ``history.measure``.
        y : ndarray of bool, shape (n,)
            Whether they stayed away.
        latest : ndarray of bool, shape (n,), optional
            Rows of the latest instant, which set the level: how many stay away drifts as a store ages. All by default.
        drift : Season or Trend, optional
            What tells how the level has moved since.
        """
        if self.kind not in KINDS:
            raise ValueError(f"unknown kind {self.kind!r}; there are {', '.join(KINDS)}")
        latest = np.ones(len(y), dtype=bool) if latest is None else latest
        self.classes_ = np.array([False, True])
        self.weak_reason_: str | None = None
        self.n_fit_, self.base_rate_ = len(y), float(np.mean(y[latest]))
        self.curve_ = fit_silence(X["days_since_last_order"].to_numpy(np.float64)[latest], y[latest])
        self.additive_, self.calibration_, self.shift_ = None, None, 0.0
        if self.kind != SILENCE_ALONE:
            terms = design_matrix(X, self.horizon_days)
            self.additive_ = AdditiveLogistic(self.kind == CURVES, STRENGTHS[self.kind]).fit(terms, y)
            summed = self.additive_.decision_function(terms)[:, None]
            self.calibration_ = AdditiveLogistic(strength=CALIBRATION_STRENGTH).fit(summed, y)
            self.shift_ = level(self.calibration_.decision_function(summed[latest]), self.base_rate_)
        self.drift_ = 0.0 if drift is None else drift.shift(self._log_odds)
        self.shift_ += self.drift_
        return self

    def _log_odds(self, X: pd.DataFrame) -> Array:
        """Return the log odds of staying away before their level is set, shape (n,)."""
        if self.additive_ is not None and self.calibration_ is not None:
            summed = self.additive_.decision_function(design_matrix(X, self.horizon_days))
            return self.calibration_.decision_function(summed[:, None])
        share = np.interp(X["days_since_last_order"].to_numpy(np.float64), *self.curve_)
        return np.asarray(logit(np.clip(share, CERTAIN, 1 - CERTAIN)))

    def risk(self, X: pd.DataFrame) -> Array:
        """Return the probability of staying away, shape (n,), 0.0001 to 0.9999."""
        check_is_fitted(self)
        return np.clip(expit(self._log_odds(X) + self.shift_), CERTAIN, 1 - CERTAIN)

    def predict_proba(self, X: pd.DataFrame) -> Array:
        """Return the probabilities of coming and of staying away, shape (n, 2)."""
        away = self.risk(X)
        return np.column_stack([1 - away, away])

    def predict(self, X: pd.DataFrame) -> Flags:
        """Return who more likely stays away, shape (n,)."""
        return self.risk(X) > 0.5

    def contributions(self, X: pd.DataFrame) -> Array:
        """Return what each fact adds to the log odds of staying away before calibration, beside an average customer.

        Returns
        -------
        ndarray, shape (n, 4)
            Columns of :data:`quimbi_assets.churn.design.FACTS`.
        """
        found = np.zeros((len(X), len(FACTS)))
        if self.additive_ is None:
            average = logit(np.clip(self.base_rate_, CERTAIN, 1 - CERTAIN))
            found[:, FACTS.index(SILENCE)] = self._log_odds(X) - average
            return found
        terms = self.additive_.contributions(design_matrix(X, self.horizon_days))
        for column, fact in zip(terms.T, TERMS.values(), strict=True):
            found[:, FACTS.index(fact)] += column
        return found
