"""A store: its name, its clock, its currency, what counts as a purchase there, and when its work is due.

Belongs here: the values that travel with a store's history, and the instants that follow from its plan. Does not: where
stores are kept (``resources``), launching anything (``defs``).
"""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

import pandas as pd

from quimbi_assets.errors import BadInputError
from quimbi_assets.instants import zone

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
REFITS = ("weekly", "monthly", "never")
SNAPSHOTS = ("weekly", "never")


@dataclass(frozen=True)
class BusinessHours:
    """Opening hours, local, Monday to Friday: an order at ``opens`` counts, one at ``closes`` does not."""

    opens: int = 9
    closes: int = 17

    @classmethod
    def of(cls, recorded: Mapping[str, Any] | None) -> "BusinessHours":
        """Return the hours that a store gave; the usual ones where it gave none."""
        return cls(**{name: int(value) for name, value in _fields_of(cls, recorded).items()})


@dataclass(frozen=True)
class OrderPolicy:
    """What a store counts as a purchase.

    Parameters
    ----------
    dropped_statuses : tuple of str
        Statuses (lower case) of orders that are no purchases.
    drop_guests : bool
        Drop orders without a customer: nobody's behaviour can be read from them.
    gift_card_kinds : tuple of str
        Values (lower case) of ``product_type`` or ``category`` that mark a gift card: buying one is a deposit, not
        a purchase; it becomes one when it is spent.
    currency : str or None
        Keep only orders in this currency; None: the store's.
    """

    dropped_statuses: tuple[str, ...] = ("test", "cancelled", "canceled", "voided", "void", "draft", "failed")
    drop_guests: bool = True
    gift_card_kinds: tuple[str, ...] = ("gift card", "gift cards", "gift_card", "gift_cards", "gift-card", "giftcard")
    currency: str | None = None

    def to_json(self) -> str:
        """Return the policy as JSON text, as ``stores.order_policy`` keeps it.

        Examples
        --------
        >>> OrderPolicy.from_json(OrderPolicy(drop_guests=False).to_json()).drop_guests
        False
        """
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str | Mapping[str, Any]) -> "OrderPolicy":
        """Return the policy that `text` (or its parsed form) describes; what it leaves out takes the default."""
        values = _fields_of(cls, text)
        values |= {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
        return cls(**values)


@dataclass(frozen=True)
class Store:
    """How a store's orders are to be read.

    Parameters
    ----------
    time_zone : str
        IANA name.
    currency : str or None
        ISO 4217; None: the currency most of its orders are in.
    business_hours : mapping or None
        As the store gave them; see ``hours``.
    """

    store_id: str = "store"
    time_zone: str = "UTC"
    currency: str | None = None
    policy: OrderPolicy = field(default_factory=OrderPolicy)
    business_hours: Mapping[str, Any] | None = None

    @property
    def hours(self) -> BusinessHours:
        """Opening hours."""
        return BusinessHours.of(self.business_hours)

    def checked(self) -> "Store":
        """Return itself with its currency in capitals.

        Raises
        ------
        BadInputError
            If its time zone is unknown, or its currency no code.
        """
        zone(self.time_zone)
        return replace(self, currency=currency_code(self.currency))

    def to_json(self) -> str:
        """Return the store as JSON text, as it rests beside its history."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> "Store":
        """Return the store that ``to_json`` described.

        Examples
        --------
        >>> Store.from_json(Store("mine", "Europe/Berlin", "EUR").to_json()).time_zone
        'Europe/Berlin'
        """
        recorded = json.loads(text)
        return cls(**{**recorded, "policy": OrderPolicy.from_json(recorded["policy"])})


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
        for name, is_right, range_ in (
            ("hour", 0 <= self.hour <= 23, "0 to 23"),
            ("stale_after_days", self.stale_after_days >= 1, "1 or more"),
            ("repeat_after_weeks", self.repeat_after_weeks >= 0, "0 or more"),
            ("holdout_share", 0 <= self.holdout_share < 1, "0 to below 1"),
        ):
            if not is_right:
                raise BadInputError(f"{name} {getattr(self, name)} cannot be used: give {range_}")

    def to_json(self) -> str:
        """Return the plan as JSON text, as ``stores.plan`` keeps it."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str | Mapping[str, Any] | None) -> "StorePlan":
        """Return the plan that ``text`` (or its parsed form) describes; what it leaves out takes the default.

        Examples
        --------
        >>> StorePlan.from_json('{"hour": 7}').hour, StorePlan.from_json(None).weekday
        (7, 'monday')
        """
        return cls(**_fields_of(cls, text))

    def last_due(self, now: pd.Timestamp, time_zone: str) -> pd.Timestamp:
        """Return when the weekly work was last due, at or before ``now`` (with zone), in the store's zone.

        An hour that daylight saving skips moves to the next one there is; of an hour that comes twice it is the first.

        Examples
        --------
        >>> StorePlan(hour=5).last_due(pd.Timestamp("2026-11-25T12:00Z"), "Europe/Berlin")
        Timestamp('2026-11-23 05:00:00+0100', tz='Europe/Berlin')
        """
        local = now.tz_convert(zone(time_zone))
        days_since = (local.dayofweek - WEEKDAYS.index(self.weekday)) % 7
        naive = local.tz_localize(None).normalize() + pd.Timedelta(days=-days_since, hours=self.hour)
        due, week_before = (
            day.tz_localize(zone(time_zone), nonexistent="shift_forward", ambiguous=True)
            for day in (naive, naive - pd.Timedelta(weeks=1))
        )
        return due if due <= now else week_before

    def refits_at(self, due: pd.Timestamp) -> bool:
        """Whether models are fitted anew at one of the plan's instants (in the store's zone).

        Examples
        --------
        >>> [StorePlan().refits_at(pd.Timestamp(day)) for day in ("2026-11-02", "2026-11-09")]
        [True, False]
        """
        return self.refit == "weekly" or (self.refit == "monthly" and due.day <= 7)


def currency_code(currency: str | None) -> str | None:
    """Return a currency's code in capitals.

    Raises
    ------
    BadInputError
        If it is no code of three letters.
    """
    if currency is not None and not re.fullmatch(r"[A-Za-z]{3}", currency.strip()):
        raise BadInputError(f"currency {currency!r} cannot be used: give its three-letter code, such as USD or EUR")
    return currency and currency.strip().upper()


def _fields_of(cls: type, text: str | Mapping[str, Any] | None) -> dict[str, Any]:
    """Return what JSON text (or its parsed form) says of a class's fields; what a later version wrote is left out."""
    recorded = json.loads(text) if isinstance(text, str) else (text or {})
    return {part.name: recorded[part.name] for part in fields(cls) if part.name in recorded}
