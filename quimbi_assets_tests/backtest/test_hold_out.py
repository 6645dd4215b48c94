import numpy as np
import pandas as pd
import pytest

from quimbi_assets.axes import AXES, fit_reference
from quimbi_assets.backtest.hold_out import FORMULAS, measure_hold_out, measure_outcome
from quimbi_assets.history import History

CUT = pd.Timestamp("2025-03-03")


@pytest.fixture
def hold_out():
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
    tickets = pd.DataFrame(
        [("t1", "ann", "2025-02-20", 5), ("t2", "ann", "2025-03-09", 2), ("t3", "cem", "2025-04-01", 4)],
        columns=["ticket_id", "customer_id", "created_at", "satisfaction_score"],
    ).assign(created_at=lambda t: pd.to_datetime(t["created_at"]))
    history = History.from_frames(orders, items, tickets)
    then = history.until(CUT)
    customers = pd.Index(then.customers.to_pandas())
    return measure_hold_out(history, customers, CUT, 90, recorded=then.recorded, reference=fit_reference(then))


def values(hold_out, axis):
    return {outcome.name: measure_outcome(axis, outcome, hold_out) for outcome in AXES[axis].outcomes}


def test_who_is_known_and_what_they_ordered(hold_out):
    assert hold_out.customers.tolist() == ["ann", "bob", "cem"]
    assert hold_out.n_orders.tolist() == [2, 1, 0]


def test_orders_and_spend_count_for_those_who_stayed_away_too(hold_out):
    np.testing.assert_allclose(values(hold_out, "purchase_frequency")["orders"], np.log1p([2, 1, 0]))
    spend = values(hold_out, "purchase_value")
    np.testing.assert_allclose(spend["lifetime_value"], np.log1p([80, 8, 0]))
    np.testing.assert_allclose(spend["avg_order_value"], [np.log1p(40), np.log1p(8), np.nan])
    assert values(hold_out, "customer_maturity")["bought_at_all"].tolist() == [1, 1, 0]


def test_what_compares_with_before(hold_out):
    known = values(hold_out, "repurchase_behavior")["orders_with_a_known_product"]
    np.testing.assert_allclose(known, [0.5, 0, np.nan])
    np.testing.assert_allclose(values(hold_out, "product_knowledge")["lines_of_new_products"], [0.5, 1, np.nan])


def test_shares_are_those_of_the_window_alone(hold_out):
    # Ann: discounts 10 of 30 + 10 + 50; one of two orders; one of them on a Saturday.
    discounts = values(hold_out, "price_sensitivity")
    np.testing.assert_allclose(discounts["discount_depth"], [10 / 90, 0, np.nan])
    np.testing.assert_allclose(discounts["discount_rate"], [0.5, 0, np.nan])
    np.testing.assert_allclose(values(hold_out, "purchase_cadence")["weekend_ratio"], [0.5, 0, np.nan])


def test_who_writes_without_ordering_has_tickets_too(hold_out):
    """Ann wrote once over two orders, Cem once and ordered nothing; her ticket of before is not counted."""
    support = values(hold_out, "support_history")
    np.testing.assert_allclose(support["tickets_per_order"], np.log1p([0.5, 0, 1]))
    np.testing.assert_allclose(support["satisfaction_avg"], [2, np.nan, 4])


def test_what_is_not_recorded_is_none(hold_out):
    assert set(values(hold_out, "return_behavior").values()) == {None}
    assert values(hold_out, "communication_preference")["channel_web"] is None


@pytest.mark.parametrize("axis", AXES.values(), ids=AXES)
def test_every_claim_is_a_feature_or_a_formula_that_exists(axis):
    assert {outcome.name for outcome in axis.outcomes} <= {*FORMULAS, *(f.name for f in axis.features)}
    assert axis.outcomes
