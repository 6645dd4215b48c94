"""A logistic regression that is a sum of curves, one a term, so that every risk says where it comes from.

Belongs here: its terms (a customer's numbers on scales where differences matter), the fact each term belongs to, and
the estimator. Does not: measuring (``history``), calibration in time (``model``), words (``profiles.risk``).

Not a pipeline of scikit-learn's ``SimpleImputer``, ``StandardScaler``, ``SplineTransformer`` and
``LogisticRegression``: measured on two stores, imputing before scaling moves the risks of straight lines by up to
0.0014, and other splines than Harrell's move those of curves by up to 0.03 and 0.5.
"""

from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.utils import Tags
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data
from threadpoolctl import threadpool_limits

from quimbi_assets.churn.history import WINDOWS
from quimbi_assets.churn.measures import Array

KNOTS_AT = (0.05, 0.35, 0.65, 0.95)
LEAST_APART = 1e-6
"""Standard deviations between knots."""

RECENCY, PACE, TENURE, SPEND = "silence", "pace", "standing", "spend"
FACTS = (RECENCY, PACE, TENURE, SPEND)
"""Time since the last order; orders of late and the gaps between them; orders in all and since when; money an order.

Orders of late and usual gaps tell the same twice: apart, one of them often "raised" what the other "lowered"."""

TERMS: dict[str, str] = {
    "days_since_last_order": RECENCY,
    "overdue_ratio": RECENCY,
    "orders_missed": RECENCY,
    "once_and_days": RECENCY,
    **dict.fromkeys(WINDOWS, PACE),
    "avg_days_between_orders": PACE,
    "gap_sd_days": PACE,
    "longest_gap_days": PACE,
    "last_gap_days": PACE,
    "orders_per_day": PACE,
    "n_orders": TENURE,
    "tenure_days": TENURE,
    "bought_once": TENURE,
    "avg_order_value": SPEND,
}
"""Fact of each term, in the order of the design's columns."""


def design_matrix(features: pd.DataFrame, horizon_days: int) -> Array:
    """Turn features from ``history.measure`` into the model's terms, shape (n, 17), NaN where undefined.

    Columns of :data:`TERMS`: counts, days and money as ``log1p``; ``overdue_ratio`` is days since the last order in
    average gaps (of a day at least), ``orders_missed`` the orders that the customer's own rate would have brought
    since, ``orders_per_day`` the log of that rate over the whole tenure (of a quarter horizon at least);
    ``bought_once`` 0 or 1, and times the days since.
    """
    raw = {name: features[name].to_numpy(np.float64) for name in features}
    days, n, gap = (raw[name] for name in ("days_since_last_order", "n_orders", "avg_days_between_orders"))
    rate = n / np.maximum(raw["tenure_days"], horizon_days / 4)
    once = (n == 1).astype(np.float64)
    made = {
        "overdue_ratio": np.log1p(days / np.maximum(gap, 1.0)),
        "orders_missed": np.log1p(days * rate),
        "once_and_days": once * np.log1p(days),
        "orders_per_day": np.log(rate),
        "bought_once": once,
        "avg_order_value": np.log1p(np.maximum(raw["avg_order_value"], 0.0)),
    }
    return np.column_stack([made[name] if name in made else np.log1p(raw[name]) for name in TERMS])


