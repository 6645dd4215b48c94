"""When a store's work is due, on the store's own clock.

Belongs here: a store's plan, and the instants that follow from it. Does not: launching anything (``defs``), where the
plan is kept (``resources``).
"""

import json
from dataclasses import asdict, dataclass, fields
from typing import Any

import pandas as pd

from quimbi_assets.errors import BadInputError
from quimbi_assets.instants import zone

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
REFITS = ("weekly", "monthly", "never")
SNAPSHOTS = ("weekly", "never")


@dataclass(frozen=True)
class StorePlan:
    """What is done for a store unasked, and when.

    Parameters
    ----------
    weekday : str
        Day of the weekly work.
    hour : int
        Hour of that day, 0-23, on the store's clock.
    refit : str
        How often models are fitted anew: ``weekly``, ``monthly`` (the first such weekday of a month) or ``never``.
    snapshot : str
        Whether the week that ended is recorded: ``weekly`` or ``never``.
    stale_after_days : int
        Days since the newest order, and since the last profiles, after which the store counts as stale.

    repeat_after_weeks : int
        Weeks in which a customer the store was told of is not named again.
    holdout_share : float
        Share of customers, 0 to below 1, the store is never told of, so that what acting brings can be measured.

    Raises
    ------
    BadInputError
        If a value cannot be, with what it may be.
    """

    weekday: str = "monday"
    hour: int = 5
    refit: str = "monthly"
    snapshot: str = "weekly"
    stale_after_days: int = 9
    repeat_after_weeks: int = 8
    holdout_share: float = 0.1

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        for name, known in (("weekday", WEEKDAYS), ("refit", REFITS), ("snapshot", SNAPSHOTS)):
            if getattr(self, name) not in known:
                raise BadInputError(f"{name} {getattr(self, name)!r} cannot be used; there are: {', '.join(known)}")
        if not 0 <= self.hour <= 23:
            raise BadInputError(f"hour {self.hour} cannot be used: give 0 to 23")
        if self.stale_after_days < 1:
            raise BadInputError(f"stale_after_days {self.stale_after_days} cannot be used: give 1 or more")
        if self.repeat_after_weeks < 0:
            raise BadInputError(f"repeat_after_weeks {self.repeat_after_weeks} cannot be used: give 0 or more")
        if not 0 <= self.holdout_share < 1:
            raise BadInputError(f"holdout_share {self.holdout_share} cannot be used: give 0 to below 1")

    def to_json(self) -> str:
        """Return the plan as JSON text, as ``stores.plan`` keeps it."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str | dict[str, Any] | None) -> "StorePlan":
        """Return the plan that ``text`` (or its parsed form) describes; what it leaves out takes the default.

        Examples
        --------
        >>> StorePlan.from_json('{"hour": 7}').hour, StorePlan.from_json(None).weekday
        (7, 'monday')
        """
        given = json.loads(text) if isinstance(text, str) else (text or {})
        return cls(**{part.name: given[part.name] for part in fields(cls) if part.name in given})

    def last_due(self, now: pd.Timestamp, time_zone: str) -> pd.Timestamp:
        """Return when the weekly work was last due.

        Parameters
        ----------
        now : Timestamp
            With time zone.
        time_zone : str
            IANA zone of the store.

        Returns
        -------
        Timestamp
            In the store's zone, at or before ``now``. An hour that daylight saving skips moves to the next one there
            is; of an hour that comes twice it is the first.

        Examples
        --------
        >>> StorePlan(hour=5).last_due(pd.Timestamp("2026-11-25T12:00Z"), "Europe/Berlin")
        Timestamp('2026-11-23 05:00:00+0100', tz='Europe/Berlin')
        """
        local = now.tz_convert(zone(time_zone))
        day = local.tz_localize(None).normalize() - pd.Timedelta(days=(local.dayofweek - self._day) % 7)
        due = self._on(day, time_zone)
        return due if due <= now else self._on(day - pd.Timedelta(weeks=1), time_zone)

    def refits_at(self, due: pd.Timestamp) -> bool:
        """Whether models are fitted anew at one of the plan's instants (in the store's zone).

        Examples
        --------
        >>> [StorePlan().refits_at(pd.Timestamp(day)) for day in ("2026-11-02", "2026-11-09")]
        [True, False]
        """
        return self.refit == "weekly" or (self.refit == "monthly" and due.day <= 7)

    @property
    def _day(self) -> int:
        return WEEKDAYS.index(self.weekday)

    def _on(self, day: pd.Timestamp, time_zone: str) -> pd.Timestamp:
        naive = day + pd.Timedelta(hours=self.hour)
        return naive.tz_localize(zone(time_zone), nonexistent="shift_forward", ambiguous=True)
