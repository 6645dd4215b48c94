"""Gamma-gamma against numerical integration, its own simulation, and published figures."""

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import quad
from scipy.stats import gamma

from quimbi_assets.value.gamma_gamma import GammaGamma, fit_gamma_gamma, log_likelihood

PUBLISHED = GammaGamma(6.25, 3.74, 15.44)
"""Of repeat orders in the first 39 weeks of a tenth of the CDNOW cohort (Fader and Hardie 2013, note 025)."""


@pytest.mark.parametrize(("n", "mean"), [(1, 11.77), (2, 22.35), (7, 73.74)])
def test_density_and_expected_value_are_the_integrals_they_stand_for(n, mean):
    p, q, rate = PUBLISHED.p, PUBLISHED.q, PUBLISHED.gamma

    def joint(nu):
        return gamma.pdf(nu, q, scale=1 / rate) * gamma.pdf(mean, p * n, scale=1 / (n * nu))

    density = quad(joint, 0, 20)[0]
    value = quad(lambda nu: p / nu * joint(nu), 0, 20)[0] / density
    assert np.exp(log_likelihood(p, q, rate, np.array([n]), np.array([mean])))[0] == pytest.approx(density, rel=1e-6)
    assert PUBLISHED.expected_value(np.array([n]), np.array([mean]))[0] == pytest.approx(value, rel=1e-6)


def test_expected_values_that_others_publish():
    """First customers of the tenth as the package lifetimes shows them, with unrounded parameters (its quickstart)."""
    n, mean = np.array([2.0, 1.0, 0.0, 7.0]), np.array([22.35, 11.77, 0.0, 73.74])
    assert PUBLISHED.expected_value(n, mean) == pytest.approx([24.6587, 18.9115, 35.171, 71.4628], rel=2e-3)


def test_parameters_of_simulated_customers_are_found_again_in_any_currency():
    rng = np.random.default_rng(0)
    nu, n = rng.gamma(PUBLISHED.q, 1 / PUBLISHED.gamma, 40_000), rng.integers(1, 12, 40_000).astype(float)
    mean = rng.gamma(PUBLISHED.p * n, 1 / nu) / n
    fits = [fit_gamma_gamma(n, mean * unit) for unit in (1, 1000)]
    assert vars(fits[0]) == pytest.approx(vars(PUBLISHED), rel=0.1)
    assert (fits[1].p, fits[1].q, fits[1].gamma / 1000) == pytest.approx(tuple(vars(fits[0]).values()), rel=1e-3)


def test_published_parameters_are_likely_among_tenths_of_the_cohort(shared_data):
    """Which customers the published tenth holds these data do not say."""
    path = shared_data / "cdnow" / "orders.parquet"
    if not path.is_file():
        pytest.skip("no cdnow beside the repository")
    orders = pd.read_parquet(path, columns=["customer_id", "order_date", "total_price"])
    dates = pd.to_datetime(orders["order_date"], utc=True).dt.tz_localize(None)
    orders = orders[dates <= "1997-09-30"].assign(day=dates.dt.normalize())
    by_day = orders.groupby(["customer_id", "day"], as_index=False)["total_price"].sum()
    repeats = by_day[by_day.groupby("customer_id").cumcount() > 0]
    by_customer = repeats[repeats["total_price"] > 0].groupby("customer_id")["total_price"].agg(["size", "mean"])
    n, mean = by_customer["size"].to_numpy(float), by_customer["mean"].to_numpy()
    tenth = np.random.default_rng(0).permutation(len(n)) % 10
    fits = [fit_gamma_gamma(n[tenth == i], mean[tenth == i]) for i in range(10)]
    for name, value in vars(PUBLISHED).items():
        values = np.array([getattr(fit, name) for fit in fits])
        assert abs(value - values.mean()) < 3 * values.std(ddof=1), name
    by_paper, by_tenths = (
        log_likelihood(one.p, one.q, one.gamma, n, mean).mean() for one in (PUBLISHED, fit_gamma_gamma(n, mean))
    )
    assert 0 <= by_tenths - by_paper < 0.01
