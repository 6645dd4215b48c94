import pytest

AXIS = "price_sensitivity"


def test_by_hand(store):
    row = store.order(0, 90.0, discount_amount=10.0).order(1, 300.0, discount_amount=0.0).measure(AXIS, 10)
    # Gross 90 + 10 + 300 = 400, of which 300 in an order without a discount.
    assert row["discount_rate"] == row["full_price_ratio"] == 0.5
    assert row["discount_depth"] == pytest.approx(10 / 400)
    assert row["full_price_value_share"] == pytest.approx(300 / 400)
    assert row["avg_discount_amount"] == 10


def test_gross_value_does_not_shrink_by_refunds(store):
    row = store.order(0, 90.0, discount_amount=10.0, refund_amount=90.0).measure(AXIS, 10)
    assert row["discount_depth"] == pytest.approx(0.1)


def test_nobody_using_discounts_is_recorded_and_zero(store):
    row = store.order(0, 90.0, discount_amount=0.0).measure(AXIS, 10)
    assert (row["discount_rate"], row["discount_depth"], row["full_price_value_share"]) == (0, 0, 1)
    assert row["avg_discount_amount"] is None


def test_no_discounts_recorded_is_inactive(store):
    assert store.order(0).features(10).inactive[AXIS] == "not recorded: orders.discount_amount"


def test_orders_worth_nothing_have_no_depth(store):
    row = store.order(0, 0.0, discount_amount=0.0).measure(AXIS, 10)
    assert (row["discount_rate"], row["discount_depth"], row["full_price_value_share"]) == (0, None, None)
