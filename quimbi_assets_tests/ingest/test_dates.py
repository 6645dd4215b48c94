import pandas as pd
import pytest

from quimbi_assets.errors import BadInputError
from quimbi_assets.ingest.dates import AMBIGUOUS, MIXED, ODD, UNREADABLE, parse_dates, zone


def read(*written, time_zone="UTC"):
    instants, reasons = parse_dates(pd.Series(written, dtype="str"), time_zone)
    assert instants.dtype == "datetime64[us, UTC]"
    return [
        reason if pd.notna(reason) else None if pd.isna(instant) else instant.strftime("%Y-%m-%d %H:%M:%S.%f")[:19]
        for instant, reason in zip(instants, reasons, strict=True)
    ]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("2024-01-05", "2024-01-05 00:00:00"),
        ("2024-1-5", "2024-01-05 00:00:00"),
        ("2024/01/05 9:05", "2024-01-05 09:05:00"),
        ("20240105", "2024-01-05 00:00:00"),
        ("2024-01-05T10:11:12.345678", "2024-01-05 10:11:12"),
        ("2024-01-05 10:11:12 -0500", "2024-01-05 15:11:12"),
        ("2024-01-05T10:11:12+01:00", "2024-01-05 09:11:12"),
        ("2024-01-05 10:11:12+00", "2024-01-05 10:11:12"),
        ("2024-01-05 10:11:12 UTC", "2024-01-05 10:11:12"),
        ("05.01.2024", "2024-01-05 00:00:00"),
        ("31/12/2024", "2024-12-31 00:00:00"),
        ("12/31/2024 3:45 PM", "2024-12-31 15:45:00"),
        ("12/31/2024 12:05 am", "2024-12-31 00:05:00"),
    ],
)
def test_forms(written, expected):
    assert read(written) == [expected]


@pytest.mark.parametrize(
    "written", ["soon", "2024", "2024-01", "2024-02-30", "2024-01-05 25:00", "2024-13-01", "45000", "1/5/24"]
)
def test_unreadable(written):
    assert read(written) == [UNREADABLE]


def test_day_or_month_first_is_read_off_the_column():
    assert read("01/02/2024") == [AMBIGUOUS]
    assert read("01/02/2024", "13/02/2024") == ["2024-02-01 00:00:00", "2024-02-13 00:00:00"]
    assert read("01/02/2024", "02/13/2024") == ["2024-01-02 00:00:00", "2024-02-13 00:00:00"]
    assert read("01/02/2024", "02/13/2024", "13/02/2024")[0] == AMBIGUOUS
    assert read("02/02/2024") == ["2024-02-02 00:00:00"]


def test_naive_among_offsets_is_refused_and_offsets_may_differ():
    assert read("2024-01-05T10:00:00Z", "2024-01-05T10:00:00+02:00", "2024-01-05 10:00") == [
        "2024-01-05 10:00:00",
        "2024-01-05 08:00:00",
        MIXED,
    ]


def test_an_odd_offset_is_refused_and_the_others_are_read():
    for odd in ("2024-02-01T10:00:00+02:00", "01.02.2024 10:00 +0200"):
        *others, last = read(*(f"2024-01-{day:02d} 10:00" for day in range(1, 12)), odd)
        assert last == ODD
        assert others == [f"2024-01-{day:02d} 10:00:00" for day in range(1, 12)]
    assert read("2024-01-05T10:00:00Z", *(f"2024-01-{day:02d}" for day in range(6, 14)))[1:] == [MIXED] * 8


def test_store_clock_and_daylight_saving():
    assert read("2024-07-01 12:00", time_zone="America/New_York") == ["2024-07-01 16:00:00"]
    assert read("2024-03-31 02:30", time_zone="Europe/Berlin") == ["2024-03-31 01:00:00"]  # skipped: the gap's end
    assert read("2024-10-27 02:30", time_zone="Europe/Berlin") == ["2024-10-27 00:30:00"]  # twice: the first


def test_timestamps_of_any_unit_and_zone():
    for unit in ("s", "ms", "us", "ns"):
        naive = pd.Series(pd.to_datetime(["2024-07-01 12:00", None])).astype(f"datetime64[{unit}]")
        zoned = naive.dt.tz_localize("America/New_York")
        for values in (naive, zoned):
            instants, reasons = parse_dates(values, "America/New_York")
            assert instants.dtype == "datetime64[us, UTC]"
            assert instants[0] == pd.Timestamp("2024-07-01 16:00", tz="UTC")
            assert pd.isna(instants[1])
            assert reasons.isna().all()


def test_plain_numbers_are_no_dates():
    instants, reasons = parse_dates(pd.Series([1704412800, 1704412801]), "UTC")
    assert instants.isna().all()
    assert (reasons == UNREADABLE).all()


def test_index_and_nulls_survive():
    instants, reasons = parse_dates(pd.Series(["2024-01-05", None, "x"], index=[5, 3, 9], dtype="str"), "UTC")
    assert instants.index.tolist() == reasons.index.tolist() == [5, 3, 9]
    assert instants.isna().tolist() == [False, True, True]
    assert reasons.isna().tolist() == [True, True, False]


@pytest.mark.parametrize("name", ["Mars/Olympus", "", "../etc/passwd", "/etc/localtime"])
def test_unknown_zone(name):
    with pytest.raises(BadInputError, match="unknown time zone"):
        zone(name)
