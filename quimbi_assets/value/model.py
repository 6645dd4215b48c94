"""The model of what a store's customers will order and spend: from seven numbers of a customer to forecasts.

Belongs here: the estimator that is saved whole; mixing, level, interval and the date of the next order. Does not: past
windows (``windows``), the test (``evaluation``), words for people (``profiles.expected``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from sklearn.base import BaseEstimator, RegressorMixin

from quimbi_assets.churn.measures import Array
from quimbi_assets.errors import InsufficientHistoryError
from quimbi_assets.value.gamma_gamma import GammaGamma, fit_gamma_gamma
from quimbi_assets.value.mbg_nbd import MbgNbd, fit_mbg_nbd
from quimbi_assets.value.windows import USUAL_DAYS, Window

COVERAGE = 0.8
"""Share of customers whose orders, or spend, are meant to be within their interval."""
MOST_GROUPS, FEWEST_IN_GROUP = 20, 50
"""Of customers by the orders expected of them, from which the interval is learnt."""
LEAST_ORDERS = 1e-6
"""Below it, customers are alike in expecting nothing."""
FARTHEST_DAYS = 365.0
"""Until when the next order must be as likely as not, for a date of it to say anything."""
UNTESTED = "an earlier version learnt it and did not test that"


@dataclass(frozen=True)
class Forecast:
    """Of n customers, shape (n,) each: a sum to come, expected on average, and the limits of its interval."""

    mean: Array
    low: Array
    high: Array


@dataclass(frozen=True)
class _Known:
    """What the parts of the model read of n customers; NaN of those who had not ordered."""

    features: pd.DataFrame

    def __getitem__(self, name: str) -> Array:
        return self.features[name].to_numpy(np.float64)

    @cached_property
    def times(self) -> tuple[Array, Array, Array]:
        """Orders after the first, days from the first to the last, and to now."""
        age = self["tenure_days"]
        return self["n_orders"] - 1, age - self["days_since_last_order"], age

    @cached_property
    def average(self) -> Array:
        """What orders worth anything were worth on average; 0 without one."""
        return self["spent"] / np.maximum(self["n_paid_orders"], 1)


class ValueModel(RegressorMixin, BaseEstimator):
    """Orders and spend to come, by MBG/NBD and gamma-gamma, mixed with what was ordered and spent of late.

    Holds parameters and curves only, no row of a customer: ``rates_`` (r, alpha, a, b), ``amounts_`` (p, q, gamma),
    ``paid_share_`` (of orders, worth more than 0); ``order_weights_`` and ``spend_weights_``, what an order, or a unit
    of money, counts that the models expect, and one of the last ``horizon_days``; ``order_curve_`` and
    ``spend_curve_``, shape (3, n_groups): logarithms of orders expected, and the limits of the interval there, as
    multiples of the mean. As the test found, ``weak_reason_`` says why nothing is foretold, None where it is, and
    ``weak_parts_`` what is not although spend is (``orders``, ``a year``, ``orders of a year``), and why.
    """

    weak_parts_: Mapping[str, str] = MappingProxyType(dict.fromkeys(("orders", "a year"), UNTESTED))

    def __init__(self, horizon_days: int = USUAL_DAYS) -> None:
        self.horizon_days = horizon_days

    def fit(self, X: pd.DataFrame, past: Sequence[Window]) -> Self:
        """Learn from customers as they are known now (``History.spending``), and from past windows of theirs.

        Raises ``InsufficientHistoryError`` if no order was worth anything.
        """
        known = _Known(X)
        paid = known["n_paid_orders"] > 0
        if not paid.any():
            raise InsufficientHistoryError("no order is known to be worth anything")
        rates = fit_mbg_nbd(*known.times)
        amounts = fit_gamma_gamma(known["n_paid_orders"][paid], known.average[paid])
        self.rates_ = np.array([rates.r, rates.alpha, rates.a, rates.b])
        self.amounts_ = np.array([amounts.p, amounts.q, amounts.gamma])
        self.paid_share_ = float(known["n_paid_orders"].sum() / known["n_orders"].sum())
        self.weak_reason_: str | None = None
        self.weak_parts_ = {}
        self.n_fit_, self.n_windows_ = len(X), len(past)
        before = _Known(pd.concat([window.features for window in past]))
        orders, spend = (np.concatenate([getattr(window, what) for window in past]) for what in ("orders", "spend"))
        expected = self._expected(before, self.horizon_days)
        self.order_weights_ = mix(expected, before["recent_orders"], orders)
        self.spend_weights_ = mix(expected * self._worth(before), before["recent_spend"], spend)
        mean_orders, mean_spend = self._means(before, self.horizon_days)
        self.order_curve_ = interval_curve(mean_orders, orders / mean_orders)
        self.spend_curve_ = interval_curve(mean_orders, spend / mean_spend)
        return self

    @property
    def partly_weak_reason(self) -> str | None:
        """What is not foretold although spend is, and why, in words; None where all is."""
        return "; ".join(f"nothing of {part}: {why}" for part, why in self.weak_parts_.items()) or None

    def _expected(self, known: _Known, days: float) -> Array:
        return np.maximum(MbgNbd(*self.rates_.tolist()).expected_orders(*known.times, days), LEAST_ORDERS)

    def _worth(self, known: _Known) -> Array:
        worth = GammaGamma(*self.amounts_.tolist()).expected_value(known["n_paid_orders"], known.average)
        return worth * self.paid_share_

    def _means(self, known: _Known, days: float) -> tuple[Array, Array]:
        """Return expected orders and spend of some days: those of the horizon, longer or shorter as MBG/NBD goes on."""
        expected = self._expected(known, self.horizon_days)
        further = self._expected(known, days) / expected
        by_model, of_late = self.order_weights_
        orders = (by_model * expected + of_late * known["recent_orders"]) * further
        by_model, of_late = self.spend_weights_
        spend = (by_model * expected * self._worth(known) + of_late * known["recent_spend"]) * further
        return orders, spend

    def foretell(self, X: pd.DataFrame, days: float) -> tuple[Forecast, Forecast]:
        """Foretell orders and spend of the next days; features as for the fit, NaN in a row gives NaN.

        Limits of orders are whole numbers. The mean may be above the interval: of ten customers who are expected to
        spend 1, nine may spend nothing.
        """
        orders, spend = self._means(_Known(X), days)
        low, high = limits(self.order_curve_, orders)
        of_spend = limits(self.spend_curve_, orders)
        counts = Forecast(orders, np.rint(low * orders), np.rint(high * orders))
        return counts, Forecast(spend, *(limit * spend for limit in of_spend))

    def days_until_order(self, X: pd.DataFrame) -> Array:
        """Return the days by which half of such customers order; NaN where that is more than a year, or never."""
        days = MbgNbd(*self.rates_.tolist()).days_until_order(*_Known(X).times)
        return np.where(days <= FARTHEST_DAYS, days, np.nan)

    def predict(self, X: pd.DataFrame) -> Array:
        """Return expected orders and spend of the next 90 days, shape (n, 2)."""
        return np.column_stack([forecast.mean for forecast in self.foretell(X, USUAL_DAYS)])


def mix(expected: Array, recent: Array, came: Array) -> Array:
    """Return the weights, shape (2,) and >= 0, of what was expected and of what was recent, so that their sum is right.

    In all they give what came; between the two, the likelihood of sums that vary as their mean does (Poisson) decides,
    which is that of a mixture: one number, found between 0 and 1.

    >>> mix(np.array([1.0, 1.0]), np.array([0.0, 4.0]), np.array([0.0, 8.0])).round(3).tolist()
    [0.0, 2.0]
    """
    if not recent.sum():
        return np.array([came.sum() / expected.sum(), 0.0])
    shares = expected / expected.sum(), recent / recent.sum()

    def loss(weight: float) -> float:
        mean = (1 - weight) * shares[0] + weight * shares[1]
        return -float((came * np.log(np.maximum(mean, 1e-300))).sum() / max(came.sum(), 1e-300))

    weight = float(minimize_scalar(loss, bounds=(0.0, 1.0), method="bounded", options={"xatol": 1e-5}).x)
    return np.array([(1 - weight) / expected.sum(), weight / recent.sum()]) * float(came.sum())


def interval_curve(orders: Array, multiple: Array) -> Array:
    """Learn between which multiples of the mean the middle 80 % of customers were, by the orders expected of them.

    Shape (3, n_groups): log of the orders, lower and upper multiple, of groups of equal numbers of customers.
    """
    ranked = np.argsort(orders, kind="stable")
    groups = np.array_split(ranked, max(min(MOST_GROUPS, len(ranked) // FEWEST_IN_GROUP), 1))
    tails = [(1 - COVERAGE) / 2, (1 + COVERAGE) / 2]
    return np.array([[np.log(orders[g]).mean(), *np.quantile(multiple[g], tails)] for g in groups]).T


def limits(curve: Array, orders: Array) -> NDArray[np.float64]:
    """Return the lower and the upper multiple of the mean for customers of these expected orders; shape (2, n)."""
    at = np.log(np.maximum(orders, LEAST_ORDERS))
    return np.array([np.interp(at, curve[0], limit) for limit in curve[1:]])
