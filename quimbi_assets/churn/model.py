"""The churn model of a store: from what is visible of a customer to the risk that they stay away for H days.

Belongs here: the estimator that is saved whole, the recency baseline, and how the level of risk is set in time. Does
not: choosing between kinds (``examples``, ``evaluation``), words for people (``profiles.risk``).

A model's level is set on the latest customers whose outcomes are known, who lived through another season than the ones
that are scored. Where the store has a year of orders and some more, the same two seasons of the year before say what
lies between them; else the freshest half outcomes say how it moves right now (:class:`Drift`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Self

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.special import expit, logit
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.utils.validation import check_is_fitted

from quimbi_assets.churn.additive import FACTS, PACE, RECENCY, SPEND, TENURE, TERMS, AdditiveLogistic, design_matrix
from quimbi_assets.churn.measures import Array, Flags
from quimbi_assets.sampling import customer_order

LINES, CURVES, RECENCY_BASELINE = "lines", "curves", "silence"
KINDS = (LINES, CURVES, RECENCY_BASELINE)
"""Additive logistic regression of straight lines, of curves; days since the last order alone."""
STRENGTHS = {LINES: 1.0, CURVES: 0.1}
CALIBRATION_STRENGTH = 1.0
FEW = 2_000
"""Customers below which a sum of terms fits those who shaped it so much better than others that it shows (ADR 9)."""
N_PARTS = 5
"""Parts of few customers, each foretold by the others."""
COMPARED: Mapping[str, str] = MappingProxyType(
    {RECENCY: "days_since_last_order", PACE: "orders_in_horizon", TENURE: "n_orders", SPEND: "avg_order_value"}
)
"""The feature by which people compare a fact of one customer's with others'."""
CERTAIN = 1e-4
"""No risk or rate is nearer than this to 0 or 1: nothing a store's past shows is surer."""


@dataclass(frozen=True)
class Risk:
    """The chance, 0-1, that each of n customers orders nothing in the next ``days``, shape (n,); NaN: not known."""

    chance: Array
    days: int


@dataclass(frozen=True)
class Drift:
    """Customers at several past instants, and what they did next: how the level of staying away moves in time.

    ``away`` says of n customers whether they stayed away, ``newest`` and ``latest`` which of them are compared. Of a
    *season* they lived a year before those that are scored, and a year before the latest ones trained on.

    Of a *trend* (``trend_days``: H) they were known half of H ago, and H ago: the latest whose H days are over.
    ``away`` then is for half of H, which is all that is known of the newest: a small model of that half outcome says
    whether they stay away more, or less, than those before them did in theirs.
    """

    features: pd.DataFrame
    away: Flags
    newest: Flags
    latest: Flags
    trend_days: int | None = None

    def shift(self, log_odds: Callable[[pd.DataFrame], Array]) -> float:
        """Return how far the log odds of staying away moved, beyond what a model says; that of a trend is its own."""
        if self.trend_days is None:
            known = log_odds(self.features)
        else:
            terms = design_matrix(self.features, self.trend_days)
            known = AdditiveLogistic().fit(terms, self.away).decision_function(terms)
        return moved(*((known[rows], self.away[rows]) for rows in (self.newest, self.latest)))


def level(log_odds: Array, rate: float) -> float:
    """Return what to add to log odds so that their mean probability is ``rate``.

    >>> round(level(np.zeros(3), 0.75), 4)  # log(3)
    1.0986
    """
    rate = float(np.clip(rate, CERTAIN, 1 - CERTAIN))
    span = 20 + float(np.abs(log_odds).max())
    return float(brentq(lambda by: expit(log_odds + by).mean() - rate, -span, span))


def moved(now: tuple[Array, Flags], then: tuple[Array, Flags]) -> float:
    """Return how far the level of staying away moved between two instants, as far as chance does not explain it.

    Of each: log odds that a model gives to its customers, and whether they stayed away. The difference ``d`` of the two
    levels, shrunk to ``d max(0, 1 - v / d^2)`` with ``v`` the variance that chance gives it (James and Stein's positive
    part), so that a small store does not follow noise.
    """
    (level_now, variance_now), (level_then, variance_then) = (_level_and_variance(*one) for one in (now, then))
    difference, variance = level_now - level_then, variance_now + variance_then
    if difference**2 <= variance:
        return 0.0
    return float(difference * (1 - variance / difference**2))


def _level_and_variance(log_odds: Array, away: Flags) -> tuple[float, float]:
    at = level(log_odds, float(away.mean()))
    risk = expit(log_odds + at)
    return at, 1 / max(float((risk * (1 - risk)).sum()), 1e-9)


