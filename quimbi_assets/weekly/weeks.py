"""Weeks of a store: named by the Monday that opens them, ended by the store's own clock.

Belongs here: reading and ending weeks. Does not: which weeks are kept (``retention``).
"""

from datetime import date

import pandas as pd

from quimbi_assets.errors import BadInputError
from quimbi_assets.ingest.dates import zone

MONDAY = 0


def parse_week(text: str) -> date:
    """Return the Monday that opens a week.

    Parameters
    ----------
    text : str
        ISO date, e.g. ``2010-06-07``.

    Raises
    ------
    BadInputError
        If it is no date, or no Monday; the message names the Monday of that week.

    Examples
    --------
    >>> parse_week("2010-06-07")
    datetime.date(2010, 6, 7)
    """
    try:
        day = date.fromisoformat(text)
    except ValueError as error:
        raise BadInputError(f"week {text!r} is not a date; write the Monday that opens it, as 2010-06-07") from error
    if day.weekday() != MONDAY:
        monday = (pd.Timestamp(day) - pd.Timedelta(days=day.weekday())).date()
        raise BadInputError(f"week {text} is a {day:%A}; a week is named by its Monday, which is {monday}")
    return day


def week_end(week: date, time_zone: str) -> pd.Timestamp:
    """Return the instant a week ends at: Monday 00:00 of the next one by the store's clock.

    Parameters
    ----------
    week : date
        The Monday that opens it.
    time_zone : str
        IANA name.

    Returns
    -------
    Timestamp
        Naive UTC, exclusive.

    Examples
    --------
    >>> week_end(date(2025, 3, 3), "America/New_York"), week_end(date(2025, 2, 24), "America/New_York")
    (Timestamp('2025-03-10 04:00:00'), Timestamp('2025-03-03 05:00:00'))
    """
    local = pd.Timestamp(week) + pd.Timedelta(days=7)
    return (
        local.tz_localize(zone(time_zone), ambiguous=True, nonexistent="shift_forward")
        .tz_convert("UTC")
        .tz_localize(None)
    )
