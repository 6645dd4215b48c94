"""Which snapshots are kept: every week for half a year, then one a month.

Belongs here: the rule. Does not: deleting.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta


@dataclass(frozen=True)
class Retention:
    """How long snapshots are kept.

    Parameters
    ----------
    weekly_weeks : int
        Weeks, counted back from the newest snapshot, of which every one is kept; at least 1.
    monthly_months : int or None
        Months beyond, of which the first snapshot that a month has is kept; None: without end.
    """

    weekly_weeks: int = 26
    monthly_months: int | None = None


def weeks_to_drop(weeks: Iterable[date], retention: Retention) -> list[date]:
    """Return the weeks whose snapshots are not kept any more, oldest first.

    Parameters
    ----------
    weeks : iterable of date
        Mondays of the snapshots that there are.
    retention : Retention

    Examples
    --------
    >>> weeks = [date(2025, 1, 6) + timedelta(days=7 * i) for i in range(10)]
    >>> [f"{week:%m-%d}" for week in weeks_to_drop(weeks, Retention(weekly_weeks=2))]
    ['01-13', '01-20', '01-27', '02-10', '02-17', '02-24']
    """
    ordered = sorted(set(weeks))
    if not ordered:
        return []
    first_weekly = ordered[-1] - timedelta(days=7 * (retention.weekly_weeks - 1))
    dropped, months_kept = [], set()
    for week in ordered:
        if week >= first_weekly:
            break
        month = (week.year, week.month)
        age = (ordered[-1].year - week.year) * 12 + ordered[-1].month - week.month
        too_old = retention.monthly_months is not None and age > retention.monthly_months
        if too_old or month in months_kept:
            dropped.append(week)
        else:
            months_kept.add(month)
    return dropped
