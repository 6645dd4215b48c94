"""A store without traits is found weak, one with planted traits is not, and the same store dealt anew is weak again."""

import numpy as np
import pandas as pd
import pytest

from quimbi_assets.axes import AXES
from quimbi_assets.axes._shuffle import shuffle_orders
from quimbi_assets.clustering.abstention import measure_differences
from quimbi_assets.clustering.noise_test import LEVEL, NoiseTest, decide_features
from quimbi_assets.history import History
from quimbi_assets.simulation import simulate_store

END = pd.Timestamp("2025-01-01")


def chance_store(n_customers=500, seed=0):
    """A store in which every order is drawn alike, whoever places it."""
    rng = np.random.default_rng(seed)
    customer = np.repeat(np.arange(n_customers), 1 + rng.poisson(4, n_customers))
    n = len(customer)
    date = pd.Timestamp("2023-01-01") + pd.to_timedelta(rng.integers(0, 730 * 86_400, n), unit="s")
    price = rng.gamma(2, 20, n).round(2)
    orders = pd.DataFrame(
        {
            "order_id": [f"o{i}" for i in range(n)],
            "customer_id": [f"c{c:04d}" for c in customer],
            "order_date": date.as_unit("us"),
            "total_price": price,
            "discount_amount": np.where(rng.random(n) < 0.4, 0.1 * price, 0.0),
            "source": rng.choice(["web", "pos"], n),
            "refund_amount": np.where(rng.random(n) < 0.2, price, 0.0),
        }
    )
    line = np.repeat(np.arange(n), 1 + rng.poisson(1, n))
    product = rng.integers(0, 30, len(line))
    items = pd.DataFrame(
        {
            "order_id": orders["order_id"].to_numpy()[line],
            "product_id": [f"p{p}" for p in product],
            "category": [f"k{p % 6}" for p in product],
            "quantity": 1,
            "price": rng.gamma(2, 10, len(line)).round(2),
        }
    )
    return orders, items


def placed_by_anybody(rows, seed):
    """The same store, every order after a first one placed by anybody who had begun: nobody orders more often."""
    orders, rng = rows.orders.copy(), np.random.default_rng(seed)
    first = orders.groupby("customer_id")["order_date"].min().sort_values()
    later = orders["order_date"] > orders["customer_id"].map(first)
    n_begun = first.searchsorted(orders.loc[later, "order_date"])
    orders.loc[later, "customer_id"] = first.index[(rng.random(len(n_begun)) * n_begun).astype(int)].array
    return rows._replace(orders=orders)


@pytest.fixture(scope="module")
def planted():
    store = simulate_store(400, seed=3)
    orders = store.orders[store.orders["status"] == "paid"]
    return History.from_frames(orders, store.order_items, store.support_tickets)


def n_weak(found):
    return sum(differences.is_weak for differences in found.values())


def test_a_store_without_traits_is_weak_on_every_axis():
    found = measure_differences(History.from_frames(*chance_store()).until(END), AXES)
    assert len(found) == 13
    assert n_weak(found) == 13
    assert all("really differ in" in differences.reason for differences in found.values())


def test_a_store_with_planted_traits_is_not_and_is_once_it_is_dealt(planted):
    real = measure_differences(planted, AXES)
    assert len(real) == 14
    assert n_weak(real) == 0
    assert real["price_sensitivity"].figures["variance_ratio"].min() > 2
    assert real["price_sensitivity"].figures["reliability"].min() > 0.7
    support = real["support_history"].figures.set_index("feature")
    assert support.index[~support["is_tested"]].tolist() == ["tickets_per_order"]
    assert support["reliability"].drop("tickets_per_order").max() > 0.7
    anew = shuffle_orders(planted.frames(), planted.end, 17)
    dealt = measure_differences(History.from_frames(*anew).until(planted.end), AXES)
    # Who orders often keeps doing so in a dealt store; where anybody places their orders nobody does.
    assert [name for name, differences in dealt.items() if not differences.is_weak] == ["purchase_frequency"]
    assert "how often they order really differs" in dealt["purchase_frequency"].reason
    levelled = placed_by_anybody(History.from_frames(*anew).until(planted.end).frames(), 18)
    level = measure_differences(History.from_frames(*levelled).until(planted.end), ["purchase_frequency"])
    assert level["purchase_frequency"].is_weak
    assert dealt["price_sensitivity"].figures["reliability"].max() < 0.3
    assert dealt["support_history"].is_weak


def test_a_verdict_depends_on_the_seed_alone(planted):
    alone = measure_differences(planted, ["purchase_value"])
    turned = History.from_frames(*(rows[::-1] for rows in planted.frames())).until(planted.end)
    again = measure_differences(turned, ["purchase_value", "return_behavior"])
    pd.testing.assert_frame_equal(alone["purchase_value"].figures, again["purchase_value"].figures, rtol=1e-6)
    other = measure_differences(planted, ["purchase_value"], random_state=1)
    assert not other["purchase_value"].figures.equals(alone["purchase_value"].figures)


