"""What states foretell: beyond orders and tenure, more than in dealt stores, and what is said where it is little."""

import numpy as np
import pandas as pd
import pytest

from quimbi_assets.axes import _shuffle, fit_reference
from quimbi_assets.clustering import foresight
from quimbi_assets.clustering.axis_fit import FitOptions
from quimbi_assets.clustering.foresight import Foresight, Past, added_share, judge_foresight, orders_and_tenure
from quimbi_assets.clustering.noise_test import NoiseTest
from quimbi_assets.history import History
from quimbi_assets.pipeline import fit_store, sample_store
from quimbi_assets.simulation import simulate_store

STATES = ["customer_maturity", "loyalty_trajectory"]
OPTIONS = FitOptions(pictures=False)


def judged(history):
    """The noise tests of both axes of states, and their models."""
    features = sample_store(history, STATES, OPTIONS)
    return fit_store(history, dict(features), fit_reference(history), history.recorded, OPTIONS)


@pytest.fixture(scope="module")
def planted():
    drawn = simulate_store(700, seed=3)
    return History.from_frames(drawn.orders, drawn.order_items)


@pytest.fixture(scope="module")
def fitted(planted):
    return judged(planted)


def test_planted_stages_foretell_who_orders_and_dealt_ones_only_by_rate(planted, fitted):
    for axis in STATES:
        assert fitted.noise[axis].foresight.is_much
    dealt = History.from_frames(*_shuffle.shuffle_orders(planted.frames(), planted.end, 1)).until(planted.end)
    maturity = judged(dealt).noise["customer_maturity"]
    assert maturity.foresight.explained > 0.1
    assert maturity.foresight.beyond < foresight.SMALLEST_SHARE
    assert maturity.status == "weak"
    assert "Of who ordered in the last" in maturity.reason


def test_nothing_from_the_cut_off_on_is_seen(planted, fitted):
    (past, *_), days = fitted.noise["customer_maturity"].pasts, fitted.noise["customer_maturity"].foresight.horizon_days
    cut_off = planted.end - pd.Timedelta(days=days)
    orders = planted.frames().orders
    before = orders[orders["order_date"] < cut_off].groupby("customer_id")
    assert past.features["n_orders"].to_list() == before.size().to_list()
    assert past.tenure_days == pytest.approx((cut_off - before["order_date"].min()) / pd.Timedelta(days=1))
    later = set(orders.loc[orders["order_date"] >= cut_off, "customer_id"])
    assert past.bought.tolist() == [customer in later for customer in past.features.index]


def test_the_share_added_is_that_of_adjusted_r_squared_and_by_chance_nothing():
    rng = np.random.default_rng(0)
    base, more = np.column_stack([np.ones(5000), rng.normal(size=5000)]), rng.normal(size=(5000, 2))
    outcome = base[:, 1] + 0.5 * more[:, 0] + rng.normal(size=5000)
    share, p_value = added_share(outcome, base, more, 99)
    assert share == pytest.approx(0.25 / 2.25, abs=0.015)
    assert p_value == 1 / 100
    chance = [added_share(rng.normal(size=400), base[:400], more[:400], 99) for _ in range(60)]
    assert abs(np.mean([share for share, _ in chance])) < 0.002
    assert 0.35 < np.mean([p for _, p in chance]) < 0.65
    assert added_share(outcome, base, base[:, 1:] * 2, 99) == (0, 1)


def test_what_orders_and_tenure_say_is_not_counted_again():
    rng = np.random.default_rng(1)
    n_orders, tenure = rng.integers(1, 30, 4000).astype(float), 600 * rng.random(4000)
    bought = (rng.random(4000) < 1 - np.exp(-20 * n_orders / (tenure + 60))).astype(float)
    groups = np.eye(4)[np.searchsorted([0.02, 0.05, 0.2], n_orders / (tenure + 1))]
    assert added_share(bought, np.ones((4000, 1)), groups, 0)[0] > 0.1
    assert added_share(bought, orders_and_tenure(n_orders, tenure), groups, 0)[0] < 0.01


@pytest.mark.parametrize(
    ("figures", "is_real", "words"),
    [
        ((0.20, 0.030, 0.002, 0.005), True, "tells 3.0% of who ordered in the last 70 days, beyond"),
        ((0.20, 0.006, 0.002, 0.005), True, "beyond that little (0.6%)"),
        ((0.20, 0.030, 0.002, 0.015), False, "beyond that nothing that could not be chance"),
        ((0.20, 0.030, 0.031, 0.005), False, "of who ordered in the last 70 days it tells 20%, but mostly"),
        ((0.20, 0.004, 0.002, 0.005), False, "beyond that nothing"),
        ((0.009, 0.008, 0.002, 0.005), True, "beyond that little (0.8%)"),
        ((0.001, -0.001, 0.0, 0.6), False, "did not foretell who ordered in the last 70 days"),
    ],
)
def test_the_rule_and_its_words(figures, is_real, words):
    given = Foresight(70, 900, *figures)
    assert given.is_real == is_real
    assert words in given.sentence


def test_a_state_that_foretells_is_active_and_says_so_where_it_is_little():
    chance = pd.DataFrame({"is_tested": [], "is_real": [], "is_count": [], "reliability": [], "variance_ratio": []})
    test = NoiseTest(chance.astype({"is_count": bool, "is_real": bool, "is_tested": bool}), 900, 0.1)
    for figures, status in (((0.2, 0.03, 0.0, 0.005), "active"), ((0.2, 0.001, 0.0, 0.4), "weak")):
        told_apart = NoiseTest(test.figures, 900, 0.1, foresight=Foresight(70, 900, *figures))
        assert told_apart.status == status
        assert told_apart.foresight.sentence.lower() in told_apart.reason.lower()


def test_too_few_customers_then_say_nothing(fitted):
    (past, *_) = fitted.noise["customer_maturity"].pasts
    few = Past(past.horizon_days, past.features.iloc[:50], past.tenure_days[:50], past.bought[:50])
    assert judge_foresight([few, few], fitted.models["customer_maturity"]) is None
