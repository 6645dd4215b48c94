"""Seasons, weeks, hours and daylight saving time of the simulated store."""

import numpy as np
import pandas as pd
import pytest

from quimbi_assets.simulation.clock import DAY_US, Clock


@pytest.fixture(scope="module")
def clock():
    return Clock.ending("2025-12-31", "America/New_York")


def local_us(clock, text):
    return np.array([(np.datetime64(text, "us") - clock.start.astype("datetime64[us]")).astype(np.int64)])


@pytest.mark.parametrize(
    ("local", "utc"),
    [
        ("2025-01-15T12:00", "2025-01-15T17:00"),
        ("2025-07-15T12:00", "2025-07-15T16:00"),
        ("2025-03-09T02:30", "2025-03-09T07:00"),  # skipped: the first time that exists is 03:00 EDT
        ("2025-11-02T01:30", "2025-11-02T06:30"),  # occurs twice: the second, EST
    ],
)
def test_local_times_become_utc_with_daylight_saving(clock, local, utc):
    assert clock.to_utc(local_us(clock, local))[0] == np.datetime64(utc, "us").astype(np.int64)


def test_the_window_ends_with_the_last_local_day(clock):
    assert clock.end_us == np.datetime64("2026-01-01T05:00", "us").astype(np.int64)


def test_days_move_within_their_week(clock):
    day = np.arange(clock.n_days).repeat(2)
    is_weekend = np.tile([True, False], clock.n_days)
    moved = clock.within_week(day, is_weekend, np.linspace(0, 0.999, len(day)))
    dates = pd.DatetimeIndex(clock.start + moved)
    assert ((dates.dayofweek >= 5) == is_weekend).all()
    assert moved.min() >= 0
    assert moved.max() < clock.n_days
    inner = (day >= 7) & (day < clock.n_days - 7)
    assert (np.abs(moved - day)[inner] <= 6).all()


def test_hours_stay_on_their_day():
    hours = np.array([-1.5, 0.0, 12.0, 23.999, 25.0])
    assert (Clock.at_hour(np.full(5, 3), hours) // DAY_US == 3).all()


def test_demand_crowds_into_the_gift_season(clock):
    day = clock.calendar_day(np.linspace(0, clock.n_days, 100_000, endpoint=False))
    month = pd.DatetimeIndex(clock.start + day).month
    share = month.value_counts(normalize=True)
    assert share[12] > share[11] > 1.3 * share.drop([11, 12]).max()
    assert (np.diff(day) >= 0).all()


def test_orders_follow_seasons_weeks_and_local_hours(store):
    local = store.orders["order_date"].dt.tz_convert("America/New_York")
    by_month = local.dt.month.value_counts()
    assert min(by_month[11], by_month[12]) > 1.2 * by_month[[2, 3, 4, 5, 6, 7]].mean()
    by_weekday = local.dt.dayofweek.value_counts(normalize=True)
    assert by_weekday[0] > 1.2 * by_weekday[2]
    assert by_weekday[6] > 1.1 * by_weekday[5]
    by_hour = local.dt.hour.value_counts(normalize=True).reindex(range(24), fill_value=0)
    assert by_hour[0:6].sum() < 0.01
    assert by_hour[20] > 3 * by_hour[16]


def test_local_hours_do_not_shift_with_daylight_saving(store):
    evening = store.labels.loc[store.labels["purchase_cadence"] == "weekday_evening", "customer_id"]
    when = store.orders.loc[store.orders["customer_id"].isin(evening), "order_date"]
    local = when.dt.tz_convert("America/New_York")
    is_summer = local.dt.month.between(5, 9)
    hour = local.dt.hour + local.dt.minute / 60
    assert abs(hour[is_summer].median() - hour[~is_summer & ~local.dt.month.isin([3, 11])].median()) < 0.1
    winter = local.dt.month.isin([1, 2, 12])
    utc_hour = (when.dt.hour - 20) % 24
    assert utc_hour[winter].median() - utc_hour[is_summer].median() == 1


@pytest.mark.parametrize("end", ["9999-12-31", "0001-01-01"])
def test_a_window_beyond_all_instants_is_refused(end):
    with pytest.raises(ValueError, match="write a day as 2025-12-31"):
        Clock.ending(end, "UTC")