def test_the_sample_keeps_its_bounds(planted, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr("quimbi_assets.clustering.abstention.MAX_CUSTOMERS", 50)
        few = measure_differences(planted, ["purchase_value"])
    assert few["purchase_value"].n_customers == 50
    monkeypatch.setattr("quimbi_assets.clustering.abstention.MAX_ROWS", 500)
    cheap = measure_differences(planted, ["purchase_value"])
    assert 5 < cheap["purchase_value"].n_customers < 100


def test_what_dealing_leaves_as_it_is_is_not_tested(planted):
    figures = measure_differences(planted, ["customer_maturity"])["customer_maturity"].figures
    assert figures.set_index("feature")["is_tested"].to_dict() == {
        "tenure_months": False,
        "active_span_ratio": True,
        "acceleration": True,
    }


def test_axes_the_store_cannot_have_are_left_out():
    history = History.from_frames(chance_store(60)[0].drop(columns="discount_amount")).until(END)
    assert measure_differences(history, ["price_sensitivity"]) == {}
    assert measure_differences(history, []) == {}


def test_a_store_of_single_orders_is_told_so():
    orders, items = chance_store(300)
    orders = orders[~orders["customer_id"].duplicated() | (orders["customer_id"] < "c0050")]
    history = History.from_frames(orders, items).until(END)
    found = measure_differences(history, ["purchase_value"])["purchase_value"]
    assert found.ordered_once > 0.5
    assert "describes what happened once" in found.reason


def figures(variance_z, agreement_z, ratio=2.0, gain=0.5, is_tested=True):
    n = len(variance_z)
    return pd.DataFrame(
        {
            "feature": [f"f{i}" for i in range(n)],
            "n_customers": 1000,
            "variance_ratio": ratio,
            "variance_z": variance_z,
            "reliability": 0.6,
            "reliability_by_chance": 0.2,
            "reliability_gain": gain,
            "reliability_z": agreement_z,
            "is_tested": is_tested,
            "is_count": False,
            "rate_spread": np.nan,
            "p_value": np.nan,
        }
    )


def with_counts(given, **counts):
    """The same axis, its first feature the number of orders over time."""
    counts = {"is_count": True, "p_value": 1e-5, "rate_spread": 0.8, **counts}
    given.loc[0, list(counts)] = list(counts.values())
    return given


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (figures([5.0, 0.0], [0.0, 0.0]), [True, False]),
        (figures([-5.0, 0.0], [0.0, 0.0], ratio=0.5), [True, False]),
        (figures([5.0, 0.0], [0.0, 0.0], ratio=1.05), [False, False]),
        (figures([0.0, 0.0], [5.0, -5.0]), [True, False]),
        (figures([0.0, 0.0], [5.0, 5.0], gain=0.05), [False, False]),
        (figures([2.7, 0.0], [0.0, 0.0]), [False, False]),
        (figures([np.nan, 5.0], [np.nan, np.nan]), [False, True]),
        (figures([5.0, 5.0], [5.0, 5.0], is_tested=[False, True]), [False, True]),
        (with_counts(figures([0.0, 5.0], [0.0, 0.0])), [True, True]),
        (with_counts(figures([9.0, 2.7], [9.0, 0.0]), p_value=4e-5), [False, False]),
        (with_counts(figures([9.0, 2.9], [9.0, 0.0]), variance_ratio=1.05), [False, True]),
        (with_counts(figures([9.0, 2.7], [9.0, 0.0]), reliability_gain=0.05), [False, False]),
    ],
)
def test_the_rule(given, expected):
    assert LEVEL == 0.01  # z = 2.7 is significant for one test, not for the axis's four
    assert decide_features(given)["is_real"].tolist() == expected


@pytest.mark.parametrize(("z", "status"), [([5, 5, 0, 0], "active"), ([5, 0, 0], "weak"), ([], "weak")])
def test_half_of_the_features_must_be_real(z, status):
    found = NoiseTest(decide_features(figures(z, [0.0] * len(z))), 1000, ordered_once=0.1)
    assert found.status == status
    assert (found.reason is None) == (status == "active")


def test_segments_that_another_sample_would_not_show_again_are_weak_though_customers_differ():
    found = NoiseTest(decide_features(figures([5.0], [5.0])), 1000, 0.1, "bootstrap ARI 0.73, under 0.80")
    assert not found.is_chance
    assert found.status == "weak"
    assert "no division into segments" in found.reason
    assert "bootstrap ARI 0.73" in found.reason
    assert "dealt anew" not in found.reason


def test_whoever_orders_at_different_rates_differs_whatever_else_is_chance():
    rates = with_counts(figures([0.0] * 4, [0.0] * 4))
    found = NoiseTest(decide_features(rates), 1000, 0.1)
    assert found.real_share == 0.25
    assert found.status == "active"
    assert "how often they order really differs: numbers of later orders vary 2.00 times" in found.reason
    assert "rates by 80% of their mean" in found.reason
    assert found.metrics()["rate_spread.f0"] == 0.8
    assert NoiseTest(decide_features(rates), 1000, 0.1, "bootstrap ARI 0.73, under 0.80").is_weak
    chance = NoiseTest(decide_features(with_counts(figures([0.0] * 4, [0.0] * 4), p_value=0.3)), 1000, 0.1)
    assert chance.is_weak
    assert "how often they order could be chance" in chance.reason


def test_metrics_are_finite_and_named_by_feature():
    given = decide_features(figures([5.0, np.nan], [1.0, np.nan], ratio=[2.0, np.nan]))
    metrics = NoiseTest(given, 1000, 0.1).metrics()
    assert metrics["variance_ratio.f0"] == 2.0
    assert metrics["reliability.f1"] == 0.6
    assert "variance_ratio.f1" not in metrics
    assert np.isfinite(list(metrics.values())).all()
