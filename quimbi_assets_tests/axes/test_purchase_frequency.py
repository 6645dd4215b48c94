import pytest

AXIS = "purchase_frequency"


def test_by_hand(store):
    row = store.order(0).order(10).order(30).measure(AXIS, 60)
    # 3 orders in 60 days = 60 / 30.4375 = 1.971 months; gaps 10 and 20: mean 15, sd sqrt(5² + 5²) = 7.0711.
    assert row["orders_per_month"] == pytest.approx(1.521875)
    assert row["avg_days_between_orders"] == 15
    assert row["purchase_consistency"] == pytest.approx(1 / (1 + 7.0710678 / 15))
    assert row["days_since_last_order"] == 30
    assert row["n_orders"] == row["recent_orders_90d"] == 3


def test_the_floor_of_30_days(store):
    # One order a day ago is 1 / (30 / 30.4375) a month, not 30.4.
    row = store.order(0).measure(AXIS, 1)
    assert row["orders_per_month"] == pytest.approx(1.0145833)
    assert row["avg_days_between_orders"] is None
    assert row["purchase_consistency"] is None


@pytest.mark.parametrize(("end", "recent"), [(90, 1), (90.5, 0)])
def test_the_last_90_days(store, end, recent):
    assert store.order(0).measure(AXIS, end)["recent_orders_90d"] == recent


def test_clockwork_and_orders_at_one_instant(store):
    for day in (0, 7, 14):
        store.order(day).order(3, customer="bob")
    assert store.measure(AXIS, 30)["purchase_consistency"] == 1
    bob = store.measure(AXIS, 30, customer="bob")
    assert bob["avg_days_between_orders"] == 0
    assert bob["purchase_consistency"] is None  # sd / mean is 0 / 0


def test_two_orders_have_a_gap_but_no_consistency(store):
    row = store.order(0).order(8).measure(AXIS, 30)
    assert (row["avg_days_between_orders"], row["purchase_consistency"]) == (8, None)


def test_times_count_in_whole_seconds(store):
    # Engines differ in whether they keep the fraction, so none does.
    row = store.order("2025-01-01 00:00:00.9").measure(AXIS, "2025-01-02 00:00:00.1")
    assert row["days_since_last_order"] == 1
