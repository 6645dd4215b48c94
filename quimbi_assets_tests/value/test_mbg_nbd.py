"""MBG/NBD against brute force, its own simulation, and published parameters."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import beta, gamma

from quimbi_assets.churn.history import measure, read_history
from quimbi_assets.value.mbg_nbd import MbgNbd, fit_mbg_nbd, log_likelihood
from quimbi_assets_tests.churn.conftest import past_of

PUBLISHED = (0.525, 6.183, 0.891, 1.614)
"""r, alpha (weeks), a, b of MBG/NBD on the tenth of the CDNOW cohort that the literature uses, first 39 weeks:
estimated by the R package BTYDplus (M. Platzer), and by a test of
lifetimes against it (``test_params_out_is_close_to_BTYDplus``)."""


def brute(x, t_x, age, alive_only, horizon=0.0):
    """Integrate over rates and chances to leave: density of the orders seen, and of no more within the horizon."""
    r, alpha, a, b = PUBLISHED

    at = (np.arange(2500) + 0.5) / 2500
    rate, p = gamma.ppf(at, r, scale=1 / alpha)[:, None], beta.ppf(at, a, b)
    stays = np.exp(-rate * (age + horizon)) * rate**x * (1 - p) ** (x + 1)
    leaves = np.exp(-rate * t_x) * rate**x * (1 - p) ** x * p
    return float((stays if alive_only else stays + leaves).mean())


@pytest.mark.parametrize(("x", "t_x", "age"), [(0, 0.0, 20.0), (2, 10.0, 30.0), (5, 25.0, 26.0)])
def test_likelihood_alive_and_silence_are_the_integrals_they_stand_for(x, t_x, age):
    whole = brute(x, t_x, age, alive_only=False)
    found = np.exp(log_likelihood(PUBLISHED, *(np.array([v]) for v in (x, t_x, age))))[0]
    assert found == pytest.approx(whole, rel=2e-3)
    model = MbgNbd(*PUBLISHED)
    assert model.alive(x, t_x, age) == pytest.approx(brute(x, t_x, age, alive_only=True) / whole, rel=2e-3)
    gone = 1 - brute(x, t_x, age, alive_only=True) / whole
    silent = brute(x, t_x, age, alive_only=True, horizon=13.0) / whole
    assert model.no_order(x, t_x, age, 13.0) == pytest.approx(gone + silent, rel=2e-3)
    half = model.days_until_order(x, t_x, age)
    assert np.isinf(half) if gone > 0.5 else model.no_order(x, t_x, age, half) == pytest.approx(0.5)


def test_a_chance_of_no_order_is_carried_over_to_other_days():
    model, one = MbgNbd(*PUBLISHED), (np.array([2.0]), np.array([10.0]), np.array([30.0]))
    for days, horizon in ((4.0, 13.0), (13.0, 4.0), (13.0, 13.0)):
        own = model.no_order(*one, days)
        assert model.no_order_given(*one, own, days, horizon) == pytest.approx(model.no_order(*one, horizon))
    assert model.no_order_given(*one, np.array([0.4]), 13.0, 13.0) == pytest.approx(0.4)
    assert 0 < model.no_order_given(*one, np.array([0.4]), 13.0, 52.0)[0] < 0.4
    assert 0.4 < model.no_order_given(*one, np.array([0.4]), 13.0, 4.0)[0] < 1
    # Who orders daily is sure to come: what is given stays, and nothing is divided by nothing.
    assert model.no_order_given(*(np.array([v]) for v in (5e4, 730.0, 730.0)), np.array([0.2]), 28.0, 90.0) == 0.2


@pytest.mark.parametrize(("x", "t_x", "age"), [(0, 0.0, 20.0), (2, 10.0, 30.0), (5, 25.0, 26.0)])
@pytest.mark.parametrize("params", [PUBLISHED, (1.2, 6.7, 1.0, 460.0), (0.7, 54.0, 1.0 + 1e-9, 22.0)])
def test_expected_orders_are_the_integral_they_stand_for(params, x, t_x, age):
    """Who is alive with rate l and chance to leave p orders (1 - exp(-l p t)) / p times: they leave at rate l p."""
    r, alpha, a, b = params
    at = (np.arange(2500) + 0.5) / 2500
    rate, p = gamma.ppf(at, r + x, scale=1 / (alpha + age))[:, None], beta.ppf(at, a, b + x + 1)
    model = MbgNbd(*params)
    alive = model.alive(x, t_x, age) * float((-np.expm1(-rate * p * 13.0) / p).mean())
    assert model.expected_orders(x, t_x, age, 13.0) == pytest.approx(alive, rel=3e-3)


def test_expected_orders_never_fail():
    x, t_x, age = np.array([0.0, 3000.0, 1.0]), np.array([0.0, 700.0, 5e-6]), np.array([0.0, 700.0, 1e-5])
    for params in ((1096.0, 8e4, 1e-3, 1e3), (1e-3, 1e-3, 1096.0, 1e-3), PUBLISHED):
        for horizon in (28.0, 90.0, 365.0):
            orders = MbgNbd(*params).expected_orders(x, t_x, age, horizon)
            assert np.isfinite(orders).all()
            assert (orders >= 0).all()


def test_one_time_buyers_are_not_all_alive():
    assert MbgNbd(*PUBLISHED).alive(0, 0.0, 39.0) < 0.5


def test_parameters_of_a_simulated_cohort_are_found_again():
    rng = np.random.default_rng(0)
    r, alpha, a, b = PUBLISHED
    n, age = 40_000, 78.0
    rates, leave = rng.gamma(r, 1 / alpha, n), rng.beta(a, b, n)
    x, t_x, now = np.zeros(n), np.zeros(n), np.zeros(n)
    alive = rng.random(n) >= leave
    while alive.any():
        now = np.where(alive, now + rng.exponential(1 / rates), now)
        came = alive & (now < age)
        x, t_x = x + came, np.where(came, now, t_x)
        alive = came & (rng.random(n) >= leave)
    found = fit_mbg_nbd(x, t_x, np.full(n, age))
    assert [found.r, found.alpha, found.a, found.b] == pytest.approx(PUBLISHED, rel=0.15)


def test_published_parameters_lie_among_those_of_tenths_of_the_cohort(shared_data):
    path = shared_data / "cdnow" / "orders.parquet"
    if not path.is_file():
        pytest.skip("no cdnow beside the repository")
    orders = pd.read_parquet(path, columns=["customer_id", "order_date"])
    orders["order_date"] = pd.to_datetime(orders["order_date"], utc=True).dt.tz_localize(None)
    orders = orders.drop_duplicates()  # several orders of one day are one there
    end = pd.Timestamp("1997-09-30")
    seen = measure(read_history(past_of(orders, end + pd.Timedelta(days=1))), end + pd.Timedelta(days=1), 28)
    known = seen["tenure_days"].to_numpy()
    x, t_x = seen["n_orders"].to_numpy() - 1, known - seen["days_since_last_order"].to_numpy()
    age = known - 1  # until the last day, as in the literature
    rows = np.random.default_rng(0).permutation(len(x)) % 10
    tenths = [fit_mbg_nbd(x[rows == i], t_x[rows == i] / 7, age[rows == i] / 7) for i in range(10)]
    for name, value in zip(("r", "alpha", "a", "b"), PUBLISHED, strict=True):
        found = np.array([getattr(tenth, name) for tenth in tenths])
        assert abs(value - found.mean()) < 3 * found.std(ddof=1), name
