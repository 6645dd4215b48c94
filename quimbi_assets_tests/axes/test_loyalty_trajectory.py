import numpy as np
import pytest

from quimbi_assets.axes import StoreReference

AXIS = "loyalty_trajectory"


@pytest.mark.parametrize(
    ("days", "end", "expected"),
    [
        # Bins of 30 days hold 2, 1, 0 orders: slope -1, mean 1.
        ((0, 1, 40), 90, -1),
        # The silent tail: 2, 1, 0, 0, 0, 0. Slope (-2.5·2 - 1.5·1) / 17.5, mean 0.5.
        ((0, 1, 40), 180, -0.742857),
        # One order a bin is steady; three more silent bins fall: (-2.5 - 1.5 - 0.5) / 17.5 / 0.5.
        ((0, 30, 60), 90, 0),
        ((0, 30, 60), 180, -0.514286),
        # 1, 0, 2: slope 0.5, mean 1.
        ((0, 61, 62), 90, 0.5),
        # 74 days are two bins only, 75 are three of 25 days: 2, 1, 0 again.
        ((0, 1, 40), 74, None),
        ((0, 1, 40), 75, -1),
        ((0,), 90, None),
    ],
)
def test_frequency_trend(store, days, end, expected):
    for day in days:
        store.order(day)
    row = store.measure(AXIS, end)
    assert row["frequency_trend"] == (None if expected is None else pytest.approx(expected, abs=1e-6))
    assert row["is_decelerating"] == (None if expected is None else expected < -0.05)
    assert row["is_accelerating"] == (None if expected is None else expected > 0.05)


def test_orders_on_the_boundaries_of_many_bins(store):
    # 49 bins of 30 days with one order each, on the boundary: no trend. 1 / 49 · 49 is less than 1 in binary.
    for bin_ in range(49):
        store.order(30 * bin_)
    assert store.measure(AXIS, 49 * 30)["frequency_trend"] == pytest.approx(0, abs=1e-12)


def test_overdue_and_next_order(store):
    row = (
        store.order("2025-01-01 10:00")
        .order("2025-01-31 10:00")
        .order("2025-03-02 10:00")
        .measure(AXIS, "2025-05-01 10:00")
    )
    assert row["overdue_ratio"] == pytest.approx(2)  # 60 days since the last, usual gap 30
    assert row["expected_next_order_date"] == "2025-04-01"


def test_one_order_is_measured_by_the_stores_usual_gap(store):
    empty = StoreReference.empty()
    reference = StoreReference(empty.product_prices, empty.category_prices, median_gap_days=20.0)
    row = store.order(0).measure(AXIS, 50, reference=reference)
    assert (row["overdue_ratio"], row["expected_next_order_date"]) == (2.5, "2025-01-21")
    alone = store.measure(AXIS, 50)
    assert (alone["overdue_ratio"], alone["expected_next_order_date"]) == (None, None)


def test_orders_at_one_instant_have_a_usual_gap_of_a_day(store):
    assert store.order(0).order(0).measure(AXIS, 5)["overdue_ratio"] == 5


@pytest.mark.parametrize(("gaps", "expected"), [((8, 4, 2), np.log(2)), ((2, 4, 8), -np.log(2)), ((4, 2), None)])
def test_recency_momentum(store, gaps, expected):
    for day in np.cumsum((0, *gaps)).tolist():
        store.order(day)
    assert store.measure(AXIS, 20)["recency_momentum"] == (expected and pytest.approx(expected))