class ChurnModel(ClassifierMixin, BaseEstimator):
    """Probability of no order within the next H days, by one of :data:`KINDS`.

    Holds coefficients and curves only, no row of a customer: ``additive_``, of the kinds that have one, and
    ``calibration_``, a curve of its log odds, which says where the sum of terms is too timid or too bold in the middle,
    learnt below :data:`FEW` customers from those who did not shape the sum; ``curve_``, the recency baseline.
    ``shift_`` is added to the log odds: it sets the mean risk of the latest customers trained on to ``base_rate_``, the
    share of them who stayed away, and adds ``drift_``, how the level is expected to have moved since. ``n_fit_`` counts
    customers once for every cut. ``weak_reason_`` says why the risk says little
    about anybody, as a test on unseen history found; None where it does. Of the latest who came again ``came_`` holds
    what each fact adds to the log odds on average, shape (4,), and ``usual_`` the median of each of :data:`COMPARED`.
    """

    came_: Array | None = None
    """Of a model from before it was learnt: facts are held against the average customer."""
    usual_: Mapping[str, float] = MappingProxyType({})

    def __init__(self, kind: str = CURVES, horizon_days: int = 28) -> None:
        self.kind = kind
        self.horizon_days = horizon_days

    def fit(self, X: pd.DataFrame, y: Flags, latest: Flags | None = None, drift: Drift | None = None) -> Self:
        """Learn from features (``history.measure``) of n customers at past instants, and whether they stayed away.

        The ``latest`` rows set the level: how many stay away drifts as a store ages; ``drift`` tells how it has moved
        since.
        """
        if self.kind not in KINDS:
            raise ValueError(f"unknown kind {self.kind!r}; there are {', '.join(KINDS)}")
        latest = np.ones(len(y), dtype=bool) if latest is None else latest
        self.classes_ = np.array([False, True])
        self.weak_reason_: str | None = None
        self.n_fit_, self.base_rate_ = len(y), float(np.mean(y[latest]))
        self.curve_ = fit_recency_baseline(X["days_since_last_order"].to_numpy(np.float64)[latest], y[latest])
        self.additive_, self.calibration_, self.shift_ = None, None, 0.0
        if self.kind != RECENCY_BASELINE:
            terms = design_matrix(X, self.horizon_days)
            self.additive_ = AdditiveLogistic(self.kind == CURVES, STRENGTHS[self.kind]).fit(terms, y)
            summed = self.additive_.decision_function(terms)[:, None]
            learnt = summed if X.index.nunique() >= FEW else _sum_unseen(self.additive_, terms, y, X.index)[:, None]
            self.calibration_ = AdditiveLogistic(strength=CALIBRATION_STRENGTH).fit(learnt, y)
            self.shift_ = level(self.calibration_.decision_function(summed[latest]), self.base_rate_)
        self.drift_ = 0.0 if drift is None else drift.shift(self._log_odds)
        self.shift_ += self.drift_
        came = X[latest & ~y] if (latest & ~y).any() else X[latest]
        self.came_ = self._weights(came).mean(axis=0)
        self.usual_ = {fact: float(came[name].median()) for fact, name in COMPARED.items()}
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
        return np.asarray(np.clip(expit(self._log_odds(X) + self.shift_), CERTAIN, 1 - CERTAIN))

    def predict_proba(self, X: pd.DataFrame) -> Array:
        """Return the probabilities of coming and of staying away, shape (n, 2)."""
        away = self.risk(X)
        return np.column_stack([1 - away, away])

    def predict(self, X: pd.DataFrame) -> Flags:
        """Return who more likely stays away, shape (n,)."""
        return self.risk(X) > 0.5

    def contributions(self, X: pd.DataFrame) -> Array:
        """Return what each fact adds to the log odds of staying away before calibration, beside who came again.

        Shape (n, 4): columns of :data:`quimbi_assets.churn.additive.FACTS`. Beside the average customer the reasons of
        those who leave would be few: in stores where most have left, who is going is better than the average.
        """
        weights = self._weights(X)
        return weights if self.came_ is None else weights - self.came_

    def _weights(self, X: pd.DataFrame) -> Array:
        """Return what each fact adds to the log odds beside the average customer, shape (n, 4)."""
        total = np.zeros((len(X), len(FACTS)))
        if self.additive_ is None:
            average = logit(np.clip(self.base_rate_, CERTAIN, 1 - CERTAIN))
            total[:, FACTS.index(RECENCY)] = self._log_odds(X) - average
            return total
        terms = self.additive_.contributions(design_matrix(X, self.horizon_days))
        for column, fact in zip(terms.T, TERMS.values(), strict=True):
            total[:, FACTS.index(fact)] += column
        return total


def _sum_unseen(additive: AdditiveLogistic, terms: Array, away: Flags, customers: pd.Index) -> Array:
    """Return the log odds of staying away of each of n rows, learnt from the customers of other parts; shape (n,).

    All rows of a customer are in one part. A part whose others all did the same keeps what everybody teaches.
    """
    ids = customers.unique()
    part = np.empty(len(ids), dtype=np.intp)
    part[customer_order(ids, 0)] = np.arange(len(ids)) % N_PARTS
    codes, unseen = ids.get_indexer(customers), additive.decision_function(terms)
    for rows in (part[codes] == i for i in range(N_PARTS)):
        if rows.any() and 0 < away[~rows].mean() < 1:
            unseen[rows] = clone(additive).fit(terms[~rows], away[~rows]).decision_function(terms[rows])
    return unseen


def fit_recency_baseline(days: Array, away: Flags) -> tuple[Array, Array]:
    """Fit the recency baseline: the share that stayed away as a rising curve of days since the last order.

    Days and risks, each of shape (n_blocks,), both rising: points that are joined by straight lines. Isotonic
    regression; each of its steps stands at its customers' mean days, so that the curve rises between steps and ranks as
    days do (Oron and Flournoy, Centered isotonic regression, Stat. Biopharm. Research 9, 2017).

    >>> at, risk = fit_recency_baseline(np.array([1.0, 3, 10, 20]), np.array([False, True, False, True]))
    >>> at.tolist(), risk.tolist()
    ([1.0, 6.5, 20.0], [0.0, 0.5, 1.0])
    """
    from sklearn.isotonic import IsotonicRegression

    level = IsotonicRegression(out_of_bounds="clip").fit(days, away.astype(np.float64)).predict(days)
    risk, block = np.unique(level, return_inverse=True)
    return np.bincount(block, days) / np.bincount(block), risk
