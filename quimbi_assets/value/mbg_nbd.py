"""MBG/NBD: how often a customer orders, and whether they have left, from three numbers.

Belongs here: the likelihood, its fit, and what follows for a customer. Does not: money (``gamma_gamma``), what a
store's past says beside it (``model``).

Customers order at random at a rate of their own (gamma over customers) and may leave for good after any order, the
first included, with a chance of their own (beta over customers). Times are in one unit, the same everywhere; ``x`` are
orders after the first, ``t_x`` is the time from the first to the last one, ``age`` that from the first to now.

References
----------
E. P. Batislam, M. Denizel, A. Filiztekin, Empirical validation and comparison of models for customer base analysis,
International Journal of Research in Marketing 24 (2007): the model, its likelihood, the orders to be expected.
D. Hoppe, U. Wagner, Customer base analysis: the case for a central variant of the betageometric/NBD model, Marketing
JRM 3 (2007): the same with the chance to be alive.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import betaln, gammaln, hyp2f1

from quimbi_assets.churn.measures import Array

MEAN_AGE = 10.0
"""Times are scaled to it for the fit, so that starts and bounds suit every store."""
LARGEST_LOG = 7.0
"""Of a parameter: beyond it customers are all alike, and what is foretold does not change."""
START = (1.0, 1.0, 1.0, 1.0)
"""Others end at the same likelihood, within 0.0001 a customer, on 20 cuts of five stores."""
LEAST_CHANCE = 1e-12
"""What one chance is divided by, at least."""
LEAST_DISTANCE = 1e-6
"""From a = 1, where the expectation's formula divides nothing by nothing; its limit is the same to nine digits."""


@dataclass(frozen=True)
class MbgNbd:
    """Fitted parameters: rates are gamma(``r``, ``alpha``) over customers, chances to leave beta(``a``, ``b``)."""

    r: float
    alpha: float
    a: float
    b: float

    def alive(self, x: Array, t_x: Array, age: Array) -> Array:
        """Return the chance that a customer has not left."""
        gone = self.a / (self.b + x) * ((self.alpha + age) / (self.alpha + t_x)) ** (self.r + x)
        return np.asarray(1 / (1 + gone))

    def _orders(self, x: Array, age: Array, horizon: float) -> Array:
        """Return the chance that who is alive orders within ``horizon``; exact where it is small."""
        return np.asarray(-np.expm1(-(self.r + x) * np.log1p(horizon / (self.alpha + age))))

    def no_order(self, x: Array, t_x: Array, age: Array, horizon: float) -> Array:
        """Return the chance of no order within ``horizon`` from now on.

        Who is alive orders at a rate that is gamma(r + x, alpha + age), whatever their chance to leave is, so none
        comes with chance ((alpha + age) / (alpha + age + horizon)) ** (r + x).
        """
        return np.asarray(1 - self.alive(x, t_x, age) * self._orders(x, age, horizon))

    def no_order_given(self, x: Array, t_x: Array, age: Array, none: Array, days: float, horizon: float) -> Array:
        """Return the chance of no order within ``horizon``, given by something else that of none within ``days``.

        The rest is the model's: how many of those who order nothing for the shorter time do so for the longer one,
        or how many of those who order within the longer time do so within the shorter one.
        """
        if horizon >= days:
            shorter, longer = (np.maximum(self.no_order(x, t_x, age, time), LEAST_CHANCE) for time in (days, horizon))
            return np.asarray(none * longer / shorter)
        return np.asarray(1 - (1 - none) * self._orders(x, age, horizon) / self._orders(x, age, days))

    def expected_orders(self, x: Array, t_x: Array, age: Array, horizon: float) -> Array:
        """Return the orders to be expected within ``horizon``: who is alive may leave after any of them."""
        a = self.a if abs(self.a - 1) > LEAST_DISTANCE else 1 + LEAST_DISTANCE
        s, until = self.r + x, self.alpha + age + horizon
        with np.errstate(all="ignore"):
            rest = ((self.alpha + age) / until) ** s * hyp2f1(s, self.b + x + 1, a + self.b + x, horizon / until)
            orders = (a + self.b + x) / (a - 1) * (1 - rest)
        # Where the series fails, for parameters at their bounds: as if nobody left within the horizon, which is more.
        most = s / (self.alpha + age) * horizon
        return np.asarray(self.alive(x, t_x, age) * np.where((orders >= 0) & (orders <= most), orders, most))

    def days_until_order(self, x: Array, t_x: Array, age: Array, chance: float = 0.5) -> Array:
        """Return the time by which an order has come with that chance; infinite where it never is so likely."""
        alive = self.alive(x, t_x, age)
        with np.errstate(all="ignore"):
            wait = (self.alpha + age) * ((1 - chance / alive) ** (-1 / (self.r + x)) - 1)
        return np.where(alive > chance, wait, np.where(np.isnan(alive), np.nan, np.inf))


def log_likelihood(params: Array, x: Array, t_x: Array, age: Array) -> Array:
    """Return the log likelihood of each customer, given r, alpha, a, b; shape (n,)."""
    r, alpha, a, b = params
    head = gammaln(r + x) - gammaln(r) + r * np.log(alpha) + betaln(a, b + x + 1) - betaln(a, b)
    stayed = -(r + x) * np.log(alpha + age)
    left = np.log(a) - np.log(b + x) - (r + x) * np.log(alpha + t_x)
    return np.asarray(head + np.logaddexp(stayed, left))


def fit_mbg_nbd(x: Array, t_x: Array, age: Array) -> MbgNbd:
    """Fit by maximum likelihood, of at least one customer; equal ones are counted once."""
    scale = MEAN_AGE / max(float(age.mean()), 1e-9)
    rows, counts = np.unique(np.round(np.column_stack([x, t_x * scale, age * scale]), 6), axis=0, return_counts=True)

    def loss(logs: Array) -> float:
        value = -float((log_likelihood(np.exp(logs), *rows.T) * counts).sum() / counts.sum())
        return value if np.isfinite(value) else 1e9

    bounds = [(-LARGEST_LOG, LARGEST_LOG)] * 4
    r, alpha, a, b = np.exp(minimize(loss, np.log(START), method="L-BFGS-B", bounds=bounds).x).tolist()
    return MbgNbd(r, alpha / scale, a, b)
