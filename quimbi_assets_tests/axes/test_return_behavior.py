import pytest

AXIS = "return_behavior"


def test_by_hand(store):
    store.order(0, 90.0, store.line(price=60.0), store.line("b", refund_amount=40.0, refunded=5), discount_amount=10.0)
    row = store.order(1, 100.0, store.line("c", refund_amount=0.0)).measure(AXIS, 10)
    # 40 of 90 + 10 + 100 gross; 1 of 3 lines; 1 of 2 orders.
    assert row["refund_rate"] == pytest.approx(0.2)
    assert row["items_returned_pct"] == pytest.approx(1 / 3)
    assert (row["return_order_ratio"], row["total_refunds"], row["days_to_refund"]) == (0.5, 40, 5)


@pytest.mark.parametrize(("end", "rate"), [(5, 0), (5.5, 0.4)])
def test_a_refund_on_the_order_is_dated_by_its_line(store, end, rate):
    store.order(0, 100.0, store.line(refund_amount=40.0, refunded=5), refund_amount=40.0)
    assert store.measure(AXIS, end)["refund_rate"] == rate


def test_a_refund_without_a_date_counts_from_its_order(store):
    row = store.order(0, 100.0, store.line(), refund_amount=25.0).measure(AXIS, 1)
    assert (row["refund_rate"], row["return_order_ratio"], row["days_to_refund"]) == (0.25, 1, None)


def test_part_of_a_refund_is_still_to_come(store):
    early, late = store.line(refund_amount=10.0, refunded=2), store.line("b", refund_amount=30.0, refunded=20)
    row = store.order(0, 100.0, early, late, refund_amount=40.0).measure(AXIS, 10)
    assert (row["total_refunds"], row["items_returned_pct"]) == (10, 0.5)


def test_refunds_that_do_not_add_up_to_the_last_digit_are_none(store):
    # 0.1 + 0.2 is not 0.3: what is left when both are still to come must not read as a returned order.
    lines = [store.line(refund_amount=0.1, refunded=20), store.line("b", refund_amount=0.2, refunded=20)]
    store.order(0, 100.0, *lines, refund_amount=0.1 + 0.2 + 1e-12).order(0, customer="bob", refund_amount=0.0)
    row = store.measure(AXIS, 10)
    assert (row["return_order_ratio"], row["total_refunds"]) == (0, 0)


def test_refunds_on_orders_only_leave_two_features(store):
    features = store.order(0, 100.0, store.line(), refund_amount=25.0).features(10)
    assert features.unrecorded[AXIS] == ["items_returned_pct"]


def test_no_refunds_recorded_is_inactive(store):
    assert store.order(0).features(10).inactive[AXIS] == "not recorded: refunds"
