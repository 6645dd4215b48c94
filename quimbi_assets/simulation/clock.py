"""Time in the simulated store: its window, its seasons, its local clock.

Belongs here: turning a day into a store-local and a UTC instant. Does not: deciding who buys when (``orders``).
"""

from dataclasses import dataclass
from datetime import date
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from quimbi_assets.instants import FIRST_YEAR, LAST_YEAR
from quimbi_assets.simulation.archetypes import Flags, Floats, Ints

DAY_US = 86_400_000_000
N_YEARS = 3
"""Of the window: room for customers to lapse."""

MONTH_WEIGHT = np.array([0.85, 0.80, 0.90, 0.92, 0.98, 0.95, 0.90, 0.90, 0.95, 1.00, 1.45, 1.75])
"""Relative demand, January to December. Assumption: a gift-season retailer."""

WEEKDAYS_UP_TO = np.array([0.25, 0.45, 0.63, 0.80])
"""Share of weekday orders up to Monday, Tuesday, Wednesday and Thursday."""
SATURDAY_SHARE = 0.45  # share of weekend orders on the Saturday


@dataclass(frozen=True)
class Clock:
    """The window of the simulation, from the store-local day `start`, and the store's calendar.

    ``warp``, of shape (n_days + 1,), is the cumulated demand at each day's start, from 0 to ``n_days``.
    """

    start: np.datetime64
    n_days: int
    time_zone: str
    warp: Floats

    @classmethod
    def ending(cls, end_date: date | str, time_zone: str) -> "Clock":
        """Build the clock of a window whose last store-local day is `end_date`."""
        try:
            ZoneInfo(time_zone)
        except (KeyError, OSError, ValueError) as error:
            raise ValueError(f"unknown time zone {time_zone!r}") from error
        stop = np.datetime64(str(end_date), "D") + 1
        if not FIRST_YEAR <= stop.astype("datetime64[Y]").astype(int) + 1970 <= LAST_YEAR:
            raise ValueError(f"{end_date} is of no year from {FIRST_YEAR} to {LAST_YEAR}: write a day as 2025-12-31")
        n_days = round(N_YEARS * 365.25)
        days = stop - n_days + np.arange(n_days)
        month = days.astype("datetime64[M]").astype(int) % 12
        demand = np.concatenate([[0.0], np.cumsum(MONTH_WEIGHT[month])])
        return cls(stop - n_days, n_days, time_zone, demand * (n_days / demand[-1]))

    @property
    def end_us(self) -> int:
        """Instant at which the window closes: microseconds since 1970, UTC (exclusive)."""
        return int(self.to_utc(np.array([self.n_days * DAY_US]))[0])

    def calendar_day(self, demand_day: Floats) -> Ints:
        """Return the day of the window by which a share ``demand_day / n_days`` of all demand has come.

        Equally spaced demand days, 0 to ``n_days``, crowd into November and December.
        """
        passed = np.interp(demand_day, self.warp, np.arange(self.n_days + 1.0))
        day: Ints = np.minimum(passed.astype(np.int64), self.n_days - 1)
        return day

    def within_week(self, day: Ints, is_weekend: Flags, position: Floats) -> Ints:
        """Move days to a weekday or a weekend day of their week (Monday to Sunday), or of the next one in the window.

        `position` is 0-1 on the scale of how busy the five weekdays or two weekend days are.
        """
        first_weekday = int(self.start.astype(int) + 3) % 7  # 1970-01-01 was a Thursday
        weekday = (day + first_weekday) % 7
        on_weekday = np.searchsorted(WEEKDAYS_UP_TO, position, side="right")
        target = np.where(is_weekend, 5 + (position >= SATURDAY_SHARE), on_weekday)
        moved = day - weekday + target
        moved = np.where(moved >= self.n_days, moved - 7, moved)
        return np.where(moved < 0, moved + 7, moved)

    @staticmethod
    def at_hour(day: Ints, hour: Floats) -> Ints:
        """Return microseconds since the window's start (store-local) of an hour of a day.

        Hours outside 0-24 are reflected into the day, so nobody buys on the wrong date.
        """
        hour = np.abs(hour)
        hour = np.where(hour >= 24, 47.999 - hour, hour)
        second = np.clip(hour * 3600, 0, 86_399).astype(np.int64)
        return day * DAY_US + second * 1_000_000

    def to_utc(self, local_us: Ints) -> Ints:
        """Convert store-local microseconds since the window's start to microseconds since 1970, UTC.

        A time skipped in spring moves forward to the first that exists; a time that occurs twice in autumn is
        read as its second occurrence (standard time).
        """
        naive = pd.DatetimeIndex(self.start.astype("datetime64[us]") + local_us.astype("timedelta64[us]"))
        local = naive.tz_localize(
            self.time_zone, ambiguous=np.zeros(len(naive), dtype=bool), nonexistent="shift_forward"
        )
        return local.tz_convert("UTC").tz_localize(None).to_numpy().astype("datetime64[us]").astype(np.int64)
