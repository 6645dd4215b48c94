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
from quimbi_assets.churn.model import Risk
from quimbi_assets.errors import InsufficientHistoryError
from quimbi_assets.value.gamma_gamma import GammaGamma, fit_gamma_gamma
from quimbi_assets.value.mbg_nbd import MbgNbd, fit_mbg_nbd
from quimbi_assets.value.windows import USUAL_DAYS, Window

COVERAGE = 0.8
"""Share of customers whose orders, or spend, are meant to be within their interval."""
TAIL = (1 - COVERAGE) / 2
LEAST_SHOWN = 1e-4
"""Of an order: chances are rounded up to it, so that no rounded number is below them."""
LIKELIER = 0.5
MOST_GROUPS, FEWEST_IN_GROUP = 20, 50
"""Of customers by the orders expected of them, from which the interval is learnt."""
LEAST_ORDERS = 1e-6
"""Below it, customers are alike in expecting nothing."""
FARTHEST_DAYS = 365.0
"""Until when the next order must be as likely as not, for a date of it to say anything."""
CALLED = {"orders": "Orders are", "a year": "The year ahead is", "orders of a year": "Orders of the year ahead are"}
"""What may not be foretold although spend is, and how its sentence begins."""
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
        """What is not foretold although spend is, and why, in a sentence each; None where all is."""
        return (
            " ".join(f"{CALLED[part]} not foretold, because {why}." for part, why in self.weak_parts_.items()) or None
        )

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

    def foretell(self, X: pd.DataFrame, days: float, risk: Risk | None = None) -> tuple[Forecast, Forecast]:
        """Foretell orders and spend of the next days; features as for the fit, NaN in a row gives NaN.

        Limits of orders are whole numbers. The mean may be above the interval: of ten customers who are expected to
        spend 1, nine may spend nothing. What is foretold agrees with a churn ``risk`` of these customers: who orders
        with some chance within its days orders so many times, at least, in as many days or more (Markov's inequality),
        each worth what an order of theirs is; and see :func:`agreeing`.
        """
        known = _Known(X)
        orders, spend = self._means(known, days)
        none = np.full(len(X), np.nan)
        if risk is not None:
            none = MbgNbd(*self.rates_.tolist()).no_order_given(*known.times, risk.chance, risk.days, days)
            least = (np.floor((1 - risk.chance) / LEAST_SHOWN) + 1) * LEAST_SHOWN if risk.days <= days else none * 0
            missing = np.fmax(least - orders, 0.0)
            orders, spend = orders + missing, spend + missing * self._worth(known)
        low, high = limits(self.order_curve_, orders) * orders
        counts = Forecast(orders, *agreeing(none, np.rint(low), np.rint(high), np.ones(len(X))))
        low, high = limits(self.spend_curve_, orders) * spend
        return counts, Forecast(spend, *agreeing(none, low, high, self._worth(known)))

    def days_until_order(self, X: pd.DataFrame, risk: Risk | None = None) -> Array:
        """Return the days by which half of such customers order; NaN where that is more than a year, or never.

        Beside a churn ``risk`` of these customers it falls on the side of the risk's days on which an order is
        likelier; where this model has it on the other one, it is the half-life of the constant rate by which so many
        order nothing in these days (ADR 25).
        """
        days = MbgNbd(*self.rates_.tolist()).days_until_order(*_Known(X).times)
        if risk is not None:
            contradicts = np.where(risk.chance > LIKELIER, days < risk.days, days > risk.days)
            with np.errstate(divide="ignore"):
                by_risk = risk.days * np.abs(np.log(LIKELIER) / np.log(risk.chance))
            days = np.where(contradicts & ~np.isnan(risk.chance), by_risk, days)
        return np.where(days <= FARTHEST_DAYS, days, np.nan)

    def predict(self, X: pd.DataFrame) -> Array:
        """Return expected orders and spend of the next 90 days, shape (n, 2); no risk stands beside them."""
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
    tails = [TAIL, 1 - TAIL]
    return np.array([[np.log(orders[g]).mean(), *np.quantile(multiple[g], tails)] for g in groups]).T


def agreeing(none: Array, low: Array, high: Array, one: Array) -> tuple[Array, Array]:
    """Return limits that agree with the chance of no order, and so of nothing, where it is known; shape (n,) each.

    The lower one is 0 where that is above the tenth below it, the upper one where it is nine tenths or more; where it
    leaves the interval no room for nothing but 0, the upper one is what ``one`` order is, at least.

    >>> low, high = agreeing(np.array([0.05, 0.37, 0.75, 0.95]), np.full(4, 2.0), np.array([9.0, 9, 0, 9]), np.ones(4))
    >>> low.tolist(), high.tolist()
    ([2.0, 0.0, 0.0, 0.0], [9.0, 9.0, 1.0, 0.0])
    """
    least = np.where(none < COVERAGE, one, 0.0)
    return np.where(none > TAIL, 0.0, low), np.where(none >= 1 - TAIL, 0.0, np.maximum(high, least))


def limits(curve: Array, orders: Array) -> NDArray[np.float64]:
    """Return the lower and the upper multiple of the mean for customers of these expected orders; shape (2, n)."""
    at = np.log(np.maximum(orders, LEAST_ORDERS))
    return np.array([np.interp(at, curve[0], limit) for limit in curve[1:]])
