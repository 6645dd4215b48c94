"""A store: its name, its clock, its currency, what counts as a purchase there, and when its work is due.

Belongs here: the values that travel with a store's history, and the instants that follow from its plan. Does not: where
stores are kept (``resources``), launching anything (``defs``).
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Self
from zoneinfo import ZoneInfo

from quimbi_assets.errors import BadInputError

if TYPE_CHECKING:  # commands that list customers need no frame
    import pandas as pd

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
REFITS = ("weekly", "monthly", "never")
SNAPSHOTS = ("weekly", "never")


@dataclass(frozen=True)
class JsonRecord:
    """What is kept as JSON text."""

    READERS: ClassVar[Mapping[str, Callable[[Any], Any]]] = {}
    """Of fields whose type is none of JSON's; a list is read as a tuple."""

    def to_json(self) -> str:
        """Return the fields as JSON text, in alphabetical order: instants in ISO 8601, sets as sorted lists."""
        return json.dumps(asdict(self), sort_keys=True, default=_plain)

    @classmethod
    def from_json(cls, text: str | bytes | Mapping[str, Any] | None) -> Self:
        """Return what `text`, or its parsed form, describes.

        What it leaves out takes the default, what a later version wrote is left out.
        """
        recorded = json.loads(text) if isinstance(text, str | bytes) else (text or {})
        names = [part.name for part in fields(cls) if part.name in recorded]
        return cls(**{name: cls._typed(name, recorded[name]) for name in names})

    @classmethod
    def _typed(cls, name: str, value: Any) -> Any:
        if value is not None and name in cls.READERS:
            return cls.READERS[name](value)
        return tuple(value) if isinstance(value, list) else value


def _plain(value: "pd.Timestamp | frozenset[str]") -> str | list[str]:
    return sorted(value) if isinstance(value, frozenset) else value.isoformat()


@dataclass(frozen=True)
class BusinessHours(JsonRecord):
    """Opening hours, local, Monday to Friday: an order at ``opens`` counts, one at ``closes`` does not."""

    opens: int = 9
    closes: int = 17


@dataclass(frozen=True)
class OrderPolicy(JsonRecord):
    """What a store counts as a purchase; statuses and kinds in lower case.

    >>> OrderPolicy.from_json(OrderPolicy(drop_guests=False).to_json()).drop_guests
    False
    """

    dropped_statuses: tuple[str, ...] = (
        *("test", "cancelled", "canceled", "voided", "void", "draft", "failed"),
        *("declined", "incomplete", "checkout-draft", "trash"),  # BigCommerce's and WooCommerce's
    )
    drop_guests: bool = True
    """Without a customer: nobody's behaviour can be read from them."""
    gift_card_kinds: tuple[str, ...] = ("gift card", "gift cards", "gift_card", "gift_cards", "gift-card", "giftcard")
    """Values of ``product_type`` or ``category``: buying a gift card is a deposit, a purchase when it is spent."""
    currency: str | None = None
    """Of the orders that count; None: the store's."""


@dataclass(frozen=True)
class Store(JsonRecord):
    """How a store's orders are to be read.

    >>> Store.from_json(Store("mine", "Europe/Berlin", "EUR").to_json()).time_zone
    'Europe/Berlin'
    """

    READERS: ClassVar = {"policy": OrderPolicy.from_json}

    store_id: str = "store"
    time_zone: str = "UTC"
    currency: str | None = None
    """None: the one most of its orders are in."""
    policy: OrderPolicy = field(default_factory=OrderPolicy)
    business_hours: Mapping[str, Any] | None = None
    """As the store gave them; see ``hours``."""

    @property
    def hours(self) -> BusinessHours:
        """Opening hours."""
        hours = BusinessHours.from_json(self.business_hours)
        return BusinessHours(int(hours.opens), int(hours.closes))

    def checked(self) -> "Store":
        """Return itself with its currency in capitals; a zone or currency there is not is a ``BadInputError``."""
        zone(self.time_zone)
        return replace(self, currency=currency_code(self.currency))


@dataclass(frozen=True)
class StorePlan(JsonRecord):
    """What is done for a store unasked, and when, on its clock; a value that cannot be is a ``BadInputError``.

    >>> StorePlan.from_json('{"hour": 7}').hour, StorePlan.from_json(None).weekday
    (7, 'monday')
    """

    weekday: str = "monday"
    hour: int = 5
    refit: str = "monthly"
    """How often models are fitted anew; ``monthly``: on the first such weekday of a month."""
    snapshot: str = "weekly"
    """Whether the week that ended is recorded."""
    stale_after_days: int = 9
    """Since the newest order, and since the last profiles."""
    repeat_after_weeks: int = 8
    """Until a customer the store was told of may be named again."""
    holdout_share: float = 0.1
    """Of customers the store is never told of, so that what acting brings can be measured."""

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

    def last_due(self, now: "pd.Timestamp", time_zone: str) -> "pd.Timestamp":
        """Return when the weekly work was last due, at or before ``now`` (with zone), in the store's zone.

        An hour that daylight saving skips moves to the next one there is; of an hour that comes twice it is the first.

        >>> import pandas as pd
        >>> StorePlan(hour=5).last_due(pd.Timestamp("2026-11-25T12:00Z"), "Europe/Berlin")
        Timestamp('2026-11-23 05:00:00+0100', tz='Europe/Berlin')
        """
        local = now.tz_convert(zone(time_zone))
        days_since = (local.dayofweek - WEEKDAYS.index(self.weekday)) % 7
        naive = local.tz_localize(None).normalize() + timedelta(days=-days_since, hours=self.hour)
        due, week_before = (
            day.tz_localize(zone(time_zone), nonexistent="shift_forward", ambiguous=True)
            for day in (naive, naive - timedelta(weeks=1))
        )
        return due if due <= now else week_before

    def refits_at(self, due: "pd.Timestamp") -> bool:
        """Whether models are fitted anew at one of the plan's instants (in the store's zone).

        >>> import pandas as pd
        >>> [StorePlan().refits_at(pd.Timestamp(day)) for day in ("2026-11-02", "2026-11-09")]
        [True, False]
        """
        return self.refit == "weekly" or (self.refit == "monthly" and due.day <= 7)


def zone(name: str) -> ZoneInfo:
    """Return a time zone by its IANA name; where there is none of that name it is a ``BadInputError``."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError, TypeError):
        raise BadInputError(f"unknown time zone {name!r}: give an IANA name such as Europe/Berlin or UTC") from None


def currency_code(currency: str | None) -> str | None:
    """Return a currency's code in capitals; one that is not three letters is a ``BadInputError``."""
    if currency is not None and not re.fullmatch(r"[A-Za-z]{3}", currency.strip()):
        raise BadInputError(f"currency {currency!r} cannot be used: give its three-letter code, such as USD or EUR")
    return currency and currency.strip().upper()
