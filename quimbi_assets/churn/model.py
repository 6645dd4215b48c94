"""The churn model of a store: from what is visible of a customer to the risk that they stay away for H days.

Belongs here: the estimator that is saved whole, and its calibration in time. Does not: choosing between kinds
(``trial``), words for people (``profiles.risk_words``).
"""

from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit, logit
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from quimbi_assets.churn.additive import AdditiveLogistic
from quimbi_assets.churn.design import FACTS, SILENCE, TERMS, design_matrix
from quimbi_assets.churn.silence import fit_silence

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

LINES, CURVES, SILENCE_ALONE = "lines", "curves", "silence"
KINDS = (LINES, CURVES, SILENCE_ALONE)
"""Additive logistic regression of straight lines, of curves; days since the last order alone."""
STRENGTHS = {LINES: 1.0, CURVES: 0.1}
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
    shift_ : float
        Added to its log odds, so that the mean risk of the latest customers trained on is what happened to them.
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

    def fit(self, X: pd.DataFrame, y: Flags, latest: Flags | None = None) -> Self:
        """Learn from customers at past instants.

        Parameters
        ----------
        X : DataFrame of n rows
            From ``history.measure``.
        y : ndarray of bool, shape (n,)
            Whether they stayed away.
        latest : ndarray of bool, shape (n,), optional
            Rows of the latest instant, which set the level: how many stay away drifts as a store ages. All by default.
        """
        if self.kind not in KINDS:
            raise ValueError(f"unknown kind {self.kind!r}; there are {', '.join(KINDS)}")
        latest = np.ones(len(y), dtype=bool) if latest is None else latest
        self.classes_ = np.array([False, True])
        self.weak_reason_: str | None = None
        self.n_fit_, self.base_rate_ = len(y), float(np.mean(y[latest]))
        self.curve_ = fit_silence(X["days_since_last_order"].to_numpy(np.float64)[latest], y[latest])
        self.additive_, self.shift_ = None, 0.0
        if self.kind != SILENCE_ALONE:
            terms = design_matrix(X, self.horizon_days)
            self.additive_ = AdditiveLogistic(self.kind == CURVES, STRENGTHS[self.kind]).fit(terms, y)
            self.shift_ = _shift(self.additive_.decision_function(terms[latest]), self.base_rate_)
        return self

    def risk(self, X: pd.DataFrame) -> Array:
        """Return the probability of staying away, shape (n,), 0.0001 to 0.9999."""
        check_is_fitted(self)
        if self.additive_ is None:
            found = np.interp(X["days_since_last_order"].to_numpy(np.float64), *self.curve_)
        else:
            found = expit(self.additive_.decision_function(design_matrix(X, self.horizon_days)) + self.shift_)
        return np.clip(found, CERTAIN, 1 - CERTAIN)

    def predict_proba(self, X: pd.DataFrame) -> Array:
        """Return the probabilities of coming and of staying away, shape (n, 2)."""
        away = self.risk(X)
        return np.column_stack([1 - away, away])

    def predict(self, X: pd.DataFrame) -> Flags:
        """Return who more likely stays away, shape (n,)."""
        return self.risk(X) > 0.5

    def contributions(self, X: pd.DataFrame) -> Array:
        """Return what each fact adds to the log odds of staying away, beside an average customer.

        Returns
        -------
        ndarray, shape (n, 4)
            Columns of :data:`quimbi_assets.churn.design.FACTS`.
        """
        found = np.zeros((len(X), len(FACTS)))
        if self.additive_ is None:
            average = logit(np.clip(self.base_rate_, CERTAIN, 1 - CERTAIN))
            found[:, FACTS.index(SILENCE)] = logit(self.risk(X)) - average
            return found
        terms = self.additive_.contributions(design_matrix(X, self.horizon_days))
        for column, fact in zip(terms.T, TERMS.values(), strict=True):
            found[:, FACTS.index(fact)] += column
        return found


def _shift(log_odds: Array, rate: float) -> float:
    """Return what to add to log odds so that their mean probability is ``rate``."""
    rate = float(np.clip(rate, CERTAIN, 1 - CERTAIN))
    span = 20 + float(np.abs(log_odds).max())
    return float(brentq(lambda by: expit(log_odds + by).mean() - rate, -span, span))
