from datetime import date

import pandas as pd
import pytest

from quimbi_assets.errors import BadInputError
from quimbi_assets.instants import naive_utc, parse_week, week_end

EXPECTED = pd.Series(
    pd.to_datetime(["2025-01-01", "2025-03-01 09:00", "2025-07-01 08:00:00.5", None], format="ISO8601")
)


@pytest.mark.parametrize(
    "dates",
    [
        pd.Series(["2025-01-01", "2025-03-01T10:00+01:00", "2025-07-01T10:00:00.5+02:00", None]),
        EXPECTED,
        EXPECTED.dt.tz_localize("UTC").dt.tz_convert("Asia/Tokyo"),
    ],
    ids=["text", "naive", "zoned"],
)
def test_instants_of_any_form_become_naive_utc(dates):
    pd.testing.assert_series_equal(naive_utc(dates), EXPECTED.dt.as_unit("us"))


def test_a_week_is_named_by_its_monday():
    with pytest.raises(BadInputError, match=r"2010-06-09 is a Wednesday.*2010-06-07"):
        parse_week("2010-06-09")
    with pytest.raises(BadInputError, match="'soon' is not a date"):
        parse_week("soon")


@pytest.mark.parametrize(
    ("zone", "week", "end"),
    [
        ("UTC", date(2010, 6, 7), "2010-06-14 00:00"),
        ("Asia/Tokyo", date(2025, 3, 3), "2025-03-09 15:00"),
        ("Europe/London", date(2025, 3, 24), "2025-03-30 23:00"),  # summer time begins on that Sunday
        ("America/Santiago", date(2025, 9, 1), "2025-09-08 03:00"),
    ],
)
def test_a_week_ends_by_the_store_s_clock(zone, week, end):
    assert week_end(week, zone) == pd.Timestamp(end)


@pytest.mark.parametrize("week", ["0001-01-01", "9999-12-27"])
def test_a_week_beyond_all_instants_is_bad_input(week):
    with pytest.raises(BadInputError, match="write it as 2010-06-07"):
        parse_week(week)
