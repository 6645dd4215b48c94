"""MBG/NBD, the reference that churn models are held against: chance to be alive and to order again, from three numbers.

Customers order at random at a rate of their own (gamma over customers) and may leave for good after any order, the
first included, with a chance of their own (beta over customers). Written from the papers, vectorised; no part of the
package.

References
----------
E. P. Batislam, M. Denizel, A. Filiztekin, Empirical validation and comparison of models for customer base analysis,
International Journal of Research in Marketing 24 (2007): the model and its likelihood.
D. Hoppe, U. Wagner, Customer base analysis: the case for a central variant of the betageometric/NBD model, Marketing
JRM 3 (2007): the same with the chance to be alive.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import betaln, gammaln


@dataclass(frozen=True)
class MbgNbd:
    """Fitted parameters; times in one unit, the same everywhere."""

    r: float
    alpha: float
    a: float
    b: float

    def alive(self, x, t_x, age):
        """Chance that a customer has not left.

        Parameters
        ----------
        x : ndarray
            Orders after the first.
        t_x, age : ndarray
            Time from the first order to the last one, and to now.
        """
        gone = self.a / (self.b + x) * ((self.alpha + age) / (self.alpha + t_x)) ** (self.r + x)
        return 1 / (1 + gone)

    def no_order(self, x, t_x, age, horizon):
        """Chance of no order within ``horizon`` from now on.

        Who is alive orders at a rate that is gamma(r + x, alpha + age), whatever their chance to leave is, so none
        comes with chance ((alpha + age) / (alpha + age + horizon)) ** (r + x).
        """
        silent = ((self.alpha + age) / (self.alpha + age + horizon)) ** (self.r + x)
        return 1 - self.alive(x, t_x, age) * (1 - silent)

    def expected_orders(self, t):
        """Orders after the first that a new customer is expected to place until ``t``, by summing over orders.

        The k-th comes if all before were survived, E[(1-p)^k], at a time that is a sum of k waits: integrated over
        rates numerically.
        """
        from scipy.special import gammainc
        from scipy.stats import gamma

        quantiles = (np.arange(4000) + 0.5) / 4000
        rates = gamma.ppf(quantiles, self.r, scale=1 / self.alpha)
        k = np.arange(1, 400)
        survived = np.exp(betaln(self.a, self.b + k) - betaln(self.a, self.b))
        return np.array([(gammainc(k[:, None], rates * at).mean(axis=1) * survived).sum() for at in np.atleast_1d(t)])


def log_likelihood(params, x, t_x, age):
    """Log likelihood of each customer, shape (n,)."""
    r, alpha, a, b = params
    head = gammaln(r + x) - gammaln(r) + r * np.log(alpha) + betaln(a, b + x + 1) - betaln(a, b)
    stayed = -(r + x) * np.log(alpha + age)
    left = np.log(a) - np.log(b + x) - (r + x) * np.log(alpha + t_x)
    return head + np.logaddexp(stayed, left)


def fit(x, t_x, age):
    """Fit by maximum likelihood; equal customers are counted once, times are scaled to a mean age of 10."""
    scale = 10 / max(age.mean(), 1e-9)
    rows, counts = np.unique(np.round(np.column_stack([x, t_x * scale, age * scale]), 6), axis=0, return_counts=True)

    def loss(logs):
        found = -(log_likelihood(np.exp(logs), *rows.T) * counts).sum() / counts.sum()
        return found if np.isfinite(found) else 1e9

    starts = [np.log([1.0, 1.0, 1.0, 1.0]), np.log([0.5, 5.0, 1.0, 2.0])]
    bounds = [(-7.0, 7.0)] * 4
    best = min((minimize(loss, s, method="L-BFGS-B", bounds=bounds) for s in starts), key=lambda found: found.fun)
    r, alpha, a, b = np.exp(best.x)
    return MbgNbd(r, alpha / scale, a, b)


def summarise(features):
    """Return x, t_x, age in days from ``quimbi_assets.churn.history.measure``."""
    age = features["tenure_days"].to_numpy()
    return features["n_orders"].to_numpy() - 1, age - features["days_since_last_order"].to_numpy(), age
