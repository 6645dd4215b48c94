"""Gamma-gamma: what an order of a customer is worth on average, from how many there were and what they averaged.

Belongs here: the likelihood, its fit, the expected value. Does not: how many orders come (``mbg_nbd``).

A customer's orders vary around a mean of their own, gamma(``p``, nu) each, and the means vary over customers as nu
does, gamma(``q``, ``gamma``). Few orders say little of a customer, so that their average is drawn to everybody's. How
much and how often are independent: where they are not, the level set on the store's past (``model``) makes up for it.

References
----------
P. S. Fader, B. G. S. Hardie, The Gamma-Gamma Model of Monetary Value (2013), brucehardie.com/notes/025: equations 1a
and 5. P. S. Fader, B. G. S. Hardie, K. L. Lee, RFM and CLV: using iso-value curves for customer base analysis, Journal
of Marketing Research 42 (2005).
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import gammaln

from quimbi_assets.churn.measures import Array

START = (2.0, 2.0, 2.0)
"""p, q - 1, and gamma in units of the mean."""
BOUNDS = [(-5.0, 7.0), (-3.0, 7.0), (-5.0, 7.0)]
"""Of their logarithms: q > 1.05, so that customers without any order of value have a mean to be drawn to."""


@dataclass(frozen=True)
class GammaGamma:
    """Fitted parameters; ``gamma`` in units of money."""

    p: float
    q: float
    gamma: float

    def expected_value(self, n: Array, mean: Array) -> Array:
        """Return the expected value of an order of customers with n orders that averaged ``mean``; n may be 0.

        >>> paper = GammaGamma(6.25, 3.74, 15.44)
        >>> paper.expected_value(np.array([0.0, 2.0]), np.array([0.0, 22.35])).round(2).tolist()
        [35.22, 24.66]
        """
        return np.asarray(self.p * (self.gamma + n * mean) / (self.p * n + self.q - 1))


def log_likelihood(p: float, q: float, gamma: float, n: Array, mean: Array) -> Array:
    """Return the log density of each customer's average of n >= 1 orders above 0; shape (n_customers,)."""
    pn = p * n
    return np.asarray(
        gammaln(pn + q) - gammaln(pn) - gammaln(q)
        + q * np.log(gamma) + (pn - 1) * np.log(mean) + pn * np.log(n) - (pn + q) * np.log(gamma + n * mean)
    )  # fmt: skip


def fit_gamma_gamma(n: Array, mean: Array) -> GammaGamma:
    """Fit by maximum likelihood to customers with n >= 1 orders that averaged more than 0; at least one."""
    scale = float(mean.mean())

    def loss(logs: Array) -> float:
        p, q_less_1, gamma = np.exp(logs)
        value = -float(log_likelihood(p, 1 + q_less_1, gamma, n, mean / scale).mean())
        return value if np.isfinite(value) else 1e9

    fit = minimize(loss, np.log(START), method="L-BFGS-B", bounds=BOUNDS)
    p, q_less_1, gamma = np.exp(fit.x).tolist()
    return GammaGamma(p, 1 + q_less_1, gamma * scale)
