"""One type for an instant, and every way in and out of it: naive UTC inside, zoned at the doors.

Belongs here: conversions, the store's days and weeks. Does not: which instant is meant (``history``), when work is due
(``store``).
"""

from datetime import date, datetime, timedelta

import numpy as np
import pandas as pd

from quimbi_assets.errors import BadInputError
from quimbi_assets.store import zone

Instant = pd.Timestamp
"""Naive, in UTC, to the microsecond. As the end of what is known it is exclusive."""

MONDAY = 0


def to_instant(value: str | date | datetime | pd.Timestamp, what: str = "instant") -> Instant:
    """Read an instant, text in ISO 8601 among them; what carries no offset is UTC.

    What is none is a ``BadInputError``, in which it is called `what`.

    >>> to_instant("2025-06-30T02:00+02:00")
    Timestamp('2025-06-30 00:00:00')
    """
    stamp: pd.Timestamp | None
    try:
        stamp = pd.Timestamp(value)
    except ValueError:
        stamp = None
    if stamp is None or pd.isna(stamp):
        raise BadInputError(f"{what} {str(value)!r} is not a date or time; write it as 2025-06-30 or 2025-06-30T12:00Z")
    return stamp if stamp.tz is None else stamp.tz_convert("UTC").tz_localize(None)


def zoned(instant: Instant) -> datetime:
    """Return an instant as the database and people take it: with its zone, UTC."""
    return instant.tz_localize("UTC").to_pydatetime()


def microseconds(instant: Instant) -> int:
    """Return microseconds since 1970."""
    return int(instant.to_datetime64().astype("datetime64[us]").astype(np.int64))


def naive_utc(dates: pd.Series) -> pd.Series:
    """Return a column of instants as naive UTC in microseconds; naive ones are UTC already, text is ISO 8601.

    Text may carry one offset in winter and another in summer.
    """
    if not pd.api.types.is_datetime64_any_dtype(dates):
        dates = pd.to_datetime(dates, format="ISO8601", utc=True)
    if dates.dt.tz is not None:
        dates = dates.dt.tz_convert("UTC").dt.tz_localize(None)
    instants: pd.Series = dates.dt.as_unit("us")
    return instants


def end_of_day(last: Instant, time_zone: str) -> Instant:
    """Return the end of the store-local day of an instant.

    >>> end_of_day(pd.Timestamp("2025-06-01 23:30"), "America/New_York")
    Timestamp('2025-06-02 04:00:00')
    """
    local = last.tz_localize("UTC").tz_convert(zone(time_zone))
    return _local_midnight(pd.Timestamp(local.date()) + pd.Timedelta(days=1), time_zone)


FIRST_YEAR, LAST_YEAR = 1900, 2200
"""Of days that can be asked for: far from what instants in nanoseconds can be."""


def parse_week(text: str) -> date:
    """Read a week, named by the Monday that opens it; no date or another day is a ``BadInputError``.

    >>> parse_week("2010-06-07")
    datetime.date(2010, 6, 7)
    """
    try:
        day = date.fromisoformat(text)
    except ValueError as error:
        raise BadInputError(f"week {text!r} is not a date; write the Monday that opens it, as 2010-06-07") from error
    if not FIRST_YEAR <= day.year <= LAST_YEAR:
        raise BadInputError(f"week {text} is of no year from {FIRST_YEAR} to {LAST_YEAR}; write it as 2010-06-07")
    if day.weekday() != MONDAY:
        monday = (pd.Timestamp(day) - pd.Timedelta(days=day.weekday())).date()
        raise BadInputError(f"week {text} is a {day:%A}; a week is named by its Monday, which is {monday}")
    return day


FIRST_WEEK_VARIABLE = "QUIMBI_FIRST_WEEK"
"""Names the first week, a Monday, of which snapshots can be asked for."""


def two_years_before(day: date) -> date:
    """Return the Monday of the week that a day two years before another, 104 weeks, is in.

    >>> two_years_before(date(2026, 11, 26)).isoformat()
    '2024-11-25'
    """
    return day - timedelta(days=day.weekday(), weeks=104)


def week_end(week: date, time_zone: str) -> Instant:
    """Return the instant a week ends at: Monday 00:00 of the next one by the store's clock.

    >>> week_end(date(2025, 3, 3), "America/New_York"), week_end(date(2025, 2, 24), "America/New_York")
    (Timestamp('2025-03-10 04:00:00'), Timestamp('2025-03-03 05:00:00'))
    """
    return _local_midnight(pd.Timestamp(week) + pd.Timedelta(days=7), time_zone)


def closed_week(local: pd.Timestamp) -> pd.Timestamp:
    """Return the Monday that opened the last week to have ended by an instant on the store's clock; naive.

    >>> closed_week(pd.Timestamp("2026-11-23 05:00", tz="Europe/Berlin"))
    Timestamp('2026-11-16 00:00:00')
    """
    day = local.tz_localize(None).normalize()
    return day - pd.Timedelta(days=day.dayofweek + 7)


def last_week(end: Instant, time_zone: str) -> date:
    """Return the Monday that opened the last week to be over by an instant, by the store's clock.

    >>> last_week(pd.Timestamp("2025-03-10 04:00:00"), "America/New_York")
    datetime.date(2025, 3, 3)
    """
    return closed_week(end.tz_localize("UTC").tz_convert(zone(time_zone))).date()


def _local_midnight(day: pd.Timestamp, time_zone: str) -> Instant:
    """Midnight that begins a local day; one that daylight saving skips is the moment after the gap."""
    local = day.tz_localize(zone(time_zone), nonexistent="shift_forward", ambiguous=True)
    return local.tz_convert("UTC").tz_localize(None)
