import pytest

AXIS = "customer_maturity"


def test_by_hand(store):
    row = store.order(0).order(150).order(190).measure(AXIS, 200)
    # Recent rate 2 / 90 = 0.022222, lifetime rate 3 / 200 = 0.015: 0.007222 / 0.037222.
    assert row["tenure_months"] == pytest.approx(200 / 30.4375)
    assert row["active_span_ratio"] == pytest.approx(0.95)
    assert row["acceleration"] == pytest.approx(0.194030, abs=1e-6)
    assert (row["lifecycle_stage"], row["maturity_score"]) == ("developing", 0)


@pytest.mark.parametrize(("end", "expected"), [(90, None), (191, -1)])
def test_acceleration_needs_a_past_and_stops_at_minus_one(store, end, expected):
    assert store.order(0).order(100).measure(AXIS, end)["acceleration"] == expected


@pytest.mark.parametrize(
    ("n_orders", "end", "score"),
    [(20, 731, 5), (20, 730, 4), (10, 366, 3), (5, 365, 1), (4, 731, 2)],  # 24 months are 730.5 days
)
def test_maturity_score(store, n_orders, end, score):
    for day in range(n_orders):
        store.order(day)
    assert store.measure(AXIS, end)["maturity_score"] == score


@pytest.mark.parametrize(
    ("last", "end", "stage"), [(0, 90, "new"), (0, 100, "developing"), (200, 380, "established"), (0, 183, "dormant")]
)
def test_lifecycle_stage(store, last, end, stage):
    assert store.order(0).order(last).measure(AXIS, end)["lifecycle_stage"] == stage
