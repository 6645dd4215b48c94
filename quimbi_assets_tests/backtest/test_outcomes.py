import numpy as np
import pandas as pd
import pytest

from quimbi_assets.axes import AXES, extract_features, fit_reference
from quimbi_assets.backtest.outcomes import outcomes_of
from quimbi_assets.backtest.window import measure_window

CUT = pd.Timestamp("2025-03-03")


@pytest.fixture
def window():
    """Ann buys tea before and after, Bob coffee then tea, Cem only before, Dora only after (she is not known)."""
    rows = [
        ("1", "ann", "2025-02-03", 10.0, 0.0, "tea"),
        ("2", "ann", "2025-02-10", 10.0, 0.0, "tea"),
        ("3", "bob", "2025-02-04", 20.0, 0.0, "coffee"),
        ("4", "cem", "2025-02-05", 20.0, 5.0, "milk"),
        ("5", "ann", "2025-03-08", 30.0, 10.0, "tea"),
        ("6", "ann", "2025-03-10", 50.0, 0.0, "cup"),
        ("7", "bob", "2025-03-03", 8.0, 0.0, "tea"),
        ("8", "dora", "2025-03-20", 8.0, 0.0, "tea"),
        ("9", "bob", "2025-06-02", 99.0, 0.0, "coffee"),
    ]
    orders = pd.DataFrame(
        rows, columns=["order_id", "customer_id", "order_date", "total_price", "discount_amount", "product_id"]
    )
    orders["order_date"] = pd.to_datetime(orders["order_date"] + " 10:00")
    items = orders[["order_id", "product_id"]].assign(quantity=1.0, price=orders["total_price"], category="drinks")
    orders = orders.drop(columns="product_id")
    reference = fit_reference(orders, items, CUT)
    known = extract_features(orders, items, observation_end=CUT, reference=reference)
    customers = known["purchase_frequency"].index
    return measure_window(orders, items, customers, CUT, 90, recorded=known.recorded, reference=reference)


def values(window, axis):
    return {outcome.name: outcome.values(window) for outcome in outcomes_of(axis)}


def test_who_is_known_and_what_they_ordered(window):
    assert window.customers.tolist() == ["ann", "bob", "cem"]
    assert window.n_orders.tolist() == [2, 1, 0]


def test_orders_and_spend_count_for_those_who_stayed_away_too(window):
    np.testing.assert_allclose(values(window, "purchase_frequency")["orders"], np.log1p([2, 1, 0]))
    spend = values(window, "purchase_value")
    np.testing.assert_allclose(spend["lifetime_value"], np.log1p([80, 8, 0]))
    np.testing.assert_allclose(spend["avg_order_value"], [np.log1p(40), np.log1p(8), np.nan])
    assert values(window, "customer_maturity")["bought_at_all"].tolist() == [1, 1, 0]


def test_what_compares_with_before(window):
    known = values(window, "repurchase_behavior")["orders_with_a_known_product"]
    np.testing.assert_allclose(known, [0.5, 0, np.nan])
    np.testing.assert_allclose(values(window, "product_knowledge")["lines_of_new_products"], [0.5, 1, np.nan])


def test_shares_are_those_of_the_window_alone(window):
    # Ann: discounts 10 of 30 + 10 + 50; one of two orders; one of them on a Saturday.
    discounts = values(window, "price_sensitivity")
    np.testing.assert_allclose(discounts["discount_depth"], [10 / 90, 0, np.nan])
    np.testing.assert_allclose(discounts["discount_rate"], [0.5, 0, np.nan])
    np.testing.assert_allclose(values(window, "purchase_cadence")["weekend_ratio"], [0.5, 0, np.nan])


def test_what_is_not_recorded_is_none(window):
    assert set(values(window, "return_behavior").values()) == {None}
    assert values(window, "communication_preference")["channel_web"] is None


def test_an_axis_that_claims_nothing_is_held_to_its_own_features(window, monkeypatch):
    monkeypatch.setattr("quimbi_assets.backtest.outcomes.OUTCOMES", {})
    names = [outcome.name for outcome in outcomes_of("purchase_value")]
    assert names == [feature.name for feature in AXES["purchase_value"].clustering_features]
    assert values(window, "purchase_value")["lifetime_value"][:2].tolist() == [80, 8]


def test_every_claim_is_a_feature_that_exists():
    for name in AXES:
        assert outcomes_of(name)
