import pytest

from quimbi_assets.axes import BusinessHours

AXIS = "purchase_cadence"
END = "2026-01-01"


def test_by_hand(store):
    # A Saturday and the Monday after, both at 6:00: a quarter turn of the clock, sine 1, cosine 0.
    row = store.order("2025-01-04 06:00").order("2025-01-06 06:00").measure(AXIS, END)
    assert (row["weekend_ratio"], row["business_hours_ratio"]) == (0.5, 0)
    assert (row["hour_sin"], row["hour_cos"]) == (pytest.approx(1), pytest.approx(0))
    assert row["hour_concentration"] == pytest.approx(1)
    assert row["hour_sin"] <= 1
    assert (row["preferred_time"], row["season_concentration"]) == ("morning", None)


def test_an_hour_before_and_after_midnight_are_close(store):
    row = store.order("2025-01-04 23:00").order("2025-01-06 01:00").measure(AXIS, END)
    assert (row["hour_sin"], row["hour_cos"]) == (pytest.approx(0), pytest.approx(1))
    assert row["hour_concentration"] == pytest.approx(0.965926, abs=1e-6)  # cos 15°


def test_opposite_hours_have_no_direction(store):
    row = store.order("2025-01-04 06:00").order("2025-01-06 18:00").measure(AXIS, END)
    assert (row["hour_sin"], row["hour_cos"]) == (None, None)
    assert row["hour_concentration"] == pytest.approx(0, abs=1e-9)


def test_one_order_has_an_hour_but_no_concentration(store):
    row = store.order("2025-01-04 12:00").measure(AXIS, END)
    assert (row["hour_cos"], row["hour_concentration"]) == (pytest.approx(-1), None)


@pytest.mark.parametrize(("months", "expected"), [((1, 1, 1, 1), 1), ((1, 4, 7, 10), 0), ((1, 1, 1), None)])
def test_season(store, months, expected):
    for day, month in enumerate(months, start=1):
        store.order(f"2025-{month:02d}-{day:02d} 10:00")
    assert store.measure(AXIS, END)["season_concentration"] == (
        None if expected is None else pytest.approx(expected, abs=1e-9)
    )


@pytest.mark.parametrize(
    ("utc", "weekend", "business"),
    [
        ("2025-07-05 03:30", 0, 0),  # Saturday in UTC, Friday 23:30 in New York
        ("2025-01-06 14:00", 0, 1),  # winter: 9:00
        ("2025-01-06 13:59", 0, 0),
        ("2025-07-07 13:00", 0, 1),  # summer: 9:00
        ("2025-07-07 21:00", 0, 0),  # closing time does not count
        ("2025-11-02 05:30", 1, 0),  # 1:30, the first of two that night
    ],
)
def test_the_stores_own_clock(store, utc, weekend, business):
    row = store.order(utc).measure(AXIS, END, time_zone="America/New_York")
    assert (row["weekend_ratio"], row["business_hours_ratio"]) == (weekend, business)


def test_the_stores_own_hours(store):
    store.order("2025-01-06 20:00")
    assert store.measure(AXIS, END, business_hours=BusinessHours(19, 22))["business_hours_ratio"] == 1


def test_dates_without_a_time_of_day(store):
    store.order(0).order(3)
    features = store.features(10)
    assert features.unrecorded[AXIS] == ["business_hours_ratio", "hour_sin", "hour_cos", "hour_concentration"]
    row = store.measure(AXIS, 10)
    assert (row["weekend_ratio"], row["hour_sin"], row["preferred_time"]) == (0.5, None, None)
    assert row["preferred_weekday"] == "Saturday"  # a tie with Wednesday


def test_local_times_partly_missing_follow_the_time_zone(store):
    store.order("2025-07-05 03:30", order_date_local="2025-07-04 23:30").order("2025-07-05 03:30")
    orders, _ = store.frames()
    store.orders = orders.astype({"order_date_local": "datetime64[us]"}).to_dict("records")
    row = store.measure(AXIS, END, time_zone="America/New_York")
    assert (row["weekend_ratio"], row["preferred_weekday"], row["preferred_time"]) == (0, "Friday", "night")