class AdditiveLogistic(ClassifierMixin, BaseEstimator):
    """Logistic regression on standardised terms, each a straight line or a restricted cubic spline.

    ``curved``: splines with knots at the 5, 35, 65 and 95 % quantiles (fewer where these coincide), else lines.
    ``strength`` is the inverse of the ridge penalty on the standardised columns. Fitted, ``center_`` and ``spread_``,
    shape (m,), are mean and standard deviation of each term where it is known; of each term, ``knots_`` are in standard
    deviations (none for a line), ``offset_`` and ``weight_`` the mean of each column of its basis and the coefficient.

    A term that is not known contributes 0, that is, what an average customer's does. Lines go on beyond the outer
    knots, where a cubic would run away (F. E. Harrell, Regression Modeling Strategies, 2nd ed. 2015, section 2.4.5).
    """

    def __init__(self, curved: bool = True, strength: float = 0.1) -> None:
        self.curved = curved
        self.strength = strength

    def __sklearn_tags__(self) -> Tags:
        """Declare that NULL is allowed, and that there are two outcomes."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.classifier_tags.multi_class = False
        return tags

    def fit(self, X: Any, y: Any) -> Self:
        """Learn scales, knots and coefficients from terms of shape (n, m), NaN where undefined, and two classes."""
        X, y = validate_data(self, X, y, dtype=np.float64, ensure_all_finite="allow-nan")
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) != 2:
            if len(self.classes_) > 2:
                raise ValueError(f"Only binary classification is supported. There are {len(self.classes_)} classes.")
            raise ValueError("Classifier can't train when only one class is present.")
        known = ~np.isnan(X)
        count = np.maximum(known.sum(axis=0), 1)
        self.center_ = np.where(known, X, 0.0).sum(axis=0) / count
        spread = np.sqrt((np.where(known, X - self.center_, 0.0) ** 2).sum(axis=0) / count)
        self.spread_ = np.where(spread > 0, spread, 1.0)
        scaled = self._scaled(X)
        self.knots_ = [_knots(scaled[known[:, j], j]) if self.curved else [] for j in range(X.shape[1])]
        bases = [_basis(scaled[:, j], knots) for j, knots in enumerate(self.knots_)]
        self.offset_ = [b[known[:, j]].sum(axis=0) / count[j] for j, b in enumerate(bases)]
        columns = [np.where(known[:, [j]], b - self.offset_[j], 0.0) for j, b in enumerate(bases)]
        with threadpool_limits(1):
            fitted = LogisticRegression(C=self.strength, solver="newton-cholesky").fit(np.hstack(columns), codes)
        self.weight_ = np.split(fitted.coef_[0], np.cumsum([b.shape[1] for b in bases])[:-1])
        self.intercept_ = float(fitted.intercept_[0])
        return self

    def contributions(self, X: Any) -> Array:
        """Return what each term adds to the log odds of the second class, beside an average customer: (n, m)."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, ensure_all_finite="allow-nan", reset=False)
        scaled, known = self._scaled(X), ~np.isnan(X)
        total = np.zeros_like(scaled)
        for j, knots in enumerate(self.knots_):
            basis = _basis(scaled[:, j], knots) - self.offset_[j]
            # Column by column, not by a matrix product, whose last digits depend on how many rows there are.
            for column, weight in zip(basis.T, self.weight_[j], strict=True):
                total[:, j] += column * weight
        return np.where(known, total, 0.0)

    def decision_function(self, X: Any) -> Array:
        """Return the log odds of the second class, shape (n,)."""
        contributions = self.contributions(X)
        total = np.zeros(len(contributions))
        for column in contributions.T:
            total += column
        return total + self.intercept_

    def predict_proba(self, X: Any) -> Array:
        """Return the probabilities of both classes, shape (n, 2)."""
        second = expit(self.decision_function(X))
        return np.column_stack([1 - second, second])

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the likelier class, shape (n,)."""
        log_odds = self.decision_function(X)
        return self.classes_[(log_odds > 0).astype(np.intp)]

    def _scaled(self, X: Array) -> Array:
        return np.where(np.isnan(X), 0.0, (X - self.center_) / self.spread_)


def _knots(values: Array) -> list[float]:
    """Return knots, at least three; none where the values are too few to bend between."""
    if not len(values):
        return []
    knots = np.unique(np.quantile(values, KNOTS_AT))
    knots = knots[np.append(True, np.diff(knots) > LEAST_APART)]
    return [float(knot) for knot in knots] if len(knots) > 2 else []


def _basis(values: Array, knots: list[float]) -> Array:
    """Return a line, and what bends it between the knots: shape (n, max(1, n_knots - 1))."""
    if not knots:
        return values[:, None]
    last, before, first = knots[-1], knots[-2], knots[0]

    def cubed(at: float) -> Array:
        return np.maximum(values - at, 0.0) ** 3

    bends = [
        (
            cubed(knot)
            - cubed(before) * (last - knot) / (last - before)
            + cubed(last) * (before - knot) / (last - before)
        )
        / (last - first) ** 2
        for knot in knots[:-2]
    ]
    return np.column_stack([values, *bends])
