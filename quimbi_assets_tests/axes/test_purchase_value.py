import pytest

AXIS = "purchase_value"


def test_by_hand(store):
    row = store.order(0, 10.0).order(1, 20.0, refund_amount=5.0).order(2, 30.0).measure(AXIS, 10)
    # Net 10, 15, 30; slope over three points = (ln 31 - ln 11) / 2; mean 55 / 3,
    # sd = sqrt((8.333² + 3.333² + 11.667²) / 2) = 10.4083, so 1 / (1 + 0.56773).
    assert row["lifetime_value"] == 55
    assert row["avg_order_value"] == pytest.approx(18.3333, abs=1e-4)
    assert row["value_trend"] == pytest.approx(0.518046, abs=1e-6)
    assert row["value_consistency"] == pytest.approx(0.637866, abs=1e-5)
    assert (row["median_order_value"], row["max_order_value"]) == (15, 30)


def test_median_of_an_even_number(store):
    for day, total in enumerate((40.0, 10.0, 20.0, 30.0)):
        store.order(day, total)
    assert store.measure(AXIS, 10)["median_order_value"] == 25


def test_a_full_refund_leaves_an_order_of_no_value(store):
    row = store.order(0, 20.0, refund_amount=20.0).measure(AXIS, 10)
    assert (row["n_orders"], row["lifetime_value"], row["avg_order_value"]) == (1, 0, 0)


def test_a_refund_never_exceeds_what_was_paid(store):
    assert store.order(0, 20.0, refund_amount=25.0).measure(AXIS, 10)["lifetime_value"] == 0


@pytest.mark.parametrize(("end", "value"), [(5, 20), (5.01, 8)])
def test_a_refund_counts_from_its_own_date(store, end, value):
    store.order(0, 20.0, store.line(refund_amount=12.0, refunded=5))
    assert store.measure(AXIS, end)["lifetime_value"] == value


def test_the_orders_total_counts_not_its_lines(store):
    store.order(0, 50.0, store.line(price=10.0), store.line("b", price=20.0))
    assert store.measure(AXIS, 10)["lifetime_value"] == 50


def test_two_orders_have_no_trend_and_worthless_orders_no_consistency(store):
    row = store.order(0, 0.0).order(1, 0.0).measure(AXIS, 10)
    assert (row["value_trend"], row["value_consistency"]) == (None, None)
