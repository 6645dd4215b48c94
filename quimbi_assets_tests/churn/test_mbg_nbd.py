"""The reference implementation against brute force, its own simulation, and published parameters."""

import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import beta, gamma

from quimbi_assets.churn.history import measure, read_history
from quimbi_assets_tests.churn.conftest import past_of

PUBLISHED = (0.525, 6.183, 0.891, 1.614)
"""r, alpha (weeks), a, b of MBG/NBD on the tenth of the CDNOW cohort that the literature uses, first 39 weeks:
estimated by the R package BTYDplus (M. Platzer), and by a test of
lifetimes against it (``test_params_out_is_close_to_BTYDplus``)."""


@pytest.fixture(scope="module")
def mbg():
    path = Path(__file__).parents[2] / "benchmarks" / "mbg_nbd.py"
    spec = importlib.util.spec_from_file_location("mbg_nbd", path)
    module = importlib.util.module_from_spec(spec)
    import sys

    sys.modules["mbg_nbd"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def brute(x, t_x, age, alive_only, horizon=0.0):
    """Integrate over rates and chances to leave: density of the orders seen, and of no more within the horizon."""
    r, alpha, a, b = PUBLISHED

    at = (np.arange(2500) + 0.5) / 2500
    rate, p = gamma.ppf(at, r, scale=1 / alpha)[:, None], beta.ppf(at, a, b)
    stays = np.exp(-rate * (age + horizon)) * rate**x * (1 - p) ** (x + 1)
    leaves = np.exp(-rate * t_x) * rate**x * (1 - p) ** x * p
    return float((stays if alive_only else stays + leaves).mean())


@pytest.mark.parametrize(("x", "t_x", "age"), [(0, 0.0, 20.0), (2, 10.0, 30.0), (5, 25.0, 26.0)])
def test_likelihood_alive_and_silence_are_the_integrals_they_stand_for(mbg, x, t_x, age):
    whole = brute(x, t_x, age, alive_only=False)
    found = np.exp(mbg.log_likelihood(PUBLISHED, *(np.array([v]) for v in (x, t_x, age))))[0]
    assert found == pytest.approx(whole, rel=2e-3)
    model = mbg.MbgNbd(*PUBLISHED)
    assert model.alive(x, t_x, age) == pytest.approx(brute(x, t_x, age, alive_only=True) / whole, rel=2e-3)
    gone = 1 - brute(x, t_x, age, alive_only=True) / whole
    silent = brute(x, t_x, age, alive_only=True, horizon=13.0) / whole
    assert model.no_order(x, t_x, age, 13.0) == pytest.approx(gone + silent, rel=2e-3)


def test_one_time_buyers_are_not_all_alive(mbg):
    assert mbg.MbgNbd(*PUBLISHED).alive(0, 0.0, 39.0) < 0.5


def test_parameters_of_a_simulated_cohort_are_found_again(mbg):
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
    found = mbg.fit(x, t_x, np.full(n, age))
    assert [found.r, found.alpha, found.a, found.b] == pytest.approx(PUBLISHED, rel=0.15)


def test_published_parameters_lie_among_those_of_tenths_of_the_cohort(mbg, shared_data):
    path = shared_data / "cdnow" / "orders.parquet"
    if not path.is_file():
        pytest.skip("no cdnow beside the repository")
    orders = pd.read_parquet(path, columns=["customer_id", "order_date"])
    orders["order_date"] = pd.to_datetime(orders["order_date"], utc=True).dt.tz_localize(None)
    orders = orders.drop_duplicates()  # several orders of one day are one there
    end = pd.Timestamp("1997-09-30")
    seen = measure(read_history(past_of(orders, end + pd.Timedelta(days=1))), end + pd.Timedelta(days=1), 28)
    x, t_x, age = mbg.summarise(seen)
    age = age - 1  # until the last day, as in the literature
    rows = np.random.default_rng(0).permutation(len(x)) % 10
    tenths = [mbg.fit(x[rows == i], t_x[rows == i] / 7, age[rows == i] / 7) for i in range(10)]
    for name, value in zip(("r", "alpha", "a", "b"), PUBLISHED, strict=True):
        found = np.array([getattr(tenth, name) for tenth in tenths])
        assert abs(value - found.mean()) < 3 * found.std(ddof=1), name
